package jinja

func (s *output) exec(st *state, _ *scope) signal {
	st.at = &s.node
	st.write(s.text)
	return goesOn
}

func (s *printStmt) exec(st *state, sc *scope) signal {
	v := st.eval(s.x, sc)
	st.at = &s.node
	t := st.str(v)
	if st.escape && !t.markup {
		t = st.escapeHTML(t)
	}
	st.write(t)
	return goesOn
}

func (s *ifStmt) exec(st *state, sc *scope) signal {
	v := st.eval(s.test, sc)
	st.at = &s.node
	if st.isTrue(v) {
		return st.run(s.yes, sc)
	}
	return st.run(s.elif, sc)
}

func (s *setStmt) exec(st *state, sc *scope) signal {
	v := st.eval(s.x, sc)
	st.at = &s.node
	st.assign(sc, &s.target, v)
	return goesOn
}

func (s *setBlock) exec(st *state, sc *scope) signal {
	t := st.capture(s.body, &scope{parent: sc})
	st.at = &s.node
	var v value = t
	if s.filter != nil {
		v = st.applyChain(s.filter, v, sc)
	}
	st.assign(sc, &s.target, v)
	return goesOn
}

// assign sets variables in sc, or an attribute of a namespace.
func (st *state) assign(sc *scope, to *target, v value) {
	switch {
	case to.attr != "":
		ns, ok := st.lookup(sc, to.id).(*namespace)
		if !ok {
			st.fail(KindType, "cannot assign attribute %s: %s is no namespace", to.attr, to.name)
		}
		st.charge(entrySize)
		ns.attrs.setText(to.attr, v)
	case to.tuple != nil:
		items := st.unpack(v, len(to.tuple))
		for i := range to.tuple {
			st.assign(sc, &to.tuple[i], items[i])
		}
	default:
		sc.set(to.id, v)
	}
}

// unpack returns the n elements of a sequence.
func (st *state) unpack(v value, n int) []value {
	next := st.iterate(v, "cannot unpack non-iterable %s object")
	items := make([]value, 0, n)
	for {
		e, ok := next()
		if !ok {
			break
		}
		if len(items) == n {
			st.fail(KindValue, "too many values to unpack (want %d)", n)
		}
		items = append(items, e)
	}
	if len(items) < n {
		st.fail(KindValue, "not enough values to unpack (want %d, found %d)", n, len(items))
	}
	return items
}

func (s *filterStmt) exec(st *state, sc *scope) signal {
	t := st.capture(s.body, &scope{parent: sc})
	st.at = &s.node
	v := st.applyChain(s.filter, t, sc)
	st.write(st.str(v))
	return goesOn
}

// applyChain applies the filters of a block to v.
func (st *state) applyChain(x expr, v value, sc *scope) value {
	f := x.(*filterExpr)
	if f.x != nil {
		v = st.applyChain(f.x, v, sc)
	}
	return f.apply(st, v, sc)
}

func (s *withStmt) exec(st *state, sc *scope) signal {
	inner := &scope{parent: sc}
	for i := range s.targets {
		v := st.eval(s.values[i], sc)
		st.at = &s.node
		st.assign(inner, &s.targets[i], v)
	}
	return st.run(s.body, inner)
}

func (s *blockStmt) exec(st *state, sc *scope) signal {
	if s.escape != nil {
		was := st.escape
		st.escape = st.isTrue(st.eval(s.escape, sc))
		defer func() { st.escape = was }()
	}
	return st.run(s.body, &scope{parent: sc})
}

func (s *controlStmt) exec(*state, *scope) signal { return s.signal }

func (s *macroStmt) exec(st *state, sc *scope) signal {
	sc.set(s.id, &macro{name: s.name, sig: s.sig, scope: sc})
	return goesOn
}

