package chat

import (
	"context"
	"fmt"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
	"github.com/goinfer/goinfer/tokenizer"
)

// A Template is the chat template of a model with its vocabulary. It does not change; any number of
// goroutines may use it.
type Template struct {
	source    Source
	code      *jinja.Template
	vocab     *tokenizer.Tokenizer
	style     style
	think     thinking
	calls     *callFormat // nil if the template shows no calls
	answer    pattern     // what the template writes before an answer, inside of the turn
	answerEnd string      // and after it
	skips     []pattern   // headers of messages inside of an answer, which are dropped
	writes    string      // all that the template can write, to know its markup
	prefixes  bool        // the vocabulary puts a space in front of texts
	ends      []int32     // what ends a turn and is no end of generation in the vocabulary
}

// A Prompt is a conversation as the model reads it.
type Prompt struct {
	Text  jinja.Text // the rendering; its sources are internal
	IDs   []int32
	Notes []string // what the template left out that is not an error, such as earlier thoughts
	tail  string   // what the template writes after the last message
	tools []Tool
	allow bool // messages may spell control tokens

	anchors []anchor // where ids may be kept, in order
}

// A DroppedError says that the template wrote nothing of a message, or of the tools.
type DroppedError struct {
	Template string
	Message  int    // its number, from 0; -1 for the tools
	Role     string // of the message
	What     string // "text", "calls" or "tools"
}

func (e *DroppedError) Error() string {
	if e.Message < 0 {
		return fmt.Sprintf("%s: the template leaves the tools out: the model does not know tools", e.Template)
	}
	return fmt.Sprintf("%s: the template leaves out the %s of message %d (%s)", e.Template, e.What, e.Message, e.Role)
}

// New compiles a template for a vocabulary, and finds out by renderings what it wants and how it
// writes thoughts and calls.
func New(src Source, vocab *tokenizer.Tokenizer) (*Template, error) {
	code, err := jinja.Compile(src.Name, src.Text)
	if err != nil {
		return nil, err
	}
	t := &Template{source: src, code: code, vocab: vocab, writes: strings.Join(code.Literals(), "\n")}
	t.prefixes = strings.HasPrefix(t.spell(vocab.Encode(nil, "a", false, false)), " ")
	t.probe()
	t.learnEnds()
	return t, nil
}

// Source returns where the template is from, and its text.
func (t *Template) Source() Source { return t.source }

// Reads reports whether the template reads a variable of that name.
func (t *Template) Reads(name string) bool { return t.code.Reads(name) }

// Variables returns the names of the variables that the template reads, in no order.
func (t *Template) Variables() []string { return t.code.Variables() }

// Render returns the template's text for a conversation.
func (t *Template) Render(ctx context.Context, in Input) (jinja.Text, error) {
	if err := in.check(); err != nil {
		return jinja.Text{}, err
	}
	text, err := t.render(ctx, &in, t.style)
	if err != nil {
		return jinja.Text{}, err
	}
	return text, nil
}

func (t *Template) render(ctx context.Context, in *Input, s style) (jinja.Text, error) {
	return t.code.Render(ctx, t.variables(in, s), jinja.Limits{Now: in.Now})
}

// Ends returns the tokens that end an answer although the vocabulary does not list them as ends of
// generation: the template writes them after answers.
func (t *Template) Ends() []int32 { return t.ends }

// Prompt renders and tokenizes a conversation.
func (t *Template) Prompt(ctx context.Context, in Input) (*Prompt, error) {
	text, err := t.Render(ctx, in)
	if err != nil {
		return nil, err
	}
	p := &Prompt{Text: text, tools: in.Tools, allow: in.AllowControl}
	seen := map[jinja.Source]bool{}
	end := 0
	for _, s := range text.Spans() {
		seen[s.Source] = true
		if s.Source != jinja.FromTemplate {
			end = s.To
		}
	}
	p.tail = text.String()[end:]
	if err := t.dropped(&in, seen, p); err != nil {
		return nil, err
	}
	p.IDs = t.begin(t.Encode(nil, t.fromBOS(text), in.AllowControl))
	return p, nil
}

