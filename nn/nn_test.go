package nn

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// A small layer's dimensions. Rows and columns are not multiples of what kernels like.
const (
	testEmbd, testFF            = 64, 96 + 32
	testHeads, testKV, testDim  = 4, 2, 24
	testVocab                   = 50
	testExperts, testExpertUsed = 6, 2
)

func weight(t testing.TB, name string, typ quant.Type, rows, cols int) tensor.Weight {
	rng := rand.New(rand.NewPCG(uint64(len(name)), uint64(name[len(name)-1])))
	w := tensor.Weight{Name: name, Type: typ, Rows: rows, Cols: cols}
	row := make([]float32, cols)
	for range rows {
		for i := range row {
			row[i] = float32(rng.NormFloat64() / math.Sqrt(float64(cols)))
		}
		b := make([]byte, typ.RowBytes(cols))
		require.NoError(t, quant.Quantize(typ, b, row))
		w.Data = append(w.Data, b...)
	}
	return w
}

func linear(t testing.TB, name string, typ quant.Type, in, out int, o LinearOptions) *Linear {
	l, err := NewLinear(name, weight(t, name, typ, out, in), o)
	require.NoError(t, err)
	return l
}

// layer is one block with a head, in dense and MoE form, enough to run a pass by hand.
type layer struct {
	embd                     *Embedding
	norm                     *Norm
	q, k, v, o               *Linear
	gate, up, down, head     *Linear
	rope                     *Rope
	attn                     *Attention
	moe                      *MoE
	dense, separate, withMoE bool
}

func newLayer(t testing.TB, typ quant.Type) *layer {
	l := &layer{dense: true, withMoE: true}
	var err error
	l.embd, err = NewEmbedding(weight(t, "token_embd", typ, testVocab, testEmbd))
	require.NoError(t, err)
	n := weight(t, "norm", quant.F32, 1, testEmbd)
	l.norm, err = NewNorm("attn_norm", NormConfig{N: testEmbd, Weight: &n, Eps: 1e-5})
	require.NoError(t, err)
	bias := weight(t, "bias", quant.F32, 1, testHeads*testDim)
	l.q = linear(t, "attn_q", typ, testEmbd, testHeads*testDim, LinearOptions{Bias: &bias, Scale: 2})
	l.k = linear(t, "attn_k", typ, testEmbd, testKV*testDim, LinearOptions{})
	l.v = linear(t, "attn_v", quant.F32, testEmbd, testKV*testDim, LinearOptions{})
	l.o = linear(t, "attn_output", typ, testHeads*testDim, testEmbd, LinearOptions{})
	l.gate = linear(t, "ffn_gate", typ, testEmbd, testFF, LinearOptions{})
	l.up = linear(t, "ffn_up", quant.F16, testEmbd, testFF, LinearOptions{})
	l.down = linear(t, "ffn_down", typ, testFF, testEmbd, LinearOptions{})
	l.head = linear(t, "output", typ, testEmbd, testVocab, LinearOptions{})
	l.rope, err = NewRope(RopeConfig{HeadDim: testDim, Dim: testDim, Base: 10000})
	require.NoError(t, err)
	l.attn, err = NewAttention(AttentionConfig{NHead: testHeads, NHeadKV: testKV, HeadDim: testDim})
	require.NoError(t, err)
	c := MoEConfig{Used: testExpertUsed, Router: linear(t, "ffn_gate_inp", quant.F32, testEmbd, testExperts, LinearOptions{}), Renormalise: true}
	for e := range testExperts {
		c.Gate = append(c.Gate, linear(t, fmt.Sprint("ffn_gate_exps", e), typ, testEmbd, testFF, LinearOptions{}))
		c.Up = append(c.Up, linear(t, fmt.Sprint("ffn_up_exps", e), typ, testEmbd, testFF, LinearOptions{}))
		c.Down = append(c.Down, linear(t, fmt.Sprint("ffn_down_exps", e), typ, testFF, testEmbd, LinearOptions{}))
	}
	l.moe, err = NewMoE(c)
	require.NoError(t, err)
	return l
}

