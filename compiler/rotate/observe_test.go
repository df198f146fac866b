package rotate

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestResolvers asks real resolvers on this machine: a key counts as published when every one has it.
func TestResolvers(t *testing.T) {
	has, hasNot := serveDNS(t, "v=DKIM1; k=rsa; p="+strings.Repeat("A", 300)), serveDNS(t, "")
	p := strings.Repeat("A", 300)
	for _, test := range []struct {
		ask  Resolvers
		want bool
	}{{Resolvers{has}, true}, {Resolvers{has, has}, true}, {Resolvers{has, hasNot}, false}, {Resolvers{hasNot}, false}} {
		got, err := test.ask.Publish(context.Background(), "example.com", "s1", p)
		if err != nil || got != test.want {
			t.Errorf("%v: %v, %v", test.ask, got, err)
		}
	}
	if _, err := (Resolvers{}).Publish(context.Background(), "example.com", "s1", p); err == nil {
		t.Error("nobody was asked, and that is no error")
	}
}

func serveDNS(t *testing.T, text string) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if text == "" {
			m.Rcode = dns.RcodeNameError
		} else {
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
				Txt: []string{text[:200], text[200:]}}}
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return conn.LocalAddr().String()
}
