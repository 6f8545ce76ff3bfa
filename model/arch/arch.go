// Package arch holds the architectures, one file each, and the table that finds them by the name in
// a file's general.architecture.
//
// An architecture is a builder, which takes its parts by name and shape from model.Weights, and a
// type with State, Forward and Logits. Most are the type decoder, in decoder.go, and their files
// say of which parts it is made. An architecture branches on its configuration and its layer number
// only and never touches an element, so that one Forward serves to run, to measure memory, and to
// be observed. Begin with decoder.go and llama.go; docs/ADDING_A_MODEL.md walks through a file.
package arch

import (
	"cmp"
	"fmt"
	"github.com/goinfer/goinfer/internal/fault"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
)

// Sheet declares an architecture: everything that is specific to it.
type Sheet struct {
	// Name is general.architecture in GGUF files.
	Name string
	// Build makes the model of its weights.
	Build func(w *model.Weights) (model.Model, error)
	// Encoder means that the model makes hidden states of whole texts, and no logits.
	Encoder bool
	// LayerKV means that layers may differ in their number of key-value heads.
	LayerKV bool
	// LayerFF means that layers may differ in the inner width of their feed-forward block, and have
	// none where it is 0.
	LayerFF bool
	// Reference is what the logits are compared with where there are none of llama.cpp.
	Reference string
	// Folders are the families of Hugging Face checkpoints that become this architecture.
	Folders []hf.Family
	// Sizes are known models.
	Sizes []Size
}

// sheets is the table of architectures, a line per file.
var sheets = []*Sheet{
	&afmoeSheet,
	&apertusSheet,
	&arceeSheet,
	&bailingmoeSheet,
	&bailingmoe2Sheet, &dots1Sheet,
	&bertSheet, &jinaBertV2Sheet, &jinaBertV3Sheet, &nomicBertSheet, &nomicBertMoeSheet,
	&cohere2Sheet,
	&commandRSheet,
	&dbrxSheet,
	&deepseekSheet,
	&deepseek2Sheet,
	&ernie45Sheet, &ernie45MoeSheet,
	&exaone4Sheet,
	&exaoneMoeSheet,
	&falconSheet,
	&falconH1Sheet,
	&gemmaSheet,
	&gemma2Sheet,
	&gemmaEmbeddingSheet, &gemma3Sheet,
	&chatglmSheet, &glm4Sheet,
	&glm4moeSheet,
	&gpt2Sheet, &starcoderSheet,
	&gptneoxSheet,
	&gptOssSheet,
	&graniteSheet, &granitehybridSheet, &granitemoeSheet, &minicpmSheet,
	&graniteSwaSheet,
	&grokSheet,
	&hunyuanDenseSheet, &hunyuanMoeSheet,
	&jaisSheet,
	&jambaSheet,
	&lfm2Sheet, &lfm2moeSheet,
	&internlm2Sheet, &llamaSheet, &mistral3Sheet,
	&llama4Sheet,
	&mambaSheet, &mamba2Sheet,
	&mimo2Sheet,
	&minicpm3Sheet,
	&minimaxM2Sheet,
	&modernBertSheet,
	&bloomSheet, &mptSheet,
	&nemotronSheet,
	&nemotronHSheet,
	&olmoSheet,
	&olmo2Sheet,
	&olmoeSheet,
	&orionSheet,
	&phi2Sheet,
	&phi3Sheet,
	&phimoeSheet,
	&plamoSheet,
	&qwenSheet,
	&exaoneSheet, &qwen2Sheet, &qwen2vlSheet,
	&qwen2moeSheet,
	&qwen3Sheet, &qwen3moeSheet, &qwen3vlSheet, &qwen3vlmoeSheet,
	&qwen35Sheet, &qwen35moeSheet, &qwen3nextSheet,
	&refactSheet,
	&seedOssSheet,
	&smallthinkerSheet,
	&smollm3Sheet,
	&stablelmSheet,
	&codeshellSheet, &starcoder2Sheet,
	&t5encoderSheet,
}

// Find returns the sheet of that name, nil if there is none.
func Find(name string) *Sheet {
	for _, s := range sheets {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Encoder reports whether the architecture of that name makes hidden states of whole texts, and no
// logits.
func Encoder(name string) bool {
	s := Find(name)
	return s != nil && s.Encoder
}

// Names lists the architectures in alphabetical order.
func Names() []string {
	names := make([]string, len(sheets))
	for i, s := range sheets {
		names[i] = s.Name
	}
	slices.Sort(names)
	return names
}

// Families lists the families of Hugging Face checkpoints of all architectures.
func Families() []hf.Family {
	var all []hf.Family
	for _, s := range sheets {
		for _, f := range s.Folders {
			f.Arch = s.Name
			all = append(all, f)
		}
	}
	return all
}

// Sheets lists the sheets in alphabetical order.
func Sheets() []*Sheet {
	return slices.SortedFunc(slices.Values(sheets), func(a, b *Sheet) int { return cmp.Compare(a.Name, b.Name) })
}

// Build makes the model that the configuration of w names.
func Build(w *model.Weights) (model.Model, error) {
	c := w.Config()
	if err := Check(c.Arch); err != nil {
		return nil, err
	}
	s := Find(c.Arch)
	if c.LayerKV != nil && !s.LayerKV {
		return nil, fmt.Errorf("%s with other numbers of key heads in other layers: %w", c.Arch, model.ErrUnsupported)
	}
	if c.LayerFF != nil && !s.LayerFF {
		return nil, fmt.Errorf("%s with other widths of feed-forward blocks in other layers: %w", c.Arch, model.ErrUnsupported)
	}
	return s.Build(w)
}

// Check returns an error that names what is supported, nearest first, if there is no architecture
// of that name.
func Check(name string) error {
	if Find(name) != nil {
		return nil
	}
	begin := name[:min(len(name), 60)]
	nearest := slices.MinFunc(Names(), func(a, b string) int {
		return cmp.Compare(fault.Distance(begin, a), fault.Distance(begin, b))
	})
	return fmt.Errorf("%w architecture %.60q: the nearest in name is %s; supported are %s", model.ErrUnsupported, name, nearest, strings.Join(Names(), ", "))
}
