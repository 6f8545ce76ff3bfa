package jinja

// node is what expressions and statements have in common: where they are in the source.
type node struct{ from, to int }

func (n *node) place() *node { return n }

type expr interface {
	place() *node
	eval(st *state, sc *scope) value
}

type stmt interface {
	place() *node
	exec(st *state, sc *scope) signal
}

// signal says how a statement ended.
type signal uint8

const (
	goesOn signal = iota
	breaks
	continues
)

// Expressions.
type (
	constant struct {
		node
		v value
	}
	name struct {
		node
		id   int
		text string
	}
	listExpr struct {
		node
		items []expr
		tuple bool
	}
	dictExpr struct {
		node
		keys, values []expr
	}
	unary struct {
		node
		op string
		x  expr
	}
	binary struct {
		node
		op   binaryOp
		x, y expr
	}
	logic struct {
		node
		and  bool
		x, y expr
	}
	compare struct {
		node
		x    expr
		ops  []string
		rest []expr
	}
	concatenation struct { // ~
		node
		parts []expr
	}
	condition struct {
		node
		yes, test, no expr // no may be nil
	}
	attribute struct {
		node
		x    expr
		name string
	}
	item struct {
		node
		x, key expr
	}
	slice struct { // only as the key of an item
		node
		start, stop, step expr // each may be nil
	}
	call struct {
		node
		f    expr
		args arguments
	}
	filterExpr struct {
		node
		x    expr // nil in a filter block: what the block renders
		name string
		args arguments
	}
	testExpr struct {
		node
		x    expr
		name string
		args arguments
		not  bool
	}
)

// arguments are those of a call as written.
type arguments struct {
	pos    []expr
	names  []string
	named  []expr
	star   expr // *x
	double expr // **x
}

// Statements.
type (
	output struct {
		node
		text *text // outside of tags
	}
	printStmt struct {
		node
		x expr
	}
	ifStmt struct {
		node
		test      expr
		yes, elif []stmt // elif is what is done otherwise
	}
	forStmt struct {
		node
		target    target
		iter      expr
		test      expr // may be nil
		body      []stmt
		otherwise []stmt
		recursive bool
	}
	setStmt struct {
		node
		target target
		x      expr
	}
	setBlock struct {
		node
		target target
		filter expr // may be nil
		body   []stmt
	}
	macroStmt struct {
		node
		name string
		id   int
		sig  *signature
	}
	callStmt struct {
		node
		call *call
		sig  *signature
	}
	filterStmt struct {
		node
		filter expr
		body   []stmt
	}
	withStmt struct {
		node
		targets []target
		values  []expr
		body    []stmt
	}
	blockStmt struct { // a body in a scope of its own
		node
		body   []stmt
		escape expr // autoescape: whether what is printed is escaped; else nil
	}
	controlStmt struct { // break and continue
		node
		signal signal
	}
)

// signature is what a macro, or the body of a call block, takes.
type signature struct {
	params    []int
	names     []string
	defaults  []expr // of the last params
	body      []stmt
	caller    bool // the body uses caller, varargs, kwargs
	varargs   bool
	kwargs    bool
	callerID  int
	varargsID int
	kwargsID  int
}

// target is what a value is assigned to: a name, an attribute of a namespace, or several targets.
type target struct {
	node
	id    int
	name  string
	attr  string
	tuple []target
}
