package stack

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// StartDNS answers on address for the names of the records, and says that nothing else exists. Records
// are in the form of a zone file's lines.
func StartDNS(t testing.TB, address string, records ...string) {
	t.Helper()
	zone := map[string][]dns.RR{}
	for _, line := range records {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
		zone[record.Header().Name] = append(zone[record.Header().Name], record)
	}
	for _, network := range []string{"udp", "tcp"} {
		ready := make(chan struct{})
		server := &dns.Server{Addr: address, Net: network, Handler: answers(zone), NotifyStartedFunc: func() { close(ready) }}
		failed := make(chan error, 1)
		go func() { failed <- server.ListenAndServe() }()
		select {
		case <-ready:
		case err := <-failed:
			t.Fatal(fmt.Errorf("dns on %s: %w", address, err))
		}
		t.Cleanup(func() { _ = server.Shutdown() }) // its machine ends with it
	}
}

func answers(zone map[string][]dns.RR) dns.Handler {
	return dns.HandlerFunc(func(w dns.ResponseWriter, request *dns.Msg) {
		reply := new(dns.Msg).SetReply(request)
		reply.RecursionAvailable = true
		question := request.Question[0]
		all := zone[dns.CanonicalName(question.Name)]
		if len(all) == 0 {
			reply.Rcode = dns.RcodeNameError
		}
		for _, record := range all {
			if record.Header().Rrtype == question.Qtype {
				reply.Answer = append(reply.Answer, record)
			}
		}
		_ = w.WriteMsg(reply) // a client that has gone asks again
	})
}
