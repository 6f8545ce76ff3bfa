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
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/study/eval"
)

// Question is what [Predict] is asked.
type Question struct {
	Prompt string // special tokens that are spelled in it are recognised
	Top    int    // choices to list
	// Words are scored as continuations: with a space before them if they begin with a letter or a
	// digit and the prompt does not end in white space.
	Words []string
	// Sampling, if not nil, is the chain of samplers that is shown.
	Sampling *goinfer.Sampling
	// Layers asks for the logit lens, and is how many choices each layer lists; 0 means none.
	Layers int
	// Hook works on the model while it predicts; nil for none.
	Hook goinfer.Hook
}

// Prediction is the distribution of the token that follows a prompt.
type Prediction struct {
	Prompt  []Token           `json:"prompt"`
	Vocab   int               `json:"vocabulary"` // tokens there are to choose from
	Entropy float64           `json:"entropy"`    // entropy of the distribution, in nats
	Top     []Choice          `json:"top"`        // the most probable first
	Words   []Word            `json:"words,omitempty"`
	Stages  []Stage           `json:"samplers,omitempty"` // in their order
	Layers  []LayerPrediction `json:"layers,omitempty"`   // the embedding first
}

// Word is a word as a continuation of the prompt.
type Word struct {
	Word    string  `json:"word"`
	Tokens  []Token `json:"tokens"`
	Ranks   []int   `json:"ranks"` // rank of each token in its place, 1 for the most probable
	Prob    float64 `json:"p"`     // probability of all tokens
	LogProb float64 `json:"logprob"`
}

// Stage is what one sampler of a chain did.
type Stage struct {
	Name    string  `json:"name"`
	Before  int     `json:"before"` // candidates before it
	After   int     `json:"after"`
	Removed float64 `json:"p_removed"` // probability of what it removed, under the model itself
	// Best are the most probable of the removed tokens under the model, at most [BestRemoved].
	Best []Choice `json:"best,omitempty"`
}

// BestRemoved bounds the list of what a sampler removed.
const BestRemoved = 5

var errNotFinite = errors.New("the model's logits are no finite numbers")

// Predict evaluates a prompt and returns the distribution of the token that follows.
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
	var stages []samplerTrace
	r := goinfer.Request{Tokens: ids, From: len(ids) - 1, Hook: q.Hook}
	if q.Sampling != nil {
		r.MaxTokens, r.IgnoreEOG, r.Sampling = 1, true, *q.Sampling
		r.Sampling.Trace = func(name string, before, after []sample.Candidate) {
			stages = append(stages, samplerTrace{name, len(before), slices.Clone(after)})
		}
	}
	var lens *recorder
	if q.Layers > 0 {
		var err error
		if lens, err = newRecorder(m, len(ids), RecordOptions{What: Residuals, First: len(ids) - 1}); err != nil {
			return nil, err
		}
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
	} else if _, _, err := generate(ctx, m, r); err != nil {
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
		p.Layers, err = Lens(ctx, m, lens.t.x, q.Layers, p.watched())
		for i := range p.Layers {
			p.Layers[i].Layer = i - 1
			p.Layers[i].Pos = len(ids) - 1
		}
		return p, err
	}
	return p, nil
}

// watched are the tokens whose rank is followed through the layers: the first token of each word,
// or the most probable one.
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

// spaced is a word as it is written after a prompt.
func spaced(prompt, word string) string {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(prompt)
	if prompt != "" && !unicode.IsSpace(last) && (unicode.IsLetter(first) || unicode.IsDigit(first)) {
		return " " + word
	}
	return word
}

func scoreWord(ctx context.Context, m *goinfer.Model, q *Question, word string) (Word, error) {
	c, err := eval.Continue(m.Tokenizer(), q.Prompt, spaced(q.Prompt, word), true)
	if err != nil {
		return Word{}, fmt.Errorf("the word %q: %w", word, err)
	}
	s, err := c.Score(ctx, m, q.Hook)
	if err != nil {
		return Word{}, fmt.Errorf("the word %q: %w", word, err)
	}
	return Word{Word: word, Tokens: Tokens(m.Tokenizer(), c.Tokens[c.First:]), Ranks: s.Ranks, Prob: math.Exp(s.LogProb), LogProb: s.LogProb}, nil
}

// samplerTrace is what a sampler left.
type samplerTrace struct {
	name   string
	before int
	after  []sample.Candidate
}

// stagesOf computes what each sampler removed, from what the one before it left.
func stagesOf(v *goinfer.Tokenizer, traces []samplerTrace, probs []float64) []Stage {
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
		var removed []int32
		for id := range left {
			if !now[id] {
				removed = append(removed, id)
			}
		}
		slices.SortFunc(removed, func(a, b int32) int {
			return cmp.Or(cmp.Compare(probs[b], probs[a]), cmp.Compare(a, b))
		})
		for _, id := range removed { // in this order, which has the same bits every time
			s.Removed += probs[id]
		}
		for _, id := range removed[:min(BestRemoved, len(removed))] {
			s.Best = append(s.Best, Choice{Token: tokenOf(v, id), Prob: probs[id], LogProb: math.Log(probs[id])})
		}
		left = now
		stages = append(stages, s)
	}
	return stages
}

// drawn enters the probabilities that the samplers left.
func (p *Prediction) drawn(traces []samplerTrace) {
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
