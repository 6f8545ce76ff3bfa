// Package hub finds models that other programs have downloaded, and downloads models itself.
//
// In order of use:
//
//   - A program that imports this package has the names of models in all stores known to
//     source.Resolve, and with it to goinfer.Open: hf.co/OWNER/REPO[:QUANT|:FILE][@REVISION],
//     ollama:NAME[:TAG], short names and aliases. Models run in place, without a copy.
//   - [Stores] are the places where models are: the cache of Hugging Face's tools, the stores of
//     Ollama, LM Studio and llama.cpp, and a folder of this program's own in Ollama's layout. They
//     are read and never written, but for what Pull adds. [Stores.List] is what is in them.
//   - [ParseName] reads a name, [Stores.Find] looks it up without a network.
//   - A [Client] downloads: [Client.Plan] asks what is to be fetched, [Client.Pull] fetches it, by
//     several ranges at once, resumed after an interruption of any kind, and checked by its hash
//     before it gets its final name.
//   - [Stores.Remove] removes what Pull has fetched. [Aliases] are further names, in a small file.
//
// The cache of Hugging Face's tools is described at https://huggingface.co/docs/hub/local-cache.
// Pull adds to it as huggingface_hub does, under the same locks, so that both share what either
// has.
//
// No function of this package uses the network but those of Client.
package hub
