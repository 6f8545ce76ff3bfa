package model

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tokenizer"
)

// TestVocabularies opens the vocabulary of every file of the reference data.
func TestVocabularies(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred files in short mode")
	}
	dir := shared.Dir(t)
	var paths []string
	for _, p := range []string{"conformance/tokenizers/*.gguf", "conformance/models/*/model.gguf", "models/*/*.gguf"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(p)))
		require.NoError(t, err)
		paths = append(paths, found...)
	}
	require.Greater(t, len(paths), 100)
	for _, path := range paths {
		f, err := gguf.Open(path, gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		v, err := Vocabulary(f)
		require.NoError(t, err, path)
		n, ok, err := GGUF(f).Len("tokenizer.ggml.tokens")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, n, v.Size())
		require.NoError(t, f.Close())
	}
}

// sentencePieces is a small vocabulary of the kind "llama", as metadata.
func sentencePieces() map[string]any {
	tokens := []string{"<unk>", "<s>", "</s>"}
	types := []int32{tokenizer.TypeUnknown, tokenizer.TypeControl, tokenizer.TypeControl}
	for b := range 256 {
		tokens = append(tokens, fmt.Sprintf("<0x%02X>", b))
		types = append(types, tokenizer.TypeByte)
	}
	for _, s := range []string{"▁", "a", "b", "ab", "▁ab"} {
		tokens = append(tokens, s)
		types = append(types, tokenizer.TypeNormal)
	}
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = -float32(len(scores) - i)
	}
	return map[string]any{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2), "tokenizer.ggml.unknown_token_id": uint32(0),
	}
}

// words is a small vocabulary of the kind "gpt2".
func words() map[string]any {
	tokens := []string{"<|pre|>", "<|suf|>", "<|mid|>", "<|end|>", "a", "b", "ab", "Ġ"}
	return map[string]any{
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": []string{"a b"},
		"tokenizer.ggml.token_type": []int8{3, 3, 3, 3, 1, 1, 1, 1}, "tokenizer.ggml.eos_token_id": uint16(3),
	}
}

func TestVocabulary(t *testing.T) {
	type set = map[string]any
	pieces := len(sentencePieces()["tokenizer.ggml.tokens"].([]string))
	for name, c := range map[string]struct {
		base, set set
		check     func(v *tokenizer.Tokenizer) bool
	}{
		"pieces": {sentencePieces(), nil, func(v *tokenizer.Tokenizer) bool {
			return v.Model() == "llama" && v.Size() == pieces && v.BOS() == 1 && v.EOS() == 2 && v.UNK() == 0 && v.PAD() == -1 && ids(v, "ab") == "1 263"
		}},
		"no architecture":     {sentencePieces(), set{"general.architecture": nil}, func(v *tokenizer.Tokenizer) bool { return v.Size() == pieces }},
		"BOS is not wanted":   {sentencePieces(), set{"tokenizer.ggml.add_bos_token": false}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "263" }},
		"EOS is wanted":       {sentencePieces(), set{"tokenizer.ggml.add_eos_token": true}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "1 263 2" }},
		"no space in front":   {sentencePieces(), set{"tokenizer.ggml.add_space_prefix": false}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "1 262" }},
		"ids of other kinds":  {sentencePieces(), set{"tokenizer.ggml.bos_token_id": int64(5), "tokenizer.ggml.eos_token_id": uint8(6)}, func(v *tokenizer.Tokenizer) bool { return v.BOS() == 5 && v.EOS() == 6 }},
		"padding is nonsense": {sentencePieces(), set{"tokenizer.ggml.padding_token_id": uint32(math.MaxUint32)}, func(v *tokenizer.Tokenizer) bool { return v.PAD() == -1 }},
		"padding":             {sentencePieces(), set{"tokenizer.ggml.padding_token_id": uint32(4)}, func(v *tokenizer.Tokenizer) bool { return v.PAD() == 4 }},
		"separator":           {sentencePieces(), set{"tokenizer.ggml.separator_token_id": uint32(7)}, func(v *tokenizer.Tokenizer) bool { return v.SEP() == 7 }},
		"seperator first": {sentencePieces(), set{"tokenizer.ggml.separator_token_id": uint32(7), "tokenizer.ggml.seperator_token_id": uint32(8)}, func(v *tokenizer.Tokenizer) bool {
			return v.SEP() == 8
		}},
		"turns":            {sentencePieces(), set{"tokenizer.ggml.eot_token_id": uint32(5), "tokenizer.ggml.eom_token_id": uint32(6)}, func(v *tokenizer.Tokenizer) bool { return v.EOT() == 5 && v.EOM() == 6 && v.IsEOG(5) }},
		"scores in double": {sentencePieces(), set{"tokenizer.ggml.scores": make([]float64, pieces)}, func(v *tokenizer.Tokenizer) bool { return v.Size() == pieces }},
		"lists too long": {sentencePieces(), set{"tokenizer.ggml.scores": make([]float32, pieces+9), "tokenizer.ggml.token_type": make([]int32, pieces+9)}, func(v *tokenizer.Tokenizer) bool {
			return v.Size() == pieces
		}},
		"words": {words(), nil, func(v *tokenizer.Tokenizer) bool {
			return v.Model() == "gpt2" && ids(v, "ab<|end|>b") == "6 3 5" && v.IsControl(0)
		}},
		"words, no types":  {words(), set{"tokenizer.ggml.token_type": nil}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "6" && !v.IsControl(0) }},
		"fill in":          {words(), set{"tokenizer.ggml.fim_pad_token_id": uint32(0)}, func(v *tokenizer.Tokenizer) bool { return v.IsEOG(0) }},
		"fill in, of old":  {words(), set{"tokenizer.ggml.prefix_token_id": uint32(0), "tokenizer.ggml.middle_token_id": uint32(2)}, func(v *tokenizer.Tokenizer) bool { return v.Size() == 8 }},
		"strings of none":  {words(), set{"tokenizer.ggml.tokens": []string{"", "", "", "", "a", "b", "ab", ""}, "tokenizer.ggml.eos_token_id": nil}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "6" }},
		"ordinary <0x-1>":  {words(), set{"tokenizer.ggml.tokens": []string{"<0x-1>", "", "", "", "a", "b", "ab", "Ġ"}}, func(v *tokenizer.Tokenizer) bool { return ids(v, "ab") == "6" }},
		"name and no more": {words(), set{"general.name": "Phi-3", "general.architecture": "phi3"}, func(v *tokenizer.Tokenizer) bool { return v.Size() == 8 }},
	} {
		v, err := Vocabulary(file(t, small, c.base, c.set))
		require.NoError(t, err, name)
		require.True(t, c.check(v), name)
	}
}

