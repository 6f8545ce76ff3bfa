package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

func normal(r *rand.Rand, n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(r.NormFloat64())
	}
	return f
}

// attendAll runs attention over q, k and v in chunks of rows and returns what the queries read.
func attendAll(t *testing.T, c AttentionConfig, threads, chunk int, q, k, v *tensor.Tensor) []float32 {
	pool := par.New(threads)
	defer pool.Close()
	a, err := NewAttention(c)
	require.NoError(t, err)
	spec := kv.Spec{NHead: c.NHeadKV, KDim: c.HeadDim, VDim: a.c.HeadDimV}
	if c.ValuesFromKeys {
		spec.VDim = 0
	}
	store, err := kv.New(kv.Config{Layers: []kv.Spec{spec}, KType: kv.F32, VType: kv.F32})
	require.NoError(t, err)
	p, err := NewPass(pool, store, false)
	require.NoError(t, err)
	seq := store.Open()
	var out []float32
	for at := 0; at < q.Rows; at += chunk {
		n := min(chunk, q.Rows-at)
		require.NoError(t, store.Reserve(seq, n))
		var b Batch
		for i := range n {
			b.Add(Row{Pos: at + i, Seq: seq})
		}
		p.Begin(&b)
		p.Layer(0)
		rows := func(x *tensor.Tensor) *tensor.Tensor {
			if x == nil {
				return nil
			}
			return &tensor.Tensor{Rows: n, Cols: x.Cols, F: x.F[at*x.Cols : (at+n)*x.Cols]}
		}
		out = append(out, p.Attend(a, rows(q), rows(k), rows(v)).F...)
		require.NoError(t, p.End())
		store.Commit(seq, n)
	}
	return out
}

// attendPlain is the same from the formulas, in float64.
func attendPlain(c AttentionConfig, q, k, v *tensor.Tensor) []float64 {
	dv := c.HeadDimV
	if dv == 0 {
		dv = c.HeadDim
	}
	scale := float64(c.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(c.HeadDim))
	}
	out := make([]float64, q.Rows*c.NHead*dv)
	for pos := range q.Rows {
		temper := 1.0
		if c.Temperature.Scale != 0 {
			temper += c.Temperature.Scale * math.Log(1+math.Floor(float64(pos+c.Temperature.Shift)/float64(c.Temperature.Length)))
		}
		for h := range c.NHead {
			kh := h / (c.NHead / c.NHeadKV)
			sum := 0.0
			if c.Sinks != nil {
				sum = math.Exp(float64(c.Sinks[h]))
			}
			row := out[(pos*c.NHead+h)*dv:][:dv]
			for j := range q.Rows {
				if !c.Bidirectional && (j > pos || c.Window > 0 && j <= pos-c.Window) || c.Bidirectional && c.Window > 0 && max(j-pos, pos-j) > c.Window/2 || c.Chunk > 0 && j/c.Chunk != pos/c.Chunk {
					continue
				}
				s := 0.0
				for i := range c.HeadDim {
					s += float64(q.Row(pos)[h*c.HeadDim+i]) * float64(k.Row(j)[kh*c.HeadDim+i])
				}
				s *= scale * temper
				if c.Cap != 0 {
					s = float64(c.Cap) * math.Tanh(s/float64(c.Cap))
				}
				if c.Slopes != nil {
					s -= float64(c.Slopes[h]) * math.Abs(float64(pos-j))
				}
				if c.Relative != nil {
					most := len(c.Relative[h]) / 2
					s += float64(c.Relative[h][max(-most, min(j-pos, most))+most])
				}
				e := math.Exp(s)
				sum += e
				for i := range dv {
					if c.ValuesFromKeys {
						row[i] += e * float64(k.Row(j)[kh*c.HeadDim+i])
					} else {
						row[i] += e * float64(v.Row(j)[kh*dv+i])
					}
				}
			}
			for i := range row {
				row[i] /= sum
			}
		}
	}
	return out
}

