package nn

import "github.com/goinfer/goinfer/tensor"

// SelfAttention is an attention block: queries, keys and values with their norms and positions, and
// the output.
type AttnBlock struct {
	Q, K, V, O *Linear
	// of what heads read, by its sigmoid (Qiu et al. 2025, arXiv:2505.06708); nil for none
	Gate         *Linear
	GateInQ      bool  // each head's rows of Q are followed by as many of such a gate
	QNorm, KNorm *Norm // of heads or of whole rows; nil for none
	NormLast     bool  // the norms come after the positions
	Clamp        float32
	Rope         *Rope // nil for no positions
	Attn         *Attention
}

// SelfAttention returns the result of an attention block, [n_tokens][n_embd].
func (p *Pass) SelfAttention(x *tensor.Tensor, l *AttnBlock) *tensor.Tensor {
	q, k, v := p.QKV(x, l.Q, l.K, l.V)
	var gate *tensor.Tensor
	if l.GateInQ {
		q, gate = p.splitHalves(q, l.Attn.c.NHead)
	}
	if l.Clamp != 0 {
		p.Clamp(q, l.Clamp)
		p.Clamp(k, l.Clamp)
		p.Clamp(v, l.Clamp)
	}
	if !l.NormLast {
		p.normQK(q, k, l)
	}
	if l.Rope != nil {
		p.Rope(l.Rope, q)
		p.Rope(l.Rope, k)
	}
	if l.NormLast {
		p.normQK(q, k, l)
	}
	read := p.Attend(l.Attn, q, k, v)
	if l.Gate != nil {
		gate = p.Linear(x, l.Gate)
	}
	if gate != nil {
		p.Gate(read, gate)
	}
	return p.Linear(read, l.O)
}

// splitHalves parts the first half of each head from the second.
func (p *Pass) splitHalves(x *tensor.Tensor, heads int) (a, b *tensor.Tensor) {
	n := x.Cols / heads / 2
	a, b = p.arena.New(x.Rows, heads*n), p.arena.New(x.Rows, heads*n)
	p.copyHeads(a, 0, n, x, 0, 2*n, heads)
	p.copyHeads(b, 0, n, x, n, 2*n, heads)
	return a, b
}

func (p *Pass) normQK(q, k *tensor.Tensor, l *AttnBlock) {
	if l.QNorm != nil {
		p.NormHeads(q, l.QNorm)
	}
	if l.KNorm != nil {
		p.NormHeads(k, l.KNorm)
	}
}
