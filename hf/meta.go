package hf

import (
	"math"
	"path/filepath"
	"slices"

	"github.com/goinfer/goinfer/gguf"
)

// Meta is a model's metadata in the making: what config.json says, under GGUF's keys.
type Meta struct {
	*Config
	arch string
	keys []gguf.KV

	NLayer, NEmbd, NHead, NHeadKV, HeadDim int
	NGroup                                 int       // of heads, in Mamba-2
	rotary                                 int       // elements of a head that RoPE rotates
	factors                                []named   // of RoPE, as tensors
	Scaling                                *Config   // its parameters
	theta                                  float64   // its base, 0 where config.json does not say
	notes                                  *[]string // for whoever opens the model
}

// Bounds on what config.json may claim, far above any model.
const (
	maxLayers  = 1 << 12
	maxHeads   = 1 << 14
	maxHeadDim = 1 << 14
)

// Put sets a key of the architecture, in place of what it was.
func (m *Meta) Put(key string, value any) {
	key = m.arch + "." + key
	if i := slices.IndexFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == key }); i >= 0 {
		m.keys[i].Value = value
		return
	}
	m.keys = append(m.keys, gguf.KV{Key: key, Value: value})
}

// IsSet reports whether a key is set.
func (m *Meta) IsSet(key string) bool {
	return slices.ContainsFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == m.arch+"."+key })
}

// Drop takes a key away.
func (m *Meta) Drop(key string) {
	m.keys = slices.DeleteFunc(m.keys, func(kv gguf.KV) bool { return kv.Key == m.arch+"."+key })
}

// CopyInt copies a whole number that is there.
func (m *Meta) CopyInt(key string, from ...string) {
	if n, ok := m.Int(from...); ok {
		m.Put(key, uint32(n))
	}
}

// CopyFloat copies a number that is there.
func (m *Meta) CopyFloat(key string, from ...string) {
	if x, ok := m.Float(from...); ok {
		m.Put(key, float32(x))
	}
}

// CopyFlag copies a truth that is there and true.
func (m *Meta) CopyFlag(key string, from ...string) {
	if m.Flag(false, from...) {
		m.Put(key, true)
	}
}

// common sets what most architectures have. heads says whether they must have heads.
func (m *Meta) common(heads bool) {
	m.NLayer = m.Must("num_hidden_layers", "n_layer", "num_layers", "n_layers")
	m.NEmbd = m.Must("hidden_size", "n_embd", "d_model")
	if m.NHead = m.Or(0, "num_attention_heads", "n_head", "n_heads"); m.NHead == 0 && heads {
		m.NHead = m.Must("num_attention_heads")
	}
	m.NHeadKV = m.Or(m.NHead, "num_key_value_heads", "num_kv_heads", "multi_query_group_num")
	if m.HeadDim = m.Or(0, "head_dim", "kv_channels", "attention_head_dim"); m.HeadDim == 0 && m.NHead > 0 {
		m.HeadDim = m.NEmbd / m.NHead
	} else {
		m.Put("attention.key_length", uint32(m.HeadDim))
		m.Put("attention.value_length", uint32(m.HeadDim))
	}
	if m.NLayer > maxLayers || m.NHead > maxHeads || m.NHeadKV > maxHeads || m.HeadDim > maxHeadDim {
		m.Fail("%d layers, %d heads of %d, %d of keys: beyond any model", m.NLayer, m.NHead, m.HeadDim, m.NHeadKV)
	}
	m.Put("block_count", uint32(m.NLayer))
	m.CopyInt("context_length", "max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_sequence_length")
	m.Put("embedding_length", uint32(m.NEmbd))
	m.CopyInt("feed_forward_length", "intermediate_size", "n_inner", "ffn_hidden_size")
	m.Put("attention.head_count", uint32(m.NHead))
	m.Put("attention.head_count_kv", uint32(m.NHeadKV))
	m.CopyFloat("attention.layer_norm_rms_epsilon", "rms_norm_eps", "norm_eps")
	m.CopyFloat("attention.layer_norm_epsilon", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "layernorm_epsilon")
	m.CopyInt("vocab_size", "vocab_size", "padded_vocab_size")
	m.experts()
}

