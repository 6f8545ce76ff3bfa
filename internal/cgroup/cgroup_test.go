package cgroup

import (
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// machine makes a file system of files and their contents.
func machine(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, s := range files {
		m[name] = &fstest.MapFile{Data: []byte(s)}
	}
	return m
}

const (
	v2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	v1Mount = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)

func TestCPU(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  float64 // 0: no quota
		dir   string
	}{
		"no cgroups": {files: nil},
		"v2, own group": {map[string]string{
			"proc/self/cgroup": "0::/user.slice/app\n", "proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" + v2Mount,
			"sys/fs/cgroup/user.slice/app/cpu.max": "150000 100000\n",
			"sys/fs/cgroup/user.slice/cpu.max":     "max 100000\n",
		}, 1.5, "/sys/fs/cgroup/user.slice/app"},
		"v2, a tighter group above": {map[string]string{
			"proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/c/cpu.max": "800000 100000\n",
			"sys/fs/cgroup/a/b/cpu.max":   "max 100000\n",
			"sys/fs/cgroup/a/cpu.max":     "50000 100000\n",
		}, 0.5, "/sys/fs/cgroup/a"},
		"v2, container with a namespace": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/cpu.max": "200000 100000",
		}, 2, "/sys/fs/cgroup"},
		"v2, container that sees the host's name": {map[string]string{
			"proc/self/cgroup": "0::/docker/abc\n", "proc/self/mountinfo": "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n",
			"sys/fs/cgroup/cpu.max": "300000 100000",
		}, 3, "/sys/fs/cgroup"},
		"v2, a group outside of what is mounted": {map[string]string{
			"proc/self/cgroup": "0::/../../other\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/cpu.max": "100000 100000",
		}, 1, "/sys/fs/cgroup"},
		"v2, a group whose name begins like the mounted one": {map[string]string{
			"proc/self/cgroup": "0::/docker/abcdef\n", "proc/self/mountinfo": "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n",
			"sys/fs/cgroup/cpu.max": "300000 100000", "sys/fs/cgroup/def/cpu.max": "100000 100000",
		}, 3, "/sys/fs/cgroup"},
		"v2, mounted elsewhere, with a blank": {map[string]string{
			"proc/self/cgroup": "0::/x\n", "proc/self/mountinfo": `30 23 0:26 / /my\040groups rw - cgroup2 none rw` + "\n",
			"my groups/x/cpu.max": "25000 50000",
		}, 0.5, "/my groups/x"},
		"v1": {map[string]string{
			"proc/self/cgroup": "4:memory:/m\n2:cpu,cpuacct:/grp/sub\n1:name=systemd:/\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/cpu,cpuacct/grp/sub/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/grp/sub/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/grp/cpu.cfs_quota_us":      "250000\n",
			"sys/fs/cgroup/cpu,cpuacct/grp/cpu.cfs_period_us":     "100000\n",
		}, 2.5, "/sys/fs/cgroup/cpu,cpuacct/grp"},
		"v1 beside v2": {map[string]string{
			"proc/self/cgroup":                             "2:cpu,cpuacct:/\n0::/\n",
			"proc/self/mountinfo":                          v1Mount + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/unified/cpu.max":                "100000 100000",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":   "400000",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":  "100000",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "1",
		}, 4, "/sys/fs/cgroup/cpu,cpuacct"},
		"v1 without a limit": {map[string]string{
			"proc/self/cgroup": "2:cpu:/\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "-1",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
		}, 0, ""},
		"nonsense": {map[string]string{
			"proc/self/cgroup": "::\n0::\nx\n2:cpu:/\n0::/a\n", "proc/self/mountinfo": "\n - \n1 2 3 - cgroup2\n- - -\n" + v2Mount,
			"sys/fs/cgroup/a/cpu.max": "-5 0 x\n", "sys/fs/cgroup/cpu.max": "NaN 100000",
		}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			q, ok := CPU(machine(c.files))
			require.Equal(t, c.want != 0, ok, "%+v", q)
			require.Equal(t, Quota{CPUs: c.want, Dir: c.dir}, q)
		})
	}
}

func TestMemory(t *testing.T) {
	const mb = 1 << 20
	n := func(v int) string { return strconv.Itoa(v) + "\n" }
	for name, c := range map[string]struct {
		files map[string]string
		want  Limit // zero: no limit
	}{
		"no cgroups": {},
		"v2": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/memory.max":     n(512 * mb),
			"sys/fs/cgroup/a/b/memory.high":    "max\n",
			"sys/fs/cgroup/a/b/memory.current": n(200 * mb),
			"sys/fs/cgroup/a/b/memory.stat":    "anon 1\nfile 2\ninactive_file 52428800\nactive_file 10485760\nslab 5\n",
			"sys/fs/cgroup/a/memory.max":       "max\n",
			"sys/fs/cgroup/a/memory.current":   n(900 * mb),
		}, Limit{512 * mb, 140 * mb, "/sys/fs/cgroup/a/b"}},
		"v2, less is left above": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/memory.max":     n(512 * mb),
			"sys/fs/cgroup/a/b/memory.current": n(100 * mb),
			"sys/fs/cgroup/a/memory.max":       n(1024 * mb),
			"sys/fs/cgroup/a/memory.current":   n(1000 * mb),
		}, Limit{1024 * mb, 1000 * mb, "/sys/fs/cgroup/a"}},
		"v2, high below max": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": n(512 * mb), "sys/fs/cgroup/memory.high": n(256 * mb),
		}, Limit{256 * mb, 0, "/sys/fs/cgroup"}},
		"v1": {map[string]string{
			"proc/self/cgroup": "4:memory:/m\n0::/\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes": n(64 * mb),
			"sys/fs/cgroup/memory/m/memory.usage_in_bytes": n(40 * mb),
			"sys/fs/cgroup/memory/m/memory.stat":           "inactive_file 1\ntotal_inactive_file 1048576\ntotal_active_file 2097152\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
		}, Limit{64 * mb, 37 * mb, "/sys/fs/cgroup/memory/m"}},
		"v1 without a limit": {map[string]string{
			"proc/self/cgroup": "4:memory:/m\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes": "9223372036854771712\n",
		}, Limit{}},
		"more used than allowed": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": n(mb), "sys/fs/cgroup/memory.current": n(2 * mb),
		}, Limit{mb, 2 * mb, "/sys/fs/cgroup"}},
		"nonsense": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/memory.max": "-1", "sys/fs/cgroup/memory.current": "many", "sys/fs/cgroup/memory.stat": "inactive_file",
		}, Limit{}},
	} {
		t.Run(name, func(t *testing.T) {
			l, ok := Memory(machine(c.files))
			require.Equal(t, c.want != Limit{}, ok, "%+v", l)
			require.Equal(t, c.want, l)
			require.GreaterOrEqual(t, l.Left(), int64(0))
		})
	}
}
