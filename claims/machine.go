package claims

import (
	"fmt"
	"math"
	"runtime/debug"

	"github.com/goinfer/goinfer/bench"
	"github.com/goinfer/goinfer/catalog"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/page"
	"github.com/goinfer/goinfer/params"
	"github.com/goinfer/goinfer/plan"
	"github.com/goinfer/goinfer/probe"
)

// timed is a model that was run.
type timed struct {
	name    string
	counts  catalog.Counts
	token   float64 // seconds, the fastest of some runs
	resting int64   // bytes of memory that it takes, 0 where the system does not tell
}

// measure makes models of shapes in a type, at random, and runs them in turns. Of each the fastest run counts: whatever else runs on the machine only adds time.
func (r *run) measure(shapes []catalog.Shape, typ string, t bench.Test) ([]timed, error) {
	out, sessions := make([]timed, len(shapes)), make([]*bench.Session, len(shapes))
	for i, s := range shapes {
		r.step("%s as %s", s.Name, typ)
		ts, _, err := s.Types(typ, false)
		if err != nil {
			return nil, err
		}
		out[i] = timed{name: s.Name, counts: catalog.Count(ts), token: math.Inf(1)}
		src, err := bench.Of(s)
		if err != nil {
			return nil, err
		}
		before, known := resting()
		m, err := src.Load(r.ctx, typ, nil)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		if sessions[i], err = m.Session(r.ctx, bench.Case{Settings: r.settings(), Test: t}, true); err != nil {
			return nil, err
		}
		defer sessions[i].Close()
		if _, _, rss, err := sessions[i].Measure(r.ctx); err != nil {
			return nil, err
		} else if known {
			out[i].resting = rss - before
		}
	}
	rounds := 6
	if r.Quick {
		rounds = 4
	}
	for round := range rounds {
		r.step("run %d of %d", round+1, rounds)
		for i, s := range sessions {
			_, gen, _, err := s.Measure(r.ctx)
			if err != nil {
				return nil, err
			}
			if t.Gen > 0 {
				out[i].token = min(out[i].token, gen.Seconds()/float64(t.Gen))
			}
		}
	}
	return out, nil
}

// resting is the memory that the process holds without what is garbage, and whether the system tells: a peak that cannot begin anew tells nothing of what comes after it.
func resting() (bytes int64, known bool) {
	debug.FreeOSMemory()
	known = mem.ResetPeak()
	return mem.PeakRSS(), known
}

func (r *run) settings() bench.Settings {
	return bench.Settings{Threads: r.Threads, Batch: bench.DefaultBatch, Ubatch: 512}
}

// token is a test of generation alone.
var token = bench.Test{Gen: 12}

