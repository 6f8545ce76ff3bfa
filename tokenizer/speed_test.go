package tokenizer

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// TestNoQuadraticTime encodes long texts that are one word, one run of white space, or full of
// beginnings of matches. Each takes milliseconds; an algorithm that looks at the rest of the text
// again at each character would take a minute for each. The patience is in between, and far from
// both.
func TestNoQuadraticTime(t *testing.T) {
	if testing.Short() {
		t.Skip("long texts")
	}
	const n, patience = 100_000, 20 * time.Second
	inTime := func(t *testing.T, name string, f func()) {
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		select {
		case <-done:
		case <-time.After(patience):
			require.FailNow(t, "a long text takes too long", "%q, %d bytes, not done after %s", name, n, patience)
		}
	}
	repeat := func(s string) string { return strings.Repeat(s, n/len(s)) }
	texts := map[string]string{"a": repeat("a"), "spaces": repeat(" "), "spaces and a letter": repeat(" ") + "a", "lines": repeat("\n"), "spaces behind lines": repeat(" \n"), "tabs": repeat("\t"),
		"digits": repeat("1"), "apostrophes": repeat("'"), "Aa": repeat("Aa"), "aA": repeat("aA"), "ǅÉ": repeat("ÉǅÉ"), "marks": "a" + repeat("\u0301"), "Han": repeat("世"),
		"sentinels": repeat("<sentinel:1"), "open sentinel": "<sentinel:" + repeat("1"), "images": repeat("IMGIMGABC"), "phrases": repeat("a "), "punctuation": repeat("!"), "not UTF-8": repeat("\xe4\xb8")}
	encodeAll := func(t *testing.T, tok *Tokenizer) {
		for name, text := range texts {
			inTime(t, name, func() { tok.Encode(nil, text, false, false) })
		}
	}

	t.Run("pre-tokenisers", func(t *testing.T) {
		t.Parallel()
		for i := range pretokenizers {
			p := &pretokenizers[i]
			for name, text := range texts {
				inTime(t, p.names[0]+" "+name, func() { p.split(text) })
			}
		}
		p, err := findPre("jais-2") // whose white space comes in pieces of 512
		require.NoError(t, err)
		inTime(t, "jais-2", func() { p.split(strings.Repeat(" ", 40*n)) })
	})
	t.Run("special tokens", func(t *testing.T) {
		t.Parallel()
		c := tinySPM()
		const specials = 10_000
		for i := range specials {
			c.add(TypeUserDefined, 0, fmt.Sprintf("<unused%d>", i))
		}
		for i := 1; i < 300; i++ {
			c.add(TypeUserDefined, 0, strings.Repeat("\n", i))
		}
		tok := mustNew(t, c)
		var all strings.Builder
		for i := range specials {
			fmt.Fprintf(&all, "<unused%d>", i)
		}
		var ids []int32
		inTime(t, "all", func() { ids = tok.Encode(nil, all.String(), false, false) })
		require.Len(t, ids, specials)
		inTime(t, "beginnings", func() { tok.Encode(nil, repeat("<unused"), false, false) })
		encodeAll(t, tok)
	})
	t.Run("spm", func(t *testing.T) {
		t.Parallel()
		c := tinySPM()
		for i := 2; i < 500; i *= 2 {
			c.add(TypeNormal, float32(i), strings.Repeat("a", i))
		}
		c.add(TypeNormal, 0, "aA")
		tok := mustNew(t, c)
		encodeAll(t, tok)
		// ▁, and in powers of two what does not fill the longest
		require.Len(t, tok.Encode(nil, texts["a"], false, false), 1+n/256+bits.OnesCount(n%256))
	})
	t.Run("bpe", func(t *testing.T) {
		t.Parallel()
		c := tinyBPE()
		c.Pre = "gpt-2"
		for i := 1; i < 300; i *= 2 {
			s := strings.Repeat("a", i)
			c.Merges = append(c.Merges, s+" "+s)
			c.add(TypeNormal, 0, s+s)
		}
		tok := mustNew(t, c)
		encodeAll(t, tok)
		require.Len(t, tok.Encode(nil, texts["a"], false, false), n/512+bits.OnesCount(n%512))
	})
	t.Run("wpm", func(t *testing.T) {
		t.Parallel()
		encodeAll(t, mustNew(t, tinyWPM()))
	})
	t.Run("unigram", func(t *testing.T) {
		t.Parallel()
		c := tinyUnigram()
		for i := 2; i < 20; i++ {
			c.add(TypeNormal, -float32(i), strings.Repeat("a", i))
		}
		c.CharsMap = buildCharsmap(map[string]string{"aaaaaaaaaaaaaaab": "c", "!": "aaaaaaaa"}, false)
		encodeAll(t, mustNew(t, c))
	})
}

// benchmarks are the vocabularies of the reference data that stand for an algorithm.
var benchmarks = []struct{ name, file string }{{"SPM", "llama-spm"}, {"BPE", "llama-bpe"}, {"BPE/gpt-2", "gpt-2"}, {"WPM", "bert-bge"}}

func benchmark(b *testing.B, run func(b *testing.B, tok *Tokenizer, text string)) {
	dir := filepath.Join(shared.Dir(b), "conformance", "tokenizers")
	text, err := os.ReadFile(filepath.Join(dir, "text_shared.txt"))
	require.NoError(b, err)
	for _, v := range benchmarks {
		tok := mustNew(b, readConfig(b, filepath.Join(dir, "ggml-vocab-"+v.file+".gguf")))
		for _, t := range []struct{ name, text string }{{"mixed", string(text)}, {"english", strings.Repeat(english, 8)}} {
			b.Run(v.name+"/"+t.name, func(b *testing.B) {
				b.SetBytes(int64(len(t.text)))
				b.ReportAllocs()
				run(b, tok, t.text)
			})
		}
	}
}

const english = `A tokenizer turns text into the numbers that a language model reads, and the numbers that it writes into text. It is the first thing that happens to a
prompt and the last thing that happens to an answer; nobody wants to wait for it. Most of what it reads is prose like this, some is code:

	for i, r := range text {
		if unicode.IsSpace(r) { count[i]++ } // 1234567 times
	}
`

// BenchmarkEncode measures bytes of text per second.
func BenchmarkEncode(b *testing.B) {
	benchmark(b, func(b *testing.B, tok *Tokenizer, text string) {
		var ids []int32
		for b.Loop() {
			ids = tok.Encode(ids[:0], text, true, true)
		}
		b.ReportMetric(float64(len(text))/float64(len(ids)), "bytes/token")
	})
}

// BenchmarkStream measures the way back, one token at a time.
func BenchmarkStream(b *testing.B) {
	benchmark(b, func(b *testing.B, tok *Tokenizer, text string) {
		ids := tok.Encode(nil, text, false, false)
		s := tok.NewStream(StreamConfig{})
		for b.Loop() {
			for _, id := range ids {
				s.Push(id)
			}
			s.Flush()
		}
	})
}

// BenchmarkNew measures how long a vocabulary takes to load, without the file.
func BenchmarkNew(b *testing.B) {
	dir := filepath.Join(shared.Dir(b), "conformance", "tokenizers")
	for _, v := range benchmarks {
		c := readConfig(b, filepath.Join(dir, "ggml-vocab-"+v.file+".gguf"))
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
