package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/testserver"
)

// onceTime bounds the one payment.
const onceTime = 5 * time.Minute

// visitor is a person with a browser, as far as one is needed.
type visitor struct{ http.Client }

// once pairs a terminal and takes a payment on it, through the same pages that people use.
func (d *demo) once(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, onceTime)
	defer cancel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	v := &visitor{http.Client{Jar: jar}}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(stdout, format+"\n", args...) }

	page, err := v.submit(ctx, d.gateway.PairingURL(), "/connect", nil)
	if err != nil {
		return fmt.Errorf("connecting the store: %w", err)
	}
	say("connected the store")
	device := d.world.SmartConnect.Devices()[0]
	code, err := device.ShowCode()
	if err != nil {
		return err
	}
	page, err = v.submitPage(ctx, page, "/pair", url.Values{"code": {code}, "register": {testserver.RegisterMain}})
	if err == nil && strings.Contains(page.text, "name=\"version\"") {
		// It was paired before: the page asks whether to replace that.
		_, err = v.submitPage(ctx, page, "/pair", nil)
	}
	if err != nil {
		return fmt.Errorf("pairing the register: %w", err)
	}
	say("paired the register with terminal %s", device.ID())

	modal, err := d.world.XSeries.OpenModal(testserver.RegisterMain, decimal.New(1250, -2))
	if err != nil {
		return err
	}
	if err := modal.SetOrigin(strings.TrimRight(d.url, "/")); err != nil {
		return err
	}
	window, err := v.openModal(ctx, modal)
	if err != nil {
		return fmt.Errorf("opening the payment: %w", err)
	}
	say("began a payment of %s", modal.State().Amount.StringFixed(2))
	if _, err := device.WaitTransaction(ctx); err != nil {
		return fmt.Errorf("the payment does not arrive at the terminal: %w", err)
	}
	if err := device.Approve(); err != nil {
		return err
	}
	say("approved it at the terminal")
	if err := window.finish(ctx, d.gateway.GatewayURL()); err != nil {
		return err
	}
	sale, ok := d.world.XSeries.Sale(modal.SaleID())
	if !ok || !sale.Closed {
		return errors.New("the sale is not paid")
	}
	say("the sale is paid: transaction %s", sale.Payments[0].TransactionID)
	return nil
}

// document is a page that was loaded.
type document struct {
	at   *url.URL
	text string
}

func (v *visitor) load(request *http.Request) (document, error) {
	response, err := v.Do(request)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %s", response.Request.URL.Path, response.Status, headline(string(text)))
	}
	return document{response.Request.URL, string(text)}, err
}

func headline(page string) string {
	match := regexp.MustCompile(`(?s)<h1[^>]*>(.*?)</h1>`).FindStringSubmatch(page)
	if match == nil {
		return page[:min(len(page), 200)]
	}
	return html.UnescapeString(strings.TrimSpace(match[1]))
}

// submit loads a page and sends its form.
func (v *visitor) submit(ctx context.Context, address, action string, fields url.Values) (document, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return document{}, err
	}
	page, err := v.load(request)
	if err != nil {
		return document{}, err
	}
	return v.submitPage(ctx, page, action, fields)
}

// submitPage sends a form of a page: the one whose action ends so. Hidden fields go along.
func (v *visitor) submitPage(ctx context.Context, page document, action string, fields url.Values) (document, error) {
	form := regexp.MustCompile(`(?s)<form[^>]*action="([^"]*` + regexp.QuoteMeta(action) + `)".*?</form>`).FindStringSubmatch(page.text)
	if form == nil {
		return document{}, fmt.Errorf("the page %q has no form for %s", headline(page.text), action)
	}
	target, err := page.at.Parse(html.UnescapeString(form[1]))
	if err != nil {
		return document{}, err
	}
	values := url.Values{}
	for _, hidden := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form[0], -1) {
		values.Set(html.UnescapeString(hidden[1]), html.UnescapeString(hidden[2]))
	}
	for name := range fields {
		values.Set(name, fields.Get(name))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return document{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.load(request)
}

// window is the gateway's page in the till's modal.
type window struct {
	v      *visitor
	modal  *testserver.Modal
	follow string
}

// answer is what the gateway tells its page.
type answer struct {
	Screen struct {
		Title string `json:"title"`
		Tell  string `json:"tell"`
		End   bool   `json:"end"`
	} `json:"screen"`
	Follow string `json:"follow"`
}

// openModal does what the page's script does until the payment has begun.
func (v *visitor) openModal(ctx context.Context, modal *testserver.Modal) (*window, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, modal.URL(), nil)
	if err != nil {
		return nil, err
	}
	page, err := v.load(request)
	if err != nil {
		return nil, err
	}
	attribute := func(name string) string {
		match := regexp.MustCompile(`data-` + name + `="([^"]*)"`).FindStringSubmatch(page.text)
		if match == nil {
			return ""
		}
		return html.UnescapeString(match[1])
	}
	if _, err := modal.Post(attribute("hide")); err != nil {
		return nil, err
	}
	data, err := modal.Post(attribute("ask"))
	if err != nil {
		return nil, err
	}
	w := &window{v: v, modal: modal}
	got, err := w.send(ctx, page.at.Scheme+"://"+page.at.Host+page.at.Path+"/start", map[string]string{"token": attribute("token"), "data": data})
	if err != nil {
		return nil, err
	}
	if w.follow = got.Follow; w.follow == "" {
		return nil, errors.New(got.Screen.Title)
	}
	return w, nil
}

func (w *window) send(ctx context.Context, address string, body any) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(string(text)))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	return w.read(request)
}

func (w *window) read(request *http.Request) (answer, error) {
	page, err := w.v.load(request)
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal([]byte(page.text), &a)
}

// finish follows the payment to its end, and tells the till.
func (w *window) finish(ctx context.Context, gatewayURL string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, gatewayURL+"/progress", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Payment-Token", w.follow)
		got, err := w.read(request)
		if err != nil {
			return err
		}
		if got.Screen.End {
			if got, err = w.send(ctx, gatewayURL+"/told", map[string]string{"token": w.follow}); err != nil {
				return err
			}
			_, err = w.modal.Post(got.Screen.Tell)
			return err
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
