package stack

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mailplan/mailplan/runtime/ingest"
)

// Tunnel makes HTTP requests as Cloudflare's edge would: through the connector, by host name.
type Tunnel struct {
	address string // of the connector
}

// Tunnel finds the connector's container.
func (p *Project) Tunnel() (Tunnel, error) {
	id, err := p.Compose("ps", "--quiet", "cloudflared")
	if err != nil {
		return Tunnel{}, err
	}
	out, err := p.docker.Try("", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", strings.TrimSpace(id))
	if err != nil {
		return Tunnel{}, err
	}
	addresses := strings.Fields(out)
	if len(addresses) == 0 {
		return Tunnel{}, fmt.Errorf("cloudflared has no address: %q", out)
	}
	return Tunnel{addresses[0] + ":8080"}, nil
}

// Do sends a request for a host name of the tunnel.
func (t Tunnel) Do(request *http.Request) (status int, body string, err error) {
	request.Host = request.URL.Host
	request.URL.Scheme, request.URL.Host = "http", t.address
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// Deliver posts a message to the ingest as the Worker does.
func (t Tunnel) Deliver(host, token, signingKey, from, to, message string) (status int, body string, err error) {
	request, err := http.NewRequest("POST", "http://"+host+"/v1/ingest", strings.NewReader(message))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "message/rfc822")
	request.Header.Set("X-Mail-From", from)
	request.Header.Set("X-Rcpt-To", to)
	ingest.Sign(request.Header, []byte(signingKey), sha256.Sum256([]byte(message)), rand.Text(), time.Now())
	return t.Do(request)
}
