package convert

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/quant"
)

// imatrix is an importance matrix of two tensors in GGUF form.
func imatrix(t testing.TB, change func(w *gguf.Writer)) []byte {
	w := gguf.NewWriter()
	require.NoError(t, w.Set("imatrix.datasets", []string{"text.txt"}))
	require.NoError(t, w.Set("imatrix.chunk_count", uint32(3)))
	f32 := func(v ...float32) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	require.NoError(t, w.Add("a.weight.in_sum2", quant.F32, []int{2, 2}, f32(2, 4, 6, 8)))
	require.NoError(t, w.Add("a.weight.counts", quant.F32, []int{1, 2}, f32(2, 0)))
	if change != nil {
		change(w)
	}
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	require.NoError(t, err)
	return b.Bytes()
}

// dat is the same of one tensor in the older form.
func dat(name string, calls int32, values []float32, dataset string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 1)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(name))), name...)
	b = binary.LittleEndian.AppendUint32(b, uint32(calls))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(values)))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	b = binary.LittleEndian.AppendUint32(b, 7)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(dataset))), dataset...)
}

func readImportance(t *testing.T, data []byte) (*Importance, error) {
	path := filepath.Join(t.TempDir(), "m")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return ReadImportance(path)
}

func TestReadImportance(t *testing.T) {
	m, err := readImportance(t, imatrix(t, nil))
	require.NoError(t, err)
	require.Equal(t, map[string][]float32{"a.weight": {1, 2, 1, 1}}, m.Columns, "what was never counted is 1")
	require.Equal(t, "text.txt", m.Dataset)
	require.Equal(t, 3, m.Chunks)

	m, err = readImportance(t, dat("b.weight", 4, []float32{4, 8}, "other.txt"))
	require.NoError(t, err)
	require.Equal(t, map[string][]float32{"b.weight": {1, 2}}, m.Columns)
	require.Equal(t, "other.txt", m.Dataset)
	require.Equal(t, 7, m.Chunks)
	old := dat("b.weight", 0, []float32{4}, "")
	m, err = readImportance(t, old[:len(old)-8])
	require.NoError(t, err, "chunks and text may be missing")
	require.Equal(t, []float32{4}, m.Columns["b.weight"])
}

func TestReadImportanceFaults(t *testing.T) {
	one := []byte{0, 0, 0x80, 0x3f}
	whole := dat("b.weight", 4, []float32{4, 8}, "other.txt")
	for want, data := range map[string][]byte{
		"the importance matrix is empty": {0, 0, 0, 0},
		"want names that end in":         imatrix(t, func(w *gguf.Writer) { require.NoError(t, w.Add("b", quant.F32, []int{1}, one)) }),
		"there is no b.in_sum2":          imatrix(t, func(w *gguf.Writer) { require.NoError(t, w.Add("b.counts", quant.F32, []int{1}, one)) }),
		"with a count in F32 for each":   imatrix(t, func(w *gguf.Writer) { require.NoError(t, w.Add("b.in_sum2", quant.F32, []int{1}, one)) }),
		"the importance of column 1 is":  dat("b", 1, []float32{1, -1}, ""),
	} {
		_, err := readImportance(t, data)
		require.ErrorContains(t, err, want)
	}
	for n := range len(whole) - 17 { // what follows is optional
		_, err := readImportance(t, whole[:n])
		require.Error(t, err, "%d bytes", n)
	}
	_, err := ReadImportance(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "none: ")
}

// FuzzImportance: any bytes are finite importance, or one short error.
func FuzzImportance(f *testing.F) {
	f.Add(dat("b.weight", 4, []float32{4, 8}, "other.txt"))
	f.Add(imatrix(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseImportance("m", data)
		if err != nil {
			require.Less(t, len(err.Error()), 1000)
			return
		}
		require.NotEmpty(t, m.Columns)
		for name, columns := range m.Columns {
			for _, v := range columns {
				require.True(t, v >= 0 && v <= math.MaxFloat32, name)
			}
		}
	})
}

