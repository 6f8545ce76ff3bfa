package source

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
)

// Override is another value for a key of the metadata. Value is an int64, a float64, a bool or a
// string, and of the kind that the key has in the file. A key that the file lacks is added, which
// is a line in the notes of the open file.
type Override struct {
	Key   string
	Value any
}

// String spells an override as [ParseOverride] reads it.
func (o Override) String() string {
	typ := map[string]string{"int64": "int", "float64": "float", "bool": "bool", "string": "str"}[fmt.Sprintf("%T", o.Value)]
	return fmt.Sprintf("%s=%s:%v", o.Key, typ, o.Value)
}

// nextOverride is where another override begins in a list with commas.
var nextOverride = regexp.MustCompile(`,[A-Za-z0-9_.\-]+=(int|float|bool|str):`)

// ParseOverrides reads overrides as llama.cpp does: KEY=TYPE:VALUE, where TYPE is int, float, bool
// or str, or several of them with commas between.
func ParseOverrides(s string) (list []Override, err error) {
	for s != "" {
		one := s
		if at := nextOverride.FindStringIndex(s); at != nil {
			one, s = s[:at[0]], s[at[0]+1:]
		} else {
			s = ""
		}
		o, err := ParseOverride(one)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// ParseOverride reads one override, KEY=TYPE:VALUE.
func ParseOverride(s string) (Override, error) {
	key, rest, ok1 := strings.Cut(s, "=")
	typ, text, ok2 := strings.Cut(rest, ":")
	if !ok1 || !ok2 || key == "" {
		return Override{}, fmt.Errorf("want KEY=TYPE:VALUE, such as llama.rope.freq_base=float:1e6, found %.100q", s)
	}
	o := Override{Key: key}
	var err error
	want := ""
	switch typ {
	case "int":
		want = "a whole number of 64 bits"
		o.Value, err = strconv.ParseInt(text, 10, 64)
	case "float":
		want = "a finite number"
		var v float64
		if v, err = strconv.ParseFloat(text, 64); math.IsInf(v, 0) || math.IsNaN(v) {
			err = strconv.ErrRange
		}
		o.Value = v
	case "bool":
		want = "true or false"
		switch text {
		case "true":
			o.Value = true
		case "false":
			o.Value = false
		default:
			err = strconv.ErrSyntax
		}
	case "str":
		o.Value = text
	default:
		return Override{}, fmt.Errorf("%.100s: want int, float, bool or str for the type, found %.40q", key, typ)
	}
	if err != nil {
		return Override{}, fmt.Errorf("%.100s: want %s, found %.40q", key, want, text)
	}
	return o, nil
}

// override applies the overrides to an open file.
func (s *Source) override(f *gguf.File) error {
	for _, o := range s.overrides {
		known, err := f.Override(o.Key, o.Value)
		if err != nil {
			return fault.Of(fault.ErrInvalid, err)
		}
		if !known {
			f.AddNote(fmt.Sprintf("the override of %q adds a key: the file has none of that name", o.Key))
		}
	}
	return nil
}
