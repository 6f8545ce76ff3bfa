package nn

import (
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// Activation is what stands between the products of a feed-forward block. Each is gated: the result
// is act(gate)·up (Shazeer 2020, arXiv:2002.05202), or act(up) in a block without a gate.
type Activation uint8

// The activations.
const (
	SiLU        Activation = iota // x·σ(x)
	GELU                          // Hendrycks and Gimpel 2016, arXiv:1606.08415, by tanh
	ReLU                          // max(x, 0)
	SquaredReLU                   // max(x, 0)²; So et al. 2021, arXiv:2109.08668
	// min(g, 7)·σ(1.702·g)·(u+1) with u between -7 and 7; gpt-oss, arXiv:2508.10925
	ClampedSwiGLU
)

// clampLimit is the bound of ClampedSwiGLU.
const clampLimit = 7

// row works on one row, and may use up gate and up; dst is gate.
func (a Activation) row(l *kernels.ISA, dst, gate, up []float32) {
	switch a {
	case SiLU:
		l.SwiGLU(dst, gate, up)
	case GELU:
		l.GELU(dst, gate, up)
	case ReLU:
		kernels.ReLU(dst, gate, up)
	case SquaredReLU:
		kernels.SquaredReLU(dst, gate, up)
	case ClampedSwiGLU:
		l.ClampedSwiGLU(dst, gate, up, clampLimit)
	}
}

// FFN is a feed-forward block: Down·(act(Gate·x)·(Up·x)), or Down·act(Up·x) without Gate.
type FFN struct {
	Gate, Up, Down *Linear
	Act            Activation
	XIELU          *XIELU // in place of Act, in a block without Gate; nil for none
}

// XIELU is an activation with parameters (Huang and Schlag 2024, arXiv:2411.13010): Positive·x² +
// Beta·x above 0, and Negative·(e^x-1-x) + Beta·x below. Eps is the bound of the exponent, which
// only rounds.
type XIELU struct{ Positive, Negative, Beta, Eps float32 }

func (a *XIELU) row(x []float32) {
	for i, v := range x {
		if v > 0 {
			x[i] = float32(float32(a.Positive*v)*v) + float32(a.Beta*v)
		} else {
			x[i] = float32((kernels.Exp(min(v, a.Eps))-1-v)*a.Negative) + float32(a.Beta*v)
		}
	}
}

// FFN returns the result of a feed-forward block, [n_tokens][n_embd].
func (p *Pass) FFN(x *tensor.Tensor, l *FFN) *tensor.Tensor {
	if l.Gate != nil {
		return p.Linear(p.GLU(x, l.Gate, l.Up, l.Act), l.Down)
	}
	h := p.Linear(x, l.Up)
	if l.XIELU != nil {
		p.ops.xielu = xieluRows{l.XIELU}
		p.eachRow(h, &p.ops.xielu)
	} else {
		p.activate(h, nil, l.Act)
	}
	p.notify(p.layer, NameFFNAct, h)
	return p.Linear(h, l.Down)
}

// GLU returns act(gate·x)·(up·x), [n_tokens][n_ff]. The input is quantised once, and the rows of
// both are shared out among the threads at once.
func (p *Pass) GLU(x *tensor.Tensor, gate, up *Linear, act Activation) *tensor.Tensor {
	g, u := p.arena.New(x.Rows, gate.w.Rows), p.arena.New(x.Rows, up.w.Rows)
	if !p.Aborted() {
		p.matMul.begin(p)
		p.matMul.add(g, gate, p.input(x, gate))
		p.matMul.add(u, up, p.input(x, up, gate))
		p.matMul.run()
	}
	p.notify(p.layer, gate.name, g)
	p.notify(p.layer, up.name, u)
	p.activate(g, u, act)
	p.notify(p.layer, NameFFNAct, g)
	return g
}
