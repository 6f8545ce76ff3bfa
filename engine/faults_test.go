package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
)

// trap is every callback of a request: it does something bad the nth time that it is called by a
// name.
type trap struct {
	at  string
	n   int
	bad func()
}

func (p *trap) spring(at string) {
	if p.at != at {
		return
	}
	if p.n--; p.n == 0 {
		p.bad()
	}
}

func (p *trap) Wants(int, string) bool                { p.spring("Wants"); return true }
func (p *trap) Observe(e *nn.Event)                   { p.spring("Observe"); p.spring(e.Name) }
func (p *trap) ObserveInput(string, int, []float32)   { p.spring("ObserveInput") }
func (p *trap) ExpertsUsed(_, used, _ int) int        { p.spring("ExpertsUsed"); return used }
func (p *trap) Key() string                           { return "trap" }
func (p *trap) Add(string, int, []float32, []float32) { p.spring("Add") }
func (p *trap) Propose(dst []int32, tokens []int32, n int) []int32 {
	p.spring("Propose")
	return append(dst, 5)
}
func (p *trap) NewMatcher() sample.Matcher { return p }
func (p *trap) Mask(b sample.Bitset) {
	p.spring("Mask")
	for i := range b {
		b[i] = ^uint64(0)
	}
}
func (p *trap) Accept(int32) error    { p.spring("Accept"); return nil }
func (p *trap) Clone() sample.Matcher { return p }
func (p *trap) Done() bool            { p.spring("Done"); return false }

// request uses every callback; those that change nothing are beside the one that springs.
func (p *trap) request() Request {
	q := Request{Tokens: prompt(30), MaxTokens: 20, IgnoreEOG: true,
		Logits:   func(int, []float32) error { p.spring("Logits"); return nil },
		Hidden:   func(int, []float32) error { p.spring("Hidden"); return nil },
		Progress: func(int, int) { p.spring("Progress") },
	}
	switch p.at {
	case "Propose":
		q.Proposer = p
	case "Add":
		q.Adapter = p
	case "Mask", "Accept", "Done":
		q.Sampling.Grammar = p
	case "Pick":
		q.Pick = func([]float32, int) int32 { p.spring("Pick"); return 7 }
	case "Logits", "Hidden", "Progress":
	default:
		q.Hook = p
	}
	return q
}

// TestFaultsCostTheirRequestAlone: a callback of any name that panics, ends the goroutine or calls
// the engine fails its own request. What runs beside it does not notice.
func TestFaultsCostTheirRequestAlone(t *testing.T) {
	e := start(t, "mixtral", func(c *Config) { c.Batch = 16 })
	others := []Request{
		{Tokens: prompt(25), MaxTokens: 30, IgnoreEOG: true},
		{Tokens: prompt(40), MaxTokens: 30, IgnoreEOG: true, Sampling: sample.Defaults()},
	}
	var want []result
	for _, q := range others {
		want = append(want, generate(t, e, q))
	}
	boom := errors.New("boom")
	var inside error
	for _, at := range []string{
		"Wants", "Observe", "ObserveInput", "ExpertsUsed", "Add", "Propose", "Mask", "Accept", "Done", "Pick", "Logits", "Hidden", "Progress",
		nn.NameEmbd, nn.NameAttnHeads, nn.NameAttnProbs, nn.NameLayerOut, nn.NameFFNAct, nn.NameRouterLogits, nn.NameRouterScores, nn.NameRouterTopK,
	} {
		for how, bad := range map[string]func(){
			"panic": func() { panic(boom) },
			"exit":  runtime.Goexit,
			"call": func() {
				inside = errors.Join(e.Close(), e.Score(context.Background(), Request{Tokens: prompt(3)}))
				panic(boom)
			},
		} {
			p := &trap{at: at, n: 2, bad: bad}
			if at == "ExpertsUsed" {
				p.n = 1
			}
			var wg sync.WaitGroup
			got := make([]result, len(others))
			for i, q := range others {
				wg.Go(func() { got[i] = collect(e, context.Background(), q) })
			}
			r := collect(e, context.Background(), p.request())
			wg.Wait()
			require.ErrorIs(t, r.err, ErrCallback, "%s %s", at, how)
			require.NotContains(t, r.err.Error(), "\n")
			if how != "exit" {
				require.ErrorIs(t, r.err, boom, "%s %s", at, how)
			}
			if how == "call" {
				require.ErrorIs(t, inside, ErrReentrant, at)
			}
			for i := range others {
				require.NoError(t, got[i].err, "%s %s", at, how)
				require.Equal(t, want[i].ids, got[i].ids, "%s %s", at, how)
			}
		}
	}
}

// TestExitInUnembed: its function is a callback too.
func TestExitInUnembed(t *testing.T) {
	e := start(t, "llama-dense", nil)
	err := e.Unembed(t.Context(), make([]float32, 64), widthOf(t, e), func(int, []float32) error { runtime.Goexit(); return nil })
	require.ErrorIs(t, err, ErrCallback)
	require.NoError(t, e.Score(t.Context(), Request{Tokens: prompt(3)}))
}

