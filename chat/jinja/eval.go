package jinja

func (x *constant) eval(*state, *scope) value { return x.v }

func (x *name) eval(st *state, sc *scope) value {
	v := st.lookup(sc, x.id)
	if _, ok := v.(absent); ok {
		return &undefined{what: "'" + x.text + "' is undefined"}
	}
	return v
}

func (x *listExpr) eval(st *state, sc *scope) value {
	l := &list{items: make([]value, len(x.items))}
	if x.tuple {
		l.kind = isTuple
	}
	st.charge(times(len(x.items), elementSize))
	for i, e := range x.items {
		l.items[i] = st.eval(e, sc)
	}
	return l
}

func (x *dictExpr) eval(st *state, sc *scope) value {
	d := &dict{}
	for i := range x.keys {
		k, v := st.eval(x.keys[i], sc), st.eval(x.values[i], sc)
		st.at = &x.node
		st.setItem(d, k, v)
	}
	return d
}

// setItem sets the value of any key.
func (st *state) setItem(d *dict, k, v value) {
	st.charge(entrySize)
	d.set(k, v, st.hash(k))
}

func (st *state) hash(k value) any {
	if t, ok := k.(*text); ok {
		st.scan(len(t.s))
	}
	h, ok := hashOf(k)
	if !ok {
		st.fail(KindType, "unhashable type: '%s'", typeName(k))
	}
	return h
}

func (x *unary) eval(st *state, sc *scope) value {
	v := st.eval(x.x, sc)
	st.at = &x.node
	if x.op == "not" {
		return !st.isTrue(v)
	}
	return st.negate(v, x.op)
}

func (x *logic) eval(st *state, sc *scope) value {
	v := st.eval(x.x, sc)
	st.at = &x.node
	if st.isTrue(v) != x.and {
		return v
	}
	return st.eval(x.y, sc)
}

func (x *condition) eval(st *state, sc *scope) value {
	v := st.eval(x.test, sc)
	st.at = &x.node
	switch {
	case st.isTrue(v):
		return st.eval(x.yes, sc)
	case x.no != nil:
		return st.eval(x.no, sc)
	}
	return &undefined{what: "the inline if-expression evaluated to false and no else section was defined"}
}

