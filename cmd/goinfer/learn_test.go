package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/study/probe"
)

var updateLessons = flag.Bool("update-lessons", false, "write what the commands print into docs/learn")

// exchange is a command of a lesson and the block of output after it.
type exchange struct {
	line     int    // of the block, in the file
	command  string // without "goinfer "
	want     []string
	varies   bool // numbers differ from machine to machine, and words with them
	from, to int  // lines of the output
}

const (
	opensCommand = "```sh"
	opensOutput  = "```text"
	opensVarying = "```text varies"
	closes       = "```"
	leftOut      = "…"
)

// exchanges reads a lesson: blocks of one command, each with a block of output after it.
func exchanges(lines []string) ([]exchange, error) {
	var list []exchange
	for i := 0; i < len(lines); i++ {
		switch line := lines[i]; {
		case line == opensCommand:
			command, ok := strings.CutPrefix(lines[i+1], "goinfer ")
			if !ok || lines[i+2] != closes {
				return nil, fmt.Errorf("line %d: want one line that begins with goinfer in a block of a command", i+2)
			}
			list = append(list, exchange{line: i + 2, command: command, from: -1})
			i += 2
		case line == opensOutput || line == opensVarying:
			if len(list) == 0 || list[len(list)-1].from >= 0 {
				return nil, fmt.Errorf("line %d: want a command before its output", i+1)
			}
			e := &list[len(list)-1]
			n := slices.Index(lines[i:], closes)
			if n < 0 {
				return nil, fmt.Errorf("line %d: the block does not end", i+1)
			}
			e.varies, e.from, e.to = line == opensVarying, i+1, i+n
			e.want = lines[e.from:e.to]
			i += n
		case strings.HasPrefix(line, closes):
			return nil, fmt.Errorf("line %d: want %s, %s or %s, found %s", i+1, opensCommand, opensOutput, opensVarying, line)
		}
	}
	return list, nil
}

// words splits a command as a shell does, as far as lessons need it.
func words(command string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(command, -1) {
		list = append(list, m[1]+m[2])
	}
	return list
}

var number = regexp.MustCompile(`\d+(,\d{3})*(\.\d+)?(e[-+]?\d+)?`)

// agrees compares a line of output with what a lesson says: the words are the same; so are whole
// numbers that are small or have commas; other numbers agree within a tenth or two in the last
// digit, for the kernels of processors add in different orders. Bars are left to their numbers.
// With varies the numbers are any.
func agrees(want, got string, varies bool) bool {
	if head, ok := strings.CutSuffix(want, " "+leftOut); ok { // the rest of the line is left out
		n := len(strings.Fields(head))
		want, got = head, strings.Join(strings.Fields(got)[:min(n, len(strings.Fields(got)))], " ")
	}
	if plain(want) != plain(got) {
		return false
	}
	a, b := number.FindAllString(want, -1), number.FindAllString(got, -1)
	for i := range a {
		if !varies && !near(a[i], b[i]) {
			return false
		}
	}
	return true
}

// plain is a line without numbers, signs, bars and the width of spaces.
func plain(line string) string {
	line = strings.Map(func(r rune) rune {
		if r >= '▀' && r <= '▟' {
			return ' '
		}
		return r
	}, number.ReplaceAllString(line, "#"))
	line = strings.NewReplacer("+#", "#", "-#", "#").Replace(line)
	return strings.Join(strings.Fields(line), " ")
}

func near(a, b string) bool {
	if a == b {
		return true
	}
	// less than that is a number of something, more a rank, unless it has commas
	const counted = 100
	_, digits, fraction := strings.Cut(a, ".")
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	tail := strings.Contains(a+b, "e") // of a distribution
	if err1 != nil || err2 != nil || !fraction && !tail && x < counted {
		return false
	}
	least := 1e-5
	if fraction && !tail {
		least = 2.001 * math.Pow(10, -float64(len(digits)))
	}
	return math.Abs(x-y) <= max(0.1*math.Abs(x), least)
}

// differs reports where an output parts from what a lesson says. A line of … stands for any lines.
func differs(want, got []string, varies bool) string {
	for i, w := range want {
		if w == leftOut {
			rest := want[i+1:]
			for skip := range len(got) + 1 {
				if differs(rest, got[skip:], varies) == "" {
					return ""
				}
			}
			return fmt.Sprintf("nothing follows like %q", strings.Join(rest, "\n"))
		}
		if len(got) == 0 {
			return fmt.Sprintf("want %q, found the end", w)
		}
		if !agrees(w, got[0], varies) {
			return fmt.Sprintf("want\n%s\nfound\n%s", w, got[0])
		}
		got = got[1:]
	}
	if len(got) > 0 {
		return fmt.Sprintf("want the end, found %q", got[0])
	}
	return ""
}

