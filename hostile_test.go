package goinfer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/source"
)

// rawFile is a GGUF file taken apart, to be put together again with false values in it.
type rawFile struct {
	version        uint32
	tensorsClaimed uint64 // added to the true number
	keysClaimed    uint64
	keys           []rawKey
	tensors        []rawTensor
	data           []byte // what follows the header
	dataBegan      int    // in the file that was taken apart
	noPadding      bool   // between the header and the data
}

type rawKey struct {
	name  string
	value rawValue
}

// rawValue is a value with its type in front.
type rawValue []byte

type rawTensor struct {
	name   string
	dims   []uint64
	typ    uint32
	offset uint64
}

var le = binary.LittleEndian

// The types of values, by their numbers in files.
const (
	rawUint8, rawInt8, rawUint16, rawUint32, rawInt32, rawFloat32, rawBool, rawString, rawArray, rawUint64, rawFloat64 = 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12
)

func raw(kind uint32) rawValue            { return le.AppendUint32(nil, kind) }
func (v rawValue) u8(x uint8) rawValue    { return append(v, x) }
func (v rawValue) u32(x uint32) rawValue  { return le.AppendUint32(v, x) }
func (v rawValue) u64(x uint64) rawValue  { return le.AppendUint64(v, x) }
func (v rawValue) text(s string) rawValue { return append(v.u64(uint64(len(s))), s...) }

func u32(x uint32) rawValue               { return raw(rawUint32).u32(x) }
func u64(x uint64) rawValue               { return raw(rawUint64).u64(x) }
func f32(x float64) rawValue              { return raw(rawFloat32).u32(math.Float32bits(float32(x))) }
func text(s string) rawValue              { return raw(rawString).text(s) }
func list(kind uint32, n uint64) rawValue { return raw(rawArray).u32(kind).u64(n) }

func texts(s ...string) rawValue {
	v := list(rawString, uint64(len(s)))
	for _, x := range s {
		v = v.text(x)
	}
	return v
}

// takeApart reads a sound file.
func takeApart(t testing.TB, b []byte) *rawFile {
	all := b
	require.Equal(t, "GGUF", string(b[:4]))
	n32 := func() uint32 { x := le.Uint32(b); b = b[4:]; return x }
	n64 := func() uint64 { x := le.Uint64(b); b = b[8:]; return x }
	name := func() string { n := n64(); s := string(b[:n]); b = b[n:]; return s }
	b = b[4:]
	f := &rawFile{version: n32()}
	nTensors, nKeys := n64(), n64()
	sizes := [...]int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}
	var skip func(kind uint32)
	skip = func(kind uint32) {
		switch kind {
		case rawString:
			name()
		case rawArray:
			elem, n := n32(), n64()
			for range n {
				skip(elem)
			}
		default:
			b = b[sizes[kind]:]
		}
	}
	for range nKeys {
		k := rawKey{name: name()}
		from := b
		skip(n32())
		k.value = slices.Clone(from[:len(from)-len(b)])
		f.keys = append(f.keys, k)
	}
	for range nTensors {
		x := rawTensor{name: name()}
		for range n32() {
			x.dims = append(x.dims, n64())
		}
		x.typ, x.offset = n32(), n64()
		f.tensors = append(f.tensors, x)
	}
	f.dataBegan = (len(all) - len(b) + 31) / 32 * 32
	f.data = all[f.dataBegan:]
	return f
}

// bytes puts the file together.
func (f *rawFile) bytes() []byte {
	v := rawValue("GGUF").u32(f.version).u64(uint64(len(f.tensors)) + f.tensorsClaimed).u64(uint64(len(f.keys)) + f.keysClaimed)
	for _, k := range f.keys {
		v = append(v.text(k.name), k.value...)
	}
	for _, x := range f.tensors {
		v = v.text(x.name).u32(uint32(len(x.dims)))
		for _, d := range x.dims {
			v = v.u64(d)
		}
		v = v.u32(x.typ).u64(x.offset)
	}
	for len(v)%32 != 0 && !f.noPadding {
		v = v.u8(0)
	}
	return append(v, f.data...)
}

// set replaces or adds a key.
func (f *rawFile) set(key string, v rawValue) {
	for i := range f.keys {
		if f.keys[i].name == key {
			f.keys[i].value = v
			return
		}
	}
	f.keys = append(f.keys, rawKey{key, v})
}

func (f *rawFile) drop(key string) {
	f.keys = slices.DeleteFunc(f.keys, func(k rawKey) bool { return k.name == key })
}

func (f *rawFile) get(key string) rawValue {
	for _, k := range f.keys {
		if k.name == key {
			return k.value
		}
	}
	panic(key)
}

func (f *rawFile) tensor(name string) *rawTensor {
	for i := range f.tensors {
		if f.tensors[i].name == name {
			return &f.tensors[i]
		}
	}
	panic(name)
}

// tokens replaces the spelling of some tokens.
func (f *rawFile) tokens(replace map[int]string) {
	old := f.get("tokenizer.ggml.tokens")
	n := le.Uint64(old[8:])
	v, b := list(rawString, n), old[16:]
	for i := range int(n) {
		size := le.Uint64(b)
		s := string(b[8 : 8+size])
		b = b[8+size:]
		if r, ok := replace[i]; ok {
			s = r
		}
		v = v.text(s)
	}
	f.set("tokenizer.ggml.tokens", v)
}

const hostileMemory = 64 << 20 // and twice the file

// hostileTime is longer in short mode, which is how the race detector and emulated machines, ten
// times slower or more, run these tests.
func hostileTime() time.Duration {
	if testing.Short() {
		return 20 * time.Second
	}
	return time.Second
}

