package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// HeatMap draws a grid of values as shades: from nothing to the strongest colour, and in a second
// colour below zero. A grid that is wider than the page scrolls.
type HeatMap struct {
	Title, Note string
	X, Y        string      // what columns and rows are
	Columns     []string    // names of the columns
	Rows        []string    // names of the rows
	Values      [][]float64 // by row, then column
	Value       Axis        // name, unit and format of the values; Log shades by the logarithm
	// Most is the magnitude that has the strongest colour, so that several grids have one scale; 0
	// means the largest of these values. Not for Log.
	Most float64
	// Absent is what cells that are no number mean, such as "never chosen"; "" counts them under
	// the picture.
	Absent string
}

// The edges of cells, in pixels.
const (
	cellLeast = 14
	cellMost  = 46
	cellHigh  = 22
)

// gridLeast is how far a grid shrinks before it scrolls.
const gridLeast = 0.75

// HTML returns the picture.
func (m HeatMap) HTML() template.HTML {
	lo, hi, lost := math.Inf(1), math.Inf(-1), 0
	for _, row := range m.Values {
		for _, v := range row {
			switch {
			case m.Value.shows(v):
				lo, hi = min(lo, v), max(hi, v)
			case m.Absent == "":
				lost++
			}
		}
	}
	var b strings.Builder
	b.WriteString(`<figure class="picture">`)
	if m.Title != "" {
		b.WriteString("<figcaption>" + escape(m.Title) + "</figcaption>\n")
	}
	if lo <= hi {
		c := canvas{}
		m.draw(&c, lo, hi)
		fmt.Fprintf(&b, "<div class=\"scroll\" tabindex=\"0\"><svg class=\"chart grid\" style=\"max-width: %.0fpx; min-width: %.0fpx\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n%s</svg></div>\n",
			c.width, c.width*gridLeast, c.width, c.height, escape(m.Title), c.b.String())
	} else {
		b.WriteString("<p>nothing to draw</p>")
	}
	note := m.Note
	if m.Absent != "" {
		note = strings.TrimSpace(note + " Cells without a colour of their own: " + m.Absent + ".")
	}
	if note = missing(note, lost); note != "" {
		b.WriteString(`<p class="note">` + escape(note) + "</p>")
	}
	b.WriteString("</figure>\n")
	return template.HTML(b.String())
}

func (m *HeatMap) draw(c *canvas, lo, hi float64) {
	const most = 160 // of a name's width
	left := 0.0
	for _, name := range m.Rows {
		left = max(left, width(name))
	}
	left = min(left, most) + 8
	if m.Y != "" {
		left = max(left, min(width(m.Y), most)+8)
	}
	longest := 0.0
	for _, name := range m.Columns {
		longest = max(longest, width(name))
	}
	longest = min(longest, most)
	cell := min(max(620/float64(max(len(m.Columns), 1)), cellLeast), cellMost)
	upright := longest+4 <= cell
	top := 18.0
	if m.X == "" {
		top = 0
	}
	head := top + longest + 8 // names of columns stand on end
	if upright {
		head = top + 18
	}
	if m.X != "" {
		c.text("name", "start", left, 12, m.X)
	}
	if m.Y != "" {
		c.text("name", "end", left-8, head-6, clip(m.Y, left-8))
	}
	for i, name := range m.Columns {
		x := left + (float64(i)+0.5)*cell
		if upright {
			c.tick("middle", x, head-6, name)
			continue
		}
		fmt.Fprintf(&c.b, "<text class=\"tick\" transform=\"translate(%.1f %.1f) rotate(-90)\">%s</text>\n", x+4, head-5, escape(clip(name, most)))
	}
	for r, row := range m.Values {
		y := head + float64(r)*cellHigh
		if r < len(m.Rows) {
			c.tick("end", left-8, y+cellHigh/2+4, clip(m.Rows[r], most))
		}
		for i, v := range row {
			class, opacity := m.shade(v, lo, hi)
			c.rect(class, left+float64(i)*cell, y, cell-1, cellHigh-1, opacity, m.tip(r, i, v))
		}
	}
	grid := left + float64(len(m.Columns))*cell
	c.width = max(grid, left+260) + 4
	c.height = m.drawKey(c, left, head+float64(len(m.Values))*cellHigh+14, lo, hi)
}

// shade is how a value is drawn.
func (m *HeatMap) shade(v, lo, hi float64) (class, attributes string) {
	if !m.Value.shows(v) {
		return "cell ground", ""
	}
	part := 0.0
	switch {
	case m.Value.Log:
		part = 1
		if hi > lo {
			part = math.Log(v/lo) / math.Log(hi/lo)
		}
	case m.Most > 0:
		part = min(1, math.Abs(v)/m.Most)
	case max(hi, -lo) > 0:
		part = math.Abs(v) / max(hi, -lo)
	}
	class = "cell bar c0"
	if v < 0 {
		class = "cell bar c1"
	}
	return class, fmt.Sprintf(` rx="2" fill-opacity="%.3f"`, 0.04+0.96*part)
}

func (m *HeatMap) tip(r, i int, v float64) string {
	var parts []string
	if r < len(m.Rows) {
		parts = append(parts, strings.TrimSpace(m.Y+" "+m.Rows[r]))
	}
	if i < len(m.Columns) {
		parts = append(parts, strings.TrimSpace(m.X+" "+m.Columns[i]))
	}
	if m.Absent != "" && !m.Value.shows(v) {
		return strings.Join(parts, ", ") + "\n" + m.Absent
	}
	return strings.Join(parts, ", ") + "\n" + m.Value.value(v)
}

// drawKey draws what the shades mean, and returns where it ends.
func (m *HeatMap) drawKey(c *canvas, x, y, lo, hi float64) float64 {
	const steps, length = 24, 160
	from, to := min(lo, 0), max(hi, 0)
	if m.Most > 0 { // the key shows the common scale
		if lo < 0 {
			from = -m.Most
		}
		if hi > 0 {
			to = m.Most
		}
	}
	if m.Value.Log {
		from, to = lo, hi
	}
	low, high := m.Value.format(from), m.Value.format(to)
	c.tick("start", x, y+10, low)
	x += width(low) + 6
	for i := range steps {
		t := float64(i) / (steps - 1)
		v := from + t*(to-from)
		if m.Value.Log {
			v = from * math.Pow(to/from, t)
		}
		class, opacity := m.shade(v, lo, hi)
		c.rect(class, x+float64(i)*length/steps, y, length/steps, 12, opacity, m.Value.value(v))
	}
	c.tick("start", x+length+6, y+10, high)
	end := x + length + 6 + width(high) + 12
	if title := m.Value.title(); title != "" {
		c.text("name", "start", end, y+10, title)
		end += width(title)
	}
	c.width = max(c.width, end+4)
	return y + 18
}
