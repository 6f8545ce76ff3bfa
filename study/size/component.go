package size

import (
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/model"
)

// The components of a model, in the order of a breakdown.
const (
	Embedding       = "embedding"
	AttentionQ      = "attention_q"
	AttentionK      = "attention_k"
	AttentionV      = "attention_v"
	AttentionKV     = "attention_kv" // what latent attention compresses keys and values with
	AttentionO      = "attention_o"
	FeedForward     = "feed_forward"
	Experts         = "experts"
	SharedExperts   = "shared_experts" // experts that every token is given to
	Router          = "router"
	RecurrentBlocks = "recurrent"
	Norms           = "norms"
	OtherParams     = "other"
	Output          = "output"
)

var components = []string{
	Embedding, AttentionQ, AttentionK, AttentionV, AttentionKV, AttentionO, FeedForward, Experts, SharedExperts, Router, RecurrentBlocks, Norms, OtherParams, Output,
}

// share is the weights of a tensor, or of some of its rows, that belong to a component.
type share struct {
	component      string
	params, active int64
}

// sharesOf says which components a tensor belongs to.
func sharesOf(c model.Config, t model.Tensor) []share {
	name := names.Parse(t.Name)
	rows := int64(t.Shape[len(t.Shape)-1])
	split := func(names []string, of ...int) []share {
		var sum int64
		shares := make([]share, len(of))
		for i, n := range of {
			sum += int64(n)
			params := t.Elements() / rows * int64(n)
			shares[i] = share{names[i], params, params}
		}
		if sum != rows {
			return []share{{OtherParams, t.Elements(), t.Active()}}
		}
		return shares
	}
	switch name.Base {
	case "attn_qkv":
		return split([]string{AttentionQ, AttentionK, AttentionV}, c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim, c.NHeadKV*c.HeadDimV)
	case "attn_kv_b":
		return split([]string{AttentionK, AttentionV}, c.NHead*(c.HeadDim-c.Rope.Dim), c.NHead*c.HeadDimV)
	}
	return []share{{component(name), t.Elements(), t.Active()}}
}

// component is the component that a tensor of that name belongs to.
func component(name names.Name) string {
	base := name.Base
	begins := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(base, n) })
	}
	switch {
	case strings.Contains(base, "norm"):
		return Norms
	case begins("token_embd", "position_embd", "token_types", "per_layer_token_embd"):
		return Embedding
	case base == "output", begins("cls"):
		return Output
	case base == "attn_q", base == "attn_q_a", base == "attn_q_b":
		return AttentionQ
	case base == "attn_k", base == "attn_k_b":
		return AttentionK
	case base == "attn_v", base == "attn_v_b":
		return AttentionV
	case base == "attn_kv_a_mqa":
		return AttentionKV
	case base == "attn_output":
		return AttentionO
	case begins("ffn_gate_inp", "exp_probs"):
		return Router
	case strings.HasSuffix(base, "_shexp"):
		return SharedExperts
	case begins("ffn_") && (strings.HasSuffix(base, "_exps") || name.Expert != names.None):
		return Experts
	case begins("ffn_"):
		return FeedForward
	case begins("ssm_", "shortconv", "time_mix", "channel_mix"):
		return RecurrentBlocks
	}
	return OtherParams
}