// TestAttention compares every kind of attention with its formula, over contexts that cross pages,
// spans and windows; the bits are those of one token at a time.
func TestAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	base := AttentionConfig{NHead: 4, NHeadKV: 2, HeadDim: 16}
	for name, change := range map[string]func(c *AttentionConfig){
		"plain":              func(c *AttentionConfig) {},
		"values shorter":     func(c *AttentionConfig) { c.HeadDimV = 8 },
		"values longer":      func(c *AttentionConfig) { c.HeadDimV = 24 },
		"window of 1":        func(c *AttentionConfig) { c.Window = 1 },
		"window of 8":        func(c *AttentionConfig) { c.Window = 8 },
		"window of a page":   func(c *AttentionConfig) { c.Window = kv.PageLen },
		"window of 100":      func(c *AttentionConfig) { c.Window = 100 },
		"window beyond":      func(c *AttentionConfig) { c.Window = 5000 },
		"chunks":             func(c *AttentionConfig) { c.Chunk = 100 },
		"capped":             func(c *AttentionConfig) { c.Cap = 2 },
		"capped in a window": func(c *AttentionConfig) { c.Cap, c.Window = 2, 70 },
		"sinks":              func(c *AttentionConfig) { c.Sinks = []float32{-3, 0, 2, 30} },
		"sinks and window":   func(c *AttentionConfig) { c.Sinks, c.Window = []float32{-3, 0, 2, -30}, 8 },
		"slopes":             func(c *AttentionConfig) { c.Slopes = []float32{0.5, 0.25, 0.125, 0.0625} },
		"tempered":           func(c *AttentionConfig) { c.Temperature = AttnTemperature{Scale: 0.3, Length: 16, Shift: 1} },
		"values in keys": func(c *AttentionConfig) {
			c.NHead, c.NHeadKV, c.HeadDim, c.HeadDimV, c.ValuesFromKeys = 5, 1, 24, 16, true
		},
		"both ways":         func(c *AttentionConfig) { c.Bidirectional = true },
		"both, window of 8": func(c *AttentionConfig) { c.Bidirectional, c.Window = true, 8 },
		"both, window of 9": func(c *AttentionConfig) { c.Bidirectional, c.Window = true, 9 },
		"both, window, cap": func(c *AttentionConfig) { c.Bidirectional, c.Window, c.Cap = true, 200, 2 },
		"both, slopes":      func(c *AttentionConfig) { c.Bidirectional, c.Slopes = true, []float32{0.5, 0.25, 0.125, 0.0625} },
		"both, by distance": func(c *AttentionConfig) {
			c.Bidirectional, c.Relative = true, [][]float32{normal(r, 1), normal(r, 3), normal(r, 21), normal(r, 257)}
		},
		"by distance": func(c *AttentionConfig) {
			c.Relative = [][]float32{normal(r, 1), normal(r, 3), normal(r, 21), normal(r, 257)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := base
			change(&c)
			dv := c.HeadDimV
			if dv == 0 {
				dv = c.HeadDim
			}
			n := kernels.PartitionLen + kv.PageLen + 9
			if testing.Short() {
				n = 2*kv.PageLen + 9
			}
			make := func(cols int) *tensor.Tensor { return &tensor.Tensor{Rows: n, Cols: cols, F: normal(r, n*cols)} }
			q, k, v := make(c.NHead*c.HeadDim), make(c.NHeadKV*c.HeadDim), make(c.NHeadKV*dv)
			if c.ValuesFromKeys {
				v = nil
			}
			got := attendAll(t, c, 1, n, q, k, v)
			for i, want := range attendPlain(c, q, k, v) {
				require.InDelta(t, want, got[i], 2e-5, i)
			}
			if c.Bidirectional {
				require.Equal(t, bits(got), bits(attendAll(t, c, 3, n, q, k, v)), "threads")
				return
			}
			require.Equal(t, bits(got), bits(attendAll(t, c, 3, 1, q, k, v)), "one by one")
			require.Equal(t, bits(got), bits(attendAll(t, c, 2, 50, q, k, v)), "in chunks")
		})
	}
	for want, c := range map[string]AttentionConfig{
		"within keys": {NHead: 1, NHeadKV: 1, HeadDim: 8, HeadDimV: 9, ValuesFromKeys: true},
		"a sink":      {NHead: 2, NHeadKV: 1, HeadDim: 8, Sinks: []float32{1}},
		"both sides":  {NHead: 1, NHeadKV: 1, HeadDim: 8, Relative: [][]float32{{1, 2}}},
		"a window":    {NHead: 2, NHeadKV: 1, HeadDim: 8, Window: -1},
	} {
		_, err := NewAttention(c)
		require.ErrorContains(t, err, want)
	}
}

