//go:build purego || (!amd64 && !arm64)

package kernels

func assembly(ls []*Level) []*Level { return ls }
