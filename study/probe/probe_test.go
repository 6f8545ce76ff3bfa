package probe

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/cpu"
)

func TestMachine(t *testing.T) {
	t.Setenv("GOINFER_CPU", "")
	m, err := Machine()
	require.NoError(t, err)
	require.Equal(t, runtime.GOOS, m.OS)
	require.Equal(t, runtime.GOARCH, m.Arch)
	require.Equal(t, runtime.Version(), m.GoVersion)
	require.NotEmpty(t, m.CPU)
	require.Contains(t, m.ISAs, m.ISA)
	require.True(t, m.Threads >= 1 && m.Threads <= m.PerformanceCores, "%+v", m)
	require.NotEmpty(t, m.ThreadsWhy)
	require.LessOrEqual(t, m.MemoryAvailable, m.MemoryTotal)

	text, err := json.Marshal(m)
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	for _, key := range []string{"os", "arch", "go_version", "cpu", "features", "level", "levels", "logical_cores", "physical_cores",
		"threads", "threads_why", "memory_total", "memory_available"} {
		require.Contains(t, back, key)
	}
}

func TestMachineWithABadLevel(t *testing.T) {
	t.Setenv("GOINFER_CPU", "turbo")
	m, err := Machine()
	require.ErrorContains(t, err, `GOINFER_CPU="turbo"`)
	require.Empty(t, m.ISA)
	require.NotZero(t, m.Threads)
	_, err = Measure(t.Context(), []int{1}, nil)
	require.ErrorContains(t, err, "turbo")
	_, err = FMA(t.Context(), 1)
	require.ErrorContains(t, err, "turbo")
}

func TestSum64(t *testing.T) {
	for level, l := range assembly {
		if slices.Contains(cpu.Usable(), level) {
			t.Run(level, func(t *testing.T) { testSum(t, l.sum) })
		}
	}
	testSum(t, sum64)
}

func testSum(t *testing.T, sum64 func([]uint64) uint64) {
	x := make([]uint64, 4096)
	var want uint64
	for i := range x {
		x[i] = rand.Uint64()
		want += x[i]
	}
	require.Equal(t, want, sum64(x))
	x[4095]++
	require.Equal(t, want+1, sum64(x))
}

func TestTile(t *testing.T) {
	f := newFMA(1)
	var want float64
	for k := range fmaK {
		for r := range tileRows {
			for c := range tileCols {
				want += float64(f.a[k*tileRows+r]) * float64(f.b[k*tileCols+c])
			}
		}
	}
	require.EqualValues(t, want, tile(f.a, f.b), "small whole numbers: exact")
}

func TestDot3(t *testing.T) {
	x, y, z, q := make([]int8, 256), make([]int8, 256), make([]int8, 256), make([]int8, 256)
	p := make([]int64, 256)
	check := func() {
		var wx, wy, wz int32
		for i := range q {
			wx += int32(x[i]) * int32(q[i])
			wy += int32(y[i]) * int32(q[i])
			wz += int32(z[i]) * int32(q[i])
		}
		pack(p, x, y, z)
		gx, gy, gz := dot3(p, q)
		require.Equal(t, [3]int32{wx, wy, wz}, [3]int32{gx, gy, gz})
	}
	for range 200 {
		for i := range q {
			x[i], y[i], z[i], q[i] = int8(rand.Int()), int8(rand.Int()), int8(rand.Int()), int8(rand.IntN(255)-127)
		}
		check()
	}
	for _, w := range []int8{-128, 127} {
		for _, a := range []int8{-127, 127} {
			for i := range q {
				x[i], y[i], z[i], q[i] = w, -w-1, w, a
			}
			check()
		}
	}
}

