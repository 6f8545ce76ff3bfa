package goinfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/goinfer/goinfer/checkpoint"
	"github.com/goinfer/goinfer/engine"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tokenizer"
)

// The types of lower packages that callers meet.
type (
	// Piece is what one token adds to the text. Its Bytes are valid until the next piece; Text copies them.
	Piece = engine.Piece
	// Usage counts what a generation took.
	Usage = engine.Usage
	// Stop says why a generation ended.
	Stop = engine.Stop
	// Sampling are the parameters of the sampler; the zero value is greedy.
	Sampling = sample.Params
	// Candidate is a token with its log-probability.
	Candidate = sample.Candidate
	// Tokenizer turns text into tokens and back.
	Tokenizer = tokenizer.Tokenizer
	// Hook observes, and may alter, router decisions, attention heads, activations and the state after each layer.
	Hook = nn.Hook
	// InputHook is a Hook that is also shown what weights are multiplied with.
	InputHook = nn.InputHook
	// RoutingHook is a Hook that also says how many experts a token uses.
	RoutingHook = nn.RoutingHook
	// Event is what a Hook is shown.
	Event = nn.Event
	// Scoring turns router logits into the scores of experts.
	Scoring = nn.Scoring
	// Config holds a model's hyper-parameters.
	Config = model.Config
	// Tensor is a tensor that a model is computed with, and how much of it a token needs.
	Tensor = model.Tensor
	// Pooling is how an embedding is made of the hidden states of a text.
	Pooling = model.Pooling
	// CacheType is the format of the cache of keys and values.
	CacheType = kv.Type
)

// The formats of the cache.
const (
	CacheF16  = kv.F16
	CacheF32  = kv.F32
	CacheQ8_0 = kv.Q8_0 // heads are a multiple of 32 long
	CacheQ4_0 = kv.Q4_0 // likewise
)

// CacheTypes lists the formats of the cache.
func CacheTypes() []CacheType { return kv.Types() }

// Why a generation ended.
const (
	StopEOG       = engine.StopEOG
	StopString    = engine.StopString
	StopLength    = engine.StopLength
	StopContext   = engine.StopContext
	StopCancelled = engine.StopCancelled
)

// The names under which a Hook meets what is not the output of a named weight.
const (
	NameEmbd         = nn.NameEmbd
	NameAttnHeads    = nn.NameAttnHeads
	NameAttnProbs    = nn.NameAttnProbs
	NameFFNAct       = nn.NameFFNAct
	NameLayerOut     = nn.NameLayerOut
	NameScan         = nn.NameScan
	NameRouterLogits = nn.NameRouterLogits
	NameRouterScores = nn.NameRouterScores
	NameRouterTopK   = nn.NameRouterTopK
)

// The scorings of routers.
const (
	ScoreSoftmax  = nn.ScoreSoftmax
	ScoreSigmoid  = nn.ScoreSigmoid
	ScoreSelected = nn.ScoreSelected
)

// JoinHooks returns a hook that shows everything to several, in order: each sees what those before it have written.
func JoinHooks(hooks ...Hook) Hook { return nn.Join(hooks...) }

// Faults for errors.Is.
var (
	ErrFormat      = gguf.ErrFormat        // the file is damaged, or no model file
	ErrUnsupported = model.ErrUnsupported  // the file is sound, but asks for what this version lacks
	ErrContextFull = engine.ErrContextFull // the prompt is longer than the context
	ErrCacheFull   = engine.ErrCacheFull   // Options.CacheBytes is used up
	ErrMemory      = errors.New("not enough memory")
	ErrClosed      = engine.ErrClosed
)

// DefaultSampling returns the field's usual chain of samplers with its usual settings and a seed of 0.
func DefaultSampling() Sampling { return sample.Defaults() }

// MaxThreads bounds Options.Threads.
const MaxThreads = par.MaxThreads

// Options are how a model is opened. The zero value works.
type Options struct {
	Context    int       // positions per generation; 0 means the model's own
	Threads    int       // at most MaxThreads; 0 means one for every core the process may use
	Batch      int       // rows computed at once; 0 means 512, or up to 8192 of the context where a model reads texts whole
	CacheK     CacheType // format of cached keys; the zero value is CacheF16
	CacheV     CacheType // format of cached values
	CacheBytes int64     // bound on the cache; 0 means none
	Retain     int       // ended generations whose cache is kept for those that begin alike; 0 means 4, less than 0 none
	Exact      bool      // compute every weight format with float32 activations in plain Go: slow, the engine's own reference
	NoMmap     bool      // read the file instead of mapping it
	Mlock      bool      // keep the mapped file in memory
	Overcommit bool      // open even what is expected not to fit in memory
}

