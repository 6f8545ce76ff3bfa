package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
)

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// layOllama makes a model in a store as Ollama does.
func layOllama(t *testing.T, root, name string, layers map[string][]byte) {
	t.Helper()
	m := manifest{SchemaVersion: 2, MediaType: "application/vnd.docker.distribution.manifest.v2+json"}
	add := func(kind string, data []byte) layer {
		hash := hashOf(data, true)
		put(t, filepath.Join(root, "blobs", "sha256-"+hash), data)
		return layer{MediaType: kind, Digest: "sha256:" + hash, Size: int64(len(data))}
	}
	m.Config = add("application/vnd.docker.container.image.v1+json", []byte("{}"))
	for _, kind := range []string{layerModel, layerTemplate, layerParams, layerSystem, layerLicense, layerAdapter, layerProjector} {
		if data, ok := layers[kind]; ok {
			m.Layers = append(m.Layers, add(kind, data))
		}
	}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	put(t, filepath.Join(root, "manifests", filepath.FromSlash(name)), data)
}

// layHuggingFace makes a snapshot with links to blobs.
func layHuggingFace(t *testing.T, cache, repo string, files map[string][]byte) {
	t.Helper()
	dir := filepath.Join(cache, "models--"+strings.ReplaceAll(repo, "/", "--"))
	put(t, filepath.Join(dir, "refs", "main"), []byte(testCommit))
	for name, data := range files {
		blob := filepath.Join(dir, "blobs", hashOf(data, true))
		put(t, blob, data)
		at := filepath.Join(dir, "snapshots", testCommit, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if runtime.GOOS == "windows" {
			put(t, at, data)
			continue
		}
		rel, err := filepath.Rel(filepath.Dir(at), blob)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(rel, at))
	}
}

// snapshotOf is all that is in a folder, with times, so that a change is noticed.
func snapshotOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		all[p] = fmt.Sprint(info.Size(), info.ModTime(), info.Mode())
		return nil
	}))
	return all
}

