package page

import (
	"html/template"
	"slices"
)

// Bars draws horizontal bars, one row under the other.
type Bars struct {
	Title, Note string
	Value       Axis     // Zero is implied where it is not logarithmic
	Series      []string // what the values of a row are, in order; may be empty where there is one
	Rows        []BarRow
	// the values of a row add up, and are drawn after each other in place of under; no value is
	// below zero then
	Stacked bool
}

// BarRow is what a row of [Bars] is called, and its values.
type BarRow struct {
	Name   string
	Values []float64
	Note   string // shown with every value, and written after the bar where there is one value
}

const (
	barHeight = 18
	rowGap    = 10
)

// shows reports whether a value has a bar.
func (p *Bars) shows(v float64) bool { return p.Value.shows(v) && (!p.Stacked || v >= 0) }

// HTML returns the picture.
func (p Bars) HTML() template.HTML {
	p.Value.Zero = !p.Value.Log
	p.Value.Log = p.Value.Log && !p.Stacked // lengths that add up have no logarithmic axis
	var all []float64
	lost := 0
	for _, row := range p.Rows {
		sum := 0.0
		for _, v := range row.Values {
			if !p.shows(v) {
				lost++
				continue
			}
			if sum += v; !p.Stacked {
				all = append(all, v)
			}
		}
		if p.Stacked {
			all = append(all, sum)
		}
	}
	return figure(p.Title, missing(p.Note, lost), legendOf(p.Series, func(int) string { return square }), p.numbers(), func(c *canvas) {
		if len(all) == 0 {
			c.height = 40
			c.text("name", "middle", c.width/2, 24, "nothing to draw")
			return
		}
		p.draw(c, all)
	})
}

// numbers are the values as a table.
func (p *Bars) numbers() Table {
	t := Table{Head: []string{""}}
	if len(p.Series) == 0 {
		t.Head = append(t.Head, p.Value.title())
	}
	t.Head = append(t.Head, p.Series...)
	for _, row := range p.Rows {
		cells := []any{row.Name}
		for _, v := range row.Values {
			cells = append(cells, p.Value.format(v))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func (p *Bars) draw(c *canvas, all []float64) {
	left := 0.0
	for _, row := range p.Rows {
		left = max(left, width(row.Name))
	}
	left = min(left, c.width*0.38) + 8
	right := 0.0 // room for what is written after the bars
	for _, row := range p.Rows {
		right = max(right, width(p.behind(&row)))
	}
	right = min(right, c.width*0.3) + 10
	s := p.Value.newScale(all, 8, left, c.width-right)
	zero := s.p0
	if !p.Value.Log {
		zero = s.at(0)
	}
	bottom := 4.0
	for _, row := range p.Rows {
		bottom += p.rowHeight(&row) + rowGap
	}
	c.height = c.bottomAxis(&s, 0, bottom)
	y := 4.0 + rowGap/2
	for _, row := range p.Rows {
		h := p.rowHeight(&row)
		c.b.WriteString("<g><title>" + escape(row.Name) + "</title>")
		c.text("name", "end", left-8, y+h/2+4, clip(row.Name, left-8))
		c.b.WriteString("</g>\n")
		p.drawRow(c, &row, &s, zero, y)
		y += h + rowGap
	}
	c.line("axis", zero, 0, zero, bottom)
}

func (p *Bars) rowHeight(row *BarRow) float64 {
	if p.Stacked || len(row.Values) < 2 {
		return barHeight
	}
	return float64(len(row.Values)) * (barHeight - 4)
}

// after is what is written at the end of a bar that is alone in its row.
func (p *Bars) behind(row *BarRow) string {
	switch {
	case len(row.Values) != 1 || !p.shows(row.Values[0]):
		return ""
	case row.Note != "":
		return row.Note
	}
	return p.Value.format(row.Values[0])
}

func (p *Bars) drawRow(c *canvas, row *BarRow, s *scale, zero, y float64) {
	sum, end := 0.0, zero
	for i, v := range row.Values {
		if !p.shows(v) {
			continue
		}
		tip := row.Name + "\n" + p.Value.value(v)
		if i < len(p.Series) {
			tip = row.Name + ", " + p.Series[i] + "\n" + p.Value.value(v)
		}
		if row.Note != "" {
			tip += "\n" + row.Note
		}
		class := "bar c" + string(rune('0'+i%series))
		from, to := zero, s.at(v)
		top, h := y, float64(barHeight)
		switch {
		case p.Stacked:
			from, to = s.at(sum), s.at(sum+v)
			sum += v
		case len(row.Values) > 1:
			top, h = y+float64(i)*(barHeight-4), barHeight-5
		}
		x := min(from, to)
		c.rect(class, x, top, max(from, to)-x, h, ` rx="2"`, tip)
		end = slices.Max([]float64{end, from, to})
	}
	if text := p.behind(row); text != "" {
		c.tick("start", end+6, y+barHeight/2+4, clip(text, c.width-end-6))
	}
}
