package rotate

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestResolvers asks real resolvers on this machine: a key counts as published when every one that answers has it, and enough
// answer. One that is dead decides nothing, one that lags does.
func TestResolvers(t *testing.T) {
	p := strings.Repeat("A", 300)
	record := "v=DKIM1; k=rsa; p=" + p
	has, also, hasNot, dead := serveDNS(t, record), serveDNS(t, record), serveDNS(t, ""), "127.0.0.1:1"
	for _, test := range []struct {
		ask    []string
		quorum int
		want   bool
		fails  bool
	}{
		{[]string{has}, 0, true, false}, {[]string{has, also}, 0, true, false}, {[]string{has, hasNot}, 0, false, false},
		{[]string{hasNot}, 1, false, false}, {[]string{has, also, hasNot}, 2, false, false},
		{[]string{has, also, dead}, 2, true, false}, {[]string{has, also, dead}, 0, false, true}, {[]string{has, dead, dead}, 2, false, true},
		{[]string{dead}, 1, false, true}, {nil, 0, false, true}, {[]string{has}, 2, false, true},
	} {
		got, err := Resolvers{test.ask, test.quorum}.Publish(context.Background(), "example.com", "s1", p)
		if got != test.want || test.fails != (err != nil) {
			t.Errorf("%v, quorum %d: %v, %v", test.ask, test.quorum, got, err)
		}
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
