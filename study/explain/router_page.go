package explain

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"

	"github.com/goinfer/goinfer"
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

// MaxScores bounds the scores that a replay holds: tokens × layers × experts.
const MaxScores = 4_000_000

// replay is what the script of a page reads.
type replay struct {
	Tokens  []Token          `json:"tokens"`
	Prompt  int              `json:"prompt"`
	Layers  []int            `json:"layers"`
	Experts int              `json:"experts"`
	Scoring string           `json:"scoring"`
	Chosen  [][][][2]float64 `json:"chosen"` // [token][layer] expert and weight
	Logits  [][][]float64    `json:"logits"` // [token][layer][expert]
}

// RouterPage is a document that replays the decisions of the routers token by token: model is the
// name of the model, override what was asked of its routers. The trace has [RouterLogits].
func (t *Trace) RouterPage(model, override string) (*page.Page, error) {
	r, err := t.replay()
	if err != nil {
		return nil, err
	}
	data, err := page.Data("trace", r)
	if err != nil {
		return nil, err
	}
	s, layers := &t.MoE, t.Routers()
	p := page.New("Experts at work in "+model, fmt.Sprintf("For each token, each of %d layers chooses %d of its %d experts. This page replays the choices token by token.", len(s.Layers), s.Used, s.Experts))
	if override != "" {
		p.Add(page.Text("The routers are overridden: %s.", override))
	}
	if len(layers) < len(s.Layers) {
		p.Add(page.Text("Shown are the layers %s of %s.", ranges(layers), ranges(s.Layers)))
	}
	p.Add(page.CSS(template.CSS(replayStyle)), template.HTML(replayMarkup), data, page.Program(template.JS(replayScript)))
	p.Section("How to read it", page.Text("A router is a small matrix in each layer. It scores all experts from the state of the token in that layer; the best %d compute, and their results are added by weight. "+
		"So the model holds all experts in memory, but a token reads %s of weights instead of %s.", s.Used, goinfer.Bytes(s.BytesPerToken(s.Used)), goinfer.Bytes(s.BytesPerToken(s.Experts))),
		page.Text("The entropy measures how undecided a router is: 0 when one expert has all the probability, %.3f when all %d are equal.", math.Log(float64(s.Experts)), s.Experts))
	return p, nil
}

func (t *Trace) replay() (*replay, error) {
	layers := t.Routers()
	n := len(t.Tokens) * len(layers) * t.MoE.Experts
	if n > MaxScores {
		return nil, fmt.Errorf("%d tokens × %d layers × %d experts are %d scores: a page holds %d; want fewer tokens or layers", len(t.Tokens), len(layers), t.MoE.Experts, n, MaxScores)
	}
	r := &replay{Tokens: t.Tokens, Prompt: t.Prompt, Layers: layers, Experts: t.MoE.Experts, Scoring: "softmax"}
	if t.Scoring == goinfer.ScoreSigmoid {
		r.Scoring = "sigmoid"
	}
	for pos := range t.Tokens {
		var chosen [][][2]float64
		var scores [][]float64
		for _, layer := range layers {
			if pos >= len(t.Layers[layer].Routes) {
				return nil, fmt.Errorf("layer %d: want the router's decision for each of %d tokens, found %d", layer, len(t.Tokens), pos)
			}
			route := &t.Layers[layer].Routes[pos]
			weights := make([][2]float64, len(route.Experts))
			for i, x := range route.Experts {
				weights[i] = [2]float64{float64(x.ID), rounded(x.Weight)}
			}
			logits := make([]float64, len(route.Logits))
			for e, v := range route.Logits {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					return nil, fmt.Errorf("layer %d, position %d: the logit of expert %d is no finite number", layer, pos, e)
				}
				logits[e] = rounded(v)
			}
			chosen, scores = append(chosen, weights), append(scores, logits)
		}
		r.Chosen, r.Logits = append(r.Chosen, chosen), append(r.Logits, scores)
	}
	return r, nil
}

// rounded keeps five decimals, which is more than can be seen, and a page small.
func rounded(v float32) float64 { return math.Round(float64(v)*1e5) / 1e5 }

// Page is a document of the statistics: model is the name of the model, override what was asked of
// its routers.
func (s *RouterStats) Page(model, override string) *page.Page {
	p := page.New("Load of the experts of "+model, fmt.Sprintf("Over %d tokens, each of %d layers chose %d of its %d experts for each token.", s.Tokens, len(s.Layers), s.MoE.Used, s.MoE.Experts))
	if override != "" {
		p.Add(page.Text("The routers are overridden: %s.", override))
	}
	names := make([]string, s.MoE.Experts)
	for e := range names {
		names[e] = fmt.Sprint(e)
	}
	load := page.HeatMap{Title: "Share of the choices of a layer", X: "expert", Y: "layer", Columns: names, Value: page.Axis{Label: "share", Unit: "%", Format: oneDecimal},
		Note: fmt.Sprintf("An equal load would be %.1f %% each.", 100/float64(s.MoE.Experts))}
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
	p.Section("Load", load.HTML(), page.Table{Head: []string{"layer", "balance", "busiest ÷ equal", "entropy (nats)", "information from the kind (nats)", "idle experts"}, Rows: rows}.HTML(),
		page.Text("Balance is 1 where all experts are chosen equally often. The information from the kind is how much the kind of a token reveals of the experts chosen for it; 0 means nothing."))
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
	p.Section("Chosen together", page.Text("How much more often two experts serve the same token than if they were independent: 1 means no connection."), page.Columns(together...))
	return p
}

// ExpertCostPage is a document of the cost and the quality of numbers of experts.
func ExpertCostPage(model string, s *MoE, costs []ExpertCost) *page.Page {
	p := page.New("Cost and quality of the experts of "+model, fmt.Sprintf("Each token used more or fewer than the %d of %d experts that the model was trained for.", s.Used, s.Experts))
	var speed, bytes, kl []page.Point
	var rows [][]any
	for _, x := range costs {
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
	for _, x := range costs {
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
