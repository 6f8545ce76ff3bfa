package jinja

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// FuzzTemplate compiles and renders any template with variables of every kind. Nothing may panic,
// take more than its limits, or claim that text of the variables is the template's.
func FuzzTemplate(f *testing.F) {
	seeds := []string{
		"{% for m in messages %}{{ m.role + ': ' + m['content'] | trim }}{% endfor %}",
		"{% macro f(a, b=2) %}{{ a ~ caller() }}{% endmacro %}{% call f(1) %}x{% endcall %}",
		"{% set ns = namespace(x=1) %}{% set ns.x = ns.x + 1 %}{{ ns.x // 2 ** 3 % 4 }}",
		"{{ messages[::-1][0].content.split('x', 1) | map('upper') | list | tojson(indent=2) }}",
		"{{ '%5.2f|%-4s' % (1.5, 'a') }}{{ '{:>8,}'.format(12345) }}{{ 'a'.center(9, '*') }}",
		"{{ strftime_now('%-d %b %Y') }}{% if not tools is defined %}{{ raise_exception('x') }}{% endif %}",
		"{% for i in range(9) if i % 2 %}{{ loop.cycle('a', 'b') }}{% break %}{% else %}-{% endfor %}",
		"{{ messages | selectattr('role', 'equalto', 'user') | first }}{{ [3, 1] | sort | join(',') }}",
		"{% filter upper %}{% raw %}{{ x }}{% endraw %}{% endfilter %}{%- set x -%} a {%- endset -%}{{ x }}",
	}
	if dir := filepath.Join(os.Getenv("GOINFER_SHARED"), "conformance", "templates"); os.Getenv("GOINFER_SHARED") != "" {
		files, _ := filepath.Glob(filepath.Join(dir, "*.jinja"))
		for _, name := range files {
			data, err := os.ReadFile(name)
			require.NoError(f, err)
			seeds = append(seeds, string(data))
		}
		for _, c := range readCases(f, filepath.Join(dir, "snippets.cases.json")) {
			seeds = append(seeds, c.template)
		}
	}
	for _, s := range seeds {
		f.Add(s)
	}
	message := (&Map{}).Set("role", "user").Set("content", "hi \uE000 there\n\uE000")
	vars := (&Map{}).Set("messages", []any{message, message}).Set("tools", nil).Set("bos_token", Literal("<s>")).
		Set("n", 5).Set("f", 1.5).Set("l", []any{1, "a", 2.5, nil, true}).Set("d", (&Map{}).Set("k", "v").Set("items", []any{})).
		Set("add_generation_prompt", true)
	lim := Limits{Steps: 200000, Bytes: 4 << 20, Output: 1 << 20, Depth: 50, Time: 10 * time.Second}
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Compile("fuzz", source)
		if err != nil {
			_, ok := err.(*Error)
			require.True(t, ok)
			return
		}
		start := time.Now()
		out, err := tmpl.Render(context.Background(), vars, lim)
		require.Less(t, time.Since(start), 9*time.Second)
		if err != nil {
			e, ok := err.(*Error)
			require.True(t, ok)
			require.Positive(t, e.Line)
			return
		}
		require.LessOrEqual(t, out.Len(), lim.Output)
		at := 0
		for _, s := range out.Spans() {
			require.Equal(t, at, s.From)
			require.Less(t, s.From, s.To)
			at = s.To
			if s.Source == FromTemplate && !containsUE000(source) {
				require.False(t, containsUE000(out.String()[s.From:s.To]), "a variable's text is called the template's")
			}
		}
		require.Equal(t, out.Len(), at)
	})
}

// containsUE000 looks for the character that only the variables contain, unless a template writes
// it.
func containsUE000(s string) bool {
	for _, r := range s {
		if r == '\uE000' {
			return true
		}
	}
	return false
}

// TestVariables looks at what is known of a template without rendering it.
func TestVariables(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "templates")
	files, err := filepath.Glob(filepath.Join(dir, "*.jinja"))
	require.NoError(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		tmpl, err := Compile(name, string(data))
		require.NoError(t, err)
		require.True(t, tmpl.Reads("messages"), name)
	}
}
