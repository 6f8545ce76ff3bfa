package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tensor"
	"github.com/goinfer/goinfer/tokenizer"
)

// Faults for errors.Is.
var (
	ErrContextFull = errors.New("context is full")
	ErrCacheFull   = errors.New("the memory for the cache is used up")
	ErrClosed      = errors.New("engine: closed")
)

// Request is what to generate.
type Request struct {
	// Prompt are the tokens to continue, at least one.
	Prompt []int32
	// Sampler chooses tokens; it belongs to the request. nil means greedy.
	Sampler *sample.Sampler
	// Pick, if set, chooses tokens in place of Sampler: the next one after pos others, from its logits, which are valid during the call. It runs on the engine's
	// goroutine and must be quick.
	Pick func(logits []float32, pos int) int32
	// MaxTokens is the number of tokens after which generation ends; 0 generates none and only evaluates the prompt, less than 0 means no limit.
	MaxTokens int
	// Stop ends generation when one of these strings appears; the string itself is not yielded.
	Stop []string
	// IgnoreEOG goes on past end-of-generation tokens.
	IgnoreEOG bool
	// Special yields the spelling of control tokens, which otherwise are silent.
	Special bool
	// LogProb fills Piece.LogProb, Top as many alternatives in Piece.Top, at most MaxTop.
	LogProb bool
	Top     int
	// Hook observes and may alter the computation. Such a request shares its cache with no other.
	Hook nn.Hook
	// Logits, if set, is given the logits after every prompt token from LogitsFrom on, in order. The row is valid during the call. An error ends the request.
	Logits func(pos int, row []float32) error
	// Hidden, if set, is likewise given the hidden states behind the final norm, [n_embd].
	Hidden func(pos int, row []float32) error
	// LogitsFrom is the first position that Logits and Hidden want; those before it are computed without.
	LogitsFrom int
	// Progress, if set, is called on the engine's goroutine before the prompt is evaluated and as it is; it must be quick.
	Progress func(done, total int)
}

// MaxTop bounds Request.Top.
const MaxTop = 64

// Stop says why generation ended.
type Stop string

// The reasons; the empty one is that of a piece that is not the last.
const (
	StopEOG       Stop = "eog"       // an end-of-generation token
	StopString    Stop = "stop"      // one of Request.Stop
	StopLength    Stop = "length"    // Request.MaxTokens
	StopContext   Stop = "context"   // no position left
	StopCancelled Stop = "cancelled" // the context was cancelled
)

// Piece is what one token adds to the text.
type Piece struct {
	// ID is the token; in the last piece it is the end-of-generation token, or -1.
	ID int32
	// Bytes is text in whole UTF-8 characters: empty where a token only begins one, or where its text may be the beginning of a stop string. It
	// is valid until the next piece is asked for.
	Bytes []byte
	// LogProb is the log-probability of the token under the model itself, before the sampler. Only on demand.
	LogProb float32
	// Top are the most probable tokens with their log-probabilities in Logit. Only on demand; valid as Bytes.
	Top []sample.Candidate
	// Stop is set in the last piece.
	Stop Stop
	// Usage is set in the last piece.
	Usage Usage
}

// Text returns a copy of the bytes.
func (p Piece) Text() string { return string(p.Bytes) }

// Usage counts what a request took.
type Usage struct {
	Prompt       int           // prompt tokens
	Cached       int           // of which were found in the cache
	Generated    int           // tokens generated
	PromptTime   time.Duration // until the prompt was evaluated, waiting included
	GenerateTime time.Duration // from then on
}

// pieces is the number of pieces a request may be ahead of its reader. Its buffers are used in turn.
const pieces = 16

// request is a Request under way.
type request struct {
	Request
	seq    kv.Seq
	opened bool    // seq is valid
	tokens []int32 // prompt and generated; tokens[:store.Len(seq)] are in the cache
	ctx    int     // positions it may use

	out       chan Piece
	buffers   [pieces + 2]buffer
	nextBuf   int
	pending   []byte // decoded text not yet yielded
	stream    *tokenizer.Stream
	err       error // set before out is closed
	fault     error // to be ended with
	ended     bool
	cancelled atomic.Bool

	reported       int // prompt tokens reported as progress, -1 before the first time
	usage          Usage
	began, prompts time.Time
	rows           int // rows in the current batch
}

