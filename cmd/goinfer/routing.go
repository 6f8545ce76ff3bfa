package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/experts"
)

// routingHeading is the heading of the flags of a routing in help texts.
const routingHeading = "Flags of the router (of models with experts)"

// routing are the flags that ask what would be if the routers of a model chose other experts.
type routing struct {
	topK               int
	ban, force, layers numbers
	uniform            bool
	random             lot
}

func (r *routing) add(fs *pflag.FlagSet) {
	fs.IntVar(&r.topK, "experts-top-k", 0, "have each token use N experts (default the model's number)")
	fs.Var(&r.ban, "experts-ban", "never choose these experts")
	fs.Var(&r.force, "experts-force", "always choose these experts")
	fs.BoolVar(&r.uniform, "experts-uniform", false, "give the chosen experts equal weights")
	fs.Var(&r.random, "experts-random", "draw experts by lot; =`SEED` for another draw")
	fs.Lookup("experts-random").NoOptDefVal = "0"
	fs.Var(&r.layers, "experts-layers", "do so in these layers alone")
}

// what is the routing that the flags ask for.
func (r *routing) what() experts.Routing {
	return experts.Routing{TopK: r.topK, Ban: r.ban.values, Force: r.force.values, Uniform: r.uniform, Random: r.random.on, Seed: r.random.seed, Layers: r.layers.values}
}

// hook returns the hook that routes as the flags say, nil if they leave everything as it is.
func (r *routing) hook(m *goinfer.Model) (goinfer.Hook, error) {
	w := r.what()
	if w.IsZero() && len(w.Layers) == 0 {
		return nil, nil
	}
	shape, err := experts.ShapeOf(m)
	if err != nil {
		return nil, err
	}
	h, err := w.Hook(&shape)
	if err != nil {
		return nil, &usageError{err}
	}
	return h, nil
}

// lot is a flag that may have a seed.
type lot struct {
	on   bool
	seed uint64
}

func (l *lot) Type() string { return "SEED" }

func (l *lot) String() string {
	if !l.on {
		return ""
	}
	return strconv.FormatUint(l.seed, 10)
}

func (l *lot) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("want a whole number from 0 as a seed, found %q", shorten(s, 40))
	}
	*l = lot{true, n}
	return nil
}
