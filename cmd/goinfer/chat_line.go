package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"golang.org/x/term"
)

// editor reads messages from a terminal: lines with editing and history (golang.org/x/term, which
// also knows bracketed paste).
type editor struct {
	in   descriptor
	out  io.Writer
	keys *keyboard
	t    *term.Terminal
}

// descriptor is an end of a terminal.
type descriptor interface {
	io.Reader
	Fd() uintptr
}

const (
	mainPrompt = ">>> "
	morePrompt = "... "
)

// errInterrupted is Ctrl-C while a line is read.
var errInterrupted = errors.New("interrupted")

func newEditor(in descriptor, out io.Writer) *editor {
	e := &editor{in: in, out: out, keys: &keyboard{in: in}}
	e.t = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, out}, mainPrompt)
	return e
}

// keyboard reads keys and rounds Ctrl-C into the end of an empty line, since the line editor would
// take it for the end of everything. In what is pasted it is a character like others.
type keyboard struct {
	in          io.Reader
	interrupted bool
	pasted      bool
	left        []byte
	last        string // the last keys
}

const ctrlC = 3

func (k *keyboard) Read(b []byte) (int, error) {
	if len(k.left) == 0 {
		n, err := k.in.Read(b)
		if n == 0 {
			return n, err
		}
		k.left = append(k.left, b[:n]...)
	}
	if k.left[0] == ctrlC && !k.pasted {
		k.left = append([]byte("\x05\x15\r"), k.left[1:]...) // to the end, delete the line, enter
		k.interrupted = true
	}
	n := 0
	for n < len(k.left) && n < len(b) && (k.left[n] != ctrlC || k.pasted) {
		k.watch(k.left[n])
		n++
	}
	copy(b, k.left[:n])
	k.left = k.left[n:]
	return n, nil
}

// watch sees where what is pasted begins and ends.
func (k *keyboard) watch(c byte) {
	const begins, ends = "\x1b[200~", "\x1b[201~"
	k.last += string(rune(c))
	k.last = k.last[max(0, len(k.last)-len(begins)):]
	switch k.last {
	case begins:
		k.pasted = true
	case ends:
		k.pasted = false
	}
}

// line reads a line; pasted says that more of what was pasted follows.
func (e *editor) line(ctx context.Context, prompt string) (s string, pasted bool, err error) {
	state, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", false, err
	}
	defer term.Restore(int(e.in.Fd()), state)
	if w, h, err := term.GetSize(int(e.in.Fd())); err == nil && w > 0 {
		if err := e.t.SetSize(w, h); err != nil {
			return "", false, err
		}
	}
	e.t.SetPrompt(prompt)
	e.t.SetBracketedPasteMode(true)
	defer e.t.SetBracketedPasteMode(false)
	e.keys.interrupted = false
	s, err = await(ctx, e.t.ReadLine)
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		return s, true, nil
	case err == nil && e.keys.interrupted:
		return "", false, errInterrupted
	}
	return s, false, err
}

// message reads a message: a line, what is pasted, or lines between """.
func (e *editor) message(ctx context.Context, prompt string) (string, error) {
	var lines []string
	quoted := false
	for {
		if len(lines) > 0 {
			prompt = morePrompt
		}
		s, pasted, err := e.line(ctx, prompt)
		if err != nil {
			return "", err
		}
		if !pasted && len(lines) == 0 && strings.HasPrefix(s, `"""`) {
			quoted = true
			s = s[3:]
		}
		if quoted {
			if text, ends := strings.CutSuffix(s, `"""`); ends {
				return strings.TrimPrefix(strings.Join(append(lines, text), "\n"), "\n"), nil
			}
			lines = append(lines, s)
			continue
		}
		lines = append(lines, s)
		if !pasted {
			return strings.TrimSuffix(strings.Join(lines, "\n"), "\n"), nil
		}
	}
}
