package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/tensor"
)

// A page of the cache is a tile of the attention kernel: both are counted from position 0.
var _ = [1]struct{}{}[kv.PageLen-kernels.Tile]

// AttentionConfig describes attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245), causal if not said otherwise.
type AttentionConfig struct {
	Heads, HeadsKV int     // Heads is a multiple of HeadsKV
	Dim            int     // length of a head of queries and keys
	DimV           int     // length of a head of values; 0 means Dim
	Scale          float32 // of the scores; 0 means 1/√Dim
	// InKeys takes the first DimV elements of a key for its value, as latent attention does.
	InKeys bool

	// Both lets a row see what is behind it as well, all positions of its sequence being in one batch (Devlin et al. 2018, arXiv:1810.04805).
	Both bool

	Chunk  int       // a row sees the chunk of so many positions that it lies in, up to itself (Llama 4); 0 means all
	Window int       // positions that a row sees, its own included (Beltagy et al. 2020, arXiv:2004.05150), or half as many on each side with Both; 0 means all
	Cap    float32   // scores become Cap·tanh(score/Cap); 0 means none
	Sinks  []float32 // [Heads], scores of a key without a value that every row sees; nil for none
	Slopes []float32 // [Heads], what a score loses per position of distance (ALiBi, Press et al. 2021, arXiv:2108.12409); nil for none
	// Relative, [Heads][2·n+1], is what a score gains by the distance from query to key, -n to n; the ends hold for all beyond. nil for none.
	Relative [][]float32
	Temper   Temper
}

// Buckets are the distances -128 to 128 by the parameter of each that T5 has learnt: the half of n for keys before the query, and as many for those behind it, of which half are one for each short distance, the others
// logarithmic (Raffel et al. 2019, arXiv:1910.10683, and their code). The result is AttentionConfig.Relative of table, [n][heads].
func Buckets(table []float32, n, heads int) ([][]float32, error) {
	const most = 128
	if n < 4 || n%4 != 0 || heads < 1 || len(table) != n*heads {
		return nil, fmt.Errorf("nn: want four times some buckets of distances for each of %d heads, found %d numbers in %d", heads, len(table), n)
	}
	relative := make([][]float32, heads)
	for h := range relative {
		relative[h] = make([]float32, 2*most+1)
	}
	half, exact := n/2, n/4
	const ulps = 1e-9 // where the quotient of logarithms is a whole number
	for d := -most; d <= most; d++ {
		bucket := max(d, -d)
		if bucket >= exact {
			bucket = min(half-1, exact+int(math.Log(float64(bucket)/float64(exact))/math.Log(float64(most)/float64(exact))*float64(half-exact)+ulps))
		}
		if d > 0 {
			bucket += half
		}
		for h := range relative {
			relative[h][d+most] = table[bucket*heads+h]
		}
	}
	return relative, nil
}

// Temper multiplies queries by 1 + Scale·ln(1+⌊(pos+Shift)/Length⌋), so that attention stays sharp in long contexts (Nakanishi 2025, arXiv:2501.19399). The zero
// value does nothing.
type Temper struct {
	Scale  float64
	Length int
	Shift  int
}

func (t Temper) at(pos int) float32 {
	if t.Scale == 0 {
		return 1
	}
	return float32(1 + t.Scale*math.Log(float64(1+(pos+t.Shift)/t.Length)))
}

// ALiBi are the slopes of heads for a largest bias of most, usually 8: 2^(-most·h/n) for the h-th of the first n heads, n a power of 2, and those of twice as many heads, every second one, for the
// rest (Press et al. 2021, arXiv:2108.12409, and their code).
func ALiBi(heads int, most float64) []float32 {
	n := 1
	for 2*n <= heads {
		n *= 2
	}
	slopes := make([]float32, heads)
	for h := range slopes {
		x := float64(h+1) / float64(n)
		if h >= n {
			x = float64(2*(h-n)+1) / float64(2*n)
		}
		slopes[h] = float32(math.Exp2(-most * x))
	}
	return slopes
}

// Attention is softmax(scale·QKᵀ)·V over the positions of a sequence up to a row's own, or all of them.
type Attention struct{ c AttentionConfig }

