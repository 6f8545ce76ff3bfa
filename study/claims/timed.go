package claims

import (
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// timed is a model that was run.
type timed struct {
	name     string
	counts   size.Counts
	tokens   []float64 // seconds per token, by round
	resident int64     // bytes of memory that it takes, 0 where the system does not report it
}

// token is the seconds per token of the fastest round: whatever else runs on the machine only adds time.
func (t *timed) token() float64 { return slices.Min(t.tokens) }

// deviation is how far the faster half of the rounds are from the fastest, as a share of it.
func (t *timed) deviation() float64 {
	sorted := slices.Sorted(slices.Values(t.tokens))
	return sorted[len(sorted)/2]/sorted[0] - 1
}

// ratio is the time per token of a over that of b, with its error.
func ratio(a, b *timed) (value, err float64) {
	value = a.token() / b.token()
	return value, value * math.Hypot(a.deviation(), b.deviation())
}

// variant is a shape in a type.
type variant struct {
	shape size.Shape
	typ   string
}

// measure makes models of shapes at random and runs them in turns.
func (r *run) measure(of []variant, t bench.Test) ([]timed, probe.Load, error) {
	out, sessions := make([]timed, len(of)), make([]*bench.Session, len(of))
	for i, v := range of {
		r.step("%s as %s", v.shape.Name, v.typ)
		n, err := v.shape.Counts(v.typ, false)
		if err != nil {
			return nil, probe.Load{}, err
		}
		out[i] = timed{name: v.shape.Name, counts: n}
		src, err := bench.Of(v.shape)
		if err != nil {
			return nil, probe.Load{}, err
		}
		before, known := resident()
		m, err := src.Load(r.ctx, v.typ, nil)
		if err != nil {
			return nil, probe.Load{}, err
		}
		defer m.Close()
		if sessions[i], err = m.Session(r.ctx, bench.Case{Settings: r.settings(), Test: t}, true); err != nil {
			return nil, probe.Load{}, err
		}
		defer sessions[i].Close()
		if _, _, rss, err := sessions[i].Measure(r.ctx); err != nil {
			return nil, probe.Load{}, err
		} else if known {
			out[i].resident = rss - before
		}
	}
	rounds := 6
	if r.Quick {
		rounds = 4
	}
	load, err := r.watched(func() error {
		for round := range rounds {
			r.step("run %d of %d", round+1, rounds)
			for i, s := range sessions {
				_, gen, _, err := s.Measure(r.ctx)
				if err != nil {
					return err
				}
				if t.Gen > 0 {
					out[i].tokens = append(out[i].tokens, gen.Seconds()/float64(t.Gen))
				}
			}
		}
		return nil
	})
	return out, load, err
}

// resident is the memory that the process holds without what is garbage, and whether the system reports it: a peak that
// cannot be reset says nothing of what comes after it.
func resident() (bytes int64, known bool) {
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
	fp16, err := r.bytesOf(c, "fp16", "FP16", "F16", 2)
	if err != nil {
		return err
	}
	int4, err := r.bytesOf(c, "int4", "INT4", "Q4_K_M", 0.5)
	if err != nil {
		return err
	}
	bars := page.Bars{Title: "Memory of the weights", Value: page.Axis{Label: "memory", Unit: "GB"}, Series: []string{"FP16", "a file in Q4_K_M"}}
	for i := range min(len(fp16), len(int4)) {
		bars.Rows = append(bars.Rows, page.BarRow{Name: fp16[i].Name, Values: []float64{fp16[i].Values[0], int4[i].Values[1]}})
	}
	if len(bars.Rows) > 0 {
		c.pictures = append(c.pictures, bars.HTML())
	}
	if err := r.held(c); err != nil {
		return err
	}
	c.note("A file in 4 bits holds a scale with every block of weights and keeps some tensors in more bits. Where the rows of a matrix are no multiple of 256, as in the two smaller SmolLM2, the recipe falls back to 5 and 8 bits.")
	return nil
}

// bytesOf are the rows of a precision: by rule, and in a file.
func (r *run) bytesOf(c *Claim, key, precision, file string, each float64) (bars []page.BarRow, err error) {
	err = r.shapes(key, func(name string, rep *size.Breakdown) error {
		bytes := each * float64(rep.Total) / 1e9
		row := page.BarRow{Name: name, Values: []float64{bytes, 0}}
		c.add(key+"/"+name, fmt.Sprintf("%s: weights in %s", name, precision), computed(bytes, gb, fmt.Sprintf("Parameters times %g bytes.", each), paramsOf(name)))
		for _, t := range rep.Bytes.Types {
			if t.Type == file {
				row.Values[1] = float64(t.Bytes) / 1e9
				c.add(key+"/"+name, fmt.Sprintf("%s: a file in %s (%.2f bits for each weight)", name, file, t.Bits),
					computed(row.Values[1], gb, "The type that each tensor has in such a file, with its scales.", paramsOf(name)))
			}
		}
		bars = append(bars, row)
		return nil
	})
	return bars, err
}

// held are the rows on the memory that running models take.
func (r *run) held(c *Claim) error {
	names := []string{"smollm2-135m"}
	if !r.Quick {
		names = append(names, "smollm2-360m", "tinyllama-1.1b")
	}
	for _, name := range names {
		s, err := size.FindShape(name)
		if err != nil {
			return err
		}
		for _, typ := range []string{"F16", "Q4_K_M"} {
			ms, err := r.hold(s, typ)
			if err != nil {
				return err
			}
			r.heldRows(c, name, typ, ms)
		}
	}
	return nil
}

// hold is the memory of a model while it evaluates a prompt and generates.
func (r *run) hold(s size.Shape, typ string) (timed, error) {
	r.step("%s as %s", s.Name, typ)
	n, err := s.Counts(typ, false)
	if err != nil {
		return timed{}, err
	}
	src, err := bench.Of(s)
	if err != nil {
		return timed{}, err
	}
	before, known := resident()
	m, err := src.Load(r.ctx, typ, nil)
	if err != nil {
		return timed{}, err
	}
	defer m.Close()
	session, err := m.Session(r.ctx, bench.Case{Settings: r.settings(), Test: bench.Test{Prompt: 16, Gen: 4}}, true)
	if err != nil {
		return timed{}, err
	}
	defer session.Close()
	_, _, rss, err := session.Measure(r.ctx)
	t := timed{name: s.Name, counts: n}
	if known {
		t.resident = rss - before
	}
	return t, err
}

// memoryError is by how many MB the memory that a process holds varies from run to run: its runtime and its garbage.
const memoryError = 6

// heldRows judges the memory of a model that was run.
func (r *run) heldRows(c *Claim, name, typ string, t timed) {
	bytes, weights := float64(t.resident), float64(t.counts.Params)
	if t.resident <= 0 {
		bytes = math.NaN()
	}
	const how = "The most memory that the process holds while a model of random weights evaluates 16 tokens and generates 4, less what it held before."
	if typ == "F16" {
		c.add("fp16-resident", name+" in F16: bytes of memory for each weight", found{value: bytes / weights, err: memoryError * 1e6 / weights, format: plain, how: how})
		c.add("overhead", name+" in F16: memory beside the weights", found{value: (bytes - float64(t.counts.Bytes)) / 1e6, err: memoryError, format: mb, how: how})
		return
	}
	c.add("q4-resident", fmt.Sprintf("%s in %s: memory ÷ weights in their types (%.2f bits each)", name, typ, 8*float64(t.counts.Bytes)/weights),
		found{value: bytes / float64(t.counts.Bytes), err: memoryError * 1e6 / float64(t.counts.Bytes), format: times, how: how})
}

// time: claim 5.
func (r *run) time(c *Claim) error {
	names := []string{"stories15m", "smollm2-135m", "smollm2-360m"}
	if !r.Quick {
		names = append(names, "llama-3.2-1b", "tinyllama-1.1b", "smollm2-1.7b")
	}
	of := make([]variant, len(names))
	for i, name := range names {
		s, err := size.FindShape(name)
		if err != nil {
			return err
		}
		of[i] = variant{s, "Q4_0"}
	}
	sizes, load, err := r.measure(of, token)
	if err != nil {
		return err
	}
	return r.timeRows(c, sizes, load)
}

// timeRows judges the times of models that were run.
func (r *run) timeRows(c *Claim, sizes []timed, load probe.Load) error {
	var points []page.Point
	for _, m := range sizes {
		points = append(points, page.Point{X: float64(m.counts.Read) / 1e9, Y: 1000 * m.token(), Name: m.name})
	}
	fit := page.LeastSquares(points, false)
	how := fmt.Sprintf("%d models with random weights in Q4_0 generate 12 tokens in turns; of each the fastest round counts. A straight line through time per token over active parameters.", len(points))
	c.add("time-linear", "Time per token over parameters: R² of the straight line", found{value: fit.R2, err: 1 - fit.R2, format: plain, timed: true, load: load, how: how})
	small, err := r.shape("llama-2-7b")
	if err != nil {
		return err
	}
	large, err := r.shape("llama-2-70b")
	if err != nil {
		return err
	}
	at := func(f page.Fit) float64 { return f.At(float64(large.Active)/1e9) / f.At(float64(small.Active)/1e9) }
	spread := 0.0 // without each of the points in turn (jackknife)
	for i := range points {
		without := page.LeastSquares(slices.Concat(points[:i], points[i+1:]), false)
		spread = max(spread, math.Abs(at(without)-at(fit)))
	}
	c.add("slower-70b", "Time per token of 70B ÷ that of 7B (estimated)", found{value: at(fit), err: spread, format: times, timed: true, load: load,
		how: how + " Both models are too large to run here: the ratio is extrapolated, and follows mostly from that of the parameters. The error is the largest change when one model is left out."})
	for _, m := range sizes {
		c.note("%s: %s parameters for a token, %.2f ms, %.1f GB/s.", m.name, size.FormatCount(m.counts.Read), 1000*m.token(), float64(m.counts.ReadBytes)/m.token()/1e9)
	}
	c.pictures = append(c.pictures, page.Plot{Title: "Time per token, Q4_0", X: page.Axis{Label: "parameters for a token", Unit: "10⁹", Zero: true}, Y: page.Axis{Label: "time", Unit: "ms", Zero: true},
		Series: []page.Series{{Name: "measured", Points: points, Style: page.Dots, Fit: &fit, Labels: true}}}.HTML())
	return nil
}

// mixtures: claim 6. All models have two experts at work, of more and more.
func (r *run) mixtures(c *Claim) error {
	for _, key := range []string{"total", "active"} {
		err := r.shapes(key, func(name string, rep *size.Breakdown) error {
			n, what := rep.Total, name+": parameters in all"
			if key == "active" {
				n, what = rep.Active, name+": parameters active for a token"
			}
			c.add(key+"/"+name, what, computed(float64(n)/1e9, billions, "The tensors that the architecture asks for; of experts, those that a token is given to.", paramsOf(name)))
			return nil
		})
		if err != nil {
			return err
		}
	}
	dense, err := r.shape("llama-2-7b")
	if err != nil {
		return err
	}
	c.add("dense-active/llama-2-7b", "llama-2-7b: active parameters ÷ all", computed(float64(dense.Active)/float64(dense.Total), plain, "A token reads one row of the embedding, which counts as active here.", c.again))
	mix, err := r.shape("mixtral-8x7b")
	if err != nil {
		return err
	}
	for _, p := range mix.Components {
		if p.Name == size.Experts {
			c.add("experts-sum/mixtral-8x7b", "mixtral-8x7b: parameters of all experts ÷ total", computed(p.Share, percent, fmt.Sprintf("%.4g B of %.4g B.", float64(p.Parameters)/1e9, float64(mix.Total)/1e9), paramsOf("mixtral-8x7b")))
		}
	}
	c.add("name/mixtral-8x7b", "mixtral-8x7b: parameters, where its name says 8 × 7 B = 56 B", computed(float64(mix.Total)/1e9, billions, "The experts are feed-forward blocks alone; attention and embedding are there once.", paramsOf("mixtral-8x7b")))
	bars := page.Bars{Title: "Active parameters in the total", Value: page.Axis{Label: "parameters", Unit: "10⁹"}, Series: []string{"active", "the rest"}, Stacked: true}
	err = r.shapes("active", func(name string, rep *size.Breakdown) error {
		bars.Rows = append(bars.Rows, page.BarRow{Name: name, Values: []float64{float64(rep.Active) / 1e9, float64(rep.Total-rep.Active) / 1e9}})
		return nil
	})
	if err != nil {
		return err
	}
	if len(bars.Rows) > 0 {
		c.pictures = append(c.pictures, bars.HTML())
	}
	if _, ok := c.reported["speed-of-experts"]; !ok {
		if _, ok := c.reported["memory-of-experts"]; !ok {
			return nil
		}
	}
	of, err := r.expertShapes()
	if err != nil {
		return err
	}
	ms, load, err := r.measure(of, token)
	if err != nil {
		return err
	}
	r.mixtureRows(c, ms, load)
	return nil
}

// expertShapes are mixtures of 4, 8 and 16 experts with 2 at work.
func (r *run) expertShapes() ([]variant, error) {
	s, err := size.FindShape("mixtral-small")
	if err != nil {
		return nil, err
	}
	layers := 10
	if r.Quick {
		layers = 3
	}
	var of []variant
	for _, n := range []int{4, 8, 16} {
		one := s.Set(map[string]int{"block_count": layers, "expert_count": n})
		one.Name = fmt.Sprintf("%d experts", n)
		of = append(of, variant{one, "Q4_0"})
	}
	return of, nil
}

// mixtureRows judges mixtures that were run, of few experts first.
func (r *run) mixtureRows(c *Claim, ms []timed, load probe.Load) {
	first, last := &ms[0], &ms[len(ms)-1]
	layers := 10
	if r.Quick {
		layers = 3
	}
	how := fmt.Sprintf("Models of random weights in Q4_0 in the shape of Mixtral, %d layers, run in turns; each can be made by goinfer synth mixtral-small --experts N --layers %d --type q4_0.", layers, layers)
	speed, off := ratio(first, last)
	c.add("speed-of-experts", "Speed with 16 experts ÷ speed with 4, 2 at work in both", found{value: speed, err: off, format: times, timed: true, load: load,
		how: how + " The fastest round of each counts; the error is the distance to the median."})
	memory, grown := math.NaN(), float64(last.counts.Bytes)/float64(first.counts.Bytes)
	if first.resident > 0 {
		memory = float64(last.resident) / float64(first.resident) / grown
	}
	c.add("memory-of-experts", fmt.Sprintf("Memory with 16 experts ÷ memory with 4, over that of the totals (%.2f×)", grown),
		found{value: memory, err: memoryError * 1e6 / float64(max(1, first.resident)), format: times, how: how + " The most memory that the process held."})
	for _, m := range ms {
		c.note("%s: %s parameters, %s for a token; %.1f MB read for a token, %.1f tokens/s, %.0f MB resident.", m.name, size.FormatCount(m.counts.Params),
			size.FormatCount(m.counts.Read), float64(m.counts.ReadBytes)/1e6, 1/m.token(), float64(m.resident)/1e6)
	}
}

// uses are the rows of the article's table of sizes.
var uses = []struct {
	key, use     string
	small, large string // the models at both ends
}{
	{"1b-3b", "Local assistant, 1B to 3B", "llama-3.2-1b", "llama-3.2-3b"},
	{"7b-13b", "Support chatbot, 7B to 13B", "llama-2-7b", "llama-2-13b"},
	{"7b-33b", "Coding assistant, 7B to 33B", "codellama-7b", "codellama-34b"},
	{"8b-70b", "Company assistant with retrieval, 8B to 70B", "llama-3.1-8b", "llama-3.1-70b"},
	{"70b-405b", "Reasoning and research, 70B to 405B", "llama-3.1-70b", "llama-3.1-405b"},
}

// choosing: claim 9.
func (r *run) choosing(c *Claim) error {
	name := "smollm2-360m"
	if !r.Quick {
		name = "tinyllama-1.1b"
	}
	m, err := shapeAs(name, "Q4_K_M")
	if err != nil {
		return err
	}
	r.step("the speed of %s", name)
	o := bench.CalibrateOptions{Threads: r.Threads, Rounds: 5}
	if r.Quick {
		o.Rounds, o.Budget = 2, 128<<20
	}
	s, err := bench.Calibrate(r.ctx, m, o) // which looks at the machine before and after
	if err != nil {
		return err
	}
	r.report.Load = r.report.Load.Worse(s.Load)
	have, _, known := mem.Available()
	if !known {
		have = 0
	}
	return r.choosingRows(c, s, have, s.Load)
}

// estimateError is by how much plan's estimates of time have been off, at most, where they were compared with measurements.
const estimateError = 0.1

// choosingRows holds the sizes of the article's table against a speed and the memory that is available.
func (r *run) choosingRows(c *Claim, s *size.Speed, have int64, load probe.Load) error {
	use := size.Workload{Context: 2048, Sequences: 1}
	estimate := func(name string) (token, need float64, err error) {
		m, err := shapeAs(name, "Q4_K_M")
		if err != nil {
			return 0, 0, err
		}
		p, err := s.Predict(m, use, 1024)
		if err != nil {
			return 0, 0, err
		}
		n, err := m.Footprint(use)
		return 1000 * p.Token, float64(n.Total()), err
	}
	latency := func(key, what string, token float64) {
		c.add(key, what, found{value: token, err: estimateError * token, format: ms, timed: true, load: load,
			how: "The time per token in Q4_K_M at position 1024, estimated from slices of a model that were run (goinfer plan)."})
	}
	below, _, err := estimate("smollm2-360m")
	if err != nil {
		return err
	}
	latency("latency-below-1b", "Keyboard prediction, below 1B: time per token of smollm2-360m here", below)
	bars := page.Bars{Title: "Time per token on this machine, estimated", Value: page.Axis{Label: "time", Unit: "ms", Log: true}}
	bars.Rows = append(bars.Rows, page.BarRow{Name: "smollm2-360m", Values: []float64{below}})
	for _, u := range uses {
		small, needSmall, err := estimate(u.small)
		if err != nil {
			return err
		}
		large, needLarge, err := estimate(u.large)
		if err != nil {
			return err
		}
		share := math.NaN()
		if have > 0 {
			share = needSmall / float64(have)
		}
		c.add("fits/"+u.key, fmt.Sprintf("%s: memory for %s ÷ memory available here", u.use, u.small), found{value: share, err: 0.1 * share, format: times,
			how: fmt.Sprintf("In Q4_K_M with a context of 2048: %.1f GB for %s, %.1f GB for %s; %.1f GB are available.", needSmall/1e9, u.small, needLarge/1e9, u.large, float64(have)/1e9)})
		latency("responsive/"+u.key, fmt.Sprintf("%s: time per token of %s here", u.use, u.small), small)
		bars.Rows = append(bars.Rows, page.BarRow{Name: u.small, Values: []float64{small}}, page.BarRow{Name: u.large, Values: []float64{large}})
	}
	slices.SortStableFunc(bars.Rows, func(a, b page.BarRow) int { return int(math.Copysign(1, a.Values[0]-b.Values[0])) })
	bars.Rows = slices.CompactFunc(bars.Rows, func(a, b page.BarRow) bool { return a.Name == b.Name })
	c.pictures = append(c.pictures, bars.HTML())
	choices, err := size.Choose(s, use, have, 5)
	if err != nil {
		return err
	}
	c.add("smallest", "Known models that fit this machine and make 5 tokens a second", found{value: float64(len(choices)), format: count, timed: true, load: load,
		how: "goinfer plan --rate 5 lists them, the largest first."})
	if n := len(choices); n > 0 {
		c.note("The smallest of them is %s, the largest %s.", choices[n-1].Name, choices[0].Name)
	}
	return nil
}

// shapeAs is a known model with the types of a recipe.
func shapeAs(name, recipe string) (*size.Layout, error) {
	m, err := size.Known(name)
	if err != nil {
		return nil, err
	}
	return m.As(recipe)
}

// bounds: claim 12, of the roofline: the time of a token's operations at the machine's peak beside that of its bytes at its bandwidth.
func (r *run) bounds(c *Claim) error {
	r.step("the peaks of the machine")
	var ops, gbs float64
	load, err := r.watched(func() (err error) {
		if ops, err = probe.Int8Dot(r.ctx, r.Threads); err != nil {
			return err
		}
		gbs, err = probe.Bandwidth(r.ctx, r.Threads)
		debug.FreeOSMemory()
		return err
	})
	if err != nil {
		return err
	}
	if err := r.boundRows(c, ops, gbs, load); err != nil {
		return err
	}
	of, err := r.expertShapes()
	if err != nil {
		return err
	}
	ran, load, err := r.measure(of[1:2], token)
	if err != nil {
		return err
	}
	r.boundMeasured(c, &ran[0], gbs, load)
	return nil
}

// boundRows judges what bounds known models, from peaks in 10⁹ operations and bytes per second.
func (r *run) boundRows(c *Claim, ops, gbs float64, load probe.Load) error {
	const prompt, position = 512, 1024
	for _, name := range []string{"llama-2-7b", "mixtral-8x7b"} {
		m, err := shapeAs(name, "Q8_0")
		if err != nil {
			return err
		}
		rep, err := m.Breakdown()
		if err != nil {
			return err
		}
		h, n := rep.Hyper, m.Counts()
		attention := func(at int) float64 { return 4 * float64(h.Layers*h.NHead*h.HeadDim*at) }
		reading := float64(n.ReadBytes) + float64(rep.Cache.Types[0].Token*position)
		decode := 2*float64(n.Read) + attention(position)
		how := fmt.Sprintf("%s in Q8_0 at position %d: %.1f G operations and %.2f GB for a token. This machine reaches %.0f G int8 operations/s and reads %.1f GB/s with %d threads (goinfer doctor).",
			name, position, decode/1e9, reading/1e9, ops, gbs, r.Threads)
		key := "bound/token"
		if name == "mixtral-8x7b" {
			key = "bound/moe"
		}
		row := func(key, what string, value float64) {
			c.add(key, what, found{value: value, err: 0.1 * value, format: times, timed: true, load: load, how: how + " The error is that of two peaks, a tenth."})
		}
		row(key, name+", one token: time to read its bytes ÷ time to compute", reading/gbs/(decode/ops))
		if name == "llama-2-7b" {
			prefill := prompt * (2*float64(n.Read) + attention(prompt/2))
			row("bound/prompt", name+", a prompt of 512 tokens: time to read the weights ÷ time to compute", float64(n.ReadBytes)/gbs/(prefill/ops))
		}
	}
	return nil
}

// boundMeasured judges how much of the time of a token reading alone would take, on a mixture that was run.
func (r *run) boundMeasured(c *Claim, m *timed, gbs float64, load probe.Load) {
	share := float64(m.counts.ReadBytes) / (gbs * 1e9) / m.token()
	c.add("bound/moe-measured", fmt.Sprintf("A mixture of %s that was run: time to read a token's bytes ÷ time per token", m.name), found{value: share, err: share * (0.1 + m.deviation()), format: percent, timed: true, load: load,
		how: fmt.Sprintf("%.1f MB at %.1f GB/s, and %.2f ms measured.", float64(m.counts.ReadBytes)/1e6, gbs, 1000*m.token())})
}
