package tokenizer

import "unicode/utf8"

// A Stream converts ids that come one by one to text, a whole number of characters at a time. It is
// for one goroutine.
//
// What a Stream has returned in the end is the text of [Tokenizer.Decode] with U+FFFD for each byte
// that is not UTF-8, but for the cleaning of spaces that some models do at the end, which would
// have to take back what was returned.
type Stream struct {
	t       *Tokenizer
	special bool
	atStart bool
	held    []byte // what may yet become a character
	out     []byte
}

// StreamConfig says what a Stream shows.
type StreamConfig struct {
	// the ids begin a text: the space that the model puts in front is dropped. False where they
	// continue a prompt.
	Start   bool
	Special bool // control tokens are shown as they are spelled
}

// NewStream returns a Stream for the ids of t.
func (t *Tokenizer) NewStream(c StreamConfig) *Stream {
	return &Stream{t: t, special: c.Special, atStart: c.Start && t.spacePrefix}
}

// Push takes the next id and returns the characters that are now complete, as UTF-8. The slice is
// valid until the next call.
func (s *Stream) Push(id int32) []byte {
	n := len(s.held)
	if s.special && s.t.hidden(id) {
		s.held = append(s.held, s.t.text[id]...)
	} else {
		s.held = append(s.held, s.t.Bytes(id)...)
	}
	if s.atStart && len(s.held) > n {
		s.atStart = false
		if s.held[n] == ' ' {
			s.held = append(s.held[:n], s.held[n+1:]...)
		}
	}
	return s.drain(false)
}

// Flush returns what is held back, U+FFFD for each byte, at the end of the text. The Stream can
// then be used for a text that continues.
func (s *Stream) Flush() []byte { return s.drain(true) }

func (s *Stream) drain(all bool) []byte {
	s.out = s.out[:0]
	i := 0
	for i < len(s.held) && (all || utf8.FullRune(s.held[i:])) {
		r, n := utf8.DecodeRune(s.held[i:])
		s.out = utf8.AppendRune(s.out, r)
		i += n
	}
	s.held = s.held[:copy(s.held, s.held[i:])]
	return s.out
}