// dropped fails if something of the input is not in the rendering.
func (t *Template) dropped(in *Input, seen map[jinja.Source]bool, p *Prompt) error {
	for i := range in.Messages {
		m := &in.Messages[i]
		calls := len(m.ToolCalls) > 0
		switch {
		case strings.TrimSpace(m.Text()) == "" || seen[sourceOf(i, ofContent)]:
		case calls:
			p.Notes = append(p.Notes, fmt.Sprintf("the template leaves out what message %d says before its calls", i))
		default:
			return &DroppedError{t.code.Name(), i, m.Role, "text"}
		}
		if calls && !seen[sourceOf(i, ofCalls)] {
			return &DroppedError{t.code.Name(), i, m.Role, "calls"}
		}
		if m.Reasoning != "" && !seen[sourceOf(i, ofReasoning)] {
			p.Notes = append(p.Notes, fmt.Sprintf("the template leaves out the thoughts of message %d", i))
		}
	}
	if len(in.Tools) > 0 && !seen[fromTools] {
		return &DroppedError{t.code.Name(), -1, "", "tools"}
	}
	return nil
}

// Encode appends the ids of a rendering, or of a part of it. Control tokens are made of the
// template's text alone, unless allow is set.
func (t *Template) Encode(dst []int32, text jinja.Text, allow bool) []int32 {
	s := text.String()
	if allow {
		return t.vocab.Encode(dst, s, false, true)
	}
	var parts []tokenizer.Part
	for _, span := range text.Spans() {
		trusted := span.Source == jinja.FromTemplate
		if k := len(parts) - 1; k >= 0 && parts[k].Trusted == trusted {
			parts[k].Text = s[span.From-len(parts[k].Text) : span.To]
			continue
		}
		parts = append(parts, tokenizer.Part{Text: s[span.From:span.To], Trusted: trusted})
	}
	return t.vocab.EncodeParts(dst, parts, t.isMarkup)
}

// isMarkup reports whether a user-defined token is markup that a message must not spell: one that
// looks like a control token, or like a tag that the template writes. Others, such as runs of
// spaces or the tags of HTML, are text.
func (t *Template) isMarkup(id int32) bool {
	s := t.vocab.Spelling(id)
	for _, b := range [...][2]string{{"<|", "|>"}, {"<｜", "｜>"}, {"<|", ">"}, {"<", "|>"}, {"<", ">"}, {"[", "]"}} {
		if strings.HasPrefix(s, b[0]) && strings.HasSuffix(s, b[1]) && len(s) > len(b[0])+len(b[1]) {
			return b[0] != "<" && b[0] != "[" || b[1] == "|>" || strings.Contains(t.writes, s)
		}
	}
	return false
}

// fromBOS drops white space that a template writes before it writes BOS, which then begins the
// text.
func (t *Template) fromBOS(text jinja.Text) jinja.Text {
	bos := t.vocab.Spelling(t.vocab.BOS())
	s := text.String()
	trimmed := strings.TrimLeft(s, " \t\r\n")
	at := len(s) - len(trimmed)
	if bos == "" || at == 0 || !strings.HasPrefix(trimmed, bos) || text.Spans()[0].Source != jinja.FromTemplate || text.Spans()[0].To < at+len(bos) {
		return text
	}
	return text.Slice(at, len(s))
}

// begin makes BOS neither doubled nor missing.
func (t *Template) begin(ids []int32) []int32 {
	bos := t.vocab.BOS()
	if bos < 0 {
		return ids
	}
	for len(ids) > 1 && ids[0] == bos && ids[1] == bos {
		ids = ids[1:]
	}
	if t.vocab.AddsBOS() && (len(ids) == 0 || ids[0] != bos) {
		ids = append([]int32{bos}, ids...)
	}
	return ids
}
