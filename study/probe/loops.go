package probe

// The loops of instruction set "go". Each returns something that depends on all it read, so that
// the compiler can leave none of it out.

// sum64 adds words in four streams, a quarter of x each: one stream reads about two thirds as fast,
// as it keeps fewer lines of memory on their way. The length of x is a multiple of 32.
func sum64(x []uint64) uint64 {
	n := len(x) / 4
	a, b, c, d := x[:n], x[n:2*n], x[2*n:3*n], x[3*n:]
	var s0, s1, s2, s3 uint64
	for len(a) >= 8 && len(b) >= 8 && len(c) >= 8 && len(d) >= 8 {
		p, q, r, s := (*[8]uint64)(a), (*[8]uint64)(b), (*[8]uint64)(c), (*[8]uint64)(d)
		s0 = s0 + p[0] + p[1] + p[2] + p[3] + p[4] + p[5] + p[6] + p[7]
		s1 = s1 + q[0] + q[1] + q[2] + q[3] + q[4] + q[5] + q[6] + q[7]
		s2 = s2 + r[0] + r[1] + r[2] + r[3] + r[4] + r[5] + r[6] + r[7]
		s3 = s3 + s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7]
		a, b, c, d = a[8:], b[8:], c[8:], d[8:]
	}
	return s0 + s1 + s2 + s3
}

// tileRows and tileCols are the size of a tile of sums that fits in the registers together with
// what is multiplied.
const (
	tileRows = 2
	tileCols = 3
)

// tile multiplies two rows with three columns, a as pairs [k][2] and b as triples [k][3], and
// returns the sum of the six products. len(a)/2 = len(b)/3 = k is even. Products are rounded by
// themselves, as in the engine.
func tile(a, b []float32) float32 {
	var s00, s01, s02, s10, s11, s12 float32
	for len(a) >= 2*tileRows && len(b) >= 2*tileCols {
		u, v := (*[2 * tileRows]float32)(a), (*[2 * tileCols]float32)(b)
		s00 += float32(u[0] * v[0])
		s01 += float32(u[0] * v[1])
		s02 += float32(u[0] * v[2])
		s10 += float32(u[1] * v[0])
		s11 += float32(u[1] * v[1])
		s12 += float32(u[1] * v[2])
		s00 += float32(u[2] * v[3])
		s01 += float32(u[2] * v[4])
		s02 += float32(u[2] * v[5])
		s10 += float32(u[3] * v[3])
		s11 += float32(u[3] * v[4])
		s12 += float32(u[3] * v[5])
		a, b = a[2*tileRows:], b[2*tileCols:]
	}
	return s00 + s01 + s02 + s10 + s11 + s12
}

// laneBits is the width of a lane: a sum of 32 products of at most 128·127 in magnitude needs 20
// bits with its sign.
const laneBits = 21

// pack puts three rows of int8 into the lanes of 64-bit words, so that one multiplication serves
// three products.
func pack(p []int64, x, y, z []int8) {
	for i := range p {
		p[i] = int64(x[i]) + int64(y[i])<<laneBits + int64(z[i])<<(2*laneBits)
	}
}

// dot3 multiplies three packed rows with one of int8, in groups of 32 after which the lanes are
// emptied, as block formats need it. Their length is a multiple of 32.
func dot3(p []int64, q []int8) (x, y, z int32) {
	for len(p) >= 32 && len(q) >= 32 {
		u, v := (*[32]int64)(p), (*[32]int8)(q)
		l0 := u[0]*int64(v[0]) + u[1]*int64(v[1]) + u[2]*int64(v[2]) + u[3]*int64(v[3])
		l1 := u[4]*int64(v[4]) + u[5]*int64(v[5]) + u[6]*int64(v[6]) + u[7]*int64(v[7])
		l2 := u[8]*int64(v[8]) + u[9]*int64(v[9]) + u[10]*int64(v[10]) + u[11]*int64(v[11])
		l3 := u[12]*int64(v[12]) + u[13]*int64(v[13]) + u[14]*int64(v[14]) + u[15]*int64(v[15])
		l0 += u[16]*int64(v[16]) + u[17]*int64(v[17]) + u[18]*int64(v[18]) + u[19]*int64(v[19])
		l1 += u[20]*int64(v[20]) + u[21]*int64(v[21]) + u[22]*int64(v[22]) + u[23]*int64(v[23])
		l2 += u[24]*int64(v[24]) + u[25]*int64(v[25]) + u[26]*int64(v[26]) + u[27]*int64(v[27])
		l3 += u[28]*int64(v[28]) + u[29]*int64(v[29]) + u[30]*int64(v[30]) + u[31]*int64(v[31])
		sum := (l0 + l1) + (l2 + l3)
		// a negative lane borrows from the one above: hence the subtractions
		lo := sum << (64 - laneBits) >> (64 - laneBits)
		sum = (sum - lo) >> laneBits
		mid := sum << (64 - laneBits) >> (64 - laneBits)
		x, y, z = x+int32(lo), y+int32(mid), z+int32((sum-mid)>>laneBits)
		p, q = p[32:], q[32:]
	}
	return x, y, z
}
