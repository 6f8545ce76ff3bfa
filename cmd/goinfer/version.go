package main

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/goinfer/goinfer/study/probe"
	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and how goinfer was built",
		Long: `Prints the version and commit of goinfer, the Go release that built it, the instruction set that
its kernels use on this machine, and whether the binary is static or needs shared libraries.`,
		Example: `  goinfer version
  goinfer version --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := readBuild()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), b)
			}
			return b.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// build says what this binary is.
type build struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit,omitempty"` // empty if it was not built from a checkout
	Modified bool     `json:"modified"`         // files had been changed since the commit
	Go       string   `json:"go"`
	System   string   `json:"system"`
	ISA      string   `json:"isa"` // instruction set of the kernels
	ISAs     []string `json:"isas"`
	Linked   string   `json:"linked"` // see linking
	Cgo      bool     `json:"cgo"`
}

// readBuild describes this binary. Its error is that of a GOINFER_CPU that names no instruction set
// of the machine.
func readBuild() (build, error) {
	commit, modified := revision()
	m, err := probe.Machine()
	b := build{
		Version: release(), Commit: commit, Modified: modified,
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, ISA: m.ISA, ISAs: m.ISAs, Linked: linking(),
	}
	b.Cgo = buildSetting("CGO_ENABLED") == "1"
	return b, err
}

func (b build) write(out io.Writer) error {
	commit := b.Commit
	switch {
	case commit == "":
		commit = "unknown: not built from a checkout"
	case b.Modified:
		commit += ", modified"
	}
	w := table(out)
	fmt.Fprintf(w, "goinfer %s\n", b.Version)
	fmt.Fprintf(w, "commit\t%s\n", commit)
	fmt.Fprintf(w, "go\t%s %s\n", b.Go, b.System)
	fmt.Fprintf(w, "kernels\t%s (this build has %s)\n", b.ISA, strings.Join(b.ISAs, ", "))
	fmt.Fprintf(w, "linked\t%s\n", b.Linked)
	return w.Flush()
}

// version describes the build in one line.
func version() string {
	v := release()
	// what Go makes up as a version names it
	if rev, modified := revision(); rev != "" && !strings.Contains(v, rev) {
		if modified {
			rev += ", modified"
		}
		v += " (" + rev + ")"
	}
	return fmt.Sprintf("%s %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// release is the version of the module: a tag, a version that Go derives from the commit, or
// "(devel)".
func release() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// revision is the commit that was built, shortened, and whether files had been changed since; empty
// if it was not built from a checkout.
func revision() (commit string, modified bool) {
	commit = buildSetting("vcs.revision")
	return commit[:min(len(commit), 12)], buildSetting("vcs.modified") == "true"
}

// buildSetting is one of the settings that the go command records in a binary; empty if there is
// none of the name.
func buildSetting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// linking reports whether the binary is static or which shared libraries it needs. Programs on
// macOS and Windows always use the libraries that the system consists of.
func linking() string {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		if buildSetting("CGO_ENABLED") == "1" {
			return "dynamic, with cgo"
		}
		return "the system's own libraries alone"
	}
	path, err := os.Executable()
	if err != nil {
		return "unknown: " + err.Error()
	}
	return linkingOf(path)
}

// linkingOf reads the header of an ELF file.
func linkingOf(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return "unknown: " + err.Error()
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		return "unknown: " + err.Error()
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || len(libs) > 0 {
			return "dynamic, needs " + strings.Join(libs, ", ")
		}
	}
	return "static"
}
