package goinfer

import "github.com/goinfer/goinfer/hf"

// IsPart reports whether the file at path is one of those that [Open] makes the model at model of,
// or would be if it existed: the GGUF file itself, any file of a split model, and weights,
// configuration and vocabulary in the folder of a checkpoint. A program that writes files refuses
// to write these. Links are followed on both sides.
func IsPart(path, model string) bool { return hf.IsPart(path, model) }