// TestBuckets compares with the formula of T5's authors, for every distance.
func TestBuckets(t *testing.T) {
	for _, n := range []int{4, 8, 32} {
		// two heads: the bucket's number, and that with the other sign
		table := make([]float32, 2*n)
		for i := range n {
			table[2*i], table[2*i+1] = float32(i), -float32(i)
		}
		got, err := Buckets(table, n, 2)
		require.NoError(t, err)
		for d := -128; d <= 128; d++ {
			want, back := 0, n/2 // relative_buckets, num_buckets
			x := d
			if x > 0 {
				want += back
			} else {
				x = -x
			}
			if exact := back / 2; x < exact {
				want += x
			} else {
				l := math.Log2(float64(x)/float64(exact)) / math.Log2(128/float64(exact)) * float64(back-exact)
				want += min(back-1, exact+int(l+1e-9))
			}
			require.EqualValues(t, want, got[0][d+128], "%d of %d", d, n)
			require.EqualValues(t, -want, got[1][d+128])
		}
	}
	_, err := Buckets(make([]float32, 9), 3, 3)
	require.ErrorContains(t, err, "four times some buckets")
}

// TestProbs: what a hook is shown of windowed, capped and sinking attention adds up to what is
// missing from the sink.
func TestProbs(t *testing.T) {
	x := []float32{1, 2, 3}
	sinkSoftmax(x, 2)
	sum := math.E + 2*math.Exp(2) + math.Exp(3)
	for i, want := range []float64{math.E / sum, math.Exp(2) / sum, math.Exp(3) / sum} {
		require.InDelta(t, want, x[i], 1e-6)
	}
}

// routed is the choice of experts from the papers' formulas in float64: numbers, best first, and
// weights.
func routed(c *MoEConfig, logits []float64) (ids []int, w []float64) {
	n := len(logits)
	scores := make([]float64, n)
	softmax := func(x []float64) {
		sum := 0.0
		for i := range x {
			x[i] = math.Exp(x[i])
			sum += x[i]
		}
		for i := range x {
			x[i] /= sum
		}
	}
	copy(scores, logits)
	switch c.Score {
	case ScoreSoftmax:
		softmax(scores)
	case ScoreSigmoid:
		for i, v := range logits {
			scores[i] = 1 / (1 + math.Exp(-v))
		}
	}
	choice := slices.Clone(scores)
	for i, b := range c.Bias {
		choice[i] += float64(b)
	}
	if c.Groups > 0 {
		size := n / c.Groups
		group := make([]float64, c.Groups)
		order := make([]int, c.Groups)
		for g := range group {
			of := slices.Clone(choice[g*size : (g+1)*size])
			slices.Sort(of)
			for _, v := range of[size-c.GroupTopK:] {
				group[g] += v
			}
			order[g] = g
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, group[b]-group[a])) })
		for _, g := range order[c.GroupsUsed:] {
			for e := g * size; e < (g+1)*size; e++ {
				choice[e] = math.Inf(-1)
			}
		}
	}
	ids = make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int { return int(math.Copysign(1, choice[b]-choice[a])) })
	ids = ids[:c.Used]
	sum := 0.0
	for _, e := range ids {
		w = append(w, scores[e])
		sum += scores[e]
	}
	if c.Score == ScoreSoftmaxWeight {
		softmax(w)
	}
	for i := range w {
		if c.Renormalise {
			w[i] /= sum
		}
		if c.Scale != 0 {
			w[i] *= float64(c.Scale)
		}
	}
	return ids, w
}

