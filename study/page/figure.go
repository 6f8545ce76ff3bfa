package page

import (
	"fmt"
	"html/template"
	"strings"
)

// The widths that pictures are drawn for, in pixels: a telephone's, half of a page, and a column of
// text. The style shows the one for which there is room.
var widths = []struct {
	class string
	width float64
}{{"narrow", 340}, {"medium", 480}, {"wide", 720}}

// series is the number of colours; further series begin again.
const series = 8

// figure frames what draw makes for each of the widths, with the numbers that it shows as a table
// that can be opened.
func figure(title, note string, legend string, numbers Table, draw func(c *canvas)) template.HTML {
	var b strings.Builder
	b.WriteString(`<figure class="picture">`)
	if title != "" {
		b.WriteString("<figcaption>" + escape(title) + "</figcaption>\n")
	}
	b.WriteString(legend)
	for _, w := range widths {
		c := canvas{width: w.width}
		draw(&c)
		fmt.Fprintf(&b, "<svg class=\"chart %s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n%s</svg>\n", w.class, c.width, c.height, escape(title), c.b.String())
	}
	if note != "" {
		b.WriteString(`<p class="note">` + escape(note) + "</p>")
	}
	if n := len(numbers.Rows); n > 0 && n <= mostNumbers {
		b.WriteString(string(Details("Show the numbers", numbers.HTML())))
	}
	b.WriteString("</figure>\n")
	return template.HTML(b.String())
}

// mostNumbers bounds the table that a picture has of its numbers, for those who do not see it or
// cannot point at it.
const mostNumbers = 120

// legendOf lists names beside their colours: a line for a curve, dashed or not, and a square
// otherwise.
func legendOf(names []string, mark func(i int) string) string {
	if len(names) < 2 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`<ul class="legend">`)
	for i, n := range names {
		fmt.Fprintf(&b, `<li><svg class="c%d" width="22" height="12" aria-hidden="true">%s</svg>%s</li>`, i%series, mark(i), escape(n))
	}
	b.WriteString("</ul>\n")
	return b.String()
}

const square = `<rect class="bar" x="5" y="0" width="12" height="12" rx="3"/>`

// canvas is a picture being drawn, in pixels from the upper left.
type canvas struct {
	width, height float64
	b             strings.Builder
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2)
}

// text writes at the base line y; anchor is start, middle or end.
func (c *canvas) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&c.b, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, anchor, x, y, escape(text))
}

// tick writes the label of a value.
func (c *canvas) tick(anchor string, x, y float64, text string) { c.text("tick", anchor, x, y, text) }

// rect draws a rectangle with a tooltip; attributes come as they are.
func (c *canvas) rect(class string, x, y, w, h float64, attributes, tip string) {
	fmt.Fprintf(&c.b, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"%s><title>%s</title></rect>\n", class, x, y, w, h, attributes, escape(tip))
}

// bottomAxis draws lines and labels of a scale below the picture from y0 to y1, and returns where
// they end.
func (c *canvas) bottomAxis(s *scale, y0, y1 float64) float64 {
	const gap = 14
	at := func(v float64, text string) float64 { // labels at the edges move inwards
		half := width(text) / 2
		return min(max(s.at(v), half), c.width-half)
	}
	fits := func(t []float64) bool {
		end := -gap * 2.0
		for _, v := range t {
			text := s.axis.format(v)
			x, half := at(v, text), width(text)/2
			if x-half < end+gap {
				return false
			}
			end = x + half
		}
		return true
	}
	for _, v := range s.ticks(10, fits) {
		c.line("rule", s.at(v), y0, s.at(v), y1)
		text := s.axis.format(v)
		c.tick("middle", at(v, text), y1+18, text)
	}
	if title := s.axis.title(); title != "" {
		c.text("name", "middle", (s.p0+s.p1)/2, y1+38, clip(title, c.width))
		return y1 + 44
	}
	return y1 + 24
}

// missing says how many values a picture lacks.
func missing(note string, n int) string {
	if n == 0 {
		return note
	}
	lost := fmt.Sprintf("%d values are no numbers that can be drawn here.", n)
	if n == 1 {
		lost = "1 value is no number that can be drawn here."
	}
	return strings.TrimSpace(note + " " + lost)
}
