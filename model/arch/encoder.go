package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// encoder is a decoder whose layers see a text both ways, and which has no head: what it makes of a
// text is its hidden states.
type encoder struct{ *decoder }

func (m encoder) Logits(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return m.Hidden(f, x) }

// newEncoder makes what stands before the layers, and the layers by a function for each.
func newEncoder(w *model.Weights, layer func(b *model.Weights, i int) block) encoder {
	c := w.Config()
	m := &decoder{cfg: c, embd: w.Embedding("token_embd", c.NVocab, c.NEmbd)}
	for i := 0; i < c.NLayer && w.Err() == nil; i++ {
		m.blk = append(m.blk, layer(w.Block(i), i))
	}
	w.Ignore("cls") // what classifies and ranks
	return encoder{m}
}

// postNormed is an encoder whose norms are applied to the stream itself, after each sum (Vaswani et
// al. 2017, arXiv:1706.03762).
type postNormed struct {
	encoder
	types  *nn.Embedding // of sentences, of which every token belongs to the first; nil for none
	second []*nn.Norm    // of layers that add the stream and norm once more after attention
}

func (m *postNormed) Embed(f *nn.Pass) *tensor.Tensor {
	x := f.Embed(m.embd)
	if m.types != nil {
		f.EmbedRow(m.types, 0)
	}
	if m.pos != nil {
		f.EmbedPositions(m.pos)
	}
	f.NormHeads(x, m.embdNorm)
	return x
}

func (m *postNormed) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	y := b.attend(f, x)
	if again := m.second[i]; again != nil {
		f.Add(y, x)
		f.Add(x, f.Norm(y, b.attnPostNorm))
		f.NormHeads(x, again)
	} else {
		f.Add(x, y)
		f.NormHeads(x, b.attnPostNorm)
	}
	f.Add(x, b.feed(f, x))
	f.NormHeads(x, b.ffnPostNorm)
}
