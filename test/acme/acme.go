// Package acme runs Pebble, Let's Encrypt's ACME server for tests, with a DNS of the test's own by which it looks at
// challenges.
package acme

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

// Server is a running Pebble.
type Server struct {
	Directory  string // URL
	Trust      string // file with the authority of the URL's own certificate, as SSL_CERT_FILE
	HTTP       *http.Client
	management string
}

// Options say how it behaves.
type Options struct {
	// Texts are the TXT records that DNS has for a name.
	Texts func(name string) []string
	// Validity of the certificates it issues; zero is a day.
	Validity time.Duration
	// Env is added to Pebble's environment, such as PEBBLE_WFE_NONCEREJECT=50.
	Env []string
}

// Start runs one until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	pebble := need.Program(t, "pebble")
	dir := t.TempDir()
	own := daemon.NewAuthority(t)
	cert, key := own.Issue("localhost", "127.0.0.1")
	s := &Server{Trust: write(t, dir, "authority.pem", own.PEM),
		HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Pool()}}}}
	listen, management := free(t), free(t)
	s.Directory, s.management = "https://"+listen+"/dir", "https://"+management
	if o.Validity == 0 {
		o.Validity = 24 * time.Hour
	}
	conf, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "keyAlgorithm": "ecdsa",
		"certificate": write(t, dir, "cert.pem", cert), "privateKey": write(t, dir, "key.pem", key),
		"httpPort": 5002, "tlsPort": 5001, "retryAfter": map[string]any{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "test", "validityPeriod": int(o.Validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(pebble, "-config", write(t, dir, "config.json", string(conf)), "-dnsserver", serveDNS(t, o.Texts))
	cmd.Env = append(append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"), o.Env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pebble said:\n%s", tail(said.Bytes()))
		}
	})
	s.await(t)
	return s
}

// Roots trust what this server issues.
func (s *Server) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, path := range []string{"/roots/0", "/intermediates/0"} {
		resp, err := s.HTTP.Get(s.management + path)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return pool
}

// Suggest makes the server want a certificate renewed within a window (RFC 9773).
func (s *Server) Suggest(t testing.TB, chain []byte, from, until time.Time) {
	t.Helper()
	window := fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	body, err := json.Marshal(map[string]string{"Certificate": string(chain), "ARIResponse": window})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.HTTP.Post(s.management+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(resp.Body)
		t.Fatalf("set-renewal-info: %s: %s", resp.Status, said)
	}
}

func (s *Server) await(t testing.TB) {
	t.Helper()
	for range 100 {
		if resp, err := s.HTTP.Get(s.Directory); err == nil {
			resp.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("pebble does not answer")
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// free is an address on the loopback that nobody listens on.
func free(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// serveDNS answers TXT questions, and that nothing else exists.
func serveDNS(t testing.TB, texts func(string) []string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // which is how Pebble asks
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		reply.Authoritative, reply.RecursionAvailable = true, true
		if name := dns.CanonicalName(q.Question[0].Name); q.Question[0].Qtype == dns.TypeTXT && texts != nil {
			for _, text := range texts(name[:len(name)-1]) {
				reply.Answer = append(reply.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{text}})
			}
		}
		_ = w.WriteMsg(reply) // a client that has gone asks again
	})}
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { _ = server.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = server.Shutdown() })
	return ln.Addr().String()
}

func tail(said []byte) []byte { return said[max(0, len(said)-4000):] }
