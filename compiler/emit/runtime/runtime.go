// Package runtime turns a site into the configuration of mailpland, in the daemon's own types: mailpland.json
// and the recipient table routes.json for the container that takes mail in, console.json for the console, backup.json for the executor on
// the host, with the programs and the unit that it needs there. It must not know how mailpland does its work.
package runtime

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// Where compose mounts things in mailpland's containers.
const (
	configDir  = "/etc/mailpland"
	secretsDir = "/run/secrets/"
	dataDir    = "/var/lib/mailpland"
)

// Files returns mailpland's part of the tree.
func Files(s *model.Site) ([]model.File, error) {
	site, err := console(s)
	if err != nil {
		return nil, err
	}
	daemon, err := encode("mailpland.json", "edge.ingest", &config.Config{
		Ingest:  ingest(s),
		Probe:   probe(s),
		Console: site,
		Accounts: &config.Accounts{Address: "mariadb:3306", User: "usermgmt", Database: "mailserver",
			PasswordFile: "/run/secrets/" + model.SecretAccountsDB},
		Health: &config.Health{Listen: fmt.Sprintf(":%d", s.Monitoring.Metrics.Port)},
	})
	if err != nil {
		return nil, err
	}
	table, err := table(s).Bytes()
	if err != nil {
		return nil, err
	}
	daemon.Reads = []string{"mailserver-api", "usermgmt"}
	said, err := declared(s).Bytes()
	if err != nil {
		return nil, err
	}
	domains := file("config/runtime/console.json", "domains", said)
	domains.Reads = []string{"usermgmt"}
	copies, err := backup(s)
	if err != nil {
		return nil, err
	}
	host, err := encode("backup.json", "backup", &config.Config{
		Backup: copies,
		Watch:  watch(s),
		Health: &config.Health{Listen: net.JoinHostPort(s.ExecutorAddress(), strconv.Itoa(s.Monitoring.Metrics.BackupPort))},
	})
	if err != nil {
		return nil, err
	}
	host.Reads = []string{"host"}
	heals, err := healer(s)
	if err != nil {
		return nil, err
	}
	keeps, err := certificateFiles(s)
	if err != nil {
		return nil, err
	}
	files := append(slices.Concat(hostFiles(s), heals, keeps, audience(s)), unitsFile(s))
	return append(files, daemon, file("config/runtime/routes.json", "domains", table), domains, host), nil
}

func encode(name, from string, c *config.Config) (model.File, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return model.File{}, fmt.Errorf("write %s: %w", name, err)
	}
	return file("config/runtime/"+name, from, append(data, '\n')), nil
}

func file(path, from string, content []byte) model.File {
	return model.File{Path: model.ProjectDir + "/" + path, Mode: 0o644, Content: content,
		Reads: []string{"mailserver-api"}, From: from}
}

// scanTimeout is above Rspamd's own time for a message and below the Worker's patience, which must last for the
// transfer too.
func scanTimeout(s *model.Site) config.Duration {
	patience := time.Duration(s.Edge.Worker.TimeoutSeconds) * time.Second
	return config.Duration(min(35*time.Second, patience*7/8))
}

// keep is longer than anything lies at the edge: it may be a copy of what was delivered before an outage.
func keep(s *model.Site) config.Duration {
	if !s.Edge.Spool.Enabled {
		return 0 // the default
	}
	return config.Duration(time.Duration(s.Edge.Spool.DeleteAfterDays()+1) * 24 * time.Hour)
}

func ingest(s *model.Site) *config.Ingest {
	in := s.Edge.Ingest
	c := &config.Ingest{
		Listen:          fmt.Sprintf(":%d", in.Port),
		Hostname:        s.Edge.Tunnel.Hostnames.Ingest,
		MaxMessageBytes: int64(in.MaxMessageMiB) << 20,
		MaxDeliveries:   in.Concurrency,
		Auth:            config.Auth{TokenFiles: accepted(s, in.Token.Secret)},
		Table:           configDir + "/routes.json",
		Scan:            &config.Scan{URL: "http://rspamd:11333", Timeout: scanTimeout(s), Policy: policy(in.Verdict)},
		LMTP:            &config.LMTP{Address: "dovecot:24"},
		Ledger:          &config.Ledger{Path: dataDir + "/ledger.db", Keep: keep(s)},
		Spill:           config.Spill{Dir: dataDir}, // the system's own is in memory, which the container has little of
	}
	if in.Signed {
		c.Auth.Signature = &config.Signature{KeyFiles: accepted(s, in.SigningKey.Secret)}
	}
	if domain := model.NewRoutes(s).SRSDomain(); domain != "" {
		c.Smarthost = &config.Smarthost{Address: fmt.Sprintf("postfix:%d", model.ForwardPort), TLS: "none", OwnFrom: s.Relay.ForwardFrom == "rewrite"}
		c.SRS = &config.SRS{Domain: domain, KeyFiles: accepted(s, model.SecretSRS)}
	}
	return c
}

// accepted are the files of all values of a secret that are good, the one to use first.
func accepted(s *model.Site, name string) []string {
	var files []string
	for _, n := range s.Accepted(name) {
		files = append(files, secretsDir+n)
	}
	return files
}

func policy(v model.Verdict) config.Policy {
	return config.Policy{
		Reject:         v.Spam,
		SoftReject:     v.SoftReject,
		AddHeader:      v.ProbableSpam,
		RewriteSubject: v.ProbableSpam,
		Virus:          v.Virus,
		Failure:        v.ScanFailure,
		Down:           v.ScannerDown,
	}
}

// table is who receives mail where, as model.Routes has it. A retired domain is there with nobody in it: mail for it
// ends here and is not sent on to the outside.
func table(s *model.Site) *config.Table {
	t := &config.Table{Domains: map[string]config.TableDomain{}}
	for _, d := range s.Domains {
		t.Domains[d.Name] = config.TableDomain{}
		if d.State == model.Active {
			t.Domains[d.Name] = tableDomain(d)
		}
	}
	probeRoutes(s, t)
	return t
}

func tableDomain(d model.Domain) config.TableDomain {
	out := config.TableDomain{}
	taken := make(map[string]bool, len(d.Users))
	for _, u := range d.Users {
		taken[u.Localpart] = true
		if u.Receives() {
			out.Users = append(out.Users, u.Localpart)
		} else {
			out.Refused = append(out.Refused, u.Localpart)
		}
	}
	for _, a := range d.Aliases {
		if taken[a.Localpart] {
			continue // the user comes first
		}
		if out.Aliases == nil {
			out.Aliases = make(map[string][]string, len(d.Aliases))
		}
		out.Aliases[a.Localpart] = a.Targets
	}
	slices.Sort(out.Users)
	slices.Sort(out.Refused)
	if d.CatchAll != "" {
		out.CatchAll = []string{d.CatchAll}
	}
	if d.Subaddress {
		out.Subaddress = "+"
	}
	return out
}
