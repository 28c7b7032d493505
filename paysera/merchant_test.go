package paysera_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
)

// wallet is a server as a transport, with one kind of guest: who pays what is put before them.
type wallet struct {
	t  *testing.T
	mu sync.Mutex

	spots        map[int64]*walletSpot
	transactions map[string]*walletTransaction
	orders       map[int64]string
	next         int64
	// hideOrders leaves the orders out of what merchants see, pays has guests reserve what they see, tamper changes what
	// they reserve.
	hideOrders, pays bool
	tamper           string
	// before and after are asked at each request, before and after it is carried out. What they return is the answer.
	before, after func(call string) error
	status        func(call string) int
	// distort changes an answer.
	distort  func(call string, answer map[string]any)
	calls    []string
	times    []time.Time
	confirms []string
}

type walletSpot struct {
	identifier string
	status     string
	orders     []int64
}

type walletTransaction struct {
	status, price, paid string
	payment             int64
	// reference is that of the bill which it was made for.
	reference string
}

func newWallet(t *testing.T) *wallet {
	t.Helper()
	return &wallet{
		t: t, spots: map[int64]*walletSpot{}, transactions: map[string]*walletTransaction{}, orders: map[int64]string{}, pays: true, next: 100,
		before: func(string) error { return nil }, after: func(string) error { return nil }, status: func(string) int { return 0 },
		distort: func(string, map[string]any) {},
	}
}

func (w *wallet) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/rest/v1/")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.times = append(w.calls, call), append(w.times, time.Now())
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if err := w.before(call); err != nil {
		return nil, err
	}
	answer := any(nil)
	status := w.status(call)
	if status == 0 {
		status, answer = w.serve(r, strings.Split(call, "/"), body)
	}
	if err := w.after(call); err != nil {
		return nil, err
	}
	if fields, ok := answer.(m); ok {
		w.distort(call, fields)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), Request: r,
	}, nil
}

type m = map[string]any

func (w *wallet) serve(r *http.Request, parts []string, body []byte) (int, any) {
	number := func() int64 {
		n, _ := strconv.ParseInt(parts[1], 10, 64)
		return n
	}
	var request struct {
		Key      string `json:"transaction_key"`
		Payments []struct {
			Price      string `json:"price_decimal"`
			Parameters struct {
				Reference string `json:"reference"`
			} `json:"parameters"`
		} `json:"payments"`
	}
	_ = json.Unmarshal(body, &request)
	switch {
	case parts[0] == "GET spots":
		var list []any
		for _, id := range slices.Sorted(maps.Keys(w.spots)) {
			if w.spots[id].status == r.URL.Query().Get("status") {
				list = append(list, w.spot(id))
			}
		}
		return 200, m{"spots": append([]any{}, list...), "_metadata": m{"total": len(list), "offset": 0, "limit": 200}}
	case parts[0] == "GET spot":
		return 200, w.spot(number())
	case parts[0] == "PUT spot" && parts[2] == "close":
		spot := w.spots[number()]
		spot.status, spot.orders = "closed", nil
		return 200, w.spot(number())
	case parts[0] == "POST transaction":
		w.next++
		key := fmt.Sprint("key-", w.next)
		w.transactions[key] = &walletTransaction{
			status: "new", price: request.Payments[0].Price, payment: w.next, reference: request.Payments[0].Parameters.Reference,
		}
		return 200, w.transaction(key)
	case parts[0] == "POST spot":
		spot := w.spots[number()]
		if spot.status == "closed" {
			return 409, m{"error": "invalid_state", "error_description": "nobody is there"}
		}
		w.next++
		w.orders[w.next] = request.Key
		spot.status, spot.orders = "open", append(spot.orders, w.next)
		if w.pays {
			w.reserve(request.Key)
		}
		return 200, m{"id": w.next, "transaction_key": request.Key, "status": "pending"}
	case parts[0] == "DELETE order":
		return 200, m{"id": number(), "transaction_key": w.orders[number()], "status": "closed"}
	}
	key := parts[1]
	t := w.transactions[key]
	switch {
	case t == nil:
		return 404, m{"error": "not_found", "error_description": "no such transaction"}
	case parts[0] == "GET transaction":
	case parts[0] == "PUT transaction":
		w.confirms = append(w.confirms, key+" "+string(body))
		if t.status != "reserved" {
			return 409, m{"error": "invalid_state", "error_description": "not reserved"}
		}
		t.status, t.paid = "confirmed", t.price
		var prices map[string]struct {
			Price string `json:"price_decimal"`
		}
		if json.Unmarshal(body, &prices) == nil {
			t.price, t.paid = prices[fmt.Sprint(t.payment)].Price, prices[fmt.Sprint(t.payment)].Price
		}
	case parts[0] == "DELETE transaction":
		if t.status == "confirmed" || t.status == "revoked" {
			return 409, m{"error": "invalid_state", "error_description": "too late"}
		}
		t.status = "revoked"
	}
	return 200, w.transaction(key)
}

// reserve has a guest pay.
func (w *wallet) reserve(key string) {
	t := w.transactions[key]
	if t.status != "new" {
		return
	}
	t.status = "reserved"
	if w.tamper != "" {
		t.price = w.tamper
	}
}

func (w *wallet) spot(id int64) any {
	spot := w.spots[id]
	answer := m{"id": id, "status": spot.status, "identifier": spot.identifier, "place_info": m{"title": "Café", "location_id": 3}}
	if !w.hideOrders && len(spot.orders) > 0 {
		var orders []any
		for _, order := range spot.orders {
			status := "pending"
			if t := w.transactions[w.orders[order]]; t.status == "reserved" || t.status == "confirmed" {
				status = t.status
			}
			orders = append(orders, m{"id": order, "transaction_key": w.orders[order], "status": status})
		}
		answer["orders"] = orders
	}
	return answer
}

