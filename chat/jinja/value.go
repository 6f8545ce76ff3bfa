package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// A value is one of: nil (none), bool, int64, *big.Int (outside int64), float64, *text, *list,
// *dict, *undefined, *namespace, *generator, *rangeValue, *macro, *function, *method, *loop,
// *cycler.
type value any

// undefined is what a name, a key or an index stands for that is not there.
type undefined struct {
	what string // the message of the error when it is used
	safe bool   // an attribute that the sandbox hides
}

// list is a list, a tuple, or a view of a mapping.
type list struct {
	items []value
	kind  listKind
}

type listKind uint8

const (
	isList listKind = iota
	isTuple
	isItems
	isKeys
	isValues
	isGroup // a tuple (grouper, list), made by groupby
)

var listNames = [...]string{"list", "tuple", "dict_items", "dict_keys", "dict_values", "tuple"}

func newTuple(items ...value) *list { return &list{items: items, kind: isTuple} }

// generator is a sequence that can be read once.
type generator struct{ next func() (value, bool) }

// rangeValue is range(start, stop, step).
type rangeValue struct{ start, stop, step int64 }

func (r *rangeValue) len() int64 {
	switch {
	case r.step > 0 && r.start < r.stop:
		return (r.stop-r.start-1)/r.step + 1
	case r.step < 0 && r.start > r.stop:
		return (r.start-r.stop-1)/-r.step + 1
	}
	return 0
}

// namespace is an object whose attributes can be set.
type namespace struct{ attrs dict }

// dict is a mapping that keeps the order of its keys.
type dict struct {
	entries []entry
	index   map[any]int // from the hash of a key; nil while there are few
}

type entry struct {
	key, value value
	hash       any
}

const smallDict = 8

// tupleHash is the hash of a tuple: its elements, printed.
type tupleHash string

// hashOf returns something comparable that is equal for equal keys.
func hashOf(v value) (any, bool) {
	switch x := v.(type) {
	case nil:
		return nil, true
	case *text:
		return x.s, true
	case bool:
		if x {
			return int64(1), true
		}
		return int64(0), true
	case int64:
		return x, true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<62 {
			return int64(x), true
		}
		return x, true
	case *big.Int:
		return tupleHash(x.String()), true
	case *undefined:
		return tupleHash("undefined"), true
	case *list:
		var b strings.Builder
		if !hashTuple(&b, x, 0) {
			return nil, false
		}
		return tupleHash(b.String()), true
	case *dict, *namespace, *generator:
		return nil, false
	}
	return v, true // a pointer
}

// hashTuple writes the elements of a tuple as one string. Very large tuples have no hash.
func hashTuple(b *strings.Builder, l *list, depth int) bool {
	if l.kind != isTuple && l.kind != isGroup || depth > 10 || len(l.items) > 1000 {
		return false
	}
	for _, e := range l.items {
		if t, ok := e.(*text); ok && len(t.s) > 1<<16 {
			return false
		}
		if inner, ok := e.(*list); ok {
			b.WriteByte('(')
			if !hashTuple(b, inner, depth+1) {
				return false
			}
			b.WriteByte(')')
			continue
		}
		h, ok := hashOf(e)
		if !ok || b.Len() > 1<<16 {
			return false
		}
		fmt.Fprintf(b, "%T:%v,", h, h)
	}
	return true
}

func (d *dict) find(hash any) int {
	if d.index != nil {
		if i, ok := d.index[hash]; ok {
			return i
		}
		return -1
	}
	for i := range d.entries {
		if d.entries[i].hash == hash {
			return i
		}
	}
	return -1
}

// get returns the value of a key that is a string.
func (d *dict) get(key string) (value, bool) {
	if i := d.find(key); i >= 0 {
		return d.entries[i].value, true
	}
	return nil, false
}

// set sets the value of a key with a hash.
func (d *dict) set(key, v value, hash any) {
	if i := d.find(hash); i >= 0 {
		d.entries[i].value = v
		return
	}
	d.entries = append(d.entries, entry{key, v, hash})
	switch {
	case d.index != nil:
		d.index[hash] = len(d.entries) - 1
	case len(d.entries) > smallDict:
		d.reindex()
	}
}

func (d *dict) setText(key string, v value) { d.set(lit(key), v, key) }

func (d *dict) reindex() {
	d.index = nil
	if len(d.entries) > smallDict {
		d.index = make(map[any]int, 2*len(d.entries))
		for i := range d.entries {
			d.index[d.entries[i].hash] = i
		}
	}
}

func (d *dict) remove(i int) {
	d.entries = append(d.entries[:i], d.entries[i+1:]...)
	d.reindex()
}

func (d *dict) keys() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = d.entries[i].key
	}
	return out
}

