package eval

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// Comparison is how far the predictions of a model are from those of a base model on the same text.
// Fields named after KL are Kullback–Leibler divergences KL(base‖model) of the distribution of the
// next token, in nats; those after DP differences of the probability of the token that follows, the
// model's minus the base's.
type Comparison struct {
	Result
	BasePPL float64 `json:"ppl_base"`
	// LogRatio is the mean difference of the negative log-likelihoods, ln(PPL/BasePPL), and
	// LogRatioError its standard error: since both models predict the same tokens, it is much
	// smaller than what the errors of the two perplexities suggest.
	LogRatio      float64 `json:"ln_ppl_ratio"`
	LogRatioError float64 `json:"ln_ppl_ratio_error"`
	KLMean        float64 `json:"kl_mean"`
	KLError       float64 `json:"kl_error"` // standard error of KLMean
	KLMedian      float64 `json:"kl_median"`
	KLP90         float64 `json:"kl_p90"`
	KLP99         float64 `json:"kl_p99"`
	KLP999        float64 `json:"kl_p999"`
	KLMax         float64 `json:"kl_max"`
	// share of places where both find the same token most probable
	Top1      float64 `json:"top1"`
	Top1Error float64 `json:"top1_error"` // its standard error
	DPMean    float64 `json:"dp_mean"`
	DPRMS     float64 `json:"dp_rms"` // root of the mean square
}

// Compare measures m beside base, whose logits are computed chunk by chunk. The two have the same
// vocabulary.
func Compare(ctx context.Context, m, base *goinfer.Model, chunks []Chunk, o Options) (Comparison, error) {
	if err := sameVocabulary(m, base); err != nil {
		return Comparison{}, err
	}
	chunks = o.limit(chunks)
	c := comparer{vocab: m.Tokenizer()}
	for i := range chunks {
		c.rows = c.rows[:0]
		if err := chunks[i].each(ctx, base, nil, c.base); err != nil {
			return Comparison{}, err
		}
		c.left = c.rows
		if err := chunks[i].each(ctx, m, o.Hook, c.model); err != nil {
			return Comparison{}, err
		}
		o.done(i+1, len(chunks))
	}
	return c.comparison(chunks), nil
}

// sameVocabulary returns an error if ids mean different tokens to two models.
func sameVocabulary(m, base *goinfer.Model) error {
	n := m.Info().Config.NVocab
	if b := base.Info().Config.NVocab; n != b {
		return fault.Of(fault.ErrInvalid, fmt.Errorf("the base model has a vocabulary of %d tokens, the model one of %d: want the same", b, n))
	}
	v, w := m.Tokenizer(), base.Tokenizer()
	if v == nil || w == nil {
		return nil
	}
	for id := range int32(min(v.Size(), w.Size())) {
		a, b := v.Bytes(id), w.Bytes(id)
		// Names of control tokens, and of places that are not used, may differ.
		if len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) {
			return fault.Of(fault.ErrInvalid, fmt.Errorf("the base model has another vocabulary: token %d is %q there and %q in the model", id, b, a))
		}
	}
	return nil
}

// comparer takes in logits of the base model, then those of the model in the same places.
type comparer struct {
	rows, left []float32 // logits of the base model in this chunk, and those not yet compared
	nll, nllOf moments   // of the model, and of the base
	kl, dp     moments
	ratio      moments // nll less nllOf, token by token
	kls        []float64
	same       int
	vocab      *goinfer.Tokenizer
	bytes      int // of the scored tokens
}

func (c *comparer) base(row []float32, next int32) error {
	c.rows = append(c.rows, row...)
	c.nllOf.add(logSum(row) - float64(row[next]))
	return c.nllOf.finite()
}

func (c *comparer) model(row []float32, next int32) error {
	base := c.left[:len(row)]
	c.left = c.left[len(row):]
	sum, sumBase := logSum(row), logSum(base)
	divergence := kl(base, row, sumBase, sum)
	c.kl.add(divergence)
	c.kls = append(c.kls, divergence)
	if c.vocab != nil {
		c.bytes += len(c.vocab.Bytes(next))
	}
	c.nll.add(sum - float64(row[next]))
	c.ratio.add(sum - float64(row[next]) - (sumBase - float64(base[next])))
	c.dp.add(math.Exp(float64(row[next])-sum) - math.Exp(float64(base[next])-sumBase))
	if best(row) == best(base) {
		c.same++
	}
	return cmp.Or(c.nll.finite(), c.kl.finite())
}

func (c *comparer) comparison(chunks []Chunk) Comparison {
	slices.Sort(c.kls)
	same, n := float64(c.same)/float64(c.kl.n), float64(c.kl.n)
	r := result(&c.nll, chunks)
	r.Bytes = c.bytes
	return Comparison{
		Result: r, BasePPL: math.Exp(c.nllOf.mean()), LogRatio: c.ratio.mean(), LogRatioError: c.ratio.error(),
		KLMean: c.kl.mean(), KLError: c.kl.error(), KLMedian: percentile(c.kls, 0.5), KLP90: percentile(c.kls, 0.9), KLP99: percentile(c.kls, 0.99),
		KLP999: percentile(c.kls, 0.999), KLMax: c.kls[len(c.kls)-1],
		Top1: same, Top1Error: math.Sqrt(same * (1 - same) / max(1, n-1)),
		DPMean: c.dp.mean(), DPRMS: math.Sqrt(c.dp.squares / n),
	}
}

// percentile is the number below which the share p of sorted numbers is, between two of them in
// proportion.
func percentile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	at -= float64(i)
	return (1-at)*sorted[i] + at*sorted[i+1]
}
