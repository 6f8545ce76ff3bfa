package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// saved is a sequence of n positions of c, with checkpoints where they are any use, as bytes.
func saved(t testing.TB, c Config, n int) []byte {
	t.Helper()
	s := newStore(t, c)
	q := s.Open()
	var have []uint32
	for _, part := range []int{n / 2, n - n/2} {
		var marks []int
		if part > 1 {
			marks = []int{len(have) + part/2, len(have) + part}
		}
		have = growMarking(t, s, q, have, stamps(uint32(1+len(have)), part), marks)
	}
	var b bytes.Buffer
	require.NoError(t, s.Save(&b, q))
	return b.Bytes()
}

func TestSaveLoad(t *testing.T) {
	for _, c := range []Config{
		{},
		{Layers: []Spec{{}}},
		{Layers: mixed},
		{Layers: mixed, KType: F32},
		{Layers: mixed, VType: F32, MaxBytes: 1 << 20},
		{Layers: Repeat(2, Full(2, 64)), KType: Q8_0, VType: Q4_0},
		{Layers: hybrid, VType: F32},
		{Layers: Repeat(2, Recurrent(7))},
		{Layers: Repeat(2, Windowed(1, 4, 65))},
	} {
		for _, n := range []int{0, 1, 63, 64, 65, 200, 256} {
			b := saved(t, c, n)
			s := newStore(t, c)
			// Between two other things in the stream, by single bytes, into a store that has
			// others.
			other := s.Open()
			fill(t, s, other, stamps(900, 10)...)
			r := iotest.OneByteReader(bytes.NewReader(append(b[:len(b):len(b)], "rest"...)))
			q, err := s.Load(r)
			require.NoError(t, err)
			check(t, s, q, stamps(1, n))
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, "rest", string(rest), "Load reads no further than the sequence")

			// It goes on like any other, and its bytes do not depend on how it came about.
			f := s.Fork(q, n)
			check(t, s, q, grow(t, s, q, stamps(1, n), 7))
			var again bytes.Buffer
			require.NoError(t, s.Save(&again, f))
			require.Equal(t, b, again.Bytes())
			invariants(t, s)
		}
	}
}

// errBroken is an error that is none of ours.
var errBroken = errors.New("the disk is on fire")

func TestSaveLoadErrors(t *testing.T) {
	c := Config{Layers: mixed}
	b := saved(t, c, 100)
	s := newStore(t, c)
	_, err := s.Load(io.MultiReader(bytes.NewReader(b[:len(b)-1]), iotest.ErrReader(errBroken)))
	require.ErrorIs(t, err, errBroken)
	require.EqualError(t, err, "load: positions 64 to 100 of 100: the disk is on fire")

	q := s.Open()
	fill(t, s, q, stamps(1, 100)...)
	for _, n := range []int{0, 20, 100, len(b) - 1} {
		err = s.Save(&shortWriter{n}, q)
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, "save sequence 0: the disk is on fire")
	}

	small := newStore(t, Config{Layers: mixed, MaxBytes: s.PageBytes()})
	_, err = small.Load(bytes.NewReader(b))
	require.ErrorIs(t, err, ErrFull)
	require.Zero(t, small.Pages())
	invariants(t, small)
}

// shortWriter takes n bytes and then fails.
type shortWriter struct{ n int }

func (w *shortWriter) Write(b []byte) (int, error) {
	if len(b) > w.n {
		return w.n, errBroken
	}
	w.n -= len(b)
	return len(b), nil
}

// TestLoadDamaged cuts the bytes at every length and changes every byte.
func TestLoadDamaged(t *testing.T) {
	for _, layers := range [][]Spec{{{NHead: 1, KDim: 2, VDim: 1}, {}}, {Recurrent(2), {NHead: 1, KDim: 1, Window: 3}}} {
		loadDamaged(t, Config{Layers: layers})
	}
}

