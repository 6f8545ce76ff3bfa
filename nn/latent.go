package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// MLAConfig describes multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1).
// Keys and values of all heads are products of one short row, the latent, and the cache holds that
// alone, with one key for positions that the heads share. The product that makes a head's key is
// taken from its query instead ("absorbed"), and the one that makes its value from what the query
// reads.
type MLAConfig struct {
	QA    *Linear // [q_lora][n_embd], nil where queries are not compressed
	QNorm *Norm   // of q_lora
	// [n_head*(nope+rope)][q_lora or n_embd]: a head's part without positions, then that with
	Q     *Linear
	C     *Linear // [kv_lora][n_embd], the latent
	CNorm *Norm
	KR    *Linear // [rope][n_embd], the key of positions

	KB []*Linear // of each head, [kv_lora][nope]
	VB []*Linear // of each head, [value_length][kv_lora]
	// the name of the matrix that KB and VB are parts of, which is multiplied with the latent;
	// empty where each is its own
	KV string
	O  *Linear // [n_embd][n_head*value_length]

	RopeQ *Rope   // rotates the last part of heads of nope+rope elements
	RopeK *Rope   // rotates rows of rope elements
	Scale float32 // of scores; 0 means 1/√(nope+rope)
}

// MLA is a block of latent attention.
type MLA struct {
	c                MLAConfig
	attn             *Attention
	nope, rope, lora int
}

// NewMLA checks that the parts fit each other.
func NewMLA(c MLAConfig) (*MLA, error) {
	heads := len(c.KB)
	if heads == 0 || len(c.VB) != heads {
		return nil, fmt.Errorf("%s: want as many matrices of keys as of values, found %d and %d", c.Q.w.Name, heads, len(c.VB))
	}
	l := &MLA{c: c, nope: c.KB[0].In(), rope: c.KR.Out(), lora: c.C.Out()}
	if c.Q.Out() != heads*(l.nope+l.rope) || c.KB[0].Out() != l.lora || c.VB[0].In() != l.lora || c.O.In() != heads*c.VB[0].Out() {
		return nil, fmt.Errorf("%s: %d heads of %d and %d over a latent of %d do not fit their matrices", c.Q.w.Name, heads, l.nope, l.rope, l.lora)
	}
	if c.Scale == 0 {
		a := AttentionConfig{NHead: 1, NHeadKV: 1, HeadDim: l.nope + l.rope}
		plain, err := NewAttention(a)
		if err != nil {
			return nil, err
		}
		c.Scale = plain.c.Scale
	}
	var err error
	l.attn, err = NewAttention(AttentionConfig{NHead: heads, NHeadKV: 1, HeadDim: l.lora + l.rope, HeadDimV: l.lora, ValuesFromKeys: true, Scale: c.Scale})
	return l, err
}

// MLA returns the result of a block of latent attention, [n_tokens][n_embd].
func (p *Pass) MLA(x *tensor.Tensor, l *MLA) *tensor.Tensor {
	c, heads := &l.c, len(l.c.KB)
	first := c.Q
	if c.QA != nil {
		first = c.QA
	}
	q, latent, kr := p.QKV(x, first, c.C, c.KR)
	if c.QA != nil {
		q = p.Linear(p.Norm(q, c.QNorm), c.Q)
	}
	p.Rope(c.RopeQ, q)
	p.NormHeads(latent, c.CNorm)
	if c.KV != "" {
		p.notifyRows(c.KV, latent)
	}
	p.Rope(c.RopeK, kr)

	// A key is the latent and then the part of positions; a query likewise, its first part taken
	// through the head's matrix.
	k := p.arena.New(x.Rows, l.lora+l.rope)
	p.copyHeads(k, 0, l.lora, latent, 0, l.lora, 1)
	p.copyHeads(k, l.lora, l.rope, kr, 0, l.rope, 1)
	absorbed := p.perHeadMatMul(q, c.KB, l.nope+l.rope, c.KV == "")
	qs := p.arena.New(x.Rows, heads*(l.lora+l.rope))
	p.copyHeads(qs, 0, l.lora, absorbed, 0, l.lora, heads)
	p.copyHeads(qs, l.lora, l.rope, q, l.nope, l.nope+l.rope, heads)

	read := p.Attend(l.attn, qs, k, nil)
	return p.Linear(p.perHeadMatMul(read, c.VB, l.lora, c.KV == ""), c.O)
}

// perHeadMatMul takes the first elements of each head of x, as many as a matrix has columns,
// through the matrix of that head: [n_tokens][len(ls)*out]. Hooks are shown the inputs if the
// matrices have a name of their own.
func (p *Pass) perHeadMatMul(x *tensor.Tensor, ls []*Linear, headStride int, named bool) *tensor.Tensor {
	heads, in, out := len(ls), ls[0].w.Cols, ls[0].w.Rows
	byHead, y := p.arena.New(heads*x.Rows, in), p.arena.New(heads*x.Rows, out)
	result := p.arena.New(x.Rows, heads*out)
	if p.Aborted() {
		return result
	}
	for h := range heads {
		for i := range x.Rows {
			copy(byHead.Row(h*x.Rows+i), x.Row(i)[h*headStride:][:in])
		}
	}
	formats := kernels.ActF32
	for _, l := range ls {
		formats |= l.matMul.ActFormat
	}
	p.slots.Reset(byHead.Rows, in, formats)
	p.slots.F = byHead.F
	p.prepare(&p.slots, formats)
	p.matMul.begin(p)
	for h, l := range ls {
		if named {
			p.notifyHeadInputs(l, h, byHead, x.Rows)
		}
		p.matMul.addRange(matMul{l: l, expert: h, acts: &p.slots, dst: y, t0: h * x.Rows, t1: (h + 1) * x.Rows, byHead: true})
	}
	p.matMul.run()
	for h := range heads {
		for i := range x.Rows {
			copy(result.Row(i)[h*out:], y.Row(h*x.Rows+i))
		}
	}
	p.notify(p.layer, ls[0].name, result)
	return result
}

// copyHeads copies n elements of each of some heads: from src, whose heads are of length from, at
// offset fromAt, to dst at offset at.
func (p *Pass) copyHeads(dst *tensor.Tensor, at, n int, src *tensor.Tensor, fromAt, from, heads int) {
	if p.Aborted() {
		return
	}
	to := dst.Cols / heads
	for i := range src.Rows {
		for h := range heads {
			copy(dst.Row(i)[h*to+at:][:n], src.Row(i)[h*from+fromAt:])
		}
	}
}
