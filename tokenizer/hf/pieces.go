package hf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"unicode/utf8"

	"github.com/goinfer/goinfer/tokenizer"
)

// pieceScores takes the scores from a tokenizer.model beside tokenizer.json. ok is false where
// there is none that has the same tokens.
func (v *vocab) pieceScores() (ok bool, err error) {
	path := filepath.Join(v.dir, "tokenizer.model")
	if !exists(path) {
		return false, nil
	}
	b, err := readWhole(path, maxVocab)
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
	v.spacePrefix = flag(tokenizer.IsTrue(v.settings.flag("add_prefix_space"), m.prefix))
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
		if key := p.name + "_token"; p.id >= 0 && p.id < int64(len(m.pieces)) && v.settings.raw(key) == nil {
			name, err := json.Marshal(m.pieces[p.id].text)
			if err != nil {
				return v.fail("%w", err)
			}
			v.settings.set(key, name)
		}
	}
	return v.addMore(map[string]bool{})
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

// eachField calls f for each field of a message: with a number for the wire types of those, else
// with the bytes.
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
