package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// peers are the instructions per 32 weights of llama.cpp's dot products
// (ggml/src/ggml-cpu/arch/arm/quants.c at 3f545becc, gcc 12.2 -O3 for armv8-a and for
// armv8.2-a+dotprod), executed between 512 and 1024 weights. Ours are not to be more, but for those
// named.
var peers = map[string]struct{ neon, dotprod float64 }{
	"Q4_0": {29.00, 21.00}, "Q4_1": {32.50, 24.50}, "Q5_0": {44.00, 36.00}, "Q5_1": {47.00, 38.50}, "Q8_0": {26.00, 18.00},
	"Q2_K": {29.12, 21.62}, "Q3_K": {38.38, 30.88}, "Q4_K": {28.25, 17.00}, "Q5_K": {34.12, 24.25}, "Q6_K": {33.88, 29.12},
	"IQ4_NL": {29.50, 21.50}, "IQ4_XS": {30.25, 18.12}, "MXFP4": {35.00, 27.00}, "NVFP4": {38.00, 27.50},
	"Q1_0": {42.75, 34.75}, "Q2_0": {32.50, 24.50}, "TQ1_0": {17.12, 16.00}, "TQ2_0": {12.12, 10.38},
	"IQ1_S": {52.38, 44.88}, "IQ1_M": {69.38, 55.50}, "IQ2_XXS": {44.38, 36.38}, "IQ2_XS": {44.50, 38.50}, "IQ2_S": {60.88, 54.88},
	"IQ3_XXS": {56.50, 48.50}, "IQ3_S": {62.38, 55.38},
}

// TestInstructions counts the instructions per 32 weights in the disassembly of package kernels,
// prints them as a table and compares them with those of llama.cpp. Prefetches count; what is done
// once per call does not.
func TestInstructions(t *testing.T) {
	if _, err := exec.LookPath(objdump); err != nil {
		t.Skipf("no %s (Debian's binutils-aarch64-linux-gnu)", objdump)
	}
	bodies := disassemble(t)
	count := func(name string, trips ...int) float64 {
		body, ok := bodies[name]
		if !ok {
			t.Fatalf("no function %s in the disassembly", name)
		}
		n, err := body.executed(trips)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	var table strings.Builder
	table.WriteString("| type | neon | llama.cpp | dotprod, i8mm | llama.cpp | unpack: neon | dotprod | i8mm |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range formats {
		// Loops from outside to inside: blocks, then units where they have a loop.
		units := f.weights / 32
		per := func(x float64, rows int) float64 { return x / float64(rows*f.weights/32) }
		rows := func(l *level) float64 {
			if f.loop {
				return per(count("gemv"+f.name+l.suffix, 1, units), tileRows)
			}
			return per(count("gemv"+f.name+l.suffix, 1), tileRows)
		}
		unpack := func(l *level) float64 {
			if f.loop {
				return per(count("pack"+f.name+l.suffix, 2, 1, units), tileRows)
			}
			return per(count("pack"+f.name+l.suffix, 2, 1), tileRows)
		}
		peer, known := peers[f.name]
		if !known {
			t.Errorf("nothing to compare %s with", f.name)
		}
		a, b := rows(neonLevel), rows(dotprodLevel)
		fmt.Fprintf(&table, "| %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", f.name, a, peer.neon, b, peer.dotprod,
			unpack(neonLevel), unpack(dotprodLevel), unpack(i8mmLevel))
		if a > peer.neon || b > peer.dotprod {
			t.Errorf("%s: %.2f instructions at neon and %.2f at dotprod are more than llama.cpp's %.2f and %.2f", f.name, a, b, peer.neon, peer.dotprod)
		}
	}
	table.WriteString("\n| microkernels, 4 tokens | neon | dotprod | i8mm |\n|---|---|---|---|\n")
	for _, g := range []struct {
		name, neon, other string
	}{
		{"groups of 32, bytes up to 16", "microkernel32UpTo16", "microkernel32"},
		{"groups of 32, bytes up to 64", "microkernel32UpTo64", "microkernel32"},
		{"groups of 32, any bytes", "microkernel32UpTo128", "microkernel32"},
		{"groups of 32 with minimum", "microkernel32MinUpTo32", "microkernel32Min"},
		{"groups of 16, bytes up to 32", "microkernel16UpTo32", "microkernel16"},
		{"groups of 16, bytes up to 64", "microkernel16UpTo64", "microkernel16"},
		{"groups of 16 with minimum", "microkernel16MinUpTo32", "microkernel16Min"},
	} {
		per := func(name string) float64 { return count(name, 1) / (4 * tileRows) }
		fmt.Fprintf(&table, "| %s | %.1f | %.1f | %.1f |\n", g.name, per(g.neon+"x4NEON"), per(g.other+"x4DotProd"), per(g.other+"x4I8MM"))
	}
	t.Log("\n" + table.String())
}

// body is a disassembled function: where each backward branch goes, by number of instruction.
type body struct {
	addrs []uint64
	back  map[int]uint64
}

// executed is how many instructions the loops take, the outermost all of its trips. Each loop holds
// the next.
func (b *body) executed(trips []int) (float64, error) {
	type loop struct{ from, to int }
	var loops []loop
	for to, target := range b.back {
		from := -1
		for i, a := range b.addrs {
			if a == target {
				from = i
			}
		}
		if from < 0 {
			return 0, fmt.Errorf("a branch leaves the function")
		}
		loops = append(loops, loop{from, to})
	}
	if len(loops) != len(trips) {
		return 0, fmt.Errorf("%d loops, want %d", len(loops), len(trips))
	}
	for i := range loops { // outermost first
		for j := i + 1; j < len(loops); j++ {
			if loops[j].from < loops[i].from {
				loops[i], loops[j] = loops[j], loops[i]
			}
		}
	}
	n, times := 0, 1
	for i, l := range loops {
		if i > 0 && l.to > loops[i-1].to {
			return 0, fmt.Errorf("loops that do not nest")
		}
		inner := 0
		if i+1 < len(loops) {
			inner = loops[i+1].to - loops[i+1].from + 1
		}
		times *= trips[i]
		n += times * (l.to - l.from + 1 - inner)
	}
	return float64(n), nil
}

// disassemble builds the tests of package kernels for arm64 and takes their functions apart.
func disassemble(t *testing.T) map[string]*body {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", bin, "./kernels")
	build.Dir = "../../.."
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(objdump, "-d", "--no-show-raw-insn", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	head := regexp.MustCompile(`^[0-9a-f]+ <github.com/goinfer/goinfer/kernels\.([A-Za-z0-9_]+)\.abi0>:`)
	branch := regexp.MustCompile(`^b\.[a-z]+\s+([0-9a-f]+)`)
	bodies := map[string]*body{}
	var b *body
	for l := range bytes.Lines(out) {
		line := strings.TrimSpace(string(l))
		if m := head.FindStringSubmatch(line); m != nil {
			b = &body{back: map[int]uint64{}}
			bodies[m[1]] = b
			continue
		}
		addr, text, ok := strings.Cut(line, ":")
		if b == nil || !ok {
			b = nil
			continue
		}
		a, err := strconv.ParseUint(addr, 16, 64)
		if err != nil {
			b = nil
			continue
		}
		b.addrs = append(b.addrs, a)
		if m := branch.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
			if target, err := strconv.ParseUint(m[1], 16, 64); err == nil && target <= a {
				b.back[len(b.addrs)-1] = target
			}
		}
	}
	return bodies
}
