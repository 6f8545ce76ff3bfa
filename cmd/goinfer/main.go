// Command goinfer runs language models from the command line. Text goes to standard output and
// nothing else does; notes, errors and progress go to standard error.
//
//	goinfer run -n 8 "The sun rises in the"
//	goinfer run tinyllama.gguf "The sun rises in the"
//
// See goinfer --help. The exit code is 0, 1 for a fault, 2 for wrong usage, 130 when interrupted
// (SIGINT) and 143 when terminated (SIGTERM).
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
	exitInterrupted = 130 // by SIGINT: 128 and the number of the signal
	exitTerminated  = 143 // by SIGTERM
)

func main() {
	cobra.EnableCommandSorting = false
	ignoreBrokenPipes()
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errTerminated is the cause of a context that SIGTERM ended.
var errTerminated = errors.New("terminated")

// untilSignal is a context that the first signal ends. A second one ends the process at once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		why := context.Canceled
		if <-signals == syscall.SIGTERM {
			why = errTerminated
		}
		signal.Stop(signals)
		cancel(why)
	}()
	return ctx
}

// run is the command with its arguments, and returns the exit code. Cancelling ctx interrupts it.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	began := false // the arguments were understood: what goes wrong from here on is a fault
	root := newRoot(&began)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	var unwritten error // what kept a help text from being written, which cobra drops
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { unwritten = writeHelp(cmd) })
	a, err := translate(root, args)
	cmd := a.cmd
	if err == nil {
		root.SetArgs(a.args)
		begin := root.PersistentPreRun
		root.PersistentPreRun = func(cmd *cobra.Command, args []string) {
			begin(cmd, args)
			a.report(cmd)
		}
		cmd, err = execute(ctx, root)
		if err == nil && unwritten != nil {
			began, err = true, unwritten
		}
	}
	return exitCode(ctx, cmd, inFlags(cmd, err), began)
}

// exitCode is the exit code for the error that a command ended with, and prints that.
func exitCode(ctx context.Context, cmd *cobra.Command, err error, began bool) int {
	stderr := cmd.ErrOrStderr()
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errTerminated):
		return exitTerminated
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

// execute runs the command that the arguments ask for. A model's file that becomes shorter
// meanwhile is an error like others, wherever it is noticed.
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

// commands are all commands below root.
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

// noArguments refuses arguments of a command that takes none.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("want no arguments, found %q", args[0])
	}
	return nil
}

// errNoCommand ends what has shown the help text because no command was named.
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

// await runs f, which cannot be cancelled, and returns without waiting for it when ctx is done.
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
