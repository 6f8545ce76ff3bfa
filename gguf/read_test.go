package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
)

func write(t testing.TB, name string, data []byte) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestValues(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		data := everyKind(version)
		path := write(t, "x.gguf", data)
		open := map[string]func() (*File, error){
			"mapped":   func() (*File, error) { return Open(path, Options{}) },
			"read":     func() (*File, error) { return Open(path, Options{NoMmap: true}) },
			"header":   func() (*File, error) { return Open(path, Options{HeaderOnly: true}) },
			"front":    func() (*File, error) { return readFile(path) },
			"of bytes": func() (*File, error) { return OpenBytes(path, data) },
		}
		for name, open := range open {
			t.Run(fmt.Sprintf("version %d %s", version, name), func(t *testing.T) {
				f, err := open()
				require.NoError(t, err)
				checkEveryKind(t, f, int(version))
				require.Equal(t, path, f.Path())
				require.EqualValues(t, len(data), f.Size())

				a, ok := f.Tensor("a")
				require.True(t, ok)
				b, ok := f.Tensor("b")
				require.True(t, ok)
				if name == "header" || name == "front" {
					require.Nil(t, f.Data(a))
					require.NoError(t, f.Lock())
				} else {
					require.Equal(t, bytes.Repeat([]byte{1}, 24), f.Data(a))
					require.Equal(t, bytes.Repeat([]byte{2}, 34), f.Data(b))
					require.Equal(t, 24, cap(f.Data(a)), "a view must not reach its neighbour")
				}
				require.NoError(t, f.Close())
				require.NoError(t, f.Close())
				require.Nil(t, f.Data(a))
			})
		}
	}
}

