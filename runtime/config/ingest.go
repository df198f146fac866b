package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Ingest is the inbound part: an HTTP endpoint that takes raw messages and hands them to the mailboxes.
// Exactly one of LMTP and Maildir is the mailbox store.
type Ingest struct {
	Listen          string     `json:"listen"`                    // host:port of the HTTP endpoint
	Hostname        string     `json:"hostname,omitempty"`        // our name in LHLO, EHLO and trace headers; default localhost
	MaxMessageBytes int64      `json:"maxMessageBytes,omitempty"` // largest message, in bytes; default 26214400 (25 MiB)
	MaxRecipients   int        `json:"maxRecipients,omitempty"`   // per request; default 100
	MaxDeliveries   int        `json:"maxDeliveries,omitempty"`   // messages worked on at once, others wait; default 64
	BodyTimeout     Duration   `json:"bodyTimeout,omitempty"`     // longest silence while a body is read; default 30s
	StopTimeout     Duration   `json:"stopTimeout,omitempty"`     // how long a stop waits for accepted messages; default 2m
	Auth            Auth       `json:"auth"`                      // who may post
	Table           string     `json:"table"`                     // file of the recipient table, see Table
	Trace           Trace      `json:"trace,omitzero"`            // whose trace header names the sending client
	Scan            *Scan      `json:"scan,omitempty"`            // Rspamd; without it nothing is scanned
	LMTP            *LMTP      `json:"lmtp,omitempty"`            // mailboxes behind an LMTP server
	Maildir         *Maildir   `json:"maildir,omitempty"`         // mailboxes in a folder (sandbox, first run)
	Smarthost       *Smarthost `json:"smarthost,omitempty"`       // takes mail for outside targets
	SRS             *SRS       `json:"srs,omitempty"`             // rewrites the reverse path of outside mail
	Ledger          *Ledger    `json:"ledger,omitempty"`          // remembers what was delivered
	Spill           Spill      `json:"spill,omitzero"`            // where a message waits when it must be seen whole
}

// Auth says who may post. Every part that is given must be satisfied.
type Auth struct {
	TokenFiles []string   `json:"tokenFiles"`          // one bearer token per file; one or two are valid at a time
	Signature  *Signature `json:"signature,omitempty"` // requests are signed as well
	Access     *Access    `json:"access,omitempty"`    // requests carry a Cloudflare Access token as well
}

// Signature asks for requests signed with HMAC-SHA256 over time stamp, nonce, body digest and envelope.
type Signature struct {
	KeyFiles []string `json:"keyFiles"`          // one key per file; one or two are valid at a time
	MaxSkew  Duration `json:"maxSkew,omitempty"` // how far a time stamp may be off; default 5m
}

// Access asks for a Cloudflare Access application token (JWT).
type Access struct {
	Issuer   string `json:"issuer"`   // https://TEAM.cloudflareaccess.com
	Audience string `json:"audience"` // the application's AUD tag
}

// Trace names the hosts whose topmost Received field is believed about the client that sent a message.
type Trace struct {
	By []string `json:"by,omitempty"` // default cloudflare-email.net, email.cloudflare.net
}

// Scan is the Rspamd that judges each message before it is delivered.
type Scan struct {
	URL            string   `json:"url"`                      // http://HOST:11333, a normal worker
	Timeout        Duration `json:"timeout,omitempty"`        // for one message; default 60s, above Rspamd's task_timeout
	VirusSymbols   []string `json:"virusSymbols,omitempty"`   // default CLAM_VIRUS
	FailureSymbols []string `json:"failureSymbols,omitempty"` // symbols that say a check did not run; default CLAM_VIRUS_FAIL
	Policy         Policy   `json:"policy,omitzero"`
}

// Policy maps what the scan says to what happens: deliver, junk (deliver with X-Spam: Yes), reject
// (permanent refusal) or tempfail (temporary refusal).
type Policy struct {
	Reject         string `json:"reject,omitempty"`         // Rspamd says reject; default reject
	SoftReject     string `json:"softReject,omitempty"`     // Rspamd says soft reject; default tempfail
	AddHeader      string `json:"addHeader,omitempty"`      // Rspamd says add header; default junk
	RewriteSubject string `json:"rewriteSubject,omitempty"` // Rspamd says rewrite subject; default junk
	Virus          string `json:"virus,omitempty"`          // a virus symbol is set; default reject
	Failure        string `json:"failure,omitempty"`        // a failure symbol is set; default tempfail
	Down           string `json:"down,omitempty"`           // no answer from Rspamd; default tempfail
}