// NewAttention checks the configuration.
func NewAttention(c AttentionConfig) (*Attention, error) {
	if c.DimV == 0 {
		c.DimV = c.Dim
	}
	switch {
	case c.Heads < 1 || c.HeadsKV < 1 || c.Dim < 1 || c.DimV < 1 || c.Heads%c.HeadsKV != 0:
		return nil, fmt.Errorf("nn: attention: want heads in whole groups per key head, found %d heads of %d over %d key heads", c.Heads, c.Dim, c.HeadsKV)
	case c.InKeys && c.DimV > c.Dim:
		return nil, fmt.Errorf("nn: attention: want values within keys of %d, found values of %d", c.Dim, c.DimV)
	case c.Sinks != nil && len(c.Sinks) != c.Heads || c.Slopes != nil && len(c.Slopes) != c.Heads:
		return nil, fmt.Errorf("nn: attention: want a sink and a slope for each of %d heads, found %d and %d", c.Heads, len(c.Sinks), len(c.Slopes))
	case c.Relative != nil && (len(c.Relative) != c.Heads || slices.ContainsFunc(c.Relative, func(r []float32) bool { return len(r)%2 == 0 })):
		return nil, fmt.Errorf("nn: attention: want what scores gain by distance to both sides and 0, for each of %d heads, found %d", c.Heads, len(c.Relative))
	case c.Window < 0 || c.Chunk < 0 || c.Temper.Scale != 0 && c.Temper.Length < 1:
		return nil, fmt.Errorf("nn: attention: want a window and a length of tempering above 0, found %d and %d", c.Window, c.Temper.Length)
	}
	if c.Scale == 0 {
		c.Scale = float32(1 / math.Sqrt(float64(c.Dim)))
	}
	return &Attention{c}, nil
}

// Spec is what the cache keeps for a layer of this attention: where rows see a window or a chunk, no more than that.
func (a *Attention) Spec() kv.Spec {
	c := &a.c
	s := kv.Spec{Heads: c.HeadsKV, KDim: c.Dim, VDim: c.DimV, Window: c.Window}
	if c.InKeys {
		s.VDim = 0
	}
	if c.Both {
		s.Window = 0 // what is behind a row comes in the same batch
	}
	if c.Chunk > 0 && (c.Window == 0 || c.Chunk < c.Window) {
		s.Window = c.Chunk
	}
	return s
}

// Attend stores the keys and values of the batch in the cache of the layer, then returns what every query reads,
// [n_tokens][n_head*value_length]; v is nil where values lie in the keys. Keys are read back from the cache, so a row sees its neighbours in the batch exactly as it will
// see them later.
func (p *Pass) Attend(a *Attention, q, k, v *tensor.Tensor) *tensor.Tensor {
	out := p.arena.New(q.Rows, a.c.Heads*a.c.DimV)
	if !p.Dead() && a.c.InKeys {
		if t := p.store.KType(); a.c.DimV%t.BlockSize() != 0 {
			p.Fail(fmt.Errorf("nn: a cache of type %s wants values of a multiple of %d, found %d", t, t.BlockSize(), a.c.DimV))
		}
	}
	if !p.Dead() {
		j := &p.att
		j.p, j.a, j.q, j.k, j.v, j.out = p, a, q, k, v, out
		j.step = storing
		p.pool.Run(j, q.Rows)
		j.cut()
		if j.split() {
			j.step = spanning
			p.pool.Run(j, len(j.spans))
			j.step = joining
		} else {
			j.step = attending
		}
		p.pool.Run(j, len(j.units))
		p.showProbs(j)
	}
	p.show(p.layer, NameAttnHeads, out)
	return out
}

// attendHeads is the number of query heads for which a tile of keys and values is widened once: a multiple of six, which some kernels take at once.
const attendHeads = 96

// unit is some rows of a sequence and the query heads that share a key head.
type unit struct {
	run    *run
	row, n int
	head   int // of keys and values
	taken  int // where the results of its spans begin, if they are worked out apart
}

// span is a stretch of keys as the rows of a unit see it.
type span struct{ unit, number int }

type attendJob struct {
	p            *Pass
	a            *Attention
	q, k, v, out *tensor.Tensor
	step         attendStep
	units        []unit
	spans        []span
	taken        []float32 // what the units' heads have seen of each span
	probs        []float32
}

// attendStep is what a chunk of the job is.
type attendStep uint8

const (
	storing   attendStep = iota // a row
	attending                   // a unit
	spanning                    // a span of a unit
	joining                     // the spans of a unit
)