func checkEveryKind(t *testing.T, f *File, version int) {
	require.Equal(t, version, f.Version())
	require.Equal(t, []string{"u8", "i8", "u16", "i16", "u32", "i32", "f32", "no", "yes", "text", "empty", "u64", "i64", "f64", "strings", "ints", "bools", "bytes",
		"none", "nested"}, f.Keys())
	type no struct{}
	for _, c := range []struct {
		key                             string
		kind                            Kind
		uint, int, float, bool, text, x any // no{} where the method must refuse
		print                           string
	}{
		{"u8", Uint8, uint64(200), int64(200), 200.0, no{}, no{}, uint64(200), "uint8 200"},
		{"i8", Int8, no{}, int64(-100), -100.0, no{}, no{}, int64(-100), "int8 -100"},
		{"u16", Uint16, uint64(60000), int64(60000), 60000.0, no{}, no{}, uint64(60000), "uint16 60000"},
		{"i16", Int16, no{}, int64(-32768), -32768.0, no{}, no{}, int64(-32768), "int16 -32768"},
		{"u32", Uint32, uint64(4000000000), int64(4000000000), 4e9, no{}, no{}, uint64(4000000000), "uint32 4000000000"},
		{"i32", Int32, no{}, int64(math.MinInt32), -float64(1 << 31), no{}, no{}, int64(math.MinInt32), "int32 -2147483648"},
		{"f32", Float32, no{}, no{}, float64(float32(0.1)), no{}, no{}, float32(0.1), "float32 0.1"},
		{"no", Bool, no{}, no{}, no{}, false, no{}, false, "bool false"},
		{"yes", Bool, no{}, no{}, no{}, true, no{}, true, "bool true"},
		{"text", String, no{}, no{}, no{}, no{}, "grüß Gott", "grüß Gott", `the string "grüß Gott"`},
		{"empty", String, no{}, no{}, no{}, no{}, "", "", `the string ""`},
		{"u64", Uint64, uint64(math.MaxUint64), no{}, float64(math.MaxUint64), no{}, no{}, uint64(math.MaxUint64), "uint64 18446744073709551615"},
		{"i64", Int64, no{}, int64(math.MinInt64), -float64(1 << 63), no{}, no{}, int64(math.MinInt64), "int64 -9223372036854775808"},
		{"f64", Float64, no{}, no{}, math.Pi, no{}, no{}, math.Pi, "float64 3.141592653589793"},
		{"strings", Array, no{}, no{}, no{}, no{}, no{}, []any{"a", "", "bc"}, "an array of 3 strings"},
		{"ints", Array, no{}, no{}, no{}, no{}, no{}, []any{int64(-1), int64(7)}, "an array of 2 int16s"},
		{"bools", Array, no{}, no{}, no{}, no{}, no{}, []any{true, false, true}, "an array of 3 bools"},
		{"none", Array, no{}, no{}, no{}, no{}, no{}, []any{}, "an array of 0 float64s"},
		{"nested", Array, no{}, no{}, no{}, no{}, no{}, []any{[]any{uint64(1), uint64(2)}, []any{}, []any{[]any{"x"}}}, "an array of 3 arrays"},
	} {
		v, ok := f.Value(c.key)
		require.True(t, ok, c.key)
		require.Equal(t, c.kind, v.Kind(), c.key)
		check := func(want any, got any, ok bool) {
			t.Helper()
			if want == (no{}) {
				require.False(t, ok, c.key)
				return
			}
			require.True(t, ok, c.key)
			require.Equal(t, want, got, c.key)
		}
		u, ok := v.Uint()
		check(c.uint, u, ok)
		i, ok := v.Int()
		check(c.int, i, ok)
		x, ok := v.Float()
		check(c.float, x, ok)
		b, ok := v.Bool()
		check(c.bool, b, ok)
		s, ok := v.Text()
		check(c.text, s, ok)
		require.Equal(t, c.x, v.Any(-1), c.key)
		require.Equal(t, c.print, v.String())
	}
	_, ok := f.Value("absent")
	require.False(t, ok)

	value := func(key string) Value {
		v, ok := f.Value(key)
		require.True(t, ok)
		return v
	}
	strs, ok := value("strings").Strings()
	require.True(t, ok)
	require.Equal(t, []string{"a", "", "bc"}, strs)
	ints, ok := value("ints").Ints()
	require.True(t, ok)
	require.Equal(t, []int64{-1, 7}, ints)
	floats, ok := value("ints").Floats()
	require.True(t, ok)
	require.Equal(t, []float64{-1, 7}, floats)
	bs, ok := value("bytes").Bytes()
	require.True(t, ok)
	require.Equal(t, []byte{1, 2, 255}, bs)
	none, ok := value("none").Floats()
	require.True(t, ok)
	require.Empty(t, none)
	for _, key := range []string{"strings", "bools", "nested", "text", "u8"} {
		_, ok := value(key).Ints()
		require.False(t, ok, key)
		_, ok = value(key).Floats()
		require.False(t, ok, key)
		_, ok = value(key).Bytes()
		require.False(t, ok, key)
	}
	for _, key := range []string{"ints", "bools", "nested", "text"} {
		_, ok := value(key).Strings()
		require.False(t, ok, key)
	}
	require.Equal(t, []any{"a", ""}, value("strings").Any(2))
	require.Equal(t, []any{}, value("strings").Any(0))
	require.Equal(t, []any{[]any{uint64(1)}}, value("nested").Any(1))
	require.Equal(t, String, value("strings").ElemKind())
	require.Equal(t, 3, value("strings").Len())
	require.Equal(t, len("grüß Gott"), value("text").Len())
	require.Zero(t, value("u8").Len())
	seen := 0
	value("strings").Each(func(i int, e Value) bool {
		require.Equal(t, seen, i)
		seen++
		return i < 1
	})
	require.Equal(t, 2, seen)
	value("text").Each(func(int, Value) bool { panic("not an array") })

	ts := f.Tensors()
	require.Len(t, ts, 2)
	require.Equal(t, Tensor{Name: "a", Type: quant.F32, Shape: []int{3, 2}, Offset: 0, Bytes: 24}, ts[0])
	require.Equal(t, Tensor{Name: "b", Type: quant.Q8_0, Shape: []int{32}, Offset: 32, Bytes: 34}, ts[1])
	_, ok = f.Tensor("c")
	require.False(t, ok)
}

