package chat

import "strings"

// harmony reads the messages of gpt-oss: a header, which names the channel and perhaps a recipient,
// and a body. https://github.com/openai/harmony.
type harmony struct {
	p     *Parser
	given string // what the prompt wrote of the header
	call  bool
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
		h.call, h.scan = true, jsonScanner{}
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

func (h *harmony) arguments() bool {
	p := h.p
	s, ended := h.piece()
	for i := 0; i < len(s) && h.call; i++ {
		fits, done := h.scan.next(s[i])
		if !fits || done {
			p.args(s[:i])
			p.end("its arguments are no valid JSON")
			p.note("a call was malformed: its arguments are no valid JSON")
			h.call = false
			s = s[i:]
		}
	}
	if h.call {
		p.args(s)
	} else {
		p.text(s)
	}
	if (ended || p.final) && h.call {
		problem := ""
		if !h.scan.complete() {
			problem = "the call is not finished"
			p.note("the answer ended inside of a call")
		}
		p.end(problem)
		h.call = false
	}
	return h.next(ended)
}
