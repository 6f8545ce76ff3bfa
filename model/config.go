package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/nn"
)

// ErrUnsupported marks files that are sound but ask for what the engine lacks.
var ErrUnsupported = fault.ErrUnsupported

// Config holds the hyper-parameters of a model, named as the field names them.
type Config struct {
	Arch string // general.architecture
	Name string // general.name, may be empty

	HasVocab bool // the file has a tokenizer

	NVocab  int // tokens
	NCtx    int // positions the model was made for
	NEmbd   int // width of the residual stream
	NLayer  int
	NHead   int // query heads
	NHeadKV int // key and value heads
	// LayerKV are those of each layer, where layers differ; nil where they do not.
	LayerKV []int
	HeadDim int
	// HeadDimV is the length of a value, which is HeadDim almost everywhere.
	HeadDimV int
	NFF      int // inner width of the feed-forward block, the largest where layers differ
	// LayerFF is the inner width in each layer, 0 in those without a feed-forward block, where
	// layers differ; nil where they do not.
	LayerFF []int

	NormEps float32
	Rope    nn.RopeConfig // without the factors, which are a tensor
	// NCtxOrig is the length of context before RoPE was stretched.
	NCtxOrig int

	Experts
	Scales
	MLA
	SSM

	// Window is how many positions the layers see that do not see all, 0 where there are none such;
	// WindowPattern lists those layers where the file does.
	Window        int
	WindowPattern []bool
	RopePattern   []bool // the layers whose heads rotate; nil for all
	// the file says that the model was not trained with positions, which Granite takes for none
	RopeUntrained bool
	RopeBaseSWA   float64 // RoPE base of those layers, 0 where it is the others'
	// layers at the end that predict further tokens and take no part in the next one's logits
	NNextN      int
	Pooling     Pooling    // how a text's embedding is made, as far as the file says
	NTokenTypes int        // sentences that tokens may belong to, in encoders
	NBuckets    int        // of distances that attention distinguishes, in T5
	HiddenAct   string     // the activation, where a file may choose
	XIELU       []nn.XIELU // of each layer, for models with that activation
	// Parallel has attention and the feed-forward block read the same stream.
	Parallel bool
}

// SSM are the hyper-parameters of recurrent layers, 0 in models without any.
type SSM struct {
	DConv  int // positions that a convolution sees
	DInner int // channels of all heads together
	DState int // numbers that a channel keeps; the length of a key in a delta net
	DTRank int // heads, or in Mamba-1 the rank of the step
	// groups of heads that share what they take in and read; heads of keys in a delta net
	NSSMGroup int
	// the layers that are recurrent, as far as the file says; nil otherwise
	RecurrentLayers []bool
}

// Experts are the hyper-parameters of layers of experts. All are 0 in a dense model.
type Experts struct {
	NExpert     int
	NExpertUsed int
	NFFExpert   int // inner width of an expert
	NFFShared   int // inner width of the shared experts together
	NLeadDense  int // layers before the first with experts
	MoEStep     int // every so many layers have experts
	// 1 softmax, 2 sigmoid, 3 softmax over the chosen; 0 where the file does not say
	ExpertGating int
	ExpertNorm   bool
	ExpertScale  float32 // multiplies the weights of experts
	NGroup       int
	NGroupUsed   int
}

// Scales are factors and bounds between the blocks. 0 means that there is none.
type Scales struct {
	EmbdScale       float32 // multiplies embeddings
	ResidualScale   float32 // multiplies what a block adds to the residual stream
	LogitScale      float32
	AttnScale       float32 // of scores, in place of 1/√HeadDim
	AttnCap         float32 // bound of scores
	LogitCap        float32
	ClampQKV        float32
	ALiBi           float32            // the largest bias of ALiBi, usually 8
	AttnOutScale    float32            // of scores before their bound, in Grok
	ValueScale      float32            // multiplies what attention adds
	AttnTemperature nn.AttnTemperature // of queries
}