func TestKindString(t *testing.T) {
	require.Equal(t, "float64", Float64.String())
	require.Equal(t, "kind(13)", numKinds.String())
	require.Equal(t, "kind(4294967295)", Kind(math.MaxUint32).String())
}

// TestTruncated cuts a small file at every byte.
func TestTruncated(t *testing.T) {
	data := everyKind(3)
	path := filepath.Join(t.TempDir(), "cut.gguf")
	for n := range data {
		err := damaged(t, data[:n:n])
		require.ErrorIs(t, err, ErrFormat)
		var f *FormatError
		require.ErrorAs(t, err, &f)
		require.Equal(t, "some.gguf", f.Path)
		require.LessOrEqual(t, f.Offset, int64(len(data)))
		if n%16 != 0 {
			continue
		}
		// The other ways to open it agree on the fault.
		want := strings.Replace(err.Error(), "some.gguf", path, 1)
		require.NoError(t, os.WriteFile(path, data[:n], 0o600))
		for _, o := range []Options{{}, {NoMmap: true}, {HeaderOnly: true}} {
			_, err := Open(path, o)
			require.EqualError(t, err, want)
		}
		_, err = readFile(path)
		require.EqualError(t, err, want)
	}
}

// TestFaults is the list of what a damaged file may claim.
func TestFaults(t *testing.T) {
	// What comes before the fault under test is sound.
	head := func(tensors, keys uint64) *raw { return newRaw(3, tensors, keys) }
	// one is a file with one tensor and room bytes of data.
	one := func(room int, describe func(r *raw)) *raw {
		r := head(1, 0)
		describe(r)
		r.align(32).fill(room, 0)
		return r
	}
	nest := func(depth int) *raw {
		r := head(0, 1).str("deep").kind(Array)
		for range depth {
			r.kind(Array).u64(1)
		}
		return r.kind(Uint8).u64(1).u8(0)
	}
	long := strings.Repeat("k\n", 5000)
	for name, c := range map[string]struct {
		file *raw
		want string
		is   error
	}{
		"empty":                   {&raw{}, "no GGUF file: it is empty", ErrFormat},
		"other":                   {(*raw)(&[]byte{'P', 'K', 3, 4, 5}), `no GGUF file: it begins with "PK\x03\x04"`, ErrFormat},
		"newline":                 {(*raw)(&[]byte{'\n', '\n'}), `no GGUF file: it begins with "\n\n"`, ErrFormat},
		"version 0":               {newRaw(0, 0, 0), "GGUF version 0: supported are 2 and 3", ErrUnsupported},
		"version 1":               {newRaw(1, 0, 0), "GGUF version 1: supported are 2 and 3; convert it", ErrUnsupported},
		"version 4":               {newRaw(4, 0, 0), "GGUF version 4: supported are 2 and 3", ErrUnsupported},
		"big-endian":              {newRaw(3<<24, 0, 0), "a big-endian file", ErrUnsupported},
		"big-endian magic":        {(*raw)(&[]byte{'F', 'U', 'G', 'G', 0, 0, 0, 3}), "a big-endian file", ErrUnsupported},
		"tensors 2^63":            {head(1<<63, 0), "want at most", ErrFormat},
		"tensors 2^64-1":          {head(math.MaxUint64, 0), "18446744073709551615 tensors", ErrFormat},
		"keys 2^63":               {head(0, 1<<63), "9223372036854775808 metadata entries: want at most", ErrFormat},
		"more tensors than bytes": {head(100, 0), "100 tensors and 0 metadata entries do not fit the file (24 bytes)", ErrFormat},
		"more keys than bytes":    {head(0, 60000), "60000 metadata entries do not fit the file", ErrFormat},
		"key 2^64-1":              {head(0, 1).u64(math.MaxUint64).u32(0).u8(0), "a key of 18446744073709551615 bytes runs past the end of the file (37 bytes)", ErrFormat},
		"key 2^63":                {head(0, 1).u64(1 << 63).u32(0).u8(0), "a key of 9223372036854775808 bytes", ErrFormat},
		"key too long":            {head(0, 1).str(strings.Repeat("k\n", 1<<15)).kind(Uint8).u8(0), "a key of 65536 bytes: want at most 65535 (at byte", ErrFormat},
		"tensor name too long":    {one(64, func(r *raw) { r.tensor(strings.Repeat("k\n", 1<<15), 0, 0, 1) }), "a tensor name of 65536 bytes: want at most 65535", ErrFormat},
		"string 2^63-1":           {head(0, 1).str("k").kind(String).u64(math.MaxInt64), `"k": a string of 9223372036854775807 bytes runs past`, ErrFormat},
		"string 2^64-1":           {head(0, 1).str("k").kind(String).u64(math.MaxUint64), "a string of 18446744073709551615 bytes", ErrFormat},
		"array 2^63":              {head(0, 1).str("k").array(Uint8).u64(1 << 63), "an array of 9223372036854775808 bytes runs past", ErrFormat},
		"array product":           {head(0, 1).str("k").array(Uint64).u64(1<<61 + 1), "an array of 2305843009213693953 uint64s is larger than any file", ErrFormat},
		"array of strings":        {head(0, 1).str("k").array(String).u64(math.MaxUint64), "larger than any file", ErrFormat},
		"array of arrays":         {head(0, 1).str("k").array(Array).u64(1 << 40), "an array of 13194139533312 bytes runs past", ErrFormat},
		"kind 13":                 {head(0, 1).str("k").u32(13).u64(0), `"k": unknown value type 13`, ErrFormat},
		"kind 2^32-1":             {head(0, 1).str("k").u32(math.MaxUint32).u64(0), "unknown value type 4294967295", ErrFormat},
		"element kind 13":         {head(0, 1).str("k").kind(Array).u32(13).u64(0), "unknown element type 13", ErrFormat},
		"deep":                    {nest(4), `"deep": arrays nested deeper than 4`, ErrFormat},
		"deeper":                  {nest(100000), "arrays nested deeper than 4", ErrFormat},
		"bool of 2":               {head(0, 1).str("k").kind(Bool).u8(2), "want a bool of 0 or 1, found 2", ErrFormat},
		"array of bools of 255":   {head(0, 1).str("k").array(Bool).u64(2).u8(1).u8(255), "want a bool of 0 or 1, found 255", ErrFormat},
		"key twice":               {head(0, 2).key("k", "").key("k", ""), `"k": the key occurs twice`, ErrFormat},
		"ugly key":                {head(0, 2).key(long, "").key(long, ""), `\nk...": the key occurs twice`, ErrFormat},
		"alignment 0":             {head(0, 1).str("general.alignment").kind(Uint32).u32(0), `"general.alignment": want a power of two up to 1048576, found uint32 0`, ErrFormat},
		"alignment 3":             {head(0, 1).str("general.alignment").kind(Uint32).u32(3), "found uint32 3", ErrFormat},
		"alignment 2^40":          {head(0, 1).str("general.alignment").kind(Uint64).u64(1 << 40), "found uint64 1099511627776", ErrFormat},
		"alignment -1":            {head(0, 1).str("general.alignment").kind(Int8).u8(255), "found int8 -1", ErrFormat},
		"alignment of text":       {head(0, 1).key("general.alignment", long), `found the string "k\nk\n`, ErrFormat},
		"alignment of list":       {head(0, 1).str("general.alignment").array(Uint8).u64(1).u8(32), "found an array of 1 uint8s", ErrFormat},
		"alignment by default":    {one(64, func(r *raw) { r.tensor("t", 0, 16, 4) }), `"t": offset 16: want a multiple of 32`, ErrFormat},
		"dimensions 0":            {one(64, func(r *raw) { r.tensor("t", 0, 0) }), "want 1 to 4 dimensions, found 0", ErrFormat},
		"dimensions 5":            {one(64, func(r *raw) { r.tensor("t", 0, 0, 1, 1, 1, 1, 1) }), "want 1 to 4 dimensions, found 5", ErrFormat},
		"dimensions 2^32-1":       {one(64, func(r *raw) { r.str("t").u32(math.MaxUint32).u64(1) }), "found 4294967295", ErrFormat},
		"dimension 0":             {one(64, func(r *raw) { r.tensor("t", 0, 0, 4, 0) }), `"t": dimension 1 is 0`, ErrFormat},
		"dimension 2^64-1":        {one(64, func(r *raw) { r.tensor("t", 0, 0, math.MaxUint64) }), "dimension 0 is 18446744073709551615", ErrFormat},
		"product 2^64":            {one(64, func(r *raw) { r.tensor("t", 0, 0, 1<<32, 1<<32) }), "dimension 0 is 4294967296, after []", ErrFormat},
		"product wraps to 4":      {one(64, func(r *raw) { r.tensor("t", 0, 0, 4, 1<<62+1) }), "dimension 1 is 4611686018427387905, after [4]", ErrFormat},
		"bytes wrap":              {one(64, func(r *raw) { r.tensor("t", 28, 0, 1<<61) }), "want a tensor that fits the file", ErrFormat},
		"product of four":         {one(64, func(r *raw) { r.tensor("t", 0, 0, 1<<16, 1<<16, 1<<16, 1<<16) }), "want a tensor that fits the file", ErrFormat},
		"type 4":                  {one(64, func(r *raw) { r.tensor("t", 4, 0, 32) }), `"t": tensor type 4 is none`, ErrUnsupported},
		"type 31":                 {one(64, func(r *raw) { r.tensor("t", 31, 0, 32) }), "tensor type 31", ErrUnsupported},
		"type 43":                 {one(64, func(r *raw) { r.tensor("t", 43, 0, 32) }), "tensor type 43", ErrUnsupported},
		"type 2^32-1":             {one(64, func(r *raw) { r.tensor("t", math.MaxUint32, 0, 32) }), "tensor type 4294967295", ErrUnsupported},
		"half a block":            {one(64, func(r *raw) { r.tensor("t", 12, 0, 128, 2) }), "rows of 128 Q4_K weights: want a multiple of 256", ErrFormat},
		"offset past the end":     {one(64, func(r *raw) { r.tensor("t", 0, 64, 4) }), `"t": 16 bytes from offset 64 run past the end of the data (64 bytes)`, ErrFormat},
		"offset 2^64-32":          {one(64, func(r *raw) { r.tensor("t", 0, math.MaxUint64-31, 8) }), "offset 18446744073709551584: want a multiple of 32 within the file", ErrFormat},
		"offset 2^63":             {one(64, func(r *raw) { r.tensor("t", 0, 1<<63, 8) }), "offset 9223372036854775808", ErrFormat},
		"data past the end":       {one(64, func(r *raw) { r.tensor("t", 0, 0, 17) }), "68 bytes from offset 0 run past the end of the data (64 bytes)", ErrFormat},
		"no data at all":          {head(1, 0).tensor("t", 0, 0, 1), "4 bytes from offset 0 run past the end of the data (0 bytes)", ErrFormat},
		"tensor twice": {func() *raw {
			r := head(2, 0).tensor("t", 0, 0, 1).tensor("t", 0, 32, 1).align(32)
			r.fill(64, 0)
			return r
		}(), `"t": the tensor occurs twice`, ErrFormat},
		"overlap": {func() *raw {
			r := head(3, 0).tensor("c", 0, 64, 1).tensor("b", 0, 32, 8).tensor("a", 0, 0, 9).align(32)
			r.fill(68, 0)
			return r
		}(), `"b": begins at offset 32, within the tensor "a" (36 bytes from offset 0)`, ErrFormat},
		"the same place": {func() *raw {
			r := head(2, 0).tensor("a", 0, 0, 1).tensor("b", 0, 0, 1).align(32)
			r.fill(64, 0)
			return r
		}(), "within the tensor", ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			data := []byte(*c.file)
			start := time.Now()
			err := damaged(t, data)
			require.Less(t, time.Since(start), time.Second)
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, err, c.is)
			require.Equal(t, c.is == ErrUnsupported, !errors.Is(err, ErrFormat))
		})
	}
}

