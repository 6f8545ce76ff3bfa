package checkpoint

import (
	"math"
	"slices"

	"github.com/goinfer/goinfer/gguf"
)

// meta is a model's metadata in the making: what config.json says, under GGUF's keys.
type meta struct {
	*config
	arch string
	keys []gguf.KV

	layers, embd, heads, headsKV, headDim int
	rotary                                int       // elements of a head that RoPE turns
	factors                               []named   // of RoPE, as tensors
	rope                                  *config   // its parameters
	theta                                 float64   // its base, 0 where config.json does not say
	notes                                 *[]string // for whoever opens the model
}

// put sets a key of the architecture, in place of what it was.
func (m *meta) put(key string, value any) {
	key = m.arch + "." + key
	if i := slices.IndexFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == key }); i >= 0 {
		m.keys[i].Value = value
		return
	}
	m.keys = append(m.keys, gguf.KV{Key: key, Value: value})
}

// drop takes a key away.
func (m *meta) drop(key string) {
	m.keys = slices.DeleteFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == m.arch+"."+key })
}

// count copies a whole number that is there.
func (m *meta) count(key string, from ...string) {
	if n, ok := m.int(from...); ok {
		m.put(key, uint32(n))
	}
}

// number copies a number that is there.
func (m *meta) number(key string, from ...string) {
	if x, ok := m.float(from...); ok {
		m.put(key, float32(x))
	}
}

// truth copies a truth that is there and true.
func (m *meta) truth(key string, from ...string) {
	if m.flag(false, from...) {
		m.put(key, true)
	}
}

