package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// attention512: see attend.go.
func (x *program) attention512() {
	for rows := 1; rows <= 6; rows++ {
		x.gemm512(false, rows, 4)
		x.gemm512(false, rows, 1)
	}
	for rows := 1; rows <= 8; rows++ {
		x.gemm512(true, rows, halfVectors512(rows))
		x.gemm512(true, rows, 1)
	}
	x.columns512()
	for _, f := range floatFormats512[:2] {
		x.function("transpose"+f.name+"AVX512", "(dst *float32, src *byte, stride, blocks int)",
			fmt.Sprintf("transpose%sAVX512 turns 16 rows of some times 16 %s into columns 256 bytes apart.", f.name, f.name))
		src, stride := x.arg("src"), x.arg("stride")
		rows := x.rows16(src, stride)
		dst, blocks := x.arg("dst"), x.arg("blocks")
		x.Label("loop")
		var v [16]reg.VecVirtual
		for i := range v {
			v[i] = f.load(x, rows.at(i, 0), nil)
		}
		for i, z := range x.dwords16x16(v) {
			x.VMOVUPS(z, at(dst, 256*i))
		}
		x.advance(rows, 16*f.size)
		x.add(16*256, dst)
		x.DECQ(blocks)
		x.JNZ(LabelRef("loop"))
		x.end()
	}
	x.tileSoftmaxKernel512()
	x.rescaleMergeSumsKernel512()
	x.rescaleMergeRowsKernel512()
}

func (x *program) tileSoftmaxKernel512() {
	x.function("tileSoftmaxAVX512", "(p, rowMax, rowSum *float32, prefetch *byte, rows, seen int, scale float32)", "tileSoftmaxAVX512 is tileSoftmax. It asks for 256 bytes per row at prefetch.")
	p, rowMax, rowSum, rows := x.arg("p"), x.arg("rowMax"), x.arg("rowSum"), x.arg("rows")
	prefetch := x.arg("prefetch")
	seen := x.arg("seen")
	scale := x.broadcast("scale")
	low := x.constZ(bits(float32(math.Inf(-1))))
	mask := x.GP64()
	x.MOVQ(I32(-1), mask)
	x.BZHIQ(seen, mask, mask)
	var k [4]reg.OpmaskVirtual
	for i := range k {
		k[i] = x.K()
		x.KMOVW(mask.As32(), k[i])
		if i < 3 {
			x.SHRQ(Imm(16), mask)
		}
	}
	x.Label("four")
	x.CMPQ(rows, Imm(4))
	x.JLT(LabelRef("rest"))
	x.tileSoftmaxRows512(4, p, rowMax, rowSum, prefetch, scale, low, k)
	x.add(4*256, p)
	x.add(4*256, prefetch)
	x.add(4*4, rowMax)
	x.add(4*4, rowSum)
	x.SUBQ(Imm(4), rows)
	x.JMP(LabelRef("four"))
	x.Label("rest")
	x.TESTQ(rows, rows)
	x.JZ(LabelRef("done"))
	x.tileSoftmaxRows512(1, p, rowMax, rowSum, prefetch, scale, low, k)
	x.add(256, p)
	x.add(256, prefetch)
	x.add(4, rowMax)
	x.add(4, rowSum)
	x.DECQ(rows)
	x.JMP(LabelRef("rest"))
	x.Label("done")
	x.end()
}