// TestDeepEnough accepts what TestFaults refuses one level deeper.
func TestDeepEnough(t *testing.T) {
	r := newRaw(3, 0, 1).str("deep").kind(Array)
	for range 3 {
		r.kind(Array).u64(1)
	}
	r.kind(Uint8).u64(1).u8(9)
	f, err := OpenBytes("x", *r)
	require.NoError(t, err)
	v, _ := f.Value("deep")
	require.Equal(t, []any{[]any{[]any{[]any{uint64(9)}}}}, v.Any(-1))
}

func TestAlignment(t *testing.T) {
	for _, align := range []int{1, 8, 64, 1 << 20} {
		w := NewWriter()
		require.NoError(t, w.Set("general.alignment", uint32(align)))
		require.NoError(t, w.Add("a", quant.I8, []int{3}, []byte{1, 2, 3}))
		require.NoError(t, w.Add("b", quant.I8, []int{2}, []byte{4, 5}))
		var out bytes.Buffer
		_, err := w.WriteTo(&out)
		require.NoError(t, err)
		f, err := OpenBytes("x", out.Bytes())
		require.NoError(t, err)
		b, ok := f.Tensor("b")
		require.True(t, ok)
		require.Zero(t, b.Offset%int64(align))
		require.Equal(t, []byte{4, 5}, f.Data(b))
		require.Zero(t, out.Len()%align)
	}
}

