package explain

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goinfer/goinfer/study/page"
)

var (
	//go:embed page.js
	program string
	//go:embed page.css
	style string
	//go:embed page.html
	partsText string

	parts = template.Must(template.New("parts").Funcs(template.FuncMap{"label": label}).Parse(partsText))
)

// Page is the report as a document that needs no network; model is what its title calls the model.
func (r *Report) Page(model string) (*page.Page, error) {
	p := page.New("Inside "+model, fmt.Sprintf("%s reads %s. How does it arrive at %s?", model, strconv.Quote(r.text()), strconv.Quote(r.Word.text())))
	d := drawing{r: r, labels: r.labels()}
	p.Add(page.CSS(template.CSS(style)))
	steps := []struct {
		title string
		draw  func() ([]template.HTML, error)
	}{
		{"What comes next", d.next},
		{"Which token reads which", d.attention},
		{"What each layer would predict", d.lens},
		{"The residual stream", d.stream},
		{"Where the router sends the tokens", d.routing},
		{"Without one part", d.parts},
		{"Is there one neuron?", d.neurons},
		{"What is not shown", d.omitted},
	}
	for _, s := range steps {
		blocks, err := s.draw()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.ToLower(s.title), err)
		}
		if len(blocks) > 0 {
			p.Section(s.title, blocks...)
		}
	}
	p.Add(page.Program(template.JS(program)))
	return p, nil
}

// text is the end of the prompt, without the control tokens before it.
func (r *Report) text() string {
	const most = 80
	var b strings.Builder
	for i, t := range r.Prompt {
		if i > 0 || !strings.HasPrefix(t.Text, "<") {
			b.WriteString(t.Text)
		}
	}
	if text := []rune(b.String()); len(text) > most {
		return "…" + string(text[len(text)-most:])
	}
	return b.String()
}

