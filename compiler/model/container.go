package model

import (
	"fmt"
	"strconv"
	"strings"
)

// Containers are the services of the stack. Own is sorted by name.
type Containers struct {
	MariaDB     Container      `json:"mariadb"`
	Redis       Container      `json:"redis"`
	Dovecot     Dovecot        `json:"dovecot"`
	Postfix     Postfix        `json:"postfix"`
	Rspamd      Rspamd         `json:"rspamd"`
	ClamAV      ClamAV         `json:"clamav"`
	Roundcube   Roundcube      `json:"roundcube"`
	API         Container      `json:"mailserver-api"`
	Usermgmt    Container      `json:"usermgmt"`
	Nginx       Container      `json:"nginx"`
	Cloudflared Container      `json:"cloudflared"`
	Tailscale   Container      `json:"tailscale"`
	Own         []OwnContainer `json:"-"`
}

// Container is what every service has.
type Container struct {
	Image       string            `json:"image"`
	Digest      string            `json:"digest,omitempty"`
	CPUs        float64           `json:"cpus"`
	Memory      Memory            `json:"memory"`
	Health      Health            `json:"health"`
	Environment map[string]string `json:"environment,omitempty"`
}

// Reference is the image with its digest, as Docker wants it.
func (c Container) Reference() string {
	if c.Digest == "" {
		return c.Image
	}
	return c.Image + "@" + c.Digest
}

// Tag is what follows the image's last colon; empty without one.
func (c Container) Tag() string {
	name := c.Image[strings.LastIndexByte(c.Image, '/')+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

// Health are the times of a health check (Go durations); empty or 0 means the service's own.
type Health struct {
	Interval    string `json:"interval,omitempty"`
	Timeout     string `json:"timeout,omitempty"`
	Retries     int    `json:"retries,omitempty"`
	StartPeriod string `json:"startPeriod,omitempty"`
}

// Postfix takes submissions. A port of 0 is off; Address is filled in a complete model.
type Postfix struct {
	Container
	Address       string `json:"address,omitempty"`
	Submission    int    `json:"submission"`
	Submissions   int    `json:"submissions"`
	MaxMessageMiB int    `json:"maxMessageMiB"`
	MaxRecipients int    `json:"maxRecipients"`
	QueueDays     int    `json:"queueDays"`
}

// Dovecot keeps the mailboxes. A port of 0 is off; Address is filled in a complete model.
type Dovecot struct {
	Container
	Address               string `json:"address,omitempty"`
	IMAPS                 int    `json:"imaps"`
	POP3S                 int    `json:"pop3s"`
	MaxConnectionsPerUser int    `json:"maxConnectionsPerUser"`
	ExpungeJunkDays       int    `json:"expungeJunkDays"`
	ExpungeTrashDays      int    `json:"expungeTrashDays"`
}

// Version23 says that the image speaks the configuration language of Dovecot 2.3.
func (d Dovecot) Version23() bool { return strings.HasPrefix(d.Tag(), "2.3") }

// Rspamd judges mail; MaxMessageMiB is filled in a complete model.
type Rspamd struct {
	Container
	Scores struct {
		AddHeader float64 `json:"addHeader"`
		Reject    float64 `json:"reject"`
	} `json:"scores"`
	Greylist        bool `json:"greylist"`
	BayesExpireDays int  `json:"bayesExpireDays"`
	MaxMessageMiB   int  `json:"maxMessageMiB,omitempty"`
}

// ClamAV looks for malware; MaxMessageMiB and ConcurrentReload are filled in a complete model.
type ClamAV struct {
	Container
	ChecksPerDay     int   `json:"checksPerDay"`
	ConcurrentReload *bool `json:"concurrentReload,omitempty"`
	MaxMessageMiB    int   `json:"maxMessageMiB,omitempty"`
}

// Roundcube is webmail; MaxAttachmentMiB is filled in a complete model.
type Roundcube struct {
	Container
	Language         string   `json:"language"`
	Plugins          []string `json:"plugins"`
	SessionMinutes   int      `json:"sessionMinutes"`
	MaxAttachmentMiB int      `json:"maxAttachmentMiB,omitempty"`
}

// OwnContainer is a service that mailplan only runs.
type OwnContainer struct {
	Container
	Name          string        `json:"-"`
	Command       []string      `json:"command,omitempty"`
	Networks      []string      `json:"networks"`
	Volumes       []VolumeMount `json:"volumes"`
	Publish       []Publish     `json:"publish"`
	Hostname      string        `json:"hostname,omitempty"`
	Port          int           `json:"port,omitempty"`
	DependsOn     []string      `json:"dependsOn"`
	HealthCommand []string      `json:"healthCommand,omitempty"`
}

// VolumeMount is a host folder (absolute) or a named volume in a container.
type VolumeMount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly"`
}

// Publish is a port on an address of the host; ContainerPort is filled in a complete model.
type Publish struct {
	Address       string `json:"address"`
	Port          int    `json:"port"`
	ContainerPort int    `json:"containerPort,omitempty"`
}

// Memory is a size in mebibytes, written 512M or 1G.
type Memory int

// UnmarshalJSON reads the schema's form.
func (m *Memory) UnmarshalJSON(data []byte) error {
	s, err := strconv.Unquote(string(data))
	if err != nil {
		return fmt.Errorf("memory %s: not a string", data)
	}
	return m.UnmarshalText([]byte(s))
}

// UnmarshalText reads the schema's form: a whole number with M or G.
func (m *Memory) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) < 2 {
		return fmt.Errorf("memory %q: want a number with M or G", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil {
		return fmt.Errorf("memory %q: want a number with M or G", s)
	}
	if s[len(s)-1] == 'G' {
		n *= 1024
	}
	*m = Memory(n)
	return nil
}

// String is the schema's form, in G where it is whole.
func (m Memory) String() string {
	if m != 0 && m%1024 == 0 {
		return strconv.Itoa(int(m)/1024) + "G"
	}
	return strconv.Itoa(int(m)) + "M"
}

// Bytes is the size in bytes.
func (m Memory) Bytes() int64 { return int64(m) << 20 }

// Each calls f for every declared service of the stack in start order, own containers last.
// Services that the site does not run (tailscale outside container mode) are left out.
func (s *Site) Each(f func(name string, c Container)) {
	c := &s.Containers
	f("mariadb", c.MariaDB)
	f("redis", c.Redis)
	f("clamav", c.ClamAV.Container)
	f("rspamd", c.Rspamd.Container)
	f("dovecot", c.Dovecot.Container)
	f("postfix", c.Postfix.Container)
	f("roundcube", c.Roundcube.Container)
	f("mailserver-api", c.API)
	f("usermgmt", c.Usermgmt)
	f("nginx", c.Nginx)
	f("cloudflared", c.Cloudflared)
	if s.Tailnet != nil && s.Tailnet.Mode == "container" {
		f("tailscale", c.Tailscale)
	}
	for _, own := range c.Own {
		f(own.Name, own.Container)
	}
}

// ForwardPort is where Postfix takes scanned mail from the ingest and from sieve, on container networks only.
const ForwardPort = 10025

// SieveDaemon is how Postfix tells Rspamd that a message comes from sieve.
const SieveDaemon = "SIEVE"

// PostfixCheckPort is where the health check of Postfix asks a process that is new each time, on its loopback.
const PostfixCheckPort = 10024

// MailRoot is where the mailboxes are mounted in the Dovecot image of the site.
func (s *Site) MailRoot() string {
	if s.Containers.Dovecot.Version23() {
		return "/srv/mail"
	}
	return "/srv/vmail"
}
