// Package arch holds the architectures, one file each, and the table that finds them by the name in a file's general.architecture.
//
// An architecture is a builder, which takes its parts by name and shape from model.Weights, and a type with State, Forward and Logits. It branches on
// its configuration and its layer number only and never touches an element, so that one Forward serves to run, to measure memory, and
// to be observed. Begin with llama.go.
package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/model"
)

var builders = map[string]func(*model.Weights) (model.Model, error){
	"llama": newLlama,
}

// Names lists the architectures.
func Names() []string { return slices.Sorted(maps.Keys(builders)) }

// Build makes the model that the configuration of w names.
func Build(w *model.Weights) (model.Model, error) {
	name := w.Config().Arch
	if err := Check(name); err != nil {
		return nil, err
	}
	return builders[name](w)
}

// Check returns an error that names what is supported if there is no architecture of that name.
func Check(name string) error {
	if builders[name] == nil {
		return fmt.Errorf("arch: %w architecture %.60q: supported are %s", model.ErrUnsupported, name, strings.Join(Names(), ", "))
	}
	return nil
}
