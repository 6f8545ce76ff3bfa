package mem

import (
	"io/fs"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	meminfo = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\nBuffers:  5 kB\nCached:  2000000 kB\n"
	old     = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nBuffers:  5 kB\nCached:  2000000 kB\n"
	v2      = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	none    = math.MaxInt64
)

func machine(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, s := range files {
		m[name] = &fstest.MapFile{Data: []byte(s)}
	}
	return m
}

func TestAvailable(t *testing.T) {
	group := func(info, limit, used, stat string) map[string]string {
		return map[string]string{"proc/meminfo": info, "proc/self/cgroup": "0::/box\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/box/memory.max": limit, "sys/fs/cgroup/box/memory.current": used, "sys/fs/cgroup/box/memory.stat": stat,
			"proc/self/status": "Name:\tx\nVmPeak:\t 2000 kB\nVmSize:\t    1000 kB\nVmHWM:\t 5 kB\n"}
	}
	const machineWhy, groupWhy = "free memory of the machine", "memory limit of the control group /sys/fs/cgroup/box"
	for name, c := range map[string]struct {
		files map[string]string
		limit int64
		want  int64
		why   string
	}{
		"machine":               {map[string]string{"proc/meminfo": meminfo}, none, 8000000 << 10, machineWhy},
		"old kernel":            {map[string]string{"proc/meminfo": old}, none, 3000000 << 10, machineWhy},
		"group tighter":         {group(meminfo, "1073741824", "200000000", ""), none, 1073741824 - 200000000, groupWhy},
		"group with page cache": {group(meminfo, "1073741824", "200000000", "inactive_file 150000000\n"), none, 1073741824 - 50000000, groupWhy},
		"group wider":           {group(meminfo, "107374182400", "0", ""), none, 8000000 << 10, machineWhy},
		"group without a limit": {group(meminfo, "max", "7", ""), none, 8000000 << 10, machineWhy},
		"group is full":         {group(meminfo, "1000", "2000", ""), none, 0, groupWhy},
		"only a group":          {group("", "1073741824", "0", ""), none, 1 << 30, groupWhy},
		"ulimit":                {group(meminfo, "1073741824", "0", ""), 3000 << 10, 2000 << 10, "limit of the address space (ulimit -v)"},
		"ulimit spent":          {group(meminfo, "1073741824", "0", ""), 1 << 10, 0, "limit of the address space (ulimit -v)"},
		"nothing":               {nil, none, 0, ""},
		"nonsense":              {map[string]string{"proc/meminfo": "MemAvailable: lots kB\nMemFree: 1\n"}, none, 0, ""},
		"overflow":              {map[string]string{"proc/meminfo": "MemAvailable: 9223372036854775807 kB\n"}, none, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, why, ok := linuxAvailable(machine(c.files), c.limit)
			require.Equal(t, c.why != "", ok)
			require.Equal(t, c.want, n)
			require.Equal(t, c.why, why)
		})
	}
}

func TestTotal(t *testing.T) {
	n, ok := linuxTotal(machine(map[string]string{"proc/meminfo": meminfo}))
	require.True(t, ok)
	require.EqualValues(t, 16000000<<10, n)
	n, ok = linuxTotal(machine(map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
		"sys/fs/cgroup/memory.max": "5000"}))
	require.True(t, ok)
	require.EqualValues(t, 5000, n)
	_, ok = linuxTotal(machine(nil))
	require.False(t, ok)
}

func TestThisMachine(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
	default:
		t.Skipf("nothing is known of the memory on %s", runtime.GOOS)
	}
	have, why, ok := Available()
	require.True(t, ok)
	require.NotEmpty(t, why)
	all, ok := Total()
	require.True(t, ok)
	require.Greater(t, all, int64(64<<20))
	require.True(t, have > 0 && have <= all, "%d available of %d", have, all)
}

var block []byte

func TestPeakRSS(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
	default:
		require.Zero(t, PeakRSS())
		return
	}
	before := PeakRSS()
	require.Greater(t, before, int64(1<<20))
	block = make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after := PeakRSS()
	require.Greater(t, after-before, int64(48<<20), "64 MiB were touched")
	require.Less(t, after-before, int64(256<<20))
	block = nil
}

// Advice about memory must leave it as it is, whatever its bounds.
func TestHuge(t *testing.T) {
	b := make([]byte, 3*hugePage)
	b[0], b[len(b)-1] = 1, 2
	for _, part := range [][]byte{nil, b[:1], b[5:100], b[:hugePage], b[7 : len(b)-9], b} {
		Huge(part)
	}
	require.EqualValues(t, 1, b[0])
	require.EqualValues(t, 2, b[len(b)-1])
	require.Zero(t, b[hugePage])
}

func TestResetPeak(t *testing.T) {
	if !ResetPeak() {
		_, err := os.Stat("/proc/self/clear_refs")
		require.True(t, runtime.GOOS != "linux" || err != nil, "the file is there, and writing to it failed")
		return
	}
	block = make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	high := PeakRSS()
	block = nil
	debug.FreeOSMemory()
	require.True(t, ResetPeak())
	require.Less(t, PeakRSS(), high-48<<20)
}
