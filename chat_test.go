package goinfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/grammar"
	"github.com/goinfer/goinfer/internal/shared"
)

// converse adds a question and returns the turn that answers it.
func converse(t *testing.T, m *goinfer.Model, q *goinfer.ChatRequest, question string) *goinfer.ChatTurn {
	t.Helper()
	q.Messages = append(q.Messages, goinfer.ChatMessage{Role: "user", Content: question})
	turn := reply(t, m, *q)
	q.Messages = append(q.Messages, turn.Message)
	q.After = turn
	return turn
}

// reply is the turn that answers a request; events and turn agree.
func reply(t *testing.T, m *goinfer.Model, q goinfer.ChatRequest) *goinfer.ChatTurn {
	t.Helper()
	var turn *goinfer.ChatTurn
	var text, thought strings.Builder
	for e, err := range m.Chat(t.Context(), q) {
		require.NoError(t, err)
		require.Nil(t, turn, "nothing comes after the end")
		switch e.Kind {
		case goinfer.ChatText:
			text.WriteString(e.Text)
		case goinfer.ChatReasoning:
			thought.WriteString(e.Text)
		case goinfer.ChatStop:
			turn = e.Turn
		}
	}
	require.NotNil(t, turn)
	require.Equal(t, thought.String(), turn.Message.Reasoning)
	require.True(t, strings.HasPrefix(turn.Message.Content, text.String()))
	require.Equal(t, len(turn.IDs), turn.Usage.Generated)
	return turn
}

func TestChat(t *testing.T) {
	m := open(t, tinyDense, goinfer.Options{})
	q := goinfer.ChatRequest{}
	turn := converse(t, m, &q, "What is the opposite of west?")
	require.Equal(t, goinfer.ChatMessage{Role: "assistant", Content: "It is east."}, turn.Message)
	require.Equal(t, goinfer.StopEOG, turn.Stop)
	require.Zero(t, turn.Kept)
	turn = converse(t, m, &q, "What is the capital of France?")
	require.Contains(t, turn.Message.Content, "Paris")
	require.Positive(t, turn.Kept)
	require.Equal(t, turn.Kept, turn.Usage.Cached)
	q.Stop, q.MaxTokens = []string{"is"}, 50
	turn = converse(t, m, &q, "What is the opposite of hot?")
	require.Equal(t, "is", turn.StopString)
	require.Equal(t, "It", strings.TrimSpace(turn.Message.Content))

	// A caller who leaves, or whose context ends, keeps what there was.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q = goinfer.ChatRequest{Messages: []goinfer.ChatMessage{{Role: "user", Content: "Please tell me a story."}}}
	said := ""
	for e, err := range m.Chat(ctx, q) {
		require.NoError(t, err)
		if said += e.Text; len(said) > 20 {
			cancel()
		}
		if turn = e.Turn; turn != nil {
			require.Equal(t, goinfer.StopCancelled, turn.Stop)
			require.Equal(t, said, turn.Message.Content)
		}
	}
	require.NotNil(t, turn)
	for range m.Chat(t.Context(), q) {
		break
	}
}

// shortTemplate writes what any vocabulary can.
const shortTemplate = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a:{% endif %}"

func templateFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "chat.jinja")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestChatTurns holds conversations of ten rounds with models of every kind of cache: a turn
// computes what is new alone, also after the state was saved, the model closed, and the state
// loaded; and it is, bit for bit, what the same tokens give in one prompt.
func TestChatTurns(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	template := templateFile(t, shortTemplate)
	for name, grid := range map[string]int{"llama-dense": 0, "gemma3": 1, "mamba2": 1, "qwen3next": 1} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name, "model.gguf")
			m := open(t, path, goinfer.Options{})
			q := goinfer.ChatRequest{Template: template, Request: goinfer.Request{MaxTokens: 12, LogProb: true, IgnoreEOG: true}}
			var before *goinfer.ChatTurn
			for i := range 10 {
				if i == 6 { // a restart
					var state bytes.Buffer
					n, err := m.SaveState(t.Context(), &state, before.Tokens())
					require.NoError(t, err)
					require.GreaterOrEqual(t, n, len(before.Prompt.IDs))
					require.NoError(t, m.Close())
					m = open(t, path, goinfer.Options{})
					ids, err := m.LoadState(t.Context(), &state)
					require.NoError(t, err)
					require.Equal(t, before.Tokens()[:n], ids)
					data, err := json.Marshal(before)
					require.NoError(t, err)
					q.After = &goinfer.ChatTurn{}
					require.NoError(t, json.Unmarshal(data, q.After))
				}
				var probs []float32
				q.Piece = func(p goinfer.Piece) {
					if p.Stop == "" {
						probs = append(probs, p.LogProb)
					}
				}
				turn := converse(t, m, &q, fmt.Sprintf("q%d?", i))
				if before != nil {
					require.GreaterOrEqual(t, turn.Kept, len(before.Prompt.IDs), "turn %d", i)
					require.Equal(t, before.Tokens()[:turn.Kept], turn.Prompt.IDs[:turn.Kept])
					known := turn.Kept
					if grid > 0 { // from the last checkpoint: the end of a prompt or answer
						known = len(before.Prompt.IDs)
					}
					require.GreaterOrEqual(t, turn.Usage.Cached, known-1, "turn %d of %s", i, name)
					if grid == 0 {
						require.Equal(t, turn.Kept, turn.Usage.Cached)
					}
					require.LessOrEqual(t, turn.Usage.Prompt-turn.Usage.Cached, turn.Usage.Prompt-len(before.Prompt.IDs)+1)
				}
				before = turn
				if i == 9 {
					fresh := open(t, path, goinfer.Options{})
					k := 0
					for p, err := range fresh.Generate(t.Context(), goinfer.Request{Tokens: turn.Prompt.IDs, MaxTokens: 12, LogProb: true, IgnoreEOG: true}) {
						require.NoError(t, err)
						if p.Stop == "" {
							require.Equal(t, turn.IDs[k], p.ID)
							require.Equal(t, probs[k], p.LogProb, "token %d", k)
							k++
						}
					}
					require.Equal(t, len(turn.IDs), k)
				}
			}
		})
	}
}

// toolTemplate writes thoughts, tools and calls.
const toolTemplate = `{% for m in messages %}<|{{ m.role }}|>
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>
{% endif %}{{ m.content }}{% for c in m.tool_calls %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|end|>
{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% if enable_thinking %}<think>
{% endif %}{% endif %}`

// compiler makes constraints of schemas.
func compiler(m *goinfer.Model) func(json.RawMessage) (goinfer.Grammar, error) {
	v := grammar.NewVocabulary(m.Tokenizer())
	return func(schema json.RawMessage) (goinfer.Grammar, error) {
		c, err := grammar.Schema(schema, grammar.Options{})
		if err != nil {
			return nil, err
		}
		return c.Grammar(v)
	}
}

var weather = []goinfer.ChatTool{
	{Name: "get_weather", Description: "Weather", Parameters: []byte(`{"type":"object","properties":{"city":{"enum":["Paris","Rome"]},"at":{"$ref":"#/$defs/hour"}},"required":["city","at"],"additionalProperties":false,"$defs":{"hour":{"type":"integer","minimum":0,"maximum":23}}}`)},
	{Name: "stop", Description: "Stops"},
}

func TestChatConstraints(t *testing.T) {
	m := open(t, tinyDense, goinfer.Options{})
	ask := goinfer.ChatRequest{Template: templateFile(t, toolTemplate), Messages: []goinfer.ChatMessage{{Role: "user", Content: "What is the weather?"}}, Request: goinfer.Request{MaxTokens: 120}}

	q := ask
	q.Think, q.ReasoningBudget = "on", 7
	turn := reply(t, m, q)
	require.NotEmpty(t, turn.Message.Reasoning)
	require.LessOrEqual(t, len(m.Tokenizer().Encode(nil, turn.Message.Reasoning, false, false)), 7)
	require.LessOrEqual(t, turn.Reasoning, 7+len(m.Tokenizer().Encode(nil, "</think>\n\n", false, false)))
	require.NotContains(t, turn.Message.Content, "think>")

	q.ReasoningBudget = -1
	turn = reply(t, m, q)
	require.Empty(t, turn.Message.Reasoning)

	// A constraint begins after the thoughts.
	q.ReasoningBudget = 5
	var err error
	q.Sampling.Grammar, err = compiler(m)([]byte(`{"type":"object","properties":{"a":{"enum":["x","y"]}},"required":["a"],"additionalProperties":false}`))
	require.NoError(t, err)
	turn = reply(t, m, q)
	require.NotEmpty(t, turn.Message.Reasoning)
	require.Contains(t, []string{`{"a":"x"}`, `{"a":"y"}`}, strings.ReplaceAll(turn.Message.Content, " ", ""))
	q.Think = "off"
	turn = reply(t, m, q)
	require.Empty(t, turn.Message.Reasoning)
	require.True(t, json.Valid([]byte(turn.Message.Content)), turn.Message.Content)

	for _, choice := range []string{"required", "get_weather", "stop"} {
		for _, budget := range []int{0, 5} {
			q = ask
			q.Tools, q.ToolChoice, q.Schema, q.ReasoningBudget = weather, choice, compiler(m), budget
			if budget > 0 {
				q.Think = "on"
			}
			q.EOG = nil
			turn = reply(t, m, q)
			require.NotEmpty(t, turn.Message.ToolCalls, "%s %+v", choice, turn)
			c := turn.Message.ToolCalls[0]
			if choice != "required" {
				require.Equal(t, choice, c.Name)
			}
			var args struct {
				City string
				At   *int
			}
			require.NoError(t, json.Unmarshal([]byte(c.Arguments), &args))
			if c.Name == "get_weather" {
				require.Contains(t, []string{"Paris", "Rome"}, args.City)
				require.Less(t, *args.At, 24)
			}
		}
	}
}

