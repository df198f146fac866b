package cloudflare

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/mailplan/mailplan/compiler/model"
)

// Files are the desired state of the edge for people and reviews: one JSON file per kind, in a stable order.
func Files(s *model.Site) ([]model.File, error) {
	e, err := State(s)
	if err != nil {
		return nil, err
	}
	var files []model.File
	for _, f := range []struct {
		name, from string
		value      any
	}{
		{"access", "edge.access", e.Access},
		{"firewall", "edge.waf", struct {
			Rulesets []Ruleset `json:"rulesets"`
			Notes    []Note    `json:"notes"`
		}{e.Rulesets, e.Notes}},
		{"records", "domains", Records(s)},
		{"routing", "domains", e.Zones},
		{"spool", "edge.spool", struct {
			Bucket *Bucket `json:"bucket"`
			Queues []Queue `json:"queues"`
		}{e.Bucket, e.Queues}},
		{"tunnel", "edge.tunnel", e.Tunnel},
		{"worker", "edge.worker", e.Worker},
	} {
		content, err := encode(f.value)
		if err != nil {
			return nil, fmt.Errorf("edge/%s.json: %w", f.name, err)
		}
		files = append(files, model.File{Path: model.ProjectDir + "/edge/" + f.name + ".json", Mode: 0o644, Content: content, From: f.from})
	}
	return files, nil
}

// encode writes < and & as they are: the files are read by people.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
