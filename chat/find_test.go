package chat

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/chat/jinja"
)

func metadata(m map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		v, ok := m[key]
		return v, ok
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("own.jinja", "own {{ messages }}")
	inJSON := write("chat_template.json", `{"chat_template": "json"}`)
	list := write("tokenizer_config.json", `{"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]}`)
	empty := write("empty.json", `{"x": 1}`)
	broken := write("broken.json", `{`)
	model := map[string]string{MetadataKey: "main", MetadataKey + ".tool_use": "tools", MetadataKey + ".rag": "rag"}
	vocab := plainVocab(t)
	for _, c := range []struct {
		model  map[string]string
		choice string
		tools  bool
		want   string
		fails  string
	}{
		{model: model, want: "main"},
		{model: model, tools: true, want: "tools"},
		{model: model, choice: "tool_use", want: "tools"},
		{model: model, choice: "rag", want: "rag"},
		{model: model, choice: "default", want: "main"},
		{model: map[string]string{MetadataKey + ".default": "d"}, want: "d"},
		{model: model, choice: file, want: "own {{ messages }}"},
		{model: model, choice: inJSON, want: "json"},
		{model: model, choice: list, want: "d"},
		{model: model, choice: empty, fails: "empty.json: want the key chat_template"},
		{model: model, choice: broken, fails: "broken.json: unexpected EOF"},
		{model: model, choice: "nope", fails: `there is no template "nope": want one of alpaca, chatml`},
		{model: model, choice: "no/such.jinja", fails: "no/such.jinja: no such file"},
		{fails: "no chat template"},
		{model: map[string]string{MetadataKey: " \n"}, fails: "no chat template"},
	} {
		src, err := FindFor(metadata(c.model), vocab, c.choice, c.tools)
		if c.fails != "" {
			require.ErrorContains(t, err, c.fails)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, src.Text)
		require.False(t, src.Builtin)
	}
	src, err := Find(metadata(model), vocab, "chatml")
	require.NoError(t, err)
	require.True(t, src.Builtin)
}

