package params

import (
	"slices"
	"strings"

	"github.com/goinfer/goinfer/model"
)

// The components of a model, in the order of a report.
const (
	Embedding     = "embedding"
	AttentionQ    = "attention_q"
	AttentionK    = "attention_k"
	AttentionV    = "attention_v"
	AttentionKV   = "attention_kv" // what latent attention compresses keys and values with
	AttentionO    = "attention_o"
	FeedForward   = "feed_forward"
	Experts       = "experts"
	SharedExperts = "shared_experts" // that every token goes through
	Router        = "router"
	Recurrent     = "recurrent"
	Norms         = "norms"
	Other         = "other"
	Output        = "output"
)

var components = []string{
	Embedding, AttentionQ, AttentionK, AttentionV, AttentionKV, AttentionO, FeedForward, Experts, SharedExperts, Router, Recurrent, Norms, Other, Output,
}

// part is what a tensor, or some of its rows, is for.
type part struct {
	component string
	elements  int64
}

// parts says what a tensor is for.
func parts(c model.Config, t model.Tensor) []part {
	base := baseName(t.Name)
	rows := int64(t.Shape[len(t.Shape)-1])
	split := func(names []string, of ...int) []part {
		var sum int64
		ps := make([]part, len(of))
		for i, n := range of {
			sum += int64(n)
			ps[i] = part{names[i], t.Elements() / rows * int64(n)}
		}
		if sum != rows {
			return []part{{Other, t.Elements()}}
		}
		return ps
	}
	switch base {
	case "attn_qkv":
		return split([]string{AttentionQ, AttentionK, AttentionV}, c.NHead*c.HeadDim, c.NHeadKV*c.HeadDim, c.NHeadKV*c.HeadDimV)
	case "attn_kv_b":
		return split([]string{AttentionK, AttentionV}, c.NHead*(c.HeadDim-c.Rope.Dim), c.NHead*c.HeadDimV)
	}
	return []part{{component(base), t.Elements()}}
}

// baseName is the name of a tensor without its block and what it is of its kind: blk.3.attn_q.weight is attn_q.
func baseName(name string) string {
	if rest, ok := strings.CutPrefix(name, "blk."); ok {
		_, name, _ = strings.Cut(rest, ".")
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return name
}

// component tells tensors apart by their names.
func component(base string) string {
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
	case begins("ffn_") && (strings.HasSuffix(base, "_exps") || strings.Contains(base, ".")):
		return Experts
	case begins("ffn_"):
		return FeedForward
	case begins("ssm_", "shortconv", "time_mix", "channel_mix"):
		return Recurrent
	}
	return Other
}

// isTable reports whether a token looks up rows of a tensor and is not multiplied with it.
func isTable(t model.Tensor) bool { return component(baseName(t.Name)) == Embedding }
