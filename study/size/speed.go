package plan

import (
	"slices"
	"strings"

	"github.com/goinfer/goinfer/study/params"
	"github.com/goinfer/goinfer/study/probe"
)

// Speed is what the machine's time goes into when it runs a model in one type, in seconds.
type Speed struct {
	Type        string  `json:"type"`
	Threads     int     `json:"threads"`
	Fixed       float64 `json:"s_per_pass"`        // whatever it reads
	Byte        float64 `json:"s_per_weight_byte"` // that a pass reads
	CacheByte   float64 `json:"s_per_cache_byte"`  // of keys and values that a token attends to
	Op          float64 `json:"s_per_op"`          // of a prompt
	Bandwidth   float64 `json:"bandwidth_gb_s"`    // of reading memory, in the same minute
	SliceBytes  int64   `json:"slice_bytes"`       // of the larger slice
	SliceLayers int     `json:"slice_layers"`
	Whole       bool    `json:"whole,omitempty"`    // the slice is as large as the model
	Narrowed    bool    `json:"narrowed,omitempty"` // the slice is narrower than the model
	// Load is what other programs took while the slices ran. Where it is busy, what is estimated from them is that of a busy machine.
	Load probe.Load `json:"load"`
}

// Prediction is how fast a model is expected to be.
type Prediction struct {
	Token  float64 `json:"s_per_token"`     // of a sequence
	Rate   float64 `json:"tokens_per_s"`    // of all sequences together
	Bound  float64 `json:"bound_tokens_s"`  // what the bandwidth allows at most
	Bytes  float64 `json:"weight_bytes"`    // that a pass reads
	Cache  float64 `json:"kv_cache_bytes"`  // that it reads
	Prompt float64 `json:"prompt_tokens_s"` // evaluated
}

// Predict works out how fast a model is with sequences at a position.
func (s *Speed) Predict(m *params.Model, l Load, position int) (Prediction, error) {
	cache, err := m.CacheAt(l.K, l.V, position)
	if err != nil {
		return Prediction{}, err
	}
	n := float64(l.Sequences)
	p := Prediction{Bytes: passBytes(m, l.Sequences), Cache: n * float64(cache), Prompt: 1 / (s.Op * ops(m))}
	// Each further sequence is arithmetic on weights that are read once.
	p.Token = s.Fixed + s.Byte*p.Bytes + s.CacheByte*p.Cache + (n-1)*s.Op*ops(m)
	p.Rate = n / p.Token
	p.Bound = n * 1e9 * s.Bandwidth / (p.Bytes + p.Cache)
	return p, nil
}

// ops are the operations of a token of a prompt: two for each weight that it is multiplied with. The head's are left out: of a prompt, only the last token needs it.
func ops(m *params.Model) float64 {
	var n float64
	for _, t := range m.Tensors {
		if len(t.Shape) >= 2 && t.Name != "output.weight" && !strings.Contains(t.Name, "_embd.") {
			n += 2 * float64(t.Elements()) * float64(t.Used) / float64(t.Of)
		}
	}
	return n
}

// fast is the mean of the fastest quarter of times: whatever else runs on the machine only adds to them.
func fast(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Sorted(slices.Values(xs))[:(len(xs)+3)/4]
	var sum float64
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}
