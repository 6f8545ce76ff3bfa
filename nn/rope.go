package nn

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/tensor"
)

// RopeLayout is the choice of the two elements of a head that are rotated together as a pair.
type RopeLayout uint8

// The layouts.
const (
	RopeInterleaved RopeLayout = iota // (0,1), (2,3) …, as in the paper; "NORM" in llama.cpp
	RopeNeoX                          // (0,n/2), (1,n/2+1) …, as in GPT-NeoX and "rotate_half"
)

// RopeConfig describes a rotary position embedding (Su et al. 2021, arXiv:2104.09864).
type RopeConfig struct {
	HeadDim int // length of a head
	Offset  int // elements of a head before those that are rotated; those after them stay too
	Layout  RopeLayout
	Dim     int     // how many of its elements are rotated, even
	Base    float64 // the angle of pair i is pos·Base^(-2i/Dim)

	// Factor divides positions: by linear interpolation (Chen et al. 2023, arXiv:2306.15595), or,
	// with Yarn, by parts (Peng et al. 2023, arXiv:2309.00071). 0 means 1.
	Factor float64
	Yarn   *Yarn
	// Factors divide the frequency of each pair (Llama 3.1); nil or Dim/2 of them.
	Factors []float32
	// Magnitude multiplies the rotated elements. 0 means 1.
	Magnitude float64
}

// Yarn are the parameters of YaRN scaling.
type Yarn struct {
	OrigCtx int // context length of the training before extension
	// rotations over OrigCtx above which a pair is extrapolated, and below which it is interpolated
	BetaFast, BetaSlow float64
	Ext                float64 // weight of the extrapolation, usually 1
}

// Rope rotates queries and keys by their positions.
type Rope struct {
	headDim   int
	offset    int
	layout    RopeLayout
	freq      []float64 // [Dim/2], radians per position
	magnitude float64
}

// NewRope works out the frequencies.
func NewRope(c RopeConfig) (*Rope, error) {
	half := c.Dim / 2
	switch {
	case c.Dim < 0 || c.Dim%2 != 0 || c.Offset < 0 || c.Offset+c.Dim > c.HeadDim:
		return nil, fmt.Errorf("rope: want an even number of rotated elements up to the head's %d, found %d", c.HeadDim, c.Dim)
	case c.Base <= 0 || math.IsNaN(c.Base) || math.IsInf(c.Base, 0):
		return nil, fmt.Errorf("rope: want a positive base, found %v", c.Base)
	case c.Factors != nil && len(c.Factors) != half:
		return nil, fmt.Errorf("rope: want %d frequency factors, found %d", half, len(c.Factors))
	}
	r := &Rope{headDim: c.HeadDim, offset: c.Offset, layout: c.Layout, freq: make([]float64, half), magnitude: c.Magnitude}
	if r.magnitude == 0 {
		r.magnitude = 1
	}
	scale := 1.0
	if c.Factor != 0 {
		scale = 1 / c.Factor
	}
	for i := range r.freq {
		f := math.Pow(c.Base, -2*float64(i)/float64(c.Dim))
		if c.Factors != nil {
			f /= float64(c.Factors[i])
		}
		if y := c.Yarn; y != nil {
			mix := y.Ext * y.ramp(i, c.Dim, c.Base)
			r.freq[i] = f*scale*(1-mix) + f*mix
		} else {
			r.freq[i] = f * scale
		}
		if math.IsNaN(r.freq[i]) || math.IsInf(r.freq[i], 0) {
			return nil, fmt.Errorf("rope: the frequency of pair %d is not finite", i)
		}
	}
	return r, nil
}

// ramp is 1 for pairs that rotate fast enough to be left alone, 0 for those to be interpolated, and
// falls linearly between.
func (y *Yarn) ramp(pair, dim int, base float64) float64 {
	// The pair that rotates beta times over the original context: section 3.2 of the paper, solved
	// for its index.
	at := func(beta float64) float64 {
		return float64(dim) * math.Log(float64(y.OrigCtx)/(beta*2*math.Pi)) / (2 * math.Log(base))
	}
	low := max(0, math.Floor(at(y.BetaFast)))
	high := min(float64(dim-1), math.Ceil(at(y.BetaSlow)))
	t := (float64(pair) - low) / max(0.001, high-low)
	return 1 - min(1, max(0, t))
}

// angles are the cosines and sines of a rope at the positions of a batch.
type angles struct {
	rope     *Rope
	half     int
	cos, sin []float32 // [n_tokens][Dim/2]
}

func (a *angles) row(i int) (cos, sin []float32) {
	return a.cos[i*a.half : (i+1)*a.half], a.sin[i*a.half : (i+1)*a.half]
}

// anglesOf works the angles of r out once per pass.
func (p *Pass) anglesOf(r *Rope) *angles {
	for i := range p.angles {
		if p.angles[i].rope == r {
			return &p.angles[i]
		}
	}
	n, half := p.batch.Len(), len(r.freq)
	if len(p.angles) < cap(p.angles) {
		p.angles = p.angles[:len(p.angles)+1]
	} else {
		p.angles = append(p.angles, angles{})
	}
	a := &p.angles[len(p.angles)-1]
	a.rope, a.half = r, half
	if cap(a.cos) < n*half {
		a.cos, a.sin = make([]float32, n*half), make([]float32, n*half)
	}
	a.cos, a.sin = a.cos[:n*half], a.sin[:n*half]
	for i := range p.batch.Rows {
		pos := p.batch.Rows[i].Pos
		for j, f := range r.freq {
			s, c := math.Sincos(float64(pos) * f)
			a.cos[i*half+j], a.sin[i*half+j] = float32(c*r.magnitude), float32(s*r.magnitude)
		}
	}
	return a
}

// Rope rotates every head of x, in place.
func (p *Pass) Rope(r *Rope, x *tensor.Tensor) {
	if !p.Aborted() {
		p.ops.rope = ropeRows{p.anglesOf(r)}
		p.eachRow(x, &p.ops.rope)
	}
}
