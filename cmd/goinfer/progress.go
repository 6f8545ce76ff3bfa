package main

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress shows on standard error how far something is, if that is a terminal and it takes over a
// second. A nil progress shows nothing.
type progress struct {
	mu    sync.Mutex
	start *time.Timer
	bar   *progressbar.ProgressBar
	ended bool

	done, total int
}

// patience is how long something may take without a word.
const patience = time.Second

// startProgress begins to watch something of total steps, -1 if their number is not known yet.
func startProgress(cmd *cobra.Command, what string, total int) *progress {
	w := cmd.ErrOrStderr()
	if !isTerminal(w) {
		return nil
	}
	p := &progress{total: total}
	p.start = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return
		}
		options := []progressbar.Option{
			progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(true),
		}
		if p.total > 0 {
			options = append(options, progressbar.OptionShowCount())
		}
		p.bar = progressbar.NewOptions(p.total, options...)
		// What fails to be drawn, here and below, is not worth an error.
		if p.done > 0 {
			_ = p.bar.Set(p.done)
		} else {
			_ = p.bar.RenderBlank()
		}
	})
	return p
}

// set says how much is done.
func (p *progress) set(done, total int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	if p.bar == nil || p.ended {
		p.total = total
		return
	}
	if total != p.total {
		p.total = total
		p.bar.ChangeMax(total)
	}
	_ = p.bar.Set(done)
}

// end takes the bar away. It may be called more than once.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	p.start.Stop()
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// isTerminal reports whether a reader or writer is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
