package testserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// pmsMessage is how many characters of a message the point of sale shows and prints, as documented.
const pmsMessage = 50

// pmsNoAnswer is what the waiter reads if the hotel system says nothing. The words are a judgment.
const pmsNoAnswer = "No answer from the PMS"

// PMSState is what the report of postings says of one.
type PMSState string

// A posting is under way, was taken, or was not: then somebody has to reconcile it by hand, because nobody sends it again.
const (
	PMSPending PMSState = "pending"
	PMSPosted  PMSState = "success"
	PMSFailed  PMSState = "failed"
)

// PMSPosting is a bill on its way to the hotel, and a line of the report of postings.
type PMSPosting struct {
	Key     string   `json:"key"` // the idempotency key of the first try
	Account string   `json:"account"`
	Kind    string   `json:"kind"` // of the bill
	State   PMSState `json:"state"`
	// Message is what the point of sale showed and printed last: nothing when it went well.
	Message string `json:"message"`
	// Reconciled says that somebody has seen to a posting that failed.
	Reconciled bool `json:"reconciled"`
	// Attempts are all deliveries of it that ended, also duplicates.
	Attempts []PMSAttempt `json:"attempts"`
}

// PMSAttempt is one delivery, and how it ended.
type PMSAttempt struct {
	Key    string `json:"key"`
	Status int    `json:"status"` // 0 for no answer
	// Message is what the point of sale shows.
	Message string        `json:"message"`
	Took    time.Duration `json:"took"`
}

// pmsPosting is a posting in the books.
type pmsPosting struct {
	PMSPosting

	Initial string
	Payload string
	// Left is how often it is still to be sent, with the key Next, and Together whether at the same time.
	Left     int
	Next     string
	Together bool

	sending bool // just now, by this process
}

// pmsSending is how postings are sent, and what was scripted about them.
type pmsSending struct {
	Timeout  time.Duration
	Bare     bool
	Held     bool
	Together int
	Again    int
	Lose     int
}

// post has a bill posted. Called with the lock held.
func (p *PMS) post(b *PMSBill) {
	body, err := json.Marshal(p.payload(b))
	if err != nil {
		p.engine.violate(pmsName, "POST", "/charge", "the payload cannot be encoded: "+err.Error())
		return
	}
	key := "LS1_" + newID()
	one := &pmsPosting{
		PMSPosting: PMSPosting{Key: key, Account: b.Account, Kind: b.Kind, State: PMSPending}, Initial: b.Initial, Payload: string(body), Left: 1, Next: key,
	}
	switch {
	case p.world.Sending.Together > 0:
		p.world.Sending.Together--
		one.Left, one.Together = 2, true
	case p.world.Sending.Again > 0:
		p.world.Sending.Again--
		one.Left = 2
	}
	p.world.Postings = append(p.world.Postings, one)
}

// payload is what the hotel system is sent. Without ENRICHED_PAYLOAD it has the fields of the guide's example of 2022, with it those
// of the reference: that this is the difference is a judgment.
func (p *PMS) payload(b *PMSBill) map[string]any {
	provider := p.world.Provider
	enriched := provider.has(pmsEnriched)
	const layout = "2006-01-02T15:04:05.000Z"
	lines, payments := []any{}, []any{}
	for _, l := range b.Lines {
		lines = append(lines, l.payload(enriched))
	}
	for _, paid := range b.Payments {
		one := map[string]any{
			"paymentDate": b.Closed.Format(layout), "staffId": pmsStaff, "staffName": pmsWaiter, "gratuity": number(paid.Tip), "amount": number(paid.Amount),
			"methodName": "Cash", "methodCode": paid.Method, "reservationId": nil,
		}
		if paid.Method == RoomMethod {
			one["methodName"] = "Room"
			if !p.world.Sending.Bare || !paid.Amount.IsNegative() {
				one["reservationId"] = paid.ReservationID
			}
		}
		payments = append(payments, one)
	}
	body := map[string]any{
		"name": b.Name, "openDate": b.Opened.Format(layout), "closeDate": b.Closed.Format(layout), "covers": b.Covers,
		"ownerId": pmsStaff, "ownerName": pmsWaiter, "deviceId": pmsDevice, "businessExternalReference": pmsReference, "apiKey": provider.APIKey,
		"receiptId": b.ReceiptID, "receipt": nil, "id": nil, "fiscId": b.Account, "uuid": b.UUID, "initialAccountId": b.Initial, "identifier": b.Account,
		"transactions": lines, "payments": payments,
	}
	if enriched {
		body["revenueCenterId"] = b.RevenueCenterID
		for _, center := range pmsCenters() {
			if center.ID == b.RevenueCenterID {
				body["revenueCenterName"] = center.Name
			}
		}
	}
	if provider.has(pmsService) && !b.ServiceCharge.IsZero() {
		body["serviceCharge"] = map[string]any{"amount": number(b.ServiceCharge), "type": "UNTAXED"}
	}
	return body
}

