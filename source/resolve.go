package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
)

// Resolve finds what a name stands for, in this order: names that are registered as [Names.First],
// such as those of built-in models; an address on a web server; a file or a folder; the other
// registered names. The error for a name that nothing has lists what was looked for, and names that
// are like it ([UnknownError]); for what has the look of a path it is the system's.
func Resolve(name string) (*Source, error) {
	if name == "" {
		return nil, errors.New("want a model, found an empty name")
	}
	if s, err := lookup(name, true); s != nil || err != nil {
		return s, err
	}
	if remote.IsURL(name) {
		return address(name)
	}
	s, err := Path(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s, err := lookup(name, false); s != nil || err != nil {
		return s, err
	}
	if IsPath(name) {
		return nil, err
	}
	return nil, unknown(name)
}

// Path is the source of a file or a folder.
func Path(path string) (*Source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fault.System(err)
	case info.IsDir():
		return folder(path)
	}
	s := &Source{kind: KindFile, name: path, path: path}
	base, ext := strings.ToLower(filepath.Base(path)), strings.ToLower(filepath.Ext(path))
	switch {
	case ext == ".json":
		s.kind = KindConfig
	case base == "adapter_model.safetensors":
		return nil, notModel(path, "the weights of a LoRA adapter (PEFT), which changes a model and is none")
	case ext == ".safetensors":
		return nil, notModel(path, "weights alone are no model: want the folder that they are in, with its config.json")
	case notModels[ext] != "" && !HasMagic(path):
		return nil, notModel(path, notModels[ext]+": want a GGUF file, or the folder of a Hugging Face checkpoint with safetensors files")
	}
	return s, nil
}

// notModels are files of other programs, by their endings.
var notModels = map[string]string{
	".bin": "weights of PyTorch, or of llama.cpp before 2023", ".pt": "weights of PyTorch", ".pth": "weights of PyTorch", ".ckpt": "weights of PyTorch",
	".h5": "weights of Keras", ".msgpack": "weights of Flax", ".onnx": "a model of ONNX", ".tflite": "a model of TensorFlow Lite", ".npz": "arrays of NumPy or MLX",
	".llamafile": "a llamafile, which is a program with a GGUF file in it", ".imatrix": "an importance matrix, which is made from a model and is none",
	".dat": "an importance matrix, or other data",
}

// notModel is the error for a file that is known to be something else.
func notModel(path, what string) error {
	return fault.In(path, fault.Of(gguf.ErrUnsupported, errors.New(what)))
}

const wantModel = "want a GGUF file, or the folder of a checkpoint with a config.json"

// folder is the source of a folder.
func folder(dir string) (*Source, error) {
	s := &Source{kind: KindFolder, name: dir, path: dir}
	if exists(filepath.Join(dir, "config.json")) {
		return s, nil
	}
	for _, name := range vocabularies {
		if exists(filepath.Join(dir, name)) {
			s.kind = KindVocabulary
			return s, nil
		}
	}
	if exists(filepath.Join(dir, "adapter_config.json")) {
		return nil, notModel(dir, "a LoRA adapter (adapter_config.json), which changes a model and is none")
	}
	if exists(filepath.Join(dir, "model_index.json")) {
		return nil, notModel(dir, "a pipeline of diffusers (model_index.json), which makes images and no text")
	}
	return nil, fault.In(dir, fmt.Errorf("%s, found a folder without%s: %w", wantModel, inFolder(dir), gguf.ErrUnsupported))
}

// vocabularies are the files that the tokens of a folder may be in.
var vocabularies = []string{"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "vocab.json", "vocab.txt", "tiktoken.model"}

// inFolder says which GGUF files are in a folder that is none of a checkpoint.
func inFolder(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var names []string
	split := map[string]bool{} // models of several files
	for _, e := range entries {
		if e.IsDir() || !strings.EqualFold(filepath.Ext(e.Name()), ".gguf") {
			continue
		}
		first := gguf.Shards(e.Name())[0]
		if !split[first] {
			split[first] = true
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "; the GGUF file in it is " + names[0]
	}
	slices.Sort(names)
	rest := ""
	if len(names) > fewNames {
		rest = fmt.Sprintf(" and %d more", len(names)-fewNames)
		names = names[:fewNames]
	}
	return "; the GGUF files in it are " + strings.Join(names, ", ") + rest
}

// IsPath reports whether an argument that may be a name or a text has the look of a path or of an
// address: it ends as model files do, or holds a separator and no white space.
func IsPath(arg string) bool {
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".gguf", ".safetensors":
		return true
	}
	return strings.ContainsFunc(arg, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(byte(r)) }) && !strings.ContainsAny(arg, " \t\n\r\v\f")
}

// HasMagic reports whether a regular file begins as GGUF files do.
func HasMagic(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "GGUF"
}