// TestLearn runs the commands of the lessons and compares what they print.
func TestLearn(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command of the lessons")
	}
	machine, err := probe.Machine()
	require.NoError(t, err)
	if machine.ISA == "go" {
		t.Skip("takes minutes in plain Go")
	}
	files, err := filepath.Glob(filepath.Join(shared.Root(t), "docs", "learn", "[0-9]*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i, file := range files {
		if files[i], err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
	}
	outputOf := map[string]string{} // of commands that name no file
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			lines := strings.Split(string(data), "\n")
			list, err := exchanges(lines)
			require.NoError(t, err)
			require.NotEmpty(t, list)
			t.Chdir(t.TempDir()) // where a command finds what one before has written
			for _, e := range list {
				require.GreaterOrEqual(t, e.from, 0, "line %d: the command has no output behind it", e.line)
			}
			outputs := make([][]string, len(list))
			for i, e := range list {
				out, known := outputOf[e.command]
				if !known {
					r := command(t, "", words(e.command)...)
					require.Zero(t, r.code, "line %d: goinfer %s: %s", e.line, e.command, r.err)
					if out = r.out; !strings.Contains(e.command, ".gguf") {
						outputOf[e.command] = out
					}
				}
				outputs[i] = printed(out)
				if e.varies && strings.Contains(out, "machine was busy") {
					outputs[i] = e.want // speeds are left out, and the form with them
				}
				if d := differs(e.want, outputs[i], e.varies); d != "" && !*updateLessons {
					t.Errorf("line %d: goinfer %s: %s", e.line, e.command, d)
				}
			}
			if *updateLessons {
				require.NoError(t, os.WriteFile(file, []byte(updated(lines, list, outputs)), 0o666))
			}
		})
	}
}

// printed is an output in lines, without what is not seen.
func printed(out string) []string {
	if out == "" {
		return nil
	}
	lines := strings.Split(strings.TrimRight(out, " \n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// updated is a lesson with new output, but where lines are left out.
func updated(lines []string, list []exchange, outputs [][]string) string {
	for i := len(list) - 1; i >= 0; i-- {
		if e := list[i]; !slices.ContainsFunc(e.want, func(line string) bool { return strings.HasSuffix(line, leftOut) }) {
			lines = slices.Replace(lines, e.from, e.to, outputs[i]...)
		}
	}
	return strings.Join(lines, "\n")
}

// TestLessonsRefuse: what differs is seen.
func TestLessonsRefuse(t *testing.T) {
	for _, c := range []struct {
		want, got string
		varies    bool
		same      bool
	}{
		{"1  \" east\"  0.9973  -0.003  ███", "1  \" east\" 0.9972 -0.003 ███▉", false, true},
		{"1  \" east\"  0.9973", "1  \" east\"  0.7473", false, false},
		{"1  \" east\"  0.9973", "1  \" west\"  0.9973", false, false},
		{"5,770,496 parameters", "5,770,497 parameters", false, false},
		{"rank 4", "rank 5", false, false},
		{"rank 650, 1", "rank 644, 1", false, true},
		{"rank 650, 1", "rank 644, 2", false, false},
		{"rank 3479", "rank 2479", false, false},
		{"rank 4", "rank 5", true, true},
		{"rank 4 …", "rank 4 of 7", false, true},
		{"rank 4 …", "rank 5 of 7", false, false},
		{"8.4e-05", "8.6e-05", false, true},
		{"0.0001", "9.9e-05", false, true},
		{"7.6 tokens/s", "7.6 tokens", true, false},
		{"+0.01 nats", "-0.01 nats", false, true},
	} {
		require.Equal(t, c.same, agrees(c.want, c.got, c.varies), "%q and %q", c.want, c.got)
	}
	require.Empty(t, differs([]string{"a", "…", "z"}, []string{"a", "b", "c", "z"}, false))
	require.Contains(t, differs([]string{"a", "…", "z"}, []string{"a", "b", "c", "y"}, false), "nothing follows")
	require.Contains(t, differs([]string{"a"}, []string{"a", "b"}, false), "want the end")
	require.Contains(t, differs([]string{"a", "b"}, []string{"a"}, false), "found the end")
	for text, fault := range map[string]string{
		"```sh\nls\n```": "line 2: want one line", "```text\n```": "line 1: want a command before", "```sh\ngoinfer run\n```\n```text\nx": "line 4: the block does not end",
		"```go\n```": "line 1: want ```sh",
	} {
		_, err := exchanges(strings.Split(text, "\n"))
		require.ErrorContains(t, err, fault)
	}
}
