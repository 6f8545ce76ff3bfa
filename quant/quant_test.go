package quant

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"
)

type manifest struct {
	Rows, Cols int
	Types      []struct {
		Name  string
		ID    int       `json:"ggml_type_id"`
		Block int       `json:"block_size"`
		Bytes int       `json:"bytes_per_block"`
		MSE   []float64 `json:"mean_squared_error_per_row"`
	}
}

func readManifest(t testing.TB) (m manifest) {
	require.NoError(t, json.Unmarshal(read(t, "manifest.json"), &m))
	require.NotEmpty(t, m.Types)
	return m
}

func read(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", "quant", name))
	require.NoError(t, err)
	return b
}

func readFloats(t testing.TB, name string) []float32 {
	b := read(t, name)
	f := make([]float32, len(b)/4)
	Dequantize(F32, f, b)
	return f
}

func integerTypes() (ts []Type) {
	for t := range Type(NumTypes) {
		if t.Group() != 0 {
			ts = append(ts, t)
		}
	}
	return ts
}

// TestReference compares the sizes and every bit of every type with the reference.
func TestReference(t *testing.T) {
	m := readManifest(t)
	seen := map[Type]bool{F32: true}
	for _, ref := range m.Types {
		typ, err := ParseType(ref.Name)
		require.NoError(t, err)
		seen[typ] = true
		require.EqualValues(t, ref.ID, typ)
		require.Equal(t, ref.Block, typ.BlockSize(), ref.Name)
		require.Equal(t, ref.Bytes, typ.BlockBytes(), ref.Name)
		bin, want := read(t, ref.Name+".bin"), readFloats(t, ref.Name+".deq.f32")
		require.Equal(t, len(bin), m.Rows*typ.RowBytes(m.Cols))
		got := make([]float32, m.Cols)
		for r := range m.Rows {
			Dequantize(typ, got, bin[r*typ.RowBytes(m.Cols):])
			for i, v := range got {
				if w := want[r*m.Cols+i]; math.Float32bits(v) != math.Float32bits(w) {
					require.Failf(t, "bits differ", "%s: row %d weight %d: want %v, found %v", typ, r, i, w, v)
				}
			}
		}
	}
	for typ := range Type(NumTypes) {
		require.True(t, !typ.IsWeight() || seen[typ], "%s has no reference", typ)
	}
}

// TestVecDot compares dot products with those of the reference in float64.
func TestVecDot(t *testing.T) {
	var ref struct {
		Types map[string]struct{ Exact []float64 }
	}
	require.NoError(t, json.Unmarshal(read(t, "vecdot.json"), &ref))
	vec := readFloats(t, "vector.f32")
	row := make([]float32, len(vec))
	for name, want := range ref.Types {
		typ, err := ParseType(name)
		require.NoError(t, err)
		bin := read(t, name+".bin")
		for r, exact := range want.Exact {
			Dequantize(typ, row, bin[r*typ.RowBytes(len(vec)):])
			var sum, size float64
			for i := range row {
				p := float64(row[i]) * float64(vec[i])
				sum, size = sum+p, size+math.Abs(p)
			}
			require.InDelta(t, exact, sum, 1e-9*size)
		}
	}
}

// TestUnpack checks the integer form against Dequantize, on the reference rows and on bytes at
// random.
func TestUnpack(t *testing.T) {
	const n = 512
	rng := rand.New(rand.NewPCG(1, 1))
	for _, typ := range integerTypes() {
		g, size := typ.Group(), typ.RowBytes(n)
		rows := [][]byte{slices.Repeat([]byte{0}, size), slices.Repeat([]byte{0xff}, size)}
		bin := read(t, typ.String()+".bin")
		for r := range 8 {
			rows = append(rows, bin[r*size:(r+1)*size])
		}
		for range 20 {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			rows = append(rows, b)
		}
		q, s, m, f := make([]int8, n), make([]float32, n/g), make([]float32, n/g), make([]float32, n)
		for r, row := range rows {
			Unpack(typ, q, s, m, row)
			Dequantize(typ, f, row)
			for i := range f {
				w := float32(q[i]) * s[i/g]
				if typ.HasMin() {
					w = float32(w) + m[i/g]
				}
				if f[i] != f[i] {
					require.True(t, w != w)
					continue
				}
				require.Equal(t, f[i], w, "%s row %d weight %d", typ, r, i)
			}
			for i := 0; i < n; i += 32 {
				sum := 0
				for _, v := range q[i : i+32] {
					sum += max(int(v), -int(v))
				}
				require.Less(t, sum*127, 1<<20, "%s: a group's products must fit 21 bits with sign", typ)
			}
		}
	}
}

