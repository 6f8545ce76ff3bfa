package gguf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParseFileType checks names and numbers: general.file_type of well-known files.
func TestParseFileType(t *testing.T) {
	for name, number := range map[string]int{"F32": 0, "F16": 1, "q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12, "q4_k": 15, "Q4_K_S": 14, "Q5_K": 17,
		"Q6_K": 18, "IQ2_XXS": 19, "Q2_K_S": 21, "IQ3_XXS": 23, "IQ1_S": 24, "IQ4_NL": 25, "IQ4_XS": 30, "IQ1_M": 31, "bf16": 32, "TQ1_0": 36, "TQ2_0": 37, "mxfp4_moe": 38, "Q1_0": 40, "Q2_0": 41} {
		m, err := ParseFileType(name)
		require.NoError(t, err)
		require.EqualValues(t, number, m, name)
	}
	for m := range FileType(50) {
		if m.Valid() {
			got, err := ParseFileType(m.String())
			require.NoError(t, err)
			require.Equal(t, m, got)
		}
	}
	require.Equal(t, "ftype(5)", FileType(5).String())
	for _, bad := range []string{"", "Q9", "5", "-1", "Q6_K_M"} {
		_, err := ParseFileType(bad)
		require.ErrorContains(t, err, "unknown file type")
	}
}
