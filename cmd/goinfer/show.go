package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hub"
	"github.com/goinfer/goinfer/study/size"
)

// card is what show prints of a model.
type card struct {
	Name         string         `json:"name"`
	Path         string         `json:"path,omitempty"`
	Architecture string         `json:"architecture"`
	Parameters   int64          `json:"parameters"`
	Active       int64          `json:"active_parameters,omitempty"`
	Context      int            `json:"context_length,omitempty"`
	Embedding    int            `json:"embedding_length,omitempty"`
	Type         string         `json:"type,omitempty"`
	Size         int64          `json:"size,omitempty"`
	Capabilities []string       `json:"capabilities"`
	Settings     map[string]any `json:"parameters_of_ollama,omitempty"`
	System       string         `json:"system,omitempty"`
	License      string         `json:"license,omitempty"`
	Template     string         `json:"template,omitempty"` // whose: the model's or Ollama's
	Notes        []string       `json:"notes,omitempty"`
}

func newShow() *cobra.Command {
	var model string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [flags] [MODEL]",
		Short: "Show what a model is and can do",
		Long: `Shows a model's architecture, its parameters in total and those that a token
needs, its context, its type, what its chat template can do (tools, thinking)
and its licence. The header is all that is read, of a model on a hub that is
not here on the server.`,
		Example: `  goinfer show model.gguf
  goinfer show hf.co/Qwen/Qwen3-0.6B-GGUF
  goinfer show ollama:qwen3:0.6b --json`,
		ValidArgsFunction: completeModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := modelOnly(model, args)
			if err != nil {
				return err
			}
			return runShow(cmd, name, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write everything as JSON")
	addModel(cmd.Flags(), &model)
	return cmd
}

func runShow(cmd *cobra.Command, name string, asJSON bool) error {
	s, err := findHeader(cmd.Context(), name)
	if err != nil {
		return err
	}
	c, err := await(cmd.Context(), func() (*card, error) { return describeModel(cmd, s, name) })
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if asJSON {
		err = writeJSON(out, c)
	} else {
		c.write(out)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// describeModel reads the header of a model.
func describeModel(cmd *cobra.Command, s modelSource, name string) (*card, error) {
	c := &card{Name: s.String(), Path: s.Path()}
	f, err := s.Header(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c.read(f)
	if m, err := size.FromGGUF(f); err == nil {
		if r, err := m.Breakdown(); err == nil {
			c.Parameters, c.Active = r.Total, r.Active
		}
	} else {
		c.Notes = append(c.Notes, err.Error())
		for _, t := range f.Tensors() {
			n := int64(1)
			for _, d := range t.Shape {
				n *= int64(d)
			}
			c.Parameters += n
		}
	}
	if e, err := hub.FromEnv().Find(name); err == nil && e != nil && e.Ollama() != nil {
		c.readOllama(e.Ollama())
	}
	return c, nil
}

// read takes what the metadata has.
func (c *card) read(f *gguf.File) {
	text := func(key string) string {
		v, _ := f.Value(key)
		s, _ := v.Text()
		return s
	}
	number := func(key string) int {
		v, ok := f.Value(c.Architecture + "." + key)
		if !ok {
			return 0
		}
		n, _ := v.Uint()
		return int(min(n, 1<<40))
	}
	c.Architecture, c.License, c.Size = text("general.architecture"), text("general.license"), f.Size()
	c.Context, c.Embedding = number("context_length"), number("embedding_length")
	if t, ok := f.FileType(); ok {
		c.Type = t.String()
	}
	c.Notes = append(c.Notes, f.Notes()...)
	c.Capabilities = []string{"completion"}
	if _, ok := f.Value(c.Architecture + ".pooling_type"); ok {
		c.Capabilities = []string{"embedding"}
	}
	if template := text("tokenizer.chat_template"); template != "" {
		c.Template = "the model's own, in Jinja"
		c.abilities(template, ".Tools")
	}
}

// abilities are what a chat template knows how to write.
func (c *card) abilities(template, tools string) {
	if strings.Contains(template, "tools") || strings.Contains(template, tools) {
		c.Capabilities = append(c.Capabilities, "tools")
	}
	if strings.Contains(template, "enable_thinking") || strings.Contains(template, "<think>") || strings.Contains(template, "reasoning_content") || strings.Contains(template, ".Thinking") {
		c.Capabilities = append(c.Capabilities, "thinking")
	}
}

// readOllama takes what Ollama keeps beside a model.
func (c *card) readOllama(m *hub.OllamaModel) {
	c.Settings, c.System = m.Params, m.System
	if c.License == "" && len(m.Licenses) > 0 {
		c.License, _, _ = strings.Cut(strings.TrimSpace(m.Licenses[0]), "\n")
	}
	if c.Template == "" && m.Template != "" {
		c.Template = "Ollama's, in the language of text/template"
		c.abilities(m.Template, ".Tools")
	}
}

func (c *card) write(out io.Writer) {
	t := table(out)
	row := func(name, value string) {
		if value != "" && value != "0" {
			fmt.Fprintf(t, "    %s\t%s\n", name, printable(shorten(value, 120)))
		}
	}
	fmt.Fprintf(t, "  Model\n")
	row("name", c.Name)
	row("architecture", c.Architecture)
	row("parameters", grouped(c.Parameters))
	if c.Active != c.Parameters {
		row("active for a token", grouped(c.Active))
	}
	row("context length", grouped(int64(c.Context)))
	row("embedding length", grouped(int64(c.Embedding)))
	row("type", c.Type)
	row("size", goinfer.Bytes(c.Size))
	row("chat template", c.Template)
	t.Flush()
	fmt.Fprintf(out, "\n  Capabilities\n    %s\n", strings.Join(c.Capabilities, ", "))
	if len(c.Settings) > 0 {
		fmt.Fprintf(t, "\n  Parameters\n")
		keys := map[string]string{}
		for k, v := range c.Settings {
			keys[k] = fmt.Sprint(v)
		}
		for _, k := range sortedNames(keys) {
			row(k, keys[k])
		}
		t.Flush()
	}
	if c.System != "" {
		fmt.Fprintf(out, "\n  System\n    %s\n", printable(shorten(c.System, 400)))
	}
	if c.License != "" {
		fmt.Fprintf(out, "\n  License\n    %s\n", printable(shorten(c.License, 200)))
	}
	for _, n := range c.Notes {
		fmt.Fprintf(out, "\n  Note: %s\n", printable(shorten(n, 300)))
	}
}
