//go:build purego || (!amd64 && !arm64)

package probe

// assembly holds the loops of the levels that have some.
var assembly map[string]loops
