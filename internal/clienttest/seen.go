package clienttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Seen collects what can be seen of a client. The zero value is empty; it is safe for concurrent use.
type Seen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (s *Seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String returns all of it.
func (s *Seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Logger returns one for a client, which leaves nothing out.
func (s *Seen) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Show adds the values in the forms in which people print them.
func (s *Seen) Show(values ...any) {
	for _, v := range values {
		_, _ = fmt.Fprintf(s, "%v\n%+v\n%#v\n%s\n%q\n%x\n%d\n", v, v, v, v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			_, _ = s.Write(text)
		}
		s.Logger().Info("value", "v", v)
	}
}

// Hides fails the test for each secret that can be seen, and if nothing can.
func (s *Seen) Hides(tb testing.TB, secrets ...string) {
	tb.Helper()
	text := s.String()
	if text == "" {
		tb.Error("nothing was shown")
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if before, _, shows := strings.Cut(text, form); shows {
				tb.Errorf("%s shows after …%s", secret, before[max(0, len(before)-200):])
			}
		}
	}
}
