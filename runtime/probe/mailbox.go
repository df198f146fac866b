package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

var errNotThere = errors.New("it was delivered, but is not in the mailbox")

// arrives waits until a message is in the mailbox, deletes it, and with it what earlier probes left there.
func (p *Prober) arrives(ctx context.Context, id string) error {
	c, err := p.signIn(ctx)
	if err != nil {
		return fmt.Errorf("it was delivered, but its mailbox cannot be read: %w", err)
	}
	defer c.Close()
	for {
		found, err := p.take(c, id)
		if err != nil {
			return fmt.Errorf("it was delivered, but its mailbox cannot be read: %w", err)
		}
		if found {
			return c.Logout().Wait()
		}
		select {
		case <-ctx.Done():
			return errNotThere
		case <-time.After(time.Second):
		}
	}
}

// signIn opens the mailbox. No secret goes this way, and whether people can trust the certificate is watched elsewhere: a
// new site's first one is its own, and mail arrives all the same.
func (p *Prober) signIn(ctx context.Context) (*imapclient.Client, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", p.conf.IMAP)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := imapclient.New(conn, nil)
	if err := c.Login(p.conf.Mailbox, "none").Wait(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// take looks into the inbox and, for what the scanner thinks of probes is no matter here, into Junk.
func (p *Prober) take(c *imapclient.Client, id string) (found bool, err error) {
	for _, box := range []string{"INBOX", "Junk"} {
		if _, err := c.Select(box, nil).Wait(); err != nil {
			return found, err
		}
		here, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: id}}}, nil).Wait()
		if err != nil {
			return found, err
		}
		old, err := c.UIDSearch(&imap.SearchCriteria{Before: p.now().AddDate(0, 0, -1)}, nil).Wait()
		if err != nil {
			return found, err
		}
		found = found || len(here.AllUIDs()) > 0
		if err := remove(c, append(here.AllUIDs(), old.AllUIDs()...)); err != nil {
			return found, err
		}
	}
	return found, nil
}

func remove(c *imapclient.Client, uids []imap.UID) error {
	if len(uids) == 0 {
		return nil
	}
	set := imap.UIDSetNum(uids...)
	if err := c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return err
	}
	return c.UIDExpunge(set).Close()
}