// text is the word as its tokens spell it.
func (w *Word) text() string {
	var b strings.Builder
	for _, t := range w.Tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

// label is the text of a token for a picture: a space at its edges and what is not printable is
// made visible.
func label(s string) string {
	if s == "" {
		return "∅"
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == ' ' && (i == 0 || i == len(s)-1):
			b.WriteRune('·')
		case r == '\n':
			b.WriteRune('⏎')
		case unicode.IsPrint(r) && (r != utf8.RuneError || n > 1):
			b.WriteRune(r)
		default:
			q := strconv.QuoteToASCII(s[i : i+n])
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// labels are the tokens of the prompt that are looked at.
func (r *Report) labels() []string {
	var labels []string
	for _, t := range r.Prompt[r.Trace.First:] {
		labels = append(labels, label(t.Text))
	}
	return labels
}

// drawing makes the sections of a report's page.
type drawing struct {
	r      *Report
	labels []string // of the tokens that are looked at
}

// numbered are the labels with their positions, which distinguishes equal ones.
func (d *drawing) numbered() []string {
	names := make([]string, len(d.labels))
	for i, l := range d.labels {
		names[i] = fmt.Sprintf("%d %s", d.r.Trace.First+i, l)
	}
	return names
}

// layerNames are the rows of pictures that begin with the embedding.
func (d *drawing) layerNames() []string {
	names := []string{"embedding"}
	for l := range d.r.Trace.Layers {
		names = append(names, fmt.Sprintf("layer %d", l))
	}
	return names
}

func (d *drawing) next() ([]template.HTML, error) {
	r := d.r
	strip, err := page.Fill(parts.Lookup("strip"), r.Prompt[r.Trace.First:])
	if err != nil {
		return nil, err
	}
	bars := page.Bars{
		Title: "Probability of the next token", Value: page.Axis{Label: "probability"},
		Note: fmt.Sprintf("Of %d tokens; the entropy is %.3f nats, that of an even choice between %.3g.", r.Next.Vocab, r.Next.Entropy, math.Exp(r.Next.Entropy)),
	}
	for _, c := range r.Next.Top {
		bars.Rows = append(bars.Rows, page.BarRow{Name: label(c.Text), Values: []float64{c.Prob}, Note: short(c.Prob)})
	}
	return []template.HTML{
		page.Text("The model sees the text as tokens (a dot stands for a space):"), strip,
		page.Text("The word that is watched below is %s, with a probability of %s.", strconv.Quote(r.Word.text()), short(r.Word.Prob)), bars.HTML(),
	}, nil
}

// short writes a probability.
func short(p float64) string {
	if p == 0 || p >= 1e-3 {
		return strconv.FormatFloat(p, 'f', 4, 64)
	}
	return strconv.FormatFloat(p, 'e', 1, 64)
}

// attentionLayer is the attention of a layer for the page's program.
type attentionLayer struct {
	Layer int `json:"layer"`
	Heads int `json:"heads"`
	// Probs are √p·255 of what each shown token reads of those before the shown ones together, if
	// there are such, and of each up to itself: by head, then token.
	Probs []byte `json:"probs"`
}

func (d *drawing) attention() ([]template.HTML, error) {
	t := d.r.Trace
	var layers []attentionLayer
	for i, l := range t.Layers {
		if l.Heads > 0 {
			layers = append(layers, attentionLayer{i, l.Heads, packed(&l, t.First, len(d.labels))})
		}
	}
	if len(layers) == 0 {
		return nil, nil
	}
	data, err := page.Data("attention", map[string]any{"tokens": d.labels, "first": t.First, "layers": layers})
	if err != nil {
		return nil, err
	}
	return []template.HTML{
		page.Text("Each head of each layer lets a token read from itself and from those before it. A row is a token that reads, a column one that is read; the stronger the colour, the more. " +
			"Rest the pointer on a cell, or on a token, to see how much; the small pictures are the heads of the layer."),
		data, template.HTML(`<figure class="scope" data-scope="attention"></figure>`),
	}, nil
}

// packed makes the attention probabilities of a layer small.
func packed(l *Layer, first, shown int) []byte {
	var b []byte
	pack := func(p float64) { b = append(b, byte(math.Round(255*math.Sqrt(max(0, min(p, 1)))))) }
	for h := range l.Heads {
		for i := range shown {
			n := first + i + 1
			row := l.Attention[i][h*n : (h+1)*n]
			if first > 0 {
				var sum float64
				for _, p := range row[:first] {
					sum += float64(p)
				}
				pack(sum)
			}
			for _, p := range row[first:] {
				pack(float64(p))
			}
		}
	}
	return b
}

func (d *drawing) lens() ([]template.HTML, error) {
	r := d.r
	last := len(r.Lens[0]) - 1
	var prob, rank page.Series
	prob.Name, rank.Name = label(r.Word.Tokens[0].Text), label(r.Word.Tokens[0].Text)
	for l, row := range r.Lens {
		s := row[last].Ranks[0]
		name := d.layerNames()[l] + ": " + label(row[last].Top[0].Text)
		prob.Points = append(prob.Points, page.Point{X: float64(l), Y: s.Prob, Name: name})
		rank.Points = append(rank.Points, page.Point{X: float64(l), Y: float64(s.Rank), Name: name})
	}
	x := page.Axis{Label: "layers computed"}
	table, err := page.Fill(parts.Lookup("lens"), lensTable(r.Lens, d.labels, d.layerNames()))
	if err != nil {
		return nil, err
	}
	return []template.HTML{
		page.Text("The final norm and the output matrix, applied to the output of each layer, show what the model would predict if it ended there (the logit lens). "+
			"Each column is a token, each row a layer; a cell shows the most probable next token, in a stronger colour where it is surer. Rest the pointer on it to see the first %d.", lensTop),
		table,
		columns(
			page.Plot{Title: "Probability of the word after the last token", X: x, Y: page.Axis{Label: "probability", Zero: true}, Series: []page.Series{prob}}.HTML(),
			page.Plot{Title: "Its rank", X: x, Y: page.Axis{Label: "rank", Log: true}, Series: []page.Series{rank}}.HTML(),
		),
	}, nil
}

// lensRow is a row of the table of the lens.
type lensRow struct {
	Name  string
	Cells []lensCell
}

type lensCell struct {
	Text, Tip string
	Share     string // of the strongest colour, in percent
}

type lensHead struct {
	Tokens []string
	Rows   []lensRow
}

func lensTable(lens [][]LayerPrediction, labels, names []string) lensHead {
	h := lensHead{Tokens: labels[len(labels)-len(lens[0]):]}
	for l, views := range lens {
		row := lensRow{Name: names[l]}
		for i, v := range views {
			tip := []string{fmt.Sprintf("%s, after %s", names[l], h.Tokens[i])}
			for _, c := range v.Top {
				tip = append(tip, label(c.Text)+"  "+short(c.Prob))
			}
			row.Cells = append(row.Cells, lensCell{label(v.Top[0].Text), strings.Join(tip, "\n"), strconv.FormatFloat(60*v.Top[0].Prob, 'f', 1, 64) + "%"})
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

func (d *drawing) stream() ([]template.HTML, error) {
	var norms [][]float64
	for _, row := range d.r.Norms {
		norms = append(norms, row[:len(d.labels)])
	}
	return []template.HTML{
		page.Text("Every layer adds to one vector per token, the residual stream. How large that vector is tells where much is added; often the first token becomes a place that others read from when they have nothing to read."),
		page.HeatMap{
			Title: "Size of the residual stream", Columns: d.numbered(), Rows: d.layerNames(), Values: norms, X: "token",
			Value: page.Axis{Label: "root mean square", Log: true},
		}.HTML(),
	}, nil
}

func (d *drawing) routing() ([]template.HTML, error) {
	type layer struct {
		Layer   int     `json:"layer"`
		Experts int     `json:"experts"`
		Routes  []Route `json:"routes"`
	}
	var layers []layer
	for i, l := range d.r.Trace.Layers {
		if len(l.Routes) == 0 {
			continue
		}
		routes := l.Routes[d.r.Trace.First:][:len(d.labels)]
		layers = append(layers, layer{i, d.r.Trace.MoE.Experts, routes})
	}
	if len(layers) == 0 {
		return nil, nil
	}
	data, err := page.Data("routing", map[string]any{"tokens": d.labels, "first": d.r.Trace.First, "layers": layers})
	if err != nil {
		return nil, err
	}
	return []template.HTML{
		page.Text("In each layer the router picks some of the experts for each token, and weighs their results. A row is an expert, a column a token; the stronger the colour, the larger the weight. All experts are shown, also those that no token was given to."),
		data, template.HTML(`<figure class="scope" data-scope="routing"></figure>`),
	}, nil
}

// change is the axis of effects.
func change() page.Axis { return page.Axis{Label: "Δ log p"} }

func (d *drawing) parts() ([]template.HTML, error) {
	r := d.r
	bars := page.Bars{Title: "Without a whole block", Value: change()}
	for _, e := range r.Blocks {
		bars.Rows = append(bars.Rows, page.BarRow{
			Name: fmt.Sprintf("layer %d %s", e.Layer, e.Kind), Values: []float64{e.Delta}, Note: fmt.Sprintf("%+.2f, p %s", e.Delta, short(e.Prob)),
		})
	}
	blocks := []template.HTML{
		page.Text("One part at a time gives zeros in place of its numbers, at every token, and the rest is computed as before. What happens to the probability of %s, which is %s with all in place? "+
			"Below zero, the part speaks for the word; above, against it. Heads and experts share one scale of colours.", strconv.Quote(r.Word.text()), short(r.Word.Prob)),
		bars.HTML(),
	}
	return append(blocks, columns(d.effects("Without one head", "head", r.Heads, most(r.Heads, r.Experts)), d.effects("Without one expert", "expert", r.Experts, most(r.Heads, r.Experts)))), nil
}

// effects draws the effects of parts by layer and number. Of experts all have a column: those that
// no token was given to have no effect, and no value. most is the magnitude with the strongest
// colour.
func (d *drawing) effects(title, what string, effects []Effect, most float64) template.HTML {
	if len(effects) == 0 {
		return ""
	}
	m := page.HeatMap{Title: title, X: what, Value: change(), Most: most, Absent: "not taken out"}
	count := 0
	for _, e := range effects {
		count = max(count, e.Index+1)
	}
	if what == "expert" {
		count, m.Absent = d.r.Trace.MoE.Experts, "no token was given to this expert"
	}
	for i := range count {
		m.Columns = append(m.Columns, strconv.Itoa(i))
	}
	for l := range d.r.Trace.Layers {
		m.Rows = append(m.Rows, fmt.Sprintf("layer %d", l))
		m.Values = append(m.Values, slices.Repeat([]float64{math.NaN()}, count))
	}
	for _, e := range effects {
		m.Values[e.Layer][e.Index] = e.Delta
	}
	return m.HTML()
}

// most is the largest magnitude of some effects: the scale that pictures of them share.
func most(lists ...[]Effect) float64 {
	m := 0.0
	for _, list := range lists {
		for _, e := range list {
			m = max(m, math.Abs(e.Delta))
		}
	}
	return m
}

func (d *drawing) neurons() ([]template.HTML, error) {
	n := &d.r.Neurons
	if n.Tried == 0 {
		return nil, nil
	}
	t := page.Table{Caption: "The neurons with the largest effect", Head: []string{"neuron", "p without it", "Δ log p", "most active on", "Δ log p of each token of the prompt"}}
	for _, e := range n.Top {
		t.Rows = append(t.Rows, []any{e.Part, short(e.Prob), fmt.Sprintf("%+.4f", e.Delta), fmt.Sprintf("%s (token %d)", label(e.Token.Text), e.Pos), fmt.Sprintf("%+.4f", e.Text)})
	}
	var ranks, together page.Series
	whole := page.Series{Name: "with all in place", Style: page.Dashed}
	together.Name = "without them"
	for _, v := range n.Ranks {
		if v.Delta == 0 {
			break // the others do nothing
		}
		ranks.Points = append(ranks.Points, page.Point{X: float64(v.Rank), Y: v.Delta})
	}
	for _, v := range n.Together {
		together.Points = append(together.Points, page.Point{X: float64(v.Count), Y: v.Prob})
		whole.Points = append(whole.Points, page.Point{X: float64(v.Count), Y: d.r.Word.Prob})
	}
	p := wordAxis()
	return []template.HTML{
		page.Text("%s", d.r.Verdict()),
		columns(
			fractions("Without a random fraction of all neurons", "neurons taken out", d.r.Random),
			fractions("With a random fraction of all weights at zero", "weights at zero", d.r.Weights),
			page.Plot{Title: "Without the neurons that speak most for the word, together", X: page.Axis{Label: "how many", Log: true}, Y: p, Series: []page.Series{together, whole}}.HTML(),
			page.Plot{
				Title: "How fast effects fall off", X: page.Axis{Label: "rank of the neuron", Log: true}, Y: page.Axis{Label: "size of its change", Log: true}, Series: []page.Series{ranks},
			}.HTML(),
		),
		t.HTML(),
	}, nil
}

// columns puts what there is side by side.
func columns(blocks ...template.HTML) template.HTML {
	return page.Columns(slices.DeleteFunc(blocks, func(b template.HTML) bool { return b == "" })...)
}

func wordAxis() page.Axis { return page.Axis{Label: "probability of the word", Zero: true} }

// fractions draws the word's probability over a random fraction: the median, and the draws.
func fractions(title, what string, points []Point) template.HTML {
	if len(points) == 0 {
		return ""
	}
	median, draws := page.Series{Name: fmt.Sprintf("median of %d draws", len(points[0].Draws))}, page.Series{Name: "single draws", Style: page.Dots}
	for _, v := range points {
		median.Points = append(median.Points, page.Point{X: 100 * v.Fraction, Y: v.Median})
		for _, p := range v.Draws {
			draws.Points = append(draws.Points, page.Point{X: 100 * v.Fraction, Y: p})
		}
	}
	return page.Plot{Title: title, X: page.Axis{Label: what, Unit: "%"}, Y: wordAxis(), Series: []page.Series{median, draws}}.HTML()
}

func (d *drawing) omitted() ([]template.HTML, error) {
	var blocks []template.HTML
	for _, c := range d.r.Cut {
		blocks = append(blocks, page.Text("%s", c))
	}
	return blocks, nil
}
