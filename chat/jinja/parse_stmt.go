package jinja

import "strings"

// statements parses up to one of the statements in ends ("endif", or several between bars), which
// is left to the caller: the name of its tag is the current token.
func (p *parser) statements(ends string) []stmt {
	defer p.enter()()
	var body []stmt
	for {
		t := p.cur()
		switch t.kind {
		case tokEOF:
			if ends != "" {
				p.fail("unexpected end of the template: want %s", strings.ReplaceAll(ends, "|", " or "))
			}
			return body
		case tokText:
			p.at++
			p.t.consts = append(p.t.consts, t.text)
			body = append(body, &output{p.span(t.off), lit(t.text)})
		case tokPrintBegin:
			p.at++
			x := p.tuple(true, false)
			p.want(tokPrintEnd, "")
			body = append(body, &printStmt{*x.place(), x})
		default:
			p.want(tokBlockBegin, "")
			n := p.cur()
			if n.kind == tokName && isOneOf(n.text, ends) {
				return body
			}
			if s := p.statement(ends); s != nil {
				body = append(body, s)
			}
		}
	}
}

func isOneOf(name, names string) bool {
	for n := range strings.SplitSeq(names, "|") {
		if n == name && n != "" {
			return true
		}
	}
	return false
}

// statement parses a statement, of which the "{%" has been read.
func (p *parser) statement(ends string) stmt {
	t := p.want(tokName, "")
	switch t.text {
	case "if":
		return p.ifStmt(t)
	case "for":
		return p.forStmt(t)
	case "set":
		return p.setStmt(t)
	case "macro":
		return p.macroStmt(t)
	case "call":
		return p.callStmt(t)
	case "filter":
		s := &filterStmt{}
		s.filter = p.filterChain()
		s.node = p.span(t.off)
		s.body = p.block("endfilter")
		return s
	case "with":
		return p.withStmt(t)
	case "generation":
		s := &blockStmt{node: p.span(t.off)}
		s.body = p.block("endgeneration")
		return s
	case "block":
		p.want(tokName, "")
		p.skip(tokName, "scoped")
		p.skip(tokName, "required")
		s := &blockStmt{node: p.span(t.off)}
		p.want(tokBlockEnd, "")
		s.body = p.statements("endblock")
		p.at++
		if p.cur().kind == tokName {
			p.at++
		}
		p.want(tokBlockEnd, "")
		return s
	case "autoescape":
		s := &blockStmt{escape: p.expression()}
		s.node = p.span(t.off)
		s.body = p.block("endautoescape")
		return s
	case "print":
		x := p.tuple(true, false)
		p.want(tokBlockEnd, "")
		return &printStmt{*x.place(), x}
	case "break", "continue":
		if p.inLoop == 0 {
			p.failAt(t.off, "%s outside of a loop", t.text)
		}
		s := &controlStmt{p.span(t.off), breaks}
		if t.text == "continue" {
			s.signal = continues
		}
		p.want(tokBlockEnd, "")
		return s
	case "include", "extends", "import", "from":
		p.failAt(t.off, "%s: a template cannot load another one", t.text)
	}
	if ends != "" {
		p.failAt(t.off, "unknown statement %q: want %s", t.text, strings.ReplaceAll(ends, "|", " or "))
	}
	p.failAt(t.off, "unknown statement %q", t.text)
	return nil
}

// block parses the rest of a tag, a body, and the tag that ends it.
func (p *parser) block(end string) []stmt {
	p.want(tokBlockEnd, "")
	body := p.statements(end)
	p.at++
	p.want(tokBlockEnd, "")
	return body
}

func (p *parser) ifStmt(t token) stmt {
	p.inIf++
	defer func() { p.inIf-- }()
	var first, last *ifStmt
	for n := 0; ; n++ {
		s := &ifStmt{test: p.tuple(false, false)}
		s.node = node{t.off, s.test.place().to}
		p.want(tokBlockEnd, "")
		s.yes = p.statements("elif|else|endif")
		if first == nil {
			first = s
		} else {
			last.elif = []stmt{s}
		}
		last = s
		if n > 4*maxNesting {
			p.fail("more than %d elif in a row", 4*maxNesting)
		}
		switch t = p.next(); t.text {
		case "elif":
			continue
		case "else":
			s.elif = p.block("endif")
			return first
		}
		p.want(tokBlockEnd, "")
		return first
	}
}

func (p *parser) forStmt(t token) stmt {
	s := &forStmt{target: p.target(false)}
	p.want(tokName, "in")
	s.iter = p.tuple(false, false)
	if p.skip(tokName, "if") {
		s.test = p.expression()
	}
	s.recursive = p.skip(tokName, "recursive")
	s.node = p.span(t.off)
	p.want(tokBlockEnd, "")
	p.inLoop++
	s.body = p.statements("else|endfor")
	p.inLoop--
	if p.next().text == "else" {
		s.otherwise = p.block("endfor")
		return s
	}
	p.want(tokBlockEnd, "")
	return s
}

