package size

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
)

// Workload is how a model is used.
type Workload struct {
	Context   int // positions of each sequence
	Sequences int // number of sequences side by side
	K, V      kv.Type
}

// Footprint is what a process that runs a model takes, in bytes.
type Footprint struct {
	Weights  int64 `json:"weights"`
	Cache    int64 `json:"kv_cache"`    // keys and values of all sequences with full contexts
	Scratch  int64 `json:"activations"` // activations of a full batch of a prompt
	Overhead int64 `json:"overhead"`    // the program itself and the vocabulary
}

// Total is the sum.
func (f Footprint) Total() int64 { return f.Weights + f.Cache + f.Scratch + f.Overhead }

// Ubatch is how many tokens of a prompt are computed at once, by default here as in llama.cpp.
const Ubatch = 512

// Footprint works out the memory of a model whose tensors have their types, see [Layout.As].
func (m *Layout) Footprint(w Workload) (Footprint, error) {
	var a fault.Arguments
	a.AtLeast("Context", w.Context, 1)
	a.AtLeast("Sequences", w.Sequences, 1)
	if err := a.Err(); err != nil {
		return Footprint{}, err
	}
	need, err := model.EstimateMemory(m.Bytes(), m.cache(w.K, w.V), w.Context, min(Ubatch, w.Context), w.Sequences)
	if err != nil {
		return Footprint{}, fmt.Errorf("%s: %w", m.Name, err)
	}
	return Footprint{Weights: need.Weights, Cache: need.Cache, Scratch: m.scratch(w), Overhead: m.overhead()}, nil
}

// scratch is an estimate of the activations of a full batch, which the engine finds by a dry run
// once there are weights. Rows of float32 are held at the same time in a layer of
//
//   - the residual stream, its norm, the outputs of attention and of the feed-forward block, and
//     the stream before them: 5 of the width;
//   - the queries and the output of the heads, and a key and a value for each of their heads;
//   - the gate and the inner activations of the feed-forward block, in a layer of experts those of
//     the chosen ones, with an output of each;
//
// and the logits of a row for every sequence. TestScratch compares it with the engine.
func (m *Layout) scratch(w Workload) int64 {
	c := m.Config
	rows := min(Ubatch, min(Ubatch, w.Context)*min(Ubatch, w.Sequences))
	ff := c.NFF
	if c.NExpert > 0 {
		ff = max(c.NFFExpert*c.NExpertUsed+c.NFFShared, c.NFFExpert)
	}
	perRow := 5*c.NEmbd + 2*c.NHead*c.HeadDim + c.NHeadKV*(c.HeadDim+c.HeadDimV) + 2*ff
	if c.NExpert > 0 {
		perRow += c.NExpertUsed * c.NEmbd
	}
	return 4 * (int64(rows)*int64(perRow) + int64(w.Sequences)*int64(c.NVocab))
}

// What a process takes beside weights, cache and activations, in bytes, as measured on linux/amd64.
const (
	programBytes = 20 << 20 // code, runtime and tables: 18 MiB are resident with a model of 0.3 MB
	tokenBytes   = 150      // a token of a vocabulary: 111 to 131 (SentencePiece), 131 to 150 (BPE)
	tensorBytes  = 600      // a tensor, described and bound: 520; TestOverhead measures both
)

func (m *Layout) overhead() int64 {
	return programBytes + tokenBytes*int64(m.Config.NVocab) + tensorBytes*int64(len(m.Tensors))
}

// passBytes is what a pass of so many sequences, a token each, reads of the weights: of experts
// those that are chosen by one of them, as many as are expected where each sequence chooses for
// itself.
func (m *Layout) passBytes(sequences int) float64 {
	if sequences == 1 {
		return float64(m.Counts().ReadBytes)
	}
	var sum float64
	for _, t := range m.Tensors {
		unused := math.Pow(1-float64(t.Used)/float64(t.Of), float64(sequences))
		sum += float64(t.Bytes()) * (1 - unused)
	}
	return sum
}
