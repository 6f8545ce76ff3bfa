package grammar

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/sample"
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

// randomModel writes random tokens that the constraint allows.
type randomModel struct {
	t      *testing.T
	rng    *rand.Rand
	tokens *fewTokens
	v      *Vocabulary
	most   int
}

func (m *randomModel) GenerateConstrained(_ context.Context, c *Constraint) (string, error) {
	g, err := c.Grammar(m.v)
	if err != nil {
		return "", err
	}
	at, mask := g.NewMatcher(), sample.NewBitset(m.tokens.Size())
	var b strings.Builder
	for step := 0; !at.Done() || step < 5; step++ {
		if step > m.most {
			return b.String(), nil
		}
		at.Mask(mask)
		if mask.Count() == 0 {
			break
		}
		id := choose(m.tokens, mask, m.rng, step)
		require.NoError(m.t, at.Accept(id))
		b.WriteString(m.tokens.texts[id])
	}
	return b.String(), nil
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

// TestGenerate has random tokens make structs: each is valid, or there is an error.
func TestGenerate(t *testing.T) {
	tokens := newFewTokens()
	m := &randomModel{t, rand.New(rand.NewPCG(8, 9)), tokens, NewVocabulary(tokens), 500}
	for range 30 {
		w, err := Generate[weather](context.Background(), m, Options{})
		require.NoError(t, err)
		require.LessOrEqual(t, int(w.Hours[0]), 127)
	}
	m.most = 3
	_, err := Generate[weather](context.Background(), m, Options{})
	require.ErrorContains(t, err, "whole JSON value")
	_, err = Generate[weather](context.Background(), failing{}, Options{})
	require.ErrorIs(t, err, errFailing)
}

var errFailing = errors.New("no model")

type failing struct{}

func (failing) GenerateConstrained(context.Context, *Constraint) (string, error) {
	return "", errFailing
}
