package names_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf/names"
)

func Example() {
	n := names.Parse("blk.3.attn_q.weight")
	fmt.Println(n.Layer, n.Base, n.Suffix)
	n.Base = "attn_k"
	fmt.Println(n)
	// Output:
	// 3 attn_q .weight
	// blk.3.attn_k.weight
}

func TestParse(t *testing.T) {
	for name, want := range map[string]names.Name{
		"output.weight":               {names.None, "output", names.None, ".weight"},
		"blk.0.attn_norm.bias":        {0, "attn_norm", names.None, ".bias"},
		"blk.12.ffn_up.7.weight":      {12, "ffn_up", 7, ".weight"},
		"blk.1.ffn_up_exps.scale":     {1, "ffn_up_exps", names.None, ".scale"},
		"blk.1.shortconv.conv.weight": {1, "shortconv.conv", names.None, ".weight"},
		"blk.1.ssm_a":                 {1, "ssm_a", names.None, ""},
		"blk.1":                       {names.None, "blk", 1, ""},
		"blk.-1.attn_q.weight":        {names.None, "blk.-1.attn_q", names.None, ".weight"},
		"blk.03.attn_q.weight":        {names.None, "blk.03.attn_q", names.None, ".weight"},
		"blk.x.attn_q.weight":         {names.None, "blk.x.attn_q", names.None, ".weight"},
		"":                            {names.None, "", names.None, ""},
		".weight":                     {names.None, "", names.None, ".weight"},
	} {
		require.Equal(t, want, names.Parse(name), name)
		require.Equal(t, name, names.Parse(name).String())
	}
	require.Equal(t, "blk.*.ffn_up.7.weight", names.AnyLayer("blk.2.ffn_up.7.weight"))
	require.Equal(t, "output.weight", names.AnyLayer("output.weight"))
	require.Negative(t, names.Compare("token_embd.weight", "blk.0.attn_q.weight"))
	require.Negative(t, names.Compare("blk.9.attn_q.weight", "blk.10.attn_k.weight"))
	require.Negative(t, names.Compare("blk.10.attn_q.weight", "output.weight"))
}

func FuzzParse(f *testing.F) {
	f.Add("blk.3.ffn_up.7.weight")
	f.Fuzz(func(t *testing.T, name string) { require.Equal(t, name, names.Parse(name).String()) })
}