// TestGaps: tensors may be stored in any order and apart, and the last need not be padded.
func TestGaps(t *testing.T) {
	r := newRaw(3, 2, 0).tensor("late", 24, 96, 2).tensor("early", 24, 32, 1).align(32)
	r.fill(96, 7)
	r.fill(2, 8)
	f, err := OpenBytes("x", *r)
	require.NoError(t, err)
	late, _ := f.Tensor("late")
	early, _ := f.Tensor("early")
	require.Equal(t, []byte{8, 8}, f.Data(late))
	require.Equal(t, []byte{7}, f.Data(early))
}

// TestHeaderLarge reads a header that takes more than one attempt where files cannot be mapped.
func TestHeaderLarge(t *testing.T) {
	tokens := make([]string, 200000)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("token %d", i)
	}
	w := NewWriter()
	require.NoError(t, w.Set("tokens", tokens))
	require.NoError(t, w.Set("last", true))
	require.NoError(t, w.Add("t", quant.I8, []int{1 << 20}, make([]byte, 1<<20)))
	path := filepath.Join(t.TempDir(), "x.gguf")
	require.NoError(t, w.WriteFile(path))
	for _, open := range []func() (*File, error){
		func() (*File, error) { return Open(path, Options{HeaderOnly: true}) },
		func() (*File, error) { return readFile(path) },
	} {
		f, err := open()
		require.NoError(t, err)
		v, _ := f.Value("tokens")
		got, ok := v.Strings()
		require.True(t, ok)
		require.Equal(t, tokens, got)
		require.Len(t, f.Tensors(), 1)
		require.NoError(t, f.Close())
	}
	// A fault after the first attempt is found as well.
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(data, []byte("last"))
	data[at+4+4] = 9
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = readFile(path)
	require.ErrorContains(t, err, `"last": want a bool of 0 or 1, found 9`)
}

