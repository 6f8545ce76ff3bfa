package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
)

// quantizeFlags are the flags of quantize.
type quantizeFlags struct {
	model, importance, output, embedding string
	overrides                            []string
	threads                              int
	dry                                  bool
	options                              convert.Options
}

// typeList is the list of all types of weights: quantize's help prints it, and that of other
// commands refers to it.
func typeList() string {
	fileTypes, formats := convert.TypeNames()
	return "File types: " + strings.ToLower(strings.Join(fileTypes, ", ")) + ".\n\nFormats: " +
		strings.ToLower(strings.Join(formats, ", ")) + "."
}

// seeTypes refers to typeList.
const seeTypes = "\n\n'goinfer quantize --help' lists all types."

func newQuantize() *cobra.Command {
	var f quantizeFlags
	cmd := &cobra.Command{
		Use:   "quantize [flags] MODEL OUT T",
		Short: "Write a model with its weights in other types",
		Long: `Writes MODEL to the file OUT with its matrices as T: a file type of llama-quantize, which mixes types
by tensor, such as q8_0, q6_k, q5_k_m, q4_k_m, q4_0, q3_k_m, q2_k, iq4_xs, bf16; or a format, which then
all matrices are in, such as mxfp4 and nvfp4. Upper and lower case are the same; Q4_K is Q4_K_M. Sizes are those of llama-quantize, and so are the bytes of most files.

OUT appears when it is complete; - means standard output. How large the weights are and were is printed
in the end; --dry-run prints it without writing.

` + typeList(),
		Example: `  goinfer quantize model-f16.gguf model-q4_k_m.gguf q4_k_m
  goinfer quantize model-f16.gguf small.gguf iq2_xs --imatrix imatrix.gguf
  goinfer quantize model-f16.gguf out.gguf q4_k --tensor-type attn_v=q8_0 \
    --tensor-type 'blk\.[01]\.ffn_down=q6_k'
  goinfer quantize tiny-dense q2_k --dry-run`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.importance, "imatrix", "", "importance matrix, a .gguf or .dat `FILE`: errors become small where they cost most")
	fs.StringArrayVar(&f.overrides, "tensor-type", nil, "type of the matrices whose name a regular expression finds, `PATTERN=T`; may be repeated")
	fs.StringVar(&f.output, "output-tensor-type", "", "`T` of output.weight")
	fs.StringVar(&f.embedding, "token-embedding-type", "", "`T` of token_embd.weight")
	fs.BoolVar(&f.options.Pure, "pure", false, "take T for a format even if there is a file type of that name")
	fs.BoolVar(&f.dry, "dry-run", false, "write nothing, and print how large OUT would be, which may be left out")
	fs.IntVarP(&f.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	fs.Bool("allow-requantize", true, "")
	hide(fs, "allow-requantize")
	addModel(fs, &f.model)
	return cmd
}

func (f *quantizeFlags) run(cmd *cobra.Command, args []string) error {
	in, out, err := f.arguments(cmd, args)
	if err != nil {
		return err
	}
	if !f.dry {
		if err := checkOut(cmd, "", out, "a model is no text", inputs{models: []string{in}, files: []string{f.importance}}); err != nil {
			return err
		}
	}
	o := &f.options
	if o.Overrides, err = f.parseOverrides(); err != nil {
		return &usageError{err}
	}
	if err := convert.CheckType(o.Type, o.Pure); err != nil {
		return &usageError{err}
	}
	s, err := find(in)
	if err != nil {
		return err
	}
	if f.importance != "" {
		if o.Importance, err = await(cmd.Context(), func() (*convert.Importance, error) { return convert.ReadImportance(f.importance) }); err != nil {
			return err
		}
	}
	return writeModel(cmd, s, out, "quantising", f.dry, *o)
}

// writeModel writes a model to the file out as o says; what is the word for it. dry says how large
// it would be in place of that.
func writeModel(cmd *cobra.Command, s modelSource, out, what string, dry bool, o convert.Options) error {
	src, err := s.toConvert(cmd)
	if err != nil {
		return err
	}
	defer src.Close()
	bar := startProgress(cmd, what, -1)
	defer bar.end()
	o.Done = func(done, total int64) { bar.set(int(done>>10), int(total>>10)) }
	w, err := convert.Quantize(cmd.Context(), src, o)
	if err != nil {
		return err
	}
	for _, line := range slices.Concat(src.Notes(), convert.Warnings(src, w, o)) {
		note(cmd, "%s", line)
	}
	if dry {
		return writePlan(cmd.OutOrStdout(), convert.Tally(src.Tensors()), convert.Tally(w.Tensors()), w.Size())
	}
	name := s.Name()
	if o.Type != "" {
		name += " as " + strings.ToUpper(o.Type)
	}
	if err := checkRoom(out, name, w.Size()); err != nil {
		return err
	}
	err = writeFile(cmd, out, func(out io.Writer) error {
		_, err := w.WriteTo(out)
		return err
	})
	if err != nil || o.Type == "" {
		return err
	}
	bar.end()
	return writeSizes(cmd.ErrOrStderr(), convert.Tally(src.Tensors()), convert.Tally(w.Tensors()), w.Size())
}

// arguments finds MODEL OUT T among the arguments, after which a number
// of threads may follow; OUT may be missing in a dry run.
func (f *quantizeFlags) arguments(cmd *cobra.Command, args []string) (in, out string, err error) {
	given := len(args)
	if f.model != "" {
		args = slices.Insert(slices.Clone(args), 0, f.model)
	}
	if n := len(args); n > 0 && !cmd.Flags().Changed("threads") {
		if t, err := strconv.Atoi(args[n-1]); err == nil && (n == 4 || f.dry && n == 3) {
			f.threads, args = t, args[:n-1]
		}
	}
	f.options.Threads = max(0, f.threads)
	if f.options.Threads > goinfer.MaxThreads {
		return "", "", usagef("-t, --threads: want at most %d, found %d", goinfer.MaxThreads, f.threads)
	}
	switch {
	case len(args) == 3:
		out = args[1]
	case f.dry && len(args) == 2:
	default:
		return "", "", usagef("want MODEL OUT T, found %s", plural(given, "argument"))
	}
	f.options.Type = args[len(args)-1]
	return args[0], out, nil
}

// parseOverrides reads the flags that give tensors types of their own.
func (f *quantizeFlags) parseOverrides() ([]convert.Override, error) {
	var list []string
	if f.output != "" {
		list = append(list, `^output\.weight$=`+f.output)
	}
	if f.embedding != "" {
		list = append(list, `^(per_layer_)?token_embd\.weight$=`+f.embedding)
	}
	var overrides []convert.Override
	for _, text := range append(list, f.overrides...) {
		o, err := convert.ParseOverride(text)
		if err != nil {
			return nil, err
		}
		overrides = append(overrides, o)
	}
	return overrides, nil
}

// writePlan prints what a file of size bytes is made of, and what it is made from.
func writePlan(out io.Writer, from, to []convert.Sum, size int64) error {
	t := table(out)
	fmt.Fprintf(t, "type\ttensors\tweights\tbytes\n")
	for _, s := range to {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", s.Type, s.Tensors, grouped(s.Weights), grouped(s.Bytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return writeSizes(out, from, to, size)
}

// writeSizes prints how large the weights were and are, and the file.
func writeSizes(out io.Writer, from, to []convert.Sum, size int64) error {
	before, after := total(from), total(to)
	_, err := fmt.Fprintf(out, "weights  %s, were %s: %.2f bits per weight, were %.2f\nfile     %s, %s bytes\n",
		goinfer.Bytes(after.Bytes), goinfer.Bytes(before.Bytes), bits(after), bits(before), goinfer.Bytes(size), grouped(size))
	return err
}

func total(sums []convert.Sum) (all convert.Sum) {
	for _, s := range sums {
		all.Tensors, all.Weights, all.Bytes = all.Tensors+s.Tensors, all.Weights+s.Weights, all.Bytes+s.Bytes
	}
	return all
}

func bits(s convert.Sum) float64 { return 8 * float64(s.Bytes) / float64(cmp.Or(s.Weights, 1)) }
