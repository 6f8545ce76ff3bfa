package prefix

import (
	"container/list"
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/kv"
)

// Store is what the cache asks of a [kv.Store].
type Store interface {
	// Len is the number of positions of a sequence.
	Len(kv.Seq) int
	// ReusableLen is the reusable length up to n, the greatest at which the sequence can be forked.
	ReusableLen(q kv.Seq, n int) int
	// Drop ends a sequence.
	Drop(kv.Seq)
}

// Cache is the sequences of ended requests, by their keys and tokens.
type Cache struct {
	store Store
	max   int              // positions
	roots map[string]*node // trees that have entries, by key
	used  list.List        // entries, the most recently used first
	stats Stats
}

// entry is a sequence of the cache, which nobody changes while it is there.
type entry struct {
	key    string
	tokens []int32 // one for each position
	seq    kv.Seq
	from   int // the sequence can be forked at every length from here to its end
	node   *node
	points []point // where else it can be forked
	used   *list.Element
}

// Stats are the counts of a cache.
type Stats struct {
	Entries   int   // sequences kept
	Positions int   // positions of all of them
	Lookups   int64 // calls of Lookup
	Hits      int64 // those that found something
	Reused    int64 // positions found by all lookups
	Evictions int64 // entries dropped by Evict, and by Insert for the bound
}

// New makes a cache of at most so many positions, those of all entries together, although their
// sequences may share pages. If it is less than 1, nothing is kept.
func New(s Store, maxPositions int) *Cache {
	return &Cache{store: s, max: maxPositions, roots: map[string]*node{}}
}

// Lookup finds the sequence of a key that can be forked at the greatest length n at which its
// tokens are the first n of tokens; n is 0 if there is none. It marks the entry as used. The
// sequence stays the cache's: the caller forks it before the next call.
func (c *Cache) Lookup(key string, tokens []int32) (seq kv.Seq, n int) {
	c.stats.Lookups++
	e, n := c.find(key, tokens)
	if n == 0 {
		return 0, 0
	}
	c.stats.Hits++
	c.stats.Reused += int64(n)
	c.used.MoveToFront(e.used)
	return e.seq, n
}

// find is the entry that can be reused furthest, and how far.
func (c *Cache) find(key string, tokens []int32) (*entry, int) {
	if root := c.roots[key]; root != nil {
		return root.find(tokens)
	}
	return nil, 0
}

// Insert hands a sequence over to the cache: the caller uses it no more. tokens are those of its
// positions, of which there are as many, and are copied. Entries that can do no more than the new
// one, prefixes of it at whose length it can be forked too, are dropped, and so is seq itself if an
// entry makes it redundant. Then the least recently used entries go until the bound holds; a
// sequence that is beyond the bound by itself is dropped at once.
func (c *Cache) Insert(key string, tokens []int32, seq kv.Seq) {
	if n := c.store.Len(seq); n != len(tokens) {
		panic(fmt.Sprintf("prefix: %d tokens for sequence %d, which has %d positions", len(tokens), seq, n))
	}
	if len(tokens) == 0 || len(tokens) > c.max {
		c.store.Drop(seq)
		return
	}
	if e, n := c.find(key, tokens); n == len(tokens) {
		c.used.MoveToFront(e.used)
		c.store.Drop(seq)
		return
	}
	for _, e := range c.redundant(key, tokens, seq) {
		c.remove(e)
	}
	for c.stats.Positions > c.max-len(tokens) {
		c.Evict()
	}
	c.add(&entry{key: key, tokens: slices.Clone(tokens), seq: seq})
}

// redundant lists the entries that are prefixes of a sequence and that it can replace.
func (c *Cache) redundant(key string, tokens []int32, seq kv.Seq) []*entry {
	var found []*entry
	if root := c.roots[key]; root != nil {
		for _, e := range root.ends(tokens) {
			if n := len(e.tokens); c.store.ReusableLen(seq, n) == n {
				found = append(found, e)
			}
		}
	}
	return found
}

// add puts an entry into the tree of its key, and into its tree the lengths at which it can be
// forked.
func (c *Cache) add(e *entry) {
	root := c.roots[e.key]
	if root == nil {
		root = &node{}
		c.roots[e.key] = root
	}
	n := len(e.tokens)
	for e.from = n; e.from > 0 && c.store.ReusableLen(e.seq, e.from-1) == e.from-1; e.from-- {
	}
	e.node = root.at(e, n)
	e.node.entry = e
	e.node.update()
	for at := e.from; at > 0; {
		if at = c.store.ReusableLen(e.seq, at-1); at > 0 {
			p := root.at(e, at)
			e.points = append(e.points, point{p, p.points.PushFront(e)})
		}
	}
	e.used = c.used.PushFront(e)
	c.stats.Entries++
	c.stats.Positions += n
}

// remove takes an entry out and drops its sequence.
func (c *Cache) remove(e *entry) {
	for _, p := range e.points {
		p.node.points.Remove(p.element)
	}
	e.node.unlink(e).collapse()
	for _, p := range e.points {
		p.node.collapse()
	}
	if len(c.roots[e.key].order) == 0 {
		delete(c.roots, e.key)
	}
	c.used.Remove(e.used)
	c.stats.Entries--
	c.stats.Positions -= len(e.tokens)
	c.store.Drop(e.seq)
}

// Evict drops the least recently used entry, and reports whether there was one.
func (c *Cache) Evict() bool {
	last := c.used.Back()
	if last == nil {
		return false
	}
	c.remove(last.Value.(*entry))
	c.stats.Evictions++
	return true
}

// Clear drops all entries. They do not count as evictions.
func (c *Cache) Clear() {
	for last := c.used.Back(); last != nil; last = c.used.Back() {
		c.remove(last.Value.(*entry))
	}
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats { return c.stats }
