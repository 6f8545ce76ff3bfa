package embedded

import "github.com/goinfer/goinfer/source"

// A program that imports this package knows the models by their names.
func init() {
	source.Register(source.Names{What: "built-in model", First: true, Find: find, List: Names})
}

func find(name string) (*source.Source, error) {
	data := Model(name)
	if data == nil {
		return nil, nil
	}
	return source.Bytes(name, data).Named(name, "built in"), nil
}