// TestStores: models of four programs, as these lay them out, are listed and opened in place.
func TestStores(t *testing.T) {
	dir := t.TempDir()
	s := Stores{
		HuggingFace: filepath.Join(dir, "hf"), Ollama: []string{filepath.Join(dir, "ollama"), filepath.Join(dir, "none")},
		LMStudio: []string{filepath.Join(dir, "new"), filepath.Join(dir, "old")}, LlamaCpp: filepath.Join(dir, "llama.cpp"), Own: filepath.Join(dir, "own"), State: filepath.Join(dir, "state"),
	}
	layHuggingFace(t, s.HuggingFace, "Org/Qwen9-GGUF", map[string][]byte{"Qwen9-Q4_K_M.gguf": model(t, 1, "general.file_type", uint32(15)), "Qwen9-Q8_0.gguf": model(t, 2), "mmproj-Qwen9-F16.gguf": model(t, 3)})
	layHuggingFace(t, s.HuggingFace, "Org/Split-GGUF", map[string][]byte{"IQ2_XS/m-00001-of-00002.gguf": model(t, 4), "IQ2_XS/m-00002-of-00002.gguf": model(t, 5)})
	layHuggingFace(t, s.HuggingFace, "Org/Torch", map[string][]byte{"config.json": []byte("{}"), "pytorch_model.bin": []byte("x")})
	put(t, filepath.Join(s.HuggingFace, "datasets--a--b", "refs", "main"), []byte("x"))
	put(t, filepath.Join(s.HuggingFace, "version.txt"), []byte("1"))
	layOllama(t, s.Ollama[0], "registry.ollama.ai/library/llama9/latest", map[string][]byte{
		layerModel: model(t, 6), layerTemplate: []byte("{{ .System }}"), layerParams: []byte(`{"stop": ["<end>", "x"], "temperature": 0.5}`), layerSystem: []byte("Be kind."), layerLicense: []byte("MIT"),
	})
	layOllama(t, s.Ollama[0], "hf.co/org/other/Q4_0", map[string][]byte{layerModel: model(t, 7), layerProjector: []byte("x")})
	layOllama(t, s.Ollama[0], "registry.ollama.ai/me/tuned/1b", map[string][]byte{layerModel: model(t, 8), layerAdapter: []byte("x")})
	put(t, filepath.Join(s.LMStudio[0], "pub", "repo-GGUF", "model-q6_k.gguf"), model(t, 9))
	put(t, filepath.Join(s.LMStudio[1], "pub", "older", "model.Q5_0.gguf"), model(t, 10))
	put(t, filepath.Join(s.LMStudio[1], "pub", "older", "notes.txt"), nil)
	put(t, filepath.Join(s.LlamaCpp, "ggml-org_models-x_tiny_q2.gguf"), model(t, 11))
	put(t, filepath.Join(s.LlamaCpp, "some_one-GGUF_big-Q4_0.gguf"), model(t, 12))
	put(t, filepath.Join(s.LlamaCpp, "some_one-GGUF_big-Q4_0.gguf.json"), []byte("{}"))
	put(t, filepath.Join(s.LlamaCpp, "some_one-GGUF_part.gguf.downloadInProgress"), nil)
	put(t, filepath.Join(s.LlamaCpp, "manifest=ggml-org=models-x_tiny=latest.json"), []byte("{}"))
	before := snapshotOf(t, dir)

	list, err := s.List(t.Context())
	require.NoError(t, err)
	got := map[string]Entry{}
	for _, e := range list {
		got[e.Name] = e
	}
	for name, want := range map[string]struct{ short, store, typ, damaged string }{
		"hf.co/Org/Qwen9-GGUF:Q4_K_M":         {"qwen9:q4_k_m", InHuggingFace, "Q4_K_M", ""},
		"hf.co/Org/Qwen9-GGUF:Q8_0":           {"qwen9:q8_0", InHuggingFace, "Q8_0", ""},
		"hf.co/Org/Split-GGUF:IQ2_XS":         {"split:iq2_xs", InHuggingFace, "IQ2_XS", ""},
		"ollama:llama9:latest":                {"llama9:latest", InOllama, "", ""},
		"ollama:hf.co/org/other:Q4_0":         {"hf.co/org/other:Q4_0", InOllama, "", ""},
		"ollama:me/tuned:1b":                  {"me/tuned:1b", InOllama, "", "adapter"},
		"lmstudio/pub/repo-GGUF:Q6_K":         {"repo:q6_k", InLMStudio, "Q6_K", ""},
		"lmstudio/pub/older:Q5_0":             {"older:q5_0", InLMStudio, "Q5_0", ""},
		"llama.cpp/ggml-org/models-x_tiny:Q2": {"models-x_tiny:q2", InLlamaCpp, "Q2", ""},
		"llama.cpp/some/one-GGUF:Q4_0":        {"one:q4_0", InLlamaCpp, "Q4_0", ""},
	} {
		e, ok := got[name]
		require.True(t, ok, "%s is not in %v", name, sortedEntries(list))
		require.Equal(t, want.short, e.Short, name)
		require.Equal(t, want.store, e.Store, name)
		require.Equal(t, want.typ, e.Type, name)
		require.Contains(t, e.Damaged, want.damaged, name)
		require.False(t, e.Own, name)
		if want.damaged == "" {
			require.Empty(t, e.Damaged, name)
			require.Equal(t, "llama", e.Arch, name)
			require.Positive(t, e.Size, name)
		}
		delete(got, name)
	}
	require.Empty(t, got)

	// Each is found by its names, and opened where it is.
	for name, want := range map[string]string{
		"qwen9:q8_0": "Qwen9-Q8_0.gguf", "hf.co/Org/Qwen9-GGUF": "Qwen9-Q4_K_M.gguf", "hf.co/Org/Qwen9-GGUF:Qwen9-Q8_0.gguf": "Qwen9-Q8_0.gguf", "Qwen9-Q8_0": "Qwen9-Q8_0.gguf",
		"ollama:llama9": "sha256-", "llama9": "sha256-", "llama9:latest": "sha256-", "older": "model.Q5_0.gguf", "one:q4_0": "some_one", "repo": "model-q6_k.gguf", "hf.co/Org/Qwen9-GGUF@" + testCommit: "Qwen9-Q4_K_M.gguf",
	} {
		e, err := s.Find(name)
		require.NoError(t, err, name)
		require.NotNil(t, e, name)
		require.Contains(t, filepath.Base(e.Path), want, name)
		src, err := e.Source()
		require.NoError(t, err)
		f, err := src.Open(t.Context(), gguf.Options{})
		require.NoError(t, err, name)
		if strings.HasPrefix(name, "ollama:") {
			require.Equal(t, []string{"set in Ollama and not used: its system text, stop [<end> x], temperature 0.5"}, f.Notes())
		}
		require.NoError(t, f.Close())
	}
	e, err := s.Find("ollama:llama9")
	require.NoError(t, err)
	require.Equal(t, "{{ .System }}", e.Ollama().Template)
	require.Equal(t, []string{"<end>", "x"}, e.Ollama().Stop())
	_, err = s.Find("qwen9")
	require.ErrorContains(t, err, `"qwen9" may be one of 2 models: hf.co/Org/Qwen9-GGUF:Q4_K_M (Hugging Face), hf.co/Org/Qwen9-GGUF:Q8_0`)
	for _, absent := range []string{"hf.co/Org/Torch", "hf.co/a/b", "ollama:none", "ollama:llama9:7b", "hf.co/Org/Qwen9-GGUF:Q2_K"} {
		_, err = s.Find(absent)
		require.ErrorAs(t, err, new(*AbsentError), absent)
		require.ErrorContains(t, err, "goinfer pull "+absent)
	}
	e, err = s.Find("nothing")
	require.NoError(t, err)
	require.Nil(t, e)
	e, err = s.Find("ollama:me/tuned:1b")
	require.NoError(t, err)
	_, err = e.Source()
	require.ErrorContains(t, err, "an adapter, which is not applied")
	for i := range list {
		_, err := s.PlanRemoval(&list[i])
		require.ErrorContains(t, err, "was not pulled by goinfer")
	}
	require.Equal(t, before, snapshotOf(t, dir), "stores are read and never written")
}

