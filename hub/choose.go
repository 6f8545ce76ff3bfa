package hub

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
)

// DefaultQuant is the quantisation that is taken of a repository where none is named.
const DefaultQuant = "Q4_K_M"

// nearest are quantisations in the order in which they stand in for the default.
var nearest = []string{
	DefaultQuant, "Q4_K_S", "Q4_K_XL", "Q4_K_L", "Q4_K", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "MXFP4", "MXFP4_MOE", "NVFP4", "Q5_K_M", "Q5_K_S", "Q5_K_XL", "Q5_K_L", "Q5_K", "Q5_0", "Q5_1",
	"Q6_K", "Q6_K_L", "Q6_K_XL", "Q3_K_L", "Q3_K_XL", "Q3_K_M", "IQ3_M", "Q3_K_S", "IQ3_S", "IQ3_XS", "Q3_K", "Q8_0", "Q8_K_XL", "IQ3_XXS", "Q2_K_L", "Q2_K_XL", "Q2_K", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS",
	"BF16", "F16", "FP16", "TQ2_0", "TQ1_0", "IQ1_M", "IQ1_S", "F32", "FP32",
}

// quantOf finds the quantisation in the name of a file, between dots, dashes or at an end.
var quantOf = regexp.MustCompile(`(?i)(?:^|[-_./])((?:UD-)?(?:I?Q[1-9](?:_[0-9A-Z]+)*|TQ[12]_0|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4))(?:[-.]|$)`)

// firstOf ends the name of the first file of a split model, without .gguf.
var firstOf = regexp.MustCompile(`-00001-of-\d{5}$`)

// Quant is the quantisation that the name of a GGUF file names, in capitals; empty if it names
// none.
func Quant(file string) string {
	name := strings.TrimSuffix(gguf.Shards(path.Base(file))[0], ".gguf")
	name = firstOf.ReplaceAllString(name, "")
	all := quantOf.FindAllStringSubmatch(name, -1)
	if len(all) == 0 {
		all = quantOf.FindAllStringSubmatch(path.Dir(file), -1)
	}
	if len(all) == 0 {
		return ""
	}
	return strings.ToUpper(all[len(all)-1][1])
}

// candidate is a model among the files of a repository.
type candidate struct {
	files []string // all of a split model
	quant string
}

// candidates lists the GGUF models among files: neither projectors nor importance matrices.
func candidates(files []string) (all []candidate) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(slices.Values(files)) {
		lower := strings.ToLower(path.Base(name))
		if path.Ext(lower) != ".gguf" || strings.Contains(lower, "mmproj") || strings.Contains(lower, "imatrix") || strings.Contains(lower, "lora") && strings.Contains(lower, "adapter") {
			continue
		}
		shards := gguf.Shards(name)
		if seen[shards[0]] {
			continue
		}
		seen[shards[0]] = true
		all = append(all, candidate{shards, Quant(name)})
	}
	return all
}

// Choice is what is meant of a repository.
type Choice struct {
	Files  []string // by their names in the repository
	Folder bool     // a checkpoint: Files are to be in one folder
	Quant  string   // of a GGUF file
	Note   string   // on the choice, may be empty
}

// choose picks the files that a name means among those of a repository. index reads a file of it,
// for the list of a checkpoint's weights; it may be nil.
func choose(n Name, files []string, index func(name string) ([]byte, error)) (Choice, error) {
	all := candidates(files)
	bad := func(format string, args ...any) (Choice, error) {
		return Choice{}, fault.In(n.String(), fmt.Errorf(format, args...))
	}
	if len(all) == 0 {
		if n.Tag != "" {
			return bad("the repository has no GGUF file, of which %q could be one", n.Tag)
		}
		return chooseFolder(n, files, index)
	}
	var found []candidate
	switch {
	case n.Tag == "":
		found = best(all)
	case slices.Contains(files, n.Tag) && !strings.EqualFold(path.Ext(n.Tag), ".gguf"):
		return bad("want a GGUF file, found %q: one of %s", n.Tag, tags(all))
	case slices.Contains(files, n.Tag):
		found = []candidate{{files: gguf.Shards(n.Tag), quant: Quant(n.Tag)}}
	default:
		for _, c := range all {
			if strings.EqualFold(c.quant, n.Tag) || strings.EqualFold(strings.TrimPrefix(c.quant, "UD-"), n.Tag) || strings.EqualFold(path.Base(c.files[0]), n.Tag) {
				found = append(found, c)
			}
		}
		if exact := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return !strings.EqualFold(c.quant, n.Tag) }); len(exact) > 0 {
			found = exact
		}
		if len(found) == 0 {
			return bad("the repository has no %q: want one of %s", n.Tag, tags(all))
		}
	}
	if len(found) > 1 {
		var names []string
		for _, c := range found {
			names = append(names, c.files[0])
		}
		return bad("%d models fit: name one of their files after a colon: %s", len(found), listed(names))
	}
	c := found[0]
	for _, f := range c.files {
		if !slices.Contains(files, f) {
			return bad("%s is missing, one of the %d files of the model", f, len(c.files))
		}
	}
	choice := Choice{Files: c.files, Quant: c.quant}
	if n.Tag == "" && c.quant != DefaultQuant {
		choice.Note = fmt.Sprintf("%s has no %s: %s is taken", n.id(), DefaultQuant, cmp.Or(c.quant, path.Base(c.files[0])))
	}
	return choice, nil
}

