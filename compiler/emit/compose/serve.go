package compose

import (
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

// forward is one port of Tailscale's serve configuration. ProxyProtocol 2 tells the mail servers who the
// client is; they listen for it on ports of their own, 10000 above.
type forward struct {
	TCPForward    string
	ProxyProtocol int
}

// serveConfig is what the tailnet's container hands on: the mail ports of the site and nothing else.
func serveConfig(s *model.Site) (model.File, error) {
	dovecot, postfix := s.Containers.Dovecot, s.Containers.Postfix
	tcp := map[int]forward{}
	for _, p := range []struct {
		port, target int
		service      string
	}{
		{dovecot.IMAPS, 993, "dovecot"}, {dovecot.POP3S, 995, "dovecot"},
		{postfix.Submissions, 465, "postfix"}, {postfix.Submission, 587, "postfix"},
	} {
		if p.port == 0 {
			continue
		}
		address, err := s.ServiceAddress(p.service, "mail")
		if err != nil {
			return model.File{}, err
		}
		tcp[p.port] = forward{TCPForward: fmt.Sprintf("%s:%d", address, 10000+p.target), ProxyProtocol: 2}
	}
	data, err := json.MarshalIndent(map[string]any{"TCP": tcp}, "", "  ")
	if err != nil {
		return model.File{}, fmt.Errorf("write the serve configuration: %w", err)
	}
	return model.File{Path: model.ProjectDir + "/config/tailscale/serve.json", Mode: 0o644, Content: append(data, '\n'),
		Reads: []string{"tailscale"}, From: "tailnet.mode"}, nil
}
