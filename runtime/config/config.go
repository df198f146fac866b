// Package config turns the JSON file that the compiler emits for the daemon into typed settings. It
// refuses unknown keys and reports every problem at once; it opens no socket and reads no secret, so
// that a wrong file is told about before anything starts. It must not know the site's own language.
package config

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

// Config is the whole configuration file of mailpland. A section that is left out is a part of the
// daemon that does not run.
type Config struct {
	Ingest   *Ingest   `json:"ingest,omitempty"`   // inbound mail over HTTP
	Backup   *Backup   `json:"backup,omitempty"`   // copies of everything, and their restores
	Accounts *Accounts `json:"accounts,omitempty"` // the account database
	Console  *Console  `json:"console,omitempty"`  // the web site for people and administrators
	Watch    *Watch    `json:"watch,omitempty"`    // what is looked at on the host for the console
	Heal     *Heal     `json:"heal,omitempty"`     // restarts of unhealthy services, on their host
	Probe    *Probe    `json:"probe,omitempty"`    // test messages through the ingest
	Health   *Health   `json:"health,omitempty"`   // where /health, /ready and /metrics are answered
	// Certificate is kept in force by the process on the host.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Health says where the operator's endpoints listen. Without it they share the ingest listener.
type Health struct {
	Listen string `json:"listen"` // host:port
}

// A section checks its own part of the file.
type section interface{ problems(at string) Problems }

func (c *Config) sections() map[string]section {
	all := map[string]section{}
	if c.Ingest != nil {
		all["ingest"] = c.Ingest
	}
	if c.Backup != nil {
		all["backup"] = c.Backup
	}
	if c.Accounts != nil {
		all["accounts"] = c.Accounts
	}
	if c.Console != nil {
		all["console"] = c.Console
	}
	if c.Watch != nil {
		all["watch"] = c.Watch
	}
	if c.Heal != nil {
		all["heal"] = c.Heal
	}
	if c.Probe != nil {
		all["probe"] = c.Probe
	}
	if c.Health != nil {
		all["health"] = c.Health
	}
	if c.Certificate != nil {
		all["certificate"] = c.Certificate
	}
	return all
}

// Load reads and checks the file at path. The error of a wrong file is of type [Problems].
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse checks data, fills in the defaults and returns the settings. The error of a wrong file is of
// type [Problems] and holds every problem found.
func Parse(data []byte) (*Config, error) {
	var c Config
	found := decode(data, &c)
	if len(found) > 0 {
		return nil, found
	}
	for name, s := range c.sections() {
		found = append(found, s.problems(name)...)
	}
	if len(found) > 0 {
		found.sort()
		return nil, found
	}
	return &c, nil
}

func decode(data []byte, into any) Problems {
	found := unknownKeys(data, into)
	if err := json.Unmarshal(data, into); err != nil {
		found = append(found, Problem{Path: "(file)", Message: err.Error()})
	}
	found.sort()
	return found
}

// Problem is one thing wrong with a configuration file.
type Problem struct {
	Path    string // the setting, such as ingest.auth.tokenFiles
	Message string // what is wrong and what to write instead
}

// Problems is everything wrong with one file, as an error of one line per problem.
type Problems []Problem

// Error lists the problems, one per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Path + ": " + one.Message
	}
	return fmt.Sprintf("%d problem(s)\n%s", len(p), strings.Join(lines, "\n"))
}

func (p Problems) sort() {
	sort.Slice(p, func(i, j int) bool {
		if p[i].Path != p[j].Path {
			return p[i].Path < p[j].Path
		}
		return p[i].Message < p[j].Message
	})
}

func (p *Problems) add(path, format string, args ...any) {
	*p = append(*p, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// Duration is a time span written as Go does: "30s", "5m", "336h".
type Duration time.Duration

// MarshalText writes the span, such as 30s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a span, such as 30s; a negative one is refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a time span such as 30s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

// Or is the span, or the default when none was written.
func (d Duration) Or(standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return time.Duration(d)
}