// LMTP is the mail store's delivery port.
type LMTP struct {
	Address         string   `json:"address"`                   // host:port, or unix:PATH
	Concurrency     int      `json:"concurrency,omitempty"`     // messages of up to 1 MiB that the store works on at once, others wait; default 8
	MaxIdle         int      `json:"maxIdle,omitempty"`         // connections kept open; default 16
	IdleTimeout     Duration `json:"idleTimeout,omitempty"`     // an idle connection is closed after; default 60s
	ConnectTimeout  Duration `json:"connectTimeout,omitempty"`  // dial, greeting and LHLO; default 10s
	EnvelopeTimeout Duration `json:"envelopeTimeout,omitempty"` // MAIL and RCPT; default 75s, above the store's own lookup timeout
	BlockTimeout    Duration `json:"blockTimeout,omitempty"`    // one block of the body; default 60s
	CommitTimeout   Duration `json:"commitTimeout,omitempty"`   // from the last byte to the replies; default 2m
}

// Maildir is a folder of mailboxes: ROOT/DOMAIN/LOCALPART/{tmp,new,cur}, junk in .Junk below.
type Maildir struct {
	Root string `json:"root"`
}

// Smarthost is the SMTP server that takes mail for outside targets, usually the site's own Postfix.
type Smarthost struct {
	Address      string   `json:"address"`                // host:port
	TLS          string   `json:"tls,omitempty"`          // none, starttls or implicit; default none
	Username     string   `json:"username,omitempty"`     // SASL PLAIN, only with TLS
	PasswordFile string   `json:"passwordFile,omitempty"` // file with the password
	Timeout      Duration `json:"timeout,omitempty"`      // for one message; default 2m
	OwnFrom      bool     `json:"ownFrom,omitempty"`      // it takes no author of a foreign domain: From is rewritten
}

// SRS is the Sender Rewriting Scheme for mail that leaves for outside targets.
type SRS struct {
	Domain   string   `json:"domain"`           // the domain of rewritten reverse paths
	KeyFiles []string `json:"keyFiles"`         // the first signs, all verify
	MaxAge   Duration `json:"maxAge,omitempty"` // how long a rewritten address stays valid; default 504h (21 days)
}

// Ledger is the durable memory of deliveries.
type Ledger struct {
	Path string   `json:"path"`           // file, made when missing
	Keep Duration `json:"keep,omitempty"` // how long a delivery is remembered; default 336h (14 days)
}

// Spill is the bounded store for messages that must be seen whole before they are delivered.
type Spill struct {
	Dir      string `json:"dir,omitempty"`      // default the system's folder for temporary files
	MaxBytes int64  `json:"maxBytes,omitempty"` // default 1073741824 (1 GiB); a message that does not fit is deferred
}

func (h *Health) problems(at string) (found Problems) {
	checkHostPort(&found, at+".listen", h.Listen)
	return found
}

func (c *Ingest) problems(at string) (found Problems) {
	c.defaults()
	checkHostPort(&found, at+".listen", c.Listen)
	positive(&found, at+".maxMessageBytes", c.MaxMessageBytes)
	positive(&found, at+".maxRecipients", int64(c.MaxRecipients))
	positive(&found, at+".maxDeliveries", int64(c.MaxDeliveries))
	positive(&found, at+".spill.maxBytes", c.Spill.MaxBytes)
	required(&found, at+".table", c.Table)
	c.Auth.check(&found, at+".auth")
	if (c.LMTP == nil) == (c.Maildir == nil) {
		found.add(at, "give exactly one of lmtp and maildir")
	}
	if c.LMTP != nil {
		checkDialable(&found, at+".lmtp.address", c.LMTP.Address)
		if c.LMTP.Concurrency < 0 {
			found.add(at+".lmtp.concurrency", "%d is not above 0", c.LMTP.Concurrency)
		}
	}
	if c.Maildir != nil {
		required(&found, at+".maildir.root", c.Maildir.Root)
	}
	if c.Ledger != nil {
		required(&found, at+".ledger.path", c.Ledger.Path)
	}
	c.Scan.check(&found, at+".scan")
	c.Smarthost.check(&found, at+".smarthost")
	c.SRS.check(&found, at+".srs", c.Smarthost != nil)
	return found
}

