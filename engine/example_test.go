package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goinfer/goinfer/engine"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
)

// An engine over a model file, and a request that ends after four tokens.
func Example() {
	f, err := gguf.Open("../testdata/models/llama-dense/model.gguf", gguf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	cfg, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		log.Fatal(err)
	}
	m, err := arch.Build(model.NewWeights(cfg, model.GGUF(f), model.Options{}))
	if err != nil {
		log.Fatal(err)
	}
	pool := par.New(2)
	defer pool.Close()
	e, err := engine.New(engine.Config{Model: m, Pool: pool, NVocab: cfg.NVocab, NCtx: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	q := engine.Request{Tokens: []int32{1, 17, 99, 200}, MaxTokens: 4}
	var ids []int32
	for p, err := range e.Generate(context.Background(), q) {
		switch {
		case err != nil:
			log.Fatal(err)
		case p.Kind == engine.KindStop:
			fmt.Println(len(ids), "tokens after", p.Usage.Prompt, "of the prompt; ended by", p.Stop)
		default:
			ids = append(ids, p.ID)
		}
	}
	// Output: 4 tokens after 4 of the prompt; ended by length
}
