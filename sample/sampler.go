package sample

import (
	"fmt"
	"maps"
	"slices"

	"github.com/goinfer/goinfer/internal/fault"
)

// Vocab is what a sampler asks of a vocabulary.
type Vocab interface {
	// Size is the number of ids.
	Size() int
	// Bytes is what id adds to a text; nothing for control tokens.
	Bytes(id int32) []byte
	// Spelling is how the vocabulary writes id.
	Spelling(id int32) string
	// Encode appends the ids of a text to dst.
	Encode(dst []int32, text string, addSpecial, parseSpecial bool) []int32
}

// Stage is a caller's part in the choice, with the state of one sequence: a mask, a grammar.
type Stage interface {
	// Apply returns the candidates that remain, which are part of list. It may change logits and the order; a logit that it makes infinite or NaN takes the
	// candidate out. With none left, Sample returns -1. Apply must not change what a later Apply does.
	Apply(list []Candidate) []Candidate
	// Accept is told every token of the sequence.
	Accept(id int32)
	// Clone returns a copy with a state of its own.
	Clone() Stage
	// Reset returns to the beginning of a sequence.
	Reset()
}

// stage is a part of a chain.
type stage interface {
	apply(c *candidates)
}

// stateful stages remember the sequence.
type stateful interface {
	accept(id int32)
	clone() stage
	reset()
}

// extra is a caller's stage.
type extra struct{ Stage }

func (e extra) apply(c *candidates) { c.refill(e.Apply(c.list)) }
func (e extra) accept(id int32)     { e.Accept(id) }
func (e extra) clone() stage        { return extra{e.Clone()} }
func (e extra) reset()              { e.Reset() }

type link struct {
	name string
	stage
}

// A Sampler chooses the tokens of one sequence. It is for one goroutine at a time.
type Sampler struct {
	seed  uint64
	trace func(stage string, before, after []Candidate)
	chain []link
	c     candidates
	found []Candidate // for trace
}

// New checks p and makes a sampler. It keeps nothing of p's maps and slices, and clones of p.Extra. v may be nil.
func New(p Params, v Vocab) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if v != nil && len(p.LogitBias) > 0 {
		if id := slices.Max(slices.Collect(maps.Keys(p.LogitBias))); int(id) >= v.Size() {
			return nil, fault.Argument("LogitBias", fmt.Sprintf("ids below %d, the size of the vocabulary", v.Size()), id)
		}
	}
	return &Sampler{seed: p.Seed, trace: p.Trace, chain: p.stages(v)}, nil
}

// Accept tells the sampler the next token of the sequence, those of the prompt included.
func (s *Sampler) Accept(id int32) {
	for _, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			t.accept(id)
		}
	}
}

// Sample returns the token for position pos, or -1 if no token has a finite logit, biases and the caller's stages included. It depends on the logits, the
// tokens accepted, the seed and pos alone: calls of Sample do not influence each other. logits is not changed.
func (s *Sampler) Sample(logits []float32, pos int) int32 {
	c, chain := &s.c, s.chain
	c.vocab, c.seed, c.pos = len(logits), s.seed, pos
	if k, ok := s.first().(topK); ok && k <= heaped && s.trace == nil {
		c.fillBest(logits, int(k))
		chain = chain[1:]
	} else {
		c.fill(logits)
	}
	for _, l := range chain {
		if s.trace == nil {
			l.apply(c)
			continue
		}
		s.found = append(s.found[:0], c.list...)
		l.apply(c)
		s.trace(l.name, s.found, c.list)
	}
	i, _ := c.pick()
	if i < 0 {
		return -1
	}
	return c.list[i].ID
}

func (s *Sampler) first() stage {
	if len(s.chain) == 0 {
		return nil
	}
	return s.chain[0].stage
}

// Clone returns a sampler that goes on from here by itself.
func (s *Sampler) Clone() *Sampler {
	n := &Sampler{seed: s.seed, trace: s.trace, chain: make([]link, len(s.chain))}
	for i, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			l.stage = t.clone()
		}
		n.chain[i] = l
	}
	return n
}

// Reset forgets all tokens accepted.
func (s *Sampler) Reset() {
	for _, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			t.reset()
		}
	}
}