// pmsReference is the business reference. The vendor explains it in three ways.
const pmsReference = "simrestaurant"

// payload is a line on the wire. All that is sold is taxed alike.
func (l PMSLine) payload(enriched bool) map[string]any {
	const tax = "VAT 10%"
	rate := decimal.New(11, -1) // a factor
	group := pmsCenter{}
	for _, dish := range pmsDishes() {
		if dish.SKU == l.SKU {
			group = dish.Group
		}
	}
	line := map[string]any{
		"unitAmount": number(l.Price), "quantity": l.Quantity, "amount": number(l.amount()), "description": l.Name, "staffId": pmsStaff, "staffName": pmsWaiter,
		"groupId": group.ID, "groupName": group.Name, "taxId": pmsDevice, "taxName": tax, "taxRate": number(rate), "taxIncluded": true, "sku": l.SKU,
	}
	if enriched {
		amount := l.amount().Sub(l.amount().Div(rate)).Round(2)
		line["type"] = l.Type
		line["taxLines"] = []any{map[string]any{
			"taxId": strconv.Itoa(pmsDevice), "taxName": tax, "taxAmount": number(amount), "taxRate": number(rate), "taxIncluded": true,
		}}
	}
	return line
}

// DuplicatePostings sends each of the next n postings twice with one idempotency key: together, or one after the other.
func (p *PMS) DuplicatePostings(n int, together bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if together {
		p.world.Sending.Together = n
	} else {
		p.world.Sending.Again = n
	}
}

// LoseAnswers loses the answers to the next n deliveries: the hotel has posted, and the restaurant hears nothing.
func (p *PMS) LoseAnswers(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Lose = n
}

// HoldPostings holds postings back until [PMS.ReleasePostings].
func (p *PMS) HoldPostings() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Held = true
}

// ReleasePostings lets the postings go that were held back.
func (p *PMS) ReleasePostings() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Held = false
	p.notify()
}

// SetTimeout says how long the point of sale waits for an answer.
func (p *PMS) SetTimeout(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Timeout = orDefault(d, p.opts.Timeout)
}

// SetBare leaves the reservation out of what takes a payment back: whether it is there is not documented.
func (p *PMS) SetBare(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Bare = on
}

// PostAgain sends a posting once more: the waiter tries again. Whether that has the same idempotency key is not documented.
func (p *PMS) PostAgain(account string, newKey bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, err := p.posting(account)
	if err != nil {
		return err
	}
	if one.Left > 0 {
		return fmt.Errorf("testserver: bill %s is being posted", account)
	}
	one.Left, one.Together, one.Next, one.State = 1, false, one.Key, PMSPending
	if newKey {
		one.Next = "LS1_" + newID()
	}
	p.notify()
	return nil
}

// Reconcile marks a posting that failed as seen to by hand, in the hotel system.
func (p *PMS) Reconcile(account string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, err := p.posting(account)
	if err != nil {
		return err
	}
	if one.State != PMSFailed {
		return fmt.Errorf("testserver: the posting of bill %s has not failed", account)
	}
	one.Reconciled = true
	p.notify()
	return nil
}

func (p *PMS) posting(account string) (*pmsPosting, error) {
	for _, one := range p.world.Postings {
		if one.Account == account {
			return one, nil
		}
	}
	return nil, fmt.Errorf("testserver: no bill %q was posted", account)
}

// Postings is the report of postings: all so far, in the order of the bills.
func (p *PMS) Postings() []PMSPosting {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listPostings()
}

func (p *PMS) listPostings() []PMSPosting {
	list := []PMSPosting{}
	for _, one := range p.world.Postings {
		c := one.PMSPosting
		c.Attempts = slices.Clone(c.Attempts)
		list = append(list, c)
	}
	return list
}

// WaitPostings waits until there are n postings that are no longer pending, and returns all.
func (p *PMS) WaitPostings(ctx context.Context, n int) ([]PMSPosting, error) {
	for {
		p.mu.Lock()
		list, changed := p.listPostings(), p.changed
		p.mu.Unlock()
		done := 0
		for _, one := range list {
			if one.State != PMSPending {
				done++
			}
		}
		if done >= n {
			return list, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return list, fmt.Errorf("testserver: %d postings of %d: %w", done, n, ctx.Err())
		}
	}
}