func (l *layer) state() []kv.Spec { return kv.Repeat(1, kv.Full(testKV, testDim)) }

// forward is a model of one layer. With separate set it uses no fused verb.
func (l *layer) forward(f *Pass) *tensor.Tensor {
	x := f.Embed(l.embd)
	f.Layer(0)
	h := f.Norm(x, l.norm)
	var q, k, v *tensor.Tensor
	if l.separate {
		q, k, v = f.Linear(h, l.q), f.Linear(h, l.k), f.Linear(h, l.v)
	} else {
		q, k, v = f.QKV(h, l.q, l.k, l.v)
	}
	f.Rope(l.rope, q)
	f.Rope(l.rope, k)
	f.Add(x, f.Linear(f.Attend(l.attn, q, k, v), l.o))
	h = f.Norm(x, l.norm)
	if l.dense {
		f.Add(x, f.Linear(f.GLU(h, l.gate, l.up, SiLU), l.down))
	}
	if l.withMoE {
		f.Add(x, f.MoE(h, l.moe))
	}
	return f.Linear(f.Norm(f.Outputs(x), l.norm), l.head)
}

// rig runs batches.
type rig struct {
	t     testing.TB
	l     *layer
	store *kv.Store
	pass  *Pass
}

func newRig(t testing.TB, l *layer, threads int) *rig {
	s, err := kv.New(kv.Config{Layers: l.state()})
	require.NoError(t, err)
	pool := par.New(threads)
	t.Cleanup(pool.Close)
	p, err := NewPass(pool, s, false)
	require.NoError(t, err)
	return &rig{t, l, s, p}
}

// run evaluates tokens of one sequence and returns the logits of every row.
func (r *rig) run(seq kv.Seq, tokens []int32, h Hook) ([]float32, error) {
	var b Batch
	at := r.store.Len(seq)
	require.NoError(r.t, r.store.Reserve(seq, len(tokens)))
	for i, id := range tokens {
		b.Add(Row{Token: id, Pos: at + i, Seq: seq, Out: true, Hook: h})
	}
	r.pass.Begin(&b)
	y := r.l.forward(r.pass)
	out := append([]float32(nil), y.F...)
	err := r.pass.End()
	if err == nil {
		r.store.Commit(seq, len(tokens))
	}
	return out, err
}

func (r *rig) must(seq kv.Seq, tokens []int32, h Hook) []float32 {
	out, err := r.run(seq, tokens, h)
	require.NoError(r.t, err)
	return out
}

func someTokens(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i*7 + i + 3) % testVocab)
	}
	return ids
}

func bits(f []float32) []uint32 {
	b := make([]uint32, len(f))
	for i, v := range f {
		b[i] = math.Float32bits(v)
	}
	return b
}

// TestSameBits cuts a prompt in different ways, on different numbers of threads, alone and beside
// another sequence.
func TestSameBits(t *testing.T) {
	types := []quant.Type{quant.F32, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q4_1}
	if testing.Short() {
		types = types[:1]
	}
	for _, typ := range types {
		l := newLayer(t, typ)
		ids := someTokens(150)
		one := newRig(t, l, 1)
		want := bits(one.must(one.store.Open(), ids, nil))
		for _, threads := range []int{1, 2, 5} {
			for _, chunk := range []int{1, 7, 64, 149} {
				r := newRig(t, l, threads)
				seq := r.store.Open()
				var got []float32
				for i := 0; i < len(ids); i += chunk {
					got = append(got, r.must(seq, ids[i:min(i+chunk, len(ids))], nil)...)
				}
				require.Equal(t, want, bits(got), "%s: %d threads, chunks of %d", typ, threads, chunk)
			}
		}
		// Beside another sequence, which begins in another place.
		r := newRig(t, l, 2)
		a, other := r.store.Open(), r.store.Open()
		r.must(other, someTokens(9), nil)
		for i := 0; i < len(ids); i += 10 {
			var b Batch
			for j := range 4 {
				b.Add(Row{Token: int32(j), Pos: r.store.Len(other) + j, Seq: other, Out: j == 2})
			}
			for j := range 10 {
				b.Add(Row{Token: ids[i+j], Pos: i + j, Seq: a, Out: true})
			}
			require.NoError(t, r.store.Reserve(a, 10))
			require.NoError(t, r.store.Reserve(other, 4))
			r.pass.Begin(&b)
			y := r.l.forward(r.pass)
			require.NoError(t, r.pass.End())
			require.Equal(t, 11, y.Rows)
			require.Equal(t, want[i*testVocab:(i+10)*testVocab], bits(y.F[testVocab:]), "%s: row %d beside another", typ, i)
			r.store.Commit(a, 10)
			r.store.Commit(other, 4)
		}
	}
}

