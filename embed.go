package goinfer

import "github.com/goinfer/goinfer/model"

// The poolings of hidden states.
const (
	// as the file says, else PoolMean for encoders, PoolLast for others
	PoolDefault = model.PoolNone
	PoolMean    = model.PoolMean  // the mean over all tokens
	PoolFirst   = model.PoolFirst // the state of the first token, which BERT calls CLS
	PoolLast    = model.PoolLast  // the state of the last token
)
