package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoSecretShows looks for all secrets of the simulated systems in what the program prints and logs.
func TestNoSecretShows(t *testing.T) {
	var out, logs bytes.Buffer
	p, err := start(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "x.db"), &out, &logs)
	require.NoError(t, err)
	err = p.once(t.Context())
	secrets := p.world.Secrets()
	require.NoError(t, errors.Join(err, p.stop(t.Context())))
	require.NotEmpty(t, out.String())
	require.NotEmpty(t, secrets)
	for _, secret := range secrets {
		if len(secret) == 8 && strings.Trim(secret, "0123456789") == "" {
			continue // A pairing code, which the terminal shows to everybody who stands before it.
		}
		require.NotContains(t, out.String(), secret)
		require.NotContains(t, logs.String(), secret)
	}
}
