package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/study/claims"
)

// claimsReport is what --json writes, as far as tests look at it.
type claimsReport struct {
	Counts struct{ Measured, Computed, Busy int }
	Claims []struct {
		Number   int
		Verdict  string
		Findings []struct {
			Key, What, Kind, Command, Verdict, Found, Error string
			Value, Deviation                                float64
			Timed                                           bool
		}
	}
}

func claimsOf(t *testing.T, args ...string) (r claimsReport) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", append([]string{"claims", "--json"}, args...)...))), &r))
	return r
}

func TestClaimsUsage(t *testing.T) {
	wrong(t, command(t, "", "claims", "tiny-moe"), `want no arguments, found "tiny-moe"`)
	wrong(t, command(t, "", "claims", "-t", "-1"), "-t, --threads: want 0 to")
	wrong(t, command(t, "", "claims", "--only", "18"), "--only: want claims from 1 to 17, found 18")
	fault(t, command(t, "", "claims", "--said", "missing.json"), "missing.json: ")
	fault(t, command(t, `{"statements": []}`, "claims", "--said", "-"), "want 1 to 1000 statements, found 0")
	fault(t, command(t, "", "claims", "--model", "lama-2-7b"), "did you mean llama-2-7b")
	out := ok(t, command(t, "", "claims", "--rows"))
	for key := range claims.Reading() {
		require.Contains(t, out, key)
	}
	said := `{"title": "Mine", "statements": [{"text": "Eight.", "row": "parameters/qwen3-8b", "figure": 80}]}`
	out = ok(t, command(t, said, "claims", "--said", "-"))
	for _, want := range []string{"Mine", "| qwen3-8b: parameters | 80 B | 8.191 B |", "does not hold (0.10×)"} {
		require.Contains(t, out, want)
	}
	wrong(t, command(t, said, "claims", "--said", "-", "--only", "4"), "none of the claims of --only has a statement")
	page := filepath.Join(t.TempDir(), "page.html")
	ok(t, command(t, said, "claims", "--said", "-", "--html", page))
	require.FileExists(t, page)
}

// prints reports whether a text holds a number, in some unit, to as many digits as it is written
// with.
func prints(text string, value float64) bool {
	for _, word := range number.FindAllString(text, -1) {
		plain := strings.ReplaceAll(word, ",", "")
		x, err := strconv.ParseFloat(plain, 64)
		if err != nil || x == 0 {
			continue
		}
		mantissa, exponent, _ := strings.Cut(plain, "e")
		power, _ := strconv.Atoi(exponent)
		_, decimals, fraction := strings.Cut(mantissa, ".")
		off := 1e-9 * x
		if fraction {
			off = 0.51 * math.Pow(10, float64(power-len(decimals)))
		}
		for _, unit := range []float64{1, 1e-2, 1e3, 1e6, 1e9, 1e-6, 1e-9, 1.073741824, 1.048576, 1.024} {
			if (unit == 1 || len(mantissa) > 2) && math.Abs(x-value/unit) <= off {
				return true
			}
		}
	}
	return false
}

func TestPrints(t *testing.T) {
	for _, c := range []struct {
		text  string
		value float64
		want  bool
	}{
		{"parameters 6,738,415,616", 6.738415616, true}, {"13.48 GB", 13.4768, true}, {"13.48 GB", 13.6, false}, {"2 devices", 2, true}, {"2 devices", 3, false}, {"64.5 %", 0.645, true}, {"131,072,000", 131.072, true},
		{"nothing", 1, false},
	} {
		require.Equal(t, c.want, prints(c.text, c.value), "%+v", c)
	}
}

// TestClaimsCommands runs the command of every row and finds the row's figure in what it prints;
// timed ones agree within the printed errors where the machine was idle.
func TestClaimsCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("runs many commands")
	}
	only := "1,8,10,14"
	if os.Getenv("GOINFER_CLAIMS") != "" { // minutes, on an idle machine
		only = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"
	}
	r := claimsOf(t, "--quick", "--only", only)
	require.NotEmpty(t, r.Claims)
	outputs, reports := map[string]string{}, map[string]claimsReport{}
	for _, c := range r.Claims {
		for _, f := range c.Findings {
			require.NotEmpty(t, f.Command, f.Key)
			args := words(strings.TrimPrefix(f.Command, "goinfer "))
			if args[0] != "claims" {
				out, done := outputs[f.Command]
				if !done {
					r := command(t, "", args...) // with notes of what it leaves out
					require.Zero(t, r.code, r.err)
					out = r.out
					outputs[f.Command] = out
				}
				require.True(t, prints(out, f.Value), "%s: %s prints no %v\n%s", f.What, f.Command, f.Value, out)
				continue
			}
			again, done := reports[f.Command]
			if !done {
				again = claimsOf(t, args[1:]...)
				reports[f.Command] = again
			}
			require.True(t, repeats(t, again, f.Key, f.What, f.Value, f.Deviation, f.Timed), "%s is not printed by %s", f.What, f.Command)
		}
	}
}

// repeats looks for a row in a report that was made again.
func repeats(t *testing.T, r claimsReport, key, what string, value, deviation float64, timed bool) bool {
	for _, c := range r.Claims {
		for _, f := range c.Findings {
			if f.Key != key || !strings.HasPrefix(what, strings.SplitN(f.What, "(", 2)[0]) {
				continue
			}
			switch {
			// the row is there, and that is all that a busy machine can show
			case timed && r.Counts.Busy > 0:
			case timed || deviation > 0:
				require.InDelta(t, value, f.Value, 3*(deviation+f.Deviation)+0.1*math.Abs(value), what)
			default:
				require.Equal(t, value, f.Value, what)
			}
			return true
		}
	}
	return false
}

// TestClaimsQuick works through all claims.
func TestClaimsQuick(t *testing.T) {
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("takes a minute; GOINFER_LONG asks for it")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	r := claimsOf(t, "--quick", "--html", file)
	require.Len(t, r.Claims, claims.Count)
	require.Equal(t, "not measurable here", r.Claims[claims.Count-1].Verdict)
	require.FileExists(t, file)
}