// TestFusedVerbs compares QKV and Gated with what they are made of.
func TestFusedVerbs(t *testing.T) {
	for _, typ := range []quant.Type{quant.F32, quant.Q8_0, quant.Q4_0} {
		l := newLayer(t, typ)
		r := newRig(t, l, 2)
		ids := someTokens(20)
		fused := r.must(r.store.Open(), ids, nil)
		l.separate = true
		require.Equal(t, bits(fused), bits(r.must(r.store.Open(), ids, nil)), "QKV, %s", typ)

		var b Batch
		seq := r.store.Open()
		require.NoError(t, r.store.Reserve(seq, 3))
		for i := range 3 {
			b.Add(Row{Token: ids[i], Pos: i, Seq: seq, Out: true})
		}
		r.pass.Begin(&b)
		h := r.pass.Embed(l.embd)
		y := r.pass.GLU(h, l.gate, l.up, SiLU)
		g, u := r.pass.Linear(h, l.gate), r.pass.Linear(h, l.up)
		for i := range g.F {
			want := float64(g.F[i]) / (1 + math.Exp(-float64(g.F[i]))) * float64(u.F[i])
			require.InDelta(t, want, y.F[i], 1e-6*math.Abs(want)+1e-12)
		}
		require.NoError(t, r.pass.End())
	}
}

func dense(t testing.TB, l *Linear) [][]float64 {
	rows := make([][]float64, l.w.Rows)
	f := make([]float32, l.w.Cols)
	for r := range rows {
		quant.Dequantize(l.w.Type, f, l.w.Row(r))
		for _, v := range f {
			rows[r] = append(rows[r], float64(v))
		}
	}
	return rows
}

func apply(w [][]float64, x []float64) []float64 {
	y := make([]float64, len(w))
	for r := range w {
		for i, v := range w[r] {
			y[r] += v * x[i]
		}
	}
	return y
}

// TestMoE compares with the definition in float64.
func TestMoE(t *testing.T) {
	l := newLayer(t, quant.F32)
	r := newRig(t, l, 2)
	var b Batch
	seq := r.store.Open()
	const n = 17
	require.NoError(t, r.store.Reserve(seq, n))
	for i, id := range someTokens(n) {
		b.Add(Row{Token: id, Pos: i, Seq: seq, Out: true})
	}
	r.pass.Begin(&b)
	x := r.pass.Embed(l.embd)
	y := r.pass.MoE(x, l.moe)
	require.NoError(t, r.pass.End())
	router := dense(t, l.moe.c.Router)
	for i := range n {
		h := make([]float64, testEmbd)
		for j, v := range x.Row(i) {
			h[j] = float64(v)
		}
		logits := apply(router, h)
		var sum float64
		for e := range logits {
			logits[e] = math.Exp(logits[e])
			sum += logits[e]
		}
		first, second := -1, -1
		for e, p := range logits {
			if first < 0 || p > logits[first] {
				first, second = e, first
			} else if second < 0 || p > logits[second] {
				second = e
			}
		}
		want := make([]float64, testEmbd)
		for _, e := range []int{first, second} {
			g, u := apply(dense(t, l.moe.c.Gate[e]), h), apply(dense(t, l.moe.c.Up[e]), h)
			for j := range g {
				g[j] = g[j] / (1 + math.Exp(-g[j])) * u[j]
			}
			for j, v := range apply(dense(t, l.moe.c.Down[e]), g) {
				want[j] += v * logits[e] / (logits[first] + logits[second])
			}
		}
		for j := range want {
			require.InDelta(t, want[j], y.Row(i)[j], 1e-5)
		}
	}
}

