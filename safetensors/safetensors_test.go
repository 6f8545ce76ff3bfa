package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// file is a file with a header and data.
func file(header string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

const two = `{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]},"a":{"dtype":"U8","shape":[],"data_offsets":[3,4]},"c":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}}  `

func TestRead(t *testing.T) {
	f, err := OpenBytes("x", file(two, 1, 2, 3, 4, 5, 6, 7, 8))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	require.Equal(t, []Tensor{
		{"c", I8, []int{3}, 0, 3, []byte{1, 2, 3}, "x"},
		{"a", U8, []int{}, 3, 1, []byte{4}, "x"},
		{"b", F16, []int{2, 1}, 4, 4, []byte{5, 6, 7, 8}, "x"},
	}, f.Tensors())
	b, ok := f.Tensor("b")
	require.True(t, ok)
	require.Equal(t, 4, cap(b.Data), "nobody can write behind it")
	_, ok = f.Tensor("d")
	require.False(t, ok)

	// Tensors without elements take no room.
	f, err = OpenBytes("x", file(`{"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	require.NoError(t, err)
	require.Len(t, f.Tensors(), 2)
	f, err = OpenBytes("x", file(`{}`))
	require.NoError(t, err)
	require.Empty(t, f.Tensors())
}

// TestHostile: every rule of the format, broken.
func TestHostile(t *testing.T) {
	one := func(body string) string { return `{"a":{` + body + `}}` }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":            {nil, "want at least 8 bytes, found 0"},
		"short":            {[]byte("{}"), "want at least 8 bytes, found 2"},
		"huge header":      {binary.LittleEndian.AppendUint64(nil, 1<<63), "it begins with 9223372036854775808 as the length of its header: want at most 100000000"},
		"header past end":  {file(`{}`)[:9], "a header of 2 bytes runs past the end of the file (9 bytes)"},
		"no header":        {file(""), "its header is no JSON object"},
		"array":            {file("[]"), "its header is no JSON object"},
		"no JSON":          {file(`{"a" 7}`), "expected colon after object key"},
		"unfinished":       {file(`{"a":`), "EOF"},
		"more behind":      {file(`{}{}`), "2 bytes after the JSON object"},
		"twice":            {file(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), `tensor "a": the name occurs twice`},
		"metadata twice":   {file(`{"__metadata__":{},"__metadata__":{}}`), "the name occurs twice"},
		"metadata":         {file(`{"__metadata__":{"a":1}}`), "found a JSON number"},
		"no tensor":        {file(`{"a":7}`), `tensor "a": `},
		"null":             {file(`{"a":null}`), `want a dtype that is known, found ""`},
		"unknown key":      {file(one(`"dtype":"I8","shape":[1],"data_offsets":[0,1],"more":1`), 1), `unknown field "more"`},
		"dtype":            {file(one(`"dtype":"F4","shape":[1],"data_offsets":[0,1]`), 1), `want a dtype that is known, found "F4"`},
		"no shape":         {file(one(`"dtype":"I8","data_offsets":[0,1]`), 1), "want a shape of at most 8 dimensions"},
		"dimensions":       {file(one(`"dtype":"I8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]`), 1), "want a shape of at most 8 dimensions, found 9"},
		"negative":         {file(one(`"dtype":"I8","shape":[-1],"data_offsets":[0,1]`), 1), `found a JSON number -1 under "shape"`},
		"fraction":         {file(one(`"dtype":"I8","shape":[1.5],"data_offsets":[0,1]`), 1), `found a JSON number 1.5 under "shape"`},
		"overflow":         {file(one(`"dtype":"I8","shape":[4294967296,4294967296],"data_offsets":[0,0]`)), "no tensor has the shape [4294967296 4294967296]"},
		"overflow by type": {file(one(`"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]`)), "no tensor has the shape"},
		"one offset":       {file(one(`"dtype":"I8","shape":[1],"data_offsets":[0]`), 1), "want 2 data_offsets, found 1"},
		"offsets turned":   {file(one(`"dtype":"I8","shape":[1],"data_offsets":[1,0]`), 1), "want data_offsets in order, found 1 and 0"},
		"size":             {file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), 1, 2, 3, 4), "F32 [2] takes 8 bytes, but data_offsets span 4"},
		"past end":         {file(one(`"dtype":"I8","shape":[3],"data_offsets":[0,3]`), 1), "3 bytes from offset 0 run past the end of the data (1 bytes)"},
		"hole in front":    {file(one(`"dtype":"I8","shape":[1],"data_offsets":[1,2]`), 1, 2), "begins at offset 1, with a hole before it from 0 on"},
		"hole":             {file(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I8","shape":[1],"data_offsets":[2,3]}}`, 1, 2, 3), `tensor "b": begins at offset 2, with a hole before it from 1 on`},
		"overlap":          {file(`{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), `tensor "b": begins at offset 1, within the tensor "a", which ends at 2`},
		"bytes behind":     {file(one(`"dtype":"I8","shape":[1],"data_offsets":[0,1]`), 1, 2), "1 bytes after the last tensor: want none"},
		"a long name":      {file(`{"` + strings.Repeat("x\\n", 4000) + `":7}`), `tensor "x\nx\n`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenBytes("the.safetensors", c.data)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "the.safetensors: ")
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 300)
			require.ErrorIs(t, err, ErrFormat)
			_, ok := errors.AsType[*FormatError](err)
			require.True(t, ok)
		})
	}
}

func write(t *testing.T, dir, name string, data []byte) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}

// TestSharded: an index names the files of a set, and is held to what they hold.
func TestSharded(t *testing.T) {
	dir := t.TempDir()
	one := func(name string) []byte {
		return file(fmt.Sprintf(`{"%s":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}`, name), 1, 2)
	}
	write(t, dir, "1.safetensors", one("a"))
	write(t, dir, "2.safetensors", one("b"))
	_, err := OpenDir(dir, Options{})
	require.ErrorContains(t, err, "2 files but no model.safetensors.index.json, which says what lies in which")
	for _, o := range []Options{{}, {NoMmap: true}} {
		write(t, dir, indexName, []byte(`{"metadata":{"total_size":4},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`))
		f, err := OpenDir(dir, o)
		require.NoError(t, err)
		require.Len(t, f.Tensors(), 2)
		require.Equal(t, "b", f.Tensors()[0].Name, "files are in the order in which the index names them")
		a, ok := f.Tensor("a")
		require.True(t, ok)
		require.Equal(t, filepath.Join(dir, "1.safetensors"), a.Path)
		require.Equal(t, []byte{1, 2}, a.Data)
		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
	}
	for index, want := range map[string]string{
		``:                  "EOF",
		`[]`:                "want a JSON object",
		`{}`:                "want a weight_map with the file of every tensor",
		`{"weight_map":7}`:  "want a JSON object",
		`{"weight_map":{}}`: "want a weight_map with the file of every tensor",
		`{"weight_map":{"a":"1.safetensors"},"weight_map":{}}`:             "weight_map occurs twice",
		`{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}`:         `names tensor "a" twice`,
		`{"weight_map":{"a":7}}`:                                           "found a JSON number",
		`{"weight_map":{"a":null}}`:                                        `tensor "a": want the name of a file in this folder, found ""`,
		`{"weight_map":{"a":"../1.safetensors"}}`:                          `found "../1.safetensors"`,
		`{"weight_map":{"a":"/etc/passwd"}}`:                               `found "/etc/passwd"`,
		`{"weight_map":{"a":".."}}`:                                        `found ".."`,
		`{"weight_map":{"a":"x\\1.safetensors"}}`:                          `want the name of a file in this folder`,
		`{"weight_map":{"a":"1.safetensors"}} x`:                           "after the JSON object",
		`{"weight_map":{"a":"2.safetensors"}}`:                             "2.safetensors does not have it",
		`{"weight_map":{"a":"1.safetensors","c":"2.safetensors"}}`:         "2.safetensors does not have it",
		`{"weight_map":{"a":"1.safetensors","x":"1.safetensors"}}`:         "1.safetensors does not have it",
		`{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"3"}}`: "no such file",
	} {
		write(t, dir, indexName, []byte(index))
		_, err := OpenDir(dir, Options{})
		require.ErrorContains(t, err, want, index)
		require.ErrorContains(t, err, dir)
		require.NotContains(t, err.Error(), "\n")
	}
	write(t, dir, "2.safetensors", one("a"))
	write(t, dir, indexName, []byte(`{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`))
	_, err = OpenDir(dir, Options{})
	require.ErrorContains(t, err, `2.safetensors: tensor "a": 1.safetensors has it too`)
	write(t, dir, "2.safetensors", file(`{"b":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"c":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}`, 1, 2))
	_, err = OpenDir(dir, Options{})
	require.ErrorContains(t, err, `tensor "c": 2.safetensors has it, but weight_map does not name it`)
}

func TestFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*c") // no pattern, though it looks like one
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err := OpenDir(dir, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "want model.safetensors or model.safetensors.index.json, found neither")
	write(t, dir, "other.safetensors", file("{}"))
	f, err := OpenDir(dir, Options{})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "other.safetensors"), f.Path())
	require.NoError(t, f.Close())
	write(t, dir, fileName, file(two, 1, 2, 3, 4, 5, 6, 7, 8))
	f, err = OpenDir(dir, Options{})
	require.NoError(t, err)
	require.Len(t, f.Tensors(), 3)
	require.NoError(t, f.Close())
}

