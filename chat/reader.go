package chat

import (
	"fmt"
	"strings"
)

// reader reads calls in one format. It takes text from the parser's buffer, and keeps what it
// took so that a call which does not parse can be given back as text.
type reader struct {
	p     *Parser
	f     *callFormat
	raw   strings.Builder // taken since the last event
	known bool            // only calls of known tools are calls
	call  callParts
	json  objectReader
	list  bool // inside of [ ]
	made  int  // calls read since the mark
}

// callParts is the call that is being read.
type callParts struct {
	name, id string
	begun    bool
	args     int // arguments so far
	key      string
	text     bool // the value is streamed as a string
	fresh    bool // nothing of the value was read
	cdata    bool // the value is in <![CDATA[ ]]>
}

// take consumes n bytes of the buffer.
func (r *reader) take(n int) string {
	s := r.p.buf[:n]
	r.p.buf = r.p.buf[n:]
	if !r.call.begun {
		r.raw.WriteString(s)
	}
	return s
}

// begin begins the call.
func (r *reader) begin() {
	r.call.begun = true
	r.raw.Reset()
	r.p.begin(r.call.name, r.call.id)
}

// end ends the call and prepares for the next one.
func (r *reader) end() {
	r.p.end("")
	r.made++
	r.call = callParts{}
	r.json = objectReader{}
	r.raw.Reset()
}

// fail gives up: what was taken is text, or ends the call that has begun.
func (r *reader) fail(why string) bool {
	p := r.p
	if r.call.begun {
		p.end(why)
		p.note("a call was malformed: " + why)
	} else if raw := r.raw.String(); strings.TrimSpace(raw) != "" {
		p.text(raw)
		p.note("text that looks like a call is none: " + why)
	}
	r.raw.Reset()
	r.call = callParts{}
	p.state = p.inText
	return true
}

// unfinished handles text that stops in the middle of a call.
func (r *reader) unfinished() bool {
	if !r.p.final {
		return false
	}
	if r.call.begun {
		r.p.end("the call is not finished")
		r.p.note("the answer ended inside of a call")
		r.p.buf = ""
		r.p.state = r.p.inText
		return false
	}
	r.take(len(r.p.buf))
	return r.fail("the answer ended inside of it")
}

// inText emits text up to what begins a call.
func (p *Parser) inText() bool {
	var marks []string
	if c := p.t.calls; c != nil {
		for _, m := range [...]string{c.trigger, c.also} {
			if m != "" {
				marks = append(marks, m)
			}
		}
	}
	if p.t.answerEnd != "" {
		marks = append(marks, p.t.answerEnd)
	}
	at, word := first(p.buf, marks)
	n := len(p.buf)
	if at >= 0 {
		// The longer of two marks that begin alike may still come.
		if !p.final && len(p.buf)-at < len(word)+8 && longerMayCome(p.buf[at:], word, marks) {
			p.text(p.buf[:at])
			p.buf = p.buf[at:]
			return false
		}
		n = at
	} else if !p.final {
		n -= held(p.buf, marks)
	}
	p.text(p.buf[:n])
	p.buf = p.buf[n:]
	if at < 0 {
		if p.final && p.space != "" && p.begun {
			p.emit(Event{Kind: EventText, Text: p.space})
			p.space = ""
		}
		return false
	}
	if word == p.t.answerEnd {
		p.buf = p.buf[len(word):]
		p.space = ""
		p.state = p.beforeText
		return true
	}
	p.startCalls(word)
	return true
}

// longerMayCome reports whether s is the beginning of a longer mark.
func longerMayCome(s, word string, marks []string) bool {
	for _, m := range marks {
		if len(m) > len(word) && len(s) < len(m) && strings.HasPrefix(m, s) {
			return true
		}
	}
	return false
}

// startCalls begins to read calls at a mark, which the buffer begins with.
func (p *Parser) startCalls(mark string) {
	r := &reader{p: p, f: p.t.calls}
	section, open := r.f.section, r.f.open
	if mark != r.f.trigger {
		section = nil
		for i, e := range open {
			if e.kind == isText && strings.HasPrefix(e.text, mark) {
				open = open[i:]
				break
			}
		}
	}
	p.state = func() bool { return r.opening(mark, section, open) }
}

// opening matches what is before the name of a call.
func (r *reader) opening(mark string, section, open pattern) bool {
	p := r.p
	n, st := section.match(p.buf, p.final)
	if st == works {
		var m int
		if m, st = open.match(p.buf[n:], p.final); st == works {
			r.take(n + m)
			p.state = r.reading()
			return true
		}
	}
	if st == waits {
		return false
	}
	r.take(len(mark))
	if p.final && len(strings.TrimSpace(p.buf)) == 0 {
		return r.fail("nothing follows " + strings.TrimSpace(mark))
	}
	return r.fail(fmt.Sprintf("%q is not followed by one", strings.TrimSpace(mark)))
}

