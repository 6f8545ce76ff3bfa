package jinja

import (
	"math"
	"math/big"
	"strings"
)

type binaryOp func(st *state, a, b value) value

var binaryOps = map[string]binaryOp{
	"+": (*state).add, "-": (*state).subtract, "*": (*state).multiply, "/": (*state).divide, "//": (*state).floorDivide, "%": (*state).modulo, "**": (*state).power,
}

// isTrue is Python's bool().
func (st *state) isTrue(v value) bool {
	switch x := v.(type) {
	case nil:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case *text:
		return x.s != ""
	case *list:
		return len(x.items) > 0
	case *dict:
		return len(x.entries) > 0
	case *rangeValue:
		return x.len() > 0
	case *undefined:
		if x.safe {
			st.failUndefined(x)
		}
		return false
	}
	return true
}

// integer returns a number that is exact: an int64, a bool, or a *big.Int.
func integer(v value) (int64, *big.Int, bool) {
	switch x := v.(type) {
	case int64:
		return x, nil, true
	case bool:
		if x {
			return 1, nil, true
		}
		return 0, nil, true
	case *big.Int:
		return 0, x, true
	}
	return 0, nil, false
}

// float returns a number as a float.
func float(v value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	n, b, ok := integer(v)
	if b != nil {
		f, _ := new(big.Float).SetInt(b).Float64()
		return f, true
	}
	return float64(n), ok
}

// wide returns an integer as a *big.Int.
func wide(n int64, b *big.Int) *big.Int {
	if b != nil {
		return b
	}
	return big.NewInt(n)
}

