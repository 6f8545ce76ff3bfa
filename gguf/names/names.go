// Package names takes the names of tensors in GGUF files apart and puts them together:
//
//	blk.3.attn_q.weight       layer 3, base attn_q, suffix .weight
//	blk.3.ffn_up.7.weight     layer 3, base ffn_up, expert 7 (files of early 2024)
//	output_norm.weight        no layer, base output_norm
//
// The names are those of
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#standardized-tensor-names.
package names

import (
	"cmp"
	"strconv"
	"strings"
)

// None is the number of a layer or an expert where a name has none.
const None = -1

// Name is the name of a tensor.
type Name struct {
	Layer  int    // None outside the layers
	Base   string // what the tensor is in its layer, "attn_q" or "shortconv.conv"
	Expert int    // None in all but tensors of one expert
	Suffix string // ".weight", ".bias", ".scale", or "" in the few names without one
}

// Parse takes a name apart. Every string is some name: what does not fit the pattern is its base.
func Parse(name string) Name {
	n := Name{Layer: None, Expert: None}
	if rest, ok := strings.CutPrefix(name, "blk."); ok {
		number, rest, dot := strings.Cut(rest, ".")
		if i, ok := index(number); ok && dot {
			n.Layer, name = i, rest
		}
	}
	for _, suffix := range []string{".weight", ".bias", ".scale"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			name, n.Suffix = base, suffix
			break
		}
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		if i, ok := index(name[dot+1:]); ok {
			n.Expert, name = i, name[:dot]
		}
	}
	n.Base = name
	return n
}

// index is a number as names have it, without a sign or leading zeros.
func index(s string) (int, bool) {
	i, err := strconv.Atoi(s)
	return i, err == nil && i >= 0 && strconv.Itoa(i) == s
}

// String puts the name together.
func (n Name) String() string {
	s := n.Base
	if n.Layer != None {
		s = Layer(n.Layer) + s
	}
	if n.Expert != None {
		s += "." + strconv.Itoa(n.Expert)
	}
	return s + n.Suffix
}

// InLayer is the name without the layer.
func (n Name) InLayer() string {
	n.Layer = None
	return n.String()
}

// Layer is what the names in layer i begin with, "blk.3.".
func Layer(i int) string { return "blk." + strconv.Itoa(i) + "." }

// AnyLayer is the name with a star in place of the number of its layer: "blk.*.attn_q.weight".
func AnyLayer(name string) string {
	if n := Parse(name); n.Layer != None {
		return "blk.*." + n.InLayer()
	}
	return name
}

// Compare orders names as files have them: what comes before the layers, the layers, what comes
// after them. Names of one place are equal.
func Compare(a, b string) int { return cmp.Compare(place(a), place(b)) }

func place(name string) int {
	n := Parse(name)
	switch {
	case n.Layer != None:
		return 1 + n.Layer
	case strings.HasPrefix(n.Base, "output"):
		return 1 << 30
	}
	return 0
}
