//go:build stack

package stack_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"

	"github.com/mailplan/mailplan/test/browser"
	"github.com/mailplan/mailplan/test/stack"
)

// surf gives the test a browser that finds every host of the site at the tunnel's edge.
func surf(t *testing.T, p *stack.Project, tunnel stack.Tunnel) *browser.Browser {
	t.Helper()
	cert, key := p.Authority.Issue("mail.example.com")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return browser.Start(t, "--host-resolver-rules=MAP * "+tunnel.Edge(t, pair))
}

// webmail signs alice in, has her read what came, answer it and change her password, which the next
// sign-ins then need.
func (a actors) webmail(t *testing.T) error {
	page := a.chromium.Open(t, 1200, 850, false)
	signIn := func(password string) {
		page.Go("https://mail.example.com/")
		page.Wait(`document.activeElement.id === 'rcmloginuser'`)
		page.Type(a.alice.User)
		page.Press("Tab")
		page.Type(password)
		page.Leave(func() { page.Press("Enter") })
		page.Wait(`document.querySelector('#messagelist tbody tr') !== null`)
	}
	signIn(a.alice.Password)
	page.Picture("webmail-inbox")

	row := `[...document.querySelectorAll('#messagelist td.subject a')].find(e => e.innerText.includes('to whoever-example.com'))`
	page.Leave(func() { page.Eval(`location.href = ` + row + `.href`) })
	page.Wait(`document.body.innerText.includes('harbour, lantern, orchard')`)
	page.Picture("webmail-message")

	page.Leave(func() { page.Eval(`rcmail.command('reply')`) })
	page.Wait(`rcmail.env.compose_id && document.activeElement !== document.body`)
	page.Eval(`document.getElementById('composebody').value = 'An answer from the browser.'`)
	page.Picture("webmail-compose")
	page.Click(`#toolbar-menu a.send, button.send`)
	page.Wait(`rcmail.env.action !== 'compose' && document.querySelector('#messagelist tbody tr') !== null`)
	if _, err := a.relayedTo("An answer from the browser."); err != nil {
		return err
	}

	const fresh = "a password chosen in webmail"
	page.Go("https://mail.example.com/?_task=settings&_action=plugin.password")
	for id, value := range map[string]string{"curpasswd": a.alice.Password, "newpasswd": fresh, "confpasswd": fresh} {
		page.Eval(fmt.Sprintf("document.getElementById(%q).value = %q", id, value))
	}
	page.Picture("webmail-password")
	page.Leave(func() { page.Eval(`rcmail.command('plugin.password-save')`) })
	page.Wait(`document.body.innerText.includes('Successfully saved')`)
	after := a.alice
	after.Password = fresh
	return errors.Join(after.SignIn(), refused(a.alice.SignIn, "Authentication failed")())
}

// console signs bob in on a phone.
func (a actors) console(t *testing.T) error {
	page := a.chromium.Open(t, 390, 844, true)
	page.Go("https://" + a.project.Site.Edge.Tunnel.Hostnames.Console + "/")
	page.Wait(`document.activeElement.id === 'address'`)
	page.Type(a.bob.User)
	page.Press("Tab")
	page.Type(a.bob.Password)
	page.Leave(func() { page.Press("Enter") })
	page.Wait(`document.body.innerText.includes('bob@example.com')`)
	page.Picture("console-account")
	page.Leave(func() { page.Click(`a[href="/password"]`) })
	page.Wait(`document.getElementById('new') !== null`)
	page.Picture("console-password")
	return nil
}
