package eval

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/probe"
)

// Page is the report as a document.
func (r *TypesReport) Page() *page.Page {
	p := page.New("What quantisation costs: "+r.Model, fmt.Sprintf("%s, %s weights, in %d types beside the model as it is.", r.Arch, page.Number(float64(r.Params)), len(r.Rows)-1))
	p.Section("Types", r.table(), page.Text("%s", r.reading()))
	p.Section("Quality against size", page.Columns(r.divergence(), r.perplexity()))
	p.Section("Size and speed", r.sizes(), page.Columns(
		r.speed("Prompts", fmt.Sprintf("a prompt of %d tokens", r.Pp), func(row *TypeRow) Speed { return row.Prefill }),
		r.speed("Generation", fmt.Sprintf("%d tokens, one by one", r.Tg), func(row *TypeRow) Speed { return row.Decode }),
	))
	p.Section("The same prompt in each type", page.Text("“%s”, continued with the most probable token each time. What differs from the model as it is is marked.", r.Prompt), r.answers())
	p.Section("Types of tensors", r.types())
	p.Foot = fmt.Sprintf("%s, %d threads. Text: %s, %d of its %d chunks of %d tokens, evenly spread.", r.CPU, r.Threads, r.Text, r.Chunks, r.Of, r.Chunk)
	return p
}

// reading explains the columns.
func (r *TypesReport) reading() string {
	return fmt.Sprintf("Perplexity: how many tokens, equally likely, would surprise as much; less is better. KL: how far predictions are from those of %s, in nats; 0 means that nothing changed. "+
		"Same token: how often both find the same token most probable. Speeds are in tokens per second, measured alternately with %s; × is how many times as fast the type is, with its 95 %% interval.%s", r.Rows[0].Type, r.Rows[0].Type, r.busy())
}

// busy reports which speeds are left out because the machine was busy, "" where none is.
func (r *TypesReport) busy() string {
	var load probe.Load
	for i := range r.Rows {
		load = load.Worse(r.Rows[i].Load)
	}
	if !load.Busy() {
		return ""
	}
	return " Not measurable, and left out, are speeds during which " + load.String() + "."
}

// Busy is why speeds are left out, "" where none is.
func (r *TypesReport) Busy() string { return strings.TrimSpace(r.busy()) }

// typesHead is the head of the table, here and in a terminal.
var typesHead = []string{"type", "size", "bits/weight", "prompt", "×", "generation", "×", "perplexity", "change", "KL mean", "KL 99%", "same token"}

// Table is the rows as cells of text, and the head above them.
func (r *TypesReport) Table() (heads []string, rows [][]string) {
	for i := range r.Rows {
		rows = append(rows, r.cells(&r.Rows[i]))
	}
	return typesHead, rows
}

func (r *TypesReport) cells(row *TypeRow) []string {
	cells := []string{
		row.Type, goinfer.Bytes(row.Bytes), fmt.Sprintf("%.2f", row.BitsPerWeight), row.speed(row.Prefill), row.ratio(row.Prefill), row.speed(row.Decode), row.ratio(row.Decode),
		fmt.Sprintf("%.4f ± %.4f", row.Perplexity.PPL, row.Perplexity.Error),
	}
	if row.KL == nil {
		return append(cells, "–", "–", "–", "–")
	}
	return append(cells, fmt.Sprintf("%+.2f ± %.2f %%", 100*r.change(row), 100*row.KL.LogRatioError), fmt.Sprintf("%.5f", row.KL.KLMean), fmt.Sprintf("%.5f", row.KL.KLP99), fmt.Sprintf("%.2f %%", 100*row.KL.Top1))
}

// change is the relative growth of perplexity.
func (r *TypesReport) change(row *TypeRow) float64 {
	return row.Perplexity.PPL/r.Rows[0].Perplexity.PPL - 1
}

// speed is a figure for a cell.
func (row *TypeRow) speed(s Speed) string {
	switch {
	case row.Load.Busy():
		return "busy"
	case s.Mean == 0:
		return "–"
	}
	return speed(s)
}

func (row *TypeRow) ratio(s Speed) string {
	if row.Source || row.Load.Busy() || s.Mean == 0 {
		return "–"
	}
	if s.Ratio.High == 0 {
		return fmt.Sprintf("%.2f", s.Ratio.Ratio)
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Ratio.Ratio, s.Ratio.Low, s.Ratio.High)
}

func speed(s Speed) string {
	digits := max(0, 2-int(math.Log10(max(1, s.Mean))))
	return fmt.Sprintf("%.*f ± %.*f", digits, s.Mean, digits, s.StdDev)
}

