package quant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/gguf/names"
)

// FileType is the mix of types of a whole file: the type of most matrices, and which matrices are
// worth more bits or need fewer. The number is that of the metadata key general.file_type (llama.h,
// LLAMA_FTYPE), and the file types are those of llama-quantize (llama-quant.cpp), so that files
// have the same sizes.
type FileType uint32

const (
	ftypeF32 FileType = iota
	ftypeF16
	ftypeQ4_0
	ftypeQ4_1
	_ // withdrawn
	_
	_
	ftypeQ8_0
	ftypeQ5_0
	ftypeQ5_1
	ftypeQ2_K
	ftypeQ3_K_S
	ftypeQ3_K_M
	ftypeQ3_K_L
	ftypeQ4_K_S
	ftypeQ4_K_M
	ftypeQ5_K_S
	ftypeQ5_K_M
	ftypeQ6_K
	ftypeIQ2_XXS
	ftypeIQ2_XS
	ftypeQ2_K_S
	ftypeIQ3_XS
	ftypeIQ3_XXS
	ftypeIQ1_S
	ftypeIQ4_NL
	ftypeIQ3_S
	ftypeIQ3_M
	ftypeIQ2_S
	ftypeIQ2_M
	ftypeIQ4_XS
	ftypeIQ1_M
	ftypeBF16
	_
	_
	_
	ftypeTQ1_0
	ftypeTQ2_0
	ftypeMXFP4_MOE
	_ // NVFP4: written by converters, without a file type
	ftypeQ1_0
	ftypeQ2_0
)

// fileTypes are the name of each file type and the type that it starts from.
var fileTypes = [...]struct {
	name string
	base Type
}{
	ftypeF32: {"F32", F32}, ftypeF16: {"F16", F16}, ftypeBF16: {"BF16", BF16},
	ftypeQ4_0: {"Q4_0", Q4_0}, ftypeQ4_1: {"Q4_1", Q4_1}, ftypeQ5_0: {"Q5_0", Q5_0}, ftypeQ5_1: {"Q5_1", Q5_1}, ftypeQ8_0: {"Q8_0", Q8_0},
	ftypeQ2_K: {"Q2_K", Q2_K}, ftypeQ2_K_S: {"Q2_K_S", Q2_K}, ftypeQ3_K_S: {"Q3_K_S", Q3_K}, ftypeQ3_K_M: {"Q3_K_M", Q3_K}, ftypeQ3_K_L: {"Q3_K_L", Q3_K},
	ftypeQ4_K_S: {"Q4_K_S", Q4_K}, ftypeQ4_K_M: {"Q4_K_M", Q4_K}, ftypeQ5_K_S: {"Q5_K_S", Q5_K}, ftypeQ5_K_M: {"Q5_K_M", Q5_K}, ftypeQ6_K: {"Q6_K", Q6_K},
	ftypeIQ1_S: {"IQ1_S", IQ1_S}, ftypeIQ1_M: {"IQ1_M", IQ1_M}, ftypeIQ2_XXS: {"IQ2_XXS", IQ2_XXS}, ftypeIQ2_XS: {"IQ2_XS", IQ2_XS},
	ftypeIQ2_S: {"IQ2_S", IQ2_XS}, ftypeIQ2_M: {"IQ2_M", IQ2_S}, ftypeIQ3_XXS: {"IQ3_XXS", IQ3_XXS}, ftypeIQ3_XS: {"IQ3_XS", IQ3_S},
	ftypeIQ3_S: {"IQ3_S", IQ3_S}, ftypeIQ3_M: {"IQ3_M", IQ3_S}, ftypeIQ4_NL: {"IQ4_NL", IQ4_NL}, ftypeIQ4_XS: {"IQ4_XS", IQ4_XS},
	ftypeTQ1_0: {"TQ1_0", TQ1_0}, ftypeTQ2_0: {"TQ2_0", TQ2_0}, ftypeMXFP4_MOE: {"MXFP4_MOE", MXFP4}, ftypeQ1_0: {"Q1_0", Q1_0}, ftypeQ2_0: {"Q2_0", Q2_0},
}

// Valid reports whether m is a file type this package knows.
func (m FileType) Valid() bool { return int(m) < len(fileTypes) && fileTypes[m].name != "" }

// String is the name of the file type, such as "Q4_K_M".
func (m FileType) String() string {
	if !m.Valid() {
		return fmt.Sprintf("ftype(%d)", uint32(m))
	}
	return fileTypes[m].name
}

