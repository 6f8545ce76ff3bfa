package gguf

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// part writes file no of n in dir, with one tensor; change may spoil it.
func part(t testing.TB, dir string, no, n int, change func(w *Writer)) string {
	w := NewWriter()
	if no == 0 {
		require.NoError(t, w.Set("general.architecture", "llama"))
		require.NoError(t, w.Set("general.alignment", uint32(64)))
	}
	require.NoError(t, w.Set("split.no", uint16(no)))
	require.NoError(t, w.Set("split.count", uint16(n)))
	if change == nil {
		require.NoError(t, w.Set(tensorCount, int32(n)))
		require.NoError(t, w.Add(fmt.Sprintf("t%d", no), quant.I8, []int{4}, []byte{byte(no), 1, 2, 3}))
	} else {
		change(w)
	}
	path := filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", no+1, n))
	require.NoError(t, w.WriteFile(path))
	return path
}

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	var size int64
	for i := range 3 {
		paths = append(paths, part(t, dir, i, 3, nil))
		info, err := os.Stat(paths[i])
		require.NoError(t, err)
		size += info.Size()
	}
	for _, path := range paths {
		for _, o := range []Options{{}, {NoMmap: true}, {HeaderOnly: true}} {
			f, err := Open(path, o)
			require.NoError(t, err)
			require.Equal(t, path, f.Path())
			require.Equal(t, size, f.Size())
			require.Len(t, f.Tensors(), 3)
			v, ok := f.Value("general.architecture")
			require.True(t, ok, "metadata is that of the first file")
			s, _ := v.Text()
			require.Equal(t, "llama", s)
			for i := range 3 {
				x, ok := f.Tensor(fmt.Sprintf("t%d", i))
				require.True(t, ok)
				require.Equal(t, i, x.Shard)
				require.Equal(t, *x, f.Tensors()[i])
				if o.HeaderOnly {
					require.Nil(t, f.Data(x))
				} else {
					require.Equal(t, []byte{byte(i), 1, 2, 3}, f.Data(x))
				}
			}
			require.NoError(t, f.Close())
			require.NoError(t, f.Close())
		}
	}
	data, err := os.ReadFile(paths[1])
	require.NoError(t, err)
	_, err = OpenBytes("m", data)
	require.ErrorContains(t, err, `m: "split.count": one of 3 files of a model: open it by its path`)
	require.ErrorIs(t, err, ErrUnsupported)
}

// TestSplitOfOne: a model that was split into one file is an ordinary one, whatever its name.
func TestSplitOfOne(t *testing.T) {
	for _, n := range []int{0, 1} {
		path := part(t, t.TempDir(), 0, n, nil)
		plain := filepath.Join(filepath.Dir(path), "plain.gguf")
		require.NoError(t, os.Rename(path, plain))
		f, err := Open(plain, Options{})
		require.NoError(t, err)
		require.Len(t, f.Tensors(), 1)
		require.NoError(t, f.Close())
	}
}

