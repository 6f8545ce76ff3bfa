package arch

import (
	"fmt"

	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newBERT makes BERT and the encoders that descend from it: BERT and its kin with learnt positions (Devlin et al. 2018, arXiv:1810.04805), Nomic with RoPE and a gate (Nussbaum et al. 2024,
// arXiv:2402.01613) or experts in every second layer (arXiv:2502.07972), and Jina with ALiBi and a gate (Günther et al. 2023, arXiv:2310.19923) or RoPE (Sturua et al. 2024, arXiv:2409.10173).
func newBERT(w *model.Weights) (model.Model, error) {
	c := w.Config()
	a, h := nn.AttentionConfig{Bidirectional: true}, nn.AttnBlock{}
	switch c.Arch {
	case "bert":
	case "jina-bert-v2":
		a.Slopes = alibi(c, usualALiBi)
	default:
		h.Rope = w.Rope(model.RopeNeoX)
	}
	h.Attn = w.AttentionOf(a)
	m := &postNormed{}
	m.encoder = newEncoder(w, func(b *model.Weights, i int) block {
		h := h
		if b.Has("attn_q_norm") {
			h.QNorm = b.LayerNorm("attn_q_norm", c.NHead*c.HeadDim)
		}
		if b.Has("attn_k_norm") {
			h.KNorm = b.LayerNorm("attn_k_norm", c.NHeadKV*c.HeadDim)
		}
		l := block{attn: b.Heads(h), attnPost: b.LayerNorm("attn_output_norm", c.NEmbd), ffnPost: b.LayerNorm("layer_output_norm", c.NEmbd)}
		var again *nn.Norm
		if b.Has("attn_norm_2") {
			again = b.LayerNorm("attn_norm_2", c.NEmbd)
		}
		m.second = append(m.second, again)
		switch {
		case c.HasExperts(i):
			l.moe = b.PlainMoE(nn.MoEConfig{Act: nn.GELU})
		case c.Arch == "nomic-bert":
			l.ffn = b.FFN(nn.SiLU)
		case c.Arch != "jina-bert-v2":
			l.ffn = b.PlainFFN(nn.GELU)
		case b.Has("ffn_gate"):
			l.ffn = b.FFN(nn.GELU)
		default:
			l.ffn = b.FusedFFN(nn.GELU)
		}
		return l
	})
	m.first = w.LayerNorm("token_embd_norm", c.NEmbd)
	if w.Has("token_types") {
		if c.NTokenTypes == 0 {
			return nil, fmt.Errorf("no key %q", "tokenizer.ggml.token_type_count")
		}
		m.types = w.Embedding("token_types", c.NTokenTypes, c.NEmbd)
	}
	if c.Arch == "bert" {
		m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	}
	return m, w.Err()
}
