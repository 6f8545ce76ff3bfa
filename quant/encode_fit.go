package quant

// The searches that the encoders share. Each looks for the scale (and minimum) that makes the sum
// of weighted squared errors of a group least: it tries a range of steps, rounds the group to whole
// steps, and solves for the best scale of those. They follow ggml-quants.c in what they try and in
// the order in which they add, so that they find the same (make_qx_quants, make_q3_quants,
// make_qkx2_quants, make_qkx3_quants, make_qp_quants); see the pull requests 1684 and 5207 of
// llama.cpp.

// negligible is the magnitude below which a group counts as zero.
const negligible = 1e-15

// fitSymmetric finds a scale for levels from -maxLevel to maxLevel-1. inv is the inverse step that
// gives the levels: see symmetricLevels. For a group of zeros both are 0.
func fitSymmetric(x, w []float32, maxLevel float32) (scale, inv float32) {
	peak := extreme(x)
	if abs(peak) < negligible {
		return 0, 0
	}
	var wx [32]float32
	for i, v := range x {
		wx[i] = w[i] * v
	}
	inv = -maxLevel / peak
	sx, s2 := symmetricSums(x, w, wx[:], inv, maxLevel)
	if s2 != 0 {
		scale = sx / s2
	}
	best := scale * sx
	for k := -9; k <= 9; k++ {
		if k == 0 {
			continue
		}
		try := -(maxLevel + float32(0.1*float32(k))) / peak
		sx, s2 := symmetricSums(x, w, wx[:], try, maxLevel)
		if s2 > 0 && sx*sx > best*s2 {
			inv, scale = try, sx/s2
			best = scale * sx
		}
	}
	return scale, inv
}

// symmetricSums rounds x·inv to levels l and returns the sums of w·x·l and w·l².
func symmetricSums(x, w, wx []float32, inv, maxLevel float32) (sx, s2 float32) {
	w, wx = w[:len(x)], wx[:len(x)]
	lo, hi := -maxLevel, maxLevel-1
	for i, v := range x {
		l := nearest(v * inv)
		if l < lo {
			l = lo
		}
		if l > hi {
			l = hi
		}
		sx += float32(wx[i] * l)
		s2 += float32(float32(w[i]*l) * l)
	}
	return sx, s2
}

// symmetricLevels stores the levels that fitSymmetric found, counted from 0. A group of zeros gets
// zeros, though 0 stands for -maxLevel: its scale is 0.
func symmetricLevels(q []uint8, x []float32, inv, maxLevel float32) {
	if inv == 0 {
		clear(q[:len(x)])
		return
	}
	t := int32(maxLevel)
	for i, v := range x {
		q[i] = uint8(t + max(-t, min(t-1, nearestInt(v*inv))))
	}
}

// search is what fitAffine tries: tries+1 ranges of steps, from maxLevel+first on, in increments of
// by.
type search struct {
	first, by float32
	tries     int
	absolute  bool // least absolute errors in place of least squares
}

// weighted is the search where importance is known.
var weighted = search{-0.9, 0.05, 36, false}

// fitAffine finds a scale and a minimum, at most 0, for levels from 0 to maxLevel, and stores the
// levels in q. The groups have up to 32 weights.
func fitAffine(q []uint8, x, w []float32, s *search, maxLevel float32) (scale, lo float32) {
	q, w = q[:len(x)], w[:len(x)]
	lo, hi := limits(x)
	sw, sx := w[0], w[0]*x[0]
	for i, v := range x[1:] {
		sw += w[1+i]
		sx += float32(w[1+i] * v)
	}
	if lo > 0 {
		lo = 0
	}
	if hi == lo {
		clear(q)
		return 0, lo
	}
	inv := maxLevel / (hi - lo)
	scale = 1 / inv
	var y, l [32]float32 // x above the minimum; levels
	above(y[:], x, lo)
	affineSums(l[:len(x)], y[:], x, w, inv, maxLevel)
	best := affineError(l[:], x, w, scale, lo, s.absolute)
	bestInv, bestLo := inv, lo

	var sxx float64
	for i, v := range x {
		sxx += float64(w[i]) * float64(v) * float64(v)
	}
	for k := range s.tries + 1 {
		inv := (s.first + float32(s.by*float32(k)) + maxLevel) / (hi - lo)
		sl, sl2, sxl := affineSums(l[:len(x)], y[:], x, w, inv, maxLevel)
		det := float32(sw*sl2) - float32(sl*sl)
		if !(det > 0) {
			continue
		}
		a := (float32(sw*sxl) - float32(sx*sl)) / det
		b := (float32(sl2*sx) - float32(sl*sxl)) / det
		if b > 0 {
			a, b = sxl/sl2, 0
		}
		// The sum of squares follows from the sums at hand, less exactly than by adding squares as
		// the reference does: that is done only where it may matter.
		if !s.absolute {
			a, b := float64(a), float64(b)
			xx, ll, mm := sxx, a*a*float64(sl2), b*b*float64(sw)
			err := xx + ll + mm + 2*(a*b*float64(sl)-a*float64(sxl)-b*float64(sx))
			if err-1e-5*(xx+ll+mm) > float64(best) {
				continue
			}
		}
		if err := affineError(l[:], x, w, a, b, s.absolute); err < best {
			best, scale = err, a
			bestInv, bestLo = inv, lo
			if b != lo {
				lo = b
				above(y[:], x, lo)
			}
		}
	}
	t := int32(maxLevel)
	for i, v := range x {
		q[i] = uint8(max(0, min(t, nearestInt(bestInv*(v-bestLo)))))
	}
	return scale, lo
}

