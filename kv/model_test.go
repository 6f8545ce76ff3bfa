package kv

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference is what a sequence of a store should be: the stamps of its positions and the lengths of
// its checkpoints.
type reference struct {
	stamps []uint32
	marks  []int
}

// reach is the reusable length up to n by the rule: what the end still holds, or a checkpoint.
func (r reference) reach(s *Store, n int) int {
	size := len(r.stamps)
	restorable := s.states == 0 || n == size
	for _, g := range s.groups {
		restorable = restorable && g.since(n)/PageLen >= g.since(size)/PageLen
	}
	if n == 0 || restorable {
		return n
	}
	for _, m := range slices.Backward(r.marks) {
		if m <= n {
			return m
		}
	}
	return 0
}

// mark adds a checkpoint, and drops the one before the newest whose neighbours are closest.
func (r *reference) mark(n, most int) {
	if r.marks = append(r.marks, n); len(r.marks) <= most {
		return
	}
	before := append([]int{0}, r.marks...)
	least := 0
	for i := range len(r.marks) - 1 {
		if r.marks[i+1]-before[i] < r.marks[least+1]-before[least] {
			least = i
		}
	}
	r.marks = slices.Delete(r.marks, least, least+1)
}

// storeModel runs the same random calls on a store, on a twin without a limit in which nothing is
// ever proposed and rejected, and on references.
type storeModel struct {
	t       *testing.T
	s, twin *Store
	rng     *rand.Rand
	refs    map[Seq]reference
	open    []Seq
	stamp   uint32
	full    int // reservations that were refused
}

func (m *storeModel) begin(q Seq, r reference) {
	require.NotContains(m.t, m.refs, q)
	m.refs[q] = r
	m.open = append(m.open, q)
}

// reserve reserves positions, the certain ones first, and if the limit refuses, ever fewer
// tentative ones. It returns how many it got, or false.
func (m *storeModel) reserve(q Seq, n, certain int) (int, bool) {
	s := m.s
	for ; ; n-- {
		cost, room, pages, bytes := s.Cost(q, n, certain), s.Room(), s.Pages(), s.Bytes()
		used := s.Used()
		err := s.ReserveTentative(q, n, certain)
		if err == nil {
			require.Equal(m.t, used+cost, s.Used(), "the cost is what is taken")
			return n, true
		}
		require.ErrorIs(m.t, err, ErrFull)
		require.NotZero(m.t, s.config.MaxBytes)
		require.Greater(m.t, cost, room)
		require.Equal(m.t, pages, s.Pages())
		require.Equal(m.t, bytes, s.Bytes())
		m.full++
		if n == certain {
			return 0, false
		}
	}
}

// grow proposes, marks, writes, and commits some of it.
func (m *storeModel) grow(q Seq) {
	s, have := m.s, m.refs[q]
	n := m.rng.IntN(4)
	if m.rng.IntN(3) == 0 {
		n = m.rng.IntN(150)
	}
	certain := n
	if m.rng.IntN(3) > 0 {
		certain = max(0, n-m.rng.IntN(12))
	}
	n, ok := m.reserve(q, n, certain)
	if !ok {
		return
	}
	all := slices.Clone(have.stamps)
	for range n {
		m.stamp++
		write(s, q, len(all), m.stamp)
		all = append(all, m.stamp)
	}
	marks := m.mark(q, n)
	writeStates(s, q, all)
	if m.rng.IntN(8) == 0 { // a fork of what is there, beside the proposal
		m.fork(q)
	}
	if m.rng.IntN(10) == 0 { // an interrupted pass
		if m.rng.IntN(2) == 0 {
			s.Commit(q, 0)
		}
		return
	}
	accepted := certain + m.rng.IntN(n-certain+1)
	s.Commit(q, accepted)
	have.stamps = all[:len(all)-n+accepted]
	have.marks = slices.Clone(have.marks)
	require.NoError(m.t, m.twin.Reserve(q, accepted))
	for i := range accepted {
		at := len(have.stamps) - accepted + i
		write(m.twin, q, at, have.stamps[at])
	}
	for _, at := range marks {
		if at <= len(have.stamps) {
			have.mark(at, s.config.Checkpoints)
			m.twin.Checkpoint(q, at)
		}
	}
	writeStates(m.twin, q, have.stamps)
	m.twin.Commit(q, accepted)
	m.refs[q] = have
}

// mark marks some of the n reserved lengths and returns those that the store had room for.
func (m *storeModel) mark(q Seq, n int) []int {
	s, e := m.s, &m.s.seqs[q]
	var marks []int
	for range m.rng.IntN(4) * min(n, 1) {
		at := e.size + 1 + m.rng.IntN(n)
		known := slices.ContainsFunc(e.ends, func(x end) bool { return x.at == at })
		took := s.partial() && (known || s.Room() >= s.StateBytes())
		s.Checkpoint(q, at)
		if took && !slices.Contains(marks, at) {
			marks = append(marks, at)
		}
	}
	slices.Sort(marks)
	return marks
}

