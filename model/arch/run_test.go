package arch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
)

// small bounds the elements of all tensors of a model that is run.
const small = 1 << 17

// FuzzRun: what a configuration says is not only built but run, on tensors of just the shapes that
// are asked for: every model computes, or there is one error in a line.
func FuzzRun(f *testing.F) {
	for i := range arch.Names() {
		for _, seed := range arch.HostileSeeds() {
			for optional := range byte(3) {
				f.Add(byte(i), seed, optional)
			}
		}
	}
	f.Fuzz(func(t *testing.T, number byte, data []byte, optional byte) {
		name := arch.Names()[int(number)%len(arch.Names())]
		file, c, ok := matchingFile(t, name, data, optional)
		if !ok {
			return
		}
		m, err := goinfer.OpenSource(source.Bytes("x.gguf", file), goinfer.Options{Context: min(c.NCtx, 40), Batch: 5, Threads: 1})
		if err != nil {
			plainly(t, err)
			return
		}
		defer m.Close()
		tokens := make([]int32, min(12, c.NCtx))
		for i := range tokens {
			tokens[i] = int32(i * 7 % c.NVocab)
		}
		if err := m.Score(t.Context(), goinfer.Request{Tokens: tokens, Logits: func(int, []float32) error { return nil }}); err != nil {
			plainly(t, err)
		}
		if _, err := m.Embed(t.Context(), goinfer.EmbedRequest{Tokens: tokens}); err != nil {
			plainly(t, err)
		}
	})
}

// matchingFile is a file with the metadata that data spells and the tensors that this asks for, of
// those that may be left out as many as optional says. ok is false where the metadata is refused,
// or asks for too much to be run.
func matchingFile(t *testing.T, name string, data []byte, optional byte) (file []byte, c model.Config, ok bool) {
	w := arch.HostileKeys(t, name, data)
	var head bytes.Buffer
	_, err := w.WriteTo(&head)
	require.NoError(t, err)
	f, err := gguf.OpenBytes("x.gguf", head.Bytes())
	require.NoError(t, err)
	if c, err = model.ReadConfig(model.GGUF(f)); err != nil || c.NLayer > 5 || c.NVocab > small {
		return nil, c, false
	}
	wanted := model.BindShapes(c, func(name string) bool {
		h := fnv.New32a()
		h.Write([]byte(name))
		return optional == 1 || optional > 1 && (h.Sum32()>>(optional%24))&1 == 1
	})
	if _, err := arch.Build(wanted); err != nil {
		plainly(t, err)
		return nil, c, false
	}
	var total int64
	for _, x := range wanted.Tensors() {
		if total += x.Elements(); total > small {
			return nil, c, false
		}
	}
	rng := rand.New(rand.NewPCG(1, uint64(optional)))
	for _, x := range wanted.Tensors() {
		b := make([]byte, 0, 4*x.Elements())
		for range x.Elements() {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(rng.NormFloat64()/4)))
		}
		if err := w.Add(x.Name, quant.F32, x.Shape, b); err != nil { // no file can have it
			plainly(t, err)
			return nil, c, false
		}
	}
	var all bytes.Buffer
	_, err = w.WriteTo(&all)
	require.NoError(t, err)
	return all.Bytes(), c, true
}

// plainly requires an error in a line that is no panic.
func plainly(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), "\n")
	var p *fault.PanicError
	if errors.As(err, &p) {
		t.Fatalf("%v\n%s", p, p.Stack)
	}
}

// TestFitting: most architectures are run by the seeds of FuzzRun.
func TestFitting(t *testing.T) {
	run := map[string]bool{}
	for _, name := range arch.Names() {
		for _, seed := range arch.HostileSeeds() {
			file, c, ok := matchingFile(t, name, seed, 0)
			if !ok {
				continue
			}
			m, err := goinfer.OpenSource(source.Bytes("x.gguf", file), goinfer.Options{Context: 40, Threads: 1})
			if err != nil {
				t.Log(name, err)
				continue
			}
			if m.Info().Encoder {
				_, err = m.Embed(t.Context(), goinfer.EmbedRequest{Tokens: []int32{1, 2, int32(c.NVocab - 1)}})
			} else {
				err = m.Score(t.Context(), goinfer.Request{Tokens: []int32{1, 2, int32(c.NVocab - 1)}})
			}
			if err != nil {
				t.Log(name, err)
			} else {
				run[name] = true
			}
			require.NoError(t, m.Close())
		}
	}
	t.Logf("%d of %d", len(run), len(arch.Names()))
	require.Greater(t, 2*len(run), len(arch.Names()))
}
