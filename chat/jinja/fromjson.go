package jinja

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// ParseJSON reads variables from JSON: objects become [*Map] with their keys in order, numbers stay
// as they are written. What comes after the value is an error.
func ParseJSON(data []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON value and nothing after it")
	}
	return v, nil
}

// mustToken reads a token that must be there.
func mustToken(d *json.Decoder) (json.Token, error) {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("JSON is nested too deep")
	}
	t, err := mustToken(d)
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = mustToken(d)
		return list, err
	case json.Delim('{'):
		m := &Map{}
		for d.More() {
			k, err := mustToken(d)
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		_, err = mustToken(d)
		return m, err
	}
	return t, nil
}

// filterFromJSON reads JSON; its strings come from where the text's first byte does.
func filterFromJSON(st *state, v value, _ []value) value {
	t := st.textArg(v)
	st.charge(8 * len(t.s))
	x, err := ParseJSON([]byte(t.s))
	if err != nil {
		st.fail(KindValue, "from_json: %v", err)
	}
	src := FromTemplate
	t.each(0, len(t.s), func(_ string, s Source) { src = max(src, s) })
	return st.fromGo(x, src, 0)
}
