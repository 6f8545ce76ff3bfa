package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"strings"
)

// Page is a document. Its fields are plain texts.
type Page struct {
	Title string
	Lead  string // a sentence under the title
	Foot  string // at the end: where the figures come from, or the command that made the page
	// Unnumbered leaves numbers out of the table of contents, for titles that have their own.
	Unnumbered bool

	sections []section
}

type section struct {
	ID, Title string
	Blocks    []template.HTML
}

// New begins a page.
func New(title, lead string) *Page { return &Page{Title: title, Lead: lead} }

// Section begins a section with a heading, which appears in the table of contents too.
func (p *Page) Section(title string, blocks ...template.HTML) {
	p.sections = append(p.sections, section{ID: fmt.Sprintf("s%d", len(p.sections)+1), Title: title})
	p.Add(blocks...)
}

// Add puts blocks at the end of the last section, or before the first.
func (p *Page) Add(blocks ...template.HTML) {
	if len(p.sections) == 0 {
		p.sections = append(p.sections, section{})
	}
	last := &p.sections[len(p.sections)-1]
	last.Blocks = append(last.Blocks, blocks...)
}

var (
	//go:embed frame.html
	frameText string
	//go:embed style.css
	style string

	frame = template.Must(template.New("frame").Parse(frameText))
)

// contentsFrom is the number of headed sections from which a page has a table of contents.
const contentsFrom = 4

// Render writes the document.
func (p *Page) Render(w io.Writer) error {
	var headed []section
	for _, s := range p.sections {
		if s.Title != "" {
			headed = append(headed, s)
		}
	}
	if len(headed) < contentsFrom {
		headed = nil
	}
	var b bytes.Buffer
	err := frame.Execute(&b, struct {
		*Page
		Style              template.CSS
		Contents, Sections []section
	}{p, template.CSS(style), headed, p.sections})
	if err != nil {
		return fmt.Errorf("%q: %w", p.Title, err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// Text is a paragraph.
func Text(format string, args ...any) template.HTML {
	return template.HTML("<p>" + escape(fmt.Sprintf(format, args...)) + "</p>\n")
}

// Code is a text in lines of their own, such as a command.
func Code(text string) template.HTML {
	return template.HTML(`<pre tabindex="0"><code>` + escape(text) + "</code></pre>\n")
}

// Mood is the colour of a [Badge].
type Mood string

// The moods.
const (
	Good    Mood = "good"
	Fair    Mood = "fair"
	Bad     Mood = "bad"
	Neutral Mood = "neutral"
)

// Badge is a verdict in a few words, for a cell of a table or a line of text.
func Badge(m Mood, text string) template.HTML {
	return template.HTML(`<span class="badge ` + escape(string(m)) + `">` + escape(text) + "</span>")
}

// Details hides blocks after a line that opens them.
func Details(summary string, blocks ...template.HTML) template.HTML {
	return template.HTML("<details><summary>" + escape(summary) + "</summary>\n" + concat(blocks) + "</details>\n")
}

// Columns puts blocks side by side where there is room.
func Columns(blocks ...template.HTML) template.HTML {
	var b strings.Builder
	b.WriteString(`<div class="columns">`)
	for _, block := range blocks {
		b.WriteString("<div>" + string(block) + "</div>\n")
	}
	b.WriteString("</div>\n")
	return template.HTML(b.String())
}

// identifier is what an element or a variable of a style may be called here.
var identifier = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Data embeds v as JSON in an element of that id, for a script to read:
// JSON.parse(document.getElementById(id).textContent). Nothing in v can end the element.
func Data(id string, v any) (template.HTML, error) {
	if !identifier.MatchString(id) {
		return "", fmt.Errorf("want small letters, digits and dashes as an id, found %q", id)
	}
	text, err := json.Marshal(v) // writes <, > and & as \u003c, \u003e and \u0026
	if err != nil {
		return "", fmt.Errorf("data %q: %w", id, err)
	}
	return template.HTML(`<script type="application/json" id="` + id + `">` + string(text) + "</script>\n"), nil
}

// Script embeds a program. Each runs in a scope of its own.
func Script(program template.JS) template.HTML {
	return template.HTML("<script>(() => {\n\"use strict\";\n" + string(program) + "\n})();</script>\n")
}

// CSS embeds rules for the blocks of a page, which may use the variables of the common style:
// --paper, --card, --ink, --quiet, --line, --faint, --link, --good, --fair, --bad, and --s0 to --s7
// for series.
func CSS(rules template.CSS) template.HTML {
	return template.HTML("<style>" + string(rules) + "</style>\n")
}

// Fill runs a template with data, and escapes by where the data goes.
func Fill(t *template.Template, data any) (template.HTML, error) {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil
}

func concat(blocks []template.HTML) string {
	var b strings.Builder
	for _, block := range blocks {
		b.WriteString(string(block))
	}
	return b.String()
}

func escape(s string) string { return template.HTMLEscapeString(s) }

//go:embed script.js
var library string

// Program is a [Script] that begins with what pages have in common: script.js.
func Program(program template.JS) template.HTML {
	return Script(template.JS(library) + program)
}
