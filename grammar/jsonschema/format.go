package jsonschema

import (
	"fmt"
	"strings"
	"sync"

	"github.com/goinfer/goinfer/grammar/regex"
)

// format returns the strings of a format; known is false for a name that is none.
func (c *compiler) format(name string, d draft) (l *regex.Language, known bool, err error) {
	name = strings.ToLower(name)
	if name == "host-name" || name == "ip-address" || name == "color" {
		return nil, false, nil // of draft 3
	}
	if why, ok := refusedFormats[name]; ok {
		return nil, true, fmt.Errorf("%s %s", shorten(name), why)
	}
	if l, ok := c.formats[name]; ok {
		return l, true, nil
	}
	make, ok := formats[name]
	if !ok {
		return nil, false, nil
	}
	l = make(c)
	c.formats[name] = l
	return l, true, nil
}

// refusedFormats are formats that no finite automaton of reasonable size keeps.
var refusedFormats = map[string]string{
	"regex":        "is not supported: no finite automaton knows regular expressions",
	"idn-hostname": "is not supported",
	"idn-email":    "is not supported",
}

// Grammars of RFC 3339, 3986, 3987, 4291, 5321, 6570 and 6901 as regular expressions. They are
// written from parts, which stand in braces with a name; see assemble.
var parts = map[string]string{
	"month31": `(?:0[13578]|1[02])`,
	"date": `(?:\d{4}-(?:{month31}-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))` +
		`|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`,
	"offset": `(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)`,
	"clock":  `(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?`,

	"octet": `(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`,
	"ipv4":  `(?:{octet}\.){3}{octet}`,
	"h16":   `[0-9a-fA-F]{1,4}`,
	"ls32":  `(?:{h16}:{h16}|{ipv4})`,
	"ipv6": `(?:(?:{h16}:){6}{ls32}|::(?:{h16}:){5}{ls32}|(?:{h16})?::(?:{h16}:){4}{ls32}|(?:(?:{h16}:){0,1}{h16})?::(?:{h16}:){3}{ls32}` +
		`|(?:(?:{h16}:){0,2}{h16})?::(?:{h16}:){2}{ls32}|(?:(?:{h16}:){0,3}{h16})?::{h16}:{ls32}|(?:(?:{h16}:){0,4}{h16})?::{ls32}` +
		`|(?:(?:{h16}:){0,5}{h16})?::{h16}|(?:(?:{h16}:){0,6}{h16})?::)`,

	"label":    `[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?`,
	"hostname": `(?={label}(?:\.{label})*$).{1,253}`,

	"atext":  `[a-zA-Z0-9!#$%&'*+/=?^_` + "`" + `{|}~-]`,
	"quoted": `"(?:[ !#-\[\]-~]|\\[ -~])*"`,
	"email":  `(?=.{1,64}@[^@]*$)(?=.{3,254}$)(?:{atext}+(?:\.{atext}+)*|{quoted})@(?:{label}(?:\.{label})*|\[(?:{ipv4}|IPv6:{ipv6})\])`,

	"pct":       `%[0-9a-fA-F]{2}`,
	"unres":     `a-zA-Z0-9._~\-`,
	"sub":       `!$&'()*+,;=`,
	"ucs":       `\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\u{10000}-\u{1fffd}\u{20000}-\u{2fffd}\u{30000}-\u{3fffd}\u{40000}-\u{4fffd}\u{50000}-\u{5fffd}\u{60000}-\u{6fffd}\u{70000}-\u{7fffd}\u{80000}-\u{8fffd}\u{90000}-\u{9fffd}\u{a0000}-\u{afffd}\u{b0000}-\u{bfffd}\u{c0000}-\u{cfffd}\u{d0000}-\u{dfffd}\u{e1000}-\u{efffd}`,
	"private":   `\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}`,
	"scheme":    `[a-zA-Z][a-zA-Z0-9+.-]*`,
	"iplit":     `\[(?:{ipv6}|[vV][0-9a-fA-F]+\.[{unres}{sub}:]+)\]`,
	"pchar":     `(?:[{unres}{sub}:@{more}]|{pct})`,
	"segnc":     `(?:[{unres}{sub}@{more}]|{pct})+`,
	"authority": `(?:(?:[{unres}{sub}:{more}]|{pct})*@)?(?:{iplit}|(?:[{unres}{sub}{more}]|{pct})*)(?::\d*)?`,
	"tail":      `(?:\?(?:{pchar}|[/?{query}])*)?(?:#(?:{pchar}|[/?])*)?`,
	"absolute":  `{scheme}:(?://{authority}(?:/{pchar}*)*|/(?:{pchar}+(?:/{pchar}*)*)?|{pchar}+(?:/{pchar}*)*|){tail}`,
	"relative":  `(?://{authority}(?:/{pchar}*)*|/(?:{pchar}+(?:/{pchar}*)*)?|{segnc}(?:/{pchar}*)*|){tail}`,

	"varchar": `(?:[a-zA-Z0-9_]|{pct})`,
	"varspec": `{varchar}(?:\.?{varchar})*(?::[1-9]\d{0,3}|\*)?`,
	"expr":    `\{[+#./;?&=,!@|]?{varspec}(?:,{varspec})*\}`,
	"literal": `(?:[\u0021\u0023\u0024\u0026-\u003b\u003d\u003f-\u005b\u005d\u005f\u0061-\u007a\u007e{ucs}{private}]|{pct})`,

	"duration": `P(?!$)(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)?(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)`,
	"pointer":  `(?:/(?:[^/~]|~[01])*)*`,
}

