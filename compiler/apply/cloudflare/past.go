package cloudflare

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailplan/mailplan/compiler/emit/accounts"
	"github.com/mailplan/mailplan/compiler/model"
)

// Past is what the last apply left that bears no mark, or lies where the site does not look any more.
type Past struct {
	Domains []string
	Tunnel  string
	Rotated string // day of the tunnel's token
	Bucket  string
}

// ReadPast asks the files that the last apply wrote last. Read gives the content of a file of the tree as it lies on the
// host; nil for none.
func ReadPast(s *model.Site, read func(rel string) ([]byte, error)) (Past, error) {
	var p Past
	var pipe struct{ Name, Rotated string }
	var spool struct{ Bucket *struct{ Name string } }
	for rel, into := range map[string]any{"edge/tunnel.json": &pipe, "edge/spool.json": &spool} {
		data, err := read(model.ProjectDir + "/" + rel)
		if err == nil && data != nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			return p, fmt.Errorf("read %s of the last apply: %w", rel, err)
		}
	}
	p.Tunnel, p.Rotated = pipe.Name, pipe.Rotated
	if spool.Bucket != nil {
		p.Bucket = spool.Bucket.Name
	}
	data, err := read(accounts.Path)
	if err != nil {
		return p, fmt.Errorf("read the domains of the last apply: %w", err)
	}
	last, err := accounts.Parse(data)
	for _, d := range last.Domains {
		if !slices.ContainsFunc(s.Domains, func(now model.Domain) bool { return now.Name == d.Name }) {
			p.Domains = append(p.Domains, d.Name)
		}
	}
	return p, err
}
