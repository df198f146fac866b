package tailnet_test

import (
	"net/http"
	"strings"
)

// meddling writes the policy just before the first write that passes through it.
type meddling struct {
	rig     *rig
	done    bool
	refused int
}

func (m *meddling) transport() http.RoundTripper { return m }

// RoundTrip implements http.RoundTripper.
func (m *meddling) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/acl") && !m.done {
		m.done = true
		m.rig.setPolicy(func(s string) string { return "// meddled\n" + s })
	}
	resp, err := m.rig.net.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusPreconditionFailed {
		m.refused++
	}
	return resp, err
}
