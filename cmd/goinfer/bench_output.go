package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/size"
)

// benchOutput writes results as they come.
type benchOutput interface {
	row(*bench.Result) error
	end() error // of what was begun
}

func newBenchOutput(format benchFormat, out io.Writer, f *benchFlags) benchOutput {
	switch format {
	case "csv":
		return &csvOutput{w: csv.NewWriter(out)}
	case "json":
		return &jsonOutput{out: out}
	case "jsonl":
		return linesOutput{out}
	case "benchstat":
		return &benchstatOutput{out: out}
	}
	return &tableOutput{out: out, columns: f.columns()}
}

// jsonOutput writes an array.
type jsonOutput struct {
	out   io.Writer
	begun bool
}

func (o *jsonOutput) row(r *bench.Result) error {
	data, err := json.MarshalIndent(r, "  ", "  ")
	if err != nil {
		return err
	}
	before := ",\n  "
	if !o.begun {
		before = "[\n  "
	}
	o.begun = true
	_, err = fmt.Fprintf(o.out, "%s%s", before, data)
	return err
}

func (o *jsonOutput) end() error {
	if !o.begun {
		return nil
	}
	_, err := io.WriteString(o.out, "\n]\n")
	return err
}

// linesOutput writes an object per line.
type linesOutput struct{ out io.Writer }

func (o linesOutput) row(r *bench.Result) error { return json.NewEncoder(o.out).Encode(r) }
func (o linesOutput) end() error                { return nil }

// csvOutput writes what is no list, under the keys of JSON; those of objects follow their own key
// and a dot.
type csvOutput struct {
	w     *csv.Writer
	begun bool
}

func (o *csvOutput) row(r *bench.Result) error {
	if !o.begun {
		if err := o.w.Write(csvKeys(reflect.TypeFor[bench.Result](), "")); err != nil {
			return err
		}
	}
	o.begun = true
	if err := o.w.Write(csvValues(reflect.ValueOf(*r), reflect.TypeFor[bench.Result]())); err != nil {
		return err
	}
	o.w.Flush()
	return o.w.Error()
}

func (o *csvOutput) end() error { return nil }

// csvFields yields the fields of a struct with their keys; inner is the struct in a field that
// holds one.
func csvFields(t reflect.Type, yield func(i int, key string, omitEmpty bool, inner reflect.Type)) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case inner.Kind() == reflect.Slice || !f.IsExported():
		case inner.Kind() == reflect.Struct:
			yield(i, key, false, inner)
		default:
			yield(i, key, options == "omitempty", nil)
		}
	}
}

func csvKeys(t reflect.Type, prefix string) []string {
	var keys []string
	csvFields(t, func(_ int, key string, _ bool, inner reflect.Type) {
		switch {
		case inner == nil:
			keys = append(keys, prefix+key)
		case key == "": // embedded
			keys = append(keys, csvKeys(inner, prefix)...)
		default:
			keys = append(keys, csvKeys(inner, prefix+key+".")...)
		}
	})
	return keys
}

// csvValues are the values of v, a struct of type t or nothing; what is not known is empty.
func csvValues(v reflect.Value, t reflect.Type) []string {
	var values []string
	csvFields(t, func(i int, _ string, omitEmpty bool, inner reflect.Type) {
		var field reflect.Value
		if v.IsValid() {
			field = v.Field(i)
		}
		if field.IsValid() && field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch {
		case inner != nil:
			values = append(values, csvValues(field, inner)...)
		case !field.IsValid() || omitEmpty && field.IsZero():
			values = append(values, "")
		default:
			values = append(values, fmt.Sprint(field.Interface()))
		}
	})
	return values
}

// benchstatOutput writes what go test -bench would, a line for each repetition; an operation is a
// token.
type benchstatOutput struct {
	out   io.Writer
	begun bool
}

func (o *benchstatOutput) row(r *bench.Result) error {
	var b strings.Builder
	if !o.begun {
		fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/goinfer/goinfer\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, printable(r.CPUInfo))
	}
	o.begun = true
	t := r.Test()
	name := benchstatName(filepath.Base(r.ModelFilename)) + "/" + strings.ReplaceAll(t.String(), " ", "")
	if r.TypeK != "f16" || r.TypeV != "f16" {
		name += "/" + r.TypeK + "-" + r.TypeV
	}
	tokens := max(1, t.Parallel) * (t.Prompt + t.Gen)
	lines := func(engine string, ns []int64, ts []float64, further string) {
		for i := range ns {
			fmt.Fprintf(&b, "BenchmarkModel/%s%s-%d\t%d\t%.0f ns/op\t%.3f tok/s%s\n", name, engine, r.NThreads, tokens, float64(ns[i])/float64(tokens), ts[i], further)
		}
	}
	further := ""
	for _, m := range []struct {
		value float64
		unit  string
	}{{r.GBs, "GB/s"}, {100 * r.BandwidthFraction, "%bandwidth"}, {100 * r.PeakFraction, "%peak"}, {float64(r.FirstNs), "ns-to-first-token"}, {float64(r.PeakRSS), "peak-rss-B"}} {
		if m.value > 0 {
			further += fmt.Sprintf("\t%.6g %s", m.value, m.unit)
		}
	}
	if r.Baseline == nil {
		lines("", r.SamplesNs, r.SamplesTs, further)
	} else {
		lines("/engine=goinfer", r.SamplesNs, r.SamplesTs, further)
		lines("/engine="+benchstatName(filepath.Base(r.Baseline.Program)), r.Baseline.SamplesNs, r.Baseline.SamplesTs, "")
	}
	_, err := io.WriteString(o.out, b.String())
	return err
}

