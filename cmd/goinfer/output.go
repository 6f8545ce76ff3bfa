package main

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/study/page"
)

// isDevice reports whether path exists and is no file, so that what is written to it takes no room.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular()
}

// checkOut refuses, ahead of the work, a path at which no file can be written, one of the inputs,
// and standard output where it is a terminal: flag is what path was given by, and why what a
// terminal is not shown. An empty path is none.
func checkOut(cmd *cobra.Command, flag, path, why string, in inputs) error {
	switch {
	case path == "":
		return nil
	case path == "-" && isTerminal(cmd.OutOrStdout()):
		return usagef("%s: standard output is a terminal, and %s", strings.TrimSpace(flag+" -"), why)
	case path == "-":
		return nil
	}
	if err := in.refuse(cmd, path); err != nil {
		return err
	}
	return disk.Check(path)
}

// checkPage is checkOut for pages.
func checkPage(cmd *cobra.Command, flag, path string, in inputs) error {
	return checkOut(cmd, flag, path, "a page is for a browser", in)
}

// checkReport is checkPage for commands that write a page beside their report: both cannot go to
// standard output.
func checkReport(cmd *cobra.Command, path string, json bool, in inputs) error {
	if path == "-" && json {
		return usagef("--html - and --json: want one of them on standard output")
	}
	return checkPage(cmd, "--html", path, in)
}

// writeFile has a file written that appears when it is whole, or standard output if path is "-".
func writeFile(cmd *cobra.Command, path string, write func(io.Writer) error) error {
	if path != "-" {
		return disk.Write(path, write)
	}
	b := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<20)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// writePage writes a page, at whose end the command stands that made it. The text, nil if it was no
// argument, is part of that.
func writePage(cmd *cobra.Command, path string, p *page.Page, model string, text *string) error {
	p.Foot = strings.TrimSpace(commandLine(cmd, model, text) + "\n" + p.Foot)
	return writeFile(cmd, path, p.Render)
}

// shownPrompt is how many characters of a text a command is shown with.
const shownPrompt = 300

// commandLine is the command as a shell takes it, with the flags that were given but for where its
// output goes.
func commandLine(cmd *cobra.Command, model string, text *string) string {
	parts := []string{cmd.CommandPath()}
	flag := func(name, value string) { parts = append(parts, "--"+name+"="+shellWord(value)) }
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch list, ok := f.Value.(pflag.SliceValue); {
		case f.Name == "html" || f.Name == "out" || f.Name == "model":
		case ok:
			for _, value := range list.GetSlice() {
				flag(f.Name, value)
			}
		default:
			flag(f.Name, f.Value.String())
		}
	})
	words := []string{model}
	if text != nil {
		words = append(words, shorten(*text, shownPrompt))
	}
	if slices.ContainsFunc(words, isFlag) {
		parts = append(parts, "--")
	}
	for _, w := range words {
		parts = append(parts, shellWord(w))
	}
	return strings.Join(parts, " ")
}

// shellWord is a word as a shell takes it, in quotation marks where it needs them.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,+@%=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
