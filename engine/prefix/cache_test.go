package prefix

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/kv"
)

// fakeStore has sequences that can be forked at 0, at their end, and at any lengths besides.
type fakeStore struct {
	lengths map[kv.Seq][]int // ascending, the end last
	next    kv.Seq
}

func (s *fakeStore) open(lengths ...int) kv.Seq {
	if s.lengths == nil {
		s.lengths = map[kv.Seq][]int{}
	}
	s.next++
	s.lengths[s.next] = lengths
	return s.next
}

func (s *fakeStore) Len(q kv.Seq) int {
	l := s.lengths[q]
	return l[len(l)-1]
}

func (s *fakeStore) ReusableLen(q kv.Seq, n int) int {
	i, found := slices.BinarySearch(s.lengths[q], n)
	switch {
	case found:
		return n
	case i == 0:
		return 0
	}
	return s.lengths[q][i-1]
}

func (s *fakeStore) Drop(q kv.Seq) {
	if _, open := s.lengths[q]; !open {
		panic(fmt.Sprintf("sequence %d is not open", q))
	}
	delete(s.lengths, q)
}

// scan is what Lookup should find, by looking at every entry.
func (c *Cache) scan(key string, tokens []int32) int {
	most := 0
	for x := c.used.Front(); x != nil; x = x.Next() {
		if e := x.Value.(*entry); e.key == key {
			most = max(most, c.store.ReusableLen(e.seq, Common(e.tokens, tokens)))
		}
	}
	return most
}

// verify requires that the tree is what its entries make it: no node without a reason, each where
// its tokens lead, with the best below it.
func (c *Cache) verify(t *testing.T) {
	t.Helper()
	entries, positions, points, ends := 0, 0, 0, 0
	for x := c.used.Front(); x != nil; x = x.Next() {
		e := x.Value.(*entry)
		entries++
		positions += len(e.tokens)
		points -= len(e.points)
		require.Same(t, e, e.node.entry)
		require.Equal(t, len(e.tokens), e.node.depth)
		require.Equal(t, len(e.tokens), c.store.Len(e.seq))
	}
	require.Equal(t, entries, c.stats.Entries)
	require.Equal(t, positions, c.stats.Positions)
	require.LessOrEqual(t, positions, max(0, c.max))
	for key, root := range c.roots {
		var visit func(n *node, path []int32) int
		visit = func(n *node, path []int32) int {
			require.Len(t, path, n.depth)
			require.Equal(t, len(n.children), len(n.order))
			best := 1 << 60
			if n.entry != nil {
				ends++
				require.True(t, slices.Equal(path, n.entry.tokens))
				require.Equal(t, key, n.entry.key)
				best = n.entry.from
			}
			for token, child := range n.children {
				require.Same(t, n, child.parent)
				require.Same(t, child, n.order[child.slot])
				edge := child.best.tokens[n.depth:child.depth]
				require.Equal(t, token, edge[0])
				best = min(best, visit(child, slices.Concat(path, edge)))
			}
			for i := range n.order {
				require.LessOrEqual(t, n.order[0].best.from, n.order[i].best.from)
			}
			points += n.points.Len()
			require.True(t, n.parent == nil || n.entry != nil || n.points.Len() > 0 || len(n.order) > 1, "a node of no use")
			require.Equal(t, best, n.best.from)
			return best
		}
		visit(root, nil)
	}
	require.Zero(t, points)
	require.Equal(t, entries, ends)
}

// tokensOf are tokens that often agree with others for a while.
func tokensOf(rng *rand.Rand, n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = 7
		if rng.IntN(8) == 0 {
			tokens[i] = rng.Int32N(3)
		}
	}
	return tokens
}

