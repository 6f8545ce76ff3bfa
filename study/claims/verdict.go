package claims

import (
	"fmt"
	"math"
)

// Verdict is what a measurement makes of a statement, from best to worst.
type Verdict int

// The verdicts.
const (
	Holds         Verdict = iota
	Roughly               // a figure within the stated factor, R² from 0.95, a threshold missed by less than the error
	Refuted               // it does not hold
	NotMeasurable         // here, for a reason that is given
	Busy                  // a speed, and the machine was busy with other programs
	NotJudged             // a figure for which nothing is reported
)

// String is the verdict in words.
func (v Verdict) String() string {
	return [...]string{"holds", "holds roughly", "does not hold", "not measurable here", "not measurable: the machine was busy", "not judged"}[v]
}

// MarshalText is String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// judged reports whether the verdict says anything about the statement.
func (v Verdict) judged() bool { return v <= Refuted }

// The limits of the verdicts.
const (
	near       = 0.08 // by which a figure that is given in round numbers may be off and still hold
	factorMost = 2.0  // beyond which a figure does not hold
	r2Holds    = 0.98
	r2Roughly  = 0.95
)

// limitKind is how a found figure is held against a limit.
type limitKind uint8

const (
	single    limitKind = iota // a figure in round numbers: judged by a factor
	exact                      // a count: the same or refuted
	threshold                  // an interval, open or not: strict, within the error of the measurement
	linear                     // R² of a straight line, which has limits of its own
)

// Limit is what is reported of a row: a single figure, an exact count, a threshold, or that something is linear.
type Limit struct {
	Low, High float64
	kind      limitKind
}

// figure is a single figure in round numbers.
func figure(x float64) Limit { return Limit{Low: x, High: x} }

// exactly is a count.
func exactly(n float64) Limit { return Limit{Low: n, High: n, kind: exact} }

// between is a range.
func between(low, high float64) Limit { return Limit{Low: low, High: high, kind: threshold} }

func atLeast(x float64) Limit { return Limit{Low: x, High: math.Inf(1), kind: threshold} }
func atMost(x float64) Limit  { return Limit{Low: math.Inf(-1), High: x, kind: threshold} }

// isLinear wants a straight line, by R².
func isLinear() Limit { return Limit{Low: r2Holds, High: 1, kind: linear} }

// Judge holds what was found, give or take an error of one standard deviation or a known bound, against the limit. factor is
// what was found over what is reported, for single figures; 0 for others.
func (l Limit) Judge(found, err float64) (v Verdict, factor float64) {
	if math.IsNaN(found) || math.IsNaN(err) {
		return NotMeasurable, 0
	}
	switch l.kind {
	case exact:
		if found != l.Low {
			return Refuted, 0
		}
		return Holds, 0
	case linear:
		switch {
		case found >= r2Holds:
			return Holds, 0
		case found >= r2Roughly:
			return Roughly, 0
		}
		return Refuted, 0
	case threshold:
		switch off := max(l.Low-found, found-l.High); {
		case off <= 0:
			return Holds, 0
		case off <= err:
			return Roughly, 0
		}
		return Refuted, 0
	}
	factor = found / l.Low
	switch off := max(factor, 1/factor); {
	case factor <= 0 || !(off <= factorMost): // infinite, too
		return Refuted, factor
	case off <= 1+near:
		return Holds, factor
	}
	return Roughly, factor
}

// text writes a limit.
func (l Limit) text(format func(float64) string) string {
	switch {
	case l.kind == linear:
		return "a straight line"
	case l.Low == l.High:
		return format(l.Low)
	case math.IsInf(l.High, 1):
		return "at least " + format(l.Low)
	case math.IsInf(l.Low, -1):
		return "at most " + format(l.High)
	}
	return fmt.Sprintf("%s to %s", format(l.Low), format(l.High))
}

// rule says what the verdict on a limit follows.
func (l Limit) rule() string {
	switch l.kind {
	case exact:
		return "a count: the same number, or it does not hold"
	case linear:
		return fmt.Sprintf("R²: holds from %g, roughly from %g", r2Holds, r2Roughly)
	case threshold:
		return "a threshold: strict; missed by less than the error it holds roughly"
	}
	return fmt.Sprintf("a single figure: holds within %.0f %%, roughly within a factor of %g", 100*near, factorMost)
}
