// Command standin takes the place of cloudflared and of Tailscale's containerboot in the stack's test
// images: the first leads HTTP on :8080 by host name, as a tunnel would, the second only says that it is
// healthy. Which of them it is follows from the name it is started by.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	if name == "containerboot" {
		return serve(":9002", "/healthz", http.NotFoundHandler())
	}
	metrics := "127.0.0.1:20241"
	if i := slices.Index(args, "--metrics"); i >= 0 && i+1 < len(args) {
		metrics = args[i+1]
	}
	switch {
	case slices.Contains(args, "ready"):
		return ready("http://" + metrics + "/ready")
	case slices.Contains(args, "run"):
		if token, err := os.ReadFile(os.Getenv("TUNNEL_TOKEN_FILE")); err != nil || len(token) == 0 {
			return errors.Join(errors.New("there is no token for the tunnel"), err)
		}
		tunnel, err := readTunnel("/etc/cloudflared/tunnel.json")
		if err != nil {
			return err
		}
		go serve(metrics, "/ready", http.NotFoundHandler())
		return serve(":8080", "", tunnel)
	}
	fmt.Println("cloudflared stand-in")
	return nil
}

// serve answers 200 at the health path and leaves the rest to next.
func serve(address, health string, next http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	if health != "" {
		mux.HandleFunc(health, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
	return http.ListenAndServe(address, mux)
}

func ready(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	return nil
}

// tunnel leads a host name to its service.
type tunnel map[string]*url.URL

// readTunnel reads a tunnel's ingress document, as the tree has it in edge/tunnel.json.
func readTunnel(path string) (tunnel, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return tunnel{}, nil // it leads nowhere yet
	}
	if err != nil {
		return nil, err
	}
	var document struct {
		Ingress []struct{ Hostname, Service string }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := tunnel{}
	for _, rule := range document.Ingress {
		if rule.Hostname == "" {
			continue // what no name leads to is not found
		}
		if t[rule.Hostname], err = url.Parse(rule.Service); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return t, nil
}

// ServeHTTP passes a request on with the client's address in the header Cloudflare uses.
func (t tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	target, ok := t[host]
	if !ok {
		http.NotFound(w, r)
		return
	}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
		p.Out.Header.Set("X-Forwarded-Proto", "https")
		if p.Out.Header.Get("CF-Connecting-IP") == "" {
			client, _, _ := net.SplitHostPort(p.In.RemoteAddr)
			p.Out.Header.Set("CF-Connecting-IP", client)
		}
	}}
	proxy.ServeHTTP(w, r)
}
