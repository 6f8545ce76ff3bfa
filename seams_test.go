package goinfer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
)

// lookup is a proposer that a program might write: it guesses that what followed the last two
// tokens before follows them again (prompt lookup). Every so often it is made to be wrong.
type lookup struct {
	wrong   int // every wrong-th guess is replaced
	guesses int
}

func (l *lookup) Propose(dst []int32, tokens []int32, n int) []int32 {
	for at := len(tokens) - 3; at >= 0; at-- {
		if !slices.Equal(tokens[at:at+2], tokens[len(tokens)-2:]) {
			continue
		}
		for _, id := range tokens[at+2 : min(at+2+n, len(tokens))] {
			if l.guesses++; l.wrong > 0 && l.guesses%l.wrong == 0 {
				id = (id + 1) % 300
			}
			dst = append(dst, id)
		}
		return dst
	}
	return dst
}

// answer is everything that a request yields but times.
func answer(t *testing.T, m *goinfer.Model, q goinfer.Request) (pieces []string, last goinfer.Piece) {
	for p, err := range m.Generate(t.Context(), q) {
		require.NoError(t, err)
		if last = p; p.Kind != goinfer.KindStop {
			pieces = append(pieces, fmt.Sprint(p.ID, p.Kind, p.Text(), p.IDs, p.LogProb, p.Top))
		}
	}
	return append(pieces, fmt.Sprint(last.Stop, last.ID, last.StopString, last.Text(), last.IDs)), last
}

// samplings are chains that depend on what came before in every way.
func samplings() map[string]goinfer.Sampling {
	s := map[string]goinfer.Sampling{"greedy": {}, "defaults": goinfer.DefaultSampling()}
	add := func(name string, change func(*goinfer.Sampling)) {
		p := goinfer.DefaultSampling()
		p.Seed, p.Temperature = 7, 0.6
		change(&p)
		s[name] = p
	}
	add("penalties", func(p *goinfer.Sampling) { p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.3, 0.2, 0.1 })
	add("dry", func(p *goinfer.Sampling) { p.DRYMultiplier = 0.9 })
	add("xtc", func(p *goinfer.Sampling) { p.XTCProbability, p.XTCThreshold = 0.5, 0.05 })
	add("mirostat 1", func(p *goinfer.Sampling) { p.Mirostat, p.MirostatTau = 1, 2 })
	add("mirostat 2", func(p *goinfer.Sampling) { p.Mirostat, p.MirostatTau = 2, 2 })
	add("bias", func(p *goinfer.Sampling) { p.LogitBias = map[int32]float32{5: 2, 6: -3} })
	return s
}

