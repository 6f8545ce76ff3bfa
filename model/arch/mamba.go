package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var mambaSheet = Sheet{
	Name:  "mamba",
	Build: newMamba,
	Folders: []hf.Family{{
		Names: []string{"MambaForCausalLM", "mamba"}, NoAttention: true, Ops: recurrentOps, Tensors: hf.Merge(mambaNames("mixer."), map[string]string{"norm": "attn_norm"}),
		Keys: func(m *hf.Meta) {
			m.NoAttention()
			m.Put("ssm.conv_kernel", uint32(m.Or(4, "conv_kernel")))
			m.Put("ssm.inner_size", uint32(m.Or(2*m.NEmbd, "intermediate_size")))
			m.Put("ssm.state_size", uint32(m.Or(16, "state_size")))
			m.Put("ssm.time_step_rank", uint32(m.Or((m.NEmbd+15)/16, "time_step_rank")))
		},
	}},
	Sizes: []Size{
		Size{Name: "mamba-130m", About: "Mamba 130M, recurrent layers alone", Vocab: bpe("olmo", 50280), Keys: []Key{
			{"vocab_size", uint32(50280)}, {"context_length", uint32(1 << 20)}, {"embedding_length", uint32(768)}, {"block_count", uint32(24)}, {"feed_forward_length", uint32(0)},
			{"attention.head_count", uint32(0)}, {"attention.layer_norm_rms_epsilon", float32(1e-5)},
			{"ssm.conv_kernel", uint32(4)}, {"ssm.inner_size", uint32(1536)}, {"ssm.state_size", uint32(16)}, {"ssm.time_step_rank", uint32(48)},
		}, Optional: []string{"blk.*.ssm_conv1d.bias", "blk.*.ssm_dt.bias"}},
	},
}

var mamba2Sheet = Sheet{
	Name:  "mamba2",
	Build: newMamba2,
	Folders: []hf.Family{{
		Names: []string{"Mamba2ForCausalLM", "mamba2"}, NoAttention: true, Ops: mamba2Ops, Tensors: hf.Merge(mambaNames("mixer."), map[string]string{"norm": "attn_norm"}),
		Keys: func(m *hf.Meta) {
			m.NoAttention()
			m.Drop("attention.key_length")
			m.Drop("attention.value_length")
			inner := m.Or(m.Or(2, "expand")*m.NEmbd, "intermediate_size")
			head := m.Or(64, "head_dim")
			if head < 1 || inner%head != 0 {
				m.Fail("key %q: want a part of %d, found %d", "head_dim", inner, head)
				return
			}
			m.Mamba2(inner, inner/head, m.Or(4, "conv_kernel"), m.Or(128, "state_size"), m.Or(1, "n_groups"))
		},
	}},
}

// newMamba makes Mamba: layers of selective state spaces and nothing else. Gu and Dao 2023,
// arXiv:2312.00752.
func newMamba(w *model.Weights) (model.Model, error) {
	return newStateSpaces(w, func(b *model.Weights) nn.RecurrentBlock { return b.Mamba() })
}

// newMamba2 makes Mamba-2, whose heads' states decay alike. Dao and Gu 2024, arXiv:2405.21060.
func newMamba2(w *model.Weights) (model.Model, error) {
	return newStateSpaces(w, func(b *model.Weights) nn.RecurrentBlock { return b.Mamba2() })
}

func newStateSpaces(w *model.Weights, recur func(b *model.Weights) nn.RecurrentBlock) (model.Model, error) {
	c := w.Config()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{attnNorm: b.Norm("attn_norm", c.NEmbd), recurrent: recur(b)}
	})
	return m, w.Err()
}