// Pooling is how an embedding is made of the hidden states of a text.
type Pooling int

// The poolings, numbered as in files.
const (
	PoolNone Pooling = iota // the file does not say, or says none
	PoolMean
	PoolFirst
	PoolLast
	poolRank // which makes no embedding
)

// MLA are the hyper-parameters of latent attention (DeepSeek-V2, arXiv:2405.04434), 0 elsewhere.
type MLA struct {
	// widths of the compressed queries, and of keys and values; NLoraQ is 0 where queries are not
	// compressed
	NLoraQ, NLoraKV int
	// YarnLogMul is what the reference calls the log multiplier of YaRN: a tenth of the paper's
	// mscale.
	YarnLogMul float64
}

// IsSWA reports whether layer i sees a window only: as the file says, or else all but the last of
// every period layers, where the model has a window at all.
func (c Config) IsSWA(i, period int) bool {
	switch {
	case c.Window == 0:
		return false
	case c.WindowPattern != nil:
		return c.WindowPattern[i]
	}
	return i%period < period-1
}

// IsRecurrent reports whether layer i is, as far as the file says.
func (c Config) IsRecurrent(i int) bool { return c.RecurrentLayers != nil && c.RecurrentLayers[i] }

// HasRope reports whether the heads of layer i have positions, as far as the file says.
func (c Config) HasRope(i int) bool { return c.RopePattern == nil || c.RopePattern[i] }

// HasExperts reports whether layer i has experts.
func (c Config) HasExperts(i int) bool {
	return c.NExpert > 0 && i >= c.NLeadDense && (i+1)%max(1, c.MoEStep) == 0
}

// Bounds on what a file may claim, far above any model. They keep products of two dimensions within
// an int.
const (
	maxDim   = 1 << 24
	maxLayer = 1 << 16
)

// Metadata is a file's key-value store.
type Metadata interface {
	// Uint returns the number under key; ok is false where the key is absent, err says that it
	// holds something else.
	Uint(key string) (v uint64, ok bool, err error)
	Float(key string) (v float64, ok bool, err error)
	// Floats returns an array of numbers, or a single number as an array of one.
	Floats(key string) (v []float64, ok bool, err error)
	Text(key string) (v string, ok bool, err error)
	// Uints returns an array of numbers, or a single number as an array of one; flags count as 0
	// and 1.
	Uints(key string) (v []uint64, ok bool, err error)
	// Len returns the length of an array of strings.
	Len(key string) (n int, ok bool, err error)
}

