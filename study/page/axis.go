package page

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Axis says what is shown along a side of a picture.
type Axis struct {
	Label string
	Unit  string // after the label, in brackets, and after values; "" for none
	Log   bool   // logarithmic: only what is above zero can be shown
	Zero  bool   // a linear axis begins at zero
	// Ticks are where labels go, as far as they have room; nil lets the axis choose.
	Ticks []float64
	// Format writes a value; nil takes [Number].
	Format func(float64) string
}

// Number writes a value with about four digits, or from ten thousand on with three and k, M, G or T
// for the thousands.
func Number(v float64) string {
	suffix, digits := "", 4
	if math.Abs(v) >= 9999.5 && !math.IsInf(v, 0) {
		for _, s := range []string{"k", "M", "G", "T"} {
			v, suffix, digits = v/1000, s, 3
			if math.Abs(v) < 999.5 {
				break
			}
		}
	}
	return strings.NewReplacer("-", "−", "+Inf", "∞", "Inf", "∞").Replace(strconv.FormatFloat(v, 'g', digits, 64)) + suffix
}

func (a *Axis) format(v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	return Number(v)
}

// value writes a value with its unit.
func (a *Axis) value(v float64) string {
	if a.Unit == "" {
		return a.format(v)
	}
	return a.format(v) + " " + a.Unit
}

// title is the label with the unit.
func (a *Axis) title() string {
	switch {
	case a.Unit == "" || a.Unit == a.Label:
		return a.Label
	case a.Label == "":
		return a.Unit
	}
	return a.Label + " (" + a.Unit + ")"
}

// shows reports whether v can be drawn.
func (a *Axis) shows(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0)
}

// scale maps the values from lo to hi to the pixels from p0 to p1.
type scale struct {
	axis   *Axis
	lo, hi float64
	p0, p1 float64
	whole  bool // the values are whole numbers, and so are the labels
}

// newScale fits a scale to values, for about n labels, between the pixels p0 and p1.
func (a *Axis) newScale(values []float64, n int, p0, p1 float64) scale {
	s := scale{axis: a, p0: p0, p1: p1, whole: !slices.ContainsFunc(values, func(v float64) bool { return v != math.Trunc(v) })}
	s.lo, s.hi = a.span(values, n)
	return s
}

func (s *scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.axis.Log {
		v, lo, hi = math.Log(v), math.Log(lo), math.Log(hi)
	}
	return s.p0 + (v-lo)/(hi-lo)*(s.p1-s.p0)
}

// span is a range that holds all values, with some room, for an axis of about n ticks.
func (a *Axis) span(values []float64, n int) (lo, hi float64) {
	lo, hi = slices.Min(values), slices.Max(values)
	if a.Log {
		if lo == hi {
			return lo / 2, hi * 2
		}
		room := math.Pow(hi/lo, 0.04)
		return lo / room, hi * room
	}
	if a.Zero {
		lo, hi = min(lo, 0), max(hi, 0)
	}
	if lo == hi {
		room := max(math.Abs(lo)/2, 0.5)
		return lo - room, hi + room
	}
	step := niceStep((hi - lo) / float64(n))
	return math.Floor(lo/step+1e-9) * step, math.Ceil(hi/step-1e-9) * step
}

// niceStep is the smallest of 1, 2, 5, 10 … times a power of ten that is not below x.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// ticks chooses the values to label, at most n, so that fits is content with their labels.
func (s *scale) ticks(n int, fits func([]float64) bool) []float64 {
	if s.axis.Ticks != nil {
		return thin(slices.DeleteFunc(slices.Sorted(slices.Values(s.axis.Ticks)), func(v float64) bool {
			return !s.axis.shows(v) || v < s.lo || v > s.hi
		}), fits)
	}
	if s.axis.Log {
		if t := s.logTicks(n, fits); len(t) > 1 {
			return t
		}
	}
	for ; n > 1; n-- {
		step := niceStep((s.hi - s.lo) / float64(n))
		if s.whole {
			step = max(step, 1)
		}
		var t []float64
		first := math.Ceil(s.lo/step - 1e-9)
		// no more fit, and where numbers are too large to be distinguished the loop must end
		for i := range n + 2 {
			if v := (first + float64(i)) * step; v <= s.hi+step*1e-9 {
				t = append(t, v+0) // no zero below zero
			}
		}
		if len(t) > 0 && fits(t) {
			return t
		}
	}
	return nil
}

// logTicks are 1, 2 and 5 times the powers of ten, or the powers alone, or some of them.
func (s *scale) logTicks(n int, fits func([]float64) bool) []float64 {
	first, last := math.Floor(math.Log10(s.lo)), math.Ceil(math.Log10(s.hi))
	for _, multiples := range [][]float64{{1, 2, 5}, {1}} {
		var t []float64
		for e := first; e <= last; e++ {
			for _, m := range multiples {
				if v := m * math.Pow(10, e); v >= s.lo*(1-1e-9) && v <= s.hi*(1+1e-9) {
					t = append(t, v)
				}
			}
		}
		if len(multiples) == 1 {
			return thin(t, fits)
		}
		if len(t) <= n && fits(t) {
			return t
		}
	}
	return nil
}

// thin takes every second, third … value until their labels fit.
func thin(t []float64, fits func([]float64) bool) []float64 {
	for every := 1; every <= len(t); every++ {
		var some []float64
		for i := 0; i < len(t); i += every {
			some = append(some, t[i])
		}
		if fits(some) {
			return some
		}
	}
	return nil
}

// fontSize is that of the texts in pictures.
const fontSize = 12

// width is how many pixels a text takes at most, about.
func width(s string) float64 {
	n := 0.0
	for _, r := range s {
		switch {
		case r >= 0x1100:
			n += 1.05
		case strings.ContainsRune("mwMW@%", r):
			n += 0.95
		default:
			n += 0.64
		}
	}
	return n * fontSize
}

// clip shortens a text to a width.
func clip(s string, most float64) string {
	if width(s) <= most {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && width(string(r)+"…") > most {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}
