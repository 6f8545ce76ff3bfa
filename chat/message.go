package chat

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/goinfer/goinfer/chat/jinja"
	"github.com/goinfer/goinfer/internal/fault"
)

// A Message is one turn of a conversation.
type Message struct {
	Role       string     // "system", "user", "assistant", "tool", or what else the template knows
	Content    string     // its text
	Parts      []Part     // its text in parts, instead of Content
	Reasoning  string     // what an assistant thought before Content
	ToolCalls  []ToolCall // what an assistant called
	ToolCallID string     // of a tool's result: the call it answers
	Name       string     // of a tool's result: the tool
}

// A Part is a part of a message's content. Only parts of the type "text" are supported.
type Part struct {
	Type string
	Text string
}

// A ToolCall is a call of a function.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // a JSON object
}

// A Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON Schema of an object; nil means no parameters
}

// Input is what a prompt is made of.
type Input struct {
	Messages     []Message
	Tools        []Tool
	NoGeneration bool       // do not begin the assistant's turn
	Variables    *jinja.Map // further variables of the template; they go before those made here
	AllowControl bool       // what messages spell may become control tokens
	Now          time.Time  // what the template takes for the time; default the clock
}

// Text returns the message's text: its content, or its parts one after the other.
func (m *Message) Text() string {
	if m.Parts == nil {
		return m.Content
	}
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// An UnsupportedError says that a message holds what cannot be given to the model.
type UnsupportedError struct {
	Message int    // its number, from 0
	What    string // such as "image_url"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("message %d: content of the type %q is not supported: want text", e.Message, e.What)
}

// Unwrap makes it an error of what is not supported.
func (e *UnsupportedError) Unwrap() error { return fault.ErrUnsupported }

// The sources of bytes in a rendering. Each message has stride of its own.
const (
	fromTools  jinja.Source = 1
	fromFirst  jinja.Source = 2 // the content of message 0
	sourcesPer              = 3

	ofContent   = 0
	ofReasoning = 1
	ofCalls     = 2
)

func sourceOf(message, what int) jinja.Source {
	return fromFirst + jinja.Source(message*sourcesPer+what)
}

// check reports what in the messages cannot be given to any template.
func (in *Input) check() error {
	if len(in.Messages) == 0 {
		return fault.Argument("Messages", "at least one", "none")
	}
	for i := range in.Messages {
		m := &in.Messages[i]
		if !isRole(m.Role) {
			return fault.Argument(fmt.Sprintf("Messages[%d].Role", i), "a word of letters, digits, - and _", fmt.Sprintf("%.40q", m.Role))
		}
		if m.Parts != nil && m.Content != "" {
			return fault.Argument(fmt.Sprintf("Messages[%d]", i), "one of Content and Parts", "both")
		}
		for _, p := range m.Parts {
			if p.Type != "text" {
				return &UnsupportedError{i, p.Type}
			}
		}
		for _, c := range m.ToolCalls {
			if _, err := c.arguments(); err != nil {
				return fault.Of(fault.ErrInvalid, fmt.Errorf("message %d: the arguments of the call of %q: %w", i, c.Name, err))
			}
		}
	}
	for i, t := range in.Tools {
		if t.Name == "" {
			return fault.Argument(fmt.Sprintf("Tools[%d].Name", i), "a name", "none")
		}
		if t.Parameters != nil {
			if _, err := jinja.ParseJSON(t.Parameters); err != nil {
				return fault.Of(fault.ErrInvalid, fmt.Errorf("the parameters of the tool %q: %w", t.Name, err))
			}
		}
	}
	return nil
}

// roles are those that templates build control tokens of: they count as the template's own text.
// Any other role is text from outside, which can be no part of a control token.
var roles = map[string]bool{
	"system": true, "user": true, "assistant": true, "tool": true, "developer": true, "function": true, "model": true,
	"ipython": true, "observation": true, "environment": true, "context": true, "document": true, "documents": true,
	"tool_response": true, "tool_results": true, "tool_call": true, "human": true, "gpt": true, "bot": true,
}

// isRole reports whether a role is a plain word.
func isRole(s string) bool {
	for i, r := range s {
		letter := r|0x20 >= 'a' && r|0x20 <= 'z' && r < 0x80
		if !letter && (i == 0 || !strings.ContainsRune("0123456789_-", r)) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// arguments reads the arguments of a call; empty ones are an empty object.
func (c *ToolCall) arguments() (*jinja.Map, error) {
	if strings.TrimSpace(c.Arguments) == "" {
		return &jinja.Map{}, nil
	}
	v, err := jinja.ParseJSON([]byte(c.Arguments))
	if err != nil {
		return nil, err
	}
	m, ok := v.(*jinja.Map)
	if !ok {
		return nil, fmt.Errorf("want a JSON object, found %.40q", c.Arguments)
	}
	return m, nil
}

func (in *Input) now() time.Time {
	if in.Now.IsZero() {
		return time.Now()
	}
	return in.Now
}
