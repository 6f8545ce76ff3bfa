package explain

import (
	"unicode"
	"unicode/utf8"
)

// TokenKind is what a token is in a text.
type TokenKind int

// The kinds of tokens.
const (
	WordStart   TokenKind = iota // letters after white space: the beginning of a word, or all of it
	WordRest                     // letters after others
	Capital                      // letters that begin with a capital, in either place
	Number                       // digits
	Punctuation                  // punctuation and symbols
	Space                        // white space alone
	Special                      // a control token
	Other                        // the rest, such as pieces of characters
	kinds
)

var kindNames = [kinds]string{"word", "rest of word", "capital", "number", "punctuation", "space", "special", "other"}

func (k TokenKind) String() string { return kindNames[k] }

// KindOf is the kind of a token that adds text, nothing for a control token.
func KindOf(text []byte) TokenKind {
	if len(text) == 0 {
		return Special
	}
	space := false
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case unicode.IsSpace(r):
			space = true
		case r == utf8.RuneError && n < 2:
			return Other
		case unicode.IsUpper(r) || unicode.IsTitle(r):
			return Capital
		case unicode.IsLetter(r) && space:
			return WordStart
		case unicode.IsLetter(r) || unicode.IsMark(r):
			return WordRest
		case unicode.IsDigit(r) || unicode.IsNumber(r):
			return Number
		case unicode.IsPunct(r) || unicode.IsSymbol(r):
			return Punctuation
		default:
			return Other
		}
		text = text[n:]
	}
	return Space
}