// ReadConfig reads the hyper-parameters that architectures with attention share.
func ReadConfig(m Metadata) (Config, error) {
	r := reader{m: m}
	c := Config{Arch: r.text("general.architecture", ""), Name: r.text("general.name", "")}
	if r.err == nil && c.Arch == "" {
		if _, ok, _ := m.Text("general.architecture"); ok {
			return c, errors.New(`key "general.architecture": want a name, found ""`)
		}
		return c, errors.New("no key general.architecture")
	}
	r.prefix = c.Arch + "."
	c.NLayer = r.dim("block_count", 1, maxLayer, 0)
	c.NEmbd = r.dim("embedding_length", 1, maxDim, 0)
	c.NCtx = r.dim("context_length", 1, math.MaxInt32, 0)
	c.SSM = r.ssm(c.NLayer)
	// Mamba has no attention, and no feed-forward block either
	if c.DState == 0 || !r.none("attention.head_count") {
		c.NHead = r.perLayer("attention.head_count", c.NLayer, 0)
		c.NHeadKV = r.headsKV(&c)
		c.NFF, c.LayerFF = r.feedForward(c.NLayer)
	}
	eps := "attention.layer_norm_rms_epsilon"
	if !r.has(eps) && r.has("attention.layer_norm_epsilon") {
		eps = "attention.layer_norm_epsilon"
	}
	c.NormEps = float32(r.float(eps, -1, "a number from 0 to 1", func(v float64) bool { return v >= 0 && v <= 1 }))
	c.Experts = r.experts(&c)
	c.MoEStep = max(c.MoEStep, r.count("moe_every_n_layers"))
	c.Scales = r.scales()
	c.NLoraQ, c.NLoraKV = r.count("attention.q_lora_rank"), r.count("attention.kv_lora_rank")
	c.Window, c.WindowPattern = r.window(c.NLayer)
	c.RopePattern = r.pattern("attention.rope_pattern", c.NLayer)
	c.RopeUntrained = r.has("rope.scaling.finetuned") && !r.flag("rope.scaling.finetuned")
	c.RopeBaseSWA = r.factor("rope.freq_base_swa")
	c.NNextN = r.count("nextn_predict_layers")
	c.Parallel = r.flag("use_parallel_residual")
	c.XIELU = r.xielu(c.NLayer)
	// rankers, and what has not been named yet
	if c.Pooling = Pooling(r.count("pooling_type")); c.Pooling >= poolRank {
		c.Pooling = PoolNone
	}
	c.NBuckets = r.count("attention.relative_buckets_count")
	c.HiddenAct = r.text(r.prefix+"hidden_activation", "")
	if r.err != nil {
		return c, r.err
	}
	var err error
	if c.NVocab, c.HasVocab, err = m.Len(vocabPrefix + "tokens"); err != nil {
		r.keepErr(err)
	} else if !c.HasVocab {
		c.NVocab = r.dim("vocab_size", 1, maxDim, 0)
	}
	c.NTokenTypes = r.tokenTypes()
	if c.NHead > 0 {
		r.headDims(&c)
	}
	switch {
	case r.err != nil:
		return c, r.err
	case c.NVocab < 1 || c.NVocab > maxDim:
		return c, fmt.Errorf("want 1 to %d tokens, found %d", maxDim, c.NVocab)
	case c.NHead > 0 && c.NHead%c.NHeadKV != 0:
		return c, fmt.Errorf("want %d query heads in whole groups per key head, found %d key heads", c.NHead, c.NHeadKV)
	case c.NExpertUsed > c.NExpert || (c.NExpert > 0 && c.NExpertUsed == 0):
		return c, fmt.Errorf("%d of %d experts used per token: want 1 to all", c.NExpertUsed, c.NExpert)
	case c.NNextN >= c.NLayer:
		return c, fmt.Errorf("%d of %d layers predict further tokens: want fewer than all", c.NNextN, c.NLayer)
	case int64(c.NHead)*int64(max(c.HeadDim, c.HeadDimV)) > maxDim || int64(max(1, c.NExpert))*int64(c.NFFExpert) > math.MaxInt32:
		return c, fmt.Errorf("%d heads of %d and %d, %d experts of %d: beyond any model", c.NHead, c.HeadDim, c.HeadDimV, c.NExpert, c.NFFExpert)
	}
	c.NLayer -= c.NNextN
	if c.NHead > 0 {
		c.Rope = r.rope(&c)
	}
	if c.AttnTemperature.Scale != 0 {
		c.AttnTemperature.Length = c.NCtxOrig
	}
	return c, r.err
}

// tokenTypes reads how many kinds of tokens there are, such as those of the first and the second
// text of a pair; 0 if the file does not say.
func (r *reader) tokenTypes() int {
	const key = vocabPrefix + "token_type_count"
	types, _, err := r.m.Uint(key)
	if err != nil {
		r.keepErr(err)
	} else if types > maxDim {
		r.fail("key %s: want at most %d, found %d", quoted(key), maxDim, types)
		return 0
	}
	return int(types)
}

