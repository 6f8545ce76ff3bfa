package main

import "fmt"

// word is an instruction that Go's assembler lacks, and its text as GNU binutils have it.
type word struct {
	code uint32
	text string
}

// regs puts the usual three fields in place.
func regs(op uint32, d, n, m V) uint32 { return op | uint32(m)<<16 | uint32(n)<<5 | uint32(d) }

// same is an instruction whose operands have one arrangement.
func same(op uint32, name, t string, d, n, m V) word {
	return word{regs(op, d, n, m), fmt.Sprintf("%s v%d.%s, v%d.%s, v%d.%s", name, d, t, n, t, m, t)}
}

// long is one whose sources have another.
func long(op uint32, name, to, from string, d, n, m V) word {
	return word{regs(op, d, n, m), fmt.Sprintf("%s v%d.%s, v%d.%s, v%d.%s", name, d, to, n, from, m, from)}
}

// unary is one with a single source.
func unary(op uint32, name, to, from string, d, n V) word {
	return word{regs(op, d, n, 0), fmt.Sprintf("%s v%d.%s, v%d.%s", name, d, to, n, from)}
}

// lane is one whose last operand is dword i of m.
func lane(op uint32, name, t, el string, d, n, m V, i int) word {
	code := regs(op, d, n, m) | uint32(i&1)<<21 | uint32(i>>1)<<11
	return word{code, fmt.Sprintf("%s v%d.4s, v%d.%s, v%d.%s[%d]", name, d, n, t, m, el, i)}
}

// Integers.

func sdot(d, n, m V) word  { return long(0x4e809400, "sdot", "4s", "16b", d, n, m) }
func smmla(d, n, m V) word { return long(0x4e80a400, "smmla", "4s", "16b", d, n, m) }

func sdotLane(d, n, m V, i int) word { return lane(0x4f80e000, "sdot", "16b", "4b", d, n, m, i) }
func mlaLane(d, n, m V, i int) word  { return lane(0x6f800000, "mla", "4s", "s", d, n, m, i) }
func mlsLane(d, n, m V, i int) word  { return lane(0x6f804000, "mls", "4s", "s", d, n, m, i) }

func smull(d, n, m V) word  { return long(0x0e20c000, "smull", "8h", "8b", d, n, m) }
func smull2(d, n, m V) word { return long(0x4e20c000, "smull2", "8h", "16b", d, n, m) }
func smlal(d, n, m V) word  { return long(0x0e208000, "smlal", "8h", "8b", d, n, m) }
func smlal2(d, n, m V) word { return long(0x4e208000, "smlal2", "8h", "16b", d, n, m) }

func saddlp(d, n V) word { return unary(0x4e602800, "saddlp", "4s", "8h", d, n) }
func sadalp(d, n V) word { return unary(0x4e606800, "sadalp", "4s", "8h", d, n) }
func xtn(d, n V) word    { return unary(0x0e612800, "xtn", "4h", "4s", d, n) }

// shrn16 is the upper half of each dword.
func shrn16(d, n V) word {
	return word{regs(0x0f108400, d, n, 0), fmt.Sprintf("shrn v%d.4h, v%d.4s, #16", d, n)}
}

func cmgt(d, n, m V) word { return same(0x4ea03400, "cmgt", "4s", d, n, m) }
func cmge(d, n, m V) word { return same(0x4ea03c00, "cmge", "4s", d, n, m) }
func bic(d, n, m V) word  { return same(0x4e601c00, "bic", "16b", d, n, m) }

// shll moves each half word to the upper half of a dword.
func shll(d, n V) word {
	return word{regs(0x2e613800, d, n, 0), fmt.Sprintf("shll v%d.4s, v%d.4h, #16", d, n)}
}

func shll2(d, n V) word {
	return word{regs(0x6e613800, d, n, 0), fmt.Sprintf("shll2 v%d.4s, v%d.8h, #16", d, n)}
}

func sshr(d, n V, i int) word {
	return word{regs(0x4f000400, d, n, 0) | uint32(64-i)<<16, fmt.Sprintf("sshr v%d.4s, v%d.4s, #%d", d, n, i)}
}

// saddlv is the sum of 16 bytes as a half word, sxtl the lowest half words as dwords.
func saddlv(d, n V) word {
	return word{regs(0x4e303800, d, n, 0), fmt.Sprintf("saddlv h%d, v%d.16b", d, n)}
}

