package main

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDoctor(t *testing.T) {
	wrong(t, command(t, "", "doctor", "me"), "want no arguments")

	t.Setenv("GOINFER_CPU", "turbo")
	r := command(t, "", "doctor")
	require.Equal(t, exitFault, r.code)
	require.Contains(t, r.out, "kernels            none (this build has ")
	require.Regexp(t, `^goinfer: .*GOINFER_CPU="turbo".*\n$`, r.err)

	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	t.Setenv("GOINFER_CPU", "")
	var d diagnosis
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "doctor", "--json"))), &d))
	require.Equal(t, runtime.GOOS, d.Machine.OS)
	require.Contains(t, d.Machine.ISAs, d.Machine.ISA)
	require.Equal(t, 1, d.Peaks.Results[0].Threads)
	for _, p := range d.Peaks.Results {
		require.Positive(t, p.ReadGBs)
		require.Positive(t, p.FMAGFlops)
		require.Positive(t, p.Int8GOps)
	}
}
