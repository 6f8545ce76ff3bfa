package sample

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// spellings are the stages in their usual order, each with the ways to write it when case, '_' and
// '-' do not count.
var spellings = []struct {
	name string
	also []string
}{
	{"penalties", []string{"penalties"}},
	{"dry", []string{"dry"}},
	{"top_n_sigma", []string{"topnsigma"}},
	{"top_k", []string{"topk"}},
	{"typ_p", []string{"typp", "typ", "typical", "typicalp"}},
	{"top_p", []string{"topp", "nucleus"}},
	{"min_p", []string{"minp"}},
	{"xtc", []string{"xtc"}},
	{"temperature", []string{"temperature", "temp"}},
}

// ParseChain reads an order of stages, separated by ";", for [Params].Chain. The names are those of
// llama.cpp:
//
//	penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature
//
// Capitals, "-" for "_" and leaving it out are the same; "temp", "typ", "typical" and "nucleus" are
// understood.
func ParseChain(s string) ([]string, error) {
	var chain []string
	for field := range strings.SplitSeq(s, ";") {
		name := canonical(field)
		if name == "" {
			return nil, fmt.Errorf("want stages (%s) separated by \";\", found %q", known(), field)
		}
		chain = append(chain, name)
	}
	return chain, nil
}

// canonical returns the name of a stage however it is spelled, or "".
func canonical(s string) string {
	s = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(strings.TrimSpace(s)))
	for _, x := range spellings {
		if slices.Contains(x.also, s) {
			return x.name
		}
	}
	return ""
}

// known lists the names of stages.
func known() string {
	names := make([]string, len(spellings))
	for i, x := range spellings {
		names[i] = x.name
	}
	return strings.Join(names, " ")
}

// stages builds the chain of p, without the stages that are off.
func (p *Params) stages(v Vocab) []link {
	var chain []link
	if len(p.LogitBias) > 0 {
		var b logitBias
		for _, id := range slices.Sorted(maps.Keys(p.LogitBias)) {
			b = append(b, Candidate{id, p.LogitBias[id]})
		}
		chain = append(chain, link{"logit_bias", b})
	}
	for _, s := range p.Extra {
		chain = append(chain, link{"extra", extra{s.Clone()}})
	}
	for _, name := range p.order() {
		if s := p.stage(name, v); s != nil {
			chain = append(chain, link{name, s})
		}
	}
	return chain
}

// order returns the names of the chain.
func (p *Params) order() []string {
	if p.Mirostat != 0 {
		return []string{"temperature", "mirostat"}
	}
	var names []string
	if p.Chain == nil {
		for _, x := range spellings {
			names = append(names, x.name)
		}
	}
	for _, s := range p.Chain {
		names = append(names, canonical(s))
	}
	if p.greedy() && !slices.Contains(names, "temperature") {
		names = append(names, "temperature")
	}
	return names
}

func (p *Params) greedy() bool { return p.Temperature <= 0 }

// stage returns the stage of that name, or nil if it is off.
func (p *Params) stage(name string, v Vocab) stage {
	within := func(x float32) bool { return x > 0 && x < 1 }
	switch name {
	case "penalties":
		return p.penalties()
	case "dry":
		return p.dry(v)
	case "top_n_sigma":
		if p.TopNSigma > 0 {
			return topNSigma(p.TopNSigma)
		}
	case "top_k":
		if p.TopK > 0 {
			return topK(p.TopK)
		}
	case "typ_p":
		if within(p.TypicalP) {
			return typical{float64(p.TypicalP), p.MinKeep}
		}
	case "top_p":
		if within(p.TopP) {
			return topP{float64(p.TopP), p.MinKeep}
		}
	case "min_p":
		if p.MinP > 0 {
			return minP{float32(math.Log(float64(p.MinP))), p.MinKeep}
		}
	case "xtc":
		if t := cmp.Or(p.XTCThreshold, 0.1); p.XTCProbability > 0 && t <= 0.5 {
			return xtc{float64(p.XTCProbability), float64(t), p.MinKeep}
		}
	case "temperature":
		return p.temperature()
	case "mirostat":
		return newMirostat(p.Mirostat, float64(cmp.Or(p.MirostatTau, 5)), float64(cmp.Or(p.MirostatEta, 0.1)))
	}
	return nil
}

func (p *Params) penalties() stage {
	repeat := cmp.Or(p.RepeatPenalty, 1)
	if p.RepeatLastN == 0 || repeat == 1 && p.FrequencyPenalty == 0 && p.PresencePenalty == 0 {
		return nil
	}
	return &penalties{
		repeat: float64(repeat), frequency: float64(p.FrequencyPenalty), presence: float64(p.PresencePenalty),
		past: history{limit: p.RepeatLastN},
	}
}

func (p *Params) dry(v Vocab) stage {
	if p.DRYMultiplier == 0 || p.DRYLastN == 0 {
		return nil
	}
	return &dry{
		multiplier: float64(p.DRYMultiplier), base: float64(cmp.Or(p.DRYBase, 1.75)), allowed: cmp.Or(p.DRYAllowedLength, 2),
		breakers: newBreakers(p.DRYBreakers, v), past: history{limit: p.DRYLastN},
	}
}

func (p *Params) temperature() stage {
	switch {
	case p.greedy():
		return topK(1)
	case p.DynaTempRange > 0:
		t, r := float64(p.Temperature), float64(p.DynaTempRange)
		return dynaTemp{least: max(0, t-r), most: t + r, exponent: float64(cmp.Or(p.DynaTempExponent, 1))}
	case p.Temperature != 1:
		return temperature(p.Temperature)
	}
	return nil
}
