package checkpoint

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goinfer/goinfer/tokenizer"
)

// spaceMark is what SentencePiece writes spaces as.
const spaceMark = "▁"

// readCharBPE reads BPE on characters with a spelling in bytes for those that are no tokens: what SentencePiece's BPE is in a tokenizer.json.
func (v *vocab) readCharBPE(j *tokenizerJSON) error {
	v.model, v.pre = tokenizer.ModelSPM, "default"
	if !j.Model.ByteFallback {
		return v.unsupported("BPE on characters without byte_fallback")
	}
	if err := v.readVocabMap(j.Model.Vocab); err != nil {
		return err
	}
	v.markBytes()
	if err := v.markUnknown(j.Model.UnkToken); err != nil {
		return err
	}
	if err := v.charSteps(j); err != nil {
		return err
	}
	known, err := v.pieceScores()
	if err != nil {
		return err
	}
	if !known {
		if err := v.scoreByMerges(j.Model.Merges); err != nil {
			return err
		}
	}
	return v.add(j.AddedTokens)
}

// charSteps reads normalizer and pre_tokenizer of BPE on characters.
func (v *vocab) charSteps(j *tokenizerJSON) error {
	v.spacePrefix = flag(false)
	escaped := false
	for _, s := range j.Normalizer.flat() {
		switch {
		case s.Type == "Prepend" && s.Prepend == spaceMark:
			v.spacePrefix = flag(true)
		case s.Type == "Replace" && s.Pattern.String != nil && *s.Pattern.String == " " && s.Content == spaceMark:
			escaped = true
		case s.Type == "NFC":
		default:
			return v.unsupported("normalizer %s of BPE on characters", quoted(s.Type))
		}
	}
	for _, s := range j.PreTokenizer.flat() {
		switch {
		case s.Type == "Metaspace":
			escaped = true
			if err := v.readMetaspace(&s); err != nil {
				return err
			}
		case s.Type == "Split" && escaped && s.Pattern.String != nil && *s.Pattern.String == " ": // there are none left
		case s.Type == "Digits" && s.Individual:
			for _, p := range v.pieces {
				if p.kind == tokenizer.TypeNormal && utf8.RuneCountInString(p.text) > 1 && strings.ContainsFunc(p.text, unicode.IsNumber) {
					return v.unsupported("pre_tokenizer Digits, while token %s has a digit and more", quoted(p.text))
				}
			}
		default:
			return v.unsupported("pre_tokenizer %s of BPE on characters", quoted(s.Type))
		}
	}
	if !escaped {
		return v.unsupported("BPE on characters that does not write spaces as U+2581")
	}
	return nil
}

// pieceScores takes the scores from a tokenizer.model beside tokenizer.json. ok is false where there is none that has the same tokens.
func (v *vocab) pieceScores() (ok bool, err error) {
	path := filepath.Join(filepath.Dir(v.path), "tokenizer.model")
	if !exists(path) {
		return false, nil
	}
	b, err := readWhole(path)
	if err != nil {
		return false, err
	}
	m, err := parsePieces(b)
	if err != nil {
		return false, (&vocab{path: path}).fail("%w", err)
	}
	if m.kind != pieceBPE {
		return false, nil
	}
	for id, p := range m.pieces {
		if id >= len(v.pieces) || v.pieces[id].text != p.text {
			return false, nil
		}
	}
	for id := range v.pieces {
		v.pieces[id].score = -10000
		if id < len(m.pieces) {
			v.pieces[id].score = m.pieces[id].score
		}
	}
	return true, nil
}

// scoreByMerges gives tokens scores by which SentencePiece's algorithm, merging the two neighbours that make the token with the highest score, does what a
// list of merges says. It can where all merges that make the same token follow one another in the list, and none is missing: then the score is the
// token's place. A list that was made from a SentencePiece model is like that.
func (v *vocab) scoreByMerges(merges []jsonMerge) error {
	place := make([]int, len(v.pieces)) // of the first merge that makes a token, from 1 on
	last, left := int32(-1), make(map[[2]int32]bool, len(merges))
	for i, m := range merges {
		a, okA := v.index[m[0]]
		b, okB := v.index[m[1]]
		to, ok := v.index[m[0]+m[1]]
		if !okA || !okB || !ok {
			return v.fail("merge %d, of %s and %s: one of the three is no token", i, quoted(m[0]), quoted(m[1]))
		}
		if to != last && place[to] != 0 {
			return v.unsupported("merges: those that make %s do not follow one another, so there are no scores for them", quoted(m[0]+m[1]))
		}
		if place[to] == 0 {
			place[to] = i + 1
		}
		last = to
		left[[2]int32{a, b}] = true
	}
	reached := func(text string) (int32, bool) {
		id, ok := v.index[text]
		return id, ok && (place[id] != 0 || utf8.RuneCountInString(text) == 1)
	}
	for id := range v.pieces {
		p := &v.pieces[id]
		p.score = float32(-place[id])
		if p.kind != tokenizer.TypeNormal {
			continue
		}
		for at := range p.text {
			a, okA := reached(p.text[:at])
			b, okB := reached(p.text[at:])
			if at > 0 && okA && okB && !left[[2]int32{a, b}] {
				return v.unsupported("merges: there is none of %s and %s, though both and the two together are tokens", quoted(p.text[:at]), quoted(p.text[at:]))
			}
		}
	}
	return nil
}

