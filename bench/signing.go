package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tillroute/tillroute/paysera"
)

const (
	macID  = "wkVd93h2uS"
	macKey = "IrdTc8uQodU7PRpLzzLTW6wqZAO6tAMU"
)

func signingQuestion() question {
	return question{
		"signing", "What does a MAC cost?",
		"A signature of `paysera.Signer` against what a program writes that follows the vendor's description step by step (Sprintf, a new HMAC each\n" +
			"time), and against the hashing alone: the HMAC of the same bytes, and the SHA-256 of the body if there is one.",
		"8 rows, of slices of 15 ms",
		30 * time.Second,
		signing,
	}
}

func signing(ctx context.Context, b *bench, a *answer) error {
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: macID, Key: macKey})
	if err != nil {
		return err
	}
	t := a.table(timeEach())
	t.Counts = true
	for _, c := range []struct{ what, method, path, ext, body string }{
		{"without a body", http.MethodGet, "/rest/v1/spots?limit=3&status=waiting", "", ""},
		{
			"with a body of 54 bytes", http.MethodPost, "/rest/v1/spot/1/order", "body_hash=68dmCeBAXs2UZBNujGQBl8fQqt2VgnzIUqFQOsjTYuE%3D",
			`{"transaction_key":"Pu5CPePCkm3TJPlkcbcshzkIlxeLU3WR"}`,
		},
	} {
		request, err := http.NewRequestWithContext(ctx, c.method, "https://wallet.paysera.com"+c.path, http.NoBody)
		if err != nil {
			return err
		}
		body := []byte(c.body)
		ours := inBatches("`Signer.Sign`", func() error { return signer.Sign(request, body) })
		plain := inBatches("Sprintf, new HMAC", func() error {
			signPlainly(request, body)
			return nil
		})
		text := []byte(strings.Join([]string{"1343811600", "nQnNaSNyubfPErjRO55yaaEY", c.method, c.path, "wallet.paysera.com", "443", c.ext, ""}, "\n"))
		var sum [sha256.Size]byte
		hash := func() {
			if len(body) > 0 {
				sum = sha256.Sum256(body)
			}
		}
		fresh := inBatches("a new HMAC", func() error {
			hash()
			mac := hmac.New(sha256.New, []byte(macKey))
			_, _ = mac.Write(text)
			mac.Sum(sum[:0])
			return nil
		})
		kept := hmac.New(sha256.New, []byte(macKey))
		reused := inBatches("an HMAC that is kept", func() error {
			hash()
			kept.Reset()
			_, _ = kept.Write(text)
			kept.Sum(sum[:0])
			return nil
		})
		// What is left to do once the bytes are hashed, and a header can't be had without.
		header := make([]byte, 0, 160)
		rest := inBatches("an HMAC that is kept, the clock, and the header's string", func() error {
			hash()
			kept.Reset()
			_, _ = kept.Write(text)
			kept.Sum(sum[:0])
			header := strconv.AppendInt(header[:0:cap(header)], time.Now().Unix(), 10)
			request.Header["Authorization"] = []string{string(header[:cap(header)])}
			return nil
		})
		const goal = 1.5
		for _, r := range []struct {
			theirs side
			goal   float64
			why    string
		}{
			{plain, 0, ""},
			{fresh, goal, ""},
			{reused, goal, "the clock, a nonce, base 64 and the header's own string stand beside the hashing"},
			{rest, 0, ""},
		} {
			err := b.add(ctx, t, row{What: c.what, Goal: r.goal, Why: r.why}, b.rounds, b.slice(15*time.Millisecond), ours, r.theirs)
			if err != nil {
				return err
			}
		}
		bare, least := &t.Rows[len(t.Rows)-2], t.Rows[len(t.Rows)-1]
		share := 1 / least.Comparison.ratio(took).median
		bare.because("%s of our time is what no header can do without, so that the limit is %s", percent(share),
			showRatio(share*bare.Comparison.ratio(took).median))
	}
	return nil
}

// signPlainly signs as the vendor describes it, step by step.
func signPlainly(r *http.Request, body []byte) {
	var random [24]byte
	_, _ = rand.Read(random[:])
	nonce := base64.RawURLEncoding.EncodeToString(random[:])
	ts := fmt.Sprintf("%d", time.Now().Unix())
	ext := ""
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		ext = "body_hash=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sum[:]))
	}
	host, port := r.URL.Hostname(), r.URL.Port()
	if port == "" {
		port = "443"
	}
	text := fmt.Sprintf("%s\n%s\n%s\n%s\n%s\n%s\n%s\n", ts, nonce, r.Method, r.URL.RequestURI(), host, port, ext)
	mac := hmac.New(sha256.New, []byte(macKey))
	_, _ = mac.Write([]byte(text))
	header := fmt.Sprintf(`MAC id="%s", ts="%s", nonce="%s", mac="%s"`, macID, ts, nonce, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if ext != "" {
		header += fmt.Sprintf(`, ext="%s"`, ext)
	}
	r.Header.Set("Authorization", header)
}
