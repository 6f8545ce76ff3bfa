//go:build !purego && (amd64 || arm64)

package par

// pause makes the core wait some ten to hundred cycles, during which it leaves its execution units
// to the other thread on it: PAUSE on amd64, ISB on arm64, where YIELD does nothing on most cores.
//
//go:noescape
func pause()
