package model

import (
	"fmt"

	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// The layouts of RoPE pairs, by a name that architectures can use without nn.
const (
	RopeInterleaved = nn.RopeInterleaved
	RopeNeoX        = nn.RopeNeoX
)

// Rope makes the position embedding of the configuration, with the frequency factors of the file
// where it has any: rope_freqs (Llama 3.1), or rope_factors_long and rope_factors_short (LongRoPE,
// Ding et al. 2024, arXiv:2402.13753), of which the long ones serve where the context is longer
// than the original one.
func (w *Weights) Rope(layout nn.RopeLayout) *nn.Rope {
	return w.RopeBase(layout, w.cfg.Rope.Base, w.cfg.Rope.Factor)
}

// RopeBase is Rope with another base and another factor of stretching.
func (w *Weights) RopeBase(layout nn.RopeLayout, base, factor float64) *nn.Rope {
	c := w.cfg.Rope
	c.Base, c.Factor = base, factor
	return w.ropeOf(layout, c)
}

// RopeLocal is Rope of layers that see a window, with their own base, which is usual where the file
// does not say, and another factor of stretching.
func (w *Weights) RopeLocal(layout nn.RopeLayout, usual, factor float64) *nn.Rope {
	base := w.cfg.RopeBaseSWA
	if base == 0 {
		base = usual
	}
	return w.RopeBase(layout, base, factor)
}

func (w *Weights) ropeOf(layout nn.RopeLayout, c nn.RopeConfig) *nn.Rope {
	c.Layout = layout
	// Some files repeat the factors in every block; they are the same.
	for _, name := range []string{"rope_freqs.weight", "blk.0.rope_freqs.weight"} {
		c.Factors = w.ropeFactors(name, c.Factors)
	}
	for i := range w.cfg.NLayer {
		w.used[names.Layer(i)+"rope_freqs.weight"] = true
	}
	ctx := w.opt.Context
	if ctx == 0 {
		ctx = w.cfg.NCtx
	}
	long, short := w.ropeFactors("rope_factors_long.weight", nil), w.ropeFactors("rope_factors_short.weight", nil)
	switch {
	case long != nil && ctx > w.cfg.NCtxOrig:
		c.Factors = long
	case short != nil:
		c.Factors = short
	}
	r, err := nn.NewRope(c)
	w.Fail(err)
	return r
}

func (w *Weights) ropeFactors(name string, f []float32) []float32 {
	if found := w.floats(name, false, w.cfg.Rope.Dim/2); f == nil {
		return found
	}
	return f
}

// Attention makes the attention of the configuration, over all positions.
func (w *Weights) Attention() *nn.Attention { return w.AttentionOf(nn.AttentionConfig{}) }

// AttentionOf makes an attention; what c leaves out of heads, their lengths, scale, cap and
// tempering is that of the configuration.
func (w *Weights) AttentionOf(c nn.AttentionConfig) *nn.Attention {
	if c.NHead == 0 {
		c.NHead, c.NHeadKV, c.HeadDim, c.HeadDimV = w.cfg.NHead, w.cfg.NHeadKV, w.cfg.HeadDim, w.cfg.HeadDimV
	}
	if c.Scale == 0 {
		c.Scale = w.cfg.AttnScale
	}
	if c.Cap == 0 {
		c.Cap = w.cfg.AttnCap
	}
	if c.Temperature == (nn.AttnTemperature{}) {
		c.Temperature = w.cfg.AttnTemperature
	}
	a, err := nn.NewAttention(c)
	w.Fail(err)
	return a
}

// Sinks finds attn_sinks, [n_head], or nil.
func (w *Weights) Sinks() []float32 { return w.floats("attn_sinks.weight", false, w.cfg.NHead) }

// Relative finds NAME.weight, [n_buckets][n_head], what scores gain by distance, or nil.
func (w *Weights) Relative(name string) [][]float32 {
	t, ok := w.tensor(name+".weight", false, w.cfg.NBuckets, w.cfg.NHead)
	if !ok {
		return nil
	}
	table := make([]float32, w.cfg.NBuckets*w.cfg.NHead)
	quant.Dequantize(t.Type, table, t.Data)
	relative, err := nn.Buckets(table, w.cfg.NBuckets, w.cfg.NHead)
	w.Fail(err)
	return relative
}

// floats finds a small tensor, or nil.
func (w *Weights) floats(name string, required bool, shape ...int) []float32 {
	t, ok := w.tensor(name, required, shape...)
	if !ok {
		return nil
	}
	f := make([]float32, t.rows()*t.Shape[0])
	quant.Dequantize(t.Type, f, t.Data)
	return f
}

// AttnHeads makes the queries, keys, values and output of an attention block, from attn_q, attn_k
// and attn_v or from attn_qkv with all three, and attn_output.
func (w *Weights) AttnHeads(h nn.AttnBlock) *nn.AttnBlock {
	c := w.cfg
	nQ, nK, nV := c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim, c.NHeadKV*c.HeadDimV
	if h.GateInQ {
		w.RequireGateLen()
		nQ *= 2
	}
	if w.Has("attn_qkv") {
		qkv := w.Split("attn_qkv", c.NEmbd, Part{"attn_q", nQ}, Part{"attn_k", nK}, Part{"attn_v", nV})
		h.Q, h.K, h.V = qkv[0], qkv[1], qkv[2]
	} else {
		h.Q = w.Linear("attn_q", c.NEmbd, nQ)
		h.K = w.Linear("attn_k", c.NEmbd, nK)
		h.V = w.Linear("attn_v", c.NEmbd, nV)
	}
	h.O = w.Linear("attn_output", c.NHead*c.HeadDimV, c.NEmbd)
	h.Clamp = c.ClampQKV
	return &h
}

// RequireGateLen checks that values are as long as keys, which is how long the gate of a head is.
func (w *Weights) RequireGateLen() {
	if c := w.cfg; c.HeadDim != c.HeadDimV {
		w.Fail(fmt.Errorf("key %q: want %d, the length of keys and so of gates, found %d: %w", c.Arch+".attention.value_length", c.HeadDim, c.HeadDimV, ErrUnsupported))
	}
}

// QKNorm adds the norms of queries and keys, attn_q_norm and attn_k_norm, each head by itself.
func (w *Weights) QKNorm(h nn.AttnBlock) nn.AttnBlock {
	h.QNorm, h.KNorm = w.Norm("attn_q_norm", w.cfg.HeadDim), w.Norm("attn_k_norm", w.cfg.HeadDim)
	return h
}

// QKRowNorm adds norms of the whole rows of queries and keys.
func (w *Weights) QKRowNorm(h nn.AttnBlock) nn.AttnBlock {
	h.QNorm, h.KNorm = w.Norm("attn_q_norm", w.cfg.NHead*w.cfg.HeadDim), w.Norm("attn_k_norm", w.cfg.NHeadKV*w.cfg.HeadDim)
	return h
}

// FFN makes the gated feed-forward block ffn_gate, ffn_up, ffn_down.
func (w *Weights) FFN(act nn.Activation) *nn.FFN { return w.ffn("", act, w.cfg.NFF) }

// FFNOf is FFN with an inner width of ff.
func (w *Weights) FFNOf(act nn.Activation, ff int) *nn.FFN { return w.ffn("", act, ff) }

func (w *Weights) ffn(suffix string, act nn.Activation, ff int) *nn.FFN {
	c := w.cfg
	return &nn.FFN{
		Act:  act,
		Gate: w.Linear("ffn_gate"+suffix, c.NEmbd, ff), Up: w.Linear("ffn_up"+suffix, c.NEmbd, ff), Down: w.Linear("ffn_down"+suffix, ff, c.NEmbd),
	}
}

// FusedFFN makes a gated feed-forward block whose ffn_up holds the gate's rows before its own.
func (w *Weights) FusedFFN(act nn.Activation) *nn.FFN { return w.fusedFFN("", act, w.cfg.NFF) }

func (w *Weights) fusedFFN(suffix string, act nn.Activation, ff int) *nn.FFN {
	up := w.Split("ffn_up"+suffix, w.cfg.NEmbd, Part{"ffn_gate" + suffix, ff}, Part{"ffn_up" + suffix, ff})
	return &nn.FFN{Act: act, Gate: up[0], Up: up[1], Down: w.Linear("ffn_down"+suffix, ff, w.cfg.NEmbd)}
}

// PlainFFN makes a feed-forward block without a gate: ffn_up and ffn_down.
func (w *Weights) PlainFFN(act nn.Activation) *nn.FFN {
	c := w.cfg
	return &nn.FFN{Act: act, Up: w.Linear("ffn_up", c.NEmbd, c.NFF), Down: w.Linear("ffn_down", c.NFF, c.NEmbd)}
}

// Scoring is how the file says that routers score experts, or usual where it does not.
func (w *Weights) Scoring(usual nn.Scoring) nn.Scoring {
	switch w.cfg.ExpertGating {
	case 0:
		return usual
	case 1:
		return nn.ScoreSoftmax
	case 2:
		return nn.ScoreSigmoid
	case 3:
		return nn.ScoreSoftmaxWeight
	}
	w.Fail(fmt.Errorf("key %q: want 0 to 3, found %d: %w", w.cfg.Arch+".expert_gating_func", w.cfg.ExpertGating, ErrUnsupported))
	return usual
}

// MoE makes a layer of experts, from one tensor for all of them (ffn_up_exps, [n_expert][out][in];
// ffn_gate_up_exps has each one's gate before it) or one for each (ffn_up.7), as files of early
// 2024 have it; with the bias exp_probs_b and the shared expert where the model has them. o says
// how the router works; numbers are those of the configuration.
func (w *Weights) MoE(o nn.MoEConfig) *nn.MoE { return w.moe(o, true) }

// PlainMoE is MoE of experts without gates.
func (w *Weights) PlainMoE(o nn.MoEConfig) *nn.MoE { return w.moe(o, false) }

func (w *Weights) moe(o nn.MoEConfig, gated bool) *nn.MoE {
	c := w.cfg
	if c.NExpert == 0 {
		w.Fail(fmt.Errorf("key %q: want the number of experts, at least 1, found none", c.Arch+".expert_count"))
		return nil
	}
	o.Used, o.Scale = c.NExpertUsed, c.ExpertScale
	o.Router = w.Linear("ffn_gate_inp", c.NEmbd, c.NExpert)
	switch {
	case !gated:
		o.Up = w.experts("ffn_up", c.NEmbd, c.NFFExpert)
	case w.Has("ffn_gate_up_exps"):
		o.Gate, o.Up = w.fusedExperts("ffn_gate_up_exps", c.NEmbd, Part{"ffn_gate_exps", c.NFFExpert}, Part{"ffn_up_exps", c.NFFExpert})
	default:
		o.Gate = w.experts("ffn_gate", c.NEmbd, c.NFFExpert)
		o.Up = w.experts("ffn_up", c.NEmbd, c.NFFExpert)
	}
	o.Down = w.experts("ffn_down", c.NFFExpert, c.NEmbd)
	o.Bias = w.floats("exp_probs_b.bias", false, c.NExpert)
	if c.NGroup > 0 {
		o.Groups, o.GroupsUsed = c.NGroup, c.NGroupUsed
	}
	shared := c.NFFShared
	if shared == 0 && w.Has("ffn_up_shexp") {
		shared = c.NFFExpert
	}
	if shared > 0 {
		if w.Has("ffn_gate_shexp") {
			o.Shared = w.ffn("_shexp", o.Act, shared)
		} else {
			o.Shared = w.fusedFFN("_shexp", o.Act, shared)
		}
		if w.Has("ffn_gate_inp_shexp") {
			o.SharedGate = w.Linear("ffn_gate_inp_shexp", c.NEmbd, 1)
		}
	}
	if w.err != nil || w.shapesOnly() {
		return nil
	}
	m, err := nn.NewMoE(o)
	w.Fail(err)
	return m
}

// expertBias finds NAME.bias, [n_expert][n], or nil.
func (w *Weights) expertBias(name string, n int) *tensor.Weight {
	t, ok := w.tensor(name+".bias", false, w.cfg.NExpert, n)
	w.usePart(name+".bias", w.cfg.NExpertUsed, w.cfg.NExpert)
	if !ok {
		return nil
	}
	return &tensor.Weight{Name: w.prefix + name + ".bias", Type: t.Type, Rows: 1, Cols: w.cfg.NExpert * n, Data: t.Data}
}

func (w *Weights) experts(name string, in, out int) []*nn.Linear {
	n := w.cfg.NExpert
	all := name + "_exps"
	var ls []*nn.Linear
	if !w.Has(all) && w.Has(name+".0") {
		for e := 0; e < n && w.err == nil; e++ {
			one := fmt.Sprintf("%s.%d", name, e)
			ls = append(ls, w.Linear(one, in, out))
			w.usePart(one+".weight", w.cfg.NExpertUsed, n)
		}
		return ls
	}
	t, ok := w.find(all+".weight", true, n, out, in)
	w.usePart(all+".weight", w.cfg.NExpertUsed, n)
	factor := w.factors(all, n)
	bias := w.expertBias(all, out)
	if !ok {
		return nil
	}
	for e := range n {
		m := w.matrixAt(all, t, e, in, out)
		var f []float32
		if factor != nil {
			f = factor[e : e+1]
		}
		ls = append(ls, w.linear(all, m, w.slice(bias, e*out, out), f))
	}
	return ls
}

// fusedExperts makes two matrices of each expert, of the rows of one.
func (w *Weights) fusedExperts(name string, in int, a, b Part) (as, bs []*nn.Linear) {
	n, out := w.cfg.NExpert, a.Rows+b.Rows
	t, ok := w.find(name+".weight", true, n, out, in)
	w.usePart(name+".weight", w.cfg.NExpertUsed, n)
	factor, bias := w.factors(name, n), w.expertBias(name, out)
	if !ok {
		return nil, nil
	}
	half := func(e, at int, p Part) *nn.Linear {
		m := w.matrixAt(name, t, e, in, out)
		size := m.RowBytes()
		m.Rows, m.Data = p.Rows, m.Data[at*size:(at+p.Rows)*size]
		var f []float32
		if factor != nil {
			f = factor[e : e+1]
		}
		return w.linear(p.Name, m, w.slice(bias, e*out+at, p.Rows), f)
	}
	for e := range n {
		as, bs = append(as, half(e, 0, a)), append(bs, half(e, a.Rows, b))
	}
	return as, bs
}

// matrixAt is matrix i of those of [out][in] that the tensor t, NAME.weight, holds one after the
// other. Only its bytes are asked for.
func (w *Weights) matrixAt(name string, t SourceTensor, i, in, out int) tensor.Weight {
	name = w.prefix + name + ".weight"
	return tensor.Weight{Name: name, Type: t.Type, Rows: out, Cols: in, Data: w.view(name, i*out, out)}
}