// headDims reads the lengths of heads.
func (r *reader) headDims(c *Config) {
	if c.NEmbd < c.NHead {
		c.HeadDim = r.dim("attention.key_length", 1, maxDim, 0)
	} else {
		c.HeadDim = r.dim("attention.key_length", 1, maxDim, c.NEmbd/c.NHead)
	}
	c.HeadDimV = r.dim("attention.value_length", 1, maxDim, c.HeadDim)
	if c.NLoraKV > 0 { // files of the newer layout give the lengths of what is cached first
		c.HeadDim = r.dim("attention.key_length_mla", 1, maxDim, c.HeadDim)
		c.HeadDimV = r.dim("attention.value_length_mla", 1, maxDim, c.HeadDimV)
		c.NHeadKV = 1
	}
}

// ssm reads what recurrent layers are like, and which layers they are where a key says so.
func (r *reader) ssm(layers int) SSM {
	c := SSM{
		DConv: r.count("ssm.conv_kernel"), DInner: r.count("ssm.inner_size"), DState: r.count("ssm.state_size"),
		DTRank: r.count("ssm.time_step_rank"), NSSMGroup: r.count("ssm.group_count"),
		RecurrentLayers: r.pattern("attention.recurrent_layers", layers),
	}
	if c.DConv == 0 {
		c.DConv = r.count("shortconv.l_cache")
	}
	if n := r.count("full_attention_interval"); n > 0 && c.RecurrentLayers == nil && r.err == nil {
		c.RecurrentLayers = make([]bool, layers)
		for i := range c.RecurrentLayers {
			c.RecurrentLayers[i] = (i+1)%n != 0
		}
	}
	return c
}

// headsKV reads the heads of keys and values. Where a model has recurrent layers too, those are the
// layers without any.
func (r *reader) headsKV(c *Config) int {
	const key = "attention.head_count_kv"
	vs, _, err := r.m.Uints(r.prefix + key)
	if err != nil || len(vs) < c.NLayer || !slices.Contains(vs, 0) || c.DConv == 0 {
		if err == nil && len(vs) > 1 && len(vs) >= c.NLayer && slices.Min(vs) > 0 && slices.Max(vs) != slices.Min(vs) {
			c.LayerKV = r.layerKV(key, c, vs)
			return int(vs[0])
		}
		return r.perLayer(key, c.NLayer, c.NHead)
	}
	c.RecurrentLayers = make([]bool, c.NLayer)
	for i := range c.RecurrentLayers {
		c.RecurrentLayers[i] = vs[i] == 0
	}
	return r.same(key, slices.DeleteFunc(vs, func(v uint64) bool { return v == 0 }))
}

// feedForward reads the inner width of the feed-forward blocks: one for all layers, or the largest
// and one for each.
func (r *reader) feedForward(layers int) (width int, each []int) {
	const key = "feed_forward_length"
	vs, _, err := r.m.Uints(r.prefix + key)
	if err != nil || len(vs) < max(2, layers) || slices.Min(vs) == slices.Max(vs) {
		return r.perLayer(key, layers, 0), nil
	}
	if slices.Max(vs) > maxDim {
		r.fail("key %s: want at most %d, found %d", r.key(key), maxDim, slices.Max(vs))
		return 0, nil
	}
	each = make([]int, layers)
	for i := range each {
		each[i] = int(vs[i])
	}
	return slices.Max(each), each
}

// layerKV are numbers of heads that layers share, which differ from layer to layer.
func (r *reader) layerKV(key string, c *Config, vs []uint64) []int {
	heads := make([]int, c.NLayer)
	for i := range heads {
		if vs[i] > uint64(c.NHead) || c.NHead%int(vs[i]) != 0 {
			r.fail("key %s: want %d query heads in whole groups per key head, found %d key heads in layer %d", r.key(key), c.NHead, vs[i], i)
			return nil
		}
		heads[i] = int(vs[i])
	}
	return heads
}

