package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// decodeChunk is the number of weights that Dequantize decodes at once: a whole number of blocks of
// any type.
const decodeChunk = 256

// buffer is what a chunk is decoded into. On the stack it could not stay, as the formats are
// called through a table.
type buffer struct {
	q    [decodeChunk]int8
	s, m [decodeChunk / 16]float32
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Dequantize converts a row of len(dst) weights into float32: floats of 16 and 32 bits and every
// block format. Block formats give the same bits as the reference (ggml-quants.c,
// dequantize_row_*). It panics for other types and for a src too short.
func Dequantize(t Type, dst []float32, src []byte) {
	size := t.RowBytes(len(dst))
	if len(src) < size {
		panic(fmt.Sprintf("quant: %d %s weights want %d bytes, found %d", len(dst), t, size, len(src)))
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return
	case F16:
		F16ToF32(dst, src)
		return
	case BF16:
		for i := range dst {
			dst[i] = BHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return
	}
	if t.Group() == 0 {
		panic(fmt.Sprintf("quant: type %s holds no weights", t))
	}
	u := buffers.Get().(*buffer)
	defer buffers.Put(u)
	q, s, m := &u.q, &u.s, &u.m
	g, min := t.Group(), t.HasMin()
	for len(dst) > 0 {
		n := len(dst)
		if n > decodeChunk {
			n = decodeChunk
		}
		Unpack(t, q[:n], s[:], m[:], src)
		for i := range n / g {
			out, in, d := dst[i*g:(i+1)*g], q[i*g:(i+1)*g], s[i]
			if min {
				for j, v := range in {
					out[j] = float32(float32(v)*d) + m[i]
				}
				continue
			}
			for j, v := range in {
				out[j] = float32(v) * d
			}
		}
		dst, src = dst[n:], src[t.RowBytes(n):]
	}
}
