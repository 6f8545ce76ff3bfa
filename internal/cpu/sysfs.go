package cpu

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cpuDir is where Linux describes processors.
const cpuDir = "sys/devices/system/cpu"

// sysfsCores counts processors from Linux's files. allowed holds the numbers of those that the
// process may run on.
func sysfsCores(root fs.FS, allowed []int) Cores {
	online := parseList(text(root, cpuDir+"/online"))
	if len(online) == 0 {
		online = allowed
	}
	slow := efficiency(root, online)
	all, usable, fast := map[string]bool{}, map[string]bool{}, map[string]bool{}
	c := Cores{Logical: len(online), Allowed: len(allowed)}
	for _, cpu := range online {
		core := siblings(root, cpu)
		if core == "" {
			return c // no topology here
		}
		all[core] = true
		if slices.Contains(allowed, cpu) {
			usable[core] = true
			if !slow[cpu] {
				fast[core] = true
			}
		}
	}
	c.Physical, c.Usable, c.Performance = len(all), len(usable), len(fast)
	return c
}

// siblings names the core of a processor by the processors on it.
func siblings(root fs.FS, cpu int) string {
	dir := path.Join(cpuDir, "cpu"+strconv.Itoa(cpu), "topology")
	if s := text(root, path.Join(dir, "core_cpus_list")); s != "" {
		return s
	}
	return text(root, path.Join(dir, "thread_siblings_list")) // the name before Linux 5.2
}

// efficiency finds the processors on cores that are much slower than the best: on hybrid x86 those
// that the kernel calls atom, on arm64 those with less than half of the best one's capacity.
func efficiency(root fs.FS, cpus []int) map[int]bool {
	slow := map[int]bool{}
	for _, cpu := range parseList(text(root, "sys/devices/cpu_atom/cpus")) {
		slow[cpu] = true
	}
	best, capacity := 0, map[int]int{}
	for _, cpu := range cpus {
		n, err := strconv.Atoi(text(root, path.Join(cpuDir, "cpu"+strconv.Itoa(cpu), "cpu_capacity")))
		if err == nil {
			capacity[cpu], best = n, max(best, n)
		}
	}
	for cpu, n := range capacity {
		if 2*n < best {
			slow[cpu] = true
		}
	}
	return slow
}

// sysfsCaches reads the caches of the first processor, and the sum over the machine of the last
// level.
func sysfsCaches(root fs.FS) (c Caches) {
	seen := map[string]int64{}
	deepest := 0
	for _, cpu := range parseList(text(root, cpuDir+"/online")) {
		for i := range 8 {
			dir := path.Join(cpuDir, "cpu"+strconv.Itoa(cpu), "cache", "index"+strconv.Itoa(i))
			size := parseSize(text(root, path.Join(dir, "size")))
			level, err := strconv.Atoi(text(root, path.Join(dir, "level")))
			if err != nil || size == 0 || text(root, path.Join(dir, "type")) == "Instruction" {
				continue
			}
			switch {
			case level == 1 && c.L1 == 0:
				c.L1 = size
			case level == 2 && c.L2 == 0:
				c.L2 = size
			case level == 3 && c.L3 == 0:
				c.L3 = size
			}
			if level > deepest {
				deepest = level
				clear(seen)
			}
			if level == deepest {
				seen[text(root, path.Join(dir, "shared_cpu_list"))] = size
			}
		}
	}
	for _, size := range seen {
		c.Last += size
	}
	return c
}

// sysfsName names the processor, or the board where the processor has no name; "" if nothing is
// known.
func sysfsName(root fs.FS) string {
	var implementer, part string
	for line := range strings.Lines(text(root, "proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name", "cpu model", "uarch":
			if value != "" {
				return value
			}
		case "CPU implementer":
			implementer = value
		case "CPU part":
			part = value
		}
	}
	if s := text(root, "sys/firmware/devicetree/base/model"); s != "" {
		return strings.TrimRight(s, "\x00")
	}
	if implementer != "" {
		return "arm64 implementer " + implementer + " part " + part
	}
	return ""
}

// maxCPU bounds the processor numbers believed, so that a list cannot ask for much memory.
const maxCPU = 1 << 14

// parseList reads a list such as "0-3,8", nil if it is none.
func parseList(s string) []int {
	var list []int
	for item := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(item, "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 0 || b < a || b > maxCPU || len(list) > maxCPU {
			return nil
		}
		for i := a; i <= b; i++ {
			list = append(list, i)
		}
	}
	return list
}

// parseSize reads a size such as "32K", 0 if it is none.
func parseSize(s string) int64 {
	shift := 0
	switch {
	case strings.HasSuffix(s, "K"):
		shift = 10
	case strings.HasSuffix(s, "M"):
		shift = 20
	case strings.HasSuffix(s, "G"):
		shift = 30
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "KMG"), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return n << shift
}

// text returns a file's contents without the white space around them, "" if it cannot be read: what
// the machine does not report is no fault.
func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