func (r *reader) experts(c *Config) Experts {
	e := Experts{
		NExpert: r.count("expert_count"), NExpertUsed: r.count("expert_used_count"),
		NLeadDense: r.count("leading_dense_block_count"), MoEStep: r.count("interleave_moe_layer_step"),
		ExpertGating: r.count("expert_gating_func"),
		ExpertNorm:   r.flag("expert_weights_norm"),
		ExpertScale:  float32(r.factor("expert_weights_scale")),
		NGroup:       r.count("expert_group_count"), NGroupUsed: r.count("expert_group_used_count"),
	}
	e.NFFExpert = r.dim("expert_feed_forward_length", 1, maxDim, max(1, c.NFF))
	shared := r.count("expert_shared_count")
	if r.err == nil && int64(shared)*int64(e.NFFExpert) > maxDim {
		r.fail("%d shared experts of %d: beyond any model", shared, e.NFFExpert)
	}
	if e.NFFShared = r.count("expert_shared_feed_forward_length"); e.NFFShared == 0 {
		e.NFFShared = shared * e.NFFExpert
	}
	if e.NGroup <= 1 {
		e.NGroup, e.NGroupUsed = 0, 0
	}
	return e
}

func (r *reader) scales() Scales {
	f := func(key string) float32 { return float32(r.factor(key)) }
	return Scales{
		EmbdScale: f("embedding_scale"), ResidualScale: f("residual_scale"), LogitScale: f("logit_scale"),
		AttnScale: f("attention.scale"), AttnCap: f("attn_logit_softcapping"), LogitCap: f("final_logit_softcapping"),
		ClampQKV: f("attention.clamp_kqv"), ALiBi: f("attention.max_alibi_bias"), ValueScale: f("attention.value_scale"),
		AttnOutScale:    f("attention.output_scale"),
		AttnTemperature: nn.AttnTemperature{Scale: r.factor("attention.temperature_scale")},
	}
}

// xielu reads the parameters of each layer's activation, whose keys have no prefix. What the file
// holds of the two factors goes through a softplus.
func (r *reader) xielu(layers int) []nn.XIELU {
	if _, ok, err := r.m.Floats("xielu.alpha_p"); !ok && err == nil {
		return nil
	}
	p, n, beta, eps := r.floats("xielu.alpha_p", layers), r.floats("xielu.alpha_n", layers), r.floats("xielu.beta", layers), r.floats("xielu.eps", layers)
	if r.err != nil {
		return nil
	}
	softplus := func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
	xs := make([]nn.XIELU, layers)
	for i := range xs {
		xs[i] = nn.XIELU{Positive: float32(softplus(p[i])), Negative: float32(beta[i] + softplus(n[i])), Beta: float32(beta[i]), Eps: float32(eps[i])}
	}
	return xs
}

// floats reads a finite number for each layer, or one for all, under the full key.
func (r *reader) floats(key string, layers int) []float64 {
	vs, ok, err := r.m.Floats(key)
	r.keepErr(err)
	switch {
	case err != nil:
		return nil
	case !ok || len(vs) != 1 && len(vs) < layers:
		r.fail("key %s: want a number, or one for each of %d layers, found %d", quoted(key), layers, len(vs))
		return nil
	case len(vs) == 1:
		vs = slices.Repeat(vs, layers)
	}
	for _, v := range vs[:layers] {
		if math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
			r.fail("key %s: want finite numbers, found %v", quoted(key), v)
		}
	}
	return vs[:layers]
}

// window reads the sliding window and which layers have it: a flag for each, or the number of
// layers of which the last sees everything.
func (r *reader) window(layers int) (int, []bool) {
	window := max(0, r.dim("attention.sliding_window", 0, math.MaxInt32, -1))
	key := "attention.sliding_window_pattern"
	vs, ok, err := r.m.Uints(r.prefix + key)
	r.keepErr(err)
	if err != nil || !ok {
		return window, nil
	}
	if len(vs) != 1 || layers == 1 {
		return window, r.pattern(key, layers)
	}
	pattern := make([]bool, layers)
	for i := range pattern {
		pattern[i] = vs[0] == 0 || uint64(i)%vs[0] < vs[0]-1
	}
	return window, pattern
}

