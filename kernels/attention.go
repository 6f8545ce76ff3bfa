package kernels

import (
	"encoding/binary"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// Tile is the number of keys that attention takes at once. Tiles are counted from position 0 of a
// sequence, so what a tile holds does not depend on how a prompt was cut.
const Tile = 64

// PartitionLen is the number of keys, counted from position 0, whose softmax is computed
// separately, so that threads can share a long context. It is a multiple of [Tile].
const PartitionLen = 8 * Tile

// Attention is the softmax of some query heads over the keys and values that they share. Each tile
// has its own softmax, the tiles of a partition are merged in order, then the partitions (Milakov
// and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135; Dao et al. 2023,
// Flash-Decoding). The result of a query does not depend on the other queries, nor on which thread
// computed which partition.
//
// In order of use: [Attention.Begin], and Sink where there are sinks. For each tile Prefetch,
// [ISA.Score], [ISA.Values], [ISA.ApplyScoreMod] where scores are more than scaled, and
// [ISA.UpdateSoftmax]. After each partition [ISA.EndPartition]; or StorePartial and, on another
// thread, [ISA.MergePartial]. At last [Attention.End].
type Attention struct {
	d, dv     int         // lengths of a key and of a value
	q         Activations // queries, [heads][d]
	quantized bool        // whether q has been quantized
	p         []float32   // scores, later weights, [heads][Tile]
	k         []float32   // keys in columns, [d][Tile]
	kF16      []byte      // keys in columns as F16
	v         []float32   // values, [keys][dv]
	vF16      f16Tile     // values as F16, used in place of v where it is not empty
	mul       Scratch
	prefetch  [2][]byte  // memory to prefetch during Score, and during Values and UpdateSoftmax
	acc       []float32  // outputs of the tile, [heads][dv]
	rowMax    []float32  // largest scores of the tile, [heads]
	rowSum    []float32  // sums of the weights of the tile, [heads]
	partition softmax    // the partition so far
	total     softmax    // the partitions before
	rescale   mergeState // arguments of rescaleMerge
}

// softmax is the softmax of the keys so far.
type softmax struct {
	out []float32 // [heads][dv], Σ e^(score-max)·v
	max []float32 // [heads], the largest score
	sum []float32 // [heads], Σ e^(score-max)
}

func (s *softmax) reset(n, d int) {
	s.out, s.max, s.sum = grow(s.out, n*d), grow(s.max, n), grow(s.sum, n)
	clear(s.out)
	clear(s.sum)
	for i := range s.max {
		s.max[i] = float32(math.Inf(-1))
	}
}

// mergeState is a softmax (out, max, sum) and that of later keys (acc, rowMax, rowSum).
// rescaleMerge adds the second to the first and scales down whichever has the smaller maximum. The
// second adds nothing where its maximum is -Inf. Its contents are used up.
type mergeState struct {
	d           int
	out, acc    []float32 // [heads][d]
	max, rowMax []float32 // [heads]
	sum, rowSum []float32 // [heads]
}

// Begin makes room for n query heads of length d, whose values are of length dv and none of which
// has seen a key, and returns the queries, [n][d], for the caller to fill in.
func (a *Attention) Begin(n, d, dv int) (q []float32) {
	f := grow(a.q.F, n*d)
	a.q.Reset(n, d, ActF32)
	a.d, a.dv, a.q.F, a.quantized, a.prefetch, a.vF16 = d, dv, f, false, [2][]byte{}, f16Tile{}
	a.p, a.acc, a.rowMax, a.rowSum = grow(a.p, n*Tile), grow(a.acc, n*dv), grow(a.rowMax, n), grow(a.rowSum, n)
	a.partition.reset(n, dv)
	a.total.reset(n, dv)
	return f
}

// Sink lets query head h, which has seen no key yet, see one of that score, whose value is 0 (Xiao
// et al. 2023, arXiv:2309.17453, in the learnt form of gpt-oss).
func (a *Attention) Sink(h int, score float32) { a.total.max[h], a.total.sum[h] = score, 1 }

// Prefetch names memory that is read soon, or none. It is prefetched while Score, and while Values
// and UpdateSoftmax, compute: tiles are not stored one after another, so the hardware would wait
// for the first lines of each. Memory that is prefetched too early has left the first-level cache
// before it is read. So for tiles up to [SmallTile] bytes, keys and values together, the arguments
// should be the next keys and the next values; for larger ones the values of this tile and the next
// keys.
func (a *Attention) Prefetch(score, values []byte) { a.prefetch = [2][]byte{score, values} }

// SmallTile is half of the first-level cache of many processors: there is room for the tile that is
// read and for the next one.
const SmallTile = 24 << 10

// f16Tile is a tile of rows of F16 as stored in memory, and memory to prefetch while it is read.
type f16Tile struct {
	b        []byte
	stride   int    // in bytes
	prefetch []byte // or none
}

// prefetchParts is the number of parts in which memory is prefetched where loops do not prefetch
// line by line. Parts keep the requests from waiting for one another. Score prefetches half of
// them, Values the other half.
const prefetchParts = 8

// prefetchPart asks for part i of the memory that Prefetch named.
func (l *ISA) prefetchPart(a *Attention, i int) {
	if l.prefetch == nil {
		return
	}
	for _, b := range a.prefetch {
		if n := len(b); n > 0 {
			l.prefetch(b[i*n/prefetchParts : (i+1)*n/prefetchParts])
		}
	}
}

// prefetchRows is the number of rows of a tile that are converted between two requests.
const prefetchRows = Tile / (prefetchParts / 2)

// Score works out q·k for all query heads and the first n ≤ [Tile] keys of a tile: k holds rows of
// d numbers of type t, [Tile] of them, of which those after the first n may hold anything. Keys in
// blocks meet queries in the form that products of t ask for, see MatMul.ActFormat.
func (l *ISA) Score(a *Attention, t quant.Type, k []byte, n int) {
	if l.usesF16(a, t, a.d) {
		a.kF16 = grow(a.kF16, 2*a.d*Tile)
		next, half := a.prefetch[0], len(a.prefetch[0])/2
		l.transposeF16(a.kF16, k, next[:half], n, a.d)
		l.gemmF16(a.p, a.q.F, f16Tile{a.kF16, 2 * Tile, next[half:]}, a.q.N, Tile, a.d)
		return
	}
	if t.Group() == 0 {
		a.k = grow(a.k, a.d*Tile)
		size, transpose := t.RowBytes(a.d), l.rowFormat(t).transpose
		for i := range prefetchParts / 2 {
			l.prefetchPart(a, i)
			if at := i * prefetchRows; at < n {
				transpose(a.k[at:], k[at*size:Tile*size], min(n-at, prefetchRows), a.d)
			}
		}
		l.gemm(a.p, a.q.F, a.k, a.q.N, Tile, a.d)
		return
	}
	m := &l.matMuls[t]
	if m.ActFormat == ActQ8 && !a.quantized {
		f := a.q.F
		a.q.Reset(a.q.N, a.d, ActQ8)
		a.q.F, a.quantized = f, true
		l.quantize(a.q.q, a.q.g, f)
	}
	const whole = 16 // rows, of which every instruction set's tiles make a whole number
	for i := range prefetchParts / 2 {
		l.prefetchPart(a, i)
	}
	m.Mul(a.p, Tile, k, min((n+whole-1)/whole*whole, Tile), a.d, &a.q, 0, a.q.N, &a.mul)
}

// fewHeads is the number of query heads up to which multiplying F16 as stored in memory is faster
// than converting them once.
const fewHeads = 8

// usesF16 reports whether rows of n numbers of type t are multiplied as F16.
func (l *ISA) usesF16(a *Attention, t quant.Type, n int) bool {
	return a.q.N <= fewHeads && t == quant.F16 && l.gemmF16 != nil && n%32 == 0
}

// Scores is what Score has found for query head h, [Tile]; UpdateSoftmax changes it.
func (a *Attention) Scores(h int) []float32 { return a.p[h*Tile : (h+1)*Tile] }

// Values takes the first n values of the tile: rows of dv numbers of type t.
func (l *ISA) Values(a *Attention, t quant.Type, v []byte, n int) {
	if l.usesF16(a, t, a.dv) {
		a.vF16 = f16Tile{v, 2 * a.dv, a.prefetch[1]}
		return
	}
	a.v, a.vF16 = grow(a.v, Tile*a.dv)[:n*a.dv], f16Tile{}
	size := t.RowBytes(a.dv)
	for i := range prefetchParts / 2 {
		l.prefetchPart(a, prefetchParts/2+i)
		if from, to := i*prefetchRows, min((i+1)*prefetchRows, n); from < to {
			l.DequantizeRow(t, a.v[from*a.dv:to*a.dv], v[from*size:])
		}
	}
}

// ValuesOfKeys takes the first dv numbers of each of the first n keys of the tile for values.
func (l *ISA) ValuesOfKeys(a *Attention, t quant.Type, k []byte, n int) {
	if l.usesF16(a, t, a.dv) {
		a.vF16 = f16Tile{k, 2 * a.d, a.prefetch[1]}
		return
	}
	a.v, a.vF16 = grow(a.v, Tile*a.dv)[:n*a.dv], f16Tile{}
	row := t.RowBytes(a.d)
	for j := range n {
		if j%prefetchRows == 0 {
			l.prefetchPart(a, prefetchParts/2+j/prefetchRows)
		}
		l.DequantizeRow(t, a.v[j*a.dv:(j+1)*a.dv], k[j*row:])
	}
}

// ScoreMod is what is done to the scores of a tile beside scaling.
type ScoreMod struct {
	Scale float32
	Cap   float32 // scores become Cap·tanh(score/Cap); 0 for none (Gemma 2, arXiv:2408.00118)
	// Slopes, one per query head, times the distance to a key are subtracted; nil for none (ALiBi,
	// Press et al. 2021, arXiv:2108.12409).
	Slopes []float32
	// Relative, one per query head, is what is added for a key at each distance from the query,
	// from one end to the other with 0 in the middle; the ends hold for all beyond. nil for none
	// (T5, Raffel et al. 2019, arXiv:1910.10683).
	Relative [][]float32
	Pos      int // the query's position, counted from the first key of the tile
	From     int // keys before this one are hidden
}

// ScoreMod changes the scores of the query heads h0 ≤ h < h1 for the first n keys of the tile, in
// place of the scale of the UpdateSoftmax that follows, whose scale is then 1.
func (l *ISA) ApplyScoreMod(a *Attention, h0, h1, n int, b *ScoreMod) {
	from := min(n, max(0, b.From))
	for h := h0; h < h1; h++ {
		p := a.p[h*Tile:][:n]
		l.scale(p, b.Scale)
		if b.Cap != 0 {
			l.softCap(p, b.Cap)
		}
		for j := range from {
			p[j] = float32(math.Inf(-1))
		}
		if b.Slopes == nil && b.Relative == nil {
			continue
		}
		for j := from; j < n; j++ {
			x := p[j]
			if b.Slopes != nil {
				x -= float32(b.Slopes[h-h0] * float32(max(b.Pos-j, j-b.Pos)))
			}
			if b.Relative != nil {
				r := b.Relative[h-h0]
				x += r[max(0, min(j-b.Pos+len(r)/2, len(r)-1))]
			}
			p[j] = x
		}
	}
}

// UpdateSoftmax lets the query heads h0 ≤ h < h1 see the first n keys and values of the tile: their
// scores are scale times those of Score.
func (l *ISA) UpdateSoftmax(a *Attention, h0, h1, n int, scale float32) {
	p, part := a.p[h0*Tile:h1*Tile], a.mergeInto(&a.partition, h0, h1)
	part.acc, part.rowMax, part.rowSum = a.acc[h0*a.dv:h1*a.dv], a.rowMax[h0:h1], a.rowSum[h0:h1]
	prefetch := a.vF16.prefetch
	most := min(len(prefetch), softmaxPrefetch*(h1-h0))
	l.tileSoftmax(p, part.rowMax, part.rowSum, n, scale, prefetch[:most])
	a.vF16.prefetch = prefetch[most:]
	if a.vF16.b != nil {
		l.gemmF16(part.acc, p, a.vF16, h1-h0, a.dv, n)
		a.vF16.prefetch = nil // once is enough
	} else {
		l.gemm(part.acc, p, a.v[:n*a.dv], h1-h0, a.dv, n)
	}
	l.rescaleMerge(part)
}

func (a *Attention) mergeInto(s *softmax, h0, h1 int) *mergeState {
	a.rescale = mergeState{d: a.dv, out: s.out[h0*a.dv : h1*a.dv], max: s.max[h0:h1], sum: s.sum[h0:h1]}
	return &a.rescale
}

// softmaxPrefetch is the number of bytes per query head that tileSoftmax prefetches.
const softmaxPrefetch = 4 * Tile

// EndPartition ends a partition of keys, of which the query heads from h0 on have seen some.
func (l *ISA) EndPartition(a *Attention, h0 int) {
	part := a.mergeInto(&a.total, h0, a.q.N)
	part.acc, part.rowMax, part.rowSum = a.partition.out[h0*a.dv:], a.partition.max[h0:], a.partition.sum[h0:]
	l.rescaleMerge(part)
	a.partition.reset(a.q.N, a.dv)
}

// PartialLen is how many numbers StorePartial writes for n query heads with values of length dv.
func PartialLen(n, dv int) int { return n * (dv + 2) }

// StorePartial writes what the query heads have seen of the partition to dst.
func (a *Attention) StorePartial(dst []float32) {
	n := copy(dst, a.partition.out)
	n += copy(dst[n:], a.partition.max)
	copy(dst[n:], a.partition.sum)
}

// MergePartial is EndPartition with what StorePartial wrote, which it uses up. The partitions come
// in the order of their keys.
func (l *ISA) MergePartial(a *Attention, src []float32, h0 int) {
	n := a.q.N
	out, rowMax, rowSum := src[:n*a.dv], src[n*a.dv:][:n], src[n*(a.dv+1):][:n]
	part := a.mergeInto(&a.total, h0, n)
	part.acc, part.rowMax, part.rowSum = out[h0*a.dv:], rowMax[h0:], rowSum[h0:]
	l.rescaleMerge(part)
}

// End writes the result of query head h to dst.
func (a *Attention) End(h int, dst []float32) {
	inv := 1 / a.total.sum[h]
	for i, x := range a.total.out[h*a.dv : (h+1)*a.dv] {
		dst[i] = x * inv
	}
}

// gemm is c[m][n] = a[m][≥k]·b[k][n], adding from the first k to the last. The rows of a are
// len(a)/m long.
func gemm(c, a, b []float32, m, n, k int) {
	lda := len(a) / m
	for i := range m {
		out, x := c[i*n:][:n], a[i*lda:][:k]
		clear(out)
		j := 0
		for ; j+4 <= k; j += 4 {
			x0, x1, x2, x3 := x[j], x[j+1], x[j+2], x[j+3]
			b0, b1, b2, b3 := b[j*n:][:n], b[(j+1)*n:][:n], b[(j+2)*n:][:n], b[(j+3)*n:][:n]
			for i := range out {
				out[i] = out[i] + float32(x0*b0[i]) + float32(x1*b1[i]) + float32(x2*b2[i]) + float32(x3*b3[i])
			}
		}
		for ; j < k; j++ {
			addScaled(out, b[j*n:][:n], x[j])
		}
	}
}

// transposeF16Rows and transposeF32Rows convert n ≤ [Tile] rows of d numbers into columns: dst is
// [d][Tile]. The columns from n on may hold anything.
func transposeF16Rows(dst []float32, src []byte, n, d int) {
	for j := range n {
		for i := range d {
			dst[i*Tile+j] = quant.Half(binary.LittleEndian.Uint16(src[2*(j*d+i):]))
		}
	}
}

func transposeF32Rows(dst []float32, src []byte, n, d int) {
	for j := range n {
		for i := range d {
			dst[i*Tile+j] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*(j*d+i):]))
		}
	}
}