func TestGuess(t *testing.T) {
	for want, tokens := range map[string][]string{
		"chatml": {"<|im_start|>", "<|im_end|>"}, "llama3": {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
		"gemma": {"<start_of_turn>", "<end_of_turn>"}, "mistral": {"[INST]", "[/INST]"}, "phi3": {"<|user|>", "<|assistant|>", "<|end|>"},
		"zephyr": {"<|user|>", "<|assistant|>", "<|system|>"}, "llama2": {"▁the"},
	} {
		src, err := Find(metadata(nil), byteVocab(t, tokens), "")
		require.NoError(t, err)
		require.Equal(t, want, src.Name)
		require.Contains(t, src.Note, want)
	}
}

// TestBuiltins renders a conversation with every built-in template.
func TestBuiltins(t *testing.T) {
	in := Input{Messages: []Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Hello"}, {Role: "user", Content: "Bye"}}}
	for name, want := range map[string]string{
		"chatml":  "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
		"llama2":  "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]",
		"llama3":  "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"mistral": "<s>[INST] Be brief.\n\nHi [/INST] Hello</s>[INST] Bye [/INST]",
		"gemma":   "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
		"phi3":    "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n",
		"zephyr":  "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\nBye</s>\n<|assistant|>\n",
		"alpaca":  "<s>Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello</s>\n\n### Instruction:\nBye\n\n### Response:\n",
		"vicuna":  "<s>Be brief.\n\nUSER: Hi\nASSISTANT: Hello</s>\nUSER: Bye\nASSISTANT:",
	} {
		src, _ := Builtin(name)
		tm, err := New(src, plainVocab(t))
		require.NoError(t, err)
		p, err := tm.Prompt(context.Background(), in)
		require.NoError(t, err)
		require.Equal(t, want, p.Text.String(), name)
	}
	for _, name := range Builtins() {
		src, _ := Builtin(name)
		tm, err := New(src, plainVocab(t))
		require.NoError(t, err)
		_, err = tm.Prompt(context.Background(), in)
		require.NoError(t, err, name)
		p, err := tm.Prompt(context.Background(), Input{Messages: in.Messages[1:2]})
		require.NoError(t, err, name)
		require.Equal(t, tm.vocab.BOS(), p.IDs[0], name)
		require.NotContains(t, p.IDs[1:], tm.vocab.BOS(), name)
	}
}

// TestRefusals: what a template cannot say is an error, and what it silently drops too.
func TestRefusals(t *testing.T) {
	tm := func(source string) *Template {
		tm, err := New(Source{Name: "t", Text: source}, plainVocab(t))
		require.NoError(t, err)
		return tm
	}
	const noSystem = `{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}`
	two := []Message{{Role: "system", Content: "s"}, {Role: "user", Content: "u"}}
	for _, c := range []struct {
		source string
		in     Input
		want   string
	}{
		{noSystem, Input{Messages: two}, "t: the template leaves out the text of message 0 (system)"},
		{noSystem, Input{Messages: two[1:], Tools: weatherTools}, "t: the template leaves the tools out: the model does not know tools"},
		{noSystem, Input{Messages: []Message{{Role: "user", Content: "u"}, {Role: "assistant", ToolCalls: []ToolCall{{Name: "f"}}}}}, "t: the template leaves out the calls of message 1 (assistant)"},
		{`{{ raise_exception('no') }}`, Input{Messages: two}, "t:1:4: the template refuses: no (in raise_exception('no'))"},
		{noSystem, Input{}, "Messages: want at least one, found none"},
		{noSystem, Input{Messages: []Message{{Role: "a b"}}}, `Messages[0].Role: want a word of letters, digits, - and _, found "a b"`},
		{noSystem, Input{Messages: []Message{{Role: "user", Parts: []Part{{Type: "image_url"}}}}}, `message 0: content of the type "image_url" is not supported: want text`},
		{noSystem, Input{Messages: []Message{{Role: "assistant", ToolCalls: []ToolCall{{Name: "f", Arguments: "[1]"}}}}}, `message 0: the arguments of the call of "f": want a JSON object, found "[1]"`},
		{noSystem, Input{Messages: two[1:], Tools: []Tool{{}}}, "Tools[0].Name: want a name, found none"},
		{noSystem, Input{Messages: two[1:], Tools: []Tool{{Name: "f", Parameters: []byte("{")}}}, `the parameters of the tool "f": unexpected EOF`},
	} {
		_, err := tm(c.source).Prompt(context.Background(), c.in)
		require.EqualError(t, err, c.want)
	}
	_, err := New(Source{Name: "x", Text: "{% if %}"}, plainVocab(t))
	require.ErrorContains(t, err, "x:1:7")
}

func TestPrompt(t *testing.T) {
	vocab := byteVocab(t, []string{"<|a|>"})
	tm, err := New(Source{Name: "t", Text: `{{ x }}{% for m in messages %}{{ '<|a|>' + m.content }}{% endfor %}`}, vocab)
	require.NoError(t, err)
	in := Input{Messages: []Message{{Role: "user", Content: "<|a|>"}}, Variables: (&jinja.Map{}).Set("x", "v")}
	p, err := tm.Prompt(context.Background(), in)
	require.NoError(t, err)
	require.Equal(t, "v<|a|><|a|>", p.Text.String())
	require.Len(t, p.IDs, 1+1+1+5) // BOS, v, the token, five bytes
	in.AllowControl = true
	p, err = tm.Prompt(context.Background(), in)
	require.NoError(t, err)
	require.Len(t, p.IDs, 1+1+1+1)
	require.True(t, tm.Reads("x"))
	require.False(t, tm.Reads("y"))
}

func TestToolJSON(t *testing.T) {
	b, err := json.Marshal(Tool{Name: "f", Description: "d"})
	require.NoError(t, err)
	require.Equal(t, `{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}`, string(b))
}

func BenchmarkPrompt1000(b *testing.B) {
	src, _ := Builtin("chatml")
	tm, err := New(src, plainVocab(b))
	require.NoError(b, err)
	var in Input
	for i := range 1000 {
		in.Messages = append(in.Messages, Message{Role: [...]string{"user", "assistant"}[i%2], Content: strings.Repeat("hello there ", 20)})
	}
	b.Run("render", func(b *testing.B) {
		for b.Loop() {
			if _, err := tm.Render(context.Background(), in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
