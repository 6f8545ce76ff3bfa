package regex

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// derive returns what may follow r in the texts of l that stand after ctx.
func (s *Space) derive(l *Language, r rune, ctx uint8) *Language {
	if s.Steps++; s.Limit > 0 && s.Steps > s.Limit && s.Exceeded != nil {
		s.Exceeded()
	}
	switch l.op {
	case tAll:
		return l
	case tLength:
		hi := l.max
		if hi != noMax {
			hi--
		}
		return s.Length(l.min-1, hi)
	case tSet:
		if s.sets[l.set].Has(r) {
			return l.next
		}
	case tLoop, tLazy:
		return s.deriveKept(l, r, ctx)
	case tOr, tAnd:
		subs := make([]*Language, len(l.subs))
		for i, x := range l.subs {
			subs[i] = s.derive(x, r, ctx)
			if l.op == tAnd && subs[i] == s.Fail {
				return s.Fail
			}
		}
		if l.op == tOr {
			return s.Or(subs...)
		}
		return s.And(subs...)
	case tNot:
		return s.Not(s.derive(l.subs[0], r, ctx))
	case tWords:
		return s.deriveWords(l, r)
	case tAssert:
		if l.pat.holds(ctx, r) {
			return s.derive(l.next, r, ctx)
		}
	}
	return s.Fail
}

// keepDerived bounds the derivatives that are kept.
const keepDerived = 1 << 17

// deriveKept is derive for what many states have in common, and keeps what it finds.
func (s *Space) deriveKept(l *Language, r rune, ctx uint8) *Language {
	derive := s.deriveLoop
	if l.op == tLazy {
		derive = func(l *Language, r rune, ctx uint8) *Language {
			return s.derive(s.alternatives(l.pat, l.next), r, ctx)
		}
	}
	if len(s.active) > 0 { // which forbids some ways
		return derive(l, r, ctx)
	}
	if !l.assert {
		ctx = afterRest
	}
	k := uint64(l.id)<<32 | uint64(r)<<2 | uint64(ctx)
	out := s.derived[k]
	if out == nil {
		out = derive(l, r, ctx)
		if len(s.derived) >= keepDerived {
			clear(s.derived)
		}
		s.derived[k] = out
	}
	return out
}

func (s *Space) deriveLoop(l *Language, r rune, ctx uint8) *Language {
	if slices.Contains(s.active, l) {
		return s.Fail // an iteration that reads nothing leads nowhere new
	}
	lo, hi := max(l.min-1, 0), l.max
	if hi != noMax {
		hi--
	}
	var once *Language
	if l.pat.op == opSet {
		once = s.Fail
		if l.pat.set.Has(r) {
			once = s.loop(l.pat, lo, hi, l.next)
		}
	} else {
		s.active = append(s.active, l)
		once = s.derive(s.expand(l.pat, s.loop(l.pat, lo, hi, l.next)), r, ctx)
		s.active = s.active[:len(s.active)-1]
	}
	if l.min > 0 {
		return once
	}
	return s.Or(once, s.derive(l.next, r, ctx))
}

func (s *Space) deriveWords(l *Language, r rune) *Language {
	var buf [utf8.UTFMax]byte
	c := string(buf[:utf8.EncodeRune(buf[:], r)])
	words := l.words[l.lo:l.hi]
	rest := func(i int) string {
		w := words[i]
		return w[min(l.depth, len(w)):]
	}
	lo := sort.Search(len(words), func(i int) bool { return rest(i) >= c })
	hi := lo + sort.Search(len(words)-lo, func(i int) bool { return !strings.HasPrefix(rest(lo+i), c) })
	return s.window(l.words, l.lo+lo, l.lo+hi, l.depth+len(c))
}
