package report

import "time"

// Queue is Postfix's: what waits to be sent.
type Queue struct {
	Total    int       `json:"total"`
	Messages []Message `json:"messages,omitempty"` // the oldest, at most MaxMessages
}

// MaxMessages bounds the messages of a queue and the letters of a spool that are told one by one.
const MaxMessages = 500

// Message is one that waits.
type Message struct {
	ID         string      `json:"id"`
	Queue      string      `json:"queue"` // incoming, active, deferred, hold
	Came       time.Time   `json:"came"`
	Size       int64       `json:"size"` // bytes
	Sender     string      `json:"sender"`
	Recipients []Recipient `json:"recipients"` // at most MaxRecipients
	More       int         `json:"more,omitempty"`
}

// MaxRecipients bounds those of one message.
const MaxRecipients = 20

// Recipient is one whom a message has not reached yet.
type Recipient struct {
	Address string `json:"address"`
	Reason  string `json:"reason,omitempty"` // why not
}

// Spool is the mail at the edge.
type Spool struct {
	Enabled bool     `json:"enabled"`
	Waiting int      `json:"waiting"`
	Dead    int      `json:"dead"`
	Letters []Letter `json:"letters,omitempty"` // the oldest, at most MaxMessages
}

// Letter is one message in the spool.
type Letter struct {
	Key    string    `json:"key"`
	Came   time.Time `json:"came"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Size   int64     `json:"size"` // bytes
	Reason string    `json:"reason,omitempty"`
	Dead   bool      `json:"dead,omitempty"`
}

// Backup is the standing of backups and of the drills that prove them.
type Backup struct {
	LastRun     *Run   `json:"lastRun,omitempty"`
	LastSuccess *Run   `json:"lastSuccess,omitempty"`
	Overdue     bool   `json:"overdue"`
	Verified    string `json:"verified,omitempty"` // the snapshot that was read again last and was whole
	Damaged     int    `json:"damaged"`            // packs that no run has replaced yet
	Offsite     *Sent  `json:"offsite,omitempty"`
	Drill       *Drill `json:"drill,omitempty"`
	Risky       string `json:"risky,omitempty"` // why a step that could lose data is not permitted; empty when it is
}

// Run is one backup.
type Run struct {
	Snapshot string    `json:"snapshot,omitempty"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
	Written  int64     `json:"written"` // bytes that were new
	Problem  string    `json:"problem,omitempty"`
}

// Sent is a snapshot that is off-site.
type Sent struct {
	Folder string    `json:"folder"`
	At     time.Time `json:"at"`
	Locked time.Time `json:"locked"` // until then nobody can delete it
}

// Drill is a restore for proof.
type Drill struct {
	Snapshot string    `json:"snapshot"`
	Source   string    `json:"source"`
	Finished time.Time `json:"finished"`
	Green    bool      `json:"green"`
	RPO      float64   `json:"rpoSeconds"`
	RTO      float64   `json:"rtoSeconds"`
	Files    int64     `json:"files"`
	Checks   []Check   `json:"checks,omitempty"`
}

// Check is one thing that a drill looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// DNS is what the world sees of the domains.
type DNS struct {
	Domains []Domain `json:"domains"`
}

// Domain is one, with its records.
type Domain struct {
	Name    string   `json:"name"` // A-labels
	Records []Record `json:"records"`
}

// Good says whether every record is as declared.
func (d Domain) Good() bool {
	for _, r := range d.Records {
		if r.State != Same {
			return false
		}
	}
	return true
}

// Record is one that is declared, beside what is published.
type Record struct {
	Kind  string      `json:"kind"`  // mx, spf, dmarc, mtasts, dkim
	Owner string      `json:"owner"` // whole name
	Want  string      `json:"want"`  // what is declared, for people
	Found string      `json:"found,omitempty"`
	State RecordState `json:"state"`
}

// RecordState compares a record with what is declared.
type RecordState string

// The states.
const (
	Same    RecordState = "same"
	Differs RecordState = "differs"
	Absent  RecordState = "absent"
	Unknown RecordState = "unknown" // the resolver did not answer
)

// Drift is what `mailplan status` found.
type Drift struct {
	Site     string   `json:"site"`
	Revision string   `json:"revision,omitempty"`
	Changes  []string `json:"changes,omitempty"`  // what an apply would change
	Warnings []string `json:"warnings,omitempty"` // what no apply mends
}

// Usage is how full mailboxes are, by address.
type Usage map[string]Mailbox

// Mailbox is one's usage.
type Mailbox struct {
	Bytes    int64 `json:"bytes"`
	Messages int64 `json:"messages"`
}
