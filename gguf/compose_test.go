package gguf

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// counted are rows of bytes: those of even number are in memory, the others are made, and it is
// counted how often.
type counted struct {
	data []byte
	size int
	made *int
}

func (c counted) View(first, n int) []byte {
	if n == 1 && first%2 == 0 {
		return c.data[first*c.size : (first+1)*c.size]
	}
	return nil
}

func (c counted) Read(dst []byte, first int) {
	*c.made++
	copy(dst, c.data[first*c.size:])
}

func TestCompose(t *testing.T) {
	made, closed := 0, 0
	data := []byte{1, 2, 3, 4, 5, 6}
	f, err := Compose(Composition{
		Path:  "a folder",
		Keys:  []KV{{"general.architecture", "x"}, {"x.numbers", []uint32{7, 8}}},
		Parts: []Part{{"a", quant.I8, []int{2, 3}, counted{data, 2, &made}}, {"b", quant.I8, []int{1}, counted{data, 1, &made}}},
		Notes: []string{"a note"},
		Lock:  func() error { return errors.ErrUnsupported },
		Close: func() error { closed++; return nil },
	})
	require.NoError(t, err)
	require.Equal(t, "a folder", f.Path())
	require.Equal(t, []string{"general.architecture", "x.numbers"}, f.Keys())
	require.Equal(t, []string{"a note"}, f.Notes())
	v, ok := f.Value("x.numbers")
	require.True(t, ok)
	require.Equal(t, []any{uint64(7), uint64(8)}, v.Any(-1))
	require.Equal(t, []Tensor{{"a", quant.I8, []int{2, 3}, 0, 6, 0}, {"b", quant.I8, []int{1}, 32, 1, 0}}, f.Tensors())
	require.Zero(t, made, "nothing is made before it is asked for")

	a, ok := f.Tensor("a")
	require.True(t, ok)
	require.Same(t, &data[4], &f.Rows(a, 2, 1)[0], "what lies in memory is not copied")
	require.Zero(t, made)
	require.Equal(t, data[2:4], f.Rows(a, 1, 1))
	require.Equal(t, data[2:4], f.Rows(a, 1, 1))
	require.Equal(t, 1, made, "what was made is kept")
	copied := *a
	require.Equal(t, data, f.Data(&copied))
	require.Equal(t, 2, made)

	buf := make([]byte, 8)
	require.Same(t, &buf[0], &f.ReadRows(buf, a, 1, 2)[0])
	require.Equal(t, data[2:6], buf[:4])
	require.Same(t, &data[0], &f.ReadRows(buf, a, 0, 1)[0])
	f.ReadRows(buf, a, 1, 1)
	require.Equal(t, 4, made, "what is read once is not kept")

	require.ErrorIs(t, f.Lock(), errors.ErrUnsupported)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	require.Equal(t, 1, closed)

	for want, c := range map[string]Composition{
		`key "x" is set twice`:          {Keys: []KV{{"x", true}, {"x", true}}},
		"is added twice":                {Parts: []Part{{"a", quant.I8, []int{1}, nil}, {"a", quant.I8, []int{1}, nil}}},
		"has shape [0]":                 {Parts: []Part{{"a", quant.I8, []int{0}, nil}}},
		"has no place":                  {Keys: []KV{{"x", 7}}},
		"no Q4_0 tensor has shape [16]": {Parts: []Part{{"a", quant.Q4_0, []int{16}, nil}}},
	} {
		c.Path = "a folder"
		_, err := Compose(c)
		require.ErrorContains(t, err, "a folder: ")
		require.ErrorContains(t, err, want)
	}
}

// TestRowsOfFile: rows of a file that was read are views, and what was not read has none.
func TestRowsOfFile(t *testing.T) {
	w := NewWriter()
	require.NoError(t, w.Add("a", quant.I8, []int{2, 3}, []byte{1, 2, 3, 4, 5, 6}))
	path := t.TempDir() + "/x.gguf"
	require.NoError(t, w.WriteFile(path))
	for _, o := range []Options{{}, {NoMmap: true}, {HeaderOnly: true}} {
		f, err := Open(path, o)
		require.NoError(t, err)
		a, _ := f.Tensor("a")
		if o.HeaderOnly {
			require.Nil(t, f.Rows(a, 0, 1))
		} else {
			require.Equal(t, []byte{3, 4, 5, 6}, f.Rows(a, 1, 2))
			require.Equal(t, []byte{3, 4}, f.ReadRows(nil, a, 1, 1))
		}
		require.Empty(t, f.Notes())
		require.NoError(t, f.Close())
	}
}
