package model

import (
	"fmt"

	"github.com/goinfer/goinfer/nn"
)

// maxState bounds the numbers that a recurrent layer carries, far above any model.
const maxState = 1 << 30

// Conv makes a causal convolution of n channels from NAME.weight, [n][taps], and NAME.bias where
// the file has it.
func (w *Weights) Conv(name string, n int, silu bool) *nn.Conv {
	taps := w.cfg.DConv
	if taps < 1 || int64(taps)*int64(n) > maxState {
		w.Fail(fmt.Errorf("a convolution of %d channels over %d positions: want at least 1 and no more than any model has", n, taps))
		taps = 1
	}
	c := &nn.Conv{Name: name, DConv: taps, Channels: n, SiLU: silu}
	rows := w.floats(name+".weight", true, n, taps)
	c.Bias = w.floats(name+".bias", false, n)
	if rows != nil { // [n][taps] to [taps][n]
		c.Weight = make([]float32, taps*n)
		for i, v := range rows {
			c.Weight[i%taps*n+i/taps] = v
		}
	}
	return c
}

// ssm checks that the state of a recurrent layer divides into heads and groups, and is of a size.
func (w *Weights) ssm(heads, groups int) bool {
	c := w.cfg
	switch {
	case c.DInner < 1 || c.DState < 1 || heads < 1 || groups < 1 || c.DInner%heads != 0 || heads%groups != 0:
		w.Fail(fmt.Errorf("recurrent layers of %d channels, %d states, %d heads, %d groups: want whole heads in whole groups", c.DInner, c.DState, heads, groups))
	case int64(c.DInner)*int64(c.DState) > maxState || int64(groups)*int64(c.DState) > maxDim:
		w.Fail(fmt.Errorf("recurrent layers of %d channels, %d states, %d groups: beyond any model", c.DInner, c.DState, groups))
	}
	return w.err == nil
}

// Mamba makes a block of selective state spaces from ssm_in, ssm_conv1d, ssm_x, ssm_dt, ssm_a,
// ssm_d and ssm_out, with the norms ssm_dt_norm, ssm_b_norm and ssm_c_norm where the file has them.
func (w *Weights) Mamba() *nn.Mamba {
	c := w.cfg
	rank := c.DTRank
	if !w.ssm(c.DInner, 1) || rank < 1 {
		w.Fail(fmt.Errorf("key %q: want at least 1, found %d", c.Arch+".ssm.time_step_rank", rank))
		return nil
	}
	in := w.Split("ssm_in", c.NEmbd, Part{"ssm_in", c.DInner}, Part{"ssm_gate", c.DInner})
	m := &nn.Mamba{X: in[0], Z: in[1], Conv: w.Conv("ssm_conv1d", c.DInner, true), Inner: c.DInner, States: c.DState}
	x := w.Split("ssm_x", c.DInner, Part{"ssm_x_dt", rank}, Part{"ssm_b", c.DState}, Part{"ssm_c", c.DState})
	m.DT, m.B, m.C = x[0], x[1], x[2]
	if w.Has("ssm_dt_norm") {
		m.DTNorm, m.BNorm, m.CNorm = w.Norm("ssm_dt_norm", rank), w.Norm("ssm_b_norm", c.DState), w.Norm("ssm_c_norm", c.DState)
	}
	m.Step = w.Linear("ssm_dt", rank, c.DInner)
	m.D = w.floats("ssm_d", true, c.DInner)
	if a := w.floats("ssm_a", true, c.DInner, c.DState); a != nil {
		m.A = nn.MambaRates(a, c.DInner, c.DState)
	}
	m.Out = w.Linear("ssm_out", c.DInner, c.NEmbd)
	return m
}

// Mamba2 makes a block of state spaces by heads from ssm_in, ssm_conv1d, ssm_dt, ssm_a, ssm_d and
// ssm_out, with the norm ssm_norm where the file has it.
func (w *Weights) Mamba2() *nn.Mamba2 {
	c := w.cfg
	if !w.ssm(c.DTRank, c.NSSMGroup) {
		return nil
	}
	mixed := c.DInner + 2*c.NSSMGroup*c.DState
	in := w.Split("ssm_in", c.NEmbd, Part{"ssm_gate", c.DInner}, Part{"ssm_in", mixed}, Part{"ssm_dt", c.DTRank})
	m := &nn.Mamba2{
		Z: in[0], X: in[1], DT: in[2], Conv: w.Conv("ssm_conv1d", mixed, true),
		NHead: c.DTRank, HeadDim: c.DInner / c.DTRank, States: c.DState, Groups: c.NSSMGroup,
		Bias: w.floats("ssm_dt.bias", true, c.DTRank), A: w.floats("ssm_a", true, c.DTRank, 1), D: w.floats("ssm_d", true, c.DTRank, 1),
		Out: w.Linear("ssm_out", c.DInner, c.NEmbd),
	}
	if w.Has("ssm_norm") {
		m.Norm = w.GroupNorm("ssm_norm", c.NSSMGroup, c.DInner/c.NSSMGroup)
	}
	return m
}

// DeltaNet makes a gated delta net from attn_qkv, attn_gate, ssm_conv1d, ssm_dt, ssm_a, ssm_norm
// and ssm_out, and the strength and the rate of heads: from ssm_beta and ssm_alpha, or from ssm_ba
// with those of each group of heads alternating. tiled says that heads of values are spread over
// those of keys instead of standing by them.
func (w *Weights) DeltaNet(tiled bool) *nn.DeltaNet {
	c := w.cfg
	if !w.ssm(c.DTRank, c.NSSMGroup) {
		return nil
	}
	dim := c.DState
	if c.DInner != c.DTRank*dim {
		w.Fail(fmt.Errorf("a delta net of %d heads of values of %d: want them as long as keys, of %d", c.DTRank, c.DInner/c.DTRank, dim))
		return nil
	}
	mixed := c.DInner + 2*c.NSSMGroup*dim
	m := &nn.DeltaNet{
		QKV: w.Linear("attn_qkv", c.NEmbd, mixed), Z: w.Linear("attn_gate", c.NEmbd, c.DInner), Conv: w.Conv("ssm_conv1d", mixed, true),
		Keys: c.NSSMGroup, Values: c.DTRank, Dim: dim, Tiled: tiled, Eps: c.NormEps,
		Bias: w.floats("ssm_dt.bias", true, c.DTRank), A: w.floats("ssm_a", true, c.DTRank),
		Norm: w.Norm("ssm_norm", dim), Out: w.Linear("ssm_out", c.DInner, c.NEmbd),
	}
	if w.Has("ssm_ba") {
		m.BetaRate = w.Linear("ssm_ba", c.NEmbd, 2*c.DTRank)
	} else {
		m.Beta, m.Rate = w.Linear("ssm_beta", c.NEmbd, c.DTRank), w.Linear("ssm_alpha", c.NEmbd, c.DTRank)
	}
	return m
}

// ShortConv makes the gated convolution of LFM2 from shortconv.in_proj, shortconv.conv and
// shortconv.out_proj.
func (w *Weights) ShortConv() *nn.ShortConv {
	n := w.cfg.NEmbd
	in := w.Split("shortconv.in_proj", n, Part{"shortconv.b", n}, Part{"shortconv.c", n}, Part{"shortconv.x", n})
	return &nn.ShortConv{B: in[0], C: in[1], X: in[2], Conv: w.Conv("shortconv.conv", n, false), Out: w.Linear("shortconv.out_proj", n, n)}
}