// memory: claim 2.
func (r *run) memory(c *Claim) error {
	r.step("counting")
	for _, p := range []struct {
		name string
		said map[string]float64
		of   func(b params.Bytes) int64
		file string
	}{
		{"FP16", r.Said.FP16, func(b params.Bytes) int64 { return b.FP16 }, "F16"},
		{"INT4", r.Said.INT4, func(b params.Bytes) int64 { return b.INT4 }, "Q4_K_M"},
	} {
		err := models(r, p.said, func(name string, said float64, rep *params.Report) error {
			c.find(name+" in "+p.name+" takes", is(said), float64(p.of(rep.Bytes))/1e9, none, gb, paramsOf(name))
			for _, t := range rep.Bytes.Types {
				if t.Type == p.file {
					c.find(name+" in a file in "+p.file, is(said), none, float64(t.Bytes)/1e9, gb, paramsOf(name))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	names := []string{"smollm2-135m"}
	if !r.Quick {
		names = append(names, "smollm2-360m", "tinyllama-1.1b")
	}
	for _, name := range names {
		s, err := catalog.Find(name)
		if err != nil {
			return err
		}
		for _, typ := range []string{"F16", "Q4_K_M"} {
			ms, err := r.measure([]catalog.Shape{s}, typ, bench.Test{Prompt: 16, Gen: 4})
			if err != nil {
				return err
			}
			m := ms[0]
			bytes := map[string]float64{"F16": 2, "Q4_K_M": 0.5}[typ]
			if m.resting == 0 {
				continue // the system does not tell
			}
			c.find("resident memory of "+name+" in "+typ, is(bytes*float64(m.counts.Weights)/1e6), float64(m.counts.Bytes)/1e6, float64(m.resting)/1e6, mb,
				fmt.Sprintf("goinfer bench %s --levels %s", name, typ))
		}
	}
	c.note("Files in 4 bits hold scales beside the weights and keep some tensors in more bits: 4.5 to 5 bits for each weight. Resident memory has the activations, a little of the cache, and the vocabulary, too.")
	return nil
}

// cache: claim 3. The model has a key head for every query head, so that its cache is large beside it.
func (r *run) cache(c *Claim) error {
	s, err := catalog.Find("smollm2-135m")
	if err != nil {
		return err
	}
	s = s.Set(map[string]int{"attention.head_count_kv": s.Get("attention.head_count")})
	s.Name = "smollm2-135m with as many key heads as query heads"
	src, err := bench.Of(s)
	if err != nil {
		return err
	}
	m, err := src.Load(r.ctx, "Q4_0", nil)
	if err != nil {
		return err
	}
	defer m.Close()
	twin, err := params.Of(s)
	if err != nil {
		return err
	}
	perToken, err := twin.CacheToken(0, 0)
	if err != nil {
		return err
	}
	contexts, batches := []int{128, 256, 384, 512}, []int{1, 2, 4}
	if !r.Quick {
		contexts = []int{256, 512, 1024, 1536, 2048}
	}
	grow := func(what string, values []int, test func(n int) bench.Test) error {
		var points []page.Point
		for _, n := range values {
			t := test(n)
			r.step("a %s of %d", what, n)
			rss, err := r.resident(m, t)
			if err != nil {
				return err
			}
			points = append(points, page.Point{X: float64(n), Y: float64(rss) / 1e6})
		}
		fit := page.LeastSquares(points, false)
		each := float64(perToken) / 1e6
		if what == "batch" { // of contexts of 256, in whole pages
			each *= 256
		}
		c.find("memory grows linearly with the "+what+" (R²)", r.Said.CacheGrowth, 1, fit.R2, plain, fmt.Sprintf("goinfer bench smollm2-135m -d %d", contexts[len(contexts)-1]))
		c.find("by so much for each", is(each), each, fit.Slope, mb, paramsOf("smollm2-135m"))
		c.pictures = append(c.pictures, page.Plot{Title: "Resident memory by " + what, X: page.Axis{Label: what}, Y: page.Axis{Label: "memory", Unit: "MB"},
			Series: []page.Series{{Name: "measured", Points: points, Style: page.Dots, Fit: &fit}}}.HTML())
		return nil
	}
	if _, known := resting(); known {
		if err := grow("context", contexts, func(n int) bench.Test { return bench.Test{Prompt: n - 1, Gen: 1} }); err != nil {
			return err
		}
		if err := grow("batch", batches, func(n int) bench.Test { return bench.Test{Prompt: 250, Gen: 1, Parallel: n} }); err != nil {
			return err
		}
	}
	c.note("The cache comes in pages of 64 positions, and a prompt that is kept to be continued has its last page copied: each context of the batch holds five pages for 256 positions in place of four.")
	big, err := params.Shape("llama-2-70b")
	if err == nil {
		big, err = big.As("F16")
	}
	if err != nil {
		return err
	}
	for _, n := range []int{1, 8, 16} {
		need, err := plan.Need(big, plan.Load{Context: 32768, Sequences: n})
		if err != nil {
			return err
		}
		c.note("llama-2-70b in FP16 with %d contexts of 32768: weights %.0f GB and cache %.1f GB, together %.0f GB.", n, float64(need.Weights)/1e9, float64(need.Cache)/1e9, float64(need.Total())/1e9)
		if n == 8 {
			c.find("llama-2-70b with a batch of 8 contexts of 32k needs", r.Said.Cache70B, float64(need.Total())/1e9, none, gb, "goinfer plan llama-2-70b --type f16 --ctx 32768 --batch 8 --no-speed")
		}
	}
	return nil
}

// resident is the most memory held while a test runs in a model, over what the process holds without.
func (r *run) resident(m *bench.Model, t bench.Test) (int64, error) {
	before, _ := resting()
	set := r.settings()
	set.Ubatch = 64 // so that the activations are the same for every length
	s, err := m.Session(r.ctx, bench.Case{Settings: set, Test: t}, false)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	_, _, rss, err := s.Measure(r.ctx)
	return rss - before, err
}

// time: claim 5.
func (r *run) time(c *Claim) error {
	names := []string{"stories15m", "smollm2-135m", "smollm2-360m"}
	if !r.Quick {
		names = append(names, "llama-3.2-1b", "tinyllama-1.1b", "smollm2-1.7b")
	}
	shapes := make([]catalog.Shape, len(names))
	for i, name := range names {
		var err error
		if shapes[i], err = catalog.Find(name); err != nil {
			return err
		}
	}
	sizes, err := r.measure(shapes, "Q4_0", token)
	if err != nil {
		return err
	}
	var points []page.Point
	for _, m := range sizes {
		points = append(points, page.Point{X: float64(m.counts.ActiveWeights) / 1e9, Y: 1000 * m.token, Name: m.name})
	}
	fit := page.LeastSquares(points, false)
	last := names[len(names)-1]
	c.find("time per token over parameters is a line (R²)", r.Said.Linear, 1, fit.R2, plain, "goinfer bench "+last+" --levels q4_0 -p 0 -n 12")
	small, err := r.report("llama-2-7b")
	if err != nil {
		return err
	}
	large, err := r.report("llama-2-70b")
	if err != nil {
		return err
	}
	at := func(rep *params.Report) float64 { return fit.At(float64(rep.Active) / 1e9) }
	c.find("70B takes as many times as long as 7B", r.Said.Slower70B, float64(large.Active)/float64(small.Active), at(large)/at(small), times, "goinfer plan llama-2-70b; goinfer plan llama-2-7b")
	for _, m := range sizes {
		c.note("%s: %s parameters for a token, %.2f ms, %.1f GB/s.", m.name, catalog.FormatWeights(m.counts.ActiveWeights), 1000*m.token, float64(m.counts.ActiveBytes)/m.token/1e9)
	}
	c.note("The 70B and 7B models do not run here: their ratio is that of the line through what did.")
	c.pictures = append(c.pictures, page.Plot{Title: "Time per token, Q4_0", X: page.Axis{Label: "parameters for a token", Unit: "10⁹", Zero: true}, Y: page.Axis{Label: "time", Unit: "ms", Zero: true},
		Series: []page.Series{{Name: "measured", Points: points, Style: page.Dots, Fit: &fit, Labels: true}}}.HTML())
	return nil
}

// mixtures: claim 6. All models have two experts at work, of more and more.
func (r *run) mixtures(c *Claim) error {
	s, err := catalog.Find("mixtral-small")
	if err != nil {
		return err
	}
	layers := 10
	if r.Quick {
		layers = 3
	}
	var shapes []catalog.Shape
	for _, n := range []int{4, 8, 16} {
		one := s.Set(map[string]int{"block_count": layers, "expert_count": n})
		one.Name = fmt.Sprintf("%d experts", n)
		shapes = append(shapes, one)
	}
	ms, err := r.measure(shapes, "Q4_0", token)
	if err != nil {
		return err
	}
	for _, m := range ms {
		c.note("%s: %s parameters, %s for a token; %.1f MB read for a token, %.1f tokens/s, %.0f MB resident.", m.name, catalog.FormatWeights(m.counts.Weights),
			catalog.FormatWeights(m.counts.ActiveWeights), float64(m.counts.ActiveBytes)/1e6, 1/m.token, float64(m.resting)/1e6)
	}
	first, last := ms[0], ms[len(ms)-1]
	const command = "goinfer synth mixtral-small --type q4_0 -o moe.gguf; goinfer bench moe.gguf; goinfer experts stats moe.gguf"
	c.find("speed of 16 experts over that of 4, with 2 at work", r.Said.SameSpeed, float64(first.counts.ActiveBytes)/float64(last.counts.ActiveBytes), first.token/last.token, times, command)
	if first.resting > 0 {
		grown := float64(last.counts.Bytes) / float64(first.counts.Bytes)
		c.find("memory of 16 experts over that of 4", is(grown), grown, float64(last.resting)/float64(first.resting), times, command)
	}
	return models(r, r.Said.Activated, func(name string, said [2]float64, rep *params.Report) error {
		c.find(name+" has parameters", is(said[0]), none, float64(rep.Total)/1e9, billions, paramsOf(name))
		c.find("of which active", is(said[1]), none, float64(rep.Active)/1e9, billions, paramsOf(name)+" --json")
		return nil
	})
}

// choosing is the table of claim 9: what each size would be like on this machine.
func (r *run) choosing(c *Claim) error {
	name := "smollm2-360m"
	if !r.Quick {
		name = "tinyllama-1.1b"
	}
	m, err := params.Shape(name)
	if err == nil {
		m, err = m.As("Q4_K_M")
	}
	if err != nil {
		return err
	}
	r.step("the speed of %s", name)
	rounds := 5
	if r.Quick {
		rounds = 2
	}
	s, err := plan.Calibrate(r.ctx, m, plan.Options{Threads: r.Threads, Rounds: rounds})
	if err != nil {
		return err
	}
	have, _, _ := mem.Available()
	for _, x := range []struct{ size, name, use string }{
		{"below 1B", "smollm2-360m", "a keyboard"}, {"1B to 3B", "llama-3.2-3b", "a telephone"}, {"7B to 8B", "llama-3-8b", "a laptop"}, {"13B", "llama-2-13b", "a workstation"},
		{"34B", "codellama-34b", "a large workstation"}, {"70B", "llama-2-70b", "a server"}, {"405B", "llama-3.1-405b", "research, several accelerators"},
	} {
		m, err := params.Shape(x.name)
		if err == nil {
			m, err = m.As("Q4_K_M")
		}
		if err != nil {
			return err
		}
		load := plan.Load{Context: 2048, Sequences: 1}
		p, err := s.Predict(m, load, 1024)
		if err != nil {
			return err
		}
		need, err := plan.Need(m, load)
		if err != nil {
			return err
		}
		fits := "fits here"
		if need.Total() > have {
			fits = "does not fit here"
		}
		c.note("%s, said to be for %s: %s as Q4_K_M takes %.1f GB and %s; %.3g tokens/s foretold on this machine, %.0f ms for a token.", x.size, x.use, x.name, float64(need.Total())/1e9, fits, p.Rate, 1000*p.Token)
	}
	return nil
}

// bounds: claim 12, of the roofline: the time of a token's operations at the machine's peak beside that of its bytes at its bandwidth.
func (r *run) bounds(c *Claim) error {
	r.step("the peaks of the machine")
	ops, err := probe.Int8Dot(r.ctx, r.Threads)
	if err != nil {
		return err
	}
	gbs, err := probe.Bandwidth(r.ctx, r.Threads)
	if err != nil {
		return err
	}
	m, err := params.Shape("llama-2-7b")
	if err == nil {
		m, err = m.As("Q8_0")
	}
	if err != nil {
		return err
	}
	rep, err := m.Report()
	if err != nil {
		return err
	}
	const prompt, position = 512, 1024
	h := rep.Hyper
	n := catalog.Count(m.Tensors)
	attention := func(at int) float64 { return 4 * float64(h.Layers*h.Heads*h.HeadDim*at) }
	reading := float64(n.ActiveBytes) + float64(rep.Cache.Types[0].Token*position)
	decode := 2*float64(n.ActiveWeights) + attention(position)
	prefill := prompt * (2*float64(n.ActiveWeights) + attention(prompt/2))
	c.find("reading a token's bytes takes as many times as long as its operations", r.Said.DecodeBound, none, reading/gbs/(decode/ops), times, "goinfer doctor; goinfer params llama-2-7b")
	c.find("of a prompt of 512 tokens, reading takes of the time of its operations", r.Said.PromptBound, none, float64(n.ActiveBytes)/gbs/(prefill/ops), times, "goinfer doctor; goinfer params llama-2-7b")
	c.note("llama-2-7b in Q8_0 at position %d: %.1f G operations and %.2f GB for a token. This machine reaches %.0f G int8 operations/s and reads %.1f GB/s with %d threads.", position, decode/1e9, reading/1e9, ops, gbs, r.Threads)
	return nil
}
