package claims

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// quantisation: claim 4.
func (r *run) quantisation(c *Claim) error {
	levels := []string{"f16", "q8_0", "q4_k_m", "q4_0"}
	sources := []struct {
		s    *bench.Subject
		name string
	}{{r.Dense, r.DenseName}, {r.MoE, r.MoEName}}
	for i, m := range sources {
		if m.s == nil || r.Quick && i > 0 {
			break
		}
		base, err := r.offGrid(m.s)
		if err != nil {
			return err
		}
		rep, err := eval.CompareTypes(r.ctx, base, eval.TypesOptions{Types: levels, Text: r.Text, Chunks: r.spread(), Answer: 1, Repetitions: 1, Threads: r.Threads, NoSpeed: true,
			Step: func(level, what string, done, _ int) {
				if done == 0 {
					r.step("%s as %s: %s", m.name, level, what)
				}
			}})
		if err != nil {
			return err
		}
		levelRows(c, m.name, rep)
	}
	return r.latency(c)
}

// levelRows judges what quantising cost and brought, against FP16.
func levelRows(c *Claim, name string, rep *eval.TypesReport) {
	var half *eval.TypeRow
	for i := range rep.Rows {
		if rep.Rows[i].Type == "f16" {
			half = &rep.Rows[i]
		}
	}
	if half == nil {
		return
	}
	var points []page.Point
	for i := range rep.Rows {
		row := &rep.Rows[i]
		if row.KL == nil || row == half {
			continue
		}
		c.add("shrinks/"+row.Type, fmt.Sprintf("%s in %s: times smaller than in FP16", name, row.Type), found{value: float64(half.Bytes) / float64(row.Bytes), format: times,
			how: fmt.Sprintf("Bytes of the weights: %d in F16, %d in %s, which is %.2f bits for each.", half.Bytes, row.Bytes, row.Type, row.BitsPerWeight)})
		// Both are compared with the model in float32, on the same tokens.
		ln := row.KL.LogRatio - half.KL.LogRatio
		c.add("loss/"+row.Type, fmt.Sprintf("%s in %s: growth of perplexity over FP16", name, row.Type), found{value: math.Expm1(ln), err: math.Hypot(row.KL.LogRatioError, half.KL.LogRatioError), format: percent,
			how: fmt.Sprintf("Perplexity %.4f in FP16, %.4f in %s, on %d tokens. KL divergence %.5f, most probable token the same in %.1f %%.", half.Perplexity.PPL, row.Perplexity.PPL, row.Type,
				row.Perplexity.Tokens, row.KL.KLMean, 100*row.KL.Top1)})
		points = append(points, page.Point{X: row.BitsPerWeight, Y: row.KL.KLMean, Name: row.Type})
	}
	c.note("%s is built in with 8 bits. So that FP16 and 8 bits differ, its columns are rescaled to and fro by random factors, which changes no result and moves the weights off the grid of Q8_0; what is quantised is that.", name)
	c.pictures = append(c.pictures, page.Plot{Title: "Divergence of " + name + " from its predictions in float32", X: page.Axis{Label: "bits for each weight"}, Y: page.Axis{Label: "KL divergence", Unit: "nats", Log: true},
		Series: []page.Series{{Name: "measured", Points: points, Labels: true}}}.HTML())
}

// offGrid is a model in float32 that computes what the source computes, with weights that are not those of a quantised file: each column of the matrices after a norm is divided by a
// random factor that the norm's weight is multiplied with. Otherwise Q8_0 of a model that was stored in Q8_0 would lose nothing.
func (r *run) offGrid(s *bench.Subject) (*bench.Subject, error) {
	data, err := s.Data(r.ctx, "f32")
	if err != nil {
		return nil, err
	}
	return rescaled(r.ctx, s.Name, data)
}

func rescaled(_ context.Context, name string, data []byte) (*bench.Subject, error) {
	f, err := gguf.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, t := range f.Tensors() {
		n := names.Parse(t.Name)
		if n.Layer == names.None {
			continue
		}
		var after []string
		switch n.InLayer() {
		case "attn_norm.weight":
			after = []string{"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_qkv.weight"}
		case "ffn_norm.weight":
			after = []string{"ffn_gate.weight", "ffn_up.weight", "ffn_gate_inp.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight"}
		default:
			continue
		}
		norm := floats(f, &t)
		factors := make([]float32, len(norm))
		for i := range factors {
			factors[i] = float32(math.Exp(0.3 * (2*rng.Float64() - 1)))
			norm[i] *= factors[i]
		}
		putFloats(f, &t, norm)
		for _, name := range after {
			m, ok := f.Tensor(names.Layer(n.Layer) + name)
			if !ok {
				continue
			}
			w := floats(f, m)
			if len(w)%len(factors) != 0 || m.Shape[0] != len(factors) {
				return nil, fmt.Errorf("%s: want rows of %d, found %v", m.Name, len(factors), m.Shape)
			}
			for i := range w {
				w[i] /= factors[i%len(factors)]
			}
			putFloats(f, m, w)
		}
	}
	return bench.Open(source.Bytes(name, data))
}

// floats are the weights of a tensor in float32.
func floats(f *gguf.File, t *gguf.Tensor) []float32 {
	b := f.Data(t)
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
	}
	return x
}

// putFloats changes them in place.
func putFloats(f *gguf.File, t *gguf.Tensor, x []float32) {
	b := f.Data(t)
	for i, v := range x {
		u := math.Float32bits(v)
		b[4*i], b[4*i+1], b[4*i+2], b[4*i+3] = byte(u), byte(u>>8), byte(u>>16), byte(u>>24)
	}
}

// latency measures a model that is larger than the caches in three types, in turns.
func (r *run) latency(c *Claim) error {
	name, layers := "tinyllama-1.1b", 11
	if r.Quick {
		name, layers = "smollm2-135m", 0
	}
	s, err := size.FindShape(name)
	if err != nil {
		return err
	}
	if layers > 0 {
		s = s.Set(map[string]int{"block_count": layers})
		s.Name = fmt.Sprintf("%s with %d layers", name, layers)
	}
	types := []string{"F16", "Q8_0", "Q4_K_M"}
	var of []variant
	for _, t := range types {
		of = append(of, variant{s, t})
	}
	ms, load, err := r.measure(of, bench.Test{Gen: 8})
	if err != nil {
		return err
	}
	latencyRows(c, types, ms, load, cpu.Cache().Last)
	return nil
}

// latencyRows judges times per token of one model in several types, the first of which is the baseline.
func latencyRows(c *Claim, types []string, ms []timed, load probe.Load, cache int64) {
	bars := page.Bars{Title: "Time per token of " + ms[0].name, Value: page.Axis{Label: "time", Unit: "ms"}}
	for i, t := range types {
		how := fmt.Sprintf("%s with random weights generates in turns: %.2f ms in %s, %.2f ms in %s.", ms[0].name, 1000*ms[0].token(), types[0], 1000*ms[i].token(), t)
		f := found{format: times, timed: true, load: load, how: how}
		f.value, f.err = ratio(&ms[i], &ms[0])
		if ms[i].counts.ReadBytes <= 2*cache { // cached weights say nothing of memory
			f.value, f.why = math.NaN(), fmt.Sprintf("in %s the model is no larger than twice the caches", t)
		}
		c.add("latency/"+strings.ToLower(t), fmt.Sprintf("%s: time per token in %s ÷ in FP16", ms[0].name, t), f)
		bars.Rows = append(bars.Rows, page.BarRow{Name: t, Values: []float64{1000 * ms[i].token()}})
	}
	c.pictures = append(c.pictures, bars.HTML())
}
