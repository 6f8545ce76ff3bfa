package bench

import "math"

// mean is the arithmetic mean, 0 of nothing.
func mean(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// deviation is the standard deviation of a sample, 0 of fewer than two values.
func deviation(x []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	m, sum := mean(x), 0.0
	for _, v := range x {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

// Ratio is how many times faster than a baseline something is. Low and High bound it with a
// confidence of 95 %; they are 0 where there are fewer than two pairs.
type Ratio struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
}

// RatioOf compares rates that were measured in pairs.
func RatioOf(ours, theirs []float64) Ratio {
	logs := make([]float64, len(ours))
	for i := range logs {
		logs[i] = math.Log(ours[i] / theirs[i])
	}
	m := mean(logs)
	r := Ratio{Ratio: math.Exp(m)}
	if n := len(logs); n > 1 {
		half := student95(n-1) * deviation(logs) / math.Sqrt(float64(n))
		r.Low, r.High = math.Exp(m-half), math.Exp(m+half)
	}
	return r
}

// student95 is the 0.975 quantile of Student's t distribution: half of the two-sided 95 % interval.
// Beyond the table it is Fisher and Cornish's expansion around the normal quantile (Abramowitz and
// Stegun 26.7.5), which is right to four digits there.
func student95(freedom int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	const z = 1.959964
	v := float64(freedom)
	const z3, z5, z7 = z * z * z, z * z * z * z * z, z * z * z * z * z * z * z
	return z + (z3+z)/(4*v) + (5*z5+16*z3+3*z)/(96*v*v) + (3*z7+19*z5+17*z3-15*z)/(384*v*v*v)
}

// MeanDeviation is the arithmetic mean and the standard deviation of a sample.
func MeanDeviation(x []float64) (m, d float64) { return mean(x), deviation(x) }