type buffer struct {
	text []byte
	top  []sample.Candidate
}

// generating reports whether the whole prompt has been evaluated: what is left is one token to feed.
func (r *request) generating() bool { return len(r.tokens) > len(r.Prompt) }

// eachRow reports whether it wants to see something of every position.
func (r *request) eachRow() bool { return r.Logits != nil || r.Hidden != nil }

// show gives its callbacks row i, which is that of position pos.
func (r *request) show(pos, i int, hidden, logits *tensor.Tensor) error {
	if r.Hidden != nil {
		if err := r.Hidden(pos, hidden.Row(i)); err != nil {
			return err
		}
	}
	if r.Logits != nil {
		return r.Logits(pos, logits.Row(i))
	}
	return nil
}

// report tells how much of the prompt is evaluated, each time once.
func (r *request) report(done int) {
	if r.Progress != nil && !r.generating() && done > r.reported {
		r.reported = done
		r.Progress(done, len(r.Prompt))
	}
}

// ready reports whether its reader has room for what the next token may yield.
func (r *request) ready() bool { return len(r.out)+2 <= cap(r.out) }

// cancelOn makes ctx cancel the request.
func (e *Engine) cancelOn(ctx context.Context, r *request) (stop func() bool) {
	return context.AfterFunc(ctx, func() { e.cancel(r) })
}

// yield hands a piece to the reader; ready has been checked.
func (r *request) yield(p Piece) { r.out <- p }

// text moves what may be shown of pending to a buffer.
func (r *request) text(n int) []byte {
	b := &r.buffers[r.nextBuf]
	b.text = append(b.text[:0], r.pending[:n]...)
	r.pending = append(r.pending[:0], r.pending[n:]...)
	return b.text
}

// held is the length of the longest suffix of pending that a stop string may begin with.
func (r *request) held() int {
	longest := 0
	for _, s := range r.Stop {
		for n := min(len(s)-1, len(r.pending)); n > longest; n-- {
			if string(r.pending[len(r.pending)-n:]) == s[:n] {
				longest = n
			}
		}
	}
	return longest
}

// stopAt finds the first stop string in pending, or -1.
func (r *request) stopAt() int {
	first := -1
	for _, s := range r.Stop {
		if i := index(r.pending, s); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// index is strings.Index without turning b into a string.
func index(b []byte, s string) int {
	for i := 0; i+len(s) <= len(b); i++ {
		if string(b[i:i+len(s)]) == s {
			return i
		}
	}
	return -1
}

// errNoLogits is what models without a head answer.
var errNoLogits = fmt.Errorf("engine: the model makes hidden states of texts, no logits and no text: %w", model.ErrUnsupported)

func (q *Request) validate(c Config) error {
	switch {
	case len(q.Prompt) == 0:
		return errors.New("engine: the prompt is empty")
	case len(q.Prompt) > c.NCtx || (len(q.Prompt) == c.NCtx && q.MaxTokens != 0):
		return fmt.Errorf("engine: the prompt has %d tokens, the context %d: %w", len(q.Prompt), c.NCtx, ErrContextFull)
	case c.Whole && len(q.Prompt) > c.Batch:
		return fmt.Errorf("engine: the model reads a text whole: want at most the %d tokens of a batch, found %d", c.Batch, len(q.Prompt))
	case c.Whole && (q.MaxTokens != 0 || q.Logits != nil):
		return errNoLogits
	}
	for i, id := range q.Prompt {
		if id < 0 || int(id) >= c.NVocab {
			return fmt.Errorf("engine: token %d of the prompt is %d, the vocabulary has %d", i, id, c.NVocab)
		}
	}
	for _, s := range q.Stop {
		if s == "" {
			return errors.New("engine: a stop string is empty")
		}
	}
	if q.Top > MaxTop {
		return fmt.Errorf("engine: want at most %d alternatives, found %d", MaxTop, q.Top)
	}
	return nil
}
