// Package jinja renders the chat templates of language models: the part of Jinja that they use, as
// the Python library jinja2 renders them in the environment of Hugging Face's transformers.
//
// [Compile] parses a template once. The [Template] never changes and serves any number of
// goroutines; [Template.Render] gives the text for a [Map] of variables.
//
//	t, err := jinja.Compile("chat_template", source)
//	out, err := t.Render(ctx, vars, jinja.Limits{})
//	fmt.Print(out.String())
//
// # What is rendered
//
// Statements: if, for (with a filter, else, recursive, break and continue), set (also blocks and
// namespaces), macro, call, filter, with, generation, raw. Expressions: Python's literals,
// operators, slices, comparisons in a chain, methods of strings, lists and mappings; the filters
// and tests of jinja2. Globals: namespace, range, dict, raise_exception, strftime_now, cycler,
// joiner. Blocks are trimmed and stripped (trim_blocks, lstrip_blocks); nothing is escaped.
// Mappings keep the order of their keys, integers have any size, and values print as in Python.
//
// The reference is jinja2 3.1 (https://jinja.palletsprojects.com/en/stable/templates/) in the
// ImmutableSandboxedEnvironment that transformers makes (utils/chat_template_utils.py). Four
// things are more lenient than there: lists and mappings may be changed (append, pop, update),
// generators count as lists in tojson, filters from_json and fromjson exist, and what fails in
// Python because its stack is full may succeed.
//
// # Where text comes from
//
// Every string knows of each of its bytes whether the template wrote it or which of the inputs it
// came from (its [Source]), through slices, joins, filters and formatting. So a caller can turn the
// template's "<|im_end|>" into a control token and leave the one that a user typed as plain text.
// Strings in the variables are from [Input] unless they are of type [Literal], which count as the
// template's own, or [Sourced].
//
// # Hostile templates
//
// A template can reach nothing but its variables. [Limits] bound the steps, the depth of calls,
// the bytes of all strings made, the bytes of output and the time; all have defaults. Parsing is
// bounded by [MaxSource] and by the depth of nested expressions and blocks. Errors are of type
// [*Error] and name the line, the column and the expression.
package jinja
