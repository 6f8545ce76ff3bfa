package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var lfm2Sheet = Sheet{
	Name:  "lfm2",
	Build: newLFM2,
	Folders: []hf.Family{{
		Names: []string{"Lfm2ForCausalLM", "LFM2ForCausalLM", "lfm2"}, Tensors: lfm2Names, Ops: map[string]hf.Op{"shortconv.conv": hf.ConvKernel},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			shortConv(m)
			width := m.Or(0, "block_ff_dim", "intermediate_size")
			if m.Flag(false, "block_auto_adjust_ff_dim") {
				width = 2 * width / 3
				if x, ok := m.Float("block_ffn_dim_multiplier"); ok {
					width = int(x * float64(width))
				}
				of := max(1, m.Or(1, "block_multiple_of"))
				width = (width + of - 1) / of * of
			}
			m.Put("feed_forward_length", uint32(width))
		},
	}},
}

var lfm2moeSheet = Sheet{
	Name:  "lfm2moe",
	Build: newLFM2,
	Folders: []hf.Family{{
		Names: []string{"Lfm2MoeForCausalLM", "lfm2_moe"}, Ops: map[string]hf.Op{"shortconv.conv": hf.ConvKernel},
		Tensors: hf.Merge(lfm2Names, map[string]string{
			"feed_forward.gate": "ffn_gate_inp", "feed_forward.expert_bias": "exp_probs_b.bias",
			"feed_forward.experts.#.w1": "ffn_gate_exps", "feed_forward.experts.#.w3": "ffn_up_exps", "feed_forward.experts.#.w2": "ffn_down_exps",
		}),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			shortConv(m)
			m.CopyInt("leading_dense_block_count", "num_dense_layers")
			m.Put("expert_gating_func", uint32(2))
		},
	}},
}

// newLFM2 makes Liquid's LFM2, dense or of experts after some dense layers: gated convolutions over
// three positions, and some layers of attention, whose heads are normed, between them. Liquid AI
// 2025, arXiv:2511.23404. The norm before the output is called token_embd_norm in its files.
func newLFM2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	output := func(w *model.Weights, _ string, n int) *nn.Norm { return w.Norm("token_embd_norm", n) }
	m := newDecoder(w, output, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.IsRecurrent(i) {
			l.recurrent = b.ShortConv()
		} else {
			l.attn = b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn}))
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}

// lfm2Names are the names of LFM2, whose last norm GGUF calls that of the embedding.
var lfm2Names = map[string]string{
	"embedding_norm": "token_embd_norm", "operator_norm": "attn_norm", "ffn_norm": "ffn_norm",
	"self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm", "self_attn.out_proj": "attn_output",
	"conv.conv": "shortconv.conv", "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj",
	"feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
}

// shortConv sets the keys of layers with short convolutions.
func shortConv(m *hf.Meta) {
	m.AttentionLayers("full_attention")
	m.CopyInt("shortconv.l_cache", "conv_L_cache")
}
