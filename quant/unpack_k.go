package quant

import "encoding/binary"

// 256 weights in 16 groups: four bits of scale and four of minimum per group, two bits per weight;
// a byte holds weights 32 apart.
func unpackQ2_K(b []byte, s, m []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 84; i += 16 {
		d, dmin := half(src[80:]), half(src[82:])
		for j, sc := range src[:16] {
			s[i+j], m[i+j] = d*float32(sc&15), -(dmin * float32(sc>>4))
		}
		for j := 0; j < 64; j += 8 {
			x := load(src[16+j:])
			at := j/32*128 + j%32
			for l := range 4 {
				store(b[at+32*l:], x>>(2*l)&lows2)
			}
		}
		b, src = b[256:], src[84:]
	}
}

// 256 weights in 16 groups: six bits of scale per group, two bits per weight as in Q2_K, and a
// third bit that is inverted.
func unpackQ3_K(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 110; i += 16 {
		d := half(src[108:])
		scales := src[96:108]
		for j := range 16 {
			// The low four bits of scales 0–7 are the low nibbles of bytes 0–7, those of 8–15 the
			// high ones; bytes 8–11 hold the upper two bits of four scales each.
			sc := int(scales[j%8]>>(4*(j/8))&15) | int(scales[8+j%4]>>(2*(j/4))&3)<<4
			s[i+j] = d * float32(sc-32)
		}
		for j := 0; j < 64; j += 8 {
			x, h := load(src[32+j:]), load(src[j%32:])>>(j/32*4)
			at := j/32*128 + j%32
			for l := range 4 {
				store(b[at+32*l:], minus(x>>(2*l)&lows2|h>>l&ones<<2, 4))
			}
		}
		b, src = b[256:], src[110:]
	}
}

// scales6 splits the twelve bytes that hold eight scales and eight minima of six bits, as Q4_K and
// Q5_K have them.
func scales6(s, m []float32, d, dmin float32, x []byte) {
	x, s, m = x[:12], s[:8], m[:8]
	for j := range 4 {
		s[j] = d * float32(x[j]&63)
		m[j] = -(dmin * float32(x[j+4]&63))
		s[j+4] = d * float32(x[j+8]&15|x[j]>>6<<4)
		m[j+4] = -(dmin * float32(x[j+8]>>4|x[j+4]>>6<<4))
	}
}

// 256 weights in 8 groups: six bits of scale and of minimum per group; the low nibbles of 32 bytes
// are one group, the high ones the next.
func unpackQ4_K(b []byte, s, m []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 144; i += 8 {
		scales6(s[i:], m[i:], half(src), half(src[2:]), src[4:])
		for j := 0; j < 128; j += 8 {
			x := load(src[16+j:])
			at := j/32*64 + j%32
			store(b[at:], x&lows4)
			store(b[at+32:], x>>4&lows4)
		}
		b, src = b[256:], src[144:]
	}
}

// As Q4_K, with a fifth bit: byte k of qh holds that of weight k of every group.
func unpackQ5_K(b []byte, s, m []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 176; i += 8 {
		scales6(s[i:], m[i:], half(src), half(src[2:]), src[4:])
		for j := 0; j < 128; j += 8 {
			x, h := load(src[48+j:]), load(src[16+j%32:])>>(j/32*2)
			at := j/32*64 + j%32
			store(b[at:], x&lows4|h&ones<<4)
			store(b[at+32:], x>>4&lows4|h>>1&ones<<4)
		}
		b, src = b[256:], src[176:]
	}
}

// 256 weights in 16 groups: a signed byte of scale per group, four low bits and two high bits per
// weight.
func unpackQ6_K(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 210; i += 16 {
		d := half(src[208:])
		for j, sc := range src[192:208] {
			s[i+j] = d * float32(int8(sc))
		}
		for n := range 2 {
			lo, hi, out := src[64*n:][:64], src[128+32*n:][:32], b[128*n:][:128]
			for j := 0; j < 32; j += 8 {
				x, y, h := load(lo[j:]), load(lo[32+j:]), load(hi[j:])
				store(out[j:], minus(x&lows4|h&lows2<<4, 32))
				store(out[32+j:], minus(y&lows4|h>>2&lows2<<4, 32))
				store(out[64+j:], minus(x>>4&lows4|h>>4&lows2<<4, 32))
				store(out[96+j:], minus(y>>4&lows4|h>>6&lows2<<4, 32))
			}
		}
		b, src = b[256:], src[210:]
	}
}

// signed negates the bytes of v, none of them 0, whose bits are set in signs.
func signed(v uint64, signs byte) uint64 {
	m := bitBytes[signs]
	return v ^ m*0xff + m
}

// parity completes seven sign bits by an eighth that makes their number even.
func parity(x byte) byte {
	x &= 127
	p := x ^ x>>4
	p ^= p >> 2
	p ^= p >> 1
	return x | p<<7
}

