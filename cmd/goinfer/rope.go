package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer/source"
)

// ropeFlags are llama.cpp's flags of the position embedding (RoPE). Each gives a key of the
// metadata another value, which --override-kv would do too.
type ropeFlags struct {
	scaling                                           string
	scale, freqScale, freqBase                        float64
	origCtx                                           int
	extFactor, attnFactor, yarnBetaSlow, yarnBetaFast float64
}

// ropeHeading is what the flags stand under in help texts.
const ropeHeading = "Flags of the position embedding (default the file's)"

func (r *ropeFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&r.scaling, "rope-scaling", "", "`KIND` of scaling: none, linear or yarn")
	fs.Float64Var(&r.scale, "rope-scale", 0, "extend the context by this factor")
	fs.Float64Var(&r.freqBase, "rope-freq-base", 0, "base of the frequencies")
	fs.Float64Var(&r.freqScale, "rope-freq-scale", 0, "scale the frequencies: 1 divided by --rope-scale")
	fs.IntVar(&r.origCtx, "yarn-orig-ctx", 0, "context that the model was trained for")
	fs.Float64Var(&r.extFactor, "yarn-ext-factor", 0, "share of extrapolation, 0 to 1")
	fs.Float64Var(&r.attnFactor, "yarn-attn-factor", 0, "scale of the attention's magnitude")
	fs.Float64Var(&r.yarnBetaSlow, "yarn-beta-slow", 0, "rotations below which positions are interpolated")
	fs.Float64Var(&r.yarnBetaFast, "yarn-beta-fast", 0, "rotations above which they are left alone")
}

// ropeKeys are the keys of the metadata that the flags set, after the name of the architecture.
var ropeKeys = []struct {
	flag, key string
	least     float64 // of a number
}{
	{"rope-scaling", "rope.scaling.type", 0},
	{"rope-scale", "rope.scaling.factor", math.SmallestNonzeroFloat32},
	{"rope-freq-scale", "rope.scaling.factor", math.SmallestNonzeroFloat32},
	{"rope-freq-base", "rope.freq_base", math.SmallestNonzeroFloat32},
	{"yarn-orig-ctx", "rope.scaling.original_context_length", 1},
	{"yarn-ext-factor", "rope.scaling.yarn_ext_factor", 0},
	{"yarn-attn-factor", "rope.scaling.attn_factor", math.SmallestNonzeroFloat32},
	{"yarn-beta-slow", "rope.scaling.yarn_beta_slow", math.SmallestNonzeroFloat32},
	{"yarn-beta-fast", "rope.scaling.yarn_beta_fast", math.SmallestNonzeroFloat32},
}

// overrides are the keys that flags of a command set, for any architecture.
func (r *ropeFlags) overrides(fs *pflag.FlagSet) (list []source.Override, err error) {
	values := map[string]float64{
		"rope-scale": r.scale, "rope-freq-scale": r.freqScale, "rope-freq-base": r.freqBase, "yarn-orig-ctx": float64(r.origCtx),
		"yarn-ext-factor": r.extFactor, "yarn-attn-factor": r.attnFactor, "yarn-beta-slow": r.yarnBetaSlow, "yarn-beta-fast": r.yarnBetaFast,
	}
	if fs.Changed("rope-scale") && fs.Changed("rope-freq-scale") {
		return nil, usagef("--rope-scale and --rope-freq-scale set the same: want one of them")
	}
	for _, k := range ropeKeys {
		if !fs.Changed(k.flag) {
			continue
		}
		var value any
		switch v := values[k.flag]; {
		case k.flag == "rope-scaling":
			if r.scaling != "none" && r.scaling != "linear" && r.scaling != "yarn" {
				return nil, usagef("--rope-scaling: want none, linear or yarn, found %q", shorten(r.scaling, 40))
			}
			value = r.scaling
		case !(v >= k.least && v <= math.MaxFloat32):
			least := "above 0"
			if k.least == 0 || k.least == 1 {
				least = fmt.Sprintf("at least %v", k.least)
			}
			return nil, usagef("--%s: want a finite number, %s, found %v", k.flag, least, v)
		case k.flag == "yarn-orig-ctx":
			value = int64(r.origCtx)
		case k.flag == "rope-freq-scale":
			value = 1 / v
		default:
			value = v
		}
		list = append(list, source.Override{Key: k.key, Value: value})
	}
	return list, nil
}

// withRope is o with the keys that the flags of the position embedding set, under the name of the
// architecture of the model.
func (n modelSource) withRope(cmd *cobra.Command, o modelOptions) (modelOptions, error) {
	if len(o.rope) == 0 {
		return o, nil
	}
	info, err := n.inspect(cmd.Context(), 0)
	if err != nil {
		return o, err
	}
	for _, m := range info.Metadata {
		if arch, ok := m.Value.(string); ok && m.Key == "general.architecture" {
			for _, r := range o.rope {
				o.Overrides = append(o.Overrides, source.Override{Key: arch + "." + r.Key, Value: r.Value})
			}
		}
	}
	o.rope = nil
	return o, nil
}

// addsRope reports whether a warning is about a key that the flags of the position embedding add to
// a file without it, as they are meant to.
func addsRope(warning string) bool {
	rest, ok := strings.CutPrefix(warning, "the override of ")
	return ok && strings.Contains(rest, ".rope.") && strings.Contains(rest, "adds a key")
}
