package chat

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goinfer/goinfer/internal/fault"
)

// ParseTools reads a list of tools as OpenAI's API has them: objects with type "function" and
// function, or the functions themselves; a single one counts as a list.
func ParseTools(data []byte) ([]Tool, error) {
	var list []json.RawMessage
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '{' {
		list = []json.RawMessage{data}
	} else if err := json.Unmarshal(data, &list); err != nil {
		return nil, fault.Of(fault.ErrInvalid, fmt.Errorf("want a JSON list of tools: %w", err))
	}
	type function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		InputSchema json.RawMessage `json:"input_schema"`
	}
	var tools []Tool
	for i, raw := range list {
		var t struct {
			Type     string    `json:"type"`
			Function *function `json:"function"`
			function
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, fault.Of(fault.ErrInvalid, fmt.Errorf("tool %d: %w", i, err))
		}
		if t.Type != "" && t.Type != "function" && t.Type != "custom" {
			return nil, fault.Of(fault.ErrUnsupported, fmt.Errorf("tool %d: the type %q: want function", i, t.Type))
		}
		f := &t.function
		if t.Function != nil {
			f = t.Function
		}
		if f.Parameters == nil {
			f.Parameters = f.InputSchema
		}
		if string(f.Parameters) == "null" {
			f.Parameters = nil
		}
		if f.Name == "" {
			return nil, fault.Argument(fmt.Sprintf("Tools[%d].Name", i), "a name", "none")
		}
		tools = append(tools, Tool{Name: f.Name, Description: f.Description, Parameters: f.Parameters})
	}
	return tools, nil
}