func sortedEntries(list []Entry) (names []string) {
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

// TestDamaged: what is damaged is listed as such, and no store stops the others.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	s := Stores{HuggingFace: filepath.Join(dir, "hf"), Ollama: []string{filepath.Join(dir, "ollama")}, State: filepath.Join(dir, "state")}
	layHuggingFace(t, s.HuggingFace, "a/b", map[string][]byte{"m-Q4_K_M.gguf": model(t, 1), "n-Q8_0.gguf": []byte("not GGUF for long")})
	require.NoError(t, os.Remove(filepath.Join(s.HuggingFace, "models--a--b", "blobs", hashOf(model(t, 1), true))))
	for name, data := range map[string]string{
		"a/1": "{", "a/2": `{"layers": []}`, "a/3": `{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../../etc/passwd"}]}`,
		"a/4": `{"layers": [{"mediaType": "x", "digest": "sha256:` + strings.Repeat("0", 64) + `"}]}`, "a/5": `{"layers": [{"mediaType": "application/vnd.ollama.image.model", "size": 5, "digest": "sha256:` + strings.Repeat("0", 64) + `"}]}`,
	} {
		put(t, filepath.Join(s.Ollama[0], "manifests", "registry.ollama.ai", "library", filepath.FromSlash(name)), []byte(data))
	}
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, e := range list {
		if runtime.GOOS != "windows" || e.Store == InOllama {
			require.NotEmpty(t, e.Damaged, e.Name)
		}
		_, err := e.Source()
		require.Error(t, err)
	}
	require.Len(t, list, 7)
}

