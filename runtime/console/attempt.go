package console

import (
	"net/http"
	"time"

	"github.com/mailplan/mailplan/runtime/console/throttle"
)

// Refused attempts within attemptWindow after which the next must wait.
const (
	attemptWindow  = 15 * time.Minute
	clientAttempts = 30  // of one client: an office has one address
	pairAttempts   = 10  // of one client at one account
	nameAttempts   = 100 // at one account from everywhere, so that many clients cannot guess together
)

// attempts counts what was refused. Locking somebody else out takes a hundred tries each quarter of an hour, and bars
// him from the console's sign-in only.
type attempts struct{ byClient, byPair, byName *throttle.Throttle }

func newAttempts() *attempts {
	return &attempts{throttle.New(clientAttempts, attemptWindow), throttle.New(pairAttempts, attemptWindow), throttle.New(nameAttempts, attemptWindow)}
}

// attempt is one try to prove who one is.
type attempt struct{ client, name string }

func (s *Server) attempt(r *http.Request, address string) attempt {
	return attempt{throttleKey(s.client(r)), bounded(address)}
}

func (a attempt) pair() string { return a.client + " " + a.name }

// wait is how long an attempt must wait; 0 when it may be made.
func (t *attempts) wait(a attempt) time.Duration {
	return max(t.byClient.Wait(a.client), t.byPair.Wait(a.pair()), t.byName.Wait(a.name))
}

func (t *attempts) failed(a attempt) {
	t.byClient.Failed(a.client)
	t.byPair.Failed(a.pair())
	t.byName.Failed(a.name)
}

// passed forgets this client's slips at this account.
func (t *attempts) passed(a attempt) { t.byPair.Forget(a.pair()) }
