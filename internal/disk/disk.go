// Package disk says how much room a file system has, so that a file which cannot fit is refused
// before it is begun, says which paths are one file, and writes files whole or not at all.
//
// A sketch:
//
//	if free, ok := disk.Free(folder); ok && need > free {
//		return fmt.Errorf("%d bytes are needed, %d are free", need, free)
//	}
//	err := disk.Write(path, func(out io.Writer) error { … })
package disk

import "os"

// Free returns the bytes that this user may still write to the file system of an existing file or
// folder. ok is false where that is not known.
func Free(path string) (bytes int64, ok bool) { return free(path) }

// Same reports whether two paths lead to one file, by whatever names and links.
func Same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
