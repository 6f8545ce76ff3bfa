package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/study/eval"
)

// Question is what [Predict] is asked.
type Question struct {
	Prompt string // special tokens that are spelled in it are recognised
	Top    int    // choices to list
	// Words are scored as continuations: with a space before them if they begin with a letter or a digit and the prompt does not end in white space.
	Words []string
	// Sampling, if not nil, is the chain of samplers to be looked at.
	Sampling *goinfer.Sampling
	// Layers asks for the logit lens, each layer with so many choices; 0 means none.
	Layers int
	// Hook works on the model while it predicts; nil for none.
	Hook goinfer.Hook
}

// Prediction is the distribution of the token that follows a prompt.
type Prediction struct {
	Prompt  []Token  `json:"prompt"`
	Vocab   int      `json:"vocabulary"` // tokens there are to choose from
	Entropy float64  `json:"entropy"`    // of the distribution, in nats
	Top     []Choice `json:"top"`        // the most probable first
	Words   []Word   `json:"words,omitempty"`
	Stages  []Stage  `json:"samplers,omitempty"` // in their order
	Layers  []View   `json:"layers,omitempty"`   // the embedding first
}

// sampled has a request generate its token, for what is seen of it on the way.
func sampled(ctx context.Context, m *goinfer.Model, r goinfer.Request) error {
	for piece, err := range m.Generate(ctx, r) {
		switch {
		case err != nil:
			return err
		case piece.Stop == goinfer.StopCancelled:
			return fault.Cancelled(ctx)
		}
	}
	return nil
}

// Word is a word as a continuation of the prompt.
type Word struct {
	Word    string  `json:"word"`
	Tokens  []Token `json:"tokens"`
	Ranks   []int   `json:"ranks"` // of each token in its place, 1 for the most probable
	Prob    float64 `json:"p"`     // of all its tokens
	LogProb float64 `json:"logprob"`
}

// Stage is what one sampler of a chain did.
type Stage struct {
	Name    string   `json:"name"`
	Before  int      `json:"before"` // candidates that it found
	After   int      `json:"after"`
	Removed float64  `json:"p_removed"`      // the model's own probability of what it removed, together
	Best    []Choice `json:"best,omitempty"` // the most probable of them by the model, at most [BestRemoved]
}

// BestRemoved bounds the list of what a sampler removed.
const BestRemoved = 5

var errNotFinite = errors.New("the model's logits are no finite numbers")

// Predict evaluates a prompt and tells what may follow it.
func Predict(ctx context.Context, m *goinfer.Model, q Question) (*Prediction, error) {
	v := m.Tokenizer()
	if v == nil {
		return nil, fmt.Errorf("the model has no vocabulary: %w", goinfer.ErrUnsupported)
	}
	ids := v.Encode(nil, q.Prompt, true, true)
	if len(ids) == 0 {
		return nil, errors.New("the prompt is empty, and the model has no token to begin a text with")
	}
	p := &Prediction{Prompt: Tokens(v, ids), Vocab: m.Info().Config.NVocab}
	var stages []trace
	r := goinfer.Request{Tokens: ids, From: len(ids) - 1, Hook: q.Hook}
	if q.Sampling != nil {
		r.MaxTokens, r.IgnoreEOG, r.Sampling = 1, true, *q.Sampling
		r.Sampling.Trace = func(name string, before, after []sample.Candidate) {
			stages = append(stages, trace{name, len(before), slices.Clone(after)})
		}
	}
	var lens *residuals
	if q.Layers > 0 {
		lens = newResiduals(m.Info().Config, len(ids)-1, 1)
		r.Hook = goinfer.JoinHooks(q.Hook, lens)
	}
	var logits []float32
	r.Logits = func(_ int, row []float32) error {
		logits = slices.Clone(row)
		return nil
	}
	if q.Sampling == nil {
		if err := m.Score(ctx, r); err != nil {
			return nil, err
		}
	} else if err := sampled(ctx, m, r); err != nil {
		return nil, err
	}
	var probs []float64
	probs, p.Entropy = probabilities(logits)
	if math.IsNaN(p.Entropy) {
		return nil, errNotFinite
	}
	p.Top = choices(v, logits, q.Top)
	p.Stages = stagesOf(v, stages, probs)
	if q.Sampling != nil {
		p.drawn(stages)
	}
	for _, w := range q.Words {
		word, err := scoreWord(ctx, m, &q, w)
		if err != nil {
			return nil, err
		}
		p.Words = append(p.Words, word)
	}
	if lens != nil {
		var err error
		p.Layers, err = Lens(ctx, m, lens.x, q.Layers, p.watched())
		for i := range p.Layers {
			p.Layers[i].Layer = i - 1
			p.Layers[i].Pos = len(ids) - 1
		}
		return p, err
	}
	return p, nil
}

