// Package model is the typed form of a valid site: plain data, complete (every default and every derived
// value filled in) and ordered, so that whoever reads it need not know CUE and gets the same answer every time.
// It imports nothing of mailplan. The CUE definitions in schema/ say what each field means; names are the same.
package model

// Site is one declared mail system. All slices are sorted by their name.
type Site struct {
	Name       string     `json:"name"`
	Host       Host       `json:"host"`
	Tailnet    *Tailnet   `json:"tailnet,omitempty"`
	Relay      Relay      `json:"relay"`
	Edge       Edge       `json:"edge"`
	Domains    []Domain   `json:"-"`
	Backup     Backup     `json:"backup"`
	Containers Containers `json:"containers"`
	Secrets    Secrets    `json:"secrets"`
	Monitoring Monitoring `json:"monitoring"`
}

// ExecutorAddress is where the executor on the host shows its metrics.
func (s *Site) ExecutorAddress() string {
	if s.Monitoring.Metrics.Address == "" {
		return "127.0.0.1"
	}
	return s.Monitoring.Metrics.Address
}

// SecretRef names a value of the secrets file. The value itself never is in a model.
type SecretRef struct {
	Secret string `json:"secret"`
}

// Host is the machine that runs the stack.
type Host struct {
	Connect  string  `json:"connect"`
	Root     string  `json:"root"`
	Storage  Storage `json:"storage"`
	CPUs     float64 `json:"cpus,omitempty"`
	Memory   Memory  `json:"memory,omitempty"`
	Timezone string  `json:"timezone"`
	Subnet   string  `json:"subnet,omitempty"` // empty means DefaultSubnet
	TLS      TLS     `json:"tls"`
}

// Storage are folders on the host. BulkGB is how much the disk of Bulk holds, 0 if not declared.
// Devices names the disk below a mount point.
type Storage struct {
	Fast    string            `json:"fast"`
	Bulk    string            `json:"bulk"`
	BulkGB  int               `json:"bulkGB,omitempty"`
	Devices map[string]string `json:"devices,omitempty"`
}

// TLS is the certificate of the client-facing mail services; Names is never empty in a complete model.
type TLS struct {
	Source    string    `json:"source"`
	Names     []string  `json:"names,omitempty"`
	Email     string    `json:"email,omitempty"`
	Directory string    `json:"directory"`
	Token     SecretRef `json:"token"`
}

// ACME says that the certificate is had by proving its names in our zones.
func (t TLS) ACME() bool { return t.Source == "acme-dns01" }

// TailscaleProgram is the program of the project, below its folder, that stands for tailscale on the host.
const TailscaleProgram = "scripts/tailscale"

// Tailscale says that the tailnet has it issued, for the host's name there.
func (t TLS) Tailscale() bool { return t.Source == "tailscale" }

// Kept says that the host itself has it issued and renewed, and nobody else puts it in place.
func (t TLS) Kept() bool { return t.ACME() || t.Tailscale() }

// CertificateFolder is where the servers read the certificate, on the host.
func (s *Site) CertificateFolder() string { return s.Host.Storage.Fast + "/tls" }

// Tailnet is the private network of the mail clients.
type Tailnet struct {
	Address     string    `json:"address"`
	Hostname    string    `json:"hostname"`
	Name        string    `json:"name"`
	Tags        []string  `json:"tags"`
	Clients     []string  `json:"clients"`
	Admins      []string  `json:"admins"`
	Mode        string    `json:"mode"`
	KeyWarnDays int       `json:"keyWarnDays"`
	OAuth       SecretRef `json:"oauth"`
}

// Relay is the smarthost for outbound mail.
type Relay struct {
	Provider           string    `json:"provider"`
	Host               string    `json:"host"`
	Port               int       `json:"port"`
	Username           string    `json:"username"`
	Password           SecretRef `json:"password"`
	TLS                string    `json:"tls"`
	MaxMessageMiB      int       `json:"maxMessageMiB"`
	RatePerUserPerHour int       `json:"ratePerUserPerHour"`
	ForwardFrom        string    `json:"forwardFrom"`
}

// Secrets is the declared part of the inventory; model.Inventory joins it with what the site needs.
type Secrets struct {
	File       string                `json:"file"`
	Recipients []string              `json:"recipients"`
	WarnDays   int                   `json:"warnDays"`
	Overdue    string                `json:"overdue"`
	Observe    Observe               `json:"observe"`
	Names      map[string]SecretRule `json:"names,omitempty"`
}

// Observe names resolvers, and how many of them must answer.
type Observe struct {
	Resolvers []string `json:"resolvers"`
	Quorum    int      `json:"quorum"`
}

// SecretRule is a rotation period of one secret; RotateDays 0 means the kind's own. Also names a second value that is
// accepted while it rotates, AlsoSince the day of that.
type SecretRule struct {
	RotateDays int    `json:"rotateDays,omitempty"`
	Rotated    string `json:"rotated,omitempty"`
	Also       string `json:"also,omitempty"`
	AlsoSince  string `json:"alsoSince,omitempty"`
}

// Alerts are the ways by which people are told; both may be empty.
type Alerts struct {
	Webhook *SecretRef `json:"webhook,omitempty"` // its value is a URL
	Email   string     `json:"email,omitempty"`
}

// Declared says whether anybody is told at all.
func (a Alerts) Declared() bool { return a.Webhook != nil || a.Email != "" }

// Monitoring says what is watched; all log times are in days.
type Monitoring struct {
	Logs struct {
		ContainerDays int `json:"containerDays"`
		BackupDays    int `json:"backupDays"`
		SyncDays      int `json:"syncDays"`
		ScanDays      int `json:"scanDays"`
	} `json:"logs"`
	Metrics struct {
		Port            int    `json:"port"`
		BackupPort      int    `json:"backupPort"`      // of the executor, on the host
		HealPort        int    `json:"healPort"`        // of the healer, on the host
		CertificatePort int    `json:"certificatePort"` // of the keeper of the certificate, on the host
		Address         string `json:"address,omitempty"`
	} `json:"metrics"`
	Alerts              Alerts `json:"alerts"`
	RestartsPerHour     int    `json:"restartsPerHour"`
	ProbeMinutes        int    `json:"probeMinutes"`
	CertificateWarnDays int    `json:"certificateWarnDays"`
}
