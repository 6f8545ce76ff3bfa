package arch

import (
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// decoder is what most architectures are: layers of attention, or of something recurrent, and a
// feed-forward block, one after the other, each with a norm before it, after it, or both. What a
// part is made of is defined by the architecture's file; a part that it leaves out is nil, or a
// factor of 0, and not computed.
type decoder struct {
	cfg        model.Config
	embd       *nn.Embedding
	pos        *nn.Embedding // of positions, for models that have learnt some
	embdScale  float32       // of embeddings
	embdNorm   *nn.Norm      // of embeddings
	blk        []block
	norm       *nn.Norm
	head       *nn.Linear
	logitScale float32 // what logits are multiplied by
}

// block is one layer.
type block struct {
	attnNorm     *nn.Norm
	attn         *nn.AttnBlock
	recurrent    nn.RecurrentBlock // in place of attn, or beside it
	attnScale    float32           // multiplies what attention has made
	attnPostNorm *nn.Norm          // of what attention adds to the stream
	ffnNorm      *nn.Norm
	ffn          *nn.FFN
	moe          *nn.MoE // in place of ffn
	ffnScale     float32 // multiplies what the feed-forward block has made
	ffnPostNorm  *nn.Norm
}

// normed makes a norm of n elements of the name: model.Weights.Norm or LayerNorm as a method
// expression.
type normed func(w *model.Weights, name string, n int) *nn.Norm

// newDecoder makes what stands before and after the layers, and the layers by a function for each.
func newDecoder(w *model.Weights, norm normed, layer func(b *model.Weights, i int) block) *decoder {
	c := w.Config()
	m := &decoder{cfg: c, embdScale: c.EmbdScale, norm: norm(w, "output_norm", c.NEmbd)}
	m.embd = w.Embedding("token_embd", c.NVocab, c.NEmbd)
	m.head = w.Head(c.NEmbd, c.NVocab) // tied to token_embd when "output" is absent
	for i := 0; i < c.NLayer && w.Err() == nil; i++ {
		m.blk = append(m.blk, layer(w.Block(i), i))
	}
	return m
}

func (m *decoder) NLayer() int { return len(m.blk) }

func (m *decoder) State() []kv.Spec {
	specs := make([]kv.Spec, len(m.blk))
	for i, b := range m.blk {
		if b.attn != nil {
			specs[i] = b.attn.Attn.Spec()
		}
		if b.recurrent != nil {
			specs[i].State = b.recurrent.State()
		}
	}
	return specs
}

func (m *decoder) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	m.add(f, x, f.Norm(b.attend(f, f.Norm(x, b.attnNorm)), b.attnPostNorm))
	if b.hasFFN() {
		m.add(f, x, f.Norm(b.feed(f, f.Norm(x, b.ffnNorm)), b.ffnPostNorm))
	}
}

func (m *decoder) Embed(f *nn.Pass) *tensor.Tensor {
	x := scaled(f, f.Embed(m.embd), m.embdScale)
	if m.pos != nil {
		f.EmbedPositions(m.pos)
	}
	if m.embdNorm != nil {
		f.NormHeads(x, m.embdNorm)
	}
	return x
}

// add adds what a block has made to the stream.
func (m *decoder) add(f *nn.Pass, x, y *tensor.Tensor) {
	f.Add(x, scaled(f, y, m.cfg.ResidualScale))
}

// attend is the attention block, or what stands in its place, or the sum of both.
func (b *block) attend(f *nn.Pass, h *tensor.Tensor) *tensor.Tensor {
	if b.attn == nil {
		return f.Recur(h, b.recurrent)
	}
	if b.recurrent != nil {
		y := f.Recur(h, b.recurrent)
		f.Add(y, f.SelfAttention(h, b.attn))
		return y
	}
	return scaled(f, f.SelfAttention(h, b.attn), b.attnScale)
}

// hasFFN reports whether there is a feed-forward block, which Mamba has not.
func (b *block) hasFFN() bool { return b.ffn != nil || b.moe != nil }

// feed is the feed-forward block.
func (b *block) feed(f *nn.Pass, h *tensor.Tensor) *tensor.Tensor {
	if b.moe != nil {
		return scaled(f, f.MoE(h, b.moe), b.ffnScale)
	}
	return scaled(f, f.FFN(h, b.ffn), b.ffnScale)
}

// scaled is c·y; a factor of 0 is none.
func scaled(f *nn.Pass, y *tensor.Tensor, c float32) *tensor.Tensor {
	if c != 0 {
		f.Scale(y, c)
	}
	return y
}

func (m *decoder) Hidden(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor { return f.Norm(x, m.norm) }

func (m *decoder) Logits(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor {
	y := scaled(f, f.Linear(m.Hidden(f, x), m.head), m.logitScale)
	if c := m.cfg.LogitCap; c != 0 {
		f.SoftCap(y, c)
	}
	return y
}

// parallel is a decoder whose attention and feed-forward blocks both read the stream as it enters
// the layer (Wang and Komatsuzaki 2021, GPT-J).
type parallel struct{ *decoder }

func (m parallel) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	h := f.Norm(x, b.attnNorm)
	g := h
	if b.ffnNorm != nil {
		g = f.Norm(x, b.ffnNorm)
	}
	m.add(f, x, b.attend(f, h))
	m.add(f, x, b.feed(f, g))
}