// TestMemory bounds what hostile headers make the reader allocate.
func TestMemory(t *testing.T) {
	many := func(n int, tensors bool) []byte {
		r := newRaw(3, 0, uint64(n))
		if tensors {
			r = newRaw(3, uint64(n), 0)
		}
		for i := range n {
			name := string([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
			if tensors {
				r.tensor(name, 24, 0, 1) // all at the same place: a fault that is found last
			} else {
				r.str(name).kind(Uint8).u8(1)
			}
		}
		if !tensors {
			return (*r)[:len(*r)-1]
		}
		r.align(32).fill(32, 0)
		return *r
	}
	bomb := func(elem Kind, each int) []byte {
		n := 8 << 20 / each
		r := newRaw(3, 0, 2).str("bomb").array(elem).u64(uint64(n))
		r.fill(n*each, 0)
		return *r
	}
	for name, data := range map[string][]byte{
		"tensors":       many(maxTensors, true),
		"keys":          many(maxKeys, false),
		"empty arrays":  bomb(Array, 12),
		"empty strings": bomb(String, 8),
		"numbers":       bomb(Float64, 8),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := OpenBytes("some.gguf", data)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		t.Logf("%s: %d bytes of file, %d allocated, %v: %v", name, len(data), after.TotalAlloc-before.TotalAlloc, took, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20+len(data)), name)
		require.Less(t, took, 10*time.Second, name)
	}
}

// TestNotAFile: what is no regular file is refused, and nothing waits for a pipe.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent.gguf")
	for _, o := range []Options{{}, {NoMmap: true}, {HeaderOnly: true}} {
		_, err := Open(dir, o)
		oneLine(t, err, dir)
		require.ErrorContains(t, err, "want a regular file, found a directory")
		_, err = Open(absent, o)
		oneLine(t, err, absent)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.Equal(t, 1, strings.Count(err.Error(), absent), err)
		if _, err := os.Stat(os.DevNull); err == nil && runtime.GOOS != "windows" {
			_, err = Open(os.DevNull, o)
			require.ErrorContains(t, err, "found a device")
		}
	}
	_, err := readFile(absent)
	oneLine(t, err, absent)
	if os.Geteuid() != 0 && runtime.GOOS != "windows" {
		secret := write(t, "x.gguf", everyKind(3))
		require.NoError(t, os.Chmod(secret, 0))
		_, err = Open(secret, Options{})
		oneLine(t, err, secret)
		require.ErrorIs(t, err, os.ErrPermission)
	}
}

