// Package sample chooses the next token.
package sample
