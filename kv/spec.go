package kv

import (
	"fmt"
	"math"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
)

// PageLen is the number of positions in a page.
const PageLen = 64

// Spec says what one layer remembers. The zero Spec is a layer that remembers nothing; a layer may
// have both keys and a state.
type Spec struct {
	NHead int // heads of keys and values
	KDim  int // length of a key head
	VDim  int // length of a value head; 0 for layers that read their values out of the keys
	// Window is how many positions a query sees, its own included; what no later query sees is
	// given up. 0 means all.
	Window int
	// State is how many float32 numbers a sequence carries from position to position, whatever its
	// length.
	State int
}

// Full is the layer of ordinary attention: heads key heads and value heads, both of length dim.
func Full(heads, dim int) Spec { return Spec{NHead: heads, KDim: dim, VDim: dim} }

// Windowed is Full for queries that see so many positions, their own included (Beltagy et al. 2020,
// arXiv:2004.05150).
func Windowed(heads, dim, window int) Spec {
	return Spec{NHead: heads, KDim: dim, VDim: dim, Window: window}
}

// Latent is the layer of latent attention (DeepSeek-V2, arXiv:2405.04434): one row of n numbers for
// all heads, from which values are read too.
func Latent(n int) Spec { return Spec{NHead: 1, KDim: n} }

// Recurrent is a layer that keeps n numbers of a sequence instead of its positions: a convolution's
// last inputs, a state space, a matrix of associations.
func Recurrent(n int) Spec { return Spec{State: n} }

// Repeat is n layers alike.
func Repeat(n int, s Spec) []Spec {
	layers := make([]Spec, n)
	for i := range layers {
		layers[i] = s
	}
	return layers
}

// Type is the format of stored keys or values. It is a type of its own, rather than a quant.Type,
// so that its zero value is the default of the field: half precision.
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
	return 0, fmt.Errorf("want a cache of type %s, found %s", typeNames(), t)
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

// RowBytes is the size of a head of dim numbers. It is an error if they are no whole number of
// blocks of the format.
func (t Type) RowBytes(dim int) (int, error) {
	if int(t) >= len(types) {
		return 0, fault.Of(fault.ErrInvalid, fmt.Errorf("want a cache of type %s, found %s", typeNames(), t))
	}
	if block := t.Quant().BlockSize(); dim%block != 0 {
		return 0, fault.Of(fault.ErrInvalid, fmt.Errorf("a cache of type %s wants heads of a multiple of %d, found heads of %d: F16 or F32 keep them", t, block, dim))
	}
	return t.Quant().RowBytes(dim), nil
}

// Config describes a store.
type Config struct {
	Layers []Spec // what each layer of the model remembers
	KType  Type   // format of the keys; F16 if zero
	VType  Type   // format of the values; F16 if zero

	// MaxBytes limits the memory of all pages and states together, those kept for reuse included. 0
	// means no limit.
	MaxBytes int64
	// Checkpoints is how many checkpoints a sequence keeps, earlier lengths that it can be forked
	// at, where layers do not remember every position; see [Store.Checkpoint]. 0 means
	// DefaultCheckpoints.
	Checkpoints int
}

// DefaultCheckpoints is the default of Config.Marks.
const DefaultCheckpoints = 3

// maxPage is the largest page that a configuration may ask for, in bytes; below it no product or
// sum of the layout overflows.
const maxPage = math.MaxInt / 16

// Bounds of a spec, so that sums and products stay within an int.
const (
	maxDim   = 1 << 20 // heads of a layer and their lengths
	maxState = 1 << 30 // numbers of a state
)

// layout is where one layer's keys and values are in a page of its group, and its state among those
// of a sequence.
type layout struct {
	group        int
	heads        int
	k, v         int // offset of the first head
	head         int // bytes from one head to the next
	kHead, vHead int // bytes of a head's keys and of its values, PageLen rows
	kRow, vRow   int // bytes of a row

	state, stateLen int // in float32 numbers
}

// group is the layers of one window, whose pages come and go together.
type group struct {
	window int // 0 for all positions
	size   int // bytes of a page
}

// since is the first position that a query at position n and those after it see.
func (g group) since(n int) int {
	if g.window == 0 {
		return 0
	}
	return max(0, n-g.window+1)
}

// plan is what a configuration comes to: where everything is stored.
type plan struct {
	layers []layout
	groups []group
	rows   int // bytes of a page of every group together
	states int // float32 numbers of all layers' states together
}

// plan checks the configuration and lays out the pages of every group: for each layer and head the
// keys, [PageLen][KDim], then the values, [PageLen][VDim].
func (c *Config) plan() (plan, error) {
	p := plan{layers: make([]layout, len(c.Layers))}
	for _, t := range []Type{c.KType, c.VType} {
		if _, err := t.RowBytes(0); err != nil {
			return p, err
		}
	}
	if c.Checkpoints < 0 {
		return p, fmt.Errorf("want 0 marks of a sequence or more, found %d", c.Checkpoints)
	}
	for i, s := range c.Layers {
		if err := p.place(c, i, s); err != nil {
			return p, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	if page := int64(p.rows) + 4*int64(p.states); c.MaxBytes < 0 || c.MaxBytes > 0 && c.MaxBytes < page {
		return p, fault.Of(fault.ErrInvalid, fmt.Errorf("a limit of %d bytes is less than one page of %d bytes", c.MaxBytes, page))
	}
	return p, nil
}

// place lays out layer i after those before it.
func (p *plan) place(c *Config, i int, s Spec) error {
	for _, n := range []int{s.NHead, s.KDim, s.VDim} {
		if n < 0 || n > maxDim {
			return fmt.Errorf("want sizes from 0 to %d, found %d heads of %d and %d", maxDim, s.NHead, s.KDim, s.VDim)
		}
	}
	if s.Window < 0 || s.State < 0 || s.State > maxState || p.states > maxPage/4-s.State {
		return fmt.Errorf("want a window of at least 0 and a state from 0 to %d, found %d and %d", maxState, s.Window, s.State)
	}
	l := layout{heads: s.NHead, state: p.states, stateLen: s.State}
	p.states += s.State
	if s.NHead == 0 {
		p.layers[i] = l
		return nil
	}
	l.group = p.group(s.Window)
	g := &p.groups[l.group]
	var err error
	if l.kRow, err = c.KType.RowBytes(s.KDim); err != nil {
		return err
	}
	if l.vRow, err = c.VType.RowBytes(s.VDim); err != nil {
		return err
	}
	l.kHead, l.vHead = PageLen*l.kRow, PageLen*l.vRow
	l.head = l.kHead + l.vHead
	if l.head > 0 && s.NHead > (maxPage-p.rows)/l.head {
		return fmt.Errorf("%d heads of %d and %d are more than memory can address", s.NHead, s.KDim, s.VDim)
	}
	l.k, l.v = g.size, g.size+l.kHead
	g.size += s.NHead * l.head
	p.rows += s.NHead * l.head
	p.layers[i] = l
	return nil
}

// group is the number of the group of a window, which it makes if it is the first.
func (p *plan) group(window int) int {
	for i, g := range p.groups {
		if g.window == window {
			return i
		}
	}
	p.groups = append(p.groups, group{window: window})
	return len(p.groups) - 1
}
