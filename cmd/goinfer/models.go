package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/remote"
)

// source is where a model is: built in, a file, or a folder.
type source struct {
	name string
	data []byte // nil for a file
}

// find returns the model that is meant by MODEL.
func find(model string) (source, error) {
	if info, err := os.Stat(model); err == nil && info.IsDir() && embedded.Model(model) == nil {
		if _, err := os.Stat(filepath.Join(model, "config.json")); err != nil {
			return source{}, fmt.Errorf("%s: want a GGUF file, or the folder of a checkpoint with a config.json, found a folder without", model)
		}
	}
	return findVocabulary(model)
}

// findVocabulary is find for those who need the vocabulary alone: a folder need not have a config.json.
func findVocabulary(model string) (source, error) {
	if data := embedded.Model(model); data != nil {
		return source{model, data}, nil
	}
	switch info, err := os.Stat(model); {
	case remote.IsURL(model):
		return source{}, fmt.Errorf("%s: want a file, found an address: fetch it first; goinfer params alone reads files on web servers", remote.Shown(model))
	case err != nil && os.IsNotExist(err) && !isPath(model):
		return source{}, fmt.Errorf("there is no model %q: want the path of a file, or one of %s", model, strings.Join(embedded.Names(), ", "))
	case err != nil:
		return source{}, fileError(err)
	case info.IsDir():
	case filepath.Base(model) == "config.json":
		return source{}, fmt.Errorf("%s: a configuration alone is no model: want the folder that it is in", model)
	case strings.EqualFold(filepath.Ext(model), ".safetensors"):
		return source{}, fmt.Errorf("%s: weights alone are no model: want the folder that they are in, with its config.json", model)
	}
	return source{name: model}, nil
}

// isModel reports whether an argument that may be a model or a text is a model.
func isModel(arg string) bool { return embedded.Model(arg) != nil || isPath(arg) }

// isPath reports whether an argument is the path of a file: it ends as model files do, or holds a separator and no white space.
func isPath(arg string) bool {
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".gguf", ".safetensors":
		return true
	}
	return strings.ContainsFunc(arg, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(byte(r)) }) && !strings.ContainsAny(arg, " \t\n\r\v\f")
}

// fileError is an error of the system with the path first.
func fileError(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

func (s source) String() string {
	if s.data != nil {
		return s.name + " (built in)"
	}
	return s.name
}

func (s source) tokenizer() (*goinfer.Tokenizer, error) {
	if s.data != nil {
		return goinfer.OpenTokenizerBytes(s.name, s.data)
	}
	return goinfer.OpenTokenizer(s.name)
}

func (s source) inspect(maxArray int) (*goinfer.FileInfo, error) {
	if s.data != nil {
		return goinfer.InspectBytes(s.name, s.data, maxArray)
	}
	return goinfer.Inspect(s.name, maxArray)
}

// modelAndText tells the arguments [MODEL] [TEXT] apart, given what -m says and whether a flag gives the text; what is the command's name of it. text is nil where there is none.
func modelAndText(cmd *cobra.Command, flag string, given bool, what string, args []string) (model string, text *string, err error) {
	return modelAndTextOr(cmd, embedded.Default, flag, given, what, args)
}

// modelAndTextOr is modelAndText with a model of its own for where there is none.
func modelAndTextOr(cmd *cobra.Command, usual, flag string, given bool, what string, args []string) (model string, text *string, err error) {
	most := 2
	if flag != "" {
		most--
	}
	if given {
		most--
	}
	switch {
	case len(args) > most:
		hint := ""
		if !given {
			hint = fmt.Sprintf(": a %s of several words goes into quotation marks", strings.ToLower(what))
		}
		return "", nil, usagef("%s too many%s", plural(len(args)-most, "argument"), hint)
	case len(args) == 2:
		return args[0], &args[1], nil
	case flag != "" && len(args) == 1:
		return flag, &args[0], nil
	case flag != "":
		return flag, nil, nil
	case len(args) == 0:
		return usual, nil, nil
	case given || isModel(args[0]):
		return args[0], nil, nil
	}
	if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
		note(cmd, "%q is taken for a %s; the file of that name is %s", args[0], strings.ToLower(what), "."+string(filepath.Separator)+args[0])
	}
	return usual, &args[0], nil
}

