package kv

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// hybrid has a layer of every kind, and one with keys and a state.
var hybrid = []Spec{Recurrent(3), Full(2, 4), Windowed(1, 6, 70), Latent(4), {NHead: 1, KDim: 2, VDim: 2, State: 2}, Windowed(1, 2, 5)}

// mixed has layers of different shapes, one that keeps nothing and one that keeps no values.
var mixed = []Spec{Full(2, 4), {}, {NHead: 1, KDim: 6, VDim: 0}, {NHead: 3, KDim: 2, VDim: 5}}

func newStore(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := New(c)
	require.NoError(t, err)
	return s
}

// rowByte is what the tests write into the rows of a position: stamp identifies the writer.
func rowByte(stamp uint32, layer, head, i int) byte {
	x := stamp*2654435761 + uint32(layer*7919+head*104729+i*31)
	return byte(x ^ x>>11 ^ x>>23)
}

// write fills the rows of a reserved position.
func write(s *Store, q Seq, pos int, stamp uint32) {
	for l, spec := range s.config.Layers {
		for h := range spec.NHead {
			for i, row := 0, s.KRow(q, l, h, pos); i < len(row); i++ {
				row[i] = rowByte(stamp, l, h, i)
			}
			for i, row := 0, s.VRow(q, l, h, pos); i < len(row); i++ {
				row[i] = rowByte(^stamp, l, h, i)
			}
		}
	}
}

// check requires that the committed positions of q carry the stamps, read as attention reads them.
func check(t testing.TB, s *Store, q Seq, stamps []uint32) {
	t.Helper()
	require.Equal(t, len(stamps), s.Len(q))
	same := true
	for l, spec := range s.config.Layers {
		kRow, vRow := s.KType().RowBytes(spec.KDim), s.VType().RowBytes(spec.VDim)
		for h := range spec.NHead {
			for pos, stamp := range stamps {
				if spec.Window > 0 && pos < len(stamps)+1-spec.Window {
					continue // no query sees it any more
				}
				k := s.K(q, l, h, pos/PageLen)
				v := s.V(q, l, h, pos/PageLen)
				same = same && len(k) == PageLen*kRow && len(v) == PageLen*vRow
				at := pos % PageLen
				for i, b := range k[at*kRow : (at+1)*kRow] {
					same = same && b == rowByte(stamp, l, h, i)
				}
				for i, b := range v[at*vRow : (at+1)*vRow] {
					same = same && b == rowByte(^stamp, l, h, i)
				}
			}
		}
	}
	require.True(t, same, "sequence %d lost what was written", q)
	for l, spec := range s.config.Layers {
		if len(stamps) == 0 || spec.State == 0 {
			require.Empty(t, s.State(q, l))
			continue
		}
		want := make([]float32, spec.State)
		stateAfter(want, l, stamps)
		require.Equal(t, want, s.State(q, l), "the state of layer %d of sequence %d after %d positions", l, q, len(stamps))
	}
}

// stateAfter is what the tests take for the state of a layer after positions with the stamps.
func stateAfter(state []float32, layer int, stamps []uint32) {
	sum := uint32(layer)
	for _, x := range stamps {
		sum = sum*31 + x
	}
	for i := range state {
		state[i] = float32(sum>>8) + float32(i)
	}
}

// writeStates writes the states that are wanted of q, whose stamps, reserved ones included, are
// given.
func writeStates(s *Store, q Seq, stamps []uint32) {
	for l := range s.Layers() {
		for i := range s.NewStates(q) {
			n, state := s.NewState(q, l, i)
			stateAfter(state, l, stamps[:n])
		}
	}
}

// fill appends positions to q; in a store with states, to an empty one.
func fill(t testing.TB, s *Store, q Seq, stamps ...uint32) {
	t.Helper()
	grow(t, s, q, nil, stamps...)
}

// grow appends positions to q, whose positions so far have the stamps before, and returns the
// stamps of all.
func grow(t testing.TB, s *Store, q Seq, before []uint32, stamps ...uint32) []uint32 {
	t.Helper()
	return growMarking(t, s, q, before, stamps, nil)
}

