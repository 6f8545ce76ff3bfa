package size

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/quant"
)

// RandomOptions say which file of a shape to make.
type RandomOptions struct {
	Type string // a file type of llama-quantize, such as "Q4_K_M", or a format, such as "NVFP4"
	Pure bool   // Type is the format of every matrix even if there is a file type of that name
	Seed uint64
	// Threads encode; 0 means one for every core. The file is the same for any number.
	Threads int
	Done    func(done, total int64) // called as bytes of tensors are written, if not nil
}

// deviation is the standard deviation of the weights: about that of trained models, and such that
// activations neither vanish nor grow without bound in any of the shapes.
const deviation = 0.02

// Random returns the writer of a file of the shape with random weights: normally distributed around
// 0, and around 1 in norms. They come into being as the file is written, and none of it stays in
// memory; ctx ends the writing. The same shape, type and seed make the same file.
//
// Encoding every weight of a large model would take hours in some formats. So for each format a
// million weights are drawn and encoded, and tensors are sequences of their blocks drawn at random:
// blocks repeat, tensors and rows do not.
func (s Shape) Random(ctx context.Context, o RandomOptions) (*gguf.Writer, error) {
	if o.Threads < 0 || o.Threads > par.MaxThreads {
		return nil, fault.Argument("Threads", fmt.Sprintf("0 to %d", par.MaxThreads), o.Threads)
	}
	ts, fileType, err := s.types(o.Type, o.Pure)
	if err != nil {
		return nil, err
	}
	w := gguf.NewWriter()
	errs := []error{
		w.Set("general.architecture", s.Arch),
		w.Set("general.type", "model"),
		w.Set("general.name", s.Name+", random weights"),
	}
	for _, k := range s.Keys {
		errs = append(errs, w.Set(s.Arch+"."+k.Name, k.Value))
	}
	if fileType.Valid() {
		errs = append(errs, w.Set("general.file_type", uint32(fileType)))
	}
	if slices.ContainsFunc(ts, func(t model.Tensor) bool { return t.Type.Group() != 0 }) {
		errs = append(errs, w.Set("general.quantization_version", quant.FormatVersion))
	}
	errs = append(errs, s.Vocab.set(w))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	g := &generator{ctx: ctx, o: o, pools: map[poolKey][]byte{}}
	for _, t := range ts {
		g.total += t.Bytes()
		if err := w.AddFrom(t.Name, t.Type, t.Shape, func(out io.Writer) error { return g.write(out, t) }); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// generator makes the bytes of tensors.
type generator struct {
	ctx         context.Context
	o           RandomOptions
	pools       map[poolKey][]byte
	done, total int64
}

// poolKey is what pools differ in: the type, the weights of a segment, and the mean of the weights.
type poolKey struct {
	t       quant.Type
	segment int
	mean    float32
}

const (
	poolWeights = 1 << 20
	maxSegment  = 256     // weights copied at once: a block of the largest formats
	chunkBytes  = 1 << 20 // about: what a thread makes at once
)

// write writes a tensor in chunks, made by all threads while those before them are written.
func (g *generator) write(out io.Writer, t model.Tensor) error {
	segment := t.Type.BlockSize()
	for segment < maxSegment && t.Shape[0]%(2*segment) == 0 {
		segment *= 2
	}
	key := poolKey{t: t.Type, segment: segment}
	if len(t.Shape) == 1 && strings.HasSuffix(t.Name, "norm.weight") {
		key.mean = 1
	}
	threads := g.o.Threads
	if threads == 0 {
		threads, _ = cpu.Threads()
	}
	team := par.New(threads)
	defer team.Close()
	pool := g.pools[key]
	if pool == nil {
		var err error
		if pool, err = g.pool(team, key); err != nil {
			return err
		}
		g.pools[key] = pool
	}

	h := fnv.New64a()
	h.Write([]byte(t.Name)) // never fails
	size := t.Type.RowBytes(segment)
	segments := t.Elements() / int64(segment)
	perChunk := int64(max(1, chunkBytes/size))
	d := &drawing{pool: pool, size: size, seed: g.o.Seed, tensor: h.Sum64()}
	writing := make(chan [][]byte)
	written := make(chan error, 1)
	var spare [2][][]byte
	for i := range spare {
		spare[i] = make([][]byte, 2*threads)
	}
	go func() {
		var err error
		for chunks := range writing {
			for _, b := range chunks {
				if err == nil {
					_, err = out.Write(b)
					g.done += int64(len(b))
					if g.o.Done != nil {
						g.o.Done(g.done, g.total)
					}
				}
			}
			if err == nil {
				err = fault.Cancelled(g.ctx)
			}
		}
		written <- err
	}()
	for round := 0; segments > 0 && g.ctx.Err() == nil; round++ {
		d.chunks = spare[round%2][:0]
		for n := int64(0); n < int64(2*threads) && segments > 0; n++ {
			k := min(segments, perChunk)
			b := spare[round%2][n]
			if cap(b) < int(k)*size {
				b = make([]byte, int(k)*size)
				spare[round%2][n] = b
			}
			d.chunks = append(d.chunks, b[:int(k)*size])
			segments -= k
		}
		team.Run(d, len(d.chunks))
		d.first += uint64(len(d.chunks))
		writing <- d.chunks
	}
	close(writing)
	return cmp.Or(<-written, fault.Cancelled(g.ctx))
}

// drawing fills chunks of a tensor with segments drawn from a pool.
type drawing struct {
	pool         []byte
	size         int // of a segment
	seed, tensor uint64
	first        uint64 // number of the first chunk
	chunks       [][]byte
}

// Run fills a chunk. What is drawn depends on the seed, the tensor's name and the chunk's number
// alone.
func (d *drawing) Run(chunk, _ int) {
	rng := rand.New(rand.NewPCG(d.seed^d.tensor, d.first+uint64(chunk)))
	b, n := d.chunks[chunk], uint32(len(d.pool)/d.size)
	for at := 0; at < len(b); at += d.size {
		from := int(rng.Uint32N(n)) * d.size
		copy(b[at:at+d.size], d.pool[from:])
	}
}

// pool draws and encodes segments.
func (g *generator) pool(team *par.Pool, key poolKey) ([]byte, error) {
	size := key.t.RowBytes(key.segment)
	segments := poolWeights / key.segment
	e := &encoding{ctx: g.ctx, key: key, seed: g.o.Seed, out: make([]byte, segments*size), perChunk: max(1, segments/poolChunks)}
	team.Run(e, (segments+e.perChunk-1)/e.perChunk)
	if err := e.err.Load(); err != nil {
		return nil, *err
	}
	return e.out, fault.Cancelled(g.ctx)
}

const poolChunks = 256

// encoding fills a pool.
type encoding struct {
	ctx      context.Context
	key      poolKey
	seed     uint64
	out      []byte
	perChunk int // segments
	err      atomic.Pointer[error]
}

// Run encodes some segments, which depend on the seed, the pool and their number alone.
func (e *encoding) Run(chunk, _ int) {
	row := make([]float32, e.key.segment)
	size := e.key.t.RowBytes(e.key.segment)
	for i := chunk * e.perChunk; i < min((chunk+1)*e.perChunk, len(e.out)/size) && e.ctx.Err() == nil; i++ {
		rng := rand.New(rand.NewPCG(e.seed, uint64(e.key.t)<<32|uint64(i)))
		for j := range row {
			row[j] = e.key.mean + float32(deviation*rng.NormFloat64())
		}
		if err := quant.Quantize(e.key.t, e.out[i*size:(i+1)*size], row); err != nil {
			e.err.Store(&err)
			return
		}
	}
}