func loadDamaged(t *testing.T, c Config) {
	b := saved(t, c, 70)
	s := newStore(t, c)
	refuse := func(b []byte, what string, at int) {
		t.Helper()
		_, err := s.Load(bytes.NewReader(b))
		require.ErrorIs(t, err, ErrFormat, "%s at %d", what, at)
		require.NotContains(t, err.Error(), "\n")
		require.Zero(t, s.Pages())
	}
	for n := range b {
		refuse(b[:n], "cut", n)
	}
	for i := range b {
		for _, x := range []byte{1, 0x80, 0xff} {
			d := bytes.Clone(b)
			d[i] ^= x
			refuse(d, "damage", i)
		}
	}
	q, err := s.Load(bytes.NewReader(b))
	require.NoError(t, err)
	s.Drop(q)
	require.Len(t, s.seqs, 1, "what failed to load leaves no sequence behind")

	if s.partial() {
		return
	}
	// Two full pages that have changed places.
	b = saved(t, c, 128)
	page := int(s.PageBytes()) + 4
	head := len(b) - 2*page
	swapped := bytes.Join([][]byte{b[:head], b[head+page:], b[head : head+page]}, nil)
	require.Len(t, swapped, len(b))
	refuse(swapped, "exchange", head)
}

func TestLoadOtherConfiguration(t *testing.T) {
	c := Config{Layers: mixed}
	b := saved(t, c, 10)
	changed := func(f func(l []Spec)) []Spec {
		l := append([]Spec(nil), mixed...)
		f(l)
		return l
	}
	for _, o := range []struct {
		name string
		c    Config
		want string
	}{
		{"keys", Config{Layers: mixed, KType: F32}, "type of keys: want F32, found F16"},
		{"values", Config{Layers: mixed, VType: F32}, "type of values: want F32, found F16"},
		{"layers", Config{Layers: mixed[:3]}, "layers: want 3, found 4"},
		{"heads", Config{Layers: changed(func(l []Spec) { l[3].NHead = 2 })}, "layer 3: heads: want 2, found 3"},
		{"key", Config{Layers: changed(func(l []Spec) { l[0].KDim = 8 })}, "layer 0: length of a key: want 8, found 4"},
		{"window", Config{Layers: changed(func(l []Spec) { l[0].Window = 8 })}, "layer 0: window: want 8, found 0"},
		{"state", Config{Layers: changed(func(l []Spec) { l[1].State = 8 })}, "layer 1: length of a state: want 8, found 0"},
		{"value", Config{Layers: changed(func(l []Spec) { l[0].VDim = 8 })}, "layer 0: length of a value: want 8, found 4"},
	} {
		t.Run(o.name, func(t *testing.T) {
			_, err := newStore(t, o.c).Load(bytes.NewReader(b))
			require.ErrorIs(t, err, ErrFormat)
			require.EqualError(t, err, "load: not a saved sequence of this configuration: "+o.want)
		})
	}
	s := newStore(t, c)
	_, err := s.Load(bytes.NewReader([]byte("GGUF\x03\x00\x00\x00 and more")))
	require.EqualError(t, err, `load: not a saved sequence of this configuration: want it to begin with "GOINFKV\n", found "GGUF\x03\x00\x00\x00"`)
}

// lying is a header with a true checksum that promises size positions and checkpoints at the
// marks, followed by n pages of nothing with true checksums.
func lying(t testing.TB, c Config, size uint64, n int, marks ...uint64) []byte {
	s := newStore(t, c)
	b := binary.LittleEndian.AppendUint64(s.header(), size)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(marks)))
	for _, at := range marks {
		b = binary.LittleEndian.AppendUint64(b, at)
	}
	sum := crc32.Checksum(b, castagnoli)
	b = binary.LittleEndian.AppendUint32(b, sum)
	for range n {
		data := make([]byte, s.PageBytes())
		sum = crc32.Update(sum, castagnoli, data)
		b = binary.LittleEndian.AppendUint32(append(b, data...), sum)
	}
	return b
}

