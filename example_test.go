package goinfer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/source"
)

const (
	tinyDense = "cmd/goinfer/embedded/tiny-dense-q8_0.gguf"
	tinyMoE   = "cmd/goinfer/embedded/tiny-moe-q8_0.gguf"
)

func Example() {
	m, err := goinfer.Open(tinyDense, goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for piece, err := range m.Generate(context.Background(), goinfer.Request{Prompt: "The sun rises in the", MaxTokens: 8}) {
		if err != nil {
			log.Fatal(err)
		}
		os.Stdout.Write(piece.Bytes)
	}
	// Output: east and sets in the west.
}

// A model in memory, a stop string, and what the last piece reports.
func ExampleOpenSource() {
	data, err := os.ReadFile(tinyDense)
	if err != nil {
		log.Fatal(err)
	}
	m, err := goinfer.OpenSource(source.Bytes("tiny-dense", data), goinfer.Options{Context: 256})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var text strings.Builder
	for piece, err := range m.Generate(context.Background(), goinfer.Request{Prompt: "The capital of France is", Stop: []string{"."}}) {
		if err != nil {
			log.Fatal(err)
		}
		text.Write(piece.Bytes)
		if piece.Stop != "" {
			fmt.Printf("%q ended by %s after %d tokens\n", text.String(), piece.Stop, piece.Usage.Generated)
		}
	}
	// Output: " Paris" ended by stop after 4 tokens
}

// Sampling with a seed: the same text every time.
func ExampleModel_Generate_sampling() {
	m, err := goinfer.Open(tinyDense, goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := goinfer.DefaultSampling()
	s.Seed = 42
	var texts [2]strings.Builder
	for i := range texts {
		for piece, err := range m.Generate(context.Background(), goinfer.Request{Prompt: "Once upon a time", Sampling: s, MaxTokens: 30}) {
			if err != nil {
				log.Fatal(err)
			}
			texts[i].Write(piece.Bytes)
		}
	}
	fmt.Println(texts[0].Len() > 0, texts[0].String() == texts[1].String())
	// Output: true true
}

// router counts which experts are chosen in each layer.
type router struct{ layers [][]int }

func (r *router) Wants(layer int, name string) bool { return name == goinfer.NameRouterTopK }

func (r *router) Observe(e *goinfer.Event) {
	for len(r.layers) <= e.Layer {
		r.layers = append(r.layers, make([]int, 8))
	}
	for _, expert := range e.Experts {
		r.layers[e.Layer][expert]++
	}
}

// A hook that watches the router of a mixture-of-experts model.
func ExampleHook() {
	m, err := goinfer.Open(tinyMoE, goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	r := &router{}
	usage := goinfer.Usage{}
	for piece, err := range m.Generate(context.Background(), goinfer.Request{Prompt: "The sun rises in the", MaxTokens: 10, Hook: r}) {
		if err != nil {
			log.Fatal(err)
		}
		if piece.Stop != "" {
			usage = piece.Usage
		}
	}
	// The last token was sampled, not fed.
	fed := usage.Prompt + usage.Generated - 1
	for layer, counts := range r.layers {
		sum := 0
		for _, n := range counts {
			sum += n
		}
		fmt.Printf("layer %d: %d choices for %d tokens\n", layer, sum, fed)
	}
	// Output:
	// layer 0: 32 choices for 16 tokens
	// layer 1: 32 choices for 16 tokens
	// layer 2: 32 choices for 16 tokens
	// layer 3: 32 choices for 16 tokens
}

// The probability of every token of a text, as a model comparison needs it.
func ExampleModel_Score() {
	m, err := goinfer.Open(tinyDense, goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ids := m.Tokenizer().Encode(nil, "The sun rises in the east", true, true)
	rows := 0
	err = m.Score(context.Background(), goinfer.Request{Tokens: ids, Logits: func(pos int, row []float32) error {
		rows++
		return nil
	}})
	fmt.Println(err, rows == len(ids))
	// Output: <nil> true
}

// A conversation of two rounds: the second computes what is new alone.
func ExampleModel_Chat() {
	m, err := goinfer.Open(tinyDense, goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	q := goinfer.ChatRequest{}
	for _, question := range []string{"What is the opposite of west?", "What is the capital of France?"} {
		q.Messages = append(q.Messages, goinfer.ChatMessage{Role: "user", Content: question})
		for e, err := range m.Chat(context.Background(), q) {
			switch {
			case err != nil:
				log.Fatal(err)
			case e.Kind == goinfer.ChatText:
				fmt.Print(e.Text)
			case e.Kind == goinfer.ChatStop:
				fmt.Printf(" (%d of %d tokens cached)\n", e.Turn.Usage.Cached, e.Turn.Usage.Prompt)
				q.Messages, q.After = append(q.Messages, e.Turn.Message), e.Turn
			}
		}
	}
	// Output:
	// It is east. (0 of 14 tokens cached)
	// It is Paris. (18 of 34 tokens cached)
}
