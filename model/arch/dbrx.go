package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var dbrxSheet = Sheet{
	Name:  "dbrx",
	Build: newDBRX,
}

// newDBRX makes DBRX: LayerNorms, bounded queries, keys and values, and many small experts. Mosaic
// Research 2024, https://www.databricks.com/blog/introducing-dbrx-new-state-art-open-llm.
func newDBRX(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.LayerNorm("attn_output_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Renormalise: true}),
		}
	})
	return m, w.Err()
}
