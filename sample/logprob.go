package sample

import "math"

// LogProb returns the natural logarithm of the probability of id under the logits themselves,
// without any stage; -Inf if its logit is not finite or it has none. Other logits that are not
// finite do not count.
func LogProb(logits []float32, id int32) float32 {
	if id < 0 || int(id) >= len(logits) || !finite(logits[id]) {
		return float32(math.Inf(-1))
	}
	return float32(float64(logits[id]) - logSum(logits))
}

// TopLogProbs appends the n most probable tokens to dst, the best first, with their
// log-probabilities; fewer if fewer have a finite logit.
func TopLogProbs(dst []Candidate, logits []float32, n int) []Candidate {
	if n <= 0 {
		return dst
	}
	base := len(dst)
	dst = bestLogits(dst, logits, n)
	if len(dst) == base {
		return dst
	}
	norm := logSum(logits)
	for i := range dst[base:] {
		x := &dst[base+i]
		x.Logit = float32(float64(x.Logit) - norm)
	}
	return dst
}

// logSum returns the logarithm of the sum of the exponentials of all finite logits, of which there
// is one.
func logSum(logits []float32) float64 {
	maxLogit := float32(-math.MaxFloat32)
	for _, l := range logits {
		if l > maxLogit && finite(l) {
			maxLogit = l
		}
	}
	var sum float64
	for _, l := range logits {
		if finite(l) {
			sum += exp(float64(l) - float64(maxLogit))
		}
	}
	return float64(maxLogit) + math.Log(sum)
}
