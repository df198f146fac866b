package config

import (
	"fmt"
	"time"
)

// Heal restarts unhealthy services of a Docker Compose project, and measures what only its host can. It runs on that host,
// in a process of its own (mailpland heal).
type Heal struct {
	Project         string   `json:"project"`              // the compose project's name
	Socket          string   `json:"socket"`               // of the Docker engine
	RestartsPerHour int      `json:"restartsPerHour"`      // of one service; 0 only measures
	Every           Duration `json:"every,omitempty"`      // between two looks; default 10s
	Settle          Duration `json:"settle,omitempty"`     // how long a service must be ill before it is restarted; default 1m
	Rejoin          Duration `json:"rejoin,omitempty"`     // how long a service may take to find one it needs again, before it is restarted; default 2m
	Pause           Duration `json:"pause,omitempty"`      // after the first restart, doubled after each further one; default 1m
	Disks           []string `json:"disks,omitempty"`      // folders whose file systems are measured
	Queue           string   `json:"queue,omitempty"`      // service whose Postfix queue is measured
	Signatures      string   `json:"signatures,omitempty"` // host:port of the clamd whose signatures' age is measured
}

// Defaults of Heal.
const (
	HealEvery  = 10 * time.Second
	HealSettle = time.Minute
	HealRejoin = 2 * time.Minute // Dovecot asks a database that was away again after a minute; then its check must see that
	HealPause  = time.Minute
)

func (h *Heal) problems(at string) (found Problems) {
	required(&found, at+".project", h.Project)
	absolute(&found, at+".socket", h.Socket)
	if h.RestartsPerHour < 0 {
		found.add(at+".restartsPerHour", "%d is below 0", h.RestartsPerHour)
	}
	for i, dir := range h.Disks {
		absolute(&found, fmt.Sprintf("%s.disks[%d]", at, i), dir)
	}
	if h.Signatures != "" {
		checkHostPort(&found, at+".signatures", h.Signatures)
	}
	return found
}
