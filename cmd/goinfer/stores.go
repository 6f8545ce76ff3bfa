package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/hub"
)

func newList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "list [flags] [PART]",
		Aliases:    []string{"ls"},
		Short:      "List the models on this machine",
		SuggestFor: []string{"models", "dir"},
		Long: `Lists the models that goinfer, Hugging Face's tools, Ollama, LM Studio and
llama.cpp have downloaded, by the names that other commands take, with PART
those alone that have it in their names. They are run in place: nothing is
copied, and the stores of other programs are not written to.

HF_HOME, HF_HUB_CACHE, OLLAMA_MODELS and LLAMA_CACHE say where stores are, as
for those programs.`,
		Example: `  goinfer list
  goinfer ls qwen --json | jq -r '.[].path'`,
		RunE: func(cmd *cobra.Command, args []string) error { return runList(cmd, args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write everything as JSON")
	return cmd
}

func runList(cmd *cobra.Command, args []string, asJSON bool) error {
	if len(args) > 1 {
		return usagef("want one PART of names at most, found %d", len(args))
	}
	stores := hub.FromEnv()
	entries, err := await(cmd.Context(), func() ([]hub.Entry, error) { return stores.List(cmd.Context()) })
	if cmd.Context().Err() != nil {
		return err
	}
	if err != nil {
		note(cmd, "%v", err) // the other stores are listed
	}
	if len(args) == 1 {
		part := strings.ToLower(args[0])
		entries = slices.DeleteFunc(entries, func(e hub.Entry) bool {
			return !strings.Contains(strings.ToLower(e.Name), part) && !strings.Contains(strings.ToLower(e.Short), part)
		})
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if asJSON {
		if entries == nil {
			entries = []hub.Entry{}
		}
		if err := writeJSON(out, entries); err != nil {
			return err
		}
		return out.Flush()
	}
	if len(entries) == 0 {
		note(cmd, "no model has been downloaded; those that are built in need not be")
		return nil
	}
	writeList(out, entries)
	if aliases, err := stores.Aliases(); err == nil && len(aliases) > 0 {
		fmt.Fprintln(out)
		for _, name := range sortedNames(aliases) {
			fmt.Fprintf(out, "%s is an alias of %s\n", printable(name), printable(aliases[name]))
		}
	}
	return out.Flush()
}

func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func writeList(out io.Writer, entries []hub.Entry) {
	uses := map[string]int{}
	for _, e := range entries {
		uses[strings.ToLower(e.Short)]++
	}
	t := table(out)
	fmt.Fprintf(t, "NAME\tIN\tSIZE\tTYPE\tARCHITECTURE\tMODIFIED\n")
	for _, e := range entries {
		name := e.Short
		if name == "" || uses[strings.ToLower(name)] > 1 {
			name = e.Name // the short one is not unique
		}
		modified := ""
		if !e.Modified.IsZero() {
			modified = age(time.Since(e.Modified))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(name), e.Store, goinfer.Bytes(e.Size), printable(e.Type), printable(shorten(e.Arch, 40)), modified)
	}
	t.Flush()
	for _, e := range entries {
		if e.Damaged != "" {
			fmt.Fprintf(out, "\n%s is damaged: %s\n", printable(e.Name), printable(shorten(e.Damaged, 300)))
		}
	}
}

// age is how long ago something was, as people put it.
func age(d time.Duration) string {
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"year", 365 * 24 * time.Hour}, {"month", 30 * 24 * time.Hour}, {"week", 7 * 24 * time.Hour}, {"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / unit.is); n > 0 {
			return plural(n, unit.name) + " ago"
		}
	}
	return "just now"
}

