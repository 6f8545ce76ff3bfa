package kv

import "math"

// page holds PageLen positions of every layer.
type page struct {
	data []byte
	refs int // sequences that have it in their table
}

// keepBytes bounds the memory that a pool keeps for reuse when nobody needs it.
const keepBytes = 64 << 20

// pool gives out pages of one size and takes them back.
type pool struct {
	size int     // bytes of a page
	max  int     // pages that may exist
	used int     // pages that sequences hold
	free []*page // pages kept for reuse; their contents are stale
	keep int     // the most that free may hold
}

func newPool(size int, maxBytes int64) pool {
	p := pool{size: size, max: math.MaxInt, keep: max(1, keepBytes/max(size, 1))}
	if maxBytes > 0 && size > 0 {
		p.max = int(min(maxBytes/int64(size), math.MaxInt))
	}
	return p
}

// room is the number of pages that get can still give.
func (p *pool) room() int { return p.max - p.used }

// get returns a page with one reference and undefined contents. The caller has asked for room.
func (p *pool) get() *page {
	p.used++
	if n := len(p.free); n > 0 {
		g := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		g.refs = 1
		return g
	}
	return &page{data: make([]byte, p.size), refs: 1}
}

// put gives up one reference.
func (p *pool) put(g *page) {
	g.refs--
	if g.refs > 0 {
		return
	}
	p.used--
	if len(p.free) < p.keep {
		p.free = append(p.free, g)
	}
}

func (p *pool) trim() { p.free = nil }