// probeHook records the names it sees and may alter rows.
type probeHook struct {
	wants func(layer int, name string) bool
	alter func(e *Event)
	seen  []Event
}

func (h *probeHook) Wants(layer int, name string) bool { return h.wants == nil || h.wants(layer, name) }

func (h *probeHook) Observe(e *Event) {
	c := *e
	c.Data = append([]float32(nil), e.Data...)
	c.Experts = append([]int32(nil), e.Experts...)
	h.seen = append(h.seen, c)
	if h.alter != nil {
		h.alter(e)
	}
}

func TestHooksSeeEverythingAndChangeNothing(t *testing.T) {
	l := newLayer(t, quant.Q8_0)
	r := newRig(t, l, 2)
	ids := someTokens(5)
	plain := r.must(r.store.Open(), ids, nil)
	h := &probeHook{}
	require.Equal(t, bits(plain), bits(r.must(r.store.Open(), ids, h)))

	count := map[string]int{}
	var neurons [2]int // rows of ffn_act of dense blocks and of experts
	for _, e := range h.seen {
		count[e.Name]++
		require.Equal(t, ids[e.Pos], e.Token)
		switch e.Name {
		case NameEmbd, "output":
			require.Equal(t, -1, e.Layer, e.Name)
		case NameAttnProbs:
			require.Len(t, e.Data, testHeads*(e.Pos+1))
			for head := range testHeads {
				var sum float64
				for _, p := range e.Data[head*(e.Pos+1) : (head+1)*(e.Pos+1)] {
					sum += float64(p)
				}
				require.InDelta(t, 1, sum, 1e-5)
			}
		case NameFFNAct:
			neurons[len(e.Experts)]++
		case NameRouterTopK:
			require.Len(t, e.Experts, testExpertUsed)
			require.InDelta(t, 1, e.Data[0]+e.Data[1], 1e-6)
			require.GreaterOrEqual(t, e.Data[0], e.Data[1])
		}
	}
	for _, name := range []string{NameEmbd, "attn_q", "attn_k", "attn_v", NameAttnHeads, NameAttnProbs, "attn_output", "ffn_gate", "ffn_up", "ffn_down",
		"ffn_gate_inp", NameRouterLogits, NameRouterTopK, NameLayerOut, "output"} {
		require.Equal(t, len(ids), count[name], name)
	}
	require.Equal(t, 3*len(ids), count["attn_norm"], "the same norm serves three times")
	require.Equal(t, testExpertUsed*len(ids), count["ffn_up_exps0"])
	require.Equal(t, [2]int{len(ids), testExpertUsed * len(ids)}, neurons)
}

func TestHooksAlter(t *testing.T) {
	l := newLayer(t, quant.F32)
	l.dense = false
	r := newRig(t, l, 2)
	ids := someTokens(4)
	plain := r.must(r.store.Open(), ids, nil)

	for _, name := range []string{NameEmbd, "attn_norm", "attn_q", "attn_v", NameAttnHeads, "attn_output", NameRouterLogits, "ffn_gate_exps0", NameFFNAct, NameLayerOut, "output"} {
		h := &probeHook{wants: func(_ int, n string) bool { return n == name }, alter: func(e *Event) {
			if e.Pos == 3 {
				for i := range e.Data {
					e.Data[i] = float32(i % 3)
				}
			}
		}}
		got := r.must(r.store.Open(), ids, h)
		require.Equal(t, bits(plain[:3*testVocab]), bits(got[:3*testVocab]), "%s: rows before are untouched", name)
		require.NotEqual(t, bits(plain[3*testVocab:]), bits(got[3*testVocab:]), "%s: the row is changed", name)
	}

	// Route every token to experts 4 and 1 with equal weight.
	route := &probeHook{wants: func(_ int, n string) bool { return n == NameRouterTopK || n == "ffn_up_exps0" }, alter: func(e *Event) {
		if e.Name == NameRouterTopK {
			copy(e.Experts, []int32{4, 1})
			copy(e.Data, []float32{0.5, 0.5})
		}
	}}
	got := r.must(r.store.Open(), ids, route)
	require.NotEqual(t, bits(plain), bits(got))
	for _, e := range route.seen {
		if e.Name != NameRouterTopK {
			require.Contains(t, []int32{4, 1}, e.Experts[0])
		}
	}

	// Another row's hook leaves a row alone.
	var b Batch
	a, c := r.store.Open(), r.store.Open()
	require.NoError(t, r.store.Reserve(a, 1))
	require.NoError(t, r.store.Reserve(c, 1))
	b.Add(Row{Token: ids[0], Seq: a, Out: true})
	b.Add(Row{Token: ids[0], Seq: c, Out: true, Hook: route})
	r.pass.Begin(&b)
	y := l.forward(r.pass)
	require.NoError(t, r.pass.End())
	require.Equal(t, bits(plain[:testVocab]), bits(y.Row(0)))
	require.NotEqual(t, bits(plain[:testVocab]), bits(y.Row(1)))

	for _, bad := range [][]int32{{0, testExperts}, {-1, 0}, {2, 2}} {
		h := &probeHook{wants: route.wants, alter: func(e *Event) { copy(e.Experts, bad) }}
		_, err := r.run(r.store.Open(), ids, h)
		require.ErrorContains(t, err, "a hook routed", "%v", bad)
	}
}