// refused opens a file in every way; each must fail within the bounds, with one line that names the
// file and what is wanted.
func refused(t *testing.T, path string, want ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	ways := map[string]func() (*goinfer.Model, error){
		"mapped":   func() (*goinfer.Model, error) { return goinfer.Open(path, goinfer.Options{}) },
		"read":     func() (*goinfer.Model, error) { return goinfer.Open(path, goinfer.Options{NoMmap: true}) },
		"of bytes": func() (*goinfer.Model, error) { return goinfer.OpenSource(source.Bytes(path, data), goinfer.Options{}) },
	}
	for how, open := range ways {
		if how != "mapped" && testing.Short() {
			continue
		}
		m, err := bounded(t, how, len(data), open)
		require.Error(t, err, how)
		require.Nil(t, m, how)
		oneLine(t, err, path)
		for _, w := range want {
			require.ErrorContains(t, err, w, how)
		}
	}
	// What only looks at the file need not find the fault, but must stand it.
	src, err := source.Path(path)
	require.NoError(t, err)
	if _, err := goinfer.Inspect(t.Context(), src, 3); err != nil {
		oneLine(t, err, path)
	}
	if _, err := goinfer.OpenTokenizer(t.Context(), src); err != nil {
		oneLine(t, err, path)
	}
}

// bounded opens a file of some size and checks time and memory. What took too long may owe it to a
// busy machine, and is tried twice more.
func bounded(t testing.TB, what string, size int, open func() (*goinfer.Model, error)) (m *goinfer.Model, err error) {
	t.Helper()
	for try := 1; ; try++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		m, err = open()
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(hostileMemory+2*size), "%s: bytes allocated", what)
		if took < hostileTime() {
			return m, err
		}
		require.Less(t, try, 3, "%s: took %v", what, took)
		if err == nil {
			require.NoError(t, m.Close())
		}
	}
}

func oneLine(t testing.TB, err error, path string) {
	t.Helper()
	require.NotContains(t, err.Error(), "\n")
	require.ErrorContains(t, err, path)
	require.Less(t, len(err.Error()), 1500)
}

func sound(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", "models", name, "model.gguf"))
	require.NoError(t, err)
	return b
}

// runs opens a file that is sound and generates two tokens.
func runs(t testing.TB, name string, data []byte, o goinfer.Options) {
	t.Helper()
	m, err := goinfer.OpenSource(source.Bytes(name, data), o)
	require.NoError(t, err)
	require.NoError(t, twoTokens(m))
	require.NoError(t, m.Close())
}

var errSlow = errors.New("two tokens took too long")

func twoTokens(m *goinfer.Model) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 20*time.Second, errSlow)
	defer cancel()
	n := 0
	for p, err := range m.Generate(ctx, goinfer.Request{Tokens: []int32{0, 5, 1}, MaxTokens: 2, IgnoreEOG: true}) {
		if err != nil {
			return err
		}
		if p.Stop == goinfer.StopCancelled {
			return errSlow
		}
		n++
	}
	if n == 0 {
		return errors.New("nothing came")
	}
	return nil
}

// TestTakeApart: what the tests below spoil is sound before.
func TestTakeApart(t *testing.T) {
	for _, name := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		b := sound(t, name)
		again := takeApart(t, b).bytes()
		require.Equal(t, b, again)
		runs(t, name, again, goinfer.Options{})
	}
}

