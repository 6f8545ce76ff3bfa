package claims

import (
	"bufio"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/goinfer/goinfer/page"
)

// Command makes the report again.
func (r *Report) Command() string {
	if r.Quick {
		return "goinfer claims --quick"
	}
	return "goinfer claims"
}

// lead is where the report comes from.
func (r *Report) lead() string {
	return fmt.Sprintf("Measured on %s with %d threads (kernels %s) on %s, in %s.", r.Machine.CPU, r.Threads, r.Machine.ISA, r.Date, r.Took.Round(time.Second))
}

// verdict is a finding's, with the factor where it is not 1.
func (f Finding) verdict() string {
	if f.Verdict == Holds || f.Verdict == NotMeasurable || f.Factor == 0 {
		return f.Verdict.String()
	}
	return fmt.Sprintf("%s (%.2f of it)", f.Verdict, f.Factor)
}

// Markdown writes the report as a document of Markdown.
func (r *Report) Markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# What is said about parameters, and what was measured\n\n%s `%s` makes this again.\n\n", r.lead(), r.Command())
	fmt.Fprintf(out, "| | claim | verdict |\n|---:|---|---|\n")
	for _, c := range r.Claims {
		fmt.Fprintf(out, "| %d | %s | %s |\n", c.Number, cell(c.Title), c.Summary())
	}
	for _, c := range r.Claims {
		fmt.Fprintf(out, "\n## %d. %s\n\n", c.Number, c.Title)
		if c.Number == len(r.Claims) {
			fmt.Fprintf(out, "| statement | why it is not measurable here |\n|---|---|\n")
			for _, f := range c.Findings {
				fmt.Fprintf(out, "| %s | %s |\n", cell(f.What), cell(f.Measured))
			}
			continue
		}
		fmt.Fprintf(out, "**%s**\n\n| | said | theory | measured | verdict | command |\n|---|---:|---:|---:|---|---|\n", strings.ToUpper(c.Summary()[:1])+c.Summary()[1:])
		for _, f := range c.Findings {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | `%s` |\n", cell(f.What), cell(f.Said), cell(f.Theory), cell(f.Measured), f.verdict(), cell(f.Command))
		}
		if len(c.Notes) > 0 {
			fmt.Fprintln(out)
		}
		for _, n := range c.Notes {
			fmt.Fprintf(out, "- %s\n", n)
		}
	}
	return out.Flush()
}

// cell is a text for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// mood is a verdict's colour.
func (v Verdict) mood() page.Mood {
	return [...]page.Mood{page.Good, page.Fair, page.Bad, page.Neutral}[v]
}

// Page is the report as a document that needs no network.
func (r *Report) Page() *page.Page {
	p := page.New("What is said about parameters, and what was measured", r.lead())
	p.Foot = r.Command()
	summary := page.Table{Head: []string{"", "claim", "verdict"}}
	for _, c := range r.Claims {
		summary.Rows = append(summary.Rows, []any{c.Number, c.Title, page.Badge(c.Verdict.mood(), c.Summary())})
	}
	p.Section("Verdicts", summary.HTML())
	for _, c := range r.Claims {
		t := page.Table{Head: []string{"", "said", "theory", "measured", "verdict"}}
		commands := page.Table{Head: []string{"", "command"}}
		for _, f := range c.Findings {
			t.Rows = append(t.Rows, []any{f.What, f.Said, f.Theory, f.Measured, page.Badge(f.Verdict.mood(), f.verdict())})
			if f.Command != "" {
				commands.Rows = append(commands.Rows, []any{f.What, f.Command})
			}
		}
		blocks := append([]template.HTML{t.HTML()}, c.pictures...)
		for _, n := range c.Notes {
			blocks = append(blocks, page.Text("%s", n))
		}
		if len(commands.Rows) > 0 {
			blocks = append(blocks, page.Details("The commands that measure this again", commands.HTML()))
		}
		p.Section(fmt.Sprintf("%d. %s", c.Number, c.Title), blocks...)
	}
	return p
}