func (o *benchstatOutput) end() error { return nil }

// benchstatName is a part of a benchmark's name: white space and separators would end it.
func benchstatName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '/' {
			return '_'
		}
		return r
	}, printable(s))
}

// tableOutput writes a table in Markdown, with columns wide enough for what mostly stands in them.
type tableOutput struct {
	out     io.Writer
	columns []column
	last    *bench.Result
	busy    []string // the rows during which other programs took too much, and what
}

// column is one of a table. text is its value; left says that it is no number.
type column struct {
	name  string
	width int
	left  bool
	text  func(*bench.Result) string
}

func (o *tableOutput) row(r *bench.Result) error {
	var b strings.Builder
	cells := func(cell func(c column) string) {
		for _, c := range o.columns {
			width := max(c.width, len(c.name))
			if c.left {
				width = -width
			}
			fmt.Fprintf(&b, "| %*s ", width, cell(c))
		}
		b.WriteString("|\n")
	}
	if o.last == nil {
		cells(func(c column) string { return c.name })
		cells(func(c column) string {
			dashes := strings.Repeat("-", max(c.width, len(c.name))-1)
			if c.left {
				return dashes + "-"
			}
			return dashes + ":"
		})
	}
	cells(func(c column) string { return c.text(r) })
	o.last = r
	if r.Load.Busy() {
		o.busy = append(o.busy, fmt.Sprintf("not measurable: %s (%s, %s)", r.Load, r.Test(), printable(filepath.Base(r.ModelFilename))))
	}
	_, err := io.WriteString(o.out, b.String())
	return err
}

// end writes what all rows have in common.
func (o *tableOutput) end() error {
	if o.last == nil {
		return nil
	}
	build := o.last.BuildCommit
	if build == "" {
		build = "unknown"
	}
	_, err := fmt.Fprintf(o.out, "\nbuild: %s, kernels %s on %s\n", build, o.last.Kernels, printable(orUnknown(o.last.CPUInfo)))
	for _, busy := range o.busy {
		if err == nil {
			_, err = fmt.Fprintln(o.out, busy)
		}
	}
	if a := o.last.Baseline; err == nil && a != nil {
		_, err = fmt.Fprintf(o.out, "against: %s %s; ratios are goinfer's speed over its, with a 95 %% interval\n", printable(a.Program), printable(a.BuildCommit))
	}
	return err
}

// columns are those of llama-bench, or of llama-batched-bench for several sequences, those that
// differ from their defaults among them, and what is known besides.
func (f *benchFlags) columns() []column {
	number := func(n func(*bench.Result) int) func(*bench.Result) string {
		return func(r *bench.Result) string { return strconv.Itoa(n(r)) }
	}
	named := func(r *bench.Result) string {
		if len(f.models) > 1 || len(f.levels) > 1 {
			return printable(strings.TrimSuffix(filepath.Base(r.ModelFilename), ".gguf"))
		}
		return r.ModelType
	}
	cs := []column{
		{"model", 24, true, named},
		{"size", 10, false, func(r *bench.Result) string { return goinfer.Bytes(r.ModelSize) }},
		{"params", 8, false, func(r *bench.Result) string { return size.FormatCount(r.ModelNParams) }},
		{"threads", 7, false, number(func(r *bench.Result) int { return r.NThreads })},
	}
	if f.batch.set {
		cs = append(cs, column{"n_batch", 7, false, number(func(r *bench.Result) int { return r.NBatch })})
	}
	if f.ubatch.set {
		cs = append(cs, column{"n_ubatch", 8, false, number(func(r *bench.Result) int { return r.NUbatch })})
	}
	if f.k.set {
		cs = append(cs, column{"type_k", 6, true, func(r *bench.Result) string { return r.TypeK }})
	}
	if f.v.set {
		cs = append(cs, column{"type_v", 6, true, func(r *bench.Result) string { return r.TypeV }})
	}
	if len(f.parallel.values) > 0 {
		cs = append(cs, batchedColumns(f.against != "")...)
	} else {
		cs = append(cs, testColumns(f.against != "")...)
	}
	if !f.noProbe {
		cs = append(cs,
			column{"of peak", 7, false, func(r *bench.Result) string { return percent(r.PeakFraction) }},
			column{"GB/s", 6, false, func(r *bench.Result) string { return known(r.GBs, "%.1f") }},
			column{"of bandwidth", 16, false, func(r *bench.Result) string {
				switch {
				case r.BandwidthFraction == 0:
					return ""
				case r.BandwidthFraction > 1: // weights that stay in the processor's caches
					return "in the cache"
				}
				return fmt.Sprintf("%s of %.1f", percent(r.BandwidthFraction), r.BandwidthGBs)
			}})
	}
	return append(cs,
		column{"TTFT ms", 8, false, func(r *bench.Result) string { return known(float64(r.FirstNs)/1e6, "%.1f") }},
		column{"peak RSS", 9, false, func(r *bench.Result) string {
			if r.PeakRSS == 0 {
				return ""
			}
			return goinfer.Bytes(r.PeakRSS)
		}})
}

