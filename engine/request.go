package engine

import (
	"fmt"
	"time"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
)

// Request is what to generate, or what to score. The zero value of every field but one of Prompt
// and Tokens works.
//
// The functions among its fields, and the methods of its interfaces, are called on the engine's
// goroutine: while they run nothing else does. They must not call the model ([ErrReentrant]). If
// one panics or ends the goroutine, its request fails with [ErrCallback], and no other.
type Request struct {
	// Prompt is the text to continue; the special tokens that the model wants are put around it,
	// and the spelling of special tokens in it is recognised.
	Prompt string
	// Tokens is the prompt as token ids, in place of Prompt; nothing is added to them.
	Tokens []int32
	// NoSpecial takes the spelling of special tokens in Prompt for plain text.
	NoSpecial bool

	// Sampling says how tokens are chosen; the zero value is greedy.
	Sampling sample.Params
	// Pick, if set, chooses tokens in place of Sampling: the next one after pos others, from its
	// logits, which are valid during the call.
	Pick func(logits []float32, pos int) int32
	// Proposer, if set, guesses tokens that are then evaluated together, and kept as far as they
	// are what would have been generated: the result is the same, at another speed.
	Proposer Proposer

	// MaxTokens ends the generation after so many tokens; 0 means no limit but the context.
	MaxTokens int
	// Stop are strings that end the generation when one of them appears; the string itself is not
	// yielded.
	Stop []string
	// IgnoreEOG goes on past end-of-generation tokens.
	IgnoreEOG bool
	// EOG are tokens that end the generation besides those of the vocabulary.
	EOG []int32
	// Special puts the spelling of control tokens into the text, where they otherwise have none.
	Special bool
	// LogProb fills Piece.LogProb.
	LogProb bool
	// Top fills Piece.Top with as many alternatives, at most MaxTop.
	Top int

	// Hook observes the computation, and may change it. Such a request shares its cache with no
	// other, and is never stopped for another.
	Hook nn.Hook
	// Watch, if set, is given copies of what it asks for. It changes nothing and slows nobody.
	Watch *Watch
	// Adapter changes products of weights.
	Adapter nn.Adapter

	// Logits, if set, is given the logits after every prompt token from From on, in order, each
	// once. The row, [NVocab], is valid during the call. An error ends the request.
	Logits func(pos int, row []float32) error
	// Hidden is likewise given the hidden states after the final norm, [NEmbd].
	Hidden func(pos int, row []float32) error
	// From is the first position that Logits and Hidden want; those before it are computed without.
	From int
	// Progress, if set, is called before the prompt is evaluated and as it is.
	Progress func(done, total int)

	// Priority is 0 for most requests; higher ones come before lower ones.
	Priority int
}

// Proposer guesses how a sequence goes on: by what followed the same tokens before, by a smaller
// model, by layers that predict further tokens (speculative decoding; Leviathan et al. 2022,
// arXiv:2211.17192).
type Proposer interface {
	// Propose appends to dst at most n guesses of the tokens that follow tokens, which are the
	// prompt and what was generated, and are not to be changed or kept. Guesses may be wrong, not
	// invalid.
	Propose(dst []int32, tokens []int32, n int) []int32
}

// MaxTop bounds Request.Top.
const MaxTop = 64

// Kind is what a piece brings.
type Kind uint8

// The kinds of pieces.
const (
	KindText    Kind = iota // a token with text, some of which may be held back
	KindSpecial             // a control token
	KindStop                // the last piece
)

// Piece is one generated token, or the end.
type Piece struct {
	Kind Kind
	// ID is the token. In the last piece it is the end-of-generation token, or -1.
	ID int32
	// Bytes is text in whole UTF-8 characters. It is empty where a token only begins one, or where
	// its text may be the beginning of a stop string: then a later piece has it. Text in a piece of
	// KindSpecial comes before the token, except for its spelling (Request.Special). Bytes is valid
	// until the next piece is asked for.
	Bytes []byte
	// IDs are the tokens that Bytes stems from, in order; earlier ones are among them if their text
	// was held back, and a token whose text comes in two pieces is in both. Valid as Bytes.
	IDs []int32
	// Spelling is how the vocabulary writes the token of a KindSpecial.
	Spelling string
	// LogProb is the log-probability of the token under the model itself, before the sampler. Only
	// on demand.
	LogProb float32
	// Top are the most probable tokens with their log-probabilities in Logit. Only on demand; valid
	// as Bytes.
	Top []sample.Candidate
	// Stop says in the last piece why generation ended, and is empty in others.
	Stop Stop
	// StopString is the one of Request.Stop that appeared, for StopString.
	StopString string
	// Usage is set in the last piece.
	Usage Usage
}