// countHook asks for a number of experts.
type countHook struct {
	probeHook
	used func(layer, used, total int) int
}

func (h *countHook) ExpertsUsed(layer, used, total int) int { return h.used(layer, used, total) }

func counting(n int) *countHook { return &countHook{used: func(int, int, int) int { return n }} }

// TestRoutingHook has rows use other numbers of experts, alone and beside each other.
func TestRoutingHook(t *testing.T) {
	l := newLayer(t, quant.Q8_0)
	r := newRig(t, l, 2)
	ids := someTokens(5)
	plain := r.must(r.store.Open(), ids, nil)
	require.Equal(t, bits(plain), bits(r.must(r.store.Open(), ids, counting(testExpertUsed))), "the usual number")
	require.Equal(t, bits(plain), bits(r.must(r.store.Open(), ids, Join(nil, &probeHook{}, counting(testExpertUsed), nil))), "joined")

	alone := map[int][]float32{}
	for n := 1; n <= testExperts; n++ {
		h := counting(n)
		alone[n] = r.must(r.store.Open(), ids[:1], h)
		choices := 0
		for _, e := range h.seen {
			switch e.Name {
			case NameRouterTopK:
				require.Len(t, e.Experts, n)
				choices++
			case NameFFNAct:
				choices += len(e.Experts)
			}
		}
		require.Equal(t, 1+n, choices)
		if n != testExpertUsed {
			require.NotEqual(t, bits(plain[:testVocab]), bits(alone[n]), "%d experts", n)
		}
	}
	var b Batch // a row of every number
	for n := 1; n <= testExperts; n++ {
		s := r.store.Open()
		require.NoError(t, r.store.Reserve(s, 1))
		b.Add(Row{Token: ids[0], Seq: s, Out: true, Hook: counting(n)})
	}
	r.pass.Begin(&b)
	y := l.forward(r.pass)
	require.NoError(t, r.pass.End())
	for n := 1; n <= testExperts; n++ {
		require.Equal(t, bits(alone[n]), bits(y.Row(n-1)), "%d experts", n)
	}
	for _, bad := range []int{-1, 0, testExperts + 1} {
		_, err := r.run(r.store.Open(), ids, counting(bad))
		require.ErrorContains(t, err, "a hook asked for")
	}
}

// TestMeasure compares the dry run with the memory that a run takes.
func TestMeasure(t *testing.T) {
	l := newLayer(t, quant.Q8_0)
	for _, n := range []int{1, 33, 200} {
		r := newRig(t, l, 1)
		r.must(r.store.Open(), someTokens(n), nil)
		require.Equal(t, r.pass.arena.Peak(), DryRun(n, func(p *Pass) { l.forward(p) }), "%d rows", n)
	}
}

