package tillroute_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The code in the README is the example's, which runs with the tests.
func TestReadmeShowsTheExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(source), "\t// README: from here\n")
	require.True(t, found)
	code, _, found := strings.Cut(rest, "\t// README: to here\n")
	require.True(t, found)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```go\n"+strings.ReplaceAll(strings.TrimPrefix(code, "\t"), "\n\t", "\n")+"```")
}
