package chat

import (
	"regexp"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
)

// callFormat is how a model writes calls, as its template shows them.
type callFormat struct {
	kind    callKind
	trigger string  // the text that begins calls; empty if they begin without a mark
	also    string  // a text that begins calls where the model forgets the trigger; may be empty
	section pattern // before all calls
	open    pattern // before a call: up to the name, or up to the JSON
	name    pattern // between name and arguments
	close   pattern // after the arguments
	end     pattern // after all calls

	given bool // the prompt ends with what opens a call or names the answer's recipient

	object jsonShape // of jsonCalls

	// Of taggedCalls: before a key, between key and value, after a value.
	keyOpen, keyEnd, valueEnd pattern
	keyTwice                  bool // the key is written again in valueEnd
}

type callKind uint8

const (
	jsonCalls   callKind = iota // JSON objects with name and arguments
	namedCalls                  // a name, then JSON
	taggedCalls                 // a name, then keys and values between tags
	pythonCalls                 // name(key=value)
	gemmaCalls                  // name{key:value}
)

// jsonShape says where in an object the parts of a call are.
type jsonShape struct {
	name, args, id string   // keys
	inner          string   // the key of an object that holds name and args; may be empty
	keyed          bool     // {name: arguments}
	list           bool     // objects are in a list
	order, outer   []string // the keys as they are written, and those around inner
}

// shown is an assistant's turn with a call as a template renders it.
type shown struct {
	text             string // from where the assistant's text begins, to the end of the turn
	name, key, value int    // where the probe's are
}

// learnCalls reads the format of calls from renderings with one and with two.
func (t *Template) learnCalls(s style, tools []Tool, one jinja.Text) {
	start := max(t.turnStart(s, tools, one), t.afterQuestion(s, tools, one))
	end := t.turnEnd(s, tools)
	a, ok := readShown(one, start, end)
	if !ok {
		return
	}
	calls := []ToolCall{probeCall(probeName, probeValue), probeCall(probeOther, probeValue)}
	if !strings.Contains(bySource(one, sourceOf(1, ofCalls)), probeID) {
		// The name may be part of the id.
		calls[0].ID, calls[1].ID = "functions."+probeName+":0", "functions."+probeOther+":1"
	}
	var both string
	if two, ok := t.try(s, Input{Messages: []Message{user(), {Role: "assistant", ToolCalls: calls}}, Tools: tools, NoGeneration: true}); ok {
		if b, ok := readShown(two, start, end); ok && strings.Contains(b.text[b.name:], probeOther) {
			both = b.text
		}
	}
	f := &callFormat{}
	switch {
	case strings.Contains(a.text, "to=functions."+probeName) && t.think.harmony:
		return // package-known: channels
	case f.learnJSON(a, both), f.learnNamed(a, both), f.learnPython(a), f.learnGemma(a), f.learnTagged(a, both):
		f.close, f.end = f.close.trimmed(), f.end.trimmed()
		f.trigger = f.section.literal()
		if f.trigger == "" {
			f.trigger = f.open.literal()
		}
		if last := f.open.lastLiteral(); strings.HasPrefix(last, "<") && last != f.trigger {
			f.also = last
		}
		if len(f.trigger) < 3 { // "[" or "{" alone begins more than calls
			f.trigger = ""
		}
		t.calls = f
	}
}

// turnStart is where the assistant's text begins: where the generation prompt ends.
func (t *Template) turnStart(s style, tools []Tool, text jinja.Text) int {
	prompt, ok := t.try(s, Input{Messages: []Message{user()}, Tools: tools})
	if !ok {
		return 0
	}
	rendering := text.String()
	p, i := prompt.String(), 0
	for i < len(p) && i < len(rendering) && p[i] == rendering[i] {
		i++
	}
	i = outsideTag(rendering, i)
	// The header of the turn may follow something that only the prompt has.
	for k := min(len(p), len(rendering)-i); k > 0; k-- {
		if strings.HasSuffix(p, rendering[i:i+k]) {
			i += k
			break
		}
	}
	// Thoughts, also empty ones, are no part of calls.
	if end := t.think.end; end != "" {
		name := strings.Index(rendering[i:], probeName)
		if k := strings.LastIndex(rendering, probeAnswer); name < 0 && k > i {
			name = k - i
		}
		if k := strings.LastIndex(rendering[i:i+max(name, 0)], end); k >= 0 {
			i += k + len(end)
		}
	}
	return i
}

