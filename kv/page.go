package kv

import (
	"math"
	"unsafe"
)

// page holds PageLen positions of the layers of a group, or the states of a sequence at one length.
type page struct {
	data []byte
	refs int // tables and checkpoints that have it
}

// floats is the data of a page of states.
func (g *page) floats() []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(g.data))), len(g.data)/4)
}

// keepBytes bounds the memory that a pool keeps for reuse when nobody needs it.
const keepBytes = 64 << 20

// pool gives out pages of one size and takes them back.
type pool struct {
	size int     // bytes of a page
	used int     // pages that sequences hold
	free []*page // pages kept for reuse; their contents are stale
}

// memory is the pools of a store, which share its limit: one for each group, and one for states.
type memory struct {
	pools []pool
	max   int64 // bytes
	used  int64 // bytes that sequences hold
	spare int64 // bytes kept for reuse
}

func newMemory(p plan, maxBytes int64) memory {
	m := memory{pools: make([]pool, len(p.groups)+1), max: maxBytes}
	if maxBytes == 0 {
		m.max = math.MaxInt64 - 1 // less than what is beyond counting
	}
	for i, g := range p.groups {
		m.pools[i].size = g.size
	}
	m.pools[len(p.groups)].size = 4 * p.states
	return m
}

// room is the number of bytes that get can still give out.
func (m *memory) room() int64 { return m.max - m.used }

// get returns a page of pool i with one reference and undefined contents. The caller has asked for
// room.
func (m *memory) get(i int) *page {
	p := &m.pools[i]
	p.used++
	m.used += int64(p.size)
	if n := len(p.free); n > 0 {
		g := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		m.spare -= int64(p.size)
		g.refs = 1
		return g
	}
	if m.spare > m.max-m.used { // another pool has what is needed
		m.trim()
	}
	data := make([]float32, (p.size+3)/4) // whose address suits floats
	return &page{data: unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), p.size), refs: 1}
}

// put gives up one reference to a page of pool i.
func (m *memory) put(i int, g *page) {
	g.refs--
	if g.refs > 0 {
		return
	}
	p := &m.pools[i]
	p.used--
	m.used -= int64(p.size)
	if len(p.free) < max(1, keepBytes/max(p.size, 1)) {
		p.free = append(p.free, g)
		m.spare += int64(p.size)
	}
}

// trim gives up what is kept for reuse.
func (m *memory) trim() {
	for i := range m.pools {
		m.pools[i].free = nil
	}
	m.spare = 0
}