func TestChatRefusals(t *testing.T) {
	m := open(t, tinyDense, goinfer.Options{})
	tools := templateFile(t, toolTemplate)
	user := []goinfer.ChatMessage{{Role: "user", Content: "x"}}
	g, err := compiler(m)([]byte(`{"type":"string"}`))
	require.NoError(t, err)
	for want, q := range map[string]goinfer.ChatRequest{
		"Messages: want at least one, found none":                          {},
		"Prompt: want none beside Messages, found one":                     {Messages: user, Request: goinfer.Request{Prompt: "x"}},
		`content of the type "image_url" is not supported: want text`:      {Messages: []goinfer.ChatMessage{{Role: "user", Parts: []chat.Part{{Type: "image_url"}}}}},
		`content of the type "input_audio" is not supported: want text`:    {Messages: []goinfer.ChatMessage{{Role: "user", Parts: []chat.Part{{Type: "text", Text: "x"}, {Type: "input_audio"}}}}},
		`there is no template "nope"`:                                      {Messages: user, Template: "nope"},
		"the template leaves the tools out":                                {Messages: user, Tools: weather},
		"the template has no variable to switch thinking on":               {Messages: user, Think: "on"},
		`Think: want on, off, low, medium, high, found "much"`:             {Messages: user, Think: "much"},
		`Variables: want names that the template reads: add_generation_pr`: {Messages: user, Variables: map[string]any{"x": 1}},
		"a budget for thoughts: the template knows no thoughts":            {Messages: user, ReasoningBudget: 5},
		"Schema: want a compiler of JSON Schemas":                          {Messages: user, Template: tools, Tools: weather, ToolChoice: "required"},
		`Choice: want auto, none, required or the name of a tool, found`:   {Messages: user, Template: tools, Tools: weather, ToolChoice: "none_such", Schema: compiler(m)},
		"Answer: want none where a tool must be called, found one":         {Messages: user, Template: tools, Tools: weather, ToolChoice: "required", Request: goinfer.Request{Sampling: goinfer.Sampling{Grammar: g}}},
	} {
		_, err := m.ChatPrompt(t.Context(), q)
		require.ErrorContains(t, err, want)
		require.True(t, slices.ContainsFunc([]error{goinfer.ErrInvalid, goinfer.ErrUnsupported, goinfer.ErrFormat}, func(k error) bool {
			return strings.Contains(want, "nope") || strings.Contains(want, "leaves") || errors.Is(err, k)
		}), "%v", err)
	}
}

// TestChatSpaces: what is kept and what is new are one text, also in vocabularies that put a space
// in front of texts, where the template has no control tokens between messages.
func TestChatSpaces(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	for _, path := range []string{tinyDense, filepath.Join(dir, "llama-dense", "model.gguf"), filepath.Join(dir, "qwen2", "model.gguf")} {
		m := open(t, path, goinfer.Options{})
		q := goinfer.ChatRequest{Template: templateFile(t, shortTemplate), Request: goinfer.Request{MaxTokens: 9}}
		for i := range 5 {
			turn := converse(t, m, &q, fmt.Sprintf("Is %d more?", i))
			fresh := q
			fresh.Messages, fresh.After = q.Messages[:len(q.Messages)-1], nil
			p, err := m.ChatPrompt(t.Context(), fresh)
			require.NoError(t, err)
			require.Equal(t, m.Tokenizer().Decode(p.IDs, true), m.Tokenizer().Decode(turn.Prompt.IDs, true), path)
		}
		require.Positive(t, q.After.Kept)
	}
}