// afterQuestion is where the question of a rendering ends, with what the template writes between it
// and any answer: a question that is not the last one may be written in another way than the one
// that a prompt ends with.
func (t *Template) afterQuestion(s style, tools []Tool, text jinja.Text) int {
	rest := func(text jinja.Text) (string, int) {
		end := 0
		for _, span := range text.Spans() {
			if span.Source == sourceOf(0, ofContent) {
				end = span.To
			}
		}
		return text.String()[end:], end
	}
	called, end := rest(text)
	other, ok := t.try(s, Input{Messages: []Message{user(), {Role: "assistant", Content: probeAnswer}}, Tools: tools, NoGeneration: true})
	if !ok || end == 0 {
		return end
	}
	answered, _ := rest(other)
	answered, _, _ = strings.Cut(answered, probeAnswer)
	return end + len(commonPrefix(answered, called))
}

// turnEnd is what the template writes after an answer.
func (t *Template) turnEnd(s style, tools []Tool) string {
	text, ok := t.try(s, Input{Messages: []Message{user(), {Role: "assistant", Content: probeAnswer}}, Tools: tools, NoGeneration: true})
	if !ok {
		return ""
	}
	out := text.String()
	k := strings.LastIndex(out, probeAnswer)
	if k < 0 {
		return ""
	}
	return out[k+len(probeAnswer):]
}

// learnAnswer finds marks that a template writes around an answer, inside of the turn.
func (t *Template) learnAnswer() {
	text, ok := t.try(t.style, Input{Messages: []Message{user(), {Role: "assistant", Content: probeAnswer}}, NoGeneration: true})
	if !ok || bySource(text, sourceOf(1, ofContent)) != probeAnswer {
		return
	}
	s := text.String()
	at := strings.LastIndex(s, probeAnswer)
	if start := t.turnStart(t.style, nil, text); start <= at {
		before := s[start:at]
		if k := strings.LastIndex(before, t.think.end); k >= 0 && t.think.end != "" {
			before = before[k+len(t.think.end):]
		}
		if len(before) < 100 {
			t.answer = newPattern(before, "").trimmed()
		}
	}
	after := strings.TrimSpace(s[at+len(probeAnswer):])
	if tag := firstTag(after); tag != "" && firstTag(after[len(tag):]) != "" {
		if id, ok := t.vocab.Lookup(tag); !ok || !t.vocab.IsEOG(id) {
			t.answerEnd = tag
		}
	}
}

// learnRecipients knows the format of Muse Glimmer, in which every message of an answer names its
// recipient: self for a thought, user for the answer, or a tool.
func (t *Template) learnRecipients() {
	const self = "to=self<|message|>"
	if !strings.Contains(t.writes, self) {
		return
	}
	t.think = thinking{open: self, end: "<|eom|>"}
	t.answer, t.answerEnd = nil, "<|eom|>"
	recipient := pattern{{isText, "to="}, {isWord, ""}, {isText, "<|message|>"}}
	t.skips = []pattern{newPattern("<|eom|>", ""), newPattern("<|start|>assistant", ""), recipient}
	if c := t.calls; c != nil && len(c.section) > 0 {
		if _, mark, ok := strings.Cut(c.section[0].text, "<|message|>"); ok {
			c.section[0].text, c.trigger = mark, mark
		}
	}
}

