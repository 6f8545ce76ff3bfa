package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const west = "What is the opposite of west?"

// toyNote is what chat says of the built-in model.
const toyNote = "goinfer: note: tiny-dense is built in: a toy that knows some facts and stories; give the path of an instruct model\n"

// toolTemplate writes thoughts, tools and calls.
const toolTemplate = `{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>
{% endif %}{{ m.content }}{% for c in m.tool_calls %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% if enable_thinking %}<think>
{% endif %}{% endif %}`

func writeText(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestChatPipe: without a terminal there is one turn, and only the answer goes to standard output.
func TestChatPipe(t *testing.T) {
	r := command(t, west+"\n", "chat", "--temp", "0")
	require.Equal(t, result{0, "It is east.\n", toyNote}, r)
	require.Equal(t, r, command(t, "", "chat", "--temp", "0", west))
	require.Equal(t, r, command(t, "", "chat", "--temp", "0", "-p", west))
	require.Equal(t, r, command(t, "", "chat", "--temp", "0", "-st", "-f", writeText(t, "q.txt", west+"\n")))
	require.Equal(t, "It \n", command(t, "", "chat", "--temp", "0", "-r", "is", west).out)
	r = command(t, "", "chat", "--temp", "0", "-v", "-sys", "Answer in short sentences.", west)
	require.Regexp(t, `(?m)^prompt +\d+ tokens in .*, 0 cached$`, r.err)
	require.Regexp(t, `(?m)^ended +eog`, r.err)
	require.Contains(t, command(t, "", "chat", "-n", "2", west).err, "the answer has reached -n 2 tokens\n")

	// Constraints, thoughts and calls.
	template := writeText(t, "t.jinja", toolTemplate)
	r = command(t, "", "chat", "--temp", "0", "--json-schema", `{"enum": ["x", "y"]}`, west)
	require.Contains(t, []string{"\"x\"\n", "\"y\"\n"}, r.out)
	r = command(t, "", "chat", "--temp", "0", "-n", "60", "--chat-template", template, "--think", "--reasoning-budget", "4", "--json-schema", `{"enum": ["x", "y"]}`, west)
	require.Contains(t, []string{"\"x\"\n", "\"y\"\n"}, r.out, "thoughts are not a part of it")
	tools := writeText(t, "tools.json", `[{"type": "function", "function": {"name": "look", "description": "Looks", "parameters": {"type": "object", "properties": {"at": {"enum": ["sky"]}}, "required": ["at"], "additionalProperties": false}}}]`)
	r = command(t, "", "chat", "--temp", "0", "--chat-template", template, "--tools", tools, "--tool-choice", "required", "-n", "200", west)
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `(?m)^(\{"id":"[a-z0-9]{9}","name":"look","arguments":\{"at": ?"sky" ?\}\}\n)+$`, r.out)
	require.Equal(t, 0, command(t, "", "chat", "--chat-template", template, "--chat-template-kwargs", `{"enable_thinking": true}`, "-n", "5", west).code)
}

