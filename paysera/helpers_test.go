package paysera_test

import (
	"io"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillroute/tillroute/internal/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	return clienttest.Fixture(tb, name)
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
}
