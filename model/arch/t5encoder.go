package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var t5encoderSheet = Sheet{
	Name:    "t5encoder",
	Build:   newT5Encoder,
	Encoder: true,
}

// newT5Encoder makes the encoder of T5 and Flan-T5: scores gain by the distance of a key, which the
// first layer's table says for all where the others have none, and are not scaled. Raffel et al.
// 2019, arXiv:1910.10683; the gate: Shazeer 2020, arXiv:2002.05202.
func newT5Encoder(w *model.Weights) (model.Model, error) {
	c := w.Config()
	nQ, nKV, nV := c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim, c.NHeadKV*c.HeadDimV
	w.Ignore("output.") // which only the decoder reads
	enc := w.WithPrefix("enc.")
	var first [][]float32
	m := newEncoder(w, func(_ *model.Weights, i int) block {
		b := enc.Block(i)
		a := nn.AttentionConfig{Bidirectional: true, Scale: 1, Relative: b.Relative("attn_rel_b")}
		if i == 0 {
			first = a.Relative
		} else if a.Relative == nil {
			a.Relative = first
		}
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn: &nn.AttnBlock{
				Q: b.Linear("attn_q", c.NEmbd, nQ), K: b.Linear("attn_k", c.NEmbd, nKV), V: b.Linear("attn_v", c.NEmbd, nV), O: b.Linear("attn_o", c.NHead*c.HeadDimV, c.NEmbd),
				Attn: b.AttentionOf(a),
			},
			ffnNorm: b.Norm("ffn_norm", c.NEmbd),
		}
		if b.Has("ffn_gate") {
			l.ffn = b.FFN(nn.GELU)
		} else {
			l.ffn = b.PlainFFN(nn.ReLU)
		}
		return l
	})
	m.norm = enc.Norm("output_norm", c.NEmbd)
	return m, w.Err()
}
