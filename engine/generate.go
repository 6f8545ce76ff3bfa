package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tokenizer"
)

// Generate enters a request and yields its pieces as they are made. The last piece has Stop set;
// after an error nothing follows. Leaving the loop cancels the request, and cancelling ctx ends it
// with a last piece whose Stop is [StopCancelled].
func (e *Engine) Generate(ctx context.Context, q Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		g, err := e.startGeneration(ctx, &q)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		g.deliver(ctx, yield)
	}
}

// maxAhead is the number of pieces a generation may be ahead of its reader. Its buffers are used in
// turn.
const maxAhead = 16

// generation is a request under way.
type generation struct {
	sequence
	q       *Request
	sampler *sample.Sampler
	text    text

	out     chan Piece
	err     error // set before out is closed
	buffers [maxAhead + 2]buffer
	buffer  int

	guesses   []int32 // tokens that may follow the next one
	guessedAt int     // number of tokens that guesses go on from
	endToken  int32   // the token that ended it, or -1
	ending    string  // the stop string that ended it
	reported  int     // tokens of the prompt that Progress knows of; -1 before the first time
	usage     Usage
	prompted  time.Time // when the prompt was evaluated
}

// buffer is what a piece refers to.
type buffer struct {
	text       []byte
	ids        []int32
	candidates []sample.Candidate
}

// startGeneration enters a generation.
func (e *Engine) startGeneration(ctx context.Context, q *Request) (*generation, error) {
	if err := q.Watch.claim(); err != nil {
		return nil, err
	}
	g, err := e.newGeneration(ctx, q)
	if err == nil {
		err = e.submit(g, q.Priority)
	}
	if err != nil {
		q.Watch.end()
	}
	return g, err
}

func (e *Engine) newGeneration(ctx context.Context, q *Request) (*generation, error) {
	tokens, err := e.c.encode(q)
	if err != nil {
		return nil, err
	}
	if err := e.c.checkGenerate(q, len(tokens)); err != nil {
		return nil, err
	}
	g := &generation{q: q, out: make(chan Piece, maxAhead), reported: -1, endToken: -1}
	g.init(ctx, e, q, tokens)
	g.each = q.Logits != nil || q.Hidden != nil
	var v sample.Vocab
	if e.c.Vocab != nil {
		v = e.c.Vocab
		g.text = text{stream: e.c.Vocab.NewStream(tokenizer.StreamConfig{Special: q.Special}), stops: q.Stop}
	}
	if g.sampler, err = sample.New(q.Sampling, v); err != nil {
		return nil, fault.Under("Sampling", err)
	}
	g.sampler.Prompt(tokens...)
	return g, nil
}

// deliver hands the pieces to the caller's loop.
func (g *generation) deliver(ctx context.Context, yield func(Piece, error) bool) {
	stop := context.AfterFunc(ctx, func() { g.e.cancel(&g.task) })
	defer stop()
	ended := false
	defer func() {
		if !ended { // the loop was left, be it by a panic
			g.e.cancel(&g.task)
		}
	}()
	for n := 0; ; n++ {
		p, ok := g.receive(ctx, n)
		if !ok {
			if ended = true; g.err != nil {
				yield(Piece{}, g.err)
			}
			return
		}
		g.e.notify() // there is room again
		ended = p.Kind == KindStop
		if !yield(p, nil) || ended {
			return
		}
	}
}

// receive waits for piece number n. When ctx is done and the engine does not notice, since it waits
// for code of another caller's, the piece is one that says so.
func (g *generation) receive(ctx context.Context, n int) (Piece, bool) {
	select {
	case p, ok := <-g.out:
		return p, ok
	default:
	}
	select {
	case p, ok := <-g.out:
		return p, ok
	case <-ctx.Done():
	}
	select {
	case p, ok := <-g.out:
		return p, ok
	case <-time.After(grace):
		return Piece{Kind: KindStop, ID: -1, Stop: StopCancelled, Usage: Usage{Generated: n}}, true
	}
}

// generating reports whether the whole prompt has been evaluated.
func (g *generation) generating() bool { return len(g.tokens) > g.prompt }

// room is how many more pieces the reader can take, the last one apart.
func (g *generation) room() int { return cap(g.out) - len(g.out) - 1 }

// Rows are those of the prompt, or the next token with guesses of what follows it.
func (g *generation) Rows() scheduler.Rows {
	if g.room() < 1 || g.cancelled() || g.fault != nil {
		return scheduler.Rows{}
	}
	if left := g.left(); !g.generating() || left > 1 {
		rows := g.promptRows()
		if g.q.Logits != nil {
			rows.Max = min(rows.Max, g.e.scoredRows())
		}
		return rows
	}
	return scheduler.Rows{Min: 1, Max: 1 + g.propose(), Generating: true}
}

