package goinfer

import "github.com/goinfer/goinfer/model"

// The poolings of hidden states.
const (
	PoolDefault = model.PoolNone  // as the file says; if it does not, PoolMean for encoders and PoolLast for other models
	PoolMean    = model.PoolMean  // the mean over all tokens
	PoolFirst   = model.PoolFirst // the state of the first token, which BERT calls CLS
	PoolLast    = model.PoolLast  // the state of the last token
)
