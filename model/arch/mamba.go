package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newMamba makes Mamba: layers of selective state spaces and nothing else. Gu and Dao 2023, arXiv:2312.00752.
func newMamba(w *model.Weights) (model.Model, error) {
	return newStateSpaces(w, func(b *model.Weights) nn.RecurrentBlock { return b.Mamba() })
}

// newMamba2 makes Mamba-2, whose heads' states decay alike. Dao and Gu 2024, arXiv:2405.21060.
func newMamba2(w *model.Weights) (model.Model, error) {
	return newStateSpaces(w, func(b *model.Weights) nn.RecurrentBlock { return b.Mamba2() })
}

func newStateSpaces(w *model.Weights, recur func(b *model.Weights) nn.RecurrentBlock) (model.Model, error) {
	c := w.Config()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{attnNorm: b.Norm("attn_norm", c.NEmbd), recur: recur(b)}
	})
	return m, w.Err()
}