// TestRouter compares the routers of the families with the papers' formulas.
func TestRouter(t *testing.T) {
	const n = 16
	r := rand.New(rand.NewPCG(3, 4))
	for name, c := range map[string]MoEConfig{
		"Mixtral":     {Used: 2, Renormalise: true},
		"Qwen2-MoE":   {Used: 4},
		"gpt-oss":     {Used: 4, Score: ScoreSoftmaxWeight},
		"Llama 4":     {Used: 1, Score: ScoreSigmoid},
		"DeepSeek-V2": {Used: 6, Groups: 4, GroupsUsed: 2, GroupTopK: 1, Scale: 16},
		"DeepSeek-V3": {Used: 4, Score: ScoreSigmoid, Bias: normal(r, n), Groups: 4, GroupsUsed: 2, GroupTopK: 2, Renormalise: true, Scale: 2.5},
		"all groups":  {Used: 5, Score: ScoreSigmoid, Groups: 2, GroupsUsed: 2, GroupTopK: 2},
	} {
		for range 50 {
			logits := normal(r, n)
			in := make([]float64, n)
			for i, v := range logits {
				in[i] = float64(v)
			}
			wantIDs, want := routed(&c, in)
			c := c
			if c.Scale == 0 {
				c.Scale = 1
			}
			s := &moeState{scores: make([]float32, n), chosen: make([]bool, n)}
			ids, w := make([]int32, c.Used), make([]float32, c.Used)
			s.score(&c, logits)
			require.NoError(t, s.choose(ids, w, logits, &c))
			for i := range ids {
				require.EqualValues(t, wantIDs[i], ids[i], name)
				require.InDelta(t, want[i], w[i], 1e-5*max(1, want[i]), name)
			}
		}
	}
	router := linear(t, "r", quant.F32, 8, 4, LinearOptions{})
	four := []*Linear{router, router, router, router}
	for _, c := range []MoEConfig{
		{Groups: 3, GroupsUsed: 1, GroupTopK: 1}, {Groups: 2, GroupTopK: 1}, {Groups: 2, GroupsUsed: 3, GroupTopK: 1}, {Groups: 2, GroupsUsed: 1, GroupTopK: 3},
		{Groups: 4, GroupsUsed: 1, GroupTopK: 1}, {Groups: 2, GroupsUsed: 1},
	} {
		c.Used, c.Router, c.Up, c.Down = 2, router, four, four
		_, err := NewMoE(c)
		require.ErrorContains(t, err, "want whole groups")
	}
	_, err := NewMoE(MoEConfig{Used: 1, Router: router, Up: four, Down: four, Bias: []float32{1}})
	require.ErrorContains(t, err, "want a bias for each of 4 experts, found 1")
}

// TestChoiceKeepsOutAndIn has infinite scores decide, in and out of groups.
func TestChoiceKeepsOutAndIn(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, c := range map[string]struct {
		c      MoEConfig
		scores []float32
		want   []int32
		err    string
	}{
		"kept in":             {MoEConfig{Used: 2}, []float32{3, inf, 5, 1}, []int32{1, 2}, ""},
		"kept out":            {MoEConfig{Used: 2}, []float32{-inf, 3, -inf, 1}, []int32{1, 3}, ""},
		"too few":             {MoEConfig{Used: 3}, []float32{-inf, 3, -inf, 1}, nil, "can choose 2 experts of 4 for a token, and 3 are asked for"},
		"group by one":        {MoEConfig{Used: 1, Groups: 2, GroupsUsed: 1, GroupTopK: 2}, []float32{2, 2, 9, -inf}, []int32{2}, ""},
		"group of none":       {MoEConfig{Used: 1, Groups: 2, GroupsUsed: 1, GroupTopK: 2}, []float32{-inf, -inf, -7, -8}, []int32{2}, ""},
		"in and out together": {MoEConfig{Used: 1, Groups: 2, GroupsUsed: 1, GroupTopK: 2}, []float32{2, 2, inf, -inf}, []int32{2}, ""},
		"beyond the groups":   {MoEConfig{Used: 3, Groups: 2, GroupsUsed: 1, GroupTopK: 1}, []float32{2, 2, 1, 1}, nil, "can choose 2 experts of 4"},
	} {
		s := &moeState{scores: c.scores, chosen: make([]bool, len(c.scores))}
		ids := make([]int32, c.c.Used)
		c.c.Scale = 1
		err := s.choose(ids, make([]float32, c.c.Used), make([]float32, len(c.scores)), &c.c)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, ids, name)
	}
}

