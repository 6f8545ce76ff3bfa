package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hub"
	"github.com/goinfer/goinfer/source"
)

// modelSource is the model that a user has named.
type modelSource struct{ *source.Source }

// find returns the model that is meant by MODEL.
func find(model string) (modelSource, error) {
	s, err := source.Resolve(model)
	return modelSource{s}, err
}

// isModel reports whether an argument that may be a model or a text is a model for certain: there
// is one of that name, or it has the look of a path.
func isModel(arg string) bool {
	if source.IsPath(arg) {
		return true
	}
	s, err := source.Resolve(arg)
	if errors.As(err, new(*hub.AbsentError)) {
		return true
	}
	return err == nil && !(s.Kind() == source.KindFile && !source.HasMagic(s.Path()))
}

// couldBeName reports whether an argument could be the name of a model: one word of two characters
// or more, of those that names have.
var couldBeName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._:@/+-]+$`).MatchString

// checkText returns an error for a single argument that is to be a text, and might have been meant
// for a model: a word that could be the name of one, or the name of a file or a folder that is
// there. It would be surprising to have standard input or a mistyped name ignored for it.
func checkText(arg, what string) error {
	instead := fmt.Sprintf("; a %s of one word goes after -p", what)
	_, err := source.Resolve(arg)
	if err == nil {
		return usagef("%s is a file, and no model: -f %s reads the %s from it%s", arg, arg, what, instead)
	}
	if unknown := new(source.UnknownError); arg == "" || errors.As(err, &unknown) && !couldBeName(arg) {
		return nil
	}
	return usagef("%w%s", err, instead)
}

func (n modelSource) tokenizer(ctx context.Context) (*goinfer.Tokenizer, error) {
	return goinfer.OpenTokenizer(ctx, n.Source)
}

func (n modelSource) inspect(ctx context.Context, maxArray int) (*goinfer.FileInfo, error) {
	return goinfer.Inspect(ctx, n.Source, maxArray)
}

// modelAndText reports the arguments [MODEL] [TEXT] apart, given what -m says and whether a flag
// gives the text; what is the command's name of it. text is nil where there is none.
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
	case given && strings.ContainsAny(args[0], " \t\n") && !isModel(args[0]):
		return "", nil, usagef("there is more than one %s: %s and an argument, %q", what, strings.Join(textFlags(cmd), " and "), shorten(args[0], 40))
	case given || isModel(args[0]):
		return args[0], nil, nil
	}
	if err := checkText(args[0], what); err != nil {
		return "", nil, err
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
	fs.Var((*repoName)(model), "hf-repo", "the same as MODEL hf.co/`REPO`, a repository of Hugging Face (-hf)")
}

// modelName is a flag that is not empty: a variable of the shell that is not set does not stand for
// the model that is built in.
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
	overrides                                     []string
	rope                                          ropeFlags
	exact, noMmap, mlock, overcommit, pull        bool
}

func (o *opening) add(fs *pflag.FlagSet) {
	fs.IntVarP(&o.context, "ctx-size", "c", 0, "positions, of the prompt and of what follows it (default the model's)")
	fs.IntVarP(&o.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	fs.IntVar(&o.ubatch, "ubatch-size", 512, "tokens of a prompt computed at once (-ub)")
	fs.Var(&o.k, "cache-type-k", "format of cached keys: "+cacheTypeNames()+" (-ctk)")
	fs.Var(&o.v, "cache-type-v", "format of cached values: "+cacheTypeNames()+" (-ctv)")
	fs.StringVar(&o.typ, "type", "", "quantise the weights as they are loaded, to a file type or a format: `T`, such as q8_0 or q4_k_m")
	fs.StringArrayVar(&o.overrides, "override-kv", nil, "give a key of the metadata another value: `KEY=TYPE:VALUE`, TYPE one of int, float, bool, str;\nmay be repeated, or several with commas between")
	addPull(fs, &o.pull)
	fs.BoolVar(&o.exact, "exact", false, "compute everything in float32 and plain Go: slow, a reference")
	fs.BoolVar(&o.noMmap, "no-mmap", false, "read the file instead of mapping it")
	fs.BoolVar(&o.mlock, "mlock", false, "keep the mapped file in memory")
	fs.BoolVar(&o.overcommit, "overcommit", false, "open even what is expected not to fit in memory")

	fs.IntVarP(&o.batch, "batch-size", "b", 0, "")
	fs.IntVar(&o.threadsBatch, "threads-batch", 0, "")
	fs.StringVar(&o.loadMode, "load-mode", "", "")
	hide(fs, "batch-size", "threads-batch", "load-mode")
}

// hide keeps flags out of help texts: they are accepted from llama.cpp's users, and are the default
// here or have little effect.
func hide(fs *pflag.FlagSet, names ...string) {
	for _, n := range names {
		fs.Lookup(n).Hidden = true
	}
}

// modelOptions say how a model is opened.
type modelOptions struct {
	goinfer.Options
	typ  string            // the type that its weights are quantised to, empty for their own
	rope []source.Override // of the position embedding, without the name of the architecture
}

// options converts the flags into options.
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
	overrides, err := parseOverrides(o.overrides)
	if err != nil {
		return modelOptions{}, err
	}
	rope, err := o.rope.overrides(fs)
	if err != nil {
		return modelOptions{}, err
	}
	switch o.loadMode {
	case "", "mmap", "auto":
	case "none", "dio":
		o.noMmap = true
	case "mlock", "mmap+mlock":
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
		Overrides: overrides,
	}, o.typ, rope}, nil
}

// parseOverrides reads the values of --override-kv.
func parseOverrides(flags []string) (all []source.Override, err error) {
	for _, text := range flags {
		list, err := source.ParseOverrides(text)
		if err != nil {
			return nil, usagef("--override-kv: %w", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// withText finds a model and reads the text for it, the flags being right.
func (o *opening) withText(cmd *cobra.Command, model string, t *texts, argument *string) (s modelSource, opts modelOptions, text string, err error) {
	if opts, err = o.options(cmd); err != nil {
		return s, opts, "", err
	}
	if s, err = findOrPull(cmd, model, o.pull); err != nil {
		return s, opts, "", err
	}
	if opts, err = s.withRope(cmd, opts); err != nil {
		return s, opts, "", err
	}
	text, err = t.read(cmd, argument, false)
	return s, opts, text, err
}

// open opens a model, says what there is to say about it, and can be interrupted.
func (n modelSource) open(cmd *cobra.Command, o modelOptions) (*goinfer.Model, error) {
	if o.typ != "" {
		var err error
		if n, err = n.as(cmd, o); err != nil {
			return nil, err
		}
	}
	p := startProgress(cmd, "loading", -1)
	m, err := await(cmd.Context(), func() (*goinfer.Model, error) { return goinfer.OpenSource(n.Source, o.Options) })
	p.end()
	if err != nil {
		return nil, err
	}
	for _, w := range m.Info().Warnings {
		if !addsRope(w) {
			note(cmd, "%s", w)
		}
	}
	return m, nil
}

// toConvert opens the file or the folder of a model to be written in other types, and can be
// interrupted.
func (n modelSource) toConvert(cmd *cobra.Command) (*gguf.File, error) {
	return await(cmd.Context(), func() (*gguf.File, error) { return n.Open(cmd.Context(), gguf.Options{}) })
}

// as makes the model in memory, in other types.
func (n modelSource) as(cmd *cobra.Command, o modelOptions) (modelSource, error) {
	f, err := modelSource{n.With(o.Overrides...)}.toConvert(cmd)
	if err != nil {
		return n, err
	}
	defer f.Close()
	for _, line := range f.Notes() {
		note(cmd, "%s", line)
	}
	p := startProgress(cmd, "quantising", -1)
	defer p.end()
	data, err := convert.InMemory(cmd.Context(), f, convert.Options{
		Type: o.typ, Threads: o.Threads, Done: func(done, total int64) { p.set(int(done>>10), int(total>>10)) },
	})
	return modelSource{source.Bytes(n.Name()+" as "+strings.ToUpper(o.typ), data)}, err
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
		for _, n := range append(embedded.Names(), hub.ShortNames()...) {
			if strings.HasPrefix(n, prefix) {
				names = append(names, n)
			}
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}
