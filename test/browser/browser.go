// Package browser runs pages in a real Chromium without a window, by the DevTools protocol: keys are typed, scripts
// run, layouts are those that people see. It must not know what the pages are.
package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/mailplan/mailplan/test/need"
)

// patience bounds every wait.
const patience = 30 * time.Second

// Browser is one running Chromium, without cookies at first.
type Browser struct {
	endpoint string // host:port of DevTools
}

// Start runs a browser as long as the test. It takes any certificate; flags are added to its command line.
func Start(t testing.TB, flags ...string) *Browser {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	flags = append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
		"--no-first-run", "--ignore-certificate-errors", "--remote-debugging-port=0", "--remote-allow-origins=*",
		"--user-data-dir="+dir, "--lang=en-US", "about:blank")
	cmd := exec.Command(need.Program(t, "chromium", "chromium-browser", "google-chrome"), flags...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		os.RemoveAll(dir)
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "DevTools listening on "); ok {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for lines.Scan() {
				}
			}()
			return &Browser{u.Host}
		}
	}
	t.Fatalf("chromium ended before it listened (%v)", lines.Err())
	return nil
}

// Page is one tab.
type Page struct {
	t     testing.TB
	conn  *websocket.Conn
	last  int
	wrong []string // errors that the page reported
}

// Open makes a tab of a size in CSS pixels, in a browser without cookies; phone makes it behave as one. The tab is t's:
// it fails t, and is closed with it.
func (b *Browser) Open(t testing.TB, width, height int, phone bool) *Page {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://"+b.endpoint+"/json/new?about:blank", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var tab struct {
		Address string `json:"webSocketDebuggerUrl"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tab); err != nil {
		t.Fatal(err)
	}
	conn, err := websocket.Dial(tab.Address, "", "http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p := &Page{t: t, conn: conn}
	t.Cleanup(func() {
		p.ask("Page.close", nil)
		conn.Close()
	})
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", nil)
	}
	p.call("Network.clearBrowserCookies", nil)
	// Else a tab behind another one has no focus and is not painted, and autofocus waits for both.
	p.call("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true})
	p.call("Page.bringToFront", nil)
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})
	return p
}

type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// call asks the browser and returns its answer.
func (p *Page) call(method string, params any) json.RawMessage {
	p.t.Helper()
	result, err := p.ask(method, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

// ask is call with the error for its caller; what the page reports meanwhile is kept.
func (p *Page) ask(method string, params any) (json.RawMessage, error) {
	p.last++
	p.conn.SetDeadline(time.Now().Add(patience))
	if err := websocket.JSON.Send(p.conn, map[string]any{"id": p.last, "method": method, "params": params}); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	for {
		var m message
		if err := websocket.JSON.Receive(p.conn, &m); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		if m.ID == p.last {
			if m.Error != nil {
				return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
			}
			return m.Result, nil
		}
		p.note(m)
	}
}

func (p *Page) note(m message) {
	var entry struct {
		Entry struct{ Level, Source, Text string }
	}
	switch m.Method {
	case "Runtime.exceptionThrown":
		p.wrong = append(p.wrong, string(m.Params))
	case "Log.entryAdded":
		if json.Unmarshal(m.Params, &entry) == nil && entry.Entry.Level == "error" && entry.Entry.Source != "network" {
			p.wrong = append(p.wrong, entry.Entry.Text)
		}
	}
}

// Errors are what the page's scripts, and its security policy, complained of so far.
func (p *Page) Errors() []string { return p.wrong }

// Header sends a header with every request from now on.
func (p *Page) Header(name, value string) {
	p.call("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{name: value}})
}

// Go opens an address and waits for the page.
func (p *Page) Go(address string) {
	p.t.Helper()
	p.call("Page.navigate", map[string]any{"url": address})
	p.Wait("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// Eval runs JavaScript in the page, as its author could not forbid, and returns the value.
func (p *Page) Eval(script string) any {
	p.t.Helper()
	value, err := p.eval(script)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

func (p *Page) eval(script string) (any, error) {
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Text string }
	}
	raw, err := p.ask("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true})
	if err == nil {
		err = json.Unmarshal(raw, &result)
	}
	if err == nil && result.ExceptionDetails != nil {
		err = fmt.Errorf("%s: %s", script, raw)
	}
	return result.Result.Value, err
}

// Wait waits until an expression is true. One that can't be told, as its page goes away or is not whole, is not true yet.
func (p *Page) Wait(script string) {
	p.t.Helper()
	var value any
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if value, err = p.eval(script); value == true {
			return
		}
	}
	p.t.Fatalf("%s never came true (%v, %v); the focus is on %v; the page says:\n%v", script, value, err,
		p.Eval("document.activeElement.outerHTML.slice(0, 200)"), p.Eval("document.body.innerText"))
}

// Type types text where the focus is.
func (p *Page) Type(text string) { p.call("Input.insertText", map[string]any{"text": text}) }

// keys are those that pages are driven by, with the code and the text that browsers give them.
var keys = map[string][2]any{"Tab": {9, ""}, "Enter": {13, "\r"}, "Space": {32, " "}, "Escape": {27, ""}}

// Press presses a key: Tab, Enter, Space, Escape.
func (p *Page) Press(key string) {
	p.t.Helper()
	k, ok := keys[key]
	if !ok {
		p.t.Fatalf("no key %s", key)
	}
	name := key
	if key == "Space" {
		name = " "
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name, "code": key, "windowsVirtualKeyCode": k[0], "text": k[1]})
	}
}

// Leave presses Enter, or whatever act does, and waits until another page is there.
func (p *Page) Leave(act func()) {
	p.t.Helper()
	p.Eval("window.stillHere = true")
	act()
	p.Wait("window.stillHere === undefined && document.readyState === 'complete'")
}

// Click clicks the first element of a CSS selector.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// Picture writes a picture of the whole page below the folder MAILPLAN_PICTURES, if that is set.
func (p *Page) Picture(name string) {
	p.t.Helper()
	dir := os.Getenv("MAILPLAN_PICTURES")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	if err := json.Unmarshal(p.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}), &shot); err != nil {
		p.t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
