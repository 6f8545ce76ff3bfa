package chat

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/sample"
)

// A Constraint says what an answer may be.
type Constraint struct {
	// Budget bounds the tokens of thoughts, after which they are closed; 0 means no bound, less
	// than 0 that nothing may be thought.
	Budget int
	// Answer is what the answer must be, after thoughts; nil for anything.
	Answer sample.Grammar
	// Choice is what must be called: "" or "auto" for what the model likes, "none", "required" for
	// any tool, or the name of one.
	Choice string
	// Strict has the arguments of every call satisfy the parameters of its tool.
	Strict bool
	// Schema compiles a JSON Schema. Choice and Strict want it.
	Schema func(schema json.RawMessage) (sample.Grammar, error)
}

// Constrain returns the constraint on what is generated after a prompt, nil if anything goes. What
// cannot be constrained for this template is an error that says so.
func (t *Template) Constrain(p *Prompt, c Constraint) (sample.Grammar, error) {
	b := &constrainer{t: t, p: p, c: &c, m: &machine{t: t}}
	forced := c.Choice != "" && c.Choice != "auto" && c.Choice != "none"
	switch {
	case c.Budget == 0 && c.Answer == nil && !forced && (!c.Strict || len(p.tools) == 0):
		return nil, nil
	case forced && c.Answer != nil:
		return nil, fault.Argument("Answer", "none where a tool must be called", "one")
	case c.Budget != 0 && !t.think.harmony && t.think.end == "":
		if c.Answer == nil && !forced && !c.Strict {
			return nil, fault.Of(fault.ErrUnsupported, fmt.Errorf("%s: a budget for thoughts: the template knows no thoughts", t.code.Name()))
		}
	}
	end := b.m.add(node{kind: endNode})
	var next []int
	var err error
	switch {
	case forced:
		next, err = b.calls(c.Choice, []int{end}, false)
	case c.Answer != nil:
		next, err = b.answer(end)
	case c.Strict && len(p.tools) > 0:
		next, err = b.strict()
	default:
		next = []int{b.m.add(node{kind: freeNode, ends: true})}
	}
	if err != nil {
		return nil, err
	}
	b.m.start = b.thoughts(next)
	b.m.prepare()
	return b.m, nil
}

// constrainer makes the nodes of a machine.
type constrainer struct {
	t *Template
	p *Prompt
	c *Constraint
	m *machine
}

func (b *constrainer) encode(s string) []int32 {
	ids := b.t.vocab.Encode(nil, s, false, true)
	if b.t.prefixes && len(ids) > 1 && !strings.HasPrefix(s, " ") && b.t.spell(ids[:1]) == " " {
		ids = ids[1:]
	}
	return ids
}

// literal adds text that is forced, as far as it does not end the generation; of empty text there
// is only what follows it.
func (b *constrainer) literal(s string, to []int) []int {
	ids := b.encode(s)
	if k := slices.IndexFunc(ids, func(id int32) bool { return b.t.vocab.IsEOG(id) || slices.Contains(b.t.ends, id) }); k >= 0 {
		ids = ids[:k]
	}
	if len(ids) == 0 {
		return to
	}
	return []int{b.m.add(node{kind: literalNode, ids: ids, to: to})}
}

// gap adds line breaks that may come before what follows.
func (b *constrainer) gap(to []int) []int { return []int{b.m.add(node{kind: gapNode, to: to})} }

// free reports whether the nodes take any text.
func (b *constrainer) free(nodes []int) bool {
	return len(nodes) == 1 && b.m.nodes[nodes[0]].kind == freeNode
}

// thoughts adds what may be thought before the nodes next, and returns where it begins.
func (b *constrainer) thoughts(next []int) []int {
	th := &b.t.think
	if th.harmony {
		return b.channels(next)
	}
	if th.end == "" {
		return b.before(next)
	}
	budget := max(-1, b.c.Budget)
	if budget == 0 {
		budget = noBudget
	}
	after := b.before(next)
	thought := b.m.add(node{kind: freeNode, marks: []string{th.end}, next: [][]int{after}, budget: max(0, budget), ends: b.free(next)})
	b.m.nodes[thought].close = b.literal(th.end+"\n\n", next)
	if th.opened(b.p.tail) {
		return []int{thought}
	}
	open := strings.TrimSpace(th.open)
	if open == "" {
		return after
	}
	if b.free(next) { // the mark is looked for in the text
		from := b.m.nodes[next[0]]
		return []int{b.m.add(node{kind: freeNode, ends: from.ends, marks: append([]string{open}, from.marks...), next: append([][]int{{thought}}, from.next...)})}
	}
	if budget < 0 {
		return after
	}
	for _, s := range [...]string{open, open + "\n"} {
		after = append(slices.Clone(after), b.literal(s, []int{thought})...)
	}
	return after
}

// before allows line breaks in front of what does not take them itself.
func (b *constrainer) before(next []int) []int {
	if b.free(next) {
		return next
	}
	return b.gap(next)
}

