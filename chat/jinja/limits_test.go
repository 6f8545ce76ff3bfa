package jinja

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func render(source string, vars *Map, lim Limits) (Text, error) {
	t, err := Compile("t", source)
	if err != nil {
		return Text{}, err
	}
	if vars == nil {
		vars = &Map{}
	}
	return t.Render(context.Background(), vars, lim)
}

// TestHostile renders templates that would take for ever, or all memory, or the whole stack.
func TestHostile(t *testing.T) {
	for name, source := range map[string]string{
		"recursive macro":           "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
		"mutual recursion":          "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
		"recursive call block":      "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
		"recursive loop":            "{% set l = [1] %}{% set _ = l.append(l) %}{% for x in l recursive %}{{ loop(l) }}{% endfor %}",
		"doubling string":           "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"doubling list":             "{% set ns = namespace(l=[1, 2]) %}{% for i in range(64) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
		"long product":              "{{ 'a' * 1000000000000 }}",
		"long list":                 "{{ [0] * 1000000000000 }}",
		"negative times":            "{{ 'ab' * 9223372036854775807 }}",
		"many kept strings":         "{% set l = [] %}{% for i in range(100000) %}{% set _ = l.append('x' * 100000) %}{% endfor %}",
		"nested loops":              "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
		"list that contains itself": "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
		"tojson of itself":          "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}",
		"equal to itself":           "{% set l = [] %}{% set _ = l.append(l) %}{% set k = [] %}{% set _ = k.append(k) %}{{ l == k }}",
		"order of itself":           "{% set l = [] %}{% set _ = l.append(l) %}{% set k = [] %}{% set _ = k.append(k) %}{{ l < k }}",
		"tree of shared parts":      "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
		"extended by itself":        "{% set l = [1] %}{% set _ = l.extend(l) %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}",
		"power":                     "{{ 10 ** (10 ** 10) }}",
		"repeated product":          "{% set ns = namespace(n=3) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
		"width of a format":         "{{ '%999999999999d' % 1 }}",
		"precision of a format":     "{{ '%.99999999f' % 1 }}",
		"width in braces":           "{{ '{:>99999999999}'.format(1) }}",
		"center":                    "{{ 'x'.center(999999999999) }}",
		"zfill":                     "{{ 'x'.zfill(999999999999) }}",
		"indent":                    "{{ [[[[1]]]] | tojson(indent=99999999) }}",
		"indented text":             "{{ ('a\n' * 10000) | indent(10000000) }}",
		"tabs":                      "{{ ('\t' * 1000000).expandtabs(1000000) }}",
		"replaced by more":          "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
		"joined by more":            "{{ range(99999) | join('b' * 1000000) }}",
		"batch":                     "{{ [1] | batch(1048576, 'x') | list | length }}{{ range(99999) | batch(1, 1) | list * 9999 }}",
		"kept slices of many parts": "{% set ns = namespace(s='', l=[]) %}{% for i in range(20000) %}{% set ns.s = ns.s + 'a' + u %}{% endfor %}{% for k in range(1000) %}{% for i in range(1000) %}{% set _ = ns.l.append(ns.s[i:]) %}{% endfor %}{% endfor %}",
		"kept sums":                 "{% set ns = namespace(s='x' * 1000000, l=[]) %}{% set ns.s = ns.s + 'y' %}{% for i in range(100000) %}{% set _ = ns.l.append(ns.s ~ 'z') %}{% endfor %}",
		"joined parts":              "{% set ns = namespace(l=['a', u]) %}{% for i in range(18) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l | join | length }}{{ ''.join(ns.l) | length }}",
		"stripped of many":          "{% set s = ('a' * 1000000) %}{{ s.strip('b' * 1000000 ~ 'c' ~ 'a') }}{% for i in range(100000) %}{{ s.strip('b' * 1000) }}{% endfor %}",
		"compared texts":            "{% set a, b = 'x' * 1000000 + 'y', 'x' * 1000000 + 'y' %}{% for i in range(99999) %}{% if a != b or a < b %}{% endif %}{% endfor %}",
		"keys of long text":         "{% set a, d = 'x' * 1000000, {} %}{% for i in range(99999) %}{% if a in d %}{% endif %}{% endfor %}",
		"indexed text":              "{% set a = 'x' * 1000000 %}{% for i in range(99999) %}{% if a[0] == a[-1:] %}{% endif %}{% endfor %}",
		"nothing replaced":          "{% set a = 'x' * 1000000 %}{% for i in range(99999) %}{% if a.replace('y', '') %}{% endif %}{% endfor %}",
		"deep indent":               "{% set ns = namespace(l=[1]) %}{% for i in range(300) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson(indent=1000000) }}",
		"cycle of a namespace":      "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns }}",
		"cycle of namespaces":       "{% set a, b = namespace(), namespace() %}{% set a.b = b %}{% set b.a = a %}{{ [a] | string }}",
		"default that calls itself": "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
		"caller of itself":          "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
		"many arguments":            "{% set ns = namespace(l=[1]) %}{% for i in range(25) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ dict(*ns.l) }}",
		"deep mapping":              "{% set ns = namespace(d={}) %}{% for i in range(99999) %}{% set ns.d = {'a': ns.d} %}{% endfor %}{{ ns.d | tojson }}",
		"large range":               "{{ range(1000000000000) | list }}",
		"cycle of generators":       "{% set ns = namespace(g=[1]) %}{% for i in range(99999) %}{% set ns.g = ns.g | map('int') %}{% endfor %}{{ ns.g | list }}",
		"nested generators":         "{% set ns = namespace(g=[1]) %}{% for i in range(99999) %}{% set ns.g = ns.g | select %}{% endfor %}{{ ns.g | list }}",
		"deep list":                 "{% set ns = namespace(l=[]) %}{% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
		"deep hash":                 "{% set ns = namespace(l=()) %}{% for i in range(99999) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}",
		"output":                    "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}",
		"captured output":           "{% for i in range(99999) %}{% set x %}{{ 'x' * 100000 }}{% endset %}{% endfor %}",
		"word wrap":                 "{{ ('a ' * 9999) | wordwrap(1, true, 'x' * 1000000) }}",
		"nested parentheses":        "{{ " + strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000) + " }}",
		"nested lists":              "{{ " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + " }}",
		"nested blocks":             strings.Repeat("{% if 1 %}", 20000) + strings.Repeat("{% endif %}", 20000),
		"many nots":                 "{{ " + strings.Repeat("not ", 20000) + "1 }}",
		"many minus signs":          "{{ " + strings.Repeat("-", 20000) + "1 }}",
		"many conditions":           "{{ " + strings.Repeat("1 if 1 else ", 20000) + "1 }}",
		"many elifs":                "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 20000) + "{% endif %}",
		"many attributes":           "{{ a" + strings.Repeat(".a", 20000) + " }}",
		"many filters":              "{{ a" + strings.Repeat("|list", 20000) + " }}",
		"many filters in a block":   "{% filter upper" + strings.Repeat("|upper", 20000) + " %}x{% endfilter %}",
		"long number":               "{{ " + strings.Repeat("9", 20000) + " }}",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := render(source, (&Map{}).Set("u", "b"), Limits{Steps: 2e6, Bytes: 16 << 20, Output: 4 << 20, Time: 20 * time.Second})
			require.Error(t, err)
			e, ok := err.(*Error)
			require.True(t, ok, "%T", err)
			require.Contains(t, []Kind{KindLimit, KindSyntax, KindType, KindValue}, e.Kind, e.Message)
			require.Less(t, time.Since(start), 20*time.Second)
		})
	}
}

