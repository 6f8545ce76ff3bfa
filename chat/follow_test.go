package chat

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFollow holds a conversation of five rounds and counts what each one adds.
func TestFollow(t *testing.T) {
	vocab := byteVocab(t, []string{"<|im_start|>", "<|im_end|>"})
	src, _ := Builtin("chatml")
	tm, err := New(src, vocab)
	require.NoError(t, err)
	var in Input
	var prev *Prompt
	var generated []int32
	end, _ := vocab.Lookup("<|im_end|>")
	for i := range 5 {
		in.Messages = append(in.Messages, Message{Role: "user", Content: "question"})
		p, err := tm.Prompt(context.Background(), in)
		require.NoError(t, err)
		fresh := len(p.IDs)
		if prev != nil {
			same := tm.Follow(p, prev, generated)
			require.Equal(t, len(prev.IDs)+len(generated)-1, same)
			require.Equal(t, append(prev.IDs[:len(prev.IDs):len(prev.IDs)], generated[:len(generated)-1]...), p.IDs[:same])
			require.Equal(t, fresh, len(p.IDs))
			require.Equal(t, 29, len(p.IDs)-same, "turn %d", i) // from <|im_end|> to assistant
		}
		generated = append(vocab.Encode(nil, "answer", false, false), end)
		in.Messages = append(in.Messages, Message{Role: "assistant", Content: "answer"})
		prev = p
	}
	// A turn that was changed keeps what is before it.
	in.Messages[len(in.Messages)-1].Content = "other answer"
	in.Messages = append(in.Messages, Message{Role: "user", Content: "more"})
	p, err := tm.Prompt(context.Background(), in)
	require.NoError(t, err)
	require.Equal(t, len(prev.IDs), tm.Follow(p, prev, generated))
	// Another conversation keeps nothing.
	p, err = tm.Prompt(context.Background(), Input{Messages: []Message{{Role: "user", Content: "x"}}})
	require.NoError(t, err)
	ids := p.IDs
	require.Zero(t, tm.Follow(p, prev, generated))
	require.Equal(t, ids, p.IDs)
}

func TestThink(t *testing.T) {
	for _, c := range []struct{ source, mode, want, fails string }{
		{"{{ enable_thinking }}", "on", "True", ""},
		{"{{ enable_thinking }}", "off", "False", ""},
		{"{{ enable_thinking }}", "high", "", "has no levels of thinking"},
		{"{{ reasoning_effort }}", "high", "high", ""},
		{"{{ reasoning_effort }}", "on", "", ""},
		{"{{ reasoning_effort }}", "off", "", "no variable to switch thinking off"},
		{"{{ thinking }}{{ reasoning_effort }}", "low", "Truelow", ""},
		{"{{ skip_think }}", "off", "True", ""},
		{"{{ thinking_mode }}", "off", "chat", ""},
		{"x", "on", "", "no variable to switch thinking on"},
		{"x", "much", "", `want on, off, low, medium, high, found "much"`},
	} {
		tm, err := New(Source{Name: "t", Text: c.source + "{{ messages[0].content }}"}, plainVocab(t))
		require.NoError(t, err)
		v, err := tm.Think(c.mode)
		if c.fails != "" {
			require.ErrorContains(t, err, c.fails)
			continue
		}
		require.NoError(t, err)
		text, err := tm.Render(context.Background(), Input{Messages: []Message{{Role: "user", Content: "!"}}, Variables: v})
		require.NoError(t, err)
		require.Equal(t, c.want+"!", text.String())
	}
}