func (r *TypesReport) table() template.HTML {
	t := page.Table{Head: typesHead}
	for i := range r.Rows {
		var cells []any
		for _, c := range r.cells(&r.Rows[i]) {
			cells = append(cells, c)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t.HTML()
}

var sizeAxis = page.Axis{Label: "bits per weight"}

// divergence is KL over size.
func (r *TypesReport) divergence() template.HTML {
	var mean, p99 []page.Point
	for i := range r.Rows {
		if row := &r.Rows[i]; row.KL != nil {
			mean = append(mean, page.Point{X: row.BitsPerWeight, Y: row.KL.KLMean, Name: row.Type})
			p99 = append(p99, page.Point{X: row.BitsPerWeight, Y: row.KL.KLP99, Name: row.Type})
		}
	}
	order(mean, p99)
	return page.Plot{
		Title: "Divergence from the model as it is", X: sizeAxis, Y: page.Axis{Label: "KL", Unit: "nats", Log: true},
		Series: []page.Series{{Name: "mean", Points: mean, Labels: true}, {Name: "99th percentile", Points: p99, Style: page.Dashed}},
		Note:   "A type above the line between its neighbours is a bad choice: its neighbours give more quality for the size.",
	}.HTML()
}

// order sorts points from left to right.
func order(all ...[]page.Point) {
	for _, points := range all {
		slices.SortStableFunc(points, func(a, b page.Point) int { return cmp.Compare(a.X, b.X) })
	}
}

// perplexity is perplexity over size.
func (r *TypesReport) perplexity() template.HTML {
	var points []page.Point
	base := r.Rows[0].Perplexity.PPL
	ends := []float64{math.Inf(1), math.Inf(-1)}
	for i := range r.Rows {
		row := &r.Rows[i]
		if !row.Source {
			points = append(points, page.Point{X: row.BitsPerWeight, Y: row.Perplexity.PPL, Name: row.Type})
		}
		ends[0], ends[1] = min(ends[0], row.BitsPerWeight), max(ends[1], row.BitsPerWeight)
	}
	order(points)
	return page.Plot{
		Title: "Perplexity", X: sizeAxis, Y: page.Axis{Label: "perplexity"},
		Series: []page.Series{{Name: "types", Points: points, Labels: true}, {Name: r.Rows[0].Type + ", as it is", Points: []page.Point{{X: ends[0], Y: base}, {X: ends[1], Y: base}}, Style: page.Dashed}},
	}.HTML()
}

// sizes are the bytes of the weights in each type.
func (r *TypesReport) sizes() template.HTML {
	unit, name := 1<<20, "MiB"
	if r.Params > 1<<30 {
		unit, name = 1<<30, "GiB"
	}
	b := page.Bars{Title: "Size of the weights", Value: page.Axis{Label: "size", Unit: name}}
	for i := range r.Rows {
		row := &r.Rows[i]
		b.Rows = append(b.Rows, page.BarRow{Name: row.Type, Values: []float64{float64(row.Bytes) / float64(unit)}, Note: fmt.Sprintf("%s, %.2f bits", goinfer.Bytes(row.Bytes), row.BitsPerWeight)})
	}
	return b.HTML()
}

func (r *TypesReport) speed(title, note string, of func(*TypeRow) Speed) template.HTML {
	b := page.Bars{Title: title, Note: note, Value: page.Axis{Label: "speed", Unit: "tokens/s"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		value := of(row).Mean
		if row.Load.Busy() {
			value = math.NaN()
		}
		b.Rows = append(b.Rows, page.BarRow{Name: row.Type, Values: []float64{value}, Note: row.speed(of(row))})
	}
	return b.HTML()
}

// answers lists the continuations one below the other.
func (r *TypesReport) answers() template.HTML {
	t := page.Table{Head: []string{"type", "continuation"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		same, rest := escape(row.Answer[:row.Same]), ""
		if row.Same < len(row.Answer) {
			rest = "<mark>" + escape(row.Answer[row.Same:]) + "</mark>"
		}
		t.Rows = append(t.Rows, []any{row.Type, template.HTML(same + rest)})
	}
	return t.HTML()
}

// escape is a text of several lines as HTML.
func escape(s string) string {
	return strings.ReplaceAll(template.HTMLEscapeString(strings.ToValidUTF8(s, "\uFFFD")), "\n", "<br>")
}

// types lists the types of the tensors of each row.
func (r *TypesReport) types() template.HTML {
	t := page.Table{Head: []string{"type", "types of its tensors"}}
	for i := range r.Rows {
		t.Rows = append(t.Rows, []any{r.Rows[i].Type, r.Rows[i].Mix()})
	}
	return t.HTML()
}

// Mix lists the types of the tensors: "Q4_K in 31 (3.1 MiB), …".
func (row *TypeRow) Mix() string {
	var parts []string
	for _, s := range row.Tensors {
		parts = append(parts, fmt.Sprintf("%s in %d (%s)", s.Type, s.Tensors, goinfer.Bytes(s.Bytes)))
	}
	return strings.Join(parts, ", ")
}
