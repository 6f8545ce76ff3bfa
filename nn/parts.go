package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// Embedding is a table of rows looked up by token.
type Embedding struct{ w tensor.Weight }

// NewEmbedding makes the table w, [n_vocab][n_embd].
func NewEmbedding(w tensor.Weight) (*Embedding, error) {
	if !w.Type.IsWeight() {
		return nil, fmt.Errorf("nn: %s: type %s holds no weights", w.Name, w.Type)
	}
	return &Embedding{w}, nil
}

// Norm is a root-mean-square norm.
type Norm struct {
	name string
	w    []float32 // [n]
	eps  float32
}

// NewNorm makes a norm with weights w, a row of any float type; name is what hooks know it by.
func NewNorm(name string, w tensor.Weight, eps float32) (*Norm, error) {
	f, err := vector(w)
	if err != nil {
		return nil, err
	}
	return &Norm{name: name, w: f, eps: eps}, nil
}

// vector turns a small weight (a norm, a bias) into float32.
func vector(w tensor.Weight) ([]float32, error) {
	if !w.Type.IsWeight() {
		return nil, fmt.Errorf("nn: %s: type %s holds no weights", w.Name, w.Type)
	}
	f := make([]float32, w.Rows*w.Cols)
	quant.Dequantize(w.Type, f, w.Data)
	return f, nil
}

// Linear is a matrix in any format, with an optional bias and an optional factor.
type Linear struct {
	name  string
	w     tensor.Weight // [out][in]
	mat   *kernels.Mat
	bias  []float32 // [out] or nil
	scale float32
}

// LinearOptions are what a Linear may have beside its matrix.
type LinearOptions struct {
	Bias  *tensor.Weight // [out]
	Scale float32        // multiplies the product before the bias; 0 means 1
	Exact bool           // float32 activations in plain Go
}

// level is the table of kernels in use, or that of the reference.
func level(exact bool) (*kernels.Level, error) {
	if exact {
		return kernels.Reference(), nil
	}
	l, err := kernels.Use()
	if err != nil {
		return nil, fmt.Errorf("nn: %w", err)
	}
	return l, nil
}

// NewLinear makes y = scale·W·x + bias; name is what hooks know it by.
func NewLinear(name string, w tensor.Weight, o LinearOptions) (*Linear, error) {
	l := &Linear{name: name, w: w, scale: o.Scale}
	if l.scale == 0 {
		l.scale = 1
	}
	table, err := level(o.Exact)
	if err != nil {
		return nil, err
	}
	if l.mat, err = table.Mat(w.Type); err != nil {
		return nil, fmt.Errorf("nn: %s: %w", w.Name, err)
	}
	if o.Bias != nil {
		if n := o.Bias.Rows * o.Bias.Cols; n != w.Rows {
			return nil, fmt.Errorf("nn: %s: want a bias of %d, found %d", w.Name, w.Rows, n)
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