// growMarking is grow that marks lengths on the way.
func growMarking(t testing.TB, s *Store, q Seq, before, stamps []uint32, marks []int) []uint32 {
	t.Helper()
	require.NoError(t, s.Reserve(q, len(stamps)))
	for i, stamp := range stamps {
		write(s, q, s.Len(q)+i, stamp)
	}
	for _, n := range marks {
		s.Checkpoint(q, n)
	}
	all := slices.Concat(before, stamps)
	if s.states > 0 {
		writeStates(s, q, all)
	}
	s.Commit(q, len(stamps))
	return all
}

// cutBack replaces q by a fork at n, or at what can be reused of that.
func cutBack(s *Store, q Seq, n int) Seq {
	f := s.Fork(q, n)
	s.Drop(q)
	return f
}

// spare is the number of pages and states that are kept to be given out again.
func spare(s *Store) int {
	n := 0
	for _, p := range s.memory.pools {
		n += len(p.free)
	}
	return n
}

// stamps is n different ones from first on.
func stamps(first uint32, n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = first + uint32(i)
	}
	return out
}

// invariants requires that references, tables, checkpoints and the counts of pages and bytes agree.
func invariants(t testing.TB, s *Store) {
	t.Helper()
	refs, pools := map[*page]int{}, map[*page]int{}
	count := func(pool int, g *page) {
		if g != nil {
			refs[g]++
			pools[g] = pool
		}
	}
	checkpoints := map[*checkpoint]int{}
	for q := range s.seqs {
		e := &s.seqs[q]
		for i, tab := range e.tables {
			require.Len(t, tab.pages, pagesFor(e.size+e.reserved), "sequence %d has the pages it needs", q)
			require.Equal(t, s.groups[i].since(e.size)/PageLen, tab.first, "sequence %d has no page that nobody sees", q)
			for k, g := range tab.pages {
				if k < tab.first != (g == nil) {
					require.Failf(t, "pages", "page %d of sequence %d, whose first is %d: %v", k, q, tab.first, g)
				}
				count(i, g)
			}
		}
		if !e.open {
			require.Zero(t, e.size+e.reserved)
		}
		require.Equal(t, s.states > 0 && e.size > 0, e.state != nil)
		count(s.statePool(), e.state)
		for i, x := range e.ends {
			require.True(t, x.at > e.size && x.at <= e.size+e.reserved && (i == 0 || e.ends[i-1].at < x.at))
			require.Equal(t, s.states > 0, x.state != nil)
			require.True(t, x.checkpoint || x.state != nil)
			count(s.statePool(), x.state)
		}
		if s.states > 0 && e.reserved > 0 {
			require.GreaterOrEqual(t, len(e.ends), e.reserved-max(e.certain, 1)+1)
			require.Equal(t, e.size+e.reserved, e.ends[len(e.ends)-1].at)
		}
		require.LessOrEqual(t, len(e.checkpoints), s.config.Checkpoints)
		for i, c := range e.checkpoints {
			checkpoints[c]++
			require.LessOrEqual(t, c.at, e.size)
			require.True(t, i == 0 || e.checkpoints[i-1].at < c.at)
			require.Equal(t, s.states > 0, c.state != nil)
		}
	}
	for c, n := range checkpoints {
		require.Equal(t, n, c.refs)
		count(s.statePool(), c.state)
		for i, tab := range c.tables {
			for _, g := range tab.pages[tab.first:] {
				count(i, g)
			}
		}
	}
	used, spare := int64(0), int64(0)
	for g, n := range refs {
		if n != g.refs {
			require.Failf(t, "references", "want %d, found %d", n, g.refs)
		}
		used += int64(s.memory.pools[pools[g]].size)
	}
	require.Equal(t, len(refs), s.Pages())
	for _, p := range s.memory.pools {
		for _, g := range p.free {
			if refs[g] > 0 {
				require.Fail(t, "a spare page is in use")
			}
			spare += int64(p.size)
		}
		require.LessOrEqual(t, len(p.free), max(1, keepBytes/max(1, p.size)))
	}
	require.Equal(t, used, s.Used())
	require.Equal(t, s.memory.max-used, s.Room())
	require.Equal(t, used+spare, s.Bytes())
	if s.config.MaxBytes > 0 {
		require.LessOrEqual(t, s.Bytes(), s.config.MaxBytes)
	}
}