// TestAliases are kept in a file, and looked up first.
func TestAliases(t *testing.T) {
	dir := t.TempDir()
	s := Stores{HuggingFace: filepath.Join(dir, "hf"), State: filepath.Join(dir, "state")}
	layHuggingFace(t, s.HuggingFace, "a/b", map[string][]byte{"m-Q4_K_M.gguf": model(t, 1)})
	file := filepath.Join(dir, "other.gguf")
	put(t, file, model(t, 2))
	require.NoError(t, s.SetAlias("small", "hf.co/a/b"))
	require.NoError(t, s.SetAlias("other", file))
	require.NoError(t, s.SetAlias("lost", filepath.Join(dir, "lost.gguf")))
	for name, want := range map[string]string{"small": "m-Q4_K_M.gguf", "other": "other.gguf"} {
		e, err := s.Find(name)
		require.NoError(t, err)
		require.Equal(t, want, filepath.Base(e.Path))
	}
	_, err := s.Find("lost")
	require.ErrorContains(t, err, "lost is an alias of ")
	require.NoError(t, s.SetAlias("lost", ""))
	require.ErrorContains(t, s.SetAlias("lost", ""), `there is no alias "lost"`)
	require.ErrorContains(t, s.SetAlias("../x", "y"), "want an alias of letters")
	all, err := s.Aliases()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"small": "hf.co/a/b", "other": file}, all)
	put(t, filepath.Join(s.State, "aliases.json"), []byte("{"))
	_, err = s.Find("small")
	require.ErrorContains(t, err, "aliases.json: ")
}

func TestNames(t *testing.T) {
	for text, want := range map[string]Name{
		"hf.co/Qwen/Qwen3-0.6B-GGUF":              {Owner: "Qwen", Repo: "Qwen3-0.6B-GGUF"},
		"hf.co/Qwen/Qwen3-0.6B-GGUF:Q4_K_M":       {Owner: "Qwen", Repo: "Qwen3-0.6B-GGUF", Tag: "Q4_K_M"},
		"huggingface.co/a/b:sub/f.gguf@refs/pr/1": {Owner: "a", Repo: "b", Tag: "sub/f.gguf", Revision: "refs/pr/1"},
		"hf:a/b":                        {Owner: "a", Repo: "b"},
		"ollama:llama3.2":               {Ollama: true, Owner: "library", Repo: "llama3.2"},
		"ollama:me/x:1b-q4":             {Ollama: true, Owner: "me", Repo: "x", Tag: "1b-q4"},
		"ollama:localhost:5000/me/x:1b": {Ollama: true, Host: "localhost:5000", Owner: "me", Repo: "x", Tag: "1b"},
	} {
		n, ok, err := ParseName(text)
		require.NoError(t, err, text)
		require.True(t, ok)
		require.Equal(t, want, n, text)
		again, _, err := ParseName(n.String())
		require.NoError(t, err)
		require.Equal(t, n, again)
	}
	for _, text := range []string{"hf.co/a", "hf.co/a/b/c", "hf.co/../b", "hf.co/a/..", "hf.co/a/b:../x", "hf.co/a/b@../x", "hf.co/a--b/c", "hf.co/a/b:", "hf.co/a/b@", `hf.co/a\b/c`, "ollama:", "ollama:../x", "ollama:a/b/../c", "ollama:a:..", "ollama:a:b:c"} {
		_, ok, err := ParseName(text)
		require.True(t, ok, text)
		require.Error(t, err, text)
	}
	_, ok, _ := ParseName("llama3.2:1b")
	require.False(t, ok)
}

func TestQuant(t *testing.T) {
	for file, want := range map[string]string{
		"Qwen3-0.6B-Q8_0.gguf": "Q8_0", "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf": "Q4_K_M", "model-bf16.gguf": "BF16", "ggml-model-f16.gguf": "F16", "x-IQ3_XXS-00001-of-00009.gguf": "IQ3_XXS",
		"UD-Q2_K_XL/DeepSeek-R1-UD-Q2_K_XL-00002-of-00005.gguf": "UD-Q2_K_XL", "Q4_0/model.gguf": "Q4_0", "gpt-oss-20b-mxfp4.gguf": "MXFP4", "model.gguf": "", "q4-notes.txt": "Q4", "BitNet-TQ1_0.gguf": "TQ1_0",
	} {
		require.Equal(t, want, Quant(file), file)
	}
}

