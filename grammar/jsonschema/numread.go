package jsonschema

import (
	"math/big"
	"strings"
)

// Where a number is being read.
const (
	phStart uint8 = iota
	phMinus
	phZero // after a leading zero
	phInt
	phDot
	phFrac
	phE
	phESign
	phEDigits
)

const infinite = 1 << 30

// farthest bounds the zeros before or after the digits that bounds are compared with, where an
// exponent may move the point: a number is at most this long.
const farthest = 1500

// A point is how far a number of a set has been read. What cannot matter any more is left at zero,
// so that equal points go on equally.
type point struct {
	ph      uint8
	neg     bool
	nonzero bool // a digit other than 0 was read
	part    bool // such a digit was read after the decimal point

	// The digits from the first that is not 0, beside those of the bounds: how many were read, and
	// whether they are less than, so far equal to, or greater than the bound's.
	read   int
	lo, hi int8
	exp    int // of the first digit, as in decimal

	frac int    // digits after the point, up to places
	x    string // with a step other than 1: the digits read, as an integer; or its remainder
	free bool   // x is the remainder: the bounds are kept whatever follows

	eneg     bool
	e        int // the exponent
	min, max int // which exponents keep the bounds
}

func (n *numbers) side1(neg bool) *magnitudes {
	if neg {
		return n.neg
	}
	return n.pos
}

// unitStep reports whether multiples are all numbers of so many places, or anything.
func (n *numbers) unitStep() bool { return n.step == nil || n.step.IsInt64() && n.step.Int64() == 1 }

// exponents reports whether numbers may be written with an exponent. Multiples are written
// without: to which of them an exponent leads, no finite automaton knows.
func (n *numbers) exponents() bool { return n.step == nil && !n.fractional && !n.whole }

// next reads a byte; it returns false if no number of the set goes on so.
func (n *numbers) next(p point, c byte) (point, bool) {
	digit := c >= '0' && c <= '9'
	switch p.ph {
	case phStart, phMinus:
		if c == '-' && p.ph == phStart {
			p.ph, p.neg = phMinus, true
			return p, n.neg != nil || n.zero
		}
		if !digit {
			return p, false
		}
		if p.ph = phInt; c == '0' {
			p.ph = phZero
			if !n.unitStep() {
				p.x = "0"
			}
			return p, n.alive(p)
		}
		return n.digit(p, c)
	case phZero, phInt, phFrac:
		switch {
		case digit && p.ph != phZero:
			return n.digit(p, c)
		case c == '.' && p.ph != phFrac && !n.whole:
			p.ph = phDot
			return p, n.alive(p)
		case (c == 'e' || c == 'E') && n.exponents():
			return n.exponent(p)
		}
	case phDot:
		if digit {
			p.ph = phFrac
			return n.digit(p, c)
		}
	case phE, phESign, phEDigits:
		return n.exponentByte(p, c)
	}
	return p, false
}

// digit reads a digit of the integer or fraction.
func (n *numbers) digit(p point, c byte) (point, bool) {
	m := n.side1(p.neg)
	inFrac := p.ph == phFrac
	if inFrac {
		if n.step != nil && p.frac >= n.places {
			return p, c == '0' // nothing but zeros follow
		}
		p.part = p.part || c != '0'
		if n.step != nil {
			p.frac++
		}
	}
	if c != '0' {
		p.nonzero = true
	}
	if p.nonzero && m == nil {
		return p, false
	}
	if !n.unitStep() {
		p.x += string(c)
		p.x = strings.TrimLeft(p.x, "0")
		if p.x == "" {
			p.x = "0"
		}
		return n.settled(p)
	}
	if p.nonzero {
		if !inFrac {
			p.exp++
		}
		p.lo = compareDigit(p.lo, m.lo, p.read, c)
		p.hi = compareDigit(p.hi, m.hi, p.read, c)
		p.read++
	} else if inFrac {
		p.exp--
	}
	return n.settled(p)
}

func compareDigit(so int8, d *decimal, i int, c byte) int8 {
	if so != 0 || d == nil {
		return so
	}
	want := byte('0')
	if i < len(d.digits) {
		want = d.digits[i]
	}
	switch {
	case c < want:
		return -1
	case c > want:
		return 1
	}
	return 0
}

