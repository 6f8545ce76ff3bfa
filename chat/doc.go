// Package chat converts a conversation to the tokens that a model was trained on, and what the
// model generates to events: text, reasoning and calls of tools.
//
// A model's makers ship a chat template with it. [Find] looks for it in the metadata of a model, or
// picks a built-in one by the vocabulary; [New] compiles it; [Template.Prompt] renders messages and
// tokenizes them:
//
//	src, err := chat.Find(metadata, vocab, "")
//	t, err := chat.New(src, vocab)
//	messages := []chat.Message{{Role: "user", Content: "Hello"}}
//	p, err := t.Prompt(ctx, chat.Input{Messages: messages})
//	// generate from p.IDs, then:
//	parser := t.NewParser(p)
//	for … {
//		for _, e := range parser.Write(piece) { … }
//	}
//	for _, e := range parser.Close() { … }
//
// # What users write stays text
//
// Strings carry their source through the template (package jinja), and a control token is made
// only where all of its bytes are the template's own: a message that spells "<|im_end|>" is
// tokenized as plain text. Template and message are tokenized together, so that words merge
// across their border as the model has learnt it. [Input.AllowControl] switches it off. BOS is
// neither doubled nor missing.
//
// # What templates do on their own
//
// A template that refuses a conversation (roles that do not alternate, no system role) fails with
// its own words. One that silently leaves a message out, which many do with a system message or
// with tools, is an error too: see [DroppedError].
//
// # Thinking and tools
//
// How a model marks its thoughts and its calls is read from its template: a probe conversation is
// rendered, and since sources are known, the text around the probe's name and arguments is
// exactly what delimits a call. So a family that this package has never heard of usually works;
// the few syntaxes that cannot be derived this way (channels of gpt-oss, calls in Python's
// syntax) are known by name. A call that does not parse is text.
package chat
