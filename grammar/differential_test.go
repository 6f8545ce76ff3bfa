package grammar

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// instances makes random values of the kind that random schemas speak of.
type instances struct{ rng *rand.Rand }

func (g *instances) value(depth int) string {
	n := 10
	if depth <= 0 {
		n = 6
	}
	switch g.rng.IntN(n) {
	case 0:
		return []string{"null", "true", "false"}[g.rng.IntN(3)]
	case 1, 2:
		return g.number()
	case 3, 4, 5:
		return g.text()
	case 6, 7:
		var parts []string
		for range g.rng.IntN(4) {
			parts = append(parts, g.value(depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var parts []string
	for _, i := range g.rng.Perm(8)[:g.rng.IntN(5)] {
		parts = append(parts, []string{`"a"`, `"b"`, `"ab"`, `"foo"`, `"foobar"`, `"é"`, `"x"`, `"fo"`}[i]+":"+g.value(depth-1))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (g *instances) number() string {
	return []string{"0", "-0", "1", "2", "2.5", "10", "-1", "3", "0.25", "1e1", "1.0", "5E-1", "100", "-7.5", "12", "199.5", "1e2", "0.0", "-10"}[g.rng.IntN(19)]
}

func (g *instances) text() string {
	s := []string{"", "a", "b", "foo", "bar", "ab", "abc", "aaa", "é世", "o", "2020-02-29", "2021-02-29", "1.2.3.4", "cab", "fooo", "\U0001F600", "23:59:60Z", "x@y.z"}[g.rng.IntN(18)]
	if g.rng.IntN(4) > 0 {
		out, _ := json.Marshal(s)
		return string(out)
	}
	var b strings.Builder // the same with escapes
	b.WriteByte('"')
	dumpString(&b, s)
	return strings.TrimPrefix(b.String(), `"`)
}

// TestAgainstValidator compares which values are accepted, in any order of keys, with what another
// validator says of them.
func TestAgainstValidator(t *testing.T) {
	n := 60
	if os.Getenv("GOINFER_LONG") != "" {
		n = 1500
	}
	valid, invalid, refused := 0, 0, 0
	for seed := range n {
		g := &schemas{rng: rand.New(rand.NewPCG(uint64(seed), 11))}
		src := g.document()
		c, err := Schema(src, Options{AnyOrder: true, Whitespace: Flexible})
		check := validate(t, src)
		values := &instances{g.rng}
		for range 60 {
			text := values.value(3)
			doc, derr := validator.UnmarshalJSON(strings.NewReader(text))
			require.NoError(t, derr, text)
			want := check.Validate(doc) == nil
			if err != nil {
				refused++
				if strings.HasSuffix(err.Error(), "no value satisfies the schema") {
					require.False(t, want, "seed %d: %s: %s", seed, src, text)
				}
				continue
			}
			if got := c.accepts(text); want && !got && strings.ContainsAny(text, "eE") && exponents.MatchString(text) {
				continue // multiples are written without an exponent
			} else {
				require.Equal(t, want, got, "seed %d: %s: %s", seed, src, text)
			}
			if want {
				valid++
			} else {
				invalid++
			}
		}
	}
	t.Logf("%d valid, %d invalid, %d of refused schemas", valid, invalid, refused)
	require.Greater(t, valid, 2*n)
	require.Greater(t, invalid, 2*n)
}

var exponents = regexp.MustCompile(`\d[eE]`)
