package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer/internal/disk"
)

// inputs are what a command reads, by the names that it was given. An output may be none of them:
// it would destroy what it is made of.
type inputs struct {
	models []string // built in, files, one of several files, or folders
	files  []string // texts, importance matrices; empty and - are none
}

// inputs are the files that a text may come from.
func (t *texts) inputs() []string { return []string{t.file, t.binary} }

// refuse returns an error if path is one of the inputs, or standard input, by whatever name.
func (in inputs) refuse(cmd *cobra.Command, path string) error {
	const want = "%s: want a file that the command does not read, found %s"
	for _, model := range in.models {
		s, err := find(model)
		switch {
		case err != nil || !s.Holds(path): // what is not found is not read
		case disk.Same(path, model):
			return usagef(want, path, "the model "+model)
		default:
			return usagef(want, path, "a file of the model "+model)
		}
	}
	for _, file := range in.files {
		if file != "" && file != "-" && disk.Same(path, file) {
			return usagef(want, path, "its input "+file)
		}
	}
	if f, ok := cmd.InOrStdin().(*os.File); ok {
		if from, err := f.Stat(); err == nil && from.Mode().IsRegular() {
			if to, err := os.Stat(path); err == nil && os.SameFile(from, to) {
				return usagef(want, path, "its standard input")
			}
		}
	}
	return nil
}
