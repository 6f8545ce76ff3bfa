package explain

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/goinfer/goinfer"
)

// RouterRow is a [Route] with its place.
type RouterRow struct {
	Pos   int    `json:"pos"`
	Token int32  `json:"token"`
	Text  string `json:"text"`
	Layer int    `json:"layer"`
	Route
}

// RouterRows are the decisions of the recorded routers by position, then layer.
func (t *Trace) RouterRows() (rows []RouterRow) {
	layers := t.Routers()
	for pos, token := range t.Tokens {
		for _, l := range layers {
			if routes := t.Layers[l].Routes; pos < len(routes) {
				rows = append(rows, RouterRow{pos, token.ID, token.Text, l, routes[pos]})
			}
		}
	}
	return rows
}

// WriteRoutesJSON writes the decisions of routers as lines of JSON.
func (t *Trace) WriteRoutesJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, row := range t.RouterRows() {
		if err := e.Encode(&row); err != nil {
			return err
		}
	}
	return nil
}

// WriteRoutesCSV writes a line for each expert that was chosen, and a head.
func (t *Trace) WriteRoutesCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"pos", "token", "text", "layer", "rank", "expert", "weight", "entropy"}); err != nil {
		return err
	}
	for _, r := range t.RouterRows() {
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

// routerProbabilities are those that a router with these logits gives to all experts: their softmax
// or, where it scores each by a sigmoid, the scores divided by their sum.
func routerProbabilities(logits []float32, s goinfer.Scoring) []float64 {
	p := make([]float64, len(logits))
	most := float64(slices.Max(logits))
	var sum float64
	for i, v := range logits {
		if s == goinfer.ScoreSigmoid {
			p[i] = 1 / (1 + math.Exp(-float64(v)))
		} else {
			p[i] = math.Exp(float64(v) - most)
		}
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// entropyOf is the entropy of probabilities or counts, in nats.
func entropyOf(p []float64) float64 {
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
