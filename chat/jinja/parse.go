package jinja

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// MaxSource is the number of bytes that a template may have.
const MaxSource = 4 << 20

// maxNesting bounds how deep expressions and blocks of a template may be nested.
const maxNesting = 200

// Template is a compiled template. It does not change; any number of goroutines may render it.
type Template struct {
	name   string
	source string
	body   []stmt
	names  []string // of the ids of variables
	loopID int
	free   map[string]bool
	consts []string
}

// Compile parses a template. Errors are of type [*Error] and call it by name.
func Compile(name, source string) (t *Template, err error) {
	t = &Template{name: name}
	if len(source) > MaxSource {
		return nil, &Error{Template: name, Line: 1, Column: 1, Kind: KindSyntax, Message: fmt.Sprintf("%d bytes: want at most %d", len(source), MaxSource)}
	}
	t.source = normalise(source)
	p := &parser{t: t, ids: map[string]int{}}
	t.loopID = p.id("loop")
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			t, err = nil, r
		default:
			panic(r)
		}
	}()
	l := &lexer{src: t.source, fail: p.failAt}
	p.tokens = l.run()
	t.body = p.statements("")
	t.free = p.free()
	return t, nil
}

// Name returns the name given to Compile.
func (t *Template) Name() string { return t.name }

// Source returns the template with line ends as "\n" and without the last one.
func (t *Template) Source() string { return t.source }

// Reads reports whether the template reads a variable of that name that it does not set itself.
func (t *Template) Reads(name string) bool { return t.free[name] }

// Variables returns the names that the template reads and does not set itself, in no order.
func (t *Template) Variables() []string {
	var names []string
	for n := range t.free {
		names = append(names, n)
	}
	return names
}

// Literals returns the texts that the template can write: what is outside of tags, and the strings
// in expressions.
func (t *Template) Literals() []string { return t.consts }

type parser struct {
	t       *Template
	tokens  []token
	at      int
	ids     map[string]int
	reads   map[string]bool
	sets    map[string]bool
	depth   int
	inIf    int // depth of if statements and conditional expressions
	inLoop  int
	callers []*signature // of the macros around
}

// failAt ends the parsing with an error.
func (p *parser) failAt(at int, format string, args ...any) {
	line, column := position(p.t.source, at)
	end := at + 40
	if k := strings.IndexByte(p.t.source[min(at, len(p.t.source)):], '\n'); k >= 0 {
		end = min(end, at+k)
	}
	panic(&Error{Template: p.t.name, Line: line, Column: column, Kind: KindSyntax, Message: fmt.Sprintf(format, args...), Expr: excerpt(p.t.source, at, end)})
}

func (p *parser) fail(format string, args ...any) { p.failAt(p.cur().off, format, args...) }

func (p *parser) cur() token { return p.tokens[p.at] }

func (p *parser) peek() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

// is reports whether the current token is an operator or a name of that spelling.
func (p *parser) is(k tokenKind, text string) bool {
	t := p.cur()
	return t.kind == k && t.text == text
}

func (p *parser) skip(k tokenKind, text string) bool {
	if p.is(k, text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) op(text string) bool { return p.skip(tokOp, text) }

func (p *parser) want(k tokenKind, text string) token {
	t := p.cur()
	if t.kind != k || text != "" && t.text != text {
		p.fail("want %s, found %s", describe(token{kind: k, text: text}), describe(t))
	}
	p.at++
	return t
}

func describe(t token) string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokText:
		return "text"
	case tokBlockBegin:
		return "the beginning of a statement"
	case tokBlockEnd:
		return "the end of the statement"
	case tokPrintBegin:
		return "the beginning of an expression to print"
	case tokPrintEnd:
		return "the end of the expression to print"
	case tokName:
		if t.text == "" {
			return "a name"
		}
	case tokString:
		return "a string"
	}
	return strconv.Quote(t.text)
}

// enter counts the depth of nesting; the result undoes it.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// id numbers a variable.
func (p *parser) id(name string) int {
	id, ok := p.ids[name]
	if !ok {
		id = len(p.t.names)
		p.ids[name] = id
		p.t.names = append(p.t.names, name)
	}
	return id
}

