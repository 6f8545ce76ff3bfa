package claims

import (
	"fmt"
	"strings"

	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/size"
)

func paramsOf(name string) string { return "goinfer params " + name }

// computed is a figure that follows from a published shape.
func computed(value float64, format func(float64) string, how, command string) found {
	return found{value: value, format: format, kind: Computed, how: how, command: command}
}

// counts: claim 1.
func (r *run) counts(c *Claim) error {
	r.step("counting")
	err := r.shapes("parameters", func(name string, rep *size.Breakdown) error {
		c.add("parameters/"+name, name+": parameters", computed(float64(rep.Total)/1e9, billions, "The tensors that the architecture asks for, added up.", paramsOf(name)))
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.where(c); err != nil {
		return err
	}
	err = r.shapes("matrices", func(name string, rep *size.Breakdown) error {
		n := 0
		for _, t := range rep.Layers[0].Tensors {
			if strings.HasPrefix(t.Name, "ffn_") && len(t.Shape) > 1 {
				n++
			}
		}
		c.add("matrices/"+name, name+": matrices in a feed-forward block", computed(float64(n), count, "Tensors of the first layer's feed-forward block with two dimensions.", paramsOf(name)+" --layers"))
		return nil
	})
	if err != nil {
		return err
	}
	shown := []string{size.Embedding, size.AttentionQ, size.AttentionK, size.AttentionV, size.AttentionO, size.FeedForward, size.Experts, size.Output}
	names := []string{"embedding", "attention Q", "attention K", "attention V", "attention output", "feed-forward", "experts", "output"}
	bars := page.Bars{Title: "Where the parameters are", Value: page.Axis{Label: "share", Format: percent}, Series: names, Stacked: true}
	err = r.shapes("parameters", func(name string, rep *size.Breakdown) error {
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
	if len(bars.Rows) > 0 {
		c.pictures = append(c.pictures, bars.HTML())
	}
	return err
}

// where are the rows on the parts of Llama 2 7B.
func (r *run) where(c *Claim) error {
	const name = "llama-2-7b"
	rep, err := r.shape(name)
	if err != nil {
		return err
	}
	parts := map[string]size.Component{}
	for _, p := range rep.Components {
		parts[p.Name] = p
	}
	attention := 0
	var blocks, norms float64
	for _, p := range rep.Components {
		switch {
		case p.Name == size.FeedForward || strings.HasPrefix(p.Name, "attention"):
			blocks += p.Share
		case strings.Contains(p.Name, "norm"):
			norms += p.Share
		}
	}
	for _, t := range rep.Layers[0].Tensors {
		if strings.HasPrefix(t.Name, "attn_") && len(t.Shape) > 1 {
			attention++
		}
	}
	table := float64(rep.Hyper.Vocab) * float64(rep.Hyper.Embd)
	c.add("blocks-share/"+name, name+": share of feed-forward blocks and attention", computed(blocks, percent, "Their parameters over the total.", c.again))
	c.add("embedding/"+name, name+": parameters of the embedding", computed(float64(parts[size.Embedding].Parameters)/1e6, millions, "Vocabulary times width.", paramsOf(name)))
	c.add("embedding-formula/"+name, name+": parameters of the embedding ÷ (vocabulary × width)", computed(float64(parts[size.Embedding].Parameters)/table, plain, "", c.again))
	c.add("output-formula/"+name, name+": parameters of the output matrix ÷ (width × vocabulary)", computed(float64(parts[size.Output].Parameters)/table, plain, "", c.again))
	c.add("layers/"+name, name+": blocks", computed(float64(rep.Hyper.Layers), count, "", paramsOf(name)))
	c.add("block/"+name, name+": parameters of a block", computed(float64(rep.Layers[0].Parameters)/1e6, millions, "All tensors of the first layer.", paramsOf(name)))
	c.add("attention-matrices/"+name, name+": matrices of attention in a block", computed(float64(attention), count, "Query, key, value and output.", paramsOf(name)+" --layers"))
	c.add("norms-share/"+name, name+": share of the norms", computed(norms, percent, "Their parameters over the total.", c.again))
	return nil
}

// accelerators are the capacities that are computed with, in bytes. An H100 of "80 GB" has 81,559 MiB.
const (
	h100 = 81559 << 20
	h200 = 141e9
)

// devices: claim 10.
func (r *run) devices(c *Claim) error {
	r.step("dividing")
	need := func(rep *size.Breakdown, precision string, device int64) float64 {
		for _, d := range size.CountDevices(rep.Total, device) {
			if d.Precision == precision {
				return float64(d.Devices)
			}
		}
		return 0
	}
	bars := page.Bars{Title: "Accelerators of 80 GB that hold the weights", Value: page.Axis{Label: "accelerators"}, Series: []string{"FP16", "INT8", "INT4"}}
	command := func(name, device string) string {
		return fmt.Sprintf("goinfer plan %s --device-mem %s --no-speed", name, device)
	}
	const real, how = "81559MiB", "Bytes of the weights over the memory of one, rounded up. An accelerator that is sold with 80 GB has 81,559 MiB."
	err := r.shapes("devices-fp16", func(name string, rep *size.Breakdown) error {
		fp16 := need(rep, "FP16", h100)
		c.add("devices-fp16/"+name, name+" in FP16: accelerators of 80 GB", computed(fp16, count, how, command(name, real)))
		bars.Rows = append(bars.Rows, page.BarRow{Name: name, Values: []float64{fp16, need(rep, "INT8", h100), need(rep, "INT4", h100)}})
		return nil
	})
	if err != nil {
		return err
	}
	err = r.shapes("devices-int8", func(name string, rep *size.Breakdown) error {
		c.add("devices-int8/"+name, name+" in 8 bits: accelerators of 80 GB", computed(need(rep, "INT8", h100), count, how, command(name, real)))
		return nil
	})
	if err != nil {
		return err
	}
	large, err := r.shape("llama-3.1-405b")
	if err != nil {
		return err
	}
	c.add("devices-141gb/llama-3.1-405b", "llama-3.1-405b in FP16: accelerators of 141 GB", computed(need(large, "FP16", h200), count, "Bytes of the weights over 141 GB, rounded up.", command("llama-3.1-405b", "141GB")))
	middle, err := r.shape("llama-2-70b")
	if err != nil {
		return err
	}
	c.add("devices-saved/llama-2-70b", "llama-2-70b: accelerators of 80 GB fewer in 4 bits than in FP16", computed(need(middle, "FP16", h100)-need(middle, "INT4", h100), count, how, c.again))
	small, err := r.shape("llama-2-7b")
	if err != nil {
		return err
	}
	room := float64(h100) - float64(small.Bytes.FP16)
	tokens := room / float64(small.Cache.Types[0].Token)
	c.add("batch/llama-2-7b", "llama-2-7b in FP16 on one of 80 GB: sequences of 2048 tokens whose cache fits beside the weights",
		computed(float64(int(tokens/2048)), count, "What the weights leave, over the bytes of the cache for each token in F16.", c.again))
	if len(bars.Rows) > 0 {
		c.pictures = append(c.pictures, bars.HTML())
	}
	c.note("The weights alone: cache, activations and the framework need room too. With a fifth of each accelerator kept for them, goinfer plan counts more.")
	return nil
}

// rest: claim 17.
func (r *run) rest(c *Claim) error {
	for _, s := range Statements {
		if s.Kind == Opinion {
			c.Findings = append(c.Findings, Finding{Statements: []int{s.ID}, What: s.Text, Kind: Opinion, Found: s.Remark, Error: "–", Verdict: NotMeasurable})
		}
	}
	return nil
}
