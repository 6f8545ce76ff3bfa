//go:build !linux

package mem

func resetPeak() bool { return false }
