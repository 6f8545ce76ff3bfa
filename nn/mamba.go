package nn

import (
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// NameScan is the name under which a pass shows what a recurrent block reads from its state, before
// its gate and its output.
const NameScan = "ssm_scan"

// Mamba is a block of selective state spaces, one for each channel (Gu and Dao 2023,
// arXiv:2312.00752): a step that depends on the input determines how far each of a channel's states
// decays and how much of the input it takes in.
type Mamba struct {
	X, Z *Linear // [inner][n_embd]: the channels, and their gate
	Conv *Conv   // of the channels
	DT   *Linear // [rank][inner]: the step, compressed
	// [states][inner]: what of the input is taken into a state, and what of a state is read
	B, C *Linear
	// nil for none, as in Mamba itself; Jamba has them (Lieber et al. 2024, arXiv:2403.19887)
	DTNorm *Norm
	BNorm  *Norm
	CNorm  *Norm
	Step   *Linear // [inner][rank], with a bias
	Out    *Linear // [n_embd][inner]

	Inner, States int
	A             []float32 // rates of the states, each below 0, as [MambaRates] orders them
	D             []float32 // [inner], what passes by the states
}

// mambaChannels is the number of channels of a part.
const mambaChannels = 64

// MambaRates puts the rates of channels' states, [inner][states], into the order in which a Mamba
// has them: for each part of up to 64 channels [states][channels].
func MambaRates(a []float32, inner, states int) []float32 {
	out := make([]float32, 0, len(a))
	for c0 := 0; c0 < inner; c0 += mambaChannels {
		for n := range states {
			for c := c0; c < min(c0+mambaChannels, inner); c++ {
				out = append(out, a[c*states+n])
			}
		}
	}
	return out
}

// State is the inputs of the convolution, then each channel's states in the order of A.
func (m *Mamba) State() int { return m.Conv.State() + m.Inner*m.States }

func (m *Mamba) mix(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	u, z := p.Linear(x, m.X), p.Linear(x, m.Z)
	u = p.conv(u, m.Conv, 0)
	dt, b, c := p.QKV(u, m.DT, m.B, m.C)
	if m.DTNorm != nil {
		dt, b, c = p.Norm(dt, m.DTNorm), p.Norm(b, m.BNorm), p.Norm(c, m.CNorm)
	}
	w := mambaScan{m: m, u: u, dt: p.Linear(dt, m.Step), b: b, c: c, y: p.arena.New(x.Rows, m.Inner)}
	p.scans.mamba = w
	p.recurrent(&p.scans.mamba, m.Conv.State(), m.Inner*m.States)
	p.notify(p.layer, NameScan, w.y)
	p.activate(z, w.y, SiLU)
	return p.Linear(z, m.Out)
}

type mambaScan struct {
	m              *Mamba
	u, dt, b, c, y *tensor.Tensor
}

func (w *mambaScan) partitions() int { return (w.m.Inner + mambaChannels - 1) / mambaChannels }

func (w *mambaScan) scan(l *kernels.ISA, scratch *[]float32, part, row, n int, old, state []float32) {
	m := w.m
	c0 := part * mambaChannels
	width := min(mambaChannels, m.Inner-c0)
	at, size := c0*m.States, width*m.States
	s := state[at : at+size]
	if old != nil {
		old = old[at : at+size]
	}
	initState(s, old)
	f := floatsOf(scratch, 2*width)
	d, du := f[:width], f[width:]
	for t := row; t < row+n; t++ {
		u, y := w.u.Row(t)[c0:][:width], w.y.Row(t)[c0:][:width]
		for i, raw := range w.dt.Row(t)[c0:][:width] {
			d[i] = kernels.Softplus(raw)
			du[i] = d[i] * u[i]
		}
		clear(y)
		l.UpdateSelectiveState(s, m.A[at:at+size], d, du, y, w.b.Row(t), w.c.Row(t))
		l.AddProduct(y, u, m.D[c0:])
	}
}

// Mamba2 is a block of state spaces by heads, whose states decay alike (Dao and Gu 2024,
// arXiv:2405.21060, section 7): the paper's chunks of positions are walked one by one.
type Mamba2 struct {
	// [inner][n_embd] the gate; [inner+2·groups·states][n_embd] the channels of heads, then B and C
	// of groups
	Z, X *Linear
	Conv *Conv   // of the latter
	DT   *Linear // [heads][n_embd], the step
	Norm *Norm   // of the gated result, by groups; nil for none
	Out  *Linear // [n_embd][inner]

	NHead, HeadDim, States, Groups int // inner is Heads·HeadDim

	Bias []float32 // [heads], of the step
	A    []float32 // [heads], rates, each below 0
	D    []float32 // [heads], what passes by the states
}

// State is the inputs of the convolution, then for each head a matrix [states][head_dim].
func (m *Mamba2) State() int { return m.Conv.State() + m.NHead*m.States*m.HeadDim }

func (m *Mamba2) mix(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	z, u, dt := p.QKV(x, m.Z, m.X, m.DT)
	u = p.conv(u, m.Conv, 0)
	w := ssdScan{m: m, u: u, dt: dt, y: p.arena.New(x.Rows, m.NHead*m.HeadDim)}
	p.scans.ssd = w
	p.recurrent(&p.scans.ssd, m.Conv.State(), m.NHead*m.States*m.HeadDim)
	p.notify(p.layer, NameScan, w.y)
	p.activate(z, w.y, SiLU)
	return p.Linear(p.Norm(z, m.Norm), m.Out)
}

type ssdScan struct {
	m        *Mamba2
	u, dt, y *tensor.Tensor
}

func (w *ssdScan) partitions() int { return w.m.NHead }

func (w *ssdScan) scan(l *kernels.ISA, scratch *[]float32, head, row, n int, old, state []float32) {
	m := w.m
	size := m.States * m.HeadDim
	s := state[head*size:][:size]
	if old != nil {
		old = old[head*size:][:size]
	}
	initState(s, old)
	f := floatsOf(scratch, m.HeadDim+m.States)
	du, a := f[:m.HeadDim], f[m.HeadDim:]
	inner, group := m.NHead*m.HeadDim, head/(m.NHead/m.Groups)
	for t := row; t < row+n; t++ {
		all := w.u.Row(t)
		u, y := all[head*m.HeadDim:][:m.HeadDim], w.y.Row(t)[head*m.HeadDim:][:m.HeadDim]
		b, c := all[inner+group*m.States:][:m.States], all[inner+(m.Groups+group)*m.States:][:m.States]
		d := kernels.Softplus(w.dt.Row(t)[head] + m.Bias[head])
		fill(a, kernels.Exp(d*m.A[head]))
		copy(du, u)
		l.Scale(du, d)
		clear(y)
		l.UpdateState(s, du, y, a, b, c)
		l.AddScaled(y, u, m.D[head])
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
