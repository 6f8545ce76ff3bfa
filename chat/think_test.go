package chat

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnswers reads answers without calls as every template writes them, also such as look like
// calls.
func TestAnswers(t *testing.T) {
	texts := []string{
		"Hello.", "a < b and <b>c</b> [1, 2] {\"a\": 1}", "1. one\n2. two\n\n```json\n{\"x\": [1]}\n```",
		"<tool", "use <tool_ca", "[TOOL", "<|", "{", "[", "<", "{\"name\": \"get_weather\"", "é ü 🎉",
	}
	templates(t, func(t *testing.T, name, source string) {
		tm, err := New(Source{Name: name, Text: source}, plainVocab(t))
		require.NoError(t, err)
		for _, want := range texts {
			p, text, err := rendered(tm, Message{Role: "assistant", Content: want})
			if err != nil || !strings.Contains(text, want) {
				continue
			}
			if knownGaps[name] == "all" || strings.Contains(text, probeUser) || strings.Contains(name, "Guard") {
				continue // the turn is not all that was written after the prompt
			}
			if tm.think.opened(p.tail) && !strings.Contains(text, tm.think.end) {
				continue // the template opens a thought that it does not end
			}
			a := parseAll(t, tm, p, text)
			require.Equal(t, want, strings.TrimSpace(a.Text), "%q", text)
			require.Empty(t, a.Calls, "%q", text)
			require.Empty(t, a.Reasoning, "%q", text)
		}
	})
}

// TestThoughts reads thoughts as every template that knows them writes them.
func TestThoughts(t *testing.T) {
	read := 0
	templates(t, func(t *testing.T, name, source string) {
		tm, err := New(Source{Name: name, Text: source}, plainVocab(t))
		require.NoError(t, err)
		if tm.style.reasoningKey == "" || knownGaps[name] == "all" {
			return
		}
		for _, thought := range []string{"Let me see.", "one\n\ntwo < three\n<b>x</b>"} {
			p, text, err := rendered(tm, Message{Role: "assistant", Content: "The answer.", Reasoning: thought})
			require.NoError(t, err)
			if !strings.Contains(text, thought) {
				continue
			}
			a := parseAll(t, tm, p, text)
			require.Equal(t, thought, a.Reasoning, "%q after %q", text, p.tail)
			require.Equal(t, "The answer.", strings.TrimSpace(a.Text), "%q", text)
			read++
		}
	})
	require.Greater(t, read, 40)
}

const qwen = `{{ tools | tojson if tools else '' }}{%- for m in messages -%}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}{% for c in m.tool_calls %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if opened %}<think>
{% endif %}{% endif %}`

func newQwen(t testing.TB) *Template {
	tm, err := New(Source{Name: "qwen", Text: qwen}, plainVocab(t))
	require.NoError(t, err)
	require.NotNil(t, tm.calls)
	return tm
}

func TestThinking(t *testing.T) {
	tm := newQwen(t)
	for _, c := range []struct {
		tail, text, reasoning, answer string
	}{
		{"", "<think>\nhm\n</think>\n\nYes.", "hm", "Yes."},
		{"<think>\n", "hm\n\nso\n</think>\n\nYes.", "hm\n\nso", "Yes."},
		{"<think>\n", "cut off </thi", "cut off </thi", ""},
		{"<think>\n", "cut off\n", "cut off", ""},
		{"<think>\n", "</think>Yes.", "", "Yes."},
		{"<think>\n\n</think>\n\n", "Yes.", "", "Yes."},
		{"", "Yes <think>no</think>", "", "Yes <think>no</think>"},
		{"", "<think></think>\n\nYes.", "", "Yes."},
		{"", "</think>\n\nYes.", "", "Yes."},
		{"", "  <thin", "", "<thin"},
		{"", "", "", ""},
		{"<think>", "a <b> </ think> </think>c", "a <b> </ think>", "c"},
		{"", "trailing \n", "", "trailing \n"},
	} {
		a := parseAll(t, tm, &Prompt{tail: c.tail}, c.text)
		require.Equal(t, c.reasoning, a.Reasoning, "%q", c.text)
		require.Equal(t, c.answer, a.Text, "%q", c.text)
	}
}

