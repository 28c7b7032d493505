// Package pgtest gives tests a PostgreSQL: one cluster for the test process, and a schema for each test.
//
// The cluster is made from the server binaries that are installed (Debian: apt-get install postgresql; macOS: brew
// install postgresql), in a temporary folder, and thrown away at the end. With TILLROUTE_TEST_DATABASE_URL tests use
// that database instead. If there is neither, the tests are skipped, and fail where CI is set.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Exit(m.Run())) }
//
//	func TestSomething(t *testing.T) {
//		url, schema := pgtest.URL(t), pgtest.Schema(t)
//		…
//	}
package pgtest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the cluster of this test process, which the first test that needs it starts.
var shared struct { //nolint:gochecknoglobals // one for all tests of the process.
	once    sync.Once
	cluster *Cluster
	url     string
	err     error
}

// URL returns where the database is. It skips the test if there is none; if CI is set it fails it.
func URL(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() {
		if shared.url = os.Getenv("TILLROUTE_TEST_DATABASE_URL"); shared.url != "" {
			return
		}
		var settings []string
		if _, measures := tb.(*testing.B); !measures {
			settings = append(settings, "fsync=off") // the machine stays up
		}
		if shared.cluster, shared.err = Start(settings...); shared.err == nil {
			shared.url = shared.cluster.URL()
		}
	})
	if shared.err != nil {
		Skip(tb, "there is no PostgreSQL: "+shared.err.Error()+"; install one, or set TILLROUTE_TEST_DATABASE_URL")
	}
	return shared.url
}

// Skip skips the test because something isn't installed. If CI is set, where everything is, it fails it.
func Skip(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// Schema returns the name of a schema that isn't there yet. If the test makes it, it is dropped at the end.
func Schema(tb testing.TB) string {
	tb.Helper()
	url := URL(tb)
	name := "test_" + strings.ToLower(rand.Text()[:12])
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			tb.Errorf("schema %s can't be dropped: %v", name, err)
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			tb.Errorf("schema %s can't be dropped: %v", name, err)
		}
	})
	return name
}

// Exit stops the cluster, if there is one, and returns code. It is for TestMain.
func Exit(code int) int {
	if shared.cluster != nil {
		shared.cluster.Remove()
	}
	return code
}
