package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	faults "github.com/goinfer/goinfer/internal/fault"
)

// texts are the flags that a text may come from.
type texts struct {
	what                 string // the command's name of it: PROMPT or TEXT
	prompt, file, binary string
	escapes              bool
}

func (t *texts) add(fs *pflag.FlagSet, what string) {
	t.what = what
	fs.StringVarP(&t.prompt, "prompt", "p", "", "the same as `"+what+"`")
	fs.StringVarP(&t.file, "file", "f", "", "read "+what+" from `FILE`, - meaning standard input, "+builtinText+" the text that is built in")
	fs.StringVar(&t.binary, "binary-file", "", "")
	hide(fs, "binary-file")
}

// addEscapes adds -e; further are other flags that it is about.
func (t *texts) addEscapes(fs *pflag.FlagSet, further ...string) {
	about := append([]string{t.what, "-p"}, further...)
	last := len(about) - 1
	fs.BoolVarP(&t.escapes, "escapes", "e", false, `resolve \n, \t and the like in `+strings.Join(about[:last], ", ")+" and "+about[last])
}

// given lists the flags that say where the text is.
func (t *texts) given(cmd *cobra.Command) []string { return textFlags(cmd) }

// textFlags lists the flags of a command that were given and say where a text is.
func textFlags(cmd *cobra.Command) []string {
	var from []string
	for _, name := range []string{"prompt", "file", "binary-file"} {
		if cmd.Flags().Changed(name) {
			from = append(from, "--"+name)
		}
	}
	return from
}

// read finds the text: the argument (nil if there is none), -p, -f, or standard input, which is
// read only if there is none of the others. Every byte of it counts but, unless exact is set, a
// line break at the end of a file or of standard input.
func (t *texts) read(cmd *cobra.Command, argument *string, exact bool) (string, error) {
	from := t.given(cmd)
	if argument != nil {
		from = append(from, "an argument")
	}
	if len(from) > 1 {
		return "", usagef("there is more than one %s: %s", t.what, strings.Join(from, " and "))
	}
	switch {
	case argument != nil:
		return t.unescape(*argument)
	case cmd.Flags().Changed("prompt"):
		return t.unescape(t.prompt)
	}
	path := t.file
	if cmd.Flags().Changed("binary-file") {
		path, exact = t.binary, true
	}
	in := cmd.InOrStdin()
	if len(from) == 0 && isTerminal(in) {
		return "", usagef("there is no %s: want it as an argument, by -f FILE or on standard input", t.what)
	}
	text, err := readText(cmd, path, exact)
	if err == nil && text == "" && !exact {
		note(cmd, "the %s is empty: the text begins from nothing", strings.ToLower(t.what))
	}
	return text, err
}

// builtinText is the name of the text that is built in.
const builtinText = "builtin:valid.txt"

// readText reads a file, standard input where path is "-" or empty, or the text that is built in:
// all of it, or all but a line break at the end.
func readText(cmd *cobra.Command, path string, exact bool) (string, error) {
	if path == builtinText {
		return embedded.Text, nil
	}
	text, err := await(cmd.Context(), func() (string, error) {
		if path == "" || path == "-" {
			return readAll(cmd.InOrStdin(), "standard input", 0)
		}
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return "", err
		}
		return readAll(f, path, info.Size())
	})
	if err != nil {
		return "", faults.System(err)
	}
	if !exact {
		if line, ok := strings.CutSuffix(text, "\n"); ok {
			text = strings.TrimSuffix(line, "\r")
		}
	}
	return text, nil
}

// maxText bounds a text in bytes: what is computed with it takes ten times as much.
const maxText = 128 << 20

// readAll reads a text of about that size, without a second copy of it.
func readAll(r io.Reader, name string, size int64) (string, error) {
	var b strings.Builder
	if size <= maxText {
		b.Grow(int(size))
		if _, err := io.Copy(&b, io.LimitReader(r, maxText+1)); err != nil {
			return "", err
		}
	}
	if size > maxText || b.Len() > maxText {
		return "", fmt.Errorf("%s: want a text of at most %d bytes, found more", name, maxText)
	}
	return b.String(), nil
}

// unescape resolves \n, \t and the like where that was asked for.
func (t *texts) unescape(s string) (string, error) {
	if !t.escapes {
		return s, nil
	}
	var b []byte
	for len(s) > 0 {
		i := strings.IndexByte(s, '\\')
		if i != 0 {
			if i < 0 {
				i = len(s)
			}
			b, s = append(b, s[:i]...), s[i:]
			continue
		}
		if strings.HasPrefix(s, `\"`) || strings.HasPrefix(s, `\'`) {
			b, s = append(b, s[1]), s[2:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return "", usagef("-e: %s is no escape: want \\n, \\t, \\r, \\\\, \\x41 or \\u0041", strconv.Quote(shorten(s, 6)))
		}
		if multibyte {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(b, byte(r))
		}
		s = tail
	}
	return string(b), nil
}
