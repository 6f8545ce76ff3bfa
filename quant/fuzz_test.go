package quant

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// FuzzDequantize decodes any bytes as any type: no panic, nothing written beside the row, the same
// numbers block by block as all at once, and those that the integer form gives.
func FuzzDequantize(f *testing.F) {
	for typ := range Type(NumTypes) {
		if typ.IsWeight() {
			f.Add(uint32(typ), slices.Repeat([]byte{0xa5, 0x3c}, 300))
			f.Add(uint32(typ), slices.Repeat([]byte{0xff}, 300))
		}
	}
	f.Fuzz(func(t *testing.T, id uint32, data []byte) {
		typ := Type(id)
		if !typ.IsWeight() {
			return
		}
		block, size := typ.BlockSize(), typ.BlockBytes()
		blocks := min(len(data)/size, 1<<14/block)
		n := blocks * block
		data = slices.Clip(data[:blocks*size])
		out := make([]float32, n+1)
		out[n] = -7
		Dequantize(typ, out[:n], data)
		if out[n] != -7 {
			t.Fatalf("%s writes behind the row", typ)
		}
		one := make([]float32, block)
		for b := range blocks {
			Dequantize(typ, one, data[b*size:(b+1)*size])
			for i, v := range one {
				if !sameNumber(v, out[b*block+i]) {
					t.Fatalf("%s block %d weight %d: %v alone, %v in a row", typ, b, i, v, out[b*block+i])
				}
			}
		}
		g := typ.Group()
		if g == 0 {
			for i := range n {
				var want float32
				switch typ {
				case F32:
					want = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
				case F16:
					want = Half(binary.LittleEndian.Uint16(data[2*i:]))
				case BF16:
					want = BHalf(binary.LittleEndian.Uint16(data[2*i:]))
				}
				if !sameNumber(out[i], want) {
					t.Fatalf("%s weight %d: want %v, found %v", typ, i, want, out[i])
				}
			}
			return
		}
		q, s, m := make([]int8, n), make([]float32, n/g), make([]float32, n/g)
		Unpack(typ, q, s, m, data)
		for i, v := range out[:n] {
			w := float32(q[i]) * s[i/g]
			if typ.HasMin() {
				w = float32(w) + m[i/g]
			}
			if !sameNumber(v, w) {
				t.Fatalf("%s weight %d: %v and %v", typ, i, v, w)
			}
			if q[i] == -128 && typ != Q8_0 {
				t.Fatalf("%s weight %d: q is -128", typ, i)
			}
		}
	})
}

// sameNumber: the same bits, or both no number.
func sameNumber(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}
