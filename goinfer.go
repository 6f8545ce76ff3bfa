package goinfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/goinfer/goinfer/engine"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/tokenizer"
)

// The types of lower packages that callers meet.
type (
	// Request is what to generate or to score; its fields are documented at [engine.Request].
	Request = engine.Request
	// EmbedRequest is what to embed; its fields are documented at [engine.EmbedRequest].
	EmbedRequest = engine.EmbedRequest
	// Piece is one generated token, or the end; its fields are documented at [engine.Piece].
	Piece = engine.Piece
	// Kind is what a piece brings: text, a control token, or the end.
	Kind = engine.Kind
	// Usage counts what a generation took; its fields are documented at [engine.Usage].
	Usage = engine.Usage
	// Stop says why a generation ended.
	Stop = engine.Stop
	// Stats counts what a model did and does; its fields are documented at [engine.Stats].
	Stats = engine.Stats
	// Proposer guesses tokens that are evaluated together (speculative decoding); see
	// [engine.Proposer].
	Proposer = engine.Proposer
	// Watch copies what a request computes into a queue; see [engine.Watch].
	Watch = engine.Watch
	// WatchConfig says what a Watch wants to see; its fields are documented at
	// [engine.WatchConfig].
	WatchConfig = engine.WatchConfig
	// WatchEvent is one row at one step; its fields are documented at [engine.WatchEvent].
	WatchEvent = engine.WatchEvent
	// Sampling are the parameters of the sampler; the zero value is greedy. Its fields are
	// documented at [sample.Params].
	Sampling = sample.Params
	// Grammar is a compiled constraint on what is generated; see [sample.Grammar].
	Grammar = sample.Grammar
	// Matcher is the state of one sequence under a Grammar; see [sample.Matcher].
	Matcher = sample.Matcher
	// Bitset is a set of token ids; see [sample.Bitset].
	Bitset = sample.Bitset
	// Adapter changes products of weights, row by row; see [nn.Adapter].
	Adapter = nn.Adapter
	// Candidate is a token with its log-probability.
	Candidate = sample.Candidate
	// Tokenizer converts text to tokens and back.
	Tokenizer = tokenizer.Tokenizer
	// Hook observes, and may alter, router decisions, attention heads, activations and the state
	// after each layer.
	Hook = nn.Hook
	// InputHook is a Hook that is also shown what weights are multiplied with.
	InputHook = nn.InputHook
	// RoutingHook is a Hook that also says how many experts a token uses.
	RoutingHook = nn.RoutingHook
	// Event is what a Hook is shown.
	Event = nn.Event
	// Scoring is how router logits become the scores of experts.
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

// The kinds of pieces.
const (
	KindText    = engine.KindText    // a token with text, some of which may be held back
	KindSpecial = engine.KindSpecial // a control token
	KindStop    = engine.KindStop    // the last piece
)

// NewWatch returns a Watch to be put into a Request.
func NewWatch(c WatchConfig) *Watch { return engine.NewWatch(c) }

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
	ScoreSoftmax       = nn.ScoreSoftmax
	ScoreSigmoid       = nn.ScoreSigmoid
	ScoreSoftmaxWeight = nn.ScoreSoftmaxWeight
)

// JoinHooks returns a hook that shows everything to several, in order: each sees what those before
// it have written.
func JoinHooks(hooks ...Hook) Hook { return nn.Join(hooks...) }

// Kinds of errors, for errors.Is.
var (
	ErrFormat      = gguf.ErrFormat        // the file is damaged, or no model file
	ErrUnsupported = model.ErrUnsupported  // the file is sound, but needs what this version lacks
	ErrContextFull = engine.ErrContextFull // the prompt is longer than the context
	ErrCacheFull   = engine.ErrCacheFull   // the request alone does not fit into Options.CacheBytes
	ErrReentrant   = engine.ErrReentrant   // a callback called the model that it is called by
	ErrCallback    = engine.ErrCallback    // code of the request panicked or ended its goroutine
	ErrState       = engine.ErrState       // no saved state of this model with these options
	ErrMemory      = fault.ErrMemory
	ErrClosed      = engine.ErrClosed
)

// DefaultSampling returns the field's usual chain of samplers with its usual settings and a seed of
// 0.
func DefaultSampling() Sampling { return sample.Defaults() }

// MaxThreads bounds Options.Threads.
const MaxThreads = par.MaxThreads

// Options are how a model is opened. The zero value works.
type Options struct {
	Context int // positions per generation; 0 means the model's own
	Threads int // at most MaxThreads; 0 means one for every core the process may use
	// rows computed at once; 0 means 512, for encoders up to 8192 of the context
	Batch      int
	CacheK     CacheType // format of cached keys; the zero value is CacheF16
	CacheV     CacheType // format of cached values
	CacheBytes int64     // bound on the cache; 0 means none
	// Retain is how many positions of ended generations are kept for those that begin alike, in
	// contexts; 0 means 4, less than 0 none.
	Retain     int
	Running    int  // requests computed at once; 0 means as many as a batch has rows
	Waiting    int  // further requests that may wait before ErrBusy; 0 means 1024
	Exact      bool // float32 activations, in plain Go: slow, the engine's own reference
	NoMmap     bool // read the file instead of mapping it
	Mlock      bool // keep the mapped file in memory
	Overcommit bool // open even what is expected not to fit in memory
	// Overrides are other values for keys of the metadata; each must be of the kind that the file
	// has there. One of a key that the file lacks is among Info.Warnings.
	Overrides []source.Override
}

