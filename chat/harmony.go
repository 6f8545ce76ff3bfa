package chat

import "strings"

// harmony reads the messages of gpt-oss: a header, which names the channel and perhaps a recipient,
// and a body. https://github.com/openai/harmony.
type harmony struct {
	p     *Parser
	given string // what the prompt wrote of the header
	call  bool
	begun bool // there was something of its arguments
	scan  jsonScanner
}

const (
	harmonyStart   = "<|start|>"
	harmonyMessage = "<|message|>"
	harmonyChannel = "<|channel|>"
)

// harmonyEnds end a body.
var harmonyEnds = []string{"<|end|>", "<|call|>", "<|return|>", harmonyStart}

// start returns the state after a prompt, which may have begun a header or a body.
func (h *harmony) start(tail string) func() bool {
	if k := strings.LastIndex(tail, harmonyStart); k >= 0 {
		tail = tail[k+len(harmonyStart):]
		if at := strings.Index(tail, harmonyMessage); at >= 0 {
			h.body(tail[:at])
			return h.p.state
		}
		h.p.buf, h.given = tail, tail
	}
	return h.header
}

// headerMarks begin a header after its role.
var headerMarks = []string{harmonyChannel, harmonyMessage, harmonyStart, "<|constrain|>", " to=", " <|"}

// looksLikeHeader reports whether text may be a header. A model that has lost the format writes
// text.
func looksLikeHeader(s string) status {
	const role = "assistant"
	if strings.HasPrefix(role, s) {
		return waits
	}
	s = strings.TrimPrefix(s, role)
	result := fails
	for _, m := range headerMarks {
		if strings.HasPrefix(s, m) {
			return works
		}
		if strings.HasPrefix(m, s) {
			result = waits
		}
	}
	return result
}

// header reads up to the body.
func (h *harmony) header() bool {
	p := h.p
	st := looksLikeHeader(p.buf)
	if st == fails || st == waits && p.final && p.buf != h.given {
		p.buf = strings.TrimPrefix(p.buf, h.given)
		p.state = h.content
		return true
	}
	at := strings.Index(p.buf, harmonyMessage)
	if at < 0 || st == waits {
		if p.final {
			p.buf = ""
		}
		return false
	}
	head := p.buf[:at]
	p.buf = p.buf[at+len(harmonyMessage):]
	h.given = ""
	h.body(head)
	return true
}

// body chooses the state for the body after a header.
func (h *harmony) body(head string) {
	p := h.p
	channel := ""
	if k := strings.LastIndex(head, harmonyChannel); k >= 0 {
		channel, _, _ = strings.Cut(head[k+len(harmonyChannel):], " ")
		channel, _, _ = strings.Cut(channel, "<")
	}
	recipient := ""
	if k := strings.Index(head, "to="); k >= 0 {
		recipient = head[k+3:]
		if end := strings.IndexAny(recipient, " <\n"); end >= 0 {
			recipient = recipient[:end]
		}
	}
	switch {
	case recipient != "" && recipient != "all" && recipient != "user":
		p.begin(strings.TrimPrefix(recipient, "functions."), "")
		h.call, h.begun, h.scan = true, false, jsonScanner{}
		p.state = h.arguments
	case channel == "analysis":
		p.state = h.thought
	default:
		p.state = h.content
	}
}

// piece returns what there is of a body, and whether it has ended.
func (h *harmony) piece() (s string, ended bool) {
	p := h.p
	at, word := first(p.buf, harmonyEnds)
	if at < 0 {
		n := len(p.buf)
		if !p.final {
			n -= held(p.buf, harmonyEnds)
		}
		s, p.buf = p.buf[:n], p.buf[n:]
		return s, false
	}
	s, p.buf = p.buf[:at], p.buf[at+len(word):]
	return s, true
}

func (h *harmony) next(ended bool) bool {
	if ended {
		h.p.space = ""
		h.p.state = h.header
	}
	return ended
}

func (h *harmony) thought() bool {
	s, ended := h.piece()
	h.p.reasoning(s)
	if ended {
		h.p.mused = false
	}
	return h.next(ended)
}

func (h *harmony) content() bool {
	s, ended := h.piece()
	h.p.text(s)
	return h.next(ended)
}

// arguments reads the body of a call: an object of JSON, or nothing.
func (h *harmony) arguments() bool {
	p := h.p
	s, ended := h.piece()
	if h.call {
		s = h.object(s)
	}
	p.text(s)
	if (ended || p.final) && h.call {
		problem := ""
		switch {
		case !h.begun && ended:
			p.args("{}")
		case !h.begun || !h.scan.complete():
			problem = "the call is not finished"
			p.note("the answer ended inside of a call")
		}
		p.end(problem)
		h.call = false
	}
	return h.next(ended)
}

// object emits the arguments in s and returns what is left if they are no object.
func (h *harmony) object(s string) string {
	p := h.p
	from := 0
	for i := range len(s) {
		c := s[i]
		if !h.begun && isWhiteByte(c) {
			from = i + 1
			continue
		}
		control := c < 0x20 && (h.scan.state == inString || h.scan.state == inKey)
		fits, done := h.scan.next(c)
		if done && isWhiteByte(c) {
			p.args(s[from:i])
			from = i + 1
			continue
		}
		if !fits || done || !h.begun && c != '{' {
			p.args(s[from:i])
			p.end("its arguments are no JSON object")
			p.note("a call was malformed: its arguments are no JSON object")
			h.call = false
			return s[i:]
		}
		h.begun = true
		if control {
			p.args(s[from:i] + escapeJSON(s[i:i+1]))
			from = i + 1
		}
	}
	p.args(s[from:])
	return ""
}
