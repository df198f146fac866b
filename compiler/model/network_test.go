package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/model"
)

// TestNetworks holds the addresses: an apply must not move a service that a site did not touch.
func TestNetworks(t *testing.T) {
	var s model.Site
	networks, err := s.Networks()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, n := range networks {
		for _, service := range n.Members {
			a, err := s.ServiceAddress(service, n.Name)
			if err != nil {
				t.Fatal(err)
			}
			if other := seen[a.String()]; other != "" || !n.Subnet.Contains(a) || a.As4()[3] >= 128 {
				t.Errorf("%s in %s (%s) has %s, which is outside its fixed part or that of %s", service, n.Name, n.Subnet, a, other)
			}
			seen[a.String()] = service
		}
	}
	for place, want := range map[[2]string]string{
		{"dovecot", "lmtp"}: "10.203.6.14", {"cloudflared", "web"}: "10.203.7.20", {"postfix", "mailserver_network"}: "10.203.0.15",
	} {
		if got, err := s.ServiceAddress(place[0], place[1]); err != nil || got.String() != want {
			t.Errorf("%v has %s (%v), want %s", place, got, err, want)
		}
	}
	if _, err := s.ServiceAddress("nginx", "db"); err == nil {
		t.Error("nginx has an address in db")
	}
}

func TestSubnet(t *testing.T) {
	for subnet, good := range map[string]bool{
		"": true, "10.203.0.0/20": true, "172.30.224.0/19": true, "192.168.0.0/16": true,
		"10.203.0.0/24": false, "10.203.8.0/20": false, "fd00::/20": false, "host": false,
	} {
		s := model.Site{Host: model.Host{Subnet: subnet}}
		_, err := s.Networks()
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "host.subnet") {
			t.Errorf("host.subnet %q: %v", subnet, err)
		}
	}
}

func TestDirectories(t *testing.T) {
	s := model.Site{Host: model.Host{Storage: model.Storage{Fast: "/fast", Bulk: "/bulk"}}}
	var paths []string
	for _, d := range s.Directories() {
		paths = append(paths, d.Path)
	}
	for _, want := range []string{"/fast/mariadb", "/bulk/mailboxes", "/fast/tls"} {
		if !slices.Contains(paths, want) {
			t.Errorf("no %s among %v", want, paths)
		}
	}
}
