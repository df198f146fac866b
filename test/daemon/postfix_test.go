package daemon_test

import (
	"testing"

	"github.com/mailplan/mailplan/test/daemon"
)

func TestPostfix(t *testing.T) {
	t.Parallel()
	const dir = "testdata/postfix"
	accepts(t, "myhostname = mail.example.com")(daemon.Postfix(t, dir))
	unused := variant(t, dir, "main.cf", "myhostname", "my_hostname")
	refuses(t, "unused parameter: my_hostname")(daemon.Postfix(t, unused))
	service := variant(t, dir, "master.cf", "- smtpd", "- smtpd-typo")
	refuses(t, "smtpd-typo")(daemon.Postfix(t, service))
	number := variant(t, dir, "main.cf", "compatibility_level = 3.6", "maximal_queue_lifetime = 2 days")
	refuses(t, "maximal_queue_lifetime")(daemon.Postfix(t, number))
}
