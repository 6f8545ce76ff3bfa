package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionCommand(t *testing.T) {
	wrong(t, command(t, "", "version", "2"), "want no arguments")
	out := ok(t, command(t, "", "version"))
	require.Regexp(t, `(?m)\Agoinfer \S+$`, out)
	require.Regexp(t, `(?m)^commit +(\w{12}|unknown: not built from a checkout)`, out)
	require.Regexp(t, `(?m)^go +`+runtime.Version()+` `+runtime.GOOS+`/`+runtime.GOARCH+`$`, out)
	require.Regexp(t, `(?m)^kernels +\S+ \(this build has go.*\)$`, out)
	require.Regexp(t, `(?m)^linked +\S`, out)

	var b map[string]any
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "version", "--json"))), &b))
	require.Equal(t, runtime.Version(), b["go"])
	require.Contains(t, b["isas"], b["isa"])
}

// TestLinking reads the headers of programs: this one, and the shell, which a system has in either
// form.
func TestLinking(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("ELF files of Linux are read")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	if buildSetting("CGO_ENABLED") == "0" {
		require.Equal(t, "static", linkingOf(self))
	}
	require.Contains(t, linkingOf(filepath.Join(t.TempDir(), "none")), "unknown: ")
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	require.Regexp(t, `^(static|dynamic, needs .*libc.*)$`, linkingOf(shell))
}
