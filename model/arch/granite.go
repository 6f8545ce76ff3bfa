package arch

import (
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var graniteSheet = Sheet{
	Name:  "granite",
	Build: newGranite,
	Folders: []hf.Family{{
		Names: []string{"GraniteForCausalLM", "granite"}, Keys: func(m *hf.Meta) { m.Rope(1); m.Multipliers() }, Ops: permuteQK,
	}},
}

var granitehybridSheet = Sheet{
	Name:  "granitehybrid",
	Build: newGranite,
	Folders: []hf.Family{{
		Names: []string{"GraniteMoeHybridForCausalLM", "granitemoehybrid"}, Keys: graniteHybrid, Ops: hf.Merge(permuteQK, mamba2Ops),
		Tensors: hf.Merge(mambaNames("mamba."), map[string]string{
			"block_sparse_moe.router.layer": "ffn_gate_inp", "block_sparse_moe.input_linear": "gate_up_exps", "block_sparse_moe.output_linear": "ffn_down_exps",
			"shared_mlp.input_linear": "gate_up_shared", "shared_mlp.output_linear": "down_shared",
		}),
	}},
}

var granitemoeSheet = Sheet{
	Name:  "granitemoe",
	Build: newGranite,
	Folders: []hf.Family{{
		Names: []string{"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", "granitemoe", "granitemoeshared"}, Ops: permuteQK,
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Multipliers()
			m.CopyInt("expert_shared_feed_forward_length", "shared_intermediate_size")
		},
		Tensors: map[string]string{
			"block_sparse_moe.router.layer": "ffn_gate_inp", "block_sparse_moe.input_linear": "gate_up_exps", "block_sparse_moe.output_linear": "ffn_down_exps",
			"shared_mlp.input_linear": "gate_up_shexp", "shared_mlp.output_linear": "ffn_down_shexp",
		},
	}},
}

var minicpmSheet = Sheet{
	Name:  "minicpm",
	Build: newGranite,
	Folders: []hf.Family{{
		Names: []string{"MiniCPMForCausalLM", "minicpm"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyFloat("embedding_scale", "scale_emb")
			if x, ok := m.Float("scale_depth"); ok && m.NLayer > 0 {
				m.Put("residual_scale", float32(x/math.Sqrt(float64(m.NLayer))))
			}
			if x, ok := m.Float("dim_model_base"); ok && x > 0 {
				m.Put("logit_scale", float32(float64(m.NEmbd)/x))
			}
		},
		Ops: permuteQK,
	}},
}

// newGranite makes IBM's Granite, dense or of experts, or with layers of Mamba-2 between those of
// attention, with factors on embeddings, on what each block adds, on scores, and (dividing) on
// logits; and MiniCPM, which computes the same. Granite Team 2024; Hu et al. 2024,
// arXiv:2404.06395.
func newGranite(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	if c.RopeUntrained {
		rope = nil
	}
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.IsRecurrent(i) {
			l.recurrent = b.Mamba2()
		} else {
			l.attn = b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn})
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	if c.LogitScale != 0 {
		m.logitScale = 1 / c.LogitScale
	}
	return m, w.Err()
}

func graniteHybrid(m *hf.Meta) {
	m.Rope(1)
	m.Multipliers()
	m.AttentionLayers("attention")
	heads := m.Must("mamba_n_heads")
	m.Mamba2(heads*m.Must("mamba_d_head"), heads, m.Or(4, "mamba_d_conv"), m.Must("mamba_d_state"), m.Or(1, "mamba_n_groups"))
	turns := m.Text("position_embedding_type") == "rope"
	m.Put("rope.scaling.finetuned", turns) // is how such files say whether there is RoPE at all
	if !turns {
		m.Put("context_length", uint32(1<<20))
	}
	if m.IsSet("expert_count") {
		m.CopyInt("expert_shared_feed_forward_length", "shared_intermediate_size")
	} else { // what is shared is all there is
		m.CopyInt("feed_forward_length", "shared_intermediate_size")
	}
}
