package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/examples/internal/programtest"
)

// foreign is a client that shares nothing with the simulators but what is on the wire.
type foreign struct {
	t      *testing.T
	client *http.Client
}

func (f foreign) call(method, target, kind, body string) map[string]any {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, target, strings.NewReader(body))
	require.NoError(f.t, err)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := f.client.Do(req)
	require.NoError(f.t, err)
	defer func() { require.NoError(f.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	require.Equal(f.t, http.StatusOK, resp.StatusCode, string(raw))
	var v map[string]any
	require.NoError(f.t, json.Unmarshal(raw, &v), string(raw))
	return v
}

// payOnce pairs a register and pays 12.50 with it, driving terminal and point of sale over HTTP.
func payOnce(t *testing.T, line string) {
	t.Helper()
	var d struct {
		SmartConnect struct {
			BaseURL   string `json:"base_url"`
			Terminals []struct {
				ID     string `json:"id"`
				SimURL string `json:"sim_url"`
			} `json:"terminals"`
		} `json:"smartconnect"`
		XSeries struct {
			BaseURL string `json:"base_url"`
		} `json:"xseries"`
	}
	require.NoError(t, json.Unmarshal([]byte(line), &d), line)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	f := foreign{t: t, client: &http.Client{Transport: transport, Timeout: 2 * time.Minute}}
	const form = "application/x-www-form-urlencoded"

	terminal := d.SmartConnect.Terminals[0].SimURL
	code, ok := f.call(http.MethodPost, terminal+"/code", "", "")["pairing_code"].(string)
	require.True(t, ok)
	identity := url.Values{"POSRegisterID": {"till 1"}, "POSRegisterName": {"Till"}, "POSBusinessName": {"Shop"}, "POSVendorName": {"Vendor"}}
	require.Equal(t, map[string]any{"result": "success"},
		f.call(http.MethodPut, d.SmartConnect.BaseURL+"/Pairing/"+code, form, identity.Encode()))

	identity.Set("TransactionMode", "ASYNC")
	identity.Set("TransactionType", "Card.Purchase")
	identity.Set("AmountTotal", "1250")
	posted := f.call(http.MethodPost, d.SmartConnect.BaseURL+"/Transaction", form, identity.Encode())
	require.Equal(t, "PENDING", posted["transactionStatus"])
	f.call(http.MethodGet, terminal+"/transaction?wait_ms=60000", "", "")
	f.call(http.MethodPost, terminal+"/approve", "", "")
	polling, ok := posted["data"].(map[string]any)["PollingUrl"].(string)
	require.True(t, ok)
	done := f.call(http.MethodGet, polling, "", "")
	require.Equal(t, "COMPLETED", done["transactionStatus"])
	require.Equal(t, "OK-ACCEPTED", done["data"].(map[string]any)["TransactionResult"])
}

func TestRunPrintsOneLineServesAndStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	stopped := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0"}, writer, io.Discard)
		stopped <- err
		_ = writer.Close()
	}()
	lines := bufio.NewReader(reader)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	payOnce(t, line)
	cancel()
	require.NoError(t, <-stopped)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Empty(t, rest, "one line and nothing else")
}

func TestRunRefusesBadArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-port", "1"}, "flag provided but not defined: -port"},
		{[]string{"now"}, `unexpected argument "now"`},
	} {
		var stderr bytes.Buffer
		require.ErrorIs(t, run(t.Context(), tt.args, io.Discard, &stderr), program.ErrUsage)
		require.Contains(t, stderr.String(), tt.want)
	}
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard), flag.ErrHelp)
	state := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(state, []byte("{}"), 0o600))
	require.ErrorContains(t, run(t.Context(), []string{"-state", state}, io.Discard, io.Discard), "delete it to begin with a fresh simulated world")
	require.ErrorContains(t, run(t.Context(), []string{"-addr", "256.0.0.1:1"}, io.Discard, io.Discard), `cannot listen on "256.0.0.1:1"`)
}