func (w *wallet) transaction(key string) any {
	t := w.transactions[key]
	return m{
		"transaction_key": key, "status": t.status,
		"payments": []any{m{"id": t.payment, "price_decimal": t.price, "currency": "EUR", "status": t.status}},
	}
}

// paid is how many transactions took money, and how much.
func (w *wallet) paid() (count int, total decimal.Decimal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.transactions {
		if t.status == "confirmed" {
			count, total = count+1, total.Add(decimal.RequireFromString(t.paid))
		}
	}
	return count, total
}

func (w *wallet) statusOf(spot int64) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spots[spot].status
}

func (w *wallet) checkIn(spot int64, identifier string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spots[spot] = &walletSpot{identifier: identifier, status: "waiting"}
}

// till is a café with two tables, where each guest is asked for 5.00. What it keeps survives.
type till struct {
	mu      sync.Mutex
	tables  []string
	bills   map[string]paysera.Bill
	served  map[int64]bool
	decide  func(paysera.Bill) paysera.Decision
	forget  bool
	before  func(what string) error
	after   func(what string) error
	asked   []string
	visits  int
	refused int
}

func newTill() *till {
	return &till{
		tables: []string{"TABLE1", "TABLE2"}, bills: map[string]paysera.Bill{}, served: map[int64]bool{},
		decide: func(paysera.Bill) paysera.Decision { return paysera.Confirm() },
		before: func(string) error { return nil }, after: func(string) error { return nil },
	}
}

func (t *till) Spot(_ context.Context, spot paysera.Spot) (paysera.Wish, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, fmt.Sprint(spot.Identifier, " ", spot.Status))
	switch {
	case !slices.Contains(t.tables, spot.Identifier):
		return paysera.Close, nil
	case spot.Status == paysera.SpotOpen:
		t.served[spot.ID] = false
		return paysera.Close, nil
	case !t.served[spot.ID]:
		t.visits++
		t.served[spot.ID] = true
		reference := fmt.Sprint("bill-", t.visits)
		t.bills[reference] = paysera.Bill{
			Reference: reference, SpotID: spot.ID, Description: "Coffee", Amount: decimal.RequireFromString("5.00"), Currency: "EUR",
		}
	}
	return paysera.Leave, nil
}

func (t *till) Bills(context.Context) ([]paysera.Bill, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var bills []paysera.Bill
	for _, reference := range slices.Sorted(maps.Keys(t.bills)) {
		if b := t.bills[reference]; b.Status == "" {
			if t.forget {
				b.Charge = decimal.Decimal{}
			}
			bills = append(bills, b)
		}
	}
	return bills, nil
}

func (t *till) Save(_ context.Context, b paysera.Bill) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.before("save"); err != nil {
		return err
	}
	kept := t.bills[b.Reference]
	if kept.TransactionKey != "" && b.TransactionKey != "" && kept.TransactionKey != b.TransactionKey ||
		!kept.Charge.IsZero() && !kept.Charge.Equal(b.Charge) && !t.forget || kept.Status != "" && kept.Status != b.Status {
		t.refused++
		return errors.New("another was kept")
	}
	t.bills[b.Reference] = b
	return t.after("save")
}

func (t *till) Reserved(_ context.Context, b paysera.Bill, tx paysera.Transaction) (paysera.Decision, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if total, currency, ok := tx.Total(); !ok || currency != b.Currency || !total.Equal(b.Amount) {
		return paysera.Decision{}, errors.New("the till was asked about another amount")
	}
	return t.decide(b), nil
}

func (t *till) bill(reference string) paysera.Bill {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bills[reference]
}

func merchant(t *testing.T, w http.RoundTripper, till paysera.Till, changes ...func(*paysera.MerchantConfig)) *paysera.Merchant {
	t.Helper()
	client, err := paysera.New(paysera.Config{
		ClientID: "wkVd93h2uS", ClientSecret: "client-secret", HTTP: tillroute.HTTPOptions{Transport: w, Retries: -1},
	})
	require.NoError(t, err)
	config := paysera.MerchantConfig{Client: client, Till: till, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, change := range changes {
		change(&config)
	}
	m, err := paysera.NewMerchant(config)
	require.NoError(t, err)
	return m
}

// run lets the merchant work for that long.
func run(t *testing.T, m *paysera.Merchant, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.ErrorIs(t, m.Run(ctx), context.DeadlineExceeded)
}

func TestMerchantServesAGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		w.checkIn(2, "FORGED")
		run(t, merchant(t, w, till), 30*time.Second)
		b := till.bill("bill-1")
		require.Equal(t, paysera.BillPaid, b.Status)
		require.Equal(t, "5.00", b.Paid.StringFixed(2))
		count, total := w.paid()
		require.Equal(t, 1, count)
		require.Equal(t, "5.00", total.StringFixed(2))
		require.Equal(t, []string{b.TransactionKey + " "}, w.confirms, "in full, and once")
		require.Equal(t, "closed", w.statusOf(1), "all is paid")
		require.Equal(t, "closed", w.statusOf(2), "nobody knows this table")

		// Other guests at the same table.
		w.checkIn(1, "TABLE1")
		run(t, merchant(t, w, till), 2*time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-2").Status)
		count, _ = w.paid()
		require.Equal(t, 2, count)
	})
}

var errCrash = errors.New("the process dies here")

// TestInvariantACrashAtAnyMomentResumes kills the process before and after each request and each write, one after the other, and
// goes on with another process.
func TestInvariantACrashAtAnyMomentResumes(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		for _, less := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				for moment := range 40 {
					t.Run(fmt.Sprintf("hidden %v, less %v, late %v, moment %d", hidden, less, late, moment), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { crash(t, hidden, less, late, moment) })
					})
				}
			}
		}
	}
}

