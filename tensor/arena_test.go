package tensor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// span is the memory of a tensor, as addresses.
func span(t *Tensor) (from, to uintptr) {
	from = uintptr(unsafe.Pointer(unsafe.SliceData(t.F)))
	return from, from + uintptr(len(t.F))*4
}

// TestArenaAliasing runs random calls against a plain stack of the live tensors: no two overlap,
// none changes under another's writes, whether the arena has grown since or not.
func TestArenaAliasing(t *testing.T) {
	type entry struct {
		t    *Tensor
		want Tensor
		fill float32
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var a Arena
	var live []entry
	var marks []Mark
	var depth []int // len(live) at each mark
	next := float32(0)
	for step := range 4000 {
		switch k := rng.IntN(20); {
		case k < 13:
			rows, cols := rng.IntN(9), rng.IntN(900)
			x := a.New(rows, cols)
			require.Len(t, x.F, rows*cols)
			require.Equal(t, len(x.F), cap(x.F))
			next++
			for i := range x.F {
				x.F[i] = next
			}
			live = append(live, entry{x, *x, next})
		case k < 16:
			marks, depth = append(marks, a.Mark()), append(depth, len(live))
		case k < 19 && len(marks) > 0:
			// Not always to the last mark; a mark may be used more than once.
			i := rng.IntN(len(marks))
			a.Rewind(marks[i])
			live, marks, depth = live[:depth[i]], marks[:i+1], depth[:i+1]
		case k == 19 && rng.IntN(10) == 0:
			a.Reset()
			live, marks, depth = nil, nil, nil
		}
		if step%16 != 0 {
			continue
		}
		for i, e := range live {
			require.Equal(t, e.want.Rows, e.t.Rows)
			require.Equal(t, e.want.Cols, e.t.Cols)
			changed := slices.ContainsFunc(e.t.F, func(f float32) bool { return f != e.fill })
			require.False(t, changed, "a tensor changed under another's writes")
			from, to := span(e.t)
			for _, o := range live[i+1:] {
				ofrom, oto := span(o.t)
				if from < to && ofrom < oto && from < oto && ofrom < to {
					require.Fail(t, "two live tensors overlap")
				}
			}
		}
	}
}

func TestArenaRewindReuses(t *testing.T) {
	var a Arena
	x := a.New(2, 100)
	m := a.Mark()
	y := a.New(3, 7)
	from, _ := span(y)
	a.Rewind(m)
	z := a.New(5, 5)
	require.Same(t, y, z, "headers are used again")
	again, _ := span(z)
	require.Equal(t, from, again, "and so is memory")
	require.Zero(t, from%64, "on a cache line")
	require.Equal(t, 200, len(x.F))
	require.Equal(t, x.F[100:200], x.Row(1))
	require.Equal(t, 100, cap(x.Row(0)), "a row ends where the next begins")
}

// layers is what a forward pass does with its arena.
func layers(a *Arena, n int) {
	a.Reset()
	a.New(n, 512)
	m := a.Mark()
	for l := range 7 {
		a.Rewind(m)
		for range 3 + l {
			a.New(n, 1000+l)
		}
		a.New(1, 1)
	}
	a.Rewind(m)
	a.New(n, 32000)
	a.Rewind(m)
	a.New(n, 512)
}

func TestArenaWarm(t *testing.T) {
	var a Arena
	layers(&a, 64)
	require.Greater(t, len(a.blocks), 1, "the first run grows in blocks")
	layers(&a, 64)
	require.Equal(t, a.Peak(), a.Bytes(), "Reset leaves one block of the size needed")
	for _, n := range []int{64, 1, 17} {
		require.Zero(t, testing.AllocsPerRun(10, func() { layers(&a, n) }), "%d rows", n)
	}
}

func TestArenaCounting(t *testing.T) {
	for _, n := range []int{0, 1, 3, 200} {
		var real Arena
		dry := Arena{Counting: true}
		layers(&real, n)
		layers(&dry, n)
		require.Equal(t, real.Peak(), dry.Peak(), "%d rows", n)
		require.Zero(t, dry.Bytes())
		layers(&real, n)
		require.LessOrEqual(t, real.Bytes(), max(dry.Peak(), 4*firstBlock))
	}
	dry := Arena{Counting: true}
	x := dry.New(1<<20, 1<<20)
	require.Nil(t, x.F)
	require.Equal(t, [2]int{1 << 20, 1 << 20}, [2]int{x.Rows, x.Cols})
	require.Equal(t, int64(4)<<40, dry.Peak())
	// A line of 64 bytes each, and the most at one time rather than the last.
	dry = Arena{Counting: true}
	m := dry.Mark()
	dry.New(1, 1)
	dry.New(1, 17)
	dry.Rewind(m)
	dry.New(1, 1)
	require.Equal(t, int64(64+128), dry.Peak())
}

func TestArenaMisuse(t *testing.T) {
	for _, d := range [][2]int{{-1, 1}, {1, -1}, {math.MaxInt, 2}, {1 << 40, 1 << 40}, {math.MaxInt, 1}, {math.MinInt, math.MinInt}} {
		for _, counting := range []bool{false, true} {
			a := Arena{Counting: counting}
			require.Panics(t, func() { a.New(d[0], d[1]) }, "%v", d)
		}
	}
	full := Arena{Counting: true}
	full.New(1<<60, 1)
	require.Panics(t, func() { full.New(1<<60, 1) }, "the sum overflows")

	var a Arena
	outer := a.Mark()
	a.New(1, 1)
	inner := a.Mark()
	a.Rewind(outer)
	require.Panics(t, func() { a.Rewind(inner) }, "a mark ahead")
	a.Rewind(outer)
	a.Reset()
	require.Panics(t, func() { a.Rewind(outer) }, "a mark from before Reset")
}
