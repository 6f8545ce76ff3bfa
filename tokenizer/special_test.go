package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPartition compares with the plain way on texts full of special tokens that overlap.
func TestPartition(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	letters := []string{"a", "b", "<", " "}
	for range 300 {
		c := NewConfig(ModelSPM)
		seen := map[string]bool{}
		for range 1 + rng.IntN(30) {
			if s := randomWord(rng, letters, 6); !seen[s] {
				seen[s] = true
				c.add([]int32{TypeNormal, TypeControl, TypeUserDefined, TypeUnknown}[rng.IntN(4)], 0, s)
			}
		}
		tok := mustNew(t, c)
		for range 30 {
			text, parse := randomWord(rng, letters, 60), rng.IntN(2) == 0
			want, special := plainPartition(&c, text, parse)
			var got []string
			for i, f := range tok.partition(new(scratch), text, parse) {
				got = append(got, text[f.from:f.to])
				require.Equal(t, special[i], f.id >= 0)
				if f.id >= 0 {
					require.Equal(t, text[f.from:f.to], tok.Spelling(f.id))
				}
			}
			require.Equal(t, want, got, "%q", text)
		}
	}
}

// TestSpecialTokens checks which tokens are found in text, and when.
func TestSpecialTokens(t *testing.T) {
	tok := mustNew(t, tinyBPE())
	text := "<think>hello<|im_end|>"
	require.Equal(t, []string{"<think>", "hello", "<|im_end|>"}, spellings(tok, tok.Encode(nil, text, false, true)))
	require.Equal(t, []string{"<think>", "hello", "<", "|", "i", "m", "_", "e", "n", "d", "|", ">"}, spellings(tok, tok.Encode(nil, text, false, false)))
	require.Equal(t, text, tok.Decode(tok.Encode(nil, text, false, true), true))
	require.Equal(t, "<think>hello", tok.Decode(tok.Encode(nil, text, false, true), false))

	// The space that SentencePiece puts in front of a text stands after special tokens, too.
	spm := mustNew(t, tinySPM())
	require.Equal(t, []string{"<s>", "▁he", "</s>", "▁he"}, spellings(spm, spm.Encode(nil, "<s>he</s>he", false, true)))
	require.Equal(t, []string{"▁", "<0x3C>", "s", "<0x3E>"}, spellings(spm, spm.Encode(nil, "<s>", false, false)))
	c := tinySPM()
	c.AddSpacePrefix = flag(false)
	spm = mustNew(t, c)
	require.Equal(t, []string{"he", "</s>", "he"}, spellings(spm, spm.Encode(nil, "he</s>he", false, true)))

	wpm := mustNew(t, tinyWPM())
	require.Equal(t, []string{"▁hello", "[MASK]", "▁!"}, spellings(wpm, wpm.Encode(nil, "hello[MASK]!", false, true)))
	uni := mustNew(t, tinyUnigram())
	require.Equal(t, []string{"the", "<extra>", "the"}, spellings(uni, uni.Encode(nil, "the<extra>the", false, false)))
}