// ids encodes with special tokens.
func ids(v *tokenizer.Tokenizer, text string) string {
	return strings.Trim(fmt.Sprint(v.Encode(nil, text, true, true)), "[]")
}

func TestVocabularyFaults(t *testing.T) {
	type set = map[string]any
	byteToken := func(s string) set {
		base := sentencePieces()
		base["tokenizer.ggml.tokens"].([]string)[20] = s
		return base
	}
	for name, c := range map[string]struct {
		base, set set
		want      string
	}{
		"none":                {nil, nil, "no key tokenizer.ggml.model: the file has no vocabulary"},
		"model is a number":   {words(), set{"tokenizer.ggml.model": uint8(1)}, `key "tokenizer.ggml.model": want a string, found uint8 1`},
		"model is unknown":    {words(), set{"tokenizer.ggml.model": "magic\n"}, `unknown model "magic\n"`},
		"pre is unknown":      {words(), set{"tokenizer.ggml.pre": "magic\n"}, `"magic\n"`},
		"pre is a list":       {words(), set{"tokenizer.ggml.pre": []string{"gpt-2"}}, "want a string, found an array of 1 strings"},
		"no tokens":           {words(), set{"tokenizer.ggml.tokens": nil}, "no tokens"},
		"tokens of numbers":   {words(), set{"tokenizer.ggml.tokens": []int32{1, 2}}, `key "tokenizer.ggml.tokens": want an array of strings, found an array of 2 int32s`},
		"tokens of text":      {words(), set{"tokenizer.ggml.tokens": "a"}, `want an array of strings, found the string "a"`},
		"token twice":         {words(), set{"tokenizer.ggml.tokens": []string{"a", "b", "a\n", "a\n", "c", "d", "e", "f"}}, `token 3 "a\n" is also token 2`},
		"merges of numbers":   {words(), set{"tokenizer.ggml.merges": []uint8{1}}, `key "tokenizer.ggml.merges": want an array of strings`},
		"merges missing":      {words(), set{"tokenizer.ggml.merges": nil}, "no merges"},
		"scores missing":      {sentencePieces(), set{"tokenizer.ggml.scores": nil}, "0 scores for 264 tokens"},
		"scores too few":      {sentencePieces(), set{"tokenizer.ggml.scores": make([]float32, 263)}, "263 scores for 264 tokens"},
		"scores of text":      {sentencePieces(), set{"tokenizer.ggml.scores": make([]string, 264)}, `key "tokenizer.ggml.scores": want an array of numbers, found an array of 264 strings`},
		"scores of a number":  {sentencePieces(), set{"tokenizer.ggml.scores": float32(1)}, "found float32 1"},
		"score NaN":           {sentencePieces(), set{"tokenizer.ggml.scores": append(make([]float32, 263), float32(math.NaN()))}, "has the score NaN"},
		"types too few":       {sentencePieces(), set{"tokenizer.ggml.token_type": make([]int32, 263)}, "263 token types for 264 tokens"},
		"types of text":       {words(), set{"tokenizer.ggml.token_type": make([]string, 8)}, `key "tokenizer.ggml.token_type": want an array of numbers of types`},
		"types beyond":        {words(), set{"tokenizer.ggml.token_type": []int64{1, 1, 1, 1, 1, 1, 1, 1 << 40}}, "want an array of numbers of types"},
		"<0x-1>":              {byteToken("<0x-1>"), nil, `token 20 has type byte and the spelling "<0x-1>"`},
		"<0x100>":             {byteToken("<0x100>"), nil, `spelling "<0x100>"`},
		"byte of none":        {byteToken(""), nil, "token 20 has type byte"},
		"bos 264":             {sentencePieces(), set{"tokenizer.ggml.bos_token_id": uint32(264)}, "bos_token_id 264 is outside the vocabulary of 264 tokens"},
		"eos 2^31":            {sentencePieces(), set{"tokenizer.ggml.eos_token_id": uint32(1 << 31)}, `key "tokenizer.ggml.eos_token_id": 2147483648 is outside the vocabulary of 264 tokens`},
		"bos 2^64-1":          {sentencePieces(), set{"tokenizer.ggml.bos_token_id": uint64(math.MaxUint64)}, "18446744073709551615 is outside the vocabulary"},
		"unknown 2^31-1":      {sentencePieces(), set{"tokenizer.ggml.unknown_token_id": uint32(math.MaxInt32)}, "unknown_token_id 2147483647 is outside"},
		"bos -1":              {sentencePieces(), set{"tokenizer.ggml.bos_token_id": int32(-1)}, "want a whole number that is not negative, found int32 -1"},
		"bos as text":         {sentencePieces(), set{"tokenizer.ggml.bos_token_id": "<s>"}, `found the string "<s>"`},
		"add_bos as a number": {sentencePieces(), set{"tokenizer.ggml.add_bos_token": uint8(1)}, `key "tokenizer.ggml.add_bos_token": want true or false, found uint8 1`},
		"charsmap as text":    {sentencePieces(), set{"tokenizer.ggml.model": "t5", "tokenizer.ggml.precompiled_charsmap": "x"}, `want an array of bytes, found the string "x"`},
		"charsmap too long":   {sentencePieces(), set{"tokenizer.ggml.model": "t5", "tokenizer.ggml.precompiled_charsmap": make([]uint8, 1<<20+1)}, "want at most 1048576 bytes, found an array of 1048577 uint8s"},
		"model too long":      {words(), set{"tokenizer.ggml.model": strings.Repeat("x", 1<<20+1)}, `key "tokenizer.ggml.model": want at most 1048576 bytes, found 1048577`},
		"charsmap too short":  {sentencePieces(), set{"tokenizer.ggml.model": "t5", "tokenizer.ggml.precompiled_charsmap": []uint8{1}}, "precompiled_charsmap"},
	} {
		v, err := Vocabulary(file(t, small, c.base, c.set))
		require.Error(t, err, name)
		require.Nil(t, v)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\n", name)
		// an unknown name is answered with all that are known
		require.Less(t, len(err.Error()), 1200, name)
	}
}

