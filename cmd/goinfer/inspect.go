package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
)

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	model      string
	json, card bool
}

// shownElems and shownText are how much of an array and of a string is shown in the readable form.
const (
	shownElems = 6
	shownText  = 100
)

func newInspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:        "inspect [flags] [MODEL]",
		Short:      "Show what is in a model file",
		SuggestFor: []string{"info", "dump"},
		Long: `Shows the metadata and the tensors of a GGUF file of any architecture, or those that the folder of
a checkpoint would have as one. Only headers are read, no weights. Long values are cut, but for --json.`,
		Example: `  goinfer inspect model.gguf
  goinfer inspect model.gguf --json | jq '.tensors[].name'
  goinfer inspect tiny-dense --card`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.json, "json", false, "write everything as JSON")
	fs.BoolVar(&f.card, "card", false, "show the model card of the built-in models")
	addModel(fs, &f.model)
	return cmd
}

func (f *inspectFlags) run(cmd *cobra.Command, args []string) error {
	model, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	s, err := findHeader(cmd.Context(), model)
	if err != nil {
		return err
	}
	if f.card {
		if embedded.Model(model) == nil {
			return usagef("--card: only built-in models have a card here: %s", strings.Join(embedded.Names(), ", "))
		}
		_, err := io.WriteString(cmd.OutOrStdout(), embedded.Card)
		return err
	}
	maxArray := shownElems
	if f.json {
		maxArray = -1
	}
	info, err := await(cmd.Context(), func() (*goinfer.FileInfo, error) { return s.inspect(cmd.Context(), maxArray) })
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		err = writeJSON(out, newReport(info))
	} else {
		writeInspect(out, s, newReport(info))
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// report is what inspect shows: the header, and what adds up from it.
type report struct {
	*goinfer.FileInfo
	Parameters int64     `json:"parameters"`
	Types      []typeSum `json:"types"`
}

// typeSum is what the tensors of a type are together.
type typeSum struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

func newReport(info *goinfer.FileInfo) *report {
	// JSON has an empty list for what is not there, not null.
	if info.Metadata == nil {
		info.Metadata = []goinfer.MetaValue{}
	}
	if info.Tensors == nil {
		info.Tensors = []goinfer.TensorInfo{}
	}
	for i := range info.Metadata {
		info.Metadata[i].Value = finite(info.Metadata[i].Value)
	}
	r := &report{FileInfo: info, Types: []typeSum{}}
	for _, t := range info.Tensors {
		i := slices.IndexFunc(r.Types, func(s typeSum) bool { return s.Type == t.Type })
		if i < 0 {
			i = len(r.Types)
			r.Types = append(r.Types, typeSum{Type: t.Type})
		}
		n := int64(1)
		for _, dim := range t.Shape {
			n *= int64(dim)
		}
		s := &r.Types[i]
		s.Tensors++
		s.Parameters += n
		s.Bytes += t.Bytes
		r.Parameters += n
	}
	slices.SortStableFunc(r.Types, func(a, b typeSum) int { return int(min(1, max(-1, b.Bytes-a.Bytes))) })
	return r
}

// value finds metadata, as text; "" where there is none.
func (r *report) value(key string) string {
	for _, m := range r.Metadata {
		if m.Key == key {
			return showValue(m)
		}
	}
	return ""
}

func writeInspect(out io.Writer, s modelSource, r *report) {
	arch := r.value("general.architecture")
	w := table(out)
	row := func(name string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(values) > 0 {
			fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(values, ", "))
		}
	}
	with := func(key, what string) string {
		if v := r.value(arch + "." + key); v != "" {
			return v + " " + what
		}
		return ""
	}
	files := ""
	if n := r.value("split.count"); n != "" && n != "1" {
		files = "one of " + n + " files"
	}
	row("file", printable(s.String()), files, fmt.Sprintf("GGUF version %d", r.Version), goinfer.Bytes(r.Size))
	row("name", r.value("general.name"))
	row("architecture", arch)
	row("parameters", grouped(r.Parameters))
	row("context", r.value(arch+".context_length"))
	row("shape", with("block_count", "layers"), with("embedding_length", "wide"), with("attention.head_count", "heads"), with("attention.head_count_kv", "of keys and values"),
		with("expert_count", "experts"), with("expert_used_count", "at work"))
	row("vocabulary", r.value("tokenizer.ggml.model"), r.value("tokenizer.ggml.pre"), r.count("tokenizer.ggml.tokens", "tokens"))
	row("licence", r.value("general.license"))
	w.Flush()

	if len(r.Types) > 0 {
		fmt.Fprintf(out, "\nTypes\n")
		w = table(out)
		for _, t := range r.Types {
			fmt.Fprintf(w, "  %s\t%s\t%s weights\t%s\n", t.Type, plural(t.Tensors, "tensor"), grouped(t.Parameters), goinfer.Bytes(t.Bytes))
		}
		w.Flush()
	}
	fmt.Fprintf(out, "\nMetadata (%d)\n", len(r.Metadata))
	w = table(out)
	for _, m := range r.Metadata {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", printable(shorten(m.Key, shownText)), m.Type, showValue(m))
	}
	w.Flush()
	fmt.Fprintf(out, "\nTensors (%d)\n", len(r.Tensors))
	w = table(out)
	for _, t := range r.Tensors {
		dims := make([]string, len(t.Shape))
		for i, n := range t.Shape {
			dims[i] = strconv.Itoa(n)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", printable(shorten(t.Name, shownText)), t.Type, strings.Join(dims, " × "), goinfer.Bytes(t.Bytes))
	}
	w.Flush()
}

// count is the length of an array in the metadata, and what it counts.
func (r *report) count(key, what string) string {
	for _, m := range r.Metadata {
		if m.Key == key {
			return fmt.Sprintf("%d %s", m.Len, what)
		}
	}
	return ""
}

// showValue writes a value of the metadata in a line.
func showValue(m goinfer.MetaValue) string {
	elems, ok := m.Value.([]any)
	if !ok {
		return showElem(m.Value, shownText)
	}
	var parts []string
	for _, e := range elems {
		parts = append(parts, showElem(e, 20))
	}
	if rest := m.Len - len(elems); rest > 0 {
		parts = append(parts, fmt.Sprintf("… %d more", rest))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func showElem(v any, n int) string {
	switch v := v.(type) {
	case string:
		short := printable(shorten(v, n))
		if len(v) > n {
			short += fmt.Sprintf(" (%d bytes)", len(v))
		}
		return short
	case []any:
		return fmt.Sprintf("[%d elements]", len(v))
	}
	return fmt.Sprint(v)
}

// writeJSON writes v, indented, with all control characters as escapes.
func writeJSON(out io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := out.Write(controls.ReplaceAllFunc(b.Bytes(), func(c []byte) []byte {
		return fmt.Appendf(nil, `\u%04x`, bytes.Runes(c)[0])
	}))
	return err
}

// controls are the control characters that package json lets pass. Outside of strings JSON has none
// of them.
var controls = regexp.MustCompile("[\u007f-\u009f]")

// finite converts infinities and NaN into text, in arrays too: JSON has no numbers for them.
func finite(v any) any {
	switch v := v.(type) {
	case float32:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(f)
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case []any:
		for i := range v {
			v[i] = finite(v[i])
		}
	}
	return v
}
