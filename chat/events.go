package chat

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
)

// EventKind says what an event is.
type EventKind uint8

const (
	EventText      EventKind = iota // a piece of the answer
	EventReasoning                  // a piece of the thoughts before it
	EventCallBegin                  // a call of a tool begins: Call, ID and Name
	EventCallArgs                   // a piece of its arguments, which together are a JSON object
	EventCallEnd                    // the call ends; Text says what is wrong with it, if it is
	EventNote                       // what a user may want to know, as of a malformed call
	EventStop                       // the end, made by who runs the model
)

func (k EventKind) String() string {
	return [...]string{"text", "reasoning", "call", "arguments", "end of call", "note", "stop"}[k]
}

// An Event is a piece of what a model generates.
type Event struct {
	Kind EventKind
	Text string
	Call int    // the number of the call, from 0
	ID   string // of the call, made up where the model writes none
	Name string
}

// A Parser converts generated text to events as it comes. It is for one goroutine and one answer.
//
// The text is that of a [tokenizer.Stream] with Special set, so that control tokens are spelled,
// and without the token that ends generation. However it is cut into pieces, the events are the
// same, but for where texts and arguments are cut.
type Parser struct {
	t      *Template
	tools  map[string]*schema
	id     [32]byte // ids of calls are made of it
	buf    string   // text that is not used yet
	final  bool     // no more is coming
	state  func() bool
	out    []Event
	calls  int
	space  string // white space that is text only if text follows
	begun  bool   // there was text in the answer
	mused  bool   // there was a thought
	inCall bool
}

// NewParser returns a parser for what is generated after a prompt.
func (t *Template) NewParser(prompt *Prompt) *Parser {
	p := &Parser{t: t, tools: map[string]*schema{}}
	h := sha256.New()
	for _, id := range prompt.IDs {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		h.Write(b[:])
	}
	h.Sum(p.id[:0])
	for _, tool := range prompt.tools {
		p.tools[tool.Name] = readSchema(tool.Parameters)
	}
	switch {
	case t.think.harmony:
		m := &harmony{p: p}
		p.state = m.start(prompt.tail)
	case t.think.opened(prompt.tail):
		p.state = p.inReasoning
	default:
		p.state = p.beforeText
	}
	return p
}

// Write takes the next piece of text and returns the events that it completes. They are valid until
// the next call.
func (p *Parser) Write(piece []byte) []Event { return p.run(string(piece), false) }

// Close returns the events of what was held back, at the end of the answer.
func (p *Parser) Close() []Event { return p.run("", true) }

func (p *Parser) run(piece string, final bool) []Event {
	p.out = p.out[:0]
	p.buf += piece
	p.final = final
	for p.state() {
	}
	return p.out
}

// emit adds an event; a piece is joined to one of its kind before it.
func (p *Parser) emit(e Event) {
	if e.Kind <= EventReasoning || e.Kind == EventCallArgs {
		if e.Text == "" {
			return
		}
		if k := len(p.out) - 1; k >= 0 && p.out[k].Kind == e.Kind && p.out[k].Call == e.Call {
			p.out[k].Text += e.Text
			return
		}
	}
	p.out = append(p.out, e)
}

// text emits text: none of the white space in front, and other white space only when something
// follows.
func (p *Parser) text(s string) {
	if !p.begun {
		s = strings.TrimLeft(s, " \t\r\n")
	}
	trimmed := strings.TrimRight(s, " \t\r\n")
	if trimmed != "" {
		p.emit(Event{Kind: EventText, Text: p.space + trimmed})
		p.space = ""
		p.begun = true
	}
	if p.begun {
		p.space += s[len(trimmed):]
	}
}

// begin begins a call. id may be empty.
func (p *Parser) begin(name, id string) {
	if id == "" {
		id = p.makeID(p.calls)
	}
	p.space = ""
	p.emit(Event{Kind: EventCallBegin, Call: p.calls, ID: id, Name: name})
	p.inCall = true
}

