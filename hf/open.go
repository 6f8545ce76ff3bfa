package hf

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// ErrUnsupported marks checkpoints that are sound but of a kind that this package does not read. It
// is gguf's, so that callers need not distinguish them.
var ErrUnsupported = gguf.ErrUnsupported

// Open opens a model: a GGUF file, or a checkpoint of one of the families by its folder, which is
// one with a config.json.
func Open(path string, families []Family, o gguf.Options) (_ *gguf.File, err error) {
	defer fault.Guard(&err)()
	if _, err := os.Stat(filepath.Join(path, "config.json")); err == nil {
		return openDir(path, families, o)
	}
	return gguf.Open(path, o)
}

// Traits are what a config.json says of tensors that a model of its architecture may have or lack.
type Traits struct {
	// the output matrix is the embedding; nil where the file leaves it to the architecture
	Tied          *bool
	AttentionBias bool // queries, keys and values have biases
}

// ReadConfig reads a config.json by itself: the metadata of the model that it describes, without a
// vocabulary and without tensors.
func ReadConfig(path string, families []Family) (*gguf.File, Traits, error) {
	c, err := readConfig(path)
	if err != nil {
		return nil, Traits{}, err
	}
	return composeConfig(c, families)
}

// ParseConfig is ReadConfig for a file in memory; path is what errors call it.
func ParseConfig(path string, data []byte, families []Family) (*gguf.File, Traits, error) {
	c, err := parseConfig(path, data)
	if err != nil {
		return nil, Traits{}, err
	}
	return composeConfig(c, families)
}

func composeConfig(c *Config, families []Family) (*gguf.File, Traits, error) {
	c = c.text()
	t := Traits{AttentionBias: c.Flag(false, "attention_bias")}
	if c.Has("tie_word_embeddings") {
		tied := c.Flag(false, "tie_word_embeddings")
		t.Tied = &tied
	}
	b, err := describe(c, families, filepath.Dir(c.path))
	if err != nil {
		return nil, t, err
	}
	f, err := gguf.Compose(gguf.Composition{Path: c.path, Keys: b.meta.keys, Notes: b.notes})
	return f, t, err
}

// openDir opens the checkpoint in a folder.
func openDir(dir string, families []Family, o gguf.Options) (_ *gguf.File, err error) {
	c, err := modelConfig(dir)
	if err != nil {
		return nil, err
	}
	b, err := describe(c, families, dir)
	if err != nil {
		return nil, err
	}
	vocab, notes, err := vocabulary(dir, c)
	if err != nil {
		return nil, err
	}
	b.notes = append(b.notes, notes...)
	// A header is all that is read of a mapped file as long as nobody asks for weights.
	file, err := safetensors.OpenDir(dir, safetensors.Options{NoMmap: o.NoMmap && !o.HeaderOnly})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	defer fault.Guard(&err)()
	ws, err := weights(c, file)
	if err != nil {
		return nil, err
	}
	if err := b.bind(ws); err != nil {
		return nil, fault.Bad(dir, err)
	}
	b.notes = append(b.notes, unreadLinks(dir)...)
	return gguf.Compose(gguf.Composition{
		Path: dir, Keys: append(b.keys(), vocab...), Parts: b.parts, Notes: b.notes, Lock: file.Lock, Close: file.Close,
	})
}

// weights lists what the tensors of a checkpoint are.
func weights(c *Config, file *safetensors.File) ([]named, error) {
	if c.Object("quantization_config").Text("quant_method") != "mxfp4" {
		return unpack(c, file.Tensors())
	}
	ws, err := unpackMXFP4(file.Tensors())
	if err != nil {
		err = fault.Bad(file.Path(), err)
	}
	return ws, err
}

// binding is a checkpoint on its way to a GGUF file.
type binding struct {
	family *Family
	meta   *Meta
	parts  []gguf.Part
	notes  []string
	stacks map[place]map[int]weight // of experts, by place without the number
}

// describe reads what config.json says.
func describe(c *Config, families []Family, dir string) (*binding, error) {
	f, err := familyOf(c, families)
	if err != nil {
		return nil, err
	}
	b := &binding{family: f, stacks: map[place]map[int]weight{}}
	b.meta = &Meta{Config: c, arch: f.Arch, notes: &b.notes}
	b.meta.keys = []gguf.KV{{Key: "general.architecture", Value: f.Arch}, {Key: "general.type", Value: "model"}, {Key: "general.name", Value: nameOf(dir)}}
	b.meta.common(!f.NoAttention)
	if *c.err == nil {
		f.Keys(b.meta)
	}
	if n := b.meta.slidingWindow(); n > 0 && n < b.meta.Or(0, "max_position_embeddings") && !b.meta.IsSet("attention.sliding_window") {
		b.notes = append(b.notes, fmt.Sprintf("the sliding window of %d positions is not applied: all layers see everything, as in GGUF files of this architecture", n))
	}
	return b, *c.err
}

