package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// TestRoundTrip writes a value of every Go type and reads it back.
func TestRoundTrip(t *testing.T) {
	nested, err := OpenBytes("x", everyKind(2))
	require.NoError(t, err)
	arrays, _ := nested.Value("nested")
	text, _ := nested.Value("text")
	number, _ := nested.Value("i16")
	values := []struct {
		value, want any
		kind, elem  Kind
	}{
		{true, true, Bool, 0},
		{false, false, Bool, 0},
		{"a\x00b\n", "a\x00b\n", String, 0},
		{"", "", String, 0},
		{uint8(255), uint64(255), Uint8, 0},
		{int8(-128), int64(-128), Int8, 0},
		{uint16(65535), uint64(65535), Uint16, 0},
		{int16(-32768), int64(-32768), Int16, 0},
		{uint32(math.MaxUint32), uint64(math.MaxUint32), Uint32, 0},
		{int32(math.MinInt32), int64(math.MinInt32), Int32, 0},
		{uint64(math.MaxUint64), uint64(math.MaxUint64), Uint64, 0},
		{int64(math.MinInt64), int64(math.MinInt64), Int64, 0},
		{float32(-0.1), float32(-0.1), Float32, 0},
		{math.Inf(-1), math.Inf(-1), Float64, 0},
		{[]bool{true, false}, []any{true, false}, Array, Bool},
		{[]string{"", "xy"}, []any{"", "xy"}, Array, String},
		{[]uint8{0, 255}, []any{uint64(0), uint64(255)}, Array, Uint8},
		{[]int8{-1}, []any{int64(-1)}, Array, Int8},
		{[]uint16{1}, []any{uint64(1)}, Array, Uint16},
		{[]int16{-1}, []any{int64(-1)}, Array, Int16},
		{[]uint32{1}, []any{uint64(1)}, Array, Uint32},
		{[]int32{-1}, []any{int64(-1)}, Array, Int32},
		{[]uint64{1}, []any{uint64(1)}, Array, Uint64},
		{[]int64{-1}, []any{int64(-1)}, Array, Int64},
		{[]float32{0.5, -3}, []any{float32(0.5), float32(-3)}, Array, Float32},
		{[]float64{}, []any{}, Array, Float64},
		{arrays, arrays.Any(-1), Array, Array},
		{text, "grüß Gott", String, 0},
		{number, int64(-32768), Int16, 0},
	}
	w := NewWriter()
	for i, v := range values {
		require.NoError(t, w.Set(fmt.Sprintf("key %d", i), v.value))
	}
	row := make([]byte, 34)
	for i := range row {
		row[i] = byte(i)
	}
	require.NoError(t, w.Add("row", quant.Q8_0, []int{32}, row))
	require.NoError(t, w.Add("four", quant.F16, []int{1, 2, 1, 3}, bytes.Repeat([]byte{7, 8}, 6)))
	var out bytes.Buffer
	n, err := w.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), n)
	again := new(bytes.Buffer)
	_, err = w.WriteTo(again)
	require.NoError(t, err)
	require.Equal(t, out.Bytes(), again.Bytes())

	f, err := OpenBytes("x", out.Bytes())
	require.NoError(t, err)
	require.Equal(t, 3, f.Version())
	require.Len(t, f.Keys(), len(values))
	for i, v := range values {
		got, ok := f.Value(fmt.Sprintf("key %d", i))
		require.True(t, ok)
		require.Equal(t, v.kind, got.Kind())
		require.Equal(t, v.elem, got.ElemKind())
		require.Equal(t, v.want, got.Any(-1))
	}
	x, ok := f.Tensor("row")
	require.True(t, ok)
	require.Equal(t, row, f.Data(x))
	x, ok = f.Tensor("four")
	require.True(t, ok)
	require.Equal(t, []int{1, 2, 1, 3}, x.Shape)
	require.Equal(t, bytes.Repeat([]byte{7, 8}, 6), f.Data(x))
}

func TestWriterRefuses(t *testing.T) {
	w := NewWriter()
	require.NoError(t, w.Set("k", true))
	require.EqualError(t, w.Set("k", false), `key "k" is set twice`)
	require.ErrorContains(t, w.Set("i", 7), `key "i": a int has no place in a file`)
	require.ErrorContains(t, w.Set("i", nil), "has no place")
	require.ErrorContains(t, w.Set("i", []any{1}), "has no place")
	for _, bad := range []any{uint32(0), uint32(48), uint64(1 << 40), int32(-32), "32", []uint32{32}} {
		require.ErrorContains(t, w.Set("general.alignment", bad), "want a power of two up to 1048576")
	}
	require.NoError(t, w.Add("t", quant.F32, []int{2}, make([]byte, 8)))
	require.ErrorContains(t, w.Set("general.alignment", uint32(64)), "before tensors")
	require.EqualError(t, w.Add("t", quant.F32, []int{2}, make([]byte, 8)), `tensor "t" is added twice`)
	for _, c := range []struct {
		typ   quant.Type
		shape []int
		bytes int
		want  string
	}{
		{4, []int{32}, 0, "unknown type 4"},
		{quant.F32, nil, 4, "shape []"},
		{quant.F32, []int{1, 1, 1, 1, 1}, 4, "shape [1 1 1 1 1]"},
		{quant.F32, []int{0}, 0, "shape [0]"},
		{quant.F32, []int{2, -1}, 0, "shape [2 -1]"},
		{quant.F32, []int{math.MaxInt, 2}, 0, "no tensor has shape"},
		{quant.Q4_K, []int{128}, 72, "no Q4_K tensor has shape [128]"},
		{quant.F32, []int{2, 2}, 15, "[2 2] F32 weights take 16 bytes, found 15"},
	} {
		require.ErrorContains(t, w.Add("bad", c.typ, c.shape, make([]byte, c.bytes)), c.want)
	}
	long := strings.Repeat("x", maxName+1)
	require.EqualError(t, w.Set(long, true), "a key of 65536 bytes: want at most 65535")
	require.EqualError(t, w.Add(long, quant.I8, []int{1}, []byte{1}), "a tensor name of 65536 bytes: want at most 65535")
	// What was refused left no file.
	require.NoError(t, w.Add("bad", quant.F32, []int{1}, make([]byte, 4)))
	var out bytes.Buffer
	_, err := w.WriteTo(&out)
	require.NoError(t, err)
	f, err := OpenBytes("x", out.Bytes())
	require.NoError(t, err)
	require.Equal(t, []string{"k"}, f.Keys())
	require.Len(t, f.Tensors(), 2)
}

