package grammar

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tokenizer"
)

var vocabularies sync.Map

// vocabulary opens one of the shared vocabularies, once.
func vocabulary(t testing.TB, name string) (*tokenizer.Tokenizer, *Vocabulary) {
	path := filepath.Join(shared.Dir(t), "conformance/tokenizers/ggml-vocab-"+name+".gguf")
	type pair struct {
		t *tokenizer.Tokenizer
		v *Vocabulary
	}
	if p, ok := vocabularies.Load(name); ok {
		return p.(pair).t, p.(pair).v
	}
	f, err := gguf.Open(path, gguf.Options{HeaderOnly: true})
	require.NoError(t, err)
	defer f.Close()
	tok, err := model.Vocabulary(f)
	require.NoError(t, err)
	p := pair{tok, NewVocabulary(tok)}
	vocabularies.Store(name, p)
	return p.t, p.v
}

func cases(t testing.TB, name string, f func(Case)) {
	in, err := os.Open(filepath.Join(shared.Dir(t), "conformance/grammar", name))
	require.NoError(t, err)
	defer in.Close()
	z, err := gzip.NewReader(in)
	require.NoError(t, err)
	require.NoError(t, ReadCases(z, func(c Case) error { f(c); return nil }))
}

// TestMaskBench measures the shared half of MaskBench; without GOINFER_LONG a hundredth of it.
func TestMaskBench(t *testing.T) {
	tok, v := vocabulary(t, "llama-bpe")
	every := 100
	if os.Getenv("GOINFER_LONG") != "" {
		every = 1
	}
	defer func(old func() time.Duration) { now = old }(now)
	now = processorTime
	var all []Case
	n := 0
	cases(t, "maskbench.jsonl.gz", func(c Case) {
		if n++; n%every == 0 {
			all = append(all, c)
		}
	})
	reports := make([]Report, len(all))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for i := next.Add(1) - 1; int(i) < len(all); i = next.Add(1) - 1 {
				reports[i] = Measure(v, tok, all[i], Options{Whitespace: Flexible})
			}
		})
	}
	workers.Wait()
	s := Summarise(v, reports)
	out, err := json.Marshal(s)
	require.NoError(t, err)
	t.Logf("%s", out)
	require.GreaterOrEqual(t, float64(s.Passing), 0.85*float64(s.Schemas))
	require.LessOrEqual(t, float64(s.InvalidAccepted), max(float64(s.Invalid)/1000, 1))
}

func newMask(v *Vocabulary) sample.Bitset { return sample.NewBitset(v.tokens.Size()) }

func itoa(i int) string { return strconv.Itoa(i) }
