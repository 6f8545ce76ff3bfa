package hub

import (
	"github.com/goinfer/goinfer/source"
)

// A program that imports this package knows the models of all stores by their names.
func init() {
	source.Register(source.Names{What: "downloaded model", Where: "goinfer list", Find: find, List: ShortNames})
}

func find(name string) (*source.Source, error) {
	e, err := FromEnv().Find(name)
	if e == nil || err != nil {
		return nil, err
	}
	s, err := e.Source()
	if err != nil {
		return nil, err
	}
	return s.Named(name, "from "+e.Store), nil
}

// ShortNames lists the short names and the aliases of the models in all stores.
func ShortNames() []string {
	stores := FromEnv()
	entries, _ := stores.scan() // a store that cannot be read has no names
	var names []string
	for _, e := range entries {
		if e.Damaged == "" {
			names = append(names, e.Short)
		}
	}
	aliases, _ := stores.Aliases()
	for a := range aliases {
		names = append(names, a)
	}
	return names
}
