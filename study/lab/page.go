package lab

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
func (r *Report) Page() *page.Page {
	p := page.New("What quantisation costs: "+r.Model, fmt.Sprintf("%s, %s weights, at %d levels beside the model as it is.", r.Arch, page.Number(float64(r.Params)), len(r.Rows)-1))
	p.Section("Levels", r.table(), page.Text("%s", r.reading()))
	p.Section("Quality against size", page.Columns(r.divergence(), r.perplexity()))
	p.Section("Size and speed", r.sizes(), page.Columns(
		r.speed("Prompts", fmt.Sprintf("a prompt of %d tokens", r.Pp), func(row *Row) Speed { return row.Prefill }),
		r.speed("Generation", fmt.Sprintf("%d tokens, one by one", r.Tg), func(row *Row) Speed { return row.Decode }),
	))
	p.Section("The same prompt at each level", page.Text("“%s”, continued with the most probable token each time. What differs from the model as it is is marked.", r.Prompt), r.answers())
	p.Section("Types of tensors", r.types())
	p.Foot = fmt.Sprintf("%s, %d threads. Text: %s, %d of its %d chunks of %d tokens, evenly spread.", r.CPU, r.Threads, r.Text, r.Chunks, r.Of, r.Chunk)
	return p
}

// reading says what the columns are.
func (r *Report) reading() string {
	return fmt.Sprintf("Perplexity: how many tokens, equally likely, would surprise as much; less is better. KL: how far predictions are from those of %s, in nats; 0 means that nothing changed. "+
		"Same token: how often both find the same token most probable. Speeds are in tokens per second, measured in turns with %s; × is how many times as fast the level is, with its 95 %% interval.%s", r.Rows[0].Level, r.Rows[0].Level, r.busy())
}