// Model is an open model. It may be used from many goroutines.
type Model struct {
	name   string
	file   *gguf.File
	cfg    Config
	vocab  *Tokenizer
	engine *engine.Engine
	pool   *par.Pool
	info   Info

	templates sync.Map // of chats, compiled

	close      sync.Once
	err        error
	populating sync.WaitGroup
	closing    atomic.Bool
}

// Open opens the model of a name: the path of a GGUF file, or of one of the files of a split model,
// the folder of a Hugging Face checkpoint, or whatever else [source.Resolve] knows.
func Open(name string, o Options) (*Model, error) {
	s, err := source.Resolve(name)
	if err != nil {
		return nil, err
	}
	return OpenSource(s, o)
}

// OpenSource opens the model that a source stands for: of package source also one that is in memory
// or in a file system of Go.
func OpenSource(s *source.Source, o Options) (_ *Model, err error) {
	defer fault.Guard(&err)()
	ctx := context.Background()
	s = s.With(o.Overrides...)
	if s.Path() == "" || !s.Local() { // in memory, or an error that says what it is
		f, err := s.Open(ctx, gguf.Options{})
		if err != nil {
			return nil, err
		}
		cfg, need, err := needs(f, &o)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return open(f, cfg, need, o)
	}
	head, err := s.Header(ctx)
	if err != nil {
		return nil, err
	}
	defer head.Close()
	// What cannot fit is refused before anything is read.
	cfg, need, err := needs(head, &o)
	if err != nil {
		return nil, err
	}
	f, err := s.Open(ctx, gguf.Options{NoMmap: o.NoMmap})
	if err != nil {
		return nil, err
	}
	return open(f, cfg, need, o)
}

// needs reads the configuration, completes the options by it, and estimates the memory.
func needs(f *gguf.File, o *Options) (cfg Config, need Memory, err error) {
	if cfg, err = configOf(f, o); err == nil {
		need, err = estimate(f, cfg, *o)
	}
	if err != nil {
		err = fault.Bad(f.Path(), err)
	}
	return cfg, need, err
}

// longText is how many tokens of a text encoders compute at once by default: the context of the
// longest that are published.
const longText = 8192

// configOf reads the configuration and completes the options by it.
func configOf(f *gguf.File, o *Options) (Config, error) {
	if err := source.CheckModel(f); err != nil {
		return Config{}, err
	}
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
	return cfg, o.validate()
}

// outline is the builder of what is needed of f.
func outline(f *gguf.File, c Config) *model.Weights {
	return model.BindHeader(c, func(name string) bool { _, ok := f.Tensor(name); return ok })
}

// open binds the weights and starts the engine. It closes f if it fails.
func open(f *gguf.File, cfg Config, need Memory, o Options) (m *Model, err error) {
	m = &Model{name: f.Path(), file: f, cfg: cfg}
	info := newInfo(f, cfg, need)
	defer func() {
		if err != nil {
			m.release()
			m, err = nil, fault.Bad(f.Path(), err)
		}
	}()
	defer fault.Guard(&err)()
	if cfg.HasVocab {
		if m.vocab, err = model.Vocabulary(f); err != nil {
			return m, err
		}
	}
	if o.Context > cfg.NCtx {
		info.Warnings = append(info.Warnings, fmt.Sprintf("a context of %d is more than the %d positions the model was made for", o.Context, cfg.NCtx))
	}
	w := model.NewWeights(cfg, model.GGUF(f), model.Options{Exact: o.Exact, Context: o.Context})
	net, err := arch.Build(w)
	if err != nil {
		return m, err
	}
	info.Tensors = w.Tensors()
	if unused := w.Unused(); len(unused) > 0 {
		var n int64
		for _, name := range unused {
			t, _ := f.Tensor(name)
			n += t.Bytes
		}
		info.Warnings = append(info.Warnings, fmt.Sprintf("%d tensors (%s) take no part in this architecture, the first is %s", len(unused), Bytes(n), unused[0]))
	}
	info.Memory.Weights += w.Copied()
	rows := min(o.Batch, o.Context)
	info.Memory.Scratch = nn.DryRun(rows, func(p *nn.Pass) { model.Forward(net, p) }) + 4*int64(cfg.NVocab)
	if err := checkMemory(info.Memory, o); err != nil {
		return m, err
	}
	if o.Mlock {
		if err := f.Lock(); err != nil {
			info.Warnings = append(info.Warnings, fmt.Sprintf("the weights could not be locked in memory: %v", err))
		}
	}
	m.info = info
	m.populate(w.Views())
	threads := o.Threads
	if threads == 0 {
		threads, _ = cpu.Threads()
	}
	m.pool = par.Shared(threads)
	m.info.Threads, m.info.Context = m.pool.Threads(), o.Context
	m.engine, err = engine.New(engine.Config{
		Model: net, Vocab: m.vocab, Pool: m.pool, NVocab: cfg.NVocab, NCtx: o.Context,
		Encoder: m.info.Encoder, Pooling: m.info.Pooling,
		KType: o.CacheK, VType: o.CacheV, CacheBytes: o.CacheBytes, Batch: o.Batch, Retain: o.Retain,
		Running: o.Running, Waiting: o.Waiting, Exact: o.Exact,
		Identity: sync.OnceValue(func() string { return identity(f, o) }),
	})
	return m, err
}