// TestStripping checks the tokens that swallow white space beside them, which only the name of a
// model implies.
func TestStripping(t *testing.T) {
	c := tinySPM()
	c.AddSpacePrefix = flag(false)
	c.add(TypeControl, 0, "<|end|>", "<|endoftext|>")
	c.add(TypeUserDefined, 0, "  ")
	text := "he \n<|end|> \t\nhe</s>\nhe<s> he<|endoftext|> he"
	plain := []string{"he", "▁", "<0x0A>", "<|end|>", "▁", "<0x09>", "<0x0A>", "he", "</s>", "<0x0A>", "he", "<s>", "▁he", "<|endoftext|>", "▁he"}
	require.Equal(t, plain, spellings(mustNew(t, c), mustNew(t, c).Encode(nil, text, false, true)))
	c.Name = "My-PHI-3-mini"
	tok := mustNew(t, c)
	require.Equal(t, []string{"he", "▁", "<0x0A>", "<|end|>", "he", "</s>", "he", "<s>", "▁he", "<|endoftext|>", "▁he"}, spellings(tok, tok.Encode(nil, text, false, true)))
	require.Equal(t, []string{"  ", "he", "  ", "<|end|>"}, spellings(tok, tok.Encode(nil, "    he  <|end|>  ", false, true)), "user-defined tokens swallow as well")

	c = tinySPM()
	c.AddSpacePrefix = flag(false)
	c.Arch = "nomic-bert-moe"
	c.add(TypeControl, 0, "<mask>", "[MASK]")
	text = "he \t<mask> he [MASK]"
	tok = mustNew(t, c)
	require.Equal(t, []string{"he", "<mask>", "▁he", "▁", "[MASK]"}, spellings(tok, tok.Encode(nil, text, false, true)))
	c.Arch, c.Name = "bert", "Modern-Bert"
	tok = mustNew(t, c)
	require.Equal(t, []string{"he", "▁", "<0x09>", "<mask>", "▁he", "[MASK]"}, spellings(tok, tok.Encode(nil, text, false, true)))
}

// TestBeginAndEnd is the table of what Encode adds at the beginning and at the end.
func TestBeginAndEnd(t *testing.T) {
	yes, no := flag(true), flag(false)
	with := func(c Config, bos, eos *bool, change func(*Config)) Config {
		c.AddBOS, c.AddEOS = bos, eos
		if change != nil {
			change(&c)
		}
		return c
	}
	pre := func(name string) func(*Config) {
		return func(c *Config) {
			c.Pre, c.BOS, c.EOS = name, int32(slices.Index(c.Tokens, "<|endoftext|>")), int32(slices.Index(c.Tokens, "<|im_end|>"))
		}
	}
	gemma := func() Config {
		c := NewConfig(ModelGemma4)
		c.add(TypeControl, 0, "<bos>", "<eos>")
		c.add(TypeNormal, 0, "h", "e", "he")
		c.Merges = []string{"h e"}
		c.BOS, c.EOS = 0, 1
		return c
	}
	for name, test := range map[string]struct {
		c    Config
		want string
	}{
		"spm":                      {tinySPM(), "<s> ▁he"},
		"spm no":                   {with(tinySPM(), no, nil, nil), "▁he"},
		"spm both":                 {with(tinySPM(), yes, yes, nil), "<s> ▁he </s>"},
		"spm only eos":             {with(tinySPM(), no, yes, nil), "▁he </s>"},
		"spm other ids":            {with(tinySPM(), nil, yes, func(c *Config) { c.BOS, c.EOS = 2, 1 }), "</s> ▁he <s>"},
		"bpe qwen2":                {tinyBPE(), "he"},
		"bpe llama-bpe":            {with(tinyBPE(), nil, nil, pre("llama-bpe")), "<|endoftext|> he"},
		"bpe llama-bpe no":         {with(tinyBPE(), no, nil, pre("llama-bpe")), "he"},
		"bpe tekken":               {with(tinyBPE(), nil, nil, pre("tekken")), "<|endoftext|> he"},
		"bpe chameleon":            {with(tinyBPE(), nil, nil, pre("chameleon")), "<|endoftext|> he"},
		"bpe qwen2 yes":            {with(tinyBPE(), yes, yes, pre("qwen2")), "<|endoftext|> he <|im_end|>"},
		"bpe llama-bpe without id": {with(tinyBPE(), nil, nil, func(c *Config) { c.Pre = "llama-bpe" }), "he"},
		"gemma4 cannot say no":     {with(gemma(), no, no, nil), "<bos> he"},
		"gemma4 both":              {with(gemma(), yes, yes, nil), "<bos> he <eos>"},
		"wpm":                      {with(tinyWPM(), no, no, nil), "[CLS] [UNK] [SEP]"},
		"unigram":                  {tinyUnigram(), "h e </s>"},
		"unigram no":               {with(tinyUnigram(), nil, no, nil), "h e"},
		"unigram bos":              {with(tinyUnigram(), yes, nil, func(c *Config) { c.BOS = 0 }), "<pad> h e </s>"},
	} {
		tok := mustNew(t, test.c)
		require.Equal(t, test.want, strings.Join(spellings(tok, tok.Encode(nil, "he", true, false)), " "), name)
		all := tok.Encode([]int32{7}, "", true, false)
		require.Equal(t, int32(7), all[0], name)
		ends := strings.Fields(strings.NewReplacer(" ▁he", "", "▁he", "", " [UNK]", "", " h e", "", "h e", "", " he", "", "he", "").Replace(test.want))
		require.Equal(t, append([]string{tok.Spelling(7)}, ends...), spellings(tok, all), name)
		require.Equal(t, tok.AddsBOS(), len(ends) > 0 && tok.BOS() >= 0 && ends[0] == tok.Spelling(tok.BOS()), name)
	}
}