// pattern reads a flag for each layer, nil where there are none.
func (r *reader) pattern(key string, layers int) []bool {
	vs, ok, err := r.m.Uints(r.prefix + key)
	r.keepErr(err)
	switch {
	case err != nil || !ok:
		return nil
	case len(vs) < layers:
		r.fail("key %s: want a flag for each of %d layers, found %d", r.key(key), layers, len(vs))
		return nil
	}
	pattern := make([]bool, layers)
	for i := range pattern {
		pattern[i] = vs[i] != 0
	}
	return pattern
}

// rope reads the position embedding and its scaling.
func (r *reader) rope(c *Config) nn.RopeConfig {
	o := nn.RopeConfig{
		HeadDim: c.HeadDim,
		Dim:     r.dim("rope.dimension_count", 0, uint64(c.HeadDim), c.HeadDim),
		Base:    r.positive("rope.freq_base", 10000),
	}
	if o.Dim%2 != 0 {
		r.fail("key %s: want an even number of rotated elements, found %d", r.key("rope.dimension_count"), o.Dim)
	}
	factor := r.factor("rope.scaling.factor")
	if factor == 0 {
		factor = r.factor("rope.scale_linear") // the key's name before 2023-09
	}
	if factor == 0 {
		factor = 1
	}
	o.Magnitude = r.positive("rope.scaling.attn_factor", 1)
	c.NCtxOrig = r.dim("rope.scaling.original_context_length", 1, math.MaxInt32, c.NCtx)
	switch kind := r.text(r.prefix+"rope.scaling.type", "linear"); kind {
	case "none":
	case "linear", "longrope":
		o.Factor = factor
	case "yarn":
		o.Factor = factor
		o.Yarn = &nn.Yarn{
			OrigCtx:  c.NCtxOrig,
			BetaFast: r.positive("rope.scaling.yarn_beta_fast", 32),
			BetaSlow: r.positive("rope.scaling.yarn_beta_slow", 1),
			Ext:      r.float("rope.scaling.yarn_ext_factor", 1, "a number from 0 to 1", func(v float64) bool { return v >= 0 && v <= 1 }),
		}
		// Section 3.4 of the paper: queries and keys grow with the logarithm of the factor. The log
		// multiplier of later models divides it out again; those with latent attention have the
		// scores grow instead.
		grow := func(m float64) float64 {
			if factor <= 1 {
				return 1
			}
			return 1 + 0.1*m*math.Log(factor)
		}
		c.YarnLogMul = r.factor("rope.scaling.yarn_log_multiplier")
		switch {
		case c.YarnLogMul == 0:
			o.Magnitude *= grow(1)
		case c.NLoraKV == 0:
			o.Magnitude *= grow(1) / grow(c.YarnLogMul)
		}
	default:
		r.failUnsupported("key %s: %.60q, supported are none, linear, yarn, longrope", r.key("rope.scaling.type"), kind)
	}
	return o
}

// reader reads keys below a prefix; the first fault sticks.
type reader struct {
	m      Metadata
	prefix string
	err    error
}

func (r *reader) fail(format string, args ...any) {
	r.keepErr(fmt.Errorf(format, args...))
}

func (r *reader) failUnsupported(format string, args ...any) {
	r.fail(format+": %w", append(args, ErrUnsupported)...)
}

