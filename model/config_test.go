package model

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/nn"
)

// file makes a file in memory of metadata alone; a nil value leaves a key out.
func file(t testing.TB, sets ...map[string]any) *gguf.File {
	all := map[string]any{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	w := gguf.NewWriter()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] != nil {
			require.NoError(t, w.Set(key, all[key]))
		}
	}
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	require.NoError(t, err)
	f, err := gguf.OpenBytes("x.gguf", b.Bytes())
	require.NoError(t, err)
	return f
}

var small = map[string]any{
	"general.architecture":                   "llama",
	"general.name":                           "small",
	"llama.block_count":                      uint32(2),
	"llama.embedding_length":                 uint32(64),
	"llama.context_length":                   uint32(512),
	"llama.attention.head_count":             uint32(4),
	"llama.feed_forward_length":              uint32(80),
	"llama.attention.layer_norm_rms_epsilon": float32(1e-5),
	"llama.vocab_size":                       uint32(100),
}

func TestConfigDefaults(t *testing.T) {
	c, err := ReadConfig(GGUF(file(t, small)))
	require.NoError(t, err)
	require.Equal(t, Config{
		Arch: "llama", Name: "small", NVocab: 100, NCtx: 512, NEmbd: 64, NLayer: 2, NHead: 4, NHeadKV: 4, HeadDim: 16, HeadDimV: 16, NFF: 80, NormEps: 1e-5, NCtxOrig: 512,
		Experts: Experts{NFFExpert: 80},
		Rope:    nn.RopeConfig{HeadDim: 16, Dim: 16, Base: 10000, Factor: 1, Magnitude: 1},
	}, c)
}

