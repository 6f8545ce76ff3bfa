package experts

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
)

var (
	//go:embed replay.html
	replayMarkup string
	//go:embed replay.css
	replayStyle string
	//go:embed replay.js
	replayScript string
)

// MaxScores bounds the scores that a page holds: tokens × layers × experts.
const MaxScores = 4_000_000

// scoringNames are what the script calls the scorings.
var scoringNames = map[goinfer.Scoring]string{goinfer.ScoreSoftmax: "softmax", goinfer.ScoreSigmoid: "sigmoid", goinfer.ScoreSoftmaxWeight: "softmax"}

// replay is what the script of a page reads.
type replay struct {
	Tokens  []explain.Token  `json:"tokens"`
	Prompt  int              `json:"prompt"`
	Layers  []int            `json:"layers"`
	Experts int              `json:"experts"`
	Scoring string           `json:"scoring"`
	Chosen  [][][][2]float64 `json:"chosen"` // by token and layer, expert and weight
	Logits  [][][]float64    `json:"logits"` // by token, layer and expert
}

// Page is a document in which the trace can be replayed token by token: model is what it is a trace of, and routing what was asked of the routers. The trace has the logits.
func (t *Trace) Page(model, routing string) (*page.Page, error) {
	r, err := t.replay()
	if err != nil {
		return nil, err
	}
	data, err := page.Data("trace", r)
	if err != nil {
		return nil, err
	}
	s := &t.Shape
	p := page.New("Experts at work in "+model, fmt.Sprintf("For each token each of %d layers chooses %d of its %d experts. Watch which ones, token by token.", len(s.Layers), s.Used, s.Experts))
	if routing != "" {
		p.Add(page.Text("The routers do not work as they were trained to: %s.", routing))
	}
	if len(t.Layers) < len(s.Layers) {
		p.Add(page.Text("Shown are the layers %s of %s.", ranges(t.Layers), ranges(s.Layers)))
	}
	p.Add(page.CSS(template.CSS(replayStyle)), template.HTML(replayMarkup), data, page.Script(template.JS(replayScript)))
	p.Section("What is to be seen", page.Text("A router is a small matrix in each layer. It scores all experts by the state of the token in that layer; the best %d compute, and their results are added by weight. "+
		"So the model holds all experts in memory, but a token reads %s of weights in place of %s.", s.Used, goinfer.Bytes(s.BytesPerToken(s.Used)), goinfer.Bytes(s.BytesPerToken(s.Experts))),
		page.Text("The entropy says how undecided a router is: 0 when one expert has all the probability, %.3f when all %d are equal.", math.Log(float64(s.Experts)), s.Experts))
	return p, nil
}

func (t *Trace) replay() (*replay, error) {
	s := &t.Shape
	n := len(t.Tokens) * len(t.Layers) * s.Experts
	if n > MaxScores {
		return nil, fmt.Errorf("%d tokens × %d layers × %d experts are %d scores: a page holds %d; want fewer tokens or layers", len(t.Tokens), len(t.Layers), s.Experts, n, MaxScores)
	}
	if len(t.Rows) != len(t.Tokens)*len(t.Layers) {
		return nil, fmt.Errorf("want a row for each of %d tokens and %d layers, found %d rows", len(t.Tokens), len(t.Layers), len(t.Rows))
	}
	r := &replay{Tokens: t.Tokens, Prompt: t.Prompt, Layers: t.Layers, Experts: s.Experts, Scoring: scoringNames[t.Scoring]}
	for i, row := range t.Rows {
		if i%len(t.Layers) == 0 {
			r.Chosen, r.Logits = append(r.Chosen, nil), append(r.Logits, nil)
		}
		chosen := make([][2]float64, len(row.Experts))
		for j, c := range row.Experts {
			chosen[j] = [2]float64{float64(c.ID), rounded(c.Weight)}
		}
		logits := make([]float64, len(row.Logits))
		for e, v := range row.Logits {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return nil, fmt.Errorf("layer %d, position %d: the logit of expert %d is no finite number", row.Layer, row.Pos, e)
			}
			logits[e] = rounded(v)
		}
		last := len(r.Chosen) - 1
		r.Chosen[last], r.Logits[last] = append(r.Chosen[last], chosen), append(r.Logits[last], logits)
	}
	return r, nil
}

// rounded keeps five decimals, which is more than can be seen, and a page small.
func rounded(v float32) float64 { return math.Round(float64(v)*1e5) / 1e5 }

