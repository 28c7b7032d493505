package testserver

import (
	"net/http"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// simPaysera adds the calls of the simulated Paysera Wallet: what users do on their phones, and the books.
func (s *Systems) simPaysera(handle func(string, simCall)) {
	p := s.Paysera
	const user = "/paysera/users/{id}"
	at := func(call func(u *PayseraUser, r *http.Request) (any, error)) simCall {
		return func(r *http.Request) (any, error) {
			id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
			u := p.User(id)
			if err != nil || u == nil {
				return nil, refuse(http.StatusNotFound, "no user %q: GET %s/paysera/users lists them", r.PathValue("id"), simPrefix)
			}
			return call(u, r)
		}
	}
	// Every call that changes a user answers with what can be seen of it afterwards.
	act := func(do func(u *PayseraUser, r *http.Request) error) simCall {
		return at(func(u *PayseraUser, r *http.Request) (any, error) {
			if err := do(u, r); err != nil {
				return nil, err
			}
			return u.State(), nil
		})
	}
	keyed := func(do func(u *PayseraUser, key string) error) simCall {
		return act(func(u *PayseraUser, r *http.Request) error {
			var body struct {
				Key string `json:"transaction_key"`
			}
			if err := readBody(r, &body); err != nil {
				return err
			}
			return do(u, body.Key)
		})
	}

	handle("GET /paysera/users", func(*http.Request) (any, error) {
		states := []PayseraUserState{}
		for _, u := range p.Users() {
			states = append(states, u.State())
		}
		return states, nil
	})
	handle("GET "+user, act(func(*PayseraUser, *http.Request) error { return nil }))
	handle("GET "+user+"/order", at(simOrder))
	handle("POST "+user+"/scan", act(simScan))
	handle("POST "+user+"/check-out", act(func(u *PayseraUser, _ *http.Request) error { return u.CheckOut() }))
	handle("POST "+user+"/open", keyed((*PayseraUser).Open))
	handle("POST "+user+"/pay", keyed((*PayseraUser).Pay))
	handle("POST "+user+"/decline", keyed((*PayseraUser).Decline))
	handle("POST "+user+"/unlock", keyed((*PayseraUser).Unlock))
	handle("POST "+user+"/balance", act(simBalance))
	handle("POST "+user+"/allowance", act(simAllowance))
	handle("POST "+user+"/reservation-code", act(func(u *PayseraUser, _ *http.Request) error { _, err := u.ReservationCode(); return err }))
	handle("POST "+user+"/token", at(simToken))

	handle("GET /paysera/charges", func(*http.Request) (any, error) { return listOf(p.Charges()), nil })
	handle("GET /paysera/transactions", func(*http.Request) (any, error) { return p.Transactions(), nil })
	handle("GET /paysera/spots", func(*http.Request) (any, error) { return p.Spots(), nil })
	handle("POST /paysera/authorization", s.simPayseraAuthorization)
	handle("POST /paysera/expire-tokens", simDo(p.ExpireTokens))
	handle("POST /paysera/revoke-tokens", simDo(p.RevokeTokens))
	handle("POST /paysera/clock", func(r *http.Request) (any, error) {
		var body struct {
			AheadS int64 `json:"ahead_s"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		p.SetClock(time.Duration(body.AheadS) * time.Second)
		return nil, nil
	})

	handle("GET /paysera/callbacks", s.simCallbacks)
	handle("POST /paysera/callbacks/uri", simURL(p.SetCallbackURI))
	handle("POST /paysera/callbacks/duplicate", simCount(p.DuplicateCallbacks))
	handle("POST /paysera/callbacks/lose", simCount(p.LoseCallbacks))
	handle("POST /paysera/callbacks/forge", simCount(p.ForgeCallbacks))
	handle("POST /paysera/callbacks/rotate-key", simDo(p.RotateKey))
	handle("POST /paysera/callbacks/hold", simDo(p.HoldCallbacks))
	handle("POST /paysera/callbacks/release", simRelease(p.ReleaseCallbacks))
}

// simOrder waits for an order to pay.
func simOrder(u *PayseraUser, r *http.Request) (any, error) {
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	key, err := u.WaitOrder(ctx)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "user %d has no order to pay: create one, or wait with ?wait_ms=", u.ID())
	}
	return map[string]string{"transaction_key": key}, nil
}

func simScan(u *PayseraUser, r *http.Request) error {
	var body struct {
		Code string `json:"code"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	return u.Scan(body.Code)
}

func simBalance(u *PayseraUser, r *http.Request) error {
	var body struct {
		Amount *decimal.Decimal `json:"amount"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	if body.Amount == nil || body.Amount.IsNegative() {
		return refuse(http.StatusBadRequest, "amount is missing or negative")
	}
	return u.SetBalance(*body.Amount)
}

func simAllowance(u *PayseraUser, r *http.Request) error {
	var body struct {
		Allowed bool `json:"allowed"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	return u.Allow(body.Allowed)
}

func simToken(u *PayseraUser, r *http.Request) (any, error) {
	var body struct {
		Scopes []string `json:"scopes"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	return u.Token(body.Scopes...)
}

// simPayseraAuthorization says who is in front of the authorization page, and what happens there next.
func (s *Systems) simPayseraAuthorization(r *http.Request) (any, error) {
	var body struct {
		Refuse bool      `json:"refuse"`
		Grant  *[]string `json:"grant"`
		User   int64     `json:"user_id"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.Refuse && body.Grant != nil || !body.Refuse && body.Grant == nil && body.User == 0 {
		return nil, refuse(http.StatusBadRequest, `give {"refuse": true} or {"grant": ["scope", …]}, or {"user_id": …}`)
	}
	if body.User != 0 {
		if err := s.Paysera.AuthorizeAs(body.User); err != nil {
			return nil, err
		}
	}
	if body.Refuse {
		s.Paysera.RefuseNextAuthorization()
	}
	if body.Grant != nil {
		s.Paysera.GrantNextAuthorization(*body.Grant...)
	}
	return nil, nil
}

// simCallbacks lists the callbacks, see [settledList].
func (s *Systems) simCallbacks(r *http.Request) (any, error) {
	return settledList(r, "callbacks", s.Paysera.WaitCallbacks)
}
