package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClaims(t *testing.T) {
	wrong(t, command(t, "", "claims", "tiny-moe"), `want no arguments, found "tiny-moe"`)
	wrong(t, command(t, "", "claims", "-t", "-1"), "-t, --threads: want 0 to")
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("takes a minute; GOINFER_LONG asks for it")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	var r struct {
		Claims []struct {
			Verdict  string
			Findings []struct{ What, Command string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "claims", "--quick", "--json", "--html", file))), &r))
	require.Len(t, r.Claims, 13)
	require.Equal(t, "not measurable here", r.Claims[12].Verdict)
	require.FileExists(t, file)
}
