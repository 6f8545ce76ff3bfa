// Command goinfer runs language models from the command line: text goes to standard output and nothing else does, all the rest to standard error.
//
//	goinfer run "The sun rises in the"
//	goinfer run tinyllama.gguf "The sun rises in the"
//
// See goinfer --help. The exit code is 0, 1 for a fault, 2 for wrong usage and 130 when interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	faults "github.com/goinfer/goinfer/internal/fault"
)

// Exit codes.
const (
	exitOK          = 0
	exitFault       = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	cobra.EnableCommandSorting = false
	// A write to a pipe that nobody reads is then an error like others, and ends the command quietly.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the command with its arguments, and returns the exit code. Cancelling ctx interrupts it.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	began := false // the arguments were understood: what goes wrong from here on is a fault
	root := newRoot(&began)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	root.SetArgs(translate(root, args))
	cmd, err := execute(ctx, root)
	err = inFlags(cmd, err)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitInterrupted
	case closedPipe(err):
		return exitOK
	case errors.Is(err, errNoCommand):
		return exitUsage
	case errors.As(err, &usage) || !began && !errors.As(err, new(*fs.PathError)):
		fmt.Fprintf(stderr, "goinfer: %s\nTry '%s --help'.\n", oneLine(err), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(stderr, "goinfer: %s\n", oneLine(err))
	return exitFault
}

// execute runs the command that the arguments ask for. A model's file that becomes shorter meanwhile is an error like others, wherever it is noticed.
func execute(ctx context.Context, root *cobra.Command) (cmd *cobra.Command, err error) {
	cmd = root
	defer faults.Guard(&err)()
	return root.ExecuteContextC(ctx)
}

func newRoot(began *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "goinfer",
		Short: "Run transformer language models",
		Long: `goinfer runs transformer language models: a GGUF file goes in, text comes out.

MODEL is the path of a GGUF file (any one of the files of a split model), the folder of a Hugging
Face checkpoint, or a model that is built in: ` + strings.Join(embedded.Names(), ", ") + `. Where MODEL is left out it is ` + embedded.Default + `.`,
		Example: `  goinfer run "The sun rises in the"
  goinfer run tinyllama.gguf -n 100 "Once upon a time"
  goinfer inspect tinyllama.gguf`,
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
		PersistentPreRun:           func(*cobra.Command, []string) { *began = true },
		RunE:                       runRoot,
	}
	root.SetVersionTemplate("goinfer {{.Version}}\n")
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(), newChat(), newPull(), newList(), newShow(), newRm(), newAlias(), newNext(), newExplain(), newTokens(), newTemplate(), newLogits(), newEmbed(), newInspect(), newParams(), newPlan(), newConvert(), newQuantize(), newImatrix(), newPerplexity(), newGrammar(), newExperts(), newDoctor(), newBench(), newLab(), newClaims(), newSynth(), newCompletion(), newVersion())
	root.SetHelpCommand(newHelp())
	root.InitDefaultHelpCmd()
	for _, c := range commands(root) {
		c.Flags().SetNormalizeFunc(canonical)
		c.Flags().SortFlags = false
		c.DisableFlagsInUseLine = true
		c.Flags().BoolP("help", "h", false, "this text")
	}
	root.Flags().BoolP("help", "h", false, "this text")
	root.Flags().Bool("version", false, "version of goinfer, of Go, and the system it was built for")
	return root
}

// commands are all below root.
func commands(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		all = append(append(all, c), commands(c)...)
	}
	return all
}

// runRoot is what happens without a command, or with one that does not exist.
func runRoot(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		return errors.Join(cmd.Help(), errNoCommand)
	}
	return noCommand(cmd, args)
}

// noCommand is the error of asking for a command that does not exist.
func noCommand(root *cobra.Command, args []string) error {
	hint := ""
	if s := root.SuggestionsFor(args[0]); len(s) > 0 {
		hint = fmt.Sprintf("; did you mean %s?", s[0])
	} else if len(args) == 1 && (strings.ContainsAny(args[0], " \t\n") || isModel(args[0])) {
		hint = fmt.Sprintf("; did you mean: goinfer run %q", args[0])
	}
	return usagef("there is no command %q%s", args[0], hint)
}

// errNoCommand ends what has shown the help text for want of a command.
var errNoCommand = errors.New("want a command")

// usageError is a fault of the arguments.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// closedPipe reports whether err says that nobody reads the output any more.
func closedPipe(err error) bool {
	if errors.Is(err, syscall.EPIPE) {
		return true
	}
	// ERROR_BROKEN_PIPE and ERROR_NO_DATA of Windows.
	var no syscall.Errno
	return runtime.GOOS == "windows" && errors.As(err, &no) && (no == 109 || no == 232)
}

// await runs f, which cannot be cancelled, and leaves it behind when ctx is done.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		defer faults.Guard(&r.err)()
		r.value, r.err = f()
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
