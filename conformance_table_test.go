package goinfer_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/model/arch"
)

var update = flag.Bool("update", false, "write what tests compare with: docs/architectures.md by what TestConformance finds, testdata/api.txt by what TestAPI finds")

// tablePath is where the results of TestConformance stand.
var tablePath = filepath.Join("docs", "architectures.md")

// conformanceTable is what TestConformance finds, one row per model.
type conformanceTable struct {
	mu   sync.Mutex
	rows map[string]string
	arch map[string]bool // whose models agree
}

// add enters a model that agrees, its greedy continuation too: how far its logits are from the
// reference's at most, and at how many of its positions the best token is the same.
func (c *conformanceTable) add(name string, m modelMeta, worst float64, best, positions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arch[m.Arch] = true
	c.rows[name] = fmt.Sprintf("| `%s` | %s | %s | %.1e | %d of %d | equal |", m.Arch, name, m.Exercises, worst, best, positions)
}

// addEncoder enters an encoder that agrees: how far its hidden states are from the reference's at
// most.
func (c *conformanceTable) addEncoder(name string, m modelMeta, worst float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arch[m.Arch] = true
	c.rows[name] = fmt.Sprintf("| `%s` | %s | %s | %.1e | hidden states | |", m.Arch, name, m.Exercises, worst)
}

type modelMeta struct {
	Arch      string
	Exercises string
	Tolerance struct {
		GELUTable bool `json:"gelu_table"`
	}
}

// text is the document.
func (c *conformanceTable) text(missing []string) string {
	var b strings.Builder
	b.WriteString(`# Architectures

Written by ` + "`go test . -run TestConformance -update`" + `; not by hand. Every model is a small one with random weights and the logits of llama.cpp for it. Each is run in one batch,
token by token, and beside another sequence, which must give the same bits; once more with every product in plain Go; and it continues the prompt greedily. The difference is the largest of
all logits at all positions, which have a standard deviation of about 3 (models with GELU: the reference takes it from a table of half floats, which alone makes 7e-3; models with quantised
weights: against the reference on the same weights as float32). The best token is compared at every position. Encoders see a text
whole, both ways: they are run in one batch, beside another text and in plain Go, and their hidden states and pooled embeddings compared.

`)
	fmt.Fprintf(&b, "%d models of %d architectures agree.\n\n", len(c.rows), len(c.arch))
	b.WriteString("| architecture | model | what it has | largest difference | best token equal | greedy |\n|---|---|---|---|---|---|\n")
	for _, row := range sorted(c.rows) {
		b.WriteString(row + "\n")
	}
	for _, name := range arch.Names() {
		switch reference := arch.Find(name).Reference; {
		case c.arch[name]:
		case reference != "":
			fmt.Fprintf(&b, "\n`%s` agrees with %s.\n", name, reference)
		default:
			fmt.Fprintf(&b, "\n`%s` runs, and has no reference here.\n", name)
		}
	}
	if len(missing) == 0 {
		return b.String()
	}
	b.WriteString("\n## Not supported\n\nThese are refused by name. What they need beyond the above:\n\n| architecture | model | what it has |\n|---|---|---|\n")
	for _, row := range missing {
		b.WriteString(row + "\n")
	}
	return b.String()
}

func sorted(rows map[string]string) []string {
	var s []string
	for _, row := range rows {
		s = append(s, row)
	}
	slices.Sort(s)
	return s
}

// difference is the column that depends on the machine.
var difference = regexp.MustCompile(`\| \d\.\de[-+]\d\d \|`)

// check writes the document, or compares it with what was found.
func (c *conformanceTable) check(t *testing.T, missing []string) {
	want := c.text(missing)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(tablePath), 0o777))
		require.NoError(t, os.WriteFile(tablePath, []byte(want), 0o666))
		return
	}
	have, err := os.ReadFile(tablePath)
	require.NoError(t, err)
	plain := func(s string) string { return difference.ReplaceAllString(s, "| |") }
	require.Equal(t, plain(want), plain(string(have)), "%s is out of date: go test . -run TestConformance -update", tablePath)
}