func TestUnpackChecks(t *testing.T) {
	q, s := make([]int8, 64), make([]float32, 2)
	require.Panics(t, func() { Unpack(F16, q, s, nil, make([]byte, 999)) })
	require.Panics(t, func() { Unpack(Q4_0, q, s, nil, make([]byte, 35)) })
	require.Panics(t, func() { Unpack(Q4_0, q, s[:1], nil, make([]byte, 36)) })
	require.Panics(t, func() { Unpack(Q4_1, q, s, nil, make([]byte, 40)) })
	require.Panics(t, func() { Unpack(Q4_0, q[:33], s, nil, make([]byte, 36)) })
	require.Panics(t, func() { Dequantize(I8, make([]float32, 1), []byte{1}) })
	require.Panics(t, func() { Dequantize(F32, make([]float32, 2), make([]byte, 7)) })
	Unpack(Q4_0, nil, nil, nil, nil)
	Dequantize(Q4_0, nil, nil)
}

// TestQuantize compares the error of our encoding with that of the reference, row by row.
func TestQuantize(t *testing.T) {
	m := readManifest(t)
	input := readFloats(t, "input.f32")
	for _, ref := range m.Types {
		typ, err := ParseType(ref.Name)
		require.NoError(t, err)
		if !CanQuantize(typ) {
			require.ErrorContains(t, Quantize(typ, nil, nil), ref.Name)
			continue
		}
		bin := read(t, ref.Name+".bin")
		size := typ.RowBytes(m.Cols)
		got, deq := make([]byte, size), make([]float32, m.Cols)
		for r := range m.Rows {
			row := input[r*m.Cols : (r+1)*m.Cols]
			require.NoError(t, Quantize(typ, got, row))
			if typ != IQ1_M {
				require.Equal(t, bin[r*size:(r+1)*size], got, "%s row %d: the same bytes as the reference", typ, r)
			}
			Dequantize(typ, deq, got)
			mse := 0.0
			for i, v := range row {
				d := float64(v) - float64(deq[i])
				mse += d * d / float64(m.Cols)
			}
			require.LessOrEqual(t, mse, ref.MSE[r]*(1+1e-6), "%s row %d", typ, r)
		}
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x := make([]float32, 32)
		x[7] = bad
		require.ErrorContains(t, Quantize(Q8_0, make([]byte, 34), x), "weight 7 is")
	}
	large := make([]float32, 64)
	large[40] = 3e38
	for _, typ := range []Type{F16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1} {
		require.ErrorContains(t, Quantize(typ, make([]byte, typ.RowBytes(64)), large), "too large for "+typ.String())
	}
	require.NoError(t, Quantize(BF16, make([]byte, 128), large))
	require.ErrorContains(t, Quantize(BF16, make([]byte, 2), []float32{math.MaxFloat32}), "too large")
	tiny := slices.Repeat([]float32{1e-44}, 32)
	for _, typ := range []Type{Q8_0, Q4_0, Q4_1, Q5_0, Q5_1} {
		b, back := make([]byte, typ.RowBytes(32)), make([]float32, 32)
		require.NoError(t, Quantize(typ, b, tiny))
		Dequantize(typ, back, b)
		require.InDeltaSlice(t, tiny, back, 1e-7)
	}
}

// TestHalf goes through every half-precision number, and through floats around every rounding edge.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		h := uint16(h)
		want := float16.Frombits(h).Float32()
		require.Equal(t, math.Float32bits(want), math.Float32bits(Half(h)), "%04x", h)
		if want == want {
			require.Equal(t, h, ToHalf(want), "%04x", h)
		}
	}
	check := func(f float32) {
		want, got := float16.Fromfloat32(f).Bits(), ToHalf(f)
		require.Equal(t, want, got, "%v (%08x)", f, math.Float32bits(f))
		b := ToBHalf(f)
		if f != f {
			require.True(t, BHalf(b) != BHalf(b))
			return
		}
		if back := BHalf(b); !math.IsInf(float64(back), 0) {
			require.LessOrEqual(t, math.Abs(float64(f)-float64(back)), math.Abs(float64(back))/256+1e-40)
		}
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 200000 {
		check(math.Float32frombits(rng.Uint32()))
	}
	for h := range 0x7c00 {
		mid := (Half(uint16(h)) + float32(math.Min(float64(Half(uint16(h+1))), 65536))) / 2
		for _, f := range []float32{mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, math.MaxFloat32), -mid} {
			check(f)
		}
	}
	for _, f := range []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 65504, 65519.99, 65520, math.MaxFloat32} {
		check(f)
	}
	require.EqualValues(t, 0x3f80, ToBHalf(1.00390625), "ties to even")
	require.EqualValues(t, 0x3f82, ToBHalf(1.01171875), "ties to even")
	require.EqualValues(t, 0x7f80, ToBHalf(math.MaxFloat32))

	x := make([]float32, 37)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	b, y := make([]byte, 2*len(x)), make([]float32, len(x))
	F32ToF16(b, x)
	F16ToF32(y, b)
	for i := range x {
		require.Equal(t, ToHalf(x[i]), binary.LittleEndian.Uint16(b[2*i:]))
		require.Equal(t, Half(ToHalf(x[i])), y[i])
	}
}

