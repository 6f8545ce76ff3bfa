package chat

import "strings"

// tagged reads keys and values between tags, up to the end of the call.
func (r *reader) tagged() bool {
	p := r.p
	m, shut := r.f.close.match(p.buf, p.final) // first, as it may begin like a key
	if shut == waits {
		return r.unfinished()
	}
	if shut != works {
		n, st := r.f.keyOpen.match(p.buf, p.final)
		switch st {
		case waits:
			return r.unfinished()
		case fails:
			return r.fail("want a parameter or the end of the call")
		}
		r.take(n)
		p.state = r.taggedKey
		return true
	}
	if !r.call.begun {
		r.begin()
	}
	if r.call.args == 0 {
		p.args("{")
	}
	p.args("}")
	r.end()
	p.buf = p.buf[m:]
	p.state = r.between
	return true
}

// taggedKey reads a key and what is between it and its value.
func (r *reader) taggedKey() bool {
	p := r.p
	keyEnd := r.f.keyEnd.trimmed()
	mark := keyEnd.literal()
	if mark == "" {
		return r.fail("it has no values")
	}
	k := strings.Index(p.buf, mark)
	if k < 0 {
		if len(p.buf) > 1024 {
			return r.fail("a parameter has no value")
		}
		return r.unfinished()
	}
	n, st := keyEnd.match(p.buf[k:], p.final)
	if st == waits {
		return r.unfinished()
	}
	if st == fails || k == 0 {
		return r.fail("a parameter has no value")
	}
	white := r.f.keyEnd[len(r.f.keyEnd)-1].kind == isWhite
	if white && len(p.buf) == k+n && !p.final { // whether a line break follows
		return false
	}
	r.call.key = strings.TrimSpace(p.buf[:k])
	asText := strings.Contains(p.buf[k:k+n], `string="true"`) || strings.Contains(p.buf[k:k+n], `type="string"`)
	r.take(k + n)
	if white && strings.HasPrefix(p.buf, "\n") {
		r.take(1)
	}
	if !r.call.begun {
		r.begin()
	}
	sep := "{"
	if r.call.args > 0 {
		sep = ", "
	}
	r.call.args++
	p.args(sep + quoteJSON(r.call.key) + ": ")
	r.call.text = asText || p.tools[r.call.name].isText(r.call.key)
	if r.call.text {
		p.args(`"`)
	}
	r.call.fresh = true
	p.state = r.taggedValue
	return true
}

// taggedValue reads a value: a string as it comes, anything else as a whole.
func (r *reader) taggedValue() bool {
	p := r.p
	mark := r.f.valueEnd.literal()
	if r.f.keyTwice {
		mark += r.call.key + ">"
	}
	if r.call.fresh {
		const cdata = "<![CDATA["
		switch {
		case strings.HasPrefix(p.buf, cdata):
			p.buf = p.buf[len(cdata):]
			r.call.cdata = true
		case !p.final && strings.HasPrefix(cdata, p.buf):
			return false
		}
		r.call.fresh = false
	}
	if r.call.cdata {
		mark = "]]>" + mark
	}
	white := r.f.valueEnd[0].kind == isWhite
	k := strings.Index(p.buf, mark)
	if r.f.keyTwice && !r.call.text {
		k = closingAt(p.buf, r.f.keyOpen.literal()+r.call.key+">", mark)
	}
	if k < 0 {
		if r.call.text {
			n := len(p.buf) - held(p.buf, []string{mark})
			for white && n > 0 && p.buf[n-1] == '\n' {
				n--
			}
			if p.final {
				n = len(p.buf)
			}
			p.args(escapeJSON(p.buf[:n]))
			p.buf = p.buf[n:]
		}
		return r.unfinished()
	}
	v := p.buf[:k]
	if white {
		v = strings.TrimSuffix(v, "\n")
	}
	r.call.cdata = false
	if r.call.text {
		p.args(escapeJSON(v) + `"`)
	} else if nested, ok := r.nested(v, 0); ok {
		p.args(nested)
	} else {
		p.args(p.tools[r.call.name].jsonValue(r.call.key, v))
	}
	p.buf = p.buf[k+len(mark):]
	p.state = r.tagged
	return true
}

// closingAt finds the mark that closes what open has opened, past others of the same name inside.
func closingAt(s, open, mark string) int {
	from := 0
	for depth := 0; ; depth-- {
		k := strings.Index(s[from:], mark)
		if k < 0 {
			return -1
		}
		depth += strings.Count(s[from:from+k], open)
		if depth == 0 {
			return from + k
		}
		from += k + len(mark)
	}
}

// nested reads a value whose parts are tags themselves, as MiniMax M3 writes lists and objects:
// each between a tag of its key and one that closes it, elements of lists under the key item.
func (r *reader) nested(s string, depth int) (string, bool) {
	ns := r.f.keyOpen.literal()
	if !r.f.keyTwice || depth > maxJSONDepth || len(ns) < 2 || !strings.HasPrefix(s, ns) {
		return "", false
	}
	shut := r.f.valueEnd.literal()
	var keys, values []string
	list := true
	for s != "" {
		rest, ok := strings.CutPrefix(s, ns)
		key, rest, ok2 := strings.Cut(rest, ">")
		if !ok || !ok2 || key == "" {
			return "", false
		}
		mark := shut + key + ">"
		k := closingAt(rest, ns+key+">", mark)
		if k < 0 {
			return "", false
		}
		v, isNested := r.nested(rest[:k], depth+1)
		if !isNested {
			v = (*schema)(nil).jsonValue(key, rest[:k])
		}
		keys, values = append(keys, key), append(values, v)
		list = list && key == "item"
		s = strings.TrimLeft(rest[k+len(mark):], " \t\r\n")
	}
	if list {
		return "[" + strings.Join(values, ", ") + "]", true
	}
	for i, k := range keys {
		values[i] = quoteJSON(k) + ": " + values[i]
	}
	return "{" + strings.Join(values, ", ") + "}", true
}
