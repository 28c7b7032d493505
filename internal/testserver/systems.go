package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The base paths of the systems. They are not empty on purpose: a client that throws away the path of its base URL
// must not get away with it.
const (
	xseriesPrefix      = "/xseries"
	smartconnectPrefix = "/smartconnect"
	payseraPrefix      = "/paysera"
	pmsPrefix          = "/pms"
	kseriesPrefix      = "/kseries"
	simPrefix          = "/_sim"
)

// shutdownTime is how long answers that are under way may take after the end of the simulation.
const shutdownTime = 2 * time.Second

// Options are the settings of the simulated systems. The zero value is ready to use.
type Options struct {
	// Now tells the time for everything that expires. Default: [time.Now]. Delays run on real timers.
	Now func() time.Time
	// PublicURL is scheme://host[:port][/prefix] under which clients reach [Systems.Handler].
	// Default: http:// and the address of [Systems.Listen].
	PublicURL string
	// Title is at the top of the pages that a person uses. Default: "Simulated store".
	Title string
	// Links are beside the title, see [Systems.SetLinks].
	Links []Link

	// ReceiverTimeout is how long who receives webhooks, callbacks and notifications may take. Default: 5 s, as X-Series documents;
	// for the others that is a judgment.
	ReceiverTimeout time.Duration

	// StateFile is a file in which the state of all systems is kept, so that a new process goes on where the last one
	// was killed: with the same credentials, sales, pairings, and what is on the terminals' screens. See [Systems.Load].
	// Credentials and the gateway's URL that are given in the options take the place of those in the file. Faults,
	// recorded requests and violations are not in it. It is for one process at a time. Default: none.
	StateFile string

	XSeries      XSeriesOptions
	SmartConnect SmartConnectOptions
	Paysera      PayseraOptions
	PMS          PMSOptions
	KSeries      KSeriesOptions
}

// Systems is all simulated systems on one address: /xseries, /smartconnect, /paysera, /pms, /kseries, the control API /_sim, and
// pages for a person: /till, /terminals, / with both, /restaurant and /tables. The engine's methods are its own.
type Systems struct {
	*Engine

	XSeries      *XSeries
	SmartConnect *SmartConnect
	Paysera      *Paysera
	PMS          *PMS
	KSeries      *KSeries

	mu        sync.Mutex
	publicURL string
	title     string
	links     []Link
}

// New makes the simulated systems. Nothing runs before [Systems.Serve].
func New(opts Options) *Systems {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	e := newEngine(opts.Now)
	e.receiverTimeout = orDefault(opts.ReceiverTimeout, receiverTimeout)
	if opts.StateFile != "" {
		e.keeper = &keeper{path: opts.StateFile}
	}
	s := &Systems{
		Engine: e, XSeries: newXSeries(e, opts.XSeries), SmartConnect: newSmartConnect(e, opts.SmartConnect), Paysera: newPaysera(e, opts.Paysera),
		PMS:     newPMS(e, opts.PMS),
		KSeries: newKSeries(e, opts.KSeries),
	}
	s.SetPublicURL(opts.PublicURL)
	s.SetLinks(opts.Title, opts.Links...)
	return s
}

// SetPublicURL says under which URL clients reach [Systems.Handler].
func (s *Systems) SetPublicURL(url string) {
	url = strings.TrimRight(url, "/")
	s.mu.Lock()
	s.publicURL = url
	s.mu.Unlock()
	s.SmartConnect.mu.Lock()
	defer s.SmartConnect.mu.Unlock()
	s.SmartConnect.publicURL = ""
	if url != "" {
		s.SmartConnect.publicURL = url + smartconnectPrefix
	}
	s.Paysera.mu.Lock()
	defer s.Paysera.mu.Unlock()
	s.Paysera.publicURL = url
}

// PublicURL is the URL under which clients reach [Systems.Handler]; "" before it is known.
func (s *Systems) PublicURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publicURL
}

// Handler serves all systems. It does not use a [http.ServeMux], which would clean paths and redirect where the
// vendors would not.
func (s *Systems) Handler() http.Handler {
	mounts := []struct {
		prefix  string
		handler http.Handler
	}{
		{xseriesPrefix, s.handler(xseriesName, xseriesPrefix, s.XSeries)},
		{smartconnectPrefix, s.handler(smartconnectName, smartconnectPrefix, s.SmartConnect)},
		{payseraPrefix, s.handler(payseraName, payseraPrefix, s.Paysera)},
		{pmsPrefix, s.handler(pmsName, pmsPrefix, s.PMS)},
		{kseriesPrefix, s.handler(kseriesName, kseriesPrefix, s.KSeries)},
		{simPrefix, s.simHandler()},
	}
	pages := s.pageHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, mount := range mounts {
			if path, ok := strings.CutPrefix(r.URL.EscapedPath(), mount.prefix); ok && (path == "" || path[0] == '/') {
				mount.handler.ServeHTTP(w, r)
				return
			}
		}
		if isPage(r.URL.EscapedPath()) {
			pages.ServeHTTP(w, r)
			return
		}
		http.Error(w, "no such system: the paths begin with /xseries, /smartconnect, /paysera, /pms, /kseries or /_sim", http.StatusNotFound)
	})
}

