package sample

import "math/bits"

// Bitset is a set of token ids: id is in it if bit id%64 of word id/64 is set.
type Bitset []uint64

// NewBitset returns an empty set for ids below n.
func NewBitset(n int) Bitset { return make(Bitset, (n+63)/64) }

// Has reports whether id is in the set. An id outside of its range is not.
func (b Bitset) Has(id int32) bool {
	return id >= 0 && int(id)/64 < len(b) && b[id/64]>>(uint(id)%64)&1 != 0
}

// Add puts id into the set.
func (b Bitset) Add(id int32) { b[id/64] |= 1 << (uint(id) % 64) }

// Remove takes id out of the set.
func (b Bitset) Remove(id int32) { b[id/64] &^= 1 << (uint(id) % 64) }

// Clear empties the set.
func (b Bitset) Clear() { clear(b) }

// Count returns the number of ids in the set.
func (b Bitset) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Only returns the single id of a set that has exactly one.
func (b Bitset) Only() (id int32, ok bool) {
	id = -1
	for i, w := range b {
		if w == 0 {
			continue
		}
		if id >= 0 || w&(w-1) != 0 {
			return -1, false
		}
		id = int32(64*i + bits.TrailingZeros64(w))
	}
	return id, id >= 0
}

// A Grammar is a compiled constraint on what is generated. It never changes and may be shared by
// goroutines and requests.
type Grammar interface {
	// NewMatcher returns the state before the first generated token.
	NewMatcher() Matcher
}

// A Matcher is the state of one sequence under a [Grammar]. It sees generated tokens alone, never
// the prompt. End-of-generation tokens are not its concern: the sampler allows them exactly where
// Done. It is for one goroutine at a time.
type Matcher interface {
	// Mask makes allowed the set of ids that may come next: it sets their bits and clears all
	// others. The set may be empty only where Done. Mask does not change the state.
	Mask(allowed Bitset)
	// Accept moves on by a generated token. An id that Mask does not allow is an error, and leaves
	// the state as it was. End-of-generation tokens are never passed.
	Accept(id int32) error
	// Clone returns a copy with a state of its own.
	Clone() Matcher
	// Done reports whether what was accepted is complete, so that generation may end here.
	Done() bool
}

// each calls f for the ids of the set, in ascending order.
func (b Bitset) each(f func(id int32)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			f(int32(64*i + bits.TrailingZeros64(w)))
		}
	}
}
