package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
)

// fieldFlags are the flags that set the fields of the library's arguments: options, requests, and
// what Sampling has below "Sampling.".
var fieldFlags = map[string]string{
	"Context": "ctx-size", "Threads": "threads", "Batch": "ubatch-size", "CacheK": "cache-type-k", "CacheV": "cache-type-v",
	"MaxTokens": "predict", "Stop": "stop", "Top": "top", "Pooling": "pooling",

	"Temperature": "temp", "DynaTempRange": "dynatemp-range", "DynaTempExponent": "dynatemp-exp",
	"TopK": "top-k", "TopP": "top-p", "MinP": "min-p", "TypicalP": "typical", "TopNSigma": "top-nsigma",
	"XTCProbability": "xtc-probability", "XTCThreshold": "xtc-threshold",
	"RepeatLastN": "repeat-last-n", "RepeatPenalty": "repeat-penalty", "FrequencyPenalty": "frequency-penalty", "PresencePenalty": "presence-penalty",
	"DRYMultiplier": "dry-multiplier", "DRYBase": "dry-base", "DRYAllowedLength": "dry-allowed-length", "DRYLastN": "dry-penalty-last-n", "DRYBreakers": "dry-sequence-breaker",
	"Mirostat": "mirostat", "MirostatTau": "mirostat-ent", "MirostatEta": "mirostat-lr",
	"LogitBias": "logit-bias", "Chain": "samplers", "Seed": "seed",
}

// benchFields are those of the numbers of bench, which are called otherwise.
var benchFields = map[string]string{
	"Prompt": "n-prompt", "Gen": "n-gen", "Depth": "n-depth", "Parallel": "n-parallel", "Threads": "threads", "Batch": "batch-size", "Ubatch": "ubatch-size", "Repetitions": "repetitions",
}

// argumentText is the text of an error about wrong arguments of the library, with the flags of a
// command in place of fields; ok is false where the error is about anything else, or a field that
// no flag of the command sets.
func argumentText(cmd *cobra.Command, err error) (text string, ok bool) {
	flags := fieldFlags
	if cmd.Name() == "bench" {
		flags = benchFields
	}
	var parts []string
	for _, a := range goinfer.WrongArguments(err) {
		base := a.Base()
		f := cmd.Flags().Lookup(flags[strings.TrimPrefix(base, "Sampling.")])
		if f == nil {
			return "", false
		}
		element := strings.TrimPrefix(a.Field, base) // "[2]" of a list
		parts = append(parts, flagName(f)+element+": want "+a.Want+", found "+a.Found)
	}
	return strings.Join(parts, "; "), len(parts) > 0
}

// oneLine is the text of an error in one line. It is safe to print whatever names of files and
// tensors are in it.
func oneLine(err error) string {
	return printable(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// inFlags is err with the flags of a command in place of the library's fields, and as a usage
// error, if that is what it is about.
func inFlags(cmd *cobra.Command, err error) error {
	if text, ok := argumentText(cmd, err); ok {
		return &usageError{errors.New(text)}
	}
	return err
}
