package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

var smallthinkerSheet = Sheet{
	Name:  "smallthinker",
	Build: newSmallThinker,
}

// smallThinker is SmallThinker: the router reads the stream as it enters the layer, so that the
// experts may be fetched during attention; they are gated by ReLU, and where layers see a window
// every fourth sees everything and has no positions. Song et al. 2025, arXiv:2507.20984.
type smallThinker struct{ *decoder }

func newSmallThinker(w *model.Weights) (model.Model, error) {
	c := w.Config()
	const window = 4096 // which the reference takes whatever the file says
	rope, full, local := w.Rope(model.RopeNeoX), w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: full}
		switch {
		case c.Window == 0:
		case i%4 == 0:
			h.Rope = nil
		default:
			h.Attn = local
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(h),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Act: nn.ReLU, Score: b.Scoring(nn.ScoreSoftmax), Renormalise: true}),
		}
	})
	return smallThinker{m}, w.Err()
}

func (m smallThinker) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	route := f.Route(x, b.moe)
	m.add(f, x, b.attend(f, f.Norm(x, b.attnNorm)))
	m.add(f, x, f.Experts(f.Norm(x, b.ffnNorm), route, b.moe))
}
