package model

// Edge is the Cloudflare side.
type Edge struct {
	AccountID string    `json:"accountID"`
	Token     SecretRef `json:"token"`
	Plan      string    `json:"plan"`
	Tunnel    Tunnel    `json:"tunnel"`
	Ingest    Ingest    `json:"ingest"`
	Worker    Worker    `json:"worker"`
	Spool     Spool     `json:"spool"`
	Access    Access    `json:"access"`
	WAF       WAF       `json:"waf"`
}

// Tunnel is the Cloudflare Tunnel; Name is filled in a complete model. A host name left empty is not served.
type Tunnel struct {
	Name       string          `json:"name,omitempty"`
	Token      SecretRef       `json:"token"`
	Hostnames  TunnelHostnames `json:"hostnames"`
	Connectors int             `json:"connectors"`
}

// TunnelHostnames are the web names; Webmail and Ingest are filled in a complete model.
type TunnelHostnames struct {
	Webmail string `json:"webmail,omitempty"`
	Ingest  string `json:"ingest,omitempty"`
	Console string `json:"console,omitempty"`
}

// Ingest is the way of an inbound message from the Worker to the mailbox.
type Ingest struct {
	Token         SecretRef `json:"token"`
	Signed        bool      `json:"signed"`
	SigningKey    SecretRef `json:"signingKey"`
	MaxMessageMiB int       `json:"maxMessageMiB"`
	Concurrency   int       `json:"concurrency"`
	Port          int       `json:"port"`
	Verdict       Verdict   `json:"verdict"`
}

// Verdict maps the scanners' word to deliver, junk, reject or tempfail.
type Verdict struct {
	Spam         string `json:"spam"`
	ProbableSpam string `json:"probableSpam"`
	SoftReject   string `json:"softReject"`
	Virus        string `json:"virus"`
	ScanFailure  string `json:"scanFailure"`
	ScannerDown  string `json:"scannerDown"`
}

// Worker is the Email Worker; Name is filled in a complete model.
type Worker struct {
	Name              string    `json:"name,omitempty"`
	CompatibilityDate string    `json:"compatibilityDate"`
	TimeoutSeconds    int       `json:"timeoutSeconds"`
	DigestKey         SecretRef `json:"digestKey"`
}

// Spool keeps mail at the edge while the host is away; Bucket and Queue are filled in a complete model.
type Spool struct {
	Enabled       bool   `json:"enabled"`
	Bucket        string `json:"bucket,omitempty"`
	Queue         string `json:"queue,omitempty"`
	RetentionDays int    `json:"retentionDays"`
	MaxRetries    int    `json:"maxRetries"`
}

// DeadLetterQueue is where the spool's hopeless messages go.
func (s Spool) DeadLetterQueue() string { return s.Queue + "-dead" }

// DeleteAfterDays is how long the bucket keeps anything: a dead letter outlives the queue's retention, for an operator
// to drain it.
func (s Spool) DeleteAfterDays() int { return 2 * s.RetentionDays }

// Access puts a sign-in before web names.
type Access struct {
	Webmail      bool     `json:"webmail"`
	Console      bool     `json:"console"`
	Ingest       bool     `json:"ingest"`
	Emails       []string `json:"emails"`
	SessionHours int      `json:"sessionHours"`
	Verify       *Verify  `json:"verify,omitempty"`
}

// Verify lets the console see for itself that Access let a request through. An audience left empty is read from the account.
type Verify struct {
	Team     string `json:"team"`
	Audience string `json:"audience,omitempty"`
	SignIn   bool   `json:"signIn"`
}

// GivenAudience marks in the tree where the AUD tag of the console's application goes. It is no secret, but only the account
// knows it.
const GivenAudience = "CONSOLE_ACCESS_AUDIENCE"

// Issuer signs the team's tokens.
func (v Verify) Issuer() string { return "https://" + v.Team + ".cloudflareaccess.com" }

// WAF are firewall and rate rules.
type WAF struct {
	Managed        bool     `json:"managed"`
	LoginPerMinute int      `json:"loginPerMinute"`
	Countries      []string `json:"countries"`
}
