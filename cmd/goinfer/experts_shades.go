package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/goinfer/goinfer/study/experts"
)

// shades draws a trace in a terminal: a line for each token, a stretch of cells for each layer, a cell for each expert.
type shades struct {
	t       *experts.Trace
	colour  bool
	width   int // of the terminal
	label   int // of a token
	cell    int // characters of a cell
	bin     int // experts of a cell
	weights float32
}

const (
	plainWidth = 100 // where no terminal says how wide it is
	labelMost  = 16
	labelLeast = 5
)

// newShades fits a trace to the terminal.
func newShades(cmd *cobra.Command, t *experts.Trace) *shades {
	out := cmd.OutOrStdout()
	s := &shades{t: t, colour: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", width: plainWidth, label: labelLeast, cell: 1, bin: 1}
	if f, ok := out.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			s.width = w
		}
	}
	for _, token := range t.Tokens {
		s.label = max(s.label, utf8.RuneCountInString(printable(token.Text)))
	}
	s.label = min(s.label, labelMost)
	room := max(s.width-s.label-2, 8)
	s.bin = (t.Shape.Experts + room - 1) / room
	if all := len(t.Layers) * (2*t.Shape.Experts + 1); s.bin == 1 && all <= room {
		s.cell = 2
	}
	for _, r := range t.Rows {
		for _, c := range r.Experts {
			s.weights = max(s.weights, c.Weight)
		}
	}
	return s
}

// cells is how many characters a layer takes.
func (s *shades) cells() int { return (s.t.Shape.Experts + s.bin - 1) / s.bin * s.cell }

// write draws all layers, as many beside each other as there is room for.
func (s *shades) write(out io.Writer) {
	beside := max(1, (s.width-s.label-1)/(s.cells()+1))
	for from := 0; from < len(s.t.Layers); from += beside {
		if from > 0 {
			fmt.Fprintln(out)
		}
		s.band(out, from, min(from+beside, len(s.t.Layers)))
	}
	fmt.Fprintf(out, "\nA line is a token, a block a layer, a cell an expert, from 0 to %d; the stronger, the larger its weight, from ", s.t.Shape.Experts-1)
	for i := 1; i < len(ramp); i++ {
		fmt.Fprint(out, s.shade(s.weights*float32(i)/float32(len(ramp)-1)))
	}
	fmt.Fprintf(out, " to %.2f.\n", s.weights)
	if s.bin > 1 {
		fmt.Fprintf(out, "The window is too narrow for all experts: a cell is the strongest of %d.\n", s.bin)
	}
}

func (s *shades) band(out io.Writer, from, to int) {
	fmt.Fprint(out, strings.Repeat(" ", s.label))
	for _, l := range s.t.Layers[from:to] {
		name := fmt.Sprintf("layer %d", l)
		if len(name) > s.cells() {
			name = fmt.Sprint(l)
		}
		fmt.Fprintf(out, " %-*s", s.cells(), name)
	}
	fmt.Fprintln(out)
	for i := range s.t.Tokens {
		text := shorten(printable(s.t.Tokens[i].Text), s.label)
		fmt.Fprint(out, strings.Repeat(" ", s.label-utf8.RuneCountInString(text)), text)
		for l := from; l < to; l++ {
			fmt.Fprint(out, " ", s.row(&s.t.Rows[i*len(s.t.Layers)+l]))
		}
		fmt.Fprintln(out)
	}
}

// row draws one token in one layer.
func (s *shades) row(r *experts.Row) string {
	weights := make([]float32, s.cells()/s.cell)
	chosen := make([]bool, len(weights))
	for _, c := range r.Experts {
		i := int(c.ID) / s.bin
		weights[i], chosen[i] = max(weights[i], c.Weight), true
	}
	var b strings.Builder
	for i, w := range weights {
		if chosen[i] {
			b.WriteString(s.shade(w))
		} else {
			b.WriteString(s.blank())
		}
	}
	return b.String()
}

// ramp are the shades in a terminal with 256 colours, and without; the first is of what was not chosen.
var ramp = []struct {
	colour int
	plain  string
}{{236, "·"}, {58, "░"}, {94, "░"}, {136, "▒"}, {172, "▓"}, {208, "▓"}, {220, "█"}}

// shade draws a weight.
func (s *shades) shade(w float32) string {
	i := len(ramp) - 1
	if s.weights > 0 {
		i = 1 + int(max(0, w)/s.weights*float32(len(ramp)-2)+0.5)
	}
	return s.mark(min(i, len(ramp)-1))
}

func (s *shades) blank() string { return s.mark(0) }

func (s *shades) mark(i int) string {
	if !s.colour {
		return strings.Repeat(ramp[i].plain, s.cell)
	}
	return fmt.Sprintf("\x1b[48;5;%dm%s\x1b[0m", ramp[i].colour, strings.Repeat(" ", s.cell))
}