// settled forgets what cannot matter, and reports whether p leads to a number of the set.
func (n *numbers) settled(p point) (point, bool) {
	if !n.fractional {
		p.part = false
	}
	m := n.side1(p.neg)
	if m == nil {
		p.exp = 0
		return p, n.alive(p)
	}
	if !n.unitStep() {
		return n.settledMultiple(p, m)
	}
	if m.lo == nil && m.hi == nil {
		p.exp, p.read = 0, 0
		return p, n.alive(p)
	}
	longest := 0
	lowest, highest := infinite, -infinite
	for _, d := range []*decimal{m.lo, m.hi} {
		if d != nil {
			longest = max(longest, len(d.digits))
			lowest, highest = min(lowest, d.exp), max(highest, d.exp)
		}
	}
	p.read = min(p.read, longest)
	if n.exponents() {
		if p.exp > farthest || p.exp < -farthest {
			return p, false
		}
	} else {
		p.exp = min(p.exp, highest+1)
		if p.ph != phInt { // no more digits before the point raise it
			p.exp = max(p.exp, lowest-2)
		}
	}
	return p, n.alive(p)
}

func (n *numbers) settledMultiple(p point, m *magnitudes) (point, bool) {
	x, _ := new(big.Int).SetString(p.x, 10)
	if !p.free && p.nonzero && m.hi == nil {
		// More digits never make it less.
		scaled := new(big.Int).Mul(x, pow10(n.places-p.frac))
		p.free = m.lo == nil || scaled.Cmp(m.lo.scaled(n.places)) >= 0
	}
	if p.free {
		p.x = x.Mod(x, n.step).String()
	}
	return p, n.alive(p)
}

// alive reports whether some number of the set begins with what was read, before an exponent.
func (n *numbers) alive(p point) bool {
	m := n.side1(p.neg)
	if !p.nonzero && n.zero {
		return true
	}
	if m == nil {
		return false
	}
	if !n.unitStep() {
		return n.aliveMultiple(p, m)
	}
	if !p.nonzero {
		switch {
		case n.whole:
			return false
		case n.step != nil:
			return n.places > p.frac && m.within(1-n.places, -p.frac, p, true)
		case n.exponents():
			return m.within(-infinite, infinite, p, true)
		}
		return m.within(-infinite, min(p.exp, 0), p, true)
	}
	switch {
	case n.exponents():
		return m.within(-infinite, infinite, p, true)
	case p.ph == phInt:
		return m.within(p.exp, p.exp, p, n.step == nil || n.places > 0) || m.within(p.exp+1, infinite, p, true)
	}
	return m.within(p.exp, p.exp, p, n.step == nil || p.frac < n.places)
}

// aliveMultiple looks for a multiple among the numbers that begin with what was read.
func (n *numbers) aliveMultiple(p point, m *magnitudes) bool {
	x, _ := new(big.Int).SetString("0"+p.x, 10)
	least := big.NewInt(1)
	if m.lo != nil {
		least = m.lo.scaled(n.places)
	}
	for digits := 0; ; digits++ {
		width := pow10(digits + n.places - p.frac)
		from := new(big.Int).Mul(x, width)
		to := new(big.Int).Add(from, width)
		to.Sub(to, big.NewInt(1))
		if !p.free && from.Cmp(least) < 0 {
			from = least
		}
		if !p.free && m.hi != nil {
			if hi := m.hi.scaled(n.places); hi.Cmp(to) < 0 {
				to = hi
			}
		}
		// The first multiple from there.
		q := new(big.Int).Add(from, n.step)
		q.Sub(q, big.NewInt(1)).Div(q, n.step).Mul(q, n.step)
		if from.Cmp(to) <= 0 && q.Cmp(to) <= 0 {
			return true
		}
		if p.ph != phInt {
			return false
		}
		if m.hi != nil && from.Cmp(m.hi.scaled(n.places)) > 0 && !p.free {
			return false
		}
	}
}

