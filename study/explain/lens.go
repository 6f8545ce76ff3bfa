package explain

import (
	"context"
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// View is what the head makes of the residual stream at one place (the logit lens, nostalgebraist 2020): the distribution of the next token, were the model to end there.
type View struct {
	Layer    int        `json:"layer"` // -1 for the embedding, before the first layer
	Pos      int        `json:"pos"`
	Entropy  float64    `json:"entropy"` // in nats
	Top      []Choice   `json:"top"`
	Standing []Standing `json:"standing,omitempty"` // of the tokens that are watched
}

// Standing is the place of a token in a distribution.
type Standing struct {
	Token
	Rank int     `json:"rank"` // 1 for the most probable
	Prob float64 `json:"p"`
}

// Lens applies the head to rows of the residual stream, x being [len(x)/NEmbd][NEmbd], and tells the k most probable tokens of each and how the watched ones stand. Layers and
// positions are the caller's to fill in.
func Lens(ctx context.Context, m *goinfer.Model, x []float32, k int, watch []int32) ([]View, error) {
	views := make([]View, 0, len(x)/m.Info().Config.NEmbd)
	err := m.Unembed(ctx, x, func(_ int, logits []float32) error {
		p, entropy := probabilities(logits)
		if math.IsNaN(entropy) {
			return errNotFinite
		}
		view := View{Entropy: entropy, Top: choices(m.Tokenizer(), logits, k)}
		for _, id := range watch {
			view.Standing = append(view.Standing, Standing{tokenOf(m.Tokenizer(), id), eval.Rank(p, id), p[id]})
		}
		views = append(views, view)
		return nil
	})
	return views, err
}

// residuals is a hook that keeps the residual stream of some positions, before the first layer and after each.
type residuals struct {
	first, n, width int
	x               []float32 // [n_layer+1][n][width]
}

func newResiduals(c goinfer.Config, first, n int) *residuals {
	return &residuals{first: first, n: n, width: c.NEmbd, x: make([]float32, (c.NLayer+1)*n*c.NEmbd)}
}

func (r *residuals) Wants(_ int, name string) bool {
	return name == goinfer.NameEmbd || name == goinfer.NameLayerOut
}

func (r *residuals) Observe(e *goinfer.Event) {
	if i := e.Pos - r.first; i >= 0 && i < r.n {
		copy(r.x[((e.Layer+1)*r.n+i)*r.width:], e.Data)
	}
}