// experts sets what mixtures of experts have beside their number.
func (m *Meta) experts() {
	n, ok := m.Int("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
	if !ok || n < 2 { // some dense models say that they have one
		return
	}
	m.Put("expert_count", uint32(n))
	for _, k := range [...]struct{ key, from string }{
		{"expert_used_count", "num_experts_per_tok"}, {"expert_used_count", "moe_k"}, {"expert_used_count", "moe_topk"}, {"expert_feed_forward_length", "moe_intermediate_size"},
	} {
		if n, ok := m.SameInt(k.from); ok {
			m.Put(k.key, uint32(n))
		}
	}
	m.CopyInt("expert_group_count", "n_group")
	m.CopyInt("expert_group_used_count", "topk_group")
	switch f := m.Text("scoring_func", "score_function", "moe_router_activation_func"); f {
	case "":
	case "softmax":
		m.Put("expert_gating_func", uint32(1))
	case "sigmoid", "noaux_tc": // the latter is how experts are chosen by such scores
		m.Put("expert_gating_func", uint32(2))
	default:
		m.Fail("key %q: want softmax or sigmoid, found %s", "scoring_func", quoted(f))
	}
}

// SameInt reads a whole number, or that of which an array holds nothing else, one for each layer.
func (m *Meta) SameInt(key string) (int, bool) {
	if _, isList := m.values[key].([]any); !isList {
		return m.Int(key)
	}
	xs, ok := m.Floats(key)
	if !ok || len(xs) == 0 {
		return 0, false
	}
	for _, x := range xs {
		if x != xs[0] || x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
			m.Fail("key %q: want the same whole number for all layers, found %v and %v: %w", key, xs[0], x, ErrUnsupported)
			return 0, false
		}
	}
	return int(xs[0]), true
}

