package goinfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/chat/jinja"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/model"
)

// The types of package chat that callers of [Model.Chat] meet.
type (
	// ChatMessage is one message of a conversation; its fields are documented at [chat.Message].
	ChatMessage = chat.Message
	// ChatTool is a function that the model may call; see [chat.Tool].
	ChatTool = chat.Tool
	// ChatCall is a call of a tool; see [chat.ToolCall].
	ChatCall = chat.ToolCall
	// ChatEventKind says what a ChatEvent is.
	ChatEventKind = chat.EventKind
)

// The kinds of events.
const (
	ChatText      = chat.EventText      // a piece of the answer
	ChatReasoning = chat.EventReasoning // a piece of the thoughts before it
	ChatCallBegin = chat.EventCallBegin // a call of a tool begins: Call, ID and Name
	ChatCallArgs  = chat.EventCallArgs  // a piece of its arguments
	ChatCallEnd   = chat.EventCallEnd   // it ends; Text says what is wrong with it, if anything is
	ChatNote      = chat.EventNote      // what a user may want to know
	ChatStop      = chat.EventStop      // the last event: Turn
)

// ChatRequest is a conversation and how it goes on. Messages are wanted; the zero value of every
// other field works.
type ChatRequest struct {
	// Request says how the answer is generated: Sampling, MaxTokens, Stop, Hook and the rest. Its
	// Prompt and Tokens are made here. A Sampling.Grammar begins after the thoughts.
	Request

	Messages []ChatMessage
	Tools    []ChatTool
	// ToolChoice is what must be called: "" or "auto" for what the model likes, "none", "required"
	// for any tool, or the name of one.
	ToolChoice string
	// StrictTools has the arguments of every call satisfy the parameters of its tool.
	StrictTools bool
	// Schema compiles a JSON Schema to a constraint, which ToolChoice and StrictTools want: such as
	// by package grammar.
	Schema func(schema json.RawMessage) (Grammar, error)

	// After is the turn before, if Messages go on from it: the tokens that were read and generated
	// are kept as far as the template writes the same, and need not be computed again.
	After *ChatTurn

	// Template is the name of a built-in template, of a variant in the model, or the path of a
	// file; empty for the model's own.
	Template string
	// Variables are further variables of the template, as JSON or Go values. Names that the
	// template does not read are an error.
	Variables map[string]any
	// Think is on, off, low, medium or high, for templates that know such; empty for their default.
	Think string
	// ReasoningBudget closes the thoughts after so many tokens; 0 means never, less than 0 that
	// nothing is thought.
	ReasoningBudget int
	// AllowControl has messages spell control tokens, which are plain text otherwise.
	AllowControl bool

	// Piece, if set, is shown every piece that is generated, before its events.
	Piece func(Piece)
}

// ChatEvent is a piece of an answer.
type ChatEvent struct {
	chat.Event
	Turn *ChatTurn // in the last event
}

// ChatTurn is an answer, and what it took.
type ChatTurn struct {
	Message    ChatMessage  // the answer as a message: to be appended to Messages
	Notes      []string     // what a user may want to know
	Stop       Stop         // why it ended
	StopString string       // the one of Request.Stop that appeared
	Usage      Usage        // what it took
	Reasoning  int          // tokens of Usage.Generated that were thoughts, marks included
	Prompt     *chat.Prompt // the conversation as the model read it
	Kept       int          // tokens of Prompt that are those of the conversation so far
	IDs        []int32      // what was generated
}

// Tokens returns the prompt and what was generated, which is what [Model.SaveState] wants.
func (t *ChatTurn) Tokens() []int32 { return slices.Concat(t.Prompt.IDs, t.IDs) }

// ChatTemplate returns the template that a ChatRequest with that Template uses, with tools or
// without. Those of the model and the built-in ones are compiled once; a file is read each time.
func (m *Model) ChatTemplate(choice string, tools bool) (*chat.Template, error) {
	if m.vocab == nil {
		return nil, m.named(fmt.Errorf("the file has no vocabulary, which a chat wants: %w", fault.ErrUnsupported))
	}
	type key struct {
		choice string
		tools  bool
	}
	if t, ok := m.templates.Load(key{choice, tools}); ok {
		return t.(*chat.Template), nil
	}
	meta := model.GGUF(m.file)
	src, err := chat.FindFor(func(name string) (string, bool) {
		text, ok, err := meta.Text(name)
		return text, ok && err == nil
	}, m.vocab, choice, tools)
	if err != nil {
		if errors.Is(err, chat.ErrNoTemplate) {
			err = fault.Of(fault.ErrUnsupported, err)
		}
		return nil, m.named(err)
	}
	t, err := chat.New(src, m.vocab)
	if err != nil {
		return nil, m.named(fault.Of(fault.ErrFormat, err))
	}
	if choice == "" || src.Builtin { // a file may change
		m.templates.Store(key{choice, tools}, t)
	}
	return t, nil
}

// Chat continues a conversation by the model's chat template and yields events as they come: the
// answer, the thoughts before it, calls of tools. The last is a ChatStop, whose Turn has all of it.
// Cancelling ctx ends the answer with such an event, too; an error is yielded once and ends the
// sequence.
//
// What messages spell never becomes a control token. A template that refuses the conversation, or
// would leave a message out, is an error.
func (m *Model) Chat(ctx context.Context, q ChatRequest) iter.Seq2[ChatEvent, error] {
	return func(yield func(ChatEvent, error) bool) {
		c, err := m.newAnswer(ctx, &q)
		if err != nil {
			yield(ChatEvent{}, err)
			return
		}
		for p, err := range m.Generate(ctx, c.request) {
			if err != nil {
				yield(ChatEvent{}, err)
				return
			}
			if q.Piece != nil {
				q.Piece(p)
			}
			if !c.take(p, yield) {
				return
			}
		}
	}
}

