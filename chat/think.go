package chat

import (
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
)

// thinking is how a model marks its thoughts.
type thinking struct {
	open, end string // the tags; empty if the template knows no thoughts
	harmony   bool   // thoughts are messages in a channel, as gpt-oss writes them
}

// knownTags are the tags of families whose template does not render thoughts.
var knownTags = [...][2]string{
	{"<think>", "</think>"},
	{"[THINK]", "[/THINK]"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
	{"<seed:think>", "</seed:think>"},
	{"<thought>", "</thought>"},
	{"<thinking>", "</thinking>"},
	{"<reasoning>", "</reasoning>"},
	{"<|channel>thought\n", "<channel|>"},
	{"<mm:think>", "</mm:think>"},
}

// learn reads the tags from a rendering of a probe with a thought: the text right before and
// after it.
func (th *thinking) learn(text jinja.Text) {
	s := text.String()
	from, to := -1, -1
	for _, span := range text.Spans() {
		if span.Source == sourceOf(1, ofReasoning) {
			if from < 0 {
				from = span.From
			}
			to = span.To
		}
	}
	if from < 0 {
		return
	}
	if strings.Contains(s[:from], "<|channel|>analysis<|message|>") {
		th.harmony = true
		return
	}
	th.open = lastTag(s[:from])
	th.end = firstTag(s[to:])
}

// lastTag is the markup that ends before, without the white space after it.
func lastTag(s string) string {
	s = strings.TrimRight(s, " \n\t")
	start := -1
	switch {
	case strings.HasSuffix(s, "<|sep|>") && strings.Contains(s, "<|open|>"): // Kimi K3
		start = strings.LastIndex(s, "<|open|>")
	case strings.HasSuffix(s, ">"):
		start = strings.LastIndexByte(s, '<')
	case strings.HasSuffix(s, "]"):
		start = strings.LastIndexByte(s, '[')
	default: // <|channel>thought
		if k := strings.LastIndexByte(s, '>'); k >= 0 && len(s)-k < 16 && !strings.ContainsAny(s[k:], " \n") {
			if start = strings.LastIndexByte(s[:k], '<'); start >= 0 {
				return s[start:] + "\n"
			}
		}
	}
	if start < 0 || len(s)-start > 40 {
		return ""
	}
	return s[start:]
}

// firstTag is the markup that begins s, after white space.
func firstTag(s string) string {
	s = strings.TrimLeft(s, " \n\t")
	end := -1
	if strings.HasPrefix(s, "<|close|>") && strings.Contains(s, "<|sep|>") {
		end = strings.Index(s, "<|sep|>") + len("<|sep|>") - 1
	} else if strings.HasPrefix(s, "<") {
		end = strings.IndexByte(s, '>')
	} else if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']')
	}
	if end < 0 || end > 40 {
		return ""
	}
	return s[:end+1]
}

// guess completes the tags by what the template can write.
func (th *thinking) guess(writes string) {
	if th.harmony || th.open != "" && th.end != "" {
		return
	}
	th.open, th.end = "", ""
	if strings.Contains(writes, "<|channel|>") && strings.Contains(writes, "<|message|>") {
		th.harmony = true
		return
	}
	for _, tags := range knownTags {
		if strings.Contains(writes, strings.TrimSpace(tags[1])) {
			th.open, th.end = tags[0], tags[1]
			return
		}
	}
}

// opened reports whether a prompt ends inside of a thought, by what the template writes at its end.
func (th *thinking) opened(tail string) bool {
	open := strings.LastIndex(tail, strings.TrimSpace(th.open))
	return th.open != "" && open >= 0 && strings.LastIndex(tail, strings.TrimSpace(th.end)) < open
}
