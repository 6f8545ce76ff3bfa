package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// RouterStats are what the routers of a model did over a text.
type RouterStats struct {
	MoE    MoE          `json:"model"`
	Tokens int          `json:"tokens"`
	Kinds  []KindCount  `json:"kinds"` // kinds of tokens that occur
	Layers []LayerStats `json:"layers"`
}

// KindCount is how many tokens of the text are of a kind.
type KindCount struct {
	Kind   string `json:"kind"`
	Tokens int    `json:"tokens"`

	kind TokenKind
}

// LayerStats is what the router of one layer did.
type LayerStats struct {
	Layer   int     `json:"layer"`
	Entropy float64 `json:"entropy"` // entropy of the router, mean over tokens, in nats
	// Balance is the entropy of Load over that of an equal load: 1 where all experts are chosen
	// equally often, 0 where it is always the same one.
	Balance float64 `json:"balance"`
	// MaxLoad is the load of the busiest expert over that of an equal share.
	MaxLoad float64   `json:"max_load"`
	Load    []float64 `json:"load"`   // share of all choices, by expert
	Weight  []float64 `json:"weight"` // mean weight where chosen, by expert
	Idle    []int     `json:"idle"`   // experts that were never chosen
	// Together[a][b] is how often a and b are chosen for one token over how often they would be if
	// they were independent; 0 where one is idle.
	Together [][]float64 `json:"together"`
	// Kinds[k][e] is how often expert e is chosen for a token of RouterStats.Kinds[k] over how
	// often for any token; 0 for an idle one.
	Kinds [][]float64 `json:"kinds"`
	// Specialised is the mutual information of a token's kind and the experts chosen for it, in
	// nats: 0 where they are independent.
	Specialised float64 `json:"specialised"`

	chosen []int
	pairs  [][]int
	byKind [kinds][]int
}

// RouterStatsOptions are how [MeasureRouters] evaluates a text.
type RouterStatsOptions struct {
	// Chunk is how many tokens are evaluated together, independent of other chunks; 0 means the
	// context of the model, at most 512.
	Chunk    int
	Hook     goinfer.Hook // works on the routers before they are recorded; nil for none
	Progress func(done, total int)
}

// MeasureRouters counts the decisions of all routers over all tokens of a text.
func MeasureRouters(ctx context.Context, m *goinfer.Model, tokens []int32, o RouterStatsOptions) (*RouterStats, error) {
	moe, err := MoEOf(m)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, errors.New("the text has no tokens")
	}
	chunk := o.Chunk
	if chunk <= 0 {
		chunk = min(eval.DefaultChunk, m.Info().Config.NCtx)
	}
	c := newCounter(&moe, m.Tokenizer())
	for done := 0; done < len(tokens); {
		part := tokens[done:min(done+chunk, len(tokens))]
		t, err := Record(ctx, m, part, RecordOptions{What: Routes, Hook: o.Hook})
		if err != nil {
			return nil, err
		}
		c.add(t)
		done += len(part)
		if o.Progress != nil {
			o.Progress(done, len(tokens))
		}
	}
	return c.stats(len(tokens))
}

// counter counts decisions.
type counter struct {
	moe    *MoE
	kinds  []TokenKind // by token
	layers []LayerStats
	rows   []int      // decisions by layer
	seen   [kinds]int // tokens of the text by kind
}

func newCounter(s *MoE, v *goinfer.Tokenizer) *counter {
	c := &counter{moe: s, layers: make([]LayerStats, len(s.Layers)), rows: make([]int, len(s.Layers))}
	if v != nil {
		c.kinds = make([]TokenKind, v.Size())
		for id := range c.kinds {
			c.kinds[id] = KindOf(v.Bytes(int32(id)))
		}
	}
	for i := range c.layers {
		l := &c.layers[i]
		l.Layer, l.chosen, l.pairs = s.Layers[i], make([]int, s.Experts), square[int](s.Experts)
		l.Load, l.Weight, l.Idle = make([]float64, s.Experts), make([]float64, s.Experts), []int{}
		for k := range l.byKind {
			l.byKind[k] = make([]int, s.Experts)
		}
	}
	return c
}

func square[T any](n int) [][]T {
	rows := make([][]T, n)
	for i := range rows {
		rows[i] = make([]T, n)
	}
	return rows
}