// unsupported fails because the types of a and b have no such operation.
func (st *state) unsupported(op string, a, b value) value {
	for _, v := range [...]value{a, b} {
		if u, ok := v.(*undefined); ok {
			st.failUndefined(u)
		}
	}
	st.fail(KindType, "unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(a), typeName(b))
	return nil
}

// arithmetic computes with two numbers: exactly, with small where both fit and it does not
// overflow, or in floats. ok is false if one is no number.
func (st *state) arithmetic(a, b value, small func(x, y int64) (int64, bool), large func(z, x, y *big.Int) *big.Int, floats func(x, y float64) float64) (value, bool) {
	x, bx, okX := integer(a)
	y, by, okY := integer(b)
	if okX && okY {
		if bx == nil && by == nil {
			if z, ok := small(x, y); ok {
				return z, true
			}
		}
		return st.big(large(new(big.Int), wide(x, bx), wide(y, by))), true
	}
	f, okF := float(a)
	g, okG := float(b)
	if !okF || !okG {
		return nil, false
	}
	return floats(f, g), true
}

const maxBits = 1 << 15

func (st *state) big(b *big.Int) value {
	if b.BitLen() > maxBits {
		st.fail(KindLimit, "an integer of %d bits: want at most %d", b.BitLen(), maxBits)
	}
	st.charge(b.BitLen() / 8)
	return shrink(b)
}

func (st *state) add(a, b value) value {
	switch x := a.(type) {
	case *text:
		y, ok := b.(*text)
		if !ok {
			if u, is := b.(*undefined); is {
				st.failUndefined(u)
			}
			st.fail(KindType, `can only concatenate str (not "%s") to str`, typeName(b))
		}
		if x.markup || y.markup {
			return st.addMarkup(x, y)
		}
		return st.concat(x, y)
	case *list:
		y, ok := b.(*list)
		if !ok || !x.sequence() || !y.sequence() || x.kind != y.kind {
			if u, is := b.(*undefined); is {
				st.failUndefined(u)
			}
			st.fail(KindType, `can only concatenate %s (not "%s") to %s`, typeName(a), typeName(b), typeName(a))
		}
		st.charge(times(len(x.items)+len(y.items), elementSize))
		return &list{items: append(append(make([]value, 0, len(x.items)+len(y.items)), x.items...), y.items...), kind: x.kind}
	}
	v, ok := st.arithmetic(a, b, func(x, y int64) (int64, bool) {
		z := x + y
		return z, (z > x) == (y > 0)
	}, (*big.Int).Add, func(x, y float64) float64 { return x + y })
	if !ok {
		return st.unsupported("+", a, b)
	}
	return v
}

func (st *state) addMarkup(x, y *text) value {
	if !x.markup {
		x = st.escapeHTML(x)
	}
	if !y.markup {
		y = st.escapeHTML(y)
	}
	t := *st.concat(x, y)
	t.markup = true
	return &t
}

func (st *state) subtract(a, b value) value {
	v, ok := st.arithmetic(a, b, func(x, y int64) (int64, bool) {
		z := x - y
		return z, (z < x) == (y > 0)
	}, (*big.Int).Sub, func(x, y float64) float64 { return x - y })
	if !ok {
		return st.unsupported("-", a, b)
	}
	return v
}

func (st *state) multiply(a, b value) value {
	if _, _, ok := integer(a); ok {
		switch b.(type) {
		case *text, *list:
			a, b = b, a
		}
	}
	if n, big, ok := integer(b); ok && big == nil {
		switch x := a.(type) {
		case *text:
			return st.repeat(x, n)
		case *list:
			if x.sequence() {
				n = max(n, 0)
				st.charge(times(times(len(x.items), elementSize), int(n)))
				l := &list{kind: x.kind}
				for range n {
					l.items = append(l.items, x.items...)
				}
				return l
			}
		}
	}
	v, ok := st.arithmetic(a, b, func(x, y int64) (int64, bool) {
		z := x * y
		return z, x == 0 || z/x == y && (x != -1 || y != math.MinInt64)
	}, (*big.Int).Mul, func(x, y float64) float64 { return x * y })
	if !ok {
		return st.unsupported("*", a, b)
	}
	return v
}

// repeat is t * n.
func (st *state) repeat(t *text, n int64) *text {
	n = max(n, 0)
	size := times(len(t.s), int(n))
	st.checkLength(size)
	st.charge(size)
	st.charge(times(len(t.runs), runSize*int(min(n, 1<<30))))
	var b builder
	for range n {
		if t.s == "" {
			break
		}
		b.add(t)
	}
	return b.text()
}

// checkLength ends the rendering if a string would be too long.
func (st *state) checkLength(n int) {
	if n > st.lim.Output || n < 0 {
		st.fail(KindLimit, "a string of more than %d bytes", st.lim.Output)
	}
}

func (st *state) divide(a, b value) value {
	x, okX := float(a)
	y, okY := float(b)
	if !okX || !okY {
		return st.unsupported("/", a, b)
	}
	if y == 0 {
		st.fail(KindValue, "division by zero")
	}
	return x / y
}

// zeroDivisor fails if b is zero.
func (st *state) zeroDivisor(b value) {
	if f, ok := float(b); ok && f == 0 {
		st.fail(KindValue, "integer division or modulo by zero")
	}
}

func (st *state) floorDivide(a, b value) value {
	st.zeroDivisor(b)
	v, ok := st.arithmetic(a, b, func(x, y int64) (int64, bool) {
		if x == math.MinInt64 && y == -1 {
			return 0, false
		}
		z := x / y
		if x%y != 0 && (x < 0) != (y < 0) {
			z--
		}
		return z, true
	}, floorDiv, func(x, y float64) float64 { return math.Floor(x / y) })
	if !ok {
		return st.unsupported("//", a, b)
	}
	return v
}

func floorDiv(z, x, y *big.Int) *big.Int {
	m := new(big.Int)
	z.DivMod(x, y, m) // Euclidean: 0 <= m < |y|
	if m.Sign() != 0 && y.Sign() < 0 {
		z.Sub(z, big.NewInt(1))
	}
	return z
}

func (st *state) modulo(a, b value) value {
	if t, ok := a.(*text); ok {
		return st.percent(t, b)
	}
	st.zeroDivisor(b)
	v, ok := st.arithmetic(a, b, func(x, y int64) (int64, bool) {
		if y == -1 {
			return 0, true
		}
		z := x % y
		if z != 0 && (z < 0) != (y < 0) {
			z += y
		}
		return z, true
	}, func(z, x, y *big.Int) *big.Int {
		q := floorDiv(new(big.Int), x, y)
		return z.Sub(x, q.Mul(q, y))
	}, func(x, y float64) float64 {
		z := math.Mod(x, y)
		if z != 0 && (z < 0) != (y < 0) {
			z += y
		}
		return z
	})
	if !ok {
		return st.unsupported("%", a, b)
	}
	return v
}

func (st *state) power(a, b value) value {
	x, bx, okX := integer(a)
	y, by, okY := integer(b)
	if okX && okY && by == nil && y >= 0 {
		base := wide(x, bx)
		if base.BitLen() > 1 && y > maxBits/int64(base.BitLen()-1)+1 {
			st.fail(KindLimit, "an integer of more than %d bits", maxBits)
		}
		if base.BitLen() <= 1 { // -1, 0, 1
			y = min(y, 2+y%2)
		}
		return st.big(new(big.Int).Exp(base, big.NewInt(y), nil))
	}
	f, okF := float(a)
	g, okG := float(b)
	if !okF || !okG {
		return st.unsupported("** or pow()", a, b)
	}
	if f == 0 && g < 0 {
		st.fail(KindValue, "0.0 cannot be raised to a negative power")
	}
	return math.Pow(f, g)
}

func (st *state) negate(v value, op string) value {
	if u, ok := v.(*undefined); ok {
		st.failUndefined(u)
	}
	n, b, ok := integer(v)
	f, isFloat := v.(float64)
	switch {
	case !ok && !isFloat:
		st.fail(KindType, "bad operand type for unary %s: '%s'", op, typeName(v))
	case op == "+" && isFloat:
		return f
	case op == "+":
		return shrink(wide(n, b))
	case isFloat:
		return -f
	}
	return shrink(new(big.Int).Neg(wide(n, b)))
}

// sequence reports whether l is a list or a tuple, and no view.
func (l *list) sequence() bool { return l.kind == isList || l.kind == isTuple || l.kind == isGroup }

// equal is a == b.
func (st *state) equal(a, b value, depth int) bool {
	st.step(1)
	st.checkDepth(depth)
	switch x := a.(type) {
	case *text:
		y, ok := b.(*text)
		if ok && len(x.s) == len(y.s) {
			st.scan(len(x.s))
			return x.s == y.s
		}
		return false
	case nil:
		return b == nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case *list:
		y, ok := b.(*list)
		if !ok || len(x.items) != len(y.items) || (x.kind == isList) != (y.kind == isList) {
			return false
		}
		for i := range x.items {
			if !st.equal(x.items[i], y.items[i], depth+1) {
				return false
			}
		}
		return true
	case *dict:
		y, ok := b.(*dict)
		if !ok || len(x.entries) != len(y.entries) {
			return false
		}
		for _, e := range x.entries {
			i := y.find(e.hash)
			if i < 0 || !st.equal(e.value, y.entries[i].value, depth+1) {
				return false
			}
		}
		return true
	case *rangeValue:
		y, ok := b.(*rangeValue)
		return ok && *x == *y
	}
	if c, ok := compareNumbers(a, b); ok {
		return c == 0
	}
	if _, ok := float(a); ok {
		return false
	}
	return a == b // the same object
}

// compareNumbers returns the sign of a - b, or 2 if one is not a number in the sense of floats.
func compareNumbers(a, b value) (int, bool) {
	x, bx, okX := integer(a)
	y, by, okY := integer(b)
	if okX && okY {
		if bx == nil && by == nil {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
		return wide(x, bx).Cmp(wide(y, by)), true
	}
	f, okF := float(a)
	g, okG := float(b)
	switch {
	case !okF || !okG:
		return 0, false
	case f < g:
		return -1, true
	case f > g:
		return 1, true
	case f == g:
		return 0, true
	}
	return 2, true
}

func (st *state) checkDepth(depth int) {
	if depth > maxDepth {
		st.fail(KindLimit, "values are nested more than %d deep", maxDepth)
	}
}

// less is a < b; op is what the template wrote.
func (st *state) less(a, b value, op string) bool { return st.order(a, b, op, 0) == -1 }

// lessOrNaN is a < b, or true if they have no order because one is not a number.
func (st *state) lessOrNaN(a, b value, op string) bool {
	c := st.order(a, b, op, 0)
	return c == -1 || c == 2
}

// order compares numbers, strings, lists and tuples: -1, 0, 1, or 2 where there is no order.
func (st *state) order(a, b value, op string, depth int) int {
	st.step(1)
	st.checkDepth(depth)
	if c, ok := compareNumbers(a, b); ok {
		return c
	}
	switch x := a.(type) {
	case *text:
		if y, ok := b.(*text); ok {
			st.scan(min(len(x.s), len(y.s)))
			return strings.Compare(x.s, y.s)
		}
	case *list:
		y, ok := b.(*list)
		if !ok || !x.sequence() || !y.sequence() || x.kind != y.kind {
			break
		}
		for i := range min(len(x.items), len(y.items)) {
			if !st.equal(x.items[i], y.items[i], depth+1) {
				return st.order(x.items[i], y.items[i], op, depth+1)
			}
		}
		c, _ := compareNumbers(int64(len(x.items)), int64(len(y.items)))
		return c
	}
	for _, v := range [...]value{a, b} {
		if u, ok := v.(*undefined); ok {
			st.failUndefined(u)
		}
	}
	if op == ">" || op == "<=" {
		a, b = b, a
	}
	st.fail(KindType, "'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	return 0
}

// contains is "x in v".
func (st *state) contains(v, x value) bool {
	switch c := v.(type) {
	case *text:
		t, ok := x.(*text)
		if !ok {
			if u, is := x.(*undefined); is {
				st.failUndefined(u)
			}
			st.fail(KindType, "'in <string>' requires string as left operand, not %s", typeName(x))
		}
		st.step(len(c.s) >> 4)
		return strings.Contains(c.s, t.s)
	case *dict:
		return c.find(st.hash(x)) >= 0
	case *namespace, nil:
		st.fail(KindType, "argument of type '%s' is not iterable", typeName(v))
	}
	next := st.iterate(v, "argument of type '%s' is not iterable")
	for {
		e, ok := next()
		if !ok {
			return false
		}
		if st.equal(e, x, 0) {
			return true
		}
	}
}
