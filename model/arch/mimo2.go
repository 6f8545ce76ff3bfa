package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var mimo2Sheet = Sheet{
	Name:    "mimo2",
	Build:   newMiMo2,
	LayerKV: true,
}

// newMiMo2 makes MiMo-V2-Flash: most layers see a window and rotate by another base, heads may have
// sinks, what attention reads is scaled, and experts are scored by sigmoids. Xiaomi LLM-Core 2026,
// arXiv:2601.02780. The layers that predict further tokens are left alone.
func newMiMo2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	ropeFull, ropeLocal := w.Rope(model.RopeNeoX), w.RopeLocal(model.RopeNeoX, 10000, 1)
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h, a := nn.AttnBlock{Rope: ropeFull}, nn.AttentionConfig{Sinks: b.Sinks()}
		if c.WindowPattern != nil && c.WindowPattern[i] {
			h.Rope, a.Window = ropeLocal, c.Window
		}
		h.Attn = b.AttentionOf(a)
		l := block{
			attnNorm:  b.Norm("attn_norm", c.NEmbd),
			attn:      b.AttnHeads(h),
			attnScale: c.ValueScale,
			ffnNorm:   b.Norm("ffn_norm", c.NEmbd),
		}
		if b.Has("ffn_gate_inp") {
			l.moe = b.MoE(nn.MoEConfig{Score: nn.ScoreSigmoid, Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
