package cpu

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTime(t *testing.T) {
	before, ok := Time()
	if !ok {
		t.Skip("this system does not report processor time")
	}
	for began := time.Now(); time.Since(began) < 30*time.Millisecond; {
	}
	after, _ := Time()
	require.Greater(t, after, before)
}

func TestWaited(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	d, ok := waited(fstest.MapFS{
		"proc/self/task/1/schedstat": file("100 2000000 7\n"), "proc/self/task/2/schedstat": file("100 3000000 7\n"),
		"proc/self/task/3/schedstat": file("broken\n"), "proc/self/task/4/comm": file("x"),
	})
	require.True(t, ok)
	require.Equal(t, 5*time.Millisecond, d)
	_, ok = waited(fstest.MapFS{})
	require.False(t, ok)
}
