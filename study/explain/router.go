package explain

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/goinfer/goinfer"
)

// RouterOverride has routers choose other experts. The zero value changes nothing.
type RouterOverride struct {
	TopK    int   // experts a token uses; 0 for the model's number
	Ban     []int // never chosen
	Force   []int // always chosen, before all others, with the weights of the router
	Uniform bool  // the chosen experts of a token share the sum of their weights equally
	Random  bool  // experts are chosen at random, with the weights of the router
	Seed    uint64
	Layers  []int // layers that are overridden; nil for all with experts
}

// IsZero reports whether nothing is overridden.
func (r RouterOverride) IsZero() bool {
	return r.TopK == 0 && len(r.Ban) == 0 && len(r.Force) == 0 && !r.Uniform && !r.Random
}

// Hook returns the hook that overrides the routers of a model, nil where nothing is overridden. It
// may serve many requests at once.
func (r RouterOverride) Hook(s *MoE) (goinfer.Hook, error) {
	if r.IsZero() {
		if len(r.Layers) > 0 {
			return nil, errors.New("layers are named, but nothing is overridden in them")
		}
		return nil, nil
	}
	layers, err := s.only(r.Layers)
	if err != nil {
		return nil, err
	}
	k := r.TopK
	if k == 0 {
		k = s.Used
	}
	for _, list := range [][]int{r.Ban, r.Force} {
		for _, e := range list {
			if e < 0 || e >= s.Experts {
				return nil, fmt.Errorf("there is no expert %d: want 0 to %d", e, s.Experts-1)
			}
		}
	}
	h := &routerOverride{RouterOverride: r, on: layers, k: k}
	h.Ban, h.Force = unique(r.Ban), unique(r.Force)
	for _, e := range h.Force {
		if slices.Contains(h.Ban, e) {
			return nil, fmt.Errorf("expert %d is both banned and forced", e)
		}
	}
	switch {
	case k < 1 || k > s.Experts:
		return nil, fmt.Errorf("a top-k of %d: want 1 to %d experts", r.TopK, s.Experts)
	case len(h.Force) > k:
		return nil, fmt.Errorf("%d experts are forced, and a token uses %d", len(h.Force), k)
	case s.Experts-len(h.Ban) < k:
		return nil, fmt.Errorf("%d of %d experts are banned, and a token uses %d", len(h.Ban), s.Experts, k)
	}
	return h, nil
}

func unique(list []int) []int {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func (r RouterOverride) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch r.TopK {
	case 0:
	case 1:
		add("1 expert per token")
	default:
		add("%d experts per token", r.TopK)
	}
	if len(r.Ban) > 0 {
		add("without %s", ranges(unique(r.Ban)))
	}
	if len(r.Force) > 0 {
		add("always with %s", ranges(unique(r.Force)))
	}
	if r.Random {
		add("chosen at random (seed %d)", r.Seed)
	}
	if r.Uniform {
		add("equal weights")
	}
	if len(parts) == 0 {
		return "as the router chooses"
	}
	if len(r.Layers) > 0 {
		add("in layers %s", ranges(unique(r.Layers)))
	}
	return strings.Join(parts, ", ")
}

// routerOverride is the hook of a RouterOverride.
type routerOverride struct {
	RouterOverride
	on []int
	k  int
}

var _ goinfer.RoutingHook = &routerOverride{}

func (r *routerOverride) ExpertsUsed(layer, used, _ int) int {
	if slices.Contains(r.on, layer) {
		return r.k
	}
	return used
}

func (r *routerOverride) Wants(layer int, name string) bool {
	switch name {
	case goinfer.NameRouterScores:
		return (r.Random || len(r.Ban) > 0 || len(r.Force) > 0) && slices.Contains(r.on, layer)
	case goinfer.NameRouterTopK:
		return r.Uniform && slices.Contains(r.on, layer)
	}
	return false
}

func (r *routerOverride) Observe(e *goinfer.Event) {
	if e.Name == goinfer.NameRouterTopK {
		var sum float32
		for _, w := range e.Data {
			sum += w
		}
		for i := range e.Data {
			e.Data[i] = sum / float32(len(e.Data))
		}
		return
	}
	if r.Random {
		var rng rand.PCG // for this token in this layer, whatever was computed before
		rng.Seed(r.Seed, uint64(e.Layer)<<32|uint64(e.Pos))
		for i := range e.Data {
			e.Data[i] = float32(rng.Uint64() >> 40)
		}
	}
	for _, x := range r.Ban {
		e.Data[x] = float32(math.Inf(-1))
	}
	for _, x := range r.Force {
		e.Data[x] = float32(math.Inf(1))
	}
}
