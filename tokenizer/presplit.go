package tokenizer

import (
	"strings"
	"unicode/utf8"
)

func isSpace(r rune) bool { return classOf(r)&space != 0 }

// isWordRune reports whether r is in \w.
func isWordRune(r rune) bool {
	return classOf(r)&(letter|digit|joiner) != 0 || r == 0x200C || r == 0x200D
}

func endsWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordRune(r)
}

func beginsWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordRune(r)
}

// preTokenizer makes the steps of a pre-tokenizer, the model's algorithm at their end.
func (t *Tokenizer) preTokenizer(steps []Step) (sink, error) {
	if err := checkSteps("pre_tokenizer", steps); err != nil {
		return nil, err
	}
	next := t.wordSink(true)
	for i := len(steps) - 1; i >= 0; i-- {
		s := &steps[i]
		var stages []stage // stages of steps that isolate, one after the other
		from := i
		for from >= 0 {
			st, ok, err := isolating(&steps[from])
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			stages = append(append([]stage(nil), st...), stages...)
			from--
		}
		if from < i {
			next = isolate(stages, next, &t.levels)
			i = from + 1
			continue
		}
		var err error
		if next, err = t.preStep(s, next); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// isolating returns the stages of a step that makes pieces of what it finds and of what is between.
func isolating(s *Step) (list []stage, ok bool, err error) {
	patterns, ok := PatternsOf(s)
	for _, p := range patterns {
		st, known := stages()[canonical(p)]
		if !known {
			return nil, false, unsupported("no pre-tokenizer is known that cuts text by %s", quoted(p))
		}
		list = append(list, st)
	}
	return list, ok, nil
}

var asciiPunct = set{any: punct, ranges: chars("!-/:-@[-`{-~")}

// isolate cuts pieces by stages. levels counts the buffers that are needed.
func isolate(stages []stage, next sink, levels *int) sink {
	if len(stages) == 0 {
		return next
	}
	level := *levels
	*levels += len(stages)
	return func(s *scratch, piece string, first bool) { s.runStages(stages, level, piece, first, next) }
}

// preStep makes a step that is not isolating.
func (t *Tokenizer) preStep(s *Step, next sink) (sink, error) {
	switch s.Type {
	case "ByteLevel": // with a space in front
		if IsTrue(s.UseRegex, true) {
			next = isolate([]stage{gpt2Words}, next, &t.levels)
		}
		return func(sc *scratch, piece string, first bool) {
			if !strings.HasPrefix(piece, " ") {
				piece = " " + piece
			}
			next(sc, piece, first)
		}, nil
	case "Metaspace":
		return metaspace(s, next)
	case "WhitespaceSplit":
		return dropping(isSpace, nil, next), nil
	case "BertPreTokenizer":
		return dropping(isSpace, func(r rune) bool { return asciiPunct.has(r, classOf(r)) }, next), nil
	case "CharDelimiterSplit":
		want, n := utf8.DecodeRuneInString(s.Delimiter)
		if n == 0 || n != len(s.Delimiter) {
			return nil, malformed("pre_tokenizer CharDelimiterSplit: want one character as delimiter, found %s", quoted(s.Delimiter))
		}
		return dropping(func(r rune) bool { return r == want }, nil, next), nil
	case "Whitespace":
		return dropping(isSpace, nil, byClass(isWordRune, next)), nil
	case "Punctuation":
		return behave(s.Behavior, func(text string, i int) int {
			r, n := utf8.DecodeRuneInString(text[i:])
			if asciiPunct.has(r, classOf(r)) {
				return i + n
			}
			return -1
		}, next)
	case "Split":
		if s.Pattern.String != nil && *s.Pattern.String != "" && !s.Invert {
			want := *s.Pattern.String
			return behave(s.Behavior, func(text string, i int) int {
				if strings.HasPrefix(text[i:], want) {
					return i + len(want)
				}
				return -1
			}, next)
		}
	}
	return nil, unsupported("pre_tokenizer %s %s", quoted(s.Type), s.Behavior)
}

// metaspace writes spaces as U+2581 and cuts in front of them.
func metaspace(s *Step, next sink) (sink, error) {
	space := s.Replacement
	if space == "" {
		space = escaped
	}
	if utf8.RuneCountInString(space) != 1 {
		return nil, malformed("pre_tokenizer Metaspace: want one character as replacement, found %s", quoted(space))
	}
	always, atStart := false, false
	switch s.Scheme {
	case "always":
		always = true
	case "first":
		atStart = true
	case "never":
	case "":
		always = IsTrue(s.AddPrefixSpace, true)
	default:
		return nil, malformed("pre_tokenizer Metaspace: want the prepend_scheme always, first or never, found %s", quoted(s.Scheme))
	}
	split := IsTrue(s.Split, true)
	return func(sc *scratch, piece string, first bool) {
		if strings.IndexByte(piece, ' ') >= 0 {
			piece = strings.ReplaceAll(piece, " ", space)
		}
		if (always || atStart && first) && !strings.HasPrefix(piece, space) {
			piece = space + piece
		}
		for split && piece != "" {
			skip := 0
			if strings.HasPrefix(piece, space) {
				skip = len(space)
			}
			i := strings.Index(piece[skip:], space)
			if i < 0 {
				break
			}
			next(sc, piece[:skip+i], first)
			piece, first = piece[skip+i:], false
		}
		if piece != "" {
			next(sc, piece, first)
		}
	}, nil
}

// dropping cuts at characters that are dropped, and around those that stand alone.
func dropping(drop, alone func(rune) bool, next sink) sink {
	return func(s *scratch, piece string, first bool) {
		from := 0
		for i := 0; i < len(piece); {
			r, n := rune(piece[i]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(piece[i:])
			}
			if drop(r) {
				if from < i {
					next(s, piece[from:i], first && from == 0)
				}
				from = i + n
			} else if alone != nil && alone(r) {
				if from < i {
					next(s, piece[from:i], first && from == 0)
				}
				next(s, piece[i:i+n], first && i == 0)
				from = i + n
			}
			i += n
		}
		if from < len(piece) {
			next(s, piece[from:], first && from == 0)
		}
	}
}

// byClass cuts where characters that are in a class and others meet.
func byClass(in func(rune) bool, next sink) sink {
	return func(s *scratch, piece string, first bool) {
		from, inside := 0, false
		for i, r := range piece {
			if is := in(r); is != inside || i == 0 {
				if i > from {
					next(s, piece[from:i], first && from == 0)
				}
				from, inside = i, is
			}
		}
		next(s, piece[from:], first && from == 0)
	}
}

// behave cuts at matches by one of the behaviours of a Split. match returns the end of a match at
// i, or -1.
func behave(behavior string, match func(text string, i int) int, next sink) (sink, error) {
	switch behavior {
	case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous", "":
	default:
		return nil, malformed("pre_tokenizer: unknown behavior %s", quoted(behavior))
	}
	return func(s *scratch, piece string, first bool) {
		from, matched := 0, false // the piece in the making, and whether it is made of matches
		emit := func(to int) {
			if to > from {
				next(s, piece[from:to], first && from == 0)
			}
			from = to
		}
		for i := 0; i < len(piece); {
			end := match(piece, i)
			if end <= i {
				_, n := utf8.DecodeRuneInString(piece[i:])
				if matched {
					matched = false
					if behavior == "Contiguous" {
						emit(i)
					}
				}
				i += n
				continue
			}
			switch behavior {
			case "Removed":
				emit(i)
				from = end
			case "MergedWithPrevious":
				// A match after a match makes a piece of its own.
				emit(end)
			case "MergedWithNext":
				emit(i)
			case "Contiguous":
				if !matched {
					emit(i)
				}
			default:
				emit(i)
				emit(end)
			}
			matched = true
			i = end
		}
		emit(len(piece))
	}, nil
}