func TestStoreCopyOnWrite(t *testing.T) {
	s := newStore(t, Config{Layers: mixed})
	a := s.Open()
	first := stamps(1, 100)
	fill(t, s, a, first...)
	b := s.Fork(a, 70)
	require.Equal(t, 2, s.Pages())

	// Both go on in what was one page.
	require.NoError(t, s.Reserve(b, 1))
	require.Equal(t, 3, s.Pages(), "only the partly filled page is copied")
	require.NotSame(t, unsafe.SliceData(s.KRow(a, 0, 0, 69)), unsafe.SliceData(s.KRow(b, 0, 0, 69)))
	require.Same(t, unsafe.SliceData(s.KRow(a, 0, 0, 63)), unsafe.SliceData(s.KRow(b, 0, 0, 63)))
	write(s, b, 70, 1000)
	s.Commit(b, 1)
	fill(t, s, a, 2000)
	require.Equal(t, 3, s.Pages(), "the last holder writes in place")
	check(t, s, a, append(stamps(1, 100), 2000))
	check(t, s, b, append(stamps(1, 70), 1000))

	// A fork at a page's end shares no page that is written to.
	c := s.Fork(a, 64)
	fill(t, s, c, 3000)
	check(t, s, c, append(stamps(1, 64), 3000))
	invariants(t, s)

	// Who goes back below what another sees must not write there.
	d := s.Fork(a, 101)
	a = cutBack(s, a, 80)
	fill(t, s, a, 4000)
	check(t, s, d, append(stamps(1, 100), 2000))
	check(t, s, a, append(stamps(1, 80), 4000))

	// A fork taken while rows are reserved: the reservation stands and stays out of the fork's
	// sight.
	require.NoError(t, s.Reserve(a, 2))
	write(s, a, 81, 5000)
	e := s.Fork(a, 81)
	write(s, a, 82, 5001)
	fill(t, s, e, 6000)
	s.Commit(a, 2)
	check(t, s, a, append(stamps(1, 80), 4000, 5000, 5001))
	check(t, s, e, append(stamps(1, 80), 4000, 6000))
	invariants(t, s)
}

// TestStoreFull requires that a refused Reserve changes nothing, down to the addresses of the rows.
func TestStoreFull(t *testing.T) {
	probe := newStore(t, Config{Layers: mixed})
	s := newStore(t, Config{Layers: mixed, MaxBytes: 4*probe.PageBytes() + 1})
	a := s.Open()
	fill(t, s, a, stamps(1, 70)...)
	b := s.Fork(a, 70)
	require.NoError(t, s.Reserve(a, 3)) // takes the third page, by copying
	write(s, a, 70, 71)
	row := unsafe.SliceData(s.KRow(a, 0, 0, 70))

	err := s.Reserve(a, 3*PageLen)
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "sequence 0: 192 more positions take")
	require.ErrorContains(t, err, fmt.Sprintf("%d more bytes, %d of %d are left: cache full", 3*probe.PageBytes(), probe.PageBytes()+1, s.config.MaxBytes))
	require.Same(t, row, unsafe.SliceData(s.KRow(a, 0, 0, 70)), "the earlier reservation stands")
	write(s, a, 71, 72)
	write(s, a, 72, 73)
	s.Commit(a, 3)
	a = cutBack(s, a, 71)
	check(t, s, a, stamps(1, 71))
	check(t, s, b, stamps(1, 70))
	invariants(t, s)

	// The copy of a shared page counts too.
	c := s.Open()
	fill(t, s, c, 9)
	require.Equal(t, 4, s.Pages())
	d := s.Fork(a, 71)
	require.ErrorIs(t, s.Reserve(d, 1), ErrFull)
	require.NoError(t, s.Reserve(d, 0))
	require.NoError(t, s.Reserve(b, 1), "the only holder needs no copy")
	s.Drop(c)
	fill(t, s, d, 10)
	check(t, s, a, stamps(1, 71))
	check(t, s, d, append(stamps(1, 71), 10))
	require.Equal(t, s.Pages(), 4)
	invariants(t, s)

	// Spare pages count against the limit and are used first.
	for _, q := range []Seq{a, b, d} {
		s.Drop(q)
	}
	require.Equal(t, 4, spare(s))
	q := s.Open()
	require.NoError(t, s.Reserve(q, 4*PageLen))
	require.ErrorIs(t, s.Reserve(q, 4*PageLen+1), ErrFull)
	require.Zero(t, spare(s))
	require.Equal(t, 4*s.PageBytes(), s.Bytes())
}

