package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goinfer/goinfer/chat/jinja"
)

// anchor is a place that has been computed: so many bytes of text, which are so many ids.
type anchor struct{ text, ids int }

// Follow makes next, a prompt of the same conversation with more messages, begin with the ids
// that the model has read and generated, as far as the rendering says the same. Tokenizing the
// text of an answer again may give other ids than the model chose; then everything after would
// have to be computed again.
//
// generated are the ids of the answer to prev. Follow returns how many ids of next are kept. A
// control token is kept only where the template writes it in next.
func (t *Template) Follow(next, prev *Prompt, generated []int32) int {
	for len(generated) > 0 && t.vocab.IsEOG(generated[len(generated)-1]) {
		generated = generated[:len(generated)-1] // the template writes it
	}
	same := sameBytes(next.Text, prev.Text)
	anchors := slices.DeleteFunc(slices.Clone(prev.anchors), func(a anchor) bool { return a.text > same })
	if same == prev.Text.Len() {
		anchors = append(anchors, anchor{same, len(prev.IDs)})
		anchors = append(anchors, t.inAnswer(next.Text, same, len(prev.IDs), generated)...)
	}
	ids := slices.Concat(prev.IDs, generated)
	for i := len(anchors) - 1; i >= 0; i-- {
		a := anchors[i]
		rest, ok := t.goesOn(next.Text.Slice(a.text, next.Text.Len()), next.allow)
		if !ok {
			continue
		}
		// Of the tokens of an answer the last one that is kept is enough.
		next.anchors = slices.DeleteFunc(slices.Clone(prev.anchors), func(b anchor) bool { return b.text >= min(a.text, same) })
		if same == prev.Text.Len() && a.text > same {
			next.anchors = append(next.anchors, anchor{same, len(prev.IDs)})
		}
		next.anchors = append(next.anchors, a)
		next.IDs = append(slices.Clone(ids[:a.ids]), rest...)
		return a.ids
	}
	return 0
}

// inAnswer lists the places after each generated token, as far as text, from the byte at on, goes
// on with them. n ids come before.
func (t *Template) inAnswer(text jinja.Text, at, n int, generated []int32) (anchors []anchor) {
	s, spans := text.String(), text.Spans()
	for i, id := range generated {
		piece := t.spell(generated[i : i+1])
		if !strings.HasPrefix(s[at:], piece) {
			break
		}
		to := at + len(piece)
		for len(spans) > 0 && spans[0].To <= at {
			spans = spans[1:]
		}
		if t.vocab.IsControl(id) || t.isMarkup(id) {
			if len(spans) == 0 || spans[0].Source != jinja.FromTemplate || spans[0].To < to {
				break
			}
		}
		at = to
		if at == len(s) || utf8.RuneStart(s[at]) {
			anchors = append(anchors, anchor{at, n + i + 1})
		}
	}
	return anchors
}

// goesOn encodes text that follows other text. ok is false where it would not be as in the middle
// of a text: some vocabularies put a space in front of what they encode.
func (t *Template) goesOn(text jinja.Text, allow bool) (ids []int32, ok bool) {
	ids = t.Encode(nil, text, allow)
	if !t.prefixes || len(ids) == 0 || t.vocab.IsControl(ids[0]) || t.isMarkup(ids[0]) {
		return ids, true
	}
	if first := t.spell(ids[:1]); first == " " && !strings.HasPrefix(text.String(), " ") {
		return ids[1:], true
	}
	return nil, false
}

// sameBytes is the length of the common beginning of two renderings, in which also the same bytes
// are the template's.
func sameBytes(a, b jinja.Text) int {
	s, u := a.String(), b.String()
	n := 0
	for n < len(s) && n < len(u) && s[n] == u[n] {
		n++
	}
	x, y := a.Spans(), b.Spans()
	for at := 0; at < n; {
		for x[0].To <= at {
			x = x[1:]
		}
		for y[0].To <= at {
			y = y[1:]
		}
		if (x[0].Source == jinja.FromTemplate) != (y[0].Source == jinja.FromTemplate) {
			return at
		}
		at = min(x[0].To, y[0].To)
	}
	return n
}

// spell is the text of ids with control tokens as they are spelled.
func (t *Template) spell(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if t.vocab.IsControl(id) {
			b.WriteString(t.vocab.Spelling(id))
		} else {
			b.Write(t.vocab.Bytes(id))
		}
	}
	return b.String()
}

// savedPrompt is a Prompt as JSON.
type savedPrompt struct {
	Text    []byte     `json:"text"`
	Spans   [][2]int64 `json:"spans"` // the end of each, and its source
	IDs     []int32    `json:"ids"`
	Anchors [][2]int   `json:"anchors"` // bytes, ids
}

// MarshalJSON writes what [Template.Follow] wants to know of a prompt.
func (p *Prompt) MarshalJSON() ([]byte, error) {
	s := savedPrompt{Text: []byte(p.Text.String()), IDs: p.IDs}
	for _, span := range p.Text.Spans() {
		s.Spans = append(s.Spans, [2]int64{int64(span.To), int64(span.Source)})
	}
	for _, a := range p.anchors {
		s.Anchors = append(s.Anchors, [2]int{a.text, a.ids})
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Prompt) UnmarshalJSON(data []byte) error {
	var s savedPrompt
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	var parts []jinja.Text
	at := int64(0)
	for _, span := range s.Spans {
		if span[0] <= at || span[0] > int64(len(s.Text)) || span[1] != int64(jinja.Source(span[1])) {
			return fmt.Errorf("a saved prompt has a part that ends at byte %d of %d", span[0], len(s.Text))
		}
		parts = append(parts, jinja.NewText(string(s.Text[at:span[0]]), jinja.Source(span[1])))
		at = span[0]
	}
	if at != int64(len(s.Text)) {
		return errors.New("the parts of a saved prompt are not all of it")
	}
	last := anchor{}
	var anchors []anchor
	for _, a := range s.Anchors {
		if a[0] < last.text || a[0] > len(s.Text) || a[1] < last.ids || a[1] > len(s.IDs) {
			return fmt.Errorf("a saved prompt has token %d at byte %d, after %d at %d", a[1], a[0], last.ids, last.text)
		}
		last = anchor{a[0], a[1]}
		anchors = append(anchors, last)
	}
	*p = Prompt{Text: jinja.Concat(parts...), IDs: s.IDs, anchors: anchors}
	return nil
}
