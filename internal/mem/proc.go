package mem

import (
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/cgroup"
)

// linuxAvailable works out Available from the files below root and a limit of the address space,
// math.MaxInt64 for none.
func linuxAvailable(root fs.FS, addressSpace int64) (bytes int64, why string, ok bool) {
	bytes = math.MaxInt64
	if info, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		n, found := field(info, "MemAvailable")
		if !found { // before Linux 3.14
			free, ok1 := field(info, "MemFree")
			cached, ok2 := field(info, "Cached")
			n, found = free+cached, ok1 && ok2
		}
		if found {
			bytes, why, ok = n, "free memory of the machine", true
		}
	}
	if l, found := cgroup.Memory(root); found && l.Left() < bytes {
		bytes, why, ok = l.Left(), "memory limit of the control group "+l.Dir, true
	}
	if addressSpace < math.MaxInt64 {
		var used int64
		if status, err := fs.ReadFile(root, "proc/self/status"); err == nil {
			used, _ = field(status, "VmSize")
		}
		if left := max(0, addressSpace-used); left < bytes {
			bytes, why, ok = left, "limit of the address space (ulimit -v)", true
		}
	}
	if !ok {
		return 0, "", false
	}
	return bytes, why, true
}

// linuxTotal works out Total from the files below root.
func linuxTotal(root fs.FS) (bytes int64, ok bool) {
	if info, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		bytes, ok = field(info, "MemTotal")
	}
	if l, found := cgroup.Memory(root); found && (!ok || l.Bytes < bytes) {
		bytes, ok = l.Bytes, true
	}
	return bytes, ok
}

// field reads a line such as "MemTotal:  24683656 kB" in bytes.
func field(text []byte, name string) (bytes int64, ok bool) {
	for line := range strings.Lines(string(text)) {
		value, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		f := strings.Fields(value)
		if len(f) != 2 || f[1] != "kB" {
			return 0, false
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64>>10 {
			return 0, false
		}
		return n << 10, true
	}
	return 0, false
}
