package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/source"
)

const personSchema = `{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 1}}, "required": ["name"], "additionalProperties": false}`

func TestGrammarCheck(t *testing.T) {
	dir := t.TempDir()
	schema, answer, bad := filepath.Join(dir, "s.json"), filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	require.NoError(t, os.WriteFile(schema, []byte(personSchema), 0o644))
	require.NoError(t, os.WriteFile(answer, []byte("{\"name\": \"Ada\"}\n"), 0o644))
	require.NoError(t, os.WriteFile(bad, []byte(`{"name": "Ada", "age": 0}`), 0o644))

	require.Equal(t, answer+": accepted, 15 bytes\n", ok(t, command(t, "", "grammar", "check", "--schema", schema, answer)))
	require.Equal(t, "standard input: accepted, 15 bytes\n", ok(t, command(t, `{"name": "Ada"}`, "grammar", "check", "-j", personSchema, "-")))
	require.Contains(t, ok(t, command(t, "", "grammar", "check", "--schema", schema, "--vocab", "tiny-dense", answer)), "accepted, 15 bytes, ")
	require.Equal(t, "[1, null]: accepted, 9 bytes\n", ok(t, command(t, "", "grammar", "check", "--format", "json", "[1, null]")))
	require.Equal(t, "[[]]: accepted, 4 bytes\n", ok(t, command(t, "", "grammar", "check", "--grammar", `root ::= "[" root? "]"`, "[[]]")))
	require.Equal(t, "[ab]: accepted, 4 bytes\n", ok(t, command(t, "", "grammar", "check", "--regex", `\[[a-z]+\]`, "[ab]")))

	r := command(t, "", "grammar", "check", "--schema", schema, answer, bad, `{"name"`)
	require.Equal(t, exitFault, r.code)
	require.Contains(t, r.out, bad+`: not accepted: byte 23, "0}" after `)
	require.Contains(t, r.out, "it is not complete at its end, byte 7")
	require.Contains(t, r.err, "2 of 3 texts not accepted")
	r = command(t, "", "grammar", "check", "--schema", schema, "--vocab", "tiny-dense", bad)
	require.Contains(t, r.out, "not accepted: byte 23, token ")
	require.Contains(t, r.out, "there might be ")
}

func TestGrammarFaults(t *testing.T) {
	for want, args := range map[string][]string{
		"want a constraint":                        {"[]"},
		"want an INSTANCE":                         {"-j", "{}"},
		"want one constraint":                      {"-j", "{}", "--regex", "a", "[]"},
		"--format: want json or a schema":          {"--format", "yaml", "[]"},
		"--json-whitespace: want none or flexible": {"-j", "{}", "--json-whitespace", "some", "[]"},
	} {
		wrong(t, command(t, "", append([]string{"grammar", "check"}, args...)...), want)
	}
	for want, args := range map[string][]string{
		"--json-schema: /items/unevaluatedItems: it is not supported": {"-j", `{"items": {"$schema": "https://json-schema.org/draft/2020-12/schema", "unevaluatedItems": false}}`, "[]"},
		"--grammar: line 1: rule a is not defined":                    {"--grammar", "root ::= a", "[]"},
		"no such file": {"--json-schema-file", "none.json", "[]"},
	} {
		r := command(t, "", append([]string{"grammar", "check"}, args...)...)
		require.Equal(t, exitFault, r.code)
		require.Contains(t, r.err, want)
	}
	r := command(t, "", "grammar", "check", "-j", `{"type": "array", "colour": "red", "items": {"format": "paint"}}`, "[]")
	require.Equal(t, exitOK, r.code)
	require.Contains(t, r.err, "these say nothing about the output: colour, format paint")
}

func TestGrammarBench(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cases.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(`{"name": "a", "schema": {"type": "integer"}, "tests": [{"valid": true, "data": 1}, {"valid": false, "data": "x"}]}
{"name": "b", "schema": {"uniqueItems": true, "items": {"type": "string"}}, "tests": []}
`), 0o644))
	var s map[string]any
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "grammar", "bench", "--vocab", "tiny-dense", "--json", file))), &s))
	for key, want := range map[string]float64{"schemas": 2, "compiled": 1, "passing": 1, "invalid_accepted": 0, "valid_rejected": 0} {
		require.InDelta(t, want, s[key], 0, key)
	}
	for _, key := range []string{"mask_us_mean", "mask_us_p99", "compile_us_p50", "compile_us_p99", "trie_pass_us"} {
		require.Positive(t, s[key], key)
	}
	require.Equal(t, map[string]any{"uniqueItems": 1.0}, s["refused"])
	text := ok(t, command(t, "", "grammar", "bench", "--vocab", "tiny-dense", "--faults", file))
	require.Contains(t, text, "2, of which 1 compiled and 1 passing")
	require.Contains(t, text, "refused  b: ")
}

// TestConstraintFlags binds what the flags ask for to a vocabulary.
func TestConstraintFlags(t *testing.T) {
	v, err := goinfer.OpenTokenizer(t.Context(), source.Bytes("tiny-dense", embedded.Model("tiny-dense")))
	require.NoError(t, err)
	var f constraintFlags
	cmd := &cobra.Command{}
	f.add(cmd.Flags())
	g, err := f.grammar(cmd, v)
	require.NoError(t, err)
	require.Nil(t, g)
	require.NoError(t, cmd.Flags().Parse([]string{"--regex", "ab?"}))
	g, err = f.grammar(cmd, v)
	require.NoError(t, err)
	m := g.NewMatcher()
	for _, id := range v.Encode(nil, "a", false, false) {
		if len(v.Bytes(id)) == 1 && v.Bytes(id)[0] == 'a' {
			require.NoError(t, m.Accept(id))
			require.True(t, m.Done())
		}
	}
	require.NoError(t, cmd.Flags().Set("grammar", `root ::= <none>`))
	_, err = f.grammar(cmd, v)
	require.ErrorContains(t, err, "want one constraint")
}
