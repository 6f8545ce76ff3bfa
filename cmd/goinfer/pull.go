package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/hub"
)

// pullFlags are the flags of pull.
type pullFlags struct {
	repo                  string
	json, offline, dryRun bool
	parallel              int
}

func newPull() *cobra.Command {
	var f pullFlags
	cmd := &cobra.Command{
		Use:        "pull [flags] NAME",
		Short:      "Download a model",
		SuggestFor: []string{"download", "fetch", "get"},
		Long: `Downloads a model from Hugging Face or from Ollama's registry, if it is not here already.

NAME is hf.co/OWNER/REPO, with :QUANT or :FILE for one of several GGUF files (` + hub.DefaultQuant + ` where none
is named, or what is nearest to it) and @REVISION for another one than main; or ollama:NAME[:TAG].

Models of Hugging Face go into the cache of its own tools, which share them: HF_HOME and HF_HUB_CACHE
say where, HF_TOKEN and HF_ENDPOINT are heeded, and so are proxies. Only the files that are needed are
fetched, several ranges at once. A pull that was interrupted in any way goes on where it was. A file
gets its name when its hash is right.`,
		Example: `  goinfer pull hf.co/Qwen/Qwen3-0.6B-GGUF:Q8_0
  goinfer pull ollama:qwen3:0.6b
  goinfer pull hf.co/Qwen/Qwen3-0.6B --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.json, "json", false, "report progress as lines of JSON on standard output")
	fs.BoolVar(&f.dryRun, "dry-run", false, "fetch nothing, and list what would be")
	fs.BoolVar(&f.offline, "offline", false, "use no network")
	fs.IntVar(&f.parallel, "parallel", 4, "ranges of a file fetched at once")
	fs.Var((*repoName)(&f.repo), "hf-repo", "the same as hf.co/`REPO` (-hf)")
	return cmd
}

// repoName is a flag of a repository of Hugging Face, OWNER/REPO[:QUANT], as llama.cpp's -hf.
type repoName string

func (r *repoName) Type() string   { return "string" }
func (r *repoName) String() string { return string(*r) }

func (r *repoName) Set(s string) error {
	n, err := hub.ParseRepo(strings.TrimPrefix(s, "hf.co/"))
	if err == nil {
		*r = repoName(n.String())
	}
	return err
}

// parseHubName reads the name of a model on a hub. A short name of Ollama's wants its prefix.
func parseHubName(name string) (hub.Name, error) {
	n, ok, err := hub.ParseName(name)
	if err == nil && !ok {
		err = fmt.Errorf("%.100q is no name of a model on a hub: want hf.co/OWNER/REPO[:QUANT] or ollama:NAME[:TAG]", name)
	}
	if err != nil {
		return n, &usageError{err}
	}
	return n, nil
}

func (f *pullFlags) run(cmd *cobra.Command, args []string) error {
	if f.repo != "" {
		args = append([]string{f.repo}, args...)
	}
	switch {
	case len(args) != 1:
		return usagef("want one NAME, found %d", len(args))
	case f.parallel < 1 || f.parallel > 32:
		return usagef("--parallel: want 1 to 32, found %d", f.parallel)
	}
	n, err := parseHubName(args[0])
	if err != nil {
		return err
	}
	c := hub.NewClient()
	c.Parallel, c.Offline = f.parallel, c.Offline || f.offline
	p, err := await(cmd.Context(), func() (*hub.Plan, error) { return c.Plan(cmd.Context(), n) })
	if err != nil {
		return err
	}
	if p.Note != "" {
		note(cmd, "%s", p.Note)
	}
	if f.dryRun {
		return f.list(cmd, p)
	}
	report := io.Discard
	if f.json {
		report = cmd.OutOrStdout()
	}
	e, err := pullPlan(cmd, c, p, report)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"status": "success", "name": e.Name, "path": e.Path, "size": e.Size})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", printable(e.Name), goinfer.Bytes(e.Size), printable(e.Path))
	return err
}

// list prints what a pull would fetch.
func (f *pullFlags) list(cmd *cobra.Command, p *hub.Plan) error {
	if f.json {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	t := table(out)
	for _, file := range p.Files {
		have := ""
		if file.Have {
			have = "is here"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", printable(file.Name), goinfer.Bytes(file.Size), have)
	}
	t.Flush()
	fmt.Fprintf(out, "\n%s, of which %s are to be fetched\n", goinfer.Bytes(p.Size), goinfer.Bytes(p.Need))
	return out.Flush()
}

// pullPlan fetches what a plan is about. A line of JSON a second goes to report.
func pullPlan(cmd *cobra.Command, c *hub.Client, p *hub.Plan, report io.Writer) (*hub.Entry, error) {
	bar := startProgress(cmd, fmt.Sprintf("fetching %s (KiB)", p.Name), -1)
	defer bar.end()
	var mu sync.Mutex
	began, last := time.Now(), time.Time{}
	start := int64(-1) // bytes that were there already
	var failed error
	lines := json.NewEncoder(report)
	e, err := c.Pull(cmd.Context(), p, func(s hub.Progress) {
		bar.set(int(s.AllDone>>10), int(s.AllSize>>10))
		mu.Lock()
		defer mu.Unlock()
		if start < 0 {
			start = s.AllDone
		}
		if now := time.Now(); now.Sub(last) >= time.Second || s.Done == s.Total {
			last = now
			line := map[string]any{"status": "fetching", "file": s.File, "completed": s.Done, "total": s.Total, "all_completed": s.AllDone, "all_total": s.AllSize}
			if took := now.Sub(began).Seconds(); took > 0 && s.AllDone > start {
				rate := float64(s.AllDone-start) / took
				line["bytes_per_second"], line["eta_seconds"] = int64(rate), int64(float64(s.AllSize-s.AllDone)/rate)
			}
			if err := lines.Encode(line); err != nil && failed == nil {
				failed = err
			}
		}
	})
	return e, errors.Join(err, failed)
}

// offer fetches a model that is not here if the user wants it: by --pull, or when asked on a
// terminal.
func offer(cmd *cobra.Command, absent *hub.AbsentError, pull bool) error {
	c := hub.NewClient()
	asks := isTerminal(cmd.InOrStdin()) && isTerminal(cmd.ErrOrStderr())
	if !pull && (!asks || c.Offline) {
		return absent
	}
	p, err := await(cmd.Context(), func() (*hub.Plan, error) { return c.Plan(cmd.Context(), absent.Name) })
	if err != nil {
		return err
	}
	if p.Note != "" {
		note(cmd, "%s", p.Note)
	}
	if !pull && !confirm(cmd, "%s is not on this machine: fetch %s", absent.Name, goinfer.Bytes(p.Need)) {
		return absent
	}
	_, err = pullPlan(cmd, c, p, io.Discard)
	return err
}

// confirm asks on the terminal.
func confirm(cmd *cobra.Command, format string, args ...any) bool {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s? [y/N] ", printable(fmt.Sprintf(format, args...)))
	answer, err := await(cmd.Context(), func() (string, error) { return bufio.NewReader(cmd.InOrStdin()).ReadString('\n') })
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// findOrPull is find, and fetches a model of a hub if that is wanted.
func findOrPull(cmd *cobra.Command, model string, pull bool) (modelSource, error) {
	s, err := find(model)
	absent := new(hub.AbsentError)
	if !errors.As(err, &absent) {
		return s, err
	}
	if err := offer(cmd, absent, pull); err != nil {
		return s, err
	}
	return find(model)
}

// findHeader is find for those who need the header alone: of a model on a hub that is not here it
// is read on the server.
func findHeader(ctx context.Context, model string) (modelSource, error) {
	s, err := find(model)
	absent := new(hub.AbsentError)
	if !errors.As(err, &absent) {
		return s, err
	}
	c := hub.NewClient()
	if c.Offline {
		return s, err
	}
	p, err := await(ctx, func() (*hub.Plan, error) { return c.Plan(ctx, absent.Name) })
	if err != nil {
		return s, err
	}
	return modelSource{c.Source(p).Noted(notesOf(p)...)}, nil
}

func notesOf(p *hub.Plan) []string {
	if p.Note == "" {
		return nil
	}
	return []string{p.Note}
}

// addPull adds --pull.
func addPull(fs *pflag.FlagSet, pull *bool) {
	fs.BoolVar(pull, "pull", false, "fetch a model that is named as on a hub, such as hf.co/OWNER/REPO, and not here")
}