// ParseFileType finds a file type by its name in any case, or by its number. "Q3_K", "Q4_K" and
// "Q5_K" are the file types with M at the end.
func ParseFileType(name string) (FileType, error) {
	key := strings.ToUpper(name)
	switch key {
	case "Q3_K", "Q4_K", "Q5_K":
		key += "_M"
	}
	var names []string
	for m, mix := range fileTypes {
		if mix.name == "" {
			continue
		}
		if key == mix.name || key == strconv.Itoa(m) {
			return FileType(m), nil
		}
		names = append(names, mix.name)
	}
	return 0, fmt.Errorf("unknown file type %q: want one of %s", name, strings.Join(names, ", "))
}

// ModelInfo are what a file type asks of a model.
type ModelInfo struct {
	Arch           string // general.architecture
	NLayer         int    // block_count
	NHead, NHeadKV int    // of the first layer
	NExpert        int    // 0 for dense models
	Importance     bool   // whether an importance matrix is at hand
	// Override, if not nil, gives matrices a type of their own in place of what the rules, which do
	// not count them then, would choose.
	Override func(name string) (Type, bool)
}

// Tensor is what a file type asks of a tensor.
type Tensor struct {
	Name  string
	Type  Type  // what it is now; it stays so where it is not to be quantised
	Shape []int // the fastest dimension first
}

// Types chooses the type of every tensor of a file; it needs to see all of them, since some rules
// count. Vectors, norms, routers, convolutions and their like keep their type. Where rows are no
// whole number of blocks, a matrix gets a type with smaller blocks (Q4_K becomes Q5_0, and so on),
// and at last F16.
func (m FileType) Types(f ModelInfo, tensors []Tensor) ([]Type, error) {
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
	types := make([]Type, len(tensors))
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
		typ := fileTypes[m].base
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

// CheckTypes returns an error that lists the file types if [ChooseTypes] knows nothing of that
// name.
func CheckTypes(name string, pure bool) error {
	_, _, err := parseTypes(name, pure)
	return err
}

// parseTypes finds a file type, or a format for all matrices, in which case the file type is that
// of the same name, or invalid.
func parseTypes(name string, pure bool) (FileType, Type, error) {
	m, err := ParseFileType(name)
	if err == nil && !pure {
		return m, NumTypes, nil
	}
	if err != nil {
		m = ^FileType(0)
	}
	t, e := ParseType(name)
	if e == nil && !CanQuantize(t) {
		return m, t, fmt.Errorf("%s is not a type that can be written", t)
	}
	if e != nil && !pure {
		e = err // which lists the file types
	}
	return m, t, e
}

// ChooseTypes gives every tensor of a file its type by a name: that of a file type, see
// [FileType.Types], or that of a format, which then all matrices get that a file type would change.
// The name is taken for that of a format if pure is set or there is no file type of that name. The
// file type that is returned is the one to write to the file, and not valid where there is none.
func ChooseTypes(name string, pure bool, f ModelInfo, tensors []Tensor) ([]Type, FileType, error) {
	m, t, err := parseTypes(name, pure)
	if err != nil {
		return nil, m, err
	}
	if t == NumTypes {
		types, err := m.Types(f, tensors)
		return types, m, err
	}
	types := make([]Type, len(tensors))
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
func (f *ModelInfo) override(x *Tensor) (Type, bool, error) {
	if f.Override == nil {
		return 0, false, nil
	}
	t, ok := f.Override(x.Name)
	if !ok {
		return 0, false, nil
	}
	if !CanQuantize(t) {
		return 0, false, fmt.Errorf("tensor %q: %s is not a type that can be written", x.Name, t)
	}
	return t, true, wholeBlocks(x, t)
}

// wholeBlocks returns an error if the rows of x are no whole number of blocks of t.
func wholeBlocks(x *Tensor, t Type) error {
	if x.Shape[0]%t.BlockSize() != 0 {
		return fmt.Errorf("tensor %q has rows of %d: no whole number of %s blocks of %d", x.Name, x.Shape[0], t, t.BlockSize())
	}
	return nil
}

// NeedsImportance reports whether llama-quantize refuses to make a tensor of type t in a file of
// this file type without an importance matrix, since the result would be poor.
func (m FileType) NeedsImportance(name string, t Type) bool {
	if role := roleOf(name); role == roleOutput || role == roleEmbd {
		return false
	}
	switch t {
	case IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS:
		return true
	case Q2_K:
		return m == ftypeQ2_K_S
	}
	return false
}

// fallbackType is t or, where rows of n are no whole number of its blocks, what takes its place.
func fallbackType(t Type, n int) Type {
	if n%t.BlockSize() == 0 {
		return t
	}
	switch t {
	case IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_XS:
		t = IQ4_NL
	case Q2_K, Q3_K, TQ1_0, TQ2_0, Q1_0, Q2_0:
		t = Q4_0
	case Q4_K:
		t = Q5_0
	case Q5_K:
		t = Q5_1
	case Q6_K:
		t = Q8_0
	}
	if n%t.BlockSize() == 0 {
		return t
	}
	return F16
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
func isQuantizable(t *Tensor) bool {
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
