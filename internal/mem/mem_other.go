//go:build !linux && !darwin && !windows

package mem

func available() (bytes int64, why string, ok bool) { return 0, "", false }
func total() (bytes int64, ok bool)                 { return 0, false }
func peakRSS() int64                                { return 0 }