// TestCacheModel compares lookups with a scan of all entries, for sequences that can be forked
// anywhere, at their ends alone, and at random lengths.
func TestCacheModel(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(5, seed))
		s := &fakeStore{}
		c := New(s, 40*rng.IntN(30))
		for i := range 500 {
			key := []string{"", "adapter"}[rng.IntN(2)]
			tokens := tokensOf(rng, rng.IntN(60))
			// what goes on from an entry, or ends within it
			if x := c.used.Back(); x != nil && rng.IntN(2) == 0 {
				e := x.Value.(*entry)
				tokens = slices.Concat(e.tokens[:rng.IntN(len(e.tokens)+1)], tokens[:rng.IntN(len(tokens)+1)])
			}
			switch rng.IntN(8) {
			case 0:
				require.Equal(t, c.stats.Entries > 0, c.Evict())
			case 1, 2, 3, 4:
				var lengths []int
				density := []int{1, 4, 1 << 30}[rng.IntN(3)]
				for n := 1; n < len(tokens); n++ {
					if rng.IntN(density) == 0 {
						lengths = append(lengths, n)
					}
				}
				c.Insert(key, tokens, s.open(append(lengths, len(tokens))...))
				clear(tokens) // they are copied
			default:
				want := c.scan(key, tokens)
				q, n := c.Lookup(key, tokens)
				require.Equal(t, want, n)
				if n > 0 {
					e := c.used.Front().Value.(*entry)
					require.Equal(t, q, e.seq, "it is marked used")
					require.Equal(t, tokens[:n], e.tokens[:n])
					require.Equal(t, key, e.key)
					require.Equal(t, n, s.ReusableLen(q, n))
				}
			}
			require.True(t, len(s.lengths) == c.stats.Entries, "every sequence is in the cache or dropped")
			if i%5 == 0 {
				c.verify(t)
			}
		}
		c.Clear()
		c.verify(t)
		require.Empty(t, s.lengths)
		require.Empty(t, c.roots)
	}
}

// TestCacheOfStore does the same over a store, with every kind of layer.
func TestCacheOfStore(t *testing.T) {
	for name, layers := range map[string][]kv.Spec{
		"full":      {kv.Full(1, 1)},
		"window":    {kv.Windowed(1, 1, 9), kv.Full(1, 1)},
		"recurrent": {kv.Recurrent(1)},
		"hybrid":    {kv.Windowed(1, 1, 9), kv.Recurrent(1), kv.Latent(1)},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(6, uint64(len(layers))))
			s, err := kv.New(kv.Config{Layers: layers})
			require.NoError(t, err)
			c := New(s, 6000)
			shorter := 0
			for i := range 300 {
				tokens := tokensOf(rng, 1+rng.IntN(400))
				want := c.scan("", tokens)
				from, n := c.Lookup("", tokens)
				require.Equal(t, want, n)
				longest := 0
				for x := c.used.Front(); x != nil; x = x.Next() {
					longest = max(longest, Common(x.Value.(*entry).tokens, tokens))
				}
				if n < longest {
					shorter++
				}
				q := s.Open()
				if n > 0 {
					s.Drop(q)
					q = s.Fork(from, n)
				}
				require.Equal(t, n, s.Len(q))
				require.NoError(t, s.Reserve(q, len(tokens)-n))
				for at := n + 1; at < len(tokens); at += 1 + rng.IntN(100) {
					s.Checkpoint(q, at)
				}
				s.Commit(q, len(tokens)-n)
				c.Insert("", tokens, q)
				if i%10 == 0 {
					c.verify(t)
				}
			}
			require.Equal(t, name != "full", shorter > 0, "lookups that found less than what agrees")
			require.Greater(t, c.Stats().Hits, int64(100))
			require.NotZero(t, c.Stats().Evictions)
			c.Clear()
			require.Zero(t, s.Pages())
		})
	}
}