// TestHostileFiles spoils sound files in the ways that loaders of the field fell for.
func TestHostileFiles(t *testing.T) {
	const dense, moe = "llama-dense", "mixtral"
	nan, inf := math.NaN(), math.Inf(1)
	ugly := strings.Repeat("a\n\x1b[31m", 1000)
	set := func(key string, v rawValue) func(f *rawFile) { return func(f *rawFile) { f.set(key, v) } }
	nest := func(depth int) rawValue {
		v := raw(rawArray)
		for range depth {
			v = v.u32(rawArray).u64(1)
		}
		return v.u32(rawUint8).u64(0)
	}
	zeros := func(v rawValue, n int) rawValue { return append(v, make([]byte, n)...) }
	for name, c := range map[string]struct {
		base  string
		spoil func(f *rawFile)
		want  []string
	}{
		// Lengths and counts.
		"string of 2^63-1":     {dense, set("general.name", raw(rawString).u64(math.MaxInt64)), []string{`"general.name": a string of 9223372036854775807 bytes runs past the end of the file`}},
		"string of 2^64-1":     {dense, set("general.name", raw(rawString).u64(math.MaxUint64)), []string{`a string of 18446744073709551615 bytes`}},
		"string of 2^63":       {dense, set("general.name", raw(rawString).u64(1<<63)), []string{"9223372036854775808"}},
		"array of 2^63-1":      {dense, set("x", list(rawUint8, math.MaxInt64)), []string{`"x"`, "runs past the end"}},
		"array of 2^64-1":      {dense, set("x", list(rawUint32, math.MaxUint64)), []string{`"x"`, "larger than any file"}},
		"array of 2^61+1":      {dense, set("x", list(rawUint64, 1<<61+1)), []string{"larger than any file"}},
		"strings of 2^64-1":    {dense, set("tokenizer.ggml.tokens", list(rawString, math.MaxUint64)), []string{`"tokenizer.ggml.tokens"`, "larger than any file"}},
		"arrays of 2^60":       {dense, set("x", list(rawArray, 1<<60)), []string{"runs past the end"}},
		"a string in an array": {dense, set("x", list(rawString, 1).u64(math.MaxUint64-7)), []string{"a string of 18446744073709551608 bytes"}},
		"a key of 2^63": {dense, func(f *rawFile) {
			f.keysClaimed, f.tensors, f.data, f.noPadding = 1, nil, rawValue(nil).u64(1<<63).u64(0), true
		}, []string{"a key of", "runs past the end"}},
		"keys 2^63":           {dense, func(f *rawFile) { f.keysClaimed = 1 << 63 }, []string{"metadata entries: want at most"}},
		"keys 2^64-1":         {dense, func(f *rawFile) { f.keysClaimed = math.MaxUint64 - uint64(len(f.keys)) }, []string{"18446744073709551615 metadata entries"}},
		"keys 60000":          {dense, func(f *rawFile) { f.keysClaimed = 60000 }, []string{"do not fit the file"}},
		"one key too many":    {dense, func(f *rawFile) { f.keysClaimed = 1 }, nil},
		"tensors 2^63":        {dense, func(f *rawFile) { f.tensorsClaimed = 1 << 63 }, []string{"tensors"}},
		"tensors 2^64-1":      {dense, func(f *rawFile) { f.tensorsClaimed = math.MaxUint64 - uint64(len(f.tensors)) }, []string{"18446744073709551615 tensors"}},
		"one tensor too many": {dense, func(f *rawFile) { f.tensorsClaimed = 1 }, nil},

		// Metadata.
		"deep":                {dense, set("x", nest(100)), []string{`"x": arrays nested deeper than 4`}},
		"very deep":           {dense, set("x", nest(1<<20)), []string{"arrays nested deeper than 4"}},
		"bomb of arrays":      {dense, func(f *rawFile) { f.set("x", zeros(list(rawArray, 1<<20), 12<<20)); f.set("general.alignment", u32(0)) }, []string{"general.alignment"}},
		"bomb of strings":     {dense, set("tokenizer.ggml.tokens", zeros(list(rawString, 1<<20), 8<<20)), []string{`1048576 tokens, but tensor "token_embd.weight" has the shape [64 320]`}},
		"bomb of numbers":     {dense, set("llama.attention.head_count", zeros(list(rawUint8, 1<<24), 1<<24)), []string{`"llama.attention.head_count": want at most 65536 numbers`}},
		"unknown type 13":     {dense, set("x", raw(13).u64(0)), []string{`"x": unknown value type 13`}},
		"unknown type 2^32-1": {dense, set("x", raw(math.MaxUint32)), []string{"unknown value type 4294967295"}},
		"unknown element":     {dense, set("x", raw(rawArray).u32(255).u64(0)), []string{"unknown element type 255"}},
		"a bool of 2":         {dense, set("tokenizer.ggml.add_bos_token", raw(rawBool).u8(2)), []string{"want a bool of 0 or 1, found 2"}},
		"key twice":           {dense, func(f *rawFile) { f.keys = append(f.keys, f.keys[0]) }, []string{`"general.architecture": the key occurs twice`}},
		"ugly key twice":      {dense, func(f *rawFile) { f.keys = append(f.keys, rawKey{ugly, u32(1)}, rawKey{ugly, u32(1)}) }, []string{"the key occurs twice"}},
		"alignment 0":         {dense, set("general.alignment", u32(0)), []string{`"general.alignment": want a power of two up to 1048576, found uint32 0`}},
		"alignment 3":         {dense, set("general.alignment", u32(3)), []string{"found uint32 3"}},
		"alignment 2^40":      {dense, set("general.alignment", u64(1<<40)), []string{"found uint64 1099511627776"}},
		"alignment of text":   {dense, set("general.alignment", text(ugly)), []string{"want a power of two", `the string "a\n\x1b[31m`}},
		"alignment 64":        {dense, set("general.alignment", u32(1<<20)), nil},
		"version 1":           {dense, func(f *rawFile) { f.version = 1 }, []string{"GGUF version 1: supported are 2 and 3"}},
		"version 4":           {dense, func(f *rawFile) { f.version = 4 }, []string{"GGUF version 4"}},
		"big-endian":          {dense, func(f *rawFile) { f.version = 3 << 24 }, []string{"a big-endian file"}},
		"part of a model":     {dense, func(f *rawFile) { f.set("split.count", u32(3)); f.set("split.no", u32(1)) }, []string{"of 3"}},
		"part 7 of 3":         {dense, func(f *rawFile) { f.set("split.count", u32(3)); f.set("split.no", u32(7)) }, []string{`"split.no": want a number below split.count, which is 3, found 7`}},
		"parts 2^63":          {dense, set("split.count", u64(1<<63)), []string{`"split.count": want a number up to 99999`}},

		// Tensors.
		"offset past the end":    {dense, func(f *rawFile) { f.tensor("output_norm.weight").offset = 1 << 18 << 1 }, []string{`"output_norm.weight"`, "offset 524288"}},
		"offset 2^63":            {dense, func(f *rawFile) { f.tensor("output_norm.weight").offset = 1 << 63 }, []string{"offset 9223372036854775808"}},
		"offset 2^64-32":         {dense, func(f *rawFile) { f.tensor("output_norm.weight").offset = math.MaxUint64 - 31 }, []string{"offset 18446744073709551584"}},
		"offset 2^63-32":         {dense, func(f *rawFile) { f.tensor("output_norm.weight").offset = math.MaxInt64 - 31 }, []string{"offset 9223372036854775776"}},
		"offset unaligned":       {dense, func(f *rawFile) { f.tensor("output_norm.weight").offset += 4 }, []string{"want a multiple of 32"}},
		"size past the end":      {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{1 << 17} }, []string{`"output_norm.weight": 524288 bytes from offset`, "run past the end of the data"}},
		"size of 2^64":           {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{1 << 32, 1 << 32} }, []string{"want a tensor that fits the file"}},
		"size wraps to 64":       {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{64, 1<<58 + 1} }, []string{"want a tensor that fits the file"}},
		"size of four wraps":     {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{1 << 16, 1 << 16, 1 << 16, 1 << 17} }, []string{"want a tensor that fits the file"}},
		"size in bytes wraps":    {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{1<<62 + 16} }, []string{"want a tensor that fits the file"}},
		"dimension 0":            {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{64, 0} }, []string{"dimension 1 is 0"}},
		"dimension 2^64-1":       {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{math.MaxUint64} }, []string{"dimension 0 is 18446744073709551615"}},
		"no dimensions":          {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = nil }, []string{"want 1 to 4 dimensions, found 0"}},
		"five dimensions":        {dense, func(f *rawFile) { f.tensor("output_norm.weight").dims = []uint64{64, 1, 1, 1, 1} }, []string{"want 1 to 4 dimensions, found 5"}},
		"type 4, withdrawn":      {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 4 }, []string{`"output_norm.weight": tensor type 4`}},
		"type 5, withdrawn":      {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 5 }, []string{"tensor type 5"}},
		"type 31, withdrawn":     {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 31 }, []string{"tensor type 31"}},
		"type 38, withdrawn":     {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 38 }, []string{"tensor type 38"}},
		"type 43":                {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 43 }, []string{"tensor type 43"}},
		"type 2^32-1":            {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = math.MaxUint32 }, []string{"tensor type 4294967295"}},
		"type of no weights":     {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 26 }, []string{`tensor "output_norm.weight": type I32 holds no weights`}},
		"part of a block":        {dense, func(f *rawFile) { f.tensor("output_norm.weight").typ = 12 }, []string{"rows of 64 Q4_K weights: want a multiple of 256"}},
		"tensor twice":           {dense, func(f *rawFile) { f.tensors[1].name = f.tensors[0].name }, []string{"the tensor occurs twice"}},
		"tensor in another":      {dense, func(f *rawFile) { f.tensors[1].offset = f.tensors[0].offset + 32 }, []string{`"` + "", "within the tensor"}},
		"tensors in one place":   {dense, func(f *rawFile) { f.tensors[1].offset = f.tensors[0].offset }, []string{"within the tensor"}},
		"tensor missing":         {dense, func(f *rawFile) { f.tensor("blk.1.attn_k.weight").name = "blk.1.attn_K.weight" }, []string{`no tensor "blk.1.attn_k.weight"`}},
		"shape turned round":     {dense, func(f *rawFile) { slices.Reverse(f.tensor("blk.1.ffn_up.weight").dims) }, []string{`tensor "blk.1.ffn_up.weight": want shape [64 80], found [80 64]`}},
		"shape folded":           {dense, func(f *rawFile) { f.tensor("blk.1.ffn_up.weight").dims = []uint64{32, 160} }, []string{"want shape [64 80], found [32 160]"}},
		"embedding cut":          {dense, func(f *rawFile) { f.tensor("token_embd.weight").dims[1]-- }, []string{`"token_embd.weight" has the shape [64 319]`}},
		"no data":                {dense, func(f *rawFile) { f.data = nil }, []string{"within the file"}},
		"no tensors":             {dense, func(f *rawFile) { f.tensors = nil }, []string{`unsupported file: it has no tensors`}},
		"no tensors and no data": {dense, func(f *rawFile) { f.tensors, f.data = nil, nil }, []string{"it has no tensors"}},

		// Strings of no bytes.
		"empty architecture":   {dense, set("general.architecture", text("")), []string{`key "general.architecture": want a name, found ""`}},
		"empty tensor name":    {dense, func(f *rawFile) { f.tensor("output_norm.weight").name = "" }, []string{"output_norm.weight"}},
		"empty tensor names":   {dense, func(f *rawFile) { f.tensors[0].name, f.tensors[1].name = "", "" }, []string{"twice"}},
		"empty tokenizer":      {dense, set("tokenizer.ggml.model", text("")), []string{`unknown model ""`}},
		"empty scaling":        {dense, set("llama.rope.scaling.type", text("")), []string{`"llama.rope.scaling.type"`}},
		"empty tokens, no end": {dense, set("tokenizer.ggml.tokens", zeros(list(rawString, 320), 8*320)), []string{"token "}},
		"empty merges": {dense, func(f *rawFile) {
			f.set("tokenizer.ggml.model", text("gpt2"))
			f.set("tokenizer.ggml.merges", texts("a b", ""))
		}, []string{`merge 1 is "", want two symbols`}},

		// Hyper-parameters.
		"no architecture":        {dense, func(f *rawFile) { f.drop("general.architecture") }, []string{"no key general.architecture"}},
		"unknown architecture":   {dense, set("general.architecture", text(ugly)), []string{"supported are"}},
		"architecture a number":  {dense, set("general.architecture", u32(1)), []string{`key "general.architecture": want a string, found uint32 1`}},
		"blocks 0":               {dense, set("llama.block_count", u32(0)), []string{`"llama.block_count": want 1 to 65536, found 0`}},
		"blocks one more":        {dense, set("llama.block_count", u32(4)), []string{`no tensor "blk.3.attn_norm.weight"`}},
		"blocks 65536":           {dense, set("llama.block_count", u32(65536)), nil},
		"blocks 2^32-1":          {dense, set("llama.block_count", u32(math.MaxUint32)), []string{"found 4294967295"}},
		"blocks 2^63":            {dense, set("llama.block_count", u64(1<<63)), []string{"found 9223372036854775808"}},
		"width 0":                {dense, set("llama.embedding_length", u32(0)), []string{`"llama.embedding_length": want 1 to`}},
		"width 2^24":             {dense, set("llama.embedding_length", u32(1<<24)), nil},
		"width 2^31":             {dense, set("llama.embedding_length", u32(1<<31)), []string{"found 2147483648"}},
		"width 63":               {dense, set("llama.embedding_length", u32(63)), nil},
		"context 0":              {dense, set("llama.context_length", u32(0)), []string{`"llama.context_length": want 1 to 2147483647, found 0`}},
		"context 2^31-1":         {dense, set("llama.context_length", u32(math.MaxInt32)), []string{"not enough memory", "cache of 2147483647 positions", "available are", "a context of about"}},
		"context 2^31":           {dense, set("llama.context_length", u32(1<<31)), []string{"found 2147483648"}},
		"context 2^63":           {dense, set("llama.context_length", u64(1<<63)), []string{"found 9223372036854775808"}},
		"context -1":             {dense, set("llama.context_length", raw(rawInt32).u32(math.MaxUint32)), []string{"want a whole number that is not negative, found int32 -1"}},
		"context missing":        {dense, func(f *rawFile) { f.drop("llama.context_length") }, []string{`no key "llama.context_length"`}},
		"heads 0":                {dense, set("llama.attention.head_count", u32(0)), []string{`"llama.attention.head_count": want 1 to`}},
		"heads 2^32-1":           {dense, set("llama.attention.head_count", u32(math.MaxUint32)), []string{"found 4294967295"}},
		"heads 65":               {dense, set("llama.attention.head_count", u32(65)), nil},
		"heads of each layer":    {dense, set("llama.attention.head_count", list(rawUint32, 3).u32(4).u32(0).u32(4)), []string{"layers of different widths (4 and 0)"}},
		"heads of no layer":      {dense, set("llama.attention.head_count", list(rawUint32, 0)), []string{"want a number for each of 3 layers, found 0"}},
		"kv heads 0":             {dense, set("llama.attention.head_count_kv", u32(0)), []string{`"llama.attention.head_count_kv": want 1 to`}},
		"kv heads 3":             {dense, set("llama.attention.head_count_kv", u32(3)), []string{"found 3 key heads"}},
		"kv heads 2^24":          {dense, set("llama.attention.head_count_kv", u32(1<<24)), []string{"found 16777216 key heads"}},
		"key length 0":           {dense, set("llama.attention.key_length", u32(0)), []string{`"llama.attention.key_length": want 1 to`}},
		"key length 2^24":        {dense, set("llama.attention.key_length", u32(1<<24)), nil},
		"inner width 0":          {dense, set("llama.feed_forward_length", u32(0)), []string{`"llama.feed_forward_length": want 1 to`}},
		"inner width 2^24":       {dense, set("llama.feed_forward_length", u32(1<<24)), []string{"want shape [64 16777216], found [64 80]"}},
		"experts 2^32-1":         {moe, set("llama.expert_count", u32(math.MaxUint32)), []string{`"llama.expert_count": want 0 to`}},
		"experts 2^24":           {moe, set("llama.expert_count", u32(1<<24)), []string{`tensor "blk.0.ffn_gate_inp.weight": want shape [64 16777216], found [64 8]`}},
		"experts 9":              {moe, set("llama.expert_count", u32(9)), []string{"want shape [64 9], found [64 8]"}},
		"experts of a dense one": {dense, func(f *rawFile) { f.set("llama.expert_count", u32(8)); f.set("llama.expert_used_count", u32(2)) }, []string{`no tensor "blk.0.ffn_gate_inp.weight"`}},
		"experts used 0":         {moe, set("llama.expert_used_count", u32(0)), []string{"0 of 8 experts used per token: want 1 to all"}},
		"experts used 9":         {moe, set("llama.expert_used_count", u32(9)), []string{"9 of 8 experts used per token"}},
		"experts used 2^32-1":    {moe, set("llama.expert_used_count", u32(math.MaxUint32)), []string{`"llama.expert_used_count": want 0 to`}},
		"experts apart, 2^24": {moe, func(f *rawFile) {
			f.set("llama.expert_count", u32(1<<24))
			x := f.tensor("blk.0.ffn_gate_exps.weight")
			x.name, x.dims = "blk.0.ffn_gate.0.weight", x.dims[:2]
		}, []string{`no tensor "blk.0.ffn_gate.1.weight"`}},
		"epsilon NaN":        {dense, set("llama.attention.layer_norm_rms_epsilon", f32(nan)), []string{`"llama.attention.layer_norm_rms_epsilon": want a number from 0 to 1, found NaN`}},
		"epsilon infinite":   {dense, set("llama.attention.layer_norm_rms_epsilon", f32(inf)), []string{"found +Inf"}},
		"epsilon negative":   {dense, set("llama.attention.layer_norm_rms_epsilon", f32(-1)), []string{"found -1"}},
		"epsilon missing":    {dense, func(f *rawFile) { f.drop("llama.attention.layer_norm_rms_epsilon") }, []string{"no key"}},
		"rope base NaN":      {dense, set("llama.rope.freq_base", f32(nan)), []string{`"llama.rope.freq_base": want a positive number, found NaN`}},
		"rope base infinite": {dense, set("llama.rope.freq_base", f32(inf)), []string{"found +Inf"}},
		"rope base negative": {dense, set("llama.rope.freq_base", f32(-10000)), []string{"found -10000"}},
		"rope base 0":        {dense, set("llama.rope.freq_base", f32(0)), []string{"want a positive number, found 0"}},
		"rope factor NaN":    {dense, set("llama.rope.scaling.factor", f32(nan)), []string{`"llama.rope.scaling.factor": want a positive number, or 0 for none, found NaN`}},
		"rope factor inf":    {dense, set("llama.rope.scaling.factor", f32(inf)), []string{"found +Inf"}},
		"rope factor -1":     {dense, set("llama.rope.scaling.factor", f32(-1)), []string{"found -1"}},
		"rope scaling":       {dense, set("llama.rope.scaling.type", text(ugly)), []string{`"llama.rope.scaling.type"`, "supported are none, linear, yarn"}},
		"rope 15":            {dense, set("llama.rope.dimension_count", u32(15)), []string{"want an even number of rotated elements, found 15"}},
		"rope 18":            {dense, set("llama.rope.dimension_count", u32(18)), []string{"want 0 to 16, found 18"}},
		"rope 2^32-2":        {dense, set("llama.rope.dimension_count", u32(math.MaxUint32-1)), []string{"found 4294967294"}},
		"yarn of 0": {dense, func(f *rawFile) {
			f.set("llama.rope.scaling.type", text("yarn"))
			f.set("llama.rope.scaling.original_context_length", u32(0))
		}, []string{"found 0"}},
		"yarn of NaN": {dense, func(f *rawFile) {
			f.set("llama.rope.scaling.type", text("yarn"))
			f.set("llama.rope.scaling.yarn_beta_fast", f32(nan))
		}, []string{"found NaN"}},

		// Vocabulary.
		"token <0x-1>":      {dense, func(f *rawFile) { f.tokens(map[int]string{10: "<0x-1>"}) }, []string{`token 10 has type byte and the spelling "<0x-1>"`}},
		"token <0x":         {dense, func(f *rawFile) { f.tokens(map[int]string{10: "<0x"}) }, []string{`spelling "<0x"`}},
		"token of no bytes": {dense, func(f *rawFile) { f.tokens(map[int]string{10: ""}) }, []string{"token 10 has type byte"}},
		"token twice":       {dense, func(f *rawFile) { f.tokens(map[int]string{300: ugly[:10], 301: ugly[:10]}) }, []string{"token 301", "is also token 300"}},
		"token of 1 MB":     {dense, func(f *rawFile) { f.tokens(map[int]string{300: strings.Repeat("x", 1<<20)}) }, []string{"has 1048576 bytes, at most"}},
		"tokens missing":    {dense, func(f *rawFile) { f.drop("tokenizer.ggml.tokens") }, []string{`no key "llama.vocab_size"`}},
		"tokens of numbers": {dense, set("tokenizer.ggml.tokens", list(rawUint32, 1).u32(1)), []string{`"tokenizer.ggml.tokens": want an array of strings`}},
		"tokens empty":      {dense, set("tokenizer.ggml.tokens", list(rawString, 0)), []string{"want 1 to 16777216 tokens, found 0"}},
		"token one more":    {dense, set("tokenizer.ggml.tokens", texts(make([]string, 321)...)), []string{"321 tokens, but tensor"}},
		"types too few":     {dense, set("tokenizer.ggml.token_type", zeros(list(rawInt32, 319), 4*319)), []string{"319 token types for 320 tokens"}},
		"types of text":     {dense, set("tokenizer.ggml.token_type", texts("1")), []string{`"tokenizer.ggml.token_type": want an array of numbers`}},
		"scores missing":    {dense, func(f *rawFile) { f.drop("tokenizer.ggml.scores") }, []string{"0 scores for 320 tokens"}},
		"scores too few":    {dense, set("tokenizer.ggml.scores", zeros(list(rawFloat32, 319), 4*319)), []string{"319 scores for 320 tokens"}},
		"scores NaN": {dense, set("tokenizer.ggml.scores", func() rawValue {
			v := zeros(list(rawFloat32, 320), 4*319)
			return v.u32(math.Float32bits(float32(nan)))
		}()), []string{"has the score NaN"}},
		"bos 320":            {dense, set("tokenizer.ggml.bos_token_id", u32(320)), []string{"bos_token_id 320 is outside the vocabulary of 320 tokens"}},
		"eos 2^31-1":         {dense, set("tokenizer.ggml.eos_token_id", u32(math.MaxInt32)), []string{"eos_token_id 2147483647 is outside"}},
		"eos 2^32-1":         {dense, set("tokenizer.ggml.eos_token_id", u32(math.MaxUint32)), []string{"4294967295 is outside"}},
		"unknown 2^64-1":     {dense, set("tokenizer.ggml.unknown_token_id", u64(math.MaxUint64)), []string{"18446744073709551615 is outside"}},
		"bos as text":        {dense, set("tokenizer.ggml.bos_token_id", text("<s>")), []string{`found the string "<s>"`}},
		"tokenizer missing":  {dense, func(f *rawFile) { f.drop("tokenizer.ggml.model") }, []string{"no key tokenizer.ggml.model"}},
		"tokenizer unknown":  {dense, set("tokenizer.ggml.model", text(ugly)), []string{"unknown model"}},
		"tokenizer of bytes": {dense, set("tokenizer.ggml.model", text("gpt2")), []string{"no merges"}},
		"pre unknown": {dense, func(f *rawFile) {
			f.set("tokenizer.ggml.model", text("gpt2"))
			f.set("tokenizer.ggml.pre", text(ugly))
		}, []string{`a\n\x1b[31m`}},
		"merges of nothing": {dense, func(f *rawFile) {
			f.set("tokenizer.ggml.model", text("gpt2"))
			f.set("tokenizer.ggml.merges", texts("a b", "ab"))
		}, []string{`merge 1 is "ab", want two symbols`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := takeApart(t, sound(t, c.base))
			c.spoil(f)
			path := filepath.Join(t.TempDir(), "hostile.gguf")
			require.NoError(t, os.WriteFile(path, f.bytes(), 0o600))
			refused(t, path, c.want...)
		})
	}
}