// TestLock asks for pages in memory; a system may refuse.
func TestLock(t *testing.T) {
	f, err := Open(write(t, "x.gguf", everyKind(3)), Options{})
	require.NoError(t, err)
	if err := f.Lock(); err != nil {
		t.Log(err)
	}
	require.NoError(t, f.Close())
}

// TestShared opens every model and vocabulary of the reference data.
func TestShared(t *testing.T) {
	dir := shared.Dir(t)
	count := map[string]int{}
	for _, pattern := range []string{"conformance/models/*/model.gguf", "conformance/tokenizers/*.gguf", "models/*/*.gguf"} {
		paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		count[pattern] = len(paths)
		for _, path := range paths {
			f, err := Open(path, Options{})
			require.NoError(t, err)
			head, err := Open(path, Options{HeaderOnly: true})
			require.NoError(t, err)
			require.Equal(t, f.Keys(), head.Keys())
			require.Equal(t, f.Tensors(), head.Tensors())
			var data, last int64
			for _, x := range f.Tensors() {
				require.Len(t, f.Data(&x), int(x.Bytes))
				data += x.Bytes
				last = max(last, x.Offset+x.Bytes)
			}
			require.LessOrEqual(t, data, last)
			require.True(t, last == 0 || f.head.dataFrom+last <= f.Size())
			require.NoError(t, head.Close())
			require.NoError(t, f.Close())
		}
	}
	require.Equal(t, map[string]int{"conformance/models/*/model.gguf": 103, "conformance/tokenizers/*.gguf": 7, "models/*/*.gguf": 3}, count)
}