// nameOf is the name of the model in a folder: the folder's, or that in the cache of Hugging Face's
// own tools, models--ORG--NAME/snapshots/COMMIT.
func nameOf(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if above := filepath.Dir(dir); filepath.Base(above) == "snapshots" {
		if parts := strings.Split(filepath.Base(filepath.Dir(above)), "--"); len(parts) == 3 && parts[0] == "models" {
			return parts[2]
		}
	}
	return filepath.Base(dir)
}

// bind brings weights to their places.
func (b *binding) bind(ws []named) error {
	var unmapped []named // weights that have no place
	for _, w := range ws {
		p, ok := b.family.locate(w.name)
		switch layer, _ := strconv.Atoi(p.layer); {
		case ok && p.base == "":
		case ok && p.layer == "" && p.base == "output" && b.meta.Flag(false, "tie_word_embeddings"):
			// The embedding serves; what stands here repeats it.
		case !ok || p.layer != "" && layer >= b.meta.NLayer:
			unmapped = append(unmapped, w)
		default:
			if err := b.place(p, w); err != nil {
				return fmt.Errorf("tensor %s: %w", quoted(w.name), err)
			}
		}
	}
	stacks := slices.SortedFunc(maps.Keys(b.stacks), func(p, q place) int { return cmp.Compare(p.name(), q.name()) })
	for _, p := range stacks {
		if err := b.stack(p, b.stacks[p]); err != nil {
			return err
		}
	}
	for _, f := range b.meta.factors {
		b.add(f)
	}
	slices.SortStableFunc(b.parts, func(x, y gguf.Part) int { return names.Compare(x.Name, y.Name) })
	if len(unmapped) > 0 {
		b.notes = append(b.notes, fmt.Sprintf("%d tensors of the folder take no part in this architecture, the first is %s", len(unmapped), unmapped[0].name))
	}
	return nil
}

// place brings a weight to its place.
func (b *binding) place(p place, w named) error {
	if p.expert == "" {
		return b.apply(p, w.weight)
	}
	e, err := strconv.Atoi(p.expert)
	if err != nil {
		return err
	}
	p.expert = ""
	if b.stacks[p] == nil {
		b.stacks[p] = map[int]weight{}
	}
	b.stacks[p][e] = w.weight
	return nil
}

// stack makes one weight of those of all experts.
func (b *binding) stack(p place, experts map[int]weight) error {
	parts := make([]weight, len(experts))
	for e := range parts {
		w, ok := experts[e]
		if !ok {
			return fmt.Errorf("%s: want experts from 0 on, found %d but no number %d", p.name(), len(experts), e)
		}
		parts[e] = w
	}
	w, err := stack(parts)
	if err == nil {
		err = b.apply(p, w)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name(), err)
	}
	return nil
}

// apply does to a weight what its family says, and then to what that makes.
func (b *binding) apply(p place, w weight) error {
	do := b.family.Ops[p.base]
	if do == nil {
		do = common[p.base]
	}
	if do == nil {
		b.add(named{p.name(), w})
		return nil
	}
	made, err := do(b.meta, p, w)
	if err == nil {
		err = *b.meta.err
	}
	if err != nil {
		return err
	}
	for _, x := range made {
		if x.base == p.base {
			b.add(named{x.name(), x.weight})
		} else if err := b.apply(x.place, x.weight); err != nil {
			return err
		}
	}
	return nil
}

// add enters a weight as a tensor of the file.
func (b *binding) add(n named) {
	w := n.weight
	if single(n.name, w) {
		w = floats(w, nil)
	}
	shape := slices.Clone(w.Shape)
	slices.Reverse(shape)
	b.parts = append(b.parts, gguf.Part{Name: n.name, Type: w.Type, Shape: shape, Rows: w.Rows})
}

// single reports whether a tensor is in single precision in every GGUF file, as llama.cpp wants it:
// vectors, norms, routers, tables of positions.
func single(name string, w weight) bool {
	switch {
	case !w.Type.IsWeight() && w.Type != quant.F64 || w.Type.Group() != 0:
		return false
	case w.Type == quant.F64 || len(w.Shape) == 1 || strings.HasSuffix(name, "_norm.weight") || !strings.HasSuffix(name, ".weight"):
		return true
	}
	switch names.Parse(name).Base {
	case "ffn_gate_inp", "ffn_gate_inp_shexp", "position_embd", "token_types", "ssm_conv1d", "shortconv.conv":
		return true
	}
	return false
}

// keys is the metadata, with the type of most weights.
func (b *binding) keys() []gguf.KV {
	sums := map[quant.Type]int{}
	for _, p := range b.parts {
		if len(p.Shape) > 1 {
			sums[p.Type] += product(p.Shape)
		}
	}
	keys := b.meta.keys
	most, found := quant.F32, false
	for t, n := range sums {
		if !found || n > sums[most] || n == sums[most] && t < most {
			most, found = t, true
		}
	}
	if m, err := gguf.ParseFileType(most.String()); err == nil && found {
		keys = append(keys, gguf.KV{Key: "general.file_type", Value: uint32(m)})
	}
	return append(keys, gguf.KV{Key: "general.quantization_version", Value: quant.FormatVersion})
}