// Run does a chunk.
func (j *attendJob) Run(chunk, w int) {
	if j.p.interrupted.Load() {
		return
	}
	att := &j.p.workers[w].att
	switch j.step {
	case storing:
		j.store(chunk)
	case attending:
		j.attend(&j.units[chunk], att)
	case spanning:
		s := j.spans[chunk]
		j.attendSpan(&j.units[s.unit], s.number, att)
	case joining:
		j.join(&j.units[chunk], att)
	}
}

// cut makes the units of the batch.
func (j *attendJob) cut() {
	j.units = j.units[:0]
	rows := max(1, attendHeads/j.a.group())
	for i := range j.p.runs {
		r := &j.p.runs[i]
		for row := 0; row < r.n; row += rows {
			for h := range j.a.c.HeadsKV {
				j.units = append(j.units, unit{run: r, row: r.row + row, n: min(rows, r.n-row), head: h})
			}
		}
	}
}

// unitsPerThread is the number of units per thread that are shared out evenly enough, whatever they are.
const unitsPerThread = 4

// split cuts the units into spans of keys where they alone would leave threads without work, and reports whether it did. The result has the same bits either way.
func (j *attendJob) split() bool {
	threads := j.p.pool.Threads()
	if threads == 1 || len(j.units) >= unitsPerThread*threads || len(j.units)%threads == 0 && len(j.p.runs) == 1 {
		return false
	}
	j.spans = j.spans[:0]
	room := 0
	for i := range j.units {
		u := &j.units[i]
		u.taken = room
		for s := range j.spansOf(u) {
			j.spans = append(j.spans, span{i, s})
			room += kernels.PartialLen(u.n*j.a.group(), j.a.c.DimV)
		}
	}
	if len(j.spans) == len(j.units) {
		return false
	}
	if cap(j.taken) < room {
		j.taken = make([]float32, room, 2*room) // the next tokens will want more
	}
	j.taken = j.taken[:room]
	return true
}

// end is the position behind the last that the rows of a unit see.
func (j *attendJob) end(u *unit) int {
	if j.a.c.Both {
		return j.p.batch.Pos[u.run.row] + u.run.n
	}
	return j.p.batch.Pos[u.row] + u.n
}

// spansOf is the number of spans that the rows of a unit see.
func (j *attendJob) spansOf(u *unit) int { return (j.end(u)-1)/kernels.PartitionLen + 1 }

// unseeing is the number of query heads of a unit whose rows end before a span.
func (j *attendJob) unseeing(u *unit, span int) int {
	if j.a.c.Both {
		return 0
	}
	return max(0, span*kernels.PartitionLen-j.p.batch.Pos[u.row]) * j.a.group()
}

// spanAt is where the results of a span of a unit are kept.
func (j *attendJob) spanAt(u *unit, span int) []float32 {
	n := kernels.PartialLen(u.n*j.a.group(), j.a.c.DimV)
	return j.taken[u.taken+span*n:][:n]
}

func (j *attendJob) store(row int) {
	p, s, d, dv := j.p, j.p.store, j.a.c.Dim, j.a.c.DimV
	seq, pos := p.batch.Seq[row], p.batch.Pos[row]
	for h := range j.a.c.HeadsKV {
		p.level.QuantizeRow(s.KType(), s.KRow(seq, p.layer, h, pos), head(j.k, row, h, d))
		if !j.a.c.InKeys {
			p.level.QuantizeRow(s.VType(), s.VRow(seq, p.layer, h, pos), head(j.v, row, h, dv))
		}
	}
}

// group is the number of query heads per key head.
func (a *Attention) group() int { return a.c.Heads / a.c.HeadsKV }

func (j *attendJob) attend(u *unit, att *kernels.Attention) {
	j.begin(u, att)
	for s := range j.spansOf(u) {
		j.readSpan(u, s, att)
		j.p.level.EndPartition(att, j.unseeing(u, s))
	}
	j.give(u, att)
}

func (j *attendJob) attendSpan(u *unit, span int, att *kernels.Attention) {
	j.begin(u, att)
	j.readSpan(u, span, att)
	att.StorePartial(j.spanAt(u, span))
}

