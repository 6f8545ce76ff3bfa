package kv

import (
	"fmt"
	"math"
	"strings"

	"github.com/goinfer/goinfer/quant"
)

// PageLen is the number of positions in a page.
const PageLen = 64

// Kind is the way in which a layer remembers.
type Kind uint8

// KindFull keeps keys and values of every position.
const KindFull Kind = 0

// String names the kind.
func (k Kind) String() string {
	if k == KindFull {
		return "full"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Spec says what one layer remembers of a position. The zero Spec is a layer that remembers nothing.
type Spec struct {
	Kind  Kind
	Heads int // heads of keys and values
	KDim  int // length of a key head
	VDim  int // length of a value head; 0 for layers that read their values out of the keys
}

// Full is the layer of ordinary attention: heads key heads and value heads, both of length dim.
func Full(heads, dim int) Spec { return Spec{Kind: KindFull, Heads: heads, KDim: dim, VDim: dim} }

// Latent is the layer of latent attention (DeepSeek-V2, arXiv:2405.04434): one row of n numbers for all heads, from which values are read too.
func Latent(n int) Spec { return Spec{Kind: KindFull, Heads: 1, KDim: n} }

// Repeat is n layers alike.
func Repeat(n int, s Spec) []Spec {
	layers := make([]Spec, n)
	for i := range layers {
		layers[i] = s
	}
	return layers
}

// Type is the format of stored keys or values. It is a type of its own, rather than a quant.Type, so that its zero value is the default
// of the field: half precision.
type Type uint8

// The formats that the store can keep.
const (
	F16  Type = iota // 2 bytes a number; the default
	F32              // 4 bytes a number
	Q8_0             // 34 bytes for 32 numbers
	Q4_0             // 18 bytes for 32 numbers
)

// types are the formats as quant knows them, by Type.
var types = [...]quant.Type{F16: quant.F16, F32: quant.F32, Q8_0: quant.Q8_0, Q4_0: quant.Q4_0}

// Types lists the formats.
func Types() []Type {
	ts := make([]Type, len(types))
	for i := range ts {
		ts[i] = Type(i)
	}
	return ts
}

// typeNames lists the formats' names in words: "F16, F32, Q8_0 or Q4_0".
func typeNames() string {
	var b strings.Builder
	for i, t := range types {
		switch i {
		case 0:
		case len(types) - 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(t.String())
	}
	return b.String()
}

// TypeOf is the Type that stores t, or an error that says what is supported.
func TypeOf(t quant.Type) (Type, error) {
	for i, q := range types {
		if q == t {
			return Type(i), nil
		}
	}
	return 0, fmt.Errorf("kv: want a cache of type %s, found %s", typeNames(), t)
}

// Quant is t as a weight format, by which kernels are chosen.
func (t Type) Quant() quant.Type { return types[t] }

// String is the field's name of the format.
func (t Type) String() string {
	if int(t) >= len(types) {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return t.Quant().String()
}

// RowBytes is the size of a head of dim numbers. It is an error if they are no whole number of blocks of the format.
func (t Type) RowBytes(dim int) (int, error) {
	if int(t) >= len(types) {
		return 0, fmt.Errorf("want a cache of type %s, found %s", typeNames(), t)
	}
	if block := t.Quant().BlockSize(); dim%block != 0 {
		return 0, fmt.Errorf("a cache of type %s wants heads of a multiple of %d, found heads of %d: F16 or F32 keep them", t, block, dim)
	}
	return t.Quant().RowBytes(dim), nil
}

// Config describes a store.
type Config struct {
	Layers []Spec // what each layer of the model remembers
	KType  Type   // format of the keys; F16 if zero
	VType  Type   // format of the values; F16 if zero

	// MaxBytes limits the memory of all pages together, those kept for reuse included. 0 means no limit.
	MaxBytes int64
}

// maxPage is the largest page that a configuration may ask for, in bytes; below it no product or sum of the layout overflows.
const maxPage = math.MaxInt / 16

// maxDim bounds the heads of a layer and their lengths.
const maxDim = 1 << 20

// layout is where the keys and values of one layer lie in a page.
type layout struct {
	heads        int
	k, v         int // offset of the first head
	kHead, vHead int // bytes of a head, PageLen rows
	kRow, vRow   int // bytes of a row
}

// plan checks the configuration and lays out a page: for every layer the keys, [head][PageLen][KDim], then the values,
// [head][PageLen][VDim].
func (c *Config) plan() (layers []layout, pageBytes int, err error) {
	for _, t := range []Type{c.KType, c.VType} {
		if _, err := t.RowBytes(0); err != nil {
			return nil, 0, fmt.Errorf("kv: %w", err)
		}
	}
	layers = make([]layout, len(c.Layers))
	for i, s := range c.Layers {
		if s.Kind != KindFull {
			return nil, 0, fmt.Errorf("kv: layer %d: want kind %s, found %s", i, KindFull, s.Kind)
		}
		for _, n := range []int{s.Heads, s.KDim, s.VDim} {
			if n < 0 || n > maxDim {
				return nil, 0, fmt.Errorf("kv: layer %d: want sizes from 0 to %d, found %d heads of %d and %d", i, maxDim, s.Heads, s.KDim, s.VDim)
			}
		}
		l := layout{heads: s.Heads}
		place := func(t Type, dim int) (off, head, row int) {
			if err != nil {
				return
			}
			if row, err = t.RowBytes(dim); err != nil {
				err = fmt.Errorf("kv: layer %d: %w", i, err)
				return
			}
			if head = PageLen * row; head > 0 && s.Heads > (maxPage-pageBytes)/head {
				err = fmt.Errorf("kv: layer %d: %d heads of %d are more than memory can address", i, s.Heads, dim)
				return
			}
			off = pageBytes
			pageBytes += s.Heads * head
			return off, head, row
		}
		l.k, l.kHead, l.kRow = place(c.KType, s.KDim)
		l.v, l.vHead, l.vRow = place(c.VType, s.VDim)
		if err != nil {
			return nil, 0, err
		}
		layers[i] = l
	}
	if c.MaxBytes < 0 || (c.MaxBytes > 0 && c.MaxBytes < int64(pageBytes)) {
		return nil, 0, fmt.Errorf("kv: a limit of %d bytes is less than one page of %d bytes", c.MaxBytes, pageBytes)
	}
	return layers, pageBytes, nil
}