// Every page of the buffer is written, and every word is read in a pass, by whatever number of
// threads.
func TestBufferIsReadWhole(t *testing.T) {
	_, l, err := isaLoops()
	require.NoError(t, err)
	b, err := newBuffer(t.Context(), l.sum)
	require.NoError(t, err)
	require.GreaterOrEqual(t, b.bytes(), int64(minBuffer))
	for i := pageWords; i < len(b.x); i += pageWords {
		if b.x[i] != uint64(i) {
			require.Fail(t, "a page was not written", "word %d", i)
		}
	}
	for i := range b.x {
		b.x[i] = uint64(i)
	}
	n := uint64(len(b.x))
	for c := range b.chunks() {
		b.Run(c, c%2)
	}
	require.Equal(t, n/2*(n-1), b.sums[0]+b.sums[line])
	require.EqualValues(t, b.bytes(), float64(b.chunks())*b.units())
}

func TestBufferSize(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		caches, available, size int64
		inCache                 bool
	}{
		{32 * mb, -1, 1024 * mb, false},
		{0, 64 << 30, 1024 * mb, false},
		{384 * mb, 64 << 30, 1536 * mb, false},
		{384 * mb, 2 << 30, 512 * mb, true},
		{32 * mb, 256 * mb, 64 * mb, false},
		{32 * mb, 71 * mb, 17 * mb, true},
	} {
		size, inCache, err := bufferSize(c.caches, c.available)
		require.NoError(t, err)
		require.Equal(t, c.size, size)
		require.Equal(t, c.inCache, inCache)
	}
	_, _, err := bufferSize(32*mb, 20*mb)
	require.EqualError(t, err, "a quarter of the available 20971520 bytes of memory is too little to measure bandwidth: want 16777216")
}

func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("takes over a second")
	}
	levels := cpu.Usable()
	if os.Getenv("GOINFER_LONG") == "" {
		levels = levels[len(levels)-1:] // each takes seconds
	}
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			t.Setenv(cpu.Env, level)
			testMeasure(t, level)
		})
	}
}

func testMeasure(t *testing.T, level string) {
	var steps []int
	start := time.Now()
	p, err := Measure(t.Context(), []int{1, 2}, func(step, total int) {
		require.Equal(t, 7, total)
		steps = append(steps, step)
	})
	require.NoError(t, err)
	require.Less(t, time.Since(start), time.Minute, "this is done while a user waits")
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, steps)
	require.Equal(t, level, p.ISA)
	require.Len(t, p.Results, 2)
	for i, r := range p.Results {
		require.Equal(t, i+1, r.Threads)
		// Wide bounds: what no machine of today falls short of or exceeds, should a loop be left
		// out.
		within := func(v, least, most float64) {
			require.True(t, v > least && v < most*float64(r.Threads), "%+v", r)
		}
		within(r.ReadGBs, 0.05, 200)
		within(r.FMAGFlops, 0.02, 1000)
		within(r.Int8GOps, 0.02, 8000)
	}
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.Regexp(t, `^\{"level":"`+level+`","buffer_bytes":\d+,("in_cache":true,)?"results":\[\{"threads":1,"read_gb_s":[\d.]+,"fma_gflops":[\d.]+,"int8_gops":[\d.]+\}`, string(text))
}

func TestCancel(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for name, f := range map[string]func(context.Context, int) (float64, error){
		"bandwidth": Bandwidth, "fma": FMA, "int8": Int8Dot} {
		_, err := f(ctx, 1)
		require.ErrorIs(t, err, cause, name)
	}
	_, err := Measure(ctx, []int{1}, nil)
	require.ErrorIs(t, err, cause)

	ctx, cancel2 := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel2()
	start := time.Now()
	_, err = FMA(ctx, 2)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), time.Second)
}

func TestThreadsAreChecked(t *testing.T) {
	for _, n := range []int{0, -1, maxThreads + 1} {
		_, err := Bandwidth(t.Context(), n)
		require.ErrorContains(t, err, "want 1 to 4096")
		_, err = FMA(t.Context(), n)
		require.ErrorContains(t, err, "want 1 to 4096")
		_, err = Measure(t.Context(), []int{1, n}, nil)
		require.ErrorContains(t, err, "want 1 to 4096")
	}
}
