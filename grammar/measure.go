package grammar

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/goinfer/goinfer/grammar/automaton"
	"github.com/goinfer/goinfer/grammar/jsonschema"
	"github.com/goinfer/goinfer/sample"
)

// A Case is a schema with instances, as a line of MaskBench has them.
type Case struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Tests  []Instance      `json:"tests"`
}

// An Instance is a JSON value that a schema should accept or not.
type Instance struct {
	Description string          `json:"description"`
	Valid       bool            `json:"valid"`
	Data        json.RawMessage `json:"data"`
}

// ReadCases calls f for each line of a file of cases until f returns an error.
func ReadCases(r io.Reader, f func(Case) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var c Case
			if err := json.Unmarshal(line, &c); err != nil {
				return fmt.Errorf("line %d: want a schema with tests: %w", n, err)
			}
			if err := f(c); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A Report is what [Measure] finds out about one case.
type Report struct {
	Name          string
	Refused       *jsonschema.Error // why the schema was not compiled; nil if it was
	Err           error             // another reason
	Compile       time.Duration
	Masks         []time.Duration // of each token
	ValidRejected []string        // descriptions of instances that came out wrong
	Accepted      []string        // invalid ones that were accepted
	Valid, Wrong  int             // how many there were of each kind, where the schema compiled
}

// Passing reports whether the schema compiled and all instances came out right.
func (r *Report) Passing() bool {
	return r.Err == nil && len(r.ValidRejected) == 0 && len(r.Accepted) == 0
}

// An Encoder makes tokens of text. tokenizer.Tokenizer is one.
type Encoder interface {
	Encode(dst []int32, text string, addSpecial, parseSpecial bool) []int32
}

var started = time.Now()

// now is the clock of measurements; tests on a busy machine replace it by the processor's time.
var now = func() time.Duration { return time.Since(started) }

// Measure compiles the schema of a case and walks its instances token by token, as MaskBench does.
func Measure(v *Vocabulary, enc Encoder, c Case, opts Options) Report {
	r := Report{Name: c.Name}
	began := now()
	constraint, err := Schema(c.Schema, opts)
	if err != nil {
		r.Err = err
		errors.As(err, &r.Refused)
		return r
	}
	g, err := constraint.Grammar(v)
	if err != nil {
		r.Err = err
		return r
	}
	m := g.NewMatcher()
	mask := sample.NewBitset(v.tokens.Size())
	m.Mask(mask)
	r.Compile = now() - began
	for i, t := range c.Tests {
		if i > 0 {
			m = g.NewMatcher()
		}
		ok := walk(m, enc.Encode(nil, Dumps(t.Data), false, false), mask, &r.Masks)
		name := fmt.Sprintf("%d %s", i, t.Description)
		if t.Valid {
			r.Valid++
			if !ok {
				r.ValidRejected = append(r.ValidRejected, name)
			}
		} else {
			r.Wrong++
			if ok {
				r.Accepted = append(r.Accepted, name)
			}
		}
	}
	return r
}

// MeasureLeast measures a case several times, each time from its text, and keeps the least times.
func MeasureLeast(v *Vocabulary, enc Encoder, c Case, opts Options, runs int) Report {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := Measure(v, enc, c, opts)
	for range runs - 1 {
		r := Measure(v, enc, c, opts)
		out.Compile = min(out.Compile, r.Compile)
		for i := range min(len(out.Masks), len(r.Masks)) {
			out.Masks[i] = min(out.Masks[i], r.Masks[i])
		}
	}
	return out
}

// walk reports whether the tokens are allowed one by one, and the end after them.
func walk(m sample.Matcher, ids []int32, mask sample.Bitset, times *[]time.Duration) bool {
	for _, id := range ids {
		began := now()
		m.Mask(mask)
		*times = append(*times, now()-began)
		if !mask.Has(id) || m.Accept(id) != nil {
			return false
		}
	}
	return m.Done()
}

// Dumps writes a JSON value as Python's json.dumps does by default: ", " and ": " between parts,
// and nothing but ASCII.
func Dumps(data json.RawMessage) string {
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := dump(&b, d); err != nil {
		return string(data)
	}
	return b.String()
}

func dump(b *strings.Builder, d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		object := t == '{'
		b.WriteRune(rune(t))
		for first := true; d.More(); first = false {
			if !first {
				b.WriteString(", ")
			}
			if object {
				if err := dump(b, d); err != nil {
					return err
				}
				b.WriteString(": ")
			}
			if err := dump(b, d); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		b.WriteRune(rune(end.(json.Delim)))
	case string:
		dumpString(b, t)
	case json.Number:
		b.WriteString(pythonNumber(string(t)))
	case bool:
		fmt.Fprint(b, t)
	default:
		b.WriteString("null")
	}
	return nil
}

func dumpString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteByte('\\')
			b.WriteByte("bfnrt"[strings.IndexRune("\b\f\n\r\t", r)])
		case r < 0x20 || r > 0x7f:
			if r > 0xffff {
				hi, lo := utf16.EncodeRune(r)
				fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
			} else {
				fmt.Fprintf(b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// pythonNumber writes an integer as it is and another number as Python writes a float.
func pythonNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	out := strconv.FormatFloat(f, 'e', -1, 64)
	_, exp, _ := strings.Cut(out, "e")
	if e, err := strconv.Atoi(exp); err == nil && e >= -4 && e < 16 {
		out = strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(out, ".") {
			out += ".0"
		}
	}
	return out
}

// A Summary counts over reports.
type Summary struct {
	Schemas         int            `json:"schemas"`
	Compiled        int            `json:"compiled"`
	Passing         int            `json:"passing"`
	Invalid         int            `json:"invalid"`
	InvalidAccepted int            `json:"invalid_accepted"`
	Valid           int            `json:"valid"`
	ValidRejected   int            `json:"valid_rejected"`
	Masks           int            `json:"masks"`
	MaskMean        float64        `json:"mask_us_mean"`
	MaskP99         float64        `json:"mask_us_p99"`
	MaskMax         float64        `json:"mask_us_max"`
	CompileP50      float64        `json:"compile_us_p50"`
	CompileP99      float64        `json:"compile_us_p99"`
	CompileMax      float64        `json:"compile_us_max"`
	TriePass        float64        `json:"trie_pass_us"`
	Refused         map[string]int `json:"refused"`
	CPU             string         `json:"cpu,omitempty"`
}

// RefusedKeys lists what was refused, the most frequent first.
func (s *Summary) RefusedKeys() []string {
	keys := slices.Sorted(maps.Keys(s.Refused))
	slices.SortStableFunc(keys, func(a, b string) int { return s.Refused[b] - s.Refused[a] })
	return keys
}

// Faults lists what was refused or came out wrong, a line each.
func (r *Report) Faults() []string {
	var out []string
	if r.Err != nil {
		out = append(out, fmt.Sprintf("refused  %s: %v", r.Name, r.Err))
	}
	for _, d := range r.ValidRejected {
		out = append(out, fmt.Sprintf("rejected %s: instance %s", r.Name, d))
	}
	for _, d := range r.Accepted {
		out = append(out, fmt.Sprintf("accepted %s: instance %s", r.Name, d))
	}
	return out
}

// Summarise counts over the reports of a file.
func Summarise(v *Vocabulary, reports []Report) Summary {
	s := Summary{Schemas: len(reports), Refused: map[string]int{}}
	var masks, compiles []float64
	for _, r := range reports {
		if r.Err != nil {
			key := r.Err.Error()
			if r.Refused != nil {
				if key = r.Refused.Keyword; key == "" {
					key = r.Refused.Reason
				}
			}
			s.Refused[key]++
			continue
		}
		s.Compiled++
		if r.Passing() {
			s.Passing++
		}
		s.Invalid += r.Wrong
		s.Valid += r.Valid
		s.InvalidAccepted += len(r.Accepted)
		s.ValidRejected += len(r.ValidRejected)
		compiles = append(compiles, micro(r.Compile))
		for _, m := range r.Masks {
			masks = append(masks, micro(m))
		}
	}
	slices.Sort(masks)
	slices.Sort(compiles)
	s.Masks = len(masks)
	for _, m := range masks {
		s.MaskMean += m / float64(len(masks))
	}
	s.MaskP99, s.MaskMax = quantile(masks, 0.99), quantile(masks, 1)
	s.CompileP50, s.CompileP99, s.CompileMax = quantile(compiles, 0.5), quantile(compiles, 0.99), quantile(compiles, 1)
	s.TriePass = micro(v.pass())
	return s
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// pass times one walk over the whole trie, with an automaton that allows every text: the yardstick
// for masks. It is the least of three.
func (v *Vocabulary) pass() time.Duration {
	least := time.Duration(1 << 62)
	for range 3 {
		began := now()
		automaton.NewWalker(v.v).Mask(automaton.Config{Top: automaton.Anything()}, v.v.NewBits())
		least = min(least, now()-began)
	}
	return least
}
