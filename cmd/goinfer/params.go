package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/study/size"
)

// paramsFlags are the flags of params.
type paramsFlags struct {
	model  string
	json   bool
	layers bool
}

func newParams() *cobra.Command {
	var f paramsFlags
	cmd := &cobra.Command{
		Use:   "params [flags] [MODEL]",
		Short: "Count the parameters of a model: where they are, what they take",
		Long: `Counts parameters by component and by layer, how many of them each token needs, their bytes in
every type of file, and what the cache of keys and values grows by with each token.

MODEL is a GGUF file, the folder of a checkpoint, a config.json, the address of a GGUF file or of a
config.json on a web server, of which only the beginning is read, the name of a model that is built
in, or the name of a known one:

` + wrapped(size.ShapeNames(), 77) + `
The tensors counted are those that the model is computed with. Of experts, those chosen for a token
are active; everything else is, the embedding too.`,
		Example: `  goinfer params llama-2-7b
  goinfer params mixtral-8x7b --json | jq .active
  goinfer params model.gguf --layers
  goinfer params https://example.org/models/stories15M-q4_0.gguf`,
		ValidArgsFunction: completeNamed,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.json, "json", false, "write everything as JSON, every layer with its tensors")
	fs.BoolVar(&f.layers, "layers", false, "show the tensors of each kind of layer")
	addModel(fs, &f.model)
	return cmd
}