func TestConfig(t *testing.T) {
	type set = map[string]any
	for name, c := range map[string]struct {
		set   set
		check func(c Config) bool
	}{
		"any integer kind": {set{"llama.block_count": int8(3), "llama.context_length": uint64(1 << 20), "llama.attention.head_count": int64(8)}, func(c Config) bool {
			return c.NLayer == 3 && c.NCtx == 1<<20 && c.NHead == 8 && c.HeadDim == 8
		}},
		"a number per layer": {set{"llama.attention.head_count": []uint32{4, 4}, "llama.attention.head_count_kv": []int32{2, 2}, "llama.feed_forward_length": []uint16{96, 96}}, func(c Config) bool {
			return c.NHead == 4 && c.NHeadKV == 2 && c.NFF == 96
		}},
		"key heads by layer": {set{"llama.attention.head_count_kv": []uint32{4, 2}}, func(c Config) bool { return c.NHeadKV == 4 && slices.Equal(c.LayerKV, []int{4, 2}) }},
		"a list of one":      {set{"llama.attention.head_count": []uint32{4}}, func(c Config) bool { return c.NHead == 4 }},
		"length of keys":     {set{"llama.attention.key_length": uint32(32), "llama.attention.value_length": uint32(32)}, func(c Config) bool { return c.HeadDim == 32 && c.Rope.HeadDim == 32 }},
		"heads beyond":       {set{"llama.attention.head_count": uint32(128), "llama.attention.key_length": uint32(8)}, func(c Config) bool { return c.HeadDim == 8 }},
		"experts":            {set{"llama.expert_count": uint32(8), "llama.expert_used_count": uint32(2)}, func(c Config) bool { return c.NExpert == 8 && c.NExpertUsed == 2 }},
		"no experts":         {set{"llama.expert_count": uint32(0), "llama.expert_used_count": uint32(0)}, func(c Config) bool { return c.NExpert == 0 }},
		"no name":            {set{"general.name": nil}, func(c Config) bool { return c.Name == "" }},
		"tokens":             {set{"tokenizer.ggml.tokens": []string{"a", "b"}}, func(c Config) bool { return c.HasVocab && c.NVocab == 2 }},
		"tokens alone":       {set{"tokenizer.ggml.tokens": []string{"a"}, "llama.vocab_size": nil}, func(c Config) bool { return c.HasVocab && c.NVocab == 1 }},
		"longest context":    {set{"llama.context_length": uint32(math.MaxInt32)}, func(c Config) bool { return c.NCtx == math.MaxInt32 }},
		"no epsilon":         {set{"llama.attention.layer_norm_rms_epsilon": float64(0)}, func(c Config) bool { return c.NormEps == 0 }},
		"part of the head":   {set{"llama.rope.dimension_count": uint32(8)}, func(c Config) bool { return c.Rope.Dim == 8 }},
		"nothing rotates":    {set{"llama.rope.dimension_count": uint32(0)}, func(c Config) bool { return c.Rope.Dim == 0 }},
		"base":               {set{"llama.rope.freq_base": float32(500000)}, func(c Config) bool { return c.Rope.Base == 500000 }},
		"whole base":         {set{"llama.rope.freq_base": uint32(1e6)}, func(c Config) bool { return c.Rope.Base == 1e6 }},
		"scaling of old":     {set{"llama.rope.scale_linear": float32(4)}, func(c Config) bool { return c.Rope.Factor == 4 && c.Rope.Yarn == nil }},
		"scaling in two":     {set{"llama.rope.scale_linear": float32(4), "llama.rope.scaling.factor": float32(2)}, func(c Config) bool { return c.Rope.Factor == 2 }},
		"factor of 0":        {set{"llama.rope.scaling.factor": float32(0)}, func(c Config) bool { return c.Rope.Factor == 1 }},
		"values other":       {set{"llama.attention.value_length": uint32(8)}, func(c Config) bool { return c.HeadDim == 16 && c.HeadDimV == 8 }},
		"latent, old":        {set{"llama.attention.key_length": uint32(24), "llama.attention.kv_lora_rank": uint32(32)}, func(c Config) bool { return c.HeadDim == 24 && c.NHeadKV == 1 }},
		"latent, new":        {set{"llama.attention.key_length": uint32(40), "llama.attention.key_length_mla": uint32(24), "llama.attention.kv_lora_rank": uint32(32)}, func(c Config) bool { return c.HeadDim == 24 }},
		"shared experts":     {set{"llama.expert_shared_count": uint32(2), "llama.expert_feed_forward_length": uint32(16)}, func(c Config) bool { return c.NFFShared == 32 && c.NFFExpert == 16 }},
		"window pattern":     {set{"llama.attention.sliding_window": uint32(8), "llama.attention.sliding_window_pattern": []bool{true, false}}, func(c Config) bool { return c.Window == 8 && c.WindowPattern[0] && !c.WindowPattern[1] }},
		"every second":       {set{"llama.attention.sliding_window_pattern": uint32(2)}, func(c Config) bool { return c.WindowPattern[0] && !c.WindowPattern[1] }},
		"next tokens":        {set{"llama.nextn_predict_layers": uint32(1)}, func(c Config) bool { return c.NLayer == 1 && c.NNextN == 1 }},
		"epsilon of Layer":   {set{"llama.attention.layer_norm_rms_epsilon": nil, "llama.attention.layer_norm_epsilon": float32(0.5)}, func(c Config) bool { return c.NormEps == 0.5 }},
		"tempered": {set{"llama.attention.temperature_scale": float32(0.5), "llama.rope.scaling.original_context_length": uint32(64)}, func(c Config) bool {
			return c.AttnTemperature == nn.AttnTemperature{Scale: 0.5, Length: 64}
		}},
		"layers that turn": {set{"llama.attention.rope_pattern": []bool{true, false}}, func(c Config) bool { return c.HasRope(0) && !c.HasRope(1) }},
		"xIELU": {set{"xielu.alpha_p": float32(0), "xielu.alpha_n": []float32{0, 1}, "xielu.beta": float32(0.5), "xielu.eps": float32(-1e-6)}, func(c Config) bool {
			x := c.XIELU
			return near(float64(x[0].Positive), float64(float32(math.Ln2))) && x[0].Negative == x[1].Positive+0.5 && x[1].Negative > 1.8 && x[1].Beta == 0.5
		}},
		"linear":    {set{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(8)}, func(c Config) bool { return c.Rope.Factor == 8 && c.Rope.Magnitude == 1 }},
		"none":      {set{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": float32(8)}, func(c Config) bool { return c.Rope.Factor == 0 && c.Rope.Yarn == nil }},
		"magnitude": {set{"llama.rope.scaling.attn_factor": float64(1.5)}, func(c Config) bool { return c.Rope.Magnitude == 1.5 }},
		"yarn": {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.original_context_length": uint32(128)}, func(c Config) bool {
			return *c.Rope.Yarn == nn.Yarn{OrigCtx: 128, BetaFast: 32, BetaSlow: 1, Ext: 1} && c.Rope.Factor == 4 && near(c.Rope.Magnitude, 1+0.1*math.Log(4))
		}},
		"yarn, own numbers": {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.yarn_beta_fast": float32(16),
			"llama.rope.scaling.yarn_beta_slow": float32(2), "llama.rope.scaling.yarn_ext_factor": float32(0.5), "llama.rope.scaling.attn_factor": float32(2)}, func(c Config) bool {
			return *c.Rope.Yarn == nn.Yarn{OrigCtx: 512, BetaFast: 16, BetaSlow: 2, Ext: 0.5} && near(c.Rope.Magnitude, 2+0.2*math.Log(4))
		}},
		"yarn, multiplier": {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.yarn_log_multiplier": float32(0.5)}, func(c Config) bool {
			return near(c.Rope.Magnitude, (1+0.1*math.Log(4))/(1+0.05*math.Log(4)))
		}},
		"yarn without growth": {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(0.5), "llama.rope.scaling.yarn_log_multiplier": float32(1)}, func(c Config) bool {
			return c.Rope.Magnitude == 1 && c.Rope.Factor == 0.5
		}},
	} {
		c0, err := ReadConfig(GGUF(file(t, small, c.set)))
		require.NoError(t, err, name)
		require.True(t, c.check(c0), "%s: %+v", name, c0)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestConfigFaults(t *testing.T) {
	type set = map[string]any
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ugly := strings.Repeat("a\n", 1000)
	for name, c := range map[string]struct {
		set  set
		want string
	}{
		"no architecture":     {set{"general.architecture": nil}, "no key general.architecture"},
		"architecture empty":  {set{"general.architecture": ""}, `key "general.architecture": want a name, found ""`},
		"architecture number": {set{"general.architecture": uint32(7)}, `key "general.architecture": want a string, found uint32 7`},
		"architecture ugly":   {set{"general.architecture": ugly}, `a...`},
		"name is a list":      {set{"general.name": []string{"a"}}, `key "general.name": want a string, found an array of 1 strings`},
		"blocks missing":      {set{"llama.block_count": nil}, `no key "llama.block_count"`},
		"blocks 0":            {set{"llama.block_count": uint32(0)}, `key "llama.block_count": want 1 to 65536, found 0`},
		"blocks 2^32-1":       {set{"llama.block_count": uint32(math.MaxUint32)}, "found 4294967295"},
		"blocks -1":           {set{"llama.block_count": int32(-1)}, `want a whole number that is not negative, found int32 -1`},
		"blocks as float":     {set{"llama.block_count": float32(2)}, "want a whole number that is not negative, found float32 2"},
		"blocks as text":      {set{"llama.block_count": "2\n"}, `want a whole number that is not negative, found the string "2\n"`},
		"blocks as list":      {set{"llama.block_count": []uint32{2}}, "found an array of 1 uint32s"},
		"width missing":       {set{"llama.embedding_length": nil}, `no key "llama.embedding_length"`},
		"width 0":             {set{"llama.embedding_length": uint32(0)}, "want 1 to 16777216, found 0"},
		"width 2^31":          {set{"llama.embedding_length": uint32(1 << 31)}, "found 2147483648"},
		"context missing":     {set{"llama.context_length": nil}, `no key "llama.context_length"`},
		"context 0":           {set{"llama.context_length": uint32(0)}, `key "llama.context_length": want 1 to 2147483647, found 0`},
		"context 2^31":        {set{"llama.context_length": uint32(1 << 31)}, "found 2147483648"},
		"context 2^63":        {set{"llama.context_length": uint64(1 << 63)}, "found 9223372036854775808"},
		"heads missing":       {set{"llama.attention.head_count": nil}, `no key "llama.attention.head_count"`},
		"heads 0":             {set{"llama.attention.head_count": uint32(0)}, `key "llama.attention.head_count": want 1 to 16777216, found 0`},
		"heads none":          {set{"llama.attention.head_count": []uint32{}}, "want a number for each of 2 layers, found 0"},
		"heads of one layer":  {set{"llama.block_count": uint32(3), "llama.attention.head_count": []uint32{4, 4}}, "want a number for each of 3 layers, found 2"},
		"heads differ":        {set{"llama.attention.head_count": []uint32{4, 2}}, "layers of different widths (4 and 2)"},
		"key heads differ":    {set{"llama.attention.head_count_kv": []uint32{4, 3}}, "found 3 key heads in layer 1"},
		"key heads 2^40":      {set{"llama.attention.head_count_kv": []uint64{4, 1 << 40}}, "found 1099511627776 key heads in layer 1"},
		"key heads none":      {set{"llama.attention.head_count_kv": []uint32{4, 0}}, "layers of different widths (4 and 0)"},
		"heads negative":      {set{"llama.attention.head_count": []int32{-4, -4}}, "whole numbers that are not negative"},
		"heads as text":       {set{"llama.attention.head_count": []string{"4"}}, "found an array of 1 strings"},
		"heads a million":     {set{"llama.attention.head_count": make([]uint8, 1<<20)}, "want at most 65536 numbers, found an array of 1048576 uint8s"},
		"kv heads 0":          {set{"llama.attention.head_count_kv": uint32(0)}, `key "llama.attention.head_count_kv": want 1 to`},
		"kv heads 3":          {set{"llama.attention.head_count_kv": uint32(3)}, "want 4 query heads in whole groups per key head, found 3 key heads"},
		"kv heads 8":          {set{"llama.attention.head_count_kv": uint32(8)}, "found 8 key heads"},
		"too many heads":      {set{"llama.attention.head_count": uint32(65)}, `no key "llama.attention.key_length"`},
		"heads too long":      {set{"llama.attention.key_length": uint32(1 << 23)}, "4 heads of 8388608 and 8388608, 0 experts of 80: beyond any model"},
		"pattern too short":   {set{"llama.block_count": uint32(3), "llama.attention.sliding_window_pattern": []bool{true, false}}, "want a flag for each of 3 layers, found 2"},
		"turns too short":     {set{"llama.attention.rope_pattern": []bool{true}}, "want a flag for each of 2 layers, found 1"},
		"xIELU in part":       {set{"xielu.alpha_p": float32(0)}, `key "xielu.alpha_n": want a number, or one for each of 2 layers, found 0`},
		"xIELU of one layer":  {set{"xielu.alpha_p": []float32{}}, `key "xielu.alpha_p": want a number, or one for each of 2 layers, found 0`},
		"xIELU NaN":           {set{"xielu.alpha_p": nan}, `key "xielu.alpha_p": want finite numbers, found NaN`},
		"xIELU as text":       {set{"xielu.alpha_p": []string{"1"}}, `key "xielu.alpha_p": want numbers, found an array of 1 strings`},
		"next tokens alone":   {set{"llama.nextn_predict_layers": uint32(2)}, "2 of 2 layers predict further tokens"},
		"shared too wide":     {set{"llama.expert_shared_count": uint32(1 << 24), "llama.expert_feed_forward_length": uint32(1 << 24)}, "beyond any model"},
		"inner width 0":       {set{"llama.feed_forward_length": uint32(0)}, `key "llama.feed_forward_length": want 1`},
		"epsilon missing":     {set{"llama.attention.layer_norm_rms_epsilon": nil}, `no key "llama.attention.layer_norm_rms_epsilon"`},
		"epsilon NaN":         {set{"llama.attention.layer_norm_rms_epsilon": nan}, "want a number from 0 to 1, found NaN"},
		"epsilon negative":    {set{"llama.attention.layer_norm_rms_epsilon": float32(-1e-5)}, "found -9.99999974"},
		"epsilon infinite":    {set{"llama.attention.layer_norm_rms_epsilon": inf}, "found +Inf"},
		"epsilon as text":     {set{"llama.attention.layer_norm_rms_epsilon": "1e-5"}, `want a number, found the string "1e-5"`},
		"experts 2^32-1":      {set{"llama.expert_count": uint32(math.MaxUint32)}, `key "llama.expert_count": want 0 to`},
		"experts overflow":    {set{"llama.expert_count": uint32(1 << 24), "llama.expert_used_count": uint32(1), "llama.feed_forward_length": uint32(1 << 24)}, "beyond any model"},
		"used missing":        {set{"llama.expert_count": uint32(8)}, "0 of 8 experts used per token: want 1 to all"},
		"used 9 of 8":         {set{"llama.expert_count": uint32(8), "llama.expert_used_count": uint32(9)}, "9 of 8 experts used per token: want 1 to all"},
		"used of none":        {set{"llama.expert_used_count": uint32(2)}, "2 of 0 experts"},
		"no tokens":           {set{"llama.vocab_size": nil}, `no key "llama.vocab_size"`},
		"tokens as text":      {set{"tokenizer.ggml.tokens": "a"}, `key "tokenizer.ggml.tokens": want an array of strings, found the string "a"`},
		"tokens as numbers":   {set{"tokenizer.ggml.tokens": []int32{1}}, "want an array of strings, found an array of 1 int32s"},
		"tokens empty":        {set{"tokenizer.ggml.tokens": []string{}}, "want 1 to 16777216 tokens, found 0"},
		"rope 15":             {set{"llama.rope.dimension_count": uint32(15)}, `key "llama.rope.dimension_count": want an even number of rotated elements, found 15`},
		"rope 18":             {set{"llama.rope.dimension_count": uint32(18)}, "want 0 to 16, found 18"},
		"base 0":              {set{"llama.rope.freq_base": float32(0)}, `key "llama.rope.freq_base": want a positive number, found 0`},
		"base NaN":            {set{"llama.rope.freq_base": nan}, "found NaN"},
		"base infinite":       {set{"llama.rope.freq_base": inf}, "found +Inf"},
		"base negative":       {set{"llama.rope.freq_base": float64(-10000)}, "found -10000"},
		"factor NaN":          {set{"llama.rope.scaling.factor": nan}, `key "llama.rope.scaling.factor": want a positive number, or 0 for none, found NaN`},
		"factor infinite":     {set{"llama.rope.scaling.factor": inf}, "found +Inf"},
		"factor negative":     {set{"llama.rope.scaling.factor": float32(-2)}, "found -2"},
		"old factor NaN":      {set{"llama.rope.scale_linear": nan}, `key "llama.rope.scale_linear"`},
		"magnitude 0":         {set{"llama.rope.scaling.attn_factor": float32(0)}, "want a positive number, found 0"},
		"magnitude NaN":       {set{"llama.rope.scaling.attn_factor": nan}, "found NaN"},
		"scaling by magic":    {set{"llama.rope.scaling.type": "magic\n"}, `key "llama.rope.scaling.type": "magic\n", supported are none, linear, yarn, longrope: unsupported`},
		"token types by text": {set{"tokenizer.ggml.token_type_count": "two"}, `key "tokenizer.ggml.token_type_count": want a whole number that is not negative, found the string "two"`},
		"scaling by 7":        {set{"llama.rope.scaling.type": uint32(7)}, "want a string, found uint32 7"},
		"yarn of 0":           {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.original_context_length": uint32(0)}, "want 1 to 2147483647, found 0"},
		"yarn beta NaN":       {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_beta_fast": nan}, "yarn_beta_fast"},
		"yarn beta 0":         {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_beta_slow": float32(0)}, "yarn_beta_slow"},
		"yarn ext 2":          {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_ext_factor": float32(2)}, "want a number from 0 to 1, found 2"},
		"yarn multiplier NaN": {set{"llama.rope.scaling.type": "yarn", "llama.rope.scaling.yarn_log_multiplier": nan}, "yarn_log_multiplier"},
	} {
		_, err := ReadConfig(GGUF(file(t, small, c.set)))
		require.Error(t, err, name)
		require.ErrorContains(t, err, c.want, name)
		require.False(t, strings.HasPrefix(err.Error(), "model: "), err)
		require.NotContains(t, err.Error(), "\n", name)
		require.Less(t, len(err.Error()), 300, name)
	}
	_, err := ReadConfig(GGUF(file(t, small, set{"llama.rope.scaling.type": "magic"})))
	require.ErrorIs(t, err, ErrUnsupported)
}