func (x *program) rescaleMergeSumsKernel512() {
	x.function("rescaleMergeSumsAVX512", "(max, sum, rowMax, rowSum *float32, n int)",
		"rescaleMergeSumsAVX512 is rescaleMerge for maxima and sums. It leaves in rowMax what the output so far is to be multiplied by, and in rowSum the same of the tile.")
	pmax, psum, prowMax, prowSum, n := x.arg("max"), x.arg("sum"), x.arg("rowMax"), x.arg("rowSum"), x.arg("n")
	low := x.constZ(bits(float32(math.Inf(-1))))
	one := x.constZ(bits(1))
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		old, now := x.get(at(pmax, 0), k), x.get(at(prowMax, 0), k)
		some := x.K()
		x.VCMPPS(Imm(4), low, now, some)
		both := x.ZMM()
		x.VMAXPS(now, old, both)
		x.put(both, at(pmax, 0), k)
		x.VSUBPS(both, old, old)
		x.VSUBPS(both, now, now)
		x.exp(old)
		x.exp(now)
		x.VMOVAPS_Z(now, some, now)
		t := x.ZMM()
		x.VMOVAPS(one, t)
		x.VMOVAPS(old, some, t)
		x.put(t, at(prowMax, 0), k)
		s := x.get(at(psum, 0), k)
		x.VMULPS(t, s, s)
		x.VFMADD231PS(x.get(at(prowSum, 0), k), now, s)
		x.put(s, at(psum, 0), k)
		x.put(now, at(prowSum, 0), k)
	}, pointer{pmax, 64}, pointer{psum, 64}, pointer{prowMax, 64}, pointer{prowSum, 64})
	x.end()
}

func (x *program) rescaleMergeRowsKernel512() {
	x.function("rescaleMergeRowsAVX512", "(out, acc, old, now *float32, rows, d int)", "rescaleMergeRowsAVX512 is rescaleMerge for the outputs: out = out·old + acc·now, row by row.")
	out, acc, pold, pnow := x.arg("out"), x.arg("acc"), x.arg("old"), x.arg("now")
	r, d := x.arg("rows"), x.arg("d")
	x.Label("rows")
	o, w := x.ZMM(), x.ZMM()
	x.VBROADCASTSS(at(pold, 0), o)
	x.VBROADCASTSS(at(pnow, 0), w)
	left := x.GP64()
	x.MOVQ(d, left)
	x.each16("loop", left, func(k *reg.OpmaskVirtual) {
		z := x.get(at(out, 0), k)
		x.VMULPS(o, z, z)
		x.VFMADD231PS(x.get(at(acc, 0), k), w, z)
		x.put(z, at(out, 0), k)
	}, pointer{out, 64}, pointer{acc, 64})
	// What the tail has not advanced.
	x.LEAQ(Mem{Base: out, Index: left, Scale: 4}, out)
	x.LEAQ(Mem{Base: acc, Index: left, Scale: 4}, acc)
	x.add(4, pold)
	x.add(4, pnow)
	x.DECQ(r)
	x.JNZ(LabelRef("rows"))
	x.end()
}

// tileSoftmaxRows512 is tileSoftmax for four rows or one: a row's chain of operations is long, and
// those of four overlap.
func (x *program) tileSoftmaxRows512(rows int, p, rowMax, rowSum, prefetch reg.Register, scale, low reg.VecVirtual, k [4]reg.OpmaskVirtual) {
	s := make([][4]reg.VecVirtual, rows)
	m := make([]reg.VecVirtual, rows)
	larger := func(a, b, to reg.VecVirtual) { x.VMAXPS(a, b, to) }
	for r := range s {
		for i := range s[r] {
			s[r][i] = x.ZMM()
			x.VMOVAPS(low, s[r][i])
			x.VMULPS(at(p, 256*r+64*i), scale, k[i], s[r][i])
		}
		m[r] = x.ofFour(s[r], larger)
	}
	tops := x.reduceRows(m, larger)
	x.putRows(tops, rowMax, rows)
	for r := range s {
		some := x.K()
		if rows > 1 {
			x.VSHUFF32X4(Imm(uint64(r*0x55)), tops, tops, m[r])
		} else {
			m[r] = tops
		}
		x.VCMPPS(Imm(4), low, m[r], some) // not equal
		for i, z := range s[r] {
			x.PREFETCHNTA(at(prefetch, 256*r+64*i))
			kk := x.K()
			x.KANDW(some, k[i], kk)
			x.VSUBPS(m[r], z, z)
			x.exp(z)
			x.VMOVAPS_Z(z, kk, z)
			x.VMOVUPS(z, at(p, 256*r+64*i))
		}
		m[r] = x.ofFour(s[r], x.plus)
	}
	x.putRows(x.reduceRows(m, x.plus), rowSum, rows)
}