// servePostings sends what is to be posted until ctx ends. What was under way then is sent by the next process, with the same
// idempotency key.
func (p *PMS) servePostings(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		p.mu.Lock()
		changed := p.changed
		for _, one := range p.ready() {
			one.sending = true
			sending.Go(func() { p.deliver(ctx, one) })
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// ready returns what can be sent now: of bills that belong together, one after the other. Called with the lock held.
func (p *PMS) ready() []*pmsPosting {
	if p.world.Sending.Held {
		return nil
	}
	var list []*pmsPosting
	busy := map[string]bool{}
	for _, one := range p.world.Postings {
		if one.Left == 0 {
			continue
		}
		if !one.sending && !busy[one.Initial] {
			list = append(list, one)
		}
		busy[one.Initial] = true
	}
	return list
}

// deliver sends a posting once, or several times at the same time.
func (p *PMS) deliver(ctx context.Context, one *pmsPosting) {
	p.mu.Lock()
	n, key, body, lose, provider := 1, one.Next, one.Payload, false, p.world.Provider
	if one.Together {
		n = one.Left
	}
	if p.world.Sending.Lose > 0 {
		p.world.Sending.Lose--
		lose = true
	}
	timeout := p.world.Sending.Timeout
	endpoint := ""
	if provider != nil {
		endpoint = provider.Endpoint
	}
	p.mu.Unlock()

	attempts := make([]PMSAttempt, n)
	var together sync.WaitGroup
	for i := range attempts {
		together.Go(func() { attempts[i] = p.charge(ctx, endpoint, key, body, timeout) })
	}
	together.Wait()

	p.mu.Lock()
	defer p.mu.Unlock()
	one.sending = false
	if ctx.Err() != nil && !slices.ContainsFunc(attempts, func(a PMSAttempt) bool { return a.Status != 0 }) {
		return // the simulation ends
	}
	for _, a := range attempts {
		if lose {
			a.Status, a.Message = 0, pmsNoAnswer
		}
		one.Attempts = append(one.Attempts, a)
	}
	one.Left -= n
	if one.Left == 0 {
		one.State, one.Message = PMSFailed, one.Attempts[len(one.Attempts)-1].Message
		if slices.ContainsFunc(one.Attempts, func(a PMSAttempt) bool { return a.Status == http.StatusOK }) {
			one.State, one.Message = PMSPosted, ""
		}
	}
	p.notify()
}

// charge makes one delivery.
func (p *PMS) charge(ctx context.Context, endpoint, key, body string, timeout time.Duration) PMSAttempt {
	begin := time.Now()
	attempt := PMSAttempt{Key: key, Message: pmsNoAnswer}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/charge", strings.NewReader(body))
	if err != nil {
		return attempt
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Lightspeed-Idempotency-Key", key)
	status, kind, answer, err := pmsCall(req)
	attempt.Took = time.Since(begin)
	if err != nil {
		return attempt
	}
	attempt.Status, attempt.Message = status, ""
	if status != http.StatusOK {
		attempt.Message = p.judge(status, kind, answer)
	}
	return attempt
}

// pmsCall sends a request to the hotel system, and follows no redirect.
func pmsCall(req *http.Request) (status int, kind string, body []byte, err error) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, resp.Header.Get("Content-Type"), body, err
}

// judge looks at an answer that is not 200, and returns what the point of sale shows.
func (p *PMS) judge(status int, kind string, body []byte) string {
	wrong := func(format string, args ...any) {
		p.engine.violate(pmsName, "POST", "/charge", fmt.Sprintf("answer %d: ", status)+fmt.Sprintf(format, args...))
	}
	if status/100 != 4 && status/100 != 5 {
		wrong("must be 200, 4XX or 5XX") // That it counts as a failure is a judgment.
		return strconv.Itoa(status) + " " + http.StatusText(status)
	}
	var answer struct {
		Message *string `json:"customerErrorMessage"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == nil {
		wrong("has no customerErrorMessage")
		return strconv.Itoa(status/100) + "XX " + http.StatusText(status)
	}
	if !strings.HasPrefix(kind, "application/json") {
		wrong("content type is %q, must be application/json", kind)
	}
	if n := utf8.RuneCountInString(*answer.Message); n > pmsMessage {
		wrong("customerErrorMessage has %d characters, and may have %d", n, pmsMessage)
		return string([]rune(*answer.Message)[:pmsMessage])
	}
	return *answer.Message
}
