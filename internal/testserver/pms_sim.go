package testserver

import (
	"net/http"
	"time"

	"github.com/shopspring/decimal"
)

// simPMS adds the calls of the restaurant that charges to rooms: what its waiters do, and the report of postings.
func (s *Systems) simPMS(handle func(string, simCall)) {
	p := s.PMS
	const bill = "/pms/bills/{account}"
	handle("GET /pms/dishes", func(*http.Request) (any, error) { return pmsDishes(), nil })
	handle("GET /pms/provider", func(*http.Request) (any, error) {
		if provider, ok := p.Provider(); ok {
			return provider, nil
		}
		return nil, nil
	})
	handle("GET /pms/guests", func(r *http.Request) (any, error) { return p.Search(r.Context(), r.URL.Query().Get("term")) })
	handle("GET /pms/bills", func(*http.Request) (any, error) { return p.Bills(), nil })
	handle("POST /pms/bills", func(r *http.Request) (any, error) {
		var order PMSOrder
		if err := readBody(r, &order); err != nil {
			return nil, err
		}
		return p.CloseBill(order)
	})
	handle("POST "+bill+"/void", func(r *http.Request) (any, error) { return p.Void(r.PathValue("account")) })
	handle("POST "+bill+"/tip", s.simTip)
	handle("POST "+bill+"/post-again", func(r *http.Request) (any, error) {
		var body struct {
			NewKey bool `json:"new_key"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		return nil, p.PostAgain(r.PathValue("account"), body.NewKey)
	})
	handle("POST "+bill+"/reconcile", func(r *http.Request) (any, error) { return nil, p.Reconcile(r.PathValue("account")) })
	handle("GET /pms/postings", s.simPostings)
	handle("POST /pms/postings/duplicate", func(r *http.Request) (any, error) {
		var body struct {
			Count    int  `json:"count"`
			Together bool `json:"together"`
		}
		if err := readBody(r, &body); err != nil {
			return nil, err
		}
		if body.Count < 0 {
			return nil, refuse(http.StatusBadRequest, "count is %d, must not be negative", body.Count)
		}
		p.DuplicatePostings(body.Count, body.Together)
		return nil, nil
	})
	handle("POST /pms/postings/lose-answers", simCount(p.LoseAnswers))
	handle("POST /pms/postings/hold", simDo(p.HoldPostings))
	handle("POST /pms/postings/release", simDo(p.ReleasePostings))
	handle("POST /pms/postings/settings", s.simPostingSettings)
}

// simPostings lists the postings, see [settledList].
func (s *Systems) simPostings(r *http.Request) (any, error) {
	return settledList(r, "postings", s.PMS.WaitPostings)
}

func (s *Systems) simTip(r *http.Request) (any, error) {
	var body struct {
		Payment int              `json:"payment"`
		Tip     *decimal.Decimal `json:"tip"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.Tip == nil {
		return nil, refuse(http.StatusBadRequest, "tip is missing")
	}
	reversal, corrected, err := s.PMS.CorrectTip(r.PathValue("account"), body.Payment, *body.Tip)
	if err != nil {
		return nil, err
	}
	return []PMSBill{reversal, corrected}, nil
}

// simPostingSettings says how postings are sent; what is left out goes back to its default.
func (s *Systems) simPostingSettings(r *http.Request) (any, error) {
	var body struct {
		TimeoutMS int64 `json:"timeout_ms"`
		Bare      bool  `json:"bare"`
	}
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	if body.TimeoutMS < 0 {
		return nil, refuse(http.StatusBadRequest, "timeout_ms is %d, must not be negative", body.TimeoutMS)
	}
	s.PMS.SetTimeout(time.Duration(body.TimeoutMS) * time.Millisecond)
	s.PMS.SetBare(body.Bare)
	return nil, nil
}