func sxtl(d, n V) word   { return unary(0x0f10a400, "sxtl", "4s", "4h", d, n) }
func sxtl2(d, n V) word  { return unary(0x4f10a400, "sxtl2", "4s", "8h", d, n) }
func sxtlB(d, n V) word  { return unary(0x0f08a400, "sxtl", "8h", "8b", d, n) }
func sxtl2B(d, n V) word { return unary(0x4f08a400, "sxtl2", "8h", "16b", d, n) }

func ushl(d, n, m V) word  { return same(0x6ea04400, "ushl", "4s", d, n, m) }
func ushlB(d, n, m V) word { return same(0x6e204400, "ushl", "16b", d, n, m) }
func mulB(d, n, m V) word  { return same(0x4e209c00, "mul", "16b", d, n, m) }
func cmhiB(d, n, m V) word { return same(0x6e203400, "cmhi", "16b", d, n, m) }
func cmhsB(d, n, m V) word { return same(0x6e203c00, "cmhs", "16b", d, n, m) }
func cmhi(d, n, m V) word  { return same(0x6ea03400, "cmhi", "4s", d, n, m) }

// moviS fills dwords with an integer below 256.
func moviS(d V, i int) word {
	if i < 0 || i > 255 {
		panic("movi: " + fmt.Sprint(i))
	}
	return word{0x4f000400 | uint32(i)>>5<<16 | uint32(i)&31<<5 | uint32(d), fmt.Sprintf("movi v%d.4s, #0x%x", d, i)}
}

// Floats.

func fmul(d, n, m V) word { return same(0x6e20dc00, "fmul", "4s", d, n, m) }
func fneg(d, n V) word    { return unary(0x6ea0f800, "fneg", "4s", "4s", d, n) }

func fadd(d, n, m V) word  { return same(0x4e20d400, "fadd", "4s", d, n, m) }
func fsub(d, n, m V) word  { return same(0x4ea0d400, "fsub", "4s", d, n, m) }
func fdiv(d, n, m V) word  { return same(0x6e20fc00, "fdiv", "4s", d, n, m) }
func fmax(d, n, m V) word  { return same(0x4e20f400, "fmax", "4s", d, n, m) }
func fmin(d, n, m V) word  { return same(0x4ea0f400, "fmin", "4s", d, n, m) }
func faddp(d, n, m V) word { return same(0x6e20d400, "faddp", "4s", d, n, m) }
func fmaxp(d, n, m V) word { return same(0x6e20f400, "fmaxp", "4s", d, n, m) }
func fcmgt(d, n, m V) word { return same(0x6ea0e400, "fcmgt", "4s", d, n, m) }

// frintn rounds to whole numbers, ties to even; fcvtns to integers.
func frintn(d, n V) word { return unary(0x4e218800, "frintn", "4s", "4s", d, n) }
func fcvtns(d, n V) word { return unary(0x4e21a800, "fcvtns", "4s", "4s", d, n) }

func fmlsLane(d, n, m V, i int) word { return lane(0x4f805000, "fmls", "4s", "s", d, n, m, i) }
func fmulLane(d, n, m V, i int) word { return lane(0x4f809000, "fmul", "4s", "s", d, n, m, i) }
func fmlaLane(d, n, m V, i int) word { return lane(0x4f801000, "fmla", "4s", "s", d, n, m, i) }

func scvtf(d, n V) word { return unary(0x4e21d800, "scvtf", "4s", "4s", d, n) }
func ucvtf(d, n V) word { return unary(0x6e21d800, "ucvtf", "4s", "4s", d, n) }

// scvtfShift is scvtf of integers whose last bits are a fraction.
func scvtfShift(d, n V, bits int) word {
	return word{regs(0x4f00e400, d, n, 0) | uint32(64-bits)<<16, fmt.Sprintf("scvtf v%d.4s, v%d.4s, #%d", d, n, bits)}
}

// fcvtl makes float32 of four half floats.
func fcvtl(d, n V) word  { return unary(0x0e217800, "fcvtl", "4s", "4h", d, n) }
func fcvtl2(d, n V) word { return unary(0x4e217800, "fcvtl2", "4s", "8h", d, n) }
func fcvtn(d, n V) word  { return unary(0x0e216800, "fcvtn", "4h", "4s", d, n) }
