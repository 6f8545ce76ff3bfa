package claims

import (
	"fmt"
	"math"
)

// Verdict is what is left of a statement, from best to worst.
type Verdict int

// The verdicts.
const (
	Holds         Verdict = iota
	Roughly               // within a factor of 2, which is told
	Refuted               // it does not hold
	NotMeasurable         // here, for a reason that is told
)

// String is the verdict in words.
func (v Verdict) String() string {
	return [...]string{"holds", "holds roughly", "does not hold", "not measurable here"}[v]
}

// MarshalText is String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

const (
	near    = 0.08 // the deviation that a single figure may have, which is said in round numbers
	roughly = 2.0  // the factor beyond which a figure does not hold
)

// Range is a figure that is said: from Low to High, which are the same for a single one. An Exact one counts pieces.
type Range struct {
	Low, High float64
	Exact     bool
}

// is is a single figure.
func is(x float64) Range { return Range{Low: x, High: x} }

// pieces is a number of pieces.
func pieces(n float64) Range { return Range{Low: n, High: n, Exact: true} }

// between is a range. Its ends may be infinite.
func between(low, high float64) Range { return Range{Low: low, High: high} }

// judge compares what was found with what is said. factor is found over said, of a range over its nearer end, and 1 within it.
func (r Range) judge(found float64) (v Verdict, factor float64) {
	switch {
	case math.IsNaN(found):
		return NotMeasurable, found
	case found < r.Low:
		factor = found / r.Low
	case found > r.High:
		factor = found / r.High
	default:
		return Holds, 1
	}
	off := max(factor, 1/factor)
	switch {
	case r.Exact || factor <= 0 || !(off <= roughly): // infinite, too
		return Refuted, factor
	case r.Low == r.High && off <= 1+near:
		return Holds, factor
	}
	return Roughly, factor
}

// text writes a range.
func (r Range) text(format func(float64) string) string {
	switch {
	case r.Low == r.High:
		return format(r.Low)
	case math.IsInf(r.High, 1):
		return "at least " + format(r.Low)
	case math.IsInf(r.Low, -1) || r.Low == 0:
		return "at most " + format(r.High)
	}
	return fmt.Sprintf("%s to %s", format(r.Low), format(r.High))
}
