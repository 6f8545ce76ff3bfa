package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// readConfig reads the vocabulary of a GGUF file: a reader of well-formed metadata, no more.
func readConfig(t testing.TB, path string) Config {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "GGUF", string(b[:4]))
	u32 := func() uint32 { v := binary.LittleEndian.Uint32(b); b = b[4:]; return v }
	u64 := func() uint64 { v := binary.LittleEndian.Uint64(b); b = b[8:]; return v }
	str := func() string { n := u64(); s := string(b[:n]); b = b[n:]; return s }
	b = b[4:]
	u32()
	u64()
	var value func(typ uint32) any
	value = func(typ uint32) any {
		switch typ {
		case 0, 1, 7:
			v := b[0]
			b = b[1:]
			if typ == 7 {
				return v != 0
			}
			return v
		case 2, 3:
			v := binary.LittleEndian.Uint16(b)
			b = b[2:]
			return v
		case 4:
			return u32()
		case 5:
			return int32(u32())
		case 6:
			return math.Float32frombits(u32())
		case 8:
			return str()
		case 9:
			elem, n := u32(), u64()
			out := make([]any, n)
			for i := range out {
				out[i] = value(elem)
			}
			return out
		case 10, 11, 12:
			return u64()
		}
		panic(fmt.Sprint("type ", typ))
	}
	kv := map[string]any{}
	for range u64() {
		key := str()
		kv[key] = value(u32())
	}
	c := NewConfig(kv["tokenizer.ggml.model"].(string))
	c.Pre, _ = kv["tokenizer.ggml.pre"].(string)
	c.Name, _ = kv["general.name"].(string)
	c.Arch, _ = kv["general.architecture"].(string)
	list := func(key string) []any { l, _ := kv["tokenizer.ggml."+key].([]any); return l }
	for _, v := range list("tokens") {
		c.Tokens = append(c.Tokens, v.(string))
	}
	for _, v := range list("merges") {
		c.Merges = append(c.Merges, v.(string))
	}
	for _, v := range list("scores") {
		c.Scores = append(c.Scores, v.(float32))
	}
	for _, v := range list("token_type") {
		c.Types = append(c.Types, v.(int32))
	}
	for _, v := range list("precompiled_charsmap") {
		c.CharsMap = append(c.CharsMap, v.(byte))
	}
	for key, id := range map[string]*int32{"bos": &c.BOS, "eos": &c.EOS, "unknown": &c.UNK, "seperator": &c.SEP, "padding": &c.PAD, "cls": &c.CLS, "mask": &c.MASK,
		"eot": &c.EOT, "eom": &c.EOM, "fim_pre": &c.FIMPre, "fim_suf": &c.FIMSuf, "fim_mid": &c.FIMMid, "fim_pad": &c.FIMPad, "fim_rep": &c.FIMRep, "fim_sep": &c.FIMSep} {
		if v, ok := kv["tokenizer.ggml."+key+"_token_id"].(uint32); ok {
			*id = int32(v)
		}
	}
	for key, flag := range map[string]**bool{"add_bos_token": &c.AddBOS, "add_eos_token": &c.AddEOS, "add_sep_token": &c.AddSEP,
		"add_space_prefix": &c.AddSpacePrefix, "remove_extra_whitespaces": &c.RemoveExtraWhitespaces,
		"normalizer.lowercase": &c.Lowercase, "normalizer.strip_accents": &c.StripAccents} {
		if v, ok := kv["tokenizer.ggml."+key].(bool); ok {
			*flag = &v
		}
	}
	return c
}