func TestStoreReserveReplaces(t *testing.T) {
	s := newStore(t, Config{Layers: Repeat(1, Full(1, 4))})
	q := s.Open()
	fill(t, s, q, stamps(1, 10)...)
	require.NoError(t, s.Reserve(q, 300))
	require.Equal(t, 5, s.Pages())
	require.NoError(t, s.Reserve(q, 54))
	require.Equal(t, 1, s.Pages())
	require.Panics(t, func() { s.KRow(q, 0, 0, 64) })
	require.NoError(t, s.Reserve(q, 0))
	require.Panics(t, func() { s.KRow(q, 0, 0, 10) })
	check(t, s, q, stamps(1, 10))
	require.NoError(t, s.Reserve(q, 55))
	s.Commit(q, 0)
	require.Equal(t, 1, s.Pages(), "to reject everything gives up what is reserved")
	require.Panics(t, func() { s.Commit(q, 1) })
}

func TestStoreLayout(t *testing.T) {
	s := newStore(t, Config{Layers: mixed, VType: F32})
	// Per position: layer 0 2·4, layer 2 6, layer 3 3·2 keys of two bytes; 2·4 and 3·5 values of
	// four.
	require.Equal(t, int64(PageLen*((8+6+6)*2+(8+15)*4)), s.PageBytes())
	require.Equal(t, 4, s.Layers())
	require.Equal(t, mixed[3], s.Layer(3))
	q := s.Open()
	require.NoError(t, s.Reserve(q, PageLen))
	at := func(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - base(s, q)) }
	require.Equal(t, 0, at(s.K(q, 0, 0, 0)))
	require.Equal(t, PageLen*8, at(s.V(q, 0, 0, 0)))
	require.Equal(t, PageLen*24, at(s.K(q, 0, 1, 0)))
	require.Equal(t, PageLen*24+2*8, at(s.KRow(q, 0, 1, 2)))
	require.Equal(t, PageLen*48, at(s.K(q, 2, 0, 0)))
	require.Empty(t, s.V(q, 2, 0, 0))
	require.Empty(t, s.VRow(q, 2, 0, 5))
	require.Equal(t, PageLen*(48+12+24+4), at(s.V(q, 3, 1, 0)))
	require.Equal(t, len(s.V(q, 3, 1, 0)), cap(s.V(q, 3, 1, 0)))
	require.Equal(t, len(s.KRow(q, 3, 1, 9)), cap(s.KRow(q, 3, 1, 9)))
}

func base(s *Store, q Seq) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(s.seqs[q].tables[0].pages[0].data)))
}

func TestStoreEmpty(t *testing.T) {
	for _, layers := range [][]Spec{nil, {{}}, {{NHead: 3}}} {
		s := newStore(t, Config{Layers: layers, MaxBytes: 1})
		q := s.Open()
		fill(t, s, q, stamps(0, 1000)...)
		require.Equal(t, 1000, s.Len(q))
		require.Zero(t, s.Bytes())
	}
}

func TestStoreSpareIsBounded(t *testing.T) {
	s := newStore(t, Config{Layers: Repeat(1, Full(8, 8192))}) // 16 MiB a page
	require.Equal(t, int64(16<<20), s.PageBytes())
	q := s.Open()
	require.NoError(t, s.Reserve(q, 6*PageLen))
	require.Equal(t, 6, s.Pages())
	s.Drop(q)
	require.Equal(t, 4, spare(s))
	require.Equal(t, int64(64<<20), s.Bytes())
	s.memory.trim()
	require.Zero(t, s.Bytes())
}

