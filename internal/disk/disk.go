// Package disk says how much room a file system has, so that a file which cannot fit is refused before it is begun, and writes files whole or not at all.
//
// A sketch:
//
//	if free, ok := disk.Free(folder); ok && need > free {
//		return fmt.Errorf("%d bytes are needed, %d are free", need, free)
//	}
//	err := disk.Write(path, func(out io.Writer) error { … })
package disk

// Free returns the bytes that this user may still write to the file system of an existing file or folder. ok is false where that is not known.
func Free(path string) (bytes int64, ok bool) { return free(path) }
