package chat

import (
	"encoding/json"

	"github.com/goinfer/goinfer/chat/jinja"
)

// style is how a template wants what messages hold.
type style struct {
	parts         bool   // content as a list of parts
	textArguments bool   // arguments of calls as a text of JSON
	reasoningKey  string // the key of an assistant's thoughts; empty if the template knows none
}

// variables are what the template sees.
func (t *Template) variables(in *Input, s style) *jinja.Map {
	v := &jinja.Map{}
	for name, id := range map[string]int32{"bos_token": t.vocab.BOS(), "eos_token": t.vocab.EOS(), "unk_token": t.vocab.UNK(), "pad_token": t.vocab.PAD()} {
		v.Set(name, jinja.Literal(t.vocab.Spelling(id)))
	}
	if in.Variables != nil {
		for _, k := range in.Variables.Keys() {
			e, _ := in.Variables.Get(k)
			v.Set(k, e)
		}
	}
	messages := make([]any, len(in.Messages))
	for i := range in.Messages {
		messages[i] = s.message(i, &in.Messages[i])
	}
	v.Set("messages", messages)
	v.Set("add_generation_prompt", !in.NoGeneration)
	if _, given := v.Get("documents"); !given {
		v.Set("documents", nil)
	}
	v.Set("tools", nil)
	if t.code.Reads("functions") { // the name before tools
		v.Set("functions", jinja.Literal(""))
	}
	if len(in.Tools) > 0 {
		tools := make([]any, len(in.Tools))
		for i := range in.Tools {
			tools[i] = in.Tools[i].variable()
		}
		v.Set("tools", tools)
		if t.code.Reads("functions") {
			if text, err := json.Marshal(in.Tools); err == nil {
				v.Set("functions", jinja.Sourced{Text: string(text), Source: fromTools})
			}
		}
	}
	if _, given := v.Get("datetime"); !given && t.code.Reads("datetime") {
		v.Set("datetime", jinja.Literal(in.now().Format("2006-01-02 15:04:05")))
	}
	return v
}

func (t *Tool) variable() *jinja.Map {
	var parameters any = (&jinja.Map{}).Set("type", "object").Set("properties", &jinja.Map{})
	if t.Parameters != nil {
		parameters, _ = jinja.ParseJSON(t.Parameters) // checked before
	}
	f := (&jinja.Map{}).Set("name", t.Name).Set("description", t.Description).Set("parameters", parameters)
	return (&jinja.Map{}).Set("type", "function").Set("function", f)
}

// MarshalJSON writes the tool as the function of OpenAI's API.
func (t Tool) MarshalJSON() ([]byte, error) {
	parameters := t.Parameters
	if parameters == nil {
		parameters = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return json.Marshal(struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	}{t.Name, t.Description, parameters})
}

// message is message i as the template sees it.
func (s *style) message(i int, m *Message) *jinja.Map {
	v := (&jinja.Map{}).Set("role", jinja.Sourced{Text: m.Role, Source: sourceOf(i, ofCalls)})
	if roles[m.Role] {
		v.Set("role", jinja.Literal(m.Role))
	}
	src := sourceOf(i, ofContent)
	switch {
	case m.Parts != nil, s.parts && (m.Content != "" || m.Role != "assistant"):
		v.Set("content", s.content(m, src))
	default:
		v.Set("content", jinja.Sourced{Text: m.Content, Source: src})
	}
	if m.Reasoning != "" && s.reasoningKey != "" {
		v.Set(s.reasoningKey, jinja.Sourced{Text: m.Reasoning, Source: sourceOf(i, ofReasoning)})
	}
	calls := sourceOf(i, ofCalls)
	if len(m.ToolCalls) > 0 {
		list := make([]any, len(m.ToolCalls))
		for k := range m.ToolCalls {
			list[k] = s.call(&m.ToolCalls[k], calls)
		}
		v.Set("tool_calls", list)
	}
	if m.ToolCallID != "" {
		v.Set("tool_call_id", jinja.Sourced{Text: m.ToolCallID, Source: calls})
	}
	if m.Name != "" {
		v.Set("name", jinja.Sourced{Text: m.Name, Source: calls})
	}
	return v
}

// content is the text in parts, or as one text where the template knows no parts.
func (s *style) content(m *Message, src jinja.Source) any {
	if !s.parts {
		return jinja.Sourced{Text: m.Text(), Source: src}
	}
	parts := m.Parts
	if parts == nil {
		parts = []Part{{"text", m.Content}}
	}
	list := []any{}
	for _, p := range parts {
		list = append(list, (&jinja.Map{}).Set("type", jinja.Literal("text")).Set("text", jinja.Sourced{Text: p.Text, Source: src}))
	}
	return list
}

func (s *style) call(c *ToolCall, src jinja.Source) *jinja.Map {
	f := (&jinja.Map{}).Set("name", jinja.Sourced{Text: c.Name, Source: src})
	if s.textArguments {
		text := c.Arguments
		if text == "" {
			text = "{}"
		}
		f.Set("arguments", jinja.Sourced{Text: text, Source: src})
	} else {
		args, _ := c.arguments() // checked before
		f.Set("arguments", args.From(src))
	}
	v := &jinja.Map{}
	if c.ID != "" {
		v.Set("id", jinja.Sourced{Text: c.ID, Source: src})
	}
	return v.Set("type", jinja.Literal("function")).Set("function", f)
}
