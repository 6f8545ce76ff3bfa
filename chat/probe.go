package chat

import (
	"context"
	"strings"
	"time"

	"github.com/goinfer/goinfer/chat/jinja"
)

// What probe conversations hold. The bytes of a probe have sources of their own, so
// any text would do.
const (
	probeUser      = "probe user text"
	probeAnswer    = "probe answer text"
	probeReasoning = "probe reasoning text"
	probeName      = "probe_function"
	probeOther     = "other_function"
	probeKey       = "probe_key"
	probeValue     = "probe_value"
	probeID        = "callprobe"
)

var probeTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// probeLimits bound each of the renderings that a template is known by. Real templates take some
// thousand steps.
var probeLimits = jinja.Limits{Steps: 1e6, Bytes: 16 << 20, Output: 4 << 20, Now: probeTime}

var probeTools = []Tool{
	{Name: probeName, Description: "probe", Parameters: []byte(`{"type": "object", "properties": {"probe_key": {"type": "string", "description": "probe"}}, "required": ["probe_key"]}`)},
	{Name: probeOther, Description: "probe", Parameters: []byte(`{"type": "object", "properties": {"probe_key": {"type": "string", "description": "probe"}}, "required": ["probe_key"]}`)},
}

// try renders a probe.
func (t *Template) try(s style, in Input) (jinja.Text, bool) {
	in.Now = probeTime
	text, err := t.code.Render(context.Background(), t.variables(&in, s), probeLimits)
	return text, err == nil
}

// has reports whether a rendering shows bytes of a source.
func has(text jinja.Text, src jinja.Source) bool {
	for _, s := range text.Spans() {
		if s.Source == src {
			return true
		}
	}
	return false
}

func user() Message { return Message{Role: "user", Content: probeUser} }

// probe finds out the template's style, and how it writes thoughts and calls.
func (t *Template) probe() {
	in := Input{Messages: []Message{user()}}
	for _, parts := range [...]bool{false, true} {
		s := t.style
		s.parts = parts
		if text, ok := t.try(s, in); ok && strings.Contains(bySource(text, sourceOf(0, ofContent)), probeUser) && !strings.Contains(text.String(), "'text'") {
			t.style = s
			break
		}
	}
	t.probeReasoning()
	t.probeCalls()
	t.learnAnswer()
	t.learnRecipients()
}

// bySource is what a rendering shows of a source.
func bySource(text jinja.Text, src jinja.Source) string {
	var b strings.Builder
	for _, s := range text.Spans() {
		if s.Source == src {
			b.WriteString(text.String()[s.From:s.To])
		}
	}
	return b.String()
}

// probeReasoning finds the key of thoughts, and the text around them.
func (t *Template) probeReasoning() {
	for _, key := range [...]string{"reasoning_content", "thinking", "reasoning"} {
		if !strings.Contains(t.code.Source(), key) {
			continue
		}
		s := t.style
		s.reasoningKey = key
		answer := Message{Role: "assistant", Content: probeAnswer, Reasoning: probeReasoning}
		called := Message{Role: "assistant", Reasoning: probeReasoning, ToolCalls: []ToolCall{probeCall(probeName, probeValue)}}
		for _, m := range [...]Message{answer, called} {
			text, ok := t.try(s, Input{Messages: []Message{user(), m}, NoGeneration: true, Variables: thinkOn(t)})
			if ok && has(text, sourceOf(1, ofReasoning)) {
				t.style = s
				t.think.learn(text)
				break
			}
		}
		if t.style.reasoningKey != "" {
			break
		}
	}
	t.think.guess(t.writes)
}

// thinkOn are variables that switch thinking on where the template knows them.
func thinkOn(t *Template) *jinja.Map {
	v := &jinja.Map{}
	for _, name := range [...]string{"enable_thinking", "thinking"} {
		if t.Reads(name) {
			v.Set(name, true)
		}
	}
	return v
}

func probeCall(name, v string) ToolCall {
	return ToolCall{ID: probeID, Name: name, Arguments: `{"` + probeKey + `": "` + v + `"}`}
}

// probeCalls finds how calls are written: with arguments as an object or as a text, and between
// what.
func (t *Template) probeCalls() {
	plain := probeCall(probeName, probeValue)
	byID := plain
	byID.ID = "functions." + probeName + ":0" // Kimi K2 writes the name as a part of the id
	for _, c := range [...]ToolCall{plain, byID} {
		for _, asText := range [...]bool{false, true} {
			s := t.style
			s.textArguments = asText
			for _, tools := range [...][]Tool{probeTools, nil} {
				text, ok := t.try(s, Input{Messages: []Message{user(), {Role: "assistant", ToolCalls: []ToolCall{c}}}, Tools: tools, NoGeneration: true})
				if ok && showsCall(text) {
					t.style = s
					t.learnCalls(s, tools, text)
					return
				}
			}
		}
	}
	if !t.think.harmony && t.Reads("tools") {
		t.knownCalls()
	}
}

// knownCalls takes the format of a family whose template shows none, by the mark that its
// vocabulary or its instructions have.
func (t *Template) knownCalls() {
	for _, m := range [...][2]string{{"<|tool_call|>", "<|/tool_call|>"}, {"<tool_call>", "</tool_call>"}, {"[TOOL_CALLS]", ""}, {"<TOOLCALL>", "</TOOLCALL>"}} {
		_, inVocab := t.vocab.Lookup(m[0])
		if inVocab || strings.Contains(t.writes, m[0]) {
			t.calls = &callFormat{kind: jsonCalls, trigger: m[0], open: newPattern(m[0], ""), close: newPattern(m[1], ""), object: jsonShape{name: "name", args: "arguments"}}
			return
		}
	}
}

// showsCall reports whether a rendering has the name, the key and the value of the probe's call,
// and not as Python prints a mapping or as a text inside a text.
func showsCall(text jinja.Text) bool {
	shown := bySource(text, sourceOf(1, ofCalls))
	if !strings.Contains(shown, probeName) || !strings.Contains(shown, probeKey) || !strings.Contains(shown, probeValue) {
		return false
	}
	s := text.String()
	return !strings.Contains(s, "{'"+probeKey) && !strings.Contains(s, `{\"`+probeKey) && !strings.Contains(s, `'`+probeKey+`'`)
}
