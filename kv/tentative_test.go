package kv

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// families are specs of every kind of memory, and of all together.
var families = map[string][]Spec{
	"full":      Repeat(2, Full(1, 4)),
	"latent":    {Latent(6)},
	"recurrent": Repeat(2, Recurrent(3)),
	"window 1":  {Windowed(1, 2, 1)},
	"window 64": {Windowed(1, 2, 64)},
	"window 65": {Windowed(1, 2, 65), Full(1, 2)},
	"hybrid":    hybrid,
}

// savedBytes is what Save writes of q.
func savedBytes(t testing.TB, s *Store, q Seq) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Save(&b, q))
	return b.Bytes()
}

// propose reserves positions with the stamps, the first of them certain, and marks lengths; it
// commits accepted of them. It returns the stamps of all that is committed.
func propose(t testing.TB, s *Store, q Seq, before, stamps []uint32, certain, accepted int, marks ...int) []uint32 {
	t.Helper()
	require.NoError(t, s.ReserveTentative(q, len(stamps), certain))
	for _, n := range marks {
		s.Checkpoint(q, n)
	}
	all := slices.Concat(before, stamps)
	for i, stamp := range stamps {
		write(s, q, len(before)+i, stamp)
	}
	writeStates(s, q, all)
	invariants(t, s)
	s.Commit(q, accepted)
	invariants(t, s)
	return all[:len(before)+accepted]
}

// TestTentative proposes across the ends of pages and windows, accepts every number of positions,
// and compares with a sequence that never proposed: in itself, in what follows, and in forks that
// were made before, within and after.
func TestTentative(t *testing.T) {
	for name, layers := range families {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Config{Layers: layers})
			for _, size := range []int{0, 1, 58, 63, 64, 65, 120, 128, 131} {
				for _, c := range []struct{ n, certain int }{{1, 0}, {1, 1}, {8, 0}, {8, 1}, {8, 5}, {70, 66}, {8, 8}} {
					for accepted := c.certain; accepted <= c.n; accepted++ {
						tentativeCase(t, s, size, c.n, c.certain, accepted)
					}
					tentativeCase(t, s, size, c.n, c.certain, 0)
				}
			}
			require.Zero(t, s.Pages())
		})
	}
}

func tentativeCase(t *testing.T, s *Store, size, n, certain, accepted int) {
	t.Helper()
	q, plain := s.Open(), s.Open()
	have := grow(t, s, q, nil, stamps(1, size)...)
	grow(t, s, plain, nil, stamps(1, size)...)
	before := s.Fork(q, size)

	want := grow(t, s, plain, have, stamps(1000, accepted)...)
	propose(t, s, q, have, stamps(1000, n), certain, accepted)
	check(t, s, q, want)
	check(t, s, before, have)
	require.Equal(t, savedBytes(t, s, plain), savedBytes(t, s, q), "%d, %d of %d to %d", size, accepted, certain, n)
	for k := range len(want) + 1 {
		require.Equal(t, s.ReusableLen(plain, k), s.ReusableLen(q, k))
	}

	// Both go on, and so do forks of before and after.
	after := s.Fork(q, len(want))
	next := propose(t, s, q, want, stamps(2000, 9), 1, 4)
	grow(t, s, plain, want, stamps(2000, 4)...)
	require.Equal(t, savedBytes(t, s, plain), savedBytes(t, s, q))
	check(t, s, after, want)
	check(t, s, after, propose(t, s, after, want, stamps(3000, 70), 2, 3))
	check(t, s, before, propose(t, s, before, have, stamps(4000, 9), 0, 7))
	check(t, s, q, next)
	for _, q := range []Seq{q, plain, before, after} {
		s.Drop(q)
	}
}

// TestTentativeMarks: marks within a proposal become checkpoints as far as it is accepted, at
// tentative lengths and others, and tentative lengths do not.
func TestTentativeMarks(t *testing.T) {
	for name, layers := range families {
		s := newStore(t, Config{Layers: layers, Checkpoints: 10})
		if !s.partial() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for accepted := 5; accepted <= 12; accepted++ {
				q := s.Open()
				have := grow(t, s, q, nil, stamps(1, 60)...)
				have = propose(t, s, q, have, stamps(100, 12), 5, accepted, 62, 65, 67, 70, 72)
				require.Equal(t, 60+accepted, s.ReusableLen(q, 60+accepted))
				// Far away, nothing but the checkpoints is left.
				have = grow(t, s, q, have, stamps(500, 200)...)
				for n, want := range map[int]int{61: 0, 64: 62, 65: 65, 66: 65, 69: 67, 70: 70, 71: 70, 72: 72, 100: 72} {
					for want > 60+accepted {
						want = map[int]int{72: 70, 70: 67, 67: 65}[want]
					}
					if name == "window 65" && n >= 256 {
						continue
					}
					require.Equal(t, want, s.ReusableLen(q, n), "%d of which %d were accepted", n, accepted)
					f := s.Fork(q, n)
					check(t, s, f, have[:want])
					check(t, s, f, propose(t, s, f, have[:want], stamps(900, 6), 1, 3))
					s.Drop(f)
				}
				s.Drop(q)
			}
			require.Zero(t, s.Pages())
		})
	}
}