func (x *compare) eval(st *state, sc *scope) value {
	left := st.eval(x.x, sc)
	for i, op := range x.ops {
		right := st.eval(x.rest[i], sc)
		st.at = &x.node
		if !st.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (st *state) compare(op string, a, b value) bool {
	switch op {
	case "==":
		return st.equal(a, b, 0)
	case "!=":
		return !st.equal(a, b, 0)
	case "in":
		return st.contains(b, a)
	case "not in":
		return !st.contains(b, a)
	case "<":
		return st.less(a, b, op)
	case ">":
		return st.less(b, a, op)
	case "<=":
		return !st.lessOrNaN(b, a, op)
	}
	return !st.lessOrNaN(a, b, op)
}

func (x *concatenation) eval(st *state, sc *scope) value {
	var out *text
	for i, p := range x.parts {
		v := st.eval(p, sc)
		st.at = &x.node
		t := st.str(v)
		if i == 0 {
			out = t.plain()
			continue
		}
		out = st.concat(out, t)
	}
	return out
}

// concat is a + b, charged for what it adds.
func (st *state) concat(a, b *text) *text {
	st.charge(len(b.s) + runSize*(1+len(b.runs)))
	if !a.grows() {
		st.charge(len(a.s) + runSize*len(a.runs))
	}
	st.checkLength(len(a.s) + len(b.s))
	return concat(a, b)
}

func (x *binary) eval(st *state, sc *scope) value {
	a, b := st.eval(x.x, sc), st.eval(x.y, sc)
	st.at = &x.node
	return x.op(st, a, b)
}

func (x *attribute) eval(st *state, sc *scope) value {
	v := st.eval(x.x, sc)
	st.at = &x.node
	return st.attribute(v, x.name)
}

func (x *item) eval(st *state, sc *scope) value {
	v := st.eval(x.x, sc)
	if s, ok := x.key.(*slice); ok {
		from, to, by := st.sliceBounds(s, sc)
		st.at = &x.node
		return st.slice(v, from, to, by)
	}
	k := st.eval(x.key, sc)
	st.at = &x.node
	return st.item(v, k)
}

func (x *slice) eval(st *state, _ *scope) value {
	st.at = &x.node
	st.fail(KindType, "unhashable type: 'slice'")
	return nil
}

func (st *state) sliceBounds(s *slice, sc *scope) (from, to, by value) {
	part := func(x expr) value {
		if x == nil {
			return nil
		}
		return st.eval(x, sc)
	}
	return part(s.start), part(s.stop), part(s.step)
}

// callArgs are the arguments of a call.
type callArgs struct {
	pos   []value
	named []named
}

type named struct {
	name string
	key  *text // the name with its source, where it comes from a mapping
	v    value
}

// put sets the argument as an entry of d.
func (n *named) put(d *dict) {
	if n.key != nil {
		d.set(n.key, n.v, n.name)
		return
	}
	d.setText(n.name, n.v)
}

func (a *arguments) eval(st *state, sc *scope) callArgs {
	var c callArgs
	if len(a.pos) > 0 {
		c.pos = make([]value, len(a.pos))
	}
	for i, x := range a.pos {
		c.pos[i] = st.eval(x, sc)
	}
	for i, x := range a.named {
		c.named = append(c.named, named{name: a.names[i], v: st.eval(x, sc)})
	}
	if a.star != nil {
		c.pos = append(c.pos, st.all(st.eval(a.star, sc))...)
	}
	if a.double != nil {
		d, ok := st.eval(a.double, sc).(*dict)
		if !ok {
			st.fail(KindType, "the argument after ** must be a mapping")
		}
		for _, e := range d.entries {
			k, ok := e.key.(*text)
			if !ok {
				st.fail(KindType, "keywords must be strings")
			}
			st.charge(entrySize)
			c.named = append(c.named, named{k.s, k, e.value})
		}
	}
	return c
}

func (x *call) prepare(st *state, sc *scope) (value, callArgs) {
	f := st.eval(x.f, sc)
	return f, x.args.eval(st, sc)
}

func (x *call) eval(st *state, sc *scope) value {
	f, args := x.prepare(st, sc)
	st.at = &x.node
	return st.call(f, args)
}

func (x *filterExpr) eval(st *state, sc *scope) value {
	return x.apply(st, st.eval(x.x, sc), sc)
}

func (x *filterExpr) apply(st *state, v value, sc *scope) value {
	args := x.args.eval(st, sc)
	st.at = &x.node
	return st.filter(x.name, v, args)
}

// filter applies a filter by name.
func (st *state) filter(name string, v value, args callArgs) value {
	f := st.filters[name]
	if f == nil {
		st.fail(KindType, "there is no filter %q", name)
	}
	return f.call(st, name, v, args)
}

func (x *testExpr) eval(st *state, sc *scope) value {
	v := st.eval(x.x, sc)
	args := x.args.eval(st, sc)
	st.at = &x.node
	return st.test(x.name, v, args) != x.not
}

// test runs a test by name.
func (st *state) test(name string, v value, args callArgs) bool {
	f := st.tests[name]
	if f == nil {
		st.fail(KindType, "there is no test %q", name)
	}
	return st.isTrue(f.call(st, name, v, args))
}

// builtin is a filter, a test, a method or a function: its parameters by name and what it does. The
// arguments that are not given are absent{}. A first parameter "*" takes any.
type builtin[T any] struct {
	params []string
	need   int // how many must be given
	f      func(st *state, v T, args []value) value
}

func (b *builtin[T]) call(st *state, name string, v T, args callArgs) value {
	return b.f(st, v, st.bind(name, b.params, b.need, args))
}

// bind puts arguments in the order of the parameters.
func (st *state) bind(name string, params []string, need int, args callArgs) []value {
	if len(params) > 0 && params[0] == "*" {
		return st.bindAny(name, params, args)
	}
	if len(args.pos) > len(params) {
		st.fail(KindType, "%s() takes at most %d arguments, found %d", name, len(params), len(args.pos))
	}
	out := make([]value, len(params))
	copy(out, args.pos)
	for i := len(args.pos); i < len(out); i++ {
		out[i] = absent{}
	}
next:
	for _, n := range args.named {
		for i, p := range params {
			if p == n.name {
				if _, free := out[i].(absent); !free {
					st.fail(KindType, "%s() got two values for argument '%s'", name, p)
				}
				out[i] = n.v
				continue next
			}
		}
		st.fail(KindType, "%s() has no argument '%s'", name, n.name)
	}
	for i := range need {
		if _, ok := out[i].(absent); ok {
			st.fail(KindType, "%s() needs the argument '%s'", name, params[i])
		}
	}
	return out
}

// bindAny binds arguments where any number is taken: the named ones, if "**" is a parameter, go
// into a mapping that is the last argument.
func (st *state) bindAny(name string, params []string, args callArgs) []value {
	if len(params) == 1 {
		if len(args.named) > 0 {
			st.fail(KindType, "%s() takes no keyword arguments", name)
		}
		return args.pos
	}
	kw := &dict{}
	for _, n := range args.named {
		n.put(kw)
	}
	return append(args.pos[:len(args.pos):len(args.pos)], kw)
}

// given reports whether an argument is there.
func given(v value) bool {
	_, no := v.(absent)
	return !no
}

// macro is a callable body; scope is the one that it was defined in.
type macro struct {
	name  string
	sig   *signature
	scope *scope
}

// function is a global function.
type function struct {
	name string
	f    func(st *state, args callArgs) value
}

// method is a method of a value.
type method struct {
	self value
	name string
}

// call calls a value.
func (st *state) call(f value, args callArgs) value {
	switch f := f.(type) {
	case *macro:
		return f.call(st, args)
	case *function:
		return f.f(st, args)
	case *method:
		return st.callMethod(f, args)
	case *loop:
		return f.recurse(st, args)
	case *cycler:
		return f.call(st, args)
	case *undefined:
		st.failUndefined(f)
	}
	st.fail(KindType, "'%s' object is not callable", typeName(f))
	return nil
}

func (st *state) failUndefined(u *undefined) { st.fail(KindUndefined, "%s", u.what) }

func (m *macro) call(st *state, args callArgs) value {
	if st.depth++; st.depth > st.lim.Depth {
		st.fail(KindLimit, "macros call each other more than %d deep", st.lim.Depth)
	}
	st.enter()
	s := m.sig
	sc := &scope{parent: m.scope}
	rest := args.pos[min(len(args.pos), len(s.params)):]
	var kw *dict
	values := st.bindMacro(m, args, &kw)
	if len(rest) > 0 && !s.varargs {
		st.fail(KindType, "macro '%s' takes not more than %d argument(s)", m.name, len(s.params))
	}
	if s.caller {
		v, ok := kw.get("caller")
		if !ok {
			v = &undefined{what: "no caller defined"}
		}
		sc.set(s.callerID, v)
	}
	if s.varargs {
		sc.set(s.varargsID, st.list(rest, isTuple))
	}
	if s.kwargs {
		sc.set(s.kwargsID, kw)
	}
	for i, id := range s.params {
		v := values[i]
		if !given(v) {
			if d := i - (len(s.params) - len(s.defaults)); d >= 0 {
				v = st.eval(s.defaults[d], sc)
			} else {
				v = &undefined{what: "parameter '" + s.names[i] + "' was not provided"}
			}
		}
		sc.set(id, v)
	}
	t := st.capture(s.body, sc)
	t.markup = st.escape
	st.nested--
	st.depth--
	return t
}

// bindMacro puts arguments in order; kw gets those that no parameter takes.
func (st *state) bindMacro(m *macro, args callArgs, kw **dict) []value {
	s := m.sig
	values := make([]value, len(s.params))
	for i := range values {
		values[i] = absent{}
	}
	copy(values, args.pos)
	*kw = &dict{}
next:
	for _, n := range args.named {
		for i, p := range s.names {
			if p == n.name {
				if i < len(args.pos) {
					st.fail(KindType, "macro '%s' takes no keyword argument '%s'", m.name, p)
				}
				values[i] = n.v
				continue next
			}
		}
		if !s.kwargs && (n.name != "caller" || !s.caller) {
			st.fail(KindType, "macro '%s' takes no keyword argument '%s'", m.name, n.name)
		}
		n.put(*kw)
	}
	return values
}

// recurse runs a recursive loop over the elements of an element.
func (l *loop) recurse(st *state, args callArgs) value {
	if !l.stmt.recursive {
		st.fail(KindType, "the loop must have the 'recursive' marker to be called")
	}
	if len(args.pos) != 1 || len(args.named) > 0 {
		st.fail(KindType, "loop() takes one argument")
	}
	if st.depth++; st.depth > st.lim.Depth {
		st.fail(KindLimit, "loops call themselves more than %d deep", st.lim.Depth)
	}
	out, written := st.out, st.written
	st.out = &builder{}
	l.stmt.loop(st, l.scope, args.pos[0], l.depth0+1)
	t := st.out.text()
	st.out, st.written = out, written
	st.depth--
	return t
}