// watched are the tokens whose standing is followed through the layers: the first ones of the words, or that of the most probable one.
func (p *Prediction) watched() []int32 {
	var ids []int32
	for _, w := range p.Words {
		ids = append(ids, w.Tokens[0].ID)
	}
	if len(ids) == 0 && len(p.Top) > 0 {
		ids = append(ids, p.Top[0].ID)
	}
	return ids
}

// behind is a word as it is written behind a prompt.
func behind(prompt, word string) string {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(prompt)
	if prompt != "" && !unicode.IsSpace(last) && (unicode.IsLetter(first) || unicode.IsDigit(first)) {
		return " " + word
	}
	return word
}

func scoreWord(ctx context.Context, m *goinfer.Model, q *Question, word string) (Word, error) {
	c, err := eval.Continue(m.Tokenizer(), q.Prompt, behind(q.Prompt, word), true)
	if err != nil {
		return Word{}, fmt.Errorf("the word %q: %w", word, err)
	}
	s, err := c.Score(ctx, m, q.Hook)
	if err != nil {
		return Word{}, fmt.Errorf("the word %q: %w", word, err)
	}
	return Word{Word: word, Tokens: Tokens(m.Tokenizer(), c.Tokens[c.First:]), Ranks: s.Ranks, Prob: math.Exp(s.LogProb), LogProb: s.LogProb}, nil
}

// trace is what a sampler left.
type trace struct {
	name   string
	before int
	after  []sample.Candidate
}

// stagesOf works out what each sampler removed, from what the one before it left.
func stagesOf(v *goinfer.Tokenizer, traces []trace, probs []float64) []Stage {
	left := map[int32]bool{}
	for id, p := range probs {
		if p > 0 {
			left[int32(id)] = true
		}
	}
	var stages []Stage
	for _, t := range traces {
		s := Stage{Name: t.name, Before: t.before, After: len(t.after)}
		now := make(map[int32]bool, len(t.after))
		for _, c := range t.after {
			now[c.ID] = true
		}
		var gone []int32
		for id := range left {
			if !now[id] {
				gone = append(gone, id)
			}
		}
		slices.SortFunc(gone, func(a, b int32) int {
			return cmp.Or(cmp.Compare(probs[b], probs[a]), cmp.Compare(a, b))
		})
		for _, id := range gone { // in this order, which has the same bits every time
			s.Removed += probs[id]
		}
		for _, id := range gone[:min(BestRemoved, len(gone))] {
			s.Best = append(s.Best, Choice{Token: tokenOf(v, id), Prob: probs[id], LogProb: math.Log(probs[id])})
		}
		left = now
		stages = append(stages, s)
	}
	return stages
}

// drawn enters the probabilities that the samplers left.
func (p *Prediction) drawn(traces []trace) {
	if len(traces) == 0 {
		for i := range p.Top {
			p.Top[i].Drawn = &p.Top[i].Prob
		}
		return
	}
	after := traces[len(traces)-1].after
	logits := make([]float32, len(after))
	for i, c := range after {
		logits[i] = c.Logit
	}
	probs, _ := probabilities(logits)
	of := map[int32]float64{}
	for i, c := range after {
		of[c.ID] = probs[i]
	}
	for i := range p.Top {
		d := of[p.Top[i].ID]
		p.Top[i].Drawn = &d
	}
}

// Words splits a list at its commas and leaves out what is empty.
func Words(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(w string) bool { return strings.TrimSpace(w) == "" })
}
