//go:build unix

package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/tokenizer"
)

// bombs are files of some 300 KB that ask for far more than they are.
func bombs() map[string]string {
	const n = 100_000
	list := func(s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	numbered := func(format, glue string) string {
		parts := make([]string, n/10)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i, i)
		}
		return strings.Join(parts, glue)
	}
	doc := func(fields, model string) string {
		return `{` + fields + `"model":{"type":"BPE","byte_fallback":true,` + model + `}}`
	}
	const plain = `"vocab":{"a":0},"merges":[]`
	long := strings.Repeat("q", n)
	return map[string]string{
		"normalizers":      doc(`"normalizer":{"type":"Sequence","normalizers":[`+list(`{}`)+`]},`, plain),
		"pre-tokenizers":   doc(`"pre_tokenizer":{"type":"Sequence","pretokenizers":[`+list(`{}`)+`]},`, plain),
		"nested":           doc(`"pre_tokenizer":`+strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 4000)+list(`{}`)+strings.Repeat(`]}`, 4000)+`,`, plain),
		"added tokens":     doc(`"added_tokens":[`+list(`{}`)+`],`, plain),
		"post-processors":  doc(`"post_processor":{"type":"Sequence","processors":[`+list(`{}`)+`]},`, plain),
		"a long token":     doc(``, `"vocab":{"q":0,"`+long+`":1},"merges":[["q","`+long[1:]+`"]]`),
		"a long added":     doc(`"added_tokens":[{"id":1,"content":"`+long+`"}],`, plain),
		"tokens":           doc(``, `"vocab":{`+numbered(`"%d":%d`, ",")+`},"merges":[]`),
		"merges":           doc(``, `"vocab":{"a":0},"merges":[`+list(`"a a"`)+`]`),
		"Unigram":          `{"model":{"type":"Unigram","unk_id":0,"vocab":[` + numbered(`["%d",-%d]`, ",") + `]}}`,
		"vocab_size":       doc(``, plain),
		"a template of it": doc(`"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{}},`+list(`{"SpecialToken":{"id":"a"}}`)+`],"special_tokens":{"a":{"ids":[0]}}},`, plain),
	}
}

// TestBudget holds the reader to what the package comment states, in processor time and in what is
// allocated in all, which is more than what is held at once.
func TestBudget(t *testing.T) {
	for name, text := range bombs() {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(text), 0o600))
		size := int64(len(text))
		if name == "vocab_size" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"vocab_size":%d}`, maxPadding), 0o600))
		}
		used, memory := measure(func() {
			if v, err := Read(dir, Options{}); err == nil {
				tokenizer.New(v.Config)
			}
		})
		require.Less(t, used, 5*time.Second+time.Duration(2*size)*time.Microsecond, "%s: %d bytes", name, size)
		require.Less(t, memory, 256<<20+200*size, "%s: %d bytes", name, size)
	}
}

// TestTextBudget: a text takes at most 10 times its size, and one that is a single word 40 times.
func TestTextBudget(t *testing.T) {
	var cases []struct{ Tokenizer json.RawMessage }
	b, err := os.ReadFile(filepath.Join("testdata", "reference.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &cases))
	words := strings.Repeat("ab zz bab, a. cab\n", 5_000)
	one := strings.Repeat("ab", len(words)/2)
	for n, c := range cases[:40] {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), c.Tokenizer, 0o600))
		tok := open(t, dir)
		// all that is allocated, in place of what is held
		for text, most := range map[string]int64{words: 60, one: 100} {
			used, memory := measure(func() { tok.Encode(nil, text, true, true) })
			require.Less(t, used, 10*time.Second, "%d", n)
			require.Less(t, memory, 4<<20+most*int64(len(text)), "%d %.10q %s", n, text, c.Tokenizer)
		}
	}
}

// measure returns the processor time that f takes, and the bytes that it allocates.
func measure(f func()) (time.Duration, int64) {
	var a, b syscall.Rusage
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	syscall.Getrusage(syscall.RUSAGE_SELF, &a)
	f()
	syscall.Getrusage(syscall.RUSAGE_SELF, &b)
	runtime.ReadMemStats(&after)
	return time.Duration(b.Utime.Nano() - a.Utime.Nano()), int64(after.TotalAlloc - before.TotalAlloc)
}
