package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplate(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	own := write("own.jinja", "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ strftime_now('%Y') }}\n")
	inputs := write("inputs.json", `{"messages": [{"role": "user", "content": "Hi"}]}`)
	config := write("tokenizer_config.json", `{"chat_template": "c"}`)

	r := command(t, "", "template", "show", own)
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ strftime_now('%Y') }}\n", r.out)
	require.Contains(t, r.err, "it reads messages\n")
	require.Equal(t, "c", command(t, "", "template", "show", config).out)

	r = command(t, "", "template", "show", "tiny-dense")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "add_generation_prompt")
	r = command(t, "", "template", "show", "tiny-dense", "--chat-template", "chatml")
	require.Contains(t, r.out, "<|im_start|>")

	require.Equal(t, "[user]Hi2026", ok(t, command(t, "", "template", "render", own, "-f", inputs, "--now", "2026-11-23T14:05:09")))
	require.Equal(t, "[user]Hi1999", ok(t, command(t, `{"messages": [{"role": "user", "content": "Hi"}]}`, "template", "render", own, "--now", "1999-01-01T00:00:00")))
	wrong(t, command(t, "{}", "template", "render", own, "--now", "today"), "--now: want a time")
	fault(t, command(t, "[]", "template", "render", own), "want a JSON object")
	fault(t, command(t, "{", "template", "render", own), "unexpected EOF")
	fault(t, command(t, "{}", "template", "render", write("bad.jinja", "a\n{{ x.y }}")), "bad.jinja:2:4: 'x' is undefined (in x.y)")
	fault(t, command(t, "{}", "template", "show", "tiny-dense", "--chat-template", "nope"), `there is no template "nope"`)

	r = command(t, "", "template", "check", own)
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "57 conversations: ")
	require.NotContains(t, r.out, "user_gen")
	require.Contains(t, command(t, "", "template", "check", "--all", own).out, "user_gen")
	r = command(t, "", "template", "check", "tiny-dense")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "system messages are ")
	r = command(t, "", "template", "check", write("dead.jinja", "{{ raise_exception('never') }}"))
	require.Equal(t, exitFault, r.code)
	require.Contains(t, r.out, "refuses  user_gen")
	require.Contains(t, r.err, "the template cannot render a plain conversation")
}
