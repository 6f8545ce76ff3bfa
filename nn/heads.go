package nn

import "github.com/goinfer/goinfer/tensor"

// Heads is an attention block: queries, keys and values with their norms and positions, and the output.
type Heads struct {
	Q, K, V, O   *Linear
	Gate         *Linear // of what heads read, by its sigmoid (Qiu et al. 2025, arXiv:2505.06708); nil for none
	QNorm, KNorm *Norm   // of heads or of whole rows; nil for none
	NormLast     bool    // the norms come after the positions
	Clamp        float32
	Rope         *Rope // nil for no positions
	Attn         *Attention
}

// SelfAttention returns the result of an attention block, [n_tokens][n_embd].
func (p *Pass) SelfAttention(x *tensor.Tensor, l *Heads) *tensor.Tensor {
	q, k, v := p.QKV(x, l.Q, l.K, l.V)
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
		p.Gate(read, p.Linear(x, l.Gate))
	}
	return p.Linear(read, l.O)
}

func (p *Pass) normQK(q, k *tensor.Tensor, l *Heads) {
	if l.QNorm != nil {
		p.NormHeads(q, l.QNorm)
	}
	if l.KNorm != nil {
		p.NormHeads(k, l.KNorm)
	}
}