func (j *attendJob) join(u *unit, att *kernels.Attention) {
	j.begin(u, att)
	for s := range j.spansOf(u) {
		j.p.level.MergePartial(att, j.spanAt(u, s), j.unseeing(u, s))
	}
	j.give(u, att)
}

func (j *attendJob) begin(u *unit, att *kernels.Attention) {
	d, group := j.a.c.Dim, j.a.group()
	q := att.Begin(u.n*group, d, j.a.c.DimV)
	for i := range u.n {
		for g := range group {
			h := u.head*group + g
			copy(q[(i*group+g)*d:], head(j.q, u.row+i, h, d))
			if j.a.c.Sinks != nil {
				att.Sink(i*group+g, j.a.c.Sinks[h])
			}
		}
		if t := j.a.c.Temper.at(j.p.batch.Pos[u.row+i]); t != 1 {
			j.p.level.Scale(q[i*group*d:(i+1)*group*d], t)
		}
	}
}

// readSpan lets the rows of a unit see a span of keys and values.
func (j *attendJob) readSpan(u *unit, span int, att *kernels.Attention) {
	const pages = kernels.PartitionLen / kv.PageLen
	p, s, c, heads := j.p, j.p.store, &j.a.c, u.n*j.a.group()
	first, end := p.batch.Pos[u.row], j.end(u)
	last := first + u.n - 1 // row
	for page := span * pages; page < (span+1)*pages && page*kv.PageLen < end; page++ {
		begin := page * kv.PageLen
		if c.from(first) >= begin+kv.PageLen || c.to(last, end) <= begin {
			continue // outside every row's window
		}
		n := min(end-begin, kv.PageLen)
		keys, values := j.tile(u, page)
		j.ahead(u, page+1, end, len(keys), values, att)
		p.level.Score(att, s.KType(), keys, n)
		if c.InKeys {
			p.level.ValuesOfKeys(att, s.KType(), keys, n)
		} else {
			p.level.Values(att, s.VType(), values, n)
		}
		switch whole := begin+n <= c.to(first, end) && c.from(last) <= begin; {
		case whole && c.Cap == 0 && !c.byDistance():
			p.level.UpdateSoftmax(att, 0, heads, n, c.Scale)
		case whole && !c.byDistance():
			p.level.ApplyScoreMod(att, 0, heads, n, &kernels.ScoreMod{Scale: c.Scale, Cap: c.Cap})
			p.level.UpdateSoftmax(att, 0, heads, n, 1)
		default:
			j.foldRows(u, begin, n, att)
		}
	}
}

// tile is the keys and the values of a unit in a page; none where values lie in the keys.
func (j *attendJob) tile(u *unit, page int) (keys, values []byte) {
	keys = j.p.store.K(u.run.seq, j.p.layer, u.head, page)
	if !j.a.c.InKeys {
		values = j.p.store.V(u.run.seq, j.p.layer, u.head, page)
	}
	return keys, values
}

// ahead names what is read after keys of so many bytes: their values, then a page if it begins before the end.
func (j *attendJob) ahead(u *unit, page, end, keys int, values []byte, att *kernels.Attention) {
	var nextKeys, nextValues []byte
	if page*kv.PageLen < end {
		nextKeys, nextValues = j.tile(u, page)
	}
	if keys+len(values) <= kernels.SmallTile {
		att.Prefetch(nextKeys, nextValues)
	} else {
		att.Prefetch(values, nextKeys)
	}
}

// from is the first position that a row sees.
func (c *AttentionConfig) from(pos int) int {
	from := 0
	switch {
	case c.Window == 0:
	case c.Both:
		from = max(0, pos-c.Window/2)
	default:
		from = max(0, pos-c.Window+1)
	}
	if c.Chunk > 0 {
		from = max(from, pos/c.Chunk*c.Chunk)
	}
	return from
}

// to is the position behind the last that a row sees, of end.
func (c *AttentionConfig) to(pos, end int) int {
	switch {
	case !c.Both:
		return pos + 1
	case c.Window == 0:
		return end
	}
	return min(end, pos+c.Window/2+1)
}

// byDistance reports whether scores depend on how far a key is.
func (c *AttentionConfig) byDistance() bool { return c.Slopes != nil || c.Relative != nil }

