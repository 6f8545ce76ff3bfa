package experts

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/explain"
)

// Choice is an expert that a router chose, and what its result is multiplied with.
type Choice struct {
	ID     int32   `json:"id"`
	Weight float32 `json:"weight"`
}

// Row is what one router did with one token.
type Row struct {
	Pos     int       `json:"pos"`
	Token   int32     `json:"token"`
	Text    string    `json:"text"`
	Layer   int       `json:"layer"`
	Experts []Choice  `json:"experts"` // best first
	Entropy float64   `json:"entropy"` // of the probabilities of all experts, in nats
	Logits  []float32 `json:"logits,omitempty"`
}

// Trace is what the routers of a model did with a text.
type Trace struct {
	Shape   Shape
	Scoring goinfer.Scoring
	Layers  []int // those that were watched
	Tokens  []explain.Token
	Prompt  int   // how many of Tokens were given; the others were generated
	Rows    []Row // by position, then layer
}

// TraceOptions say what is recorded.
type TraceOptions struct {
	Generate int   // tokens to generate behind the text, the most probable each time
	Layers   []int // nil for all that have experts
	Logits   bool  // keep the router's logits of every row
	// Hook works on the routers before they are watched; nil for none.
	Hook     goinfer.Hook
	Progress func(done, total int)
}

// Record evaluates the tokens of a text and watches the routers.
func Record(ctx context.Context, m *goinfer.Model, tokens []int32, o TraceOptions) (*Trace, error) {
	shape, err := ShapeOf(m)
	if err != nil {
		return nil, err
	}
	t := &Trace{Shape: shape, Prompt: len(tokens)}
	if t.Layers, err = shape.only(o.Layers); err != nil {
		return nil, err
	}
	ids := slices.Clone(tokens)
	r := &recorder{layers: t.Layers, logits: o.Logits, open: map[int]Row{}}
	q := goinfer.Request{Tokens: tokens, MaxTokens: o.Generate, Hook: goinfer.JoinHooks(o.Hook, r), Progress: o.Progress}
	if o.Generate <= 0 {
		q.MaxTokens = 0
		if err := m.Score(ctx, q); err != nil {
			return nil, err
		}
	} else if ids, err = generated(ctx, m, q, ids); err != nil {
		return nil, err
	}
	if len(r.rows) == 0 {
		return nil, errors.New("no router was at work")
	}
	t.Scoring, t.Rows = r.scoring, r.rows
	order := func(a, b Row) int { return cmp.Or(a.Pos-b.Pos, a.Layer-b.Layer) }
	slices.SortStableFunc(t.Rows, order)
	t.Rows = slices.CompactFunc(t.Rows, func(a, b Row) bool { return order(a, b) == 0 }) // a pass that was interrupted for another request is run again
	t.Tokens = explain.Tokens(m.Tokenizer(), ids[:t.Rows[len(t.Rows)-1].Pos+1])          // the last one that was generated was fed to no router
	for i := range t.Rows {
		t.Rows[i].Text = t.Tokens[t.Rows[i].Pos].Text
	}
	return t, nil
}

// generated appends the tokens that a request generates.
func generated(ctx context.Context, m *goinfer.Model, q goinfer.Request, ids []int32) ([]int32, error) {
	for p, err := range m.Generate(ctx, q) {
		switch {
		case err != nil:
			return nil, err
		case p.Stop == goinfer.StopCancelled:
			return nil, fault.Cancelled(ctx)
		case p.Stop == "":
			ids = append(ids, p.ID)
		}
	}
	return ids, nil
}

// recorder is the hook that takes down rows.
type recorder struct {
	layers  []int
	logits  bool
	scoring goinfer.Scoring
	rows    []Row
	open    map[int]Row // by position, those of this layer whose choice is still to come: all logits of a batch come first
}

func (r *recorder) Wants(layer int, name string) bool {
	return (name == goinfer.NameRouterLogits || name == goinfer.NameRouterTopK) && slices.Contains(r.layers, layer)
}

func (r *recorder) Observe(e *goinfer.Event) {
	if e.Name == goinfer.NameRouterTopK {
		row := r.open[e.Pos]
		row.Experts = choices(e)
		r.rows = append(r.rows, row)
		return
	}
	row := Row{Pos: e.Pos, Token: e.Token, Layer: e.Layer, Entropy: Entropy(Probabilities(e.Data, e.Scoring))}
	if r.logits {
		row.Logits = slices.Clone(e.Data)
	}
	r.scoring, r.open[e.Pos] = e.Scoring, row
}

func choices(e *goinfer.Event) []Choice {
	list := make([]Choice, len(e.Experts))
	for i, id := range e.Experts {
		list[i] = Choice{id, e.Data[i]}
	}
	return list
}

// Probabilities are those that a router with these logits gives to all experts.
func Probabilities(logits []float32, s goinfer.Scoring) []float64 {
	p := make([]float64, len(logits))
	top := float64(slices.Max(logits))
	var sum float64
	for i, v := range logits {
		if s == goinfer.ScoreSigmoid {
			p[i] = 1 / (1 + math.Exp(-float64(v)))
		} else {
			p[i] = math.Exp(float64(v) - top)
		}
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// Entropy is that of probabilities or counts, in nats.
func Entropy(p []float64) float64 {
	var sum, h float64
	for _, v := range p {
		sum += v
	}
	for _, v := range p {
		if v > 0 {
			h -= v / sum * math.Log(v/sum)
		}
	}
	return max(0, h)
}

// WriteJSON writes the rows as lines of JSON.
func (t *Trace) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range t.Rows {
		if err := e.Encode(&t.Rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes a line for each chosen expert, under a head.
func (t *Trace) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"pos", "token", "text", "layer", "rank", "expert", "weight", "entropy"}); err != nil {
		return err
	}
	for _, r := range t.Rows {
		for i, x := range r.Experts {
			if err := c.Write([]string{strconv.Itoa(r.Pos), strconv.Itoa(int(r.Token)), r.Text, strconv.Itoa(r.Layer), strconv.Itoa(i + 1),
				strconv.Itoa(int(x.ID)), strconv.FormatFloat(float64(x.Weight), 'g', -1, 32), fmt.Sprintf("%.6f", r.Entropy)}); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}
