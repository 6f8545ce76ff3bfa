//go:build linux && amd64 && !purego

package kernels

import (
	"bufio"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVEX disassembles the kernels of levels below AVX-512: none of their instructions may be one of AVX-512, which the assembler chooses without asking, and
// those that are written as bytes must be what their comments say.
func TestVEX(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("no disassembler: ", err)
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	f, err := elf.Open(exe)
	require.NoError(t, err)
	defer f.Close()
	data, err := f.Section(".gopclntab").Data()
	require.NoError(t, err)
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, f.Section(".text").Addr))
	require.NoError(t, err)

	suffix := regexp.MustCompile(`/kernels\.(\w+(AVX2|AVXVNNI))$`)
	var funcs []gosym.Func
	for _, fn := range table.Funcs {
		if m := suffix.FindStringSubmatch(fn.Name); m != nil && fn.End-fn.Entry > 64 { // the smaller ones are wrappers
			funcs = append(funcs, fn)
		}
	}
	require.Greater(t, len(funcs), 80)
	low, high := funcs[0].Entry, funcs[0].End
	for _, fn := range funcs {
		low, high = min(low, fn.Entry), max(high, fn.End)
	}
	cmd := exec.Command(objdump, "-d", "-w", fmt.Sprintf("--start-address=%#x", low), fmt.Sprintf("--stop-address=%#x", high), exe)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	found := map[string][]string{}
	lines := bufio.NewScanner(out)
	n := 0
	for lines.Scan() {
		at, rest, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":\t")
		var pc uint64
		if _, err := fmt.Sscanf(at, "%x", &pc); !ok || err != nil {
			continue
		}
		fn := table.PCToFunc(pc)
		if fn == nil {
			continue
		}
		m := suffix.FindStringSubmatch(fn.Name)
		if m == nil {
			continue
		}
		n++
		code, text, _ := strings.Cut(rest, "\t")
		// In 64-bit mode 62 begins EVEX and nothing else.
		require.False(t, strings.HasPrefix(code, "62"), "%s is of AVX-512: %s", m[1], rest)
		require.NotContains(t, text, "(bad)", m[1])
		if strings.Contains(text, "vpdpbusd") {
			found[m[1]] = append(found[m[1]], registers(text))
		}
	}
	require.NoError(t, lines.Err())
	require.NoError(t, cmd.Wait())
	require.Greater(t, n, 10000, "instructions")

	want := map[string][]string{}
	src, err := os.ReadFile("avxvnni_amd64.s")
	require.NoError(t, err)
	name := ""
	for line := range strings.Lines(string(src)) {
		if rest, ok := strings.CutPrefix(line, "TEXT ·"); ok {
			name, _, _ = strings.Cut(rest, "(")
		}
		code, text, _ := strings.Cut(line, "//")
		require.NotContains(t, code, "VPDPBUSD", name)
		if strings.Contains(text, "VPDPBUSD") {
			want[name] = append(want[name], registers(text))
		}
	}
	require.Greater(t, len(want), 25)
	require.Equal(t, want, found)
}

var ymm = regexp.MustCompile(`(?i)\by(?:mm)?(\d+)`)

// registers are the numbers of the YMM registers in an instruction, in their order.
func registers(text string) string {
	var n []string
	for _, m := range ymm.FindAllStringSubmatch(text, -1) {
		n = append(n, m[1])
	}
	return strings.Join(n, " ")
}
