package sample

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/goinfer/goinfer/internal/fault"
)

// Params say how tokens are chosen. The zero value is greedy; [Defaults] is the field's usual
// choice. A stage that its numbers turn off costs nothing.
//
// Numbers that no stage could use are refused by [Params.Validate] and by [New], NaN and infinities
// among them.
type Params struct {
	// Seed and the position decide the random numbers of a token. Default 0, a seed like any other.
	Seed uint64
	// Temperature divides the logits: below 1 favours what is likely, above 1 what is not. Default
	// 0. At 0 or less the most probable token is taken, the lowest id of equals, whatever the
	//    chain.
	Temperature float32
	// DynaTempRange lets the temperature vary by as much in both directions, with the entropy of
	// the candidates, but not below 0. Default 0: off.
	DynaTempRange float32
	// DynaTempExponent bends the way from entropy to temperature. Default 0, which means 1:
	// straight.
	DynaTempExponent float32

	// TopK keeps the most probable K tokens. Default 0; 0 or less: off.
	TopK int
	// TopP keeps the fewest tokens that have at least this probability together. From 0 to 1;
	// default 0; 0 and 1: off. (llama.cpp understands 0 as the single most probable token: say TopK
	// 1.)
	TopP float32
	// MinP keeps tokens with at least this share of the highest probability. From 0 to 1; default
	// 0: off.
	MinP float32
	// TypicalP keeps the tokens closest to the expected surprise until they have more than this
	// probability together. From 0 to 1; default 0; 0 and 1: off.
	TypicalP float32
	// TopNSigma keeps tokens whose logit is within as many standard deviations of the highest.
	// Default 0; 0 or less: off.
	TopNSigma float32
	// XTCProbability is how often XTC acts. From 0 to 1; default 0: never.
	XTCProbability float32
	// XTCThreshold is the probability from which a token counts as a top choice to XTC. From 0 to
	// 1; default 0, which means 0.1; above 0.5: off.
	XTCThreshold float32
	// MinKeep is how many tokens top-p, min-p, typical and XTC leave at least, if they find as
	// many. Default 0; one is always left.
	MinKeep int

	// RepeatLastN is how many tokens, prompt included, the three penalties look back on. Default 0:
	// penalties off. -1: all.
	RepeatLastN int
	// RepeatPenalty divides positive and multiplies negative logits of tokens that have appeared.
	// Default 0; 0 and 1: off.
	RepeatPenalty float32
	// FrequencyPenalty is subtracted for every appearance. Default 0: off.
	FrequencyPenalty float32
	// PresencePenalty is subtracted once from what has appeared. Default 0: off.
	PresencePenalty float32

	// DRYMultiplier scales the penalty on tokens that would prolong a repetition. Default 0: off.
	DRYMultiplier float32
	// DRYBase is the factor by which that penalty grows with every token repeated. At least 1;
	// default 0, which means 1.75.
	DRYBase float32
	// DRYAllowedLength is the length of a repetition that may not be prolonged for free: to do so
	// costs DRYMultiplier. Default 0, which means 2.
	DRYAllowedLength int
	// DRYLastN is how many tokens, prompt included, DRY looks back on. Default 0: DRY off. -1: all.
	DRYLastN int
	// DRYBreakers are texts across which nothing counts as repeated. Default none. Without a
	// vocabulary they have no effect.
	DRYBreakers []string

	// Mirostat 1 or 2 keeps the surprise of the text near a target, in place of the chain. Logit
	// biases, Extra and Temperature still apply. Default 0: off.
	Mirostat int
	// MirostatTau is the target in bits per token. Default 0, which means 5.
	MirostatTau float32
	// MirostatEta is the step by which the observed surprise corrects the cut. Default 0, which
	// means 0.1.
	MirostatEta float32

	// LogitBias is added to the logits of these tokens before all else. -Inf, alone of infinities,
	// is allowed and bans the token. Default none.
	LogitBias map[int32]float32
	// Grammar constrains what is generated: only tokens that it allows are candidates, and
	// end-of-generation tokens exactly where it is done. Default nil: everything is allowed.
	Grammar Grammar
	// Extra are stages of the caller's; they come after LogitBias and before the chain. Default
	// none.
	Extra []Stage
	// Chain is the order of stages by the names of [ParseChain]. Stages not named do nothing.
	// Default nil: penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature.
	Chain []string

	// Trace, if set, is called after every stage that is on with the candidates it found and those
	// it left, in no particular order. Both are valid during the call and not to be changed. Extra
	// stages are called "extra".
	Trace func(stage string, before, after []Candidate)
}

