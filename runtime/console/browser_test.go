package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/mailplan/mailplan/test/browser"
)

// sound holds what every page owes to everybody: no error, no sideways scrolling, a name for each field, one heading,
// a language, and an accessible name of every button and link.
func sound(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	p.Picture(name)
	for what, script := range map[string]string{
		"it scrolls sideways":  `document.documentElement.scrollWidth <= innerWidth`,
		"a table is cut off":   `[...document.querySelectorAll('.table-responsive')].every(e => e.scrollWidth <= e.clientWidth)`,
		"two pages at once":    `document.querySelectorAll('nav [aria-current]').length <= 1`,
		"a field has no label": `[...document.querySelectorAll('input:not([type=hidden]), textarea, select')].every(i => i.labels.length > 0 || i.ariaLabel)`,
		"no single heading":    `document.querySelectorAll('h1').length === 1`,
		"no name to act on":    `[...document.querySelectorAll('a, button')].every(e => e.innerText.trim() || e.ariaLabel || e.className.includes('skip'))`,
		"no language":          `['en', 'ja'].includes(document.documentElement.lang)`,
		"styles do not load":   `getComputedStyle(document.querySelector('footer')).borderTopStyle === 'solid'`,
		"htmx does not load":   `typeof htmx === 'object'`,
	} {
		if p.Eval(script) != true {
			t.Errorf("%s: %s", name, what)
		}
	}
	for _, e := range p.Errors() {
		t.Errorf("%s: %s", name, e)
	}
}

// enter signs in by keyboard alone.
func enter(t *testing.T, p *browser.Page, s *site, address string) {
	t.Helper()
	p.Go(s.web.URL + "/")
	focused(p, "address")
	p.Type(address)
	p.Press("Tab")
	p.Type(secret)
	p.Leave(func() { p.Press("Enter") })
}

// focused waits until a page has put the focus on its first field, as it does shortly after it is loaded.
func focused(p *browser.Page, id string) {
	p.Wait(fmt.Sprintf("document.activeElement.id === %q", id))
}

// fill types into the field with the id.
func fill(p *browser.Page, id, text string) {
	p.Eval(fmt.Sprintf("document.getElementById(%q).select()", id))
	p.Type(text)
}

