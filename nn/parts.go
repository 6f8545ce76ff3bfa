package nn

import (
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// Embedding is a table of rows looked up by token.
type Embedding struct{ w tensor.Weight }

// NewEmbedding makes the table w, [n_vocab][n_embd].
func NewEmbedding(w tensor.Weight) (*Embedding, error) {
	if !w.Type.IsWeight() {
		return nil, fmt.Errorf("%s: type %s holds no weights", w.Name, w.Type)
	}
	return &Embedding{w}, nil
}

// NormConfig describes a norm of parts of N elements: a whole row, or each head of one.
type NormConfig struct {
	N      int
	Weight *tensor.Weight // a row of N, or of a multiple where heads have their own; nil for ones
	Bias   *tensor.Weight // the same; nil for none
	Eps    float32
	// LayerNorm (Ba et al. 2016, arXiv:1607.06450) instead of the root-mean-square norm (Zhang and
	// Sennrich 2019, arXiv:1910.07467)
	Layer bool
}

// Norm is a root-mean-square norm or a LayerNorm.
type Norm struct {
	name  string
	n     int
	w     []float32 // [n], or as many for each head
	b     []float32 // the same, or nil
	eps   float32
	layer bool
}

// NewNorm makes a norm; name is what hooks know it by.
func NewNorm(name string, c NormConfig) (*Norm, error) {
	n := &Norm{name: name, n: c.N, eps: c.Eps, layer: c.Layer}
	var err error
	if c.Weight == nil {
		n.w = slices.Repeat([]float32{1}, c.N)
	} else if n.w, err = vector(*c.Weight); err != nil {
		return nil, err
	}
	if c.Bias != nil {
		if n.b, err = vector(*c.Bias); err != nil {
			return nil, err
		}
	}
	if c.N < 1 || len(n.w)%c.N != 0 || n.b != nil && len(n.b) != len(n.w) {
		return nil, fmt.Errorf("%s: want weights for stretches of %d, and as many biases or none, found %d and %d", name, c.N, len(n.w), len(n.b))
	}
	return n, nil
}

// row norms the parts of a row; dst may be x.
func (n *Norm) row(l *kernels.ISA, dst, x []float32) {
	for at := 0; at < len(x); at += n.n {
		w := at % len(n.w)
		d := dst[at : at+n.n]
		if n.layer {
			l.LayerNorm(d, x[at:at+n.n], n.w[w:w+n.n], n.eps)
		} else {
			l.RMSNorm(d, x[at:at+n.n], n.w[w:w+n.n], n.eps)
		}
		if n.b != nil {
			l.Add(d, n.b[w:w+n.n])
		}
	}
}

// vector converts a small weight (a norm, a bias) into float32.
func vector(w tensor.Weight) ([]float32, error) {
	if !w.Type.IsWeight() {
		return nil, fmt.Errorf("%s: type %s holds no weights", w.Name, w.Type)
	}
	f := make([]float32, w.Rows*w.Cols)
	quant.Dequantize(w.Type, f, w.Data)
	return f, nil
}

// Linear is a matrix in any format, with an optional bias and an optional factor.
type Linear struct {
	name   string
	w      tensor.Weight // [out][in]
	matMul *kernels.MatMul
	bias   []float32 // [out] or nil
	scale  float32
}

// LinearOptions are what a Linear may have beside its matrix.
type LinearOptions struct {
	Bias  *tensor.Weight // [out]
	Scale float32        // multiplies the product before the bias; 0 means 1
	Exact bool           // float32 activations in plain Go
}

// kernelsFor is the table of kernels in use, or that of the reference.
func kernelsFor(exact bool) (*kernels.ISA, error) {
	if exact {
		return kernels.Reference(), nil
	}
	l, err := kernels.Use()
	if err != nil {
		return nil, err
	}
	return l, nil
}

// NewLinear makes y = scale·W·x + bias; name is what hooks know it by.
func NewLinear(name string, w tensor.Weight, o LinearOptions) (*Linear, error) {
	l := &Linear{name: name, w: w, scale: o.Scale}
	if l.scale == 0 {
		l.scale = 1
	}
	table, err := kernelsFor(o.Exact)
	if err != nil {
		return nil, err
	}
	if l.matMul, err = table.MatMul(w.Type); err != nil {
		return nil, fmt.Errorf("%s: %w", w.Name, err)
	}
	if o.Bias != nil {
		if n := o.Bias.Rows * o.Bias.Cols; n != w.Rows {
			return nil, fmt.Errorf("%s: want a bias of %d, found %d", w.Name, w.Rows, n)
		}
		if l.bias, err = vector(*o.Bias); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// In and Out are the lengths of a row of the input and of the output.
func (l *Linear) In() int  { return l.w.Cols }
func (l *Linear) Out() int { return l.w.Rows }
