package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
)

// TestNoSecretShows looks for all secrets of the simulated systems in what the program prints and logs.
func TestNoSecretShows(t *testing.T) {
	var out, logs bytes.Buffer
	p, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), patient(), &out, &logs)
	require.NoError(t, err)
	err = p.once(t.Context())
	secrets := p.world.Secrets()
	require.NoError(t, errors.Join(err, p.stop(t.Context())))
	programtest.Hides(t, secrets, out.String(), logs.String())
}
