package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Inventory is what a person's mail program knows of a mailbox: for each message of each folder the validity of its UID,
// its UID, its size, and its flags and keywords, sorted.
func (c Client) Inventory() (map[string]string, error) {
	client, err := c.imap()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	folders, err := client.List("", "*", nil).Collect()
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, f := range folders {
		if slices.Contains(f.Attrs, imap.MailboxAttrNoSelect) {
			continue
		}
		if err := inventory(client, f.Mailbox, all); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Mailbox, err)
		}
	}
	return all, nil
}

func inventory(client *imapclient.Client, folder string, into map[string]string) error {
	selected, err := client.Select(folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil || selected.NumMessages == 0 {
		return err
	}
	everything := imap.SeqSet{imap.SeqRange{Start: 1}}
	fetch := client.Fetch(everything, &imap.FetchOptions{UID: true, Flags: true, RFC822Size: true})
	for message := fetch.Next(); message != nil; message = fetch.Next() {
		m, err := message.Collect()
		if err != nil {
			return err
		}
		var flags []string
		for _, f := range m.Flags {
			if f != `\Recent` {
				flags = append(flags, string(f))
			}
		}
		slices.Sort(flags)
		into[fmt.Sprintf("%s %d %d", folder, selected.UIDValidity, m.UID)] = fmt.Sprintf("%d %s", m.RFC822Size, strings.Join(flags, " "))
	}
	return fetch.Close()
}

// Mark adds a flag or keyword to every n-th message of a folder.
func (c Client) Mark(folder, flag string, n int) error {
	client, err := c.imap()
	if err != nil {
		return err
	}
	defer client.Close()
	selected, err := client.Select(folder, nil).Wait()
	if err != nil {
		return err
	}
	var which imap.SeqSet
	for i := 1; i <= int(selected.NumMessages); i += n {
		which.AddNum(uint32(i))
	}
	if len(which) == 0 {
		return nil
	}
	return client.Store(which, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.Flag(flag)}}, nil).Close()
}
