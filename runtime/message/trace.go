package message

import (
	"net/netip"
	"slices"
	"strings"
)

// Client is who handed a message to the receiving relay.
type Client struct {
	Addr netip.Addr
	Helo string // as the client said it; may be empty
}

// traceFields are those that Cloudflare Email Routing puts on top of a message, beside its Received.
func isTraceField(f Field) bool {
	return f.HasPrefix("ARC-") || f.Is("Received-SPF") || f.Is("Authentication-Results") || f.HasPrefix("X-CF-")
}

// Client reads the topmost Received field, and believes it only if one of the hosts in by wrote it and
// nothing but trace fields stands above it: whatever lies lower may be the sender's invention.
func (h Header) Client(by []string) (Client, bool) {
	for _, f := range h.Fields {
		if f.Is("Received") {
			return parseReceived(f.Value(), by)
		}
		if !isTraceField(f) {
			break
		}
	}
	return Client{}, false
}

// parseReceived reads "from HELO (ADDRESS) by HOST (...) ...", the form Cloudflare writes.
func parseReceived(value string, by []string) (c Client, ok bool) {
	words := strings.Fields(value)
	if len(words) < 5 || !strings.EqualFold(words[0], "from") || !strings.EqualFold(words[3], "by") {
		return c, false
	}
	host := strings.TrimSuffix(words[4], ";")
	trusted := slices.ContainsFunc(by, func(b string) bool { return strings.EqualFold(b, host) })
	address, closed := strings.CutSuffix(words[2], ")")
	address, opened := strings.CutPrefix(address, "(")
	addr, err := netip.ParseAddr(strings.Trim(address, "[]"))
	// A second "by" means that the client's HELO had spaces, and has played what stands before it.
	again := slices.ContainsFunc(words[5:], func(w string) bool { return strings.EqualFold(w, "by") })
	if !trusted || !opened || !closed || err != nil || addr.Zone() != "" || again {
		return c, false
	}
	c.Addr = addr.Unmap()
	if isHelo(words[1]) {
		c.Helo = words[1]
	}
	return c, true
}

func isHelo(s string) bool {
	return len(s) <= 255 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") == ""
}

// withoutTrace is the header below the trace that the receiving relay put on it. A sender that tries
// again gets a new trace on the same message; that must not make it another message. Without a
// Message-ID the trace is all that tells two like messages apart, so it stays.
func (h Header) withoutTrace(by []string) []Field {
	if _, ok := h.Get("Message-ID"); !ok {
		return h.Fields
	}
	if _, ok := h.Client(by); !ok {
		return h.Fields
	}
	received := 0
	for i, f := range h.Fields {
		if f.Is("Received") {
			received++
		} else if !isTraceField(f) {
			return h.Fields[i:]
		}
		if received > 1 {
			return h.Fields[i:]
		}
	}
	return nil
}

// TraceLength is the size in bytes of the trace that [NewKeyer] leaves out.
func (h Header) TraceLength(by []string) (n int64) {
	for _, f := range h.Fields[:len(h.Fields)-len(h.withoutTrace(by))] {
		n += int64(len(f.Raw))
	}
	return n
}