// TestBrowser does each role's tasks in a real browser.
func TestBrowser(t *testing.T) {
	s := start(t)
	many(t, s, 1000)
	tellAll(t, s)
	chromium := browser.Start(t)
	t.Run("user on a phone", func(t *testing.T) {
		p := chromium.Open(t, 390, 844, true)
		p.Go(s.web.URL + "/")
		sound(t, p, "phone-sign-in")
		focused(p, "address")
		p.Type("alice@a.example")
		p.Press("Tab")
		p.Type("wrong")
		p.Leave(func() { p.Press("Enter") })
		sound(t, p, "phone-sign-in-wrong")
		p.Wait(`document.querySelector('[role=alert]').innerText.includes('wrong')`)
		focused(p, "password")
		p.Type(secret)
		p.Leave(func() { p.Press("Enter") })
		sound(t, p, "phone-account")

		p.Leave(func() { p.Click(`a[href="/password"]`) })
		fill(p, "password", secret)
		fill(p, "new", "another right battery")
		fill(p, "again", "another wrong battery")
		p.Leave(func() { p.Press("Enter") })
		sound(t, p, "phone-password-refused")
		fill(p, "password", secret)
		fill(p, "new", "another right battery")
		fill(p, "again", "another right battery")
		p.Leave(func() { p.Press("Enter") })
		p.Wait(`document.querySelector('[role=status]').innerText.includes('has been changed')`)
		sound(t, p, "phone-password-changed")

		p.Leave(func() { p.Click(`a[href="/app-passwords"]`) })
		fill(p, "name", "Phone")
		fill(p, "password", "another right battery")
		p.Leave(func() { p.Press("Enter") })
		p.Wait(`document.querySelector('.secret').innerText.length === 27`)
		sound(t, p, "phone-app-password")
		p.Leave(func() { p.Click(`form[action="/app-passwords/revoke"] button`) })
		p.Wait(`document.querySelector('[role=status]').innerText.includes('no longer works')`)
		p.Go(s.web.URL + "/app-passwords")
		s.exec(t, "INSERT INTO app_passwords (user_id, name, selector, password_hash) SELECT id, 'Laptop', 'ffff', 'x' FROM users WHERE email = 'alice@a.example'")
		vacation(t, p, s)
		secondStep(t, p, s)
	})
	t.Run("domain administrator", func(t *testing.T) {
		p := chromium.Open(t, 1100, 800, false)
		enter(t, p, s, "boss@b.example")
		p.Leave(func() { p.Click(`a[href="/users"]`) })
		sound(t, p, "boss-users")
		if p.Eval(`document.body.innerText.includes('a.example')`) == true {
			t.Error("the other domain shows")
		}
		p.Leave(func() { p.Click(`a[href="/domains"]`) })
		sound(t, p, "boss-domains")

		p.Leave(func() { p.Click(`a[href="/edits"]`) })
		sound(t, p, "boss-edits-none")
		p.Leave(func() { p.Click(`a[href="/edits/new?verb=add-user"]`) })
		focused(p, "address")
		sound(t, p, "boss-edit")
		fill(p, "address", "carol@b.example")
		p.Press("Tab")
		p.Type("Carol")
		p.Leave(func() { p.Press("Enter") })
		sound(t, p, "boss-edit-asked")
		s.mailplan(t, proposal)
		p.Wait(`document.querySelector('#mail') !== null`) // comes by itself
		sound(t, p, "boss-edit-proposed")
		p.Leave(func() { p.Click(`button[value="confirm"]`) })
		sound(t, p, "boss-edit-confirmed")

		p.Go(s.web.URL + "/users/new@b.example")
		p.Leave(func() { p.Click(`form[action$="/link"] button`) })
		sound(t, p, "boss-link")
		link := strings.Replace(p.Eval(`document.querySelector('.secret').innerText`).(string), "https://"+s.web.Listener.Addr().String(), s.web.URL, 1)
		p.Leave(func() { p.Click(`form[action="/sign-out"] button`) })
		p.Go(link)
		sound(t, p, "welcome")
		focused(p, "new")
		p.Type(secret)
		p.Press("Tab")
		p.Type(secret)
		p.Leave(func() { p.Press("Enter") })
		p.Wait(`location.pathname === '/sign-in'`)
		enter(t, p, s, "new@b.example")
		p.Wait(`document.body.innerText.includes('new@b.example')`)
	})
	t.Run("administrator in Japanese", func(t *testing.T) {
		p := chromium.Open(t, 1100, 800, false)
		p.Header("Accept-Language", "ja")
		enter(t, p, s, "root@a.example")
		sound(t, p, "root-account")
		p.Leave(func() { p.Click(`a[href="/users"]`) })
		sound(t, p, "root-users")
		p.Eval(`window.stillHere = true`)
		fill(p, "q", "") // by the search's own id
		p.Type("user00012")
		p.Wait(`document.querySelectorAll('tbody tr').length === 1 && location.search === '?q=user00012' && window.stillHere`)
		sound(t, p, "root-users-found")
		p.Leave(func() { p.Click(`tbody a`) })
		sound(t, p, "root-user")
		p.Go(s.web.URL + "/aliases?page=3")
		sound(t, p, "root-aliases")
		p.Go(s.web.URL + "/domains")
		sound(t, p, "root-domains")
		for _, path := range append(statePages, "/domains/a.example", "/domains/b.example", "/edits/new?verb=set-domain&address=a.example", "/edits/new?verb=add-selector&address=a.example",
			"/edits/new?verb=add-domain", "/edits/new?verb=set-selector&address=a.example&selector=mail2026&state=active", "/users/alice@a.example") {
			p.Go(s.web.URL + path)
			sound(t, p, "root-ja"+picture(path))
		}
		p.Go(s.web.URL + "/edits/new?verb=retire-user&address=user00012@a.example")
		sound(t, p, "root-retire")
		p.Go(s.web.URL + "/domains")
		p.Leave(func() { p.Click(`button[value="en"]`) })
		p.Wait(`document.documentElement.lang === 'en' && location.pathname === '/domains'`)
		p.Leave(func() { p.Click(`form[action="/sign-out"] button`) })
		p.Wait(`location.pathname === '/sign-in'`)
	})
	t.Run("administrator on a phone", func(t *testing.T) {
		p := chromium.Open(t, 390, 844, true)
		enter(t, p, s, "root@a.example")
		for _, path := range append(statePages, "/domains/b.example", "/users", "/aliases", "/domains", "/edits") {
			p.Go(s.web.URL + path)
			sound(t, p, "phone-root"+picture(path))
		}
		keyboard(t, p, s)
		p.Go(s.web.URL + "/edits")
		p.Leave(func() { p.Click(`tbody a`) })
		sound(t, p, "phone-root-edit")
	})
}

