package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var stablelmSheet = Sheet{
	Name:  "stablelm",
	Build: newStableLM,
	Folders: []hf.Family{{
		Names: []string{"StableLmForCausalLM", "StableLMEpochForCausalLM", "stablelm", "stablelm_epoch"},
		Keys: func(m *hf.Meta) {
			m.Rope(0.25)
			m.Put("use_parallel_residual", m.Flag(true, "use_parallel_residual"))
			m.CopyFloat("attention.layer_norm_epsilon", "layer_norm_eps", "norm_eps")
			m.Drop("attention.layer_norm_rms_epsilon")
		},
		Tensors: map[string]string{"self_attn.q_layernorm.norms.#": "attn_q_norm", "self_attn.k_layernorm.norms.#": "attn_k_norm"},
	}},
}

// newStableLM makes StableLM 2: LayerNorms with SwiGLU and RoPE on a part of each head. The larger
// model norms each head by weights of its own, and has no second norm: both blocks read the same.
// Bellagente et al. 2024, arXiv:2402.17834.
func newStableLM(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	both := !w.Block(0).Has("ffn_norm")
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		h := nn.AttnBlock{Rope: rope, Attn: attn}
		if b.Has("attn_q_norm") {
			h.QNorm, h.KNorm = b.HeadNorm("attn_q_norm", c.NHead, c.HeadDim), b.HeadNorm("attn_k_norm", c.NHeadKV, c.HeadDim)
		}
		l := block{attnNorm: b.LayerNorm("attn_norm", c.NEmbd), attn: b.AttnHeads(h), ffn: b.FFN(nn.SiLU)}
		if !both {
			l.ffnNorm = b.LayerNorm("ffn_norm", c.NEmbd)
		}
		return l
	})
	if both {
		return parallel{m}, w.Err()
	}
	return m, w.Err()
}
