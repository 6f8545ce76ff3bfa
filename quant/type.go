package quant

import (
	"fmt"
	"strings"
)

// Type is a weight format, numbered as in GGUF files (ggml's type ids).
type Type uint32

// The formats that appear in GGUF files. The gaps are formats that ggml has withdrawn.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42

	// NumTypes bounds the type numbers: every valid Type is below it.
	NumTypes = 43
)

// FormatVersion is what files say of these formats under general.quantization_version (ggml.h,
// GGML_QNT_VERSION).
const FormatVersion uint32 = 2

// traits is what a format is made of. Group and Min describe the integer form that Unpack gives;
// they are zero for formats that have none (floats and plain integers).
type traits struct {
	name  string
	block int  // weights per block
	bytes int  // bytes per block
	group int  // weights that share one scale in the integer form: 16 or 32
	min   bool // the integer form has an additive minimum per group
}

var types = [NumTypes]traits{
	F32:     {"F32", 1, 4, 0, false},
	F16:     {"F16", 1, 2, 0, false},
	BF16:    {"BF16", 1, 2, 0, false},
	F64:     {"F64", 1, 8, 0, false},
	I8:      {"I8", 1, 1, 0, false},
	I16:     {"I16", 1, 2, 0, false},
	I32:     {"I32", 1, 4, 0, false},
	I64:     {"I64", 1, 8, 0, false},
	Q4_0:    {"Q4_0", 32, 18, 32, false},
	Q4_1:    {"Q4_1", 32, 20, 32, true},
	Q5_0:    {"Q5_0", 32, 22, 32, false},
	Q5_1:    {"Q5_1", 32, 24, 32, true},
	Q8_0:    {"Q8_0", 32, 34, 32, false},
	Q2_K:    {"Q2_K", 256, 84, 16, true},
	Q3_K:    {"Q3_K", 256, 110, 16, false},
	Q4_K:    {"Q4_K", 256, 144, 32, true},
	Q5_K:    {"Q5_K", 256, 176, 32, true},
	Q6_K:    {"Q6_K", 256, 210, 16, false},
	IQ1_S:   {"IQ1_S", 256, 50, 32, false},
	IQ1_M:   {"IQ1_M", 256, 56, 16, false},
	IQ2_XXS: {"IQ2_XXS", 256, 66, 32, false},
	IQ2_XS:  {"IQ2_XS", 256, 74, 16, false},
	IQ2_S:   {"IQ2_S", 256, 82, 16, false},
	IQ3_XXS: {"IQ3_XXS", 256, 98, 32, false},
	IQ3_S:   {"IQ3_S", 256, 110, 32, false},
	IQ4_NL:  {"IQ4_NL", 32, 18, 32, false},
	IQ4_XS:  {"IQ4_XS", 256, 136, 32, false},
	TQ1_0:   {"TQ1_0", 256, 54, 32, false},
	TQ2_0:   {"TQ2_0", 256, 66, 32, false},
	MXFP4:   {"MXFP4", 32, 17, 32, false},
	NVFP4:   {"NVFP4", 64, 36, 16, false},
	Q1_0:    {"Q1_0", 128, 18, 32, false},
	Q2_0:    {"Q2_0", 64, 18, 32, false},
}

// Valid reports whether t is a format this package knows.
func (t Type) Valid() bool { return t < NumTypes && types[t].block != 0 }

// String is the field's name of the format, such as "Q4_K"; an unknown number prints as "type(7)".
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("type(%d)", uint32(t))
	}
	return types[t].name
}

// BlockSize is the number of weights in a block; rows are a whole number of blocks long. It is 0
// for an unknown type.
func (t Type) BlockSize() int {
	if !t.Valid() {
		return 0
	}
	return types[t].block
}

// BlockBytes is the number of bytes in a block, 0 for an unknown type.
func (t Type) BlockBytes() int {
	if !t.Valid() {
		return 0
	}
	return types[t].bytes
}

// RowBytes is the size of a row of n weights; n must be a whole number of blocks.
func (t Type) RowBytes(n int) int {
	if n%t.BlockSize() != 0 {
		panic(fmt.Sprintf("quant: a row of %d weights is no whole number of %s blocks of %d", n, t, t.BlockSize()))
	}
	return n / t.BlockSize() * t.BlockBytes()
}

// Group is the number of weights that share a scale in the integer form given by [Unpack]: 16 or
// 32, and 0 for types without an integer form (F32, F16, BF16 and the plain number types).
func (t Type) Group() int {
	if !t.Valid() {
		return 0
	}
	return types[t].group
}

// HasMin reports whether the integer form of t has a minimum added per group.
func (t Type) HasMin() bool { return t.Valid() && types[t].min }

// IsWeight reports whether t may hold the weights of a matrix: floats of 16 and 32 bits and every
// block format.
func (t Type) IsWeight() bool { return t == F32 || t == F16 || t == BF16 || t.Group() != 0 }

// ParseType finds a type by its name in any case.
func ParseType(name string) (Type, error) {
	for t := range types {
		if types[t].block != 0 && strings.EqualFold(types[t].name, name) {
			return Type(t), nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}