// channels is thoughts for the format of gpt-oss. Calls and answers begin with a header of their
// own, which next has if it is not free.
func (b *constrainer) channels(next []int) []int {
	const final = harmonyChannel + "final" + harmonyMessage
	const analysis = harmonyChannel + "analysis" + harmonyMessage
	opened := strings.Contains(b.p.tail, harmonyMessage)
	budget := b.c.Budget
	if budget == 0 {
		budget = noBudget
	}
	if b.free(next) {
		rest := b.m.nodes[next[0]]
		marks := append([]string{final}, rest.marks...)
		tos := append([][]int{next}, rest.next...)
		thought := b.m.add(node{kind: freeNode, ends: true, marks: marks, next: tos, budget: max(0, budget)})
		b.m.nodes[thought].close = b.literal("<|end|>"+harmonyStart+"assistant"+final, next)
		return []int{b.m.add(node{kind: freeNode, ends: true, marks: append([]string{analysis}, marks...), next: append([][]int{{thought}}, tos...)})}
	}
	header := b.literal(harmonyStart+"assistant", next)
	thought := b.m.add(node{kind: freeNode, marks: []string{"<|end|>"}, next: [][]int{header}, budget: max(0, budget), close: b.literal("<|end|>", header)})
	switch {
	case opened:
		return []int{thought}
	case budget < 0:
		return next
	}
	return append(slices.Clone(next), b.literal(analysis, []int{thought})...)
}

// answer adds the grammar of the answer, and calls where there are tools.
func (b *constrainer) answer(end int) ([]int, error) {
	next := []int{b.m.add(node{kind: grammarNode, grammar: b.c.Answer, to: []int{end}})}
	if b.t.think.harmony {
		next = b.literal(harmonyChannel+"final"+harmonyMessage, next)
	}
	if len(b.p.tools) == 0 || b.c.Choice == "none" {
		return next, nil
	}
	calls, err := b.calls("required", []int{end}, false)
	if err != nil {
		return nil, fmt.Errorf("a constraint on the answer beside tools: %w", err)
	}
	return append(next, calls...), nil
}

// strict adds text in which calls, once begun, are constrained.
func (b *constrainer) strict() ([]int, error) {
	free := b.m.add(node{kind: freeNode, ends: true})
	mark := harmonyChannel + "commentary to=functions."
	if !b.t.think.harmony {
		if b.t.calls == nil || b.t.calls.trigger == "" {
			return nil, b.refuse("calls begin without a mark")
		}
		mark = b.t.calls.trigger
	}
	calls, err := b.calls("required", []int{free}, true)
	if err != nil {
		return nil, err
	}
	n := &b.m.nodes[free]
	n.marks, n.next = []string{mark}, [][]int{calls}
	return []int{free}, nil
}

// refuse is the error of what cannot be constrained.
func (b *constrainer) refuse(why string) error {
	return fault.Of(fault.ErrUnsupported, fmt.Errorf("%s: calls cannot be constrained: %s", b.t.code.Name(), why))
}

// chosen are the tools that may be called.
func (b *constrainer) chosen(choice string) ([]Tool, error) {
	if choice == "required" {
		if len(b.p.tools) == 0 {
			return nil, fault.Argument("Choice", "tools to choose from", "none")
		}
		return b.p.tools, nil
	}
	for _, t := range b.p.tools {
		if t.Name == choice {
			return []Tool{t}, nil
		}
	}
	return nil, fault.Argument("Choice", "auto, none, required or the name of a tool", fmt.Sprintf("%q", choice))
}

// calls adds one call or more, with what follows them; after the trigger if that was generated.
func (b *constrainer) calls(choice string, to []int, triggered bool) ([]int, error) {
	tools, err := b.chosen(choice)
	switch {
	case err != nil:
		return nil, err
	case b.c.Schema == nil:
		return nil, fault.Argument("Schema", "a compiler of JSON Schemas, by which calls are constrained", "none")
	case b.t.think.harmony:
		return b.harmonyCalls(tools, to, triggered)
	case b.t.calls == nil:
		return nil, b.refuse("the template shows none")
	}
	f := b.t.calls
	id := (&Parser{id: [32]byte{}}).makeID(0)
	again := b.m.add(node{kind: gapNode}) // another call
	after := append(slices.Clone(to), again)
	if f.end != nil {
		after = append(b.gap(b.literal(f.end.written(id), to)), again)
	}
	if shut := f.close.written(id); strings.TrimSpace(shut) != "" {
		after = b.gap(b.literal(strings.TrimSpace(shut), after))
	}
	var bodies []int
	switch f.kind {
	case jsonCalls:
		bodies, err = b.objects(tools, after, id)
	case namedCalls:
		bodies, err = b.named(tools, after, id)
	default:
		err = b.refuse("they are " + f.String() + ", and only JSON can be constrained")
	}
	if err != nil {
		return nil, err
	}
	open := f.open.written(id)
	b.m.nodes[again].to = b.literal(open, bodies)
	if f.kind == jsonCalls && (f.object.list || open == "") { // the list has them all
		b.m.nodes[again].to = to
	}
	section := f.section.written(id)
	if f.kind == jsonCalls {
		bodies = b.gap(bodies)
	}
	switch rest, ok := strings.CutPrefix(section+open, f.trigger); {
	case triggered && ok:
		return b.gap(b.literal(strings.TrimSpace(rest), bodies)), nil
	case f.given:
		return bodies, nil
	case section != "":
		return b.literal(section, b.gap(b.literal(open, bodies))), nil
	}
	return b.literal(open, bodies), nil
}

