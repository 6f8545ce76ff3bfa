//go:build purego || (!amd64 && !arm64)

package par

// pause does nothing where there is no assembly.
func pause() {}
