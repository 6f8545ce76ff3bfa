package grammar

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
)

type weather struct {
	City    string            `json:"city" jsonschema:"where"`
	Degrees float64           `json:"degrees"`
	Rain    bool              `json:"rain"`
	Hours   [2]int8           `json:"hours"`
	Notes   []string          `json:"notes,omitempty"`
	Wind    *struct{ N uint } `json:"wind,omitempty"`
	Tags    map[string]int    `json:"tags,omitempty"`
	Any     any               `json:"any,omitempty"`
	At      time.Time         `json:"at,omitzero"`
}

func TestTyped(t *testing.T) {
	typed, err := For[weather](Options{})
	require.NoError(t, err)
	for text, want := range map[string]string{
		`{"city": "Oslo", "degrees": -1.5, "rain": true, "hours": [1, 2]}`:   "",
		`{"city": "Oslo", "degrees": -1.5, "rain": true, "hours": [1, 200]}`: "hours",
		`{"city": "Oslo"`: "whole JSON value",
		`{"city": 1}`:     "city",
	} {
		w, err := typed.Parse(text)
		_, complete := typed.Constraint().Check(text)
		if want == "" {
			require.NoError(t, err)
			require.True(t, complete)
			require.Equal(t, "Oslo", w.City)
		} else {
			require.ErrorContains(t, err, want)
			require.False(t, complete)
		}
	}
	for _, text := range []string{`{"city": "x", "degrees": 1, "rain": true, "hours": [1.0, 2]}`, `{"rain": true, "city": "x", "degrees": 1, "hours": [1, 2]}`} {
		_, complete := typed.Constraint().Check(text)
		require.False(t, complete, "Go does not read it, or it is in another order: %s", text)
	}
	require.True(t, json.Valid(typed.JSONSchema()))

	type loop struct{ Next *loop }
	_, err = For[loop](Options{})
	require.ErrorContains(t, err, "loop")
	_, err = For[chan int](Options{})
	require.Error(t, err)
}

// TestInto has a random model make structs: each is valid, or there is an error that says why not.
func TestInto(t *testing.T) {
	m, err := goinfer.Open("../testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 256})
	require.NoError(t, err)
	defer m.Close()
	type forecast struct {
		Rain  bool    `json:"rain"`
		Hours [2]int8 `json:"hours"`
	}
	for seed := range uint64(20) {
		q := goinfer.Request{Tokens: []int32{20, 30, 41}, Sampling: goinfer.DefaultSampling()}
		q.Sampling.Seed = seed
		_, err := Into[forecast](t.Context(), m, q, Options{})
		require.NoError(t, err)
		q.MaxTokens = 3
		_, err = Into[forecast](t.Context(), m, q, Options{})
		require.ErrorContains(t, err, "the value is not complete, ended by length after 3 tokens")
	}
	_, err = Into[forecast](t.Context(), m, goinfer.Request{Tokens: []int32{999}}, Options{})
	require.ErrorIs(t, err, goinfer.ErrInvalid)
}
