package stack

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// Edge serves the hosts of the tunnel by HTTPS on a loopback port, as Cloudflare does to browsers, and
// returns its address. It ends with the test.
func (t Tunnel) Edge(tb testing.TB, certificate tls.Certificate) string {
	tb.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: t.address})
		r.Out.Host = r.In.Host
		client, _, _ := net.SplitHostPort(r.In.RemoteAddr)
		r.Out.Header.Set("CF-Connecting-IP", client)
	}}
	server := httptest.NewUnstartedServer(http.Handler(proxy))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	tb.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
