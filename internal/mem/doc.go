// Package mem says how much memory the process may still use and how much it has used, so that what
// cannot fit is refused before it is loaded.
//
//   - [Available] is what may still be used, and which limit it comes from.
//   - [Total] is what the machine, or the control group, has altogether.
//   - [PeakRSS] is the most that the process has held so far, or since [ResetPeak].
//   - [Huge] asks for large pages, [Populate] for pages before they are touched.
//
// A sketch:
//
//	have, why, ok := mem.Available()
//	if ok && need > have {
//		return fmt.Errorf("%d bytes are needed, %d are available (%s)", need, have, why)
//	}
//
// Three limits count on Linux, and the tightest is reported: the kernel's own estimate of what can
// be had without swapping (MemAvailable, proc_meminfo(5)), the control groups of the process (a
// container's limit), and the limit of its address space (ulimit -v). macOS and Windows are asked
// for their estimates. Elsewhere nothing is known, and ok is false.
package mem