// TestUsualIDs checks what stands for the ids that a file does not give.
func TestUsualIDs(t *testing.T) {
	spm := mustNew(t, tinySPM())
	require.Equal(t, []int32{1, 2, 0, -1, -1, -1}, []int32{spm.BOS(), spm.EOS(), spm.UNK(), spm.SEP(), spm.PAD(), spm.MASK()})
	uni := mustNew(t, tinyUnigram())
	require.Equal(t, []int32{-1, 1, 2, 0}, []int32{uni.BOS(), uni.EOS(), uni.UNK(), uni.PAD()})
	c := NewConfig(ModelWPM)
	for i := range 104 {
		c.add(TypeNormal, 0, fmt.Sprint("▁", i))
	}
	wpm := mustNew(t, c)
	require.Equal(t, []int32{101, 100, 102, 0, 103, -1}, []int32{wpm.BOS(), wpm.UNK(), wpm.SEP(), wpm.PAD(), wpm.MASK(), wpm.EOS()})
	require.True(t, wpm.AddsBOS())
	require.True(t, wpm.AddsSEP())
	require.False(t, wpm.AddsEOS())
	c.BOS, c.CLS = 5, 6
	require.Equal(t, int32(5), mustNew(t, c).BOS())
	c.BOS = -1
	require.Equal(t, int32(6), mustNew(t, c).BOS())

	// Falcon's id 11 for BPE, if it is a control token.
	c = tinyBPE()
	require.Equal(t, int32(-1), mustNew(t, c).BOS())
	c.Types[11] = TypeControl
	require.Equal(t, []int32{11, 11}, []int32{mustNew(t, c).BOS(), mustNew(t, c).EOS()})
	c.Pre = "chatglm-bpe"
	require.Equal(t, []int32{-1, 11}, []int32{mustNew(t, c).BOS(), mustNew(t, c).EOS()})
	c.Pre = "roberta-bpe"
	require.True(t, mustNew(t, c).AddsSEP())
	c.AddSEP = flag(false)
	require.False(t, mustNew(t, c).AddsSEP())

	// Ids outside the vocabulary that no text needs are as good as absent.
	c = tinySPM()
	c.SEP, c.PAD, c.MASK, c.EOT, c.FIMPre = 1<<30, 1<<30, int32(len(c.Tokens)), 1<<30, 1<<30
	spm = mustNew(t, c)
	require.Equal(t, []int32{-1, -1, -1, -1}, []int32{spm.SEP(), spm.PAD(), spm.MASK(), spm.EOT()})
}