// TestLongOperators renders what is long but not deep, which must work or fail in order.
func TestLongOperators(t *testing.T) {
	for _, op := range []string{" + ", " ~ ", " * ", " ** ", " and ", " or ", " == "} {
		_, err := render("{{ 1"+strings.Repeat(op+"1", 20000)+" }}", nil, Limits{})
		if err != nil {
			require.Equal(t, KindLimit, err.(*Error).Kind, "%s: %v", op, err)
		}
	}
}

func TestContext(t *testing.T) {
	tmpl, err := Compile("t", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = tmpl.Render(ctx, &Map{}, Limits{})
	require.True(t, errors.Is(err, context.Canceled), "%v", err)
	_, err = tmpl.Render(context.Background(), &Map{}, Limits{Time: 10 * time.Millisecond})
	require.ErrorContains(t, err, "takes more than 10ms")
}

func TestErrors(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{{ b.c }}":                            `t:2:4: 'b' is undefined (in b.c)`,
		"{% set é = 'x' %}{{ é + 1 }}":            `t:1:21: can only concatenate str (not "int") to str (in é + 1)`,
		"{{ raise_exception('No.') }}":            `t:1:4: the template refuses: No. (in raise_exception('No.'))`,
		"{% if x %}":                              `t:1:11: unexpected end of the template: want elif or else or endif`,
		"{{ 'x' | nope }}":                        `t:1:10: there is no filter "nope" (in nope }})`,
		"{% for x in [1] %}{{ x() }}{% endfor %}": `t:1:22: 'int' object is not callable (in x())`,
		"{% include 'x' %}":                       `t:1:4: include: a template cannot load another one (in include 'x' %})`,
		"{% macro m() %}\n{{ none + 1 }}\n{% endmacro %}{{ m() }}": `t:2:4: unsupported operand type(s) for +: 'NoneType' and 'int' (in none + 1)`,
	} {
		_, err := render(source, nil, Limits{})
		require.EqualError(t, err, want)
	}
}

func BenchmarkMessages(b *testing.B) {
	const source = `{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>' + '\n' }}{%- endfor %}`
	tmpl, err := Compile("t", source)
	require.NoError(b, err)
	var messages []any
	for range 1000 {
		messages = append(messages, (&Map{}).Set("role", "user").Set("content", strings.Repeat("hello there ", 20)))
	}
	vars := (&Map{}).Set("messages", messages)
	for b.Loop() {
		if _, err := tmpl.Render(context.Background(), vars, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