// busy says which speeds are left out because the machine was busy, "" where none is.
func (r *Report) busy() string {
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
func (r *Report) Busy() string { return strings.TrimSpace(r.busy()) }

// head and cells are the table, here and in a terminal.
var head = []string{"level", "size", "bits/weight", "prompt", "×", "generation", "×", "perplexity", "change", "KL mean", "KL 99%", "same token"}

// Table is the rows as cells of text, under a head.
func (r *Report) Table() (heads []string, rows [][]string) {
	for i := range r.Rows {
		rows = append(rows, r.cells(&r.Rows[i]))
	}
	return head, rows
}

func (r *Report) cells(row *Row) []string {
	cells := []string{
		row.Level, goinfer.Bytes(row.Bytes), fmt.Sprintf("%.2f", row.BitsPerWeight), row.speed(row.Prefill), row.ratio(row.Prefill), row.speed(row.Decode), row.ratio(row.Decode),
		fmt.Sprintf("%.4f ± %.4f", row.Perplexity.PPL, row.Perplexity.Error),
	}
	if row.KL == nil {
		return append(cells, "–", "–", "–", "–")
	}
	return append(cells, fmt.Sprintf("%+.2f ± %.2f %%", 100*r.change(row), 100*row.KL.LogRatioError), fmt.Sprintf("%.5f", row.KL.KLMean), fmt.Sprintf("%.5f", row.KL.KLP99), fmt.Sprintf("%.2f %%", 100*row.KL.Top1))
}

// change is by which part perplexity grew.
func (r *Report) change(row *Row) float64 { return row.Perplexity.PPL/r.Rows[0].Perplexity.PPL - 1 }

// speed and ratio are figures for a cell.
func (row *Row) speed(s Speed) string {
	switch {
	case row.Load.Busy():
		return "busy"
	case s.Mean == 0:
		return "–"
	}
	return speed(s)
}

func (row *Row) ratio(s Speed) string {
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

func (r *Report) table() template.HTML {
	t := page.Table{Head: head}
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
func (r *Report) divergence() template.HTML {
	var mean, p99 []page.Point
	for i := range r.Rows {
		if row := &r.Rows[i]; row.KL != nil {
			mean = append(mean, page.Point{X: row.BitsPerWeight, Y: row.KL.KLMean, Name: row.Level})
			p99 = append(p99, page.Point{X: row.BitsPerWeight, Y: row.KL.KLP99, Name: row.Level})
		}
	}
	order(mean, p99)
	return page.Plot{
		Title: "Divergence from the model as it is", X: sizeAxis, Y: page.Axis{Label: "KL", Unit: "nats", Log: true},
		Series: []page.Series{{Name: "mean", Points: mean, Labels: true}, {Name: "99th percentile", Points: p99, Style: page.Dashed}},
		Note:   "A level above the line between its neighbours is a bad choice: its neighbours give more quality for the size.",
	}.HTML()
}

// order sorts points from left to right.
func order(all ...[]page.Point) {
	for _, points := range all {
		slices.SortStableFunc(points, func(a, b page.Point) int { return cmp.Compare(a.X, b.X) })
	}
}

// perplexity is perplexity over size.
func (r *Report) perplexity() template.HTML {
	var points []page.Point
	base := r.Rows[0].Perplexity.PPL
	ends := []float64{math.Inf(1), math.Inf(-1)}
	for i := range r.Rows {
		row := &r.Rows[i]
		if !row.Source {
			points = append(points, page.Point{X: row.BitsPerWeight, Y: row.Perplexity.PPL, Name: row.Level})
		}
		ends[0], ends[1] = min(ends[0], row.BitsPerWeight), max(ends[1], row.BitsPerWeight)
	}
	order(points)
	return page.Plot{
		Title: "Perplexity", X: sizeAxis, Y: page.Axis{Label: "perplexity"},
		Series: []page.Series{{Name: "levels", Points: points, Labels: true}, {Name: r.Rows[0].Level + ", as it is", Points: []page.Point{{X: ends[0], Y: base}, {X: ends[1], Y: base}}, Style: page.Dashed}},
	}.HTML()
}

// sizes are the bytes of each level.
func (r *Report) sizes() template.HTML {
	unit, name := 1<<20, "MiB"
	if r.Params > 1<<30 {
		unit, name = 1<<30, "GiB"
	}
	b := page.Bars{Title: "Size of the weights", Value: page.Axis{Label: "size", Unit: name}}
	for i := range r.Rows {
		row := &r.Rows[i]
		b.Rows = append(b.Rows, page.BarRow{Name: row.Level, Values: []float64{float64(row.Bytes) / float64(unit)}, Note: fmt.Sprintf("%s, %.2f bits", goinfer.Bytes(row.Bytes), row.BitsPerWeight)})
	}
	return b.HTML()
}

func (r *Report) speed(title, note string, of func(*Row) Speed) template.HTML {
	b := page.Bars{Title: title, Note: note, Value: page.Axis{Label: "speed", Unit: "tokens/s"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		value := of(row).Mean
		if row.Load.Busy() {
			value = math.NaN()
		}
		b.Rows = append(b.Rows, page.BarRow{Name: row.Level, Values: []float64{value}, Note: row.speed(of(row))})
	}
	return b.HTML()
}

// answers puts the continuations under each other.
func (r *Report) answers() template.HTML {
	t := page.Table{Head: []string{"level", "continuation"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		same, rest := escape(row.Answer[:row.Same]), ""
		if row.Same < len(row.Answer) {
			rest = "<mark>" + escape(row.Answer[row.Same:]) + "</mark>"
		}
		t.Rows = append(t.Rows, []any{row.Level, template.HTML(same + rest)})
	}
	return t.HTML()
}

// escape is a text of several lines as HTML.
func escape(s string) string {
	return strings.ReplaceAll(template.HTMLEscapeString(strings.ToValidUTF8(s, "\uFFFD")), "\n", "<br>")
}

// types lists what the tensors of each level are.
func (r *Report) types() template.HTML {
	t := page.Table{Head: []string{"level", "types"}}
	for i := range r.Rows {
		t.Rows = append(t.Rows, []any{r.Rows[i].Level, r.Rows[i].Mixture()})
	}
	return t.HTML()
}

// Mixture names the types of the tensors: "Q4_K 31 tensors (3.1 MiB), …".
func (row *Row) Mixture() string {
	var parts []string
	for _, s := range row.Types {
		parts = append(parts, fmt.Sprintf("%s in %d (%s)", s.Type, s.Tensors, goinfer.Bytes(s.Bytes)))
	}
	return strings.Join(parts, ", ")
}
