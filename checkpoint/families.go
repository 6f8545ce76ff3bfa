package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// family says how checkpoints of an architecture become GGUF: what their config.json means, what their tensors are called there, and what is done to them.
type family struct {
	arch string   // in GGUF
	is   []string // in config.json, under architectures or model_type
	keys func(m *meta)
	// names are those of tensors in a layer, beside and before the common ones; an empty one is left out, since it holds nothing that the model computes with.
	names map[string]string
	// ops are what is done to tensors, by their names in a layer of a GGUF file.
	ops map[string]op
}

// op makes of a weight of the given name, such as blk.3.attn_q.weight, what a GGUF file has for it.
type op func(m *meta, name string, w weight) ([]named, error)

// families are the architectures. What they say is taken from the models' published configurations and from the converters of llama.cpp (directory conversion).
var families = []family{
	{
		arch: "llama", is: []string{"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "llama", "mistral", "mixtral"},
		keys: func(m *meta) { m.positions(1) },
		ops:  pairs,
	},
	{
		arch: "qwen2", is: []string{"Qwen2ForCausalLM", "qwen2"},
		keys: func(m *meta) { m.positions(1) },
	},
	{
		arch: "qwen3", is: []string{"Qwen3ForCausalLM", "qwen3"},
		keys: func(m *meta) { m.positions(1) },
	},
}

// pairs are the ops of families whose RoPE turns neighbours in GGUF files, and halves in checkpoints.
var pairs = map[string]op{"attn_q": neighbours, "attn_k": neighbours}

// familyOf finds the family of a model.
func familyOf(c *config) (*family, error) {
	names, _ := c.strings("architectures")
	names = append(slices.Clone(names), c.string("model_type"))
	if *c.err != nil {
		return nil, *c.err
	}
	var supported []string
	for i := range families {
		f := &families[i]
		if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(f.is, name) }) {
			return f, nil
		}
		supported = append(supported, f.is...)
	}
	slices.Sort(supported)
	return nil, fmt.Errorf("checkpoint: %s: %w architecture %s: supported are %s", c.path, ErrUnsupported, quoted(names[0]), strings.Join(supported, ", "))
}
