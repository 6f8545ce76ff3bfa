package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// Message is a message of a conversation, by the names that Ollama's templates have for its parts.
type Message struct {
	Role      string // system, user, assistant or tool
	Content   string
	Thinking  string
	ToolName  string // of a tool's answer
	ToolCalls []ToolCall
}

// ToolCall is a call of a tool by the model.
type ToolCall struct{ Function ToolFunction }

// ToolFunction is the function that is called.
type ToolFunction struct {
	Index     int
	Name      string
	Arguments Arguments
}

// Arguments are written by templates as JSON.
type Arguments map[string]any

// String implements fmt.Stringer.
func (a Arguments) String() string { return jsonText(map[string]any(a)) }

// Tools are the tools of a request, as JSON objects; templates write them as JSON.
type Tools []Tool

// String implements fmt.Stringer.
func (t Tools) String() string { return jsonText([]Tool(t)) }

// Tool is one of them, by the names that templates have for its parts.
type Tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  map[string]any `json:"parameters"`
	} `json:"function"`
}

// String implements fmt.Stringer.
func (t Tool) String() string { return jsonText(t) }

func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const (
	maxTemplate = 1 << 20
	maxRendered = 64 << 20
)

// OllamaTemplate is a chat template in the language of text/template, as Ollama keeps them. See
// https://docs.ollama.com/template.
type OllamaTemplate struct {
	code     *template.Template
	messages bool // it writes all messages itself
}

// CompileTemplate reads a template. One that calls a function which is not known here is an error
// that names it.
func CompileTemplate(text string) (*OllamaTemplate, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("a template of %d bytes: want at most %d", len(text), maxTemplate)
	}
	code, err := template.New("Ollama's template").Option("missingkey=zero").Funcs(template.FuncMap{
		"json": jsonText, "currentDate": func(...string) string { return time.Now().Format(time.DateOnly) },
	}).Parse(text)
	if err != nil {
		return nil, err
	}
	t := &OllamaTemplate{code: code}
	fields := map[string]bool{}
	for _, c := range code.Templates() {
		if c.Tree != nil && c.Root != nil {
			collectFields(c.Root, fields, 0)
		}
	}
	t.messages = fields["Messages"]
	for name := range fields {
		if !known[name] {
			return nil, fmt.Errorf("the template asks for %q, which is not known here", "."+name)
		}
	}
	return t, nil
}

// known are the variables of templates.
var known = map[string]bool{"System": true, "Prompt": true, "Response": true, "Suffix": true, "Messages": true, "Tools": true, "Think": true, "ThinkLevel": true, "IsThinkSet": true,
	"Role": true, "Content": true, "Thinking": true, "ToolCalls": true, "ToolName": true, "ToolCallID": true, "Function": true, "Name": true, "Arguments": true, "Index": true,
	"Description": true, "Parameters": true, "Type": true, "Properties": true, "Required": true, "Enum": true, "Items": true, "Images": true}

// collectFields lists the first names of all fields that a template asks for.
func collectFields(n parse.Node, to map[string]bool, depth int) {
	if depth > 1000 {
		return
	}
	list := func(nodes ...*parse.ListNode) {
		for _, l := range nodes {
			if l == nil {
				continue
			}
			for _, c := range l.Nodes {
				collectFields(c, to, depth+1)
			}
		}
	}
	pipe := func(p *parse.PipeNode) {
		if p == nil {
			return
		}
		for _, c := range p.Cmds {
			for _, a := range c.Args {
				collectFields(a, to, depth+1)
			}
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		list(n)
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.PipeNode:
		pipe(n)
	case *parse.FieldNode:
		to[n.Ident[0]] = true
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			to[n.Ident[1]] = true
		}
	case *parse.ChainNode:
		collectFields(n.Node, to, depth+1)
	case *parse.IfNode:
		pipe(n.Pipe)
		list(n.List, n.ElseList)
	case *parse.RangeNode:
		pipe(n.Pipe)
		list(n.List, n.ElseList)
	case *parse.WithNode:
		pipe(n.Pipe)
		list(n.List, n.ElseList)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	}
}

// marker stands for the answer, at which a prompt ends. No text of a message can hold it, as it is
// no UTF-8.
const marker = "\xff\x00the answer\x00\xff"

// Render writes the prompt of a conversation, up to where the model's answer begins. A template
// that writes all messages is given them; of an older one, which knows a system text, a prompt and
// a response, each turn is written by itself.
func (t *OllamaTemplate) Render(messages []Message, tools Tools, think bool) (string, error) {
	var system []string
	for _, m := range messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
	}
	values := map[string]any{"Tools": tools, "Think": think, "IsThinkSet": think, "ThinkLevel": "", "Suffix": ""}
	if t.messages {
		values["Messages"], values["System"], values["Response"] = messages, strings.Join(system, "\n\n"), ""
		return t.execute(values)
	}
	var b strings.Builder
	turn := func(system, prompt, response string) error {
		values["System"], values["Prompt"], values["Response"] = system, prompt, response
		text, err := t.execute(values)
		if err == nil {
			b.WriteString(text)
		}
		return err
	}
	var sys, prompt string
	for _, m := range messages {
		switch m.Role {
		case "system":
			sys = m.Content
		case "user":
			prompt = m.Content
		case "assistant":
			if err := turn(sys, prompt, m.Content); err != nil {
				return "", err
			}
			sys, prompt = "", ""
		default:
			return "", fmt.Errorf("the template has no place for messages of the role %.40q", m.Role)
		}
	}
	if err := turn(sys, prompt, marker); err != nil {
		return "", err
	}
	text, _, _ := strings.Cut(b.String(), marker)
	return text, nil
}

// execute runs the template. What it writes is bounded.
func (t *OllamaTemplate) execute(values map[string]any) (string, error) {
	w := &bounded{most: maxRendered}
	err := t.code.Execute(w, values)
	return w.String(), err
}

// bounded is a text of a bounded length.
type bounded struct {
	bytes.Buffer
	most int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, errors.New("the template writes without an end")
	}
	return b.Buffer.Write(p)
}
