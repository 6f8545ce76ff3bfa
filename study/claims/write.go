package claims

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Command makes the report again.
func (r *Report) Command() string { return r.command }

// title is what the report is called.
func (r *Report) title() string {
	if r.Title != "" {
		return "What is reported, and what was found: " + r.Title
	}
	return "What is reported about parameters, and what was found"
}

// lead is where the report comes from.
func (r *Report) lead() string {
	return fmt.Sprintf("Found on %s with %d threads (kernels %s) on %s, in %s.", r.Machine.CPU, r.Threads, r.Machine.ISA, r.Date, r.Took.Round(time.Second))
}

// busy is what a reader must know of the machine, "" where it was idle.
func (r *Report) busy() string {
	if !r.Load.Busy() {
		return ""
	}
	s := r.Load.String()
	return strings.ToUpper(s[:1]) + s[1:] + ". Speeds are not judged: run the report again on an idle machine."
}

// Tally says how many rows there are of each kind.
func (r *Report) Tally() string {
	c := &r.Counts
	s := fmt.Sprintf("%d rows: %d measured here, %d computed from published shapes; %d with figures that are reported, %d with our own thresholds.", c.Measured+c.Computed, c.Measured, c.Computed, c.Reported, c.Ours)
	if c.Busy > 0 {
		s += fmt.Sprintf(" %d speeds were not measurable because the machine was busy.", c.Busy)
	}
	if n := c.Statements; n != [3]int{} {
		s += fmt.Sprintf(" The article's %d statements: %d measured, %d computed, %d opinion or not measurable here.", n[0]+n[1]+n[2], n[0], n[1], n[2])
	}
	return s
}

// rules say how verdicts come about.
var rules = []string{
	fmt.Sprintf("A single figure holds within %.0f %% (it is given in round numbers), and roughly within a factor of %g, which is shown.", 100*near, factorMost),
	"A threshold is strict. If it is missed by less than the error of the measurement, the statement holds roughly.",
	fmt.Sprintf("A straight line holds with R² from %g, roughly from %g.", r2Holds, r2Roughly),
	"A count is the same, or the statement does not hold.",
	"\"Reported\" holds figures that the article gives. Where it gives none, the threshold is our own, with its reason.",
}

// verdict is a finding's, with the factor of single figures that are off.
func (f *Finding) verdict() string {
	if f.Factor == 0 || f.Verdict == Holds {
		return f.Verdict.String()
	}
	return fmt.Sprintf("%s (%.2f×)", f.Verdict, f.Factor)
}

// basis says where a row's figures come from.
func (f *Finding) basis() string {
	kind := map[Kind]string{Measured: "measured", Computed: "computed", Opinion: "–"}[f.Kind]
	if f.Kind != Opinion && f.Origin == Ours {
		kind += ", our threshold"
	}
	return kind
}

// statements writes the numbers of a row's statements.
func (f *Finding) statements() string {
	parts := make([]string, len(f.Statements))
	for i, n := range f.Statements {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, ", ")
}

// Markdown writes the report as a document of Markdown. verbose says of each row how its figure came about.
func (r *Report) Markdown(w io.Writer, verbose bool) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# %s\n\n%s `%s` makes this again.\n\n", r.title(), r.lead(), r.Command())
	if busy := r.busy(); busy != "" {
		fmt.Fprintf(out, "**%s**\n\n", busy)
	}
	fmt.Fprintf(out, "%s\n\n", r.Tally())
	for _, rule := range rules {
		fmt.Fprintf(out, "- %s\n", rule)
	}
	fmt.Fprintf(out, "\n| | claim | verdict |\n|---:|---|---|\n")
	for _, c := range r.Claims {
		fmt.Fprintf(out, "| %d | %s | %s |\n", c.Number, cell(c.Title), c.Summary())
	}
	for _, c := range r.Claims {
		fmt.Fprintf(out, "\n## %d. %s\n\n", c.Number, c.Title)
		if len(c.Findings) > 0 && c.Findings[0].Kind == Opinion {
			fmt.Fprintf(out, "| | statement | why it is not measurable here |\n|---:|---|---|\n")
			for _, f := range c.Findings {
				fmt.Fprintf(out, "| %s | %s | %s |\n", f.statements(), cell(f.What), cell(f.Found))
			}
			continue
		}
		c.markdown(out, verbose)
	}
	if len(r.Statements) > 0 && len(r.Claims) == Count {
		fmt.Fprintf(out, "\n## The article's statements\n\n| | statement, in our words | kind | claim | remark |\n|---:|---|---|---:|---|\n")
		for _, s := range r.Statements {
			fmt.Fprintf(out, "| %d | %s | %s | %d | %s |\n", s.ID, cell(s.Text), s.Kind, s.Claim, cell(s.Remark))
		}
	}
	return out.Flush()
}

// markdown writes the rows, the notes and the commands of a claim.
func (c *Claim) markdown(out io.Writer, verbose bool) {
	summary := c.Summary()
	fmt.Fprintf(out, "**%s**\n\n| | row | reported | found | error | verdict | basis |\n|---:|---|---:|---:|---:|---|---|\n", strings.ToUpper(summary[:1])+summary[1:])
	for _, f := range c.Findings {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", f.statements(), cell(f.What), cell(f.Reported), cell(f.Found), cell(f.Error), f.verdict(), f.basis())
	}
	var lines []string
	if verbose {
		for _, f := range c.Findings {
			line := fmt.Sprintf("%s [%s]: %s Rule: %s.", f.What, f.Key, f.How, f.Rule)
			if f.Reason != "" {
				line += " Our threshold: " + f.Reason + "."
			}
			lines = append(lines, line+fmt.Sprintf(" Again: `%s`", f.Command))
		}
	}
	lines = append(lines, c.Notes...)
	if !verbose {
		var commands []string
		for _, f := range c.Findings {
			if s := "`" + f.Command + "`"; !slices.Contains(commands, s) {
				commands = append(commands, s)
			}
		}
		lines = append(lines, "Again: "+strings.Join(commands, ", "))
	}
	fmt.Fprintln(out)
	for _, l := range lines {
		fmt.Fprintf(out, "- %s\n", strings.ReplaceAll(l, "\n", " "))
	}
}

// cell is a text for a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
