package cpu

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that may use one processor starts one thread.
func TestAffinity(t *testing.T) {
	if os.Getenv("GOINFER_TEST_AFFINITY") != "" {
		n, why := Threads()
		fmt.Println(n, why)
		os.Exit(0)
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		t.Skip("no taskset here: the affinity of a process cannot be set")
	}
	first := fmt.Sprint(affinity()[0])
	cmd := exec.Command(taskset, "-c", first, os.Args[0], "-test.run=^TestAffinity$")
	cmd.Env = append(os.Environ(), "GOINFER_TEST_AFFINITY=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.True(t, strings.HasPrefix(string(out), "1 1 of "), "%s", out)
	if Count().Logical > 1 {
		require.Contains(t, string(out), "affinity allows 1 processor on 1 core")
	}
}