// Routing sets how the experts of DeepSeek and its kin are laid out and weighted.
func (m *Meta) Routing() {
	m.CopyInt("leading_dense_block_count", "first_k_dense_replace")
	m.CopyInt("expert_shared_count", "n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
	m.CopyFloat("expert_weights_scale", "routed_scaling_factor")
	m.CopyFlag("expert_weights_norm", "norm_topk_prob")
	if step := m.Or(1, "moe_layer_freq"); step != 1 {
		m.Fail("key %q: want 1, found %d: %w", "moe_layer_freq", step, ErrUnsupported)
	}
}

// RequireRenormalised checks a truth about the weights of experts that the architecture takes for
// granted.
func (m *Meta) RequireRenormalised(want bool) {
	if got := m.Flag(want, "norm_topk_prob"); got != want {
		m.Fail("key %q: want %v, found %v: %w", "norm_topk_prob", want, got, ErrUnsupported)
	}
}

// RequireAllExperts checks that every layer has experts.
func (m *Meta) RequireAllExperts() {
	if dense, ok := m.Floats("mlp_only_layers"); ok && len(dense) > 0 || m.Or(1, "decoder_sparse_step") != 1 {
		m.Fail("keys %q and %q: want experts in every layer: %w", "mlp_only_layers", "decoder_sparse_step", ErrUnsupported)
	}
}

// Multipliers sets the factors of Granite.
func (m *Meta) Multipliers() {
	m.CopyFloat("attention.scale", "attention_multiplier")
	m.CopyFloat("embedding_scale", "embedding_multiplier")
	m.CopyFloat("residual_scale", "residual_multiplier")
	m.CopyFloat("logit_scale", "logits_scaling")
}

// Rope sets what RoPE needs. part is the share of a head that it rotates where config.json does not
// say.
func (m *Meta) Rope(part float64) {
	m.Scaling = m.Object("rope_parameters", "rope_scaling")
	// newer files have one for each kind of layer
	if full := m.Scaling.Object("full_attention"); full.values != nil {
		if local := m.Scaling.Object("sliding_attention"); local.values != nil {
			m.copyTheta("rope.freq_base_swa", local)
		}
		m.Scaling = full
	}
	if x, ok := m.Scaling.Float("partial_rotary_factor"); ok {
		part = x
	} else if x, ok := m.Float("partial_rotary_factor", "rotary_pct", "rope_pct", "rope_percent"); ok {
		part = x
	}
	if part < 0 || part > 1 {
		m.Fail("key %q: want a share from 0 to 1, found %v", "partial_rotary_factor", part)
		return
	}
	if m.HeadDim > maxHeadDim { // of which latent attention has a key of its own
		m.Fail("heads of %d: beyond any model", m.HeadDim)
		return
	}
	m.rotary = int(part * float64(m.HeadDim))
	m.Put("rope.dimension_count", uint32(m.rotary))
	if m.theta = m.copyTheta("rope.freq_base", m.Scaling); m.theta == 0 {
		m.theta = m.copyTheta("rope.freq_base", m.Config)
	}
	m.ropeScaling()
}

// copyTheta sets a base of RoPE and returns it, 0 where there is none.
func (m *Meta) copyTheta(key string, c *Config) float64 {
	x, ok := c.Float("rope_theta", "rotary_emb_base", "global_rope_theta")
	if ok {
		m.Put(key, float32(x))
	}
	return x
}

// ropeScaling sets how RoPE goes beyond the context that the model was first made for.
func (m *Meta) ropeScaling() {
	kind := m.Scaling.Text("rope_type", "type")
	factor, _ := m.Scaling.Float("factor")
	origin := m.Scaling.Or(m.Or(0, "original_max_position_embeddings"), "original_max_position_embeddings")
	switch kind {
	case "", "default", "mrope":
	case "linear":
		m.Put("rope.scaling.type", "linear")
		m.Put("rope.scaling.factor", float32(factor))
	case "dynamic":
		*m.notes = append(*m.notes, "RoPE is not stretched: dynamic scaling changes positions beyond the model's context only")
	case "yarn":
		m.yarn(factor, origin)
	case "llama3":
		m.llama3(factor, origin)
	case "longrope", "su":
		m.longRope(origin)
	default:
		m.Fail("key %q: want default, linear, dynamic, yarn, llama3 or longrope, found %s", m.Scaling.prefix+"rope_type", quoted(kind))
	}
}

// yarn sets YaRN (Peng et al. 2023, arXiv:2309.00071).
func (m *Meta) yarn(factor float64, origin int) {
	m.Put("rope.scaling.type", "yarn")
	m.Put("rope.scaling.factor", float32(factor))
	if origin > 0 {
		m.Put("rope.scaling.original_context_length", uint32(origin))
	}
	for _, k := range [...]struct{ key, from string }{{"beta_fast", "beta_fast"}, {"beta_slow", "beta_slow"}, {"ext_factor", "extrapolation_factor"}} {
		if x, ok := m.Scaling.Float(k.from); ok {
			m.Put("rope.scaling.yarn_"+k.key, float32(x))
		}
	}
	// A checkpoint gives what queries and keys are multiplied by, a GGUF file what that is
	// multiplied by itself.
	if x, ok := m.Scaling.Float("attention_factor", "attn_factor"); ok && factor > 1 {
		m.Put("rope.scaling.attn_factor", float32(x/(1+float64(0.1*math.Log(factor)))))
	}
}

// llama3 makes the factors of frequencies of Llama 3.1: those of long waves are divided by the
// factor, those of short ones left, and the ones in between blended.
func (m *Meta) llama3(factor float64, origin int) {
	low, okLow := m.Scaling.Float("low_freq_factor")
	high, okHigh := m.Scaling.Float("high_freq_factor")
	if !okLow || !okHigh || low <= 0 || high <= low || factor <= 0 || origin == 0 || m.rotary < 2 || m.theta <= 0 {
		m.Fail("key %q: want rope_theta, factor, low_freq_factor below high_freq_factor and original_max_position_embeddings", m.Scaling.prefix+"rope_type")
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
func (m *Meta) longRope(origin int) {
	long, okLong := m.Scaling.Floats("long_factor")
	short, okShort := m.Scaling.Floats("short_factor")
	ctx := m.Or(0, "max_position_embeddings")
	if !okLong || !okShort || len(long) != m.rotary/2 || len(short) != m.rotary/2 || origin < 2 || ctx < 1 {
		m.Fail("key %q: want long_factor and short_factor of %d numbers each and original_max_position_embeddings, found %d and %d",
			m.Scaling.prefix+"rope_type", m.rotary/2, len(long), len(short))
		return
	}
	m.Put("rope.scaling.type", "longrope")
	m.Put("rope.scaling.original_context_length", uint32(origin))
	grow, given := m.Scaling.Float("attention_factor")
	if scale := float64(ctx) / float64(origin); !given && scale > 1 {
		grow = math.Sqrt(1 + math.Log(scale)/math.Log(float64(origin)))
	} else if !given {
		grow = 1
	}
	m.Put("rope.scaling.attn_factor", float32(grow))
	m.factors = append(m.factors, named{"rope_factors_long.weight", constant(singles(long))}, named{"rope_factors_short.weight", constant(singles(short))})
}

func singles(xs []float64) []float32 {
	out := make([]float32, len(xs))
	for i, x := range xs {
		out[i] = float32(x)
	}
	return out
}

// RopeAlpha sets RoPE as Hunyuan has it: its base grown for a longer context once and for all
// (NTK-aware scaling). usual is the factor where config.json does not say.
func (m *Meta) RopeAlpha(usual float64) {
	rope := m.Object("rope_scaling", "rope_parameters")
	kind := rope.Text("rope_type", "type")
	if kind != "dynamic" && kind != "xdrope" {
		m.Rope(1)
		return
	}
	alpha, ok := rope.Float("alpha")
	if !ok {
		alpha = usual
	}
	delete(rope.values, "rope_type")
	delete(rope.values, "type")
	m.Rope(1)
	if m.theta == 0 {
		m.theta = 10000
	}
	if n := float64(m.HeadDim); n > 2 && alpha > 0 {
		m.Put("rope.freq_base", float32(m.theta*math.Pow(alpha, n/(n-2))))
	}
	if kind == "dynamic" { // config.json gives the context from before
		m.Put("context_length", uint32(256<<10))
	}
}

// RopeSections sets how positions in time, height and width share the elements of a head. For text
// they are all the same.
func (m *Meta) RopeSections() {
	xs, ok := m.Scaling.Floats("mrope_section")
	if !ok {
		return
	}
	out := make([]int32, 4)
	if len(xs) > len(out) {
		m.Scaling.Fail("key %q: want at most %d numbers, found %d", m.Scaling.prefix+"mrope_section", len(out), len(xs))
		return
	}
	for i, x := range xs {
		if x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
			m.Scaling.Fail("key %q: want whole numbers from 0 on, found %v", m.Scaling.prefix+"mrope_section", x)
			return
		}
		out[i] = int32(x)
	}
	m.Put("rope.dimension_sections", out)
}

// QueryScale sets the factor of scores where it is not that of the architecture: the root of a
// head's length, or in a model of so many layers that of the width per head.
func (m *Meta) QueryScale(layers int) {
	x, ok := m.Float("query_pre_attn_scalar")
	if !ok || x <= 0 || m.NHead == 0 {
		return
	}
	usual := float64(m.HeadDim)
	if m.NLayer == layers {
		usual = float64(m.NEmbd) / float64(m.NHead)
	}
	if x != usual {
		m.Put("attention.scale", float32(1/math.Sqrt(x)))
	}
}

// slidingWindow is the sliding window, 0 where there is none.
func (m *Meta) slidingWindow() int {
	n := m.Or(0, "sliding_window")
	if !m.Flag(true, "use_sliding_window") {
		return 0
	}
	return n
}

// AlternatingWindow sets the window of families in which all but the last of every period layers
// have it, and checks that config.json says the same.
func (m *Meta) AlternatingWindow(period int) {
	if n := m.slidingWindow(); n > 0 {
		m.Put("attention.sliding_window", uint32(n))
	}
	if p := m.Or(period, "sliding_window_pattern"); p != period {
		m.Fail("key %q: want %d, found %d: %w", "sliding_window_pattern", period, p, ErrUnsupported)
	}
	types, _ := m.Texts("layer_types")
	for i, t := range types {
		if (t == "sliding_attention") != (i%period < period-1) {
			m.Fail("key %q: want all but the last of every %d layers with a window, found %s for layer %d: %w", "layer_types", period, quoted(t), i, ErrUnsupported)
			return
		}
	}
}

// Window sets the sliding window, and which layers have it where config.json says so layer by
// layer.
func (m *Meta) Window() {
	n := m.slidingWindow()
	if n == 0 {
		return
	}
	m.Put("attention.sliding_window", uint32(n))
	types, ok := m.Texts("layer_types")
	if !ok {
		return
	}
	if len(types) < m.NLayer {
		m.Fail("key %q: want a type for each of %d layers, found %d", "layer_types", m.NLayer, len(types))
		return
	}
	m.WindowPattern(func(i int) bool { return types[i] == "sliding_attention" })
}

// WindowPattern sets which layers have the window.
func (m *Meta) WindowPattern(has func(layer int) bool) {
	flags := make([]bool, min(m.NLayer, maxLayers))
	for i := range flags {
		flags[i] = has(i)
	}
	m.Put("attention.sliding_window_pattern", flags)
}

// NoAttention sets what models have that do not attend.
func (m *Meta) NoAttention() {
	m.Put("context_length", uint32(1<<20)) // there is no bound
	m.Put("feed_forward_length", uint32(0))
	m.Put("attention.head_count", uint32(0))
	m.Drop("attention.head_count_kv")
	m.Put("attention.layer_norm_rms_epsilon", float32(1e-5))
	m.CopyFloat("attention.layer_norm_rms_epsilon", "layer_norm_epsilon", "rms_norm_eps")
	m.Drop("attention.layer_norm_epsilon")
}

// Mamba2 sets what Mamba-2 has.
func (m *Meta) Mamba2(inner, heads, taps, state, groups int) {
	m.NGroup = groups
	m.Put("ssm.conv_kernel", uint32(taps))
	m.Put("ssm.inner_size", uint32(inner))
	m.Put("ssm.state_size", uint32(state))
	m.Put("ssm.time_step_rank", uint32(heads))
	m.Put("ssm.group_count", uint32(groups))
}

// DeltaNet sets what gated delta nets have, and which layers attend instead.
func (m *Meta) DeltaNet() {
	m.CopyInt("ssm.conv_kernel", "linear_conv_kernel_dim")
	m.CopyInt("ssm.state_size", "linear_key_head_dim")
	m.CopyInt("ssm.group_count", "linear_num_key_heads")
	m.CopyInt("ssm.time_step_rank", "linear_num_value_heads")
	m.Put("ssm.inner_size", uint32(m.Must("linear_value_head_dim")*m.Must("linear_num_value_heads")))
	m.Put("full_attention_interval", uint32(m.Or(4, "full_attention_interval")))
}

// AttentionLayers sets the heads of keys for each layer, none where it does not attend.
func (m *Meta) AttentionLayers(kind string) {
	types, ok := m.Texts("layer_types")
	if !ok || len(types) < m.NLayer {
		m.Fail("key %q: want a type for each of %d layers, found %d", "layer_types", m.NLayer, len(types))
		return
	}
	heads := make([]int32, min(m.NLayer, maxLayers))
	for i := range heads {
		if types[i] == kind {
			heads[i] = int32(m.NHeadKV)
		}
	}
	m.Put("attention.head_count_kv", heads)
}

// Pooling sets how one embedding is made of those of all tokens, as sentence-transformers have it
// in a file of its own.
func (m *Meta) Pooling() {
	const mean, first, last = 1, 2, 3
	path := filepath.Join(filepath.Dir(m.path), "1_Pooling", "config.json")
	if !exists(path) {
		return // a folder need not say
	}
	c, err := readConfig(path)
	if err != nil {
		if *m.err == nil {
			*m.err = err
		}
		return
	}
	for _, p := range []struct {
		key  string
		kind uint32
	}{{"pooling_mode_cls_token", first}, {"pooling_mode_mean_tokens", mean}, {"pooling_mode_lasttoken", last}} {
		if c.Flag(false, p.key) {
			m.Put("pooling_type", p.kind)
		}
	}
	if *m.err == nil {
		*m.err = *c.err
	}
}

// PutTokenizer sets a key of the tokenizer.
func (m *Meta) PutTokenizer(key string, value any) {
	m.keys = append(m.keys, gguf.KV{Key: "tokenizer.ggml." + key, Value: value})
}