// mostGuesses bounds the tokens that are guessed at once.
const mostGuesses = 8

// propose fills guesses with what may follow, and returns how many they are: tokens that a grammar
// forces, or else what the proposer says, as far as the grammar allows it.
func (g *generation) propose() int {
	n := min(mostGuesses, g.room()-1, g.e.c.NCtx-len(g.tokens)-1)
	if g.q.MaxTokens > 0 {
		n = min(n, g.q.MaxTokens-g.usage.Generated-1)
	}
	if n < 1 || g.private || g.q.Proposer == nil && g.q.Sampling.Grammar == nil {
		return 0
	}
	if g.guessedAt == len(g.tokens) { // the scheduler asks again
		return min(n, len(g.guesses))
	}
	g.guessedAt, g.guesses = len(g.tokens), g.guesses[:0]
	g.e.calls.enter(&g.task)
	defer g.e.calls.leave()
	if g.guesses = g.sampler.Forced(g.guesses, n, g.e.c.NVocab); len(g.guesses) == 0 && g.q.Proposer != nil {
		g.guesses = g.q.Proposer.Propose(g.guesses, g.tokens, n)
		if len(g.guesses) > n {
			g.guesses = g.guesses[:n]
		}
		for i, id := range g.guesses {
			if id < 0 || int(id) >= g.e.c.NVocab {
				g.fail(fmt.Errorf("Proposer: guess %d is token %d, the vocabulary has %d", i, id, g.e.c.NVocab))
				g.guesses = g.guesses[:0]
				break
			}
		}
	}
	g.e.calls.returned = true
	return len(g.guesses)
}

// Reserve makes room for rows, those after the next token being tentative.
func (g *generation) Reserve(n int) bool {
	if g.generating() && g.left() == 1 {
		return g.reserve(n, 1)
	}
	return g.reserve(n, n)
}

func (g *generation) addRows(r *round, n int) {
	if !g.generating() {
		g.mark(n)
		g.add(r, n, func(pos int) bool {
			return g.each && pos >= g.q.From && pos >= g.shown || pos == g.prompt-1
		})
		r.wantHidden = r.wantHidden || g.q.Hidden != nil
		r.wantLogits = true
		return
	}
	known := min(n, g.left())
	g.add(r, known, func(pos int) bool { return pos == len(g.tokens)-1 })
	for i, id := range g.guesses[:n-known] {
		g.row(id, len(g.tokens)+i, true)
	}
	r.wantLogits = true
}

// report gives Progress what is evaluated of the prompt, each time once.
func (g *generation) report() {
	if done := g.evaluated(); g.q.Progress != nil && !g.generating() && done > g.reported {
		g.reported = done
		g.q.Progress(done, g.prompt)
	}
}

func (g *generation) take(r *round) {
	at := g.evaluated()
	if !g.generating() {
		g.takePrompt(r, at)
		return
	}
	known := min(g.rows, len(g.tokens)-at)
	if at+known < len(g.tokens) { // it was stopped, and catches up
		g.commit(known)
		return
	}
	guesses := g.guesses[:g.rows-known]
	right := 0
	for i := 0; ; i++ {
		id, ok := g.emit(r.logits.Row(r.next()))
		if !ok || i == len(guesses) || id != guesses[i] {
			break
		}
		right++
	}
	g.usage.Proposed += len(guesses)
	g.usage.Accepted += right
	g.commit(known + right)
}

// takePrompt takes rows of the prompt, and with its last one the first token.
func (g *generation) takePrompt(r *round, at int) {
	end := at + g.rows
	shown := g.shown
	g.commit(g.rows)
	for pos := at; pos < end; pos++ {
		wanted := g.each && pos >= g.q.From && pos >= shown
		if !wanted && pos != g.prompt-1 {
			continue
		}
		i := r.next()
		if wanted {
			if err := callBack(r, g.q, pos, i); err != nil {
				g.fail(err)
				return
			}
		}
		if pos == g.prompt-1 {
			g.report()
			g.prompted = time.Now()
			g.usage.Prompt, g.usage.PromptTime = g.prompt, g.prompted.Sub(g.began)
			g.emit(r.logits.Row(i))
		}
	}
	g.report()
}

