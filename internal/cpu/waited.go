package cpu

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// waited sums how long the threads of the process were ready to run and were not, from the files
// below root: the second number of schedstat (Linux, Documentation/scheduler/sched-stats.rst). ok
// is false where there are no such files.
func waited(root fs.FS) (d time.Duration, ok bool) {
	tasks, err := fs.ReadDir(root, "proc/self/task")
	if err != nil {
		return 0, false
	}
	for _, t := range tasks {
		text, err := fs.ReadFile(root, "proc/self/task/"+t.Name()+"/schedstat")
		if err != nil {
			continue // the thread has ended
		}
		fields := strings.Fields(string(text))
		if len(fields) != 3 {
			continue
		}
		if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			d, ok = d+time.Duration(n), true
		}
	}
	return d, ok
}
