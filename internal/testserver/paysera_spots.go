package testserver

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The statuses of a spot.
const (
	spotClosed  = "closed"
	spotWaiting = "waiting"
	spotOpen    = "open"
	spotOpened  = "opened" // see [PayseraOptions].Opened
)

// The statuses of an order.
const (
	orderPending   = "pending"
	orderReserved  = "reserved"
	orderConfirmed = "confirmed"
	orderClosed    = "closed"
)

// walletSpot is a spot.
type walletSpot struct {
	ID, Location int64
	Identifier   string
	Status       string
	Users        []int64 // who is checked in
	Orders       []*walletOrder
	Session      int // counts how often it was closed
}

// walletOrder is an order of a spot, also of a session that is over.
type walletOrder struct {
	ID      int64
	Key     string // of its transaction
	Closed  bool
	Session int
}

func (p *Paysera) spotRoutes() []walletRoute {
	return []walletRoute{
		{http.MethodGet, "spot", callerEither, []string{"code", "fields"}, p.spotByCode},
		{http.MethodGet, "spot/{id}", callerEither, []string{"fields"}, p.spotByID},
		{http.MethodPut, "spot/{id}/check-in", callerUser, []string{"fields"}, p.checkInCall},
		{http.MethodPut, "spot/{id}/check-out", callerUser, []string{"fields"}, p.checkOutCall},
		{http.MethodPut, "spot/{id}/close", callerMerchant, []string{"fields"}, p.closeCall},
		{http.MethodPost, "spot/{id}/order", callerMerchant, []string{"fields"}, p.createOrder},
		{http.MethodGet, "spots", callerMerchant, []string{"status", "limit", "offset", "fields"}, p.listSpots},
		{http.MethodGet, "order/{id}", callerEither, []string{"fields"}, p.getOrder},
		{http.MethodPut, "order/{id}", callerMerchant, []string{"fields"}, p.editOrder},
		{http.MethodDelete, "order/{id}", callerMerchant, []string{"fields"}, p.removeOrder},
		{http.MethodGet, "code", callerEither, []string{"code", "fields"}, p.codeCall},
	}
}

