package sample

import (
	"math"
	"slices"
)

// history is the last tokens of a sequence, in order.
type history struct {
	limit int // -1: all
	buf   []int32
}

// window returns what is remembered, the latest last.
func (h *history) window() []int32 {
	if h.limit >= 0 && len(h.buf) > h.limit {
		return h.buf[len(h.buf)-h.limit:]
	}
	return h.buf
}

// push remembers id. The window slides along the buffer and back to its beginning when the buffer
// is full, which costs one copy per token.
func (h *history) push(id int32) {
	if h.limit >= 0 && len(h.buf)-h.limit >= h.limit {
		h.buf = h.buf[:copy(h.buf, h.window())]
	}
	h.buf = append(h.buf, id)
}

func (h history) clone() history { return history{h.limit, slices.Clone(h.buf)} }

// tally counts tokens: a hash table with open addressing, which unlike a map allocates nothing as
// tokens come and go.
type tally struct {
	slots []slot // a power of two; at most half are used
	used  int
}

type slot struct {
	id, n int32 // n is 0 in a free slot
}

// home is where id is looked for first; slots is not empty.
func (t *tally) home(id int32) int { return int(mix(uint64(id)) & uint64(len(t.slots)-1)) }

// at returns the slot of id, or the free one where it would be.
func (t *tally) at(id int32) int {
	i := t.home(id)
	for t.slots[i].n != 0 && t.slots[i].id != id {
		i = (i + 1) & (len(t.slots) - 1)
	}
	return i
}

func (t *tally) get(id int32) int32 {
	if t.used == 0 {
		return 0
	}
	return t.slots[t.at(id)].n
}

// set makes the count of id n.
func (t *tally) set(id, n int32) {
	if 2*(t.used+1) > len(t.slots) {
		t.grow()
	}
	i := t.at(id)
	switch was := t.slots[i].n; {
	case was == 0 && n != 0:
		t.used++
	case was != 0 && n == 0:
		t.used--
		t.remove(i)
		return
	}
	t.slots[i] = slot{id, n}
}

// remove frees slot i and moves up what follows it, so that no search ends early.
func (t *tally) remove(i int) {
	mask := len(t.slots) - 1
	for j := (i + 1) & mask; t.slots[j].n != 0; j = (j + 1) & mask {
		if (j-t.home(t.slots[j].id))&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}

func (t *tally) grow() {
	old := t.slots
	t.slots = make([]slot, max(16, 2*len(old)))
	for _, s := range old {
		if s.n != 0 {
			t.slots[t.at(s.id)] = s
		}
	}
}

func (t *tally) clear() {
	clear(t.slots)
	t.used = 0
}

func (t tally) clone() tally { return tally{slices.Clone(t.slots), t.used} }

// adjuster says what becomes of the logit of a token that has been counted n times.
type adjuster interface {
	adjust(logit float64, n int32) float64
}

// adjust has a change every candidate that t counts.
func (c *candidates) adjust(t *tally, a adjuster) {
	c.sorted = false
	if !c.byID {
		for i := range c.list {
			x := &c.list[i]
			if n := t.get(x.ID); n != 0 {
				x.Logit = clamp(a.adjust(float64(x.Logit), n))
			}
		}
		return
	}
	for _, s := range t.slots {
		if s.n == 0 {
			continue
		}
		if i := c.find(s.id); i >= 0 {
			x := &c.list[i]
			x.Logit = clamp(a.adjust(float64(x.Logit), s.n))
		}
	}
}

// clamp makes x a finite float32: a penalty may drive a token far out, but not out of the running.
func clamp(x float64) float32 { return float32(min(max(x, -math.MaxFloat32), math.MaxFloat32)) }
