package tokenizer

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostileConfigs is the table of what is refused: an error of one short line that says what is
// wrong and where.
func TestHostileConfigs(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, test := range map[string]struct {
		c      Config
		change func(*Config)
		want   string
	}{
		"zero":                {Config{}, nil, `unknown model "" (known: llama gpt2 bert t5 gemma4 whitespace)`},
		"model":               {tinySPM(), func(c *Config) { c.Model = "rwkv\n\x00" }, `unknown model "rwkv\n\x00"`},
		"long model":          {tinySPM(), func(c *Config) { c.Model = strings.Repeat("x", 1<<20) }, `unknown model "` + strings.Repeat("x", 40) + `"…`},
		"pre":                 {tinyBPE(), func(c *Config) { c.Pre = strings.Repeat("\n", 1<<20) }, `unknown pre-tokenizer "\n\n`},
		"no tokens":           {NewConfig(ModelBPE), nil, "no tokens"},
		"duplicate":           {tinySPM(), func(c *Config) { c.Tokens[9] = "<s>" }, `token 9 "<s>" is also token 1`},
		"duplicate empty":     {tinySPM(), func(c *Config) { c.Tokens[299], c.Tokens[300] = "", "[EMPTY_299]" }, `token 300 "[EMPTY_299]" is also token 299`},
		"long token":          {tinySPM(), func(c *Config) { c.Tokens[9] = strings.Repeat("x", maxTokenLen+1) }, "has 16385 bytes, at most 16384"},
		"huge token":          {tinyBPE(), func(c *Config) { c.Tokens[9] = strings.Repeat("x", 1<<24) }, "has 16777216 bytes, at most 16384"},
		"no scores":           {tinySPM(), func(c *Config) { c.Scores = nil }, "0 scores for "},
		"few scores":          {tinyUnigram(), func(c *Config) { c.Scores = c.Scores[1:] }, "21 scores for 22 tokens"},
		"NaN":                 {tinySPM(), func(c *Config) { c.Scores[300] = float32(math.NaN()) }, `has the score NaN`},
		"infinity":            {tinySPM(), func(c *Config) { c.Scores[1] = inf }, `token 1 "<s>" has the score +Inf`},
		"unigram infinity":    {tinyUnigram(), func(c *Config) { c.Scores[5] = -inf }, `token 5 "the" has the score -Inf`},
		"few types":           {tinySPM(), func(c *Config) { c.Types = c.Types[:5] }, "5 token types for "},
		"no types at all":     {tinySPM(), func(c *Config) { c.Types = []int32{} }, "0 token types for "},
		"byte -1":             {tinySPM(), func(c *Config) { c.Tokens[4] = "<0x-1>" }, `token 4 has type byte and the spelling "<0x-1>", want <0x00> to <0xFF>`},
		"byte ZZ":             {tinySPM(), func(c *Config) { c.Tokens[4] = "<0xZZ>" }, `token 4 has type byte and the spelling "<0xZZ>"`},
		"byte short":          {tinySPM(), func(c *Config) { c.Tokens[4] = "<0x1>" }, `token 4 has type byte`},
		"byte empty":          {tinySPM(), func(c *Config) { c.Tokens[4] = "" }, `token 4 has type byte and the spelling "[EMPTY_4]"`},
		"byte long":           {tinySPM(), func(c *Config) { c.Tokens[4] = "<0x111>" }, `token 4 has type byte`},
		"bos":                 {tinySPM(), func(c *Config) { c.BOS = 1 << 30 }, "bos_token_id 1073741824 is outside the vocabulary of "},
		"eos":                 {tinyBPE(), func(c *Config) { c.EOS = int32(len(c.Tokens)) }, "eos_token_id 281 is outside the vocabulary of 281 tokens"},
		"unknown":             {tinyUnigram(), func(c *Config) { c.UNK = 99 }, "unknown_token_id 99 is outside"},
		"add_bos without one": {tinyBPE(), func(c *Config) { c.AddBOS = flag(true) }, "add_bos_token is set, but there is no bos_token_id"},
		"add_eos without one": {tinyBPE(), func(c *Config) { c.AddEOS = flag(true) }, "add_eos_token is set, but there is no eos_token_id"},
		"no cls":              {tinyWPM(), func(c *Config) { c.CLS = 1 << 20 }, "WordPiece needs the ids of [CLS] (-1), [SEP] (2) and [UNK] (4)"},
		"no sep":              {tinyWPM(), func(c *Config) { c.SEP = -1 }, "WordPiece needs the ids of [CLS] (1), [SEP] (-1) and [UNK] (4)"},
		"unigram without unk": {NewConfig(ModelUnigram), func(c *Config) { c.add(TypeNormal, 0, "a") }, "Unigram needs an unknown_token_id"},
		"no merges":           {tinyBPE(), func(c *Config) { c.Merges = nil }, "no merges"},
		"merge of one":        {tinyBPE(), func(c *Config) { c.Merges[3] = "hello" }, `merge 3 is "hello", want two symbols`},
		"merge of none":       {tinyBPE(), func(c *Config) { c.Merges[0] = "" }, `merge 0 is "", want two symbols`},
		"merge of a space":    {tinyBPE(), func(c *Config) { c.Merges[0] = " " }, `merge 0 is " ", want two symbols`},
		"merge without right": {tinyBPE(), func(c *Config) { c.Merges[0] = "a " }, `merge 0 is "a ", want two symbols`},
		"merge without left":  {tinyBPE(), func(c *Config) { c.Merges[0] = " a" }, `merge 0 is " a", want two symbols`},
		"long merge":          {tinyBPE(), func(c *Config) { c.Merges[0] = "a " + strings.Repeat("x", 2*maxTokenLen) }, "merge 0 has 32770 bytes, at most 32768"},
		"charsmap":            {tinyUnigram(), func(c *Config) { c.CharsMap = []byte{1, 2, 3} }, "precompiled_charsmap has 3 bytes, want at least 4"},
		"charsmap size":       {tinyUnigram(), func(c *Config) { c.CharsMap = []byte{0xff, 0xff, 0xff, 0xff, 0} }, "precompiled_charsmap: the array has 4294967295 bytes, 1 are left"},
		"charsmap no texts":   {tinyUnigram(), func(c *Config) { c.CharsMap = []byte{0, 0, 0, 0} }, "precompiled_charsmap: the array has 0 bytes, 0 are left"},
	} {
		if test.change != nil {
			test.change(&test.c)
		}
		tok, err := New(test.c)
		require.ErrorContains(t, err, test.want, name)
		require.Nil(t, tok, name)
		require.False(t, strings.HasPrefix(err.Error(), "tokenizer: "), name)
		require.NotContains(t, err.Error(), "\n", name)
		require.Less(t, len(err.Error()), 1200, name)
		if strings.Contains(test.want, "unknown model") || strings.Contains(test.want, "unknown pre") {
			require.ErrorIs(t, err, ErrUnsupported, name)
		} else {
			require.ErrorIs(t, err, ErrFormat, name)
		}
	}
}