// readSentencePiece reads tokenizer.model.
func (v *vocab) readSentencePiece(b []byte) error {
	m, err := parsePieces(b)
	if err != nil {
		return v.fail("%w", err)
	}
	v.pre = "default"
	switch m.kind {
	case pieceBPE:
		v.model = tokenizer.ModelSPM
		if len(m.charsmap) > 0 || m.mergeSpaces {
			return v.unsupported("normalizer %s of BPE, or remove_extra_whitespaces", quoted(m.normalizer))
		}
	case pieceUnigram:
		v.model = tokenizer.ModelUnigram
		v.charsmap, v.mergeSpaces = m.charsmap, flag(m.mergeSpaces)
	default:
		return v.unsupported("model_type %d: want 1 (Unigram) or 2 (BPE)", m.kind)
	}
	if !m.escapes || m.suffix {
		return v.unsupported("escape_whitespaces: false or treat_whitespace_as_suffix: true")
	}
	v.spacePrefix = flag(v.settings.flag(m.prefix, "add_prefix_space"))
	for id, p := range m.pieces {
		if err := v.put(int64(id), p); err != nil {
			return err
		}
		if p.kind == tokenizer.TypeUnknown {
			v.unk = int32(id)
		}
	}
	for _, p := range [...]struct {
		name string
		id   int64
	}{{"bos", m.bos}, {"eos", m.eos}, {"unk", m.unk}} { // where tokenizer_config.json does not say
		if key := p.name + "_token"; p.id >= 0 && p.id < int64(len(m.pieces)) && !v.settings.has(key) {
			v.settings.values[key] = m.pieces[p.id].text
		}
	}
	return v.addDecoder()
}

// The model types of SentencePiece that are known here.
const (
	pieceUnigram = 1
	pieceBPE     = 2
)

// pieceModel is a SentencePiece model (sentencepiece_model.proto).
type pieceModel struct {
	pieces        []piece
	kind          int64
	bos, eos, unk int64
	suffix        bool // treat_whitespace_as_suffix

	normalizer                   string
	charsmap                     []byte
	prefix, mergeSpaces, escapes bool
}

var errPieces = errors.New("damaged SentencePiece model")

// parsePieces reads the protocol buffer. Types of pieces are GGUF's types of tokens.
func parsePieces(b []byte) (*pieceModel, error) {
	m := &pieceModel{kind: pieceUnigram, unk: 0, bos: 1, eos: 2, prefix: true, mergeSpaces: true, escapes: true}
	err := eachField(b, func(field int, n uint64, data []byte) error {
		switch field {
		case 1:
			p := piece{kind: tokenizer.TypeNormal}
			err := eachField(data, func(field int, n uint64, data []byte) error {
				switch field {
				case 1:
					p.text = string(data)
				case 2:
					p.score = math.Float32frombits(uint32(n))
				case 3:
					if n < 1 || n > 6 {
						return errPieces
					}
					p.kind = int32(n)
				}
				return nil
			})
			if !utf8.ValidString(p.text) {
				return errPieces
			}
			m.pieces = append(m.pieces, p)
			return err
		case 2:
			return eachField(data, func(field int, n uint64, _ []byte) error {
				switch field {
				case 3:
					m.kind = int64(n)
				case 24:
					m.suffix = n != 0
				case 40:
					m.unk = int64(n)
				case 41:
					m.bos = int64(n)
				case 42:
					m.eos = int64(n)
				}
				return nil
			})
		case 3:
			return eachField(data, func(field int, n uint64, data []byte) error {
				switch field {
				case 1:
					m.normalizer = string(data)
				case 2:
					m.charsmap = data
				case 3:
					m.prefix = n != 0
				case 4:
					m.mergeSpaces = n != 0
				case 5:
					m.escapes = n != 0
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(m.pieces) == 0 {
		err = errPieces
	}
	return m, err
}

// eachField calls f for each field of a message: with a number for the wire types of those, else with the bytes.
func eachField(b []byte, f func(field int, n uint64, data []byte) error) error {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		if size <= 0 || tag>>3 == 0 || tag>>3 > math.MaxInt32 {
			return errPieces
		}
		b = b[size:]
		var n uint64
		var data []byte
		switch wire := tag & 7; {
		case wire == 0:
			if n, size = binary.Uvarint(b); size <= 0 {
				return errPieces
			}
		case wire == 1 && len(b) >= 8:
			n, size = binary.LittleEndian.Uint64(b), 8
		case wire == 5 && len(b) >= 4:
			n, size = uint64(binary.LittleEndian.Uint32(b)), 4
		case wire == 2:
			if n, size = binary.Uvarint(b); size <= 0 || n > uint64(len(b)-size) {
				return errPieces
			}
			data = b[size : size+int(n)]
			size += int(n)
		default:
			return errPieces
		}
		b = b[size:]
		if err := f(int(tag>>3), n, data); err != nil {
			return err
		}
	}
	return nil
}
