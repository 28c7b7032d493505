package slowtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tillroute/tillroute/internal/slowtest"
)

func TestAServerWithLimits(t *testing.T) {
	server := func(h http.Handler) *http.Server {
		return &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
			IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		}
	}
	slowtest.Requests(t, server)
	slowtest.Answers(t, server)
}
