package page

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// Plot draws values over values.
type Plot struct {
	Title, Note string // above and below
	X, Y        Axis
	Series      []Series
}

// Series is one curve of a [Plot], or one cloud of points.
type Series struct {
	Name   string
	Points []Point // joined in this order
	Style  Style
	Fit    *Fit // a curve drawn through the points besides, nil for none
	Labels bool // the names of points stand beside them, as far as there is room
}

// Point is a value over a value. Name, if any, is shown with it.
type Point struct {
	X, Y float64
	Name string
}

// Style is how a [Series] is drawn.
type Style uint8

// The styles.
const (
	Curve  Style = iota // points and the lines between them
	Dashed              // the same in dashes: what was predicted
	Dots                // points alone
)

// Fit is the line y = Slope·x + Intercept, and how much of the variance of y it accounts for. With
// Log it is the power law log y = Slope·log x + Intercept.
type Fit struct {
	Slope, Intercept, R2 float64
	Log                  bool
}

// LeastSquares fits a line, or with log a power law through what is above zero. Without two
// different x all of it is NaN.
func LeastSquares(points []Point, log bool) Fit {
	var used []Point
	var x, y, xx, xy, yy float64
	for _, p := range points {
		if log {
			p = Point{X: math.Log(p.X), Y: math.Log(p.Y)}
		}
		if math.IsNaN(p.X+p.Y) || math.IsInf(p.X+p.Y, 0) {
			continue
		}
		used = append(used, p)
		x, y = x+p.X, y+p.Y
	}
	n := float64(len(used))
	x, y = x/n, y/n
	for _, p := range used {
		xx, xy, yy = xx+(p.X-x)*(p.X-x), xy+(p.X-x)*(p.Y-y), yy+(p.Y-y)*(p.Y-y)
	}
	if xx == 0 || n < 2 {
		return Fit{math.NaN(), math.NaN(), math.NaN(), log}
	}
	f := Fit{Slope: xy / xx, R2: 1, Log: log}
	f.Intercept = y - f.Slope*x
	if yy > 0 {
		f.R2 = xy * xy / (xx * yy)
	}
	return f
}

// At is the value of the fit.
func (f Fit) At(x float64) float64 {
	if f.Log {
		return math.Exp(f.Intercept + f.Slope*math.Log(x))
	}
	return f.Intercept + f.Slope*x
}

func (f Fit) String() string {
	if f.Log {
		return fmt.Sprintf("y ∝ x^%s, R² = %.4f", Number(f.Slope), f.R2)
	}
	sign, c := "+", f.Intercept
	if c < 0 {
		sign, c = "−", -c
	}
	return fmt.Sprintf("y = %s·x %s %s, R² = %.4f", Number(f.Slope), sign, Number(c), f.R2)
}

// plotHeight is that of the area between the axes.
const plotHeight = 260

// HTML returns the picture.
func (p Plot) HTML() template.HTML {
	var xs, ys []float64
	lost := 0
	for _, s := range p.Series {
		for _, pt := range s.Points {
			if p.X.shows(pt.X) && p.Y.shows(pt.Y) {
				xs, ys = append(xs, pt.X), append(ys, pt.Y)
			} else {
				lost++
			}
		}
	}
	names := make([]string, len(p.Series))
	for i, s := range p.Series {
		names[i] = s.Name
		if s.Fit != nil {
			names[i] += ": " + s.Fit.String()
		}
	}
	legend := legendOf(names, func(i int) string {
		switch p.Series[i].Style {
		case Dots:
			return `<circle class="dot" cx="11" cy="6" r="5"/>`
		case Dashed:
			return `<line class="curve dashed" x1="1" y1="6" x2="21" y2="6"/>`
		}
		return `<line class="curve" x1="1" y1="6" x2="21" y2="6"/>`
	})
	note := missing(p.Note, lost)
	if len(names) == 1 && p.Series[0].Fit != nil {
		note = strings.TrimSpace("Fit: " + p.Series[0].Fit.String() + ". " + note)
	}
	return figure(p.Title, note, legend, p.numbers(), func(c *canvas) {
		if len(xs) == 0 {
			c.height = 40
			c.text("name", "middle", c.width/2, 24, "nothing to draw")
			return
		}
		p.draw(c, xs, ys)
	})
}

// numbers are the points as a table.
func (p *Plot) numbers() Table {
	t := Table{Head: []string{"", p.X.title(), p.Y.title()}}
	for _, s := range p.Series {
		for _, pt := range s.Points {
			name := s.Name
			if pt.Name != "" {
				name = pt.Name
			}
			t.Rows = append(t.Rows, []any{name, p.X.format(pt.X), p.Y.format(pt.Y)})
		}
	}
	return t
}

