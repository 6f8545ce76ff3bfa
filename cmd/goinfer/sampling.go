package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
)

// sampling are the flags that set how tokens are chosen.
type sampling struct {
	p        goinfer.Sampling
	seed     int64
	chain    string
	bias     []string
	breakers []string
}

// samplerHeading is what the flags of the sampler stand under.
const samplerHeading = "Flags of the sampler"

// usualChain are the samplers in their usual order.
const usualChain = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"

// usualOrder is usualChain in words that lines can break between.
var usualOrder = strings.ReplaceAll(usualChain, ";", ", ")

func (s *sampling) add(fs *pflag.FlagSet) {
	s.p = goinfer.DefaultSampling()
	p := &s.p
	fs.Float32Var(&p.Temperature, "temp", p.Temperature, "temperature; at 0 the most probable token is taken")
	fs.Int64VarP(&s.seed, "seed", "s", -1, "seed of the random numbers; -1 means another one every time")
	fs.IntVar(&p.TopK, "top-k", p.TopK, "keep the K most probable tokens; 0 means off")
	fs.Float32Var(&p.TopP, "top-p", p.TopP, "keep the most probable tokens up to this probability together; 1 means off")
	fs.Float32Var(&p.MinP, "min-p", p.MinP, "keep tokens with this share of the highest probability; 0 means off")
	fs.Float32Var(&p.TopNSigma, "top-nsigma", -1, "keep tokens within so many standard deviations of the best logit; -1 means off")
	fs.Float32Var(&p.TypicalP, "typical", p.TypicalP, "keep typical tokens up to this probability together; 1 means off")
	fs.Float32Var(&p.XTCProbability, "xtc-probability", p.XTCProbability, "how often the top choices are excluded; 0 means never")
	fs.Float32Var(&p.XTCThreshold, "xtc-threshold", p.XTCThreshold, "from which probability a token is a top choice; above 0.5 means off")
	fs.Float32Var(&p.DynaTempRange, "dynatemp-range", p.DynaTempRange, "vary the temperature by as much with the entropy; 0 means off")
	fs.Float32Var(&p.DynaTempExponent, "dynatemp-exp", p.DynaTempExponent, "bend the way from entropy to temperature")
	fs.IntVar(&p.RepeatLastN, "repeat-last-n", p.RepeatLastN, "tokens that the penalties look back on; 0 means off, -1 all")
	fs.Float32Var(&p.RepeatPenalty, "repeat-penalty", p.RepeatPenalty, "divide the logits of tokens that have appeared; 1 means off")
	fs.Float32Var(&p.PresencePenalty, "presence-penalty", p.PresencePenalty, "subtract from logits of tokens that have appeared; 0 means off")
	fs.Float32Var(&p.FrequencyPenalty, "frequency-penalty", p.FrequencyPenalty, "subtract for every appearance; 0 means off")
	fs.Float32Var(&p.DRYMultiplier, "dry-multiplier", p.DRYMultiplier, "scale of the DRY penalty on repetition; 0 means off")
	fs.Float32Var(&p.DRYBase, "dry-base", p.DRYBase, "its growth with every token repeated")
	fs.IntVar(&p.DRYAllowedLength, "dry-allowed-length", p.DRYAllowedLength, "the longest repetition that costs nothing but the multiplier")
	fs.IntVar(&p.DRYLastN, "dry-penalty-last-n", p.DRYLastN, "tokens that DRY looks back on; 0 means off, -1 all")
	fs.StringArrayVar(&s.breakers, "dry-sequence-breaker", nil, "`TEXT` across which nothing counts as repeated; may be repeated, \"none\" for none")
	fs.IntVar(&p.Mirostat, "mirostat", p.Mirostat, "1 or 2: keep the surprise near a target, in place of the other samplers; 0 means off")
	fs.Float32Var(&p.MirostatEta, "mirostat-lr", p.MirostatEta, "its learning rate")
	fs.Float32Var(&p.MirostatTau, "mirostat-ent", p.MirostatTau, "its target in bits per token")
	fs.StringArrayVarP(&s.bias, "logit-bias", "l", nil, "`ID+BIAS` or ID-BIAS is added to the logit of a token, such as 15-inf; may be repeated")
	fs.StringVar(&s.chain, "samplers", "", "`NAMES` of the samplers in their order, separated by \";\" (default "+usualOrder+")")
}

// params returns what the flags ask for. unescape resolves escapes in texts if that was asked for.
func (s *sampling) params(cmd *cobra.Command, unescape func(string) (string, error)) (goinfer.Sampling, error) {
	fs, p := cmd.Flags(), s.p
	switch {
	case s.seed == -1:
		p.Seed = uint64(rand.Uint32())
	case s.seed < 0:
		return p, usagef("-s, --seed: want a number from 0, or -1 for another one every time, found %d", s.seed)
	default:
		p.Seed = uint64(s.seed)
	}
	// In llama.cpp a share of 0 leaves one token; the library takes it for "off".
	if fs.Changed("top-p") && p.TopP == 0 {
		p.TopP = math.SmallestNonzeroFloat32
	}
	if fs.Changed("typical") && p.TypicalP == 0 {
		p.TypicalP = math.SmallestNonzeroFloat32
	}
	if fs.Changed("samplers") {
		p.Chain = strings.Split(strings.TrimSuffix(s.chain, ";"), ";")
	}
	if fs.Changed("dry-sequence-breaker") {
		p.DRYBreakers = nil
		for _, b := range s.breakers {
			if b == "none" {
				continue
			}
			b, err := unescape(b)
			if err != nil {
				return p, err
			}
			p.DRYBreakers = append(p.DRYBreakers, b)
		}
	}
	for _, b := range s.bias {
		id, bias, err := parseBias(b)
		if err != nil {
			return p, err
		}
		if p.LogitBias == nil {
			p.LogitBias = map[int32]float32{}
		}
		p.LogitBias[id] = bias
	}
	if err := p.Validate(); err != nil {
		return p, &usageError{err}
	}
	return p, nil
}

// parseBias reads the value of --logit-bias.
func parseBias(s string) (id int32, bias float32, err error) {
	if i := strings.IndexAny(s, "+-"); i > 0 {
		n, err1 := strconv.ParseInt(s[:i], 10, 32)
		b, err2 := strconv.ParseFloat(s[i:], 32)
		if err1 == nil && err2 == nil {
			return int32(n), float32(b), nil
		}
	}
	return 0, 0, usagef("-l, --logit-bias: want a token and a bias such as 15+1.5 or 15-inf, found %q", s)
}

// describe is the seed, and whether it matters.
func (s *sampling) describe(p goinfer.Sampling) string {
	if p.Temperature <= 0 && p.DynaTempRange == 0 {
		return fmt.Sprintf("%d, not used: the most probable token is taken", p.Seed)
	}
	return fmt.Sprint(p.Seed)
}
