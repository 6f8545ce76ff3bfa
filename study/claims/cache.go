package claims

import (
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/size"
)

// cache: claim 3.
func (r *run) cache(c *Claim) error {
	if err := r.growth(c); err != nil {
		return err
	}
	if err := r.otherCaches(c); err != nil {
		return err
	}
	return r.cacheOf70B(c)
}

// growth measures the memory of a model with a key head for every query head, so that its cache is large beside its weights.
func (r *run) growth(c *Claim) error {
	s, err := size.FindShape("smollm2-135m")
	if err != nil {
		return err
	}
	s = s.Set(map[string]int{"attention.head_count_kv": s.Get("attention.head_count")})
	s.Name = "smollm2-135m with 9 key heads in place of 3"
	twin, err := s.Layout()
	if err != nil {
		return err
	}
	perToken, err := twin.CacheGrowth(0, 0)
	if err != nil {
		return err
	}
	src, err := bench.Of(s)
	if err != nil {
		return err
	}
	m, err := src.Load(r.ctx, "Q4_0", nil)
	if err != nil {
		return err
	}
	defer m.Close()
	contexts, batches := []int{128, 256, 384, 512}, []int{1, 2, 4}
	if !r.Quick {
		contexts = []int{256, 512, 1024, 1536, 2048}
	}
	for _, g := range []struct {
		what   string
		values []int
		test   func(n int) bench.Test
		each   float64
	}{
		{"context", contexts, func(n int) bench.Test { return bench.Test{Prompt: n - 1, Gen: 1} }, float64(perToken) / 1e6},
		{"batch", batches, func(n int) bench.Test { return bench.Test{Prompt: 250, Gen: 1, Parallel: n} }, 256 * float64(perToken) / 1e6},
	} {
		var points []page.Point
		for _, n := range g.values {
			r.step("a %s of %d", g.what, n)
			rss, err := r.resident(m, g.test(n))
			if err != nil {
				return err
			}
			points = append(points, page.Point{X: float64(n), Y: float64(rss) / 1e6})
		}
		growthRows(c, g.what, s.Name, g.each, points)
	}
	c.note("The cache comes in pages of 64 positions, and a prompt that is kept to be continued has its last page copied: each sequence of the batch holds five pages for 256 positions in place of four.")
	return nil
}

// growthRows judges memory in MB over context or batch; each is what one more adds by the shape.
func growthRows(c *Claim, what, name string, each float64, points []page.Point) {
	fit := page.LeastSquares(points, false)
	if slices.ContainsFunc(points, func(p page.Point) bool { return p.Y <= 0 }) {
		fit = page.Fit{R2: math.NaN(), Slope: math.NaN()}
	}
	how := fmt.Sprintf("%s in Q4_0: the most memory that the process holds, less what it held before, and a straight line through it. By its shape each further one takes %.4g MB; the line rises by %.4g MB.", name, each, fit.Slope)
	c.add("cache-linear/"+what, "Memory over "+what+": R² of the straight line", found{value: fit.R2, err: 1 - fit.R2, format: plain, how: how})
	c.add("cache-slope/"+what, "Growth of memory with the "+what+": measured ÷ that of the shape", found{value: fit.Slope / each, err: slopeError(points, fit) / each, format: plain, how: how})
	c.pictures = append(c.pictures, page.Plot{Title: "Resident memory by " + what, X: page.Axis{Label: what, Zero: true}, Y: page.Axis{Label: "memory", Unit: "MB", Zero: true},
		Series: []page.Series{{Name: "measured", Points: points, Style: page.Dots, Fit: &fit}}}.HTML())
}

// slopeError is the standard error of the slope of a fit.
func slopeError(points []page.Point, fit page.Fit) float64 {
	var x, xx, rest float64
	for _, p := range points {
		x += p.X / float64(len(points))
	}
	for _, p := range points {
		xx += (p.X - x) * (p.X - x)
		rest += (p.Y - fit.At(p.X)) * (p.Y - fit.At(p.X))
	}
	if len(points) < 3 {
		return math.NaN()
	}
	return math.Sqrt(rest / float64(len(points)-2) / xx)
}