func (r *reader) keepErr(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// key is a key's full name for a message.
func (r *reader) key(key string) string { return quoted(r.prefix + key) }

// quoted is a name from a file for a message: on one line, and not long.
func quoted(name string) string {
	if len(name) > 80 {
		name = name[:77] + "..."
	}
	return strconv.Quote(name)
}

// dim reads a number between lo and hi. Where the key is absent the result is def; a def of 0 makes
// the key required.
func (r *reader) dim(key string, lo, hi uint64, def int) int {
	v, ok, err := r.m.Uint(r.prefix + key)
	r.keepErr(err)
	switch {
	case err != nil:
	case !ok && def == 0:
		r.fail("no key %s", r.key(key))
	case !ok:
		return def
	case v < lo || v > hi:
		r.fail("key %s: want %d to %d, found %d", r.key(key), lo, hi, v)
	default:
		return int(v)
	}
	return 0
}

// count reads a number that is 0 where the key is absent.
func (r *reader) count(key string) int { return max(0, r.dim(key, 0, maxDim, -1)) }

// none reports whether a key is absent or 0.
func (r *reader) none(key string) bool {
	vs, _, err := r.m.Uints(r.prefix + key)
	return err == nil && (len(vs) == 0 || len(vs) == 1 && vs[0] == 0)
}

// has reports whether there is such a key.
func (r *reader) has(key string) bool {
	_, ok, err := r.m.Uints(r.prefix + key)
	return ok || err != nil
}

// flag reads a truth, false where the key is absent.
func (r *reader) flag(key string) bool {
	vs, ok, err := r.m.Uints(r.prefix + key)
	r.keepErr(err)
	return ok && len(vs) == 1 && vs[0] != 0
}

// perLayer reads a number that may also be given for every layer; all must be equal.
func (r *reader) perLayer(key string, layers, def int) int {
	vs, ok, err := r.m.Uints(r.prefix + key)
	r.keepErr(err)
	switch {
	case err != nil || r.err != nil:
		return 0
	case !ok && def == 0:
		r.fail("no key %s", r.key(key))
		return 0
	case !ok:
		return def
	case len(vs) != 1 && len(vs) < layers || len(vs) == 0:
		r.fail("key %s: want a number for each of %d layers, found %d", r.key(key), layers, len(vs))
		return 0
	}
	return r.same(key, vs)
}

// same is the number that is given for all layers.
func (r *reader) same(key string, vs []uint64) int {
	for _, v := range vs {
		if v != vs[0] {
			r.failUnsupported("key %s: layers of different widths (%d and %d)", r.key(key), vs[0], v)
			return 0
		}
	}
	switch {
	case len(vs) == 0:
		r.fail("key %s: want a layer that has some", r.key(key))
	case vs[0] < 1 || vs[0] > maxDim:
		r.fail("key %s: want 1 to %d, found %d", r.key(key), maxDim, vs[0])
	default:
		return int(vs[0])
	}
	return 0
}

// float reads a number that is within bounds, which want describes. Where the key is absent the
// result is def; a def of -1 makes the key required.
func (r *reader) float(key string, def float64, want string, within func(float64) bool) float64 {
	v, ok, err := r.m.Float(r.prefix + key)
	r.keepErr(err)
	switch {
	case err != nil:
	case !ok && def == -1:
		r.fail("no key %s", r.key(key))
	case ok && !within(v):
		r.fail("key %s: want %s, found %v", r.key(key), want, v)
	case ok:
		return v
	}
	return def
}

// positive reads a number above 0 that single precision can hold.
func (r *reader) positive(key string, def float64) float64 {
	return r.float(key, def, "a positive number", func(v float64) bool { return v > 0 && v <= math.MaxFloat32 })
}

// factor reads a number above 0, or 0 for none, which an absent key also means.
func (r *reader) factor(key string) float64 {
	return r.float(key, 0, "a positive number, or 0 for none", func(v float64) bool { return v >= 0 && v <= math.MaxFloat32 })
}

// text reads a string under the full key.
func (r *reader) text(key, def string) string {
	v, ok, err := r.m.Text(key)
	r.keepErr(err)
	if ok && err == nil {
		return v
	}
	return def
}
