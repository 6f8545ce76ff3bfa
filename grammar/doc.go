// Package grammar constrains what a model writes: JSON of a schema or a Go type, texts of a
// grammar, matches of a regular expression.
//
// In order of use:
//
//   - [Schema], [JSON], [GBNF], [Regex] and [For] make a [Constraint], or say why not. It does not
//     change, and goroutines may share it.
//   - [NewVocabulary] prepares the tokens of a model, once.
//   - [Constraint.Grammar] joins the two: a [sample.Grammar], which gives each request a Matcher
//     with the mask of the tokens that may come next.
//   - [Constraint.Check] reads a text without a model; [Typed.Parse] reads one into a Go value.
//   - [Measure] measures schemas with instances.
//
// Masks are exact: a token is allowed if and only if some complete text goes on so. What cannot be
// kept so is an error, which names the keyword of the schema and where it stands. docs/grammar.md
// lists what is kept.
//
// Schemas, grammars and patterns are not trusted: the work on them is bounded, and what exceeds the
// bounds is an error. After that a mask costs time with the length of what may follow, not with
// that of what was read, but for objects with many keys that the schema does not name.
package grammar
