package mem

import "fmt"

// Available returns the bytes that may still be used without swapping and beyond no limit, and says
// which limit that is. ok is false where nothing is known.
func Available() (bytes int64, why string, ok bool) { return available() }

// Total returns the bytes of the machine's memory, or of the control group's limit if that is less.
// ok is false where nothing is known.
func Total() (bytes int64, ok bool) { return total() }

// PeakRSS returns the most bytes of memory that the process has held so far, mapped files included
// as far as they were read; 0 where nothing is known.
func PeakRSS() int64 { return peakRSS() }

// ResetPeak has [PeakRSS] begin again from what the process holds now, and reports whether the
// system can do that: Linux can.
func ResetPeak() bool { return resetPeak() }

// Size writes a number of bytes with a binary unit, such as "1.5 GiB".
func Size(n int64) string {
	v, i := float64(n), 0
	for v >= 1024 && i < 5 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[i-1])
}