// TestLoadLies promises far more than follows: it costs a page, whatever is promised.
func TestLoadLies(t *testing.T) {
	for _, c := range []Config{{}, {Layers: mixed}, {Layers: hybrid}} {
		for _, size := range []uint64{1000, 1 << 40, math.MaxInt64 - PageLen, math.MaxInt64, math.MaxUint64} {
			s := newStore(t, c)
			var marks []uint64
			if s.partial() {
				marks = []uint64{1, size / 2, size}
			}
			b := lying(t, c, size, 3, marks...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := s.Load(bytes.NewReader(b))
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, ErrFormat)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10)+4*uint64(s.PageBytes()))
			require.Zero(t, s.Pages())
		}
	}
}

// TestLoadMarks refuses checkpoints that cannot be.
func TestLoadMarks(t *testing.T) {
	windows := Config{Layers: Repeat(1, Windowed(1, 1, 9))}
	for _, o := range []struct {
		c     Config
		marks []uint64
		want  string
	}{
		{windows, []uint64{1, 2, 3, 4}, "want at most 3 marks, found 4"},
		{windows, []uint64{0}, "want a mark from 1 to 10, found 0"},
		{windows, []uint64{3, 11}, "want a mark from 4 to 10, found 11"},
		{windows, []uint64{3, 3}, "want a mark from 4 to 10, found 3"},
		{windows, []uint64{math.MaxUint64}, "want a mark from 1 to 10, found 18446744073709551615"},
		{Config{Layers: mixed}, []uint64{3}, "want no marks, since every position is remembered, found 1"},
	} {
		s := newStore(t, o.c)
		_, err := s.Load(bytes.NewReader(lying(t, o.c, 10, 0, o.marks...)))
		require.ErrorIs(t, err, ErrFormat)
		require.EqualError(t, err, "load: not a saved sequence of this configuration: "+o.want)
		require.Zero(t, s.Pages())
		invariants(t, s)
	}
}

// TestLoadFull: what the limit cannot hold is refused wherever it ends, and leaves nothing.
func TestLoadFull(t *testing.T) {
	c := Config{Layers: hybrid}
	b := saved(t, c, 300)
	whole := newStore(t, c)
	_, err := whole.Load(bytes.NewReader(b))
	require.NoError(t, err)
	step := whole.StateBytes()
	c.MaxBytes = whole.PageBytes() + whole.StateBytes()
	for ; c.MaxBytes < whole.Used(); c.MaxBytes += step {
		s := newStore(t, c)
		_, err := s.Load(bytes.NewReader(b))
		require.ErrorIs(t, err, ErrFull)
		require.NotErrorIs(t, err, ErrFormat)
		require.Zero(t, s.Pages())
		require.LessOrEqual(t, s.Bytes(), c.MaxBytes)
	}
	c.MaxBytes = whole.Used()
	_, err = newStore(t, c).Load(bytes.NewReader(b))
	require.NoError(t, err)
}

func FuzzLoad(f *testing.F) {
	c := Config{Layers: mixed, MaxBytes: 1 << 20}
	fuzzLoad(f, c, saved(f, c, 0), saved(f, c, 3), saved(f, c, 65), lying(f, c, 1<<50, 1))
}

func FuzzLoadHybrid(f *testing.F) {
	c := Config{Layers: []Spec{Recurrent(2), Windowed(1, 2, 70), Full(1, 1)}, MaxBytes: 1 << 20}
	fuzzLoad(f, c, saved(f, c, 0), saved(f, c, 3), saved(f, c, 200), lying(f, c, 1<<50, 1, 1<<49, 1<<50))
}

func fuzzLoad(f *testing.F, c Config, seeds ...[]byte) {
	for _, b := range seeds {
		f.Add(b)
	}
	s := newStore(f, c)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := s.Load(bytes.NewReader(b))
		if err != nil {
			require.Zero(t, s.Pages())
			require.NotContains(t, err.Error(), "\n")
			return
		}
		// What is accepted is what would be written.
		var again bytes.Buffer
		require.NoError(t, s.Save(&again, q))
		require.Equal(t, b[:again.Len()], again.Bytes())
		s.Drop(q)
		require.Zero(t, s.Pages())
	})
}
