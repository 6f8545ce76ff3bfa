package jinja

import (
	"fmt"
	"strings"
)

// Kind is the class of an error.
type Kind string

const (
	KindSyntax    Kind = "syntax"    // the template is malformed
	KindRaised    Kind = "raised"    // the template refuses its input: raise_exception
	KindUndefined Kind = "undefined" // something that does not exist was used
	KindType      Kind = "type"      // an operation that the types do not have
	KindValue     Kind = "value"     // a value that an operation does not take
	KindLimit     Kind = "limit"     // one of Limits, or the context, ended it
)

// An Error is a fault in a template or in what it was given.
type Error struct {
	Template string // the name given to Compile
	Line     int    // from 1
	Column   int    // in characters, from 1
	Expr     string // the expression or statement, shortened; may be empty
	Kind     Kind
	Message  string // for KindRaised, the template's own words
	cause    error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", e.Template, e.Line, e.Column)
	if e.Kind == KindRaised {
		b.WriteString("the template refuses: ")
	}
	b.WriteString(e.Message)
	if e.Expr != "" {
		fmt.Fprintf(&b, " (in %s)", e.Expr)
	}
	return b.String()
}

// Unwrap returns the context's error where that ended the rendering.
func (e *Error) Unwrap() error { return e.cause }

// position returns the line and column of a byte of source.
func position(source string, at int) (line, column int) {
	at = min(at, len(source))
	line = 1 + strings.Count(source[:at], "\n")
	start := strings.LastIndexByte(source[:at], '\n') + 1
	return line, 1 + len([]rune(source[start:at]))
}

// excerpt is a piece of source on one line and not long.
func excerpt(source string, from, to int) string {
	if from < 0 || from >= len(source) || to <= from {
		return ""
	}
	s := strings.Join(strings.Fields(source[from:min(to, len(source))]), " ")
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
}
