package claims

import (
	"fmt"
	"strings"

	"github.com/goinfer/goinfer/page"
	"github.com/goinfer/goinfer/params"
	"github.com/goinfer/goinfer/plan"
)

func paramsOf(name string) string { return "goinfer params " + name }

// counts: claim 1.
func (r *run) counts(c *Claim) error {
	r.step("counting")
	err := models(r, r.Said.Parameters, func(name string, said float64, rep *params.Report) error {
		c.find(name+" has parameters", is(said), none, float64(rep.Total)/1e9, billions, paramsOf(name))
		return nil
	})
	if err != nil {
		return err
	}
	const name = "llama-2-7b"
	rep, err := r.report(name)
	if err != nil {
		return err
	}
	parts := map[string]params.Component{}
	for _, p := range rep.Components {
		parts[p.Name] = p
	}
	c.find("the feed-forward blocks hold most of "+name, r.Said.FeedForward, none, parts[params.FeedForward].Share, percent, paramsOf(name))
	c.find("the embedding of "+name+" holds", is(r.Said.Embedding), none, float64(parts[params.Embedding].Parameters), millions, paramsOf(name))
	c.find("one of its blocks holds", is(r.Said.Block), none, float64(rep.Layers[0].Parameters), millions, paramsOf(name))
	matrices := 0
	for _, t := range rep.Layers[0].Tensors {
		if strings.HasPrefix(t.Name, "ffn_") && len(t.Shape) > 1 {
			matrices++
		}
	}
	c.find("the feed-forward block has matrices", pieces(r.Said.Matrices), none, float64(matrices), count, paramsOf(name)+" --layers")
	shown := []string{params.Embedding, params.AttentionQ, params.AttentionK, params.AttentionV, params.AttentionO, params.FeedForward, params.Experts, params.Output}
	bars := page.Bars{Title: "Where the parameters are", Value: page.Axis{Label: "share", Format: percent}, Series: shown, Stacked: true}
	err = models(r, r.Said.Parameters, func(name string, _ float64, rep *params.Report) error {
		row := page.BarRow{Name: name, Values: make([]float64, len(shown))}
		for _, p := range rep.Components {
			for i, s := range shown {
				if p.Name == s {
					row.Values[i] = p.Share
				}
			}
		}
		bars.Rows = append(bars.Rows, row)
		return nil
	})
	c.pictures = append(c.pictures, bars.HTML())
	return err
}

// grouped: claim 9.
func (r *run) grouped(c *Claim) error {
	r.step("counting the caches")
	err := models(r, r.Said.Grouped, func(name string, said float64, rep *params.Report) error {
		c.find("grouped-query attention shrinks the cache of "+name+" by", is(said), float64(rep.Hyper.Heads)/float64(rep.Hyper.HeadsKV), rep.Cache.MultiHead, times, paramsOf(name))
		return nil
	})
	if err != nil {
		return err
	}
	return r.choosing(c)
}

// devices: claim 10.
func (r *run) devices(c *Claim) error {
	r.step("dividing")
	const device = 80e9
	return models(r, r.Said.Devices, func(name string, said Range, rep *params.Report) error {
		command := fmt.Sprintf("goinfer plan %s --device-mem 80GB --no-speed", name)
		for _, d := range plan.Devices(rep.Total, device) {
			if d.Precision == "FP16" {
				c.find(name+" in FP16 needs accelerators of 80 GB", said, float64(d.Devices), none, count, command)
			}
			c.note("%s in %s: %.1f GB, %d to hold the weights, %d with a fifth left for the rest.", name, d.Precision, float64(d.Weights)/1e9, d.Devices, d.WithReserve)
		}
		return nil
	})
}

// rest: claim 13.
func (r *run) rest(c *Claim) error {
	for _, u := range unmeasurable {
		c.Findings = append(c.Findings, Finding{What: u[0], Measured: u[1], Verdict: NotMeasurable})
	}
	return nil
}
