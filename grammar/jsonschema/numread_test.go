package jsonschema

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// contains is the definition of the set.
func (n *numbers) contains(text string) bool {
	d, err := parseDecimal(text)
	if err != nil || !n.holds(d) {
		return false
	}
	written := strings.ContainsAny(text, ".eE")
	if n.whole && written || n.notWhole && !written || n.fractional && d.integer() {
		return false
	}
	if n.multiple == nil || d.zero() {
		return true
	}
	places := max(n.multiple.places(), d.places())
	q := d.scaled(places)
	return q.Mod(q.Abs(q), n.multiple.scaled(places)).Sign() == 0
}

// follow reads text; it returns the length of the longest beginning that leads somewhere, and
// whether the whole is in the set.
func (n *numbers) follow(text string) (int, bool) {
	p := point{}
	for i := range len(text) {
		var ok bool
		if p, ok = n.next(p, text[i]); !ok {
			return i, false
		}
	}
	return len(text), n.ends(p)
}

// every calls f with all texts of numbers up to a length.
func every(length int, f func(string)) {
	var grow func(s string)
	grow = func(s string) {
		if _, err := parseValue([]byte(s)); err == nil {
			f(s)
		}
		if len(s) == length {
			return
		}
		for _, c := range "-0159.e" {
			if ok := beginsNumber(s + string(c)); ok {
				grow(s + string(c))
			}
		}
	}
	grow("")
}

func beginsNumber(s string) bool {
	for _, end := range []string{"", "0", "1"} {
		if _, err := parseValue([]byte(s + end)); err == nil {
			return true
		}
	}
	return false
}

// TestNumbers compares the automaton with the definition on all short numbers, and checks that what
// it allows leads to a number.
func TestNumbers(t *testing.T) {
	var short []string
	every(5, func(s string) { short = append(short, s) })
	require.Greater(t, len(short), 1000)
	dec := func(s string) *decimal {
		d, err := parseDecimal(s)
		require.NoError(t, err)
		return &d
	}
	sets := map[string]*numbers{
		"any": {}, "≥0": {lo: dec("0")}, ">0": {lo: dec("0"), loOpen: true}, "≤-1": {hi: dec("-1")}, "<0": {hi: dec("0"), hiOpen: true},
		"0..1": {lo: dec("0"), hi: dec("1")}, "5..9.5": {lo: dec("5"), hi: dec("9.5")}, "-1.5..15": {lo: dec("-1.5"), hi: dec("15")}, "5": {lo: dec("5"), hi: dec("5")},
		"0": {lo: dec("0"), hi: dec("0")}, "(0,0.1)": {lo: dec("0"), hi: dec("0.1"), loOpen: true, hiOpen: true}, "≥150": {lo: dec("150")}, "≤0.05": {hi: dec("0.05")},
		"(1,5)": {lo: dec("1"), hi: dec("5"), loOpen: true, hiOpen: true}, "<51": {hi: dec("51"), hiOpen: true}, "-0.05..-0.01": {lo: dec("-0.05"), hi: dec("-0.01")}, "≥0.5": {lo: dec("0.5")},
		"int": {multiple: dec("1")}, "int4": {multiple: dec("1"), whole: true}, "int 0..15": {multiple: dec("1"), lo: dec("0"), hi: dec("15")}, "int ≥10": {multiple: dec("1"), lo: dec("10")},
		"int -15..59": {multiple: dec("1"), lo: dec("-15.5"), hi: dec("59.9")}, "int 1..1": {multiple: dec("1"), lo: dec("0.5"), hi: dec("1.5")}, "int >0": {multiple: dec("1"), lo: dec("0"), loOpen: true},
		"×5": {multiple: dec("5")}, "×0.01": {multiple: dec("0.01")}, "×0.05": {multiple: dec("0.05"), lo: dec("0.1"), hi: dec("1")}, "×7": {multiple: dec("7"), lo: dec("1")}, "×15": {multiple: dec("15"), hi: dec("100"), lo: dec("-20")},
		"×1.5": {multiple: dec("1.5")}, "×10": {multiple: dec("10")}, "×0.5 >1": {multiple: dec("0.5"), lo: dec("1"), loOpen: true},
		"frac": {fractional: true}, "frac 0..1": {fractional: true, lo: dec("0"), hi: dec("1")}, "not whole": {notWhole: true}, "not whole 0..5": {notWhole: true, lo: dec("0"), hi: dec("5")},
	}
	for name, n := range sets {
		n, ok := n.prepared()
		require.True(t, ok, name)
		ends := map[string]bool{}
		for _, s := range short {
			want := n.contains(s)
			if strings.Contains(s, "e") && !n.exponents() {
				want = false
			}
			_, got := n.follow(s)
			require.Equal(t, want, got, "%s: %s", name, s)
			if got {
				for i := range len(s) + 1 {
					ends[s[:i]] = true
				}
			}
		}
		for _, s := range short {
			at, _ := n.follow(s)
			if at > 0 && !ends[s[:at]] {
				require.True(t, n.completes(s[:at]), "%s: %s leads nowhere", name, s[:at])
			}
		}
	}
}