// harmonyCalls adds a call as gpt-oss makes it. Generation ends after it.
func (b *constrainer) harmonyCalls(tools []Tool, to []int, triggered bool) ([]int, error) {
	var all []int
	for _, t := range tools {
		g, err := b.c.Schema(parameters(&t))
		if err != nil {
			return nil, fmt.Errorf("the parameters of the tool %q: %w", t.Name, err)
		}
		header := harmonyChannel + "commentary to=functions."
		if triggered {
			header = ""
		}
		body := b.m.add(node{kind: grammarNode, grammar: g, to: to})
		all = append(all, b.literal(header+t.Name+" <|constrain|>json"+harmonyMessage, []int{body})...)
	}
	return all, nil
}

// named adds the calls of a format with a name and then JSON.
func (b *constrainer) named(tools []Tool, to []int, id string) ([]int, error) {
	var all []int
	for _, t := range tools {
		g, err := b.c.Schema(parameters(&t))
		if err != nil {
			return nil, fmt.Errorf("the parameters of the tool %q: %w", t.Name, err)
		}
		body := b.m.add(node{kind: grammarNode, grammar: g, to: to})
		all = append(all, b.literal(t.Name+b.t.calls.name.written(id), []int{body})...)
	}
	return all, nil
}

// objects adds the calls of a format with JSON objects, by a schema of them all.
func (b *constrainer) objects(tools []Tool, to []int, id string) ([]int, error) {
	var kinds, defs []string
	for _, t := range tools {
		object, err := b.object(&t, id)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, object)
		defs = append(defs, quoteJSON(t.Name)+":"+string(rebase(parameters(&t), t.Name)))
	}
	items := `{"anyOf":[` + strings.Join(kinds, ",") + `]}`
	if b.t.calls.object.list {
		items = `{"type":"array","minItems":1,"items":` + items + `}`
	}
	g, err := b.c.Schema(json.RawMessage(items[:len(items)-1] + `,"$defs":{` + strings.Join(defs, ",") + `}}`))
	if err != nil {
		return nil, fmt.Errorf("the parameters of the tools: %w", err)
	}
	return []int{b.m.add(node{kind: grammarNode, grammar: g, to: to})}, nil
}

// object is the schema of a call of a tool, with its keys in the template's order.
func (b *constrainer) object(t *Tool, id string) (string, error) {
	s := &b.t.calls.object
	args := `{"$ref":` + quoteJSON(pointer(t.Name)) + `}`
	if s.keyed {
		return objectSchema([]string{t.Name}, map[string]string{t.Name: args}), nil
	}
	values := map[string]string{s.name: `{"const":` + quoteJSON(t.Name) + `}`, s.args: args}
	order := s.order
	if len(order) == 0 {
		order = []string{s.name, s.args}
	}
	if s.id != "" {
		values[s.id] = `{"const":` + quoteJSON(id) + `}`
		if s.list { // each call its own
			values[s.id] = `{"type":"string","pattern":"^[a-z0-9]{9}$"}`
		}
	}
	for _, keys := range [...][]string{order, s.outer} {
		for _, k := range keys {
			switch {
			case values[k] != "" || k == s.inner && s.inner != "":
			case k == "type":
				values[k] = `{"const":"function"}`
			default:
				return "", b.refuse(fmt.Sprintf("their object has the key %q besides", k))
			}
		}
	}
	object := objectSchema(order, values)
	if s.inner != "" {
		values[s.inner] = object
		object = objectSchema(s.outer, values)
	}
	return object, nil
}

func objectSchema(order []string, values map[string]string) string {
	var props, required []string
	for _, k := range order {
		props = append(props, quoteJSON(k)+":"+values[k])
		required = append(required, quoteJSON(k))
	}
	return `{"type":"object","properties":{` + strings.Join(props, ",") + `},"required":[` + strings.Join(required, ",") + `],"additionalProperties":false}`
}

// parameters is the schema of a tool's arguments.
func parameters(t *Tool) json.RawMessage {
	if t.Parameters == nil {
		return json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)
	}
	return t.Parameters
}

// pointer is the reference to the parameters of a tool inside of the schema of all calls.
func pointer(name string) string {
	name = strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	return "#/$defs/" + url.PathEscape(name)
}

var refs = regexp.MustCompile(`"\$ref"\s*:\s*"#`)

// rebase makes the references of a schema go on from where it is put.
func rebase(schema json.RawMessage, name string) json.RawMessage {
	to := `"$ref":` + strings.TrimSuffix(quoteJSON(pointer(name)), `"`)
	return refs.ReplaceAllLiteral(schema, []byte(to))
}
