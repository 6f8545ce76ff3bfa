package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// DefaultChunk is the number of tokens in a chunk that published perplexities are measured with.
const DefaultChunk = 512

// Options are how a text is measured.
type Options struct {
	Chunks int                   // at most so many; 0 means all of the text
	Done   func(done, total int) // called after each chunk, if not nil
	// works on the model, and not on the base it is compared with; nil for none
	Hook goinfer.Hook
}

// Result is the perplexity of a text.
type Result struct {
	PPL    float64 `json:"ppl"`    // the exponential of the mean negative log-likelihood of a token
	Error  float64 `json:"error"`  // standard error of PPL
	Tokens int     `json:"tokens"` // scored
	Bytes  int     `json:"bytes"`  // of text that the scored tokens stand for
	Chunks int     `json:"chunks"`
	Size   int     `json:"chunk_size"` // tokens of a chunk
}

// Chunk is a part of a text. The model is given Input, which begins with BOS in place of its first
// token where the model wants that; what is scored are the tokens of Want after the positions from
// First on.
type Chunk struct {
	Input, Want []int32
	First       int
}

// Chunks cuts the tokens of a text into chunks of n, and leaves the rest at the end alone.
func Chunks(v *goinfer.Tokenizer, text string, n int) ([]Chunk, error) {
	if v == nil {
		return nil, fmt.Errorf("the model has no vocabulary: %w", goinfer.ErrUnsupported)
	}
	if n < 4 {
		return nil, fault.Argument("n", "chunks of at least 4 tokens", n)
	}
	ids := v.Encode(nil, text, true, false)
	if len(ids) < n {
		return nil, fmt.Errorf("the text has %d tokens: want at least one chunk of %d", len(ids), n)
	}
	var chunks []Chunk
	for ; len(ids) >= n; ids = ids[n:] {
		c := Chunk{Input: ids[:n:n], Want: ids[:n:n], First: n / 2}
		if v.AddsBOS() {
			c.Input = append([]int32{v.BOS()}, c.Input[1:]...)
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// Spread takes n chunks at equal distances, from the first on; 0, or more than there are, takes
// all.
func Spread(chunks []Chunk, n int) []Chunk {
	if n <= 0 || n >= len(chunks) {
		return chunks
	}
	some := make([]Chunk, n)
	for i := range some {
		some[i] = chunks[i*len(chunks)/n]
	}
	return some
}

// each calls f with the logits at every position of c that is scored, and the token that follows
// there.
func (c *Chunk) each(ctx context.Context, m *goinfer.Model, hook goinfer.Hook, f func(row []float32, next int32) error) error {
	last := len(c.Input) - 1 // what follows there is not known
	return m.Score(ctx, goinfer.Request{Tokens: c.Input[:last], Hook: hook, From: c.First, Logits: func(pos int, row []float32) error {
		return f(row, c.Want[pos+1])
	}})
}

// Perplexity measures how well m predicts the chunks.
func Perplexity(ctx context.Context, m *goinfer.Model, chunks []Chunk, o Options) (Result, error) {
	chunks = o.limit(chunks)
	var nll moments
	bytes := 0
	for i := range chunks {
		if err := chunks[i].each(ctx, m, o.Hook, func(row []float32, next int32) error {
			nll.add(logSum(row) - float64(row[next]))
			if v := m.Tokenizer(); v != nil {
				bytes += len(v.Bytes(next))
			}
			return nll.finite()
		}); err != nil {
			return Result{}, err
		}
		o.done(i+1, len(chunks))
	}
	r := result(&nll, chunks)
	r.Bytes = bytes
	return r, nil
}

func (o *Options) limit(chunks []Chunk) []Chunk {
	if o.Chunks > 0 {
		return chunks[:min(o.Chunks, len(chunks))]
	}
	return chunks
}

func (o *Options) done(done, total int) {
	if o.Done != nil {
		o.Done(done, total)
	}
}

func result(nll *moments, chunks []Chunk) Result {
	ppl := math.Exp(nll.mean())
	return Result{PPL: ppl, Error: ppl * nll.error(), Tokens: nll.n, Chunks: len(chunks), Size: len(chunks[0].Input)}
}

// BitsPerByte is how many bits the scored text takes for each of its bytes where the model's
// predictions are entropy-coded; NaN where the bytes are not known.
func (r Result) BitsPerByte() float64 {
	if r.Bytes == 0 {
		return math.NaN()
	}
	return math.Log2(r.PPL) * float64(r.Tokens) / float64(r.Bytes)
}

// Score is how likely a model finds a text after another.
type Score struct {
	LogProb float64 `json:"logprob"` // natural logarithm of the probability of all its tokens
	Tokens  int     `json:"tokens"`
	Greedy  bool    `json:"greedy"` // each token is the most probable in its place
	Ranks   []int   `json:"-"`      // of each token in its place, 1 for the most probable
}

// Continued are the tokens of a text and of another after it, the tokens from First on being those
// of the second.
type Continued struct {
	Tokens []int32
	First  int
}

// Continue puts a text after another; special recognises special tokens that are spelled in them.
// White space at the end of prefix counts as the beginning of text, since vocabularies hold it
// together with the word after; the tokens are those of both texts in one, less as many as prefix
// has.
func Continue(v *goinfer.Tokenizer, prefix, text string, special bool) (Continued, error) {
	if v == nil {
		return Continued{}, fmt.Errorf("the model has no vocabulary: %w", goinfer.ErrUnsupported)
	}
	ids := v.Encode(nil, prefix+text, true, special)
	n := len(v.Encode(nil, strings.TrimRight(prefix, " \t\n\r"), true, special))
	if n < 1 || n >= len(ids) {
		return Continued{}, fmt.Errorf("want a continuation of at least one token after at least one, found %d tokens after %d", max(0, len(ids)-n), n)
	}
	return Continued{ids, n}, nil
}

// Score evaluates the tokens, watched by a hook if that is not nil.
func (c Continued) Score(ctx context.Context, m *goinfer.Model, hook goinfer.Hook) (Score, error) {
	last := len(c.Tokens) - 1
	s := Score{Tokens: len(c.Tokens) - c.First, Greedy: true}
	err := m.Score(ctx, goinfer.Request{Tokens: c.Tokens[:last], Hook: hook, From: c.First - 1, Logits: func(pos int, row []float32) error {
		next := c.Tokens[pos+1]
		rank := Rank(row, next)
		s.LogProb += float64(row[next]) - logSum(row)
		s.Ranks = append(s.Ranks, rank)
		s.Greedy = s.Greedy && rank == 1
		if math.IsNaN(s.LogProb) || math.IsInf(s.LogProb, 0) {
			return errors.New("the model's logits are no finite numbers")
		}
		return nil
	}})
	return s, err
}

// Continuation scores a text after another, watched by a hook if that is not nil.
func Continuation(ctx context.Context, m *goinfer.Model, prefix, text string, hook goinfer.Hook) (Score, error) {
	c, err := Continue(m.Tokenizer(), prefix, text, false)
	if err != nil {
		return Score{}, err
	}
	return c.Score(ctx, m, hook)
}

// Rank is the place of id in the order of logits or probabilities, from 1 for the largest, the
// lower id first among equals.
func Rank[T float32 | float64](row []T, id int32) int {
	n := 1
	for i, v := range row {
		if v > row[id] || v == row[id] && int32(i) < id {
			n++
		}
	}
	return n
}

// logSum is the logarithm of the sum of the exponentials.
func logSum(row []float32) float64 {
	most := row[best(row)]
	var sum float64
	for _, v := range row {
		sum += math.Exp(float64(v - most))
	}
	return float64(most) + math.Log(sum)
}

// best is the place of the largest number, the first of several.
func best(row []float32) int {
	at := 0
	for i, v := range row {
		if v > row[at] {
			at = i
		}
	}
	return at
}

// moments add up numbers and their squares.
type moments struct {
	n            int
	sum, squares float64
}

func (m *moments) add(v float64) {
	m.n++
	m.sum += v
	m.squares += v * v
}

func (m *moments) mean() float64 { return m.sum / float64(m.n) }

// error is the standard error of the mean.
func (m *moments) error() float64 {
	if m.n < 2 {
		return 0
	}
	mean := m.mean()
	return math.Sqrt(max(0, m.squares/float64(m.n)-mean*mean) / float64(m.n-1))
}

// finite returns an error once a number that was added is none.
func (m *moments) finite() error {
	if math.IsNaN(m.sum) || math.IsInf(m.sum, 0) {
		return fmt.Errorf("the model's logits are no finite numbers after %d scored tokens", m.n)
	}
	return nil
}

// LogProb is the logarithm of the probability that a row of logits gives to a token.
func LogProb(row []float32, id int32) float64 { return float64(row[id]) - logSum(row) }

// KL is the Kullback–Leibler divergence KL(base‖other) of the distributions that two rows of logits
// give, in nats.
func KL(base, other []float32) float64 { return kl(base, other, logSum(base), logSum(other)) }

// kl is KL with the logSum of each row.
func kl(base, other []float32, sumBase, sum float64) (kl float64) {
	if math.IsNaN(sumBase) {
		return math.NaN()
	}
	for i, v := range base {
		l := float64(v) - sumBase
		if p := math.Exp(l); p > 0 { // the limit of p·log p is 0
			kl += p * (l - (float64(other[i]) - sum))
		}
	}
	return kl
}
