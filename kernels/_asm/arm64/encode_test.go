package main

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const objdump = "aarch64-linux-gnu-objdump"

// words makes every encoder's instruction with some operands.
func words(rng *rand.Rand) []word {
	v := func() V { return V(rng.IntN(32)) }
	lane := func() int { return rng.IntN(4) }
	var all []word
	for _, f := range threes {
		all = append(all, f(v(), v(), v()))
	}
	for _, f := range lanes {
		all = append(all, f(v(), v(), v(), lane()))
	}
	for _, f := range twins {
		all = append(all, f(v(), v()))
	}
	return append(all, moviS(v(), rng.IntN(256)), scvtfShift(v(), v(), 1+rng.IntN(31)), sshr(v(), v(), 1+rng.IntN(31)))
}

var (
	threes = []func(d, n, m V) word{sdot, smmla, smull, smull2, smlal, smlal2, ushl, ushlB, mulB, cmhi, cmhiB, cmhsB, fmul,
		fadd, fsub, fdiv, fmax, fmin, faddp, fmaxp, fcmgt, cmgt, cmge, bic}
	lanes = []func(d, n, m V, i int) word{sdotLane, mlaLane, mlsLane, fmulLane, fmlaLane, fmlsLane}
	twins = []func(d, n V) word{saddlp, sadalp, xtn, shrn16, fneg, scvtf, ucvtf, fcvtl, fcvtl2, fcvtn,
		frintn, fcvtns, shll, shll2, saddlv, sxtl, sxtl2, sxtlB, sxtl2B}
)

// TestEncoders disassembles what every encoder makes.
func TestEncoders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []word
	for range 200 {
		all = append(all, words(rng)...)
	}
	disassembled(t, all)
}

// TestEncodersListed finds encoders that the test above does not know.
func TestEncodersListed(t *testing.T) {
	src, err := os.ReadFile("encode.go")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, w := range words(rand.New(rand.NewPCG(1, 2))) {
		made[w.text[:strings.Index(w.text, " ")]] = true
	}
	for _, m := range regexp.MustCompile(`(?:same|long|unary|lane)\(0x[0-9a-f]+, "([a-z0-9]+)"`).FindAllStringSubmatch(string(src), -1) {
		if !made[m[1]] {
			t.Errorf("no test of %s", m[1])
		}
	}
}

// TestGenerated disassembles the words of the checked-in files and holds them against their
// comments.
func TestGenerated(t *testing.T) {
	line := regexp.MustCompile(`WORD \$0x([0-9a-f]{8}) // (.*)`)
	for _, f := range files {
		src, err := os.ReadFile(filepath.Join("../../..", f.pkg, f.name+"_arm64.s"))
		if err != nil {
			t.Fatal(err)
		}
		stubs, err := os.ReadFile(filepath.Join("../../..", f.pkg, f.name+"_stubs_arm64.go"))
		if err != nil {
			t.Fatal(err)
		}
		x := newProgram(f.pkg)
		f.make(x)
		if string(src) != x.assembly() || string(stubs) != x.stubs() {
			t.Errorf("%s/%s_arm64.s or its stubs are not what go generate ./kernels makes", f.pkg, f.name)
		}
		var all []word
		seen := map[string]bool{}
		for _, m := range line.FindAllStringSubmatch(string(src), -1) {
			if !seen[m[0]] {
				seen[m[0]] = true
				code, err := strconv.ParseUint(m[1], 16, 32)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, word{uint32(code), m[2]})
			}
		}
		disassembled(t, all)
	}
}

// disassembled fails for words that the disassembler calls something else.
func disassembled(t *testing.T, all []word) {
	t.Helper()
	if _, err := exec.LookPath(objdump); err != nil {
		t.Skipf("no %s (Debian's binutils-aarch64-linux-gnu)", objdump)
	}
	var code []byte
	for _, w := range all {
		code = binary.LittleEndian.AppendUint32(code, w.code)
	}
	name := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(name, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "aarch64", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, l := range strings.Split(string(out), "\n") {
		f := strings.SplitN(l, "\t", 3)
		if len(f) < 3 {
			continue
		}
		if got := strings.Join(strings.Fields(f[2]), " "); got != all[i].text {
			t.Fatalf("0x%08x: want %q, the disassembler says %q", all[i].code, all[i].text, got)
		}
		i++
	}
	if i != len(all) {
		t.Fatalf("%d words of %d were disassembled", i, len(all))
	}
}
