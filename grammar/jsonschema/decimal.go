package jsonschema

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// A decimal is a number as JSON has them, exactly: ±0.d₁d₂… × 10^exp with d₁ not 0 and no zeros at
// the end. Zero has no digits.
type decimal struct {
	neg    bool
	digits string
	exp    int
}

// maxExponent bounds the exponents of numbers in schemas.
const maxExponent = 100_000

// parseDecimal reads a number of JSON.
func parseDecimal(s string) (decimal, error) {
	d := decimal{}
	rest, neg := strings.CutPrefix(s, "-")
	mantissa, exponent := rest, ""
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		mantissa, exponent = rest[:i], rest[i+1:]
	}
	e := 0
	if exponent != "" {
		var err error
		if e, err = strconv.Atoi(strings.TrimPrefix(exponent, "+")); err != nil || e > maxExponent || e < -maxExponent {
			return d, fmt.Errorf("want a number with an exponent up to %d, found %s", maxExponent, shorten(s))
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d = decimal{neg, whole + fraction, len(whole) + e}
	for strings.HasPrefix(d.digits, "0") {
		d.digits, d.exp = d.digits[1:], d.exp-1
	}
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}, nil
	}
	return d, nil
}

func (d decimal) zero() bool { return d.digits == "" }

func (d decimal) negated() decimal {
	if !d.zero() {
		d.neg = !d.neg
	}
	return d
}

func (d decimal) sign() int {
	switch {
	case d.zero():
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// compare orders numbers.
func (d decimal) compare(e decimal) int {
	if s, t := d.sign(), e.sign(); s != t || s == 0 {
		return s - t
	}
	c := d.exp - e.exp
	if c == 0 {
		c = strings.Compare(d.digits, e.digits)
	}
	if d.neg {
		c = -c
	}
	return c
}

// integer reports whether d is one.
func (d decimal) integer() bool { return d.exp >= len(d.digits) }

// scaled returns d × 10^s, which must be an integer.
func (d decimal) scaled(s int) *big.Int {
	n, _ := new(big.Int).SetString("0"+d.digits, 10)
	n.Mul(n, pow10(d.exp+s-len(d.digits)))
	if d.neg {
		n.Neg(n)
	}
	return n
}

// places returns the number of digits after the point.
func (d decimal) places() int { return max(len(d.digits)-d.exp, 0) }

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, 0))), nil)
}

// fromScaled returns n / 10^s.
func fromScaled(n *big.Int, s int) decimal {
	text := new(big.Int).Abs(n).String()
	d := decimal{n.Sign() < 0, strings.TrimRight(text, "0"), len(text) - s}
	if n.Sign() == 0 {
		return decimal{}
	}
	return d
}

// String writes d without an exponent where that is short.
func (d decimal) String() string {
	sign := ""
	if d.neg {
		sign = "-"
	}
	switch {
	case d.zero():
		return "0"
	case d.exp > 40 || d.exp < -40:
		return fmt.Sprintf("%s0.%se%d", sign, d.digits, d.exp)
	case d.exp <= 0:
		return sign + "0." + strings.Repeat("0", -d.exp) + d.digits
	case d.integer():
		return sign + d.digits + strings.Repeat("0", d.exp-len(d.digits))
	}
	return sign + d.digits[:d.exp] + "." + d.digits[d.exp:]
}

func shorten(s string) string {
	if len(s) > 60 {
		return strconv.Quote(strings.ToValidUTF8(s[:57], "")) + "..."
	}
	return strconv.Quote(s)
}
