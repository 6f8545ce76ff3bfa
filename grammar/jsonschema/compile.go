package jsonschema

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/goinfer/goinfer/grammar/regex"
)

// Options say how a schema is read and what its texts look like. The zero value is what models
// write.
type Options struct {
	NoFormat   bool       // format is an annotation
	AnyOrder   bool       // keys may come in any order, not only that of properties
	Whitespace Whitespace // between the parts of the text

	// GoNumbers allows no numbers but those that int64 and float64 hold, and integers without point
	// and exponent.
	GoNumbers bool
	// Draft is that of a schema that does not say: 4, 6, 7, 2019 or 2020; 0 means 2020, and older
	// spellings are read.
	Draft int
}

// Whitespace says what may stand between the parts of a JSON text.
type Whitespace uint8

const (
	// Usual allows nothing, one space, or a line break or two and indentation: after a bracket,
	// brace, comma or colon, and before a closing bracket or brace. It is what models write, and
	// ends.
	Usual Whitespace = iota
	// None allows nothing.
	None
	// Flexible allows whatever a JSON parser accepts.
	Flexible
)

// An Error is why a schema is refused: the keyword, where it stands, and what is wrong with it.
type Error struct {
	Keyword string // "" if it is no keyword's fault
	Pointer string // JSON pointer to the schema
	Reason  string
}

func (e *Error) Error() string {
	at := e.Pointer
	if e.Keyword != "" {
		at += "/" + e.Keyword
	}
	if at == "" {
		at = "the schema"
	}
	return fmt.Sprintf("%s: %s", at, e.Reason)
}

// limits bound the work on a schema.
type limits struct {
	bytes   int // of its text
	exprs   int // sets of values
	shapes  int // alternatives of a set
	classes int // kinds of keys
	depth   int // of sets within sets
	steps   int // units of work
	names   int // keys in all sets of objects
	derived int // derivatives of regular expressions
}

var usualLimits = limits{bytes: 4 << 20, exprs: 200_000, shapes: 1000, classes: 64, depth: 2000, steps: 300_000, names: 1_500_000, derived: 1_000_000}

type compiler struct {
	opts   Options
	limits limits
	steps  int
	names  int
	depth  int
	at     *schema

	root      *value
	schemas   map[*value]*schema
	addresses map[string]*value

	space    *regex.Space
	patterns map[string]*regex.Language
	formats  map[string]*regex.Language
	matched  map[matchKey]bool

	exprs     map[string]*expr
	arrs      map[string]*array
	objs      map[string]*object
	yes, no   *expr
	anyArray  *array
	anyObject *object
	full      *node
	looking   int

	threads map[threadKey]*thread
	notes   map[string]int
}

func newCompiler(opts Options) *compiler {
	c := &compiler{opts: opts, limits: usualLimits, schemas: map[*value]*schema{}, addresses: map[string]*value{}, space: regex.NewSpace(),
		patterns: map[string]*regex.Language{}, formats: map[string]*regex.Language{}, matched: map[matchKey]bool{}, exprs: map[string]*expr{},
		arrs: map[string]*array{}, objs: map[string]*object{}, threads: map[threadKey]*thread{}, notes: map[string]int{}}
	c.space.Limit = c.limits.derived
	c.space.Exceeded = func() { c.refuse("pattern", "the regular expressions are too complex") }
	c.yes = c.intern("yes", &expr{op: xTrue, flat: true, empty: -1})
	c.no = c.intern("no", &expr{op: xFalse, flat: true, empty: 1})
	c.anyArray = c.internArray(&array{rest: c.yes, max: unlimited})
	c.anyObject = c.internObject(&object{rest: []class{{c.space.All, c.yes}}, max: unlimited})
	all, _ := (&numbers{}).prepared()
	c.full = &node{types: tyNull | tyBool, str: c.space.All, nums: []*numbers{all}, arrs: []*array{c.anyArray}, objs: []*object{c.anyObject}}
	return c
}

// refuse ends the compilation. It unwinds to guard.
func (c *compiler) refuse(keyword, format string, args ...any) {
	e := &Error{Keyword: keyword, Reason: fmt.Sprintf(format, args...)}
	if c.at != nil {
		e.Pointer = c.at.v.pointer()
	}
	panic(e)
}

// refuseAt is refuse for what stands somewhere else.
func (c *compiler) refuseAt(pointer, keyword, format string, args ...any) {
	panic(&Error{Keyword: keyword, Pointer: pointer, Reason: fmt.Sprintf(format, args...)})
}