// reading returns the state that reads a call after its opening.
func (r *reader) reading() func() bool {
	switch r.f.kind {
	case jsonCalls:
		r.json = objectReader{}
		r.list = false
		return r.objects
	case pythonCalls:
		return r.python
	case gemmaCalls:
		return r.gemmaName
	}
	return r.readName
}

// between decides what comes after a call: another one, the end of all, or text.
func (r *reader) between() bool {
	p := r.p
	if strings.TrimLeft(p.buf, " \t\r\n") == "" {
		if p.final {
			p.state = p.beforeText
		}
		return p.final && p.buf != ""
	}
	wait := false
	try := func(patterns ...pattern) bool {
		n := 0
		for _, pt := range patterns {
			m, st := pt.match(p.buf[n:], p.final)
			if st == waits {
				wait = true
			}
			if st != works {
				return false
			}
			n += m
		}
		if n > 0 {
			r.take(n)
		}
		return n > 0
	}
	switch {
	case len(r.f.open) > 0 && try(r.f.open), len(r.f.section) > 0 && try(r.f.section, r.f.open):
		p.state = r.reading()
		return true
	case len(r.f.end) > 0 && try(r.f.end):
		r.raw.Reset()
		p.state = p.beforeText
		return true
	case wait:
		return false
	case r.f.kind == jsonCalls: // the mark in front was forgotten
		s := strings.TrimLeft(p.buf, " \t\r\n")
		if mode := startsCall(s); mode == 0 && !p.final && s[0] == '{' {
			return false
		} else if mode == 'j' && s[0] == '{' {
			p.state = r.reading()
			return true
		}
	}
	r.raw.Reset()
	p.state = p.beforeText
	return true
}

// closing matches what ends one call, after its arguments.
func (r *reader) closing() bool {
	p := r.p
	n, st := r.f.close.match(p.buf, p.final)
	if st == waits {
		return false
	}
	if st == works {
		p.buf = p.buf[n:]
	}
	p.state = r.between
	return true
}

// word reads a name from the buffer: its length, if something follows it.
func word(s string, final bool) (int, status) {
	n := 0
	for n < len(s) && (isWordByte(s[n]) || s[n] >= 0x80 || s[n] == '/') {
		n++
	}
	switch {
	case n == len(s) && !final:
		return 0, waits
	case n == 0:
		return 0, fails
	}
	return n, works
}

// readName reads the name of a named or tagged call.
func (r *reader) readName() bool {
	p := r.p
	n, st := word(p.buf, p.final)
	if st == waits {
		return r.unfinished()
	}
	if st == fails {
		return r.fail("it has no name")
	}
	m, st, id := r.f.name.capture(p.buf[n:], p.final)
	switch st {
	case waits:
		return r.unfinished()
	case fails:
		return r.fail("its name is not followed by arguments")
	}
	r.call.name = p.buf[:n]
	if r.known && p.tools[r.call.name] == nil {
		return r.fail("there is no tool of that name")
	}
	if id != "" && r.f.kind == namedCalls {
		r.call.id = r.f.identity(r.call.name, id)
	}
	r.take(n + m)
	if r.f.kind == namedCalls {
		p.state = r.namedArgs
		return true
	}
	p.state = r.tagged
	return true
}

// identity is the id of a call by what is written between name and arguments: the id itself, or a
// number that makes one with the name, as Kimi K2 does.
func (f *callFormat) identity(name, id string) string {
	if prefix := f.open.lastLiteral(); strings.HasSuffix(prefix, "functions.") && f.name.literal() != "" && f.name.literal()[0] == ':' {
		return "functions." + name + ":" + id
	}
	return id
}

// namedArgs reads the JSON after a name.
func (r *reader) namedArgs() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" {
		return r.unfinished()
	}
	if !r.call.begun {
		if s[0] != '{' {
			return r.fail("its arguments are no JSON object")
		}
		r.take(len(p.buf) - len(s))
		r.begin()
	}
	done, ok := r.streamJSON(&r.json.scan)
	switch {
	case !ok:
		return r.fail("its arguments are no valid JSON")
	case !done:
		return r.unfinished()
	}
	r.end()
	p.state = r.closing
	return true
}

// streamJSON emits a JSON value as arguments as far as there is text; done is true at its end.
func (r *reader) streamJSON(scan *jsonScanner) (done, ok bool) {
	p := r.p
	from := 0
	for i := 0; i < len(p.buf); i++ {
		c := p.buf[i]
		control := c < 0x20 && (scan.state == inString || scan.state == inKey)
		fits, ended := scan.next(c)
		if !fits {
			p.args(p.buf[from:i])
			p.buf = p.buf[i:]
			return false, false
		}
		if control {
			p.args(p.buf[from:i] + escapeJSON(p.buf[i:i+1]))
			from = i + 1
		}
		if ended || scan.complete() {
			if !ended {
				i++
			}
			p.args(p.buf[from:i])
			p.buf = p.buf[i:]
			return true, true
		}
	}
	p.args(p.buf[from:])
	p.buf = ""
	return false, true
}