func (w *walletWorld) spot(id int64) *walletSpot {
	for _, s := range w.Spots {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// order finds an order and its spot.
func (w *walletWorld) order(id int64) (*walletSpot, *walletOrder) {
	for _, s := range w.Spots {
		for _, o := range s.Orders {
			if o.ID == id {
				return s, o
			}
		}
	}
	return nil, nil
}

// orderOf finds the order of a transaction, the last one if there were several.
func (w *walletWorld) orderOf(key string) (*walletSpot, *walletOrder) {
	var spot *walletSpot
	var order *walletOrder
	for _, s := range w.Spots {
		for _, o := range s.Orders {
			if o.Key == key && (order == nil || o.ID > order.ID) {
				spot, order = s, o
			}
		}
	}
	return spot, order
}

// spotCode is PAYSERA*{location}:{identifier}.
func spotCode(code string) (location int64, identifier string, ok bool) {
	parts := regexp.MustCompile(`^PAYSERA\*([0-9]{1,18}):(.+)$`).FindStringSubmatch(code)
	if parts == nil {
		return 0, "", false
	}
	location, err := strconv.ParseInt(parts[1], 10, 64)
	return location, parts[2], err == nil
}

// unwrap takes a code out of the address that some QR codes are. That it may be sent whole is a judgment.
func unwrap(code string) string {
	for _, prefix := range []string{"https://paysera.com/app?qr=", "https://www.paysera.com/app?qr="} {
		if inner, ok := strings.CutPrefix(code, prefix); ok {
			return inner
		}
	}
	return code
}

// spotOf finds the spot of a code. The first who asks for an identifier registers it.
func (p *Paysera) spotOf(code string) *walletSpot {
	location, identifier, ok := spotCode(unwrap(code))
	if !ok || p.world.location(location) == nil {
		return nil
	}
	for _, s := range p.world.Spots {
		if s.Location == location && s.Identifier == identifier {
			return s
		}
	}
	s := &walletSpot{ID: p.id(), Location: location, Identifier: identifier, Status: spotClosed}
	p.world.Spots = append(p.world.Spots, s)
	return s
}

// ownSpot reports whether a spot is that of the merchant.
func (p *Paysera) ownSpot(who caller, s *walletSpot) bool {
	place := p.world.location(s.Location)
	return place != nil && p.ownProject(who, place.Project)
}

// spotDocument is the spot as somebody sees it. That the owner sees the orders too follows from the vendor's example, which
// has both them and the identifier.
func (p *Paysera) spotDocument(who caller, s *walletSpot) document {
	own := p.ownSpot(who, s)
	status := s.Status
	if status == spotOpen && p.opts.Opened {
		status = spotOpened
	}
	plain := map[string]any{"id": s.ID, "status": status, "place_info": p.placeInfo(s.Location)}
	if own {
		plain["identifier"] = s.Identifier
	}
	if own || slices.Contains(s.Users, who.user) {
		orders := []document{}
		for _, o := range s.Orders {
			if o.Session == s.Session {
				orders = append(orders, p.orderDocument(o))
			}
		}
		if len(orders) > 0 {
			plain["orders"] = orders
		}
	}
	return document{plain: plain}
}

func (p *Paysera) placeInfo(location int64) map[string]any {
	place := p.world.location(location)
	info := map[string]any{"title": place.Title, "location_id": place.ID}
	if place.Description != "" {
		info["description"] = place.Description
	}
	if place.Address != "" {
		info["address"] = place.Address
	}
	return info
}

// orderStatus follows the transaction. A transaction that came to nothing leaves the order pending, which is a
// judgment: the merchant can give it another.
func (p *Paysera) orderStatus(o *walletOrder) string {
	if o.Closed {
		return orderClosed
	}
	switch p.world.transaction(o.Key).Status {
	case txReserved:
		return orderReserved
	case txConfirmed:
		return orderConfirmed
	default:
		return orderPending
	}
}

func (p *Paysera) orderDocument(o *walletOrder) document {
	d := document{plain: map[string]any{"id": o.ID, "transaction_key": o.Key, "status": p.orderStatus(o)}}
	if t := p.world.transaction(o.Key); t != nil {
		d.extra = map[string]any{"transaction": p.transactionDocument(t)}
	}
	return d
}

// spotAt is the spot of a call, which a merchant must own.
func (p *Paysera) spotAt(c *walletCall) (*walletSpot, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	return p.visible(c, p.world.spot(id))
}

// visible refuses a merchant who asks for the spot of another.
func (p *Paysera) visible(c *walletCall, s *walletSpot) (*walletSpot, error) {
	switch {
	case s == nil:
		return nil, notFound("No such spot")
	case c.user == 0 && !p.ownSpot(c.caller, s):
		return nil, forbidden(textOtherProject)
	}
	return s, nil
}

func (p *Paysera) spotByCode(c *walletCall) (any, error) {
	code := c.r.URL.Query().Get("code")
	if code == "" {
		return nil, invalid("code", "Key code is required")
	}
	s, err := p.visible(c, p.spotOf(code))
	if err != nil {
		return nil, err
	}
	return p.spotDocument(c.caller, s), nil
}

func (p *Paysera) spotByID(c *walletCall) (any, error) {
	s, err := p.spotAt(c)
	if err != nil {
		return nil, err
	}
	return p.spotDocument(c.caller, s), nil
}

func (p *Paysera) checkInCall(c *walletCall) (any, error) {
	s, err := p.spotAt(c)
	if err != nil {
		return nil, err
	}
	p.checkIn(s, c.user)
	return p.spotDocument(c.caller, s), nil
}

// checkIn checks a user in to a spot, and out of the one before.
func (p *Paysera) checkIn(s *walletSpot, user int64) {
	for _, other := range p.world.Spots {
		if other != s {
			p.checkOut(other, user)
		}
	}
	if slices.Contains(s.Users, user) {
		return
	}
	s.Users = append(s.Users, user)
	if s.Status == spotClosed {
		s.Status = spotWaiting
	}
	p.notify()
}

func (p *Paysera) checkOutCall(c *walletCall) (any, error) {
	s, err := p.spotAt(c)
	if err != nil {
		return nil, err
	}
	p.checkOut(s, c.user)
	return p.spotDocument(c.caller, s), nil
}

// checkOut checks a user out. Who is not there stays so, which is a judgment. That the end of the last one closes the
// orders that are pending, as the merchant's does, is another.
func (p *Paysera) checkOut(s *walletSpot, user int64) {
	i := slices.Index(s.Users, user)
	if i < 0 {
		return
	}
	s.Users = slices.Delete(s.Users, i, i+1)
	if len(s.Users) == 0 {
		p.closeSpot(s)
	}
	p.notify()
}

// closeSpot ends a session. What becomes of the transactions is not documented: they stay as they are, and can still be
// paid by who has their key.
func (p *Paysera) closeSpot(s *walletSpot) {
	for _, o := range s.Orders {
		if o.Session == s.Session && p.orderStatus(o) == orderPending {
			o.Closed = true
		}
	}
	s.Status, s.Users = spotClosed, nil
	s.Session++
	p.notify()
}

func (p *Paysera) closeCall(c *walletCall) (any, error) {
	s, err := p.spotAt(c)
	if err != nil {
		return nil, err
	}
	if s.Status != spotClosed {
		p.closeSpot(s)
	}
	return p.spotDocument(c.caller, s), nil
}

// listSpots lists the merchant's spots. That a client which represents a location sees those of it alone is a judgment.
func (p *Paysera) listSpots(c *walletCall) (any, error) {
	status := c.r.URL.Query().Get("status")
	switch status {
	case "", spotClosed, spotWaiting, spotOpen:
	case spotOpened:
		status = spotOpen
	default:
		return nil, invalid("status", "status must be closed, waiting or open")
	}
	list := []document{}
	for _, s := range p.world.Spots {
		if p.ownSpot(c.caller, s) && (status == "" || s.Status == status) && (c.location == 0 || s.Location == c.location) {
			list = append(list, p.spotDocument(c.caller, s))
		}
	}
	return page("spots", list, c.r.URL.Query())
}

// orderTransaction reads the body of a new or changed order: the key of a transaction, or a new transaction.
// The refusals are judgments, but for the first.
func (p *Paysera) orderTransaction(c *walletCall, now *walletOrder) (string, error) {
	b := c.object("transaction_key", "transaction")
	b.only("transaction_key", "transaction")
	if !b.has("transaction") {
		b.require("transaction_key")
	}
	key := b.text("transaction_key")
	if b.err != nil {
		return "", b.err
	}
	if b.has("transaction") {
		t, err := p.newTransaction(c, b.raw("transaction"))
		if err != nil {
			return "", err
		}
		return t.Key, nil
	}
	t := p.world.transaction(key)
	switch {
	case t == nil:
		return "", notFound("No such transaction")
	case !p.ownProject(c.caller, t.Project):
		return "", forbidden(textOtherProject)
	}
	if t.over() {
		return "", invalidState("Transaction is " + t.Status)
	}
	if _, other := p.world.orderOf(key); other != nil && other != now && !other.Closed {
		return "", invalidState("Transaction belongs to another order")
	}
	return key, nil
}

// createOrder adds an order. Answers come with 200, as in the vendor's example.
func (p *Paysera) createOrder(c *walletCall) (any, error) {
	s, err := p.spotAt(c)
	if err != nil {
		return nil, err
	}
	if s.Status == spotClosed {
		return nil, invalidState("Spot is closed") // judgment
	}
	key, err := p.orderTransaction(c, nil)
	if err != nil {
		return nil, err
	}
	o := &walletOrder{ID: p.id(), Key: key, Session: s.Session}
	s.Orders = append(s.Orders, o)
	s.Status = spotOpen
	p.notify()
	return p.orderDocument(o), nil
}

// orderAt is the order of a call. Users see the orders of the spot in which they are, and those that they pay.
func (p *Paysera) orderAt(c *walletCall) (*walletOrder, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	s, o := p.world.order(id)
	if o == nil {
		return nil, notFound("No such order")
	}
	may := p.ownSpot(c.caller, s) || o.Session == s.Session && slices.Contains(s.Users, c.user)
	if u := p.world.user(c.user); u != nil {
		may = may || p.world.transaction(o.Key).Wallet == u.Wallet
	}
	if !may {
		return nil, forbidden("Order belongs to another user or project")
	}
	return o, nil
}

func (p *Paysera) getOrder(c *walletCall) (any, error) {
	o, err := p.orderAt(c)
	if err != nil {
		return nil, err
	}
	return p.orderDocument(o), nil
}

// editOrder gives an order another transaction. That it must be pending is a judgment.
func (p *Paysera) editOrder(c *walletCall) (any, error) {
	o, err := p.orderAt(c)
	if err != nil {
		return nil, err
	}
	if status := p.orderStatus(o); status != orderPending {
		return nil, invalidState("Order is " + status)
	}
	key, err := p.orderTransaction(c, o)
	if err != nil {
		return nil, err
	}
	o.Key = key
	p.notify()
	return p.orderDocument(o), nil
}

// removeOrder closes an order. That one which is reserved or confirmed cannot be, is a judgment.
func (p *Paysera) removeOrder(c *walletCall) (any, error) {
	o, err := p.orderAt(c)
	if err != nil {
		return nil, err
	}
	if status := p.orderStatus(o); status == orderReserved || status == orderConfirmed {
		return nil, invalidState("Order is " + status)
	}
	o.Closed = true
	p.notify()
	return p.orderDocument(o), nil
}

// codeCall tells what a code is.
func (p *Paysera) codeCall(c *walletCall) (any, error) {
	code := unwrap(c.r.URL.Query().Get("code"))
	if code == "" {
		return nil, invalid("code", "Key code is required")
	}
	kind, parameters := "", map[string]any{}
	if s := p.spotOf(code); s != nil {
		kind, parameters["spot_id"] = "spot", s.ID
	}
	if key, ok := strings.CutPrefix(code, "PAYSERA%"); ok && p.world.transaction(key) != nil {
		kind, parameters["transaction_key"] = "transaction", key
	}
	if number, ok := strings.CutPrefix(code, "EVP"); ok && len(number) >= 12 && digits(number) {
		if id, err := strconv.ParseInt(number, 10, 64); err == nil && p.world.purse(id) != nil {
			beneficiary := map[string]any{"wallet_id": id, "account_number": code}
			for _, u := range p.world.Users {
				if u.Wallet == id {
					beneficiary["user_id"], beneficiary["display_name"] = u.ID, u.Name
				}
			}
			kind, parameters["beneficiary"] = "prefill", beneficiary
		}
	}
	if kind == "" {
		return nil, notFound("Code is unknown")
	}
	return map[string]any{"type": kind, "parameters": parameters}, nil
}