func TestFaults(t *testing.T) {
	l := newLayer(t, quant.F32)
	r := newRig(t, l, 2)
	_, err := r.run(r.store.Open(), []int32{1, testVocab}, nil)
	require.ErrorContains(t, err, "token 50 is outside the vocabulary of 50")
	_, err = r.run(r.store.Open(), []int32{-1}, nil)
	require.ErrorContains(t, err, "token -1")

	seq, other := r.store.Open(), r.store.Open()
	for name, b := range map[string]Batch{
		"position":       {Rows: []Row{{Token: 1, Pos: 1, Seq: seq, Out: true}}},
		"stand together": {Rows: []Row{{Token: 1, Seq: seq}, {Token: 1, Seq: other}, {Token: 1, Seq: seq}}},
	} {
		r.pass.Begin(&b)
		l.forward(r.pass)
		require.ErrorContains(t, r.pass.End(), name)
	}

	r.pass.Interrupt()
	_, err = r.run(r.store.Open(), []int32{1}, nil)
	require.ErrorIs(t, err, ErrInterrupted)
	r.pass.Resume()
	_, err = r.run(r.store.Open(), []int32{1}, nil)
	require.NoError(t, err)
}

// TestInterruptFromAnotherGoroutine ends a long pass early, after which the same pass works on.
func TestInterruptFromAnotherGoroutine(t *testing.T) {
	l := newLayer(t, quant.F32)
	r := newRig(t, l, 2)
	ids := someTokens(3000)
	if testing.Short() {
		ids = ids[:800]
	}
	interrupted := false
	for delay := time.Millisecond; !interrupted && delay < 10*time.Second; delay *= 2 {
		timer := time.AfterFunc(delay, r.pass.Interrupt)
		_, err := r.run(r.store.Open(), ids, nil)
		timer.Stop()
		interrupted = err != nil
		if interrupted {
			require.ErrorIs(t, err, ErrInterrupted)
		}
		r.pass.Resume()
	}
	require.True(t, interrupted)
	one := newRig(t, l, 1)
	require.Equal(t, bits(one.must(one.store.Open(), ids[:40], nil)), bits(r.must(r.store.Open(), ids[:40], nil)))
}

func TestDecodeAllocatesNothing(t *testing.T) {
	l := newLayer(t, quant.Q8_0)
	r := newRig(t, l, min(2, runtime.NumCPU()))
	seq := r.store.Open()
	var b Batch
	step := func() {
		b.Reset()
		require.NoError(t, r.store.Reserve(seq, 1))
		b.Add(Row{Token: 3, Pos: r.store.Len(seq), Seq: seq, Out: true})
		r.pass.Begin(&b)
		l.forward(r.pass)
		if err := r.pass.End(); err != nil {
			t.Fatal(err)
		}
		r.store.Commit(seq, 1)
	}
	for range 3 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(40, step))
}

// TestAttendSharesSpans has more threads than key heads: a long context is shared out, and the bits
// are those of a single thread.
func TestAttendSharesSpans(t *testing.T) {
	l := newLayer(t, quant.F16)
	ids := someTokens(2*kernels.PartitionLen + 9)
	var want []uint32
	for _, threads := range []int{1, 2, 3, 8} {
		r := newRig(t, l, threads)
		seq := r.store.Open()
		r.must(seq, ids[:2*kernels.PartitionLen-3], nil)
		var got []float32
		// over the edge of a span, one by one, and together
		for _, n := range []int{1, 1, 1, 1, 5, 3} {
			r.pass.att.partitions = nil
			at := r.store.Len(seq)
			got = append(got, r.must(seq, ids[at:at+n], nil)...)
			require.Equal(t, threads > 2, len(r.pass.att.partitions) > 0, "%d threads", threads)
		}
		if want == nil {
			want = bits(got)
		}
		require.Equal(t, want, bits(got), "%d threads", threads)
	}
}

