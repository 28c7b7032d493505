package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
)

func requestsQuestion() question {
	return question{
		"requests", "What does a call cost?",
		"Calls to a server on this machine that answers at once with the vendor's own example; it is another process, so the allocations are\n" +
			"those of the caller. The floor is net/http with the transport settings of ours, and encoding/json into a plain struct; where calls\n" +
			"are signed it signs. It retries nothing, and takes whatever comes.",
		"20 rows, of slices of 150 ms",
		4 * time.Minute,
		requests,
	}
}

// kind is a call that is measured.
type kind struct {
	name string
	// ours makes it, and plain makes it with a client as it comes.
	ours  func(context.Context) error
	plain func(ctx context.Context, client doer) error
}

// doer sends requests.
type doer interface {
	Do(r *http.Request) (*http.Response, error)
}

func requests(ctx context.Context, b *bench, a *answer) error {
	server, first, err := b.start(ctx, b.program, childConfig{Role: "vendor"})
	if err != nil {
		return err
	}
	kinds, err := kindsOf(first.Values["url"])
	if err != nil {
		return err
	}
	t := a.table(perSecond())
	t.Counts = true
	const goal = 0.95
	const why = "what is read is checked, and taken in whatever type the vendor writes it"
	slice := b.slice(150 * time.Millisecond)
	for _, callers := range []int{1, 64} {
		for i, k := range kinds {
			r := row{What: fmt.Sprintf("%s, %d callers", k.name, callers)}
			if callers > 1 {
				r.Goal, r.Why = goal, why
			} else {
				r.What = k.name + ", 1 caller"
			}
			our := calls(ours, callers, func(ctx context.Context, _ int) error { return k.ours(ctx) })
			transport := rest.NewTransport()
			bare := &http.Client{Transport: transport, Timeout: 30 * time.Second}
			err := b.add(ctx, t, r, b.rounds, slice, our, calls("the floor", callers, func(ctx context.Context, _ int) error { return k.plain(ctx, bare) }))
			transport.CloseIdleConnections()
			if err != nil {
				return err
			}
			if i > 1 {
				continue
			}
			r.Goal, r.Why = 0, ""
			retrying := retryablehttp.NewClient()
			retrying.Logger = nil
			err = b.add(ctx, t, r, b.rounds, slice, our, calls("go-retryablehttp as it comes", callers, func(ctx context.Context, _ int) error {
				return k.plain(ctx, retries{retrying})
			}))
			if err != nil {
				return err
			}
			if i > 0 {
				continue
			}
			written := newHandWritten(first.Values["url"])
			err = b.add(ctx, t, r, b.rounds, slice, our, calls("a client written by hand", callers, func(ctx context.Context, _ int) error { return written.registers(ctx) }))
			if err != nil {
				return err
			}
		}
	}
	passed, err := pipeline(ctx, b, a, first.Values["url"])
	if err != nil {
		return err
	}
	for i := range t.Rows {
		if r := &t.Rows[i]; r.Goal != 0 {
			r.because("what all calls pass through, with next to nothing to read, reaches %s of the floor, and go-retryablehttp %s",
				showRatio(passed.Rows[2].Comparison.ratio(rate).median), showRatio(passed.Rows[3].Comparison.ratio(rate).median))
		}
	}
	a.note("The client written by hand stands for `vend/govend`, which the module proxy of this machine doesn't have: `http.Client` with a time limit and " +
		"net/http's default transport, as it is usually found.")
	a.note("go-retryablehttp keeps three idle connections for each host unless it is told otherwise: with 64 callers it dials for nearly every call.")
	a.note("The second table is the limit: what all clients of ours pass through, with next to nothing to decode, and beside it go-retryablehttp alone, with " +
		"the same transport. What a row of the first table has less than that, reading the answer costs: its fields are checked, and may be of another type.")
	a.note("What ours has above the floor: the attempt's own time limit, the record of whether a request left (which decides whether a payment may be " +
		"sent again), limits on the answer's size, the retry loop, and fields that are read whatever the vendor writes into them.")
	return server.stop()
}