// Model is an open model. It may be used from many goroutines.
type Model struct {
	name     string
	file     *gguf.File
	cfg      Config
	vocab    *Tokenizer
	engine   *engine.Engine
	pool     *par.Pool
	need     Memory
	warnings []string
	tensors  []Tensor

	close      sync.Once
	err        error
	populating sync.WaitGroup
	closing    atomic.Bool
}

// Open opens a GGUF file, or the set of files that it is a part of, or the folder of a Hugging Face checkpoint.
func Open(path string, o Options) (*Model, error) {
	head, err := checkpoint.Open(path, gguf.Options{HeaderOnly: true})
	if err != nil {
		return nil, err
	}
	defer head.Close()
	// What cannot fit is refused before anything is read.
	cfg, err := configOf(head, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	need, err := estimate(head, cfg, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := checkpoint.Open(path, gguf.Options{NoMmap: o.NoMmap})
	if err != nil {
		return nil, err
	}
	return open(f, cfg, need, o)
}

// OpenBytes opens a model that is in memory, such as an embedded one. name is what errors call it. data must not change until Close.
func OpenBytes(name string, data []byte, o Options) (*Model, error) {
	f, err := gguf.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	cfg, err := configOf(f, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	need, err := estimate(f, cfg, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return open(f, cfg, need, o)
}

// longText is how many tokens of a text encoders compute at once if nothing else is said, which is the context of the longest that are published.
const longText = 8192

// configOf reads the configuration and completes the options by it.
func configOf(f *gguf.File, o *Options) (Config, error) {
	meta := model.GGUF(f)
	name, _, err := meta.Text("general.architecture")
	if err != nil {
		return Config{}, err
	}
	if name != "" {
		if err := arch.Check(name); err != nil {
			return Config{}, err
		}
	}
	cfg, err := model.ReadConfig(meta)
	if err != nil {
		return cfg, err
	}
	if o.Context == 0 {
		o.Context = cfg.NCtx
	}
	if o.Batch == 0 && arch.Encoder(cfg.Arch) {
		o.Batch = min(o.Context, longText) // a text is computed whole
	} else if o.Batch == 0 {
		o.Batch = engine.DefaultBatch
	}
	if o.Threads > MaxThreads {
		return cfg, fmt.Errorf("want at most %d threads, found %d", MaxThreads, o.Threads)
	}
	if o.Context < 1 || o.Batch < 1 || o.Threads < 0 || o.CacheBytes < 0 {
		return cfg, fmt.Errorf("want a context and a batch of at least 1 and threads and cache bytes of at least 0, found %d, %d, %d, %d",
			o.Context, o.Batch, o.Threads, o.CacheBytes)
	}
	return cfg, nil
}

// Check returns an error that says what is missing if an open file does not have all that its architecture needs. It reads no weights.
func Check(f *gguf.File) error {
	cfg, err := configOf(f, &Options{})
	if err == nil {
		_, err = arch.Build(outline(f, cfg))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path(), err)
	}
	return nil
}

// outline is the builder of what is needed of f.
func outline(f *gguf.File, c Config) *model.Weights {
	return model.Outline(c, func(name string) bool { _, ok := f.Tensor(name); return ok })
}

// open binds the weights and starts the engine. It closes f if it fails.
func open(f *gguf.File, cfg Config, need Memory, o Options) (m *Model, err error) {
	m = &Model{name: f.Path(), file: f, cfg: cfg, need: need, warnings: slices.Clone(f.Notes())}
	defer func() {
		if err != nil {
			m.release()
			m, err = nil, fmt.Errorf("%s: %w", f.Path(), err)
		}
	}()
	if cfg.HasVocab {
		if m.vocab, err = model.Vocabulary(f); err != nil {
			return m, err
		}
	}
	if o.Context > cfg.NCtx {
		m.warnings = append(m.warnings, fmt.Sprintf("a context of %d is more than the %d positions the model was made for", o.Context, cfg.NCtx))
	}
	w := model.NewWeights(cfg, model.GGUF(f), model.Options{Exact: o.Exact, Context: o.Context})
	net, err := arch.Build(w)
	if err != nil {
		return m, err
	}
	m.tensors = w.Tensors()
	if unused := w.Unused(); len(unused) > 0 {
		var n int64
		for _, name := range unused {
			t, _ := f.Tensor(name)
			n += t.Bytes
		}
		m.warnings = append(m.warnings, fmt.Sprintf("%d tensors (%s) take no part in this architecture, the first is %s", len(unused), Bytes(n), unused[0]))
	}
	m.need.Weights += w.Copied()
	rows := min(o.Batch, o.Context)
	m.need.Scratch = nn.Measure(rows, func(p *nn.Pass) { net.Forward(p) }) + 4*int64(cfg.NVocab)
	if err := m.need.check(o); err != nil {
		return m, err
	}
	if o.Mlock {
		if err := f.Lock(); err != nil {
			m.warnings = append(m.warnings, fmt.Sprintf("the weights could not be locked in memory: %v", err))
		}
	}
	m.populate(w.Views())
	threads := o.Threads
	if threads == 0 {
		threads, _ = cpu.Threads()
	}
	m.pool = par.Shared(threads)
	m.engine, err = engine.New(engine.Config{
		Model: net, Vocab: m.vocab, Pool: m.pool, NVocab: cfg.NVocab, Whole: m.Encoder(), NCtx: o.Context,
		KType: o.CacheK, VType: o.CacheV, CacheBytes: o.CacheBytes, Batch: o.Batch, Retain: o.Retain, Exact: o.Exact,
	})
	return m, err
}

// Close ends all generations and gives the file back. It waits, and may be called more than once.
func (m *Model) Close() error {
	m.close.Do(func() { m.err = m.release() })
	return m.err
}

func (m *Model) release() error {
	if m.engine != nil {
		m.engine.Close()
	}
	if m.pool != nil {
		m.pool.Close()
	}
	m.closing.Store(true)
	m.populating.Wait()
	return m.file.Close()
}

// populate has the weights mapped behind the back of the first prompt, which would otherwise fault them in by small groups of pages, as long as memory has room for
// them all.
func (m *Model) populate(weights [][]byte) {
	if have, _, ok := mem.Available(); ok && m.need.Weights > have {
		return
	}
	m.populating.Go(func() {
		const piece = 16 << 20 // takes milliseconds, if it need not be read
		for _, b := range weights {
			for len(b) > 0 && !m.closing.Load() {
				n := min(piece, len(b))
				mem.Populate(b[:n])
				b = b[n:]
			}
		}
	})
}

// Config returns the hyper-parameters.
func (m *Model) Config() Config { return m.cfg }

// Tokenizer returns the vocabulary, nil for a file without one.
func (m *Model) Tokenizer() *Tokenizer { return m.vocab }

// Encoder reports whether the model reads texts whole, both ways (BERT and its kin), and makes hidden states of them, but neither logits nor text.
func (m *Model) Encoder() bool { return arch.Encoder(m.cfg.Arch) }

// Memory returns what the model was expected to need.
func (m *Model) Memory() Memory { return m.need }

// Tensors lists the tensors that take part, in the order in which the architecture asked for them.
func (m *Model) Tensors() []Tensor { return m.tensors }

// Recipe is the name of the mixture of types that the weights are in, such as "Q4_K_M", as far as the file tells it.
func (m *Model) Recipe() string {
	n, ok, err := model.GGUF(m.file).Uint("general.file_type")
	if r := quant.Mixture(n); ok && err == nil && n == uint64(r) && r.Valid() {
		return r.String()
	}
	return ""
}

// Threads is the number of threads at work.
func (m *Model) Threads() int { return m.pool.Threads() }

// Warnings tells what was ignored or refused while opening, one line each.
func (m *Model) Warnings() []string { return m.warnings }

// Request is what to generate. The zero value of every field but one of Prompt and Tokens works.
type Request struct {
	Prompt string  // text to continue; special tokens in it are recognised
	Tokens []int32 // the same as tokens, in place of Prompt
	// NoSpecial takes the spelling of special tokens in Prompt for plain text.
	NoSpecial bool
	Sampling  Sampling
	// Pick, if set, chooses tokens in place of Sampling: the next one after pos others, from its logits, which are valid during the call. It runs on the engine's
	// goroutine and must be quick.
	Pick func(logits []float32, pos int) int32
	// MaxTokens ends the generation; 0 means no limit but the context, less than 0 that the prompt is evaluated and nothing generated.
	MaxTokens int
	Stop      []string // strings that end the generation
	IgnoreEOG bool     // go on past end-of-generation tokens
	Special   bool     // yield the spelling of special tokens
	LogProb   bool     // fill Piece.LogProb
	Top       int      // fill Piece.Top with that many alternatives
	Hook      Hook
	Progress  func(done, total int) // called before the prompt is evaluated and as it is
	// Logits, if set, is given the logits after every prompt token from LogitsFrom on, in order. The row is valid during the call, which is on the engine's
	// goroutine. An error ends the generation.
	Logits     func(pos int, row []float32) error
	Hidden     func(pos int, row []float32) error // likewise given the hidden states behind the final norm, [NEmbd]
	LogitsFrom int                                // those before it are computed without either
}

// Generate continues a prompt and yields its pieces as they are made; the last has Stop and Usage set. Cancelling ctx ends the generation with a last piece
// whose Stop is [StopCancelled]; leaving the loop ends it too. An error is yielded once and ends the sequence.
func (m *Model) Generate(ctx context.Context, q Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		r, err := m.request(q)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		m.engine.Generate(ctx, r)(yield)
	}
}

func (m *Model) request(q Request) (engine.Request, error) {
	r := engine.Request{
		Prompt: q.Tokens, Pick: q.Pick, MaxTokens: q.MaxTokens, Stop: q.Stop, IgnoreEOG: q.IgnoreEOG, Special: q.Special,
		LogProb: q.LogProb, Top: q.Top, Hook: q.Hook, Progress: q.Progress, Logits: q.Logits, Hidden: q.Hidden, LogitsFrom: q.LogitsFrom,
	}
	switch {
	case q.MaxTokens == 0:
		r.MaxTokens = -1
	case q.MaxTokens < 0:
		r.MaxTokens = 0
	}
	if q.Tokens == nil {
		if m.vocab == nil {
			return r, fmt.Errorf("%s: the file has no vocabulary: want Tokens in place of Prompt: %w", m.name, ErrUnsupported)
		}
		r.Prompt = m.vocab.Encode(nil, q.Prompt, true, !q.NoSpecial)
		if len(r.Prompt) == 0 {
			return r, errors.New("the prompt is empty, and the model has no token to begin a text with")
		}
	}
	var v sample.Vocab
	if m.vocab != nil {
		v = m.vocab
	}
	var err error
	r.Sampler, err = sample.New(q.Sampling, v)
	return r, err
}

// Logits evaluates tokens and calls f with the logits after each, in order: row has NVocab elements and is valid during the call. f runs on the engine's
// goroutine.
func (m *Model) Logits(ctx context.Context, tokens []int32, f func(pos int, row []float32) error) error {
	return m.LogitsFrom(ctx, tokens, 0, f)
}

// LogitsFrom is Logits without the positions before first, which takes less time.
func (m *Model) LogitsFrom(ctx context.Context, tokens []int32, first int, f func(pos int, row []float32) error) error {
	if tokens == nil {
		tokens = []int32{} // which is refused, and does not stand for a prompt
	}
	return m.Evaluate(ctx, Request{Tokens: tokens, Logits: f, LogitsFrom: first})
}

// Hidden evaluates tokens and calls f with the hidden states of each behind the final norm, in order: row has NEmbd elements and is valid during the call. f runs on the
// engine's goroutine.
func (m *Model) Hidden(ctx context.Context, tokens []int32, f func(pos int, row []float32) error) error {
	if tokens == nil {
		tokens = []int32{}
	}
	return m.Evaluate(ctx, Request{Tokens: tokens, Hidden: f})
}

// Evaluate evaluates the prompt of a request for what its Hook, its Logits, its Hidden and its Progress are told, and generates nothing.
func (m *Model) Evaluate(ctx context.Context, q Request) error {
	q.MaxTokens = -1
	for p, err := range m.Generate(ctx, q) {
		if err != nil {
			return err
		}
		if p.Stop == StopCancelled {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Unembed applies the final norm and the output matrix to rows of the residual stream, as a [Hook] sees them at [NameLayerOut], x being [len(x)/NEmbd][NEmbd], and calls f with
// the logits of each, in order. After the last layer they are those of the model, bit for bit; after an earlier one, what it would say if it ended there: the logit lens
// (nostalgebraist 2020). logits is valid during the call, which is on the engine's goroutine.
func (m *Model) Unembed(ctx context.Context, x []float32, f func(row int, logits []float32) error) error {
	return m.engine.Unembed(ctx, x, m.cfg.NEmbd, f)
}

// OpenTokenizer reads the vocabulary of a GGUF file of any architecture, or of a Hugging Face folder with or without weights, and nothing else.
func OpenTokenizer(path string) (*Tokenizer, error) {
	f, err := openVocabulary(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return vocabulary(f)
}

func openVocabulary(path string) (*gguf.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		f, err := checkpoint.OpenVocabulary(path)
		if f == nil && err == nil {
			err = fmt.Errorf("%s: want a vocabulary (tokenizer.json, tokenizer.model or another), found none", path)
		}
		return f, err
	}
	return checkpoint.Open(path, gguf.Options{HeaderOnly: true})
}

// OpenTokenizerBytes does the same for a file in memory.
func OpenTokenizerBytes(name string, data []byte) (*Tokenizer, error) {
	f, err := gguf.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return vocabulary(f)
}

func vocabulary(f *gguf.File) (*Tokenizer, error) {
	v, err := model.Vocabulary(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return v, nil
}
