package arch

import (
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var minicpm3Sheet = Sheet{
	Name:  "minicpm3",
	Build: newMiniCPM3,
	Folders: []hf.Family{{
		Names: []string{"MiniCPM3ForCausalLM", "minicpm3"}, Tensors: hf.Merge(latentAttention, map[string]string{"self_attn.kv_b_proj": "attn_kv_b"}),
		Keys: func(m *hf.Meta) {
			nope, rope := m.Must("qk_nope_head_dim"), m.Must("qk_rope_head_dim")
			m.HeadDim = rope
			m.Rope(1)
			m.CopyInt("attention.q_lora_rank", "q_lora_rank")
			m.CopyInt("attention.kv_lora_rank", "kv_lora_rank")
			m.Put("attention.key_length", uint32(nope+rope))
			m.Put("attention.value_length", uint32(m.Or(m.NEmbd/max(1, m.NHead), "v_head_dim")))
			// These factors are the architecture's.
			for _, f := range [...]struct {
				key  string
				want float64
			}{{"scale_emb", 12}, {"scale_depth", 1.4}, {"dim_model_base", 256}} {
				if x, ok := m.Float(f.key); ok && x != f.want {
					m.Fail("key %q: want %v, found %v: %w", f.key, f.want, x, model.ErrUnsupported)
				}
			}
		},
	}},
}

// newMiniCPM3 makes MiniCPM3: latent attention as in DeepSeek-V2 over dense feed-forward blocks,
// with MiniCPM's factors, which are no keys of its files. Hu et al. 2024, arXiv:2404.06395.
func newMiniCPM3(w *model.Weights) (model.Model, error) {
	const embd, depth, base = 12, 1.4, 256 // scale_emb, scale_depth, dim_model_base
	c := w.Config()
	m := &deepseek2{}
	ropes := w.MLARopes(model.RopeNeoX)
	m.decoder = newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		m.attn = append(m.attn, b.MLA(ropes, 0))
		return block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd), ffn: b.FFN(nn.SiLU)}
	})
	m.embdScale, m.logitScale = embd, base/float32(c.NEmbd)
	m.cfg.ResidualScale = float32(depth / math.Sqrt(float64(c.NLayer)))
	return m, w.Err()
}
