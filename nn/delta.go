package nn

import (
	"math"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// DeltaNet is linear attention that writes by the delta rule and forgets by a gate (Yang et al.
// 2024, "Gated Delta Networks", arXiv:2412.06464): a head's matrix of associations first decays;
// then what it recalls of the key is corrected towards the value, by as much as the strength says;
// then the query reads it.
type DeltaNet struct {
	QKV  *Linear // [2·keys·dim + values·dim][n_embd]: queries, keys and values of all heads
	Conv *Conv   // of these
	Z    *Linear // [values·dim][n_embd], the gate
	Beta *Linear // [values][n_embd], the strength of a correction before its sigmoid
	Rate *Linear // [values][n_embd], how fast the matrix decays before its softplus
	// BetaRate, in place of both, has for each head of keys the strengths of its heads of values,
	// then their rates.
	BetaRate *Linear
	Norm     *Norm   // of what a head reads
	Out      *Linear // [n_embd][values·dim]

	Keys, Values int  // heads of queries and keys, and of values, a multiple
	Dim          int  // of a head
	Tiled        bool // value head v belongs to key head v mod Keys, instead of v/(Values/Keys)

	Bias []float32 // [values], of the rate
	A    []float32 // [values], each below 0
	Eps  float32   // the least length of queries and keys, which are normed to 1
}

// State is the inputs of the convolution, then for each head of values a matrix [dim of the
// key][dim of the value].
func (m *DeltaNet) State() int { return m.Conv.State() + m.Values*m.Dim*m.Dim }

func (m *DeltaNet) mix(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	var qkv, z, beta, rate *tensor.Tensor
	if m.BetaRate != nil {
		qkv, z, beta = p.QKV(x, m.QKV, m.Z, m.BetaRate)
		rate = beta
	} else {
		qkv, beta, rate = p.QKV(x, m.QKV, m.Beta, m.Rate)
		z = p.Linear(x, m.Z)
	}
	qkv = p.conv(qkv, m.Conv, 0)
	w := deltaScan{m: m, qkv: qkv, beta: beta, rate: rate, y: p.arena.New(x.Rows, m.Values*m.Dim)}
	p.scans.delta = w
	p.recurrent(&p.scans.delta, m.Conv.State(), m.Values*m.Dim*m.Dim)
	p.notify(p.layer, NameScan, w.y)
	p.NormHeads(w.y, m.Norm)
	p.activate(z, w.y, SiLU)
	return p.Linear(z, m.Out)
}

type deltaScan struct {
	m                  *DeltaNet
	qkv, beta, rate, y *tensor.Tensor
}

func (w *deltaScan) partitions() int { return w.m.Values }

func (w *deltaScan) scan(l *kernels.ISA, scratch *[]float32, head, row, n int, old, state []float32) {
	m := w.m
	size := m.Dim * m.Dim
	s := state[head*size:][:size]
	if old != nil {
		old = old[head*size:][:size]
	}
	initState(s, old)
	of := head / (m.Values / m.Keys)
	if m.Tiled {
		of = head % m.Keys
	}
	beta, rate := head, head
	if m.BetaRate != nil {
		group := m.Values / m.Keys
		beta = head/group*2*group + head%group
		rate = beta + group
	}
	f := floatsOf(scratch, 4*m.Dim)
	q, k, d, g := f[:m.Dim], f[m.Dim:2*m.Dim], f[2*m.Dim:3*m.Dim], f[3*m.Dim:]
	for t := row; t < row+n; t++ {
		all := w.qkv.Row(t)
		v := all[2*m.Keys*m.Dim+head*m.Dim:][:m.Dim]
		l.L2Norm(q, all[of*m.Dim:][:m.Dim], m.Eps, 1/math.Sqrt(float64(m.Dim)))
		l.L2Norm(k, all[(m.Keys+of)*m.Dim:][:m.Dim], m.Eps, 1)
		decay := kernels.Exp(m.A[head] * kernels.Softplus(w.rate.Row(t)[rate]+m.Bias[head]))
		strength := kernels.Sigmoid(w.beta.Row(t)[beta])
		l.ReadState(d, s, k)
		for i := range d {
			d[i] = (v[i] - decay*d[i]) * strength
		}
		fill(g, decay)
		y := w.y.Row(t)[head*m.Dim:][:m.Dim]
		clear(y)
		l.UpdateState(s, d, y, g, k, q)
	}
}

// ShortConv is the gated convolution of LFM2 (Liquid AI 2025, arXiv:2511.23404): C·conv(B·x), each
// a projection of the input.
type ShortConv struct {
	B, C, X *Linear // [n_embd][n_embd]
	Conv    *Conv
	Out     *Linear
}

// State is the inputs of the convolution.
func (m *ShortConv) State() int { return m.Conv.State() }

func (m *ShortConv) mix(p *Pass, x *tensor.Tensor) *tensor.Tensor {
	b, c, u := p.QKV(x, m.B, m.C, m.X)
	p.Mul(u, b)
	y := p.conv(u, m.Conv, 0)
	p.Mul(y, c)
	return p.Linear(y, m.Out)
}