// testColumns show a test as llama-bench does.
func testColumns(against bool) []column {
	cs := []column{
		{"test", 15, false, func(r *bench.Result) string { return r.Test().String() }},
		{"t/s", 17, false, func(r *bench.Result) string { return fmt.Sprintf("%.2f ± %.2f", r.AvgTs, r.StddevTs) }},
	}
	if against {
		cs = append(cs,
			column{"its t/s", 17, false, func(r *bench.Result) string {
				return fmt.Sprintf("%.2f ± %.2f", r.Baseline.AvgTs, r.Baseline.StddevTs)
			}},
			column{"ratio", 16, false, func(r *bench.Result) string { return ratioText(r.Baseline.Ratio) }})
	}
	return cs
}

// batchedColumns show a test as llama-batched-bench does.
func batchedColumns(against bool) []column {
	count := func(name string, n func(t bench.Test) int) column {
		return column{name, 4, false, func(r *bench.Result) string { return strconv.Itoa(n(r.Test())) }}
	}
	cs := []column{
		count("PP", func(t bench.Test) int { return t.Prompt }),
		count("TG", func(t bench.Test) int { return t.Gen }),
		count("B", func(t bench.Test) int { return t.Parallel }),
		count("N_KV", func(t bench.Test) int { return t.Parallel * (t.Prompt + t.Gen) }),
	}
	phase := func(name string, of func(r *bench.Result) *bench.Phase, baseline func(a *bench.BaselineResult) *bench.BaselinePhase) {
		cs = append(cs,
			column{"T_" + name + " s", 8, false, func(r *bench.Result) string { return phaseSeconds(of(r)) }},
			column{"S_" + name + " t/s", 8, false, func(r *bench.Result) string { return phaseSpeed(of(r)) }})
		if against {
			cs = append(cs,
				column{"its S_" + name, 8, false, func(r *bench.Result) string {
					if p := baseline(r.Baseline); p != nil {
						return phaseSpeed(&p.Phase)
					}
					return ""
				}},
				column{"ratio", 16, false, func(r *bench.Result) string {
					if p := baseline(r.Baseline); p != nil {
						return ratioText(p.Ratio)
					}
					return ""
				}})
		}
	}
	phase("PP", func(r *bench.Result) *bench.Phase { return r.Prompt }, func(a *bench.BaselineResult) *bench.BaselinePhase { return a.Prompt })
	phase("TG", func(r *bench.Result) *bench.Phase { return r.Gen }, func(a *bench.BaselineResult) *bench.BaselinePhase { return a.Gen })
	return append(cs,
		column{"T s", 8, false, func(r *bench.Result) string { return fmt.Sprintf("%.3f", float64(r.AvgNs)/1e9) }},
		column{"S t/s", 8, false, func(r *bench.Result) string { return fmt.Sprintf("%.2f", r.AvgTs) }})
}

func phaseSeconds(p *bench.Phase) string {
	if p == nil {
		return ""
	}
	sum := int64(0)
	for _, ns := range p.SamplesNs {
		sum += ns
	}
	return fmt.Sprintf("%.3f", float64(sum)/float64(len(p.SamplesNs))/1e9)
}

func phaseSpeed(p *bench.Phase) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", p.AvgTs)
}

// ratioText is a ratio with its interval.
func ratioText(r bench.Ratio) string {
	if r.Low == 0 {
		return fmt.Sprintf("%.2f", r.Ratio)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.Ratio, r.Low, r.High)
}

// known is a number that is 0 if it is not known.
func known(v float64, format string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func percent(v float64) string { return known(100*v, "%.0f %%") }
