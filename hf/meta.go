package hf

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
	groups                                int       // of heads, in Mamba-2
	rotary                                int       // elements of a head that RoPE turns
	factors                               []named   // of RoPE, as tensors
	rope                                  *config   // its parameters
	theta                                 float64   // its base, 0 where config.json does not say
	notes                                 *[]string // for whoever opens the model
}

// Bounds on what config.json may claim, far above any model.
const (
	maxLayers  = 1 << 12
	maxHeads   = 1 << 14
	maxHeadDim = 1 << 14
)

// put sets a key of the architecture, in place of what it was.
func (m *meta) put(key string, value any) {
	key = m.arch + "." + key
	if i := slices.IndexFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == key }); i >= 0 {
		m.keys[i].Value = value
		return
	}
	m.keys = append(m.keys, gguf.KV{Key: key, Value: value})
}

// isSet reports whether a key is set.
func (m *meta) isSet(key string) bool {
	return slices.ContainsFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == m.arch+"."+key })
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

// common sets what most architectures have. heads says whether they must have heads.
func (m *meta) common(heads bool) {
	m.layers = m.must("num_hidden_layers", "n_layer", "num_layers", "n_layers")
	m.embd = m.must("hidden_size", "n_embd", "d_model")
	if m.heads = m.or(0, "num_attention_heads", "n_head", "n_heads"); m.heads == 0 && heads {
		m.heads = m.must("num_attention_heads")
	}
	m.headsKV = m.or(m.heads, "num_key_value_heads", "num_kv_heads", "multi_query_group_num")
	if m.headDim = m.or(0, "head_dim", "kv_channels", "attention_head_dim"); m.headDim == 0 && m.heads > 0 {
		m.headDim = m.embd / m.heads
	} else {
		m.put("attention.key_length", uint32(m.headDim))
		m.put("attention.value_length", uint32(m.headDim))
	}
	if m.layers > maxLayers || m.heads > maxHeads || m.headsKV > maxHeads || m.headDim > maxHeadDim {
		m.fail("%d layers, %d heads of %d, %d of keys: beyond any model", m.layers, m.heads, m.headDim, m.headsKV)
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
	m.experts()
}

// experts sets what mixtures of experts have beside their number.
func (m *meta) experts() {
	n, ok := m.int("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
	if !ok || n < 2 { // some dense models say that they have one
		return
	}
	m.put("expert_count", uint32(n))
	for _, k := range [...]struct{ key, from string }{
		{"expert_used_count", "num_experts_per_tok"}, {"expert_used_count", "moe_k"}, {"expert_used_count", "moe_topk"}, {"expert_feed_forward_length", "moe_intermediate_size"},
	} {
		if n, ok := m.same(k.from); ok {
			m.put(k.key, uint32(n))
		}
	}
	m.count("expert_group_count", "n_group")
	m.count("expert_group_used_count", "topk_group")
	switch f := m.string("scoring_func", "score_function", "moe_router_activation_func"); f {
	case "":
	case "softmax":
		m.put("expert_gating_func", uint32(1))
	case "sigmoid", "noaux_tc": // the latter is how experts are chosen by such scores
		m.put("expert_gating_func", uint32(2))
	default:
		m.fail("key %q: want softmax or sigmoid, found %s", "scoring_func", quoted(f))
	}
}

// same reads a whole number, or that of which an array holds nothing else, one for each layer.
func (m *meta) same(key string) (int, bool) {
	if _, isList := m.values[key].([]any); !isList {
		return m.int(key)
	}
	xs, ok := m.floats(key)
	if !ok || len(xs) == 0 {
		return 0, false
	}
	for _, x := range xs {
		if x != xs[0] || x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
			m.fail("key %q: want the same whole number for all layers, found %v and %v: %w", key, xs[0], x, ErrUnsupported)
			return 0, false
		}
	}
	return int(xs[0]), true
}

// routing sets how the experts of DeepSeek and its kin are laid out and weighed.
func (m *meta) routing() {
	m.count("leading_dense_block_count", "first_k_dense_replace")
	m.count("expert_shared_count", "n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
	m.number("expert_weights_scale", "routed_scaling_factor")
	m.truth("expert_weights_norm", "norm_topk_prob")
	if step := m.or(1, "moe_layer_freq"); step != 1 {
		m.fail("key %q: want 1, found %d: %w", "moe_layer_freq", step, ErrUnsupported)
	}
}

// renormalised checks a truth about the weights of experts that the architecture takes for granted.
func (m *meta) renormalised(want bool) {
	if got := m.flag(want, "norm_topk_prob"); got != want {
		m.fail("key %q: want %v, found %v: %w", "norm_topk_prob", want, got, ErrUnsupported)
	}
}

// allExperts checks that every layer has experts.
func (m *meta) allExperts() {
	if dense, ok := m.floats("mlp_only_layers"); ok && len(dense) > 0 || m.or(1, "decoder_sparse_step") != 1 {
		m.fail("keys %q and %q: want experts in every layer: %w", "mlp_only_layers", "decoder_sparse_step", ErrUnsupported)
	}
}

// multipliers sets the factors of Granite.
func (m *meta) multipliers() {
	m.number("attention.scale", "attention_multiplier")
	m.number("embedding_scale", "embedding_multiplier")
	m.number("residual_scale", "residual_multiplier")
	m.number("logit_scale", "logits_scaling")
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
	if part < 0 || part > 1 {
		m.fail("key %q: want a share from 0 to 1, found %v", "partial_rotary_factor", part)
		return
	}
	if m.headDim > maxHeadDim { // of which latent attention has a key of its own
		m.fail("heads of %d: beyond any model", m.headDim)
		return
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
		m.put("rope.scaling.attn_factor", float32(x/(1+float64(0.1*math.Log(factor)))))
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

// alpha sets RoPE as Hunyuan has it: its base grown for a longer context once and for all (NTK-aware scaling). usual is the factor where config.json does not say.
func (m *meta) alpha(usual float64) {
	rope := m.object("rope_scaling", "rope_parameters")
	kind := rope.string("rope_type", "type")
	if kind != "dynamic" && kind != "xdrope" {
		m.positions(1)
		return
	}
	alpha, ok := rope.float("alpha")
	if !ok {
		alpha = usual
	}
	delete(rope.values, "rope_type")
	delete(rope.values, "type")
	m.positions(1)
	if m.theta == 0 {
		m.theta = 10000
	}
	if n := float64(m.headDim); n > 2 && alpha > 0 {
		m.put("rope.freq_base", float32(m.theta*math.Pow(alpha, n/(n-2))))
	}
	if kind == "dynamic" { // config.json gives the context from before
		m.put("context_length", uint32(256<<10))
	}
}

// sections sets how positions in time, height and width share the elements of a head. For text they are all the same.
func (m *meta) sections() {
	xs, ok := m.rope.floats("mrope_section")
	if !ok {
		return
	}
	out := make([]int32, 4)
	if len(xs) > len(out) {
		m.rope.fail("key %q: want at most %d numbers, found %d", m.rope.prefix+"mrope_section", len(out), len(xs))
		return
	}
	for i, x := range xs {
		if x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
			m.rope.fail("key %q: want whole numbers from 0 on, found %v", m.rope.prefix+"mrope_section", x)
			return
		}
		out[i] = int32(x)
	}
	m.put("rope.dimension_sections", out)
}

// everyFourthUnturned checks that RoPE leaves out every fourth layer and no other, which the architecture takes for granted.
func (m *meta) everyFourthUnturned() {
	xs, ok := m.floats("no_rope_layers") // 1 where there is RoPE
	if !ok {
		return
	}
	for i, x := range xs {
		if (x != 0) != (i%4 != 3) {
			m.fail("key %q: want every fourth layer without positions, found %v for layer %d: %w", "no_rope_layers", x, i, ErrUnsupported)
			return
		}
	}
}

// queryScale sets the factor of scores where it is not that of the architecture: the root of a head's length, or in a model of so many layers that of the width per head.
func (m *meta) queryScale(layers int) {
	x, ok := m.float("query_pre_attn_scalar")
	if !ok || x <= 0 || m.heads == 0 {
		return
	}
	usual := float64(m.headDim)
	if m.layers == layers {
		usual = float64(m.embd) / float64(m.heads)
	}
	if x != usual {
		m.put("attention.scale", float32(1/math.Sqrt(x)))
	}
}

// windowOf is the sliding window, 0 where there is none.
func (m *meta) windowOf() int {
	n := m.or(0, "sliding_window")
	if !m.flag(true, "use_sliding_window") {
		return 0
	}
	return n
}

// alternating sets the window of families in which all but the last of every period layers have it, and checks that config.json says the same.
func (m *meta) alternating(period int) {
	if n := m.windowOf(); n > 0 {
		m.put("attention.sliding_window", uint32(n))
	}
	if p := m.or(period, "sliding_window_pattern"); p != period {
		m.fail("key %q: want %d, found %d: %w", "sliding_window_pattern", period, p, ErrUnsupported)
	}
	types, _ := m.strings("layer_types")
	for i, t := range types {
		if (t == "sliding_attention") != (i%period < period-1) {
			m.fail("key %q: want all but the last of every %d layers with a window, found %s for layer %d: %w", "layer_types", period, quoted(t), i, ErrUnsupported)
			return
		}
	}
}

// window sets the sliding window, and which layers have it where config.json says so layer by layer.
func (m *meta) window() {
	n := m.windowOf()
	if n == 0 {
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
	m.pattern(func(i int) bool { return types[i] == "sliding_attention" })
}

// pattern sets which layers have the window.
func (m *meta) pattern(has func(layer int) bool) {
	flags := make([]bool, min(m.layers, maxLayers))
	for i := range flags {
		flags[i] = has(i)
	}
	m.put("attention.sliding_window_pattern", flags)
}