// 256 weights in 8 groups of four points: eight bits of index per point, then 4 × 7 bits of signs
// and four bits of scale.
func unpackIQ2_XXS(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 66; i += 8 {
		d := half(src)
		for j := range 8 {
			x := src[2+8*j:][:8]
			aux := binary.LittleEndian.Uint32(x[4:])
			s[i+j] = float32(d*(0.5+float32(aux>>28))) * 0.25
			for l := range 4 {
				store(b[32*j+8*l:], signed(gridIQ2XXS[x[l]], parity(byte(aux>>(7*l)))))
			}
		}
		b, src = b[256:], src[66:]
	}
}

// 256 weights in 16 groups of two points: nine bits of index and seven of signs per point, four
// bits of scale per group.
func unpackIQ2_XS(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 74; i += 16 {
		d := half(src)
		for j, sc := range src[66:74] {
			s[i+2*j] = float32(d*(0.5+float32(sc&15))) * 0.25
			s[i+2*j+1] = float32(d*(0.5+float32(sc>>4))) * 0.25
		}
		for j := range 32 {
			x := binary.LittleEndian.Uint16(src[2+2*j:])
			store(b[8*j:], signed(gridIQ2XS[x&511], parity(byte(x>>9))))
		}
		b, src = b[256:], src[74:]
	}
}

// As IQ2_XS, with ten bits of index (two of them apart) and eight of signs.
func unpackIQ2_S(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 82; i += 16 {
		d := half(src)
		for j, sc := range src[74:82] {
			s[i+2*j] = float32(d*(0.5+float32(sc&15))) * 0.25
			s[i+2*j+1] = float32(d*(0.5+float32(sc>>4))) * 0.25
		}
		for j := range 32 {
			high := int(src[66+j/4]) >> (2 * (j % 4)) & 3
			store(b[8*j:], signed(gridIQ2S[int(src[2+j])|high<<8], src[34+j]))
		}
		b, src = b[256:], src[82:]
	}
}

// 256 weights in 8 groups of eight points of four: eight bits of index per point; signs and scale
// as in IQ2_XXS.
func unpackIQ3_XXS(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 98; i += 8 {
		d := half(src)
		for j := range 8 {
			aux := binary.LittleEndian.Uint32(src[66+4*j:])
			s[i+j] = float32(d*(0.5+float32(aux>>28))) * 0.5
			x := src[2+8*j:][:8]
			for l := range 4 {
				v := gridIQ3XXS[x[2*l]] | gridIQ3XXS[x[2*l+1]]<<32
				store(b[32*j+8*l:], signed(v, parity(byte(aux>>(7*l)))))
			}
		}
		b, src = b[256:], src[98:]
	}
}

// As IQ3_XXS, with nine bits of index, eight of signs, and four of scale.
func unpackIQ3_S(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 110; i += 8 {
		d := half(src)
		for j := range 8 {
			s[i+j] = d * float32(1+2*(src[106+j/2]>>(4*(j%2))&15))
			x, high := src[2+8*j:][:8], int(src[66+j])
			for l := range 4 {
				v := gridIQ3S[int(x[2*l])|high>>(2*l)&1<<8] | gridIQ3S[int(x[2*l+1])|high>>(2*l+1)&1<<8]<<32
				store(b[32*j+8*l:], signed(v, src[74+4*j+l]))
			}
		}
		b, src = b[256:], src[110:]
	}
}

// eighths converts a point of IQ1 (-1, 0, 1) plus or minus an eighth into whole eighths.
func eighths(v uint64, negative bool) uint64 {
	// Bytes of -1, 0, 1 become 0, 1, 2, then eight times that, less 8 ± 1.
	v = (v&^highs + ones) & lows2 << 3
	if negative {
		return minus(v, 9)
	}
	return minus(v, 7)
}

// 256 weights in 8 groups of four points: eleven bits of index per point, three bits of scale and
// the sign of the shift per group.
func unpackIQ1_S(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 50; i += 8 {
		d := half(src)
		for j := range 8 {
			high := binary.LittleEndian.Uint16(src[34+2*j:])
			s[i+j] = float32(d*float32(2*(high>>12&7)+1)) * 0.125
			for l := range 4 {
				v := gridIQ1S[int(src[2+4*j+l])|int(high>>(3*l)&7)<<8]
				store(b[32*j+8*l:], eighths(v, high&0x8000 != 0))
			}
		}
		b, src = b[256:], src[50:]
	}
}

// As IQ1_S, in 16 groups of two points, with the sign of the shift per point; the scale is spread
// over the top nibbles of four words.
func unpackIQ1_M(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 56; i += 16 {
		var sc [4]uint16
		var d16 uint16
		for j := range sc {
			sc[j] = binary.LittleEndian.Uint16(src[48+2*j:])
			d16 |= sc[j] >> 12 << (4 * j)
		}
		d := Half(d16)
		for j := range 16 {
			s[i+j] = float32(d*float32(2*(sc[j/4]>>(3*(j%4))&7)+1)) * 0.125
		}
		for j := range 32 {
			high := src[32+j/2] >> (4 * (j % 2))
			store(b[8*j:], eighths(gridIQ1S[int(src[j])|int(high&7)<<8], high&8 != 0))
		}
		b, src = b[256:], src[56:]
	}
}
