package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var falconSheet = Sheet{
	Name:  "falcon",
	Build: newFalcon,
	Folders: []hf.Family{{
		Names: []string{"FalconForCausalLM", "RWForCausalLM", "falcon"}, Activation: "gelu", Keys: falcon,
		Tensors: hf.Merge(bloomNames, map[string]string{"ln_mlp": "attn_norm", "ln_attn": "attn_norm_2"}),
	}},
}

// newFalcon makes Falcon: attention and feed-forward block side by side, after one norm in the
// small model and one each in the large one. Almazrouei et al. 2023, arXiv:2311.16867.
func newFalcon(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffn:      b.PlainFFN(nn.GELU),
		}
		// the norm of the feed-forward block keeps its old name, that of attention takes the new
		// one
		if b.Has("attn_norm_2") {
			l.ffnNorm, l.attnNorm = l.attnNorm, b.LayerNorm("attn_norm_2", c.NEmbd)
		}
		return l
	})
	return parallel{m}, w.Err()
}

func falcon(m *hf.Meta) {
	ffn4x(m)
	m.Rope(1)
	m.Put("context_length", uint32(m.Or(2048, "max_position_embeddings")))
	if m.Flag(false, "alibi") {
		m.Fail("key %q: want false, found true: %w", "alibi", model.ErrUnsupported)
	}
	if m.Flag(true, "multi_query") && !m.Flag(false, "new_decoder_architecture") {
		m.NHeadKV = 1
	} else {
		m.NHeadKV = m.Or(m.NHead, "num_kv_heads", "n_head_kv")
	}
	m.Put("attention.head_count_kv", uint32(m.NHeadKV))
}
