package prefix

import "github.com/goinfer/goinfer/kv"

type Store interface {
	Len(kv.Seq) int
	Reach(kv.Seq, int) int
	Drop(kv.Seq)
}
type ent struct {
	key    string
	tokens []int32
	seq    kv.Seq
}
type Cache struct {
	s   Store
	max int
	es  []ent
}
type Stats struct{ Entries int }

func New(s Store, n int) *Cache { return &Cache{s: s, max: n} }
func (c *Cache) Lookup(key string, tokens []int32) (kv.Seq, int) {
	var seq kv.Seq
	best := 0
	for _, e := range c.es {
		n := 0
		for n < len(tokens) && n < len(e.tokens) && tokens[n] == e.tokens[n] {
			n++
		}
		if n = c.s.Reach(e.seq, n); e.key == key && n > best {
			best, seq = n, e.seq
		}
	}
	return seq, best
}
func (c *Cache) Insert(key string, tokens []int32, seq kv.Seq) {
	c.es = append(c.es, ent{key, append([]int32(nil), tokens...), seq})
	n := 0
	for _, e := range c.es {
		n += len(e.tokens)
	}
	for n > c.max {
		n -= len(c.es[0].tokens)
		c.Evict()
	}
}
func (c *Cache) Evict() bool {
	if len(c.es) == 0 {
		return false
	}
	c.s.Drop(c.es[0].seq)
	c.es = c.es[1:]
	return true
}
func (c *Cache) Clear() {
	for c.Evict() {
	}
}
func (c *Cache) Stats() Stats { return Stats{len(c.es)} }
