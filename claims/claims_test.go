package claims

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/bench"
	"github.com/goinfer/goinfer/internal/browser"
	"github.com/goinfer/goinfer/params"
	"github.com/goinfer/goinfer/probe"
)

func TestJudge(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		said   Range
		found  float64
		want   Verdict
		factor float64
	}{
		{is(7), 6.738, Holds, 6.738 / 7}, {is(14), 13.48, Holds, 13.48 / 14}, {is(400), 131, Refuted, 131. / 400}, {is(3.5), 4.08, Roughly, 4.08 / 3.5}, {is(1), 2.01, Refuted, 2.01},
		{pieces(2), 3, Refuted, 1.5}, {pieces(2), 2, Holds, 1},
		{between(2, 4), 3, Holds, 1}, {between(2, 4), 1.9, Roughly, 0.95}, {between(2, 4), 9, Refuted, 2.25}, {between(2, 4), -1, Refuted, -0.5},
		{between(200, inf), 1e9, Holds, 1}, {between(200, inf), 150, Roughly, 0.75}, {between(-inf, 0.05), -0.2, Holds, 1}, {between(-inf, 0.05), 0.11, Refuted, 2.2},
		{between(0.98, 1), 0.2, Refuted, 0.2 / 0.98},
	} {
		v, factor := c.said.judge(c.found)
		require.Equal(t, c.want, v, "%+v", c)
		require.InEpsilon(t, c.factor, factor, 1e-9, "%+v", c)
	}
	v, _ := is(1).judge(none)
	require.Equal(t, NotMeasurable, v)
	for want, r := range map[string]Range{"7": is(7), "2 to 4": between(2, 4), "at least 5": between(5, inf), "at most 1": between(0, 1), "at most 2": between(-inf, 2)} {
		require.Equal(t, want, r.text(plain))
	}
}

// wrong is what nobody can say of these models and of any machine.
func wrong() Said {
	s := Article()
	for _, m := range []map[string]float64{s.Parameters, s.FP16, s.INT4, s.Grouped} {
		for k := range maps.Clone(m) {
			m[k] *= 10
		}
	}
	for k, v := range s.Activated {
		s.Activated[k] = [2]float64{10 * v[0], 10 * v[1]}
	}
	for k := range s.Devices {
		s.Devices[k] = between(500, 600)
	}
	never := is(-1e6)
	for _, r := range []*Range{&s.FeedForward, &s.CacheGrowth, &s.Cache70B, &s.Shrinks, &s.Loss, &s.Linear, &s.Slower70B, &s.SameSpeed, &s.Balance, &s.East, &s.OneNeuron, &s.Trained,
		&s.DecodeBound, &s.PromptBound} {
		*r = never
	}
	s.Embedding, s.Block, s.Matrices, s.Chosen = 1, 1, 7, 5
	return s
}

func source(t *testing.T, name string) *bench.Source {
	data, err := os.ReadFile(filepath.Join("..", "cmd", "goinfer", "embedded", name+"-q8_0.gguf"))
	require.NoError(t, err)
	s, err := bench.Bytes(name, data)
	require.NoError(t, err)
	return s
}

func options(t *testing.T, said Said) Options {
	text, err := os.ReadFile(filepath.Join("..", "cmd", "goinfer", "embedded", "valid.txt"))
	require.NoError(t, err)
	return Options{Said: said, Dense: source(t, "tiny-dense"), MoE: source(t, "tiny-moe"), DenseName: "tiny-dense", MoEName: "tiny-moe", Text: string(text), Threads: 1, Quick: true}
}

// TestWrongClaims: of what is true the statements hold, and of what is false every one is refuted, by the same machinery.
func TestWrongClaims(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the trained models")
	}
	for _, c := range []struct {
		name string
		do   func(*run, *Claim) error
	}{{"counts", (*run).counts}, {"devices", (*run).devices}, {"router", (*run).router}, {"training", (*run).training}} {
		for _, said := range []Said{Article(), wrong()} {
			r := &run{Options: options(t, said), ctx: t.Context(), reports: map[string]*params.Report{}}
			claim := &Claim{Number: 1, Title: c.name}
			require.NoError(t, c.do(r, claim), c.name)
			claim.judge()
			require.NotEmpty(t, claim.Findings)
			for _, f := range claim.Findings {
				require.NotEmpty(t, f.Command, c.name)
				if said.Matrices == 7 {
					require.Equal(t, Refuted, f.Verdict, "%s: %+v", c.name, f)
				}
			}
			if said.Matrices == 7 {
				require.Equal(t, Refuted, claim.Verdict, c.name)
				require.Contains(t, claim.Summary(), "do not hold")
			} else if c.name == "router" || c.name == "training" {
				require.Equal(t, Holds, claim.Verdict, c.name)
			}
		}
	}
}

