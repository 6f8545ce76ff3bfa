package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// printable is text from a file as a terminal may show it: control characters, invisible ones and
// broken UTF-8 are escaped, among them those that move the cursor or turn the direction of writing.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[:n])
		} else {
			q := strconv.QuoteToASCII(s[:n])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// shorten keeps a text within n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// table aligns cells that are separated by tabs.
func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0) }

// grouped writes a number with commas: 5,770,496.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sameFile reports whether two streams end in one file, pipe or terminal.
func sameFile(a, b any) bool {
	type file interface{ Stat() (os.FileInfo, error) }
	f, ok1 := a.(file)
	g, ok2 := b.(file)
	if !ok1 || !ok2 {
		return false
	}
	x, err1 := f.Stat()
	y, err2 := g.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// plural writes a number and what it counts.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// quoted is the text of a token in quotation marks, with what is not printable escaped.
func quoted(s string) string { return `"` + printable(s) + `"` }

// probability writes a probability with four digits after the point, and a small one with a power
// of ten.
func probability(p float64) string {
	if p == 0 || p >= 1e-4 {
		return strconv.FormatFloat(p, 'f', 4, 64)
	}
	return strconv.FormatFloat(p, 'e', 1, 64)
}

// perplexity is the exponential of an entropy in nats: as many equally probable choices have it.
func perplexity(entropy float64) string { return fmt.Sprintf("%.3g", math.Exp(entropy)) }

// barWidth is the length of a bar that stands for 1.
const barWidth = 40

// bar is a bar of a length of the share p of width, in eighths of a character.
func bar(p float64, width int) string {
	eighths := int(math.Round(max(0, min(p, 1)) * float64(8*width)))
	text := strings.Repeat("█", eighths/8)
	if r := eighths % 8; r > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[r-1])
	}
	return text
}
