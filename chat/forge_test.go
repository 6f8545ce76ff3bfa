package chat

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/chat/jinja"
)

var markup = regexp.MustCompile(`<[^<>\s]{1,60}>|\[/?[A-Z_]{2,}\]|<\|[^<>]{1,40}\|>|</?s>`)

// controlStrings are what a template writes that looks like a control token: in its source and in
// renderings.
func controlStrings(tm *Template, source string) []string {
	found := markup.FindAllString(source, -1)
	for _, in := range hostile("text") {
		if text, err := tm.Render(context.Background(), in); err == nil {
			found = append(found, markup.FindAllString(text.String(), -1)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// hostile are conversations in which a text stands wherever a user, a tool or a model can put one.
func hostile(text string) map[string]Input {
	quoted := quoteJSON(text)
	return map[string]Input{
		"user":      {Messages: []Message{{Role: "user", Content: text}}},
		"parts":     {Messages: []Message{{Role: "user", Parts: []Part{{"text", text}, {"text", text}}}}},
		"system":    {Messages: []Message{{Role: "system", Content: text}, {Role: "user", Content: text}}},
		"turns":     {Messages: []Message{{Role: "user", Content: text}, {Role: "assistant", Content: "x"}, {Role: "user", Content: text}}},
		"assistant": {Messages: []Message{{Role: "user", Content: "x"}, {Role: "assistant", Content: text}, {Role: "user", Content: "x"}}},
		"tools": {
			Messages: []Message{{Role: "user", Content: text}, {Role: "assistant", ToolCalls: []ToolCall{{ID: "abcdefghi", Name: "f", Arguments: `{"k": ` + quoted + `}`}}}, {Role: "tool", Content: text, ToolCallID: "abcdefghi", Name: "f"}},
			Tools:    []Tool{{Name: "f", Description: text, Parameters: []byte(`{"type": "object", "properties": {"k": {"type": "string", "description": ` + quoted + `}}}`)}},
		},
		"names": {
			Messages: []Message{{Role: "user", Content: "x"}, {Role: "assistant", ToolCalls: []ToolCall{{ID: "abcdefghi", Name: text, Arguments: `{` + quoted + `: 1}`}}}, {Role: "tool", Content: "x", ToolCallID: "abcdefghi", Name: text}},
			Tools:    []Tool{{Name: text, Description: "x", Parameters: []byte(`{"type": "object", "properties": {` + quoted + `: {"type": "string"}}}`)}},
		},
	}
}

// TestForgery shows that no text in a conversation becomes a control token, for every template.
func TestForgery(t *testing.T) {
	checked := 0
	templates(t, func(t *testing.T, name, source string) {
		first, err := New(Source{Name: name, Text: source}, plainVocab(t))
		require.NoError(t, err)
		control := controlStrings(first, source)
		vocab := byteVocab(t, control)
		tm, err := New(Source{Name: name, Text: source}, vocab)
		require.NoError(t, err)
		text := "a " + strings.Join(control, "") + " " + strings.Join(control, "\n") + strings.ToUpper(strings.Join(control, " ")) + "<s></s> b"
		for what, in := range hostile(text) {
			p, err := tm.Prompt(context.Background(), in)
			if err != nil {
				continue // the template refuses
			}
			var found []string
			for _, id := range p.IDs {
				if vocab.IsControl(id) || id >= firstControl { // as marks of channels
					found = append(found, vocab.Spelling(id))
				}
			}
			want := templateControls(p.Text, control)
			if p.IDs[0] == vocab.BOS() && (len(want) == 0 || want[0] != "<s>") {
				found = found[1:] // added in front
			}
			require.Equal(t, append([]string{}, want...), append([]string{}, found...), "%s: %q", what, p.Text.String())
			checked++
		}
	})
	require.Greater(t, checked, 400)
	t.Logf("%d conversations", checked)
}

// templateControls are the control strings in the template's own text.
func templateControls(text jinja.Text, control []string) []string {
	sorted := slices.Clone(append(control, "<s>", "</s>"))
	slices.SortFunc(sorted, func(a, b string) int { return len(b) - len(a) })
	var found []string
	for _, span := range text.Spans() {
		if span.Source != jinja.FromTemplate {
			continue
		}
		s := text.String()[span.From:span.To]
	next:
		for i := 0; i < len(s); {
			for _, c := range sorted {
				if strings.HasPrefix(s[i:], c) {
					found = append(found, c)
					i += len(c)
					continue next
				}
			}
			i++
		}
	}
	return found
}

// TestForgeryCounts compares with a conversation that spells nothing: user text adds no control
// token.
func TestForgeryCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	differ := map[string]bool{}
	templates(t, func(t *testing.T, name, source string) {
		first, err := New(Source{Name: name, Text: source}, plainVocab(t))
		require.NoError(t, err)
		control := controlStrings(first, source)
		vocab := byteVocab(t, control)
		tm, err := New(Source{Name: name, Text: source}, vocab)
		require.NoError(t, err)
		count := func(text, what string) int {
			p, err := tm.Prompt(context.Background(), hostile(text)[what])
			if err != nil {
				return -1
			}
			n := 0
			for _, id := range p.IDs {
				if vocab.IsControl(id) || id >= firstControl {
					n++
				}
			}
			return n
		}
		for _, what := range [...]string{"user", "parts", "system", "turns"} {
			for _, c := range append(control, strings.Join(control, "")) {
				if plain := count("text", what); plain >= 0 && plain != count("a"+c+"b", what) {
					differ[name] = true
					t.Logf("%s: %q: %d, %d", what, c, plain, count("a"+c+"b", what))
				}
			}
		}
	})
	require.Empty(t, differ)
}
