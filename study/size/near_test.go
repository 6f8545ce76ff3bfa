package size

import (
	"github.com/goinfer/goinfer/internal/fault"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNear(t *testing.T) {
	for name, want := range map[string]string{"phi-3": "phi-3-mini", "DeepSeek-R1": "deepseek-v3", "llama-3-405b": "llama-3.1-405b", "Llama-2-7B": "llama-2-7b"} {
		s, err := FindShape(name)
		require.NoError(t, err)
		require.Equal(t, want, s.Name)
	}
	for from, to := range aliases {
		require.Contains(t, ShapeNames(), to, from)
		require.NotContains(t, ShapeNames(), from)
	}
	for name, want := range map[string]string{"lama-2-7b": "llama-2-7b", "llama_2_7b": "llama-2-7b", "mistral7b": "mistral-7b", "deepseek-v4": "deepseek-v3", "qwen3": "qwen3-8b", "mixtral-8x7": "mixtral-8x7b"} {
		require.Contains(t, NearNames(name), want, name)
		_, err := FindShape(name)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "did you mean")
	}
	require.Empty(t, NearNames("xyzzy-plugh"))
	_, err := FindShape("xyzzy-plugh")
	require.ErrorContains(t, err, "want one of")
	require.Equal(t, 3, fault.Distance("kitten", "sitting"))
}
