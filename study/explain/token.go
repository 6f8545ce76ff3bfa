package explain

import (
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/sample"
)

// Token is a token and its text; that of a control token is its spelling.
type Token struct {
	ID   int32  `json:"id"`
	Text string `json:"text"`
}

// Choice is a token that may come next.
type Choice struct {
	Token
	Prob    float64 `json:"p"`
	LogProb float64 `json:"logprob"` // natural logarithm
	// Drawn is the probability under what the samplers left; absent where none were asked for.
	Drawn *float64 `json:"p_drawn,omitempty"`
}

func tokenOf(v *goinfer.Tokenizer, id int32) Token {
	if v == nil {
		return Token{ID: id}
	}
	if b := v.Bytes(id); len(b) > 0 {
		return Token{id, string(b)}
	}
	return Token{id, v.Spelling(id)}
}

// Tokens are the tokens of ids; v may be nil.
func Tokens(v *goinfer.Tokenizer, ids []int32) []Token {
	tokens := make([]Token, len(ids))
	for i, id := range ids {
		tokens[i] = tokenOf(v, id)
	}
	return tokens
}

// choices are the k most probable tokens of a row of logits.
func choices(v *goinfer.Tokenizer, logits []float32, k int) []Choice {
	list := make([]Choice, 0, k)
	for _, c := range sample.TopLogProbs(nil, logits, k) {
		list = append(list, Choice{Token: tokenOf(v, c.ID), Prob: math.Exp(float64(c.Logit)), LogProb: float64(c.Logit)})
	}
	return list
}

// probabilities is the softmax of the finite logits, and its entropy in nats: NaN where none is
// finite.
func probabilities(logits []float32) (p []float64, entropy float64) {
	most := math.Inf(-1)
	for _, l := range logits {
		if v := float64(l); v > most && !math.IsInf(v, 0) {
			most = v
		}
	}
	p = make([]float64, len(logits))
	var sum float64
	for i, l := range logits {
		if v := float64(l); !math.IsNaN(v) && !math.IsInf(v, 0) {
			p[i] = math.Exp(v - most)
			sum += p[i]
		}
	}
	if sum == 0 {
		return p, math.NaN()
	}
	for i := range p {
		p[i] /= sum
		if p[i] > 0 {
			entropy -= p[i] * math.Log(p[i])
		}
	}
	return p, entropy
}