// learnEnds finds the token that the template writes after an answer, where the vocabulary does not
// know that it ends one.
func (t *Template) learnEnds() {
	if t.think.harmony {
		return
	}
	after := strings.TrimLeft(t.turnEnd(t.style, nil), " \t\r\n")
	after = strings.TrimLeft(strings.TrimPrefix(after, t.answerEnd), " \t\r\n")
	ids := t.vocab.Encode(nil, after, false, true)
	if t.prefixes && len(ids) > 1 && t.spell(ids[:1]) == " " {
		ids = ids[1:]
	}
	if len(ids) > 0 && (t.vocab.IsControl(ids[0]) || t.isMarkup(ids[0])) && !t.vocab.IsEOG(ids[0]) && ids[0] != t.vocab.BOS() {
		t.ends = ids[:1:1]
	}
}

// readShown finds the probe's parts in a rendering.
func readShown(text jinja.Text, start int, end string) (shown, bool) {
	all := text.String()
	a := shown{name: -1}
	stop := len(all)
	for _, span := range text.Spans() {
		if span.Source == sourceOf(1, ofCalls) && span.From < start {
			return a, false
		}
	}
	rest := all[start:]
	a.key = strings.Index(rest, probeKey)
	a.value = strings.Index(rest, probeValue)
	if a.key < 0 || a.value < 0 {
		return a, false
	}
	a.name = strings.LastIndex(rest[:a.key], probeName)
	if a.name < 0 {
		a.name = strings.Index(rest, probeName)
	}
	if end = strings.TrimSpace(end); end != "" {
		if k := strings.Index(rest[a.value:], firstToken(end)); k >= 0 {
			stop = start + a.value + k
		}
	}
	a.text = all[start:stop]
	return a, a.name >= 0 && a.name < len(a.text)
}

// firstToken is the first mark of what ends a turn.
func firstToken(s string) string {
	if tag := firstTag(s); tag != "" {
		return tag
	}
	return s
}

// between cuts what is around the arguments of two calls into what closes one, what opens the next,
// what begins all and what ends all.
func (f *callFormat) between(before, gap, after string) {
	open := commonSuffix(before, gap)
	shut := commonPrefix(after, gap[:len(gap)-len(open)])
	if gap == "" {
		open, shut = before, after
	}
	f.section = newPattern(before[:len(before)-len(open)], "").trimmed()
	f.open = newPattern(open, "").trimmed()
	f.close = newPattern(shut, "")
	f.end = newPattern(after[len(shut):], "").trimmed()
}

// commonPrefix is the common beginning of two texts that does not end inside of a tag.
func commonPrefix(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) {
		return a
	}
	return a[:outsideTag(a, i)]
}

// outsideTag moves an offset to before the tag, or the character, that it is in.
func outsideTag(s string, i int) int {
	if k := strings.LastIndexByte(s[:i], '<'); k > strings.LastIndexByte(s[:i], '>') && strings.IndexByte(s[i:], '>') >= 0 {
		return k
	}
	for i > 0 && i < len(s) && s[i]&0xC0 == 0x80 {
		i--
	}
	return i
}

// commonSuffix is the common end of two texts that does not begin inside of a tag.
func commonSuffix(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	s := a[len(a)-i:]
	if i == len(a) {
		return s
	}
	if k := strings.IndexByte(s, '>'); k >= 0 && !strings.Contains(s[:k], "<") {
		return s[k+1:]
	}
	for s != "" && s[0]&0xC0 == 0x80 {
		s = s[1:]
	}
	return s
}

// learnNamed: the arguments are a JSON object of their own after the name.
func (f *callFormat) learnNamed(a shown, both string) bool {
	brace := strings.LastIndexByte(a.text[:a.key], '{')
	if brace < a.name || a.name > a.key || !strings.Contains(a.text[a.key:a.value], `":`) {
		return false
	}
	shut := strings.IndexByte(a.text[a.value:], '}')
	if shut < 0 {
		return false
	}
	args := a.value + shut + 1
	name := a.text[a.name+len(probeName) : brace]
	gap := ""
	if k := strings.Index(both, probeOther); k > args {
		gap = both[args:k]
	}
	f.kind = namedCalls
	f.between(a.text[:a.name], gap, a.text[args:])
	if a.name == 0 && gap != "" {
		f.open = newPattern(gap, "").trimmed()
		f.given = true
	}
	f.name = newPattern(name, probeID)
	return true
}

