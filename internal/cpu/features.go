package cpu

import (
	"runtime"
	"slices"

	"github.com/klauspost/cpuid/v2"
	sys "golang.org/x/sys/cpu"
)

// features are the instruction sets that matter to kernels, by the names that users know, oldest
// first. Two libraries are asked where one of them is blind: cpuid reads no flags on arm64 Windows,
// x/sys/cpu none of BF16.
var features = []struct {
	name, arch string
	has        func() bool
}{
	{"sse4.2", "amd64", id(cpuid.SSE42)},
	{"avx", "amd64", id(cpuid.AVX)},
	{"f16c", "amd64", id(cpuid.F16C)},
	{"fma", "amd64", id(cpuid.FMA3)},
	{"avx2", "amd64", id(cpuid.AVX2)},
	{"avx512f", "amd64", id(cpuid.AVX512F)},
	{"avx512bw", "amd64", id(cpuid.AVX512BW)},
	{"avx512dq", "amd64", id(cpuid.AVX512DQ)},
	{"avx512vl", "amd64", id(cpuid.AVX512VL)},
	{"avx512vbmi", "amd64", id(cpuid.AVX512VBMI)},
	{"avx512vnni", "amd64", id(cpuid.AVX512VNNI)},
	{"avx512bf16", "amd64", id(cpuid.AVX512BF16)},
	{"avx512fp16", "amd64", id(cpuid.AVX512FP16)},
	{"avxvnni", "amd64", id(cpuid.AVXVNNI)},
	{"avxvnniint8", "amd64", id(cpuid.AVXVNNIINT8)},
	{"avx10", "amd64", id(cpuid.AVX10)},
	{"amx-tile", "amd64", id(cpuid.AMXTILE)},
	{"amx-int8", "amd64", id(cpuid.AMXINT8)},
	{"amx-bf16", "amd64", id(cpuid.AMXBF16)},
	{"amx-fp16", "amd64", id(cpuid.AMXFP16)},

	{"neon", "arm64", func() bool { return true }}, // Go runs on no arm64 processor without
	{"fp16", "arm64", func() bool { return cpuid.CPU.Has(cpuid.ASIMDHP) || sys.ARM64.HasASIMDHP }},
	{"dotprod", "arm64", func() bool { return cpuid.CPU.Has(cpuid.ASIMDDP) || sys.ARM64.HasASIMDDP }},
	{"i8mm", "arm64", func() bool { return cpuid.CPU.Has(cpuid.I8MM) || sys.ARM64.HasI8MM }},
	{"bf16", "arm64", id(cpuid.BF16)},
	{"sve", "arm64", func() bool { return cpuid.CPU.Has(cpuid.SVE) || sys.ARM64.HasSVE }},
	{"sve2", "arm64", func() bool { return cpuid.CPU.Has(cpuid.SVE2) || sys.ARM64.HasSVE2 }},

	{"rvv", "riscv64", func() bool { return cpuid.CPU.Has(cpuid.RV_V) || sys.RISCV64.HasV }},
	{"zfh", "riscv64", id(cpuid.RV_ZFH)},
}

func id(f cpuid.FeatureID) func() bool { return func() bool { return cpuid.CPU.Has(f) } }

// Features returns the names of the instruction sets that processor and operating system offer, of
// those that matter to kernels: "avx2", "avx512vnni", "amx-int8", "neon", "i8mm" and so on.
func Features() []string {
	var names []string
	for _, f := range features {
		if f.arch == runtime.GOARCH && f.has() {
			names = append(names, f.name)
		}
	}
	return names
}

// Has reports whether the processor offers all of the named instruction sets, see [Features].
func Has(names ...string) bool {
	found := Features()
	for _, n := range names {
		if !slices.Contains(found, n) {
			return false
		}
	}
	return true
}