// free returns the names that are read and never set.
func (p *parser) free() map[string]bool {
	free := map[string]bool{}
	for n := range p.reads {
		if _, global := globals[n]; !global && !p.sets[n] && n != "loop" && n != "caller" && n != "varargs" && n != "kwargs" {
			free[n] = true
		}
	}
	return free
}

func (p *parser) read(name string) {
	if p.reads == nil {
		p.reads = map[string]bool{}
	}
	if !p.isParam(name) {
		p.reads[name] = true
	}
	if k := len(p.callers) - 1; k >= 0 {
		switch name {
		case "caller":
			p.callers[k].caller = true
		case "varargs":
			p.callers[k].varargs = true
		case "kwargs":
			p.callers[k].kwargs = true
		}
	}
}

// isParam reports whether a name is a parameter of a macro around.
func (p *parser) isParam(name string) bool {
	for _, sig := range p.callers {
		if slices.Contains(sig.names, name) {
			return true
		}
	}
	return false
}

// write notes that a name is set. One that is read before, as in set x = x or y, stays free.
func (p *parser) write(name string) int {
	if p.sets == nil {
		p.sets = map[string]bool{}
	}
	if !p.reads[name] {
		p.sets[name] = true
	}
	return p.id(name)
}

// span is the place from a token to the last one read.
func (p *parser) span(from int) node {
	to := from
	if p.at > 0 {
		to = p.tokens[p.at-1].end
	}
	return node{from, to}
}

func (p *parser) spanOf(x expr) node { return p.span(x.place().from) }