func newRm() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:        "rm [flags] NAME",
		Short:      "Remove a model that goinfer has pulled",
		SuggestFor: []string{"remove", "delete", "del"},
		Long: `Removes a model that goinfer pull has downloaded, and nothing else: files that
other models have need of stay, and models that other programs have stored are
theirs to remove.

On a terminal it asks first; elsewhere it wants --yes.`,
		Example: `  goinfer rm qwen3-0.6b:q8_0
  goinfer rm ollama:qwen3:0.6b --yes`,
		RunE: func(cmd *cobra.Command, args []string) error { return runRm(cmd, args, yes) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func runRm(cmd *cobra.Command, args []string, yes bool) error {
	if len(args) != 1 {
		return usagef("want one NAME, found %d", len(args))
	}
	stores := hub.FromEnv()
	e, err := stores.Find(args[0])
	if err != nil {
		return err
	}
	if e == nil {
		return fmt.Errorf("there is no downloaded model %.100q: goinfer list names them: %w", args[0], fs.ErrNotExist)
	}
	r, err := stores.PlanRemoval(e)
	if err != nil {
		return err
	}
	for _, line := range r.Shared {
		note(cmd, "stays: %s", line)
	}
	if !yes {
		if !isTerminal(cmd.InOrStdin()) {
			return usagef("standard input is no terminal to ask on: --yes removes %s", e.Name)
		}
		if !confirm(cmd, "remove %s, %s", e.Name, goinfer.Bytes(r.Bytes)) {
			return errors.New("nothing was removed")
		}
	}
	if err := stores.Remove(r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s, %s are free\n", printable(e.Name), goinfer.Bytes(r.Bytes))
	return err
}

func newAlias() *cobra.Command {
	var remove bool
	cmd := &cobra.Command{
		Use:   "alias [flags] [ALIAS [NAME]]",
		Short: "Give a model another name, or list such names",
		Long: `Gives a model a further name, in place of a copy: NAME is the name of a model
on a hub or in a store, or a path. Without NAME it prints what ALIAS stands
for, without both all aliases.`,
		Example: `  goinfer alias small hf.co/Qwen/Qwen3-0.6B-GGUF:Q8_0
  goinfer alias small
  goinfer alias --remove small`,
		RunE: func(cmd *cobra.Command, args []string) error { return runAlias(cmd, args, remove) },
	}
	cmd.Flags().BoolVar(&remove, "remove", false, "remove ALIAS, and not the model")
	return cmd
}

// aliasTarget is what an alias of name is to stand for, wherever it is used: of a path the absolute
// one, of another alias what that stands for.
func aliasTarget(stores hub.Stores, name string) (string, error) {
	s, err := find(name)
	switch {
	case errors.As(err, new(*hub.AbsentError)):
		return name, nil
	case err != nil:
		return "", err
	case s.Path() == name:
		return filepath.Abs(name)
	}
	aliases, err := stores.Aliases()
	if err != nil {
		return "", err
	}
	if target, ok := aliases[name]; ok {
		return target, nil
	}
	if e, err := stores.Find(name); e == nil || err != nil {
		return "", errors.Join(err, usagef("want a downloaded model or a path, found %s", s))
	}
	return name, nil
}

func runAlias(cmd *cobra.Command, args []string, remove bool) error {
	stores := hub.FromEnv()
	switch {
	case len(args) > 2, remove && len(args) != 1:
		return usagef("want [ALIAS [NAME]], found %s", plural(len(args), "argument"))
	case remove:
		return stores.SetAlias(args[0], "")
	case len(args) == 2:
		if _, err := find(args[0]); err == nil {
			if aliases, err := stores.Aliases(); err != nil || aliases[args[0]] == "" {
				return usagef("there is a model %s already", args[0])
			}
		}
		target, err := aliasTarget(stores, args[1])
		if err != nil {
			return err
		}
		return stores.SetAlias(args[0], target)
	}
	aliases, err := stores.Aliases()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		target, ok := aliases[args[0]]
		if !ok {
			return fmt.Errorf("there is no alias %.100q: %w", args[0], fs.ErrNotExist)
		}
		aliases = map[string]string{args[0]: target}
	}
	t := table(cmd.OutOrStdout())
	for _, name := range sortedNames(aliases) {
		fmt.Fprintf(t, "%s\t%s\n", printable(name), printable(aliases[name]))
	}
	return t.Flush()
}
