package size

import "github.com/goinfer/goinfer/study/probe"

// Speed is what the machine's time goes into when it runs a model in one type, in seconds. It is
// measured on slices, models with the same matrices and few layers (bench.Calibrate).
type Speed struct {
	Type        string  `json:"type"`
	Threads     int     `json:"threads"`
	Fixed       float64 `json:"s_per_pass"`         // time of a pass, whatever it reads
	Byte        float64 `json:"s_per_weight_byte"`  // time for a byte of weights that is read
	CacheByte   float64 `json:"s_per_cache_byte"`   // time for a byte of attended keys and values
	Op          float64 `json:"s_per_op"`           // time for an operation of a prompt
	Bandwidth   float64 `json:"bandwidth_gb_s"`     // rate of reading memory, in the same minute
	SliceBytes  int64   `json:"slice_bytes"`        // size of the larger slice
	SliceLayers int     `json:"slice_layers"`       // layers of the larger slice
	Whole       bool    `json:"whole,omitempty"`    // the slice is as large as the model
	Narrowed    bool    `json:"narrowed,omitempty"` // the slice is narrower than the model
	// Load is what other programs took while the slices ran. Where it is busy, what is predicted
	// from them is the speed of a busy machine.
	Load probe.Load `json:"load"`
}

// Prediction is how fast a model is expected to be.
type Prediction struct {
	Token  float64 `json:"s_per_token"`     // seconds for a token of each sequence
	Rate   float64 `json:"tokens_per_s"`    // rate of all sequences together
	Bound  float64 `json:"bound_tokens_s"`  // most that the bandwidth allows
	Bytes  float64 `json:"weight_bytes"`    // weights that a pass reads
	Cache  float64 `json:"kv_cache_bytes"`  // keys and values that a pass reads
	Prompt float64 `json:"prompt_tokens_s"` // rate of evaluating a prompt
}

// Predict works out how fast a model is whose sequences are at a position.
func (s *Speed) Predict(m *Layout, w Workload, position int) (Prediction, error) {
	cache, err := m.CacheRead(w.K, w.V, position)
	if err != nil {
		return Prediction{}, err
	}
	n := float64(w.Sequences)
	p := Prediction{Bytes: m.passBytes(w.Sequences), Cache: n * float64(cache), Prompt: 1 / (s.Op * m.TokenOps())}
	// Each further sequence is arithmetic on weights that are read once.
	p.Token = s.Fixed + s.Byte*p.Bytes + s.CacheByte*p.Cache + (n-1)*s.Op*m.TokenOps()
	p.Rate = n / p.Token
	p.Bound = n * 1e9 * s.Bandwidth / (p.Bytes + p.Cache)
	return p, nil
}

// TokenOps are the operations of one token of a prompt, all but the last one's: two for each weight
// of a matrix that it is multiplied with, without the output matrix.
func (m *Layout) TokenOps() float64 {
	w := WorkOf(m.Tensors)
	return 2 * float64(w.Int8+w.Float)
}
