package smartconnect_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var seen clienttest.Seen
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
				c.HTTP.Logger, c.PollTimeout = seen.Logger(), 20*time.Millisecond
				c.HTTP.Retries = -1
				config = *c
			})
			driver := smartconnect.NewDriver(client)
			seen.Show(config, client, *client, driver, *driver)
			register := client.Register(registerID)
			lane, err := client.Lane(smartconnect.Virtual{Name: "counter", ID: registerID})
			seen.Show(register, &register, register.WithCallback("https://till.example/done?key="+pollToken), lane, &lane, err)
			_, err = lane.Select("another")
			seen.Show(err)
			_, err = register.WithCallback("done?key="+pollToken).Purchase(t.Context(), decimal.NewFromInt(1))
			seen.Show(err)
			report, err := register.Status(t.Context(), nil)
			seen.Show(report, err)
			evidence, err := register.LastTransaction(t.Context(), nil)
			seen.Show(evidence, err)
			err = client.Register(registerID).Pair(t.Context(), "1", "Main", smartconnect.Contact{})
			seen.Show(err)
			transaction, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(1))
			seen.Show(transaction, &transaction, err)
			status, err := client.Poll(t.Context(), s.transaction())
			seen.Show(status, err)
			p := payment()
			handle, err := driver.Start(t.Context(), p)
			seen.Show(handle, err)
			link, err := driver.Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "1", Identity: registerID})
			seen.Show(link, err)
			evidence, err = driver.Evidence(t.Context(), p)
			seen.Show(evidence, err)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r, _, _, err := await(t.Context(), t, &script{answers: []reply{{401, `{"error":"` + pollToken + ` expired"}`, ""}}})
		require.NoError(t, err)
		seen.Show(r)
	})
	seen.Hides(t, registerID.Reveal(), pollToken)
}
