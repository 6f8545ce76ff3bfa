package kv

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWindow: a layer with a window holds the pages that it reaches into, and no more.
func TestWindow(t *testing.T) {
	s := newStore(t, Config{Layers: []Spec{Full(1, 8), Windowed(1, 8, 100)}})
	page := s.PageBytes() / 2 // bytes of either layer
	q := s.Open()
	var have []uint32
	for n := 0; n < 1000; n += 40 {
		have = grow(t, s, q, have, stamps(uint32(n), 40)...)
		check(t, s, q, have)
		invariants(t, s)
		full, window := pagesFor(len(have)), pagesFor(len(have))-max(0, len(have)-99)/PageLen
		require.LessOrEqual(t, window, 3)
		require.Equal(t, int64(full+window)*page, s.Bytes()-int64(spare(s))*page)
	}
	require.LessOrEqual(t, s.Bytes(), s.Need(1000, 40))
	require.PanicsWithValue(t, "kv: page 3 of sequence 0, of which a window has left those from 14 on", func() { s.K(q, 1, 0, 3) })
	require.NotPanics(t, func() { s.K(q, 0, 0, 3) })

	// What the pages in use still hold can be gone back to: the window of a query at 995 begins at
	// 896, in page 14.
	require.Equal(t, 1000, s.ReusableLen(q, 1000))
	require.Equal(t, 995, s.ReusableLen(q, 995))
	require.Equal(t, 0, s.ReusableLen(q, 994))
	f := s.Fork(q, 997)
	check(t, s, f, have[:997])
	check(t, s, f, grow(t, s, f, have[:997], stamps(5000, 90)...))
	f = cutBack(s, q, 995)
	check(t, s, f, have[:995])
	check(t, s, f, grow(t, s, f, have[:995], 7, 8))
	invariants(t, s)
}

// TestMark goes back to checkpoints when the sequence itself has long left them.
func TestMark(t *testing.T) {
	for _, layers := range [][]Spec{hybrid, {Windowed(2, 4, 70)}, {Recurrent(4)}} {
		s := newStore(t, Config{Layers: layers})
		q := s.Open()
		have := growMarking(t, s, q, nil, stamps(0, 500), []int{300, 500, 64, 300})
		have = grow(t, s, q, have, stamps(1000, 500)...)
		invariants(t, s)
		for n, want := range map[int]int{0: 0, 63: 0, 64: 64, 299: 64, 300: 300, 499: 300, 500: 500, 700: 500, 1000: 1000} {
			require.Equal(t, want, s.ReusableLen(q, n), n)
			f := s.Fork(q, n)
			check(t, s, f, have[:want])
			require.Equal(t, min(want, 500), s.ReusableLen(f, min(want, 500)), "a fork has the marks before it")
			check(t, s, f, grow(t, s, f, have[:want], stamps(9000, 100)...))
			s.Drop(cutBack(s, f, s.Len(f)-100))
		}
		invariants(t, s)
		f := s.Fork(q, 600)
		q = cutBack(s, q, 350)
		check(t, s, q, have[:300])
		check(t, s, f, have[:500])
		check(t, s, q, grow(t, s, q, have[:300], stamps(7000, 10)...))
		require.Equal(t, 300, s.ReusableLen(q, 300))
		require.Equal(t, 500, s.ReusableLen(f, 500))
		invariants(t, s)

		// Checkpoints are saved, and what is loaded goes back to them as what was saved does.
		var b bytes.Buffer
		require.NoError(t, s.Save(&b, f))
		g, err := s.Load(&b)
		require.NoError(t, err)
		check(t, s, g, have[:500])
		invariants(t, s)
		for n := range 501 {
			require.Equal(t, s.ReusableLen(f, n), s.ReusableLen(g, n), n)
		}
		h := s.Fork(g, 299)
		check(t, s, h, have[:64])
		check(t, s, h, grow(t, s, h, have[:64], stamps(6000, 100)...))
		s.Drop(h)
		check(t, s, g, grow(t, s, g, have[:500], stamps(5000, 100)...))

		for _, q := range []Seq{q, f, g} {
			s.Drop(q)
		}
		require.Zero(t, s.Pages())
		invariants(t, s)
	}
}

// TestCheckpointsAreFew: checkpoints are pruned, and stay spread.
func TestCheckpointsAreFew(t *testing.T) {
	s := newStore(t, Config{Layers: []Spec{Recurrent(4)}, Checkpoints: 3})
	q := s.Open()
	var have []uint32
	for n := 0; n < 1000; n += 100 {
		have = growMarking(t, s, q, have, stamps(uint32(n), 100), []int{n + 50})
		require.Equal(t, n+50, s.ReusableLen(q, n+99))
	}
	var at []int
	for _, c := range s.seqs[q].checkpoints {
		at = append(at, c.at)
	}
	require.Len(t, at, 3)
	require.Equal(t, 950, at[2])
	require.InDelta(t, 400, at[0], 250)
	require.InDelta(t, 700, at[1], 250)
	require.Equal(t, 4, s.Pages(), "three checkpoints and the state itself")
	require.Equal(t, s.Need(1000, 100), 5*s.StateBytes())
	require.Equal(t, at[1], s.Len(cutBack(s, q, 940)))
	invariants(t, s)

	// Where there is no room a mark is no fault.
	s = newStore(t, Config{Layers: []Spec{Recurrent(4)}, MaxBytes: 32})
	q = s.Open()
	have = growMarking(t, s, q, nil, stamps(0, 10), []int{4, 5, 10})
	check(t, s, q, have)
	require.Equal(t, 4, s.ReusableLen(q, 9))
	require.ErrorIs(t, s.Reserve(q, 1), ErrFull)
}