func (c *Ingest) defaults() {
	set(&c.Hostname, "localhost")
	set(&c.MaxMessageBytes, 25<<20)
	set(&c.MaxRecipients, 100)
	set(&c.MaxDeliveries, 64)
	set(&c.Spill.MaxBytes, 1<<30)
	if len(c.Trace.By) == 0 {
		c.Trace.By = []string{"cloudflare-email.net", "email.cloudflare.net"}
	}
	if c.Scan != nil {
		c.Scan.defaults()
	}
}

func (s *Scan) defaults() {
	if len(s.VirusSymbols) == 0 {
		s.VirusSymbols = []string{"CLAM_VIRUS"}
	}
	if len(s.FailureSymbols) == 0 {
		s.FailureSymbols = []string{"CLAM_VIRUS_FAIL"}
	}
	set(&s.Policy.Reject, "reject")
	set(&s.Policy.SoftReject, "tempfail")
	set(&s.Policy.AddHeader, "junk")
	set(&s.Policy.RewriteSubject, "junk")
	set(&s.Policy.Virus, "reject")
	set(&s.Policy.Failure, "tempfail")
	set(&s.Policy.Down, "tempfail")
}

func set[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

func (a *Auth) check(found *Problems, at string) {
	if len(a.TokenFiles) < 1 || len(a.TokenFiles) > 2 {
		found.add(at+".tokenFiles", "name one or two files, each with one token")
	}
	if s := a.Signature; s != nil && (len(s.KeyFiles) < 1 || len(s.KeyFiles) > 2) {
		found.add(at+".signature.keyFiles", "name one or two files, each with one key")
	}
	if a.Access != nil {
		checkURL(found, at+".access.issuer", a.Access.Issuer)
		required(found, at+".access.audience", a.Access.Audience)
	}
}

func (s *Scan) check(found *Problems, at string) {
	if s == nil {
		return
	}
	checkURL(found, at+".url", s.URL)
	for _, p := range []struct{ name, value string }{
		{"reject", s.Policy.Reject}, {"softReject", s.Policy.SoftReject}, {"addHeader", s.Policy.AddHeader},
		{"rewriteSubject", s.Policy.RewriteSubject}, {"virus", s.Policy.Virus}, {"failure", s.Policy.Failure},
		{"down", s.Policy.Down},
	} {
		oneOf(found, at+".policy."+p.name, p.value, "deliver", "junk", "reject", "tempfail")
	}
}

func (s *Smarthost) check(found *Problems, at string) {
	if s == nil {
		return
	}
	checkHostPort(found, at+".address", s.Address)
	oneOf(found, at+".tls", s.TLS, "", "none", "starttls", "implicit")
	if s.Username != "" && (s.TLS == "" || s.TLS == "none") {
		found.add(at+".username", "a password is sent only over TLS: set tls to starttls or implicit")
	}
	if (s.Username == "") != (s.PasswordFile == "") {
		found.add(at, "give username and passwordFile together")
	}
}

func (s *SRS) check(found *Problems, at string, smarthost bool) {
	if s == nil {
		return
	}
	required(found, at+".domain", s.Domain)
	if len(s.KeyFiles) == 0 {
		found.add(at+".keyFiles", "name at least one file with a key")
	}
	if !smarthost {
		found.add(at, "has no use without smarthost")
	}
}

func required(found *Problems, at, value string) {
	if value == "" {
		found.add(at, "is required")
	}
}

func positive(found *Problems, at string, v int64) {
	if v <= 0 {
		found.add(at, "%d is not above 0", v)
	}
}

func oneOf(found *Problems, at, value string, allowed ...string) {
	for _, a := range allowed {
		if a == value {
			return
		}
	}
	found.add(at, "%q is not one of %s", value, strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
}

func checkHostPort(found *Problems, at, value string) {
	_, port, err := net.SplitHostPort(value)
	if n, numErr := strconv.Atoi(port); err != nil || numErr != nil || n < 0 || n > 65535 {
		found.add(at, "%q is not host:port", value)
	}
}

func checkDialable(found *Problems, at, value string) {
	if path, ok := strings.CutPrefix(value, "unix:"); ok {
		required(found, at, path)
		return
	}
	checkHostPort(found, at, value)
}

func checkURL(found *Problems, at, value string) {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		found.add(at, "%q is not an http(s) URL", value)
	}
}
