package cpu

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"

	"github.com/goinfer/goinfer/internal/cgroup"
)

// Cores counts the machine's processors.
type Cores struct {
	Logical     int // processors of the machine, every SMT sibling counted
	Physical    int // cores of the machine
	Allowed     int // processors that this process may run on (affinity, cpuset)
	Usable      int // cores with at least one such processor
	Performance int // usable cores less the efficiency cores, unless there are no others
}

// Count returns the processors of the machine. What cannot be found out is taken as if every
// processor were a core.
func Count() Cores { return count().sane() }

// sane fills gaps and undoes contradictions.
func (c Cores) sane() Cores {
	c.Allowed = max(1, c.Allowed)
	c.Logical = max(c.Logical, c.Allowed)
	if c.Usable < 1 || c.Usable > c.Allowed {
		c.Usable = c.Allowed
	}
	if c.Physical < 1 || c.Physical > c.Logical {
		c.Physical = c.Logical
	}
	c.Physical = max(c.Physical, c.Usable)
	if c.Performance < 1 || c.Performance > c.Usable {
		c.Performance = c.Usable
	}
	return c
}

// Threads returns the number of threads to start where the user named none, and the reason in a
// phrase such as "2 of 2 cores; cgroup quota 1.5". It is at most GOMAXPROCS.
func Threads() (n int, why string) {
	quota, _ := cgroup.CPU(os.DirFS("/"))
	return threads(Count(), quota.CPUs, runtime.GOMAXPROCS(0))
}

// threads takes a quota in processors, 0 for none, and the number of threads that Go runs at once.
func threads(c Cores, quota float64, maxProcs int) (n int, why string) {
	n = c.Performance
	if quota > 0 && quota < float64(n) {
		n = max(1, int(math.Ceil(quota)))
	}
	limited := maxProcs < n
	n = min(n, maxProcs)
	why = fmt.Sprintf("%d of %s", n, plural(c.Physical, "core"))
	if c.Logical > c.Physical {
		why += fmt.Sprintf(" with %d SMT threads", c.Logical)
	}
	if c.Allowed < c.Logical {
		why += fmt.Sprintf("; affinity allows %s on %s", plural(c.Allowed, "processor"), plural(c.Usable, "core"))
	}
	if c.Performance < c.Usable {
		why += fmt.Sprintf("; %s left out", plural(c.Usable-c.Performance, "efficiency core"))
	}
	if quota > 0 {
		why += "; cgroup quota " + strconv.FormatFloat(math.Round(quota*100)/100, 'f', -1, 64)
	}
	if limited {
		why += fmt.Sprintf("; GOMAXPROCS %d", maxProcs)
	}
	return n, why
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
