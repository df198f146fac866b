// Package tailnet turns a site into its part of the tailnet policy (policy.hujson): who owns the host's tag, who
// may reach the mail ports, who the metrics, and tests that hold it. Groups and what else the tailnet is used
// for are not the site's, so they are not here. It must not know how the policy is written.
package tailnet

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/tailscale/hujson"

	"github.com/mailplan/mailplan/compiler/model"
)

//go:embed policy.hujson.tmpl
var policy string

// view is what the template sees.
type view struct {
	*model.Site
	Host        []string // what names the host: its tags, else its address
	MailPorts   []string // tcp:993
	AdminPorts  []string
	Testable    []string // clients that a test can speak for
	Accept      []string // tag:mail:993
	DeniedPorts []string
}

// sshPort stands for all that mail clients have no business with.
const sshPort = 22

// Files returns the tailnet's part of the tree; a site without a tailnet has none.
func Files(s *model.Site) ([]model.File, error) {
	if s.Tailnet == nil {
		return nil, nil
	}
	t, err := template.New("policy.hujson").Funcs(template.FuncMap{"json": encode}).Parse(policy)
	if err != nil {
		return nil, fmt.Errorf("tailnet: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newView(s)); err != nil {
		return nil, fmt.Errorf("tailnet: %w", err)
	}
	content, err := hujson.Format(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("tailnet: format the policy: %w", err)
	}
	return []model.File{{Path: model.ProjectDir + "/tailnet/policy.hujson", Mode: 0o644, Content: content,
		Reads: []string{"tailnet"}, From: "tailnet"}}, nil
}

func newView(s *model.Site) view {
	v := view{Site: s, Host: s.Tailnet.Tags}
	if len(v.Host) == 0 {
		v.Host = []string{s.Tailnet.Address}
	}
	dovecot, postfix := s.Containers.Dovecot, s.Containers.Postfix
	for _, p := range []struct {
		address string
		port    int
	}{{postfix.Address, postfix.Submissions}, {postfix.Address, postfix.Submission}, {dovecot.Address, dovecot.IMAPS}, {dovecot.Address, dovecot.POP3S}} {
		if p.port == 0 || s.Tailnet.Mode != "container" && p.address != s.Tailnet.Address {
			continue
		}
		v.MailPorts = append(v.MailPorts, fmt.Sprintf("tcp:%d", p.port))
		v.Accept = append(v.Accept, v.onHost(p.port)...)
	}
	if m := s.Monitoring.Metrics; m.Address == s.Tailnet.Address {
		v.AdminPorts = []string{fmt.Sprintf("tcp:%d", m.Port)}
	}
	v.DeniedPorts = v.onHost(sshPort)
	// an autogroup is nobody in particular, so no test can be run as one
	v.Testable = slices.DeleteFunc(slices.Clone(s.Tailnet.Clients), func(c string) bool {
		return c == "*" || strings.HasPrefix(c, "autogroup:")
	})
	return v
}

// onHost names a port of the host.
func (v view) onHost(port int) []string {
	var list []string
	for _, name := range v.Host {
		list = append(list, fmt.Sprintf("%s:%d", name, port))
	}
	return list
}

func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}
