package smartconnect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	show := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&out, "%v %+v %#v %s %q\n", v, v, v, v, v)
			if text, err := json.Marshal(v); err == nil {
				out.Write(text)
			}
			logger.Info("value", "v", v)
		}
	}
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text := "what is " + r.URL.RawQuery
			if r.Method != http.MethodGet {
				text += registerID.Reveal()
			}
			answer(status, `{"error":"`+text+`"}`)(w, r)
		}
	}
	for name, reply := range map[string]http.HandlerFunc{
		"fine": started(t), "lost": lost, "html": answer(http.StatusOK, "<html>"), "no URL": answer(http.StatusOK, `{}`),
		"foreign URL": answer(http.StatusOK, `{"transactionId":"T1","data":{"PollingUrl":"https://evil.example/?merchantAccessToken=`+pollToken+`"}}`),
		"bad":         echo(http.StatusBadRequest), "unauthorized": echo(http.StatusUnauthorized), "broken": echo(http.StatusBadGateway),
		"busy": echo(http.StatusTooManyRequests),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?"+pollToken, http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, reply)
			var config smartconnect.Config
			client := s.client(t, func(c *smartconnect.Config) {
				c.HTTP.Logger, c.PollTimeout = logger, 20*time.Millisecond
				c.HTTP.Retries = -1
				config = *c
			})
			driver := smartconnect.NewDriver(client)
			show(config, client, *client, driver, *driver)
			register := client.Register(registerID)
			lane, err := client.Lane(smartconnect.Virtual{Name: "counter", ID: registerID})
			show(register, &register, register.WithCallback("https://till.example/done?key="+pollToken), lane, &lane, err)
			_, err = lane.Select("another")
			show(err)
			_, err = register.WithCallback("done?key="+pollToken).Purchase(t.Context(), decimal.NewFromInt(1))
			show(err)
			report, err := register.Status(t.Context(), nil)
			show(report, err)
			evidence, err := register.LastTransaction(t.Context(), nil)
			show(evidence, err)
			err = client.Register(registerID).Pair(t.Context(), "1", "Main", smartconnect.Contact{})
			show(err)
			transaction, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(1))
			show(transaction, &transaction, err)
			status, err := client.Poll(t.Context(), s.transaction())
			show(status, err)
			p := payment()
			handle, err := driver.Start(t.Context(), p)
			show(handle, err)
			link, err := driver.Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "1", Identity: registerID})
			show(link, err)
			evidence, err = driver.Evidence(t.Context(), p)
			show(evidence, err)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r, _, _, err := await(t.Context(), t, &script{answers: []reply{{401, `{"error":"` + pollToken + ` expired"}`, ""}}})
		require.NoError(t, err)
		show(r)
	})
	require.NotEmpty(t, out.String())
	for _, secret := range []string{registerID.Reveal(), pollToken} {
		require.Empty(t, near(out.String(), secret))
	}
}

// near returns what stands before a secret, if it is there.
func near(text, secret string) string {
	i := strings.Index(text, secret)
	if i < 0 {
		return ""
	}
	return text[max(0, i-200) : i+len(secret)]
}
