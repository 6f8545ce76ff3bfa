//go:build !purego

package cpu

// built names the levels that this build has kernels for, from low to high.
var built = []string{"go", "neon", "dotprod", "i8mm"}
