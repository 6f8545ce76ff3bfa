package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/grammar"
	faults "github.com/goinfer/goinfer/internal/fault"
)

// constraintHeading is what the flags of constraints stand under.
const constraintHeading = "Flags of constraints"

// constraintFlags say what the output must be like.
type constraintFlags struct {
	schema, schemaFile string
	format             string
	gbnf, gbnfFile     string
	regex              string
	noFormat, anyOrder bool
	whitespace         string
	fs                 *pflag.FlagSet
}

func (f *constraintFlags) add(fs *pflag.FlagSet) {
	f.fs = fs
	fs.StringVarP(&f.schema, "json-schema", "j", "", "the output is JSON that satisfies `SCHEMA`, such as '{\"type\": \"object\"}'")
	fs.StringVar(&f.schemaFile, "json-schema-file", "", "the same, with the schema in `FILE`")
	fs.StringVar(&f.format, "format", "", "`FORMAT` of the output: json, any JSON value, or a schema")
	fs.StringVar(&f.gbnf, "grammar", "", "the output is a text of `GRAMMAR`, in llama.cpp's GBNF")
	fs.StringVar(&f.gbnfFile, "grammar-file", "", "the same, with the grammar in `FILE`")
	fs.StringVar(&f.regex, "regex", "", "the output matches `EXPRESSION` as a whole (RE2, as Go has them)")
	fs.BoolVar(&f.noFormat, "no-format", false, "the keyword format of a schema says nothing, instead of what it says")
	fs.BoolVar(&f.anyOrder, "json-any-order", false, "keys come in any order, instead of that of the schema's properties")
	fs.StringVar(&f.whitespace, "json-whitespace", "", "white space in JSON, `KIND`: none, or flexible for all that JSON allows (default what models prefer: one space, or line breaks and indentation)")
}

var whitespaces = map[string]grammar.Options{"": {}, "usual": {}, "none": {Whitespace: grammar.None}, "flexible": {Whitespace: grammar.Flexible}}

// options are those of schemas.
func (f *constraintFlags) options() (grammar.Options, error) {
	o, ok := whitespaces[f.whitespace]
	if !ok {
		return o, usagef("--json-whitespace: want none or flexible, found %q", shorten(f.whitespace, 40))
	}
	o.NoFormat, o.AnyOrder = f.noFormat, f.anyOrder
	return o, nil
}

// constraint returns what the flags ask for, nil if they ask for nothing.
func (f *constraintFlags) constraint(cmd *cobra.Command) (*grammar.Constraint, error) {
	var given []string
	for _, name := range []string{"json-schema", "json-schema-file", "format", "grammar", "grammar-file", "regex"} {
		if f.fs.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) == 0 {
		return nil, nil
	}
	if len(given) > 1 {
		return nil, usagef("want one constraint, found %s", strings.Join(given, " and "))
	}
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	c, err := f.compile(given[0], o)
	if err != nil {
		return nil, err
	}
	if notes := c.Notes(); len(notes) > 0 {
		var keys []string
		for k := range notes {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		note(cmd, "%s: these say nothing about the output: %s", given[0], strings.Join(keys, ", "))
	}
	return c, nil
}

// compile reads the constraint that the flag given asks for.
func (f *constraintFlags) compile(given string, o grammar.Options) (*grammar.Constraint, error) {
	name, text := given, ""
	for flag, value := range map[string]string{"--json-schema": f.schema, "--format": f.format, "--grammar": f.gbnf, "--regex": f.regex} {
		if flag == given {
			text = value
		}
	}
	for flag, path := range map[string]string{"--json-schema-file": f.schemaFile, "--grammar-file": f.gbnfFile} {
		if flag != given {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, faults.System(err)
		}
		name, text = path, string(data)
	}
	var c *grammar.Constraint
	var err error
	switch given {
	case "--grammar", "--grammar-file":
		c, err = grammar.GBNF(text)
	case "--regex":
		c, err = grammar.Regex(text, grammar.RE2)
	case "--format":
		if text == "json" {
			return grammar.JSON(o), nil
		}
		if !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return nil, usagef("--format: want json or a schema, found %q", shorten(text, 40))
		}
		fallthrough
	default:
		c, err = grammar.Schema([]byte(text), o)
	}
	if err != nil {
		return nil, named(name, err)
	}
	return c, nil
}

// named puts the name of what was read in front of an error.
func named(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }

// grammar returns the constraint on the tokens of a model, nil if the flags ask for nothing.
func (f *constraintFlags) grammar(cmd *cobra.Command, v *goinfer.Tokenizer) (goinfer.Grammar, error) {
	c, err := f.constraint(cmd)
	if c == nil || err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("a constraint on a model without a vocabulary: %w", goinfer.ErrUnsupported)
	}
	g, err := c.Grammar(grammar.NewVocabulary(v))
	if err != nil {
		return nil, fmt.Errorf("the constraint: %w", err)
	}
	return g, nil
}
