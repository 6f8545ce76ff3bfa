package claims

import (
	_ "embed" // for the style
	"fmt"
	"html/template"
	"slices"

	"github.com/goinfer/goinfer/study/page"
)

var (
	//go:embed page.css
	style string
	//go:embed rows.html
	rowsText string

	rowsTemplate = template.Must(template.New("rows").Parse(rowsText))
)

// openAll unfolds everything, for readers who do not want to guess and for printing.
const openAll = `const all = document.getElementById("all");
all.addEventListener("click", () => {
	const open = all.getAttribute("aria-pressed") !== "true";
	all.setAttribute("aria-pressed", open);
	document.querySelectorAll("details.answer").forEach(d => { d.open = open; });
});
addEventListener("beforeprint", () => document.querySelectorAll("details.answer").forEach(d => { d.open = true; }));`

// mood is a verdict's colour.
func (v Verdict) mood() page.Mood {
	return [...]page.Mood{page.Good, page.Fair, page.Bad, page.Neutral, page.Neutral, page.Neutral}[v]
}

// rowView is a finding for the page.
type rowView struct {
	*Finding
	Badge, Basis, Ours template.HTML
	Shown              string // the statements that it stands for
}

// Page is the report as a document that needs no network: each claim as a story, with a question before the answer.
func (r *Report) Page() (*page.Page, error) {
	p := page.New(r.title(), r.lead())
	p.Foot, p.Unnumbered = r.Command(), true
	p.Add(page.CSS(template.CSS(style)))
	if busy := r.busy(); busy != "" {
		p.Add(template.HTML(`<p class="busy" role="status">` + template.HTMLEscapeString(busy) + "</p>"))
	}
	p.Add(page.Text("%s", r.Tally()), template.HTML(`<p><button id="all" type="button" aria-pressed="false">Show all answers</button></p>`))
	var how []template.HTML
	for _, rule := range rules {
		how = append(how, page.Text("%s", rule))
	}
	p.Add(page.Details("How verdicts come about", how...))
	for _, c := range r.Claims {
		blocks, err := r.story(c)
		if err != nil {
			return nil, err
		}
		p.Section(fmt.Sprintf("%d. %s", c.Number, c.Title), blocks...)
	}
	if len(r.Statements) > 0 && len(r.Claims) == Count {
		t := page.Table{Head: []string{"", "statement, in our words", "kind", "claim", "remark"}}
		for _, s := range r.Statements {
			t.Rows = append(t.Rows, []any{s.ID, s.Text, s.Kind, s.Claim, s.Remark})
		}
		p.Section("The article's statements", page.Details(fmt.Sprintf("All %d, and where each is shown", len(r.Statements)), t.HTML()))
	}
	p.Add(page.Script(template.JS(openAll)))
	return p, nil
}

// story is what is reported, a question, and behind a fold the answer.
func (r *Report) story(c *Claim) ([]template.HTML, error) {
	var reported []string
	if len(r.Statements) > 0 {
		for _, s := range r.Statements {
			if s.Claim == c.Number && s.Kind != Opinion {
				reported = append(reported, s.Text)
			}
		}
	} else {
		for _, f := range c.Findings {
			if f.Text != "" && !slices.Contains(reported, f.Text) {
				reported = append(reported, f.Text)
			}
		}
	}
	var rows []rowView
	for i := range c.Findings {
		f := &c.Findings[i]
		v := rowView{Finding: f, Badge: page.Badge(f.Verdict.mood(), f.verdict())}
		if f.Kind != Opinion {
			v.Basis = page.Badge(page.Neutral, map[Kind]string{Measured: "measured", Computed: "computed"}[f.Kind])
			if f.Origin == Ours {
				v.Ours = page.Badge(page.Neutral, "our threshold")
			}
		}
		rows = append(rows, v)
	}
	answer, err := page.Fill(rowsTemplate, map[string]any{
		"Reported": reported, "Question": c.Question, "Summary": page.Badge(c.Verdict.mood(), c.Summary()), "Rows": rows, "Pictures": c.pictures, "Notes": c.Notes,
	})
	return []template.HTML{answer}, err
}
