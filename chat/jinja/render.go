package jinja

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/goinfer/goinfer/internal/fault"
)

// Limits bound what a rendering may cost. The zero value means the defaults.
type Limits struct {
	// Steps are expressions evaluated, statements executed, elements and bytes/16 handled; default
	// 50 million.
	Steps  int
	Depth  int           // calls of macros inside each other; default 200
	Bytes  int           // bytes of all strings and elements made on the way; default 256 MiB
	Output int           // bytes of the result; default 64 MiB
	Time   time.Duration // default 10 s
	Now    time.Time     // what strftime_now prints; default the clock
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 50e6
	}
	if l.Depth == 0 {
		l.Depth = 200
	}
	if l.Bytes == 0 {
		l.Bytes = 256 << 20
	}
	if l.Output == 0 {
		l.Output = 64 << 20
	}
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Now.IsZero() {
		l.Now = time.Now()
	}
	return l
}

// maxEval bounds expressions, statements and calls inside each other while rendering.
const maxEval = 5000

// state is one rendering.
type state struct {
	t        *Template
	filters  map[string]*filter // the tables, which cannot refer to themselves
	tests    map[string]*filter
	ctx      context.Context
	lim      Limits
	deadline time.Time
	vars     []value // by id of the name; absent{} where there is none
	at       *node   // what is being done, for errors
	out      *builder
	escape   bool
	steps    int
	look     int // the number of steps at which the clock is looked at
	bytes    int
	depth    int // of macros
	nested   int
	written  int
}

// Render returns the text of the template for these variables. An error is of type [*Error].
func (t *Template) Render(ctx context.Context, vars *Map, lim Limits) (out Text, err error) {
	lim = lim.withDefaults()
	st := &state{t: t, filters: filters, tests: tests, ctx: ctx, lim: lim, deadline: time.Now().Add(lim.Time), at: &node{}, out: &builder{}}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			out, err = Text{}, r
		default:
			panic(r)
		}
	}()
	st.vars = make([]value, len(t.names))
	for i, n := range t.names {
		st.vars[i] = absent{}
		if g, ok := globals[n]; ok {
			st.vars[i] = g
		}
		if v, ok := vars.Get(n); ok {
			st.vars[i] = st.fromGo(v, Input, 0)
		}
	}
	st.run(t.body, &scope{})
	return Text{*st.out.text()}, nil
}

// absent is a variable or argument that is not there. It is never the value of an expression.
type absent struct{}

// fail ends the rendering with an error at what is being done.
func (st *state) fail(k Kind, format string, args ...any) {
	e := &Error{Template: st.t.name, Kind: k, Message: fmt.Sprintf(format, args...), Expr: excerpt(st.t.source, st.at.from, st.at.to)}
	e.Line, e.Column = position(st.t.source, st.at.from)
	panic(e)
}

const lookEvery = 1024

// step charges n steps.
func (st *state) step(n int) {
	if n < 0 || st.steps > st.lim.Steps-n {
		st.fail(KindLimit, "the template takes more than %d steps", st.lim.Steps)
	}
	if st.steps += n; st.steps < st.look {
		return
	}
	st.look = st.steps + lookEvery
	if err := st.ctx.Err(); err != nil {
		st.stop(err)
	}
	if time.Now().After(st.deadline) {
		st.fail(KindLimit, "the template takes more than %v", st.lim.Time)
	}
}

func (st *state) stop(err error) {
	defer func() {
		e := recover().(*Error)
		e.cause = errors.Join(err, fault.Cancelled(st.ctx))
		panic(e)
	}()
	st.fail(KindLimit, "rendering was ended: %v", fault.Cancelled(st.ctx))
}

// charge accounts for n bytes that are about to be made.
func (st *state) charge(n int) {
	if n < 0 || st.bytes > st.lim.Bytes-n {
		st.fail(KindLimit, "the template makes more than %d bytes of strings and lists", st.lim.Bytes)
	}
	st.bytes += n
	st.step(n >> 4)
}

// times is n*each, or a number that is over any limit.
func times(n, each int) int {
	if n > 0 && each > math.MaxInt/n {
		return math.MaxInt
	}
	return n * each
}

const (
	elementSize = 16 // bytes charged for an element of a list
	entrySize   = 96 // for an entry of a mapping
	runSize     = 16 // for a part of a string that has a source of its own
)

// made charges a new string.
func (st *state) made(t *text) *text {
	st.charge(len(t.s) + runSize*len(t.runs))
	return t
}

func (st *state) list(items []value, kind listKind) *list {
	st.charge(times(len(items), elementSize))
	return &list{items: items, kind: kind}
}

// scope holds the variables that a loop, a macro or a block sets.
type scope struct {
	parent *scope
	ids    []int
	values []value
}

func (sc *scope) set(id int, v value) {
	for i, k := range sc.ids {
		if k == id {
			sc.values[i] = v
			return
		}
	}
	sc.ids = append(sc.ids, id)
	sc.values = append(sc.values, v)
}

func (st *state) lookup(sc *scope, id int) value {
	for ; sc != nil; sc = sc.parent {
		for i, k := range sc.ids {
			if k == id {
				return sc.values[i]
			}
		}
	}
	return st.vars[id]
}

// scan charges for looking at n bytes, which is fast.
func (st *state) scan(n int) { st.step(n >> 6) }

// enter counts what is inside of each other. It is undone by st.nested--.
func (st *state) enter() {
	st.step(1)
	if st.nested++; st.nested > maxEval {
		st.fail(KindLimit, "calls and expressions are nested more than %d deep", maxEval)
	}
}

// run executes statements.
func (st *state) run(body []stmt, sc *scope) signal {
	for _, s := range body {
		st.enter()
		r := s.exec(st, sc)
		st.nested--
		if r != goesOn {
			return r
		}
	}
	return goesOn
}

// capture returns what statements write.
func (st *state) capture(body []stmt, sc *scope) *text {
	out, written := st.out, st.written
	st.out = &builder{}
	st.run(body, sc)
	t := st.out.text()
	st.out, st.written = out, written
	return t
}

// write adds to the output.
func (st *state) write(t *text) {
	if st.written += len(t.s); st.written > st.lim.Output {
		st.fail(KindLimit, "the output has more than %d bytes", st.lim.Output)
	}
	st.charge(len(t.s) + runSize*max(1, len(t.runs)))
	st.out.add(t)
}

// eval evaluates an expression and counts it.
func (st *state) eval(x expr, sc *scope) value {
	st.enter()
	v := x.eval(st, sc)
	st.nested--
	return v
}