// ChatPrompt returns the prompt that Chat would evaluate.
func (m *Model) ChatPrompt(ctx context.Context, q ChatRequest) (*chat.Prompt, error) {
	c, err := m.newAnswer(ctx, &q)
	if err != nil {
		return nil, err
	}
	return c.turn.Prompt, nil
}

// answer is an answer under way.
type answer struct {
	request Request
	parser  *chat.Parser
	turn    *ChatTurn
	text    strings.Builder
	thought strings.Builder
	calls   []call
	musing  bool // the last event was a thought
}

// call is a call that is being made.
type call struct {
	ChatCall
	args strings.Builder
	bad  bool
}

// newAnswer makes the prompt of a conversation and the request for its answer.
func (m *Model) newAnswer(ctx context.Context, q *ChatRequest) (*answer, error) {
	if q.Prompt != "" || q.Tokens != nil {
		return nil, m.named(fault.Argument("Prompt", "none beside Messages", "one"))
	}
	tools := q.Tools
	if q.ToolChoice == "none" {
		tools = nil
	}
	t, err := m.ChatTemplate(q.Template, len(tools) > 0)
	if err != nil {
		return nil, err
	}
	in := chat.Input{Messages: q.Messages, Tools: tools, AllowControl: q.AllowControl}
	if in.Variables, err = variables(t, q); err != nil {
		return nil, m.named(err)
	}
	p, err := t.Prompt(ctx, in)
	if err != nil {
		return nil, m.named(err)
	}
	a := &answer{request: q.Request, turn: &ChatTurn{Prompt: p, Notes: slices.Clone(p.Notes)}}
	if q.After != nil && q.After.Prompt != nil {
		a.turn.Kept = t.Follow(p, q.After.Prompt, q.After.IDs)
	}
	a.parser = t.NewParser(p)
	a.request.Tokens, a.request.Special = p.IDs, true
	a.request.EOG = append(slices.Clone(q.EOG), t.Ends()...)
	a.request.Sampling.Grammar, err = t.Constrain(p, chat.Constraint{
		Budget: q.ReasoningBudget, Answer: q.Sampling.Grammar, Choice: q.ToolChoice, Strict: q.StrictTools, Schema: q.Schema,
	})
	if err != nil {
		return nil, m.named(err)
	}
	return a, nil
}

// variables are those of the request: what thinking takes, and the caller's.
func variables(t *chat.Template, q *ChatRequest) (*jinja.Map, error) {
	v := &jinja.Map{}
	if q.Think != "" {
		var err error
		if v, err = t.Think(q.Think); err != nil {
			return nil, err
		}
	}
	for name, value := range q.Variables {
		if !t.Reads(name) {
			return nil, fault.Argument("Variables", "names that the template reads: "+strings.Join(slices.Sorted(slices.Values(t.Variables())), ", "), fmt.Sprintf("%q", name))
		}
		v.Set(name, value)
	}
	return v, nil
}

// take handles a piece. It returns false when nothing more is wanted.
func (a *answer) take(p Piece, yield func(ChatEvent, error) bool) bool {
	if p.Kind != KindStop {
		a.turn.IDs = append(a.turn.IDs, p.ID)
		if !a.pass(a.parser.Write(p.Bytes), yield) {
			return false
		}
		if a.musing {
			a.turn.Reasoning++
		}
		return true
	}
	if !a.pass(a.parser.Write(p.Bytes), yield) || !a.pass(a.parser.Close(), yield) {
		return false
	}
	t := a.turn
	t.Stop, t.StopString, t.Usage = p.Stop, p.StopString, p.Usage
	t.Message = a.message()
	return yield(ChatEvent{Event: chat.Event{Kind: ChatStop}, Turn: t}, nil)
}

// pass collects events and hands them on.
func (a *answer) pass(events []chat.Event, yield func(ChatEvent, error) bool) bool {
	for _, e := range events {
		switch e.Kind {
		case ChatText:
			a.text.WriteString(e.Text)
		case ChatReasoning:
			a.thought.WriteString(e.Text)
		case ChatCallBegin:
			a.calls = append(a.calls, call{ChatCall: ChatCall{ID: e.ID, Name: e.Name}})
		case ChatCallArgs:
			a.calls[e.Call].args.WriteString(e.Text)
		case ChatCallEnd:
			a.calls[e.Call].bad = e.Text != ""
		case ChatNote:
			a.turn.Notes = append(a.turn.Notes, e.Text)
		}
		a.musing = e.Kind == ChatReasoning
		if !yield(ChatEvent{Event: e}, nil) {
			return false
		}
	}
	return true
}

// message is the answer as a message. Calls that are malformed are a part of its text.
func (a *answer) message() ChatMessage {
	m := ChatMessage{Role: "assistant", Reasoning: a.thought.String()}
	for i := range a.calls {
		c := &a.calls[i]
		c.Arguments = c.args.String()
		if c.bad || !json.Valid([]byte(c.Arguments)) {
			fmt.Fprintf(&a.text, "\n%s(%s", c.Name, c.Arguments)
			continue
		}
		m.ToolCalls = append(m.ToolCalls, c.ChatCall)
	}
	m.Content = a.text.String()
	return m
}