// TestArticle: the statements that are known to be false are found out.
func TestArticle(t *testing.T) {
	r := &run{Options: Options{Said: Article()}, ctx: t.Context(), reports: map[string]*params.Report{}}
	c := &Claim{}
	require.NoError(t, r.counts(c))
	refuted := map[string]bool{}
	for _, f := range c.Findings {
		refuted[f.What] = f.Verdict == Refuted
	}
	require.True(t, refuted["the embedding of llama-2-7b holds"])
	require.True(t, refuted["the feed-forward block has matrices"])
	require.False(t, refuted["one of its blocks holds"])
	require.False(t, refuted["llama-3.1-405b has parameters"])
}

// TestAll works through all claims, false ones: none holds.
func TestAll(t *testing.T) {
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("takes a minute; GOINFER_LONG asks for it")
	}
	o := options(t, wrong())
	var seen []int
	o.Step = func(claim int, what string) {
		require.NotEmpty(t, what)
		if len(seen) == 0 || seen[len(seen)-1] != claim {
			seen = append(seen, claim)
		}
	}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, seen)
	require.Len(t, r.Claims, 13)
	for _, c := range r.Claims[:12] {
		require.Equal(t, Refuted, c.Verdict, c.Title)
	}
	require.Equal(t, NotMeasurable, r.Claims[12].Verdict)
}

// sample is a report of two claims.
func sample() *Report {
	r := &Report{Machine: probe.Info{CPU: "a <processor>"}, Threads: 2, Took: 90 * time.Second, Date: "2000-01-01"}
	c := &Claim{Number: 1, Title: "A claim"}
	c.find("a | b", is(4), 5, 6, gb, "goinfer params x")
	c.find("good", between(1, 2), none, 1.5, times, "goinfer plan y")
	c.note("a note of %d", 7)
	c.judge()
	last := &Claim{Number: 2, Title: "Else", Findings: []Finding{{What: "costs", Measured: "no property of a machine", Verdict: NotMeasurable}}}
	last.judge()
	r.Claims = []*Claim{c, last}
	return r
}

// TestClaimsBrowser: the page opens in a browser without a fault.
func TestClaimsBrowser(t *testing.T) {
	r := sample()
	require.NoError(t, (&run{Options: Options{Said: Article()}, ctx: t.Context(), reports: map[string]*params.Report{}}).counts(r.Claims[0]))
	var html bytes.Buffer
	require.NoError(t, r.Page().Render(&html))
	path := filepath.Join(t.TempDir(), "claims.html")
	require.NoError(t, os.WriteFile(path, html.Bytes(), 0o600))
	require.Contains(t, browser.Open(t, path), "Where the parameters are")
}

// TestWrite: every statement, command and note is in every form of the report.
func TestWrite(t *testing.T) {
	r := sample()
	require.Equal(t, NotMeasurable, r.Claims[1].Verdict)
	var text, html bytes.Buffer
	require.NoError(t, r.Markdown(&text))
	require.NoError(t, r.Page().Render(&html))
	for _, want := range []string{`| a \| b | 4 GB | 5 GB | 6 GB | holds roughly (1.50 of it) | ` + "`goinfer params x`", "| good | 1× to 2× |  | 1.5× | holds |", "- a note of 7", "| costs | no property of a machine |",
		"| 1 | A claim | 1 of 2 statements hold roughly, the others hold |", "`goinfer claims` makes this again"} {
		require.Contains(t, text.String(), want)
	}
	for _, want := range []string{"a note of 7", "goinfer plan y", "a &lt;processor&gt;", "no property of a machine"} {
		require.Contains(t, html.String(), want)
	}
	require.NotContains(t, strings.ToLower(html.String()), "http://")
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(data), `"verdict":"holds roughly"`)
}
