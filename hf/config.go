package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mmap"
	tokens "github.com/goinfer/goinfer/tokenizer/hf"
)

// MaxConfig bounds a file of JSON in bytes, far above any configuration.
const MaxConfig = 16 << 20

// Config is a JSON object of a checkpoint, such as config.json. Of keys that are asked for
// together, the first that is there and not null counts; of a key with a value of another kind than
// is asked for, the first fault sticks in err.
type Config struct {
	path   string // of the file, for errors
	prefix string // of keys in it, such as "rope_scaling."
	values map[string]any
	err    *error
}

// readConfig reads a file of JSON.
func readConfig(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.System(err)
	}
	if info.Size() > MaxConfig {
		return nil, fault.Bad(path, fmt.Errorf("%d bytes: want at most %d", info.Size(), MaxConfig))
	}
	m, err := mmap.Read(path)
	if err != nil {
		return nil, fault.System(err)
	}
	return parseConfig(path, m.Data())
}

// parseConfig reads an object of JSON.
func parseConfig(path string, data []byte) (*Config, error) {
	if len(data) > MaxConfig {
		return nil, fault.Bad(path, fmt.Errorf("%d bytes: want at most %d", len(data), MaxConfig))
	}
	c := &Config{path: path, err: new(error)}
	data = tokens.FiniteJSON(data)
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // integers stay whole
	if err := d.Decode(&c.values); err != nil {
		if _, other := errors.AsType[*json.UnmarshalTypeError](err); !other {
			return nil, fault.Bad(path, err)
		}
		c.values = nil
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 || c.values == nil {
		return nil, fault.Bad(path, errors.New("want one JSON object and nothing else"))
	}
	return c, nil
}

// modelConfig reads config.json of a model. Of one with several parts it is the part about text,
// over what the whole says.
func modelConfig(dir string) (*Config, error) {
	c, err := readConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	return c.text(), *c.err
}

// text is the part about text over the whole.
func (c *Config) text() *Config {
	for _, key := range []string{"text_config", "llm_config", "language_config"} {
		if part, ok := c.values[key].(map[string]any); ok {
			for k, v := range c.values {
				if old, ok := part[k]; !ok || old == nil {
					part[k] = v
				}
			}
			return &Config{path: c.path, values: part, err: c.err}
		}
	}
	return c
}

// find returns the first of the keys that has a value.
func (c *Config) find(keys []string) (key string, v any) {
	for _, key := range keys {
		if v := c.values[key]; v != nil {
			return key, v
		}
	}
	return "", nil
}

func (c *Config) wrong(key, want string, v any) {
	c.Fail("key %q: want %s, found %s", c.prefix+key, want, shown(v))
}

func (c *Config) Fail(format string, args ...any) {
	if *c.err == nil {
		*c.err = fault.Bad(c.path, fmt.Errorf(format, args...))
	}
}

// shown is a value for a message: on one line, and not long.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case map[string]any:
		return "an object"
	case []any:
		return fmt.Sprintf("an array of %d", len(v))
	}
	return fmt.Sprintf("%.40v", v)
}

// quoted is a text from a file for a message: on one line, and not long.
func quoted(s string) string {
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return strconv.Quote(s)
}

// Has reports whether one of the keys has a value.
func (c *Config) Has(keys ...string) bool {
	key, _ := c.find(keys)
	return key != ""
}

// Int reads a whole number from 0 to 2³¹-1. ok is false where there is none.
func (c *Config) Int(keys ...string) (n int, ok bool) {
	key, v := c.find(keys)
	if key == "" {
		return 0, false
	}
	x, isNumber := number(v)
	if !isNumber || x != math.Trunc(x) || x < 0 || x > math.MaxInt32 {
		c.wrong(key, "a whole number from 0 to 2147483647", v)
		return 0, false
	}
	return int(x), true
}

// Must is int where the key is required.
func (c *Config) Must(keys ...string) int {
	n, ok := c.Int(keys...)
	if !ok && !c.Has(keys...) {
		c.Fail("no key %q", c.prefix+keys[0])
	}
	return n
}

// Or is int with a default.
func (c *Config) Or(def int, keys ...string) int {
	if n, ok := c.Int(keys...); ok {
		return n
	}
	return def
}

// Float reads a number that single precision can hold.
func (c *Config) Float(keys ...string) (x float64, ok bool) {
	key, v := c.find(keys)
	if key == "" {
		return 0, false
	}
	x, ok = number(v)
	if !ok || math.Abs(x) > math.MaxFloat32 {
		c.wrong(key, "a number", v)
		return 0, false
	}
	return x, true
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if s := strings.TrimPrefix(n.String(), "-"); s == tokens.Infinite {
		return math.Copysign(math.Inf(1), float64(len(s)-len(n.String()))), true
	}
	x, err := n.Float64()
	return x, err == nil
}

// Floats reads an array of numbers.
func (c *Config) Floats(keys ...string) ([]float64, bool) {
	key, v := c.find(keys)
	if key == "" {
		return nil, false
	}
	list, ok := v.([]any)
	xs := make([]float64, len(list))
	for i := range list {
		x, isNumber := number(list[i])
		xs[i], ok = x, ok && isNumber && math.Abs(x) <= math.MaxFloat32
	}
	if !ok {
		c.wrong(key, "an array of numbers", v)
	}
	return xs, ok
}

// Limits reads two numbers that bound a range and may be infinite.
func (c *Config) Limits(key string) (low, high float64, ok bool) {
	v := c.values[key]
	if v == nil {
		return 0, 0, false
	}
	if list, isList := v.([]any); isList && len(list) == 2 {
		low, okLow := number(list[0])
		high, okHigh := number(list[1])
		if okLow && okHigh {
			return low, high, true
		}
	}
	c.wrong(key, "two numbers", v)
	return 0, 0, false
}

// Texts reads an array of strings.
func (c *Config) Texts(keys ...string) ([]string, bool) {
	key, v := c.find(keys)
	if key == "" {
		return nil, false
	}
	list, ok := v.([]any)
	xs := make([]string, len(list))
	for i := range list {
		x, isText := list[i].(string)
		xs[i], ok = x, ok && isText
	}
	if !ok {
		c.wrong(key, "an array of strings", v)
	}
	return xs, ok
}

// Text reads a string, "" where there is none.
func (c *Config) Text(keys ...string) string {
	key, v := c.find(keys)
	if key == "" {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		c.wrong(key, "a string", v)
	}
	return s
}

// Flag reads a truth, def where there is none.
func (c *Config) Flag(def bool, keys ...string) bool {
	key, v := c.find(keys)
	if key == "" {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.wrong(key, "true or false", v)
		return def
	}
	return b
}

// Object is the object under the first of the keys that has one; it is empty where none has.
func (c *Config) Object(keys ...string) *Config {
	key, v := c.find(keys)
	o := &Config{path: c.path, prefix: c.prefix + key + ".", err: c.err}
	if key == "" {
		return o
	}
	values, ok := v.(map[string]any)
	if !ok {
		c.wrong(key, "an object", v)
	}
	o.values = values
	return o
}