func (m *storeModel) fork(q Seq) {
	if len(m.open) >= 12 {
		return
	}
	have := m.refs[q]
	n := m.rng.IntN(len(have.stamps) + 1)
	pages, reach := m.s.Pages(), have.reach(m.s, n)
	require.Equal(m.t, reach, m.s.ReusableLen(q, n))
	f := m.s.Fork(q, n)
	require.Equal(m.t, pages, m.s.Pages(), "a fork copies nothing")
	require.Equal(m.t, f, m.twin.Fork(q, n))
	r := reference{stamps: slices.Clone(have.stamps[:reach])}
	for _, at := range have.marks {
		if at <= reach {
			r.marks = append(r.marks, at)
		}
	}
	m.begin(f, r)
}

func (m *storeModel) drop(i int) {
	m.s.Drop(m.open[i])
	m.twin.Drop(m.open[i])
	delete(m.refs, m.open[i])
	m.open = slices.Delete(m.open, i, i+1)
}

// reload replaces a sequence by what its bytes give, where there is room for both.
func (m *storeModel) reload(i int) {
	var b bytes.Buffer
	require.NoError(m.t, m.s.Save(&b, m.open[i]))
	q, err := m.s.Load(&b)
	if err != nil {
		require.ErrorIs(m.t, err, ErrFull)
		require.NotZero(m.t, m.s.config.MaxBytes)
		return
	}
	require.Equal(m.t, q, m.twin.Fork(m.open[i], m.twin.Len(m.open[i])))
	m.begin(q, m.refs[m.open[i]])
	m.drop(i)
}

// verify requires that a sequence is as its reference, and its bytes as those of its twin.
func (m *storeModel) verify(q Seq) {
	have := m.refs[q]
	check(m.t, m.s, q, have.stamps)
	var marks []int
	for _, c := range m.s.seqs[q].checkpoints {
		marks = append(marks, c.at)
	}
	require.Equal(m.t, have.marks, marks)
	n := m.rng.IntN(len(have.stamps) + 1)
	require.Equal(m.t, have.reach(m.s, n), m.s.ReusableLen(q, n))
	var a, b bytes.Buffer
	require.NoError(m.t, m.s.Save(&a, q))
	require.NoError(m.t, m.twin.Save(&b, q))
	require.True(m.t, bytes.Equal(a.Bytes(), b.Bytes()), "sequence %d is as if it had never proposed", q)
}

// TestStoreModel runs random calls against references and a twin.
func TestStoreModel(t *testing.T) {
	steps := 500
	if testing.Short() {
		steps = 300
	}
	for i, c := range []Config{
		{Layers: mixed},
		{Layers: mixed, KType: F32, MaxBytes: 1 << 16},
		{Layers: Repeat(2, Full(1, 8)), VType: F32},
		{Layers: Repeat(2, Full(2, 64)), KType: Q8_0, VType: Q4_0},
		{Layers: hybrid},
		{Layers: hybrid, MaxBytes: 1 << 16, Checkpoints: 2},
		{Layers: []Spec{Windowed(1, 4, 1), Windowed(2, 4, 130), Windowed(1, 4, 1)}},
		{Layers: []Spec{Windowed(1, 4, 70), Full(1, 2)}, MaxBytes: 1 << 14},
		{Layers: Repeat(2, Recurrent(5)), Checkpoints: 5, MaxBytes: 1000},
		{Layers: []Spec{Latent(6), Recurrent(4)}, Checkpoints: 1},
	} {
		twin := c
		twin.MaxBytes = 0
		m := &storeModel{t: t, s: newStore(t, c), twin: newStore(t, twin), rng: rand.New(rand.NewPCG(3, uint64(i))), refs: map[Seq]reference{}}
		for range steps {
			m.step()
		}
		if c.MaxBytes > 0 {
			require.NotZero(t, m.full, "the limit was never reached")
		}
		for len(m.open) > 0 {
			m.verify(m.open[0])
			m.drop(0)
		}
		invariants(t, m.s)
		require.Zero(t, m.s.Pages())
		m.s.memory.trim()
		require.Zero(t, m.s.Bytes())
	}
}

func (m *storeModel) step() {
	if len(m.open) == 0 || (len(m.open) < 12 && m.rng.IntN(12) == 0) {
		q := m.s.Open()
		require.Equal(m.t, q, m.twin.Open())
		m.begin(q, reference{})
	}
	i := m.rng.IntN(len(m.open))
	switch k := m.rng.IntN(12); {
	case k < 7:
		m.grow(m.open[i])
	case k < 9:
		m.fork(m.open[i])
	case k < 10:
		m.drop(i)
	case k < 11:
		m.reload(i)
	default:
		m.s.memory.trim()
		require.Zero(m.t, spare(m.s))
	}
	invariants(m.t, m.s)
	for _, q := range m.open {
		if m.rng.IntN(4) == 0 {
			m.verify(q)
		}
	}
}
