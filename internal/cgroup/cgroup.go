// Package cgroup reads the limits that Linux control groups set to this process: processor time and
// memory.
//
// Both versions are understood, also side by side: in version 1 each controller has a tree of its
// own, in version 2 there is one. A limit may sit at any level from the process's own group up to
// the root that is visible, and the tightest counts. [CPU] and [Memory] look at all levels;
// elsewhere than on Linux there are no such files and they find nothing.
//
//	if quota, ok := cgroup.CPU(os.DirFS("/")); ok {
//		fmt.Println(quota.CPUs, "processors' worth of time, set in", quota.Dir)
//	}
//
// The file system is an argument so that machines of all kinds can be tested from fixtures. See
// cgroups(7) and Documentation/admin-guide/cgroup-v2.rst of the kernel.
package cgroup

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Quota is a limit of processor time.
type Quota struct {
	CPUs float64 // processors' worth of time, such as 1.5
	Dir  string  // the group that sets it, as an absolute path
}

// Limit is a limit of memory.
type Limit struct {
	Bytes int64  // what the group may use
	Used  int64  // what it uses, less the pages of files, which are given up where room is needed
	Dir   string // the group that sets it, as an absolute path
}

// Left is what may still be used.
func (l Limit) Left() int64 { return max(0, l.Bytes-l.Used) }

// CPU returns the tightest quota of processor time; ok is false if there is none. root is the root
// of the file system.
func CPU(root fs.FS) (tightest Quota, ok bool) {
	dirs, version := find(root, "cpu")
	for _, dir := range dirs {
		var quota, period float64
		if version == 2 {
			f := strings.Fields(text(root, dir, "cpu.max"))
			if len(f) != 2 {
				continue
			}
			quota, period = float(f[0]), float(f[1])
		} else {
			quota, period = float(text(root, dir, "cpu.cfs_quota_us")), float(text(root, dir, "cpu.cfs_period_us"))
		}
		if !(quota > 0 && period > 0) { // "max", -1, or no such file
			continue
		}
		if n := quota / period; !ok || n < tightest.CPUs {
			tightest, ok = Quota{CPUs: n, Dir: "/" + dir}, true
		}
	}
	return tightest, ok
}

// unlimited is a size that no machine has: version 1 writes "no limit" as the largest whole number
// of pages.
const unlimited = 1 << 60

// Memory returns the limit that leaves the least; ok is false if there is none. root is the root of
// the file system.
func Memory(root fs.FS) (tightest Limit, ok bool) {
	dirs, version := find(root, "memory")
	for _, dir := range dirs {
		l := Limit{Bytes: math.MaxInt64, Dir: "/" + dir}
		var used, files int64
		if version == 2 {
			// beyond high a process is slowed down to a crawl
			for _, name := range []string{"memory.max", "memory.high"} {
				if n, ok := integer(text(root, dir, name)); ok {
					l.Bytes = min(l.Bytes, n)
				}
			}
			used, _ = integer(text(root, dir, "memory.current"))
			files = sum(text(root, dir, "memory.stat"), "inactive_file", "active_file")
		} else {
			if n, ok := integer(text(root, dir, "memory.limit_in_bytes")); ok {
				l.Bytes = n
			}
			used, _ = integer(text(root, dir, "memory.usage_in_bytes"))
			files = sum(text(root, dir, "memory.stat"), "total_inactive_file", "total_active_file")
		}
		if l.Bytes >= unlimited {
			continue
		}
		l.Used = max(0, used-files)
		if !ok || l.Left() < tightest.Left() {
			tightest, ok = l, true
		}
	}
	return tightest, ok
}

// find returns the folders of a controller, from the process's group up to the root of the tree
// that is visible, relative to root. It returns none if the controller is in no tree.
func find(root fs.FS, controller string) (dirs []string, version int) {
	own1, own2 := "", ""
	for line := range strings.Lines(text(root, "proc/self", "cgroup")) {
		// id:controllers:path, with id 0 and no controllers for version 2
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) != 3:
		case f[0] == "0" && f[1] == "":
			own2 = f[2]
		case contains(f[1], controller):
			own1 = f[2]
		}
	}
	mount1, mount2 := mounts(root, controller)
	switch {
	case own1 != "" && mount1.point != "":
		return mount1.up(root, own1), 1
	case own2 != "" && mount2.point != "":
		return mount2.up(root, own2), 2
	}
	return nil, 0
}

// mount is where a tree, or the part of it below the group top, is to be seen.
type mount struct{ root, point string }

// mounts finds the trees of the controller in versions 1 and 2.
func mounts(root fs.FS, controller string) (v1, v2 mount) {
	for line := range strings.Lines(text(root, "proc/self", "mountinfo")) {
		// id parent device top point options tag... - type source options, see
		// proc_pid_mountinfo(5)
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 6 || len(g) < 3 {
			continue
		}
		m := mount{root: unescape(f[3]), point: strings.TrimPrefix(path.Clean(unescape(f[4])), "/")}
		switch {
		case g[0] == "cgroup2" && v2.point == "":
			v2 = m
		case g[0] == "cgroup" && contains(g[2], controller) && v1.point == "":
			v1 = m
		}
	}
	return v1, v2
}

// up returns the folder of a group and those above it as far as the mount shows them.
func (m mount) up(root fs.FS, group string) []string {
	// In a container the group may be named as the host sees it, while only a part of the tree is
	// mounted: then the mount itself is the group.
	rel := ""
	if below, ok := strings.CutPrefix(group+"/", strings.TrimSuffix(m.root, "/")+"/"); ok && !strings.Contains(group, "..") {
		rel = strings.Trim(path.Clean("/"+below), "/")
	}
	if _, err := fs.Stat(root, path.Join(m.point, rel)); err != nil {
		rel = ""
	}
	var dirs []string
	for ; rel != ""; rel = strings.TrimSuffix(path.Dir("/" + rel)[1:], "/") {
		dirs = append(dirs, path.Join(m.point, rel))
	}
	return append(dirs, m.point)
}

func contains(list, name string) bool {
	for s := range strings.SplitSeq(list, ",") {
		if s == name {
			return true
		}
	}
	return false
}

// unescape undoes the octal escapes of blanks, tabs, line feeds and backslashes in a path.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func text(root fs.FS, dir, name string) string {
	b, err := fs.ReadFile(root, path.Join(dir, name))
	if err != nil {
		return "" // a file that is not there sets no limit
	}
	return strings.TrimSpace(string(b))
}

// float returns 0 for what is no number.
func float(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v
}

func integer(s string) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil && v >= 0
}

// sum adds the values of some keys in lines of "key value".
func sum(stat string, keys ...string) int64 {
	var n int64
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, k := range keys {
			if k == key {
				v, _ := integer(value)
				n += v
			}
		}
	}
	return n
}
