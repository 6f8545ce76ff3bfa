package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/quant"
)

// ModelInfo is what the rules of a file type ask of a model.
type ModelInfo struct {
	Arch           string // general.architecture
	NLayer         int    // block_count
	NHead, NHeadKV int    // of the first layer
	NExpert        int    // 0 for dense models
	Importance     bool   // whether an importance matrix is at hand
	// Override, if not nil, gives matrices a type of their own in place of what the rules, which do
	// not count them then, would choose.
	Override func(name string) (quant.Type, bool)
}

// InfoOf is what the rules ask of a model with that configuration.
func InfoOf(c model.Config) ModelInfo {
	return ModelInfo{Arch: c.Arch, NLayer: c.NLayer, NHead: c.NHead, NHeadKV: c.NHeadKV, NExpert: c.NExpert}
}

// tensorTypes chooses the type of every tensor of a file; it needs to see all of them, since some
// rules count. Vectors, norms, routers, convolutions and their like keep their type. Where rows are
// no whole number of blocks, a matrix gets a type with smaller blocks (Q4_K becomes Q5_0, and so
// on), and at last F16.
func tensorTypes(m gguf.FileType, f ModelInfo, tensors []gguf.Tensor) ([]quant.Type, error) {
	if !m.Valid() {
		return nil, fmt.Errorf("unknown file type %d", uint32(m))
	}
	p := typeChooser{m: m, f: f, tied: true}
	order := make([]int, len(tensors))
	for i, t := range tensors {
		order[i] = i
		role := roleOf(t.Name)
		p.tied = p.tied && role != roleOutput
		if role.isValueLike() {
			p.nV++
		}
	}
	// The rules count tensors by layer, then by name, wherever they are in the file.
	slices.SortStableFunc(order, func(a, b int) int {
		if d := names.Parse(tensors[a].Name).Layer - names.Parse(tensors[b].Name).Layer; d != 0 {
			return d
		}
		return strings.Compare(tensors[a].Name, tensors[b].Name)
	})
	types := make([]quant.Type, len(tensors))
	for _, i := range order {
		t := &tensors[i]
		types[i] = t.Type
		if !isQuantizable(t) {
			continue
		}
		if typ, ok, err := f.override(t); ok || err != nil {
			if err != nil {
				return nil, err
			}
			types[i] = typ
			continue
		}
		typ := m.Most()
		if typ.Group() != 0 {
			var err error
			if typ, err = p.choose(t, typ); err != nil {
				return nil, err
			}
			typ = fallbackType(typ, t.Shape[0])
		}
		types[i] = typ
	}
	return types, nil
}

// TypeNames lists what [Options.Type] may be: file types, and the formats that can be written and
// have no file type of their name.
func TypeNames() (fileTypes, formats []string) {
	fileTypes = gguf.FileTypeNames()
	for t := quant.Type(0); t < quant.NumTypes; t++ {
		if _, err := gguf.ParseFileType(t.String()); err != nil && quant.CanQuantize(t) {
			formats = append(formats, t.String())
		}
	}
	return fileTypes, formats
}

// CheckType returns an error that lists the file types if [ChooseTypes] knows nothing of that name,
// which [Options.Type] then cannot be either.
func CheckType(name string, pure bool) error {
	_, _, err := parseTypes(name, pure)
	return err
}

// parseTypes finds a file type, or a format for all matrices, in which case the file type is that
// of the same name, or invalid.
func parseTypes(name string, pure bool) (gguf.FileType, quant.Type, error) {
	m, err := gguf.ParseFileType(name)
	if err == nil && !pure {
		return m, quant.NumTypes, nil
	}
	if err != nil {
		m = ^gguf.FileType(0)
	}
	t, e := quant.ParseType(name)
	if e == nil && !quant.CanQuantize(t) {
		return m, t, fmt.Errorf("%s is not a type that can be written", t)
	}
	if e != nil && !pure {
		e = err // which lists the file types
	}
	return m, t, e
}

// ChooseTypes gives every tensor of a file its type by a name: that of a file type,
// or that of a format, which then all matrices get that a file type would change.
// The name is taken for that of a format if pure is set or there is no file type of that name. The
// file type that is returned is the one to write to the file, and not valid where there is none.
func ChooseTypes(name string, pure bool, f ModelInfo, tensors []gguf.Tensor) ([]quant.Type, gguf.FileType, error) {
	m, t, err := parseTypes(name, pure)
	if err != nil {
		return nil, m, err
	}
	if t == quant.NumTypes {
		types, err := tensorTypes(m, f, tensors)
		return types, m, err
	}
	types := make([]quant.Type, len(tensors))
	for i := range tensors {
		x := &tensors[i]
		types[i] = x.Type
		if !isQuantizable(x) {
			continue
		}
		own, ok, err := f.override(x)
		if !ok && err == nil {
			own, err = t, wholeBlocks(x, t)
		}
		if err != nil {
			return nil, m, err
		}
		types[i] = own
	}
	return types, m, nil
}