// TestHostileHarmless: what looks odd and is not.
func TestHostileHarmless(t *testing.T) {
	for name, spoil := range map[string]func(f *rawFile){
		"bomb of scores": func(f *rawFile) {
			f.set("tokenizer.ggml.scores", append(list(rawUint8, 1<<24), make([]byte, 1<<24)...))
		},
		"empty tokens":          func(f *rawFile) { f.tokens(map[int]string{300: "", 301: ""}) },
		"ordinary token <0x-1>": func(f *rawFile) { f.tokens(map[int]string{300: "<0x-1>"}) },
		"padding 2^32-1":        func(f *rawFile) { f.set("tokenizer.ggml.padding_token_id", u32(math.MaxUint32)) },
		"unknown key":           func(f *rawFile) { f.set("x\n", text("\x00\n")) },
		"empty key":             func(f *rawFile) { f.set("", u32(1)) },
		"nested arrays":         func(f *rawFile) { f.set("x", list(rawArray, 2).u32(rawString).u64(0).u32(rawUint8).u64(1).u8(1)) },
		"numbers of other kinds": func(f *rawFile) {
			f.set("llama.block_count", u64(3))
			f.set("llama.context_length", raw(rawUint16).u8(0).u8(2))
		},
		"rope of nothing":  func(f *rawFile) { f.set("llama.rope.dimension_count", u32(0)) },
		"rope of the half": func(f *rawFile) { f.set("llama.rope.dimension_count", u32(8)) },
		"tiny factor":      func(f *rawFile) { f.set("llama.rope.scaling.factor", f32(1e-30)) },
		"tiny base":        func(f *rawFile) { f.set("llama.rope.freq_base", f32(1e-30)) },
		"version 2":        func(f *rawFile) { f.version = 2 },
		"more behind":      func(f *rawFile) { f.data = append(slices.Clone(f.data), make([]byte, 100)...) },
		"one block":        func(f *rawFile) { f.set("llama.block_count", u32(1)) },
		"no epsilon":       func(f *rawFile) { f.set("llama.attention.layer_norm_rms_epsilon", f32(0)) },
		"no vocabulary": func(f *rawFile) {
			f.keys = slices.DeleteFunc(f.keys, func(k rawKey) bool { return strings.HasPrefix(k.name, "tokenizer.") })
			f.set("llama.vocab_size", u32(320))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := takeApart(t, sound(t, "llama-dense"))
			spoil(f)
			runs(t, name, f.bytes(), goinfer.Options{Threads: 1})
		})
	}
}

