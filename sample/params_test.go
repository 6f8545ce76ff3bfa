package sample

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaults(t *testing.T) {
	p := Defaults()
	require.NoError(t, p.Validate())
	require.NoError(t, Params{}.Validate())
	require.Equal(t, []any{float32(0.8), 40, float32(0.95), float32(0.05), float32(1), 64, uint64(0)},
		[]any{p.Temperature, p.TopK, p.TopP, p.MinP, p.RepeatPenalty, p.RepeatLastN, p.Seed})
	names := func(p Params) (names []string) {
		for _, l := range sampler(t, p, nil).chain {
			names = append(names, l.name)
		}
		return names
	}
	require.Equal(t, []string{"top_k", "top_p", "min_p", "temperature"}, names(p))
	p.RepeatPenalty, p.DRYMultiplier, p.TopNSigma, p.TypicalP, p.XTCProbability = 1.1, 1, 1, 0.9, 0.5
	want := "penalties dry top_n_sigma top_k typ_p top_p min_p xtc temperature"
	require.Equal(t, want, strings.Join(names(p), " "))
	require.Equal(t, want, known())
	p.Mirostat = 2
	require.Equal(t, []string{"temperature", "mirostat"}, names(p))
}

// TestZeroMeans: the numbers that 0 stands for are those of Defaults.
func TestZeroMeans(t *testing.T) {
	zero := Params{Temperature: 0.8, DynaTempRange: 0.1, XTCProbability: 1, DRYMultiplier: 1, DRYLastN: 64}
	full := Defaults()
	full.DynaTempRange, full.XTCProbability, full.DRYMultiplier = 0.1, 1, 1
	full.TopK, full.TopP, full.MinP = 0, 0, 0
	require.Equal(t, sampler(t, full, nil).chain, sampler(t, zero, nil).chain)
	zero.Mirostat, full.Mirostat = 1, 1
	require.Equal(t, sampler(t, full, nil).chain, sampler(t, zero, nil).chain)
}

func TestValidate(t *testing.T) {
	inf := float32(math.Inf(1))
	p := Params{
		TopP: 1.5, MinP: -0.1, TypicalP: 2, XTCProbability: 1.01, XTCThreshold: -1, MinKeep: -1, DynaTempRange: -1, RepeatLastN: -2, RepeatPenalty: -1,
		DRYMultiplier: -1, DRYBase: 0.5, DRYAllowedLength: -1, DRYLastN: -7, Mirostat: 3, MirostatTau: -1, Temperature: inf,
		LogitBias: map[int32]float32{-1: 1, 5: inf, 6: -inf}, Extra: []Stage{nil}, Chain: []string{"top_k", "topp", "tfs"},
	}
	require.Equal(t, `Temperature: want a finite number, found +Inf
DynaTempRange: want a finite number, at least 0, found -1
TopP: want 0 to 1, found 1.5
MinP: want 0 to 1, found -0.1
TypicalP: want 0 to 1, found 2
XTCProbability: want 0 to 1, found 1.01
XTCThreshold: want 0 to 1, found -1
MinKeep: want at least 0, found -1
RepeatLastN: want at least -1, found -2
RepeatPenalty: want a finite number, at least 0, found -1
DRYMultiplier: want a finite number, at least 0, found -1
DRYBase: want a finite number, at least 1, found 0.5
DRYAllowedLength: want at least 0, found -1
DRYLastN: want at least -1, found -7
Mirostat: want 0, 1 or 2, found 3
MirostatTau: want a finite number, at least 0, found -1
LogitBias: want ids from 0, found -1
LogitBias[5]: want a finite number or -Inf, found +Inf
Extra[0]: want a stage, found nil
Chain[2]: want one of penalties dry top_n_sigma top_k typ_p top_p min_p xtc temperature, found "tfs"`, p.Validate().Error())
	_, err := New(p, nil)
	require.Equal(t, p.Validate(), err)

	_, err = New(Params{LogitBias: map[int32]float32{1: 1, 3: 1, 7: 1}}, words{"a", "b", "c"})
	require.EqualError(t, err, "LogitBias: want ids below 3, the size of the vocabulary, found 7")
}

// TestValidateFloats sets every float32 to what is not a number.
func TestValidateFloats(t *testing.T) {
	for i := range reflect.TypeFor[Params]().NumField() {
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			p := Defaults()
			f := reflect.ValueOf(&p).Elem().Field(i)
			if f.Kind() == reflect.Float32 {
				f.SetFloat(x)
				name := reflect.TypeFor[Params]().Field(i).Name
				require.ErrorContains(t, p.Validate(), ""+name+": want ")
				require.NotContains(t, p.Validate().Error(), "\n")
			}
		}
	}
}

func TestParseChain(t *testing.T) {
	all := []string{"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"}
	for _, s := range []string{
		"penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature",
		"penalties;dry;top-n-sigma;top-k;typ-p;top-p;min-p;xtc;temp",
		"Penalties; DRY; topnsigma; topk; typical; nucleus; minp; XTC; Temperature",
		"penalties;dry;top-nsigma;top_k;typical_p;topp;Min-P;xtc;temp",
		"penalties;dry;top_n_sigma;topK;typ;TOP_P;min_p;xtc;temp",
	} {
		got, err := ParseChain(s)
		require.NoError(t, err, s)
		require.Equal(t, all, got, s)
	}
	got, err := ParseChain("temp;top_k;temp")
	require.NoError(t, err)
	require.Equal(t, []string{"temperature", "top_k", "temperature"}, got)
	for s, found := range map[string]string{"": `""`, "top_k;;temp": `""`, "top_k;tfs_z": `"tfs_z"`, "mirostat": `"mirostat"`} {
		_, err := ParseChain(s)
		require.EqualError(t, err, `want stages (penalties dry top_n_sigma top_k typ_p top_p min_p xtc temperature) separated by ";", found `+found)
	}
}

func TestChainOrder(t *testing.T) {
	half := func(chain ...string) []float64 {
		return left(t, Params{Temperature: 0.5, TopP: 0.5, TopK: 3, Chain: chain}, nil, logs(tenths...))
	}
	// Squared and of the best three, 16 of 29 are more than a half; plain, 0.4 of 0.9 is less.
	require.InDeltaSlice(t, []float64{0, 0, 0, 1}, half("temp", "top_k", "top_p"), 1e-6)
	require.InDeltaSlice(t, []float64{0, 0, 9. / 25, 16. / 25}, half("top_k", "top_p", "temp"), 1e-6)
	require.InDeltaSlice(t, []float64{0, 0, 3. / 7, 4. / 7}, half("top_p"), 1e-6, "what is not named does nothing")
	require.InDeltaSlice(t, tenths, left(t, Params{TopK: 1, Chain: []string{}}, nil, logs(tenths...)), 1e-6, "an empty chain does nothing")
}
