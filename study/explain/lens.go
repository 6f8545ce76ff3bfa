package explain

import (
	"context"
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// LayerPrediction is the distribution of the next token that the head makes of the residual stream
// at one place: what the model would predict if it ended there (the logit lens, nostalgebraist
// 2020).
type LayerPrediction struct {
	Layer   int         `json:"layer"` // -1 for the embedding, before the first layer
	Pos     int         `json:"pos"`
	Entropy float64     `json:"entropy"` // in nats
	Top     []Choice    `json:"top"`
	Ranks   []TokenRank `json:"standing,omitempty"` // ranks of the tokens that are watched
}

// TokenRank is the place of a token in a distribution.
type TokenRank struct {
	Token
	Rank int     `json:"rank"` // 1 for the most probable
	Prob float64 `json:"p"`
}

// Lens applies the head to rows of the residual stream, x being [len(x)/NEmbd][NEmbd], and returns
// of each the k most probable tokens and the ranks of the watched ones. Layers and positions are
// the caller's to fill in.
func Lens(ctx context.Context, m *goinfer.Model, x []float32, k int, watch []int32) ([]LayerPrediction, error) {
	list := make([]LayerPrediction, 0, len(x)/m.Info().Config.NEmbd)
	err := m.Unembed(ctx, x, func(_ int, logits []float32) error {
		p, entropy := probabilities(logits)
		if math.IsNaN(entropy) {
			return errNotFinite
		}
		l := LayerPrediction{Entropy: entropy, Top: choices(m.Tokenizer(), logits, k)}
		for _, id := range watch {
			l.Ranks = append(l.Ranks, TokenRank{tokenOf(m.Tokenizer(), id), eval.Rank(p, id), p[id]})
		}
		list = append(list, l)
		return nil
	})
	return list, err
}