// modelOnly is MODEL where no text can follow.
func modelOnly(flag string, args []string) (string, error) {
	switch {
	case flag != "" && len(args) > 0 || len(args) > 1:
		return "", usagef("want one model, found %d", len(args)+min(1, len(flag)))
	case flag != "":
		return flag, nil
	case len(args) == 1:
		return args[0], nil
	}
	return embedded.Default, nil
}

// addModel adds -m.
func addModel(fs *pflag.FlagSet, model *string) {
	fs.VarP((*modelName)(model), "model", "m", "the same as `MODEL`")
}

// modelName is a flag that is not empty: a variable of the shell that is not set does not stand for the model that is built in.
type modelName string

func (m *modelName) Type() string   { return "string" }
func (m *modelName) String() string { return string(*m) }

func (m *modelName) Set(s string) error {
	if s == "" {
		return errors.New("want a model, found nothing")
	}
	*m = modelName(s)
	return nil
}

// opening are the flags that say how a model is opened.
type opening struct {
	context, threads, threadsBatch, batch, ubatch int
	loadMode, typ                                 string
	k, v                                          cacheType
	exact, noMmap, mlock, overcommit              bool
}

func (o *opening) add(fs *pflag.FlagSet) {
	fs.IntVarP(&o.context, "ctx-size", "c", 0, "positions, of the prompt and of what follows it (default the model's)")
	fs.IntVarP(&o.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	fs.IntVar(&o.ubatch, "ubatch-size", 512, "tokens of a prompt computed at once (-ub)")
	fs.Var(&o.k, "cache-type-k", "format of cached keys: "+cacheTypeNames()+" (-ctk)")
	fs.Var(&o.v, "cache-type-v", "format of cached values: "+cacheTypeNames()+" (-ctv)")
	fs.StringVar(&o.typ, "type", "", "quantise the weights as they are loaded, to a recipe or a format: `T`, such as q8_0 or q4_k_m")
	fs.BoolVar(&o.exact, "exact", false, "compute everything in float32 and plain Go: slow, a reference")
	fs.BoolVar(&o.noMmap, "no-mmap", false, "read the file instead of mapping it")
	fs.BoolVar(&o.mlock, "mlock", false, "keep the mapped file in memory")
	fs.BoolVar(&o.overcommit, "overcommit", false, "open even what is expected not to fit in memory")

	fs.IntVarP(&o.batch, "batch-size", "b", 0, "")
	fs.IntVar(&o.threadsBatch, "threads-batch", 0, "")
	fs.StringVar(&o.loadMode, "load-mode", "", "")
	hide(fs, "batch-size", "threads-batch", "load-mode")
}

// hide keeps flags out of help texts: they are accepted from llama.cpp's users, and are the default here or have little effect.
func hide(fs *pflag.FlagSet, names ...string) {
	for _, n := range names {
		fs.Lookup(n).Hidden = true
	}
}

// modelOptions say how a model is opened.
type modelOptions struct {
	goinfer.Options
	typ string // what its weights are turned into, empty for what they are
}

// options turns the flags into options.
func (o *opening) options(cmd *cobra.Command) (modelOptions, error) {
	fs := cmd.Flags()
	if o.typ != "" {
		if err := convert.CheckType(o.typ, false); err != nil {
			return modelOptions{}, usagef("--type: %w", err)
		}
	}
	switch {
	case o.context < 0:
		return modelOptions{}, usagef("-c, --ctx-size: want at least 0, found %d", o.context)
	case o.ubatch < 1:
		return modelOptions{}, usagef("--ubatch-size: want at least 1, found %d", o.ubatch)
	case fs.Changed("batch-size") && o.batch < 1:
		return modelOptions{}, usagef("-b, --batch-size: want at least 1, found %d", o.batch)
	case o.threads > goinfer.MaxThreads:
		return modelOptions{}, usagef("-t, --threads: want at most %d, found %d", goinfer.MaxThreads, o.threads)
	case o.threadsBatch > goinfer.MaxThreads:
		return modelOptions{}, usagef("--threads-batch: want at most %d, found %d", goinfer.MaxThreads, o.threadsBatch)
	}
	switch o.loadMode {
	case "", "mmap":
	case "none", "dio":
		o.noMmap = true
	case "mlock":
		o.mlock = true
	default:
		return modelOptions{}, usagef("--load-mode: want mmap, mlock or none, found %q", o.loadMode)
	}
	if fs.Changed("threads-batch") && o.threadsBatch != o.threads {
		if !fs.Changed("threads") {
			o.threads = o.threadsBatch
		}
		note(cmd, "one number of threads, %d, serves prompts and generation", o.threads)
	}
	batch := o.ubatch
	if o.batch > 0 {
		batch = min(batch, o.batch)
	}
	return modelOptions{goinfer.Options{
		Context: o.context, Threads: max(0, o.threads), Batch: batch, CacheK: goinfer.CacheType(o.k), CacheV: goinfer.CacheType(o.v),
		Exact: o.exact, NoMmap: o.noMmap, Mlock: o.mlock, Overcommit: o.overcommit,
	}, o.typ}, nil
}

// withText finds a model and reads the text for it, the flags being right.
func (o *opening) withText(cmd *cobra.Command, model string, t *texts, argument *string) (s source, opts modelOptions, text string, err error) {
	if opts, err = o.options(cmd); err != nil {
		return s, opts, "", err
	}
	if s, err = find(model); err != nil {
		return s, opts, "", err
	}
	text, err = t.read(cmd, argument, false)
	return s, opts, text, err
}

// open opens a model, says what there is to say about it, and can be interrupted.
func (s source) open(cmd *cobra.Command, o modelOptions) (*goinfer.Model, error) {
	if o.typ != "" {
		var err error
		if s, err = s.as(cmd, o); err != nil {
			return nil, err
		}
	}
	p := startProgress(cmd, "loading", -1)
	m, err := await(cmd.Context(), func() (*goinfer.Model, error) {
		if s.data != nil {
			return goinfer.OpenBytes(s.name, s.data, o.Options)
		}
		return goinfer.Open(s.name, o.Options)
	})
	p.end()
	if err != nil {
		return nil, err
	}
	for _, w := range m.Info().Warnings {
		note(cmd, "%s", w)
	}
	return m, nil
}

// toConvert opens the file or the folder of a model to be written in other types, and can be interrupted.
func (s source) toConvert(cmd *cobra.Command) (*gguf.File, error) {
	return await(cmd.Context(), func() (*gguf.File, error) { return convert.Open(s.name, s.data) })
}

// as makes the model in memory, in other types.
func (s source) as(cmd *cobra.Command, o modelOptions) (source, error) {
	f, err := s.toConvert(cmd)
	if err != nil {
		return s, err
	}
	defer f.Close()
	for _, n := range f.Notes() {
		note(cmd, "%s", n)
	}
	p := startProgress(cmd, "quantising", -1)
	defer p.end()
	s.data, err = convert.InMemory(cmd.Context(), f, convert.Options{
		Type: o.typ, Threads: o.Threads, Done: func(done, total int64) { p.set(int(done>>10), int(total>>10)) },
	})
	s.name += " as " + strings.ToUpper(o.typ)
	return s, err
}

// note says something on the side.
func note(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), "goinfer: note: %s\n", printable(fmt.Sprintf(format, args...)))
}

// cacheType is a flag whose value is a format of the cache.
type cacheType goinfer.CacheType

func (c *cacheType) Type() string { return "type" }

func (c *cacheType) String() string { return strings.ToLower(goinfer.CacheType(*c).String()) }

func (c *cacheType) Set(s string) error {
	for _, t := range goinfer.CacheTypes() {
		if strings.EqualFold(s, t.String()) {
			*c = cacheType(t)
			return nil
		}
	}
	return fmt.Errorf("want %s, found %q", cacheTypeNames(), s)
}

// cacheTypeNames lists the formats of the cache: "f16, f32 or q8_0".
func cacheTypeNames() string {
	var names []string
	for _, t := range goinfer.CacheTypes() {
		names = append(names, strings.ToLower(t.String()))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// completeModel completes MODEL in a shell: the names of what is built in, and files.
func completeModel(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		for _, n := range embedded.Names() {
			if strings.HasPrefix(n, prefix) {
				names = append(names, n)
			}
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}
