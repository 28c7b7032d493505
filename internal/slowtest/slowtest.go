// Package slowtest checks that a server doesn't wait for ever for clients who take their time: those who are slow on purpose need
// few machines to keep a server busy that does.
package slowtest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// patience is how long a server may wait for anybody.
	patience = 3 * time.Minute
	// streaming is how long the longest answers last that are meant to, with an event now and then.
	streaming = 25 * time.Second
	pause     = 5 * time.Second
)

// Requests has clients send slowly, or too much, to servers as server makes them, and asks for an answer that takes its time.
func Requests(t *testing.T, server func(http.Handler) *http.Server) {
	t.Helper()
	run := func(name string, serve http.HandlerFunc, check func(t *testing.T, c *client)) {
		t.Run(name, func(t *testing.T) { bubble(t, server(serve), check) })
	}
	run("a header that doesn't end", unreached(t), func(t *testing.T, c *client) {
		t.Helper()
		c.drip(t, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	})
	run("a body that doesn't end", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		assert.Error(t, err)
	}, func(t *testing.T, c *client) {
		t.Helper()
		c.drip(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	})
	run("a header that is too long", unreached(t), func(t *testing.T, c *client) {
		t.Helper()
		go func() {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 512<<10)+"\r\n\r\n")
		}()
		status, _ := c.answer(t)
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
	})
	run("a connection that is kept", func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, c *client) {
		t.Helper()
		c.get(t)
		status, _ := c.answer(t)
		require.Equal(t, http.StatusOK, status)
		c.ends(t)
	})
	run("a stream of events", func(w http.ResponseWriter, r *http.Request) {
		for begin := time.Now(); time.Since(begin) < streaming; time.Sleep(pause) {
			_, _ = io.WriteString(w, "data: x\n\n")
			assert.NoError(t, http.NewResponseController(w).Flush())
			assert.NoError(t, r.Context().Err())
		}
	}, func(t *testing.T, c *client) {
		t.Helper()
		c.get(t)
		_, text := c.answer(t)
		require.Equal(t, int(streaming/pause), strings.Count(text, "data: x\n\n"))
	})
}

// Answers has a client not read its answer.
func Answers(t *testing.T, server func(http.Handler) *http.Server) {
	t.Helper()
	t.Run("an answer that nobody reads", func(t *testing.T) {
		given := make(chan error, 1)
		bubble(t, server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, 1<<20))
			given <- err
		})), func(t *testing.T, c *client) {
			t.Helper()
			c.get(t)
			time.Sleep(patience)
			select {
			case err := <-given:
				require.Error(t, err)
			default:
				require.Fail(t, "the server still waits for the client to read")
			}
		})
	})
}

func unreached(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(http.ResponseWriter, *http.Request) { assert.Fail(t, "the request was handled") }
}

// bubble runs a server and a client on a clock of their own.
func bubble(t *testing.T, server *http.Server, check func(t *testing.T, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := &listener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conns <- far
		var group sync.WaitGroup
		group.Go(func() { assert.ErrorIs(t, server.Serve(l), http.ErrServerClosed) })
		defer func() {
			_, _ = near.Close(), server.Close()
			group.Wait()
			time.Sleep(time.Minute) // A connection that was refused is left open for a moment, so that the client reads why.
		}()
		check(t, &client{near, bufio.NewReader(near)})
	})
}

// client is a client's end of a connection.
type client struct {
	net.Conn

	reader *bufio.Reader
}

// drip sends a text, and then a byte a second. The server must hang up before it loses its patience.
func (c *client) drip(t *testing.T, text string) {
	t.Helper()
	go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
	begin := time.Now()
	_, err := io.WriteString(c, text)
	for ; err == nil; _, err = io.WriteString(c, "x") {
		require.Less(t, time.Since(begin), patience, "the server still waits")
		time.Sleep(time.Second)
	}
}

func (c *client) get(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
}

func (c *client) answer(t *testing.T) (status int, text string) {
	t.Helper()
	response, err := http.ReadResponse(c.reader, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	return response.StatusCode, string(body)
}

// ends waits for the server to hang up.
func (c *client) ends(t *testing.T) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := c.reader.ReadByte()
	require.ErrorIs(t, err, io.EOF, "the server still waits")
}

// listener has connections of this process.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "pipe" }
