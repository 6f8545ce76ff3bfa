package grammar

import (
	"os"
	"testing"
)

func TestProfCase(t *testing.T) {
	if os.Getenv("GRAMMAR_CASE") == "" {
		t.Skip()
	}
	tok, v := vocabulary(t, "llama-bpe")
	cases(t, "maskbench.jsonl.gz", func(c Case) {
		if c.Name == os.Getenv("GRAMMAR_CASE") {
			r := Measure(v, tok, c, Options{Whitespace: Flexible})
			t.Log(r.Compile, len(r.Masks))
		}
	})
}