// TestNamedTokens checks the tasks that tokens have because of their names.
func TestNamedTokens(t *testing.T) {
	vocabulary := func(types int32, names ...string) Config {
		c := tinySPM()
		c.EOS = 2
		c.add(types, 0, names...)
		return c
	}
	eog := func(tok *Tokenizer) (out []string) {
		for _, id := range tok.EOG() {
			require.True(t, tok.IsEOG(id))
			out = append(out, tok.Spelling(id))
		}
		return out
	}
	tok := mustNew(t, vocabulary(TypeNormal, "<|eot_id|>", "<|eom_id|>", "<|fim_prefix|>", "<fim_suffix>", "▁<MID>", "<|fim_pad|>", "<reponame>", "<|file_sep|>"))
	require.Equal(t, "<|eot_id|>", tok.Spelling(tok.EOT()))
	require.Equal(t, "<|eom_id|>", tok.Spelling(tok.EOM()))
	pre, suf, mid, pad, rep, sep := tok.FIM()
	require.Equal(t, []string{"<|fim_prefix|>", "<fim_suffix>", "▁<MID>", "<|fim_pad|>", "<reponame>", "<|file_sep|>"}, spellings(tok, []int32{pre, suf, mid, pad, rep, sep}))
	require.Equal(t, []string{"</s>", "<|eot_id|>", "<|eom_id|>", "<|fim_pad|>", "<reponame>", "<|file_sep|>"}, eog(tok))
	// normal in the file, control by their names
	for _, name := range []string{"<|eot_id|>", "<|fim_prefix|>", "<|file_sep|>"} {
		id, ok := tok.Lookup(name)
		require.True(t, ok)
		require.True(t, tok.IsControl(id))
		require.Empty(t, tok.Bytes(id))
	}
	require.False(t, tok.IsEOG(0))
	require.False(t, tok.IsEOG(-1))

	// Ids that the file gives come first.
	c := vocabulary(TypeControl, "<|eot_id|>", "<|im_end|>")
	c.EOT = int32(slices.Index(c.Tokens, "<|im_end|>"))
	tok = mustNew(t, c)
	require.Equal(t, c.EOT, tok.EOT())
	require.Equal(t, []string{"</s>", "<|eot_id|>", "<|im_end|>"}, eog(tok))

	// gpt-oss: channels are shown, <|end|> ends a message only.
	tok = mustNew(t, vocabulary(TypeControl, "<|return|>", "<|call|>", "<|end|>", "<|channel|>"))
	require.Equal(t, []string{"</s>", "<|return|>", "<|call|>"}, eog(tok))
	id, _ := tok.Lookup("<|channel|>")
	require.Equal(t, "<|channel|>", string(tok.Bytes(id)))
	tok = mustNew(t, vocabulary(TypeControl, "<|call|>", "<|end|>"))
	require.Equal(t, []string{"</s>", "<|call|>", "<|end|>"}, eog(tok))
	tok = mustNew(t, vocabulary(TypeControl, "<|flush|>", "<|calls|>", "<|end|>"))
	require.Equal(t, []string{"</s>", "<|flush|>", "<|calls|>"}, eog(tok))

	// Gemma 4: </s> is a tag of HTML.
	c = vocabulary(TypeControl, "<|tool_response>", "<eos>")
	c.EOS = int32(slices.Index(c.Tokens, "<eos>"))
	tok = mustNew(t, c)
	require.Equal(t, []string{"<|tool_response>", "<eos>"}, eog(tok))
	require.Equal(t, "</s>", string(tok.Bytes(2)))
}

// TestConcurrent uses one Tokenizer from many goroutines, for the race detector to watch.
func TestConcurrent(t *testing.T) {
	for name, c := range tinyConfigs() {
		tok := mustNew(t, c)
		text := strings.Repeat("<s>Hello 世界, the world 123\n <think>é</think>", 20)
		want := tok.Encode(nil, text, true, true)
		decoded := tok.Decode(want, true)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					got := tok.Encode(nil, text, true, true)
					if !slices.Equal(want, got) || tok.Decode(got, true) != decoded {
						t.Errorf("%s: another result", name)
					}
				}
			})
		}
		wg.Wait()
	}
}
