//go:build !linux

package mem

func huge([]byte) {}

func populate([]byte) {}