// TestHostileWeights: weights may be any bytes. What is no number ends in an error or in tokens,
// never in a panic.
func TestHostileWeights(t *testing.T) {
	for _, name := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		for _, b := range []byte{0, 0xff, 0x7f, 0x80} {
			f := takeApart(t, sound(t, name))
			f.data = slices.Repeat([]byte{b}, len(f.data))
			m, err := goinfer.OpenSource(source.Bytes(name, f.bytes()), goinfer.Options{Threads: 1})
			require.NoError(t, err)
			if err := twoTokens(m); err != nil {
				require.NotErrorIs(t, err, errSlow)
				require.NotContains(t, err.Error(), "panic", "%s filled with %d", name, b)
			}
			require.NoError(t, m.Close())
		}
	}
}

// TestContext: the default is what the model was made for. What cannot fit is refused with the
// numbers before it is loaded; what is smaller, or allowed to be too large, opens and takes memory
// only as it fills.
func TestContext(t *testing.T) {
	m, err := goinfer.OpenSource(source.Bytes("x", sound(t, "llama-dense")), goinfer.Options{Threads: 1})
	require.NoError(t, err)
	byDefault := m.Info().Memory.Cache
	require.NoError(t, m.Close())
	// 512 positions, 3 layers, 2 heads of 16, keys and values of 2 bytes.
	require.EqualValues(t, 512*3*2*16*2*2, byDefault)

	f := takeApart(t, sound(t, "llama-dense"))
	f.set("llama.context_length", u32(math.MaxInt32))
	data := f.bytes()
	_, err = goinfer.OpenSource(source.Bytes("giant.gguf", data), goinfer.Options{Threads: 1})
	require.ErrorIs(t, err, goinfer.ErrMemory)
	// 2^31 positions of 384 bytes.
	require.ErrorContains(t, err, "giant.gguf: not enough memory: weights 485.8 KiB, cache of 2147483647 positions 768.0 GiB")
	oneLine(t, err, "giant.gguf")

	for _, o := range []goinfer.Options{{Context: 64}, {CacheBytes: 1 << 20}, {Overcommit: true}} {
		o.Threads = 1
		m, err := bounded(t, fmt.Sprintf("%+v", o), len(data), func() (*goinfer.Model, error) { return goinfer.OpenSource(source.Bytes("giant.gguf", data), o) })
		require.NoError(t, err)
		require.NoError(t, twoTokens(m))
		require.NoError(t, m.Close())
	}
	for _, o := range []goinfer.Options{{Context: math.MaxInt}, {Context: math.MaxInt - 1}, {Context: math.MaxInt32}} {
		_, err = goinfer.OpenSource(source.Bytes("giant.gguf", data), o)
		require.ErrorIs(t, err, goinfer.ErrMemory)
		oneLine(t, err, "giant.gguf")
	}
	for _, o := range []goinfer.Options{{Context: -1}, {Batch: -1}, {Threads: -1}, {CacheBytes: -1}} {
		_, err = goinfer.OpenSource(source.Bytes("x.gguf", data), o)
		require.ErrorContains(t, err, "-1")
		oneLine(t, err, "x.gguf")
	}
}

