package mem

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
