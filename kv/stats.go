package kv

import "math"

// PageBytes is the size of PageLen positions in all layers, in bytes.
func (s *Store) PageBytes() int64 { return int64(s.rows) }

// TokenBytes is what a position takes in the layers that remember all of them, in bytes.
func (s *Store) TokenBytes() int64 {
	n := 0
	for _, g := range s.groups {
		if g.window == 0 {
			n += g.size
		}
	}
	return int64(n / PageLen)
}

// ReadBytes is what a token reads that n positions precede: what its layers hold of these, windows
// no more than they see, and states.
func (s *Store) ReadBytes(n int) int64 {
	read := s.StateBytes()
	for _, g := range s.groups {
		seen := n
		if g.window > 0 {
			seen = min(n, g.window)
		}
		read += int64(seen) * int64(g.size/PageLen)
	}
	return read
}

// StateBytes is the size of what a sequence carries from position to position in all layers, in
// bytes. A sequence has it once at rest, once more while it grows for each length that may be
// committed, and once for each checkpoint.
func (s *Store) StateBytes() int64 { return 4 * int64(s.states) }

// Need is the most bytes that a sequence takes, checkpoints included, which grows to n positions by
// at most batch at a time. Tentative positions take StateBytes more each; see [Store.Cost]. So
// does a mark until it is committed, but it is left out where there is no room.
func (s *Store) Need(n, batch int) int64 {
	marks := 0
	if s.partial() {
		marks = s.config.Checkpoints
	}
	need := float64(s.StateBytes()) * float64(2+marks)
	for _, g := range s.groups {
		pages := pagesFor(n)
		if g.window > 0 {
			window := min(n, g.window)
			// A window may begin and end within a page.
			pages = min(pages, pagesFor(window)+pagesFor(min(batch, n))+1) + marks*(pagesFor(window)+1)
		}
		need += float64(pages) * float64(g.size)
	}
	if need > math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(need)
}

// Pages is the number of pages, and of states, that sequences hold; a shared one counts once.
func (s *Store) Pages() int {
	n := 0
	for _, p := range s.memory.pools {
		n += p.used
	}
	return n
}

// Used is what sequences hold, in bytes; a shared page counts once.
func (s *Store) Used() int64 { return s.memory.used }

// Room is what sequences can still take, in bytes. Without a limit it is more than any machine has.
func (s *Store) Room() int64 { return s.memory.room() }

// Bytes is the memory that the store holds, in bytes: what is used, and spare pages and states that
// are kept to be given out again, at most 64 MiB of each kind (or one).
func (s *Store) Bytes() int64 { return s.memory.used + s.memory.spare }
