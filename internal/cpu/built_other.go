//go:build purego || (!amd64 && !arm64)

package cpu

// built names the levels that this build has kernels for, from low to high.
var built = []string{"go"}
