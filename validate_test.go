package goinfer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOptionsValidate: each wrong field by itself, under its name.
func TestOptionsValidate(t *testing.T) {
	require.NoError(t, (&Options{}).validate())
	require.NoError(t, (&Options{Context: 1, Threads: MaxThreads, Batch: 1, CacheBytes: 1, Retain: -1, CacheK: CacheQ4_0}).validate())
	err := (&Options{Context: -1, Threads: MaxThreads + 1, Batch: -2, CacheK: 9, CacheV: 200, CacheBytes: -3}).validate()
	require.ErrorIs(t, err, ErrInvalid)
	require.EqualError(t, err, `Context: want at least 0, found -1
Threads: want 0 to 1024, found 1025
Batch: want at least 0, found -2
CacheK: want one of F16, F32, Q8_0, Q4_0, found type(9)
CacheV: want one of F16, F32, Q8_0, Q4_0, found type(200)
CacheBytes: want at least 0, found -3`)
	require.Len(t, WrongArguments(err), 6)
	require.Equal(t, "Threads", WrongArguments(err)[1].Field)
}
