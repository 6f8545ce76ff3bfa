// Package arch holds the architectures, one file each, and the table that finds them by the name in a file's general.architecture.
//
// An architecture is a builder, which takes its parts by name and shape from model.Weights, and a type with State, Forward and Logits. Most are the type decoder, in
// decoder.go, and their files say of which parts it is made. An architecture branches on its configuration and its layer number only and never touches an element, so that one
// Forward serves to run, to measure memory, and to be observed. Begin with decoder.go and llama.go; docs/ADDING_A_MODEL.md walks through a file.
package arch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/model"
)

// build makes an architecture out of its weights.
type build func(*model.Weights) (model.Model, error)

var builders = map[string]build{
	"afmoe":         newAFMoE,
	"apertus":       newApertus,
	"arcee":         newArcee,
	"bailingmoe":    newBailing,
	"bailingmoe2":   newBailing2,
	"bloom":         newMPT,
	"chatglm":       newGLM4,
	"codeshell":     newStarCoder2,
	"cohere2":       newCohere2,
	"command-r":     newCommandR,
	"dbrx":          newDBRX,
	"deepseek":      newDeepSeek,
	"deepseek2":     newDeepSeek2,
	"dots1":         newBailing2,
	"ernie4_5":      newERNIE,
	"ernie4_5-moe":  newERNIE,
	"exaone":        newQwen2,
	"exaone-moe":    newEXAONEMoE,
	"exaone4":       newEXAONE4,
	"falcon":        newFalcon,
	"falcon-h1":     newFalconH1,
	"gemma":         newGemma,
	"gemma2":        newGemma2,
	"gemma3":        newGemma3,
	"glm4":          newGLM4,
	"glm4moe":       newGLM4MoE,
	"gpt-oss":       newGPTOSS,
	"gpt2":          newGPT2,
	"gptneox":       newGPTNeoX,
	"granite":       newGranite,
	"granite_swa":   newGraniteSWA,
	"granitehybrid": newGranite,
	"granitemoe":    newGranite,
	"grok":          newGrok,
	"hunyuan-dense": newHunyuan,
	"hunyuan-moe":   newHunyuan,
	"internlm2":     newLlama,
	"jais":          newJais,
	"jamba":         newJamba,
	"lfm2":          newLFM2,
	"lfm2moe":       newLFM2,
	"llama":         newLlama,
	"llama4":        newLlama4,
	"mamba":         newMamba,
	"mamba2":        newMamba2,
	"mimo2":         newMiMo2,
	"minicpm":       newGranite,
	"minicpm3":      newMiniCPM3,
	"minimax-m2":    newMiniMaxM2,
	"mistral3":      newLlama,
	"mpt":           newMPT,
	"nemotron":      newNemotron,
	"olmo":          newOLMo,
	"olmo2":         newOLMo2,
	"olmoe":         newOLMoE,
	"orion":         newOrion,
	"phi2":          newPhi2,
	"phi3":          newPhi3,
	"phimoe":        newPhiMoE,
	"plamo":         newPLaMo,
	"qwen":          newQwen,
	"qwen2":         newQwen2,
	"qwen2moe":      newQwen2MoE,
	"qwen2vl":       newQwen2,
	"qwen3":         newQwen3,
	"qwen35":        newQwen3Next,
	"qwen35moe":     newQwen3Next,
	"qwen3moe":      newQwen3,
	"qwen3next":     newQwen3Next,
	"qwen3vl":       newQwen3,
	"qwen3vlmoe":    newQwen3,
	"refact":        newRefact,
	"seed_oss":      newSeedOSS,
	"smallthinker":  newSmallThinker,
	"smollm3":       newSmolLM3,
	"stablelm":      newStableLM,
	"starcoder":     newGPT2,
	"starcoder2":    newStarCoder2,
}

// encoders read a text whole, both ways, and have no head.
var encoders = map[string]build{
	"bert":            newBERT,
	"gemma-embedding": newGemmaEmbedding,
	"jina-bert-v2":    newBERT,
	"jina-bert-v3":    newBERT,
	"modern-bert":     newModernBERT,
	"nomic-bert":      newBERT,
	"nomic-bert-moe":  newBERT,
	"t5encoder":       newT5Encoder,
}

// varied are architectures whose layers may differ in their numbers of key heads: their files make attention by layer.
var varied = map[string]bool{"mimo2": true}

func builder(name string) build {
	if b := builders[name]; b != nil {
		return b
	}
	return encoders[name]
}

// Encoder reports whether the architecture of that name makes hidden states of whole texts, and no logits.
func Encoder(name string) bool { return encoders[name] != nil }

// Names lists the architectures.
func Names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, table := range []map[string]build{builders, encoders} {
			for name := range table {
				if !yield(name) {
					return
				}
			}
		}
	})
}

// Build makes the model that the configuration of w names.
func Build(w *model.Weights) (model.Model, error) {
	name := w.Config().Arch
	if err := Check(name); err != nil {
		return nil, err
	}
	if w.Config().HeadsKV != nil && !varied[name] {
		return nil, fmt.Errorf("%s with other numbers of key heads in other layers: %w", name, model.ErrUnsupported)
	}
	return builder(name)(w)
}

// Check returns an error that names what is supported, nearest first, if there is no architecture of that name.
func Check(name string) error {
	if builder(name) != nil {
		return nil
	}
	nearest := slices.MinFunc(Names(), func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
	return fmt.Errorf("%w architecture %.60q: the nearest in name is %s; supported are %s", model.ErrUnsupported, name, nearest, strings.Join(Names(), ", "))
}

// distance is the number of letters to insert, delete or replace between two names (Levenshtein 1966); of a long name it looks at the beginning.
func distance(a, b string) int {
	a = a[:min(len(a), 60)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