// TestTentativeLimit: at every limit a reservation is either refused and changes nothing, or can be
// committed at every length. Fewer positions fit until the certain ones alone do not.
func TestTentativeLimit(t *testing.T) {
	const size, certain, most = 60, 2, 10
	for name, layers := range families {
		t.Run(name, func(t *testing.T) {
			free := newStore(t, Config{Layers: layers})
			grow(t, free, free.Open(), nil, stamps(1, size)...)
			// for the copy of a shared page
			base := free.Used() + free.Cost(free.Fork(0, size), certain, certain)
			need := func(n int) int64 { return free.Used() + free.Cost(1, n, certain) }
			if st := free.StateBytes(); st > 0 {
				require.EqualValues(t, st, need(4)-need(3), "a state for each tentative length")
			}
			limits := []int64{base - 1, base, need(most) + 1}
			for n := certain; n <= most; n++ {
				limits = append(limits, need(n)-1, need(n))
			}
			for _, limit := range limits {
				s := newStore(t, Config{Layers: layers, MaxBytes: limit})
				have := grow(t, s, s.Open(), nil, stamps(1, size)...)
				q := s.Fork(0, size)
				n := most
				for ; n >= certain; n-- {
					before := fmt.Sprint(s.Used(), s.Pages(), s.Bytes())
					err := s.ReserveTentative(q, n, certain)
					require.Equal(t, need(n) > limit, err != nil, "%d positions in %d bytes", n, limit)
					if err == nil {
						require.Equal(t, need(n), s.Used())
						break
					}
					require.ErrorIs(t, err, ErrFull)
					require.Equal(t, before, fmt.Sprint(s.Used(), s.Pages(), s.Bytes()))
					invariants(t, s)
				}
				if n < certain {
					require.Less(t, limit, base)
					continue
				}
				check(t, s, q, propose(t, s, q, have, stamps(70, n), certain, certain+(n-certain)/2))
				check(t, s, 0, have)
			}
		})
	}
	s := newStore(t, Config{Layers: hybrid})
	q := s.Open()
	const huge = 1 << 62
	require.EqualValues(t, int64(1<<63-1), s.Cost(q, huge, 0))
	require.ErrorIs(t, s.ReserveTentative(q, huge, 0), ErrFull)
	s = newStore(t, Config{Layers: Repeat(1, Recurrent(1))})
	require.ErrorIs(t, s.ReserveTentative(s.Open(), huge, 1), ErrFull)
}

// TestTentativeCost: a reservation that is replaced counts as given up.
func TestTentativeCost(t *testing.T) {
	s := newStore(t, Config{Layers: hybrid})
	q := s.Open()
	have := grow(t, s, q, nil, stamps(1, 63)...)
	require.NoError(t, s.ReserveTentative(q, 6, 1))
	s.Checkpoint(q, 66)
	used := s.Used()
	require.Zero(t, s.Cost(q, 6, 1))
	less := s.Cost(q, 1, 1)
	require.Equal(t, -5*s.StateBytes()-s.PageBytes(), less)
	require.NoError(t, s.Reserve(q, 1))
	require.Equal(t, used+less, s.Used())
	require.Equal(t, 1, s.NewStates(q))
	require.Equal(t, -s.StateBytes(), s.Cost(q, 0, 0))
	s.Commit(q, 0)
	require.Zero(t, s.NewStates(q))
	check(t, s, q, have)

	for certain, want := range map[int][]int{0: {64, 65, 66}, 1: {64, 65, 66}, 2: {65, 66}, 3: {66}} {
		require.NoError(t, s.ReserveTentative(q, 3, certain))
		var ends []int
		for i := range s.NewStates(q) {
			n, state := s.NewState(q, 0, i)
			require.Len(t, state, 3)
			ends = append(ends, n)
		}
		require.Equal(t, want, ends)
		if certain > 1 {
			require.PanicsWithValue(t, fmt.Sprintf("kv: commit 1 positions of sequence 0, %d are certain", certain), func() { s.Commit(q, 1) })
		}
	}
}

// TestTentativeDoesNotAllocate: nor does a step that proposes and rejects.
func TestTentativeDoesNotAllocate(t *testing.T) {
	s := newStore(t, Config{Layers: hybrid})
	q := s.Open()
	grow(t, s, q, nil, 1)
	step := func() {
		_ = s.ReserveTentative(q, 6, 1)
		s.Commit(q, 2)
	}
	step()
	require.Zero(t, testing.AllocsPerRun(20, step))
}
