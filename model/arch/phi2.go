package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var phi2Sheet = Sheet{
	Name:  "phi2",
	Build: newPhi2,
	Folders: []hf.Family{{
		Names: []string{"PhiForCausalLM", "phi"}, Activation: "gelu", Keys: func(m *hf.Meta) { m.Rope(0.5) },
		Tensors: map[string]string{"self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"},
	}},
	Sizes: []Size{
		decoderSize{ctx: 2048, embd: 2560, layers: 32, ff: 10240, heads: 32, headsKV: 32, rot: 32, base: 1e4, untied: true}.size("phi-2", "Phi-2", bpe("gpt-2", 51200),
			"output.bias", "output_norm.bias", "blk.*.attn_norm.bias", "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias", "blk.*.attn_output.bias", "blk.*.ffn_up.bias", "blk.*.ffn_down.bias"),
	},
}

// newPhi2 makes Phi-1, 1.5 and 2: attention and feed-forward block read the same normed stream, and
// RoPE rotates a part of each head. Gunasekar et al. 2023, arXiv:2306.11644.
func newPhi2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	return parallel{m}, w.Err()
}