func TestConfig(t *testing.T) {
	require.Equal(t, quant.F16, newStore(t, Config{}).KType(), "the zero Config stores half precision")
	require.Equal(t, quant.F16, newStore(t, Config{}).VType())
	for _, typ := range Types() {
		back, err := TypeOf(typ.Quant())
		require.NoError(t, err)
		require.Equal(t, typ, back)
	}
	require.Equal(t, "F16, F32, Q8_0 or Q4_0", typeNames())
	_, err := TypeOf(quant.Q6_K)
	require.EqualError(t, err, "want a cache of type F16, F32, Q8_0 or Q4_0, found Q6_K")

	for _, c := range []struct {
		name string
		c    Config
		want string
	}{
		{"type", Config{VType: 4}, "want a cache of type F16, F32, Q8_0 or Q4_0, found type(4)"},
		{"blocks", Config{Layers: []Spec{Full(1, 64), Full(1, 80)}, KType: Q8_0},
			"layer 1: a cache of type Q8_0 wants heads of a multiple of 32, found heads of 80: F16 or F32 keep them"},
		{"window", Config{Layers: []Spec{{}, {Window: -1}}}, "layer 1: want a window of at least 0 and a state from 0 to 1073741824, found -1 and 0"},
		{"state", Config{Layers: []Spec{{State: 1 << 40}}}, "found 0 and 1099511627776"},
		{"marks", Config{Checkpoints: -1}, "want 0 marks of a sequence or more, found -1"},
		{"heads", Config{Layers: []Spec{{NHead: -1}}}, "layer 0: want sizes from 0 to 1048576, found -1 heads of 0 and 0"},
		{"dim", Config{Layers: []Spec{Full(1, 1<<40)}}, "found 1 heads of 1099511627776 and 1099511627776"},
		{"sum", Config{Layers: Repeat(1<<14, Full(1<<20, 1<<20))}, "1048576 heads of 1048576 and 1048576 are more than memory can address"},
		{"limit", Config{Layers: Repeat(1, Full(1, 1)), MaxBytes: 255}, "a limit of 255 bytes is less than one page of 256 bytes"},
		{"negative limit", Config{MaxBytes: -1}, "a limit of -1 bytes is less than one page of 0 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.c)
			require.ErrorContains(t, err, c.want)
		})
	}
	layers := Repeat(2, Full(1, 4))
	s := newStore(t, Config{Layers: layers})
	layers[0] = Spec{}
	require.Equal(t, Full(1, 4), s.Layer(0), "the store keeps its own copy")
}