// TestVocabularyMemory: arrays of the wrong kind do not grow on the way.
func TestVocabularyMemory(t *testing.T) {
	const n = 2 << 20
	for key, value := range map[string]any{
		"tokens": make([]uint8, n), "merges": make([]uint8, n), "scores": make([]uint8, n), "token_type": make([]bool, n), "precompiled_charsmap": make([]int16, n/2),
	} {
		base := words()
		maps.Copy(base, map[string]any{"tokenizer.ggml." + key: value})
		f := file(t, small, base)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Vocabulary(f)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), key)
	}
}

// TestVocabularyRows: a vocabulary that does not fit the embedding is refused before it is built.
func TestVocabularyRows(t *testing.T) {
	meta := words()
	// all empty: 8 bytes each in the file, many times that once built
	meta["tokenizer.ggml.tokens"] = make([]string, 1<<20)
	w := gguf.NewWriter()
	for key, value := range meta {
		require.NoError(t, w.Set(key, value))
	}
	require.NoError(t, w.Add("token_embd.weight", quant.F32, []int{1, 8}, make([]byte, 32)))
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	require.NoError(t, err)
	f, err := gguf.OpenBytes("x", b.Bytes())
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Vocabulary(f)
	runtime.ReadMemStats(&after)
	require.EqualError(t, err, `1048576 tokens, but tensor "token_embd.weight" has the shape [1 8]: want a row for each`)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