func TestSplitFaults(t *testing.T) {
	set := func(key string, value any) func(w *Writer) {
		return func(w *Writer) {
			if err := w.Set(key, value); err != nil {
				panic(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(dir string, paths []string)
		want  []string
	}{
		"first missing":  {func(_ string, p []string) { os.Remove(p[0]) }, []string{"file 1 of 3 is missing: m-00001-of-00003.gguf"}},
		"middle missing": {func(_ string, p []string) { os.Remove(p[1]) }, []string{"file 2 of 3 is missing: m-00002-of-00003.gguf"}},
		"last missing":   {func(_ string, p []string) { os.Remove(p[2]) }, []string{"file 3 of 3 is missing: m-00003-of-00003.gguf"}},
		"middle is a folder": {func(_ string, p []string) {
			os.Remove(p[1])
			os.Mkdir(p[1], 0o700)
		}, []string{"m-00002-of-00003.gguf: want a regular file, found a directory"}},
		"middle is cut": {func(_ string, p []string) { os.Truncate(p[1], 100) }, []string{"m-00002-of-00003.gguf: ", "past the end"}},
		"wrong number":  {func(dir string, p []string) { os.Rename(part(t, t.TempDir(), 2, 3, nil), p[1]) }, []string{`m-00002-of-00003.gguf: "split.no": want file 2 of 3, found 3 of 3`}},
		"wrong count": {func(dir string, p []string) { os.Rename(part(t, t.TempDir(), 1, 4, nil), p[1]) }, []string{
			`m-00002-of-00003.gguf: "split.no": want file 2 of 3, found 2 of 4`}},
		"no split keys": {func(dir string, p []string) {
			os.WriteFile(p[1], everyKind(3), 0o600)
		}, []string{`m-00002-of-00003.gguf: "split.no": want file 2 of 3, found 1 of 0`}},
		"tensor count": {func(dir string, p []string) {
			part(t, dir, 0, 3, set(tensorCount, int32(3)))
		}, []string{`m-00001-of-00003.gguf: "split.tensors.count": want the number of tensors in all files, which is 2, found int32 3`}},
		"tensor count of text": {func(dir string, p []string) {
			for i := range 3 {
				part(t, dir, i, 3, set(tensorCount, "3\n"))
			}
		}, []string{`which is 0, found the string "3\n"`}},
		"tensor counts differ": {func(dir string, p []string) {
			part(t, dir, 1, 3, set(tensorCount, int32(4)))
		}, []string{`m-00002-of-00003.gguf: "split.tensors.count": want int32 3, as the first file of the model has, found int32 4`}},
		"another model": {func(dir string, p []string) {
			part(t, dir, 2, 3, set("general.architecture", "gpt2\n"))
		}, []string{`m-00003-of-00003.gguf: "general.architecture": want the string "llama", as the first file of the model has, found the string "gpt2\n"`}},
		"tensor twice": {func(dir string, p []string) {
			part(t, dir, 2, 3, func(w *Writer) {
				if err := w.Add("t0", quant.I8, []int{1}, []byte{1}); err != nil {
					panic(err)
				}
			})
		}, []string{`m-00003-of-00003.gguf: "t0": the tensor occurs twice`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for i := range 3 {
				paths = append(paths, part(t, dir, i, 3, nil))
			}
			c.spoil(dir, paths)
			// Whichever of the sound files is named, the fault is the same.
			for _, path := range slices.Clone(paths) {
				one, err := openShard(path, Options{})
				if err != nil {
					continue
				}
				n, no, err := one.split()
				require.NoError(t, one.Close())
				if err != nil || n != 3 || filepath.Base(path) != fmt.Sprintf("m-%05d-of-00003.gguf", no+1) {
					continue
				}
				for _, o := range []Options{{}, {HeaderOnly: true}} {
					_, err := Open(path, o)
					require.Error(t, err)
					require.NotContains(t, err.Error(), "\n")
					for _, want := range c.want {
						require.ErrorContains(t, err, want)
					}
				}
			}
		})
	}
}

// TestSplitNames: the other files are found by the name, so it must say what the file says.
func TestSplitNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		part(t, dir, i, 2, nil)
	}
	first := filepath.Join(dir, "m-00001-of-00002.gguf")
	plain := filepath.Join(dir, "plain.gguf")
	require.NoError(t, os.Link(first, plain))
	_, err := Open(plain, Options{})
	oneLine(t, err, plain)
	require.ErrorContains(t, err, "file 1 of a model of 2, whose names end in -00001-of-00002.gguf")
	require.ErrorIs(t, err, ErrFormat)
	wrong := filepath.Join(dir, "m-00002-of-00009.gguf")
	require.NoError(t, os.Link(first, wrong))
	_, err = Open(wrong, Options{})
	oneLine(t, err, wrong)
	require.ErrorContains(t, err, "the name does not say that it is file 1 of 2")

	for name, c := range map[string]struct {
		count, no any
		want      string
	}{
		"count of text":  {"two", uint16(0), `"split.count": want a number up to 99999, found the string "two"`},
		"count -1":       {int32(-1), uint16(0), `"split.count": want a number up to 99999, found int32 -1`},
		"count huge":     {uint64(1 << 63), uint16(0), "found uint64 9223372036854775808"},
		"number huge":    {uint16(2), uint64(1 << 63), `"split.no": want a number up to 99999`},
		"number too big": {uint16(2), uint16(2), `"split.no": want a number below split.count, which is 2, found 2`},
	} {
		w := NewWriter()
		require.NoError(t, w.Set("split.no", c.no))
		require.NoError(t, w.Set("split.count", c.count))
		path := filepath.Join(dir, "x-00001-of-00002.gguf")
		require.NoError(t, w.WriteFile(path))
		_, err := Open(path, Options{})
		oneLine(t, err, path)
		require.ErrorContains(t, err, c.want, name)
	}
}

// TestOpenHeader: the header is read through any source of bytes, and so are those of the other
// files of a split model.
func TestOpenHeader(t *testing.T) {
	dir := t.TempDir()
	paths := []string{part(t, dir, 0, 3, nil), part(t, dir, 1, 3, nil), part(t, dir, 2, 3, nil)}
	var opened []string
	open := func(path string) (io.ReaderAt, int64, error) {
		opened = append(opened, path)
		data, err := os.ReadFile(path)
		return bytes.NewReader(data), int64(len(data)), err
	}
	want, err := Open(paths[1], Options{HeaderOnly: true})
	require.NoError(t, err)
	defer want.Close()
	got, err := OpenHeader(paths[1], open)
	require.NoError(t, err)
	require.Equal(t, want.Tensors(), got.Tensors())
	require.Equal(t, want.Keys(), got.Keys())
	require.Equal(t, want.Size(), got.Size())
	require.Equal(t, append([]string{paths[1]}, paths...), opened)
	require.Nil(t, got.Data(&got.Tensors()[0]))

	_, err = OpenHeader(paths[0], func(path string) (io.ReaderAt, int64, error) {
		if path == paths[2] {
			return nil, 0, fs.ErrNotExist
		}
		return open(path)
	})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "file 3 of 3 is missing")
}
