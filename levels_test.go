package goinfer_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/cpu"
)

// TestEveryLevel runs the tests of conformance and of equal bits at each level of kernels that the
// processor has, as GOINFER_CPU is looked at once per process.
func TestEveryLevel(t *testing.T) {
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("takes half a minute per level; GOINFER_LONG asks for it")
	}
	for _, level := range cpu.Usable() {
		t.Run(level, func(t *testing.T) {
			c := exec.Command(os.Args[0], "-test.run", "^(TestDeterminism|TestLongContext|TestCompany|TestConformance|TestGolden|TestShrunk)$", "-test.v", "-test.timeout", "10m")
			c.Env = append(os.Environ(), cpu.Env+"="+level, "GOINFER_LONG=")
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "--- PASS: TestDeterminism", "it ran")
		})
	}
}
