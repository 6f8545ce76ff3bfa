package arch

import (
	"fmt"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var modernBertSheet = Sheet{
	Name:    "modern-bert",
	Build:   newModernBERT,
	Encoder: true,
	Folders: []hf.Family{{
		Names: []string{"ModernBertModel", "ModernBertForMaskedLM", "modernbert"}, Activation: "gelu", Keys: modernBERT,
		Tensors: map[string]string{
			"embeddings.tok_embeddings": "token_embd", "embeddings.norm": "token_embd_norm", "final_norm": "output_norm",
			"attn_norm": "attn_norm", "attn.Wqkv": "attn_qkv", "attn.Wo": "attn_output", "mlp_norm": "ffn_norm", "mlp.Wi": "ffn_up", "mlp.Wo": "ffn_down",
			"head.dense": "", "head.norm": "", "decoder": "", // these guess masked words
		},
	}},
}

// newModernBERT makes ModernBERT: an encoder with norms before its blocks, RoPE and a gate, of
// whose layers every third sees the whole text and the others a window. Warner et al. 2024,
// arXiv:2412.13663.
func newModernBERT(w *model.Weights) (model.Model, error) {
	c := w.Config()
	act := nn.GELU
	switch c.HiddenAct {
	case "", "gelu":
	case "silu":
		act = nn.SiLU
	default:
		return nil, fmt.Errorf("key %q: %.60q, supported are gelu and silu: %w", c.Arch+".hidden_activation", c.HiddenAct, model.ErrUnsupported)
	}
	ropeFull, ropeLocal := w.Rope(model.RopeNeoX), w.RopeLocal(model.RopeNeoX, 10000, 1)
	full, local := w.AttentionOf(nn.AttentionConfig{Bidirectional: true}), w.AttentionOf(nn.AttentionConfig{Bidirectional: true, Window: c.Window})
	m := newEncoder(w, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: ropeFull, Attn: full}
		if c.WindowPattern != nil && c.WindowPattern[i] || c.WindowPattern == nil && i%3 != 0 {
			h = nn.AttnBlock{Rope: ropeLocal, Attn: local}
		}
		l := block{attn: b.AttnHeads(h), ffnNorm: b.LayerNorm("ffn_norm", c.NEmbd), ffn: b.FusedFFN(act)}
		if i > 0 || b.Has("attn_norm") { // the first layer reads what has just been normed
			l.attnNorm = b.LayerNorm("attn_norm", c.NEmbd)
		}
		return l
	})
	m.embdNorm, m.norm = w.LayerNorm("token_embd_norm", c.NEmbd), w.LayerNorm("output_norm", c.NEmbd)
	return m, w.Err()
}

// modernBERT is the keys of ModernBERT, every third layer of which sees a text whole, the others a
// window of it.
func modernBERT(m *hf.Meta) {
	m.Rope(1)
	m.Put("attention.causal", false)
	m.Put("rope.scaling.type", "none")
	m.CopyFloat("rope.freq_base", "global_rope_theta")
	m.CopyFloat("rope.freq_base_swa", "local_rope_theta")
	m.CopyFloat("attention.layer_norm_epsilon", "norm_eps", "layer_norm_eps")
	m.Drop("attention.layer_norm_rms_epsilon")
	m.CopyInt("attention.sliding_window", "local_attention")
	if n := m.Or(3, "global_attn_every_n_layers"); n != 3 {
		m.Fail("key %q: want 3, found %d: %w", "global_attn_every_n_layers", n, model.ErrUnsupported)
	}
	m.Pooling()
}
