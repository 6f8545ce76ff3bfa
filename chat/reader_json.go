package chat

import (
	"encoding/json"
	"strings"
)

// objectReader reads one object with name and arguments.
type objectReader struct {
	stage   objectStage
	depth   int    // of objects around name and arguments
	key     string // whose value is read
	pending string // arguments that came before the name
	buffer  bool   // arguments go to pending
	scan    jsonScanner
	value   strings.Builder // of a key that is not streamed
	args    bool            // arguments were read
}

type objectStage uint8

const (
	objectOpen objectStage = iota
	objectKey              // a key or }
	objectValue
	objectSkip // the rest of a value
	objectArgs // the rest of the arguments
	objectNext // a comma or }
)

// objects reads objects, in a list or one after the other.
func (r *reader) objects() bool {
	p := r.p
	if r.json.stage != objectOpen || r.json.depth > 0 {
		return r.object()
	}
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" {
		return r.unfinished()
	}
	r.take(len(p.buf) - len(s))
	switch {
	case s[0] == '{':
		r.take(1)
		r.json.depth++
		r.json.stage = objectKey
		return true
	case s[0] == '[' && !r.list:
		r.list = true
		r.take(1)
		return true
	case s[0] == ']' && r.list:
		r.take(1)
		if r.made == 0 {
			return r.fail("there is no call in it")
		}
		r.raw.Reset()
		p.state = r.closing
		return true
	}
	return r.fail("want a JSON object")
}

// afterObject decides whether another object follows.
func (r *reader) afterObject() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" && !p.final {
		return false
	}
	if s != "" {
		switch {
		case s[0] == ',' || s[0] == ';':
			p.buf = s[1:]
			p.state = r.objects
			return true
		case s[0] == ']' && r.list:
			p.buf = s[1:]
			p.state = r.closing
			return true
		case s[0] == '{':
			p.state = r.objects
			return true
		}
	}
	p.state = r.closing
	return true
}

// object reads on inside of an object.
func (r *reader) object() bool {
	o, p := &r.json, r.p
	if o.stage == objectArgs {
		return r.objectArgs()
	}
	if o.stage == objectSkip {
		return r.objectSkip()
	}
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" {
		return r.unfinished()
	}
	r.take(len(p.buf) - len(s))
	switch o.stage {
	case objectKey:
		if s[0] == '}' {
			return r.objectEnd()
		}
		key, n, st := readString(s, p.final)
		if st == waits {
			return r.unfinished()
		}
		rest := strings.TrimLeft(s[n:], " \t\r\n")
		if st == works && rest == "" {
			return r.unfinished()
		}
		if st == fails || rest[0] != ':' {
			return r.fail("it is no valid JSON")
		}
		o.key = key
		r.take(len(s) - len(rest) + 1)
		o.stage = objectValue
	case objectValue:
		return r.objectValue(s)
	case objectNext:
		switch s[0] {
		case ',':
			r.take(1)
			o.stage = objectKey
		case '}':
			return r.objectEnd()
		default:
			return r.fail("it is no valid JSON")
		}
	}
	return true
}

func oneOf(s string, words ...string) bool {
	for _, w := range words {
		if s == w && w != "" {
			return true
		}
	}
	return false
}

// objectValue begins the value of a key.
func (r *reader) objectValue(s string) bool {
	o, shape := &r.json, &r.f.object
	switch {
	case shape.keyed && o.depth == 1 && s[0] == '{':
		r.call.name = o.key
		return r.startArgs()
	case oneOf(o.key, shape.args, "arguments", "parameters") && !o.args:
		return r.startArgs()
	case oneOf(o.key, shape.inner, "function") && s[0] == '{':
		r.take(1)
		o.depth++
		o.stage = objectKey
		return true
	}
	o.scan = jsonScanner{}
	o.value.Reset()
	o.stage = objectSkip
	return true
}

// startArgs begins the arguments. They are streamed if the name is known.
func (r *reader) startArgs() bool {
	o := &r.json
	o.args = true
	o.scan = jsonScanner{}
	c := r.p.buf[0]
	if c == '"' || c == 'n' || r.call.name == "" { // a text of JSON, null, or before the name
		o.buffer = true
		o.value.Reset()
		o.stage = objectSkip
		return true
	}
	if c != '{' {
		return r.fail("its arguments are no JSON object")
	}
	if !r.start() {
		return true
	}
	o.stage = objectArgs
	return true
}

// start begins the call, unless it must be one of a known tool and is not.
func (r *reader) start() bool {
	if r.call.begun {
		return true
	}
	if r.known && r.p.tools[r.call.name] == nil {
		r.fail("there is no tool of that name")
		return false
	}
	r.begin()
	return true
}

func (r *reader) objectArgs() bool {
	done, ok := r.streamJSON(&r.json.scan)
	switch {
	case !ok:
		return r.fail("its arguments are no valid JSON")
	case !done:
		return r.unfinished()
	}
	r.json.stage = objectNext
	return true
}