func (p *Plot) draw(c *canvas, xs, ys []float64) {
	top := 10.0
	if title := p.Y.title(); title != "" {
		c.text("name", "start", 0, 12, clip(title, c.width))
		top = 30
	}
	bottom := top + plotHeight
	y := p.Y.newScale(ys, 6, bottom, top)
	ticks := y.ticks(6, func(t []float64) bool {
		for i := range t[1:] {
			if math.Abs(y.at(t[i])-y.at(t[i+1])) < fontSize*1.5 {
				return false
			}
		}
		return true
	})
	left := 0.0
	for _, v := range ticks {
		left = max(left, width(p.Y.format(v)))
	}
	left += 8
	x := p.X.newScale(xs, 8, left, c.width-10)
	for _, v := range ticks {
		c.line("rule", left, y.at(v), c.width-10, y.at(v))
		c.tick("end", left-8, y.at(v)+4, p.Y.format(v))
	}
	c.height = c.bottomAxis(&x, top, bottom)
	c.line("axis", left, bottom, c.width-10, bottom)
	for i := range p.Series {
		p.drawSeries(c, i, &x, &y)
	}
}

func (p *Plot) drawSeries(c *canvas, i int, x, y *scale) {
	s := &p.Series[i]
	fmt.Fprintf(&c.b, "<g class=\"c%d\">\n", i%series)
	if s.Fit != nil {
		drawFit(c, s.Fit, x, y)
	}
	if s.Style != Dots {
		class := "curve"
		if s.Style == Dashed {
			class = "curve dashed"
		}
		fmt.Fprintf(&c.b, "<path class=\"%s\" d=\"", class)
		pen := "M" // lifted at the beginning and where a value cannot be shown
		for _, pt := range s.Points {
			if !p.X.shows(pt.X) || !p.Y.shows(pt.Y) {
				pen = "M"
				continue
			}
			fmt.Fprintf(&c.b, "%s%.1f %.1f", pen, x.at(pt.X), y.at(pt.Y))
			pen = "L"
		}
		c.b.WriteString("\"/>\n")
	}
	r := 4.0
	if len(s.Points) > 80 {
		r = 2
	}
	for _, pt := range s.Points {
		if !p.X.shows(pt.X) || !p.Y.shows(pt.Y) {
			continue
		}
		tip := p.X.value(pt.X) + ": " + p.Y.value(pt.Y)
		for _, name := range []string{pt.Name, s.Name} {
			if name != "" {
				tip = name + "\n" + tip
			}
		}
		fmt.Fprintf(&c.b, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.0f\"><title>%s</title></circle>\n", x.at(pt.X), y.at(pt.Y), r, escape(tip))
	}
	c.b.WriteString("</g>\n")
	if s.Labels {
		p.drawLabels(c, s, x, y)
	}
}

// drawLabels writes the names of points: above to the right, else on one of three other sides. One
// that would meet another, or a point, is left out.
func (p *Plot) drawLabels(c *canvas, s *Series, x, y *scale) {
	type box struct{ x0, y0, x1, y1 float64 }
	var occupied []box
	for _, other := range p.Series {
		for _, pt := range other.Points {
			if p.X.shows(pt.X) && p.Y.shows(pt.Y) {
				u, v := x.at(pt.X), y.at(pt.Y)
				occupied = append(occupied, box{u - 4, v - 4, u + 4, v + 4})
			}
		}
	}
	for _, pt := range s.Points {
		if pt.Name == "" || !p.X.shows(pt.X) || !p.Y.shows(pt.Y) {
			continue
		}
		u, v, w := x.at(pt.X), y.at(pt.Y), width(pt.Name)
		for _, at := range [][2]float64{{u + 6, v - 6}, {u + 6, v + fontSize + 2}, {u - 6 - w, v - 6}, {u - 6 - w, v + fontSize + 2}} {
			b := box{at[0], at[1] - fontSize, at[0] + w, at[1] + 2}
			meets := func(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 && b.y0 < o.y1 && o.y0 < b.y1 }
			if b.x0 < x.p0 || b.x1 > c.width || b.y0 < y.p1-fontSize || b.y1 > y.p0 || slices.ContainsFunc(occupied, meets) {
				continue
			}
			c.tick("start", at[0], at[1], pt.Name)
			occupied = append(occupied, b)
			break
		}
	}
}

// drawFit draws the part of a fit that is between the axes.
func drawFit(c *canvas, f *Fit, x, y *scale) {
	const steps = 64
	c.b.WriteString(`<path class="curve dashed fit" d="`)
	pen := "M"
	for i := range steps + 1 {
		t := float64(i) / steps
		v := x.lo + t*(x.hi-x.lo)
		if x.axis.Log {
			v = x.lo * math.Pow(x.hi/x.lo, t)
		}
		if w := f.At(v); w >= y.lo && w <= y.hi && y.axis.shows(w) {
			fmt.Fprintf(&c.b, "%s%.1f %.1f", pen, x.at(v), y.at(w))
			pen = "L"
		} else {
			pen = "M"
		}
	}
	c.b.WriteString("\"/>\n")
}