func (d *dict) values() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = d.entries[i].value
	}
	return out
}

func (d *dict) items() []value {
	out := make([]value, len(d.entries))
	for i := range d.entries {
		out[i] = newTuple(d.entries[i].key, d.entries[i].value)
	}
	return out
}

func (d *dict) clone() *dict {
	c := &dict{entries: append([]entry(nil), d.entries...)}
	c.reindex()
	return c
}

// A Map is an object of the variables: keys in order. The zero Map is empty.
type Map struct {
	keys   []string
	values map[string]any
	src    Source
}

// From sets the source of the object's keys and of all strings inside that have none of their own;
// by default they are from where the object around is.
func (m *Map) From(src Source) *Map {
	m.src = src
	return m
}

// Set sets a key. Values are nil, bool, Go's integers and floats, [json.Number], *[big.Int],
// string, [Literal], [Sourced], [Text], []any, []string, *Map and map[string]any, whose keys are
// sorted.
func (m *Map) Set(key string, v any) *Map {
	if m.values == nil {
		m.values = map[string]any{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = v
	return m
}

// Get returns the value of a key.
func (m *Map) Get(key string) (any, bool) {
	v, ok := m.values[key]
	return v, ok
}

// Delete removes a key.
func (m *Map) Delete(key string) {
	if _, ok := m.values[key]; !ok {
		return
	}
	delete(m.values, key)
	for i, k := range m.keys {
		if k == key {
			m.keys = append(m.keys[:i:i], m.keys[i+1:]...)
			return
		}
	}
}

// Keys returns the keys in order.
func (m *Map) Keys() []string { return m.keys }

// Clone returns a copy whose values are the same.
func (m *Map) Clone() *Map {
	c := &Map{src: m.src}
	for _, k := range m.keys {
		c.Set(k, m.values[k])
	}
	return c
}

// maxDepth bounds how deep values may be nested in each other, and how deep they are looked into.
const maxDepth = 400

// fromGo converts a variable to a value. Strings come from src.
func (st *state) fromGo(v any, src Source, depth int) value {
	st.step(1)
	if depth > maxDepth {
		st.fail(KindLimit, "variables are nested more than %d deep", maxDepth)
	}
	switch x := v.(type) {
	case nil, bool, int64, float64:
		return x
	case int:
		return int64(x)
	case int32:
		return int64(x)
	case uint32:
		return int64(x)
	case uint64:
		return shrink(new(big.Int).SetUint64(x))
	case float32:
		return float64(x)
	case *big.Int:
		return shrink(new(big.Int).Set(x))
	case json.Number:
		return st.number(string(x))
	case string:
		return st.inputText(x, src)
	case Literal:
		return st.inputText(string(x), FromTemplate)
	case Sourced:
		return st.inputText(x.Text, x.Source)
	case Text:
		return &x.t
	case []any:
		l := &list{items: make([]value, len(x))}
		for i, e := range x {
			l.items[i] = st.fromGo(e, src, depth+1)
		}
		return l
	case []string:
		l := &list{items: make([]value, len(x))}
		for i, e := range x {
			l.items[i] = st.inputText(e, src)
		}
		return l
	case *Map:
		if x.src != 0 {
			src = x.src
		}
		d := &dict{entries: make([]entry, 0, len(x.keys))}
		for _, k := range x.keys {
			d.set(st.inputText(k, src), st.fromGo(x.values[k], src, depth+1), k)
		}
		return d
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		d := &dict{}
		for _, k := range keys {
			d.set(st.inputText(k, src), st.fromGo(x[k], src, depth+1), k)
		}
		return d
	}
	st.fail(KindType, "a variable of the Go type %T: want a string, number, bool, list or Map", v)
	return nil
}

func (st *state) inputText(s string, src Source) *text {
	return &text{s: strings.ToValidUTF8(s, "\uFFFD"), src: src}
}

// number reads a number as JSON and Python write it.
func (st *state) number(s string) value {
	if !strings.ContainsAny(s, ".eEnN") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if len(s) < 5000 {
			if b, ok := new(big.Int).SetString(s, 10); ok {
				return b
			}
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		st.fail(KindValue, "%s is no number", quote(s))
	}
	return f
}

// quote is a text for a message, on one line and not long.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}

// shrink returns an int64 where the number fits.
func shrink(b *big.Int) value {
	if b.IsInt64() {
		return b.Int64()
	}
	return b
}

// typeName is Python's name of a value's type.
func typeName(v value) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case *text:
		return "str"
	case *list:
		return listNames[x.kind]
	case *dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *generator:
		return "generator"
	case *rangeValue:
		return "range"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *function:
		return "function"
	}
	return "builtin_function_or_method"
}
