package jinja

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// marked shows a text with what comes from the variables in brackets.
func marked(t Text) string {
	var b strings.Builder
	for _, s := range t.Spans() {
		if s.Source == FromTemplate {
			b.WriteString(t.String()[s.From:s.To])
		} else {
			b.WriteString("⟦" + t.String()[s.From:s.To] + "⟧")
		}
	}
	return b.String()
}

// TestSources follows the bytes of variables through everything that makes strings.
func TestSources(t *testing.T) {
	vars := func() *Map {
		user := (&Map{}).Set("role", "user").Set("text", "Hi, <b>you</b> é!")
		return (&Map{}).Set("u", "a <x> b").Set("v", " uvw ").Set("l", []any{"p", "q"}).Set("m", user).Set("t", Literal("<s>")).Set("n", 7).Set("csv", "1,2,3")
	}
	for source, want := range map[string]string{
		"<x>{{ u }}</x>":                                           "<x>⟦a <x> b⟧</x>",
		"{{ '<x>' + u + '</x>' }}":                                 "<x>⟦a <x> b⟧</x>",
		"{{ '<x>' ~ u ~ n ~ t }}":                                  "<x>⟦a <x> b⟧7<s>",
		"{{ u[2:5] }}{{ u[::-1] }}":                                "⟦<x>b >x< a⟧",
		"{{ ('<' + u)[1:-1] }}":                                    "⟦a <x> ⟧",
		"{{ ('<é' + u)[0:4] }}":                                    "<é⟦a ⟧",
		"{{ ('<' + u + '>')[::-1] }}":                              ">⟦b >x< a⟧<",
		"{{ v.strip() }}|{{ v | trim }}":                           "⟦uvw⟧|⟦uvw⟧",
		"{{ ('-' + v + '-').strip('-') }}":                         "⟦ uvw ⟧",
		"{{ u.upper() }}{{ '<x>' | upper }}":                       "⟦A <X> B⟧<X>",
		"{{ ('x' + u) | title }}":                                  "X⟦a <X> B⟧",
		"{{ ('x' + u) | capitalize }}":                             "X⟦a <x> b⟧",
		"{{ l | join('<x>') }}":                                    "⟦p⟧<x>⟦q⟧",
		"{{ '<x>'.join(l) }}":                                      "⟦p⟧<x>⟦q⟧",
		"{{ l | tojson }}":                                         `["⟦p⟧", "⟦q⟧"]`,
		"{{ m | tojson }}":                                         `{"⟦role⟧": "⟦user⟧", "⟦text⟧": "⟦Hi, <b>you</b> é!⟧"}`,
		"{{ m | tojson(ensure_ascii=true) }}":                      `{"⟦role⟧": "⟦user⟧", "⟦text⟧": "⟦Hi, <b>you</b> \u00e9!⟧"}`,
		"{{ l }}{{ l | string }}":                                  `['⟦p⟧', '⟦q⟧']['⟦p⟧', '⟦q⟧']`,
		"{{ m.text.replace('you', '<x>') }}":                       "⟦Hi, <b>⟧<x>⟦</b> é!⟧",
		"{{ 'a-b' | replace('-', u) }}":                            "a⟦a <x> b⟧b",
		"{{ m.text.split('<b>')[1] }}":                             "⟦you</b> é!⟧",
		"{{ ('[' + u + ']').split(' ')[0] }}":                      "[⟦a⟧",
		"{{ csv.split(',') | last }}":                              "⟦3⟧",
		"{{ '%s <x> %d' % (u, n) }}":                               "⟦a <x> b⟧ <x> 7",
		"{{ '{} <x> {k}'.format(u, k=v) }}":                        "⟦a <x> b⟧ <x> ⟦ uvw ⟧",
		"{{ '%s:%s' | format(u, t) }}":                             "⟦a <x> b⟧:<s>",
		"{% set x %}<x>{{ u }}{% endset %}{{ x }}":                 "<x>⟦a <x> b⟧",
		"{% filter upper %}<x>{{ u }}{% endfilter %}":              "<X>⟦A <X> B⟧",
		"{% macro k(a) %}<x>{{ a }}{% endmacro %}{{ k(u) + '.' }}": "<x>⟦a <x> b⟧.",
		"{% for c in v | trim %}{{ c }}-{% endfor %}":              "⟦u⟧-⟦v⟧-⟦w⟧-",
		"{% for k, x in m.items() %}{{ k }}={{ x }} {% endfor %}":  "⟦role⟧=⟦user⟧ ⟦text⟧=⟦Hi, <b>you</b> é!⟧ ",
		"{{ u.partition(' ')[2] }}":                                "⟦<x> b⟧",
		"{{ (u + '\n<y>') | indent(2) }}":                          "⟦a <x> b⟧\n  <y>",
		"{{ u.center(11, '*') }}":                                  "**⟦a <x> b⟧**",
		"{{ u | urlencode }}":                                      "⟦a%20%3Cx%3E%20b⟧",
		"{{ {'k': t, 'l': v} | urlencode }}":                       "k=%3Cs%3E&l=⟦%20uvw%20⟧",
		"{% macro k() %}{% for a in kwargs %}{{ a }},{% endfor %}{% endmacro %}{{ k(**m) }}{{ dict(**m) }}": "⟦role⟧,⟦text⟧,{'⟦role⟧': '⟦user⟧', '⟦text⟧': '⟦Hi, <b>you</b> é!⟧'}",
		"{{ m | items | list | string }}":                               "[('⟦role⟧', '⟦user⟧'), ('⟦text⟧', '⟦Hi, <b>you</b> é!⟧')]",
		"{{ [m] | groupby('role') | map(attribute='grouper') | join }}": "⟦user⟧",
		"{{ l | unique | join }}{{ l | sort | join }}{{ l | max }}":     "⟦pqpqq⟧",
		"{{ m | dictsort | first | first }}{{ (m | list)[0] }}":         "⟦rolerole⟧",
		"{{ ('a' + u)[1:][1:] }}{{ (u + 'z')[4:][2:] }}":                "⟦ <x> bb⟧z",
		"{{ (u + '<y>' + v).split('<')[2] }}":                           "y>⟦ uvw ⟧",
		"{{ ('<x>' + u).removeprefix('<').rsplit('x', 1)[1] }}":         "⟦> b⟧",
		"{{ u | escape }}":                    "⟦a &lt;x&gt; b⟧",
		"{{ u * 2 }}{{ '<x>' * 2 }}":          "⟦a <x> ba <x> b⟧<x><x>",
		"{{ u | truncate(5, true, '…', 0) }}": "⟦a <x⟧…",
		"{{ l | map('upper') | join }}":       "⟦PQ⟧",
		"{{ u | list | join }}":               "⟦a <x> b⟧",
		"{{ u | from_json if false else ('[\"' + v + '\"]') | from_json | first }}":                             "⟦ uvw ⟧",
		"{{ u.splitlines()[0] }}{{ u | first }}":                                                                "⟦a <x> ba⟧",
		"{{ u.removeprefix('a ') }}{{ ('y' + u).zfill(10) }}":                                                   "⟦<x> b⟧00y⟦a <x> b⟧",
		"{% set ns = namespace(s='') %}{% for x in l %}{% set ns.s = ns.s + '<x>' + x %}{% endfor %}{{ ns.s }}": "<x>⟦p⟧<x>⟦q⟧",
	} {
		out, err := render(source, vars(), Limits{})
		require.NoError(t, err, source)
		require.Equal(t, want, marked(out), source)
	}
}

// TestGrowing shows that texts which share memory do not change each other.
func TestGrowing(t *testing.T) {
	a := concat(lit("ab"), &text{s: "cd", src: 1})
	b := concat(a, &text{s: "ef", src: 1})
	c := concat(a, lit("xy"))
	d := concat(b, lit("gh"))
	require.Equal(t, "ab⟦cd⟧", marked(Text{*a}))
	require.Equal(t, "ab⟦cdef⟧", marked(Text{*b}))
	require.Equal(t, "ab⟦cd⟧xy", marked(Text{*c}))
	require.Equal(t, "ab⟦cdef⟧gh", marked(Text{*d}))
	require.Equal(t, "b⟦c⟧", marked(Text{*a.slice(1, 3)}))
	require.Equal(t, "⟦d⟧", marked(Text{*a.slice(3, 4)}))
	require.Equal(t, "⟦abc⟧", marked(NewText("abc", 3)))
	require.Equal(t, "x⟦c⟧", marked(Concat(NewText("x", FromTemplate), NewText("", 2), NewText("abc", 2).Slice(2, 3))))
}