// within reports whether some number whose first digit has an exponent from e1 to e2 keeps the
// bounds. Its digits are those read, and more if extend.
func (m *magnitudes) within(e1, e2 int, p point, extend bool) bool {
	for _, e := range m.candidates(e1, e2) {
		if e >= e1 && e <= e2 && m.above(e, p, extend) && m.below(e, p, extend) {
			return true
		}
	}
	return false
}

// candidates are exponents among which is one that keeps the bounds, if any does.
func (m *magnitudes) candidates(e1, e2 int) []int {
	out := make([]int, 0, 7)
	if m.lo != nil {
		out = append(out, m.lo.exp, m.lo.exp+1)
	}
	if m.hi != nil {
		out = append(out, m.hi.exp, m.hi.exp-1)
	}
	for _, e := range []int{e1, e2, 0} {
		if e > -infinite && e < infinite {
			out = append(out, e)
		}
	}
	return out
}

func (m *magnitudes) above(e int, p point, extend bool) bool {
	switch {
	case m.lo == nil || e > m.lo.exp:
		return true
	case e < m.lo.exp || p.lo < 0:
		return false
	case p.lo > 0 || extend:
		return true
	}
	return p.read >= len(m.lo.digits) && !m.loOpen
}

func (m *magnitudes) below(e int, p point, extend bool) bool {
	switch {
	case m.hi == nil || e < m.hi.exp:
		return true
	case e > m.hi.exp || p.hi > 0:
		return false
	case p.hi < 0 || p.read < len(m.hi.digits):
		return true
	}
	return !m.hiOpen
}

// exponent reads the e, and finds which exponents keep the bounds.
func (n *numbers) exponent(p point) (point, bool) {
	q := point{ph: phE, neg: p.neg, nonzero: p.nonzero, min: -infinite, max: infinite}
	if !p.nonzero {
		return q, n.zero
	}
	m := n.side1(p.neg)
	if m.lo != nil {
		q.min = m.lo.exp - p.exp
		if !m.above(m.lo.exp, p, false) {
			q.min++
		}
	}
	if m.hi != nil {
		q.max = m.hi.exp - p.exp
		if !m.below(m.hi.exp, p, false) {
			q.max--
		}
	}
	return q, q.min <= q.max
}

func (n *numbers) exponentByte(p point, c byte) (point, bool) {
	switch {
	case p.ph == phE && (c == '+' || c == '-'):
		p.ph, p.eneg = phESign, c == '-'
		if p.eneg {
			p.min, p.max = -p.max, -p.min
		}
	case c >= '0' && c <= '9':
		p.ph = phEDigits
		p.e = p.e*10 + int(c-'0')
		if p.max < infinite && p.e > p.max {
			return p, false
		}
		// Beyond the lower bound all is the same.
		if p.max == infinite {
			p.e = min(p.e, max(p.min, 0))
		}
	default:
		return p, false
	}
	// What the digits so far can become: e, 10e to 10e+9, and so on.
	if p.max < 0 {
		return p, false
	}
	lo := max(p.min, 0)
	for from, to := p.e, p.e; from <= p.max; from, to = from*10, to*10+9 {
		if p.ph == phESign {
			return p, true // any number of digits
		}
		if to >= lo || p.max == infinite {
			return p, true
		}
		if from == 0 {
			return p, true // more digits make any number
		}
	}
	return p, false
}

// ends reports whether what was read is a number of the set.
func (n *numbers) ends(p point) bool {
	switch p.ph {
	case phZero, phInt:
		if n.notWhole {
			return false
		}
	case phFrac:
	case phEDigits:
		return p.e >= p.min && p.e <= p.max
	default:
		return false
	}
	if n.fractional && !p.part {
		return false
	}
	if !p.nonzero {
		return n.zero
	}
	m := n.side1(p.neg)
	if !n.unitStep() {
		q := p
		q.ph = phFrac // no more digits of the integer
		for q.frac < n.places {
			q.x, q.frac = q.x+"0", q.frac+1
		}
		return n.aliveMultiple(q, m)
	}
	return m.above(p.exp, p, false) && m.below(p.exp, p, false)
}
