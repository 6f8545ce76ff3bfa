//go:build !purego

package cpu

// built names the levels that this build has kernels for, from low to high.
var built = []string{"go", "avx2", "avxvnni", "avx512vnni", "avx512bf16"}
