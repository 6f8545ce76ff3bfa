package hub

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOllamaTemplate(t *testing.T) {
	talk := []Message{{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Hi <b>"}, {Role: "assistant", Content: "Hello."}, {Role: "user", Content: "Bye"}}
	var tools Tools
	tools = append(tools, Tool{Type: "function"})
	tools[0].Function.Name = "look"
	for name, c := range map[string]struct {
		template string
		messages []Message
		tools    Tools
		want     string
	}{
		"messages":    {"{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}\n{{ end }}<|assistant|>", talk, nil, "<|system|>Be kind.\n<|user|>Hi <b>\n<|assistant|>Hello.\n<|user|>Bye\n<|assistant|>"},
		"turns":       {"{{ if .System }}S:{{ .System }}\n{{ end }}{{ if .Prompt }}U:{{ .Prompt }}\n{{ end }}A:{{ .Response }}<end>\n", talk, nil, "S:Be kind.\nU:Hi <b>\nA:Hello.<end>\nU:Bye\nA:"},
		"no response": {"[INST] {{ .System }} {{ .Prompt }} [/INST]", talk[:2], nil, "[INST] Be kind. Hi <b> [/INST]"},
		"last":        {`{{- range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}{{ .Content }}{{ if $last }}!{{ end }}{{ end }}`, talk[1:], nil, "Hi <b>Hello.Bye!"},
		"tools": {`{{ if .Tools }}{{ range .Tools }}{{ . }}{{ end }}{{ end }}{{ range .Messages }}{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}{{ end }}{{ end }}`,
			[]Message{{Role: "assistant", ToolCalls: []ToolCall{{ToolFunction{Name: "look", Arguments: Arguments{"at": "<x>"}}}}}}, tools,
			`{"type":"function","function":{"name":"look","description":"","parameters":null}}{"name": "look", "arguments": {"at":"<x>"}}`},
		"json": {`{{ json .Tools }}{{ range .Messages }}{{ end }}`, nil, tools, `[{"type":"function","function":{"name":"look","description":"","parameters":null}}]`},
	} {
		code, err := CompileTemplate(c.template)
		require.NoError(t, err, name)
		got, err := code.Render(c.messages, c.tools, false)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	for text, want := range map[string]string{
		"{{ shout .Prompt }}":                  `function "shout" not defined`,
		"{{ .Weather }}":                       `the template asks for ".Weather"`,
		"{{ $.Weather }}":                      `the template asks for ".Weather"`,
		"{{ if }}":                             "missing value",
		`{{ define "a" }}{{ .Odd }}{{ end }}x`: `".Odd"`,
	} {
		_, err := CompileTemplate(text)
		require.ErrorContains(t, err, want)
	}
	code, err := CompileTemplate("{{ .Prompt }}")
	require.NoError(t, err)
	_, err = code.Render([]Message{{Role: "tool"}}, nil, false)
	require.ErrorContains(t, err, `no place for messages of the role "tool"`)
	code, err = CompileTemplate(`{{ define "a" }}{{ .Prompt }}{{ template "a" . }}{{ end }}{{ template "a" . }}`)
	require.NoError(t, err)
	_, err = code.Render([]Message{{Role: "user", Content: "x"}}, nil, false)
	require.Error(t, err, "it calls itself without an end")
}