func TestChatWrong(t *testing.T) {
	wrong(t, command(t, "", "chat", "--image", "x.png", "-p", "hi"), "images, audio and video are not supported")
	wrong(t, command(t, "", "chat", "--overflow", "cut", "-p", "hi"), "--overflow: want stop or drop-oldest")
	wrong(t, command(t, "", "chat", "--overflow", "", "-p", "hi"), "--overflow: want stop or drop-oldest")
	wrong(t, command(t, "", "chat", "--think=much", "-p", "hi"), "--think: want on, off, low, medium, high")
	wrong(t, command(t, "", "chat", "--chat-template-kwargs", "[1]", "-p", "hi"), "--chat-template-kwargs: want a JSON object")
	wrong(t, command(t, "", "chat", "--tool-choice", "required", "-p", "hi"), "want --tools beside it")
	wrong(t, command(t, "", "chat", "-sys", "a", "-sysf", "b", "-p", "hi"), "want one of --system-prompt")
	wrong(t, command(t, "", "chat", "--reasoning-budget", "-2", "-p", "hi"), "--reasoning-budget: want at least -1")
	wrong(t, command(t, "\n", "chat"), "the message is empty")
	for want, args := range map[string][]string{
		"no variable to switch thinking on":      {"--think"},
		"the template has no levels of thinking": {"--think", "high"},
		`there is no template "nope"`:            {"--chat-template", "nope"},
		"want names that the template reads":     {"--chat-template-kwargs", `{"x": 1}`},
		"the template leaves the tools out":      {"--tools", writeText(t, "a.json", `[{"name": "f"}]`)},
		"want a JSON list of tools":              {"--tools", writeText(t, "b.json", `1`)},
		`tool 0: the type "web": want function`:  {"--tools", writeText(t, "c.json", `[{"type": "web"}]`)},
		"Tools[0].Name: want a name, found none": {"--tools", writeText(t, "d.json", `[{}]`)},
		"no such file":                           {"--tools", "nowhere.json"},
	} {
		r := command(t, "", append([]string{"chat", west}, args...)...)
		require.Equal(t, exitFault, r.code, "%v", args)
		require.Empty(t, r.out)
		require.Contains(t, r.err, want)
	}
	r := command(t, "", "chat", "-c", "10", "How many fingers are there on one hand of a man?")
	require.Equal(t, exitFault, r.code)
	require.Contains(t, r.err, "--overflow drop-oldest")
}

// TestKeyboard: Ctrl-C empties a line, but is text where it is pasted, however the bytes arrive.
func TestKeyboard(t *testing.T) {
	for _, n := range []int{1, 2, 5, 100} {
		in := "ab\x03c\x1b[200~d\x03e\x1b[201~\x03f"
		k := &keyboard{in: strings.NewReader(in)}
		var out bytes.Buffer
		buf := make([]byte, 128)
		for i := 0; ; i++ {
			m, err := k.Read(buf[:n])
			out.Write(buf[:m])
			if err != nil {
				break
			}
		}
		require.Equal(t, "ab\x05\x15\rc\x1b[200~d\x03e\x1b[201~\x05\x15\rf", out.String())
		require.True(t, k.interrupted)
	}
}

// TestChatSave: what is no conversation is an error that says so.
func TestChatSave(t *testing.T) {
	for _, text := range []string{"", "\n", "{}\n", "[]\n", `{"format": "goinfer chat 2"}` + "\n", strings.Repeat("x", 1<<17)} {
		c := &conversation{}
		err := c.load(t.Context(), writeText(t, "c", text))
		require.ErrorContains(t, err, "want a conversation that /save wrote", "%.20q", text)
	}
	require.EqualError(t, (&conversation{}).load(t.Context(), ""), "/load: want a FILE")
	require.EqualError(t, (&conversation{}).save(t.Context(), ""), "/save: want a FILE")
}

// TestUnquoted: quotation marks are taken off in pairs.
func TestUnquoted(t *testing.T) {
	for value, want := range map[string]string{`"a b"`: "a b", `Say "hi"`: `Say "hi"`, `"`: `"`, `""`: "", "": ""} {
		require.Equal(t, want, unquoted(value))
	}
	wrong(t, command(t, "", "chat", "--chat-template-kwargs", `{"a":1}}`, "-p", "hi"), "--chat-template-kwargs: want a JSON object")
}

// TestChatCutCall: without a terminal the text of a call that was cut off is not lost.
func TestChatCutCall(t *testing.T) {
	tools := writeText(t, "tools.json", `[{"name": "look", "parameters": {"type": "object", "properties": {"at": {"enum": ["sky"]}}, "required": ["at"]}}]`)
	r := command(t, "", "chat", "--temp", "0", "-n", "12", "--chat-template", writeText(t, "t.jinja", toolTemplate), "--tools", tools, "--tool-choice", "required", "-p", west)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "<tool_call>", r.err)
}
