package hf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// family says how checkpoints of an architecture become GGUF: what their config.json means, what
// their tensors are called there, and what is done to them. Most families are in tables by kin; a
// new one is an entry.
type family struct {
	arch string   // in GGUF
	is   []string // in config.json, under architectures or model_type
	// act is the activation function, silu where empty: another one in config.json is an error.
	act string
	// noHeads says that no layer attends.
	noHeads bool
	// defaults are what config.json may leave out since the model's code has it.
	defaults map[string]float64
	// keys sets what is not common to all.
	keys func(m *meta)
	// names are those of tensors beside and before the common ones; what has an empty one is left
	// out, since it holds nothing that the model computes with.
	names map[string]string
	// ops are what is done to tensors, by their names in GGUF.
	ops map[string]op
}

// families are all architectures. What they say is taken from the models' published configurations
// and code, and from llama.cpp's converters (directory conversion).
var families = slices.Concat(llamas, windowed, bystanders, elders, mixtures, latents, states, encoders)

// familyOf finds the family of a model, and completes its configuration by what the family takes
// for granted.
func familyOf(c *config) (*family, error) {
	names, _ := c.strings("architectures")
	names = append(slices.Clone(names), c.string("model_type"))
	if *c.err != nil {
		return nil, *c.err
	}
	if names = slices.DeleteFunc(names, func(name string) bool { return name == "" }); len(names) == 0 {
		return nil, fault.Bad(c.path, fmt.Errorf("no key %q and no %q: want the name of an architecture", "architectures", "model_type"))
	}
	var supported []string
	for _, name := range names {
		for i := range families {
			if f := &families[i]; slices.Contains(f.is, name) {
				f.complete(c)
				return f, f.check(c)
			}
		}
	}
	for i := range families {
		supported = append(supported, families[i].is[0])
	}
	slices.Sort(supported)
	return nil, fault.Bad(c.path, fmt.Errorf("%w architecture %s: supported are %s", ErrUnsupported, quoted(names[0]), strings.Join(supported, ", ")))
}

// complete fills in defaults.
func (f *family) complete(c *config) {
	for key, v := range f.defaults {
		if !c.has(key) {
			c.values[key] = json.Number(strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
}

// check makes sure that the activation function is that of the architecture.
func (f *family) check(c *config) error {
	want, found := f.act, c.string("hidden_activation", "hidden_act", "activation_function", "activation")
	if want == "" {
		want = "silu"
	}
	switch {
	case found == "" || strings.HasPrefix(found, want):
	case want == "silu" && (found == "swish" || found == "swiglu"):
	default:
		c.fail("key %q: want %s, found %s: %w", "hidden_act", want, quoted(found), ErrUnsupported)
	}
	return *c.err
}

// rotated is the keys of families that have nothing of their own but RoPE over whole heads.
func rotated(m *meta) { m.positions(1) }

// with is several tables as one; of a name in two of them the later counts.
func with[T any](tables ...map[string]T) map[string]T {
	all := map[string]T{}
	for _, t := range tables {
		for k, v := range t {
			all[k] = v
		}
	}
	return all
}