func TestChoose(t *testing.T) {
	n := Name{Owner: "o", Repo: "r"}
	for _, c := range []struct {
		tag   string
		files []string
		want  string // files with commas, or the text of an error
		note  string
	}{
		{"", []string{"a-Q8_0.gguf", "a-Q4_K_M.gguf"}, "a-Q4_K_M.gguf", ""},
		{"", []string{"a-Q8_0.gguf", "a-F16.gguf", "a-Q5_K_S.gguf"}, "a-Q5_K_S.gguf", "o/r has no Q4_K_M: Q5_K_S is taken"},
		{"", []string{"a.gguf"}, "a.gguf", "a.gguf is taken"},
		{"q8_0", []string{"a-Q8_0.gguf", "a-Q4_K_M.gguf"}, "a-Q8_0.gguf", ""},
		{"Q4_K_XL", []string{"a-UD-Q4_K_XL.gguf"}, "a-UD-Q4_K_XL.gguf", ""},
		{"Q4_K_M", []string{"a-UD-Q4_K_M.gguf", "a-Q4_K_M.gguf"}, "a-Q4_K_M.gguf", ""},
		{"", []string{"a-Q4_K_M.gguf", "b-Q4_K_M.gguf"}, "2 models fit: name one of their files after a colon: a-Q4_K_M.gguf, b-Q4_K_M.gguf", ""},
		{"b-Q4_K_M.gguf", []string{"a-Q4_K_M.gguf", "b-Q4_K_M.gguf"}, "b-Q4_K_M.gguf", ""},
		{"", []string{"a-Q4_0-00001-of-00002.gguf", "a-Q4_0-00002-of-00002.gguf"}, "a-Q4_0-00001-of-00002.gguf,a-Q4_0-00002-of-00002.gguf", "Q4_0 is taken"},
		{"", []string{"a-Q4_0-00001-of-00002.gguf"}, "a-Q4_0-00002-of-00002.gguf is missing", ""},
		{"", []string{"mmproj-a-Q4_K_M.gguf", "a.imatrix.gguf"}, "want a repository with GGUF files", ""},
		{"", []string{"config.json", "pytorch_model.bin"}, "its weights are PyTorch's", ""},
		{"", []string{"adapter_config.json", "adapter_model.safetensors"}, "it is an adapter", ""},
		{"", []string{"config.json", "model.safetensors", "merges.txt", "README.md"}, "config.json,merges.txt,model.safetensors", ""},
		{"Q4_0", []string{"config.json", "model.safetensors"}, "the repository has no GGUF file", ""},
		{"README.md", []string{"a-Q4_0.gguf", "README.md"}, `want a GGUF file, found "README.md": one of Q4_0`, ""},
	} {
		n.Tag = c.tag
		choice, err := choose(n, c.files, nil)
		if err != nil {
			require.ErrorContains(t, err, c.want)
			continue
		}
		require.Equal(t, c.want, strings.Join(choice.Files, ","))
		require.Contains(t, choice.Note, c.note)
		require.Equal(t, c.note == "", choice.Note == "")
	}
}

// TestFromEnv: stores are where their programs have them, on each system.
func TestFromEnv(t *testing.T) {
	get := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	home := t.TempDir()
	s := fromEnv(get(map[string]string{"HOME": home}), "linux")
	require.Equal(t, filepath.Join(home, ".cache", "huggingface", "hub"), s.HuggingFace)
	require.Equal(t, filepath.Join(home, ".ollama", "models"), s.Ollama[0])
	require.Equal(t, []string{filepath.Join(home, ".lmstudio", "models"), filepath.Join(home, ".cache", "lm-studio", "models")}, s.LMStudio)
	require.Equal(t, filepath.Join(home, ".cache", "llama.cpp"), s.LlamaCpp)
	require.Equal(t, filepath.Join(home, "Library", "Caches", "llama.cpp"), fromEnv(get(map[string]string{"HOME": home}), "darwin").LlamaCpp)
	require.Equal(t, filepath.Join("L", "llama.cpp"), fromEnv(get(map[string]string{"USERPROFILE": home, "LOCALAPPDATA": "L"}), "windows").LlamaCpp)
	s = fromEnv(get(map[string]string{"HOME": home, "HF_HOME": "H", "OLLAMA_MODELS": "O", "LLAMA_CACHE": "C", "XDG_CACHE_HOME": "X"}), "linux")
	require.Equal(t, Stores{HuggingFace: filepath.Join("H", "hub"), Ollama: []string{"O"}, LMStudio: s.LMStudio, LlamaCpp: "C", Own: filepath.Join("X", "goinfer", "ollama"), State: filepath.Join("X", "goinfer")}, s)
	require.Equal(t, "B", fromEnv(get(map[string]string{"HF_HUB_CACHE": "B", "HF_HOME": "H"}), "linux").HuggingFace)
	put(t, filepath.Join(home, ".lmstudio-home-pointer"), []byte("/elsewhere\n"))
	require.Equal(t, filepath.Join("/elsewhere", "models"), fromEnv(get(map[string]string{"HOME": home}), "linux").LMStudio[0])
	require.Equal(t, Stores{Ollama: []string{""}}, func() Stores { s := fromEnv(get(nil), "windows"); return s }())
	put(t, filepath.Join(home, ".cache", "huggingface", "token"), []byte(" hf_x\n"))
	require.Equal(t, "hf_x", token(get(map[string]string{"HF_HOME": filepath.Join(home, ".cache", "huggingface")})))
	require.Equal(t, "hf_y", token(get(map[string]string{"HF_TOKEN": "hf_y"})))
}

