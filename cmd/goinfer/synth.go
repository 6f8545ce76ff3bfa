package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// synthFlags are the flags of synth.
type synthFlags struct {
	out        string
	list       bool
	random     size.RandomOptions
	threadsArg int
	layers     int
	experts    int
}

func newSynth() *cobra.Command {
	var f synthFlags
	cmd := &cobra.Command{
		Use:   "synth [flags] SHAPE --type T -o FILE",
		Short: "Write a model of a known shape with random weights",
		Long: `Writes a GGUF file with the shape of a known model, random weights and an invented vocabulary, to
measure speed and memory without a download. It says nothing that makes sense.

T is a file type of llama-quantize, which mixes formats by tensor, so that the file is as large as a
quantised one: f32, f16, bf16, q8_0, q4_0, q4_k_m, q2_k, iq4_xs, tq2_0, and so on; or a format, which
then all matrices are in: mxfp4, nvfp4. The same shape, T and seed make the same file. It appears
when it is complete. --list shows the shapes.` + seeTypes,
		Example: `  goinfer synth --list
  goinfer synth tinyllama-1.1b --type q4_k_m -o tinyllama-q4_k_m.gguf
  goinfer synth mixtral-small --experts 16 --layers 10 --type q4_0 -o moe.gguf
  goinfer synth llama-2-7b --type mxfp4 -o llama-2-7b-mxfp4.gguf`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, n := range size.ShapeNames() {
				if len(args) == 0 && strings.HasPrefix(n, prefix) {
					names = append(names, n)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.random.Type, "type", "q4_k_m", "`T`, a file type or a format")
	fs.StringVarP(&f.out, "out", "o", "", "`FILE` to write, - meaning standard output")
	fs.Uint64VarP(&f.random.Seed, "seed", "s", 0, "seed of the weights")
	fs.BoolVar(&f.random.Pure, "pure", false, "take T for a format even if there is a file type of that name")
	fs.IntVar(&f.layers, "layers", 0, "so many layers, `N` (default the shape's)")
	fs.IntVar(&f.experts, "experts", 0, "so many experts in a layer, `N`, as many at work as before (default the shape's)")
	fs.IntVarP(&f.threadsArg, "threads", "t", 0, "threads (default one for every core that may be used)")
	fs.BoolVar(&f.list, "list", false, "list the shapes and what they come to as T")
	return cmd
}

func (f *synthFlags) run(cmd *cobra.Command, args []string) error {
	f.random.Threads = max(0, f.threadsArg)
	if f.list {
		if len(args) > 0 || f.out != "" {
			return usagef("--list takes neither SHAPE nor -o")
		}
		return f.writeList(cmd.OutOrStdout())
	}
	switch {
	case f.threadsArg > goinfer.MaxThreads:
		return usagef("-t, --threads: want at most %d, found %d", goinfer.MaxThreads, f.threadsArg)
	case len(args) != 1:
		return usagef("want one SHAPE, found %s; --list shows them", plural(len(args), "argument"))
	case f.out == "":
		return usagef("want -o FILE")
	}
	shape, err := size.FindShape(args[0])
	if err != nil {
		return &usageError{err}
	}
	if shape, err = f.changed(shape); err != nil {
		return err
	}
	if err := checkOut(cmd, "-o", f.out, "a model is no text", inputs{}); err != nil {
		return err
	}
	bar := startProgress(cmd, "writing MiB", -1)
	defer bar.end()
	f.random.Done = func(done, total int64) { bar.set(int(done>>20), int(total>>20)) }
	w, err := shape.Random(cmd.Context(), f.random)
	if err != nil {
		return err
	}
	if err := checkRoom(f.out, shape.Name+" as "+strings.ToUpper(f.random.Type), w.Size()); err != nil {
		return err
	}
	return writeFile(cmd, f.out, func(out io.Writer) error {
		_, err := w.WriteTo(out)
		return err
	})
}

// changed is the shape with other numbers of layers and experts.
func (f *synthFlags) changed(s size.Shape) (size.Shape, error) {
	for _, n := range []struct {
		flag, key string
		n, least  int
	}{{"--layers", "block_count", f.layers, 1}, {"--experts", "expert_count", f.experts, s.Get("expert_used_count")}} {
		switch {
		case n.n == 0:
			continue
		case s.Get(n.key) == 0:
			return s, usagef("%s: %s has none", n.flag, s.Name)
		case n.n < n.least || n.n > 1<<16:
			return s, usagef("%s: want %d to %d, found %d", n.flag, n.least, 1<<16, n.n)
		}
		s = s.Set(map[string]int{n.key: n.n})
	}
	if _, err := s.Config(); err != nil {
		return s, &usageError{err}
	}
	return s, nil
}

// checkRoom returns an error if the disk has no room for a file of size bytes at path; what names
// it.
func checkRoom(path, what string, size int64) error {
	if path == "-" || isDevice(path) {
		return nil
	}
	if free, ok := probe.DiskFree(filepath.Dir(path)); ok && size > free {
		return fmt.Errorf("%s: %s takes %s, and the disk has %s left", path, what, goinfer.Bytes(size), goinfer.Bytes(free))
	}
	return nil
}

// writeList writes the shapes with their sizes.
func (f *synthFlags) writeList(out io.Writer) error {
	b := bufio.NewWriter(out)
	t := table(b)
	fmt.Fprintf(t, "shape\tweights\tper token\tas %s\t\n", strings.ToUpper(f.random.Type))
	for _, name := range size.ShapeNames() {
		s, err := size.FindShape(name)
		if err != nil {
			return err
		}
		n, err := s.Counts(f.random.Type, f.random.Pure)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", name, size.FormatCount(n.Params), size.FormatCount(n.Read), goinfer.Bytes(n.Bytes), s.About)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return b.Flush()
}
