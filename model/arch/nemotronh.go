package arch

import (
	"math"
	"strconv"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

var nemotronHSheet = Sheet{
	Name:    "nemotron_h",
	Build:   newNemotronH,
	LayerFF: true,

	Reference: "a computation in float64 from the checkpoint's tensors (TestNemotronH)",
	Folders: []hf.Family{{
		Names: []string{"NemotronHForCausalLM", "nemotron_h"},
		Keys:  nemotronHKeys,
		Ops:   mamba2Ops,
		Tensors: hf.Merge(mambaNames("mixer."), map[string]string{
			"norm": "attn_norm", "mixer.q_proj": "attn_q", "mixer.k_proj": "attn_k", "mixer.v_proj": "attn_v",
			"mixer.o_proj": "attn_output", "mixer.up_proj": "ffn_up", "mixer.down_proj": "ffn_down",
		}),
	}},
}

// nemotronHKeys reads the kind of each layer from hybrid_override_pattern: M is Mamba-2, *
// attention and - a feed-forward block.
func nemotronHKeys(m *hf.Meta) {
	m.CopyFloat("attention.layer_norm_rms_epsilon", "layer_norm_epsilon", "rms_norm_eps", "norm_eps")
	m.Drop("attention.layer_norm_epsilon")
	if act := m.Text("mlp_hidden_act"); act != "" && act != "relu2" {
		m.Fail("key %q: want relu2, found %s: %w", "mlp_hidden_act", strconv.Quote(act), model.ErrUnsupported)
	}
	if low, high, ok := m.Limits("time_step_limit"); ok && (low > 0 || !math.IsInf(high, 1)) {
		m.Fail("key %q: want 0 and Infinity, found %v and %v: %w", "time_step_limit", low, high, model.ErrUnsupported)
	}
	pattern := m.Text("hybrid_override_pattern")
	if len(pattern) != m.NLayer {
		m.Fail("key %q: want a letter for each of %d layers, found %d", "hybrid_override_pattern", m.NLayer, len(pattern))
		return
	}
	kv, ff := make([]int32, m.NLayer), make([]int32, m.NLayer)
	for i, kind := range pattern {
		switch kind {
		case 'M':
		case '*':
			kv[i] = int32(m.NHeadKV)
		case '-':
			ff[i] = int32(m.Must("intermediate_size"))
		default:
			m.Fail("key %q: want M, * or -, found %q for layer %d: %w", "hybrid_override_pattern", kind, i, model.ErrUnsupported)
			return
		}
	}
	m.Put("attention.head_count_kv", kv)
	m.Put("feed_forward_length", ff)
	heads := m.Must("mamba_num_heads")
	m.Mamba2(heads*m.Must("mamba_head_dim"), heads, m.Or(4, "conv_kernel"), m.Must("ssm_state_size"), m.Or(1, "n_groups"))
}

// nemotronH is Nemotron-H: each layer is one of Mamba-2, attention without positions, or a
// feed-forward block with squared ReLU, after one norm. NVIDIA 2025, arXiv:2504.03624.
type nemotronH struct{ *decoder }

func newNemotronH(w *model.Weights) (model.Model, error) {
	attn := w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		c := b.Config()
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd)}
		switch {
		case c.NFF > 0:
			l.ffn = b.PlainFFN(nn.SquaredReLU)
		case c.IsRecurrent(i):
			l.recurrent = b.Mamba2()
		default:
			l.attn = b.AttnHeads(nn.AttnBlock{Attn: attn})
		}
		return l
	})
	return nemotronH{m}, w.Err()
}

func (m nemotronH) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	h := f.Norm(x, b.attnNorm)
	if b.hasFFN() {
		m.add(f, x, b.feed(f, h))
	} else {
		m.add(f, x, b.attend(f, h))
	}
}
