package cpu

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// Env is the name of the environment variable that lowers the level.
const Env = "GOINFER_CPU"

// isa is a set of kernels and what it asks of the processor.
type isa struct {
	name, arch string // arch "" is every architecture
	needs      []string
	asked      bool // it is in use only where GOINFER_CPU names it
}

// vnni512 is what avx512vnni asks for.
var vnni512 = []string{"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"}

// isas lists all of them, for each architecture from low to high.
var isas = []isa{
	{name: "go"},
	{name: "avx2", arch: "amd64", needs: []string{"avx2", "fma", "f16c"}},
	{name: "avxvnni", arch: "amd64", needs: []string{"avx2", "fma", "f16c", "avxvnni"}},
	{name: "avx512vnni", arch: "amd64", needs: vnni512},
	{name: "avx512bf16", arch: "amd64", needs: append(slices.Clone(vnni512), "avx512bf16"), asked: true},
	{name: "neon", arch: "arm64", needs: []string{"neon"}},
	{name: "dotprod", arch: "arm64", needs: []string{"neon", "dotprod"}},
	{name: "i8mm", arch: "arm64", needs: []string{"neon", "dotprod", "i8mm"}},
}

// ISAs returns the names of the levels that this build has kernels for, from low to high, whether
// the processor has them or not.
func ISAs() []string { return slices.Clone(built) }

// Usable returns those of [ISAs] that the processor can run.
func Usable() []string {
	found := Features()
	return slices.DeleteFunc(ISAs(), func(name string) bool {
		_, err := choose(name, runtime.GOARCH, built, found)
		return err != nil
	})
}

// ISA returns the level in use: the highest that build and processor have, of those that need not
// be asked for, or the one that GOINFER_CPU names. A name that is unknown, or that this build or
// processor lacks, is an error.
func ISA() (string, error) {
	return choose(os.Getenv(Env), runtime.GOARCH, built, Features())
}

func choose(want, arch string, built, found []string) (string, error) {
	best, known := "", []string{}
	for _, l := range isas {
		known = append(known, l.name)
		if want != l.name && (want != "" || l.asked) {
			continue
		}
		if !slices.Contains(built, l.name) || l.arch != "" && l.arch != arch {
			if want != "" {
				return "", fault.Of(fault.ErrInvalid, fmt.Errorf("%s=%s: this build for %s has no such kernels, only %s", Env, want, arch, strings.Join(built, ", ")))
			}
			continue
		}
		if lacks := missing(l.needs, found); len(lacks) > 0 {
			if want != "" {
				return "", fault.Of(fault.ErrInvalid, fmt.Errorf("%s=%s: the processor lacks %s", Env, want, strings.Join(lacks, ", ")))
			}
			continue
		}
		best = l.name
	}
	if best == "" {
		return "", fault.Of(fault.ErrInvalid, fmt.Errorf("%s=%q is no level: want one of %s", Env, want, strings.Join(known, ", ")))
	}
	return best, nil
}

func missing(needs, found []string) (lacks []string) {
	for _, n := range needs {
		if !slices.Contains(found, n) {
			lacks = append(lacks, n)
		}
	}
	return lacks
}
