package hf

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/goinfer/goinfer/gguf"
)

// recurrent are the ops of recurrent layers.
var recurrent = map[string]op{"ssm_a": decay, "ssm_conv1d": taps}

// mamba are the names of Mamba's tensors behind "mixer." or "mamba.".
func mamba(prefix string) map[string]string {
	return map[string]string{
		prefix + "in_proj": "ssm_in", prefix + "conv1d": "ssm_conv1d", prefix + "x_proj": "ssm_x", prefix + "dt_proj": "ssm_dt", prefix + "dt_bias": "ssm_dt.bias",
		prefix + "A_log": "ssm_a.", prefix + "D": "ssm_d.", prefix + "norm": "ssm_norm", prefix + "out_proj": "ssm_out",
	}
}

// mamba2 are the ops of Mamba-2, whose heads have a decay and a share of the input each.
var mamba2 = map[string]op{"ssm_a": perHead(decay), "ssm_d": perHead(nil), "ssm_conv1d": taps, "ssm_norm": byGroup}

// states are families with recurrent layers.
var states = []family{
	{
		arch: "mamba", is: []string{"MambaForCausalLM", "mamba"}, noHeads: true, ops: recurrent, names: with(mamba("mixer."), map[string]string{"norm": "attn_norm"}),
		keys: func(m *meta) {
			m.noAttention()
			m.put("ssm.conv_kernel", uint32(m.or(4, "conv_kernel")))
			m.put("ssm.inner_size", uint32(m.or(2*m.embd, "intermediate_size")))
			m.put("ssm.state_size", uint32(m.or(16, "state_size")))
			m.put("ssm.time_step_rank", uint32(m.or((m.embd+15)/16, "time_step_rank")))
		},
	},
	{
		arch: "mamba2", is: []string{"Mamba2ForCausalLM", "mamba2"}, noHeads: true, ops: mamba2, names: with(mamba("mixer."), map[string]string{"norm": "attn_norm"}),
		keys: func(m *meta) {
			m.noAttention()
			m.drop("attention.key_length")
			m.drop("attention.value_length")
			inner := m.or(m.or(2, "expand")*m.embd, "intermediate_size")
			head := m.or(64, "head_dim")
			if head < 1 || inner%head != 0 {
				m.fail("key %q: want a part of %d, found %d", "head_dim", inner, head)
				return
			}
			m.mamba2(inner, inner/head, m.or(4, "conv_kernel"), m.or(128, "state_size"), m.or(1, "n_groups"))
		},
	},
	{
		arch: "granitehybrid", is: []string{"GraniteMoeHybridForCausalLM", "granitemoehybrid"}, keys: graniteHybrid, ops: with(pairs, mamba2),
		names: with(mamba("mamba."), map[string]string{
			"block_sparse_moe.router.layer": "ffn_gate_inp", "block_sparse_moe.input_linear": "gate_up_exps", "block_sparse_moe.output_linear": "ffn_down_exps",
			"shared_mlp.input_linear": "gate_up_shared", "shared_mlp.output_linear": "down_shared",
		}),
	},
	{
		arch: "lfm2", is: []string{"Lfm2ForCausalLM", "LFM2ForCausalLM", "lfm2"}, names: lfm2, ops: map[string]op{"shortconv.conv": taps},
		keys: func(m *meta) {
			m.positions(1)
			m.shortConv()
			width := m.or(0, "block_ff_dim", "intermediate_size")
			if m.flag(false, "block_auto_adjust_ff_dim") {
				width = 2 * width / 3
				if x, ok := m.float("block_ffn_dim_multiplier"); ok {
					width = int(x * float64(width))
				}
				of := max(1, m.or(1, "block_multiple_of"))
				width = (width + of - 1) / of * of
			}
			m.put("feed_forward_length", uint32(width))
		},
	},
	{
		arch: "lfm2moe", is: []string{"Lfm2MoeForCausalLM", "lfm2_moe"}, ops: map[string]op{"shortconv.conv": taps},
		names: with(lfm2, map[string]string{
			"feed_forward.gate": "ffn_gate_inp", "feed_forward.expert_bias": "exp_probs_b.bias",
			"feed_forward.experts.#.w1": "ffn_gate_exps", "feed_forward.experts.#.w3": "ffn_up_exps", "feed_forward.experts.#.w2": "ffn_down_exps",
		}),
		keys: func(m *meta) {
			m.positions(1)
			m.shortConv()
			m.count("leading_dense_block_count", "num_dense_layers")
			m.put("expert_gating_func", uint32(2))
		},
	},
	{
		arch: "qwen3next", is: []string{"Qwen3NextForCausalLM", "qwen3_next"}, ops: with(shifted, recurrent),
		names: with(sharedExperts, fusedExperts, map[string]string{
			"post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkvz": "qkvz", "linear_attn.in_proj_ba": "ssm_ba", "linear_attn.conv1d": "ssm_conv1d",
			"linear_attn.A_log": "ssm_a.", "linear_attn.dt_bias": "ssm_dt.bias", "linear_attn.norm": "ssm_norm", "linear_attn.out_proj": "ssm_out",
		}),
		keys: func(m *meta) {
			m.positions(0.25)
			m.count("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.renormalised(true)
			m.allExperts()
			m.deltaNet()
		},
	},
	{
		arch: "qwen35", is: []string{"Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration", "qwen3_5_text", "qwen3_5"}, keys: qwen35, names: qwen35Names, ops: qwen35Ops,
	},
	{
		arch: "qwen35moe", is: []string{"Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text", "qwen3_5_moe"},
		names: with(qwen35Names, sharedExperts, fusedExperts), ops: qwen35Ops,
		keys: func(m *meta) {
			qwen35(m)
			m.count("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.renormalised(true)
			m.allExperts()
		},
	},
}

// qwen35 is the keys of Qwen3.5's delta nets and RoPE.
func qwen35(m *meta) {
	m.positions(0.25)
	m.put("rope.dimension_sections", []int32{11, 11, 10, 0})
	m.sections()
	m.deltaNet()
}

// qwen35Names are those of Qwen3.5's delta nets.
var qwen35Names = map[string]string{
	"post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_b": "ssm_beta",
	"linear_attn.in_proj_a": "ssm_alpha", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.A_log": "ssm_a.", "linear_attn.dt_bias": "ssm_dt.bias", "linear_attn.norm": "ssm_norm",
	"linear_attn.out_proj": "ssm_out",
}

// qwen35Ops bring the heads of values of Qwen3.5's delta nets from the order of checkpoints, by the head of keys that they share, into that of GGUF, in which heads of keys take turns.
var qwen35Ops = with(shifted, map[string]op{
	"attn_qkv": inTurns(true, true), "attn_gate": inTurns(false, true), "ssm_beta": inTurns(false, false), "ssm_alpha": inTurns(false, false), "ssm_dt": inTurns(false, false),
	"ssm_a": then(decay, inTurns(false, false)), "ssm_conv1d": then(taps, inTurns(true, true)), "ssm_out": columnsInTurns,
})

// lfm2 are the names of LFM2, whose last norm GGUF calls that of the embedding.
var lfm2 = map[string]string{
	"embedding_norm": "token_embd_norm", "operator_norm": "attn_norm", "ffn_norm": "ffn_norm",
	"self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm", "self_attn.out_proj": "attn_output",
	"conv.conv": "shortconv.conv", "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj",
	"feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
}

// noAttention sets what models have that do not attend.
func (m *meta) noAttention() {
	m.put("context_length", uint32(1<<20)) // there is no bound
	m.put("feed_forward_length", uint32(0))
	m.put("attention.head_count", uint32(0))
	m.drop("attention.head_count_kv")
	m.put("attention.layer_norm_rms_epsilon", float32(1e-5))
	m.number("attention.layer_norm_rms_epsilon", "layer_norm_epsilon", "rms_norm_eps")
	m.drop("attention.layer_norm_epsilon")
}

// mamba2 sets what Mamba-2 has.
func (m *meta) mamba2(inner, heads, taps, state, groups int) {
	m.groups = groups
	m.put("ssm.conv_kernel", uint32(taps))
	m.put("ssm.inner_size", uint32(inner))
	m.put("ssm.state_size", uint32(state))
	m.put("ssm.time_step_rank", uint32(heads))
	m.put("ssm.group_count", uint32(groups))
}

// deltaNet sets what gated delta nets have, and which layers attend instead.
func (m *meta) deltaNet() {
	m.count("ssm.conv_kernel", "linear_conv_kernel_dim")
	m.count("ssm.state_size", "linear_key_head_dim")
	m.count("ssm.group_count", "linear_num_key_heads")
	m.count("ssm.time_step_rank", "linear_num_value_heads")
	m.put("ssm.inner_size", uint32(m.must("linear_value_head_dim")*m.must("linear_num_value_heads")))
	m.put("full_attention_interval", uint32(m.or(4, "full_attention_interval")))
}

// attending sets the heads of keys for each layer, none where it does not attend.
func (m *meta) attending(kind string) {
	types, ok := m.strings("layer_types")
	if !ok || len(types) < m.layers {
		m.fail("key %q: want a type for each of %d layers, found %d", "layer_types", m.layers, len(types))
		return
	}
	heads := make([]int32, min(m.layers, maxLayers))
	for i := range heads {
		if types[i] == kind {
			heads[i] = int32(m.headsKV)
		}
	}
	m.put("attention.head_count_kv", heads)
}

// shortConv sets what layers with short convolutions have.
func (m *meta) shortConv() {
	m.attending("full_attention")
	m.count("shortconv.l_cache", "conv_L_cache")
}

func graniteHybrid(m *meta) {
	m.positions(1)
	m.multipliers()
	m.attending("attention")
	heads := m.must("mamba_n_heads")
	m.mamba2(heads*m.must("mamba_d_head"), heads, m.or(4, "mamba_d_conv"), m.must("mamba_d_state"), m.or(1, "mamba_n_groups"))
	turns := m.string("position_embedding_type") == "rope"
	m.put("rope.scaling.finetuned", turns) // is how such files say whether there is RoPE at all
	if !turns {
		m.put("context_length", uint32(1<<20))
	}
	if m.isSet("expert_count") {
		m.count("expert_shared_feed_forward_length", "shared_intermediate_size")
	} else { // what is shared is all there is
		m.count("feed_forward_length", "shared_intermediate_size")
	}
}

// decay turns the logarithm of how fast a state is forgotten into that with its sign.
func decay(_ *meta, p place, w weight) ([]placed, error) {
	if !w.Type.IsWeight() || w.Type.Group() != 0 {
		return nil, fmt.Errorf("type %s: want numbers", w.Type)
	}
	return []placed{{p, floats(w, func(x []float32) {
		for i := range x {
			x[i] = -float32(math.Exp(float64(x[i])))
		}
	})}}, nil
}

// perHead makes a column of a vector, after what f, if not nil, does to it.
func perHead(f op) op {
	return func(m *meta, p place, w weight) ([]placed, error) {
		if len(w.Shape) != 1 {
			return nil, fmt.Errorf("shape %v: want a number for each head", w.Shape)
		}
		if f != nil {
			made, err := f(m, p, w)
			if err != nil {
				return nil, err
			}
			w = made[0].weight
		}
		return []placed{{p, weight{w.Type, []int{w.Shape[0], 1}, columns{w}}}}, nil
	}
}

// taps makes a matrix of the weights of a convolution for each channel, [channels][1][taps]; a bias stays.
func taps(_ *meta, p place, w weight) ([]placed, error) {
	if len(w.Shape) == 3 && w.Shape[1] == 1 {
		w.Shape = []int{w.Shape[0], w.Shape[2]}
	}
	return []placed{{p, w}}, nil
}

// byGroup makes a row of a norm's weights for each group of heads.
func byGroup(m *meta, p place, w weight) ([]placed, error) {
	n := m.groups
	if len(w.Shape) != 1 || n < 1 || w.Shape[0]%n != 0 {
		return nil, fmt.Errorf("shape %v: want a vector for %d groups", w.Shape, n)
	}
	tall := weight{w.Type, []int{w.Shape[0], 1}, columns{w}}
	return []placed{{p, weight{w.Type, []int{n, w.Shape[0] / n}, lines{tall, w.Shape[0] / n}}}}, nil
}

// splitDelta brings rows that are, for each head of keys of a delta net, its query, its key, its values and their gates, into the order of all queries, keys and values, and all gates apart.
func splitDelta(m *meta, p place, w weight) ([]placed, error) {
	heads, key := m.must("linear_num_key_heads"), m.must("linear_key_head_dim")
	values := m.must("linear_num_value_heads") * m.must("linear_value_head_dim")
	if len(w.Shape) != 2 || heads < 1 || key < 1 || values%heads != 0 || w.Shape[0] != 2*(heads*key+values) {
		return nil, fmt.Errorf("shape %v: want for each of %d heads a query and a key of %d, and %d values and gates in all", w.Shape, heads, key, values)
	}
	value := values / heads
	per := 2 * (key + value)
	at := func(i, n, first int) int { return i/n*per + first + i%n } // row i of those of n for each head that begin at first
	qkv := func(i int) int {
		switch all := heads * key; {
		case i < all:
			return at(i, key, 0)
		case i < 2*all:
			return at(i-all, key, key)
		default:
			return at(i-2*all, value, 2*key)
		}
	}
	return []placed{
		{p.as("attn_qkv"), rearrange(w, qkv, 2*heads*key+values)},
		{p.as("attn_gate"), rearrange(w, func(i int) int { return at(i, value, 2*key+value) }, values)},
	}, nil
}

// turns is where head i/n of values, in the order in which heads of keys take turns, stands in the order of heads of keys; of n rows, or elements, each.
func (m *meta) turns(n int) (from func(i int) int, err error) {
	keys, values := m.must("linear_num_key_heads"), m.must("linear_num_value_heads")
	if keys < 1 || values < 1 || values%keys != 0 || n < 1 {
		return nil, fmt.Errorf("%d heads of values: want the same number for each of %d heads of keys", values, keys)
	}
	each := values / keys
	return func(i int) int {
		head := i / n
		return (head%keys*each+head/keys)*n + i%n
	}, nil
}

// inTurns brings the rows of heads of values into their order: all, or behind those of queries and keys; of whole heads, or one for each head.
func inTurns(behind, whole bool) op {
	return func(m *meta, p place, w weight) ([]placed, error) {
		first, n := 0, 1
		if behind {
			first = 2 * m.must("linear_num_key_heads") * m.must("linear_key_head_dim")
		}
		if whole {
			n = m.must("linear_value_head_dim")
		}
		from, err := m.turns(n)
		if err != nil {
			return nil, err
		}
		if want := first + n*m.must("linear_num_value_heads"); len(w.Shape) > 2 || w.Shape[0] != want {
			return nil, fmt.Errorf("shape %v: want %d rows", w.Shape, want)
		}
		return []placed{{p, rearrange(w, func(i int) int {
			if i < first {
				return i
			}
			return first + from(i-first)
		}, w.Shape[0])}}, nil
	}
}

// columnsInTurns does so with the columns of a matrix.
func columnsInTurns(m *meta, p place, w weight) ([]placed, error) {
	n := m.must("linear_value_head_dim")
	from, err := m.turns(n)
	if err == nil && (len(w.Shape) != 2 || w.Shape[1] != n*m.must("linear_num_value_heads")) {
		err = fmt.Errorf("shape %v: want %d columns", w.Shape, n*m.must("linear_num_value_heads"))
	}
	if err != nil {
		return nil, err
	}
	if w.Type.BlockSize() > 1 { // blocks do not stay whole
		w = floats(w, nil)
	}
	return []placed{{p, weight{w.Type, w.Shape, dealt{w, from}}}}, nil
}

// dealt are the rows of w with element from(i) at place i.
type dealt struct {
	w    weight
	from func(i int) int
}

func (d dealt) View(int, int) []byte { return nil }

func (d dealt) Read(dst []byte, first int) {
	n, size := d.w.width(), d.w.Type.BlockBytes()
	for row := first; len(dst) > 0; row++ {
		src := fetch(d.w, row, 1)
		for i := range n {
			at := d.from(i) * size
			copy(dst[i*size:(i+1)*size], src[at:at+size])
		}
		dst = dst[n*size:]
	}
}

// then does one op after another, of which the first leaves a weight at its place.
func then(first, second op) op {
	return func(m *meta, p place, w weight) ([]placed, error) {
		made, err := first(m, p, w)
		if err != nil {
			return nil, err
		}
		return second(m, p, made[0].weight)
	}
}

// sharedExpert gives the parts of a shared expert their places, which in a model without others are those of the feed-forward block.
func sharedExpert(bases ...string) op {
	return func(m *meta, p place, w weight) ([]placed, error) {
		suffix := ""
		if m.isSet("expert_count") {
			suffix = "_shexp"
		}
		if len(bases) == 1 {
			return []placed{{p.as(bases[0] + suffix), w}}, nil
		}
		return halves(bases[0]+suffix, bases[1]+suffix)(m, p, w)
	}
}

// encoders are families that read a text whole.
var encoders = []family{
	{
		arch: "bert", is: []string{"BertModel", "BertForMaskedLM", "bert"}, act: "gelu",
		names: map[string]string{
			"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd", "embeddings.token_type_embeddings": "token_types",
			"embeddings.LayerNorm": "token_embd_norm", "embeddings.position_ids": "",
			"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
			"attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
			"intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
			// What guesses masked words and judges pairs of texts has no part in embeddings.
			"pooler.dense": "", "cls.predictions.bias": "", "cls.predictions.decoder": "", "cls.predictions.transform.dense": "", "cls.predictions.transform.LayerNorm": "",
			"cls.seq_relationship": "",
		},
		keys: func(m *meta) {
			m.put("attention.causal", false)
			m.pooling()
			m.keys = append(m.keys, gguf.KV{Key: "tokenizer.ggml.token_type_count", Value: uint32(m.or(1, "type_vocab_size"))})
		},
	},
	{
		arch: "modern-bert", is: []string{"ModernBertModel", "ModernBertForMaskedLM", "modernbert"}, act: "gelu", keys: modernBERT,
		names: map[string]string{
			"embeddings.tok_embeddings": "token_embd", "embeddings.norm": "token_embd_norm", "final_norm": "output_norm",
			"attn_norm": "attn_norm", "attn.Wqkv": "attn_qkv", "attn.Wo": "attn_output", "mlp_norm": "ffn_norm", "mlp.Wi": "ffn_up", "mlp.Wo": "ffn_down",
			"head.dense": "", "head.norm": "", "decoder": "", // these guess masked words
		},
	},
}

// modernBERT is the keys of ModernBERT, every third layer of which sees a text whole, the others a window of it.
func modernBERT(m *meta) {
	m.positions(1)
	m.put("attention.causal", false)
	m.put("rope.scaling.type", "none")
	m.number("rope.freq_base", "global_rope_theta")
	m.number("rope.freq_base_swa", "local_rope_theta")
	m.number("attention.layer_norm_epsilon", "norm_eps", "layer_norm_eps")
	m.drop("attention.layer_norm_rms_epsilon")
	m.count("attention.sliding_window", "local_attention")
	if n := m.or(3, "global_attn_every_n_layers"); n != 3 {
		m.fail("key %q: want 3, found %d: %w", "global_attn_every_n_layers", n, ErrUnsupported)
	}
	m.pooling()
}

// pooling sets how one embedding is made of those of all tokens, as sentence-transformers have it in a file of its own.
func (m *meta) pooling() {
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
		if c.flag(false, p.key) {
			m.put("pooling_type", p.kind)
		}
	}
	if *m.err == nil {
		*m.err = *c.err
	}
}