// Close ends all requests and gives the file back. It waits, and may be called more than once, but
// not by a callback of the model ([ErrReentrant]). What [Model.Info] returned stays valid.
func (m *Model) Close() error {
	if m.engine.Close() != nil {
		return m.named(ErrReentrant)
	}
	m.close.Do(func() { m.err = m.release() })
	return m.err
}

func (m *Model) release() error {
	if m.engine != nil {
		if err := m.engine.Close(); err != nil {
			return err
		}
	}
	if m.pool != nil {
		m.pool.Close()
	}
	m.closing.Store(true)
	m.populating.Wait()
	return m.file.Close()
}

// populate loads the pages of the mapped weights in the background, as long as memory has room for
// them all. The first prompt would otherwise fault them in by small groups.
func (m *Model) populate(weights [][]byte) {
	if have, _, ok := mem.Available(); ok && m.info.Memory.Weights > have {
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

// Tokenizer returns the vocabulary, nil for a file without one.
func (m *Model) Tokenizer() *Tokenizer { return m.vocab }

// Stats reports what the model did and does: requests that wait and run, speed, the cache.
func (m *Model) Stats() Stats { return m.engine.Stats() }

// Generate continues a prompt and yields its pieces as they are made; the last has Stop and Usage
// set. Cancelling ctx ends the generation with a last piece whose Stop is [StopCancelled]; leaving
// the loop ends it too. An error is yielded once and ends the sequence.
func (m *Model) Generate(ctx context.Context, q Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for p, err := range m.engine.Generate(ctx, q) {
			if !yield(p, m.named(err)) {
				return
			}
		}
	}
}

// Score evaluates the prompt of a request for what its Logits, Hidden, Hook, Watch and Progress see
// of it, and generates nothing.
func (m *Model) Score(ctx context.Context, q Request) error {
	return m.named(m.engine.Score(ctx, q))
}

// Embed returns the embedding of a text, [NEmbd]: the hidden states of its tokens after the final
// norm, pooled. Any model makes some; those trained for it make good ones.
func (m *Model) Embed(ctx context.Context, q EmbedRequest) ([]float32, error) {
	e, err := m.engine.Embed(ctx, q)
	return e, m.named(err)
}

// Unembed applies the final norm and the output matrix to rows of the residual stream, as a [Hook]
// sees them at [NameLayerOut], x being [len(x)/NEmbd][NEmbd], and calls f with the logits of each,
// in order. After the last layer they are those of the model, bit for bit; after an earlier one,
// what it would predict if it ended there: the logit lens (nostalgebraist 2020). logits is valid
// during the call, which is on the engine's goroutine.
func (m *Model) Unembed(ctx context.Context, x []float32, f func(row int, logits []float32) error) error {
	return m.named(m.engine.Unembed(ctx, x, m.cfg.NEmbd, f))
}

// SaveState writes what is cached of a sequence that begins with tokens, and returns how many of
// them that is; with 0 nothing is written. The tokens of a conversation are its prompt and what was
// generated: after [Model.LoadState] they are not computed another time. Only the same model with
// the same options, at the same instruction set, reads it again.
func (m *Model) SaveState(ctx context.Context, w io.Writer, tokens []int32) (int, error) {
	n, err := m.engine.SaveState(ctx, w, tokens, "")
	return n, m.named(err)
}

// LoadState reads what SaveState wrote, and returns the tokens that it is of. A request that begins
// with them goes on from there, until the cache needs the room for something else. Bytes that are
// no such state, or one of another model or other options, are an [ErrState].
func (m *Model) LoadState(ctx context.Context, r io.Reader) ([]int32, error) {
	tokens, err := m.engine.LoadState(ctx, r)
	return tokens, m.named(err)
}

// named puts the name of the model before an error, but for the reason of a caller that has left.
func (m *Model) named(err error) error {
	if errors.Is(err, fault.ErrCancelled) {
		return err
	}
	return fault.In(m.name, err)
}

// OpenTokenizer reads the vocabulary of a GGUF file of any architecture, or of a Hugging Face
// folder with or without weights, and nothing else.
func OpenTokenizer(ctx context.Context, s *source.Source) (_ *Tokenizer, err error) {
	defer fault.Guard(&err)()
	f, err := s.Vocabulary(ctx)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return vocabulary(f)
}

func vocabulary(f *gguf.File) (*Tokenizer, error) {
	v, err := model.Vocabulary(f)
	if err != nil {
		return nil, fault.Bad(f.Path(), err)
	}
	return v, nil
}