func TestHarmony(t *testing.T) {
	src, ok := Builtin("harmony")
	require.True(t, ok)
	tm, err := New(src, plainVocab(t))
	require.NoError(t, err)
	p, err := tm.Prompt(context.Background(), Input{Messages: []Message{user()}})
	require.NoError(t, err)
	const head = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
	call := gotCall{Name: "get_weather", Args: `{"city":"x"}`}
	for _, c := range []struct {
		text string
		want answer
	}{
		{"<|channel|>final<|message|>Hi.", answer{Text: "Hi."}},
		{head + "<|channel|>final<|message|>Hi.<|return|>", answer{Reasoning: "hm", Text: "Hi."}},
		{"<|channel|>analysis<|message|>hm", answer{Reasoning: "hm"}},
		{head + "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\":\"x\"}<|call|>", answer{Reasoning: "hm", Calls: []gotCall{call}}},
		{head + " to=functions.get_weather<|channel|>commentary json<|message|>{\"city\":\"x\"}", answer{Reasoning: "hm", Calls: []gotCall{call}}},
		{"<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.get_weather<|channel|>commentary<|message|>{\"city\":\"x\"}<|call|>", answer{Text: "I look.", Calls: []gotCall{call}}},
		{"<|channel|>commentary to=functions.get_weather<|message|>{\"city\":\"x", answer{Calls: []gotCall{{Name: "get_weather", Args: `{"city":"x`, Problem: "the call is not finished"}}, Notes: []string{"the answer ended inside of a call"}}},
		{"Hello there.", answer{Text: "Hello there."}},
	} {
		a := parseAll(t, tm, p, c.text)
		for i := range a.Calls {
			require.NotEmpty(t, a.Calls[i].ID)
			a.Calls[i].ID = ""
		}
		require.Equal(t, c.want, a, "%q", c.text)
	}
}

// TestHostileCalls reads what is not quite a call: no text is lost, and all pieces give the same.
func TestHostileCalls(t *testing.T) {
	tm := newQwen(t)
	p := &Prompt{tools: weatherTools}
	const one = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"x\"}}\n</tool_call>"
	args := []string{`{"city": "x"}`}
	for _, c := range []struct {
		text, answer string
		args         []string
		problem      string
		notes        int
	}{
		{text: one, args: args},
		{text: "Before.\n" + one, answer: "Before.", args: args},
		{text: one + "\nAfter.", answer: "After.", args: args},
		{text: one + one, args: []string{args[0], args[0]}},
		{text: one + "\n" + one + "\nEnd", answer: "End", args: []string{args[0], args[0]}},
		{text: `<tool_call>{"arguments": {"city": "x"}, "name": "get_weather"}</tool_call>`, args: args},
		{text: `<tool_call>{"name":"get_weather","arguments":"{\"city\": \"x\"}"}</tool_call>`, args: args},
		{text: `<tool_call>{"name":"get_weather","parameters":{"city": "x"},"id":"7"}</tool_call>`, args: args},
		{text: `<tool_call>{"type":"function","function":{"name":"get_weather","arguments":{"city": "x"}}}</tool_call>`, args: args},
		{text: `<tool_call>[{"name":"get_weather","arguments":{"city": "x"}},{"name":"get_weather","arguments":{}}]</tool_call>`, args: []string{args[0], "{}"}},
		{text: `<tool_call>{"name":"get_weather"}</tool_call>`, args: []string{"{}"}},
		{text: `<tool_call>{"name":"get_weather","arguments":null}</tool_call>`, args: []string{"{}"}},
		{text: `<tool_call>{"name":"get_weather","arguments":{"city": "</tool_call><tool_call>"}}</tool_call>`, args: []string{`{"city": "</tool_call><tool_call>"}`}},
		{text: `<tool_call>{"name":"get_weather","arguments":{"city": "a\"}{ \u00e9 \ud83c\udf89 \\"}}</tool_call>`, args: []string{`{"city": "a\"}{ \u00e9 \ud83c\udf89 \\"}`}},
		{text: "<tool_call>{\"name\":\"get_weather\",\"arguments\":{\"city\": \"a\nb\"}}</tool_call>", args: []string{`{"city": "a\nb"}`}},
		{text: `<tool_call>{"name":"get_weather","arguments":{"city": "x`, args: []string{`{"city": "x`}, problem: "the call is not finished", notes: 1},
		{text: `<tool_call>{"name":"get_weather","arguments":{city: "x"}}</tool_call>`, answer: `city: "x"}}</tool_call>`, args: []string{`{`}, problem: "its arguments are no valid JSON", notes: 1},
		{text: `<tool_call>{"name":"get_weather","arguments":[1]}</tool_call>`, answer: `<tool_call>{"name":"get_weather","arguments":[1]}</tool_call>`, notes: 1},
		{text: `<tool_call>hello</tool_call>`, answer: `<tool_call>hello</tool_call>`, notes: 1},
		{text: `<tool_call>{"x": 1}</tool_call>`, answer: `<tool_call>{"x": 1}</tool_call>`, notes: 1},
		{text: `<tool_call>`, answer: `<tool_call>`, notes: 1},
		{text: `The tag <tool_call> is for calls.`, answer: `The tag <tool_call> is for calls.`, notes: 1},
		{text: `<tool_call>{"name": "get_we`, answer: `<tool_call>{"name": "get_we`, notes: 1},
	} {
		a := parseAll(t, tm, p, c.text)
		require.Equal(t, c.answer, a.Text, "%q", c.text)
		var found []string
		for _, call := range a.Calls {
			require.Equal(t, "get_weather", call.Name)
			found = append(found, call.Args)
		}
		require.Equal(t, c.args, found, "%q", c.text)
		require.Len(t, a.Notes, c.notes, "%q: %q", c.text, a.Notes)
		if c.problem != "" {
			require.Equal(t, c.problem, a.Calls[len(a.Calls)-1].Problem)
		}
	}
}