// expression parses a whole expression, with "x if y else z".
func (p *parser) expression() expr {
	defer p.enter()()
	x := p.or()
	for p.is(tokName, "if") {
		p.at++
		p.inIf++
		c := &condition{yes: x, test: p.or()}
		if p.skip(tokName, "else") {
			c.no = p.expression()
		}
		p.inIf--
		c.node = p.spanOf(x)
		x = c
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.skip(tokName, "or") {
		y := p.and()
		x = &logic{p.spanOf(x), false, x, y}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.skip(tokName, "and") {
		y := p.not()
		x = &logic{p.spanOf(x), true, x, y}
	}
	return x
}

func (p *parser) not() expr {
	if from := p.cur().off; p.skip(tokName, "not") {
		defer p.enter()()
		x := p.not()
		return &unary{p.span(from), "not", x}
	}
	return p.comparison()
}

var comparisons = map[string]bool{"==": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

func (p *parser) comparison() expr {
	x := p.sum()
	c := &compare{x: x}
	for {
		switch t := p.cur(); {
		case t.kind == tokOp && comparisons[t.text]:
			p.at++
			c.ops = append(c.ops, t.text)
		case p.is(tokName, "in"):
			p.at++
			c.ops = append(c.ops, "in")
		case p.is(tokName, "not") && p.peek().kind == tokName && p.peek().text == "in":
			p.at += 2
			c.ops = append(c.ops, "not in")
		default:
			if len(c.ops) == 0 {
				return x
			}
			c.node = p.spanOf(x)
			return c
		}
		c.rest = append(c.rest, p.sum())
	}
}

func (p *parser) sum() expr {
	x := p.concat()
	for p.is(tokOp, "+") || p.is(tokOp, "-") {
		op := p.next().text
		y := p.concat()
		x = &binary{p.spanOf(x), binaryOps[op], x, y}
	}
	return x
}

func (p *parser) concat() expr {
	x := p.product()
	if !p.is(tokOp, "~") {
		return x
	}
	j := &concatenation{parts: []expr{x}}
	for p.op("~") {
		j.parts = append(j.parts, p.product())
	}
	j.node = p.spanOf(x)
	return j
}

func (p *parser) product() expr {
	x := p.power()
	for p.is(tokOp, "*") || p.is(tokOp, "/") || p.is(tokOp, "//") || p.is(tokOp, "%") {
		op := p.next().text
		y := p.power()
		x = &binary{p.spanOf(x), binaryOps[op], x, y}
	}
	return x
}

func (p *parser) power() expr {
	x := p.unary(true)
	for p.op("**") {
		y := p.unary(true)
		x = &binary{p.spanOf(x), binaryOps["**"], x, y}
	}
	return x
}

// unary parses signs, a primary expression, and what follows it; filters only if filters is set.
func (p *parser) unary(filters bool) expr {
	var x expr
	if t := p.cur(); p.is(tokOp, "-") || p.is(tokOp, "+") {
		defer p.enter()()
		p.at++
		y := p.unary(false)
		x = &unary{p.span(t.off), t.text, y}
	} else {
		x = p.primary()
	}
	x = p.postfix(x)
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True":
			return &constant{p.span(t.off), true}
		case "false", "False":
			return &constant{p.span(t.off), false}
		case "none", "None":
			return &constant{p.span(t.off), nil}
		}
		p.read(t.text)
		return &name{p.span(t.off), p.id(t.text), t.text}
	case tokString:
		s := t.text
		for p.cur().kind == tokString {
			s += p.next().text
		}
		p.t.consts = append(p.t.consts, s)
		return &constant{p.span(t.off), lit(s)}
	case tokInt, tokFloat:
		return &constant{p.span(t.off), p.numeral(t)}
	case tokOp:
		switch t.text {
		case "(":
			defer p.enter()()
			x := p.tuple(true, true)
			p.want(tokOp, ")")
			return x
		case "[":
			defer p.enter()()
			items := p.sequence("]")
			return &listExpr{p.span(t.off), items, false}
		case "{":
			defer p.enter()()
			return p.dict(t.off)
		}
	}
	p.failAt(t.off, "want an expression, found %s", describe(t))
	return nil
}

func (p *parser) numeral(t token) value {
	if t.kind == tokFloat {
		f, _ := strconv.ParseFloat(t.text, 64) // out of range is infinite, as in Python
		return f
	}
	if len(t.text) > 4000 {
		p.failAt(t.off, "a number of %d digits", len(t.text))
	}
	base, digits := 10, t.text
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] | 0x20 {
		case 'x':
			base, digits = 16, digits[2:]
		case 'o':
			base, digits = 8, digits[2:]
		case 'b':
			base, digits = 2, digits[2:]
		}
	}
	b, ok := new(big.Int).SetString(strings.ReplaceAll(digits, "_", ""), base)
	if !ok {
		p.failAt(t.off, "%s is no number", t.text)
	}
	return shrink(b)
}

// sequence parses expressions between commas up to a bracket.
func (p *parser) sequence(end string) []expr {
	var items []expr
	for !p.op(end) {
		if len(items) > 0 {
			p.want(tokOp, ",")
			if p.op(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) dict(from int) expr {
	d := &dictExpr{}
	for !p.op("}") {
		if len(d.keys) > 0 {
			p.want(tokOp, ",")
			if p.op("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.want(tokOp, ":")
		d.values = append(d.values, p.expression())
	}
	d.node = p.span(from)
	return d
}

// tuple parses one expression, or several between commas, which are a tuple. Without conditions,
// "if" ends it. In parentheses it may be empty.
func (p *parser) tuple(conditions, parentheses bool) expr {
	from := p.cur().off
	var items []expr
	isTuple := false
	for {
		if len(items) > 0 {
			if !p.op(",") {
				break
			}
			isTuple = true
		}
		if t := p.cur(); t.kind == tokBlockEnd || t.kind == tokPrintEnd || t.kind == tokOp && t.text == ")" || p.is(tokName, "recursive") && !conditions {
			break
		}
		if conditions {
			items = append(items, p.expression())
		} else {
			items = append(items, p.or())
		}
	}
	if len(items) == 1 && !isTuple {
		return items[0]
	}
	if len(items) == 0 && !parentheses {
		p.fail("want an expression, found %s", describe(p.cur()))
	}
	return &listExpr{p.span(from), items, true}
}
