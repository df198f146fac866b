package certificate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/certificate/challenge"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/tailscale"
)

const orderVariable = "MAILPLAN_TEST_ORDER"

// order is what a child process of these tests is told to do.
type order struct {
	Config         config.Certificate
	API, Directory string
	DieAtReload    bool
}

// TestMain is also the stand-in of tailscale, and the process that is killed: it makes one pass. SSL_CERT_FILE has it trust Pebble.
func TestMain(m *testing.M) {
	if code, called := tailscale.Called(); called {
		os.Exit(code)
	}
	text := os.Getenv(orderVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := obey(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func obey(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	solver := &challenge.Solver{Zones: []string{"example.com"}, Mark: mark,
		DNS:   &challenge.Cloudflare{API: o.API, Token: token, HTTP: http.DefaultClient, Sleep: challenge.Sleep},
		Names: challenge.Servers{Texts: func(context.Context, string, string) ([]string, error) { return nil, errors.New("not asked") }}}
	authority := &certificate.ACME{Directory: o.Directory, KeyFile: o.Config.State + "/account.pem", HTTP: http.DefaultClient, Solver: solver}
	reload := func(context.Context) error {
		if o.DieAtReload {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	return certificate.New(o.Config, authority, reload, slog.New(slog.NewTextHandler(io.Discard, nil))).Pass(context.Background(), false)
}

// TestKilled kills a process in the middle of a pass, at each request that changes the zone or the order and before the
// servers are told. The next pass removes what was left, has a certificate and tells the servers.
func TestKilled(t *testing.T) {
	records := "/zones/{zone}/dns_records"
	for name, fault := range map[string]*cloudflare.Fault{
		"at the first record":       {Pattern: "POST " + records},
		"at the second record":      {Pattern: "POST " + records, Skip: 1},
		"at the first cleaning up":  {Pattern: "DELETE " + records + "/{id}"},
		"at the second cleaning up": {Pattern: "DELETE " + records + "/{id}", Skip: 1},
		"before servers are told":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0)
			if err := b.keeper.Provide(t.Context()); err != nil {
				t.Fatal(err)
			}
			cmd := b.child(order{Config: b.keeper.Config, API: b.api, Directory: b.acme.Directory, DieAtReload: fault == nil})
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			started := make(chan struct{})
			if fault != nil {
				fault.Kind, fault.Notify = cloudflare.HangAfter, func() { <-started; _ = cmd.Process.Kill() }
				b.edge.Inject(*fault)
			}
			err := cmd.Start()
			close(started)
			if err == nil {
				err = cmd.Wait()
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
				t.Fatalf("not killed: %v: %s", err, &out)
			}
			b.edge.Heal()
			b.pair() // whatever it is, key and certificate belong together
			told := b.reloads
			b.pass(false)
			if s := b.status(); s.State == certificate.Placeholder || !s.Served || b.reloads != told+1 {
				t.Errorf("after the next pass: %+v, %d reloads\n%s", s, b.reloads, b.log.String())
			}
			b.clean()
		})
	}
}

func (b *bench) child(o order) *exec.Cmd {
	b.t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text), "SSL_CERT_FILE="+b.acme.Trust)
	return cmd
}

// TestStopped: being told to stop is no failure, and leaves nothing in the zone.
func TestStopped(t *testing.T) {
	b := newBench(t, 0)
	ctx, stop := context.WithCancel(t.Context())
	b.edge.Inject(cloudflare.Fault{Kind: cloudflare.ErrorAfter, Pattern: "POST /zones/{zone}/dns_records", Notify: stop})
	if err := b.keeper.Pass(ctx, false); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	if s := b.status(); s.Failures != 0 || strings.Contains(s.LastError, "cancel") {
		t.Errorf("status: %+v", s)
	}
	b.clean()
	b.pass(false)
	if s := b.status(); s.State == certificate.Placeholder {
		t.Errorf("status: %+v", s)
	}
}