// TestHostileMany: headers as large as the reader takes them.
func TestHostileMany(t *testing.T) {
	if testing.Short() {
		t.Skip("large headers in short mode")
	}
	for name, c := range map[string]struct {
		spoil func(f *rawFile)
		want  string
	}{
		"tensors": {func(f *rawFile) {
			for i := range 100000 {
				f.tensors = append(f.tensors, rawTensor{fmt.Sprintf("%d", i), []uint64{1}, 24, uint64(len(f.data) + 32*i)})
			}
			f.data = append(slices.Clone(f.data), make([]byte, 32*100000)...)
			f.set("llama.block_count", u32(65536))
		}, ""},
		"keys": {func(f *rawFile) {
			for i := range 65000 {
				f.keys = append(f.keys, rawKey{fmt.Sprintf("%d", i), u32(1)})
			}
			f.set("llama.block_count", u32(0))
		}, "found 0"},
		"too many tensors": {func(f *rawFile) { f.tensorsClaimed = 1 << 17 }, "131102 tensors and 22 metadata entries: want at most 131072 and 65536"},
		"too many keys":    {func(f *rawFile) { f.keysClaimed = 1 << 16 }, "want at most 131072 and 65536"},
		"long key":         {func(f *rawFile) { f.set(strings.Repeat("k\n", 1<<22), u32(1)) }, "a key of 8388608 bytes: want at most 65535"},
		"long name":        {func(f *rawFile) { f.set("general.name", text(strings.Repeat("k\n", 1<<22))) }, `"general.name": want at most 1048576 bytes, found 8388608`},
	} {
		t.Run(name, func(t *testing.T) {
			f := takeApart(t, sound(t, "llama-dense"))
			c.spoil(f)
			path := filepath.Join(t.TempDir(), "hostile.gguf")
			require.NoError(t, os.WriteFile(path, f.bytes(), 0o600))
			refused(t, path, c.want)
		})
	}
}

