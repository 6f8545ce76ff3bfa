package size

import (
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/kv"
)

// Breakdown reports where the parameters of a model are.
type Breakdown struct {
	Name         string      `json:"name"`
	About        string      `json:"about,omitempty"`
	Architecture string      `json:"architecture"`
	Total        int64       `json:"total"`
	Active       int64       `json:"active"` // parameters active for a token, see [Counts]
	Tied         bool        `json:"tied"`   // the output matrix is the embedding, counted once
	Hyper        HyperParams `json:"hyper_parameters"`
	Components   []Component `json:"components"`
	Layers       []Layer     `json:"layers"`
	Bytes        WeightBytes `json:"bytes"`
	Cache        CacheSizes  `json:"kv_cache"`
	Notes        []string    `json:"notes,omitempty"`
}

// HyperParams are the numbers that the rest follows from.
type HyperParams struct {
	Layers      int `json:"layers"`
	Embd        int `json:"embedding_length"`
	NHead       int `json:"heads"`
	NHeadKV     int `json:"heads_kv"`
	HeadDim     int `json:"head_dim"`
	FF          int `json:"feed_forward_length"`
	Experts     int `json:"experts,omitempty"`
	ExpertsUsed int `json:"experts_used,omitempty"`
	ExpertFF    int `json:"expert_feed_forward_length,omitempty"`
	Vocab       int `json:"vocabulary"`
	Context     int `json:"context_length"`
}

// Component is a kind of parameters. Share is its fraction of the total.
type Component struct {
	Name       string  `json:"name"`
	Parameters int64   `json:"parameters"`
	Active     int64   `json:"active"`
	Share      float64 `json:"share"`
}

// Layer is one layer.
type Layer struct {
	Layer      int              `json:"layer"`
	Parameters int64            `json:"parameters"`
	Active     int64            `json:"active"`
	Share      float64          `json:"share"`
	Components map[string]int64 `json:"components"`
	Tensors    []LayerTensor    `json:"tensors"`
}

// LayerTensor is a tensor of a layer, its name without the layer's. Shape is in GGUF's order, the
// fastest dimension first.
type LayerTensor struct {
	Name       string `json:"name"`
	Shape      []int  `json:"shape"`
	Parameters int64  `json:"parameters"`
}

// WeightBytes are what the parameters take.
type WeightBytes struct {
	// The precisions of articles: 2, 1 and ½ bytes for each parameter.
	FP16  int64       `json:"fp16"`
	INT8  int64       `json:"int8"`
	INT4  int64       `json:"int4"`
	File  int64       `json:"file,omitempty"` // size as stored
	Types []TypeBytes `json:"types"`          // size in files of the types in use
}

// TypeBytes are the bytes in files of a type: most are mixes, since some tensors are worth more
// bits.
type TypeBytes struct {
	Type  string  `json:"type"`
	Bytes int64   `json:"bytes"`
	Bits  float64 `json:"bits_per_weight"`
}

// CacheSizes are what the cache of keys and values grows by with each token of each sequence.
type CacheSizes struct {
	Types []CacheSize `json:"types"`
	// MultiHead is how many times larger it would be in F16 if every query head had a key head of
	// its own; 1 where each has.
	MultiHead float64 `json:"multi_head_factor"`
}

// CacheSize is the bytes in a format of the cache. MultiHead is 0 where heads of keys for every
// query head would be no whole number of the format's blocks.
type CacheSize struct {
	Type      string `json:"type"`
	Token     int64  `json:"bytes_per_token"`
	Context   int64  `json:"context_bytes"` // of a sequence as long as the context
	MultiHead int64  `json:"multi_head_bytes_per_token,omitempty"`
}

// FileTypes are the types of files that a breakdown counts.
var FileTypes = []string{"F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"}

// cacheTypes are the formats of the cache that a breakdown counts.
var cacheTypes = []kv.Type{kv.F16, kv.Q8_0, kv.Q4_0}

