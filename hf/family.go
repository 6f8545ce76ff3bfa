package hf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// Family says how checkpoints of an architecture become GGUF: what their config.json means, what
// their tensors are called there, and what is done to them. Most families are in tables by kin; a
// new one is an entry.
type Family struct {
	Arch  string   // in GGUF
	Names []string // in config.json, under architectures or model_type
	// Activation is the activation function, silu where empty: another one in config.json is an
	// error.
	Activation string
	// NoAttention says that no layer attends.
	NoAttention bool
	// Defaults are what config.json may leave out since the model's code has it.
	Defaults map[string]float64
	// Keys sets what is not common to all.
	Keys func(m *Meta)
	// Tensors are those of tensors beside and before the common ones; what has an empty one is left
	// out, since it holds nothing that the model computes with.
	Tensors map[string]string
	// Ops are what is done to tensors, by their names in GGUF.
	Ops map[string]Op
}

// familyOf finds the family of a model, and completes its configuration by what the family takes
// for granted.
func familyOf(c *Config, families []Family) (*Family, error) {
	names, _ := c.Texts("architectures")
	names = append(slices.Clone(names), c.Text("model_type"))
	if *c.err != nil {
		return nil, *c.err
	}
	if names = slices.DeleteFunc(names, func(name string) bool { return name == "" }); len(names) == 0 {
		return nil, fault.Bad(c.path, fmt.Errorf("no key %q and no %q: want the name of an architecture", "architectures", "model_type"))
	}
	var supported []string
	for _, name := range names {
		for i := range families {
			if f := &families[i]; slices.Contains(f.Names, name) {
				f.complete(c)
				return f, f.check(c)
			}
		}
	}
	for i := range families {
		supported = append(supported, families[i].Names[0])
	}
	slices.Sort(supported)
	return nil, fault.Bad(c.path, fmt.Errorf("%w architecture %s: supported are %s", ErrUnsupported, quoted(names[0]), strings.Join(supported, ", ")))
}

// complete fills in defaults.
func (f *Family) complete(c *Config) {
	for key, v := range f.Defaults {
		if !c.Has(key) {
			c.values[key] = json.Number(strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
}

// check makes sure that the activation function is that of the architecture.
func (f *Family) check(c *Config) error {
	want, found := f.Activation, c.Text("hidden_activation", "hidden_act", "activation_function", "activation")
	if want == "" {
		want = "silu"
	}
	switch {
	case found == "" || strings.HasPrefix(found, want):
	case want == "silu" && (found == "swish" || found == "swiglu"):
	default:
		c.Fail("key %q: want %s, found %s: %w", "hidden_act", want, quoted(found), ErrUnsupported)
	}
	return *c.err
}

// Merge is several tables as one; of a name in two of them the later counts.
func Merge[T any](tables ...map[string]T) map[string]T {
	all := map[string]T{}
	for _, t := range tables {
		for k, v := range t {
			all[k] = v
		}
	}
	return all
}
