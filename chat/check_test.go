package chat

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/chat/jinja"
)

func TestCheck(t *testing.T) {
	verdicts := func(source string) map[string]Finding {
		code, err := jinja.Compile("t", source)
		require.NoError(t, err)
		list, err := Check(code, "<s>", "</s>")
		require.NoError(t, err)
		require.Len(t, list, 57)
		m := map[string]Finding{}
		for _, f := range list {
			m[f.Name] = f
		}
		return m
	}
	llama, _ := Builtin("llama2")
	m := verdicts(llama.Text)
	require.Equal(t, VerdictOK, m["user_gen"].Verdict)
	require.Equal(t, VerdictOK, m["system_user_gen"].Verdict)
	require.Equal(t, VerdictRefuses, m["order_user_user"].Verdict)
	require.Equal(t, VerdictFails, m["parts_text"].Verdict)
	m = verdicts(`{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}`)
	require.Equal(t, Finding{"system_user_gen", VerdictDrops, "leaves out the text of message 0 (system)"}, m["system_user_gen"])
}

// TestCheckAll: what the reference data renders, the check finds fine, for every template.
func TestCheckAll(t *testing.T) {
	templates(t, func(t *testing.T, name, source string) {
		code, err := jinja.Compile(name, source)
		require.NoError(t, err)
		list, err := Check(code, "<s>", "</s>")
		require.NoError(t, err)
		fails := 0
		for _, f := range list {
			if f.Verdict == VerdictFails {
				fails++
			}
		}
		if !strings.Contains(name, "tool_use") && !strings.Contains(name, "firefunction") && !strings.HasSuffix(name, "-rag") {
			// Those need tools or documents.
			require.Less(t, fails, 50, "%+v", list)
		}
		tm, err := New(Source{Name: name, Text: source}, plainVocab(t))
		require.NoError(t, err)
		require.NotEmpty(t, tm.Abilities())
	})
}