func TestMisusePanics(t *testing.T) {
	s := newStore(t, Config{Layers: Repeat(2, Full(2, 4))})
	q, gone := s.Open(), s.Open()
	fill(t, s, q, stamps(0, 5)...)
	s.Drop(gone)
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"dropped":           {func() { s.Len(gone) }, "kv: sequence 1 is not open"},
		"dropped twice":     {func() { s.Drop(gone) }, "kv: sequence 1 is not open"},
		"never opened":      {func() { _ = s.Reserve(7, 1) }, "kv: sequence 7 is not open"},
		"negative":          {func() { s.K(-1, 0, 0, 0) }, "kv: sequence -1 is not open"},
		"reserve":           {func() { _ = s.Reserve(q, -1) }, "kv: reserve -1 positions of sequence 0"},
		"commit":            {func() { s.Commit(q, 1) }, "kv: commit 1 positions of sequence 0, 0 are reserved"},
		"commit less":       {func() { s.Commit(q, -1) }, "kv: commit -1 positions of sequence 0, 0 are reserved"},
		"fork":              {func() { s.Fork(q, 6) }, "kv: length 6 of sequence 0, which has 5"},
		"fork less":         {func() { s.Fork(q, -1) }, "kv: length -1 of sequence 0, which has 5"},
		"certain":           {func() { _ = s.ReserveTentative(q, 3, 4) }, "kv: reserve 3 positions of sequence 0, 4 of them certain"},
		"certain less":      {func() { s.Cost(q, 3, -1) }, "kv: reserve 3 positions of sequence 0, -1 of them certain"},
		"cost":              {func() { s.Cost(q, -1, 0) }, "kv: reserve -1 positions of sequence 0"},
		"new state":         {func() { s.NewState(q, 0, 0) }, "kv: new state 0 of sequence 0, which has 0"},
		"mark":              {func() { s.Checkpoint(q, 5) }, "kv: checkpoint at length 5 of sequence 0, which has 5 and 0 reserved"},
		"page":              {func() { s.K(q, 0, 0, 1) }, "kv: page 1 of sequence 0, which has 1"},
		"page of values":    {func() { s.V(q, 0, 0, -1) }, "kv: page -1 of sequence 0, which has 1"},
		"position":          {func() { s.KRow(q, 0, 0, 5) }, "kv: position 5 of sequence 0, which has 5 and 0 reserved"},
		"position of value": {func() { s.VRow(q, 0, 0, -1) }, "kv: position -1 of sequence 0, which has 5 and 0 reserved"},
		"layer":             {func() { s.K(q, 2, 0, 0) }, "kv: no head 0 in layer 2"},
		"head":              {func() { s.VRow(q, 1, 2, 0) }, "kv: no head 2 in layer 1"},
		"head below":        {func() { s.KRow(q, 1, -1, 0) }, "kv: no head -1 in layer 1"},
	} {
		t.Run(name, func(t *testing.T) { require.PanicsWithValue(t, c.want, c.f) })
	}
	check(t, s, q, stamps(0, 5))
	invariants(t, s)
	require.ErrorIs(t, s.Reserve(q, math.MaxInt), ErrFull)
}

// TestWorkers writes and reads from many goroutines between Reserve and Commit; the race detector
// watches.
func TestWorkers(t *testing.T) {
	s := newStore(t, Config{Layers: mixed})
	seqs := []Seq{s.Open(), s.Open()}
	fill(t, s, seqs[0], stamps(0, 40)...)
	seqs = append(seqs, s.Fork(seqs[0], 30))
	want := [][]uint32{stamps(0, 40), nil, stamps(0, 30)}
	for step := range 3 {
		const n = 50
		var wg sync.WaitGroup
		for i, q := range seqs {
			require.NoError(t, s.Reserve(q, n))
			for w := range 4 {
				wg.Go(func() {
					for j := w; j < n; j += 4 {
						write(s, q, s.Len(q)+j, uint32(1000*step+100*i+j))
					}
				})
			}
			wg.Go(func() { check(t, s, q, want[i]) })
		}
		wg.Wait()
		for i, q := range seqs {
			s.Commit(q, n)
			want[i] = append(want[i], stamps(uint32(1000*step+100*i), n)...)
		}
	}
	for i, q := range seqs {
		check(t, s, q, want[i])
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	s := newStore(t, Config{Layers: Repeat(4, Full(2, 16))})
	q := s.Open()
	fill(t, s, q, 0)
	require.Zero(t, testing.AllocsPerRun(40, func() {
		_ = s.Reserve(q, 1)
		copy(s.KRow(q, 3, 1, s.Len(q)), s.V(q, 2, 0, 0))
		copy(s.VRow(q, 3, 1, s.Len(q)), s.K(q, 2, 0, 0))
		s.Commit(q, 1)
	}))
	// Nor does a sequence that takes over the pages of an earlier one.
	s.Drop(q)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		q := s.Open()
		for range 10 {
			_ = s.Reserve(q, 5)
			s.Commit(q, 5)
		}
		s.Drop(q)
	}))
}

func BenchmarkK(b *testing.B) {
	s := newStore(b, Config{Layers: Repeat(4, Full(2, 16))})
	q := s.Open()
	require.NoError(b, s.Reserve(q, 200))
	n := 0
	for b.Loop() {
		n += len(s.K(q, 3, 1, 2))
	}
	require.NotZero(b, n)
}
