// Package embedded holds the models that are built into the command: whole GGUF files, so that they go through the same door as any other; and a text to measure them on.
//
// [MODELCARD.md] says what they are. The program in gen makes the files.
//
// [MODELCARD.md]: https://github.com/goinfer/goinfer/blob/main/cmd/goinfer/embedded/MODELCARD.md
package embedded

import (
	_ "embed" // for the directives below
	"slices"
)

//go:generate go run ./gen

//go:embed tiny-dense-q8_0.gguf
var dense []byte

//go:embed tiny-moe-q8_0.gguf
var moe []byte

// Text is what the models were not trained on: of books for children, of generated stories and facts. They are of the same kinds of text.
//
//go:embed valid.txt
var Text string

// Card is the model card, in Markdown.
//
//go:embed MODELCARD.md
var Card string

// Default is the name of the model that serves where none is named.
const Default = "tiny-dense"

var names = []string{Default, "tiny-moe"}

// Names lists the models.
func Names() []string { return slices.Clone(names) }

// Model returns the GGUF file of a model, which must not be changed, or nil for a name that is not one of Names.
func Model(name string) []byte {
	switch name {
	case "tiny-dense":
		return dense
	case "tiny-moe":
		return moe
	}
	return nil
}