func crash(t *testing.T, hidden, less, late bool, moment int) {
	t.Helper()
	w, till := newWallet(t), newTill()
	w.hideOrders, w.pays = hidden, !late
	amount := "5.00"
	if less {
		amount = "4.20"
		till.decide = func(paysera.Bill) paysera.Decision { return paysera.ConfirmLess(decimal.RequireFromString(amount)) }
	}
	w.checkIn(1, "TABLE1")
	dying, die := context.WithCancel(t.Context())
	moments := 0
	step := func(string) error {
		if dying.Err() != nil {
			return errCrash
		}
		if moments++; moments > moment {
			die()
			return errCrash
		}
		return nil
	}
	w.before, w.after, till.before, till.after = step, step, step, step
	first, cancel := context.WithTimeout(dying, 2*time.Minute)
	defer cancel()
	require.Error(t, merchant(t, w, till).Run(first))
	die()

	alive := func(string) error { return nil }
	w.before, w.after, till.before, till.after = alive, alive, alive, alive
	if less {
		// What the till would decide now must not matter if it had decided before.
		if kept := till.bill("bill-1").Charge; !kept.IsZero() {
			till.decide = func(paysera.Bill) paysera.Decision { return paysera.Confirm() }
		}
	}
	second := merchant(t, w, till)
	run(t, second, time.Minute)
	if late {
		// The guest pays now, whatever is there to be paid.
		w.mu.Lock()
		for _, key := range w.orders {
			w.reserve(key)
		}
		w.mu.Unlock()
	}
	run(t, second, 5*time.Minute)
	b := till.bill("bill-1")
	require.Equal(t, paysera.BillPaid, b.Status, b.Problem)
	require.Equal(t, amount, b.Paid.StringFixed(2))
	count, total := w.paid()
	require.Equal(t, 1, count, "a guest was charged twice")
	require.Equal(t, amount, total.StringFixed(2))
	require.Equal(t, "closed", w.statusOf(1))
	for _, confirm := range w.confirms {
		require.Equal(t, w.confirms[0], confirm, "confirmed with other amounts")
	}
	ordered := slices.Sorted(maps.Values(w.orders))
	require.Len(t, slices.Compact(slices.Clone(ordered)), len(ordered), "an order was made twice")
	for key, tx := range w.transactions {
		require.Contains(t, []string{"new", "revoked", "confirmed"}, tx.status, key)
		if tx.status == "new" {
			require.NotContains(t, slices.Collect(maps.Values(w.orders)), key, "a guest can still pay it")
		}
	}
}

func TestInvariantAnotherAmountIsNeverConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tampered := range []string{"4.99", "5.01", "500", "0", "-5.00", ""} {
			w, till := newWallet(t), newTill()
			w.tamper = tampered
			w.checkIn(1, "TABLE1")
			run(t, merchant(t, w, till), time.Minute)
			if tampered == "" {
				require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
				continue
			}
			require.Empty(t, w.confirms, tampered)
			require.Equal(t, paysera.BillUnpaid, till.bill("bill-1").Status, tampered)
			require.Contains(t, till.bill("bill-1").Problem, "amount of the bill")
		}
	})
}

func TestInvariantATillThatForgetsConfirmsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		amounts := []string{"4.00", "4.50", "3.00"}
		asked := 0
		till.forget = true
		till.decide = func(paysera.Bill) paysera.Decision {
			amount := amounts[asked%len(amounts)]
			asked++
			return paysera.ConfirmLess(decimal.RequireFromString(amount))
		}
		// The first confirmations get lost on their way.
		w.before = func(call string) error {
			if strings.HasSuffix(call, "/confirm") && asked < 6 {
				w.confirms = append(w.confirms, "lost")
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		run(t, merchant(t, w, till), 5*time.Minute)
		require.Greater(t, asked, 6)
		require.Equal(t, "4.00", till.bill("bill-1").Paid.StringFixed(2), "the first amount, which may have been taken")
		count, _ := w.paid()
		require.Equal(t, 1, count)
	})
}

func TestInvariantNoGuestSeesWhatWasNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		till.before = func(string) error { return errors.New("the disk is full") }
		run(t, merchant(t, w, till), time.Minute)
		require.NotEmpty(t, w.transactions)
		require.Empty(t, w.orders)
		for key, tx := range w.transactions {
			require.Equal(t, "revoked", tx.status, key)
		}
		require.Empty(t, w.confirms)
	})
}

func TestInvariantWhatIsTakenIsSavedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		saves := 0
		till.before = func(string) error {
			if saves++; saves > 2 { // The transaction, the order, the charge.
				return errors.New("the disk is full")
			}
			return nil
		}
		run(t, merchant(t, w, till), time.Minute)
		require.True(t, till.bill("bill-1").Ordered)
		require.Greater(t, saves, 3)
		require.Empty(t, w.confirms)
	})
}

func TestInvariantOnlyTheTransactionSaysHowABillEnded(t *testing.T) {
	for name, c := range map[string]struct {
		call, member, value string
		ended               bool
	}{
		"confirming is answered with another status": {"/confirm", "status", "reserved", true},
		"confirming is answered with no status":      {"/confirm", "status", "", true},
		"confirming is answered with another key":    {"/confirm", "transaction_key", "key-999", true},
		"another transaction comes":                  {"GET transaction", "transaction_key", "key-999", false},
		"a status that nobody knows":                 {"GET transaction", "status", "frozen", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), newTill()
				w.checkIn(1, "TABLE1")
				w.distort = func(call string, answer m) {
					if strings.Contains(call, c.call) {
						answer[c.member] = c.value
						if c.member == "transaction_key" {
							answer["payments"] = []any{m{"id": 1, "price_decimal": "9.99", "currency": "EUR"}}
						}
					}
				}
				run(t, merchant(t, w, till), time.Minute)
				b := till.bill("bill-1")
				require.Equal(t, c.ended, b.Status == paysera.BillPaid, "%+v", b)
				require.NotEqual(t, paysera.BillUnpaid, b.Status)
				require.NotEqual(t, "9.99", b.Paid.StringFixed(2))
			})
		})
	}
}

func TestASpotWithReservedMoneyStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.spots[1] = &walletSpot{identifier: "TABLE1", status: "open", orders: []int64{7}}
		w.orders[7] = "somebody-elses"
		w.transactions["somebody-elses"] = &walletTransaction{status: "reserved", price: "1.00"}
		run(t, merchant(t, w, till), 3*time.Minute)
		require.Equal(t, "open", w.statusOf(1))
		w.transactions["somebody-elses"].status = "confirmed"
		run(t, merchant(t, w, till), 3*time.Minute)
		require.Equal(t, "closed", w.statusOf(1))
	})
}

func TestWhatWasSavedAllTheSameIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		saves := 0
		till.after = func(string) error {
			if saves++; saves == 1 {
				return errors.New("the database's answer was lost")
			}
			return nil
		}
		run(t, merchant(t, w, till), 2*time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status, till.bill("bill-1").Problem)
		count, _ := w.paid()
		require.Equal(t, 1, count)
		require.Len(t, w.orders, 1)
	})
}

func TestMerchantDecisions(t *testing.T) {
	for name, c := range map[string]struct {
		decide   paysera.Decision
		status   paysera.BillStatus
		confirms int
	}{
		"wait":      {paysera.Decision{}, "", 0},
		"revoke":    {paysera.Revoke(), paysera.BillUnpaid, 0},
		"more":      {paysera.ConfirmLess(decimal.RequireFromString("5.01")), "", 0},
		"negative":  {paysera.ConfirmLess(decimal.RequireFromString("-1")), "", 0},
		"fractions": {paysera.ConfirmLess(decimal.RequireFromString("1.005")), "", 0},
		"nothing":   {paysera.ConfirmLess(decimal.Zero), "", 0},
		"all":       {paysera.ConfirmLess(decimal.RequireFromString("5")), paysera.BillPaid, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), newTill()
				till.decide = func(paysera.Bill) paysera.Decision { return c.decide }
				w.checkIn(1, "TABLE1")
				run(t, merchant(t, w, till), time.Minute)
				require.Equal(t, c.status, till.bill("bill-1").Status)
				require.Len(t, w.confirms, c.confirms)
			})
		})
	}
}

func TestABillThatCantBeEndsUnpaid(t *testing.T) {
	for name, change := range map[string]func(*paysera.Bill){
		"no reference":     func(b *paysera.Bill) { b.Reference = "" },
		"a long reference": func(b *paysera.Bill) { b.Reference = strings.Repeat("ü", 201) },
		"no spot":          func(b *paysera.Bill) { b.SpotID = 0 },
		"no description":   func(b *paysera.Bill) { b.Description = "" },
		"no amount":        func(b *paysera.Bill) { b.Amount = decimal.Zero },
		"no currency":      func(b *paysera.Bill) { b.Currency = "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), newTill()
				b := paysera.Bill{
					Reference: strings.Repeat("ü", 200), SpotID: 1, Description: "Coffee", Amount: decimal.NewFromInt(5), Currency: "EUR",
				}
				change(&b)
				till.bills[b.Reference], till.served[1] = b, true
				w.checkIn(1, "TABLE1")
				run(t, merchant(t, w, till), 20*time.Second)
				require.Equal(t, paysera.BillUnpaid, till.bill(b.Reference).Status)
				require.NotEmpty(t, till.bill(b.Reference).Problem)
				require.Empty(t, w.orders)
			})
		})
	}
}

func TestGuestsWhoLeaveLeaveNothingToPay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, after := range map[string]string{"closed": "closed", "others came": "waiting"} {
			w, till := newWallet(t), newTill()
			w.pays = false
			w.checkIn(1, "TABLE1")
			m := merchant(t, w, till)
			run(t, m, 20*time.Second)
			require.True(t, till.bill("bill-1").Ordered)
			w.mu.Lock()
			w.spots[1].status, w.spots[1].orders = after, nil
			w.mu.Unlock()
			run(t, m, 3*time.Minute)
			b := till.bill("bill-1")
			require.Equal(t, paysera.BillUnpaid, b.Status, name)
			require.Equal(t, "the guests have left", b.Problem)
			require.Equal(t, "revoked", w.transactions[b.TransactionKey].status)
		}
	})
}

func TestMoneyOfGuestsWhoLeftIsStillTheTillsToDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		decision := paysera.Decision{}
		till.decide = func(paysera.Bill) paysera.Decision { return decision }
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till)
		run(t, m, 20*time.Second)
		w.mu.Lock()
		w.spots[1].status, w.spots[1].orders = "closed", nil
		w.mu.Unlock()
		run(t, m, 3*time.Minute)
		require.Empty(t, till.bill("bill-1").Status, "they have paid as far as they know")
		decision = paysera.Confirm()
		run(t, m, time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
	})
}

func TestMerchantKeepsWithinTheServersLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bills := range []int{0, 40} {
			w, till := newWallet(t), newTill()
			w.pays = false
			for i := range bills {
				reference := fmt.Sprint("bill-", i)
				key := fmt.Sprint("key-", i)
				w.spots[int64(i+1)] = &walletSpot{identifier: "TABLE1", status: "open"}
				w.transactions[key] = &walletTransaction{status: "waiting", price: "5.00"}
				till.bills[reference] = paysera.Bill{
					Reference: reference, SpotID: int64(i + 1), Description: "x", Amount: decimal.RequireFromString("5"), Currency: "EUR",
					TransactionKey: key, Ordered: true,
				}
			}
			run(t, merchant(t, w, till), 3*time.Hour)
			require.Greater(t, len(w.times), 1500, "it works")
			for i, at := range w.times {
				for window, most := range map[time.Duration]int{time.Minute: 60, time.Hour: 1000} {
					n := 0
					for _, later := range w.times[i:] {
						if later.Sub(at) >= window {
							break
						}
						n++
					}
					if n > most {
						t.Fatalf("%d bills: %d requests within %s", bills, n, window)
					}
				}
			}
		}
	})
}

func TestMerchantStaysAwayWhenItIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWallet(t)
		w.status = func(string) int { return http.StatusTooManyRequests }
		run(t, merchant(t, w, newTill()), 10*time.Minute)
		require.LessOrEqual(t, len(w.times), 11)
		require.GreaterOrEqual(t, len(w.times), 5)
	})
}

func TestACallbackIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = false
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till, func(c *paysera.MerchantConfig) { c.FollowInterval = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(12 * time.Second)
		key := till.bill("bill-1").TransactionKey
		require.NotEmpty(t, key)
		w.mu.Lock()
		w.reserve(key)
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		require.Empty(t, till.bill("bill-1").Status)
		require.NoError(t, m.Callback(ctx, paysera.Event{Object: "other"}))
		require.NoError(t, m.Callback(ctx, paysera.Event{Transaction: &paysera.Transaction{Key: "another"}}))
		synctest.Wait()
		require.Empty(t, till.bill("bill-1").Status)
		w.mu.Lock()
		w.transactions[key].status = "waiting"
		before := len(w.calls)
		w.mu.Unlock()
		require.NoError(t, m.Callback(ctx, paysera.Event{Transaction: &paysera.Transaction{Key: key}}))
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		looks := 0
		for _, call := range w.calls[before:] {
			looks += map[string]int{"GET transaction/" + key: 1}[call]
		}
		w.transactions[key].status = "reserved"
		w.mu.Unlock()
		require.Equal(t, 1, looks, "once for each callback")
		require.NoError(t, m.Callback(ctx, paysera.Event{Transaction: &paysera.Transaction{Key: key}}))
		synctest.Wait()
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestWithdrawTellsWhetherMoneyMayBeTakenElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A bill that is before the guests.
		start := func(pays bool, decide paysera.Decision) (*wallet, *till, *paysera.Merchant) {
			w, till := newWallet(t), newTill()
			w.pays = pays
			till.decide = func(paysera.Bill) paysera.Decision { return decide }
			w.checkIn(1, "TABLE1")
			m := merchant(t, w, till)
			run(t, m, 20*time.Second)
			return w, till, m
		}
		w, till, m := start(false, paysera.Decision{})
		b, err := m.Withdraw(t.Context(), paysera.Bill{Reference: "bill-1"})
		require.NoError(t, err)
		require.Equal(t, paysera.BillUnpaid, b.Status)
		require.Equal(t, paysera.BillUnpaid, till.bill("bill-1").Status)
		require.Contains(t, w.calls, fmt.Sprint("DELETE order/", b.OrderID))

		// Reserved: the guest gets it back.
		w, till, m = start(true, paysera.Decision{})
		b, err = m.Withdraw(t.Context(), till.bill("bill-1"))
		require.NoError(t, err)
		require.Equal(t, paysera.BillUnpaid, b.Status)
		require.Equal(t, "revoked", w.transactions[b.TransactionKey].status)

		// Paid a moment ago.
		w, till, m = start(false, paysera.Decision{})
		w.transactions[till.bill("bill-1").TransactionKey].status = "confirmed"
		b, err = m.Withdraw(t.Context(), till.bill("bill-1"))
		require.NoError(t, err)
		require.Equal(t, paysera.BillPaid, b.Status)

		// Nobody can say.
		w, till, m = start(false, paysera.Decision{})
		w.after = func(string) error { return io.ErrUnexpectedEOF }
		b, err = m.Withdraw(t.Context(), till.bill("bill-1"))
		require.Error(t, err)
		require.Empty(t, b.Status)
		w.after = func(string) error { return nil }
		w.status = func(call string) int {
			if strings.HasPrefix(call, "DELETE transaction") {
				return http.StatusInternalServerError
			}
			return 0
		}
		w.transactions[till.bill("bill-1").TransactionKey].status = "waiting"
		b, err = m.Withdraw(t.Context(), till.bill("bill-1"))
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.Empty(t, b.Status)
		w.status = func(string) int { return 0 }
		run(t, m, time.Minute)
		require.Equal(t, paysera.BillUnpaid, till.bill("bill-1").Status, "the next round withdraws it")
	})
}

func TestMerchantConfig(t *testing.T) {
	_, err := paysera.NewMerchant(paysera.MerchantConfig{Client: &paysera.Client{}, Interval: time.Millisecond, RequestsPerHour: -1})
	for _, want := range []string{"Client", "Till", "Interval must be at least 1s", "RequestsPerHour"} {
		require.ErrorContains(t, err, want)
	}
	synctest.Test(t, func(t *testing.T) {
		m := merchant(t, newWallet(t), newTill())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		require.ErrorIs(t, m.Run(ctx), tillroute.ErrInvalid)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		expired, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, m.Run(expired), context.DeadlineExceeded, "it can run again")
	})
}

// TestInvariantWhatTheTillKeepsBadlyIsNotTaken has the till give back another Charge than was saved.
func TestInvariantWhatTheTillKeepsBadlyIsNotTaken(t *testing.T) {
	for _, charge := range []string{"5.01", "-5", "0.001"} {
		t.Run(charge, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), newTill()
				w.checkIn(1, "TABLE1")
				w.before = func(call string) error {
					if strings.HasSuffix(call, "/confirm") {
						w.confirms = append(w.confirms, "lost")
						return io.ErrUnexpectedEOF
					}
					return nil
				}
				run(t, merchant(t, w, till), 20*time.Second)
				require.NotEmpty(t, w.confirms)
				b := till.bill("bill-1")
				b.Charge = decimal.RequireFromString(charge)
				till.bills["bill-1"] = b
				w.before, w.confirms = func(string) error { return nil }, nil
				run(t, merchant(t, w, till), time.Minute)
				require.Empty(t, w.confirms)
				require.Empty(t, till.bill("bill-1").Status)
			})
		})
	}
}