// TestHostileTruncated cuts a real file at every byte of the header, in memory, and at fifty places
// as a file.
func TestHostileTruncated(t *testing.T) {
	data := sound(t, "llama-dense")
	f := takeApart(t, data)
	cuts, step := []int{len(data) - 1}, 1
	if testing.Short() {
		step = 13
	}
	for n := 0; n < f.dataBegan; n += step {
		cuts = append(cuts, n)
	}
	for _, x := range f.tensors {
		for n := -1; n <= 1; n++ {
			cuts = append(cuts, f.dataBegan+max(0, int(x.offset)+n))
		}
	}
	for _, n := range cuts {
		_, err := bounded(t, fmt.Sprintf("%d bytes", n), n, func() (*goinfer.Model, error) {
			return goinfer.OpenSource(source.Bytes("cut.gguf", data[:n:n]), goinfer.Options{Threads: 1})
		})
		require.Error(t, err, "%d bytes", n)
		oneLine(t, err, "cut.gguf")
	}
	for i := range 50 {
		n := i * f.dataBegan / 25 // in the header
		if i >= 25 {
			n = f.dataBegan + (i-25)*(len(data)-f.dataBegan-1)/24
		}
		path := filepath.Join(t.TempDir(), "cut.gguf")
		require.NoError(t, os.WriteFile(path, data[:n], 0o600))
		refused(t, path)
	}
}