func TestParts(t *testing.T) {
	bad := tensor.Weight{Name: "x", Type: quant.I32, Rows: 1, Cols: 1, Data: make([]byte, 4)}
	_, err := NewEmbedding(bad)
	require.ErrorContains(t, err, "I32 holds no weights")
	_, err = NewNorm("n", NormConfig{N: 1, Weight: &bad})
	require.ErrorContains(t, err, "I32 holds no weights")
	_, err = NewLinear("n", bad, LinearOptions{})
	require.ErrorContains(t, err, "I32 holds no weights")
	short := weight(t, "short", quant.F32, 1, 3)
	_, err = NewLinear("n", weight(t, "w", quant.F32, 4, 4), LinearOptions{Bias: &short})
	require.ErrorContains(t, err, "want a bias of 4, found 3")
	_, err = NewAttention(AttentionConfig{NHead: 5, NHeadKV: 2, HeadDim: 8})
	require.ErrorContains(t, err, "whole groups")
	for want, c := range map[string]RopeConfig{
		"even number":  {HeadDim: 8, Dim: 7, Base: 1},
		"the head's 8": {HeadDim: 8, Dim: 16, Base: 1},
		"base":         {HeadDim: 8, Dim: 8},
		"factors":      {HeadDim: 8, Dim: 8, Base: 2, Factors: []float32{1}},
		"finite":       {HeadDim: 8, Dim: 8, Base: 2, Factors: []float32{1, 0, 1, 1}},
	} {
		_, err = NewRope(c)
		require.ErrorContains(t, err, want)
	}
	router := linear(t, "r", quant.F32, 8, 2, LinearOptions{})
	_, err = NewMoE(MoEConfig{Router: router, Used: 1})
	require.ErrorContains(t, err, "routes to 2 experts")
	two := []*Linear{router, router}
	_, err = NewMoE(MoEConfig{Router: router, Used: 3, Gate: two, Up: two, Down: two})
	require.ErrorContains(t, err, "want 1 to 2 experts")
}

// TestRopeScaling compares frequencies with the papers' formulas worked out by hand for one pair.
func TestRopeScaling(t *testing.T) {
	base := RopeConfig{HeadDim: 8, Dim: 8, Base: 10000}
	plain, err := NewRope(base)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1, 0.1, 0.01, 0.001}, plain.freq, 1e-15)

	lin := base
	lin.Factor = 4
	r, err := NewRope(lin)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{0.25, 0.025, 0.0025, 0.00025}, r.freq, 1e-15)

	f := base
	f.Factors = []float32{1, 2, 4, 8}
	r, err = NewRope(f)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1, 0.05, 0.0025, 0.000125}, r.freq, 1e-15)

	// Trained on 2048: pair i rotates 2048·10^-i/2π = 326, 32.6, 3.26, 0.326 times. Between 32
	// rotations (pair 1.008, rounded down to 1) and 1 rotation (pair 2.513, rounded up to 3) the
	// weight of the extrapolation falls linearly: pair 2 gets half.
	y := base
	y.Factor, y.Yarn = 4, &Yarn{OrigCtx: 2048, BetaFast: 32, BetaSlow: 1, Ext: 1}
	r, err = NewRope(y)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1, 0.1, 0.5*0.01 + 0.5*0.0025, 0.00025}, r.freq, 1e-15)
}

// TestCacheIsReadBack checks that keys are seen through the cache's rounding at once: the first
// token of a prompt attends to itself alone and must see its value in f16.
func TestCacheIsReadBack(t *testing.T) {
	l := newLayer(t, quant.F32)
	r := newRig(t, l, 1)
	h := &probeHook{wants: func(_ int, n string) bool { return n == "attn_v" || n == NameAttnHeads }}
	seq := r.store.Open()
	r.must(seq, []int32{5}, h)
	v, heads := h.seen[0].Data, h.seen[1].Data
	var b [2]byte
	for q := range testHeads {
		for i := range testDim {
			quant.F32ToF16(b[:], v[q/2*testDim+i:][:1])
			var want [1]float32
			quant.F16ToF32(want[:], b[:])
			require.Equal(t, want[0], heads[q*testDim+i])
			require.Equal(t, binary.LittleEndian.Uint16(b[:]), binary.LittleEndian.Uint16(r.store.VRow(seq, 0, q/2, 0)[2*i:]))
		}
	}
}