// assemble replaces the names in braces. more is the set of further characters in an IRI.
func assemble(src string, iri bool) string {
	for {
		before := src
		for name, text := range parts {
			src = strings.ReplaceAll(src, "{"+name+"}", text)
		}
		extra, query := "", ""
		if iri {
			extra, query = parts["ucs"], parts["private"]
		}
		src = strings.ReplaceAll(strings.ReplaceAll(src, "{more}", extra), "{query}", query)
		if src == before {
			return src
		}
	}
}

var (
	formatMu       sync.Mutex
	formatPatterns = map[string]*regex.Pattern{}
)

// expression makes a format of a regular expression for the whole string.
func expression(src string, iri bool) func(*compiler) *regex.Language {
	return func(c *compiler) *regex.Language {
		formatMu.Lock()
		defer formatMu.Unlock()
		key := fmt.Sprint(src, iri)
		p := formatPatterns[key]
		if p == nil {
			var err error
			if p, err = regex.ParseECMA(`^(?:` + assemble(src, iri) + `)$`); err != nil {
				panic("jsonschema: a built-in format: " + err.Error())
			}
			p = regex.Search(p)
			formatPatterns[key] = p
		}
		return c.space.Pattern(p)
	}
}

var formats = map[string]func(*compiler) *regex.Language{
	"date":                  expression(`{date}`, false),
	"time":                  expression(leap(`{clock}{offset}`), false),
	"date-time":             expression(`{date}[tT]`+leap(`{clock}{offset}`), false),
	"duration":              expression(`{duration}`, false),
	"email":                 expression(`{email}`, false),
	"hostname":              expression(`{hostname}`, false),
	"ipv4":                  expression(`{ipv4}`, false),
	"ipv6":                  expression(`{ipv6}`, false),
	"uri":                   expression(`{absolute}`, false),
	"uri-reference":         expression(`(?:{absolute}|{relative})`, false),
	"iri":                   expression(`{absolute}`, true),
	"iri-reference":         expression(`(?:{absolute}|{relative})`, true),
	"uri-template":          expression(`(?:{literal}|{expr})*`, false),
	"uuid":                  expression(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`, false),
	"json-pointer":          expression(`{pointer}`, false),
	"relative-json-pointer": expression(`(?:0|[1-9]\d*)(?:#|{pointer})`, false),
}

// leap adds leap seconds to a time: the minute that they end is 23:59 in UTC.
func leap(usual string) string {
	var b strings.Builder
	b.WriteString("(?:" + usual + "|(?:")
	for hour := range 24 {
		if hour > 0 {
			b.WriteString("|")
		}
		fmt.Fprintf(&b, "%02d:(?:", hour)
		for minute := range 60 {
			if minute > 0 {
				b.WriteString("|")
			}
			lead := (60*hour + minute + 1) % 1440 // local time is as much lead of 23:59
			behind := (1440 - lead) % 1440
			fmt.Fprintf(&b, `%02d:60(?:\.\d+)?(?:\+%02d:%02d|-%02d:%02d`, minute, lead/60, lead%60, behind/60, behind%60)
			if lead == 0 {
				b.WriteString("|[zZ]")
			}
			b.WriteString(")")
		}
		b.WriteString(")")
	}
	b.WriteString("))")
	return b.String()
}
