package jinja

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// A Source says where bytes of a string come from.
type Source int32

const (
	FromTemplate Source = 0 // the template itself, a [Literal], or what is computed from numbers
	Input        Source = 1 // a string of the variables
)

// A Literal is a string in the variables that counts as written by the template, such as the
// spelling of the token that begins a sequence.
type Literal string

// Sourced is a string in the variables with a source of its own, to be found again in the output.
type Sourced struct {
	Text   string
	Source Source
}

// A Span is a part of an output, [From, To) in bytes, with one source.
type Span struct {
	From, To int
	Source   Source
}

// Text is an output: a string that knows where its bytes come from.
type Text struct{ t text }

// NewText returns a text with one source.
func NewText(s string, from Source) Text { return Text{text{s: s, src: from}} }

// String returns the text.
func (t Text) String() string { return t.t.s }

// Len returns the number of bytes.
func (t Text) Len() int { return len(t.t.s) }

// Spans returns the parts of the text in order; neighbours differ in their source.
func (t Text) Spans() []Span {
	var spans []Span
	from := 0
	t.t.each(0, len(t.t.s), func(s string, src Source) {
		spans = append(spans, Span{from, from + len(s), src})
		from += len(s)
	})
	return spans
}

// Slice returns the bytes [from, to).
func (t Text) Slice(from, to int) Text { return Text{*t.t.slice(from, to)} }

// Concat returns the texts one after the other.
func Concat(parts ...Text) Text {
	var b builder
	for i := range parts {
		b.add(&parts[i].t)
	}
	return Text{*b.text()}
}

// text is a string as a value. It is never changed.
type text struct {
	s      string
	src    Source // of all bytes if runs is nil
	runs   []run  // the parts, by ascending end; shared by slices
	off    int    // the byte of runs that s begins with
	markup bool   // marked as safe by a filter: what is added to it is escaped
	grow   *growing
}

// run is a part of a text that ends before byte end; the first one may begin before the text, and
// the last one may end after it.
type run struct {
	end int
	src Source
}

// growing is the memory of a text that was made by adding to another one. Adding to the latest text
// in it needs no copy, so that collecting n bytes in a loop takes time n.
type growing struct {
	b    strings.Builder
	runs []run
}

func lit(s string) *text { return &text{s: s} }

// each calls f for every part of bytes [from, to).
func (t *text) each(from, to int, f func(s string, src Source)) {
	if from >= to {
		return
	}
	if t.runs == nil {
		f(t.s[from:to], t.src)
		return
	}
	for i := t.runAt(from); from < to; i++ {
		end := min(t.runs[i].end-t.off, to)
		f(t.s[from:end], t.runs[i].src)
		from = end
	}
}

// runAt is the index of the run that holds byte i.
func (t *text) runAt(i int) int {
	i += t.off
	if len(t.runs) <= 4 {
		for k := range t.runs {
			if i < t.runs[k].end {
				return k
			}
		}
	}
	return sort.Search(len(t.runs), func(k int) bool { return i < t.runs[k].end })
}

// slice returns bytes [from, to), in constant memory.
func (t *text) slice(from, to int) *text {
	if from == 0 && to == len(t.s) {
		return t
	}
	r := &text{s: t.s[from:to], src: t.src, markup: t.markup}
	if t.runs == nil || from >= to {
		return r
	}
	first, last := t.runAt(from), t.runAt(to-1)
	if r.src = t.runs[first].src; first == last {
		return r
	}
	r.runs, r.off = t.runs[first:last+1:last+1], t.off+from
	return r
}

// source is where byte i comes from.
func (t *text) source(i int) Source {
	if t.runs == nil {
		return t.src
	}
	return t.runs[t.runAt(i)].src
}

// from returns the bytes from i on.
func (t *text) from(i int) *text { return t.slice(i, len(t.s)) }

// plain drops the mark of safe text.
func (t *text) plain() *text {
	if !t.markup {
		return t
	}
	c := *t
	c.markup = false
	return &c
}

// grows reports whether adding to t needs no copy of it.
func (t *text) grows() bool { return t.grow != nil && t.grow.b.Len() == len(t.s) }

// concat is a + b.
func concat(a, b *text) *text {
	if len(b.s) == 0 {
		return a.plain()
	}
	if len(a.s) == 0 {
		return b.plain()
	}
	g := a.grow
	if !a.grows() {
		g = &growing{}
		g.b.Grow(len(a.s) + len(b.s))
		g.b.WriteString(a.s)
		a.each(0, len(a.s), func(s string, src Source) { g.runs = addRun(g.runs, len(s), src) })
	} // The last run of g may grow: a shorter text that shares it ends where its bytes end.
	g.b.WriteString(b.s)
	b.each(0, len(b.s), func(s string, src Source) { g.runs = addRun(g.runs, len(s), src) })
	r := &text{s: g.b.String(), grow: g, src: g.runs[0].src}
	if len(g.runs) > 1 {
		r.runs = g.runs
	}
	return r
}

// addRun adds n bytes to runs, to the last one if it has the same source.
func addRun(runs []run, n int, src Source) []run {
	end := n
	if k := len(runs) - 1; k >= 0 {
		end += runs[k].end
		if runs[k].src == src {
			runs[k].end = end
			return runs
		}
	}
	return append(runs, run{end, src})
}

// builder puts a text together.
type builder struct {
	b    []byte
	runs []run
}

// write adds bytes of one source.
func (b *builder) write(s string, src Source) {
	if s == "" {
		return
	}
	b.b = append(b.b, s...)
	b.runs = addRun(b.runs, len(s), src)
}

// lit adds what the template writes.
func (b *builder) lit(s string) { b.write(s, FromTemplate) }

func (b *builder) rune(r rune, src Source) {
	n := len(b.b)
	b.b = utf8.AppendRune(b.b, r)
	b.runs = addRun(b.runs, len(b.b)-n, src)
}

func (b *builder) add(t *text) { b.addRange(t, 0, len(t.s)) }

func (b *builder) addRange(t *text, from, to int) { t.each(from, to, b.write) }

func (b *builder) len() int { return len(b.b) }

// text returns what was put together. The builder must not be used after it.
func (b *builder) text() *text {
	t := &text{s: string(b.b)}
	if len(b.runs) > 0 {
		t.src = b.runs[0].src
	}
	if len(b.runs) > 1 {
		t.runs = b.runs
	}
	return t
}

// mapRunes replaces every character; f also gets its offset in bytes.
func (t *text) mapRunes(f func(i int, r rune) string) *text {
	var b builder
	for i, r := range t.s {
		b.write(f(i, r), t.source(i))
	}
	return b.text()
}

// length counts characters.
func (t *text) length() int { return utf8.RuneCountInString(t.s) }

// ascii reports whether every character is one byte.
func (t *text) ascii() bool {
	for i := range len(t.s) {
		if t.s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// offsets returns the byte offset of each character, and the length at the end.
func (t *text) offsets() []int {
	o := make([]int, 0, len(t.s)+1)
	for i := range t.s {
		o = append(o, i)
	}
	return append(o, len(t.s))
}
