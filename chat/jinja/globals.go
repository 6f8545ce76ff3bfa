package jinja

// globals are the functions that every template sees.
var globals = map[string]value{
	"namespace":       &function{"namespace", makeNamespace},
	"range":           &function{"range", makeRange},
	"dict":            &function{"dict", makeDict},
	"raise_exception": &function{"raise_exception", raise},
	"strftime_now":    &function{"strftime_now", strftimeNow},
	"cycler":          &function{"cycler", makeCycler},
	"joiner":          &function{"joiner", makeJoiner},
	"self":            &templateReference{},
}

// templateReference is self, which leads to blocks that a template may override. There are none.
type templateReference struct{ _ byte }

func makeNamespace(st *state, args callArgs) value {
	return &namespace{*makeDict(st, args).(*dict)}
}

func makeDict(st *state, args callArgs) value {
	d := &dict{}
	if len(args.pos) > 1 {
		st.fail(KindType, "dict expected at most 1 argument, found %d", len(args.pos))
	}
	if len(args.pos) == 1 {
		st.update(d, args.pos[0])
	}
	for _, n := range args.named {
		st.charge(entrySize)
		n.put(d)
	}
	return d
}

// update sets the keys of d that v, a mapping or a sequence of pairs, has.
func (st *state) update(d *dict, v value) {
	if m, ok := v.(*dict); ok {
		for _, e := range m.entries {
			st.charge(entrySize)
			d.set(e.key, e.value, e.hash)
		}
		return
	}
	for _, e := range st.all(v) {
		pair := st.unpack(e, 2)
		st.setItem(d, pair[0], pair[1])
	}
}

func makeRange(st *state, args callArgs) value {
	p := st.bind("range", []string{"start", "stop", "step"}, 1, args)
	n := [3]int64{0, 0, 1}
	for i, v := range p {
		if !given(v) {
			continue
		}
		x, big, ok := integer(v)
		if u, is := v.(*undefined); is {
			st.failUndefined(u)
		}
		if !ok || big != nil || x > 1<<60 || x < -1<<60 {
			st.fail(KindType, "range() wants integers, found %s", typeName(v))
		}
		n[i] = x
	}
	if !given(p[1]) {
		n[0], n[1] = 0, n[0]
	}
	if n[2] == 0 {
		st.fail(KindValue, "range() arg 3 must not be zero")
	}
	r := &rangeValue{n[0], n[1], n[2]}
	if r.len() > 100000 { // as in jinja2's sandbox
		st.fail(KindLimit, "a range of %d numbers: want at most 100000", r.len())
	}
	return r
}

func raise(st *state, args callArgs) value {
	p := st.bind("raise_exception", []string{"message"}, 1, args)
	st.fail(KindRaised, "%s", st.str(p[0]).s)
	return nil
}

func strftimeNow(st *state, args callArgs) value {
	p := st.bind("strftime_now", []string{"format"}, 1, args)
	t, ok := p[0].(*text)
	if !ok {
		st.fail(KindType, "strftime() argument must be str, not %s", typeName(p[0]))
	}
	return st.strftime(t)
}

// cycler gives its items in turn.
type cycler struct {
	items []value
	at    int
	joins bool // a joiner: called instead of next
	used  bool
}

func makeCycler(st *state, args callArgs) value {
	if len(args.pos) == 0 || len(args.named) > 0 {
		st.fail(KindType, "cycler() wants items")
	}
	return &cycler{items: args.pos}
}

func makeJoiner(st *state, args callArgs) value {
	p := st.bind("joiner", []string{"sep"}, 0, args)
	if !given(p[0]) {
		p[0] = lit(", ")
	}
	return &cycler{items: p, joins: true}
}

func (c *cycler) call(st *state, args callArgs) value {
	if !c.joins {
		st.fail(KindType, "'Cycler' object is not callable")
	}
	if !c.used {
		c.used = true
		return lit("")
	}
	return c.items[0]
}

func (c *cycler) method(name string) value {
	v := c.items[c.at]
	if name == "reset" {
		c.at = 0
		return nil
	}
	c.at = (c.at + 1) % len(c.items)
	return v
}