// Page is a document of the statistics: model is what they are of, and routing what was asked of the routers.
func (s *Stats) Page(model, routing string) *page.Page {
	p := page.New("Load of the experts of "+model, fmt.Sprintf("Over %d tokens each of %d layers chose %d of its %d experts for each token.", s.Tokens, len(s.Layers), s.Shape.Used, s.Shape.Experts))
	if routing != "" {
		p.Add(page.Text("The routers do not work as they were trained to: %s.", routing))
	}
	names := make([]string, s.Shape.Experts)
	for e := range names {
		names[e] = fmt.Sprint(e)
	}
	load := page.HeatMap{Title: "Share of the choices of a layer", X: "expert", Y: "layer", Columns: names, Value: page.Axis{Label: "share", Unit: "%", Format: oneDecimal},
		Note: fmt.Sprintf("An equal load would be %.1f %% each.", 100/float64(s.Shape.Experts))}
	var rows [][]any
	for _, l := range s.Layers {
		load.Rows = append(load.Rows, fmt.Sprint(l.Layer))
		load.Values = append(load.Values, scaled(l.Load, 100))
		idle := "–"
		if len(l.Idle) > 0 {
			idle = ranges(l.Idle)
		}
		rows = append(rows, []any{l.Layer, fmt.Sprintf("%.3f", l.Balance), fmt.Sprintf("%.2f", l.MaxLoad), fmt.Sprintf("%.3f", l.Entropy), fmt.Sprintf("%.4f", l.Specialised), idle})
	}
	p.Section("Load", load.HTML(), page.Table{Head: []string{"layer", "balance", "busiest ÷ equal", "entropy (nats)", "told by the kind (nats)", "idle experts"}, Rows: rows}.HTML(),
		page.Text("Balance is 1 where all experts are chosen equally often. The last figure but one is how much the kind of a token tells about the experts chosen for it; 0 means nothing."))
	var together, special []template.HTML
	kinds := make([]string, len(s.Kinds))
	for k, c := range s.Kinds {
		kinds[k] = fmt.Sprintf("%s (%d)", c.Kind, c.Tokens)
	}
	for _, l := range s.Layers {
		title := fmt.Sprintf("Layer %d", l.Layer)
		together = append(together, page.HeatMap{Title: title, X: "expert", Y: "expert", Columns: names, Rows: names, Values: l.Together, Value: page.Axis{Label: "lift", Format: twoDecimals}}.HTML())
		special = append(special, page.HeatMap{Title: title, X: "expert", Y: "kind", Columns: names, Rows: kinds, Values: l.Kinds, Value: page.Axis{Label: "lift", Format: twoDecimals}}.HTML())
	}
	p.Section("Specialisation", page.Text("How much more often an expert is chosen for tokens of a kind than for any: 1 means no preference. In brackets the tokens of the kind."), page.Columns(special...))
	p.Section("Chosen together", page.Text("How much more often two experts serve the same token than they would if neither knew of the other: 1 means no connection."), page.Columns(together...))
	return p
}

// CostPage is a document of what numbers of experts cost and are worth.
func CostPage(model string, s *Shape, prices []Price) *page.Page {
	p := page.New("What experts cost and bring in "+model, fmt.Sprintf("Each token used in turn more or less than the %d of %d experts that the model was trained for.", s.Used, s.Experts))
	var speed, bytes, kl []page.Point
	var rows [][]any
	for _, x := range prices {
		k, name := float64(x.Experts), ""
		if x.Experts == s.Used {
			name = "the model's own number"
		}
		speed = append(speed, page.Point{X: k, Y: x.Speed, Name: name})
		bytes = append(bytes, page.Point{X: k, Y: float64(x.BytesPerToken) / 1e6, Name: name})
		kl = append(kl, page.Point{X: k, Y: x.KL, Name: name})
		rows = append(rows, []any{x.Experts, goinfer.Bytes(x.BytesPerToken), page.Number(x.Speed), fmt.Sprintf("%.4f", x.KL), page.Number(x.Perplexity), name})
	}
	axis := page.Axis{Label: "experts per token"}
	for _, x := range prices {
		axis.Ticks = append(axis.Ticks, float64(x.Experts))
	}
	plot := func(title string, y page.Axis, points []page.Point) template.HTML {
		y.Zero = true
		return page.Plot{Title: title, X: axis, Y: y, Series: []page.Series{{Points: points}}}.HTML()
	}
	p.Section("Measured", page.Columns(
		plot("Weights that a token reads", page.Axis{Label: "read", Unit: "MB"}, bytes), plot("Speed of generation", page.Axis{Label: "speed", Unit: "tokens/s"}, speed),
		plot("Distance from the model as trained", page.Axis{Label: "KL divergence", Unit: "nats"}, kl)),
		page.Table{Head: []string{"experts", "bytes per token", "tokens/s", "KL (nats)", "perplexity", ""}, Rows: rows}.HTML())
	return p
}

func scaled(x []float64, by float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v * by
	}
	return y
}

func oneDecimal(v float64) string  { return fmt.Sprintf("%.1f", v) }
func twoDecimals(v float64) string { return fmt.Sprintf("%.2f", v) }
