package chat

import (
	"encoding/json"
	"slices"
	"strings"
)

// schema is what is known of the parameters of a tool: the types of each.
type schema struct {
	Properties map[string]property `json:"properties"`
}

type property struct {
	Type any `json:"type"` // a name, or a list of them
}

// readSchema reads the types from a JSON Schema; what it does not understand is any type.
func readSchema(data json.RawMessage) *schema {
	s := &schema{}
	if len(data) > 0 && json.Unmarshal(data, s) != nil {
		return &schema{}
	}
	return s
}

// isText reports whether a parameter is a string and nothing else.
func (s *schema) isText(name string) bool {
	return s != nil && s.Properties[name].Type == "string"
}

// mayBeText reports whether a parameter may be a string: also if nothing is known of it.
func (s *schema) mayBeText(name string) bool {
	if s == nil {
		return true
	}
	switch t := s.Properties[name].Type.(type) {
	case string:
		return t == "string"
	case []any:
		return slices.Contains(t, any("string"))
	}
	return true
}

// jsonValue is a value that was written between tags, as JSON.
func (s *schema) jsonValue(name, text string) string {
	if json.Valid([]byte(text)) && !s.isText(name) {
		return text
	}
	if trimmed := strings.TrimSpace(text); !s.mayBeText(name) || s != nil && s.Properties[name].Type == nil && len(trimmed) > 0 && strings.IndexByte("[{TFN", trimmed[0]) >= 0 {
		lit := literals{str: pythonString, words: pythonWords} // as Python prints them
		if v, n, st := lit.read(trimmed, true, 0); st == works && n == len(trimmed) {
			return v
		}
	}
	return quoteJSON(text)
}

// quoteJSON writes a string as JSON, without escaping for HTML.
func quoteJSON(s string) string { return `"` + escapeJSON(s) + `"` }

// escapeJSON writes what is inside of a JSON string.
func escapeJSON(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\t':
			out = append(out, '\\', 't')
		case c == '\r':
			out = append(out, '\\', 'r')
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