// TestNorms compares with the formulas: whole rows, heads, weights of their own for each head, no
// weights.
func TestNorms(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, heads = 12, 3
	vec := func(cols int) *tensor.Weight { return floatWeight(normal(r, cols)) }
	level, err := kernelsFor(false)
	require.NoError(t, err)
	for name, c := range map[string]NormConfig{
		"RMS":                {N: n, Weight: vec(n), Eps: 1e-3},
		"RMS without weight": {N: n, Eps: 1e-3},
		"RMS with a bias":    {N: n, Weight: vec(n), Bias: vec(n), Eps: 1e-3},
		"Layer":              {N: n, Weight: vec(n), Bias: vec(n), Eps: 1e-3, Layer: true},
		"Layer, no bias":     {N: n, Weight: vec(n), Eps: 1e-3, Layer: true},
		"Layer, per head":    {N: n, Weight: vec(n * heads), Eps: 1e-3, Layer: true},
	} {
		norm, err := NewNorm("norm", c)
		require.NoError(t, err, name)
		x := normal(r, n*heads)
		got := make([]float32, len(x))
		norm.row(level, got, x)
		for h := range heads {
			row := x[h*n : (h+1)*n]
			mean, square := 0.0, 0.0
			for _, v := range row {
				mean += float64(v) / n
			}
			if !c.Layer {
				mean = 0
			}
			for _, v := range row {
				square += (float64(v) - mean) * (float64(v) - mean) / n
			}
			for i, v := range row {
				at := (h*n + i) % len(norm.w)
				want := (float64(v) - mean) / math.Sqrt(square+1e-3) * float64(norm.w[at])
				if norm.b != nil {
					want += float64(norm.b[at])
				}
				require.InDelta(t, want, got[h*n+i], 1e-5, name)
			}
		}
	}
	_, err = NewNorm("norm", NormConfig{N: 5, Weight: vec(12)})
	require.ErrorContains(t, err, "want weights for stretches of 5")
	_, err = NewNorm("norm", NormConfig{N: 12, Weight: vec(12), Bias: vec(6)})
	require.ErrorContains(t, err, "as many biases")
}

// TestActivations compares with the formulas.
func TestActivations(t *testing.T) {
	level, err := kernelsFor(false)
	require.NoError(t, err)
	gates := []float32{-20, -3, -1, -1e-3, 0, 1e-3, 0.5, 1, 3, 6.9, 7.5, 20}
	for name, c := range map[string]struct {
		act  Activation
		want func(g, u float64) float64
	}{
		"SiLU": {SiLU, func(g, u float64) float64 { return g / (1 + math.Exp(-g)) * u }},
		"GELU": {GELU, func(g, u float64) float64 {
			return 0.5 * g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) * u
		}},
		"ReLU":  {ReLU, func(g, u float64) float64 { return max(g, 0) * u }},
		"ReLU²": {SquaredReLU, func(g, u float64) float64 { return max(g, 0) * max(g, 0) * u }},
		"clamped": {ClampedSwiGLU, func(g, u float64) float64 {
			g = min(g, 7)
			return g / (1 + math.Exp(-1.702*g)) * (max(-7, min(u, 7)) + 1)
		}},
	} {
		for _, u := range []float32{-9, -1, 0, 1, 2.5, 9} {
			g, up := slices.Clone(gates), slices.Repeat([]float32{u}, len(gates))
			c.act.row(level, g, g, up)
			for i, x := range gates {
				want := c.want(float64(x), float64(u))
				require.InDelta(t, want, g[i], 2e-6*max(1, math.Abs(want)), "%s(%v)·%v", name, x, u)
			}
		}
	}
}

// inputs is a hook that keeps what weights are multiplied with.
type inputs map[string]input

type input struct {
	expert int
	x      []float32
}

func (inputs) Wants(int, string) bool { return false }
func (inputs) Observe(*Event)         {}
func (h inputs) ObserveInput(weight string, expert int, x []float32) {
	h[weight] = input{expert, slices.Clone(x)}
}

