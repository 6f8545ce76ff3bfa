package gguf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/quant"
)

// FileType is the mix of types that the tensors of a file have, by the number that the metadata key
// general.file_type holds (GGUF specification; llama.h, llama_ftype). Which tensor gets which type
// is known to package convert.
type FileType uint32

// The file types, by their names in the GGUF specification.
const (
	AllF32 FileType = iota
	MostlyF16
	MostlyQ4_0
	MostlyQ4_1
	_ // withdrawn
	_
	_
	MostlyQ8_0
	MostlyQ5_0
	MostlyQ5_1
	MostlyQ2_K
	MostlyQ3_K_S
	MostlyQ3_K_M
	MostlyQ3_K_L
	MostlyQ4_K_S
	MostlyQ4_K_M
	MostlyQ5_K_S
	MostlyQ5_K_M
	MostlyQ6_K
	MostlyIQ2_XXS
	MostlyIQ2_XS
	MostlyQ2_K_S
	MostlyIQ3_XS
	MostlyIQ3_XXS
	MostlyIQ1_S
	MostlyIQ4_NL
	MostlyIQ3_S
	MostlyIQ3_M
	MostlyIQ2_S
	MostlyIQ2_M
	MostlyIQ4_XS
	MostlyIQ1_M
	MostlyBF16
	_
	_
	_
	MostlyTQ1_0
	MostlyTQ2_0
	MostlyMXFP4_MOE
	_ // NVFP4: written by converters, without a file type
	MostlyQ1_0
	MostlyQ2_0
)

// fileTypes are the name of each file type and the type that it starts from.
var fileTypes = [...]struct {
	name string
	most quant.Type
}{
	AllF32: {"F32", quant.F32}, MostlyF16: {"F16", quant.F16}, MostlyBF16: {"BF16", quant.BF16},
	MostlyQ4_0: {"Q4_0", quant.Q4_0}, MostlyQ4_1: {"Q4_1", quant.Q4_1}, MostlyQ5_0: {"Q5_0", quant.Q5_0}, MostlyQ5_1: {"Q5_1", quant.Q5_1}, MostlyQ8_0: {"Q8_0", quant.Q8_0},
	MostlyQ2_K: {"Q2_K", quant.Q2_K}, MostlyQ2_K_S: {"Q2_K_S", quant.Q2_K}, MostlyQ3_K_S: {"Q3_K_S", quant.Q3_K}, MostlyQ3_K_M: {"Q3_K_M", quant.Q3_K}, MostlyQ3_K_L: {"Q3_K_L", quant.Q3_K},
	MostlyQ4_K_S: {"Q4_K_S", quant.Q4_K}, MostlyQ4_K_M: {"Q4_K_M", quant.Q4_K}, MostlyQ5_K_S: {"Q5_K_S", quant.Q5_K}, MostlyQ5_K_M: {"Q5_K_M", quant.Q5_K}, MostlyQ6_K: {"Q6_K", quant.Q6_K},
	MostlyIQ1_S: {"IQ1_S", quant.IQ1_S}, MostlyIQ1_M: {"IQ1_M", quant.IQ1_M}, MostlyIQ2_XXS: {"IQ2_XXS", quant.IQ2_XXS}, MostlyIQ2_XS: {"IQ2_XS", quant.IQ2_XS},
	MostlyIQ2_S: {"IQ2_S", quant.IQ2_XS}, MostlyIQ2_M: {"IQ2_M", quant.IQ2_S}, MostlyIQ3_XXS: {"IQ3_XXS", quant.IQ3_XXS}, MostlyIQ3_XS: {"IQ3_XS", quant.IQ3_S},
	MostlyIQ3_S: {"IQ3_S", quant.IQ3_S}, MostlyIQ3_M: {"IQ3_M", quant.IQ3_S}, MostlyIQ4_NL: {"IQ4_NL", quant.IQ4_NL}, MostlyIQ4_XS: {"IQ4_XS", quant.IQ4_XS},
	MostlyTQ1_0: {"TQ1_0", quant.TQ1_0}, MostlyTQ2_0: {"TQ2_0", quant.TQ2_0}, MostlyMXFP4_MOE: {"MXFP4_MOE", quant.MXFP4}, MostlyQ1_0: {"Q1_0", quant.Q1_0}, MostlyQ2_0: {"Q2_0", quant.Q2_0},
}

// Valid reports whether m is a known file type.
func (m FileType) Valid() bool { return int(m) < len(fileTypes) && fileTypes[m].name != "" }

// String is the name of the file type, such as "Q4_K_M".
func (m FileType) String() string {
	if !m.Valid() {
		return fmt.Sprintf("ftype(%d)", uint32(m))
	}
	return fileTypes[m].name
}

// Most is the type of most matrices. It is only defined where m is valid.
func (m FileType) Most() quant.Type { return fileTypes[m].most }

// ParseFileType finds a file type by its name in any case, or by its number. "Q3_K", "Q4_K" and
// "Q5_K" are the file types with M at the end.
func ParseFileType(name string) (FileType, error) {
	key := strings.ToUpper(name)
	switch key {
	case "Q3_K", "Q4_K", "Q5_K":
		key += "_M"
	}
	for m, mix := range fileTypes {
		if mix.name != "" && (key == mix.name || key == strconv.Itoa(m)) {
			return FileType(m), nil
		}
	}
	return 0, fmt.Errorf("unknown file type %q: want one of %s", name, strings.Join(FileTypeNames(), ", "))
}

// FileType is the file type that general.file_type gives the file, and whether it is a known one.
func (f *File) FileType() (t FileType, known bool) {
	v, ok := f.Value("general.file_type")
	if !ok {
		return 0, false
	}
	n, ok := v.Uint()
	t = FileType(n)
	return t, ok && uint64(t) == n && t.Valid()
}

// FileTypeNames lists the names that [ParseFileType] finds, in the order of their numbers.
func FileTypeNames() (names []string) {
	for _, mix := range fileTypes {
		if mix.name != "" {
			names = append(names, mix.name)
		}
	}
	return names
}