// Reset puts all systems back into the state at start and forgets requests, violations and faults. Credentials and
// the public URL stay.
func (s *Systems) Reset() {
	s.forget()
	s.XSeries.reset()
	s.SmartConnect.reset()
	s.Paysera.reset()
	s.PMS.reset()
	s.KSeries.reset()
}

// Close stops what terminals would do later by themselves, and wakes who waits for them.
func (s *Systems) Close() {
	s.SmartConnect.close()
}

// Listen opens a loopback address, such as "127.0.0.1:0", for [Systems.Serve] and makes it the public URL, unless
// one was given in the options. It calls [Systems.Load].
func (s *Systems) Listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("testserver: cannot listen on %q: %w", addr, err)
	}
	if err := s.Load(); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	if s.PublicURL() == "" {
		s.SetPublicURL("http://" + reachable(ln.Addr()))
	}
	return ln, nil
}

// reachable is an address at which a client on this machine finds a listener: one on all interfaces is found on
// loopback.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// Serve answers on ln and delivers webhooks, callbacks, postings and notifications until ctx ends, then lets the answers under way finish, for two seconds at
// most. It returns nil after such an end. It closes ln. It calls [Systems.Load].
func (s *Systems) Serve(ctx context.Context, ln net.Listener) error {
	if err := s.Load(); err != nil {
		return errors.Join(err, ln.Close())
	}
	server := newServer(s.Handler())
	// Answers that are held back end with the simulation.
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	delivering, endDeliveries := context.WithCancel(ctx)
	var deliveries sync.WaitGroup
	deliveries.Go(func() { s.XSeries.serveDeliveries(delivering) })
	deliveries.Go(func() { s.Paysera.serveCallbacks(delivering) })
	deliveries.Go(func() { s.PMS.servePostings(delivering) })
	deliveries.Go(func() { s.KSeries.serveNotifications(delivering) })
	defer deliveries.Wait()
	defer endDeliveries()
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		s.Close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(ln)
	if stop() {
		s.Close()
		return fmt.Errorf("testserver: serving stopped by itself: %w", err)
	}
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("testserver: %w", err)
}

// newServer returns a server that doesn't wait for ever for what clients send. Answers may be held back for as long as somebody
// wants them to be.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// TB is the part of [testing.TB] that [Start] needs.
type TB interface {
	Helper()
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// testPatience is how long tests have by default where a vendor would lose its patience: a machine may stand still for some seconds.
const testPatience = 2 * time.Minute

// Start serves the simulated systems on a free loopback port for the time of a test. At its end it reports what
// [Engine.Complaints] lists. Receivers, and hotel systems, have two minutes to answer unless the options say otherwise.
func Start(tb TB, opts Options) *Systems {
	tb.Helper()
	opts.ReceiverTimeout, opts.PMS.Timeout = orDefault(opts.ReceiverTimeout, testPatience), orDefault(opts.PMS.Timeout, testPatience)
	s := New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := s.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		cancel()
		tb.Fatalf("%v", err)
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			tb.Errorf("%v", err)
		}
		for _, line := range s.Complaints() {
			tb.Errorf("testserver: %s", line)
		}
	})
	return s
}

// Description is what a client must know to use the simulated systems.
type Description struct {
	XSeries      XSeriesDescription      `json:"xseries"`
	SmartConnect SmartConnectDescription `json:"smartconnect"`
	Paysera      PayseraDescription      `json:"paysera"`
	PMS          PMSDescription          `json:"pms"`
	KSeries      KSeriesDescription      `json:"kseries"`
	Sim          SimDescription          `json:"sim"`
}

// XSeriesDescription tells how to reach the simulated X-Series. At the vendor the base URL is the store's host.
type XSeriesDescription struct {
	BaseURL       string     `json:"base_url"`
	AuthorizeURL  string     `json:"authorize_url"`
	TokenURL      string     `json:"token_url"`
	ClientID      string     `json:"client_id"`
	ClientSecret  string     `json:"client_secret"`
	DomainPrefix  string     `json:"domain_prefix"`
	PersonalToken string     `json:"personal_token"`
	Origin        string     `json:"origin"`
	APIVersions   []string   `json:"api_versions"`
	WebhookTypes  []string   `json:"webhook_types"` // those that can be subscribed to
	Currency      string     `json:"currency"`
	Registers     []Register `json:"registers"`
}

// SmartConnectDescription tells how to reach the simulated SmartConnect.
type SmartConnectDescription struct {
	BaseURL   string                `json:"base_url"`
	Currency  string                `json:"currency"`
	MinPollMS int64                 `json:"min_poll_ms"`
	Terminals []TerminalDescription `json:"terminals"`
}