// tileSoftmax converts rows of [Tile] scores into e^(scale·score-max) for the first seen of each, 0
// for the others, and returns each row's top and the sum of the weights.
func tileSoftmax(p, rowMax, rowSum []float32, seen int, scale float32, _ []byte) {
	for r := range rowMax {
		row := p[r*Tile : (r+1)*Tile]
		t := float32(math.Inf(-1))
		for j := range seen {
			row[j] *= scale
			t = max(t, row[j])
		}
		clear(row[seen:])
		rowMax[r], rowSum[r] = t, 0
		if math.IsInf(float64(t), -1) {
			clear(row)
			continue
		}
		for j, s := range row[:seen] {
			row[j] = Exp(s - t)
			rowSum[r] += row[j]
		}
	}
}

func rescaleMerge(s *mergeState) {
	for r, tileMax := range s.rowMax {
		if math.IsInf(float64(tileMax), -1) {
			continue
		}
		both := max(s.max[r], tileMax)
		old, now := Exp(s.max[r]-both), Exp(tileMax-both)
		s.max[r], s.sum[r] = both, float32(s.sum[r]*old)+float32(s.rowSum[r]*now)
		out := s.out[r*s.d : (r+1)*s.d]
		for i, x := range s.acc[r*s.d : (r+1)*s.d] {
			out[i] = float32(out[i]*old) + float32(x*now)
		}
	}
}