// full is a device that takes only so many bytes.
type full int

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), int(*f))
	*f -= full(n)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriteToFull(t *testing.T) {
	w := NewWriter()
	require.NoError(t, w.Add("a", quant.I8, []int{5}, make([]byte, 5)))
	require.NoError(t, w.Add("b", quant.I8, []int{40}, make([]byte, 40)))
	size := full(math.MaxInt32)
	all, err := w.WriteTo(&size)
	require.NoError(t, err)
	for room := range int(all) {
		f := full(room)
		n, err := w.WriteTo(&f)
		require.ErrorIs(t, err, errFull)
		require.EqualValues(t, room, n)
	}
}

// TestAddFrom: a tensor that writes itself is held to its size, and makes the same file as one in
// memory.
func TestAddFrom(t *testing.T) {
	data := bytes.Repeat([]byte{1, 2, 3}, 1000)
	whole := NewWriter()
	require.NoError(t, whole.Set("k", "v"))
	require.NoError(t, whole.Add("a", quant.I8, []int{3000}, data))
	require.NoError(t, whole.Add("b", quant.I8, []int{1}, data[:1]))
	var want, got bytes.Buffer
	_, err := whole.WriteTo(&want)
	require.NoError(t, err)
	require.EqualValues(t, want.Len(), whole.Size())

	write := func(n int) *Writer {
		w := NewWriter()
		require.NoError(t, w.Set("k", "v"))
		require.NoError(t, w.AddFrom("a", quant.I8, []int{3000}, func(out io.Writer) error {
			for part := range slices.Chunk(data[:n], 700) {
				if _, err := out.Write(part); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, w.Add("b", quant.I8, []int{1}, data[:1]))
		return w
	}
	n, err := write(3000).WriteTo(&got)
	require.NoError(t, err)
	require.EqualValues(t, want.Len(), n)
	require.Equal(t, want.Bytes(), got.Bytes())
	require.EqualValues(t, n, write(3000).Size())

	_, err = write(2999).WriteTo(io.Discard)
	require.EqualError(t, err, `tensor "a": want 3000 bytes written, found 2999`)
	room := full(1000)
	_, err = write(3000).WriteTo(&room)
	require.ErrorIs(t, err, errFull)

	w := NewWriter()
	huge := []int{math.MaxInt / 8}
	require.NoError(t, w.AddFrom("a", quant.F32, huge, nil))
	require.NoError(t, w.AddFrom("b", quant.I8, huge, nil))
	require.ErrorContains(t, w.AddFrom("c", quant.F64, huge, nil), "no file has room")
	require.ErrorContains(t, w.AddFrom("c", quant.F32, huge, nil), "no file has room")
}

func names(t testing.TB, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestWriteFile: either the whole file is there, or what was there before, and nothing else.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.gguf")
	w := NewWriter()
	require.NoError(t, w.Set("k", "old"))
	require.NoError(t, w.WriteFile(path))
	w = NewWriter()
	require.NoError(t, w.Set("k", "new"))
	require.NoError(t, w.Add("t", quant.I8, []int{3 << 20}, make([]byte, 3<<20)))
	require.NoError(t, w.WriteFile(path))
	require.Equal(t, []string{"x.gguf"}, names(t, dir))
	f, err := Open(path, Options{})
	require.NoError(t, err)
	v, _ := f.Value("k")
	s, _ := v.Text()
	require.Equal(t, "new", s)
	require.NoError(t, f.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm()&0o600)

	folder := filepath.Join(dir, "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "inside"), 0o700))
	err = w.WriteFile(folder)
	oneLine(t, err, folder)
	require.Equal(t, []string{"taken", "x.gguf"}, names(t, dir))
	require.Equal(t, []string{"inside"}, names(t, folder))

	err = w.WriteFile(filepath.Join(dir, "absent", "x.gguf"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "absent", "x.gguf")+": ")
	require.Equal(t, []string{"taken", "x.gguf"}, names(t, dir))

	if os.Geteuid() != 0 {
		require.NoError(t, os.Chmod(dir, 0o500))
		require.ErrorIs(t, w.WriteFile(path), os.ErrPermission)
		require.NoError(t, os.Chmod(dir, 0o700))
		require.Equal(t, []string{"taken", "x.gguf"}, names(t, dir))
	}
}
