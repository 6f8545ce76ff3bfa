package kernels

import (
	"unsafe"
)

// tile is a block format at a level of assembly. Outputs are in the lanes of registers: a tile is
// as many weight rows as there are lanes.
//
// One token is multiplied with the rows where they are stored. For several, tiles are first
// unpacked into panels, bytes [k/4][size][4] with scales and minima [k/group][size], which stay in
// the cache while all tokens use them. The integer sum of a group is exact in both, and both add
// groups in order, acc = fma(float(sum), scale·d, acc), then acc = fma(minimum, d·Σq, acc): hence
// equal bits.
type tile struct {
	lanes     int // rows; divides panelRows
	panels    int // panels that are multiplied at once; divides panelRows/size
	zeroShift int // log2 of what the bytes of weights without minimum are too large by

	gemv        func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	pack        func(p *byte, s, m *float32, w *byte, stride, blocks int)
	microkernel [4]func(args *byte) // panels times one to four tokens
}

const (
	panelRows   = 48 // rows that are unpacked at once
	microTokens = 4  // tokens at once
	// packTokens is the number of tokens from which unpacking is worth its while.
	packTokens = 3
)

// panelArgs is read by assembly, field by field of eight bytes.
type panelArgs struct {
	dst       *float32 // [tokens][at*size], with stride ldd
	ldd       int
	p         *byte
	panel     int // bytes of one tile's panel
	s, m      *float32
	scales    int // bytes of one tile's scales
	q         *int8
	g         *actGroup
	k         int // the stride of tokens in q and g
	groups    int // of 32; counted down
	zeroShift int
	next      *byte // 2·k bytes from here are fetched into the second cache
}

// tileScratch is what mulTiles needs per thread.
type tileScratch struct {
	args panelArgs
	mem  []byte
	w    []byte                           // rows of the last tile, completed to a whole one
	out  [microTokens * panelRows]float32 // what is more than the destination takes
}

// aligned returns n bytes on a cache line.
func (s *tileScratch) aligned(n int) unsafe.Pointer {
	const line = 64
	s.mem = grow(s.mem, n+line)
	p := unsafe.Pointer(unsafe.SliceData(s.mem))
	return unsafe.Add(p, -uintptr(p)&(line-1))
}

func mulBlockTiles(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
	x := product{m: m, t: m.tile, dst: dst, ldd: ldd, w: w, rows: rows, k: k, a: a, t0: t0, t1: t1, s: &s.tile, size: m.Type.RowBytes(k)}
	if t1-t0 < packTokens {
		x.gemv()
	} else {
		x.gemm()
	}
}

// product is a call of Mul.
type product struct {
	m       *MatMul
	t       *tile
	dst     []float32
	ldd     int
	w       []byte
	rows, k int
	a       *Activations
	t0, t1  int
	s       *tileScratch
	size    int // bytes of a row
}

// tileAt returns the tile of weights that begins with row r and how many of its rows are weights:
// the last tile may have fewer, and is then a copy that the rows of an earlier use complete.
func (x *product) tileAt(r int) (w *byte, n int) {
	n = min(x.t.lanes, x.rows-r)
	if n == x.t.lanes {
		return &x.w[r*x.size], n
	}
	x.s.w = grow(x.s.w, x.t.lanes*x.size)
	copy(x.s.w, x.w[r*x.size:x.rows*x.size])
	return &x.s.w[0], n
}

func (x *product) blocks() int { return x.k / x.m.Type.BlockSize() }

// gemv multiplies the rows where they are stored with one token after the other.
func (x *product) gemv() {
	for r := 0; r < x.rows; r += x.t.lanes {
		w, n := x.tileAt(r)
		for t := x.t0; t < x.t1; t++ {
			q, g := x.a.token(t)
			out := x.dst[t*x.ldd+r:]
			if n < x.t.lanes {
				out = x.s.out[:]
			}
			x.t.gemv(&out[0], w, x.size, x.blocks(), &q[0], (*byte)(unsafe.Pointer(&g[0])))
			if n < x.t.lanes {
				copy(x.dst[t*x.ldd+r:][:n], out)
			}
		}
	}
}

// gemm unpacks some tiles and multiplies them with all tokens: a few tokens, which the nearest
// cache holds, with one panel after another.
func (x *product) gemm() {
	t, args := x.t, &x.s.args
	group := x.m.Type.Group()
	tiles := panelRows / t.lanes
	bytes, scales := t.lanes*x.k, t.lanes*x.k/group*4
	parts := bytes + scales
	if x.m.Type.HasMin() {
		parts += scales
	}
	p := x.s.aligned(tiles * parts)
	sp := unsafe.Add(p, tiles*bytes)
	mp := sp
	if x.m.Type.HasMin() {
		mp = unsafe.Add(sp, tiles*scales)
	}
	wide := t.panels * t.lanes
	// The fields are set one by one: a struct copied in larger pieces than it was written in would
	// have to wait until all that a panel stores is out.
	args.panel, args.scales, args.k, args.zeroShift = bytes, scales, x.k, t.zeroShift
	for r := 0; r < x.rows; r += panelRows {
		rows := min(panelRows, x.rows-r)
		for i := 0; i < rows; i += t.lanes {
			w, _ := x.tileAt(r + i)
			j := i / t.lanes
			t.pack((*byte)(unsafe.Add(p, j*bytes)), (*float32)(unsafe.Add(sp, j*scales)), (*float32)(unsafe.Add(mp, j*scales)), w, x.size, x.blocks())
		}
		next := (r + rows) * x.size // the weights that are unpacked after these
		for tok := x.t0; tok < x.t1; tok += microTokens {
			c := min(microTokens, x.t1-tok)
			q, g := x.a.token(tok)
			args.q, args.g = &q[0], &g[0]
			for i := 0; i < rows; i += wide {
				n := min(wide, rows-i)
				args.dst, args.ldd = &x.dst[tok*x.ldd+r+i], x.ldd
				if n < wide {
					args.dst, args.ldd = &x.s.out[0], wide
				}
				j := i / t.lanes
				args.p, args.s, args.m = (*byte)(unsafe.Add(p, j*bytes)), (*float32)(unsafe.Add(sp, j*scales)), (*float32)(unsafe.Add(mp, j*scales))
				args.groups = x.k / ActGroup
				args.next = &x.w[min(next, len(x.w)-1)]
				if next < (r+2*panelRows)*x.size {
					next += 2 * x.k
				}
				t.microkernel[c-1]((*byte)(unsafe.Pointer(args)))
				if n < wide {
					for l := range c {
						copy(x.dst[(tok+l)*x.ldd+r+i:][:n], x.s.out[l*wide:])
					}
				}
			}
		}
	}
	// what the engine gives up shall not be held here
	args.dst, args.q, args.g, args.next = nil, nil, nil, nil
}