// resident is the most memory held while a test runs in a model, over what the process holds without; 0 where the system does not report it.
func (r *run) resident(m *bench.Model, t bench.Test) (int64, error) {
	before, known := resident()
	set := r.settings()
	set.Ubatch = 64 // so that the activations are the same for every length
	s, err := m.Session(r.ctx, bench.Case{Settings: set, Test: t}, false)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	_, _, rss, err := s.Measure(r.ctx)
	if !known {
		return 0, err
	}
	return rss - before, err
}

// otherCaches runs a model with windows, one with latents and one with recurrent states: small ones of these architectures, whose
// cache is what their memory goes into.
func (r *run) otherCaches(c *Claim) error {
	for _, o := range []struct {
		name, what string
		step       int // of the context
		keys       map[string]int
	}{
		{"gemma-3-1b", "windows of 64 (as Gemma 3)", 512, map[string]int{"block_count": 6, "attention.head_count": 8, "attention.head_count_kv": 8, "attention.sliding_window": 64}},
		{"deepseek-v2-small", "latents (as DeepSeek-V2)", 512, map[string]int{"block_count": 8, "attention.head_count": 1, "attention.kv_lora_rank": 4096, "expert_count": 4, "expert_used_count": 2,
			"expert_feed_forward_length": 64}},
		{"mamba-130m", "recurrent states (as Mamba)", 1024, map[string]int{"block_count": 2}},
	} {
		if !r.Quick {
			o.step *= 2
		}
		r.step("a model with %s", o.what)
		s, err := size.FindShape(o.name)
		if err != nil {
			return err
		}
		if o.name != "mamba-130m" {
			for k, v := range map[string]int{"embedding_length": 256, "feed_forward_length": 256} {
				o.keys[k] = v
			}
		}
		o.keys["vocab_size"], s.Vocab.Size = 4096, 4096
		s = s.Set(o.keys)
		held, err := r.heldAt(s, o.step)
		if err != nil {
			return err
		}
		m, err := s.Config()
		if err != nil {
			return err
		}
		width := m.NHeadKV * (m.HeadDim + m.HeadDimV)
		if width == 0 { // a model without attention: keys and values as wide as it is
			width = 2 * m.NEmbd
		}
		otherRows(c, o.name, o.what, o.step, held, float64(2*m.NLayer*width)/1e3)
	}
	if err := windowNote(c); err != nil {
		return err
	}
	for name := range c.reported.under("cache-latent") {
		rep, err := r.shape(name)
		if err != nil {
			return err
		}
		c.add("cache-latent/"+name, name+": cache for a token ÷ that with a key head for each query head", computed(1/rep.Cache.MultiHead, percent,
			fmt.Sprintf("%.1f KB in place of %.0f KB, in F16.", float64(rep.Cache.Types[0].Token)/1e3, float64(rep.Cache.Types[0].MultiHead)/1e3), c.again))
	}
	for name := range c.reported.under("cache-grouped") {
		rep, err := r.shape(name)
		if err != nil {
			return err
		}
		c.add("cache-grouped/"+name, name+": cache with a key head for each query head ÷ its cache", computed(rep.Cache.MultiHead, times, "Grouped-query attention: 32 query heads share 8 key heads.", paramsOf(name)))
	}
	return nil
}

// windowNote says what a published model with windows keeps.
func windowNote(c *Claim) error {
	m, err := size.Known("gemma-3-27b")
	if err != nil {
		return err
	}
	var at [2]float64
	for i, n := range []int{16384, 32768} {
		b, err := m.CacheRead(0, 0, n)
		if err != nil {
			return err
		}
		at[i] = float64(b) / 1e6
	}
	c.note("By its shape a token of gemma-3-27b reads %.0f MB of cache after 16384 others and %.0f MB after 32768: five of six layers have a window of 1024.", at[0], at[1])
	return nil
}

// smallError is by how many MB the memory of models of a few MB varies from run to run, at least.
const smallError = 2

// heldMemory is the memory in MB at a context of one, two and three steps, and its error.
type heldMemory struct {
	held [3]float64
	off  float64
}

// heldAt is the memory that a model of a shape takes at a context of one, two and three steps:
// the least of several runs in turns, since garbage that is not yet collected only adds to it.
func (r *run) heldAt(s size.Shape, step int) (heldMemory, error) {
	src, err := bench.Of(s)
	if err != nil {
		return heldMemory{}, err
	}
	m, err := src.Load(r.ctx, "F16", nil)
	if err != nil {
		return heldMemory{}, err
	}
	defer m.Close()
	const runs = 3
	var all [3][]float64
	for range runs {
		for i := range all {
			b, err := r.resident(m, bench.Test{Prompt: (i+1)*step - 1, Gen: 1})
			if err != nil {
				return heldMemory{}, err
			}
			all[i] = append(all[i], float64(b)/1e6)
		}
	}
	return leastOf(all), nil
}

