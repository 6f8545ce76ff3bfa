package cpu

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A thread that may use one processor finds one core.
func TestAffinity(t *testing.T) {
	before := Count()
	all := unix.NewCPUSet(maxCPU)
	if err := unix.SchedGetaffinityDynamic(0, all); err != nil {
		t.Skipf("the affinity cannot be read here: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	one := unix.NewCPUSet(maxCPU)
	one.Set(affinity()[0])
	if err := unix.SchedSetaffinityDynamic(0, one); err != nil {
		t.Skipf("the affinity cannot be set here: %v", err)
	}
	defer func() { require.NoError(t, unix.SchedSetaffinityDynamic(0, all)) }()
	c := Count()
	require.Equal(t, 1, c.Allowed)
	require.Equal(t, 1, c.Usable)
	require.Equal(t, before.Logical, c.Logical)
	require.Equal(t, before.Physical, c.Physical)
	n, why := threads(c, 0, 1<<20)
	require.Equal(t, 1, n)
	if c.Logical > 1 {
		require.Contains(t, why, "affinity allows 1 processor on 1 core")
	}
}
