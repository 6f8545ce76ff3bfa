// Package source answers what is meant by the name of a model: one way for commands, the library
// and servers.
//
// In order of use:
//
//   - [Resolve] finds what a name stands for: the path of a GGUF file (any file of a split
//     model), the folder of a Hugging Face checkpoint, a config.json, an address on a web server,
//     a model that is built in, a known shape, or what other packages have registered names for.
//     [Bytes] and [FS] are for models that have no path, [Path] for paths alone.
//   - A [Source] knows what it is ([Source.Kind]), the files that it consists of ([Source.Files],
//     [Source.Holds]: what no output may overwrite), and opens as a [gguf.File]: [Source.Header]
//     without weights, of which a server is asked for the beginning alone, [Source.Open] whole,
//     [Source.Vocabulary] for the tokens and nothing else.
//   - [Source.With] gives keys of the metadata other values; [ParseOverride] reads them as
//     llama.cpp spells them.
//   - [Register] adds names. As formats of package image do, packages that know models by name
//     register themselves when they are imported: cmd/goinfer/embedded its two small models,
//     study/size the shapes of known ones.
//
// The formats themselves are known to packages gguf and hf.
//
//	s, err := source.Resolve("model-00001-of-00002.gguf")
//	f, err := s.Open(ctx, gguf.Options{})
//	fmt.Println(s.Kind(), s.Files())
//
// Nothing is opened before it is asked for: Resolve looks at names, and asks the file system
// whether there is such a file. Errors name what was looked for. One that says that there is no
// such model is an [UnknownError].
package source
