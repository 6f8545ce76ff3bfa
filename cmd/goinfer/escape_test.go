package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainText(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\nc\r\nd":            "a\tb\nc\r\nd",
		"\x1b[31mred\x07\x00\x7f": `\x1b[31mred\a\x00\x7f`,
		"\u009b31m \u0085":        `\u009b31m \u0085`,
		"over\rwritten\r":         `over\rwritten\r`,
		"\x9b31m \xe2\x82":        `\x9b31m \xe2\x82`,
		"né 한 👩\u200d💻 \u00a0\u200f é\u0301": "né 한 👩\u200d💻 \u00a0\u200f é\u0301",
		"\ufffd": "\ufffd",
	} {
		for part := 1; part <= len(text); part++ {
			var out bytes.Buffer
			p := &plainText{out: &out}
			for rest := []byte(text); len(rest) > 0; rest = rest[min(part, len(rest)):] {
				n, err := p.Write(rest[:min(part, len(rest))])
				require.NoError(t, err)
				require.Equal(t, min(part, len(rest)), n)
			}
			require.NoError(t, p.end())
			require.Equal(t, want, out.String(), "%q by %d", text, part)
		}
	}
}

func TestControlsInJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeJSON(&out, "\x1b[ \u009b31m \x7f \u0085 \u00e9 \u00a0 <"))
	require.Equal(t, `"\u001b[ \u009b31m \u007f \u0085 `+"\u00e9 \u00a0 <\"\n", out.String())
}

func TestUnbalancedIDs(t *testing.T) {
	wrong(t, command(t, "", "logits", "--ids", "[1,2", "-o", "-"), "want a ]")
	wrong(t, command(t, "", "logits", "--ids", "1,2]", "-o", "-"), `found "2]"`)
}
