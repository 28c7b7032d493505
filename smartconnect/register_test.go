package smartconnect_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestPairingAndTransactionsHaveTheSameIdentity(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"result":"success"}`), started(t))
	names := func(c *smartconnect.Config) {
		c.BusinessName, c.VendorName = " John Doe's Coffee & Cake ", "Till2Go é+%"
	}
	till := s.client(t, names).Register("Kasse 1/ä+&=")
	require.NoError(t, till.Pair(t.Context(), "1", "Main", smartconnect.Contact{}))
	_, err := till.Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	_, err = till.WithSale(smartconnect.SaleData{TotalAmount: "5.00", TotalTax: "0.65"}).WithCallback("https://till.example/").
		Start(t.Context(), "Card.Refund", url.Values{"POSRegisterID": {"another"}, "POSBusinessName": {"another"}, "POSVendorName": {"another"}})
	require.NoError(t, err)
	require.Len(t, s.got(), 3)
	for _, got := range s.got() {
		require.Equal(t, []string{"Kasse 1/ä+&="}, got.form["POSRegisterID"])
		require.Equal(t, []string{" John Doe's Coffee & Cake "}, got.form["POSBusinessName"])
		require.Equal(t, []string{"Till2Go é+%"}, got.form["POSVendorName"])
	}
}

func TestWithAddsToTheCopyAlone(t *testing.T) {
	s := newServer(t, started(t))
	till := s.client(t).Register(registerID)
	sale := till.WithSale(smartconnect.SaleData{TotalAmount: "5.00", TotalTax: "0.65"})
	both := sale.WithCallback("https://till.example/done?key=1")
	for _, r := range []smartconnect.Register{till, sale, both, till} {
		_, err := r.Purchase(t.Context(), decimal.NewFromInt(5))
		require.NoError(t, err)
	}
	got := s.got()
	require.False(t, got[0].form.Has("SaleData"))
	require.True(t, got[1].form.Has("SaleData"))
	require.False(t, got[1].form.Has("PosNotificationCallbackUrl"))
	require.True(t, got[2].form.Has("SaleData"))
	require.Equal(t, "https://till.example/done?key=1", got[2].form.Get("PosNotificationCallbackUrl"))
	require.Equal(t, got[0].form, got[3].form)
}

func TestRegisterRefusesWhatCannotWork(t *testing.T) {
	s := newServer(t, started(t))
	client := s.client(t)
	for name, till := range map[string]smartconnect.Register{
		"no ID":            client.Register(""),
		"ID of no text":    client.Register("\xff"),
		"zero":             {},
		"zero with a sale": smartconnect.Register{}.WithSale(smartconnect.SaleData{}),
		"relative URL":     client.Register(registerID).WithCallback("/done"),
		"no URL":           client.Register(registerID).WithCallback(""),
		"another scheme":   client.Register(registerID).WithCallback("ftp://till.example/done"),
		"unreadable URL":   client.Register(registerID).WithCallback("https://till.example/%zz"),
		"empty sale":       client.Register(registerID).WithSale(smartconnect.SaleData{}),
		"zero client":      new(smartconnect.Client).Register(registerID),
		"no client":        (*smartconnect.Client)(nil).Register(registerID),
	} {
		for kind, call := range calls(t.Context(), till) {
			_, err := call()
			require.ErrorIs(t, err, tillroute.ErrInvalid, "%s: %s", name, kind)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "%s: %s", name, kind)
		}
		require.ErrorIs(t, till.Pair(t.Context(), "1", "Main", smartconnect.Contact{}), tillroute.ErrInvalid, name)
	}
	require.Empty(t, s.got())
}

func TestClientsOfAProcessShareNothing(t *testing.T) {
	var mixed atomic.Int32
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		owner := strings.TrimPrefix(r.FormValue("POSBusinessName"), "Shop ")
		if r.FormValue("POSRegisterID") != "register of "+owner || r.FormValue("POSVendorName") != "Vendor "+owner {
			mixed.Add(1)
		}
		_, _ = fmt.Fprintf(w, `{"transactionId":"T of %s","data":{"PollingUrl":"%s/x?merchantAccessToken=%[1]s"}}`, owner, server.URL)
	})
	var callers sync.WaitGroup
	for _, owner := range []string{"one", "two"} {
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: "Shop " + owner, VendorName: "Vendor " + owner, Currency: "NZD", BaseURL: server.URL,
			HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
		})
		require.NoError(t, err)
		register := client.Register(tillroute.Secret("register of " + owner))
		for range 100 {
			callers.Go(func() {
				begun, err := register.Purchase(t.Context(), decimal.NewFromInt(1))
				if assert.NoError(t, err) {
					assert.Equal(t, "T of "+owner, begun.ID)
				}
			})
		}
	}
	callers.Wait()
	require.Zero(t, mixed.Load(), "requests with the identity of another client")
}
