package params

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
)

// Report says where the parameters of a model are.
type Report struct {
	Name         string      `json:"name"`
	About        string      `json:"about,omitempty"`
	Architecture string      `json:"architecture"`
	Total        int64       `json:"total"`
	Active       int64       `json:"active"` // all but those of experts that are not chosen for a token
	Tied         bool        `json:"tied"`   // the output matrix is the embedding, counted once
	Hyper        Hyper       `json:"hyper_parameters"`
	Components   []Component `json:"components"`
	Layers       []Layer     `json:"layers"`
	Bytes        Bytes       `json:"bytes"`
	Cache        Cache       `json:"kv_cache"`
	Notes        []string    `json:"notes,omitempty"`
}

// Hyper are the numbers that the rest follows from.
type Hyper struct {
	Layers      int `json:"layers"`
	Embd        int `json:"embedding_length"`
	Heads       int `json:"heads"`
	HeadsKV     int `json:"heads_kv"`
	HeadDim     int `json:"head_dim"`
	FF          int `json:"feed_forward_length"`
	Experts     int `json:"experts,omitempty"`
	ExpertsUsed int `json:"experts_used,omitempty"`
	ExpertFF    int `json:"expert_feed_forward_length,omitempty"`
	Vocab       int `json:"vocabulary"`
	Context     int `json:"context_length"`
}

// Component is a kind of parameters. Share is its part of the total.
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
	Tensors    []Tensor         `json:"tensors"`
}

// Tensor is a tensor of a layer, its name without the layer's. Shape is in GGUF's order, the fastest dimension first.
type Tensor struct {
	Name       string `json:"name"`
	Shape      []int  `json:"shape"`
	Parameters int64  `json:"parameters"`
}

// Bytes are what the parameters take.
type Bytes struct {
	// The naive reckoning: 2, 1 and ½ bytes for each.
	FP16  int64       `json:"fp16"`
	INT8  int64       `json:"int8"`
	INT4  int64       `json:"int4"`
	File  int64       `json:"file,omitempty"` // as they are stored
	Types []TypeBytes `json:"types"`          // in files of the types in use
}

// TypeBytes are the bytes in files of a type: most types are mixtures, since some tensors are worth more bits.
type TypeBytes struct {
	Type  string  `json:"type"`
	Bytes int64   `json:"bytes"`
	Bits  float64 `json:"bits_per_weight"`
}

// Cache is what the cache of keys and values grows by with each token of each sequence.
type Cache struct {
	Types []CacheBytes `json:"types"`
	// MultiHead is how many times more it would be in F16 if every query head had a key head of its own; 1 where each has.
	MultiHead float64 `json:"multi_head_factor"`
}

// CacheBytes are the bytes in a format of the cache.
type CacheBytes struct {
	Type      string `json:"type"`
	Token     int64  `json:"bytes_per_token"`
	Context   int64  `json:"context_bytes"`                        // of a sequence as long as the context
	MultiHead int64  `json:"multi_head_bytes_per_token,omitempty"` // 0 where such heads would be no whole number of the format's blocks
}

// FileTypes are the types of files that a report counts.
var FileTypes = []string{"F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"}

// cacheTypes are the formats of the cache that a report counts.
var cacheTypes = []kv.Type{kv.F16, kv.Q8_0, kv.Q4_0}

// Report counts.
func (m *Model) Report() (*Report, error) {
	c := m.Config
	r := &Report{Name: m.Name, About: m.About, Architecture: c.Arch, Tied: m.Tied(), Notes: m.Notes, Hyper: Hyper{
		Layers: c.NLayer, Embd: c.NEmbd, Heads: c.NHead, HeadsKV: c.NHeadKV, HeadDim: c.HeadDim, FF: c.NFF, Experts: c.NExpert, ExpertsUsed: c.NExpertUsed, Vocab: c.NVocab, Context: c.NCtx,
	}}
	if c.NExpert > 0 {
		r.Hyper.ExpertFF = c.NFFExpert
	}
	sums := map[string]*Component{}
	for _, t := range m.Tensors {
		for _, p := range parts(c, t) {
			s := sums[p.component]
			if s == nil {
				s = &Component{Name: p.component}
				sums[p.component] = s
			}
			s.Parameters += p.elements
			s.Active += active(t, p.elements)
			r.Total += p.elements
			r.Active += active(t, p.elements)
		}
	}
	for _, name := range components {
		if s := sums[name]; s != nil {
			s.Share = share(s.Parameters, r.Total)
			r.Components = append(r.Components, *s)
		}
	}
	r.Layers = m.layers(r.Total)
	var err error
	if r.Bytes, err = m.bytes(r.Total); err != nil {
		return nil, err
	}
	r.Cache, err = m.cache()
	return r, err
}

