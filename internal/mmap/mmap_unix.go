//go:build darwin || linux || freebsd || netbsd || openbsd

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, n int) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	if err == nil {
		large(b)
	}
	return b, err
}

func unmap(b []byte) error { return unix.Munmap(b) }

func lock(b []byte) error { return os.NewSyscallError("mlock", unix.Mlock(b)) }
