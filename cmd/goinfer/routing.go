package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
)

// routingHeading is the heading of the flags of a routing in help texts.
const routingHeading = "Flags of the router (of models with experts)"

// routing are the flags that override the routers of a model.
type routing struct {
	topK               int
	ban, force, layers numbers
	uniform            bool
	random             seedFlag
}

func (r *routing) add(fs *pflag.FlagSet) {
	fs.IntVar(&r.topK, "experts-top-k", 0, "let each token use N experts (default the model's number)")
	fs.Var(&r.ban, "experts-ban", "never choose these experts")
	fs.Var(&r.force, "experts-force", "always choose these experts")
	fs.BoolVar(&r.uniform, "experts-uniform", false, "give the chosen experts equal weights")
	fs.Var(&r.random, "experts-random", "choose experts at random; =`SEED` for another choice")
	fs.Lookup("experts-random").NoOptDefVal = "0"
	fs.Var(&r.layers, "experts-layers", "override only these layers")
}

// what is the override that the flags ask for.
func (r *routing) what() explain.RouterOverride {
	return explain.RouterOverride{TopK: r.topK, Ban: r.ban.values, Force: r.force.values, Uniform: r.uniform, Random: r.random.on, Seed: r.random.seed, Layers: r.layers.values}
}

// hook returns the hook that overrides the routers, nil if the flags ask for nothing.
func (r *routing) hook(m *goinfer.Model) (goinfer.Hook, error) {
	w := r.what()
	if w.IsZero() && len(w.Layers) == 0 {
		return nil, nil
	}
	moe, err := explain.MoEOf(m)
	if err != nil {
		return nil, err
	}
	h, err := w.Hook(&moe)
	if err != nil {
		return nil, &usageError{err}
	}
	return h, nil
}

// seedFlag is a flag that may have a seed.
type seedFlag struct {
	on   bool
	seed uint64
}

func (l *seedFlag) Type() string { return "SEED" }

func (l *seedFlag) String() string {
	if !l.on {
		return ""
	}
	return strconv.FormatUint(l.seed, 10)
}

func (l *seedFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("want a whole number from 0 as a seed, found %q", shorten(s, 40))
	}
	*l = seedFlag{true, n}
	return nil
}