func (p *parser) setStmt(t token) stmt {
	to := p.target(true)
	if p.op("=") {
		x := p.tuple(true, false)
		s := &setStmt{p.span(t.off), to, x}
		p.noteWrites(to)
		p.want(tokBlockEnd, "")
		return s
	}
	s := &setBlock{target: to}
	if p.op("|") {
		s.filter = p.filterChain()
	}
	s.node = p.span(t.off)
	p.noteWrites(to)
	s.body = p.block("endset")
	return s
}

// noteWrites notes the names that a set statement sets, after its expression was read.
func (p *parser) noteWrites(to target) {
	if to.attr == "" && to.tuple == nil {
		p.write(to.name)
	}
	for _, e := range to.tuple {
		p.noteWrites(e)
	}
}

// filterChain parses filters of a block: "upper | trim".
func (p *parser) filterChain() expr {
	x := p.filter(nil)
	for n := 0; p.op("|"); n++ {
		if n > 4*maxNesting {
			p.fail("more than %d filters in a row", 4*maxNesting)
		}
		x = p.filter(x)
	}
	return x
}

// target parses what is assigned to. Only set knows attributes, and notes the names itself.
func (p *parser) target(set bool) target {
	from := p.cur().off
	var items []target
	isTuple := false
	for {
		if len(items) > 0 {
			if !p.op(",") {
				break
			}
			isTuple = true
			if p.is(tokName, "in") || p.is(tokOp, "=") || p.is(tokOp, ")") {
				break
			}
		}
		items = append(items, p.targetItem(set))
	}
	if len(items) == 1 && !isTuple {
		return items[0]
	}
	return target{node: p.span(from), tuple: items}
}

func (p *parser) targetItem(set bool) target {
	t := p.cur()
	if p.op("(") || p.op("[") {
		defer p.enter()()
		inner := p.target(set)
		if !p.op(")") && !p.op("]") {
			p.fail("want a closing bracket, found %s", describe(p.cur()))
		}
		return inner
	}
	if t.kind != tokName {
		p.fail("want a name to assign to, found %s", describe(t))
	}
	switch t.text {
	case "true", "false", "none", "True", "False", "None":
		p.fail("cannot assign to %s", t.text)
	}
	p.at++
	to := target{name: t.text, id: p.id(t.text)}
	if set && p.op(".") {
		to.attr = p.want(tokName, "").text
		p.read(t.text)
	} else if !set {
		p.write(t.text)
	}
	to.node = p.span(t.off)
	return to
}

// signature parses "(a, b=1)".
func (p *parser) signature(parameters bool) *signature {
	sig := &signature{callerID: p.id("caller"), varargsID: p.id("varargs"), kwargsID: p.id("kwargs")}
	if parameters {
		p.want(tokOp, "(")
		for first := true; !p.op(")"); first = false {
			if !first {
				p.want(tokOp, ",")
				if p.op(")") {
					break
				}
			}
			t := p.want(tokName, "")
			sig.names = append(sig.names, t.text)
			sig.params = append(sig.params, p.id(t.text))
			if p.op("=") {
				sig.defaults = append(sig.defaults, p.expression())
			} else if len(sig.defaults) > 0 {
				p.failAt(t.off, "parameter %s without a default follows one with a default", t.text)
			}
		}
	}
	return sig
}

// signatureBody parses the body; loops outside do not count in it.
func (p *parser) signatureBody(sig *signature, end string) {
	loops := p.inLoop
	p.inLoop = 0
	p.callers = append(p.callers, sig)
	sig.body = p.block(end)
	p.callers = p.callers[:len(p.callers)-1]
	p.inLoop = loops
}

func (p *parser) macroStmt(t token) stmt {
	n := p.want(tokName, "")
	s := &macroStmt{name: n.text, id: p.write(n.text), sig: p.signature(true)}
	s.node = p.span(t.off)
	p.signatureBody(s.sig, "endmacro")
	return s
}

func (p *parser) callStmt(t token) stmt {
	s := &callStmt{sig: p.signature(p.is(tokOp, "("))}
	x := p.unary(true)
	c, ok := x.(*call)
	if !ok {
		p.failAt(x.place().from, "want a call")
	}
	s.call = c
	s.node = p.span(t.off)
	p.signatureBody(s.sig, "endcall")
	return s
}

func (p *parser) withStmt(t token) stmt {
	s := &withStmt{}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			p.want(tokOp, ",")
		}
		s.targets = append(s.targets, p.targetItem(false))
		p.want(tokOp, "=")
		s.values = append(s.values, p.expression())
	}
	s.node = p.span(t.off)
	s.body = p.block("endwith")
	return s
}