// TestInvariantAPageThatIsMissingEndsNoBill has something on the way answer 404 for the server: a transaction that was paid
// must not count as one that nobody can pay.
func TestInvariantAPageThatIsMissingEndsNoBill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		w.after = func(call string) error {
			if strings.HasSuffix(call, "/confirm") {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		w.status = func(call string) int {
			if strings.Contains(call, "transaction/") && len(w.confirms) > 0 {
				return http.StatusNotFound
			}
			return 0
		}
		m := merchant(t, w, till)
		run(t, m, 20*time.Second)
		count, _ := w.paid()
		require.Equal(t, 1, count, "and nobody knows yet")
		b, err := m.Withdraw(t.Context(), till.bill("bill-1"))
		require.Error(t, err)
		require.Empty(t, b.Status)
		w.status = func(string) int { return 0 }
		b, err = m.Withdraw(t.Context(), till.bill("bill-1"))
		require.NoError(t, err)
		require.Equal(t, paysera.BillPaid, b.Status)
	})
}

// TestInvariantAPageThatIsMissingLeavesABillToBePaid is the same with a bill that nobody has paid yet, and somebody may.
func TestInvariantAPageThatIsMissingLeavesABillToBePaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = false
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till)
		run(t, m, 20*time.Second)
		w.status = func(string) int { return http.StatusNotFound }
		b, err := m.Withdraw(t.Context(), till.bill("bill-1"))
		require.ErrorIs(t, err, tillroute.ErrNotFound)
		require.Empty(t, b.Status)
		require.Empty(t, till.bill("bill-1").Status)
	})
}

// TestInvariantMoneyThatMayHaveBeenTakenIsNotGone has the server forget a transaction that may have been confirmed.
func TestInvariantMoneyThatMayHaveBeenTakenIsNotGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, charge := range []string{"0", "5"} {
			w, till := newWallet(t), newTill()
			till.bills["bill-1"] = paysera.Bill{
				Reference: "bill-1", SpotID: 1, Description: "x", Amount: decimal.RequireFromString("5"), Currency: "EUR",
				TransactionKey: "unknown", Ordered: true, Charge: decimal.RequireFromString(charge),
			}
			b, err := merchant(t, w, till).Withdraw(t.Context(), till.bill("bill-1"))
			if charge == "0" {
				require.NoError(t, err)
				require.Equal(t, paysera.BillUnpaid, b.Status)
				continue
			}
			require.ErrorIs(t, err, tillroute.ErrNotFound)
			require.Empty(t, b.Status)
		}
	})
}

func TestWithdrawSaysNothingThatWasNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = false
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till)
		run(t, m, 20*time.Second)
		till.before = func(string) error { return errors.New("the disk is full") }
		b, err := m.Withdraw(t.Context(), till.bill("bill-1"))
		var e *tillroute.Error
		require.ErrorAs(t, err, &e)
		require.ErrorContains(t, err, "the disk is full")
		require.Empty(t, b.Status)

		// A copy from before it had a transaction says nothing about a bill that has ended meanwhile.
		till.before = func(string) error { return nil }
		w.transactions[till.bill("bill-1").TransactionKey].status = "confirmed"
		run(t, m, time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
		b, err = m.Withdraw(t.Context(), paysera.Bill{Reference: "bill-1"})
		require.ErrorIs(t, err, tillroute.ErrConflict)
		require.Empty(t, b.Status)
		require.Zero(t, till.refused, "the till is not asked to forget it")
	})
}

// slowTill is a till whose methods block, and must not be called at the same time.
type slowTill struct {
	*till

	inside, together atomic.Int32
	block            func(ctx context.Context, what string)
}

func (s *slowTill) enter(ctx context.Context, what string) func() {
	if s.inside.Add(1) > 1 {
		s.together.Add(1)
	}
	s.block(ctx, what)
	return func() { s.inside.Add(-1) }
}

func (s *slowTill) Spot(ctx context.Context, spot paysera.Spot) (paysera.Wish, error) {
	defer s.enter(ctx, "spot")()
	return s.till.Spot(ctx, spot)
}

func (s *slowTill) Bills(ctx context.Context) ([]paysera.Bill, error) {
	defer s.enter(ctx, "bills")()
	return s.till.Bills(ctx)
}

func (s *slowTill) Save(ctx context.Context, b paysera.Bill) error {
	defer s.enter(ctx, "save")()
	return s.till.Save(ctx, b)
}

func (s *slowTill) Reserved(ctx context.Context, b paysera.Bill, tx paysera.Transaction) (paysera.Decision, error) {
	defer s.enter(ctx, "reserved")()
	return s.till.Reserved(ctx, b, tx)
}

func TestATillIsCalledByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), &slowTill{till: newTill()}
		till.block = func(context.Context, string) { time.Sleep(3 * time.Second) }
		w.pays = false
		w.checkIn(1, "TABLE1")
		w.checkIn(2, "TABLE2")
		m := merchant(t, w, till)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		for ctx.Err() == nil {
			time.Sleep(time.Second)
			_, _ = m.Withdraw(ctx, paysera.Bill{Reference: "bill-1"})
		}
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		require.Zero(t, till.together.Load())
	})
}

func TestWithdrawEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), &slowTill{till: newTill()}
		free := make(chan struct{})
		till.block = func(_ context.Context, what string) {
			if what == "reserved" {
				<-free
			}
		}
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(20 * time.Second)
		require.EqualValues(t, 1, till.inside.Load(), "the till takes its time")
		hurry, cancelHurry := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancelHurry()
		begun := time.Now()
		b, err := m.Withdraw(hurry, till.bill("bill-1"))
		require.Equal(t, 50*time.Millisecond, time.Since(begun))
		require.ErrorIs(t, err, tillroute.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, b.Status)
		close(free)
		time.Sleep(time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestWhoGivesUpTakesNoRequestsAway has callers who wait for a request to be allowed give up, again and again.
func TestWhoGivesUpTakesNoRequestsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = false
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till)
		run(t, m, 20*time.Second)
		kept := till.bill("bill-1")
		w.status = func(string) int { return http.StatusBadGateway }
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := m.Withdraw(ctx, kept)
			require.Error(t, err)
			cancel()
		}
		w.status = func(string) int { return 0 }
		begun := time.Now()
		_, err := m.Withdraw(t.Context(), kept)
		require.NoError(t, err)
		require.Less(t, time.Since(begun), time.Minute)
	})
}

// TestAWithdrawnBillIsNotBegunFromAnOldCopy withdraws a bill while the round, which has read it already, is busy with another.
func TestAWithdrawnBillIsNotBegunFromAnOldCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		w.checkIn(2, "TABLE2")
		var m *paysera.Merchant
		withdrawn := make(chan error, 1)
		saves := 0
		till.after = func(string) error {
			if saves++; saves == 1 {
				go func() {
					b, err := m.Withdraw(context.Background(), paysera.Bill{Reference: "bill-2"})
					if err == nil && b.Status != paysera.BillUnpaid {
						err = errors.New("it is " + string(b.Status))
					}
					withdrawn <- err
				}()
				time.Sleep(time.Second) // It waits for its turn now.
			}
			return nil
		}
		m = merchant(t, w, till)
		run(t, m, 4*time.Second)
		require.NoError(t, <-withdrawn)
		require.Len(t, w.transactions, 1)
	})
}

func TestATillThatPanicsIsOneThatFails(t *testing.T) {
	for _, method := range []string{"spot", "bills", "save", "reserved"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), &slowTill{till: newTill()}
				panics := true
				till.block = func(_ context.Context, what string) {
					if what == method && panics {
						till.inside.Add(-1)
						panic("the till's own fault")
					}
				}
				w.checkIn(1, "TABLE1")
				m := merchant(t, w, till)
				run(t, m, time.Minute)
				require.Empty(t, w.confirms)
				panics = false
				run(t, m, 5*time.Minute)
				require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
				count, _ := w.paid()
				require.Equal(t, 1, count)
			})
		})
	}
}

func TestCallbacksWaitWhileTheServerWantsUsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = false
		w.checkIn(1, "TABLE1")
		m := merchant(t, w, till, func(c *paysera.MerchantConfig) { c.FollowInterval = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(12 * time.Second)
		w.mu.Lock()
		key := till.bill("bill-1").TransactionKey
		w.reserve(key)
		limited := true
		w.status = func(string) int {
			if limited {
				return http.StatusTooManyRequests
			}
			return 0
		}
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		before := len(w.calls)
		w.mu.Unlock()
		require.NoError(t, m.Callback(ctx, paysera.Event{Transaction: &paysera.Transaction{Key: key}}))
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		require.Len(t, w.calls, before, "the server has said to stay away")
		limited = false
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status, "and then it is followed all the same")
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestACallbackIsNotForgotten has the first try to follow one fail, long before the transaction would be looked at anyway.
func TestACallbackIsNotForgotten(t *testing.T) {
	for _, failing := range []string{"bills", "GET transaction"} {
		t.Run(failing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), &slowTill{till: newTill()}
				var fails atomic.Bool
				till.block = func(_ context.Context, what string) {
					if what == failing && fails.CompareAndSwap(true, false) {
						till.inside.Add(-1)
						panic("once")
					}
				}
				w.before = func(call string) error {
					if strings.HasPrefix(call, failing) && fails.CompareAndSwap(true, false) {
						return io.ErrUnexpectedEOF
					}
					return nil
				}
				w.pays = false
				w.checkIn(1, "TABLE1")
				m := merchant(t, w, till, func(c *paysera.MerchantConfig) { c.FollowInterval = time.Hour })
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- m.Run(ctx) }()
				time.Sleep(12 * time.Second)
				key := till.bill("bill-1").TransactionKey
				w.mu.Lock()
				w.reserve(key)
				w.mu.Unlock()
				fails.Store(true)
				require.NoError(t, m.Callback(ctx, paysera.Event{Transaction: &paysera.Transaction{Key: key}}))
				time.Sleep(time.Minute)
				require.False(t, fails.Load())
				require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
				cancel()
				require.ErrorIs(t, <-done, context.Canceled)
			})
		})
	}
}

// TestWhatWentWrongIsTriedInTheNextRound has the first try to take reserved money fail, where transactions are looked at rarely.
func TestWhatWentWrongIsTriedInTheNextRound(t *testing.T) {
	for _, failing := range []string{"reserved", "save", "lost confirmation", "lost revocation"} {
		t.Run(failing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, till := newWallet(t), &slowTill{till: newTill()}
				w.checkIn(1, "TABLE1")
				status, asked, failed := paysera.BillPaid, 0, false
				till.block = func(_ context.Context, what string) {
					asked += map[string]int{"reserved": 1}[what]
					if what == failing && asked == 1 && !failed {
						failed = true
						till.inside.Add(-1)
						panic("once")
					}
				}
				if failing == "lost revocation" {
					status, till.decide = paysera.BillUnpaid, func(paysera.Bill) paysera.Decision { return paysera.Revoke() }
				}
				w.before = func(call string) error {
					if lost := failing == "lost confirmation" && strings.HasSuffix(call, "/confirm") ||
						failing == "lost revocation" && strings.HasPrefix(call, "DELETE transaction"); lost && !failed {
						failed = true
						return io.ErrUnexpectedEOF
					}
					return nil
				}
				run(t, merchant(t, w, till, func(c *paysera.MerchantConfig) { c.FollowInterval = time.Hour }), time.Minute)
				require.True(t, failed)
				require.Equal(t, status, till.bill("bill-1").Status)
			})
		})
	}
}