// Defaults returns the field's usual chain with its usual numbers (llama.cpp,
// common_params_sampling): temperature 0.8, top-k 40, top-p 0.95, min-p 0.05; penalties look back
// 64 tokens and are off.
func Defaults() Params {
	return Params{
		Temperature: 0.8, DynaTempExponent: 1,
		TopK: 40, TopP: 0.95, MinP: 0.05, TypicalP: 1, XTCThreshold: 0.1,
		RepeatLastN: 64, RepeatPenalty: 1,
		DRYBase: 1.75, DRYAllowedLength: 2, DRYLastN: 64, DRYBreakers: []string{"\n", ":", "\"", "*"},
		MirostatTau: 5, MirostatEta: 0.1,
	}
}

// Validate reports all that is wrong at once: one [fault.ArgumentError] for each field, joined.
func (p Params) Validate() error {
	var f fault.Arguments
	inf := float32(math.Inf(1))
	f.Float("Temperature", p.Temperature, -inf, inf)
	f.Float("DynaTempRange", p.DynaTempRange, 0, inf)
	f.Float("DynaTempExponent", p.DynaTempExponent, 0, inf)
	f.Float("TopP", p.TopP, 0, 1)
	f.Float("MinP", p.MinP, 0, 1)
	f.Float("TypicalP", p.TypicalP, 0, 1)
	f.Float("TopNSigma", p.TopNSigma, -inf, inf)
	f.Float("XTCProbability", p.XTCProbability, 0, 1)
	f.Float("XTCThreshold", p.XTCThreshold, 0, 1)
	f.AtLeast("MinKeep", p.MinKeep, 0)
	f.AtLeast("RepeatLastN", p.RepeatLastN, -1)
	f.Float("RepeatPenalty", p.RepeatPenalty, 0, inf)
	f.Float("FrequencyPenalty", p.FrequencyPenalty, -inf, inf)
	f.Float("PresencePenalty", p.PresencePenalty, -inf, inf)
	f.Float("DRYMultiplier", p.DRYMultiplier, 0, inf)
	if p.DRYBase != 0 {
		f.Float("DRYBase", p.DRYBase, 1, inf)
	}
	f.AtLeast("DRYAllowedLength", p.DRYAllowedLength, 0)
	f.AtLeast("DRYLastN", p.DRYLastN, -1)
	if p.Mirostat < 0 || p.Mirostat > 2 {
		f.Add("Mirostat", "0, 1 or 2", p.Mirostat)
	}
	f.Float("MirostatTau", p.MirostatTau, 0, inf)
	f.Float("MirostatEta", p.MirostatEta, 0, inf)
	checkBias(&f, p.LogitBias)
	for i, s := range p.Extra {
		if s == nil {
			f.Add(fmt.Sprintf("Extra[%d]", i), "a stage", "nil")
		}
	}
	for i, name := range p.Chain {
		if canonical(name) == "" {
			f.Add(fmt.Sprintf("Chain[%d]", i), "one of "+known(), fmt.Sprintf("%q", name))
		}
	}
	return f.Err()
}

func checkBias(f *fault.Arguments, biases map[int32]float32) {
	for _, id := range slices.Sorted(maps.Keys(biases)) {
		if id < 0 {
			f.Add("LogitBias", "ids from 0", id)
		}
		if b := biases[id]; !finite(b) && !math.IsInf(float64(b), -1) {
			f.Add(fmt.Sprintf("LogitBias[%d]", id), "a finite number or -Inf", b)
		}
	}
}

// finite is false for NaN and infinities: they alone do not come to 0 when subtracted from
// themselves.
func finite(x float32) bool { return x-x == 0 }
