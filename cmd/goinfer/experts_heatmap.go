package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/goinfer/goinfer/study/explain"
)

// heatMap draws routes in a terminal: a line for each token, a block for each layer, a cell for
// each expert.
type heatMap struct {
	t       *explain.Trace
	layers  []int // whose routers were recorded
	colour  bool
	width   int // width of the terminal
	label   int // width of the label of a token
	cell    int // characters of a cell
	bin     int // experts of a cell
	weights float32
}

const (
	plainWidth = 100 // where no terminal reports its width
	labelMost  = 16
	labelLeast = 5
)

// newHeatMap fits a trace to the terminal.
func newHeatMap(cmd *cobra.Command, t *explain.Trace) *heatMap {
	out := cmd.OutOrStdout()
	s := &heatMap{t: t, layers: t.Routers(), colour: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", width: plainWidth, label: labelLeast, cell: 1, bin: 1}
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
	s.bin = (t.MoE.Experts + room - 1) / room
	if all := len(s.layers) * (2*t.MoE.Experts + 1); s.bin == 1 && all <= room {
		s.cell = 2
	}
	for _, r := range t.RouterRows() {
		for _, c := range r.Experts {
			s.weights = max(s.weights, c.Weight)
		}
	}
	return s
}

// cells is how many characters a layer takes.
func (s *heatMap) cells() int { return (s.t.MoE.Experts + s.bin - 1) / s.bin * s.cell }

// write draws all layers, as many side by side as there is room for.
func (s *heatMap) write(out io.Writer) {
	beside := max(1, (s.width-s.label-1)/(s.cells()+1))
	for from := 0; from < len(s.layers); from += beside {
		if from > 0 {
			fmt.Fprintln(out)
		}
		s.band(out, from, min(from+beside, len(s.layers)))
	}
	fmt.Fprintf(out, "\nA line is a token, a block a layer, a cell an expert, from 0 to %d; the stronger, the larger its weight, from ", s.t.MoE.Experts-1)
	for i := 1; i < len(ramp); i++ {
		fmt.Fprint(out, s.shade(s.weights*float32(i)/float32(len(ramp)-1)))
	}
	fmt.Fprintf(out, " to %.2f.\n", s.weights)
	if s.bin > 1 {
		fmt.Fprintf(out, "The window is too narrow for all experts: a cell is the strongest of %d.\n", s.bin)
	}
}

func (s *heatMap) band(out io.Writer, from, to int) {
	fmt.Fprint(out, strings.Repeat(" ", s.label))
	for _, l := range s.layers[from:to] {
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
		for _, l := range s.layers[from:to] {
			fmt.Fprint(out, " ", s.row(&s.t.Layers[l].Routes[i]))
		}
		fmt.Fprintln(out)
	}
}

// row draws one token in one layer.
func (s *heatMap) row(r *explain.Route) string {
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

// ramp are the shades in a terminal with 256 colours, and without; the first is for experts that
// were not chosen.
var ramp = []struct {
	colour int
	plain  string
}{{236, "·"}, {58, "░"}, {94, "░"}, {136, "▒"}, {172, "▓"}, {208, "▓"}, {220, "█"}}

// shade draws a weight.
func (s *heatMap) shade(w float32) string {
	i := len(ramp) - 1
	if s.weights > 0 {
		i = 1 + int(max(0, w)/s.weights*float32(len(ramp)-2)+0.5)
	}
	return s.mark(min(i, len(ramp)-1))
}

func (s *heatMap) blank() string { return s.mark(0) }

func (s *heatMap) mark(i int) string {
	if !s.colour {
		return strings.Repeat(ramp[i].plain, s.cell)
	}
	return fmt.Sprintf("\x1b[48;5;%dm%s\x1b[0m", ramp[i].colour, strings.Repeat(" ", s.cell))
}
