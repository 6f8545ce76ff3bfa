package jsonschema

import (
	"fmt"
	"math/big"
	"strings"
)

// numbers is a set of numbers: an interval, and what divides them.
type numbers struct {
	lo, hi         *decimal // nil: no bound
	loOpen, hiOpen bool
	multiple       *decimal // of which they are multiples; nil: of nothing
	fractional     bool     // no integers
	whole          bool     // written without point and exponent (an integer of draft 4)
	notWhole       bool     // written with one

	key string

	// The same by sign, for reading.
	zero     bool
	pos, neg *magnitudes // nil: none
	step     *big.Int    // multiples are those of step / 10^places; nil: any
	places   int
}

// magnitudes is an interval of positive numbers.
type magnitudes struct {
	lo, hi         *decimal // lo is nil instead of 0
	loOpen, hiOpen bool
}

var one = decimal{digits: "1", exp: 1}

// prepared fills in what is derived, and reports whether any number is in the set.
func (n *numbers) prepared() (*numbers, bool) {
	n.simplify()
	if n.empty() {
		return nil, false
	}
	n.zero = !n.fractional && n.holds(decimal{})
	n.pos = n.side(false)
	n.neg = n.side(true)
	if !n.zero && n.pos == nil && n.neg == nil {
		return nil, false
	}
	var b strings.Builder
	for _, d := range []*decimal{n.lo, n.hi, n.multiple} {
		if d == nil {
			b.WriteString("-;")
		} else {
			fmt.Fprintf(&b, "%v %s %d;", d.neg, d.digits, d.exp)
		}
	}
	fmt.Fprint(&b, n.loOpen, n.hiOpen, n.fractional, n.whole, n.notWhole)
	n.key = b.String()
	return n, true
}

// simplify rounds bounds to multiples where that is exact.
func (n *numbers) simplify() {
	if n.multiple != nil {
		n.places = n.multiple.places()
		n.step = n.multiple.scaled(n.places)
		n.lo, n.loOpen = n.rounded(n.lo, n.loOpen, false), false
		n.hi, n.hiOpen = n.rounded(n.hi, n.hiOpen, true), false
	}
	if n.fractional {
		n.loOpen = n.loOpen || n.lo != nil && n.lo.integer()
		n.hiOpen = n.hiOpen || n.hi != nil && n.hi.integer()
	}
}

// rounded returns the nearest multiple inside of a bound.
func (n *numbers) rounded(d *decimal, open, upper bool) *decimal {
	if d == nil {
		return nil
	}
	places := max(n.places, d.places())
	step := new(big.Int).Mul(n.step, pow10(places-n.places))
	v := d.scaled(places)
	q, r := new(big.Int).DivMod(v, step, new(big.Int)) // r ≥ 0
	switch {
	case upper && open && r.Sign() == 0:
		q.Sub(q, big.NewInt(1))
	case !upper && (r.Sign() > 0 || open):
		q.Add(q, big.NewInt(1))
	}
	out := fromScaled(q.Mul(q, step), places)
	return &out
}

func (n *numbers) empty() bool {
	if n.fractional && n.multiple != nil && n.multiple.integer() || n.whole && (n.fractional || n.notWhole) {
		return true
	}
	if n.lo == nil || n.hi == nil {
		return false
	}
	c := n.lo.compare(*n.hi)
	return c > 0 || c == 0 && (n.loOpen || n.hiOpen)
}

func (n *numbers) holds(d decimal) bool {
	if n.lo != nil {
		if c := n.lo.compare(d); c > 0 || c == 0 && n.loOpen {
			return false
		}
	}
	if n.hi != nil {
		if c := n.hi.compare(d); c < 0 || c == 0 && n.hiOpen {
			return false
		}
	}
	return true
}

