package containers

import (
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/apply/host"
)

// recordFile says, below the host's root, what each service was last known to have read.
const recordFile = ".mailplan/services.json"

// last is what a service has read, in the container of this id: another one was made by somebody else, or for
// another folder.
type last struct {
	ID     string            `json:"id"`
	Spec   string            `json:"spec,omitempty"`
	Files  map[string]string `json:"files,omitempty"`
	Tables map[string]string `json:"tables,omitempty"`
}

func (p *Plane) record() (map[string]last, error) {
	known := map[string]last{}
	data, err := p.Host.Read(recordFile)
	if err != nil || data == nil {
		return known, err
	}
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, fmt.Errorf("read %s: %w", recordFile, err)
	}
	return known, nil
}

func (p *Plane) write(known map[string]last) error {
	data, err := json.MarshalIndent(known, "", " ")
	if err != nil {
		return err
	}
	return p.Host.Write(recordFile, append(data, '\n'), host.Info{Mode: 0o600, UID: -1, GID: -1})
}
