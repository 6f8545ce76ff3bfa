package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// plainText is a writer to a terminal of text that a model made: control characters, which could do
// anything to a terminal, are written as escapes, all but line breaks and tabs.
type plainText struct {
	out io.Writer
	// the beginning of a character, or a carriage return that may be one of a line break
	held []byte
}

// Write takes text in pieces of any length.
func (p *plainText) Write(b []byte) (int, error) {
	p.held = append(p.held, b...)
	return len(b), p.flush(false)
}

// end writes what was held back for want of what follows.
func (p *plainText) end() error { return p.flush(true) }

func (p *plainText) flush(all bool) error {
	var text bytes.Buffer
	for len(p.held) > 0 {
		if !all && (!utf8.FullRune(p.held) || string(p.held) == "\r") {
			break
		}
		r, n := utf8.DecodeRune(p.held)
		switch {
		case bytes.HasPrefix(p.held, []byte("\r\n")):
			n = 2
			text.WriteString("\r\n")
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&text, `\x%02x`, p.held[0])
		case r == '\n' || r == '\t' || !unicode.IsControl(r):
			text.Write(p.held[:n])
		default:
			text.WriteString(printable(string(r)))
		}
		p.held = p.held[n:]
	}
	_, err := p.out.Write(text.Bytes())
	return err
}