// pipeline measures what all calls have in common: a request of 1 KB that comes back.
func pipeline(ctx context.Context, b *bench, a *answer, base string) (*table, error) {
	t := a.table(perSecond())
	t.Counts = true
	body := json.RawMessage(`{"text":"` + strings.Repeat("x", 1000) + `"}`)
	client, err := rest.New(rest.Config{System: "bench", BaseURL: base})
	if err != nil {
		return nil, err
	}
	operation := rest.Operation{Name: "Echo", Method: http.MethodPost, Path: "/echo"}
	floor := &http.Client{Transport: rest.NewTransport(), Timeout: 30 * time.Second}
	retrying := retryablehttp.NewClient()
	retrying.Logger, retrying.HTTPClient = nil, &http.Client{Transport: rest.NewTransport(), Timeout: 30 * time.Second}
	plain := func(client doer) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			var got json.RawMessage
			return exchange(ctx, client, http.MethodPost, base+"/echo", "application/json", body, nil, &got)
		}
	}
	for _, callers := range []int{1, 64} {
		bare := calls("the floor", callers, plain(floor))
		what := fmt.Sprintf("1 KB there and back, %d callers", callers)
		if callers == 1 {
			what = "1 KB there and back, 1 caller"
		}
		for _, our := range []side{
			calls("the pipeline of ours", callers, func(ctx context.Context, _ int) error {
				var got json.RawMessage
				return client.Do(ctx, &operation, rest.Request{Body: body, ContentType: "application/json"}, &got)
			}),
			calls("go-retryablehttp, our transport", callers, plain(retries{retrying})),
		} {
			if err := b.add(ctx, t, row{What: what}, b.rounds, b.slice(150*time.Millisecond), our, bare); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// retries has go-retryablehttp send requests.
type retries struct{ client *retryablehttp.Client }

func (r retries) Do(request *http.Request) (*http.Response, error) {
	wrapped, err := retryablehttp.FromRequest(request)
	if err != nil {
		return nil, err
	}
	return r.client.Do(wrapped)
}

func kindsOf(base string) ([]kind, error) {
	const token = "a-token-that-nobody-checks"
	shop, err := xseries.New(xseries.Config{DomainPrefix: "acme", AccessToken: token, BaseURL: base})
	if err != nil {
		return nil, err
	}
	restaurant, err := kseries.New(kseries.Config{AccessToken: token, BaseURL: base})
	if err != nil {
		return nil, err
	}
	terminals, err := smartconnect.New(smartconnect.Config{
		BusinessName: "John Doe's Coffee Shop", VendorName: "Tillroute", Currency: "NZD", BaseURL: base + "/POS",
	})
	if err != nil {
		return nil, err
	}
	wallet, err := paysera.New(paysera.Config{ClientID: macID, ClientSecret: macKey, BaseURL: base})
	if err != nil {
		return nil, err
	}
	hotel, err := pms.NewClient(pms.ClientConfig{
		BaseURL: base, Token: func(context.Context) (tillroute.Secret, error) { return token, nil },
	})
	if err != nil {
		return nil, err
	}
	var number atomic.Int64
	amount := decimal.New(2006, -2)
	register := terminals.Register("9444ae07-dc63-e49c-33e3-59a7c108cc81")
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	return []kind{
		{"`xseries` Registers.List", func(ctx context.Context) error {
			_, err := shop.Registers.List(ctx, xseries.ListOptions{PageSize: 50})
			return err
		}, func(ctx context.Context, client doer) error {
			var page plainRegisters
			return exchange(ctx, client, http.MethodGet, base+"/api/2026-07/registers?page_size=50", "", nil, bearer, &page)
		}},
		{"`kseries` Payments.Apply", func(ctx context.Context) error {
			_, err := restaurant.Payments.Apply(ctx, kseries.Payment{
				BusinessLocationID: 45454565682155, AccountIdentifier: "A1234.56", Reference: fmt.Sprintf("%014d", number.Add(1)),
				EndpointID: "MY-AWESOME-ENDPOINT-ID", TTL: time.Minute, Amount: amount, Method: "OOPAYMENT",
			})
			return err
		}, func(ctx context.Context, client doer) error {
			body, err := json.Marshal(map[string]any{
				"iKaccountIdentifier": "A1234.56", "thirdPartyPaymentReference": fmt.Sprintf("%014d", number.Add(1)),
				"endpointId": "MY-AWESOME-ENDPOINT-ID", "businessLocationId": 45454565682155, "taskTtlInMs": 60000,
				"paymentAmount": json.Number(amount.String()), "paymentMethod": "OOPAYMENT",
			})
			if err != nil {
				return err
			}
			var answer struct {
				Status string `json:"status"`
			}
			return exchange(ctx, client, http.MethodPost, base+"/o/op/1/pay", "application/json", body, bearer, &answer)
		}},
		{"`smartconnect` Purchase", func(ctx context.Context) error {
			_, err := register.Purchase(ctx, amount)
			return err
		}, func(ctx context.Context, client doer) error {
			form := url.Values{
				"POSRegisterID": {"9444ae07-dc63-e49c-33e3-59a7c108cc81"}, "POSBusinessName": {"John Doe's Coffee Shop"}, "POSVendorName": {"Tillroute"},
				"TransactionMode": {"ASYNC"}, "TransactionType": {"Card.Purchase"}, "AmountTotal": {amount.Shift(2).String()},
			}
			var answer plainStarted
			return exchange(ctx, client, http.MethodPost, base+"/POS/Transaction", "application/x-www-form-urlencoded", []byte(form.Encode()), nil, &answer)
		}},
		{"`paysera` Transactions.Get, signed", func(ctx context.Context) error {
			_, err := wallet.Transactions.Get(ctx, "pDAlAZ3z")
			return err
		}, func(ctx context.Context, client doer) error {
			var answer plainTransaction
			sign := func(r *http.Request) { signPlainly(r, nil) }
			return exchange(ctx, client, http.MethodGet, base+"/rest/v1/transaction/pDAlAZ3z", "", nil, sign, &answer)
		}},
		{"`pms` Providers.Get", func(ctx context.Context) error {
			_, err := hotel.Providers.Get(ctx, 3012455645)
			return err
		}, func(ctx context.Context, client doer) error {
			var answer plainProvider
			return exchange(ctx, client, http.MethodGet, base+"/pms/v1/providers/3012455645", "", nil, bearer, &answer)
		}},
	}, nil
}

// exchange sends a request and reads the answer, as a program does that has no SDK.
func exchange(
	ctx context.Context, client doer, method, target, contentType string, body []byte, authorize func(*http.Request), into any,
) error {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, target, reader)
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", "application/json")
	if authorize != nil {
		authorize(request)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return json.Unmarshal(text, into)
}

// handWritten is a client as programs have it that read a shop's registers.
type handWritten struct {
	base, token string
	client      *http.Client
}

func newHandWritten(base string) *handWritten {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forbidigo,forcetypeassert // it is what is measured.
	return &handWritten{base, "a-token-that-nobody-checks", &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

func (h *handWritten) registers(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/api/2026-07/registers", http.NoBody)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	query.Add("page_size", "50")
	r.URL.RawQuery = query.Encode()
	r.Header.Set("Authorization", "Bearer "+h.token)
	r.Header.Set("User-Agent", "an integration")
	response, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	var page plainRegisters
	return json.NewDecoder(response.Body).Decode(&page)
}

// vendorChild is the server: it answers with what the vendors' documentation has.
func vendorChild(ctx context.Context, config childConfig) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	for pattern, path := range map[string]string{
		"GET /api/2026-07/registers":     "xseries/testdata/rest20_registers_list.json",
		"POST /o/op/1/pay":               "kseries/testdata/pay_response_200.json",
		"POST /POS/Transaction":          "smartconnect/testdata/transaction_initial_pending_200.json",
		"GET /rest/v1/transaction/{key}": "paysera/testdata/transaction_apiref_create_response_partial.json",
		"GET /pms/v1/providers/{id}":     "pms/testdata/pms_provider_200.json",
	} {
		text, err := os.ReadFile(filepath.Join(config.Root, path)) //nolint:gosec // it is a file of the repository.
		if err != nil {
			return err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			return err
		}
		// A polling URL has to be the server's own.
		body := []byte(strings.ReplaceAll(compact.String(), "https://api-dev.smart-connect.cloud/pos/", base+"/POS/"))
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	return serve(told{Values: map[string]string{"url": base}}, func(asked) (told, error) { return told{}, nil })
}