// Text returns a copy of the bytes.
func (p Piece) Text() string { return string(p.Bytes) }

// Stop says why generation ended.
type Stop string

// The reasons; the empty one is that of a piece that is not the last.
const (
	StopEOG       Stop = "eog"       // an end-of-generation token, or the end of a grammar
	StopString    Stop = "stop"      // one of Request.Stop
	StopLength    Stop = "length"    // Request.MaxTokens
	StopContext   Stop = "context"   // no position left
	StopCancelled Stop = "cancelled" // the context was cancelled
)

// Usage counts what a request took.
type Usage struct {
	Prompt       int           // tokens of the prompt that were evaluated
	Cached       int           // tokens of the prompt that were found in the cache
	Generated    int           // tokens generated
	Proposed     int           // tokens that a proposer or a grammar guessed
	Accepted     int           // guesses that were right
	Preempted    int           // times that the request lost its cache and was computed again
	PromptTime   time.Duration // until the prompt was evaluated, waiting included
	GenerateTime time.Duration // from then on
}

// encode returns the tokens of the prompt.
func (c *Config) encode(q *Request) ([]int32, error) {
	switch {
	case q.Prompt != "" && q.Tokens != nil:
		return nil, fault.Argument("Tokens", "one of Prompt and Tokens", "both")
	case q.Tokens != nil:
		if len(q.Tokens) == 0 {
			return nil, fault.Argument("Tokens", "at least one token", "none: the prompt is empty")
		}
		return q.Tokens, c.check(q.Tokens)
	case c.Vocab == nil:
		return nil, fmt.Errorf("the file has no vocabulary: want Tokens in place of Prompt: %w", fault.ErrUnsupported)
	}
	ids := c.Vocab.Encode(nil, q.Prompt, true, !q.NoSpecial)
	if len(ids) == 0 {
		return nil, fault.Argument("Prompt", "a text", "none: the prompt is empty, and the model has no token to begin a text with")
	}
	return ids, c.check(ids)
}

// check refuses tokens that the model has no embedding for, and more of them than there are
// positions.
func (c *Config) check(ids []int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= c.NVocab {
			return fault.Argument("Tokens", fmt.Sprintf("ids from 0 to %d", c.NVocab-1), fmt.Sprintf("%d at position %d", id, i))
		}
	}
	if len(ids) > c.NCtx {
		return fmt.Errorf("the prompt has %d tokens, the context %d: %w", len(ids), c.NCtx, ErrContextFull)
	}
	if c.Encoder && len(ids) > c.Batch {
		return fault.Argument("Tokens", fmt.Sprintf("at most the %d tokens of a batch, since the model reads a text as a whole", c.Batch), len(ids))
	}
	return nil
}

// checkScore refuses what a scored request cannot ask for.
func (c *Config) checkScore(q *Request) error {
	switch {
	case c.Encoder && q.Logits != nil:
		return errNoLogits
	case q.MaxTokens != 0:
		return fault.Argument("MaxTokens", "0 where nothing is generated", q.MaxTokens)
	case q.Pick != nil:
		return fault.Argument("Pick", "none where nothing is generated", "one")
	case q.Proposer != nil:
		return fault.Argument("Proposer", "none where nothing is generated", "one")
	case len(q.Stop) > 0:
		return fault.Argument("Stop", "none where nothing is generated", q.Stop)
	case q.From < 0:
		return fault.Argument("From", "a position", q.From)
	}
	return fault.Under("Sampling", q.Sampling.Validate())
}

// checkGenerate refuses what a generation cannot ask for.
func (c *Config) checkGenerate(q *Request, prompt int) error {
	if c.Encoder {
		return errNoLogits
	}
	if prompt == c.NCtx {
		return fmt.Errorf("the prompt has %d tokens, the context %d: %w", prompt, c.NCtx, ErrContextFull)
	}
	for _, s := range q.Stop {
		if s == "" {
			return fault.Argument("Stop", "strings", "an empty one")
		}
	}
	switch {
	case q.MaxTokens < 0:
		return fault.Argument("MaxTokens", "0, for no limit, or more", q.MaxTokens)
	case q.Top < 0 || q.Top > MaxTop:
		return fault.Argument("Top", fmt.Sprintf("at most %d alternatives", MaxTop), q.Top)
	case q.From < 0:
		return fault.Argument("From", "a position", q.From)
	case q.Pick != nil && q.Sampling.Grammar != nil:
		return fault.Argument("Pick", "none beside Sampling.Grammar, which it would not obey", "both")
	}
	return nil
}