// common sets what most architectures have.
func (m *meta) common() {
	m.layers = m.must("num_hidden_layers", "n_layer", "num_layers", "n_layers")
	m.embd = m.must("hidden_size", "n_embd", "d_model")
	m.heads = m.must("num_attention_heads", "n_head", "n_heads")
	m.headsKV = m.or(m.heads, "num_key_value_heads", "num_kv_heads", "multi_query_group_num")
	if m.headDim = m.or(0, "head_dim", "kv_channels", "attention_head_dim"); m.headDim == 0 && m.heads > 0 {
		m.headDim = m.embd / m.heads
	} else {
		m.put("attention.key_length", uint32(m.headDim))
		m.put("attention.value_length", uint32(m.headDim))
	}
	m.put("block_count", uint32(m.layers))
	m.count("context_length", "max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_sequence_length")
	m.put("embedding_length", uint32(m.embd))
	m.count("feed_forward_length", "intermediate_size", "n_inner", "ffn_hidden_size")
	m.put("attention.head_count", uint32(m.heads))
	m.put("attention.head_count_kv", uint32(m.headsKV))
	m.number("attention.layer_norm_rms_epsilon", "rms_norm_eps", "norm_eps")
	m.number("attention.layer_norm_epsilon", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "layernorm_epsilon")
	m.count("vocab_size", "vocab_size", "padded_vocab_size")
	m.count("expert_count", "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
	m.experts()
}

// experts sets what mixtures of experts have beside their number.
func (m *meta) experts() {
	if !m.has("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts") {
		return
	}
	m.count("expert_used_count", "num_experts_per_tok", "moe_k", "moe_topk")
	m.count("expert_feed_forward_length", "moe_intermediate_size")
	m.count("expert_group_count", "n_group")
	m.count("expert_group_used_count", "topk_group")
	switch f := m.string("scoring_func", "score_function", "moe_router_activation_func"); f {
	case "":
	case "softmax":
		m.put("expert_gating_func", uint32(1))
	case "sigmoid":
		m.put("expert_gating_func", uint32(2))
	default:
		m.fail("key %q: want softmax or sigmoid, found %s", "scoring_func", quoted(f))
	}
}

// positions sets what RoPE needs. part is the share of a head that it turns where config.json does not say.
func (m *meta) positions(part float64) {
	m.rope = m.object("rope_parameters", "rope_scaling")
	if full := m.rope.object("full_attention"); full.values != nil { // newer files have one for each kind of layer
		if local := m.rope.object("sliding_attention"); local.values != nil {
			m.copyTheta("rope.freq_base_swa", local)
		}
		m.rope = full
	}
	if x, ok := m.rope.float("partial_rotary_factor"); ok {
		part = x
	} else if x, ok := m.float("partial_rotary_factor", "rotary_pct", "rope_pct", "rope_percent"); ok {
		part = x
	}
	m.rotary = int(part * float64(m.headDim))
	m.put("rope.dimension_count", uint32(m.rotary))
	if m.theta = m.copyTheta("rope.freq_base", m.rope); m.theta == 0 {
		m.theta = m.copyTheta("rope.freq_base", m.config)
	}
	m.stretch()
}

// copyTheta sets a base of RoPE and returns it, 0 where there is none.
func (m *meta) copyTheta(key string, c *config) float64 {
	x, ok := c.float("rope_theta", "rotary_emb_base", "global_rope_theta")
	if ok {
		m.put(key, float32(x))
	}
	return x
}

// stretch sets how RoPE goes beyond the context that the model was first made for.
func (m *meta) stretch() {
	kind := m.rope.string("rope_type", "type")
	factor, _ := m.rope.float("factor")
	origin := m.rope.or(m.or(0, "original_max_position_embeddings"), "original_max_position_embeddings")
	switch kind {
	case "", "default", "mrope":
	case "linear":
		m.put("rope.scaling.type", "linear")
		m.put("rope.scaling.factor", float32(factor))
	case "dynamic":
		*m.notes = append(*m.notes, "RoPE is not stretched: dynamic scaling changes positions beyond the model's context only")
	case "yarn":
		m.yarn(factor, origin)
	case "llama3":
		m.llama3(factor, origin)
	case "longrope", "su":
		m.longRope(origin)
	default:
		m.fail("key %q: want default, linear, dynamic, yarn, llama3 or longrope, found %s", m.rope.prefix+"rope_type", quoted(kind))
	}
}

// yarn sets YaRN (Peng et al. 2023, arXiv:2309.00071).
func (m *meta) yarn(factor float64, origin int) {
	m.put("rope.scaling.type", "yarn")
	m.put("rope.scaling.factor", float32(factor))
	if origin > 0 {
		m.put("rope.scaling.original_context_length", uint32(origin))
	}
	for _, k := range [...]struct{ key, from string }{{"beta_fast", "beta_fast"}, {"beta_slow", "beta_slow"}, {"ext_factor", "extrapolation_factor"}} {
		if x, ok := m.rope.float(k.from); ok {
			m.put("rope.scaling.yarn_"+k.key, float32(x))
		}
	}
	// A checkpoint gives what queries and keys are multiplied by, a GGUF file what that is multiplied by in turn.
	if x, ok := m.rope.float("attention_factor", "attn_factor"); ok && factor > 1 {
		m.put("rope.scaling.attn_factor", float32(x/(1+0.1*math.Log(factor))))
	}
}

// llama3 makes the factors of frequencies of Llama 3.1: those of long waves are divided by the factor, those of short ones left, and the ones in between blended.
func (m *meta) llama3(factor float64, origin int) {
	low, okLow := m.rope.float("low_freq_factor")
	high, okHigh := m.rope.float("high_freq_factor")
	if !okLow || !okHigh || low <= 0 || high <= low || factor <= 0 || origin == 0 || m.rotary < 2 || m.theta <= 0 {
		m.fail("key %q: want rope_theta, factor, low_freq_factor below high_freq_factor and original_max_position_embeddings", m.rope.prefix+"rope_type")
		return
	}
	f := make([]float32, m.rotary/2)
	for i := range f {
		wave := 2 * math.Pi * math.Pow(m.theta, 2*float64(i)/float64(m.rotary))
		turns := float64(origin) / wave // in the original context
		switch {
		case turns > high:
			f[i] = 1
		case turns < low:
			f[i] = float32(factor)
		default:
			blend := (turns - low) / (high - low)
			f[i] = float32(1 / ((1-blend)/factor + blend))
		}
	}
	m.factors = append(m.factors, named{"rope_freqs.weight", constant(f)})
}

// longRope sets the factors for short and for long contexts (Ding et al. 2024, arXiv:2402.13753).
func (m *meta) longRope(origin int) {
	long, okLong := m.rope.floats("long_factor")
	short, okShort := m.rope.floats("short_factor")
	ctx := m.or(0, "max_position_embeddings")
	if !okLong || !okShort || len(long) != m.rotary/2 || len(short) != m.rotary/2 || origin < 2 || ctx < 1 {
		m.fail("key %q: want long_factor and short_factor of %d numbers each and original_max_position_embeddings, found %d and %d",
			m.rope.prefix+"rope_type", m.rotary/2, len(long), len(short))
		return
	}
	m.put("rope.scaling.type", "longrope")
	m.put("rope.scaling.original_context_length", uint32(origin))
	grow, given := m.rope.float("attention_factor")
	if scale := float64(ctx) / float64(origin); !given && scale > 1 {
		grow = math.Sqrt(1 + math.Log(scale)/math.Log(float64(origin)))
	} else if !given {
		grow = 1
	}
	m.put("rope.scaling.attn_factor", float32(grow))
	m.factors = append(m.factors, named{"rope_factors_long.weight", constant(singles(long))}, named{"rope_factors_short.weight", constant(singles(short))})
}

func singles(xs []float64) []float32 {
	out := make([]float32, len(xs))
	for i, x := range xs {
		out[i] = float32(x)
	}
	return out
}

// window sets the sliding window, and which layers have it where config.json says so layer by layer.
func (m *meta) window() {
	n, ok := m.int("sliding_window")
	if !ok || n == 0 || !m.flag(true, "use_sliding_window") {
		return
	}
	m.put("attention.sliding_window", uint32(n))
	types, ok := m.strings("layer_types")
	if !ok {
		return
	}
	if len(types) < m.layers {
		m.fail("key %q: want a type for each of %d layers, found %d", "layer_types", m.layers, len(types))
		return
	}
	pattern := make([]bool, m.layers)
	for i := range pattern {
		pattern[i] = types[i] == "sliding_attention"
	}
	m.put("attention.sliding_window_pattern", pattern)
}
