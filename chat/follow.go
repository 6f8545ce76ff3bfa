package chat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
)

// An anchor is a place that has been computed: so many bytes of text, which are so many ids.
type anchor struct{ text, ids int }

// Follow makes next, a prompt of the same conversation with more messages, begin with the ids
// that the model has read and generated, as far as the rendering says the same. Tokenizing the
// text of an answer again may give other ids than the model chose; then everything after would
// have to be computed again.
//
// generated are the ids of the answer to prev. Follow returns how many ids of next are kept.
func (t *Template) Follow(next, prev *Prompt, generated []int32) int {
	for len(generated) > 0 && t.vocab.IsEOG(generated[len(generated)-1]) {
		generated = generated[:len(generated)-1] // the template writes it
	}
	before := prev.Text.String() + t.spell(generated)
	ids := append(slices.Clone(prev.IDs), generated...)
	anchors := append(slices.Clone(prev.anchors), anchor{prev.Text.Len(), len(prev.IDs)}, anchor{len(before), len(ids)})
	text := next.Text.String()
	for i := len(anchors) - 1; i >= 0; i-- {
		a := anchors[i]
		if a.text > len(text) || a.text > len(before) || text[:a.text] != before[:a.text] {
			continue
		}
		next.anchors = anchors[:i+1]
		next.IDs = t.Encode(slices.Clone(ids[:a.ids]), next.Text.Slice(a.text, len(text)), false)
		return a.ids
	}
	return 0
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

// ThinkModes are the values of [Template.Think].
var ThinkModes = []string{"on", "off", "low", "medium", "high"}

// thinkSwitches are variables that switch thinking on and off; those of the second kind, off and
// on.
var thinkSwitches = [2][]string{{"enable_thinking", "thinking"}, {"skip_think", "skip_thinking"}}

// thinkLevels are variables that say how much to think.
var thinkLevels = []string{"reasoning_effort", "thinking_effort", "reasoning_strength"}

// Think returns the variables that make the model think: on, off, or so much. A template that has
// no variable for it gives an error.
func (t *Template) Think(mode string) (*jinja.Map, error) {
	if !slices.Contains(ThinkModes, mode) {
		return nil, fmt.Errorf("want %s, found %q", strings.Join(ThinkModes, ", "), mode)
	}
	v := &jinja.Map{}
	for i, names := range thinkSwitches {
		for _, n := range names {
			if t.Reads(n) {
				v.Set(n, (mode != "off") != (i == 1))
			}
		}
	}
	if t.Reads("thinking_mode") {
		v.Set("thinking_mode", map[bool]string{true: "chat", false: "thinking"}[mode == "off"])
	}
	switched := len(v.Keys()) > 0
	leveled := false
	for _, n := range thinkLevels {
		if t.Reads(n) {
			leveled = true
			if mode != "on" && mode != "off" {
				v.Set(n, jinja.Literal(mode))
			}
		}
	}
	level := mode != "on" && mode != "off"
	switch {
	case level && !leveled:
		return nil, fmt.Errorf("%s: the template has no levels of thinking: want on or off", t.code.Name())
	case mode == "off" && !switched, mode == "on" && !switched && !leveled:
		return nil, fmt.Errorf("%s: the template has no variable to switch thinking %s", t.code.Name(), mode)
	}
	return v, nil
}