func (p *Parser) args(s string) { p.emit(Event{Kind: EventCallArgs, Call: p.calls, Text: s}) }

// end ends a call; problem may be empty.
func (p *Parser) end(problem string) {
	p.emit(Event{Kind: EventCallEnd, Call: p.calls, Text: problem})
	p.calls++
	p.inCall = false
}

func (p *Parser) note(s string) { p.emit(Event{Kind: EventNote, Text: s}) }

// makeID makes the id of a call: nine letters and digits, as Mistral's templates want, that are the
// same for the same prompt.
func (p *Parser) makeID(call int) string {
	h := sha256.Sum256(append(p.id[:], byte(call), byte(call>>8)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(h[:])[:9])
}

// held is how many bytes at the end of s may yet become one of the words.
func held(s string, words []string) int {
	most := 0
	for _, w := range words {
		for n := min(len(w)-1, len(s)); n > most; n-- {
			if strings.HasSuffix(s, w[:n]) {
				most = n
				break
			}
		}
	}
	return most
}

// first finds the first of the words in s, of those at one place the longest.
func first(s string, words []string) (at int, word string) {
	at = -1
	for _, w := range words {
		if k := strings.Index(s, w); k >= 0 && (at < 0 || k < at || k == at && len(w) > len(word)) {
			at, word = k, w
		}
	}
	return at, word
}

// beforeText drops white space at the beginning of an answer, and sees whether it begins with a
// thought or, without any mark, with a call.
func (p *Parser) beforeText() bool {
	p.buf = strings.TrimLeft(p.buf, " \t\r\n")
	if p.buf == "" {
		return false
	}
	th := &p.t.think
	if th.open != "" {
		if open := strings.TrimSpace(th.open); strings.HasPrefix(p.buf, open) {
			p.buf = p.buf[len(open):]
			p.state = p.inReasoning
			return true
		} else if !p.final && strings.HasPrefix(open, p.buf) {
			return false
		}
		// Some models write no opening tag: the end of a thought is dropped if nothing was thought.
		if strings.HasPrefix(p.buf, th.end) {
			p.buf = p.buf[len(th.end):]
			return true
		} else if !p.final && strings.HasPrefix(th.end, p.buf) {
			return false
		}
	}
	for _, s := range p.t.skips {
		switch n, st := s.match(p.buf, p.final); st {
		case waits:
			return false
		case works:
			p.buf = p.buf[n:]
			return true
		}
	}
	if a := p.t.answer; len(a) > 0 {
		n, st := a.match(p.buf, p.final)
		if st == waits {
			return false
		}
		if st == works {
			p.buf = strings.TrimLeft(p.buf[n:], " \t\r\n")
			p.state = p.inText
			return true
		}
	}
	switch p.bareCall() {
	case waits:
		return false
	case works:
		return true
	}
	p.state = p.inText
	return true
}

// inReasoning emits thoughts up to the tag that ends them.
func (p *Parser) inReasoning() bool {
	ends := []string{p.t.think.end}
	if c := p.t.calls; c != nil && c.trigger != "" { // a model may call without ending its thought
		ends = append(ends, c.trigger)
	}
	at, word := first(p.buf, ends)
	n := len(p.buf)
	if at >= 0 {
		n = at
	} else if !p.final {
		n -= held(p.buf, ends)
	}
	p.reasoning(p.buf[:n])
	p.buf = p.buf[n:]
	if at < 0 {
		return false
	}
	if word == p.t.think.end {
		p.buf = p.buf[len(word):]
	}
	p.space = ""
	p.state = p.beforeText
	return true
}

// reasoning emits thoughts, without the white space at both ends.
func (p *Parser) reasoning(s string) {
	if !p.mused {
		s = strings.TrimLeft(s, " \t\r\n")
	}
	trimmed := strings.TrimRight(s, " \t\r\n")
	if trimmed != "" {
		p.emit(Event{Kind: EventReasoning, Text: p.space + trimmed})
		p.space = ""
		p.mused = true
	}
	if p.mused {
		p.space += s[len(trimmed):]
	}
}