// Breakdown counts the parameters by component and by layer.
func (m *Layout) Breakdown() (*Breakdown, error) {
	c, n := m.Config, m.Counts()
	b := &Breakdown{
		Name: m.Name, About: m.About, Architecture: c.Arch, Total: n.Params, Active: n.Active, Tied: m.Tied(), Notes: m.Notes,
		Hyper: HyperParams{
			Layers: c.NLayer, Embd: c.NEmbd, NHead: c.NHead, NHeadKV: c.NHeadKV, HeadDim: c.HeadDim, FF: c.NFF,
			Experts: c.NExpert, ExpertsUsed: c.NExpertUsed, Vocab: c.NVocab, Context: c.NCtx,
		},
	}
	if c.NExpert > 0 {
		b.Hyper.ExpertFF = c.NFFExpert
	}
	sums := map[string]*Component{}
	for _, t := range m.Tensors {
		for _, p := range sharesOf(c, t) {
			s := sums[p.component]
			if s == nil {
				s = &Component{Name: p.component}
				sums[p.component] = s
			}
			s.Parameters += p.params
			s.Active += p.active
		}
	}
	for _, name := range components {
		if s := sums[name]; s != nil {
			s.Share = fraction(s.Parameters, b.Total)
			b.Components = append(b.Components, *s)
		}
	}
	b.Layers = m.layers(b.Total)
	var err error
	if b.Bytes, err = m.weightBytes(b.Total); err != nil {
		return nil, err
	}
	b.Cache, err = m.cacheSizes()
	return b, err
}

func fraction(n, of int64) float64 { return float64(n) / float64(max(1, of)) }

// layers counts by layer.
func (m *Layout) layers(total int64) []Layer {
	ls := make([]Layer, m.Config.NLayer)
	for i := range ls {
		ls[i] = Layer{Layer: i, Components: map[string]int64{}, Tensors: []LayerTensor{}}
	}
	for _, t := range m.Tensors {
		n := names.Parse(t.Name)
		if n.Layer == names.None || n.Layer >= len(ls) {
			continue
		}
		l := &ls[n.Layer]
		for _, p := range sharesOf(m.Config, t) {
			l.Components[p.component] += p.params
			l.Parameters += p.params
			l.Active += p.active
		}
		l.Tensors = append(l.Tensors, LayerTensor{n.InLayer(), t.Shape, t.Elements()})
	}
	for i := range ls {
		ls[i].Share = fraction(ls[i].Parameters, total)
	}
	return ls
}

// LayerGroup is a run of layers alike, from First to Last.
type LayerGroup struct {
	First, Last int
	Layer
}

// Groups puts neighbouring layers alike together.
func (b *Breakdown) Groups() []LayerGroup {
	alike := func(a, b LayerTensor) bool { return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) }
	var gs []LayerGroup
	for i, l := range b.Layers {
		if n := len(gs); n > 0 && slices.EqualFunc(gs[n-1].Tensors, l.Tensors, alike) {
			gs[n-1].Last = i
			continue
		}
		gs = append(gs, LayerGroup{i, i, l})
	}
	return gs
}

// precisions are the bytes of parameters at 2, 1 and ½ bytes each.
func precisions(parameters int64) WeightBytes {
	return WeightBytes{FP16: 2 * parameters, INT8: parameters, INT4: (parameters + 1) / 2}
}

func (m *Layout) weightBytes(total int64) (WeightBytes, error) {
	b := precisions(total)
	if m.Stored {
		b.File = m.Bytes()
	}
	for _, name := range FileTypes {
		as, err := m.As(name)
		if err != nil {
			return b, err
		}
		n := as.Bytes()
		b.Types = append(b.Types, TypeBytes{name, n, 8 * fraction(n, total)})
	}
	return b, nil
}

func (m *Layout) cacheSizes() (CacheSizes, error) {
	multi := *m
	multi.State = slices.Clone(m.State)
	for i, s := range multi.State {
		if s.NHead > 0 {
			multi.State[i].NHead, multi.State[i].KDim, multi.State[i].VDim = m.Config.NHead, m.Config.HeadDim, m.Config.HeadDimV
		}
	}
	c := CacheSizes{MultiHead: 1}
	for _, t := range cacheTypes {
		n, err := m.CacheGrowth(t, t)
		if err != nil { // heads that are no whole number of blocks
			continue
		}
		full, err := m.CacheRead(t, t, m.Config.NCtx)
		if err != nil {
			return c, fmt.Errorf("%s: %w", m.Name, err)
		}
		all, err := multi.CacheGrowth(t, t)
		if err != nil {
			all = 0
		}
		c.Types = append(c.Types, CacheSize{t.String(), n, full, all})
		if t == kv.F16 && n > 0 {
			c.MultiHead = float64(all) / float64(n)
		}
	}
	return c, nil
}