// vacation sets an automatic reply by keyboard: each Tab leads to the next field.
func vacation(t *testing.T, p *browser.Page, s *site) {
	t.Helper()
	p.Go(s.web.URL + "/")
	p.Leave(func() { p.Click(`a[href="/vacation"]`) })
	sound(t, p, "phone-vacation")
	p.Eval(`document.getElementById('active').focus()`)
	p.Press("Space")
	p.Eval(`document.getElementById('starts').value = '2026-12-30'`)
	p.Eval(`document.getElementById('ends').value = '2026-12-24'`)
	fill(p, "subject", "休暇中")
	p.Press("Tab")
	p.Type("I am away.\nまた来年。")
	p.Press("Tab")
	p.Press("Space")
	p.Press("Tab")
	p.Leave(func() { p.Press("Enter") })
	p.Wait(`document.querySelector('[role=alert]').innerText.includes('before the first')`)
	sound(t, p, "phone-vacation-refused")
	if p.Eval(`document.getElementById('active').checked && document.getElementById('address0').checked && document.getElementById('body').value.includes('また来年。')`) != true {
		t.Error("what was typed is gone")
	}
	p.Eval(`document.getElementById('ends').value = '2027-01-03'`)
	p.Eval(`document.getElementById('subject').focus()`)
	p.Leave(func() { p.Press("Enter") })
	p.Wait(`document.querySelector('[role=status]').innerText.includes('automatic reply is set')`)
	sound(t, p, "phone-vacation-set")
}

// picture is a page's path as the name of a file.
func picture(path string) string {
	path, query, _ := strings.Cut(path, "?")
	verb, _, _ := strings.Cut(strings.TrimPrefix(query, "verb="), "&")
	return strings.ReplaceAll(path, "/", "-") + strings.TrimSuffix("-"+verb, "-")
}

// keyboard goes from the overview to the queue by Tab and Enter alone.
func keyboard(t *testing.T, p *browser.Page, s *site) {
	t.Helper()
	p.Go(s.web.URL + "/state")
	for range 30 {
		if p.Eval(`document.activeElement.getAttribute('href')`) == "/state/queue" {
			break
		}
		p.Press("Tab")
	}
	p.Leave(func() { p.Press("Enter") })
	p.Wait(`location.pathname === '/state/queue'`)
}

// secondStep turns the second step on and signs in with it.
func secondStep(t *testing.T, p *browser.Page, s *site) {
	t.Helper()
	code := func(key string, by int) string {
		c, err := totp.GenerateCode(key, time.Now().Add(time.Duration(by)*stepSeconds*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p.Leave(func() { p.Click(`a[href="/factor"]`) })
	sound(t, p, "phone-factor")
	key := p.Eval(`document.querySelector('.secret').innerText`).(string)
	fill(p, "code", code(key, -1))
	fill(p, "password", "another right battery")
	p.Leave(func() { p.Press("Enter") })
	p.Wait(`document.querySelector('[role=status]').innerText.includes('code is asked')`)
	p.Leave(func() { p.Click(`form[action="/sign-out"] button`) })
	focused(p, "address")
	p.Type("alice@a.example")
	p.Press("Tab")
	p.Type("another right battery")
	p.Leave(func() { p.Press("Enter") })
	sound(t, p, "phone-code")
	focused(p, "code")
	p.Type(code(key, 0))
	p.Leave(func() { p.Press("Enter") })
	p.Wait(`location.pathname === '/' && document.body.innerText.includes('alice@a.example')`)
}
