//go:build darwin || freebsd || netbsd || openbsd

package mmap

func large([]byte) {}
