package pms_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

// smallHotel is a hotel system: in a real one the two maps are tables, and what Charge writes is one transaction.
type smallHotel struct {
	pms.Unimplemented

	mu     sync.Mutex
	folios map[string]string // by reservation: what was posted last
	known  map[string]bool   // keys and bills that were posted
}

func (s *smallHotel) Charge(_ context.Context, c pms.Charge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[c.Key] || (c.Account() != "" && s.known[c.Account()]) {
		return nil
	}
	postings, err := c.Postings()
	if err != nil {
		return err
	}
	for _, p := range postings {
		if _, ok := s.folios[p.ReservationID]; !ok {
			return pms.Refuse("Nobody has checked in as %s", p.ReservationID)
		}
	}
	for _, p := range postings {
		s.folios[p.ReservationID] = p.Debit.StringFixed(2)
	}
	s.known[c.Key], s.known[c.Account()] = true, true
	return nil
}

func ExampleNewHandler() {
	hotel := &smallHotel{folios: map[string]string{"001": ""}, known: map[string]bool{}}
	handler, err := pms.NewHandler(pms.Config{
		Backend:    hotel,
		Keys:       []pms.Key{{APIKey: "a long random key"}},
		Deliveries: memstore.New(memstore.Config{}), // one that survives, in a real program
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Lightspeed, which would send it to https://hotel.example/pms.
	bill := pmstest.NewCharge("a long random key")
	stranger := pmstest.NewCharge("a long random key").Set("payments.0.reservationId", "007")
	for _, c := range []*pmstest.Charge{bill, bill, bill.Void(), stranger} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, c.Request(context.Background(), "/pms"))
		fmt.Println(w.Code, w.Body, "last posted to 001:", hotel.folios["001"])
	}
	// Output:
	// 200 {} last posted to 001: 12.00
	// 200 {} last posted to 001: 12.00
	// 200 {} last posted to 001: -12.00
	// 422 {"customerErrorMessage":"Nobody has checked in as 007"} last posted to 001: -12.00
}

func ExampleCharge_Postings() {
	body, err := os.ReadFile("testdata/pms_charge_guide_2022.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := pms.ParseCharge(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	postings, err := c.Postings()
	for _, p := range postings {
		fmt.Println("reservation", p.ReservationID, "is debited with", p.Amount, "and a tip of", p.Gratuity)
	}
	fmt.Println("bill", c.Account(), "reversal:", c.IsReversal(), err)
	// Output:
	// reservation 001 is debited with 11 and a tip of 1
	// bill A56397.3 reversal: false <nil>
}

func ExampleRefuse() {
	err := fmt.Errorf("posting: %w", pms.Refuse("Room %s is not occupied", "12"))
	refusal, ok := errors.AsType[*pms.Refusal](err)
	fmt.Println(ok, refusal.Message)
	// Output: true Room 12 is not occupied
}

func ExampleCharge_Register() {
	c := pms.Charge{DeviceID: "12345"}
	register, ok := c.Register("45454565682155") // the business location
	fmt.Println(register, ok)
	// Output: kseries/45454565682155/12345 true
}

// A system registers itself, and looks whether it did if the answer was lost.
func ExampleProvidersService_Create() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler) // It is registered, and the answer lost.
		}
		_, _ = io.WriteString(w, `[{"id":7,"businessLocationId":45454565682155,"name":"Hotel","endpoint":"https://hotel.example/pms"}]`)
	}))
	defer server.Close()
	client, err := pms.NewClient(pms.ClientConfig{
		Token:   func(context.Context) (tillroute.Secret, error) { return "an access token of K-Series", nil },
		BaseURL: server.URL, HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	hotel := pms.ProviderRequest{Name: "Hotel", Endpoint: "https://hotel.example/pms", APIKey: "a long random key"}
	_, err = client.Providers.Create(ctx, 45454565682155, hotel)
	if errors.Is(err, tillroute.ErrOutcomeUnknown) {
		providers, err := client.Providers.List(ctx, 45454565682155)
		fmt.Println(len(providers), err)
	}
	// Output: 1 <nil>
}