// TestReal reads the files of trained models.
func TestReal(t *testing.T) {
	for name, n := range map[string]int{"stories260K": 47, "tiny-dense": 56, "tiny-moe": 126} {
		f, err := OpenDir(filepath.Join(shared.Dir(t), "models", name, "hf"), Options{})
		require.NoError(t, err)
		require.Len(t, f.Tensors(), n)
		require.NoError(t, f.Close())
	}
}

// FuzzHeader: whatever the bytes are, there is a file that keeps its promises or one error in a
// line.
func FuzzHeader(f *testing.F) {
	f.Add(file(two, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}`, 1, 2))
	f.Add(file(`{"__metadata__":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := OpenBytes("x", data)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		total := int64(0)
		for _, a := range x.Tensors() {
			n := int64(a.DType.Size())
			for _, s := range a.Shape {
				n *= int64(s)
			}
			require.EqualValues(t, n, a.Bytes)
			require.Len(t, a.Data, int(n))
			b, ok := x.Tensor(a.Name)
			require.True(t, ok)
			require.Equal(t, a.Offset, b.Offset)
			require.Equal(t, total, a.Offset)
			total += n
		}
	})
}

// FuzzIndex does so for index files.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":4},"weight_map":{"b":"2.safetensors","a":"1.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x","a":7},"weight_map":[]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "x.json")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		x, err := readIndex(path)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for _, name := range x.files {
			require.Equal(t, dir, filepath.Dir(filepath.Join(dir, name)))
		}
	})
}
