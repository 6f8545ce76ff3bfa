package plan

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/study/catalog"
	"github.com/goinfer/goinfer/study/params"
)

// Memory is what running a model takes, in bytes.
type Memory struct {
	Weights  int64 `json:"weights"`
	Cache    int64 `json:"kv_cache"`    // of all sequences with full contexts
	Scratch  int64 `json:"activations"` // of a full batch of a prompt
	Overhead int64 `json:"overhead"`    // the program itself and the vocabulary
}

// Total is the sum.
func (m Memory) Total() int64 { return m.Weights + m.Cache + m.Scratch + m.Overhead }

// Load is how a model is used.
type Load struct {
	Context   int // positions of each sequence
	Sequences int // side by side
	K, V      kv.Type
}

// ubatch is how many tokens of a prompt are computed at once.
const ubatch = 512

// mostCache bounds a cache of keys and values, so that sums of memory are numbers.
const mostCache = 1 << 60

// Need works out the memory of a model whose tensors have their types, see params.Model.As.
func Need(m *params.Model, l Load) (Memory, error) {
	var a fault.Arguments
	a.AtLeast("Context", l.Context, 1)
	a.AtLeast("Sequences", l.Sequences, 1)
	if err := a.Err(); err != nil {
		return Memory{}, err
	}
	n := Memory{Weights: m.Size(), Scratch: scratch(m, l), Overhead: overhead(m)}
	store, err := kv.New(kv.Config{Layers: m.State, KType: l.K, VType: l.V})
	if err != nil {
		return n, fmt.Errorf("%s: %w", m.Name, err)
	}
	one := store.Need(l.Context, min(ubatch, l.Context))
	if one > mostCache/int64(l.Sequences) {
		return n, fmt.Errorf("%s: a cache for %d contexts of %d is beyond any machine", m.Name, l.Sequences, l.Context)
	}
	n.Cache = one * int64(l.Sequences)
	return n, nil
}

// scratch are the activations of a full batch: in a layer, the stream and what the norms, the blocks' outputs and the heads make of it, and the two halves of a gated
// feed-forward block, of which a layer of experts has those of the chosen ones; then the logits of a row for every sequence.
func scratch(m *params.Model, l Load) int64 {
	c := m.Config
	rows := min(ubatch, min(ubatch, l.Context)*min(ubatch, l.Sequences))
	ff := c.NFF
	if c.NExpert > 0 {
		ff = max(c.NFFExpert*c.NExpertUsed+c.NFFShared, c.NFFExpert)
	}
	perRow := 5*c.NEmbd + 2*c.NHead*c.HeadDim + c.NHeadKV*(c.HeadDim+c.HeadDimV) + 2*ff
	if c.NExpert > 0 {
		perRow += c.NExpertUsed * c.NEmbd
	}
	return 4 * (int64(rows)*int64(perRow) + int64(l.Sequences)*int64(c.NVocab))
}

const (
	program   = 20 << 20 // the program's code, its runtime, and what it has allocated before a model is open
	perToken  = 150      // bytes of a vocabulary for each token: the piece, its place in a table, its merges
	perTensor = 2 << 10  // bytes for each tensor: its description and what is bound to it
)

func overhead(m *params.Model) int64 {
	return program + perToken*int64(m.Config.NVocab) + perTensor*int64(len(m.Tensors))
}

// passBytes is what a pass of so many sequences, a token each, reads of the weights: of experts those that are chosen by one of them, as many as can be expected where each
// sequence chooses for itself.
func passBytes(m *params.Model, sequences int) float64 {
	if sequences == 1 {
		return float64(catalog.Count(m.Tensors).ActiveBytes)
	}
	var sum float64
	for _, t := range m.Tensors {
		missed := math.Pow(1-float64(t.Used)/float64(t.Of), float64(sequences)) // the share that no sequence has chosen
		sum += float64(t.Bytes()) * (1 - missed)
	}
	return sum
}
