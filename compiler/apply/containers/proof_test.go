package containers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestProof holds that what Dovecot accepts and mail does not survive is put back, and read again.
func TestProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
		const conf = "config/dovecot/dovecot.conf"
		r.proof = func(context.Context) error {
			if r.read(conf) == "swallows mail" && len(r.engine.Events) > 0 { // Dovecot has read it
				return errors.New("a test message for example.com: deferred")
			}
			return nil
		}
		r.files[conf] = "two"
		r.want("a good file", "exec doveadm reload dovecot")

		r.files[conf] = "swallows mail"
		events, err := r.converge()
		for _, words := range []string{"put back: services/mailserver/" + conf, "the services are healthy, and yet", "a test message for example.com: deferred"} {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("a file that swallows mail: %v, want %q", err, words)
			}
		}
		if d := cmp.Diff([]string{"exec doveadm reload dovecot", "exec doveadm reload dovecot"}, events); d != "" {
			t.Error(d)
		}
		if got := r.read(conf); got != "two" {
			t.Errorf("the file is %q", got)
		}

		r.files[conf], r.files["config/nginx/nginx.conf"] = "two", "two"
		r.want("a service that carries no mail", "restart nginx")
	})
}

// TestProofOfACure holds that a change is not blamed for what was broken before it.
func TestProofOfACure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
		r.proof = func(context.Context) error { return errors.New("nothing arrives") }
		r.files["config/dovecot/dovecot.conf"] = "two"
		r.want("mail was broken before", "exec doveadm reload dovecot")
	})
}

// TestProofOfARestart puts back what took a restart.
func TestProofOfARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.want("bring up", "up dovecot mailserver-api nginx", "signal HUP mailserver-api")
		const conf = "config/runtime/mailpland.json"
		r.proof = func(context.Context) error {
			if r.read(conf) != "{}" && len(r.engine.Events) > 0 {
				return errors.New("refused")
			}
			return nil
		}
		r.files[conf] = `{"wrong": true}`
		events, err := r.converge()
		if err == nil || r.read(conf) != "{}" {
			t.Errorf("%v, the file is %s", err, r.read(conf))
		}
		if d := cmp.Diff([]string{"restart mailserver-api", "restart mailserver-api"}, events); d != "" {
			t.Error(d)
		}
	})
}