// TestProposer: guesses that are verified together change nothing but the number of passes,
// whatever chooses tokens and whatever ends the text.
func TestProposer(t *testing.T) {
	m := open(t, "testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 256})
	prompt := slices.Repeat([]int32{20, 30, 41, 52, 63, 74}, 4)
	accepted := 0
	for name, s := range samplings() {
		for _, q := range []goinfer.Request{
			{MaxTokens: 60},
			{MaxTokens: 60, LogProb: true, Top: 3, IgnoreEOG: true},
			{MaxTokens: 7, IgnoreEOG: true}, // within a proposal
		} {
			q.Tokens, q.Sampling = prompt, s
			want, plain := answer(t, m, q)
			// a stop string in the middle
			if text := strings.Join(want, ""); q.Top == 0 && len(text) > 40 {
				for p, err := range m.Generate(t.Context(), q) {
					require.NoError(t, err)
					if len(p.Bytes) > 1 && len(q.Stop) == 0 {
						q.Stop = []string{p.Text()}
					}
				}
				want, plain = answer(t, m, q)
			}
			for _, wrong := range []int{0, 1, 3} {
				q.Proposer = &lookup{wrong: wrong}
				got, last := answer(t, m, q)
				require.Equal(t, want, got, "%s, every %d-th guess wrong, %d tokens", name, wrong, q.MaxTokens)
				require.Equal(t, plain.Usage.Generated, last.Usage.Generated)
				require.LessOrEqual(t, last.Usage.Accepted, last.Usage.Proposed)
				accepted += last.Usage.Accepted
			}
		}
	}
	require.Positive(t, accepted, "some guesses were right")
}

// choice is a grammar: one of some sequences of tokens.
type choice [][]int32

func (c choice) NewMatcher() goinfer.Matcher { return &chooser{c, 0} }

type chooser struct {
	left choice // what is still possible
	at   int
}

func (c *chooser) Mask(allowed goinfer.Bitset) {
	allowed.Clear()
	for _, s := range c.left {
		if c.at < len(s) {
			allowed.Add(s[c.at])
		}
	}
}

func (c *chooser) Accept(id int32) error {
	left := slices.DeleteFunc(slices.Clone(c.left), func(s []int32) bool { return c.at >= len(s) || s[c.at] != id })
	if len(left) == 0 {
		return fmt.Errorf("token %d is none of the choices", id)
	}
	c.left, c.at = left, c.at+1
	return nil
}

func (c *chooser) Clone() goinfer.Matcher { d := *c; return &d }
func (c *chooser) Done() bool {
	return slices.ContainsFunc(c.left, func(s []int32) bool { return len(s) == c.at })
}

// TestMask: what is generated is one of the choices, the same one with and without the shortcut for
// tokens that are certain, and the prompt is none of the grammar's business.
func TestMask(t *testing.T) {
	m := open(t, "testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 256})
	choices := choice{{40, 41, 42, 43, 44}, {40, 41, 50}, {60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70}, {90}}
	for name, s := range samplings() {
		q := goinfer.Request{Tokens: []int32{20, 30, 41, 52}, Sampling: s, LogProb: true, Top: 2}
		q.Sampling.Grammar = choices
		short, last := answer(t, m, q)
		require.Equal(t, goinfer.StopEOG, last.Stop, name)
		// who looks on sees every step: no shortcut
		q.Sampling.Trace = func(string, []goinfer.Candidate, []goinfer.Candidate) {}
		long, slow := answer(t, m, q)
		require.Equal(t, long, short, name)
		require.Zero(t, slow.Usage.Proposed)
		var ids []int32
		q.Sampling.Trace = nil
		for p, err := range m.Generate(t.Context(), q) {
			require.NoError(t, err)
			if p.Kind != goinfer.KindStop {
				ids = append(ids, p.ID)
			}
		}
		require.True(t, slices.ContainsFunc(choices, func(c []int32) bool { return slices.Equal(c, ids) }), "%s: %v", name, ids)
		if s.Mirostat == 0 && s.LogitBias == nil && ids[0] == 60 {
			require.Equal(t, 9, last.Usage.Accepted, "all but the first are certain; eight are guessed at once, and one follows them by itself")
		}
		q.Proposer = &lookup{}
		proposed, _ := answer(t, m, q)
		require.Equal(t, long, proposed, name)
	}
	all := make(choice, 320) // everything, of two tokens
	for i := range all {
		all[i] = []int32{int32(i), 7}
	}
	q := goinfer.Request{Tokens: []int32{20, 30, 41, 52}, MaxTokens: 1, IgnoreEOG: true}
	free, _ := answer(t, m, q)
	q.Sampling.Grammar = all
	masked, _ := answer(t, m, q)
	require.Equal(t, free, masked, "where everything is allowed nothing changes")
}

// TestWatch: a request is watched live, from the cache on, while it generates and is never held up.
func TestWatch(t *testing.T) {
	m := open(t, "testdata/models/mixtral/model.gguf", goinfer.Options{Context: 256, Batch: 8})
	q := goinfer.Request{Tokens: slices.Repeat([]int32{20, 30, 41, 52, 63, 74}, 4), MaxTokens: 20, IgnoreEOG: true}
	want, _ := answer(t, m, q)
	q.Watch = goinfer.NewWatch(goinfer.WatchConfig{Names: []string{goinfer.NameRouterTopK, goinfer.NameLayerOut}, Size: 4096})
	q.Proposer = &lookup{wrong: 3}
	got, last := answer(t, m, q)
	require.Equal(t, want, got)
	require.Equal(t, 23, last.Usage.Cached, "a watched request shares the cache")
	seen := map[int]int{} // events of a position
	for e := range q.Watch.Events() {
		require.NotEmpty(t, e.Data)
		require.Equal(t, e.Name == goinfer.NameRouterTopK, len(e.Experts) > 0)
		seen[e.Pos]++
	}
	require.Zero(t, q.Watch.Dropped())
	for pos := 23; pos < 24+19; pos++ { // the last token was not fed
		require.Equal(t, 2*m.Info().Config.NLayer, seen[pos], "position %d is shown once in each layer", pos)
		delete(seen, pos)
	}
	require.Empty(t, seen, "what was found in the cache and what was guessed wrongly is not shown")

	q.Proposer, q.Watch = nil, goinfer.NewWatch(goinfer.WatchConfig{Names: []string{goinfer.NameLayerOut}, Layers: []int{0}, Size: 3})
	got, _ = answer(t, m, q)
	require.Equal(t, want, got, "nobody reads, nobody waits")
	require.EqualValues(t, 20-3, q.Watch.Dropped())
	_, err := onlyError(m, t, q)
	require.ErrorContains(t, err, "Watch: want one that serves no other request")
}

// onlyError is the error that a request ends with.
func onlyError(m *goinfer.Model, t *testing.T, q goinfer.Request) (n int, err error) {
	for _, e := range m.Generate(t.Context(), q) {
		n, err = n+1, e
	}
	return n, err
}
