package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/probe"
)

func newDoctor() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Show the machine as the engine sees it",
		Long: `Shows instruction sets, cores, memory and the limits that are set on them, what the engine makes
of these, and how fast the machine reads memory and calculates. Takes a few seconds.

No token comes faster than the weights can be read, and no prompt faster than the peak allows.`,
		Example: `  goinfer doctor
  goinfer doctor --json`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return doctor(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write everything as JSON")
	return cmd
}

// diagnosis is what doctor writes as JSON.
type diagnosis struct {
	Machine probe.Info  `json:"machine"`
	Peaks   probe.Peaks `json:"peaks"`
	Load    probe.Load  `json:"load"` // what other programs took while they were measured
	Faults  []string    `json:"faults,omitempty"`
}

func doctor(cmd *cobra.Command, asJSON bool) error {
	var d diagnosis
	var err, err2 error
	out := bufio.NewWriter(cmd.OutOrStdout())
	d.Machine, err = probe.Machine()
	if !asJSON {
		writeMachine(out, d.Machine)
		if e := out.Flush(); e != nil {
			return e
		}
	}
	if err == nil {
		threads := slices.Compact([]int{1, d.Machine.Threads})
		bar := startProgress(cmd, "measuring", 3*len(threads)+1)
		var w *probe.Watch
		if w, err2 = probe.Begin(cmd.Context(), d.Machine.Threads, true); err2 == nil {
			if d.Peaks, err2 = probe.Measure(cmd.Context(), threads, bar.set); err2 == nil {
				d.Load, err2 = w.End(cmd.Context())
			}
		}
		bar.end()
	}
	err = errors.Join(err, err2)
	if asJSON {
		if err != nil {
			d.Faults = []string{oneLine(err)}
		}
		if e := writeJSON(out, d); e != nil {
			return e
		}
	} else if err == nil {
		writePeaks(out, d.Peaks)
		writeLoad(out, d.Load)
	}
	return errors.Join(err, out.Flush())
}

func writeMachine(out io.Writer, m probe.Info) {
	w := table(out)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("system", "%s/%s, %s", m.OS, m.Arch, m.GoVersion)
	row("processor", "%s", orUnknown(printable(m.CPU)))
	row("instruction sets", "%s", orUnknown(strings.Join(m.Features, " ")))
	level := m.ISA
	if level == "" {
		level = "none"
	}
	row("kernels", "%s (this build has %s)", level, strings.Join(m.ISAs, ", "))
	fast := ""
	if m.PerformanceCores < m.UsableCores {
		fast = fmt.Sprintf(", %d of them fast", m.PerformanceCores)
	}
	row("cores", "%d with %s; this process may use %d%s", m.PhysicalCores, plural(m.LogicalCores, "thread"), m.UsableCores, fast)
	row("threads", "%d: %s", m.Threads, m.ThreadsWhy)
	limit := "none"
	if m.CgroupCPUs > 0 {
		limit = fmt.Sprintf("%g processors", m.CgroupCPUs)
	}
	row("cgroup processors", "%s", limit)
	limit = "none"
	if m.CgroupMemory > 0 {
		limit = fmt.Sprintf("%s, of which %s are used", goinfer.Bytes(m.CgroupMemory), goinfer.Bytes(m.CgroupMemoryUse))
	}
	row("cgroup memory", "%s", limit)
	row("memory", "%s, available %s%s", orUnknownBytes(m.MemoryTotal), orUnknownBytes(m.MemoryAvailable), inBrackets(m.MemoryWhy))
	row("caches", "L1 %s, L2 %s, L3 %s", orUnknownBytes(m.L1Cache), orUnknownBytes(m.L2Cache), orUnknownBytes(m.L3Cache))
	w.Flush()
}

func writePeaks(out io.Writer, p probe.Peaks) {
	fmt.Fprintln(out)
	w := table(out)
	fmt.Fprintf(w, "threads\treading memory\tfloat32 multiply-adds\tint8 multiply-adds\n")
	for _, r := range p.Results {
		fmt.Fprintf(w, "%d\t%.1f GB/s\t%.1f GFLOPS\t%.1f GOPS\n", r.Threads, r.ReadGBs, r.FMAGFlops, r.Int8GOps)
	}
	w.Flush()
	if p.InCache {
		fmt.Fprintf(out, "There was too little memory for a buffer well beyond the caches: the reading is in part theirs.\n")
	}
}

// writeLoad warns of speeds that say more about other programs than about the machine.
func writeLoad(out io.Writer, l probe.Load) {
	if l.Busy() {
		fmt.Fprintf(out, "\nNot measurable: %s. The speeds above are those of a busy machine.\n", l)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// orUnknownBytes is a number of bytes, 0 if it is not known.
func orUnknownBytes(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return goinfer.Bytes(n)
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
