package chat

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
)

// A Finding is what a template does with one of the conversations of [Check].
type Finding struct {
	Name    string
	Verdict Verdict
	Message string // the template's words, the error, or what is left out
}

// Verdict is how a template took a conversation.
type Verdict string

const (
	VerdictOK      Verdict = "ok"
	VerdictDrops   Verdict = "drops"   // a text of the conversation is not in the rendering
	VerdictRefuses Verdict = "refuses" // the template raises an exception, on purpose
	VerdictFails   Verdict = "fails"   // an error that the template did not mean
)

//go:embed check.json
var checkData []byte

// Check renders conversations of every kind that a chat may have, and returns what the template
// does with each: plain ones, tools, calls and their results, parts, thoughts, odd orders and
// roles. bos and eos are the spellings of the tokens.
func Check(code *jinja.Template, bos, eos string) ([]Finding, error) {
	v, err := jinja.ParseJSON(checkData)
	if err != nil {
		return nil, fmt.Errorf("chat: check.json: %w", err)
	}
	all := v.(*jinja.Map)
	shared, _ := all.Get("tools")
	list, _ := all.Get("conversations")
	var findings []Finding
	for _, name := range list.(*jinja.Map).Keys() {
		e, _ := list.(*jinja.Map).Get(name)
		findings = append(findings, checkOne(code, name, e.(*jinja.Map), shared.(*jinja.Map), bos, eos))
	}
	return findings, nil
}

// checkOne renders one conversation. Where it says "tools": ["a", "b"], tools of these names are
// meant.
func checkOne(code *jinja.Template, name string, c, tools *jinja.Map, bos, eos string) Finding {
	vars := (&jinja.Map{}).Set("documents", nil).Set("tools", nil).Set("add_generation_prompt", true)
	if name != "special_tokens_undefined" {
		vars.Set("bos_token", jinja.Literal(bos)).Set("eos_token", jinja.Literal(eos))
	}
	for _, k := range c.Keys() {
		v, _ := c.Get(k)
		if names, ok := v.([]any); ok && k == "tools" {
			list := []any{}
			for _, n := range names {
				tool, _ := tools.Get(n.(string))
				list = append(list, (&jinja.Map{}).Set("type", "function").Set("function", tool))
			}
			v = list
		}
		vars.Set(k, v)
	}
	if name == "tools_undefined" {
		vars.Delete("tools")
	}
	marked, texts := markContents(vars)
	text, err := code.Render(context.Background(), marked, jinja.Limits{Now: probeTime})
	var e *jinja.Error
	switch {
	case errors.As(err, &e) && e.Kind == jinja.KindRaised:
		return Finding{name, VerdictRefuses, e.Message}
	case err != nil:
		return Finding{name, VerdictFails, err.Error()}
	}
	var missing []string
	for i, role := range texts {
		if role != "" && !has(text, sourceOf(i, ofContent)) {
			missing = append(missing, fmt.Sprintf("message %d (%s)", i, role))
		}
	}
	if len(missing) > 0 {
		return Finding{name, VerdictDrops, "leaves out the text of " + strings.Join(missing, ", ")}
	}
	return Finding{name, VerdictOK, ""}
}

// markContents gives the text of every message a source of its own. roles are those of the messages
// that have text.
func markContents(vars *jinja.Map) (marked *jinja.Map, roles []string) {
	marked = vars.Clone()
	v, _ := vars.Get("messages")
	list, _ := v.([]any)
	out := make([]any, len(list))
	roles = make([]string, len(list))
	for i, e := range list {
		m := e.(*jinja.Map).Clone()
		role, _ := m.Get("role")
		m.Set("role", jinja.Literal(role.(string)))
		content, _ := m.Get("content")
		switch x := content.(type) {
		case string:
			if strings.TrimSpace(x) != "" {
				roles[i] = role.(string)
			}
			m.Set("content", jinja.Sourced{Text: x, Source: sourceOf(i, ofContent)})
		case []any:
			parts := make([]any, len(x))
			for k, p := range x {
				part := p.(*jinja.Map).Clone()
				if s, ok := part.Get("text"); ok {
					roles[i] = role.(string)
					part.Set("text", jinja.Sourced{Text: s.(string), Source: sourceOf(i, ofContent)})
				}
				parts[k] = part
			}
			m.Set("content", parts)
		}
		out[i] = m
	}
	return marked.Set("messages", out), roles
}

// Abilities describes, a line for each, what was found out about a template.
func (t *Template) Abilities() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if t.style.parts {
		say("content is a list of parts")
	}
	system := Input{Messages: []Message{{Role: "system", Content: probeAnswer}, user()}}
	if text, ok := t.try(t.style, system); !ok {
		say("system messages are refused")
	} else if !has(text, sourceOf(0, ofContent)) {
		say("system messages are left out")
	} else {
		say("system messages are known")
	}
	tools := Input{Messages: []Message{user()}, Tools: probeTools}
	if text, ok := t.try(t.style, tools); ok && has(text, fromTools) {
		say("tools are known")
	} else {
		say("tools are not known")
	}
	switch {
	case t.think.harmony:
		say("thoughts and calls are messages in channels, as in gpt-oss")
	case t.calls != nil:
		say("calls are %s", t.calls)
	default:
		say("calls are not shown")
	}
	if t.think.open != "" {
		say("thoughts are between %q and %q", strings.TrimSpace(t.think.open), t.think.end)
	}
	return out
}

// String describes the format in a few words.
func (f *callFormat) String() string {
	what := map[callKind]string{
		jsonCalls: "objects of JSON", namedCalls: "names with arguments in JSON", taggedCalls: "names with arguments between tags",
		pythonCalls: "calls as in Python", gemmaCalls: "calls as Gemma 4 writes them",
	}[f.kind]
	if f.trigger == "" {
		return what + " without a mark in front"
	}
	return fmt.Sprintf("%s after %q", what, f.trigger)
}
