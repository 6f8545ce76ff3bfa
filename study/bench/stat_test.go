package bench

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMean(t *testing.T) {
	require.Zero(t, mean(nil))
	require.Zero(t, deviation([]float64{5}))
	require.Equal(t, 5.0, mean([]float64{2, 4, 4, 4, 5, 5, 7, 9}))
	require.InDelta(t, math.Sqrt(32.0/7), deviation([]float64{2, 4, 4, 4, 5, 5, 7, 9}), 1e-12)
}

// Quantiles of the printed tables (Abramowitz and Stegun, table 26.10).
func TestStudent(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 4: 2.776, 9: 2.262, 20: 2.086, 21: 2.080, 30: 2.042, 60: 2.000, 120: 1.980, 1 << 20: 1.960} {
		require.InDelta(t, want, student95(freedom), 0.0006, freedom)
	}
	for n := 1; n < 100; n++ {
		require.Greater(t, student95(n), student95(n+1))
	}
}

func TestRatio(t *testing.T) {
	require.Equal(t, Ratio{Ratio: 2}, RatioOf([]float64{6}, []float64{3}))
	r := RatioOf([]float64{6, 6, 6}, []float64{3, 3, 3})
	require.InDelta(t, 2, r.Ratio, 1e-12)
	require.InDelta(t, 2, r.Low, 1e-12)
	require.InDelta(t, 2, r.High, 1e-12)
	// Ratios 1, 2 and 4: logarithms 0, ln 2, 2 ln 2 have the mean ln 2 and the deviation ln 2;
	// 4.303 / √3 of it on either side.
	r = RatioOf([]float64{10, 40, 40}, []float64{10, 20, 10})
	require.InDelta(t, 2, r.Ratio, 1e-12)
	require.InDelta(t, math.Exp(math.Ln2*(1-4.303/math.Sqrt(3))), r.Low, 1e-9)
	require.InDelta(t, math.Exp(math.Ln2*(1+4.303/math.Sqrt(3))), r.High, 1e-9)
	// Weather that meets both alike changes nothing.
	a := RatioOf([]float64{10, 5, 20}, []float64{5, 2.5, 10})
	require.InDelta(t, 2, a.Low, 1e-9)
}