// side returns the magnitudes of one sign.
func (n *numbers) side(neg bool) *magnitudes {
	m := &magnitudes{n.lo, n.hi, n.loOpen, n.hiOpen}
	if neg {
		m = &magnitudes{n.hi, n.lo, n.hiOpen, n.loOpen}
		if m.lo != nil {
			d := m.lo.negated()
			m.lo = &d
		}
		if m.hi != nil {
			d := m.hi.negated()
			m.hi = &d
		}
	}
	if m.lo != nil && m.lo.sign() <= 0 {
		m.lo, m.loOpen = nil, false
	}
	if m.hi != nil && m.hi.sign() <= 0 {
		return nil
	}
	// The least multiple above zero may be beyond the upper bound: bounds are multiples, so hi is
	// one.
	return m
}

// errNotMultiple is why a set of numbers has no complement here.
var errNotMultiple = fmt.Errorf("numbers that are no multiples of another")

// maxDigits bounds the numbers that multiples are computed with.
const maxDigits = 400

// computable reports an error if multiples and bounds are too long to be computed with.
func (n *numbers) computable() error {
	if n.multiple == nil || n.multiple.digits == "1" && n.multiple.exp <= 1 && n.multiple.exp > -maxDigits {
		return nil
	}
	for _, d := range []*decimal{n.multiple, n.lo, n.hi} {
		if d != nil && (len(d.digits) > maxDigits || d.exp > maxDigits || d.exp < -maxDigits) {
			return fmt.Errorf("multiples, and bounds of them, of more than %d digits", maxDigits)
		}
	}
	return nil
}

func (n *numbers) meet(o *numbers) (*numbers, error) {
	out := &numbers{lo: n.lo, hi: n.hi, loOpen: n.loOpen, hiOpen: n.hiOpen, multiple: n.multiple,
		fractional: n.fractional || o.fractional, whole: n.whole || o.whole, notWhole: n.notWhole || o.notWhole}
	if o.lo != nil {
		c := 1
		if out.lo != nil {
			c = o.lo.compare(*out.lo)
		}
		if c > 0 {
			out.lo, out.loOpen = o.lo, o.loOpen
		} else if c == 0 {
			out.loOpen = out.loOpen || o.loOpen
		}
	}
	if o.hi != nil {
		c := -1
		if out.hi != nil {
			c = o.hi.compare(*out.hi)
		}
		if c < 0 {
			out.hi, out.hiOpen = o.hi, o.hiOpen
		} else if c == 0 {
			out.hiOpen = out.hiOpen || o.hiOpen
		}
	}
	switch {
	case out.multiple == nil:
		out.multiple = o.multiple
	case o.multiple != nil:
		places := max(n.multiple.places(), o.multiple.places())
		a, b := n.multiple.scaled(places), o.multiple.scaled(places)
		g := new(big.Int).GCD(nil, nil, a, b)
		lcm := fromScaled(a.Mul(a, b.Div(b, g)), places)
		out.multiple = &lcm
	}
	if out.fractional && out.multiple != nil && !out.multiple.integer() {
		return nil, errNotMultiple
	}
	if err := out.computable(); err != nil {
		return nil, err
	}
	return out, nil
}

// complement returns the numbers that are not in n, as a union.
func (n *numbers) complement() ([]*numbers, error) {
	var out []*numbers
	if n.lo != nil {
		out = append(out, &numbers{hi: n.lo, hiOpen: !n.loOpen})
	}
	if n.hi != nil {
		out = append(out, &numbers{lo: n.hi, loOpen: !n.hiOpen})
	}
	if n.multiple != nil {
		switch {
		case n.whole && n.multiple.compare(one) == 0:
		case n.multiple.compare(one) == 0:
			out = append(out, &numbers{fractional: true})
		default:
			return nil, errNotMultiple
		}
	}
	if n.whole {
		out = append(out, &numbers{notWhole: true})
	}
	if n.notWhole {
		w := one
		out = append(out, &numbers{whole: true, multiple: &w})
	}
	if n.fractional {
		w := one
		out = append(out, &numbers{multiple: &w})
	}
	return out, nil
}