// callBack gives the callbacks of q what there is of position pos, output i of the round.
func callBack(r *round, q *Request, pos, i int) error {
	if q.Hidden != nil {
		if err := q.Hidden(pos, r.hidden.Row(i)); err != nil {
			return err
		}
	}
	if q.Logits != nil {
		return q.Logits(pos, r.logits.Row(i))
	}
	return nil
}

// emit chooses the next token and yields its piece. ok is false where it was the last.
func (g *generation) emit(logits []float32) (id int32, ok bool) {
	id, err := g.choose(logits)
	if err != nil {
		g.fail(err)
		return id, false
	}
	if id < 0 {
		g.end(StopEOG)
		return id, false
	}
	vocab := g.e.c.Vocab
	if !g.q.IgnoreEOG && vocab != nil && (vocab.IsEOG(id) || slices.Contains(g.q.EOG, id)) {
		g.endToken = id
		g.end(StopEOG)
		return id, false
	}
	if err := g.sampler.Accept(id); err != nil {
		g.fail(err)
		return id, false
	}
	g.tokens = append(g.tokens, id)
	g.usage.Generated++
	g.yield(id, logits)
	switch {
	case g.stop != "":
	case g.q.MaxTokens > 0 && g.usage.Generated >= g.q.MaxTokens:
		g.end(StopLength)
	case len(g.tokens) >= g.e.c.NCtx:
		g.end(StopContext)
	}
	return id, g.stop == ""
}

// choose asks who chooses tokens; -1 is the end of a grammar after which nothing may follow.
func (g *generation) choose(logits []float32) (int32, error) {
	if g.q.Pick != nil {
		id := g.q.Pick(logits, len(g.tokens))
		if id < 0 || int(id) >= g.e.c.NVocab {
			return 0, fmt.Errorf("token %d, chosen by Pick, is outside the vocabulary of %d", id, g.e.c.NVocab)
		}
		return id, nil
	}
	id := g.sampler.Sample(logits, len(g.tokens))
	if id >= 0 || g.sampler.Done(g.e.c.NVocab) {
		return id, nil
	}
	if g.q.Sampling.Grammar != nil {
		return 0, fmt.Errorf("no token that the grammar allows has a finite logit")
	}
	return 0, fmt.Errorf("no token has a finite logit")
}

// yield makes the piece of a token and hands it to the reader, for whom there is room.
func (g *generation) yield(id int32, logits []float32) {
	b := g.nextBuffer()
	p := Piece{ID: id}
	if g.q.LogProb || g.q.Top > 0 {
		p.LogProb = sample.LogProb(logits, id)
	}
	if g.q.Top > 0 {
		b.candidates = sample.TopLogProbs(b.candidates[:0], logits, g.q.Top)
		p.Top = b.candidates
	}
	if v := g.e.c.Vocab; v != nil && v.IsControl(id) {
		p.Kind, p.Spelling = KindSpecial, v.Spelling(id)
		g.text.flush()
	}
	g.text.push(id)
	n, stop := g.text.stopAt()
	if n >= 0 {
		g.ending = stop
		g.end(StopString)
	} else if n = g.text.ready(); p.Kind == KindSpecial {
		n = len(g.text.pending)
	}
	b.text, b.ids = g.text.take(b.text[:0], b.ids[:0], n)
	if g.stop == StopString {
		g.text = text{}
	}
	p.Bytes, p.IDs = b.text, b.ids
	g.out <- p
}

func (g *generation) nextBuffer() *buffer {
	g.buffer = (g.buffer + 1) % len(g.buffers)
	return &g.buffers[g.buffer]
}

// finish yields the last piece, with what text was held back, and keeps the cache for others.
func (g *generation) finish(why Stop, err error) {
	if err != nil {
		g.err = err
		g.drop(false)
		close(g.out)
		return
	}
	p := Piece{Kind: KindStop, ID: -1, Stop: why, StopString: g.ending, Usage: g.usage}
	if g.endToken >= 0 && why == StopEOG {
		p.ID = g.endToken
	}
	if why == StopCancelled && g.prompted.IsZero() {
		p.Usage.PromptTime, p.Usage.Prompt = time.Since(g.began), g.evaluated()
	} else {
		p.Usage.GenerateTime = time.Since(g.prompted)
	}
	p.Usage.Cached, p.Usage.Preempted = g.cached, g.preempted
	b := g.nextBuffer()
	g.text.flush()
	b.text, b.ids = g.text.take(b.text[:0], b.ids[:0], len(g.text.pending))
	p.Bytes, p.IDs = b.text, b.ids
	g.out <- p
	g.drop(true)
	close(g.out)
}
