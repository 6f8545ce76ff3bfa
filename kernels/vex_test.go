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

// TestVEX disassembles the kernels of levels below AVX-512: none of their instructions may be one
// of AVX-512, which the assembler chooses without asking, and those that are written as bytes must
// be what their comments say.
func TestVEX(t *testing.T) {
	found, n := map[string][]string{}, 0
	disassemble(t, `/kernels\.(\w+(AVX2|AVXVNNI))$`, 80, func(name, code, text string) {
		n++
		// In 64-bit mode 62 begins EVEX and nothing else.
		require.False(t, strings.HasPrefix(code, "62"), "%s is of AVX-512: %s %s", name, code, text)
		require.NotContains(t, text, "(bad)", name)
		if strings.Contains(text, "vpdpbusd") {
			found[name] = append(found[name], registers(text))
		}
	})
	require.Greater(t, n, 10000, "instructions")
	want := commented(t, "matmul_blocks_avxvnni_amd64.s", "VPDPBUSD")
	require.Greater(t, len(want), 25)
	require.Equal(t, want, found)
}

// TestBF16Bytes does the same for the dot products of bfloat16, which are written as bytes too.
func TestBF16Bytes(t *testing.T) {
	found := map[string][]string{}
	disassemble(t, `/kernels\.(mulBF16Dot\w+)$`, 12, func(name, _, text string) {
		require.NotContains(t, text, "(bad)", name)
		if strings.Contains(text, "vdpbf16ps") {
			found[name] = append(found[name], registers(text))
		}
	})
	want := commented(t, "matmul_floats_avx512_amd64.s", "VDPBF16PS")
	require.Len(t, want, 12)
	require.Equal(t, want, found)
}

// disassemble calls each for the instructions of this program's functions whose names match, of
// which there must be some.
func disassemble(t *testing.T, names string, least int, each func(name, code, text string)) {
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

	match := regexp.MustCompile(names)
	var funcs []gosym.Func
	for _, fn := range table.Funcs {
		if match.MatchString(fn.Name) && fn.End-fn.Entry > 64 { // the smaller ones are wrappers
			funcs = append(funcs, fn)
		}
	}
	require.GreaterOrEqual(t, len(funcs), least)
	low, high := funcs[0].Entry, funcs[0].End
	for _, fn := range funcs {
		low, high = min(low, fn.Entry), max(high, fn.End)
	}
	cmd := exec.Command(objdump, "-d", "-w", fmt.Sprintf("--start-address=%#x", low), fmt.Sprintf("--stop-address=%#x", high), exe)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
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
		if m := match.FindStringSubmatch(fn.Name); m != nil {
			code, text, _ := strings.Cut(rest, "\t")
			each(m[1], code, text)
		}
	}
	require.NoError(t, lines.Err())
	require.NoError(t, cmd.Wait())
}

// commented finds the registers of an instruction that a file of assembly has in comments only, by
// function.
func commented(t *testing.T, file, instruction string) map[string][]string {
	found := map[string][]string{}
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	name := ""
	for line := range strings.Lines(string(src)) {
		if rest, ok := strings.CutPrefix(line, "TEXT ·"); ok {
			name, _, _ = strings.Cut(rest, "(")
		}
		code, text, _ := strings.Cut(line, "//")
		require.NotContains(t, code, instruction, name)
		if strings.Contains(text, instruction) && code != "" {
			found[name] = append(found[name], registers(text))
		}
	}
	return found
}

var vectors = regexp.MustCompile(`(?i)\b[yz](?:mm)?(\d+)`)

// registers are the numbers of the vector registers in an instruction, in their order.
func registers(text string) string {
	var n []string
	for _, m := range vectors.FindAllStringSubmatch(text, -1) {
		n = append(n, m[1])
	}
	return strings.Join(n, " ")
}
