package smartconnect

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// Provider is the name of SmartConnect among the providers of terminals.
const Provider = "smartconnect"

// The hosts of SmartConnect.
const (
	// ProductionURL moves real money.
	ProductionURL = "https://api.smart-connect.cloud/POS"
	// DevelopmentURL goes with the virtual terminal or a test terminal.
	DevelopmentURL = "https://api-dev.smart-connect.cloud/POS"
)

const (
	defaultPollInterval = 3 * time.Second
	// minPollInterval is what production refuses to go below.
	minPollInterval    = 2 * time.Second
	defaultPollTimeout = 10 * time.Minute
	// tokenLife is how long a polling URL works, counted from the start of its transaction.
	tokenLife = 15 * time.Minute
)

// Config configures a [Client].
type Config struct {
	// BusinessName is the merchant's name. Required. Registers that were paired under another name are not paired.
	BusinessName string
	// VendorName is the name of the maker of the point of sale. Required. Registers that were paired under another
	// name are not paired.
	VendorName string
	// Currency is the one that the terminals charge in, as ISO 4217 code: AUD or NZD. Required, because no request
	// and no answer names it.
	Currency string
	// BaseURL is the server. Defaults to [ProductionURL].
	BaseURL string
	// PollInterval is the least time between two polls of a transaction; up to a fifth of it is added at random. Defaults
	// to 3 s. It must be at least 2 s, as the server wants it, unless BaseURL is on this machine.
	PollInterval time.Duration
	// PollTimeout is how long one call of [Client.Await] goes on without a result. Defaults to 10 minutes; must be less than
	// 15 minutes, when polling URLs end.
	PollTimeout time.Duration
	// HTTP says how to talk HTTP. Its Retries matter little here: only what provably never arrived is repeated, and what
	// the server refuses with leave to come back at once. MaxRetryAfter has no effect: a wait that the server asks for is
	// left to the caller, in the error's RetryAfter.
	HTTP tillroute.HTTPOptions
}

// Client talks to SmartConnect for one merchant: [Client.Register] returns what its registers do, and the client itself
// follows what they have started. It is safe for concurrent use. The zero value is not usable: its
// methods return an error.
type Client struct{ c *core }

// core is what a Client is made of. It is behind a pointer so that printing a Client shows none of it.
type core struct {
	config Config
	// send carries what may start something, poll what only reads.
	send, poll *rest.Client
	turns      turns
}

// New checks the configuration and returns a client. It sends nothing. Its error, of kind Invalid, names every field that is
// wrong, and what is wrong with HTTP once the rest is right.
func New(config Config) (*Client, error) {
	if config.BaseURL == "" {
		config.BaseURL = ProductionURL
	}
	if config.PollInterval == 0 {
		config.PollInterval = defaultPollInterval
	}
	if config.PollTimeout == 0 {
		config.PollTimeout = defaultPollTimeout
	}
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(Provider, "New", "%s", strings.Join(problems, "; "))
	}
	o := config.HTTP
	if o.Transport == nil {
		o.Transport = rest.NewTransport()
	}
	// A busy terminal is for the caller to wait for: it knows what else waits.
	o.MaxRetryAfter = time.Nanosecond
	send, err := rest.New(rest.Config{System: Provider, BaseURL: config.BaseURL, HTTP: o, Explain: explain})
	if err != nil {
		return nil, err
	}
	// The pace of polling is for Await to keep.
	o.Retries = -1
	poll, err := rest.New(rest.Config{System: Provider, BaseURL: config.BaseURL, HTTP: o, NoRedirects: true})
	if err != nil {
		return nil, err
	}
	return &Client{&core{config: config, send: send, poll: poll, turns: turns{of: map[tillroute.Secret]*turn{}}}}, nil
}

func (c *Config) problems() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, name := range []struct{ field, text string }{{"BusinessName", c.BusinessName}, {"VendorName", c.VendorName}} {
		if strings.TrimSpace(name.text) == "" {
			add("%s is missing", name.field)
		} else if !utf8.ValidString(name.text) {
			add("%s is not valid UTF-8", name.field)
		}
	}
	if c.Currency == "" {
		add("Currency is missing: AUD or NZD, as the terminals are set up")
	} else if digits, err := tillroute.CurrencyDigits(c.Currency); err != nil {
		add("Currency %q is not an ISO 4217 code such as NZD", c.Currency)
	} else if digits != 2 {
		add("Currency %s has no cents, and SmartConnect counts in cents", c.Currency)
	}
	base, err := rest.ParseBaseURL(c.BaseURL)
	if err != nil {
		add("BaseURL: %s", err)
	}
	switch {
	case c.PollInterval < 0:
		add("PollInterval is negative")
	case c.PollInterval < minPollInterval && err == nil && !loopback(base):
		add("PollInterval is %s: SmartConnect refuses polls that come faster than every %s", c.PollInterval, minPollInterval)
	}
	if c.PollTimeout < 0 || c.PollTimeout >= tokenLife {
		add("PollTimeout is %s: it must be positive and less than the %s that a polling URL lives", c.PollTimeout, tokenLife)
	}
	return problems
}

func loopback(u *url.URL) bool {
	host := u.Hostname()
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}

// ready returns an error for a client that [New] did not make.
func (c *Client) ready(operation string) error {
	if c == nil || c.c == nil {
		return tillroute.Invalid(Provider, operation, "this client was not made by New")
	}
	return nil
}