func (s *callStmt) exec(st *state, sc *scope) signal {
	caller := &macro{name: "caller", sig: s.sig, scope: sc}
	f, args := s.call.prepare(st, sc)
	args.named = append(args.named, named{name: "caller", v: caller})
	st.at = &s.node
	st.write(st.str(st.call(f, args)))
	return goesOn
}

// loop is the variable of that name in a loop.
type loop struct {
	st      *state
	stmt    *forStmt
	scope   *scope // that the loop is in
	index0  int64
	depth0  int64
	items   []value      // read so far
	next    func() value // reads one more; absent{} at the end
	ended   bool
	changed value
}

// peek reads elements until there are n, or all.
func (l *loop) peek(n int) {
	for !l.ended && len(l.items) < n {
		l.st.charge(elementSize)
		v := l.next()
		if _, end := v.(absent); end {
			l.ended = true
			return
		}
		l.items = append(l.items, v)
	}
}

func (l *loop) length() int64 {
	for !l.ended {
		l.peek(len(l.items) + 64)
	}
	return int64(len(l.items))
}

// attr returns an attribute of loop.
func (l *loop) attr(name string) (value, bool) {
	i := int(l.index0)
	switch name {
	case "index":
		return l.index0 + 1, true
	case "index0":
		return l.index0, true
	case "first":
		return l.index0 == 0, true
	case "last":
		l.peek(i + 2)
		return len(l.items) < i+2, true
	case "length":
		return l.length(), true
	case "revindex":
		return l.length() - l.index0, true
	case "revindex0":
		return l.length() - l.index0 - 1, true
	case "depth":
		return l.depth0 + 1, true
	case "depth0":
		return l.depth0, true
	case "previtem":
		if i == 0 {
			return &undefined{what: "there is no previous item"}, true
		}
		return l.items[i-1], true
	case "nextitem":
		if l.peek(i + 2); len(l.items) < i+2 {
			return &undefined{what: "there is no next item"}, true
		}
		return l.items[i+1], true
	case "cycle", "changed":
		return &method{self: l, name: name}, true
	}
	return nil, false
}

// call runs methods of loop, and loop itself in a recursive loop.
func (l *loop) method(st *state, name string, args callArgs) value {
	switch {
	case name == "cycle" && len(args.pos) > 0:
		return args.pos[l.index0%int64(len(args.pos))]
	case name == "cycle":
		st.fail(KindType, "no items for cycling given")
	}
	v := newTuple(args.pos...)
	if l.changed != nil && st.equal(l.changed, v, 0) {
		return false
	}
	l.changed = v
	return true
}

func (s *forStmt) exec(st *state, sc *scope) signal {
	iter := st.eval(s.iter, sc)
	st.at = &s.node
	return s.loop(st, sc, iter, 0)
}

// loop runs the loop over a sequence.
func (s *forStmt) loop(st *state, sc *scope, iter value, depth int64) signal {
	next := st.iterate(iter, "'%s' object is not iterable")
	l := &loop{st: st, stmt: s, scope: sc, depth0: depth, index0: -1}
	l.next = func() value {
		for {
			v, ok := next()
			if !ok {
				return absent{}
			}
			if s.test == nil {
				return v
			}
			st.step(1)
			inner := &scope{parent: sc}
			st.assign(inner, &s.target, v)
			if st.isTrue(st.eval(s.test, inner)) {
				return v
			}
		}
	}
	ranBody := false
	for i := 0; ; i++ {
		st.at = &s.node
		st.step(1)
		if l.peek(i + 1); len(l.items) <= i {
			break
		}
		l.index0 = int64(i)
		inner := &scope{parent: sc, ids: make([]int, 0, 4), values: make([]value, 0, 4)}
		inner.set(st.t.loopID, l)
		st.assign(inner, &s.target, l.items[i])
		r := st.run(s.body, inner)
		if r == breaks {
			break
		}
		ranBody = ranBody || r == goesOn // as jinja2 does: else runs if every round ended early
	}
	if !ranBody {
		return st.run(s.otherwise, &scope{parent: sc})
	}
	return goesOn
}