func TestType(t *testing.T) {
	require.Equal(t, "Q4_K", Q4_K.String())
	require.Equal(t, "type(4)", Type(4).String())
	require.False(t, Type(4).Valid())
	require.False(t, Type(1<<31).Valid())
	require.Zero(t, Type(4).BlockSize()+Type(4).BlockBytes()+Type(4).Group())
	require.False(t, I32.IsWeight())
	require.True(t, BF16.IsWeight())
	require.Equal(t, 2*144, Q4_K.RowBytes(512))
	require.Panics(t, func() { Q4_K.RowBytes(300) })
	for typ := range Type(NumTypes) {
		if typ.Valid() {
			got, err := ParseType(typ.String())
			require.NoError(t, err)
			require.Equal(t, typ, got)
		}
	}
	_, err := ParseType("q9")
	require.ErrorContains(t, err, `unknown type "q9"`)
	got, err := ParseType("q4_k")
	require.NoError(t, err)
	require.Equal(t, Q4_K, got)
}

// FuzzQuantize encodes any floats, with any importance. What is accepted comes back within the
// format's error, or with importance, which may sacrifice a weight to others, as finite numbers.
func FuzzQuantize(f *testing.F) {
	for _, typ := range writableTypes() {
		f.Add(uint32(typ), slices.Repeat([]byte{0, 0, 0x80, 0x3f, 1, 2, 3, 0xbe}, 128), []byte(nil))
		f.Add(uint32(typ), slices.Repeat([]byte{0, 0, 0x80, 0x3f, 1, 2, 3, 0xbe, 1, 2, 3, 0x3c}, 86), []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0, 1, 2, 3, 0x42})
	}
	f.Fuzz(func(t *testing.T, id uint32, data, columns []byte) {
		typ := Type(id)
		if !CanQuantize(typ) {
			return
		}
		n := len(data) / 4 / typ.BlockSize() * typ.BlockSize()
		x, y, b := make([]float32, n), make([]float32, n), make([]byte, typ.RowBytes(n))
		Dequantize(F32, x, data)
		var importance []float32 // what is given, over and over
		if len(columns) >= 4 {
			some := make([]float32, len(columns)/4)
			Dequantize(F32, some, columns)
			importance = slices.Repeat(some, n/len(some)+1)[:n]
		}
		if err := QuantizeRow(typ, b, x, importance); err != nil {
			return
		}
		Dequantize(typ, y, b)
		block, tolerance := typ.BlockSize(), 0.3
		if !slices.Contains([]Type{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0}, typ) {
			tolerance = 1.5 // fewer bits, or scales in few bits
		}
		for i := range x {
			if importance != nil {
				if !(abs(y[i]) <= math.MaxFloat32) {
					t.Fatalf("%s weight %d: %v became %v", typ, i, x[i], y[i])
				}
				continue
			}
			// The largest step of a block is a seventh of its range, and the scale itself is
			// rounded to half precision.
			var size float64
			for _, v := range x[i/block*block : (i/block+1)*block] {
				size = max(size, math.Abs(float64(v)))
			}
			if d := math.Abs(float64(x[i]) - float64(y[i])); !(d <= size*tolerance+1e-4) {
				t.Fatalf("%s weight %d: %v became %v in a block up to %v", typ, i, x[i], y[i], size)
			}
		}
	})
}

func BenchmarkUnpack(b *testing.B) {
	const n = 4096
	for _, typ := range integerTypes() {
		b.Run(typ.String(), func(b *testing.B) {
			bin := read(b, typ.String()+".bin")
			row := slices.Repeat(bin[:typ.RowBytes(512)], n/512)
			q, s, m := make([]int8, n), make([]float32, n/typ.Group()), make([]float32, n/typ.Group())
			b.SetBytes(int64(len(row)))
			for b.Loop() {
				Unpack(typ, q, s, m, row)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/n/float64(b.N), "ns/weight")
		})
	}
}

func BenchmarkHalf(b *testing.B) {
	x, buf := make([]float32, 4096), make([]byte, 8192)
	for i := range x {
		x[i] = float32(i) / 100
	}
	for name, f := range map[string]func(){"narrow": func() { F32ToF16(buf, x) }, "widen": func() { F16ToF32(x, buf) }} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(8192)
			for b.Loop() {
				f()
			}
		})
	}
}
