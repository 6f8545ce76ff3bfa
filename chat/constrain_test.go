package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/grammar"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tokenizer"
)

var marks = regexp.MustCompile(`<｜[^<>]{1,40}｜>|<\|[a-zA-Z_]{1,40}\|>|\[/?[A-Z_]{2,}\]|</?tool_calls?>|</?think>`)

// markedVocab is a vocabulary of bytes, with the marks of a template as control tokens.
func markedVocab(t *testing.T, source string) *tokenizer.Tokenizer {
	c := tokenizer.NewConfig(tokenizer.ModelSPM)
	add := func(s string, typ int32) {
		if !slices.Contains(c.Tokens, s) {
			c.Tokens, c.Types = append(c.Tokens, s), append(c.Types, typ)
		}
	}
	add("<unk>", tokenizer.TypeUnknown)
	for _, s := range append([]string{"<s>", "</s>"}, marks.FindAllString(source, -1)...) {
		add(s, tokenizer.TypeControl)
	}
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), tokenizer.TypeByte)
	}
	add("▁", tokenizer.TypeNormal)
	c.Scores = make([]float32, len(c.Tokens))
	no := false
	c.AddSpacePrefix = &no
	v, err := tokenizer.New(c)
	require.NoError(t, err)
	return v
}

// spelled is the text of a token.
func spelled(v *tokenizer.Tokenizer, id int32) string {
	if v.IsControl(id) {
		return v.Spelling(id)
	}
	return string(v.Bytes(id))
}

// wander generates at random what a grammar allows, and ends as soon as it may.
func wander(t *testing.T, v *tokenizer.Tokenizer, g sample.Grammar, rng *rand.Rand) string {
	m := g.NewMatcher()
	allowed := sample.NewBitset(v.Size())
	var b strings.Builder
	for range 3000 {
		if m.Done() {
			return b.String()
		}
		m.Mask(allowed)
		var ids []int32
		for id := range int32(v.Size()) {
			if allowed.Has(id) && !v.IsEOG(id) {
				ids = append(ids, id)
			}
		}
		require.NotEmpty(t, ids, "%q", b.String())
		id := ids[rng.IntN(len(ids))]
		clone := m.Clone()
		require.NoError(t, clone.Accept(id))
		m = clone
		b.WriteString(spelled(v, id))
	}
	t.Fatalf("no end: %q", b.String())
	return ""
}

var constrained = []chat.Tool{
	{Name: "get_weather", Description: "w", Parameters: []byte(`{"type":"object","properties":{"city":{"$ref":"#/$defs/c"},"days":{"type":"integer","minimum":0,"maximum":9}},"required":["city","days"],"additionalProperties":false,"$defs":{"c":{"enum":["Paris","a}\"{b"]}}}`)},
	{Name: "stop", Description: "s"},
}

// TestConstrain has calls of every template generated at random under the constraint, and reads
// them.
func TestConstrain(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "conformance", "templates", "*.jinja"))
	require.NoError(t, err)
	worked, refused := 0, 0
	for i, file := range files {
		if testing.Short() && i%3 > 0 {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		name := filepath.Base(file)
		v := markedVocab(t, string(source))
		tm, err := chat.New(chat.Source{Name: name, Text: string(source)}, v)
		require.NoError(t, err)
		p, err := tm.Prompt(context.Background(), chat.Input{Messages: []chat.Message{{Role: "user", Content: "x"}}, Tools: constrained})
		if err != nil {
			continue
		}
		vocabulary := grammar.NewVocabulary(v)
		compile := func(schema json.RawMessage) (sample.Grammar, error) {
			c, err := grammar.Schema(schema, grammar.Options{})
			if err != nil {
				return nil, err
			}
			return c.Grammar(vocabulary)
		}
		for _, choice := range []string{"required", "get_weather", "stop"} {
			g, err := tm.Constrain(p, chat.Constraint{Budget: -1, Choice: choice, Schema: compile})
			if err != nil {
				require.True(t, errors.Is(err, fault.ErrUnsupported), "%s: %v", name, err)
				refused++
				break
			}
			text := wander(t, v, g, rand.New(rand.NewPCG(uint64(i), 1)))
			parser := tm.NewParser(p)
			var calls []chat.ToolCall
			for _, e := range append(slices.Clone(parser.Write([]byte(text))), parser.Close()...) {
				switch e.Kind {
				case chat.EventCallBegin:
					calls = append(calls, chat.ToolCall{Name: e.Name})
				case chat.EventCallArgs:
					calls[e.Call].Arguments += e.Text
				case chat.EventCallEnd:
					require.Empty(t, e.Text, "%s: %q", name, text)
				}
			}
			require.NotEmpty(t, calls, "%s: %q", name, text)
			for _, c := range calls {
				require.True(t, c.Name == choice || choice == "required", "%s: %q", name, text)
				var args struct{ City, Days any }
				require.NoError(t, json.Unmarshal([]byte(c.Arguments), &args), "%s: %q", name, text)
				if c.Name == "get_weather" {
					require.Contains(t, []any{"Paris", `a}"{b`}, args.City)
					require.NotNil(t, args.Days)
				}
			}
			worked++
		}
	}
	t.Logf("%d calls are constrained, %d templates are refused", worked, refused)
	require.Greater(t, worked, 30)
}
