package arch

import (
	"math"

	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newMiniCPM3 makes MiniCPM3: latent attention as in DeepSeek-V2 over dense feed-forward blocks, with MiniCPM's factors, which are no keys of its files. Hu et al. 2024, arXiv:2404.06395.
func newMiniCPM3(w *model.Weights) (model.Model, error) {
	const embd, depth, base = 12, 1.4, 256 // scale_emb, scale_depth, dim_model_base
	c := w.Config()
	m := &deepseek2{}
	ropes := w.LatentRopes(model.RopeNeoX)
	m.decoder = newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		m.attn = append(m.attn, b.Latent(ropes, 0))
		return block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd), ffn: b.FFN(nn.SiLU)}
	})
	m.scale, m.logits = embd, base/float32(c.NEmbd)
	m.cfg.ResidualScale = float32(depth / math.Sqrt(float64(c.NLayer)))
	return m, w.Err()
}