// TestHostileFlips changes bytes at random, three of four times in the header, one to eight at
// once: the file opens or it does not, and if it does it runs.
func TestHostileFlips(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 60
	}
	rng := rand.New(rand.NewPCG(7, 7))
	opened, failed := 0, map[string]int{}
	for _, name := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		whole := sound(t, name)
		began := takeApart(t, whole).dataBegan
		data := slices.Clone(whole)
		for i := range n {
			within := began
			if i%4 == 3 {
				within = len(data)
			}
			what := name
			for range 1 << rng.IntN(4) {
				at := rng.IntN(within)
				data[at] = byte(rng.Uint32())
				if i%3 == 0 {
					data[at] = whole[at] ^ 1<<rng.IntN(8)
				}
				what += fmt.Sprintf(", byte %d is %d", at, data[at])
			}
			m, err := bounded(t, what, len(data), func() (*goinfer.Model, error) {
				return goinfer.OpenSource(source.Bytes("flipped.gguf", data), goinfer.Options{Threads: 1})
			})
			if err != nil {
				oneLine(t, err, "flipped.gguf")
				failed[strings.SplitN(err.Error(), ":", 3)[1]]++
			} else {
				opened++
				if err := twoTokens(m); err != nil {
					require.NotErrorIs(t, err, errSlow, what)
					require.NotContains(t, err.Error(), "panic", what)
				}
				require.NoError(t, m.Close())
			}
			copy(data, whole)
		}
	}
	t.Logf("%d opened, refused: %v", opened, failed)
}

// TestHostilePlaces: what is no file is refused and named.
func TestHostilePlaces(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.gguf")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	refused(t, empty, "no GGUF file: it is empty")
	page := filepath.Join(dir, "page.gguf")
	require.NoError(t, os.WriteFile(page, []byte("<!DOCTYPE html>\n<html>"), 0o600))
	refused(t, page, `no GGUF file: it begins with "<!DO"`)
	for path, want := range map[string]string{dir: "want a GGUF file, or the folder of a checkpoint with a config.json, found a folder without", filepath.Join(dir, "absent.gguf"): ""} {
		for _, o := range []goinfer.Options{{}, {NoMmap: true}} {
			_, err := goinfer.Open(path, o)
			oneLine(t, err, path)
			require.ErrorContains(t, err, want)
		}
		_, err := source.Path(path)
		oneLine(t, err, path)
	}
}
