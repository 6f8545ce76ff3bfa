package jinja

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// referenceTime is what the clock showed when the reference outputs were made.
var referenceTime = time.Date(2026, 11, 23, 14, 5, 9, 0, time.UTC)

// refCase is one rendering of the reference data.
type refCase struct {
	name, template, message, kind string
	inputs                        *Map
	output, lenient               *string
	line                          int
}

// readCases reads a file with one case per line.
func readCases(t testing.TB, path string) []refCase {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	v, err := ParseJSON(data)
	require.NoError(t, err, path)
	var cases []refCase
	for _, e := range v.([]any) {
		m := e.(*Map)
		text := func(key string) string { v, _ := m.Get(key); s, _ := v.(string); return s }
		pointer := func(key string) *string {
			if v, ok := m.Get(key); ok {
				s := v.(string)
				return &s
			}
			return nil
		}
		c := refCase{name: text("name"), template: text("template"), message: text("error"), kind: text("error_kind"), output: pointer("output"), lenient: pointer("lenient_output")}
		in, _ := m.Get("inputs")
		c.inputs = in.(*Map)
		if n, ok := m.Get("line"); ok {
			k, err := n.(json.Number).Int64()
			require.NoError(t, err)
			c.line = int(k)
		}
		cases = append(cases, c)
	}
	return cases
}

// check reports how a rendering differs from the reference.
func (c *refCase) check(out Text, err error) string {
	switch {
	case c.output != nil && err != nil:
		return "fails: " + err.Error()
	case c.output != nil && out.String() != *c.output:
		return "want " + quote(diff(*c.output, out.String())) + "\nfound " + quote(diff(out.String(), *c.output))
	case c.output != nil:
		return ""
	case err == nil && (c.lenient == nil || out.String() != *c.lenient):
		return "renders " + quote(out.String()) + ", want the error " + c.message
	case err == nil:
		return ""
	}
	e := err.(*Error)
	if c.kind == "raise_exception" && (e.Kind != KindRaised || e.Message != c.message) {
		return "want the message " + quote(c.message) + ", found " + err.Error()
	}
	return ""
}

// diff is what a has where it differs from b.
func diff(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return a[max(0, i-20):]
}

// TestConformance compares with what jinja2 renders, for 134 templates of models.
func TestConformance(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "templates")
	files, err := filepath.Glob(filepath.Join(dir, "*.jinja"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		base := strings.TrimSuffix(file, ".jinja")
		t.Run(filepath.Base(base), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			tmpl, err := Compile(filepath.Base(file), string(source))
			require.NoError(t, err)
			for _, c := range readCases(t, base+".cases.json") {
				out, err := tmpl.Render(context.Background(), c.inputs, Limits{Now: referenceTime})
				if msg := c.check(out, err); msg != "" {
					t.Errorf("%s: %s", c.name, msg)
				}
			}
		})
	}
}

// TestSnippets compares one feature at a time.
func TestSnippets(t *testing.T) {
	path := filepath.Join(shared.Dir(t), "conformance", "templates", "snippets.cases.json")
	lines := 0
	for _, c := range readCases(t, path) {
		var out Text
		tmpl, err := Compile("snippet", c.template)
		if err == nil {
			out, err = tmpl.Render(context.Background(), c.inputs, Limits{Now: referenceTime})
		}
		if msg := c.check(out, err); msg != "" {
			t.Errorf("%s: %s\n%s", c.name, c.template, msg)
		}
		if e, ok := err.(*Error); ok && c.line > 0 && c.kind != "syntax" {
			require.Equal(t, c.line, e.Line, c.name)
			lines++
		}
	}
	require.Greater(t, lines, 20)
}
