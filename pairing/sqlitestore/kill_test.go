package sqlitestore

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
)

// killed is the environment variable with the database of a process that is to be killed.
const killed = "TILLROUTE_KILLED"

// TestKilled writes until it is killed, and says what was acknowledged.
func TestKilled(t *testing.T) {
	path := os.Getenv(killed)
	if path == "" {
		t.Skip("only for TestKill")
	}
	s := paired(t, Config{Path: path})
	lines := make(chan string)
	for range 8 {
		go func() {
			for n := rand.Int64(); ; n++ {
				r := benchRequest(0, n)
				if _, err := s.AcceptPayment(context.Background(), r); err != nil {
					lines <- "error " + err.Error()
				}
				lines <- "acknowledged " + r.ID
			}
		}()
	}
	for line := range lines {
		_, _ = fmt.Fprintln(os.Stdout, line)
	}
}

// TestKill kills a writing process again and again: what it had acknowledged is there.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	var acknowledged []string
	for range 20 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killed+"="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan(), "the process wrote nothing")
		stop := time.AfterFunc(rand.N(120*time.Millisecond), func() { _ = cmd.Process.Kill() })
		for {
			id, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
			require.True(t, ok, "%s", lines.Text())
			acknowledged = append(acknowledged, id)
			if !lines.Scan() {
				break
			}
		}
		stop.Stop()
		require.Error(t, cmd.Wait(), "the process ended by itself")
	}
	s := paired(t, Config{Path: path})
	known := map[string]bool{}
	list, err := s.ListPayments(t.Context(), pairing.Filter{}, 1_000_000)
	require.NoError(t, err)
	for _, p := range list {
		known[p.ID] = true
	}
	for i, id := range acknowledged {
		require.True(t, known[id] || i == len(acknowledged)-1 && len(id) < 36, "payment %q was acknowledged and is lost", id)
	}
	var check string
	_, err = s.read(t.Context(), func(r *row) { check = r.text() }, "PRAGMA integrity_check")
	require.NoError(t, err)
	require.Equal(t, "ok", check)
	t.Logf("%d payments were acknowledged, %d are there", len(acknowledged), len(known))
}
