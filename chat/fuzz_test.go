package chat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParser reads any text after templates of every kind of call: the events are the same
// however the text is cut, calls are well-formed, and nothing but marks and white space is lost
// from plain text.
func FuzzParser(f *testing.F) {
	sources := map[string]string{
		"json":   qwen,
		"bare":   strings.NewReplacer("<tool_call>\n", "", "\n</tool_call>", "").Replace(qwen),
		"named":  strings.NewReplacer(`{"name": "`, "", `", "arguments": `, "[ARGS]", "}}}\n</tool", "}}\n</tool").Replace(qwen),
		"python": strings.Replace(qwen, `{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}`, `[{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ [v] | string | trim('[]') }}{% endfor %})]`, 1),
		"tagged": strings.Replace(qwen, `{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}`, `<function={{ c.function.name }}>{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>{{ v }}</parameter>{% endfor %}</function>`, 1),
	}
	var all []*Template
	for name, source := range sources {
		tm, err := New(Source{Name: name, Text: source}, plainVocab(f))
		require.NoError(f, err)
		require.NotNil(f, tm.calls, name)
		all = append(all, tm)
	}
	src, _ := Builtin("harmony")
	tm, err := New(src, plainVocab(f))
	require.NoError(f, err)
	all = append(all, tm)
	for _, s := range []string{
		"<think>\nhm</think>\n\nHi <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"a\\\"}\"}}\n</tool_call>",
		`{"name": "get_weather", "parameters": {"city": "x"}}`, `<tool_call>[get_weather(city='x', days=[1, {'a': None}])]</tool_call>`,
		"<tool_call>\nget_weather[ARGS]{\"city\": [1.5e3, true, null]}\n</tool_call>", "<tool_call><function=get_weather><parameter=city>x</parameter></function></tool_call>",
		"<|channel|>commentary to=functions.get_weather<|message|>{}<|call|>", "[get_weather(", "<tool_call>{", "<|python_tag|>x = 1",
	} {
		f.Add(s, byte(0), false)
	}
	f.Fuzz(func(t *testing.T, text string, n byte, opened bool) {
		for _, tm := range all {
			p := &Prompt{tools: weatherTools}
			if opened {
				p.tail = "<think>\n"
			}
			whole := parse(t, tm, p, text, 0)
			require.Equal(t, whole, parse(t, tm, p, text, int(n%7)+1), "%s", tm.source.Name)
			for _, c := range whole.Calls {
				require.NotEmpty(t, c.Name)
				if c.Problem == "" {
					require.True(t, json.Valid([]byte(strings.ToValidUTF8(c.Args, "?"))), "%q", c.Args)
				}
			}
			if len(whole.Calls) == 0 && !strings.Contains(text, "<|") && !strings.Contains(text, "think>") {
				visible := func(s string) string { return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s) }
				require.Equal(t, visible(text), visible(whole.Reasoning+whole.Text), "%s", tm.source.Name)
			}
		}
	})
}