// TestPullOllama fetches from a registry as Ollama's, into a store of our own.
func TestPullOllama(t *testing.T) {
	dir := t.TempDir()
	weights := model(t, 5000)
	layOllama(t, filepath.Join(dir, "registry"), "library/x/1b", map[string][]byte{layerModel: weights, layerParams: []byte(`{"temperature": 1}`)})
	layOllama(t, filepath.Join(dir, "registry"), "library/x/2b", map[string][]byte{layerModel: weights, layerSystem: []byte("Hello.")})
	server := newRegistry(t, filepath.Join(dir, "registry"))
	c := &Client{Registry: server, Stores: Stores{Own: filepath.Join(dir, "own"), State: filepath.Join(dir, "state")}, Backoff: time.Millisecond, Tries: 2, Piece: 4096}
	for _, tag := range []string{"1b", "2b"} {
		e, err := pull(t.Context(), c, "ollama:x:"+tag)
		require.NoError(t, err)
		data, err := os.ReadFile(e.Path)
		require.NoError(t, err)
		require.Equal(t, weights, data)
	}
	_, err := pull(t.Context(), c, "ollama:y")
	require.ErrorContains(t, err, "the registry has no such model")
	// Both have the same weights, and are two models all the same.
	e, err := c.Stores.Find("ollama:x:1b")
	require.NoError(t, err)
	require.True(t, e.Own)
	r, err := c.Stores.PlanRemoval(e)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("x", "1b"), filepath.Join(filepath.Base(filepath.Dir(r.Files[0])), filepath.Base(r.Files[0])))
	_, err = c.Stores.Find("x")
	require.ErrorContains(t, err, `"x" may be one of 2 models`)
	list, err := c.Stores.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.True(t, list[0].Own)
	put(t, filepath.Join(c.Stores.Own, "manifests", ".DS_Store"), []byte("x")) // no manifest
	// The other one spells the digest in another way.
	other := manifestPath(c.Stores.Own, Name{Ollama: true, Owner: "library", Repo: "x", Tag: "2b"})
	data, err := os.ReadFile(other)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(other, bytes.ReplaceAll(data, []byte("sha256:"), []byte("sha256-")), 0o644))
	r, err = c.Stores.PlanRemoval(&list[0])
	require.NoError(t, err)
	require.NotEmpty(t, r.Shared, "the weights are the other one's too")
	require.NoError(t, c.Stores.Remove(r))
	_, err = c.Stores.Find("ollama:x:1b")
	require.ErrorAs(t, err, new(*AbsentError))
	e, err = c.Stores.Find("ollama:x:2b")
	require.NoError(t, err)
	require.Empty(t, e.Damaged)
	list, err = c.Stores.List(t.Context())
	require.NoError(t, err)
	r, err = c.Stores.PlanRemoval(&list[0])
	require.NoError(t, err)
	require.Empty(t, r.Shared)
	require.NoError(t, c.Stores.Remove(r))
	require.NoFileExists(t, e.Path)
	// A layer with other bytes than its name says is refused.
	bad := filepath.Join(dir, "registry", "blobs", "sha256-"+hashOf(weights, true))
	require.NoError(t, os.WriteFile(bad, append([]byte("x"), weights[1:]...), 0o644))
	_, err = pull(t.Context(), c, "ollama:x:1b")
	require.ErrorIs(t, err, errBroken)
}