func row64(x []float32) []float64 {
	f := make([]float64, len(x))
	for i, v := range x {
		f[i] = float64(v)
	}
	return f
}

// TestXIELU compares with the formula, on both sides of 0.
func TestXIELU(t *testing.T) {
	a := &XIELU{Positive: 0.9, Negative: 1.7, Beta: 0.5, Eps: -1e-6}
	x := []float32{-90, -20, -3, -1, -0.1, -1e-3, 0, 1e-3, 0.5, 3, 20}
	got := slices.Clone(x)
	a.row(got)
	for i, v := range x {
		v := float64(v)
		want := 0.9*v*v + 0.5*v
		if v <= 0 {
			want = 1.7*(math.Exp(v)-1-v) + 0.5*v
		}
		require.InDelta(t, want, got[i], 2e-6*max(1, math.Abs(want)), v)
	}
}

// TestALiBi: the slopes of 8 heads are those that the paper writes out, those of 12 go on with
// every second one of 16.
func TestALiBi(t *testing.T) {
	require.Equal(t, []float32{1. / 2, 1. / 4, 1. / 8, 1. / 16, 1. / 32, 1. / 64, 1. / 128, 1. / 256}, ALiBi(8, 8))
	twelve := ALiBi(12, 8)
	require.Equal(t, ALiBi(8, 8), twelve[:8])
	for i, h := range []float64{1, 3, 5, 7} {
		require.InDelta(t, math.Pow(2, -h/2), twelve[8+i], 1e-7)
	}
}

// floatWeight is a row of float32.
func floatWeight(f []float32) *tensor.Weight {
	b := make([]byte, 4*len(f))
	if err := quant.Quantize(quant.F32, b, f); err != nil {
		panic(err)
	}
	return &tensor.Weight{Name: "v", Type: quant.F32, Rows: 1, Cols: len(f), Data: b}
}

// TestFeedForward composes blocks by hand: without a gate, and experts with a shared one that is
// gated, weighted at their input.
func TestFeedForward(t *testing.T) {
	const embd, ff, n = 32, 64, 3
	r := rand.New(rand.NewPCG(7, 8))
	lin := func(name string, in, out int) *Linear { return linear(t, name, quant.F32, in, out, LinearOptions{}) }
	pool := par.New(2)
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: kv.Repeat(1, kv.Full(1, 8))})
	require.NoError(t, err)
	p, err := NewPass(pool, store, false)
	require.NoError(t, err)
	seq := store.Open()
	require.NoError(t, store.Reserve(seq, n))
	var b Batch
	for i := range n {
		b.Add(Row{Pos: i, Seq: seq})
	}
	x := &tensor.Tensor{Rows: n, Cols: embd, F: normal(r, n*embd)}
	row := func(i int) []float64 {
		f := make([]float64, embd)
		for j, v := range x.Row(i) {
			f[j] = float64(v)
		}
		return f
	}
	near := func(want []float64, got []float32, what string) {
		for i := range want {
			require.InDelta(t, want[i], got[i], 1e-3*max(1, math.Abs(want[i])), what)
		}
	}
	relu2 := func(x []float64) []float64 {
		y := slices.Clone(x)
		for i, v := range y {
			y[i] = max(v, 0) * max(v, 0)
		}
		return y
	}

	up, down := lin("up", embd, ff), lin("down", ff, embd)
	p.Begin(&b)
	p.Layer(0)
	got := p.FFN(x, &FFN{Up: up, Down: down, Act: SquaredReLU})
	for i := range n {
		near(apply(dense(t, down), relu2(apply(dense(t, up), row(i)))), got.Row(i), "without a gate")
	}

	shared := &FFN{Up: lin("up_shexp", embd, ff), Down: lin("down_shexp", ff, embd), Act: SquaredReLU}
	c := MoEConfig{Used: 1, Act: SquaredReLU, Score: ScoreSigmoid, WeightBeforeFFN: true, Router: lin("router", embd, 2), Shared: shared, SharedGate: lin("gate_shexp", embd, 1)}
	for _, name := range []string{"0", "1"} {
		c.Up, c.Down = append(c.Up, lin("up"+name, embd, ff)), append(c.Down, lin("down"+name, ff, embd))
	}
	m, err := NewMoE(c)
	require.NoError(t, err)
	got = p.MoE(x, m)
	for i := range n {
		ids, w := routed(&c, apply(dense(t, c.Router), row(i)))
		in := row(i)
		for j := range in {
			in[j] *= w[0]
		}
		want := apply(dense(t, c.Down[ids[0]]), relu2(apply(dense(t, c.Up[ids[0]]), in)))
		gate := 1 / (1 + math.Exp(-apply(dense(t, c.SharedGate), row(i))[0]))
		for j, v := range apply(dense(t, shared.Down), relu2(apply(dense(t, shared.Up), row(i)))) {
			want[j] += gate * v
		}
		near(want, got.Row(i), "experts")
	}

	// A router that reads something else than the experts.
	other := &tensor.Tensor{Rows: n, Cols: embd, F: normal(r, n*embd)}
	c.WeightBeforeFFN, c.Shared, c.SharedGate = false, nil, nil
	m, err = NewMoE(c)
	require.NoError(t, err)
	got = p.Experts(x, p.Route(other, m), m)
	for i := range n {
		in := make([]float64, embd)
		for j, v := range other.Row(i) {
			in[j] = float64(v)
		}
		ids, w := routed(&c, apply(dense(t, c.Router), in))
		want := apply(dense(t, c.Down[ids[0]]), relu2(apply(dense(t, c.Up[ids[0]]), row(i))))
		for j := range want {
			want[j] *= w[0]
		}
		near(want, got.Row(i), "a router of its own")
	}
	require.NoError(t, p.End())
}