// override is the type of its own that a matrix has, if any.
func (f *ModelInfo) override(x *gguf.Tensor) (quant.Type, bool, error) {
	if f.Override == nil {
		return 0, false, nil
	}
	t, ok := f.Override(x.Name)
	if !ok {
		return 0, false, nil
	}
	if !quant.CanQuantize(t) {
		return 0, false, fmt.Errorf("tensor %q: %s is not a type that can be written", x.Name, t)
	}
	return t, true, wholeBlocks(x, t)
}

// wholeBlocks returns an error if the rows of x are no whole number of blocks of t.
func wholeBlocks(x *gguf.Tensor, t quant.Type) error {
	if x.Shape[0]%t.BlockSize() != 0 {
		return fmt.Errorf("tensor %q has rows of %d: no whole number of %s blocks of %d", x.Name, x.Shape[0], t, t.BlockSize())
	}
	return nil
}

// needsImportance reports whether llama-quantize refuses to make a tensor of type t in a file of
// this file type without an importance matrix, since the result would be poor.
func needsImportance(m gguf.FileType, name string, t quant.Type) bool {
	if role := roleOf(name); role == roleOutput || role == roleEmbd {
		return false
	}
	switch t {
	case quant.IQ1_S, quant.IQ1_M, quant.IQ2_XXS, quant.IQ2_XS, quant.IQ2_S, quant.IQ3_XXS:
		return true
	case quant.Q2_K:
		return m == gguf.MostlyQ2_K_S
	}
	return false
}

// fallbackType is t or, where rows of n are no whole number of its blocks, what takes its place.
func fallbackType(t quant.Type, n int) quant.Type {
	if n%t.BlockSize() == 0 {
		return t
	}
	switch t {
	case quant.IQ1_S, quant.IQ1_M, quant.IQ2_XXS, quant.IQ2_XS, quant.IQ2_S, quant.IQ3_XXS, quant.IQ3_S, quant.IQ4_XS:
		t = quant.IQ4_NL
	case quant.Q2_K, quant.Q3_K, quant.TQ1_0, quant.TQ2_0, quant.Q1_0, quant.Q2_0:
		t = quant.Q4_0
	case quant.Q4_K:
		t = quant.Q5_0
	case quant.Q5_K:
		t = quant.Q5_1
	case quant.Q6_K:
		t = quant.Q8_0
	}
	if n%t.BlockSize() == 0 {
		return t
	}
	return quant.F16
}

// role is the part a tensor plays, as far as the rules distinguish roles.
type role int

const (
	roleOther role = iota
	roleOutput
	roleEmbd
	roleQ
	roleK
	roleV
	roleQKV
	roleKVB
	roleAttnOutput
	roleUp
	roleGate
	roleDown
)

// isValueLike reports whether the tensor holds attention values, which suffer most from few bits.
func (r role) isValueLike() bool { return r == roleV || r == roleQKV || r == roleKVB }

func roleOf(name string) role {
	switch name {
	case "output.weight":
		return roleOutput
	case "token_embd.weight", "per_layer_token_embd.weight":
		return roleEmbd
	}
	for _, r := range [...]struct {
		part string
		role role
	}{
		{"attn_qkv.weight", roleQKV}, {"attn_kv_b.weight", roleKVB}, {"attn_v.weight", roleV}, {"attn_k.weight", roleK}, {"attn_q.weight", roleQ},
		{"attn_output.weight", roleAttnOutput}, {"ffn_up", roleUp}, {"ffn_gate", roleGate}, {"ffn_down", roleDown},
	} {
		if strings.Contains(name, r.part) {
			return r.role
		}
	}
	return roleOther
}

// Parts of names of matrices that keep their type: they are small, or errors in them cost much.
var notQuantized = []string{
	"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight",
	"indexer.k_proj.weight", "indexer.q_proj.weight",
	"time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
	"time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight",
	"time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight",
	".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
}

// isQuantizable reports whether the tensor is a matrix, or several, that file types change.
func isQuantizable(t *gguf.Tensor) bool {
	dims := 0
	for i, n := range t.Shape {
		if n > 1 {
			dims = i + 1
		}
	}
	if dims < 2 || !strings.HasSuffix(t.Name, "weight") || t.Name == "position_embd.weight" || t.Name == "token_types.weight" {
		return false
	}
	return !slices.ContainsFunc(notQuantized, func(part string) bool { return strings.Contains(t.Name, part) })
}
