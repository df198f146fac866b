package cloudflare

import (
	"strconv"

	"github.com/mailplan/mailplan/compiler/model"
)

// Worker is the Email Worker's script. Its modules come from compiler/emit/worker; among them is the
// recipient set, which is keyed with a secret and so made at apply. It answers no web request: its
// workers.dev address is to be off.
type Worker struct {
	Name              string    `json:"name"`
	MainModule        string    `json:"mainModule"`
	CompatibilityDate string    `json:"compatibilityDate"`
	Handlers          []string  `json:"handlers"` // what the script must be seen to export
	Bindings          []Binding `json:"bindings"` // sorted by name
	From              string    `json:"from"`
}

// Binding gives the script a value by name. Exactly one of the fields after Type is set.
type Binding struct {
	Name string `json:"name"`
	Type string `json:"type"` // plain_text, secret_text, r2_bucket, queue
	Text string `json:"text,omitempty"`
	// Secret names the value in the site's secrets file.
	Secret string `json:"secret,omitempty"`
	// ServiceToken names the Access service token whose client id or secret this is; its secret is shown
	// once, when it is made.
	ServiceToken string `json:"serviceToken,omitempty"`
	Bucket       string `json:"bucket,omitempty"`
	Queue        string `json:"queue,omitempty"`
	From         string `json:"from"`
}

// AccessClientID is the binding with the id of the service token; the other binding of the token has its secret.
const AccessClientID = "ACCESS_CLIENT_ID"

// Bounds of the spool's consumers. A batch is small because its messages are delivered one after another, each
// within the Worker's time-out, and because the free plan allows 50 requests to others in one call.
const (
	spoolBatch     = 5
	deadRetries    = 10
	deadRetrySec   = 600
	maxQueueDelay  = 12 * 3600 // seconds, the provider's
	firstRetrySec  = 60
	ingestPath     = "/v1/ingest"
	mainModule     = "worker.mjs"
	secondsPerDay  = 24 * 3600
	milliPerSecond = 1000
)

func workerOf(s *model.Site) Worker {
	w := Worker{
		Name: s.Edge.Worker.Name, MainModule: mainModule, CompatibilityDate: s.Edge.Worker.CompatibilityDate,
		Handlers: []string{"email"}, Bindings: bindingsOf(s), From: "edge.worker",
	}
	if s.Edge.Spool.Enabled {
		w.Handlers = append(w.Handlers, "queue")
	}
	return w
}

// bindingsOf is sorted by name; compiler/emit/worker says what each means.
func bindingsOf(s *model.Site) []Binding {
	in := s.Edge.Ingest
	text := func(name, value, from string) Binding {
		return Binding{Name: name, Type: "plain_text", Text: value, From: from}
	}
	secret := func(name string, ref model.SecretRef, from string) Binding {
		return Binding{Name: name, Type: "secret_text", Secret: ref.Secret, From: from}
	}
	var list []Binding
	if s.Edge.Access.Ingest {
		token := ingestToken(s)
		list = append(list,
			Binding{Name: AccessClientID, Type: "secret_text", ServiceToken: token, From: "edge.access.ingest"},
			Binding{Name: "ACCESS_CLIENT_SECRET", Type: "secret_text", ServiceToken: token, From: "edge.access.ingest"})
	}
	spool := s.Edge.Spool
	if hook := s.Monitoring.Alerts.Webhook; hook != nil && spool.Enabled {
		list = append(list, secret("ALERT_WEBHOOK", *hook, "monitoring.alerts.webhook"))
	}
	if spool.Enabled {
		list = append(list,
			Binding{Name: "DEAD", Type: "queue", Queue: spool.DeadLetterQueue(), From: "edge.spool.queue"},
			text("DEAD_NAME", spool.DeadLetterQueue(), "edge.spool.queue"))
	}
	list = append(list,
		secret("DIGEST_KEY", s.Edge.Worker.DigestKey, "edge.worker.digestKey"),
		secret("INGEST_TOKEN", in.Token, "edge.ingest.token"),
		text("INGEST_URL", "https://"+s.Edge.Tunnel.Hostnames.Ingest+ingestPath, "edge.tunnel.hostnames.ingest"),
		text("MAX_BYTES", strconv.Itoa(in.MaxMessageMiB<<20), "edge.ingest.maxMessageMiB"))
	if spool.Enabled {
		list = append(list,
			Binding{Name: "QUEUE", Type: "queue", Queue: spool.Queue, From: "edge.spool.queue"},
			text("RETRY_CAP_SECONDS", strconv.Itoa(RetryCap(spool)), "edge.spool.maxRetries"))
	}
	if in.Signed {
		list = append(list, secret("SIGNING_KEY", in.SigningKey, "edge.ingest.signingKey"))
	}
	list = append(list, text("SITE", s.Name, "name"))
	if spool.Enabled {
		list = append(list, Binding{Name: "SPOOL", Type: "r2_bucket", Bucket: spool.Bucket, From: "edge.spool.bucket"})
	}
	return append(list, text("TIMEOUT_MS", strconv.Itoa(s.Edge.Worker.TimeoutSeconds*milliPerSecond), "edge.worker.timeoutSeconds"))
}
