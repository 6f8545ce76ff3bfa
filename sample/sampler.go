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

// Stage is a caller's part in the choice, with the state of one sequence. A constraint on what is
// generated is rather a [Grammar], which keeps the quick ways to choose.
type Stage interface {
	// Apply returns the candidates that remain, which are part of list. It may change logits and
	// the order; a logit that it makes infinite or NaN takes the candidate out. With none left,
	// Sample returns -1. Apply must not change what a later Apply does.
	Apply(list []Candidate) []Candidate
	// Accept is given every generated token, and none of the prompt.
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

// remembering stages look back on the prompt too.
type remembering interface {
	stateful
	remembersPrompt()
}

func (*penalties) remembersPrompt() {}
func (*dry) remembersPrompt()       {}

// stateful stages remember what was generated.
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
	limit *constraint // nil without a grammar
	c     candidates
	found []Candidate // for trace
}

// New checks p and makes a sampler. It keeps nothing of p's maps and slices, and clones of p.Extra.
// v may be nil.
func New(p Params, v Vocab) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if v != nil && len(p.LogitBias) > 0 {
		if id := slices.Max(slices.Collect(maps.Keys(p.LogitBias))); int(id) >= v.Size() {
			return nil, fault.Argument("LogitBias", fmt.Sprintf("ids below %d, the size of the vocabulary", v.Size()), id)
		}
	}
	s := &Sampler{seed: p.Seed, trace: p.Trace, chain: p.stages(v)}
	if p.Grammar != nil {
		s.limit = newConstraint(p.Grammar, v)
	}
	return s, nil
}

// Prompt gives the sampler tokens that come before what is generated. Penalties and DRY look back
// on them; no other stage sees them.
func (s *Sampler) Prompt(ids ...int32) {
	for _, l := range s.chain {
		if t, ok := l.stage.(remembering); ok {
			for _, id := range ids {
				t.accept(id)
			}
		}
	}
}

// Accept gives the sampler the next generated token. It is an error if the grammar does not allow
// it.
func (s *Sampler) Accept(id int32) error {
	for _, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			t.accept(id)
		}
	}
	if s.limit != nil {
		return s.limit.accept(id)
	}
	return nil
}

// Sample returns the token for position pos, or -1 if no token that the grammar allows has a finite
// logit, biases and the caller's stages included. It depends on the logits, the tokens accepted,
// the seed and pos alone: calls of Sample do not influence each other. logits is not changed.
func (s *Sampler) Sample(logits []float32, pos int) int32 {
	c, chain := &s.c, s.chain
	c.vocab, c.seed, c.pos, c.allowed = len(logits), s.seed, pos, nil
	if s.limit != nil {
		c.allowed = s.limit.mask(len(logits))
		if id, ok := s.only(logits); ok {
			return id
		}
	}
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
	n := &Sampler{seed: s.seed, trace: s.trace, chain: make([]link, len(s.chain)), limit: s.limit.clone()}
	for i, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			l.stage = t.clone()
		}
		n.chain[i] = l
	}
	return n
}

// Reset forgets all tokens, those of the prompt too.
func (s *Sampler) Reset() {
	for _, l := range s.chain {
		if t, ok := l.stage.(stateful); ok {
			t.reset()
		}
	}
	if s.limit != nil {
		s.limit.reset()
	}
}
