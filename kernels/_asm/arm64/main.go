// Command arm64 writes the arm64 assembly of packages kernels and probe. Run it through go generate
// ./kernels; the checked-in files must equal its output.
//
// It is a small assembler with one template per kind of kernel and one small description per block
// format:
//
//   - asm.go holds a file in the making: functions, registers, and the instructions that Go's
//     assembler has, destination first.
//   - encode.go makes the words of those that it lacks. Its test holds every encoder against a
//     disassembler.
//   - tiles.go holds the templates: rows, unpack, panel.
//   - formats.go and the files beside it say of each block format how its bits become bytes and its
//     scales become floats.
//
// The instructions are those of the Arm Architecture Reference Manual for A-profile (DDI 0487),
// chapter C7.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", "../..", "where the module lies")
	flag.Parse()
	for _, f := range files {
		x := newProgram(f.pkg)
		f.make(x)
		for name, text := range map[string]string{f.name + "_arm64.s": x.assembly(), f.name + "_stubs_arm64.go": x.stubs()} {
			if err := os.WriteFile(filepath.Join(*dir, f.pkg, name), []byte(text), 0o644); err != nil {
				fmt.Fprintln(os.Stderr, "_asm/arm64:", err)
				os.Exit(1)
			}
		}
	}
}

// files are what the program writes: NAME_arm64.s and NAME_stubs_arm64.go in a package's folder.
var files = []struct {
	pkg, name string
	make      func(*program)
}{
	{"kernels", "matmul_blocks_neon", neon},
	{"kernels", "matmul_blocks_dotprod", dotprod},
	{"kernels", "matmul_blocks_i8mm", i8mm},
	{"kernels", "matmul_floats_neon", matMulFloats},
	{"kernels", "attention_neon", (*program).attention},
	{"kernels", "elementwise_neon", (*program).elementwise},
	{"kernels", "activations_neon", (*program).quantize},
	{"kernels", "kvrows_neon", (*program).kvRows},
	{"kernels", "recurrent_neon", (*program).recur},
	{"study/probe", "loops_neon", probeLoops},
}