func (f *paramsFlags) run(cmd *cobra.Command, args []string) error {
	name, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	m, err := findParams(cmd.Context(), name)
	if err != nil {
		return err
	}
	r, err := m.Breakdown()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		err = writeJSON(out, r)
	} else {
		writeParams(out, r, f.layers)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// findParams is what MODEL names, of which no weight is needed.
func findParams(ctx context.Context, name string) (*size.Layout, error) {
	s, err := findHeader(ctx, name)
	if err != nil {
		return nil, err
	}
	return await(ctx, func() (*size.Layout, error) { return size.Open(ctx, s.Source) })
}

// completeNamed completes MODEL where names of known models will do.
func completeNamed(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	names, directive := completeModel(cmd, args, prefix)
	for _, n := range size.ShapeNames() {
		if len(args) == 0 && strings.HasPrefix(n, prefix) && embedded.Model(n) == nil {
			names = append(names, n)
		}
	}
	return names, directive
}

// componentName is a component as people read it.
func componentName(name string) string {
	switch name {
	case size.AttentionKV:
		return "attention, compressed K and V"
	case size.AttentionQ, size.AttentionK, size.AttentionV, size.AttentionO:
		return "attention " + strings.ToUpper(strings.TrimPrefix(name, "attention_"))
	}
	return strings.ReplaceAll(name, "_", " ")
}

func writeParams(out io.Writer, r *size.Breakdown, layers bool) {
	writeHyper(out, r)
	fmt.Fprintln(out)
	t := table(out)
	sparse := r.Active != r.Total
	fmt.Fprintf(t, "component\t%15s\t%7s\t", "parameters", "share")
	if sparse {
		fmt.Fprintf(t, "%15s\t", "active")
	}
	fmt.Fprintln(t)
	for _, c := range r.Components {
		fmt.Fprintf(t, "%s\t%15s\t%5.1f %%\t", componentName(c.Name), grouped(c.Parameters), 100*c.Share)
		if sparse {
			fmt.Fprintf(t, "%15s\t", grouped(c.Active))
		}
		fmt.Fprintln(t, bar(c.Share, barWidth))
	}
	fmt.Fprintf(t, "together\t%15s\t\t", grouped(r.Total))
	if sparse {
		fmt.Fprintf(t, "%15s\t", grouped(r.Active))
	}
	fmt.Fprintln(t)
	t.Flush()
	writeLayers(out, r, layers)
	writeBytes(out, r)
	writeCache(out, r)
	for _, n := range r.Notes {
		fmt.Fprintf(out, "\nNote: %s.\n", printable(n))
	}
}

func writeHyper(out io.Writer, r *size.Breakdown) {
	t := table(out)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	h := r.Hyper
	about := r.Architecture
	if r.About != "" {
		about = r.About + ", architecture " + r.Architecture
	}
	row("model", "%s: %s", printable(r.Name), printable(about))
	row("parameters", "%s (%s)", grouped(r.Total), size.FormatCount(r.Total))
	if r.Active != r.Total {
		row("active", "%s (%s), %.1f %%: %d of %d experts for each token", grouped(r.Active), size.FormatCount(r.Active), 100*float64(r.Active)/float64(r.Total), h.ExpertsUsed, h.Experts)
	}
	width := fmt.Sprintf("feed-forward %d", h.FF)
	if h.Experts > 0 {
		width = fmt.Sprintf("experts %d", h.ExpertFF)
	}
	shape := fmt.Sprintf("%s, %d wide", plural(h.Layers, "layer"), h.Embd)
	if h.NHead > 0 { // models of recurrent layers alone have neither heads nor feed-forward blocks
		shape += fmt.Sprintf(", %d heads of %d, %d of keys and values, %s", h.NHead, h.HeadDim, h.NHeadKV, width)
	}
	row("shape", "%s", shape)
	output := "no output matrix"
	switch {
	case r.Tied:
		output = "the embedding is the output matrix too"
	case slices.ContainsFunc(r.Components, func(c size.Component) bool { return c.Name == size.Output }):
		output = "an output matrix of its own"
	}
	row("vocabulary", "%d tokens, %s", h.Vocab, output)
	row("context", "%d", h.Context)
	t.Flush()
}

// writeLayers writes layers, those alike together.
func writeLayers(out io.Writer, r *size.Breakdown, tensors bool) {
	for _, g := range r.Groups() {
		name := fmt.Sprintf("Layer %d", g.First)
		if n := g.Last - g.First + 1; n > 1 {
			name = fmt.Sprintf("Layers %d to %d, each", g.First, g.Last)
		}
		active := ""
		if g.Active != g.Parameters {
			active = fmt.Sprintf(", %s of them active", grouped(g.Active))
		}
		fmt.Fprintf(out, "\n%s: %s parameters, %.1f %%%s\n", name, grouped(g.Parameters), 100*g.Share, active)
		if !tensors {
			continue
		}
		t := table(out)
		for _, x := range g.Tensors {
			dims := make([]string, len(x.Shape))
			for i, n := range x.Shape {
				dims[i] = strconv.Itoa(n)
			}
			fmt.Fprintf(t, "  %s\t%s\t%13s\n", printable(shorten(x.Name, shownText)), strings.Join(dims, " × "), grouped(x.Parameters))
		}
		t.Flush()
	}
}

// gigabytes writes bytes as articles count them, in 10⁹, or in 10⁶ where they are few.
func gigabytes(n int64) string {
	if n < 1e8 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func writeBytes(out io.Writer, r *size.Breakdown) {
	fmt.Fprintf(out, "\nMemory of the weights (GB are 10⁹ bytes)\n")
	t := table(out)
	fmt.Fprintf(t, "  FP16, 2 bytes each\t%12s\t%s\n", gigabytes(r.Bytes.FP16), goinfer.Bytes(r.Bytes.FP16))
	fmt.Fprintf(t, "  INT8, 1 byte\t%12s\t%s\n", gigabytes(r.Bytes.INT8), goinfer.Bytes(r.Bytes.INT8))
	fmt.Fprintf(t, "  INT4, ½ byte\t%12s\t%s\n", gigabytes(r.Bytes.INT4), goinfer.Bytes(r.Bytes.INT4))
	for _, b := range r.Bytes.Types {
		fmt.Fprintf(t, "  a file in %s\t%12s\t%s\t%.2f bits each\n", b.Type, gigabytes(b.Bytes), goinfer.Bytes(b.Bytes), b.Bits)
	}
	if r.Bytes.File > 0 {
		fmt.Fprintf(t, "  this one\t%12s\t%s\t%.2f bits each\n", gigabytes(r.Bytes.File), goinfer.Bytes(r.Bytes.File), 8*float64(r.Bytes.File)/float64(max(1, r.Total)))
	}
	t.Flush()
}

func writeCache(out io.Writer, r *size.Breakdown) {
	if len(r.Cache.Types) == 0 {
		return
	}
	fmt.Fprintf(out, "\nCache of keys and values\n")
	t := table(out)
	head := "  format\tfor a token\tfor a context of " + strconv.Itoa(r.Hyper.Context)
	if r.Cache.MultiHead != 1 {
		head += "\tfor a token with a key head for every query head"
	}
	fmt.Fprintln(t, head)
	for _, c := range r.Cache.Types {
		fmt.Fprintf(t, "  %s\t%s\t%s", c.Type, goinfer.Bytes(c.Token), goinfer.Bytes(c.Context))
		switch {
		case r.Cache.MultiHead == 1:
		case c.MultiHead == 0:
			fmt.Fprint(t, "\t–")
		default:
			fmt.Fprintf(t, "\t%s, %.1f times as much", goinfer.Bytes(c.MultiHead), float64(c.MultiHead)/float64(max(1, c.Token)))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// wrapped writes names in lines of at most so many characters.
func wrapped(names []string, width int) string {
	var b strings.Builder
	at := 0
	for _, n := range names {
		switch {
		case at == 0:
		case at+1+len(n) > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(n)
		at += len(n)
	}
	b.WriteByte('\n')
	return b.String()
}