// active is how many of n elements of a tensor count as active: of experts those that are chosen, of everything else all, though a token reads one row of the embedding.
func active(t model.Tensor, n int64) int64 {
	if isTable(t) {
		return n
	}
	return n / int64(t.Of) * int64(t.Used)
}

func share(n, of int64) float64 { return float64(n) / float64(max(1, of)) }

// layers counts by layer.
func (m *Model) layers(total int64) []Layer {
	ls := make([]Layer, m.Config.NLayer)
	for i := range ls {
		ls[i] = Layer{Layer: i, Components: map[string]int64{}, Tensors: []Tensor{}}
	}
	for _, t := range m.Tensors {
		rest, ok := strings.CutPrefix(t.Name, "blk.")
		if !ok {
			continue
		}
		no, name, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(no)
		if err != nil || i >= len(ls) {
			continue
		}
		l := &ls[i]
		for _, p := range parts(m.Config, t) {
			l.Components[p.component] += p.elements
			l.Parameters += p.elements
			l.Active += active(t, p.elements)
		}
		l.Tensors = append(l.Tensors, Tensor{name, t.Shape, t.Elements()})
	}
	for i := range ls {
		ls[i].Share = share(ls[i].Parameters, total)
	}
	return ls
}

// Group is a run of layers alike, from First to Last.
type Group struct {
	First, Last int
	Layer
}

// Groups puts neighbouring layers alike together.
func (r *Report) Groups() []Group {
	var gs []Group
	for i, l := range r.Layers {
		if n := len(gs); n > 0 && slices.EqualFunc(gs[n-1].Tensors, l.Tensors, func(a, b Tensor) bool { return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) }) {
			gs[n-1].Last = i
			continue
		}
		gs = append(gs, Group{i, i, l})
	}
	return gs
}

func (m *Model) bytes(total int64) (Bytes, error) {
	b := Bytes{FP16: 2 * total, INT8: total, INT4: (total + 1) / 2}
	if m.Stored {
		b.File = m.Size()
	}
	for _, name := range FileTypes {
		as, err := m.As(name)
		if err != nil {
			return b, err
		}
		n := as.Size()
		b.Types = append(b.Types, TypeBytes{name, n, 8 * float64(n) / float64(max(1, total))})
	}
	return b, nil
}

func (m *Model) cache() (Cache, error) {
	multi := *m
	multi.State = slices.Clone(m.State)
	for i, s := range multi.State {
		if s.NHead > 0 {
			multi.State[i].NHead, multi.State[i].KDim, multi.State[i].VDim = m.Config.NHead, m.Config.HeadDim, m.Config.HeadDimV
		}
	}
	c := Cache{MultiHead: 1}
	for _, t := range cacheTypes {
		n, err := m.CacheToken(t, t)
		if err != nil { // heads that are no whole number of blocks
			continue
		}
		full, err := m.CacheAt(t, t, m.Config.NCtx)
		if err != nil {
			return c, fmt.Errorf("%s: %w", m.Name, err)
		}
		all, err := multi.CacheToken(t, t)
		if err != nil {
			all = 0
		}
		c.Types = append(c.Types, CacheBytes{t.String(), n, full, all})
		if t == kv.F16 && n > 0 {
			c.MultiHead = float64(all) / float64(n)
		}
	}
	return c, nil
}