// add counts a chunk of the text.
func (c *counter) add(t *Trace) {
	for _, token := range t.Tokens {
		c.seen[c.kind(token.ID)]++
	}
	for i := range c.layers {
		l := &c.layers[i]
		for pos, r := range t.Layers[l.Layer].Routes {
			c.rows[i]++
			l.Entropy += r.Entropy
			kind := c.kind(t.Tokens[pos].ID)
			for n, x := range r.Experts {
				l.chosen[x.ID]++
				l.Weight[x.ID] += float64(x.Weight)
				l.byKind[kind][x.ID]++
				for _, other := range r.Experts[:n] {
					l.pairs[x.ID][other.ID]++
					l.pairs[other.ID][x.ID]++
				}
			}
		}
	}
}

func (c *counter) kind(token int32) TokenKind {
	if int(token) < len(c.kinds) {
		return c.kinds[token]
	}
	return Other
}

// stats computes shares from counts.
func (c *counter) stats(tokens int) (*RouterStats, error) {
	s := &RouterStats{MoE: *c.moe, Tokens: tokens, Layers: c.layers}
	for k, n := range c.seen {
		if n > 0 {
			s.Kinds = append(s.Kinds, KindCount{TokenKind(k).String(), n, TokenKind(k)})
		}
	}
	for i := range c.layers {
		if c.rows[i] == 0 {
			return nil, fmt.Errorf("the router of layer %d was not at work", c.layers[i].Layer)
		}
		c.layers[i].finish(s, c.rows[i])
	}
	return s, nil
}

func (l *LayerStats) finish(s *RouterStats, rows int) {
	all := 0
	for _, n := range l.chosen {
		all += n
	}
	l.Entropy /= float64(rows)
	for e, n := range l.chosen {
		l.Load[e] = float64(n) / float64(all)
		if n > 0 {
			l.Weight[e] /= float64(n)
		} else {
			l.Idle = append(l.Idle, e)
		}
	}
	l.Balance = entropyOf(l.Load) / math.Log(float64(len(l.Load)))
	l.MaxLoad = slices.Max(l.Load) * float64(len(l.Load))
	l.Together = square[float64](len(l.chosen))
	for a, row := range l.pairs {
		for b, n := range row {
			if a != b && n > 0 {
				l.Together[a][b] = float64(n) * float64(rows) / (float64(l.chosen[a]) * float64(l.chosen[b]))
			}
		}
	}
	for k := range s.Kinds {
		counts := l.byKind[s.Kinds[k].kind]
		total := 0
		for _, n := range counts {
			total += n
		}
		lift := make([]float64, len(counts))
		for e, n := range counts {
			if n > 0 {
				lift[e] = float64(n) / float64(total) / l.Load[e]
				l.Specialised += float64(n) / float64(all) * math.Log(lift[e])
			}
		}
		l.Kinds = append(l.Kinds, lift)
	}
	l.Specialised = max(0, l.Specialised)
}

// Pair is two experts that are chosen for one token more often, or less, than by chance.
type Pair struct {
	Layer, A, B int
	Lift        float64 // 1 for no connection
	Tokens      int     // tokens for which both were chosen
}

// Pairs are the n pairs of all layers with the largest lift, of those seen on at least one token of
// a hundred.
func (s *RouterStats) Pairs(n int) []Pair {
	var list []Pair
	for i := range s.Layers {
		l := &s.Layers[i]
		for a := range l.Together {
			for b := range a {
				if l.pairs[a][b]*100 >= s.Tokens {
					list = append(list, Pair{l.Layer, b, a, l.Together[a][b], l.pairs[a][b]})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Pair) int { return cmp.Compare(b.Lift, a.Lift) })
	return list[:min(n, len(list))]
}

// Specialist is an expert that is chosen for a kind of tokens more often than for others.
type Specialist struct {
	Layer, Expert int
	Kind          string
	Lift          float64 // 1 for no preference
	Share         float64 // share of the kind in the choices of this expert
}

// Specialists are the n strongest preferences of all layers, of those that account for at least a
// tenth of the expert's choices.
func (s *RouterStats) Specialists(n int) []Specialist {
	var list []Specialist
	for i := range s.Layers {
		l := &s.Layers[i]
		for k, kind := range s.Kinds {
			for e, lift := range l.Kinds[k] {
				if l.chosen[e] == 0 {
					continue
				}
				share := float64(l.byKind[kind.kind][e]) / float64(l.chosen[e])
				if share >= 0.1 && lift > 1 {
					list = append(list, Specialist{l.Layer, e, kind.Kind, lift, share})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Specialist) int { return cmp.Compare(b.Lift, a.Lift) })
	return list[:min(n, len(list))]
}