// objectSkip reads a value to its end and uses it: the name, the id, or arguments that wait.
func (r *reader) objectSkip() bool {
	o, p := &r.json, r.p
	n, done := 0, false
	for n < len(p.buf) {
		fits, ended := o.scan.next(p.buf[n])
		if !fits {
			r.take(n)
			return r.fail("it is no valid JSON")
		}
		if ended {
			done = true
			break
		}
		if n++; o.scan.complete() && o.scan.state != inNumber {
			done = true
			break
		}
	}
	o.value.WriteString(r.take(n))
	if !done {
		return r.unfinished()
	}
	o.stage = objectNext
	value := strings.TrimSpace(o.value.String())
	if o.buffer {
		o.buffer = false
		return r.waitingArgs(value)
	}
	text := value
	if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &text) != nil {
		return r.fail("it is no valid JSON")
	}
	shape := &r.f.object
	switch {
	case oneOf(o.key, shape.name, "name", "tool_name") && r.call.name == "":
		r.call.name = text
		if o.pending != "" {
			if !r.start() {
				return true
			}
			p.args(o.pending)
		}
	case oneOf(o.key, shape.id, "id", "tool_call_id"):
		r.call.id = text
	}
	return true
}

// waitingArgs takes arguments that were read as a whole: an object, a text with one, or null.
func (r *reader) waitingArgs(value string) bool {
	if value == "null" {
		value = "{}"
	}
	var text string
	if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &text) == nil {
		value = strings.TrimSpace(text)
	}
	if !strings.HasPrefix(value, "{") || !json.Valid([]byte(value)) {
		return r.fail("its arguments are no JSON object")
	}
	if r.call.name == "" {
		r.json.pending = value
		return true
	}
	if r.start() {
		r.p.args(value)
	}
	return true
}

// objectEnd takes the brace that ends an object.
func (r *reader) objectEnd() bool {
	o := &r.json
	r.take(1)
	o.stage = objectNext
	if o.depth--; o.depth > 0 {
		return true
	}
	if r.call.name == "" {
		return r.fail("it has no name")
	}
	if !r.start() {
		return true
	}
	if !o.args {
		r.p.args("{}")
	}
	r.end()
	r.p.state = r.afterObject
	return true
}

// readString reads a JSON string at the beginning of s: its value and how many bytes it takes.
func readString(s string, final bool) (value string, n int, st status) {
	if s[0] != '"' {
		return "", 0, fails
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(s[:i+1]), &value) != nil {
				return "", 0, fails
			}
			return value, i + 1, works
		}
	}
	return "", 0, waits
}

// bareCall sees whether an answer begins with a call that no mark announces, as Llama 3 writes
// them: an object with a name, a list of them, or calls in Python. Only known tools count.
func (p *Parser) bareCall() status {
	if len(p.tools) == 0 {
		return fails
	}
	const tag = "<|python_tag|>"
	if c := p.t.calls; c != nil && c.given {
		r := &reader{p: p, f: c, known: true}
		p.state = r.readName
		return works
	}
	if p.t.calls != nil && p.t.calls.trigger != "" {
		return fails
	}
	s := p.buf
	if strings.HasPrefix(s, tag) {
		s = strings.TrimLeft(s[len(tag):], " \n")
	} else if !p.final && strings.HasPrefix(tag, s) {
		return waits
	}
	f := callFormat{kind: jsonCalls}
	if p.t.calls != nil {
		f = *p.t.calls
	}
	mode := startsCall(s)
	switch {
	case mode == 0 && p.final, mode < 0:
		if len(s) < len(p.buf) && mode < 0 {
			return p.pythonCode(s)
		}
		return fails
	case mode == 0:
		return waits
	case mode == 'p':
		f = callFormat{kind: pythonCalls}
	}
	r := &reader{p: p, f: &f, known: true}
	r.take(len(p.buf) - len(s))
	p.state = r.reading()
	return works
}

// startsCall looks at the beginning of an answer: 'j' for a call in JSON, 'p' for one in Python, -1
// for neither, 0 if more text is needed.
func startsCall(s string) int {
	t := strings.TrimLeft(s, " \t\r\n")
	list := strings.HasPrefix(t, "[")
	if list {
		t = strings.TrimLeft(t[1:], " \t\r\n")
	}
	if t == "" {
		return 0
	}
	if t[0] == '{' {
		t = strings.TrimLeft(t[1:], " \t\r\n")
		if t == "" {
			return 0
		}
		key, _, st := readString(t, false)
		switch {
		case st == waits:
			return 0
		case oneOf(key, "name", "type", "function", "id", "arguments", "parameters", "tool_name", "tool_call_id"):
			return 'j'
		}
		return -1
	}
	n, st := word(t, false)
	switch {
	case st == waits:
		return 0
	case st == works && t[n] == '(' && (list || strings.Contains(t[:n], ".call")):
		return 'p'
	}
	return -1
}

// pythonCode is a call of the interpreter: all that follows is code.
func (p *Parser) pythonCode(string) status {
	const tag = "<|python_tag|>"
	p.buf = p.buf[len(tag):]
	p.begin("python", "")
	p.args(`{"code": "`)
	p.state = func() bool {
		p.args(escapeJSON(p.buf))
		p.buf = ""
		if p.final && p.inCall {
			p.args(`"}`)
			p.end("")
		}
		return false
	}
	return works
}
