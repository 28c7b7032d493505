package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/programtest"
)

func TestTour(t *testing.T) {
	t.Parallel()
	program := programtest.Build(t)

	t.Run("as JSON", func(t *testing.T) {
		t.Parallel()
		tour := exec.CommandContext(t.Context(), program, "-json")
		var stdout, stderr bytes.Buffer
		tour.Stdout, tour.Stderr = &stdout, &stderr
		err := tour.Run()
		require.NoError(t, err, "%s%s", &stdout, &stderr)
		require.Empty(t, stderr.String())
		decoder := json.NewDecoder(&stdout)
		decoder.DisallowUnknownFields()
		var got report
		require.NoError(t, decoder.Decode(&got))
		require.False(t, decoder.More(), "one object and nothing else")
		require.True(t, got.OK)
		for _, s := range got.Steps {
			require.True(t, s.OK, "%s: %s", s.Step, s.Detail)
			require.Contains(t, []string{"pairing", "xseries", "smartconnect", "paysera", "kseries", "pms"}, s.System)
			require.NotEmpty(t, s.Detail)
		}
		require.GreaterOrEqual(t, len(got.Steps), 35)
	})

	t.Run("for people", func(t *testing.T) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), program).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "a payment is approved")
		require.Regexp(t, `(\d+) of (\d+) steps did what they should`, string(out))
		require.NotContains(t, string(out), "\x1b", "no escapes unless the output is a terminal")
		require.NotContains(t, string(out), "merchantAccessToken")
	})

	t.Run("wrong usage", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"-jsn"}, {"extra"}} {
			out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 2, exit.ExitCode())
			require.Contains(t, string(out), "Usage")
		}
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	program := programtest.Build(t)
	folder := t.TempDir()
	tour := exec.CommandContext(t.Context(), program, "-json")
	tour.Env = append(os.Environ(), "TMPDIR="+folder, "TEMP="+folder, "TMP="+folder)
	require.NoError(t, tour.Run())
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAFailedStepFailsTheTour(t *testing.T) {
	t.Parallel()
	tour := tour{screen: silent{}}
	tour.steps = []step{{OK: true}, {OK: false}}
	require.False(t, tour.report().OK)
	tour.steps = nil
	require.False(t, tour.report().OK, "a tour without a step shows nothing")
	err := check(should(true, "a"), should(false, "b is %d", 2), should(false, "c"))
	require.ErrorContains(t, err, "not so: b is 2\nnot so: c")
	require.NoError(t, check(should(true, "a")))
	var out strings.Builder
	paper := newScreen(&out)
	paper.table([]step{{System: "pairing", Step: "x", OK: false}})
	require.Contains(t, out.String(), "0 of 1 steps")
}
