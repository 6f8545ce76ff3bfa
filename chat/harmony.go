package chat

import "strings"

// harmony reads the messages of gpt-oss: a header, which names the channel and perhaps a recipient,
// and a body. https://github.com/openai/harmony.
type harmony struct {
	p    *Parser
	call bool
	scan jsonScanner
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
		h.p.buf = tail
	}
	return h.header
}

// header reads up to the body.
func (h *harmony) header() bool {
	p := h.p
	at := strings.Index(p.buf, harmonyMessage)
	if at < 0 {
		// A model that has lost the format writes text at once.
		marks := []string{harmonyChannel, harmonyStart, harmonyMessage, "assistant", " to=", "<|constrain|>"}
		s := strings.TrimPrefix(p.buf, "assistant")
		if k, _ := first(s, marks); s != "" && k < 0 && (held(s, marks) == 0 || p.final) && !strings.HasPrefix(s, " ") {
			p.buf = s
			p.state = h.content
			return true
		}
		if p.final {
			p.buf = ""
		}
		return false
	}
	head := p.buf[:at]
	p.buf = p.buf[at+len(harmonyMessage):]
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