func TestCache(t *testing.T) {
	s := &fakeStore{}
	all := func(n int) []int {
		lengths := make([]int, n)
		for i := range lengths {
			lengths[i] = i + 1
		}
		return lengths
	}
	lookup := func(c *Cache, key string, tokens ...int32) [2]int {
		q, n := c.Lookup(key, tokens)
		return [2]int{int(q), n}
	}
	c := New(s, 10)
	require.Equal(t, [2]int{0, 0}, lookup(c, "", 1, 2, 3))
	a := s.open(all(3)...)
	c.Insert("", []int32{1, 2, 3}, a)
	require.Equal(t, [2]int{int(a), 2}, lookup(c, "", 1, 2, 9))
	require.Equal(t, [2]int{int(a), 3}, lookup(c, "", 1, 2, 3, 4))
	require.Equal(t, [2]int{0, 0}, lookup(c, "other", 1, 2, 3))
	require.Equal(t, [2]int{0, 0}, lookup(c, "", 2))
	require.Equal(t, [2]int{0, 0}, lookup(c, ""))

	// What goes on from an entry replaces it where it can be forked there.
	b := s.open(all(4)...)
	c.Insert("", []int32{1, 2, 3, 4}, b)
	require.NotContains(t, s.lengths, a)
	d := s.open(5) // at its end alone
	c.Insert("", []int32{1, 2, 3, 4, 5}, d)
	require.Contains(t, s.lengths, b)
	require.Equal(t, [2]int{int(b), 4}, lookup(c, "", 1, 2, 3, 4, 6))
	require.Equal(t, [2]int{int(d), 5}, lookup(c, "", 1, 2, 3, 4, 5, 6))

	// What an entry can do already is not kept, and counts as a use of the entry.
	c.Insert("", []int32{1, 2}, s.open(all(2)...))
	require.Len(t, s.lengths, 2)
	c.Insert("", []int32{1, 2, 3, 4, 5}, s.open(all(5)...))
	require.Len(t, s.lengths, 2)

	// The bound: the entry used longest ago goes, and what is too long does not come.
	require.Equal(t, Stats{Entries: 2, Positions: 9, Lookups: 8, Hits: 4, Reused: 14}, c.Stats())
	c.Insert("", make([]int32, 11), s.open(11))
	require.Len(t, s.lengths, 2)
	e := s.open(2)
	c.Insert("other", []int32{1, 2}, e)
	require.NotContains(t, s.lengths, b)
	require.Equal(t, int64(1), c.Stats().Evictions)
	require.Equal(t, [2]int{0, 0}, lookup(c, "other", 1, 3))
	require.Equal(t, [2]int{int(d), 5}, lookup(c, "", 1, 2, 3, 4, 5))
	require.True(t, c.Evict())
	require.NotContains(t, s.lengths, e)
	require.True(t, c.Evict())
	require.False(t, c.Evict())
	require.Empty(t, s.lengths)

	none := New(s, 0)
	none.Insert("", []int32{1}, s.open(1))
	none.Insert("", nil, s.open(0))
	require.Empty(t, s.lengths)
	q := s.open(2)
	require.PanicsWithValue(t, fmt.Sprintf("prefix: 1 tokens for sequence %d, which has 2 positions", q), func() { c.Insert("", []int32{1}, q) })
}

// TestCacheManyEntries inserts and evicts many entries of shapes that are bad for trees, and one of
// 100000 tokens.
func TestCacheManyEntries(t *testing.T) {
	const size = 100000
	n := 20000
	if os.Getenv("GOINFER_LONG") != "" {
		n = 100000
	}
	for name, tokens := range map[string]func(i int) []int32{
		"children of the root": func(i int) []int32 { return []int32{int32(i), 1, 2} },
		"a common beginning":   func(i int) []int32 { return append(make([]int32, 40, 42), int32(i), 1) },
		"a comb": func(i int) []int32 {
			x := make([]int32, 1+i*7919%300)
			x[len(x)-1] = int32(i)
			return x
		},
		"one by one": func(i int) []int32 { return make([]int32, 1+i%50) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &fakeStore{}
			c := New(s, 2*size)
			long := make([]int32, size)
			for i := range long {
				long[i] = int32(i % 100)
			}
			for i := range n {
				x := tokens(i)
				c.Insert("", x, s.open(len(x)/2+1, len(x)))
				c.Lookup("", x)
				if i == n/2 {
					c.Insert("", long, s.open(size/3, size))
				}
			}
			require.LessOrEqual(t, c.Stats().Positions, 2*size)
			c.verify(t)
			c.Clear()
			require.Empty(t, c.roots)
			require.Empty(t, s.lengths)
		})
	}
}

// TestCacheMemory: a long entry that has gone is not kept in memory by what it shared.
func TestCacheMemory(t *testing.T) {
	s := &fakeStore{}
	c := New(s, 1<<20)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range int32(300) { // each shares two tokens with one that stays
		c.Insert("", []int32{i, 1, 2}, s.open(3))
		long := make([]int32, 100000)
		long[0], long[1] = i, 1
		c.Insert("", long, s.open(100000))
	}
	for c.Stats().Positions > 1000 {
		x := c.used.Front()
		for len(x.Value.(*entry).tokens) < 1000 {
			x = x.Next()
		}
		c.remove(x.Value.(*entry))
	}
	c.verify(t)
	require.Less(t, heap(), before+1<<20)
}

func BenchmarkCache(b *testing.B) {
	for _, entries := range []int{10, 10000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			s := &fakeStore{}
			c := New(s, 1<<40)
			tokens := make([]int32, 1000)
			for i := range entries {
				tokens[500] = int32(i)
				c.Insert("", tokens, s.open(501, 1000))
			}
			for b.Loop() {
				tokens[500] = int32(b.N % entries)
				c.Lookup("", tokens)
			}
		})
	}
}