// TerminalDescription names a terminal and the URL of its control API.
type TerminalDescription struct {
	ID     string `json:"id"`
	SimURL string `json:"sim_url"`
}

// PayseraDescription tells how to reach the simulated Paysera Wallet: /rest/v1, /oauth/v1 and /publickey are below the
// base URL, the pages for a user's browser below the other. At the vendor these are two hosts.
type PayseraDescription struct {
	BaseURL      string                   `json:"base_url"`
	AuthURL      string                   `json:"auth_url"`
	ClientID     string                   `json:"client_id"` // of the merchant
	ClientSecret string                   `json:"client_secret"`
	AppID        string                   `json:"app_id"` // of the wallet app
	AppSecret    string                   `json:"app_secret"`
	ProjectID    int64                    `json:"project_id"`
	Currency     string                   `json:"currency"`
	Locations    []PayseraPlace           `json:"locations"`
	Users        []PayseraUserDescription `json:"users"`
}

// PayseraPlace is a location of the merchant.
type PayseraPlace struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

// PayseraUserDescription names a user and the URL of the control API of the user's phone.
type PayseraUserDescription struct {
	ID       int64  `json:"id"`
	WalletID int64  `json:"wallet_id"`
	SimURL   string `json:"sim_url"`
}

// PMSDescription tells how to register a hotel system with the simulated restaurant.
type PMSDescription struct {
	BaseURL            string `json:"base_url"`
	AccessToken        string `json:"access_token"`
	BusinessLocationID int64  `json:"business_location_id"`
	BusinessReference  string `json:"business_external_reference"`
}

// KSeriesDescription tells how to reach the simulated K-Series: /o, /f and /staff are below the base URL. At the vendor OAuth V2
// is on another host. An access token for all of it comes from POST {sim}/kseries/token too.
type KSeriesDescription struct {
	BaseURL            string         `json:"base_url"`
	AuthorizeURL       string         `json:"authorize_url"` // of OAuth V2
	TokenURL           string         `json:"token_url"`
	ClientID           string         `json:"client_id"`
	ClientSecret       string         `json:"client_secret"`
	LegacyAuthorizeURL string         `json:"legacy_authorize_url"` // of OAuth V1
	LegacyTokenURL     string         `json:"legacy_token_url"`
	LegacyID           string         `json:"legacy_id"`
	LegacySecret       string         `json:"legacy_secret"`
	Currency           string         `json:"currency"`
	Locations          []KSeriesPlace `json:"locations"`
	// TablesURL is the page through which a person uses the tables.
	TablesURL string `json:"tables_url"`
}

// KSeriesPlace is a business location.
type KSeriesPlace struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// SimDescription tells how to reach the control API and the pages for a person.
type SimDescription struct {
	BaseURL string `json:"base_url"`
	// TillURL and TerminalsURL are the pages through which a person uses the sell screen and the terminals.
	TillURL      string `json:"till_url"`
	TerminalsURL string `json:"terminals_url"`
	// RestaurantURL is the page of the restaurant that charges to rooms.
	RestaurantURL string `json:"restaurant_url"`
}

// Describe tells what a client must know. The public URL must be known, see [Systems.Listen].
func (s *Systems) Describe() Description {
	base := s.PublicURL()
	x, sim := base+xseriesPrefix, base+simPrefix
	d := Description{
		XSeries: XSeriesDescription{
			BaseURL: x, AuthorizeURL: x + "/connect", TokenURL: x + "/api/1.0/token",
			ClientID: s.XSeries.opts.ClientID, ClientSecret: s.XSeries.opts.ClientSecret,
			DomainPrefix: s.XSeries.opts.DomainPrefix, PersonalToken: s.XSeries.opts.PersonalToken,
			Origin: s.XSeries.opts.Origin, APIVersions: xVersions(), WebhookTypes: webhookTypes(), Currency: "NZD", Registers: s.XSeries.Registers(),
		},
		SmartConnect: SmartConnectDescription{BaseURL: base + smartconnectPrefix + "/POS", Currency: "NZD"},
		Sim:          SimDescription{BaseURL: sim, TillURL: base + "/till", TerminalsURL: base + "/terminals", RestaurantURL: base + "/restaurant"},
		PMS: PMSDescription{
			BaseURL: base + pmsPrefix, AccessToken: s.PMS.Token(), BusinessLocationID: pmsLocation, BusinessReference: pmsReference,
		},
	}
	d.Paysera = s.Paysera.describe(base, sim)
	d.KSeries = s.KSeries.describe(base)
	s.SmartConnect.mu.Lock()
	d.SmartConnect.MinPollMS = max(s.SmartConnect.minPoll, 0).Milliseconds()
	s.SmartConnect.mu.Unlock()
	for _, device := range s.SmartConnect.Devices() {
		d.SmartConnect.Terminals = append(d.SmartConnect.Terminals, TerminalDescription{
			ID: device.id, SimURL: sim + "/smartconnect/terminals/" + device.id,
		})
	}
	return d
}
