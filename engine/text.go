package engine

import (
	"bytes"

	"github.com/goinfer/goinfer/tokenizer"
)

// text is what generated tokens spell, as far as it was not yielded: whole characters, held back
// where a stop string may have begun.
type text struct {
	stream  *tokenizer.Stream // nil where only ids are wanted
	stops   []string
	pending []byte
	spans   []span // parts of pending, in order
}

// span is the text of one token: it reaches from the end of the one before it to end. Of characters
// that several tokens make up, the last one has the text.
type span struct {
	id  int32
	end int
}

// push appends what a token spells.
func (t *text) push(id int32) {
	if t.stream == nil {
		return
	}
	t.pending = append(t.pending, t.stream.Push(id)...)
	t.spans = append(t.spans, span{id, len(t.pending)})
}

// flush appends what is held back of an unfinished character.
func (t *text) flush() {
	if t.stream == nil {
		return
	}
	t.pending = append(t.pending, t.stream.Flush()...)
	if n := len(t.spans); n > 0 {
		t.spans[n-1].end = len(t.pending)
	}
}

// stopAt finds the first stop string in what is pending, or -1.
func (t *text) stopAt() (at int, stop string) {
	at = -1
	for _, s := range t.stops {
		if i := index(t.pending, s); i >= 0 && (at < 0 || i < at) {
			at, stop = i, s
		}
	}
	return at, stop
}

// ready is how many bytes no stop string can begin in.
func (t *text) ready() int {
	held := 0
	for _, s := range t.stops {
		for n := min(len(s)-1, len(t.pending)); n > held; n-- {
			if string(t.pending[len(t.pending)-n:]) == s[:n] {
				held = n
			}
		}
	}
	return len(t.pending) - held
}

// take moves the first n bytes to dst, with the tokens that they stem from.
func (t *text) take(dst []byte, ids []int32, n int) ([]byte, []int32) {
	dst = append(dst, t.pending[:n]...)
	t.pending = append(t.pending[:0], t.pending[n:]...)
	if n == 0 {
		return dst, ids
	}
	start, rest := 0, t.spans[:0]
	for _, s := range t.spans {
		if start < n {
			ids = append(ids, s.id)
		}
		if start >= n || s.end > n {
			rest = append(rest, span{s.id, s.end - n})
		}
		start = s.end
	}
	t.spans = rest
	return dst, ids
}

// index is bytes.Index for a string, without turning it into a slice.
func index(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		j := bytes.IndexByte(b[i:], s[0])
		if j < 0 {
			return -1
		}
		if i += j; i+len(s) <= len(b) && string(b[i:i+len(s)]) == s {
			return i
		}
	}
	return -1
}