var pythonCall = regexp.MustCompile(probeName + `\(` + probeKey + `=['"]` + probeValue + `['"]\)`)

// learnPython: name(key='value').
func (f *callFormat) learnPython(a shown) bool {
	at := pythonCall.FindStringIndex(a.text)
	if at == nil {
		return false
	}
	f.kind = pythonCalls
	f.open = newPattern(strings.TrimRight(a.text[:at[0]], " \n["), "").trimmed()
	f.end = newPattern(strings.TrimLeft(a.text[at[1]:], " \n]"), "").trimmed()
	return true
}

// learnGemma: call:name{key:<|"|>value<|"|>}.
func (f *callFormat) learnGemma(a shown) bool {
	before, after := a.text[:a.name], a.text[a.name+len(probeName):]
	inside := "{" + probeKey + `:<|"|>` + probeValue + `<|"|>}`
	if !strings.HasPrefix(after, inside) {
		return false
	}
	f.kind = gemmaCalls
	f.open = newPattern(before, "").trimmed()
	after = after[len(inside):]
	f.close = newPattern(after[:closingTag(after)], "").trimmed()
	return true
}

// learnTagged: keys and values between tags.
func (f *callFormat) learnTagged(a shown, both string) bool {
	if a.name > a.key || a.key > a.value {
		return false
	}
	between := a.text[a.name+len(probeName) : a.key]
	after := a.text[a.value+len(probeValue):]
	keyEnd := a.text[a.key+len(probeKey) : a.value]
	if keyEnd == "" || after == "" {
		return false
	}
	// What opens a key begins at its tag: "\n<parameter=", or ">\n<parameter=" after the name.
	keyAt := strings.LastIndexByte(between, '<')
	if k := strings.LastIndex(between, "]<]"); k >= 0 {
		keyAt = k
	}
	if k := strings.LastIndex(between, "<|open|>"); k >= 0 {
		keyAt = k
	}
	if keyAt < 0 {
		return false
	}
	f.kind = taggedCalls
	f.name = newPattern(between[:keyAt], "").trimmed()
	f.keyOpen = newPattern(between[keyAt:], "").trimmed()
	f.keyEnd = newPattern(keyEnd, "")
	valueEnd := after
	if k := strings.Index(after, probeKey); k >= 0 {
		f.keyTwice = true
		valueEnd = after[:k]
		after = after[k+len(probeKey):]
		tag := strings.IndexByte(after, '>') + 1
		f.valueEnd = append(newPattern(valueEnd, ""), append(pattern{{isWord, ""}}, newPattern(after[:tag], "")...)...)
		after = after[tag:]
	} else {
		n := closingTag(after)
		f.valueEnd = newPattern(after[:n], "")
		after = after[n:]
	}
	gap := ""
	if k := strings.Index(both, probeOther); k >= 0 {
		first := len(a.text) - len(after)
		if k > first {
			gap = both[first:k]
		}
	}
	name := a.text[:a.name]
	// A name that is also written before, as in "to=NAME", is any word there.
	f.between(strings.ReplaceAll(name, probeName, "probe"), strings.ReplaceAll(gap, probeOther, "probe"), after)
	return true
}

// closingTag is the length of the first tag in s, with the white space before it.
func closingTag(s string) int {
	i := 0
	for i < len(s) && isWhiteByte(s[i]) {
		i++
	}
	if strings.HasPrefix(s[i:], "<|close|>") {
		if k := strings.Index(s[i:], "<|sep|>"); k >= 0 {
			return i + k + len("<|sep|>")
		}
	}
	if k := strings.IndexByte(s[i:], '>'); k >= 0 {
		return i + k + 1
	}
	return len(s)
}