// TestImportance: columns that count for more come out nearer, the file reports what was used, and
// a matrix of another model is refused.
func TestImportance(t *testing.T) {
	f := open(t, "tiny-moe")
	const name = "blk.0.ffn_up_exps.weight" // 8 matrices of 512 rows
	x, ok := f.Tensor(name)
	require.True(t, ok)
	columns := make([]float32, x.Shape[0]*x.Shape[2])
	for i := range columns {
		columns[i] = 1
		if i%x.Shape[0] == i/x.Shape[0] { // another column of each expert
			columns[i] = 1e4
		}
	}
	m := &Importance{Path: "m.gguf", Dataset: "text", Chunks: 2, Columns: map[string][]float32{name: columns}}
	o := Options{Type: "q4_0", Importance: m}
	near, err := gguf.OpenBytes("near", quantize(t, f, o))
	require.NoError(t, err)
	far, err := gguf.OpenBytes("far", quantize(t, f, Options{Type: "q4_0"}))
	require.NoError(t, err)
	v, _ := near.Value("quantize.imatrix.entries_count")
	require.EqualValues(t, 1, v.Any(-1))
	wrong := func(g *gguf.File) (sum float64) {
		y, _ := g.Tensor(name)
		want, got := floats(f, x), floats(g, y)
		for e := range x.Shape[2] {
			for row := range x.Shape[1] {
				i := (e*x.Shape[1]+row)*x.Shape[0] + e
				sum += math.Pow(float64(want[i]-got[i]), 2)
			}
		}
		return sum
	}
	require.Less(t, wrong(near), 0.2*wrong(far))

	m.Columns[name] = columns[1:]
	w, err := Quantize(t.Context(), f, o)
	require.NoError(t, err)
	_, err = w.WriteTo(new(bytes.Buffer))
	require.ErrorContains(t, err, "m.gguf has importance for 2047 columns, the tensor has 2048")
}

func TestOverrides(t *testing.T) {
	f := open(t, "tiny-dense")
	v, err := ParseOverride("attn_v=q8_0")
	require.NoError(t, err)
	o := Options{Type: "q4_k_m", Overrides: []Override{{regexp.MustCompile(`blk\.0\.attn_v`), quant.F16}, v}}
	w, err := Quantize(t.Context(), f, o)
	require.NoError(t, err)
	for _, x := range w.Tensors() {
		switch x.Name {
		case "blk.0.attn_v.weight":
			require.Equal(t, quant.F16, x.Type)
		case "blk.1.attn_v.weight":
			require.Equal(t, quant.Q8_0, x.Type)
		case "blk.1.attn_q.weight":
			require.Equal(t, quant.Q4_K, x.Type)
		}
	}
	o.Overrides = append(o.Overrides, v)
	_, err = Quantize(t.Context(), f, o)
	require.ErrorContains(t, err, `no matrix to be converted has a name with "attn_v"`)
	for text, want := range map[string]string{
		"attn_v": "want PATTERN=TYPE", "=q8_0": "want PATTERN=TYPE", "(=q8_0": "missing closing", "a=q9": `unknown type "q9"`, "a=i32": "I32 is not a type that can be written",
	} {
		_, err := ParseOverride(text)
		require.ErrorContains(t, err, want)
	}
}

func TestWarnings(t *testing.T) {
	f := open(t, "tiny-dense")
	warnings := func(f *gguf.File, o Options) []string {
		w, err := Quantize(t.Context(), f, o)
		require.NoError(t, err)
		return Warnings(f, w, o)
	}
	require.Empty(t, warnings(f, Options{Type: "q4_k_m"}))
	poor := warnings(f, Options{Type: "iq2_xs"})
	require.Len(t, poor, 1)
	require.Contains(t, poor[0], "want an importance matrix, the first is blk.0.attn_")
	q8, err := gguf.OpenBytes("q8", quantize(t, f, Options{Type: "q8_0"}))
	require.NoError(t, err)
	again := warnings(q8, Options{Type: "q4_0"})
	require.Len(t, again, 1)
	require.Contains(t, again[0], "are quantised already")
}