// ofFour combines four registers by one tree.
func (x *program) ofFour(v [4]reg.VecVirtual, op func(a, b, to reg.VecVirtual)) reg.VecVirtual {
	a, b := x.ZMM(), x.ZMM()
	op(v[0], v[1], a)
	op(v[2], v[3], b)
	op(a, b, a)
	return a
}

// reduceRows is reduce, by the same tree, for one register or for four, whose results are in lane r
// of 128 bits.
func (x *program) reduceRows(v []reg.VecVirtual, op func(a, b, to reg.VecVirtual)) reg.VecVirtual {
	if len(v) == 1 {
		return x.reduce(v[0], op)
	}
	pair := func(a, b reg.VecVirtual, first, second uint64) reg.VecVirtual {
		lo, hi := x.ZMM(), x.ZMM()
		x.VSHUFF32X4(Imm(first), b, a, lo)
		x.VSHUFF32X4(Imm(second), b, a, hi)
		op(lo, hi, lo)
		return lo
	}
	// Lanes 0 and 1 plus lanes 2 and 3 of two rows each, then the lanes that are left of each row.
	z := pair(pair(v[0], v[1], 0x44, 0xee), pair(v[2], v[3], 0x44, 0xee), 0x88, 0xdd)
	t := x.ZMM()
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VPERMILPS(Imm(lanes), z, t)
		op(t, z, z)
	}
	return z
}

// putRows stores what reduceRows has found.
func (x *program) putRows(z reg.VecVirtual, p reg.Register, rows int) {
	if rows == 1 {
		x.VMOVSS(z.AsX(), at(p, 0))
		return
	}
	t := x.ZMM()
	x.VPERMPS(z, x.constZ(0, 4, 8, 12), t)
	x.VMOVUPS(t.AsX(), at(p, 0))
}

// columns512 is transposition without conversion: half as many shuffles, and half as much to write
// and to read again.
func (x *program) columns512() {
	x.function("transposeF16x32AVX512", "(dst, src, prefetch *byte, stride, blocks, pace int)",
		"transposeF16x32AVX512 turns 16 rows of some times 32 F16 into columns 128 bytes apart. For each 32 it asks for 512 bytes at prefetch, which then moves on by pace.")
	src, stride := x.arg("src"), x.arg("stride")
	rows := x.rows16(src, stride)
	dst, blocks := x.arg("dst"), x.arg("blocks")
	prefetch, pace := x.arg("prefetch"), x.arg("pace")
	// lanes 0 and 1, or 2 and 3, of the first eight rows, each followed by that of the others
	var pairs [2]reg.VecVirtual
	for i, q := range [2]uint32{0, 4} {
		pairs[i] = x.constZ(q, 0, q+1, 0, q+8, 0, q+9, 0, q+2, 0, q+3, 0, q+10, 0, q+11, 0)
	}
	x.Label("loop")
	var v [2][8]reg.VecVirtual
	for h := range v {
		for i := range v[h] {
			if i%2 == 0 {
				x.PREFETCHNTA(at(prefetch, 64*(4*h+i/2)))
			}
			v[h][i] = x.get(rows.at(8*h+i, 0), nil)
		}
		v[h] = x.words8x8(v[h])
	}
	for j := range 8 {
		for i, p := range pairs {
			z := x.ZMM()
			x.VMOVDQA64(p, z)
			x.VPERMI2Q(v[1][j], v[0][j], z)
			x.VMOVDQU64(z.AsY(), at(dst, 128*(16*i+j)))
			x.VEXTRACTI64X4(Imm(1), z, at(dst, 128*(16*i+8+j)))
		}
	}
	x.advance(rows, 64)
	x.ADDQ(pace, prefetch)
	x.add(32*128, dst)
	x.DECQ(blocks)
	x.JNZ(LabelRef("loop"))
	x.end()
}

