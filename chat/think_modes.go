package chat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
	"github.com/goinfer/goinfer/internal/fault"
)

// ThinkModes are the values of [Template.Think].
var ThinkModes = []string{"on", "off", "low", "medium", "high"}

// thinkSwitches are variables that switch thinking on and off; those of the second kind, off and
// on.
var thinkSwitches = [2][]string{{"enable_thinking", "thinking"}, {"skip_think", "skip_thinking"}}

// thinkLevels are variables that say how much to think.
var thinkLevels = []string{"reasoning_effort", "thinking_effort", "reasoning_strength"}

// Think returns the variables that make the model think: on, off, or so much. A template that has
// no variable for it gives an error.
func (t *Template) Think(mode string) (*jinja.Map, error) {
	if !slices.Contains(ThinkModes, mode) {
		return nil, fault.Argument("Think", strings.Join(ThinkModes, ", "), fmt.Sprintf("%q", mode))
	}
	v := &jinja.Map{}
	for i, names := range thinkSwitches {
		for _, n := range names {
			if t.Reads(n) {
				v.Set(n, (mode != "off") != (i == 1))
			}
		}
	}
	if t.Reads("thinking_mode") {
		off, on := "chat", "thinking"
		if source := t.code.Source(); strings.Contains(source, "disabled") && strings.Contains(source, "enabled") {
			off, on = "disabled", "enabled"
		}
		v.Set("thinking_mode", map[bool]string{true: off, false: on}[mode == "off"])
	}
	switched := len(v.Keys()) > 0
	leveled := false
	for _, n := range thinkLevels {
		if t.Reads(n) {
			leveled = true
			if mode != "on" && mode != "off" {
				v.Set(n, jinja.Literal(mode))
			}
		}
	}
	level := mode != "on" && mode != "off"
	switch {
	case level && !leveled:
		return nil, fault.Of(fault.ErrUnsupported, fmt.Errorf("%s: the template has no levels of thinking: want on or off", t.code.Name()))
	case mode == "off" && !switched, mode == "on" && !switched && !leveled:
		return nil, fault.Of(fault.ErrUnsupported, fmt.Errorf("%s: the template has no variable to switch thinking %s", t.code.Name(), mode))
	}
	return v, nil
}
