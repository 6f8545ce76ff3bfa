package probe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/cpu"
)

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		a, b    look
		between float64
		busy    bool
		says    string
	}{
		{look{0.01, 20}, look{0.02, 19}, 0.03, false, ""},
		{look{0.11, 20}, look{0.02, 20}, 0, true, "11 % of the processor time"},
		{look{0, 20}, look{0.5, 20}, 0, true, "50 % of the processor time"},
		{look{0, 20}, look{0, 20}, 0.2, true, "20 % of the processor time"},
		{look{0, 20}, look{0, 17}, 0, true, "differ by 15 %"}, // a load that takes bandwidth alone
		{look{0, 17}, look{0, 20}, 0, true, "differ by 15 %"},
		{look{0, 0}, look{0, 0}, 0, false, ""},
	} {
		l := loadOf(c.a, c.b, c.between)
		require.Equal(t, c.busy, l.Busy(), "%+v", c)
		if c.says == "" {
			require.Empty(t, l.String())
		} else {
			require.Contains(t, l.String(), c.says)
		}
	}
	require.Equal(t, Load{0.3, 0.2}, Load{0.3, 0.1}.Worse(Load{0.2, 0.2}))
}

// spun is what the loops of TestWatchSeesLoad count.
var spun atomic.Uint64

// TestWatchSeesLoad: two loops for each core, in a process of their own, are seen.
func TestWatchSeesLoad(t *testing.T) {
	if os.Getenv("GOINFER_TEST_SPIN") != "" {
		for range runtime.NumCPU() {
			go func() {
				for n := uint64(0); ; n++ {
					spun.Store(n)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		return
	}
	if testing.Short() {
		t.Skip("keeps all cores busy")
	}
	threads, _ := cpu.Threads()
	for range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWatchSeesLoad$")
		cmd.Env = append(os.Environ(), "GOINFER_TEST_SPIN=1")
		require.NoError(t, cmd.Start())
		defer func() {
			cmd.Process.Kill()
			cmd.Wait()
		}()
	}
	time.Sleep(300 * time.Millisecond)
	w, err := Begin(t.Context(), threads, false)
	require.NoError(t, err)
	l, err := w.End(t.Context())
	require.NoError(t, err)
	require.True(t, l.Busy(), "%+v", l)
	require.Contains(t, l.String(), "processor time")
}

func TestWatch(t *testing.T) {
	w, err := Begin(t.Context(), 1, true)
	require.NoError(t, err)
	require.Positive(t, w.first.gbs)
	l, err := w.End(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, l.Processor, 1.0)
	require.GreaterOrEqual(t, l.Memory, 0.0)
	_, err = Begin(t.Context(), 0, false)
	require.ErrorContains(t, err, "0 threads")
	stopped, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more")
	cancel(why)
	_, err = Begin(stopped, 1, false)
	require.ErrorIs(t, err, why)
}
