package main

import (
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"github.com/goinfer/goinfer"
)

// The events of run --json, one JSON object on a line each.
type (
	// beginEvent comes first, when the model is open.
	beginEvent struct {
		Event  string  `json:"event"` // "begin"
		Model  string  `json:"model"`
		Seed   uint64  `json:"seed"`
		Prompt []int32 `json:"prompt_ids"`
		LoadMs float64 `json:"load_ms"`
	}
	// tokenEvent is a token that was generated.
	tokenEvent struct {
		Event string `json:"event"` // "token"
		ID    int32  `json:"id"`
		// Text is empty where a later token completes a character, or where it might begin a stop
		// string.
		Text    string `json:"text"`
		Bytes   []int  `json:"bytes,omitempty"`   // Text, where that is not valid UTF-8
		Special string `json:"special,omitempty"` // how the vocabulary writes a control token
		// LogProb is the natural logarithm of the probability, before the samplers.
		LogProb float32    `json:"logprob"`
		Top     []topToken `json:"top_logprobs,omitempty"`
	}
	// topToken is one of the most probable tokens.
	topToken struct {
		ID      int32   `json:"id"`
		Text    string  `json:"text"`
		LogProb float32 `json:"logprob"`
	}
	// endEvent comes last.
	endEvent struct {
		Event      string       `json:"event"` // "end"
		Stop       goinfer.Stop `json:"stop"`  // eog, stop, length, context or cancelled
		StopString string       `json:"stop_string,omitempty"`
		ID         int32        `json:"id"`   // the end-of-generation token, or -1
		Text       string       `json:"text"` // what had been held back
		Bytes      []int        `json:"bytes,omitempty"`
		Timings    timings      `json:"timings"`
	}
	// timings have the keys of llama-server.
	timings struct {
		CacheN             int     `json:"cache_n"` // tokens of the prompt in the cache
		PromptN            int     `json:"prompt_n"`
		PromptMs           float64 `json:"prompt_ms"`
		PromptPerSecond    float64 `json:"prompt_per_second"`
		PredictedN         int     `json:"predicted_n"`
		PredictedMs        float64 `json:"predicted_ms"`
		PredictedPerSecond float64 `json:"predicted_per_second"`
	}
)

// eventWriter writes the events of a generation.
type eventWriter struct {
	out   *json.Encoder
	vocab *goinfer.Tokenizer
}

// newEventWriter writes the first event.
func newEventWriter(out io.Writer, name string, m *goinfer.Model, q goinfer.Request, load time.Duration) (*eventWriter, error) {
	w := &eventWriter{json.NewEncoder(out), m.Tokenizer()}
	w.out.SetEscapeHTML(false)
	begin := beginEvent{Event: "begin", Model: name, Seed: q.Sampling.Seed, Prompt: []int32{}, LoadMs: milliseconds(load)}
	if w.vocab != nil {
		begin.Prompt = w.vocab.Encode(begin.Prompt, q.Prompt, true, !q.NoSpecial)
	}
	return w, w.out.Encode(begin)
}

// write writes the event of a piece.
func (w *eventWriter) write(p goinfer.Piece) error {
	text, raw := p.Text(), rawBytes(p.Bytes)
	if p.Kind == goinfer.KindStop {
		return w.out.Encode(endEvent{"end", p.Stop, p.StopString, p.ID, text, raw, timingsOf(p)})
	}
	e := tokenEvent{Event: "token", ID: p.ID, Text: text, Bytes: raw, LogProb: p.LogProb}
	if p.Kind == goinfer.KindSpecial {
		e.Special = p.Spelling
	}
	for _, c := range p.Top {
		e.Top = append(e.Top, topToken{c.ID, string(w.vocab.Bytes(c.ID)), c.Logit})
	}
	return w.out.Encode(e)
}

// rawBytes are the bytes of a text that JSON cannot hold, nil for any other.
func rawBytes(text []byte) (raw []int) {
	if utf8.Valid(text) {
		return nil
	}
	for _, b := range text {
		raw = append(raw, int(b))
	}
	return raw
}

func timingsOf(p goinfer.Piece) timings {
	u, passes := p.Usage, generationPasses(p)
	t := timings{
		CacheN: u.Cached, PromptN: u.Prompt - u.Cached, PromptMs: milliseconds(u.PromptTime),
		PredictedN: u.Generated, PredictedMs: milliseconds(u.GenerateTime),
	}
	if u.PromptTime > 0 {
		t.PromptPerSecond = float64(t.PromptN) / u.PromptTime.Seconds()
	}
	if u.GenerateTime > 0 && passes > 0 {
		t.PredictedPerSecond = float64(passes) / u.GenerateTime.Seconds()
	}
	return t
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