func above(y, x []float32, lo float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = v - lo
	}
}

// affineSums rounds y·inv to the levels l and returns the sums of w·l, w·l² and w·l·x.
func affineSums(l, y, x, w []float32, inv, maxLevel float32) (sl, sl2, sxl float32) {
	y, x, w = y[:len(l)], x[:len(l)], w[:len(l)]
	for i := range l {
		v := nearest(y[i] * inv)
		if v < 0 {
			v = 0
		}
		if v > maxLevel {
			v = maxLevel
		}
		l[i] = v
		t := float32(w[i] * v)
		sl += t
		sl2 += float32(t * v)
		sxl += float32(t * x[i])
	}
	return sl, sl2, sxl
}

// affineError is the sum of w times the square or the magnitude of a·l + b - x.
func affineError(l, x, w []float32, a, b float32, absolute bool) (sum float32) {
	l, w = l[:len(x)], w[:len(x)]
	if absolute {
		for i, v := range x {
			sum += float32(w[i] * abs(float32(a*l[i])+b-v))
		}
		return sum
	}
	for i, v := range x {
		d := float32(a*l[i]) + b - v
		sum += float32(w[i] * float32(d*d))
	}
	return sum
}

// fitPositive finds a scale for the levels 0 to maxLevel of numbers that are mostly positive, and
// stores the levels in q: first among nine steps, then by moving one level at a time.
func fitPositive(q []uint8, x, w []float32, maxLevel float32) (scale float32) {
	q, w = q[:len(x)], w[:len(x)]
	var peak float32
	for _, v := range x {
		if v > peak {
			peak = v
		}
	}
	if peak < negligible {
		clear(q)
		return 0
	}
	inv := maxLevel / peak
	step := 1 / inv
	var best float32
	for i, v := range x {
		// Negative numbers wrap here and below, as in the reference, which keeps levels in bytes.
		d := v - float32(step*float32(uint8(nearestInt(inv*v))))
		best += float32(float32(w[i]*d) * d)
	}
	for k := -4; k <= 4; k++ {
		if k == 0 {
			continue
		}
		try := (float32(0.1*float32(k)) + maxLevel) / peak
		step := 1 / try
		var sum float32
		for i, v := range x {
			l := nearest(try * v)
			if l > maxLevel {
				l = maxLevel
			}
			d := v - float32(step*l)
			sum += float32(float32(w[i]*d) * d)
		}
		if sum < best {
			best, inv = sum, try
		}
	}
	t := int32(maxLevel)
	var sx, s2 float32
	for i, v := range x {
		n := min(t, nearestInt(inv*v))
		q[i] = uint8(n)
		l := float32(n)
		sx += float32(float32(w[i]*v) * l)
		s2 += float32(float32(w[i]*l) * l)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			l := float32(q[i])
			wx := w[i] * v
			sx1 := sx - float32(wx*l)
			s21 := s2 - float32(float32(w[i]*l)*l)
			if !(sx1 > 0 && s21 > 0) {
				continue
			}
			n := min(t, nearestInt(v*s21/sx1))
			if n == int32(q[i]) {
				continue
			}
			l = float32(n)
			sx1 += float32(wx * l)
			s21 += float32(float32(w[i]*l) * l)
			if float32(sx1*sx1)*s2 > float32(sx*sx)*s21 {
				q[i], sx, s2 = uint8(n), sx1, s21
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	if s2 > 0 {
		return sx / s2
	}
	return 0
}

// fitMoving finds a scale for levels from -maxLevel to maxLevel-1, weighing errors by x², by moving
// one level at a time from where the largest magnitude falls on -maxLevel. The levels in q count
// from 0.
func fitMoving(q []uint8, x []float32, maxLevel int32) (scale float32) {
	peak := extreme(x)
	if abs(peak) < negligible {
		clear(q[:len(x)])
		return 0
	}
	var level, w, wx [16]float32
	inv := float32(-maxLevel) / peak
	lo, hi := float32(-maxLevel), float32(maxLevel-1)
	var sx, s2 float32
	for i, v := range x {
		l := max(lo, min(hi, nearest(inv*v)))
		w[i] = v * v
		wx[i] = w[i] * v
		level[i] = l
		sx += float32(wx[i] * l)
		s2 += float32(float32(w[i]*l) * l)
	}
	for range 5 {
		changed := false
		for i, v := range x {
			l := level[i]
			sx1 := sx - float32(wx[i]*l)
			if !(sx1 > 0) {
				continue
			}
			s21 := s2 - float32(float32(w[i]*l)*l)
			n := float32(max(-maxLevel, min(maxLevel-1, nearestInt(v*s21/sx1))))
			if n == l {
				continue
			}
			sx1 += float32(wx[i] * n)
			s21 += float32(float32(w[i]*n) * n)
			if s21 > 0 && float32(sx1*sx1)*s2 > float32(sx*sx)*s21 {
				level[i], sx, s2 = n, sx1, s21
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	for i := range x {
		q[i] = uint8(int32(level[i]) + maxLevel)
	}
	if s2 > 0 {
		return sx / s2
	}
	return 0
}
