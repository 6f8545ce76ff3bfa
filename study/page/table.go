package page

import (
	"fmt"
	"html/template"
	"strings"
)

// Table is rows of cells under a head. A cell is a template.HTML, or anything that package fmt
// prints. A column whose cells all begin like numbers is set right.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]any // each as long as Head, or shorter
}

// HTML returns the table.
func (t Table) HTML() template.HTML {
	var b strings.Builder
	b.WriteString(`<div class="table" tabindex="0"><table>`)
	if t.Caption != "" {
		b.WriteString("<caption>" + escape(t.Caption) + "</caption>")
	}
	right := make([]string, len(t.Head))
	b.WriteString("<thead><tr>")
	for i, h := range t.Head {
		if t.numbers(i) {
			right[i] = ` class="right"`
		}
		fmt.Fprintf(&b, `<th scope="col"%s>%s</th>`, right[i], escape(h))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, row := range t.Rows {
		b.WriteString("<tr>")
		for i := range t.Head {
			cell := ""
			if i < len(row) {
				cell = markup(row[i])
			}
			fmt.Fprintf(&b, "<td%s>%s</td>", right[i], cell)
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody></table></div>\n")
	return template.HTML(b.String())
}

// numbers reports whether the cells of a column are numbers, some with units after, and there is
// one.
func (t *Table) numbers(column int) bool {
	found := false
	for _, row := range t.Rows {
		if column >= len(row) {
			continue
		}
		if _, ok := row[column].(template.HTML); ok {
			return false
		}
		text := strings.TrimLeft(fmt.Sprint(row[column]), "+-−<>≈~ ")
		switch {
		case text == "" || text == "–":
		case text[0] < '0' || text[0] > '9':
			return false
		default:
			found = true
		}
	}
	return found
}

func markup(v any) string {
	if h, ok := v.(template.HTML); ok {
		return string(h)
	}
	return escape(fmt.Sprint(v))
}