// best are the candidates of the quantisation that is nearest to the default.
func best(all []candidate) (found []candidate) {
	for _, q := range nearest {
		for _, c := range all {
			if strings.TrimPrefix(c.quant, "UD-") == q {
				found = append(found, c)
			}
		}
		if plain := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return strings.HasPrefix(c.quant, "UD-") }); len(plain) > 0 {
			return plain
		}
		if len(found) > 0 {
			return found
		}
	}
	return all
}

// tags lists the quantisations of candidates.
func tags(all []candidate) string {
	var names []string
	for _, c := range all {
		if name := cmp.Or(c.quant, path.Base(c.files[0])); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return listed(names)
}

// listed joins names, and counts those that are too many.
func listed(names []string) string {
	const most = 30
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// besides are the files of a checkpoint other than weights.
var besides = []string{
	"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "vocab.json", "merges.txt",
	"vocab.txt", "added_tokens.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "hf_quant_config.json",
}

// module is a file in the folder of a module of sentence-transformers, such as 1_Pooling.
var module = regexp.MustCompile(`^\d+_[A-Za-z]+/(config\.json|model\.safetensors)$`)

// indexName lists the files of weights of a checkpoint.
const indexName = "model.safetensors.index.json"

// maxIndex bounds the size of that list.
const maxIndex = 64 << 20

// chooseFolder picks the files of a checkpoint.
func chooseFolder(n Name, files []string, index func(name string) ([]byte, error)) (Choice, error) {
	bad := func(format string, args ...any) (Choice, error) {
		return Choice{}, fault.In(n.String(), fault.Of(gguf.ErrUnsupported, fmt.Errorf(format, args...)))
	}
	weights, err := weightsOf(files, index)
	if err != nil {
		return bad("%w", err)
	}
	if !slices.Contains(files, "config.json") || len(weights) == 0 {
		what := ""
		if slices.ContainsFunc(files, func(f string) bool { return slices.Contains([]string{".bin", ".pt", ".pth"}, path.Ext(f)) }) {
			what = "; its weights are PyTorch's, which are programs and are not read"
		} else if slices.Contains(files, "adapter_config.json") {
			what = "; it is an adapter, which changes a model and is none"
		}
		return bad("want a repository with GGUF files, or with a config.json and safetensors files%s", what)
	}
	c := Choice{Folder: true, Files: weights}
	for _, f := range files {
		if slices.Contains(besides, f) || module.MatchString(f) {
			c.Files = append(c.Files, f)
		}
	}
	if slices.Contains(files, indexName) && !slices.Contains(weights, "model.safetensors") {
		c.Files = append(c.Files, indexName)
	}
	slices.Sort(c.Files)
	return c, nil
}

// weightsOf are the files of weights of a checkpoint: one, or those that its index names.
func weightsOf(files []string, index func(name string) ([]byte, error)) ([]string, error) {
	if slices.Contains(files, "model.safetensors") {
		return []string{"model.safetensors"}, nil
	}
	if slices.Contains(files, indexName) && index != nil {
		data, err := index(indexName)
		if err != nil {
			return nil, err
		}
		var list struct {
			Weights map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", indexName, err)
		}
		names := slices.Compact(slices.Sorted(maps.Values(list.Weights)))
		// An index may name millions: the first that is missing ends it.
		for _, f := range names {
			if !slices.Contains(files, f) {
				return nil, fmt.Errorf("%s names %.100q, which the repository does not have", indexName, f)
			}
		}
		return names, nil
	}
	var names []string
	for _, f := range files {
		if path.Ext(f) == ".safetensors" && !strings.Contains(f, "/") && !strings.HasPrefix(f, "consolidated") && !strings.HasPrefix(f, "adapter") {
			names = append(names, f)
		}
	}
	return names, nil
}