// count bounds the work.
func (c *compiler) count(n int) {
	c.steps += n
	if c.limits.steps > 0 && c.steps > c.limits.steps {
		c.refuse("", "the schema is too complex")
	}
}

// countNames bounds the memory for keys.
func (c *compiler) countNames(n int) {
	c.names += n
	if c.limits.names > 0 && c.names > c.limits.names {
		c.refuse("", "the schema is too complex: its parts have more than %d keys in all", c.limits.names)
	}
}

// guard makes an error of what refuse has thrown.
func guard(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// Compile checks a schema and makes the automaton of its JSON texts. A keyword that cannot be kept
// exactly is an [Error], as is a schema that no value satisfies.
func Compile(src []byte, opts Options) (*Machine, error) {
	if len(src) > usualLimits.bytes {
		return nil, &Error{Reason: fmt.Sprintf("want at most %d bytes, found %d", usualLimits.bytes, len(src))}
	}
	v, err := parseValue(src)
	if err != nil {
		return nil, &Error{Reason: err.Error()}
	}
	c := newCompiler(opts)
	var m *Machine
	err = guard(func() {
		c.root = v
		sc := &scope{draft: draft2020, legacy: opts.Draft == 0}
		if !sc.legacy {
			sc.draft = draft(opts.Draft)
		}
		c.index(v, sc)
		s := c.schemas[v]
		c.at = s
		e := c.schemaExpr(s)
		c.explore(e)
		if c.isEmpty(e) {
			c.refuse("", "no value satisfies the schema")
		}
		m = newMachine(c, e)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// explore finds the normal forms of all that e leads to, so that nothing is refused later.
func (c *compiler) explore(e *expr) {
	seen := map[*expr]bool{}
	todo := []*expr{e}
	push := func(e *expr) {
		if !seen[e] {
			seen[e] = true
			todo = append(todo, e)
		}
	}
	for len(todo) > 0 {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c.count(1)
		n := c.finalNode(e)
		for _, a := range n.arrs {
			for _, p := range append(slices.Clone(a.prefix), a.rest) {
				c.variants(p, a.contains, push)
			}
			for _, v := range a.values {
				push(v)
			}
		}
		for _, o := range n.objs {
			if len(o.exists) > maxExists {
				c.refuse("not", "more than %d keys that must exist", maxExists)
			}
			var any []contain
			for _, x := range o.exists {
				any = append(any, contain{value: x.value, max: unlimited})
			}
			for _, x := range o.names {
				c.variants(x.value, any, push)
			}
			for _, x := range o.rest {
				c.variants(x.value, any, push)
			}
		}
		for _, l := range append([]*regex.Language{n.str}, languages(n)...) {
			if !c.space.Empty(l) {
				c.count(1)
			}
		}
	}
}

func languages(n *node) []*regex.Language {
	var out []*regex.Language
	for _, o := range n.objs {
		for _, x := range o.rest {
			out = append(out, x.lang)
		}
	}
	return out
}

// maxExists bounds the number of keys that must exist without a name, and of conditions on items.
const maxExists = 5

// variants calls f for a set and for what becomes of it as items or values are counted.
func (c *compiler) variants(e *expr, contains []contain, f func(*expr)) {
	if len(contains) > maxExists {
		c.refuse("contains", "more than %d conditions on the items of an array", maxExists)
	}
	all := []*expr{e}
	for _, x := range contains {
		for _, v := range slices.Clone(all) {
			all = append(all, c.and(v, x.value))
			if x.max < unlimited {
				all = append(all, c.and(v, c.not(x.value)))
			}
		}
	}
	for _, v := range all {
		if !c.isEmpty(v) {
			f(v)
		}
	}
}

// list returns the numbers of a finite set, if they are at most limit.
func (n *numbers) list(limit int) ([]decimal, bool) {
	if n.lo == nil || n.hi == nil || n.fractional || n.notWhole {
		return nil, false
	}
	if n.lo.compare(*n.hi) == 0 {
		return []decimal{*n.lo}, true
	}
	if n.step == nil {
		return nil, false
	}
	var out []decimal
	hi := n.hi.scaled(n.places)
	for x := n.lo.scaled(n.places); x.Cmp(hi) <= 0; x = new(big.Int).Add(x, n.step) {
		if len(out) == limit {
			return nil, false
		}
		out = append(out, fromScaled(x, n.places))
	}
	return out, true
}

// Notes lists the keywords that were read as annotations, with how often they stand there.
func (m *Machine) Notes() map[string]int { return m.c.notes }