func widthOf(t *testing.T, e *Engine) (n int) {
	t.Helper()
	require.NoError(t, e.Score(t.Context(), Request{Tokens: prompt(1), Hidden: func(_ int, row []float32) error { n = len(row); return nil }}))
	return n
}

// TestUnembedTogether: rows of several callers, and of other widths, beside requests that have
// outputs in the same round, are each their own.
func TestUnembedTogether(t *testing.T) {
	e := start(t, "llama-dense", func(c *Config) { c.Batch = 64 })
	width := widthOf(t, e)
	rows := func(i int) []float32 {
		x := make([]float32, 5*width)
		for j := range x {
			x[j] = float32((j*7+i*13)%29) - 14
		}
		return x
	}
	unembed := func(x []float32, width int) (all []float32, err error) {
		err = e.Unembed(context.Background(), x, width, func(_ int, logits []float32) error {
			all = append(all, logits...)
			return nil
		})
		return all, err
	}
	var want [][]float32
	for i := range 3 {
		w, err := unembed(rows(i), width)
		require.NoError(t, err)
		require.Len(t, w, 5*e.c.NVocab)
		want = append(want, w)
	}
	// All of them are entered while the engine is held up, and so meet in a round.
	text := generate(t, e, Request{Tokens: prompt(10), MaxTokens: 10, IgnoreEOG: true})
	held, free := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		once := sync.OnceFunc(func() { close(held); <-free })
		collect(e, context.Background(), Request{Tokens: prompt(3), MaxTokens: 1, Progress: func(int, int) { once() }})
	})
	<-held
	for range 2 {
		wg.Go(func() {
			require.Equal(t, text.ids, collect(e, context.Background(), Request{Tokens: prompt(10), MaxTokens: 10, IgnoreEOG: true}).ids)
		})
	}
	time.Sleep(5 * time.Millisecond)
	for i := range want {
		wg.Go(func() {
			got, err := unembed(rows(i), width)
			require.NoError(t, err)
			require.Equal(t, want[i], got, i)
		})
	}
	wg.Go(func() {
		_, err := unembed(rows(0), width/2)
		require.Error(t, err, "rows of a wrong width")
	})
	time.Sleep(5 * time.Millisecond)
	close(free)
	wg.Wait()
}

// TestCancelledWaits: a caller whose context is done returns, even while another's hook sleeps, and
// none of its callbacks is called after that.
func TestCancelledWaits(t *testing.T) {
	e := start(t, "llama-dense", nil)
	width := widthOf(t, e)
	held, free := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	once := sync.OnceFunc(func() { close(held); <-free })
	wg.Go(func() {
		require.NoError(t, collect(e, context.Background(), Request{Tokens: prompt(9), MaxTokens: 3, Logits: func(int, []float32) error { once(); return nil }}).err)
	})
	<-held
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	late := func(int, []float32) error { panic("called after its caller has left") }
	for name, f := range map[string]func() error{
		"score": func() error { return e.Score(ctx, Request{Tokens: prompt(9), Logits: late}) },
		"embed": func() error {
			_, err := e.Embed(ctx, EmbedRequest{Tokens: prompt(9), Pooling: model.PoolMean})
			return err
		},
		"unembed": func() error { return e.Unembed(ctx, make([]float32, width), width, late) },
		"save":    func() error { _, err := e.SaveState(ctx, &strings.Builder{}, prompt(9), ""); return err },
		"generate": func() error {
			r := collect(e, ctx, Request{Tokens: prompt(9)})
			if r.last.Stop == StopCancelled {
				return ctx.Err()
			}
			return fmt.Errorf("found %q, %v", r.last.Stop, r.err)
		},
	} {
		wg.Go(func() { require.ErrorIs(t, f(), context.DeadlineExceeded, name) })
	}
	time.Sleep(10*time.Millisecond + grace + 20*time.Millisecond)
	close(free)
	wg.Wait()
	require.Zero(t, e.Stats().Failed)
}

// TestCloseAtAnyMoment closes engines that are at work, from outside and by the loop of a reader.
func TestCloseAtAnyMoment(t *testing.T) {
	before := runtime.NumGoroutine()
	path := filepath.Join(shared.Root(t), "testdata", "models", "llama-dense", "model.gguf")
	t.Run("engines", func(t *testing.T) {
		for i := range 12 {
			e := startFile(t, path, nil)
			var wg sync.WaitGroup
			for j := range 5 {
				wg.Go(func() {
					n := 0
					w := NewWatch(WatchConfig{Names: []string{nn.NameLayerOut}})
					for _, err := range e.Generate(context.Background(), Request{Tokens: prompt(20 + j), IgnoreEOG: true, Watch: w}) {
						if n++; err != nil {
							require.ErrorIs(t, err, ErrClosed)
						} else if j == 0 && n == i {
							require.NoError(t, e.Close())
						}
					}
					for range w.Events() { // it is closed, whatever became of the request
					}
				})
			}
			time.Sleep(time.Duration(i) * time.Millisecond / 4)
			require.NoError(t, e.Close())
			wg.Wait()
			require.Zero(t, e.store.Pages())
		}
	})
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before, "goroutines are left")
}
