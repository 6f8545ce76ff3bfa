package jinja

// postfix parses attributes, keys and calls.
func (p *parser) postfix(x expr) expr {
	for n := 0; ; n++ {
		if n > 4*maxNesting {
			p.fail("more than %d attributes, keys and calls in a row", 4*maxNesting)
		}
		switch t := p.cur(); {
		case p.op("."):
			a := p.next()
			switch a.kind {
			case tokName:
				x = &attribute{p.spanOf(x), x, a.text}
			case tokInt:
				k := &constant{p.span(a.off), p.numeral(a)}
				x = &item{p.spanOf(x), x, k}
			default:
				p.failAt(t.off, "want a name or a number after the dot, found %s", describe(a))
			}
		case p.op("["):
			x = p.subscript(x)
		case p.is(tokOp, "("):
			args := p.arguments()
			x = &call{p.spanOf(x), x, args}
		default:
			return x
		}
	}
}

// subscript parses a key or a slice, of which the bracket has been read.
func (p *parser) subscript(x expr) expr {
	defer p.enter()()
	from := p.cur().off
	var keys []expr
	for !p.op("]") {
		if len(keys) > 0 {
			p.want(tokOp, ",")
			if p.op("]") {
				break
			}
		}
		keys = append(keys, p.key())
	}
	switch len(keys) {
	case 0:
		p.failAt(from, "want a key, found \"]\"")
	case 1:
		return &item{p.spanOf(x), x, keys[0]}
	}
	return &item{p.spanOf(x), x, &listExpr{p.span(from), keys, true}}
}

func (p *parser) key() expr {
	from := p.cur().off
	var parts [3]expr
	colons := 0
	for {
		if p.op(":") {
			if colons++; colons > 2 {
				p.failAt(from, "a slice has at most three parts")
			}
			continue
		}
		if p.is(tokOp, "]") || p.is(tokOp, ",") || parts[colons] != nil {
			break
		}
		parts[colons] = p.expression()
	}
	if colons == 0 {
		if parts[0] == nil {
			p.fail("want a key, found %s", describe(p.cur()))
		}
		return parts[0]
	}
	return &slice{p.span(from), parts[0], parts[1], parts[2]}
}

// arguments parses "(a, b, k=c, *d, **e)".
func (p *parser) arguments() arguments {
	defer p.enter()()
	from := p.want(tokOp, "(").off
	var a arguments
	wrong := func() { p.failAt(from, "invalid syntax for the arguments of a call") }
	for first := true; !p.op(")"); first = false {
		if !first {
			p.want(tokOp, ",")
			if p.op(")") {
				break
			}
		}
		switch {
		case p.op("**"):
			if a.double != nil {
				wrong()
			}
			a.double = p.expression()
		case p.op("*"):
			if a.star != nil || a.double != nil {
				wrong()
			}
			a.star = p.expression()
		case p.cur().kind == tokName && p.peek().kind == tokOp && p.peek().text == "=":
			if a.double != nil {
				wrong()
			}
			a.names = append(a.names, p.next().text)
			p.at++
			a.named = append(a.named, p.expression())
		default:
			if len(a.names) > 0 || a.star != nil || a.double != nil {
				wrong()
			}
			a.pos = append(a.pos, p.expression())
		}
	}
	return a
}

// filters parses filters, tests, and calls of what they give.
func (p *parser) filters(x expr) expr {
	for n := 0; ; n++ {
		if n > 4*maxNesting {
			p.fail("more than %d filters and tests in a row", 4*maxNesting)
		}
		switch {
		case p.op("|"):
			x = p.filter(x)
		case p.skip(tokName, "is"):
			x = p.test(x)
		case p.is(tokOp, "("):
			args := p.arguments()
			x = &call{p.spanOf(x), x, args}
		default:
			return x
		}
	}
}

// dotted reads a name with dots in it.
func (p *parser) dotted() token {
	t := p.want(tokName, "")
	for p.is(tokOp, ".") && p.peek().kind == tokName {
		p.at++
		n := p.next()
		t.text, t.end = t.text+"."+n.text, n.end
	}
	return t
}

// filter parses a filter, of which the "|" has been read. x is nil in a filter block.
func (p *parser) filter(x expr) expr {
	t := p.dotted()
	f := &filterExpr{x: x, name: t.text}
	if p.is(tokOp, "(") {
		f.args = p.arguments()
	}
	if x != nil {
		f.node = p.spanOf(x)
	} else {
		f.node = p.span(t.off)
	}
	if filters[f.name] == nil && p.inIf == 0 {
		p.failAt(t.off, "there is no filter %q", f.name)
	}
	return f
}

// test parses a test, of which the "is" has been read.
func (p *parser) test(x expr) expr {
	e := &testExpr{x: x, not: p.skip(tokName, "not")}
	t := p.dotted()
	e.name = t.text
	switch c := p.cur(); {
	case p.is(tokOp, "("):
		e.args = p.arguments()
	case c.kind == tokName && c.text == "is":
		p.fail("tests cannot be chained with is")
	case c.kind == tokName && (c.text == "else" || c.text == "or" || c.text == "and"),
		c.kind == tokName && (c.text == "if" || c.text == "in" || c.text == "not"):
	case c.kind == tokName || c.kind == tokString || c.kind == tokInt || c.kind == tokFloat, p.is(tokOp, "["), p.is(tokOp, "{"):
		e.args.pos = []expr{p.postfix(p.primary())}
	}
	e.node = p.spanOf(x)
	if tests[e.name] == nil && p.inIf == 0 {
		p.failAt(t.off, "there is no test %q", e.name)
	}
	return e
}
