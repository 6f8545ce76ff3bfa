package hf

// FamilyNames are the name in GGUF of every family and those of its classes.
func FamilyNames() (names [][]string) {
	for i := range families {
		f := &families[i]
		row := []string{f.arch}
		for _, name := range f.is {
			if name[0] < 'a' {
				row = append(row, name)
			}
		}
		names = append(names, row)
	}
	return names
}