// TestNumberRanges compares on bounds of several digits.
func TestNumberRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 400 {
		number := func() *decimal {
			d, err := parseDecimal(fmt.Sprintf("%.*f", rng.IntN(4), (rng.Float64()-0.3)*math.Pow(10, float64(rng.IntN(7)))))
			require.NoError(t, err)
			return &d
		}
		n := &numbers{lo: number()}
		if rng.IntN(2) == 0 {
			n.hi = number()
		}
		if rng.IntN(2) == 0 {
			d := one
			n.multiple = &d
		}
		n, ok := n.prepared()
		if !ok {
			continue
		}
		for i := range 300 {
			f := (rng.Float64() - 0.3) * math.Pow(10, float64(i%8)-1)
			s := fmt.Sprintf("%.*f", i%3, f)
			_, got := n.follow(s)
			require.Equal(t, n.contains(s), got, "%s in %s", s, n.key)
			if !n.exponents() {
				continue
			}
			s = fmt.Sprintf("%.*e", i%3, f)
			_, got = n.follow(s)
			require.Equal(t, n.contains(s), got, "%s in %s", s, n.key)
		}
	}
}

// completes looks for a number that begins with text, at random.
func (n *numbers) completes(text string) bool {
	rng := rand.New(rand.NewPCG(1, 2))
	p := point{}
	for i := range len(text) {
		p, _ = n.next(p, text[i])
	}
	for range 2000 {
		q, s := p, text
		for range 14 {
			if n.ends(q) {
				return n.contains(s)
			}
			c := "0123456789.e-+"[rng.IntN(14)]
			if r, ok := n.next(q, c); ok {
				q, s = r, s+string(c)
			}
		}
	}
	return false
}

func TestNumberAlgebra(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func() *numbers {
		n := &numbers{}
		number := func() *decimal {
			d, err := parseDecimal(fmt.Sprintf("%.*f", rng.IntN(2), float64(rng.IntN(41)-20)))
			require.NoError(t, err)
			return &d
		}
		if rng.IntN(2) == 0 {
			n.lo, n.loOpen = number(), rng.IntN(2) == 0
		}
		if rng.IntN(2) == 0 {
			n.hi, n.hiOpen = number(), rng.IntN(2) == 0
		}
		if rng.IntN(2) == 0 {
			d := one
			n.multiple = &d
		}
		return n
	}
	for range 300 {
		a, b := random(), random()
		both, err := a.meet(b)
		require.NoError(t, err)
		not, err := a.complement()
		require.NoError(t, err)
		for i := -50; i <= 50; i++ {
			s := fmt.Sprint(float64(i) / 2)
			require.Equal(t, a.contains(s) && b.contains(s), both.contains(s))
			in := false
			for _, n := range not {
				in = in || n.contains(s)
			}
			require.Equal(t, !a.contains(s), in, "%s", s)
		}
	}
}
