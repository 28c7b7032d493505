package testserver

import (
	"net/http"
	"time"

	"github.com/shopspring/decimal"
)

// simKSeries adds the calls of the simulated K-Series: what people do in the restaurant, and the books.
func (s *Systems) simKSeries(handle func(string, simCall)) {
	k := s.KSeries
	const check = "/kseries/checks/{account}"

	handle("GET /kseries/products", func(*http.Request) (any, error) { return k.Products(), nil })
	handle("GET /kseries/tables", func(*http.Request) (any, error) { return k.Tables(), nil })
	handle("GET /kseries/checks", func(*http.Request) (any, error) { return k.Checks(), nil })
	handle("POST /kseries/checks", s.simOpenCheck)
	handle("GET "+check, func(r *http.Request) (any, error) {
		c, ok := k.Check(r.PathValue("account"))
		if !ok {
			return nil, refuse(http.StatusNotFound, "no check %q", r.PathValue("account"))
		}
		return c, nil
	})
	handle("POST "+check+"/items", s.simAddItem)
	handle("POST "+check+"/pay", s.simPayAtPOS)
	handle("POST "+check+"/entries", s.simEntry)
	handle("GET /kseries/tasks", func(*http.Request) (any, error) { return k.Tasks(), nil })
	handle("POST /kseries/tasks/expire", simDo(k.ExpireTasks))
	handle("POST /kseries/tasks/fail", s.simFailTasks)
	handle("GET /kseries/applied", func(*http.Request) (any, error) { return listOf(k.Applied()), nil })
	handle("GET /kseries/messages", func(*http.Request) (any, error) { return listOf(k.Messages()), nil })
	handle("GET /kseries/pos", func(*http.Request) (any, error) { return map[string]KSeriesPOS{"state": k.POS()}, nil })
	handle("POST /kseries/pos", s.simPOS)
	handle("POST /kseries/stock", s.simStock)
	handle("POST /kseries/authorization", simConsent(s.KSeries))
	handle("POST /kseries/token", s.simKSeriesToken)
	handle("POST /kseries/expire-tokens", simDo(k.ExpireTokens))
	handle("POST /kseries/revoke-tokens", simDo(k.RevokeTokens))

	handle("GET /kseries/notifications", s.simNotifications)
	handle("POST /kseries/notifications/duplicate", simCount(k.DuplicateNotifications))
	handle("POST /kseries/notifications/lose", simCount(k.LoseNotifications))
	handle("POST /kseries/notifications/hold", simDo(k.HoldNotifications))
	handle("POST /kseries/notifications/release", simRelease(k.ReleaseNotifications))
	handle("POST /kseries/notifications/settings", s.simNotify)
}

// simNotifications lists the notifications, see [settledList].
func (s *Systems) simNotifications(r *http.Request) (any, error) {
	return settledList(r, "notifications", s.KSeries.WaitNotifications)
}

func (s *Systems) simOpenCheck(r *http.Request) (any, error) {
	var body struct {
		Table int      `json:"table"`
		SKUs  []string `json:"skus"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return s.KSeries.OpenCheck(body.Table, body.SKUs...)
}

func (s *Systems) simAddItem(r *http.Request) (any, error) {
	body := struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	}{Quantity: 1}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return s.KSeries.AddItem(r.PathValue("account"), body.SKU, body.Quantity)
}

func (s *Systems) simPayAtPOS(r *http.Request) (any, error) {
	var body struct {
		Method string          `json:"method"`
		Amount decimal.Decimal `json:"amount"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return s.KSeries.PayAtPOS(r.PathValue("account"), orDefault(body.Method, "CASH"), body.Amount)
}

func (s *Systems) simEntry(r *http.Request) (any, error) {
	var body struct {
		Reference string `json:"reference"`
		Active    bool   `json:"active"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.KSeries.SetEntryActive(r.PathValue("account"), body.Reference, body.Active)
}

func (s *Systems) simFailTasks(r *http.Request) (any, error) {
	var body struct {
		Count     int    `json:"count"`
		ErrorType string `json:"error_type"`
		Reason    string `json:"reason"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.Count < 0 || body.Count > 0 && body.ErrorType == "" {
		return nil, refuse(http.StatusBadRequest, "count must not be negative, and error_type is one of the vendor's, such as UPDATE_FAILED")
	}
	s.KSeries.FailNext(body.Count, body.ErrorType, body.Reason)
	return nil, nil
}

// simPOS changes the point of sale. A field that is left out stays as it is.
func (s *Systems) simPOS(r *http.Request) (any, error) {
	var body struct {
		State   *KSeriesPOS `json:"state"`
		DelayMS *int64      `json:"delay_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.DelayMS != nil && *body.DelayMS < 0 {
		return nil, refuse(http.StatusBadRequest, "delay_ms is %d, must not be negative", *body.DelayMS)
	}
	if body.State != nil {
		switch *body.State {
		case POSOnline, POSOffline, POSBackground:
			s.KSeries.SetPOS(*body.State)
		default:
			return nil, refuse(http.StatusBadRequest, "state is %q, must be online, offline or background", *body.State)
		}
	}
	if body.DelayMS != nil {
		s.KSeries.SetDelay(time.Duration(*body.DelayMS) * time.Millisecond)
	}
	return nil, nil
}

func (s *Systems) simStock(r *http.Request) (any, error) {
	var body struct {
		SKU   string `json:"sku"`
		Count int64  `json:"count"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.KSeries.SetStock(body.SKU, body.Count)
}

func (s *Systems) simKSeriesToken(r *http.Request) (any, error) {
	var body struct {
		Scopes []string `json:"scopes"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return map[string]string{"access_token": s.KSeries.Token(body.Scopes...)}, nil
}

// simNotify says how notifications are written and sent; what is left out goes back to its default.
func (s *Systems) simNotify(r *http.Request) (any, error) {
	var body struct {
		SchemaNames      bool  `json:"schema_names"`
		Bare             bool  `json:"bare"`
		NoErrors         bool  `json:"no_errors"`
		ChecksToPayments bool  `json:"checks_to_payments"`
		RetryMS          int64 `json:"retry_ms"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.RetryMS < 0 {
		return nil, refuse(http.StatusBadRequest, "retry_ms is %d, must not be negative", body.RetryMS)
	}
	s.KSeries.SetNotify(KSeriesNotify{
		SchemaNames: body.SchemaNames, Bare: body.Bare, NoErrors: body.NoErrors, ChecksToPayments: body.ChecksToPayments,
		Retry: time.Duration(body.RetryMS) * time.Millisecond,
	})
	return nil, nil
}
