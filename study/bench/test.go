package bench

import (
	"fmt"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// Test is what is measured: Prompt tokens evaluated together, and then Gen tokens generated one by
// one.
type Test struct {
	Prompt, Gen int
	Depth       int // tokens in the cache before that
	// Parallel is the number of sequences that do so side by side; 0 means one, and results are
	// reported as llama-bench does, not as llama-batched-bench does.
	Parallel int
}

// String is the name that llama-bench has for it: "pp512", "tg128 @ d4096", "pp512+tg128". The
// number of several sequences follows after an x.
func (t Test) String() string {
	var s string
	switch {
	case t.Gen == 0:
		s = fmt.Sprintf("pp%d", t.Prompt)
	case t.Prompt == 0:
		s = fmt.Sprintf("tg%d", t.Gen)
	default:
		s = fmt.Sprintf("pp%d+tg%d", t.Prompt, t.Gen)
	}
	if t.Depth > 0 {
		s += fmt.Sprintf(" @ d%d", t.Depth)
	}
	if t.Parallel > 0 {
		s += fmt.Sprintf(" x%d", t.Parallel)
	}
	return s
}

// sequences is the number of sequences.
func (t Test) sequences() int { return max(1, t.Parallel) }

// positions is the number of positions that a sequence takes.
func (t Test) positions() int { return t.Depth + t.Prompt + t.Gen }

// tokens is the number of tokens whose rate is reported.
func (t Test) tokens() int { return t.sequences() * (t.Prompt + t.Gen) }

// Settings are how a model is run.
type Settings struct {
	Threads       int
	Batch, Ubatch int // the smaller one is the number of tokens computed at once
	K, V          goinfer.CacheType
}

// Defaults of llama-bench.
const (
	DefaultBatch  = 2048
	DefaultUbatch = 512
)

// Case is a test of a model.
type Case struct {
	Settings
	Test
}

// MaxTokens bounds the numbers of a test, MaxParallel those of sequences.
const (
	MaxTokens   = 1 << 24
	MaxParallel = 1024
)

// Check says why a case cannot be measured on models of the source, if it cannot.
func (c Case) Check(s *Subject) error {
	t := c.Test
	var a fault.Arguments
	a.Between("Prompt", t.Prompt, 0, MaxTokens)
	a.Between("Gen", t.Gen, 0, MaxTokens)
	a.Between("Depth", t.Depth, 0, MaxTokens)
	a.Between("Parallel", t.Parallel, 0, MaxParallel)
	a.Between("Threads", c.Threads, 1, goinfer.MaxThreads)
	a.Between("Batch", c.Batch, 1, MaxTokens)
	a.Between("Ubatch", c.Ubatch, 1, MaxTokens)
	if err := a.Err(); err != nil {
		return err
	}
	switch n := t.positions(); {
	case t.Prompt+t.Gen == 0:
		return fmt.Errorf("there is nothing to do: want prompt tokens or tokens to generate")
	case t.Parallel > 0 && t.Depth > 0:
		return fmt.Errorf("%s: several sequences have no depth but their prompts", t)
	case s.Encoder && (t.Gen > 0 || t.Depth > 0):
		return fmt.Errorf("%s: %s: the model reads texts as a whole, without a cache, and generates none: want prompts alone", s.Name, t)
	case n > s.NCtx:
		return fmt.Errorf("%s: %s takes %d positions, and the model was made for %d", s.Name, t, n, s.NCtx)
	}
	return nil
}