func TestBinaryStopsOnInterrupt(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), programtest.Build(t))
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	payOnce(t, line)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, cmd.Wait(), "exit status 0")
}

// TestTheStateOutlivesTheProcess kills the simulators in the middle of a transaction.
func TestTheStateOutlivesTheProcess(t *testing.T) {
	binary := programtest.Build(t)
	state := filepath.Join(t.TempDir(), "state.json")
	start := func(addr string) (line string, kill func()) {
		cmd := exec.CommandContext(t.Context(), binary, "-addr", addr, "-state", state)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		line, err = bufio.NewReader(stdout).ReadString('\n')
		require.NoError(t, err)
		return line, func() {
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait(), "killed")
		}
	}
	var d struct {
		SmartConnect struct {
			BaseURL   string `json:"base_url"`
			Terminals []struct {
				SimURL string `json:"sim_url"`
			} `json:"terminals"`
		} `json:"smartconnect"`
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	f := foreign{t: t, client: &http.Client{Transport: transport, Timeout: 2 * time.Minute}}
	const form = "application/x-www-form-urlencoded"

	first, kill := start("127.0.0.1:0")
	require.NoError(t, json.Unmarshal([]byte(first), &d))
	terminal := d.SmartConnect.Terminals[0].SimURL
	code, ok := f.call(http.MethodPost, terminal+"/code", "", "")["pairing_code"].(string)
	require.True(t, ok)
	identity := url.Values{"POSRegisterID": {"till 1"}, "POSRegisterName": {"Till"}, "POSBusinessName": {"Shop"}, "POSVendorName": {"Vendor"}}
	f.call(http.MethodPut, d.SmartConnect.BaseURL+"/Pairing/"+code, form, identity.Encode())
	identity.Set("TransactionMode", "ASYNC")
	identity.Set("TransactionType", "Card.Purchase")
	identity.Set("AmountTotal", "1250")
	posted := f.call(http.MethodPost, d.SmartConnect.BaseURL+"/Transaction", form, identity.Encode())
	polling, ok := posted["data"].(map[string]any)["PollingUrl"].(string)
	require.True(t, ok)
	address, err := url.Parse(polling)
	require.NoError(t, err)
	kill()
	transport.CloseIdleConnections() // those to the one that was killed

	second, kill := start(address.Host)
	defer kill()
	require.JSONEq(t, first, second, "the same credentials too")
	f.call(http.MethodPost, terminal+"/approve", "", "")
	require.Equal(t, "COMPLETED", f.call(http.MethodGet, polling, "", "")["transactionStatus"])
}

// TestReadmeCommandsWork runs every shell example of the README, one after the other, as the README says.
func TestReadmeCommandsWork(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool + " on this machine")
		}
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for i, part := range strings.Split(string(readme), "```") {
		if block, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			script.WriteString(block)
		}
	}
	commands := strings.ReplaceAll(script.String(), "curl -s ", "curl -sS --fail-with-body ")
	require.Greater(t, strings.Count(commands, "curl"), 40)
	// A machine may be slower than a reader's.
	commands = regexp.MustCompile(`wait_ms=\d+`).ReplaceAllString(commands, "wait_ms=60000")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	stopped := make(chan error, 1)
	go func() { stopped <- run(ctx, nil, writer, io.Discard) }()
	line, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	var d struct {
		Sim struct {
			BaseURL string `json:"base_url"`
		} `json:"sim"`
	}
	require.NoError(t, json.Unmarshal([]byte(line), &d))
	commands = strings.ReplaceAll(commands, "http://127.0.0.1:8080", strings.TrimSuffix(d.Sim.BaseURL, "/_sim"))

	out, err := exec.CommandContext(t.Context(), "sh", "-c", commands).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), `"TransactionResult":"OK-ACCEPTED"`)
	require.Contains(t, string(out), `"amount":"3.5","asked":"3.5"`, "Paysera's charge")
	require.NotContains(t, string(out), `"error":`)
	cancel()
	require.NoError(t, <-stopped)
}
