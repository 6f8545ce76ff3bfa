package claims

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/size"
)

// router: claim 7.
func (r *run) router(c *Claim) error {
	if r.MoE == nil {
		return errNoExperts
	}
	m, end, err := r.open(r.MoE)
	if err != nil {
		return err
	}
	defer end()
	r.step("watching the routers of %s", r.MoEName)
	tokens := m.Tokenizer().Encode(nil, r.Text, true, false)
	size := min(512, m.Info().Config.NCtx)
	if most := size * r.spread() / 2; len(tokens) > most {
		tokens = tokens[:most]
	}
	stats, err := explain.MeasureRouters(r.ctx, m, tokens, explain.RouterStatsOptions{Chunk: size})
	if err != nil {
		return err
	}
	trace, err := explain.Record(r.ctx, m, tokens[:min(size, len(tokens))], explain.RecordOptions{What: explain.Routes})
	if err != nil {
		return err
	}
	command := fmt.Sprintf("goinfer experts stats %s -f builtin:valid.txt --max-tokens %d", r.MoEName, len(tokens))
	routerRows(c, r.MoEName, trace, stats, command)
	return r.routerSize(c)
}

// routerRows judges what routers did: trace by token, stats over a longer text.
func routerRows(c *Claim, name string, trace *explain.Trace, stats *explain.RouterStats, command string) {
	most := 0
	choices := map[string]bool{}
	for _, row := range trace.RouterRows() {
		most = max(most, len(row.Experts))
		if row.Layer != trace.Routers()[0] {
			continue
		}
		ids := make([]bool, trace.MoE.Experts)
		for _, e := range row.Experts {
			ids[e.ID] = true
		}
		choices[fmt.Sprint(ids)] = true
	}
	all := float64(trace.MoE.Experts)
	how := fmt.Sprintf("%d tokens of the built-in text.", len(trace.Tokens))
	c.add("experts-active", fmt.Sprintf("%s: experts at work for a token, of %d in a layer, at most", name, trace.MoE.Experts), found{value: float64(most) / all, format: percent, how: how + fmt.Sprintf(" %d of %d.", most, trace.MoE.Experts)})
	c.add("router-choices", fmt.Sprintf("%s: different choices of the first router over %d tokens", name, len(trace.Tokens)), found{value: float64(len(choices)), format: count, how: how})
	least, where := math.Inf(1), 0
	bars := page.Bars{Title: "Load of each expert", Value: page.Axis{Label: "share of the choices", Format: percent}}
	for e := range stats.MoE.Experts {
		bars.Series = append(bars.Series, fmt.Sprintf("expert %d", e))
	}
	bars.Stacked = true
	for _, l := range stats.Layers {
		if l.Balance < least {
			least, where = l.Balance, l.Layer
		}
		bars.Rows = append(bars.Rows, page.BarRow{Name: fmt.Sprintf("layer %d", l.Layer), Values: l.Load})
		c.note("Layer %d: balance %.3f; the busiest expert has %.2f times its share, %d are idle.", l.Layer, l.Balance, l.MaxLoad, len(l.Idle))
	}
	// The error of an entropy that is estimated from n choices is about the square root of its variance over n; a bound of it is 1/√n.
	off := 1 / math.Sqrt(float64(stats.Tokens*max(1, stats.MoE.Used)))
	c.add("balance", fmt.Sprintf("%s: balance of the load in the worst layer (1: equal)", name), found{value: least, err: off, format: plain,
		how: fmt.Sprintf("Entropy of the load over that of an equal load, in layer %d; %d tokens of the built-in text.", where, stats.Tokens), command: command})
	sizes := []int{1, 2, 4, 8, 16, 32}
	points := make([]page.Point, len(sizes))
	var last, off32 float64
	for i, n := range sizes {
		mean, deviation := touched(trace, n)
		points[i] = page.Point{X: float64(n), Y: mean}
		last, off32 = mean, deviation
	}
	c.add("touched-by-32", fmt.Sprintf("%s: share of the experts that 32 tokens together use", name), found{value: last / all, err: off32 / all, format: percent,
		how: fmt.Sprintf("200 draws of 32 tokens from the text, every layer: %.2f of %d on average. One token uses %.2f.", last, trace.MoE.Experts, points[0].Y)})
	c.pictures = append(c.pictures, bars.HTML(), page.Plot{Title: "Experts that a batch uses", X: page.Axis{Label: "tokens in the batch", Log: true, Ticks: []float64{1, 2, 4, 8, 16, 32}},
		Y: page.Axis{Label: "experts of a layer", Zero: true}, Series: []page.Series{{Name: "measured", Points: points}}}.HTML())
}

// touched is how many experts of a layer so many tokens, drawn at random from a trace, use together: the mean over layers and draws, and its standard error.
func touched(t *explain.Trace, n int) (mean, err float64) {
	const draws = 200
	layers := t.Routers()
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	var all []float64
	for range draws {
		at := make([]int, n)
		for i := range at {
			at[i] = rng.IntN(len(t.Tokens))
		}
		sum := 0.0
		for _, l := range layers {
			seen := map[int32]bool{}
			for _, p := range at {
				for _, e := range t.Layers[l].Routes[p].Experts {
					seen[e.ID] = true
				}
			}
			sum += float64(len(seen))
		}
		all = append(all, sum/float64(len(layers)))
		mean += sum / float64(len(layers)) / draws
	}
	return mean, deviation(all) / math.Sqrt(draws)
}

// routerSize computes the share of the routers in known mixtures.
func (r *run) routerSize(c *Claim) error {
	worst, of := 0.0, ""
	for _, name := range []string{"tiny-moe", "mixtral-8x7b", "deepseek-v3"} {
		rep, err := r.shape(name)
		if err != nil {
			return err
		}
		for _, p := range rep.Components {
			if p.Name == size.Router {
				c.note("%s: the routers hold %s of %.4g B parameters.", name, percent(p.Share), float64(rep.Total)/1e9)
				if p.Share > worst {
					worst, of = p.Share, name
				}
			}
		}
	}
	c.add("router-size", "Share of the routers in the parameters, the largest of three mixtures", computed(worst, percent, of+"; the others are in the notes.", ""))
	return nil
}