// TestInvariantWhateverGoesWrongNobodyPaysTwice has two merchants work at the same spots, with requests and writes that get lost
// before and after they are carried out, guests who pay whatever is before them, a till that changes its mind, and waiters who
// withdraw bills to take cash.
func TestInvariantWhateverGoesWrongNobodyPaysTwice(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	t.Helper()
	var dice struct {
		sync.Mutex
		*rand.Rand
	}
	dice.Rand = rand.New(rand.NewPCG(seed, 1))
	hits := func(percent int) bool {
		dice.Lock()
		defer dice.Unlock()
		return dice.IntN(100) < percent
	}
	w, till := newWallet(t), newTill()
	w.hideOrders = seed%3 == 0
	var calm atomic.Bool
	lost := func(string) error {
		if !calm.Load() && hits(12) {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	w.before, w.after, till.before, till.after = lost, lost, lost, lost
	w.status = func(call string) int {
		w.pays = hits(40)
		if !calm.Load() && hits(5) {
			return []int{404, 500, 502, 429}[len(call)%4]
		}
		return 0
	}
	till.decide = func(paysera.Bill) paysera.Decision {
		switch {
		case hits(10):
			return paysera.Revoke()
		case hits(20):
			return paysera.Decision{}
		case hits(50):
			return paysera.ConfirmLess(decimal.RequireFromString("4.20"))
		}
		return paysera.Confirm()
	}
	w.checkIn(1, "TABLE1")
	w.checkIn(2, "TABLE2")
	// Others get in between.
	linger := func() {
		dice.Lock()
		d := time.Duration(dice.Int64N(int64(time.Second)))
		dice.Unlock()
		time.Sleep(d)
	}
	slow := roundTripper(func(r *http.Request) (*http.Response, error) {
		linger()
		defer linger()
		return w.RoundTrip(r)
	})
	quiet := func(c *paysera.MerchantConfig) { c.Logger, c.RequestsPerHour = nil, 100000 }
	ctx, stop := context.WithTimeout(t.Context(), 12*time.Minute)
	defer stop()
	var group sync.WaitGroup
	var merchants []*paysera.Merchant
	for range 2 {
		m := merchant(t, slow, &slowTill{till: till, block: func(context.Context, string) { linger() }}, quiet)
		merchants = append(merchants, m)
		group.Go(func() {
			for ctx.Err() == nil {
				// It dies from time to time.
				life, die := context.WithTimeout(ctx, 2*time.Minute)
				_ = m.Run(life)
				die()
			}
		})
	}
	cash := map[string]bool{}
	group.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(20 * time.Second)
			w.mu.Lock()
			for _, key := range slices.Sorted(maps.Values(w.orders)) {
				if hits(50) {
					w.reserve(key)
				}
			}
			w.mu.Unlock()
			for _, reference := range []string{"bill-1", "bill-2"} {
				if kept := till.bill(reference); kept.Reference != "" && hits(10) {
					if b, err := merchants[len(cash)%2].Withdraw(ctx, kept); err == nil && b.Status == paysera.BillUnpaid {
						cash[reference] = true
					}
				}
			}
		}
	})
	time.Sleep(8 * time.Minute)
	calm.Store(true)
	group.Wait()

	confirmed := map[string][]string{}
	for _, tx := range w.transactions {
		if tx.status == "confirmed" {
			confirmed[tx.reference] = append(confirmed[tx.reference], tx.paid)
		}
	}
	amounts := map[string]string{}
	for _, confirm := range w.confirms {
		key, body, _ := strings.Cut(confirm, " ")
		if before, ok := amounts[key]; ok {
			require.Equal(t, before, body, "seed %d: %s was confirmed with two amounts", seed, key)
		}
		amounts[key] = body
	}
	for reference, b := range till.bills {
		paid := confirmed[reference]
		require.LessOrEqual(t, len(paid), 1, "seed %d: %s was paid twice", seed, reference)
		if cash[reference] {
			require.Empty(t, paid, "seed %d: %s was paid in cash, too", seed, reference)
		}
		switch b.Status {
		case paysera.BillPaid:
			require.Equal(t, []string{b.Paid.StringFixed(2)}, paid, "seed %d: %s", seed, reference)
		case paysera.BillUnpaid:
			require.Empty(t, paid, "seed %d: %s", seed, reference)
		}
	}
}

// TestAListThatNeverEndsEnds has a server send the same full page again and again, and say nothing about how many there are.
func TestAListThatNeverEndsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.pays = true
		for i := range int64(200) {
			w.checkIn(i+1, "TABLE1")
			till.served[i+1] = i > 0
		}
		w.distort = func(_ string, answer m) {
			if answer["spots"] != nil {
				answer["_metadata"] = m{"total": nil}
			}
		}
		run(t, merchant(t, w, till), 2*time.Minute)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
	})
}

func TestAMerchantThatNobodyMade(t *testing.T) {
	var m paysera.Merchant
	require.ErrorIs(t, m.Run(t.Context()), tillroute.ErrInvalid)
	_, err := m.Withdraw(t.Context(), paysera.Bill{Reference: "x"})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.NoError(t, m.Callback(t.Context(), paysera.Event{Transaction: &paysera.Transaction{Key: "x"}}))
}

// TestNobodyStaysAwayForEver has the server ask for a year.
func TestNobodyStaysAwayForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, till := newWallet(t), newTill()
		w.checkIn(1, "TABLE1")
		begun := time.Now()
		away := roundTripper(func(r *http.Request) (*http.Response, error) {
			if time.Since(begun) < time.Minute {
				return &http.Response{
					StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"31536000"}}, Body: http.NoBody, Request: r,
				}, nil
			}
			return w.RoundTrip(r)
		})
		run(t, merchant(t, away, till), 2*time.Hour)
		require.Equal(t, paysera.BillPaid, till.bill("bill-1").Status)
	})
}