// foldRows lets every row of a unit see its own part of the n keys from begin on.
func (j *attendJob) foldRows(u *unit, begin, n int, att *kernels.Attention) {
	c, group := &j.a.c, j.a.group()
	for i := range u.n {
		pos := j.p.batch.Pos[u.row] + i
		from, seen := max(0, c.from(pos)-begin), min(c.to(pos, j.end(u))-begin, n)
		switch {
		case from >= seen:
		case j.bend(u.head, i, begin, seen, pos, att):
			j.p.level.UpdateSoftmax(att, i*group, (i+1)*group, seen, 1)
		default:
			j.p.level.UpdateSoftmax(att, i*group, (i+1)*group, seen, c.Scale)
		}
	}
}

// bend does to the scores of row i of a unit what is more than scaling, or reports that there is nothing to do.
func (j *attendJob) bend(headKV, i, begin, seen, pos int, att *kernels.Attention) bool {
	c, group := &j.a.c, j.a.group()
	from := c.from(pos) - begin
	if c.Cap == 0 && !c.byDistance() && from <= 0 {
		return false
	}
	b := kernels.ScoreMod{Scale: c.Scale, Cap: c.Cap, Pos: pos - begin, From: from}
	if c.Slopes != nil {
		b.Slopes = c.Slopes[headKV*group : (headKV+1)*group]
	}
	if c.Relative != nil {
		b.Relative = c.Relative[headKV*group : (headKV+1)*group]
	}
	j.p.level.ApplyScoreMod(att, i*group, (i+1)*group, seen, &b)
	return true
}

func (j *attendJob) give(u *unit, att *kernels.Attention) {
	group := j.a.group()
	for i := range u.n {
		for g := range group {
			att.End(i*group+g, head(j.out, u.row+i, u.head*group+g, j.a.c.DimV))
		}
	}
}

// head is one head's part of a row.
func head(t *tensor.Tensor, row, h, d int) []float32 {
	at := row*t.Cols + h*d
	return t.F[at : at+d : at+d]
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// showProbs works the attention probabilities out once more for the rows whose hook asks for them.
func (p *Pass) showProbs(j *attendJob) {
	for i := range p.runs {
		r := &p.runs[i]
		for row := r.row; row < r.row+r.n; row++ {
			if h := p.wants(row, p.layer, NameAttnProbs); h != nil {
				p.observe(h, row, p.layer, NameAttnProbs, j.rowProbs(r, row), nil)
			}
		}
	}
}

// rowProbs returns the probabilities of a row, for every head those of the positions up to the last that it sees.
func (j *attendJob) rowProbs(r *run, row int) []float32 {
	p, att := j.p, &j.p.workers[0].att
	pos, group := p.batch.Pos[row], j.a.group()
	n := j.a.c.to(pos, p.batch.Pos[r.row]+r.n)
	j.probs = grow(j.probs, j.a.c.Heads*n)
	for h := range j.a.c.HeadsKV {
		j.begin(&unit{run: r, row: row, n: 1, head: h}, att)
		for at := 0; at < n; at += kv.PageLen {
			m := min(kv.PageLen, n-at)
			if j.a.c.from(pos) >= at+kv.PageLen { // before the row's window, and perhaps given up
				for g := range group {
					unseen(j.probs[(h*group+g)*n+at:][:m])
				}
				continue
			}
			p.level.Score(att, p.store.KType(), p.store.K(r.seq, p.layer, h, at/kv.PageLen), m)
			bent := j.bend(h, 0, at, m, pos, att)
			for g := range group {
				probs := j.probs[(h*group+g)*n+at:][:m]
				copy(probs, att.Scores(g))
				if !bent {
					p.level.Scale(probs, j.a.c.Scale)
				}
			}
		}
	}
	for h := range j.a.c.Heads {
		probs := j.probs[h*n : (h+1)*n]
		if j.a.c.Sinks != nil {
			sinkSoftmax(probs, j.a.c.Sinks[h])
		} else {
			kernels.Softmax(probs)
		}
	}
	return j.probs
}

// unseen makes scores those of keys that are not seen.
func unseen(scores []float32) {
	for i := range scores {
		scores[i] = float32(math.Inf(-1))
	}
}

// sinkSoftmax is a softmax that has one score more than it returns probabilities of.
func sinkSoftmax(x []float32, sink float32) {
	top := max(slices.Max(x), sink)
	sum := kernels.Exp(sink - top)
	for i, v := range x {
		x[i] = kernels.Exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}