// leastOf takes the least of each context's runs. The error is the largest distance from there to
// the middle one, or smallError.
func leastOf(all [3][]float64) heldMemory {
	out := heldMemory{off: smallError}
	for i, runs := range all {
		sorted := slices.Sorted(slices.Values(runs))
		out.held[i] = sorted[0]
		out.off = max(out.off, sorted[len(sorted)/2]-sorted[0])
	}
	return out
}

// otherRows judges the memory at a context of one, two and three steps; all is what a cache of the
// keys and values of every layer and position takes for a token, in KB.
func otherRows(c *Claim, name, what string, step int, m heldMemory, all float64) {
	held := m.held
	if slices.Min(held[:]) <= 0 {
		held[1], held[2] = math.NaN(), math.NaN()
	}
	second, third := held[1]-held[0], held[2]-held[1]
	each, off := 1e3*third/float64(step), 1e3*m.off/float64(step) // KB
	how := fmt.Sprintf("A small model with %s and random weights, the least of three runs each: %.1f MB with a context of %d, %.1f MB with %d, %.1f MB with %d.", what, held[0], step, held[1], 2*step, held[2], 3*step)
	c.add("cache-windows/"+name, fmt.Sprintf("A model with %s: memory for a further token ÷ that of a cache without windows", what), found{value: each / all, err: off / all, format: percent,
		how: how + fmt.Sprintf(" Without windows a token takes %.1f KB.", all)})
	c.add("cache-latents/"+name, fmt.Sprintf("A model with %s: memory that %d tokens add after %d ÷ that of the %d before", what, step, 2*step, step),
		found{value: third / second, err: m.off / second * math.Hypot(1, third/second), format: plain, how: how})
	c.add("cache-states/"+name, fmt.Sprintf("A model with %s: memory for a further token ÷ that of keys and values of its width", what), found{value: max(0, each/all), err: off / all, format: percent,
		how: how + fmt.Sprintf(" Keys and values of its width would take %.1f KB for a token.", all)})
}

// cacheOf70B works out the memory of a 70B model with long contexts.
func (r *run) cacheOf70B(c *Claim) error {
	const name, context = "llama-3.1-70b", 32768
	big, err := shapeAs(name, "F16")
	if err != nil {
		return err
	}
	need := func(n int) (size.Footprint, error) {
		return big.Footprint(size.Workload{Context: context, Sequences: n})
	}
	const how = "Weights in FP16, cache in F16, activations and overhead. Llama 2 70B has a context of 4096 only, so Llama 3.1 70B is taken."
	command := func(n int) string {
		return fmt.Sprintf("goinfer plan %s --type f16 --ctx %d --batch %d --no-speed", name, context, n)
	}
	least := 1
	for ; least < 1024; least++ {
		m, err := need(least)
		if err != nil {
			return err
		}
		if m.Total() >= 200e9 {
			break
		}
	}
	c.add("cache-70b-batch", name+" in FP16: sequences of 32k from which it needs 200 GB", computed(float64(least), count, how, c.again))
	bars := page.Bars{Title: name + " in FP16, contexts of 32k", Value: page.Axis{Label: "memory", Unit: "GB"}, Series: []string{"weights", "cache", "the rest"}, Stacked: true}
	for _, n := range []int{1, 8, 16} {
		m, err := need(n)
		if err != nil {
			return err
		}
		if n == 8 {
			c.add("cache-70b", name+" in FP16 with 8 sequences of 32k: memory", computed(float64(m.Total())/1e9, gb, how, command(8)))
		}
		if n == 16 {
			c.add("cache-dominates", name+" in FP16 with 16 sequences of 32k: cache ÷ weights", computed(float64(m.Cache)/float64(m.Weights), times, how, c.again))
		}
		bars.Rows = append(bars.Rows, page.BarRow{Name: fmt.Sprintf("batch %d", n), Values: []float64{float64(m.Weights) / 1e9, float64(m.Cache) / 1e9, float64(m.Scratch+m.Overhead) / 1e9}})
	}
	c.pictures = append(c.pictures, bars.HTML())
	return nil
}
