package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

//go:embed pages
var pages embed.FS

// view is what a page shows.
type view struct {
	Title    string
	World    string // the address of the simulated systems
	Currency string
	Problem  string
	Plans    []plan
	Table    int64
	Terminal string
	Check    *bill
	// Unread is a check that could not be read: what was paid is shown all the same.
	Unread   bool
	Payments []line
	// ID is that of the payment that the page's form asks for: sending the form twice asks for one payment.
	ID string
}

// plan is a part of the floor.
type plan struct {
	Name  string
	Seats []seat
}

// seat is a table as the floor shows it.
type seat struct {
	Number int64
	Due    string // "" while it is free
}

// bill is a check as a table's page shows it.
type bill struct {
	Account, Total, Paid, Due string
	// Pending is what guests are paying at this moment, or have paid and the check doesn't have yet, and Left what is due beyond
	// that. Each is "" for nothing.
	Pending, Left string
	Sales         []kseries.Sale
}

// line is a payment as a table's page shows it.
type line struct {
	kseries.PaymentStatus

	Charged string
}

const (
	// mostPayments is how many payments a table's page shows.
	mostPayments = 5
	// longestForm is how long a form may be, in bytes.
	longestForm = 64 << 10
	// mostPending is among how many of a table's last payments those are that are not over.
	mostPending = 50
)

// pages returns the handler of the pages, and of what K-Series posts.
func (r *restaurant) pages(notifications http.Handler) http.Handler {
	parsed := template.Must(template.New("").ParseFS(pages, "pages/*.html"))
	show := func(w http.ResponseWriter, status int, name string, v view) {
		v.World, v.Currency = r.world.PublicURL(), r.currency
		var text bytes.Buffer
		if err := parsed.ExecuteTemplate(&text, name, v); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(text.Bytes())
	}
	trouble := func(w http.ResponseWriter, err error) {
		status := http.StatusBadGateway
		if errors.Is(err, errNoTable) {
			status = http.StatusNotFound
		}
		show(w, status, "floor.html", view{Title: "That didn't work", Problem: err.Error()})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, q *http.Request) {
		v, err := r.floor(q.Context())
		if err != nil {
			trouble(w, err)
			return
		}
		show(w, http.StatusOK, "floor.html", v)
	})
	mux.HandleFunc("GET /table/{number}", func(w http.ResponseWriter, q *http.Request) {
		v, err := r.table(q.Context(), q.PathValue("number"))
		if err != nil {
			trouble(w, err)
			return
		}
		show(w, http.StatusOK, "table.html", v)
	})
	mux.HandleFunc("POST /table/{number}/pay", func(w http.ResponseWriter, q *http.Request) {
		// One guest after the other: each is asked for what those before them leave.
		r.paying.Lock()
		defer r.paying.Unlock()
		v, err := r.table(q.Context(), q.PathValue("number"))
		if err != nil {
			trouble(w, err)
			return
		}
		if err := r.pay(q.Context(), v, q); err != nil {
			v.Problem = problem(err)
			show(w, http.StatusUnprocessableEntity, "table.html", v)
			return
		}
		http.Redirect(w, q, fmt.Sprint("/table/", v.Table), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /table/{number}/settle", func(w http.ResponseWriter, q *http.Request) {
		v, err := r.table(q.Context(), q.PathValue("number"))
		if err != nil {
			trouble(w, err)
			return
		}
		if err := r.settle(q.Context(), v, q); err != nil {
			v.Problem = problem(err)
			show(w, http.StatusConflict, "table.html", v)
			return
		}
		http.Redirect(w, q, fmt.Sprint("/table/", v.Table), http.StatusSeeOther)
	})
	for _, asset := range []string{"page.css", "page.js"} {
		mux.HandleFunc("GET /"+asset, func(w http.ResponseWriter, q *http.Request) { http.ServeFileFS(w, q, pages, "pages/"+asset) })
	}
	all := http.NewServeMux()
	all.Handle("POST /notifications", notifications)
	// Other sites' pages can't have anybody pay.
	own := http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(mux), longestForm)
	all.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		own.ServeHTTP(w, q)
	})
	return all
}

var errNoTable = errors.New("there is no such table: go back to the floor and pick one")

