package mmap

import "golang.org/x/sys/unix"

// large has what of the file is not yet in memory read into large pages, where the file system has
// them (XFS from Linux 5.18 on, ext4 from 6.16): they stay in the system's cache, and a fault then
// maps 2 MiB in place of 64 KiB, for everyone who maps the file later. It is advice.
func large(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