// TestOddConfigs is the table of what looks wrong and is taken.
func TestOddConfigs(t *testing.T) {
	c := tinySPM()
	c.Tokens[300], c.Tokens[301] = "", " "
	tok := mustNew(t, c)
	require.Equal(t, "[EMPTY_300]", tok.Spelling(300))
	for name, change := range map[string]func(*Config){
		"more scores than tokens": func(c *Config) { c.Scores = append(c.Scores, float32(math.NaN())) },
		"more types than tokens":  func(c *Config) { c.Types = append(c.Types, 1) },
		"types of another age":    func(c *Config) { c.Types[300], c.Types[301] = -1, math.MaxInt32 },
		"extreme scores":          func(c *Config) { c.Scores[300], c.Scores[301] = math.MaxFloat32, -math.MaxFloat32 },
		"negative ids":            func(c *Config) { c.BOS, c.EOS, c.SEP = math.MinInt32, -7, -2 },
		"not UTF-8":               func(c *Config) { c.Tokens[300], c.Tokens[301] = "\xff\xfe", "\xe4\xb8" },
		"the longest token":       func(c *Config) { c.Tokens[300] = strings.Repeat("x", maxTokenLen) },
	} {
		for model, c := range map[string]Config{ModelSPM: tinySPM(), ModelBPE: tinyBPE(), ModelUnigram: tinyUnigram()} {
			for len(c.Tokens) < 302 {
				c.add(TypeNormal, 0, strings.Repeat("y", len(c.Tokens)))
			}
			change(&c)
			if model == ModelUnigram { // each place of a text is compared with tokens
				c.Tokens[300] = c.Tokens[300][:min(len(c.Tokens[300]), maxSpecialLen)]
			}
			tok, err := New(c)
			require.NoError(t, err, "%s %s", model, name)
			exercise(t, tok, "the <unk> \xff\xfe\xe4\xb8 xxxxx é")
		}
	}
	c = tinyBPE()
	c.Scores, c.Types = nil, nil
	require.NotEmpty(t, mustNew(t, c).Encode(nil, "hello", true, true))
	c.Pre, c.Merges = "kimi-k2", nil // kimi-k2 has none in its files
	require.Equal(t, []string{"h", "e"}, spellings(mustNew(t, c), mustNew(t, c).Encode(nil, "he", false, false)))
	c = NewConfig(ModelBPE) // not even the bytes
	c.Pre, c.Merges = "gpt-2", []string{"x y", "xy z", "xy z", "x  "}
	c.add(TypeNormal, 0, "xyz")
	require.Equal(t, []int32{0}, mustNew(t, c).Encode(nil, "abxyz\xff", false, false))
}

// exercise encodes text in all ways and decodes the result.
func exercise(t testing.TB, tok *Tokenizer, text string) {
	for i := range 4 {
		ids := tok.Encode(nil, text, i&1 != 0, i&2 != 0)
		s := tok.NewStream(StreamConfig{Start: i&1 != 0, Special: i&2 != 0})
		for _, id := range ids {
			if !tok.valid(id) {
				t.Fatalf("%q: id %d in a vocabulary of %d", text, id, tok.Size())
			}
			s.Push(id)
			tok.IsEOG(id)
		}
		s.Flush()
		tok.Decode(ids, i&2 != 0)
	}
}

// TestNoLargeAllocation checks that what is refused costs no more than what is read.
func TestNoLargeAllocation(t *testing.T) {
	long := strings.Repeat("x", 1<<23)
	for _, change := range []func(*Config){
		func(c *Config) { c.Tokens[9] = long },
		func(c *Config) { c.Merges[0] = long[:1<<22] + " " + long[:1<<22] },
		func(c *Config) { c.Pre = long },
		func(c *Config) { c.Model = long },
		func(c *Config) { c.Model, c.CharsMap = ModelUnigram, []byte("\xff\xff\xff\xff\x00") },
	} {
		c := tinyBPE()
		change(&c)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(c)
		runtime.ReadMemStats(&after)
		require.Error(t, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}
