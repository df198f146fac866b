package stack

import (
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// Door is where an Email Worker finds the ingest: it makes every request one for a host name of the tunnel, as the edge
// does, and gives it to the connector at an address, which need not be up. It returns the door's URL.
func Door(tb testing.TB, host, connector string) string {
	tb.Helper()
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: connector})
		r.Out.Host = host
	}, ErrorLog: log.New(io.Discard, "", 0)})
	tb.Cleanup(server.Close)
	return server.URL
}

// Door is that of the tunnel's connector.
func (t Tunnel) Door(tb testing.TB, host string) string {
	tb.Helper()
	return Door(tb, host, t.address)
}
