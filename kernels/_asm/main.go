// Command _asm writes the assembly of packages kernels and probe. Run it through go generate
// ./kernels; the checked-in files must equal its output.
//
// It is an avo program (https://github.com/mmcloughlin/avo): one template per kind of kernel, and
// one small description per block format of how its bits become bytes and its scales become floats.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

func main() {
	dir := flag.String("dir", "../..", "where the module lies")
	flag.Parse()
	for _, f := range []struct {
		pkg, name string
		make      func(*program)
		finish    pass.Interface
	}{
		{"kernels", "matmul_blocks_avx2", avx2, vex},
		{"kernels", "matmul_blocks_avxvnni", avxvnni, vex},
		{"kernels", "matmul_blocks_avx512", avx512, pass.Concat()},
		{"kernels", "matmul_floats_avx2", matMulFloats256, vex},
		{"kernels", "matmul_floats_avx512", matMulFloats512, bf16Dots},
		{"kernels", "attention_avx2", (*program).attention256, vex},
		{"kernels", "attention_avx512", (*program).attention512, pass.Concat()},
		{"kernels", "elementwise_avx2", (*program).elementwise256, vex},
		{"kernels", "elementwise_avx512", (*program).elementwise512, pass.Concat()},
		{"kernels", "activations_avx2", (*program).quantize256, vex},
		{"kernels", "activations_avx512", (*program).activations512, pass.Concat()},
		{"kernels", "kvrows_avx2", (*program).kvRows256, vex},
		{"kernels", "kvrows_avx512", (*program).kvRows512, pass.Concat()},
		{"kernels", "recurrent_avx2", (*program).recurrent256, vex},
		{"kernels", "recurrent_avx512", (*program).recurrent512, pass.Concat()},
		{"study/probe", "loops_avx2", probe256, vex},
		{"study/probe", "loops_avx512", probe512, pass.Concat()},
	} {
		if err := write(*dir, f.pkg, f.name, f.make, f.finish); err != nil {
			fmt.Fprintln(os.Stderr, "_asm:", err)
			os.Exit(1)
		}
	}
}

// write runs a program, then a last pass over its instructions, and leaves NAME_amd64.s and
// NAME_stubs_amd64.go in the folder pkg of the module.
func write(dir, pkg, name string, make func(*program), finish pass.Interface) error {
	x := &program{Context: build.NewContext(), consts: map[string]Mem{}}
	x.Constraint(buildtags.Not("purego"))
	make(x)
	x.emitConsts()
	f, err := x.Result()
	if err != nil {
		build.LogError(log.New(os.Stderr, "", 0), err, 10)
		return errors.New(name + ": the program has faults")
	}
	cfg := printer.Config{Name: "kernels/_asm", Pkg: path.Base(pkg)}
	asm, err := os.Create(filepath.Join(dir, pkg, name+"_amd64.s"))
	if err != nil {
		return err
	}
	stubs, err := os.Create(filepath.Join(dir, pkg, name+"_stubs_amd64.go"))
	if err != nil {
		return err
	}
	return pass.Concat(pass.Compile, finish,
		&pass.Output{Writer: asm, Printer: printer.NewGoAsm(cfg)},
		&pass.Output{Writer: stubs, Printer: printer.NewStubs(cfg)},
	).Execute(f)
}

// program is a file of assembly in the making.
type program struct {
	*build.Context
	consts map[string]Mem
	order  []constant
}

type constant struct {
	name  string
	words []uint32
}

// function begins a function. The stub must not let its arguments escape: they are scratch on the
// caller's side.
func (x *program) function(name, signature string, doc ...string) {
	x.Function(name)
	x.Attributes(attr.NOSPLIT)
	x.SignatureExpr("func" + strings.NewReplacer("*actGroup", "*byte", "*panelArgs", "*byte").Replace(signature))
	x.Pragma("noescape")
	x.Doc(doc...)
}

func (x *program) arg(name string) reg.Register {
	return x.Load(x.Param(name), x.GP64())
}

// words is 64 bytes of constant data, given as dwords; fewer are repeated.
func (x *program) words(w ...uint32) Mem {
	name := "c"
	for _, v := range w {
		name += fmt.Sprintf("_%x", v)
	}
	if m, ok := x.consts[name]; ok {
		return m
	}
	m := Mem{Symbol: Symbol{Name: fmt.Sprintf("const%d", len(x.order)), Static: true}, Base: reg.StaticBase}
	x.consts[name] = m
	x.order = append(x.order, constant{m.Symbol.Name, w})
	return m
}

func (x *program) emitConsts() {
	for _, c := range x.order {
		x.StaticGlobal(c.name)
		x.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 16 {
			x.AddDatum(4*i, U32(c.words[i%len(c.words)]))
		}
	}
}

// bytes is 16 bytes of constant data, repeated four times.
func (x *program) bytes(b ...int) Mem {
	w := make([]uint32, len(b)/4)
	for i, v := range b {
		w[i/4] |= uint32(byte(v)) << (8 * (i % 4))
	}
	return x.words(w...)
}

// constZ is a register that holds 64 bytes of constant data.
func (x *program) constZ(w ...uint32) reg.VecVirtual {
	z := x.ZMM()
	x.VMOVDQU32(x.words(w...), z)
	return z
}

// add is p += n.
func (x *program) add(n int, p Op) {
	if n < 128 {
		x.ADDQ(U8(n), p)
		return
	}
	x.ADDQ(U32(n), p)
}

// wide adds an instruction that writes a part of z and clears the rest, as VEX and EVEX
// instructions do, so that nothing of z counts as used before.
func (x *program) wide(z reg.VecVirtual, i *ir.Instruction, err error) {
	if err != nil {
		panic(err)
	}
	i.Outputs = []Op{z}
	x.Instruction(i)
}

// load16, load32, load8 and load4 fill the lowest bytes of z from memory.
func (x *program) load16(m Mem, z reg.VecVirtual) {
	i, err := x86.VMOVDQU(m, z.AsX())
	x.wide(z, i, err)
}

func (x *program) load32(m Mem, z reg.VecVirtual) {
	i, err := x86.VMOVDQU32(m, z.AsY())
	x.wide(z, i, err)
}

func (x *program) load8(m Mem, z reg.VecVirtual) {
	i, err := x86.VMOVQ(m, z.AsX())
	x.wide(z, i, err)
}

func (x *program) load4(m Mem, z reg.VecVirtual) {
	i, err := x86.VMOVD(m, z.AsX())
	x.wide(z, i, err)
}

// zero clears z.
func (x *program) zero(z reg.VecVirtual) {
	i, err := x86.VPXORD(z, z, z)
	i.Inputs = nil
	x.wide(z, i, err)
}