// TestLatentAttention compares with section 2.1 of arXiv:2405.04434 as it is written: keys and
// values of every head worked out from the latent, nothing absorbed.
func TestLatentAttention(t *testing.T) {
	const embd, heads, nope, rope, lora, value, n = 32, 3, 16, 8, 32, 24, 80
	r := rand.New(rand.NewPCG(9, 10))
	lin := func(name string, in, out int) *Linear { return linear(t, name, quant.F32, in, out, LinearOptions{}) }
	w := floatWeight(normal(r, lora))
	norm, err := NewNorm("norm", NormConfig{N: lora, Weight: w, Eps: 1e-5})
	require.NoError(t, err)
	ropeQ, err := NewRope(RopeConfig{HeadDim: nope + rope, Offset: nope, Dim: rope, Base: 100})
	require.NoError(t, err)
	ropeK, err := NewRope(RopeConfig{HeadDim: rope, Dim: rope, Base: 100})
	require.NoError(t, err)
	c := MLAConfig{Q: lin("q", embd, heads*(nope+rope)), C: lin("c", embd, lora), CNorm: norm, KR: lin("kr", embd, rope),
		O: lin("o", heads*value, embd), RopeQ: ropeQ, RopeK: ropeK}
	for h := range heads {
		c.KB, c.VB = append(c.KB, lin(string(rune('A'+h)), nope, lora)), append(c.VB, lin(string(rune('k'+h)), lora, value))
	}
	l, err := NewMLA(c)
	require.NoError(t, err)

	pool := par.New(2)
	defer pool.Close()
	store, err := kv.New(kv.Config{Layers: []kv.Spec{kv.Latent(lora + rope)}, KType: kv.F32, VType: kv.F32})
	require.NoError(t, err)
	require.EqualValues(t, kv.PageLen*4*(lora+rope), store.PageBytes(), "the cache holds the latent and nothing else")
	x := &tensor.Tensor{Rows: n, Cols: embd, F: normal(r, n*embd)}
	run := func(chunk int) []float32 {
		p, err := NewPass(pool, store, false)
		require.NoError(t, err)
		seq := store.Open()
		defer store.Drop(seq)
		var out []float32
		for at := 0; at < n; at += chunk {
			m := min(chunk, n-at)
			require.NoError(t, store.Reserve(seq, m))
			var b Batch
			for i := range m {
				b.Add(Row{Pos: at + i, Seq: seq})
			}
			p.Begin(&b)
			p.Layer(0)
			out = append(out, p.MLA(&tensor.Tensor{Rows: m, Cols: embd, F: x.F[at*embd : (at+m)*embd]}, l).F...)
			require.NoError(t, p.End())
			store.Commit(seq, m)
		}
		return out
	}
	got := run(n)
	require.Equal(t, bits(got), bits(run(1)), "one by one")
	require.Equal(t, bits(got), bits(run(7)), "in chunks")

	turn := func(x []float64, pos int) {
		for i := range rope / 2 {
			s, c := math.Sincos(float64(pos) * math.Pow(100, -2*float64(i)/rope))
			x[2*i], x[2*i+1] = x[2*i]*c-x[2*i+1]*s, x[2*i]*s+x[2*i+1]*c
		}
	}
	q, k, v := &tensor.Tensor{Rows: n, Cols: heads * (nope + rope)}, &tensor.Tensor{Rows: n, Cols: heads * (nope + rope)}, &tensor.Tensor{Rows: n, Cols: heads * value}
	for i := range n {
		in := make([]float64, embd)
		for j, f := range x.Row(i) {
			in[j] = float64(f)
		}
		queries, latent, kr := apply(dense(t, c.Q), in), apply(dense(t, c.C), in), apply(dense(t, c.KR), in)
		turn(kr, i)
		square := 0.0
		for _, f := range latent {
			square += f * f / lora
		}
		for j := range latent {
			latent[j] *= float64(norm.w[j]) / math.Sqrt(square+1e-5)
		}
		for h := range heads {
			turn(queries[h*(nope+rope)+nope:][:rope], i)
			kb := dense(t, c.KB[h])
			for a := range nope {
				sum := 0.0
				for j := range lora {
					sum += kb[j][a] * latent[j]
				}
				k.F = append(k.F, float32(sum))
			}
			for _, f := range kr {
				k.F = append(k.F, float32(f))
			}
			for _, f := range apply(dense(t, c.VB[h]), latent) {
				v.F = append(v.F, float32(f))
			}
		}
		for _, f := range queries {
			q.F = append(q.F, float32(f))
		}
	}
	read := attendPlain(AttentionConfig{NHead: heads, NHeadKV: heads, HeadDim: nope + rope, HeadDimV: value}, q, k, v)
	for i := range n {
		for j, want := range apply(dense(t, c.O), read[i*heads*value:(i+1)*heads*value]) {
			require.InDelta(t, want, got[i*embd+j], 1e-3*max(1, math.Abs(want)))
		}
	}

	// Who wants to see inputs sees those of each head's matrices, or the latent under the name of
	// the one that they are parts of.
	for _, whole := range []string{"", "kv"} {
		c.KV = whole
		l, err := NewMLA(c)
		require.NoError(t, err)
		p, err := NewPass(pool, store, false)
		require.NoError(t, err)
		seq := store.Open()
		require.NoError(t, store.Reserve(seq, 2))
		h := inputs{}
		var b Batch
		b.Add(Row{Seq: seq})
		b.Add(Row{Pos: 1, Seq: seq, Hook: h})
		p.Begin(&b)
		p.Layer(0)
		p.MLA(&tensor.Tensor{Rows: 2, Cols: embd, F: x.F[:2*embd]}, l)
		require.NoError(t, p.End())
		store.Drop(seq)
		for i := range heads {
			key, value := c.KB[i].w.Name, c.VB[i].w.Name
			if whole != "" {
				require.NotContains(t, h, key)
				require.NotContains(t, h, value)
				continue
			}
			require.Equal(t, i, h[key].expert)
			require.Equal(t, i, h[value].expert)
			require.Len(t, h[value].x, lora)
			queries := apply(dense(t, c.Q), row64(x.Row(1)))
			for j, v := range h[key].x {
				require.InDelta(t, queries[i*(nope+rope)+j], v, 1e-3)
			}
		}
		if whole != "" {
			require.Len(t, h["kv"].x, lora)
		}
	}

	c.VB = c.VB[:2]
	_, err = NewMLA(c)
	require.ErrorContains(t, err, "want as many matrices of keys as of values")
}