// words8x8 transposes the 8×8 matrix of 16-bit words in each lane of 128 bits.
func (x *program) words8x8(v [8]reg.VecVirtual) (out [8]reg.VecVirtual) {
	for i := range 4 {
		lo, hi := x.ZMM(), x.ZMM()
		x.VPUNPCKLWD(v[2*i+1], v[2*i], lo)
		x.VPUNPCKHWD(v[2*i+1], v[2*i], hi)
		v[2*i], v[2*i+1] = lo, hi
	}
	for h := range 2 { // words 0 to 3 of the rows, then 4 to 7, by pairs
		q := x.dwords4x4([4]reg.VecVirtual{v[h], v[2+h], v[4+h], v[6+h]})
		copy(out[4*h:], q[:])
	}
	return out
}

// halfVectors512 is the number of vectors of columns of halves that gemm512 takes with so many
// rows.
func halfVectors512(rows int) int {
	if rows > 6 {
		return 2
	}
	return 4
}

// gemm512 multiplies some rows of a with 16 columns of b or some vectors of them, of float32 or
// halves. For each line of halves that it reads it asks for one at prefetch, which then moves on by
// pace. Strides are in bytes.
func (x *program) gemm512(half bool, rows, vectors int) {
	name, args, of, size, load := "gemm", "(c, a, b *float32, lda, ld, k int", "b", 64, x.get
	if half {
		name, args, of, size, load = "gemmF16", "(c, a *float32, b, prefetch *byte, lda, ldb, ldc, k, pace int", "F16", 32, x.getHalf
	}
	name = fmt.Sprintf("%s%dx%dAVX512", name, rows, 16*vectors)
	mask, doc := "", ""
	if vectors == 1 {
		mask, doc = ", mask int", ", those of mask"
	}
	x.function(name, args+mask+")", fmt.Sprintf("%s multiplies %d rows of a with %d columns of %s%s, adding along k in order.", name, rows, 16*vectors, of, doc))
	a, b := x.arg("a"), x.arg("b")
	var lda, ldb, k, prefetch, pace reg.Register
	if half {
		prefetch, lda, ldb, k, pace = x.arg("prefetch"), x.arg("lda"), x.arg("ldb"), x.arg("k"), x.arg("pace")
	} else {
		lda, ldb, k = x.arg("lda"), x.arg("ld"), x.arg("k")
	}
	var km *reg.OpmaskVirtual
	if vectors == 1 {
		m := x.K()
		x.KMOVW(x.arg("mask").(reg.GPVirtual).As32(), m)
		km = &m
	}
	from := []reg.Register{a} // rows 0, 3, 6
	for len(from) < (rows+2)/3 {
		p := x.GP64()
		x.LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, p)
		x.ADDQ(from[len(from)-1], p)
		from = append(from, p)
	}
	acc := make([][4]reg.VecVirtual, rows)
	for i := range acc {
		for j := range vectors {
			acc[i][j] = x.ZMM()
			x.zero(acc[i][j])
		}
	}
	x.Label("loop")
	var v [4]reg.VecVirtual
	for j := range vectors {
		if half && j%2 == 0 {
			x.PREFETCHNTA(at(prefetch, size*j))
		}
		v[j] = load(at(b, size*j), km)
	}
	for i := range acc {
		s, m := x.ZMM(), at(from[i/3], 0)
		if i%3 > 0 {
			m.Index, m.Scale = lda, uint8(i%3)
		}
		x.VBROADCASTSS(m, s)
		for j := range vectors {
			x.VFMADD231PS(v[j], s, acc[i][j])
		}
	}
	for _, p := range from {
		x.add(4, p)
	}
	x.ADDQ(ldb, b)
	if half {
		x.ADDQ(pace, prefetch)
	}
	x.DECQ(k)
	x.JNZ(LabelRef("loop"))
	c, ldc := x.arg("c"), ldb
	if half {
		ldc = x.arg("ldc")
	}
	for i := range acc {
		for j := range vectors {
			x.put(acc[i][j], at(c, 64*j), km)
		}
		if i+1 < rows {
			x.ADDQ(ldc, c)
		}
	}
	x.end()
}