// problem is what a page says of an error.
func problem(err error) string {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// money writes an amount as people read it.
func (r *restaurant) money(amount decimal.Decimal) string {
	text, err := tillroute.FormatAmount(amount, r.currency)
	if err != nil {
		return amount.String()
	}
	return text
}

// floor is the page of all tables.
func (r *restaurant) floor(ctx context.Context) (view, error) {
	checks, err := r.client.Checks.List(ctx, location)
	if err != nil {
		return view{}, err
	}
	v := view{Title: "Tables"}
	for _, p := range r.plans {
		shown := plan{Name: p.Name}
		for _, table := range p.Tables {
			shown.Seats = append(shown.Seats, r.seat(table.Number, checks))
		}
		v.Plans = append(v.Plans, shown)
	}
	return v, nil
}

func (r *restaurant) seat(table int64, checks []kseries.Check) seat {
	s := seat{Number: table}
	due := decimal.Zero
	for _, c := range checks {
		if left, ok := c.Due(); ok && c.TableNumber == table {
			due = due.Add(left)
			s.Due = r.money(due)
		}
	}
	return s
}

// table is the page of one table.
func (r *restaurant) table(ctx context.Context, number string) (view, error) {
	v := view{Title: "Table " + number, ID: "table-" + number + "/" + rand.Text()}
	for _, p := range r.plans {
		for _, table := range p.Tables {
			if strconv.FormatInt(table.Number, 10) == number {
				v.Table = table.Number
			}
		}
	}
	if v.Table == 0 {
		return view{}, errNoTable
	}
	paired, err := r.router.Pairing(ctx, register(v.Table))
	if err != nil {
		return v, err
	}
	v.Terminal = paired.Terminal.Serial
	if v.Payments, err = r.lines(ctx, v.Table); err != nil {
		return v, err
	}
	check, err := r.client.Checks.ByTable(ctx, location, v.Table)
	switch {
	case errors.Is(err, tillroute.ErrNotFound):
	case err != nil:
		v.Unread, v.Problem = true, problem(err)
	default:
		v.Check = r.bill(check, v.Payments)
	}
	v.Payments = v.Payments[:min(len(v.Payments), mostPayments)]
	return v, nil
}

// bill says what is due of a check, and how much of that is on its way already: two guests who pay the same at once would both be
// charged.
func (r *restaurant) bill(check kseries.Check, payments []line) *bill {
	due, known := check.Due()
	b := &bill{
		Account: check.AccountIdentifier, Total: r.money(check.Total.Decimal), Paid: r.money(check.Paid.Decimal), Due: r.money(due), Sales: check.Sales,
	}
	pending := decimal.Zero
	for _, p := range payments {
		if p.AccountIdentifier == check.AccountIdentifier && (!p.Stage.Over() || p.Stage.NeedsPerson()) {
			pending = pending.Add(p.Amount)
			b.Pending = r.money(pending)
		}
	}
	if left := due.Sub(pending); known && left.IsPositive() {
		b.Left = r.money(left)
	}
	return b
}

// lines returns the last payments of a table, the latest first.
func (r *restaurant) lines(ctx context.Context, table int64) ([]line, error) {
	const atOnce = 100
	var last []pairing.Payment
	filter := pairing.Filter{Register: register(table)}
	for {
		list, err := r.router.Payments(ctx, filter, atOnce)
		if err != nil {
			return nil, err
		}
		last = append(last, list...)
		last = last[max(0, len(last)-mostPending):]
		if len(list) < atOnce {
			break
		}
		filter.After = list[len(list)-1].Seq
	}
	var lines []line
	for _, p := range slices.Backward(last) {
		s, err := r.payments.Status(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		charged := s.Payment.Amount
		if s.Payment.Outcome() == tillroute.Approved {
			charged = s.Payment.Result.Amount
		}
		lines = append(lines, line{s, r.money(charged)})
	}
	return lines, nil
}

// payment returns the ID of the payment that a form of the table is about.
func (v view) payment(q *http.Request) (string, error) {
	id := q.FormValue("id")
	if !strings.HasPrefix(id, fmt.Sprintf("table-%d/", v.Table)) {
		return "", errors.New("the form is incomplete: load the page again")
	}
	return id, nil
}

// pay asks for what a table's form says.
func (r *restaurant) pay(ctx context.Context, v view, q *http.Request) error {
	id, err := v.payment(q)
	if err != nil {
		return err
	}
	if _, err := r.router.Payment(ctx, id); err == nil {
		return nil // The form was sent before.
	}
	if v.Unread {
		return errors.New(v.Problem)
	}
	if v.Check == nil || v.Check.Left == "" {
		return errors.New("nothing is left to be paid at this table")
	}
	due, err := tillroute.ParseAmount(v.Check.Left, r.currency)
	if err != nil {
		return err
	}
	amount, err := r.part(v.Check.Left, due, q)
	if err != nil {
		return err
	}
	tip := decimal.Zero
	if text := strings.TrimSpace(q.FormValue("tip")); text != "" {
		if tip, err = r.typed(text); err != nil {
			return err
		}
	}
	_, err = r.payments.Submit(ctx, kseries.PaymentRequest{
		ID: id, Register: register(v.Table), AccountIdentifier: v.Check.Account, Amount: amount, Tip: tip, Currency: r.currency,
		Reference: fmt.Sprintf("Table %d, %s", v.Table, v.Check.Account),
	})
	return err
}

// part returns how much of what is due a table's form asks for. Without the page's script, and before it has run, an amount can be typed
// while another choice is marked: who typed 10 is never charged the whole check.
func (r *restaurant) part(left string, due decimal.Decimal, q *http.Request) (decimal.Decimal, error) {
	choice := q.FormValue("pay")
	amount, payers := strings.TrimSpace(q.FormValue("amount")), strings.TrimSpace(q.FormValue("payers"))
	switch {
	case amount != "" && choice != "part":
		return decimal.Zero, errors.New("an amount was typed, but not chosen: choose a part, or leave the amount empty")
	case payers != "" && choice != "share":
		return decimal.Zero, errors.New("a number of guests was typed, but not chosen: choose one equal share, or leave the number empty")
	}
	switch choice {
	case "all":
		return due, nil
	case "part":
		part, err := r.typed(amount)
		if err == nil && part.GreaterThan(due) {
			err = fmt.Errorf("only %s %s are left to be paid", left, r.currency)
		}
		return part, err
	case "share":
		number, err := strconv.Atoi(payers)
		if err != nil {
			return decimal.Zero, errors.New("say how many share the check")
		}
		shares, err := kseries.Split(due, number, r.currency)
		if err != nil {
			return decimal.Zero, err
		}
		return shares[0], nil
	default:
		return decimal.Zero, errors.New("say how much is to be paid: all, a part or one equal share")
	}
}

// typed reads what a guest has typed, whose decimals may begin with a comma. In 1,000 it may have been meant to separate thousands.
func (r *restaurant) typed(text string) (decimal.Decimal, error) {
	plain := strings.ReplaceAll(text, ",", ".")
	amount, err := tillroute.ParseAmount(plain, r.currency)
	if err != nil {
		return amount, err
	}
	longest, err := tillroute.FormatAmount(amount, r.currency)
	if err == nil && decimals(plain) > decimals(longest) {
		err = fmt.Errorf("%q could be two amounts: type it without a mark between the thousands", text)
	}
	return amount, err
}

func decimals(amount string) int {
	_, after, _ := strings.Cut(amount, ".")
	return len(after)
}

// settle does what a waiter has decided about a payment that is in doubt at its terminal, or that the check doesn't have.
func (r *restaurant) settle(ctx context.Context, v view, q *http.Request) error {
	id, err := v.payment(q)
	if err != nil {
		return err
	}
	switch q.FormValue("do") {
	case "retry":
		_, err = r.payments.Retry(ctx, id, "the waiter")
	case "check":
		_, err = r.payments.Resolve(ctx, id, kseries.Settlement{OnCheck: true, By: "the waiter", Reason: "it is on the check"})
	case "back":
		_, err = r.payments.Resolve(ctx, id, kseries.Settlement{By: "the waiter", Reason: "the guest has it back"})
	case "approved":
		_, err = r.router.Resolve(ctx, id, pairing.Resolution{Outcome: tillroute.Approved, By: "the waiter", Reason: "seen at the terminal"})
	case "not":
		_, err = r.router.Resolve(ctx, id, pairing.Resolution{Outcome: tillroute.Failed, By: "the waiter", Reason: "seen at the terminal"})
	default:
		err = errors.New("say what was done about the payment")
	}
	return err
}
