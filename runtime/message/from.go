package message

import (
	"net/mail"
	"strings"
)

// FromVia gives a message an author of ours, for a smarthost that takes no other, in the way of mailing lists
// (RFC 7960 section 4.1.3.1): From becomes "NAME via DOMAIN" at the address via, the author moves to Reply-To
// where there is none, and the field as it was stays in X-Original-From.
func FromVia(h Header, via string) Edit {
	_, domain, _ := strings.Cut(via, "@")
	author := mail.Address{Name: "via " + domain, Address: via}
	edit := Edit{Remove: []Removal{{Name: "From"}}}
	if f, ok := h.Get("From"); ok {
		value := f.Value()
		author.Name = authorName(value) + " via " + domain
		edit.Inserts = append(edit.Inserts, Insert{Name: "X-Original-From", Value: value, Order: -1})
		if _, ok := h.Get("Reply-To"); !ok {
			edit.Inserts = append(edit.Inserts, Insert{Name: "Reply-To", Value: value, Order: -1})
		}
	}
	edit.Inserts = append(edit.Inserts, Insert{Name: "From", Value: author.String(), Order: -1})
	return edit
}

// authorName is how the first author is called: by name, else by address, else as it is written.
func authorName(value string) string {
	all, err := mail.ParseAddressList(value)
	switch {
	case err != nil || len(all) == 0: // an empty group
		return strings.ToValidUTF8(value, "?")
	case all[0].Name != "":
		return all[0].Name
	}
	return all[0].Address
}

// AuthorDomains are the domains of the addresses in From, lower case; none where they cannot be read.
func (h Header) AuthorDomains() (all []string) {
	f, ok := h.Get("From")
	if !ok || h.Count("From") != 1 {
		return nil
	}
	authors, err := mail.ParseAddressList(f.Value())
	if err != nil {
		return nil
	}
	for _, a := range authors {
		_, domain, _ := strings.Cut(a.Address, "@")
		all = append(all, strings.ToLower(domain))
	}
	return all
}
