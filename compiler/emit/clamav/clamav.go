// Package clamav turns a site into clamd.conf and freshclam.conf. It must not know what is done about
// malware: Rspamd decides that.
package clamav

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/mailplan/mailplan/compiler/model"
)

//go:embed clamd.conf.tmpl
var clamd string

//go:embed freshclam.conf.tmpl
var freshclam string

// view is what the templates see.
type view struct {
	Site       string
	StreamMiB  int // largest message, more than Rspamd sends
	UnpackMiB  int // of one message with all that is packed in it
	Concurrent bool
	Checks     int
	Commands   bool // the series knows how to refuse commands
}

// Files returns ClamAV's part of the tree.
func Files(s *model.Site) ([]model.File, error) {
	c := s.Containers.ClamAV
	v := view{
		Site:       s.Name,
		StreamMiB:  c.MaxMessageMiB + 1,
		UnpackMiB:  4 * (c.MaxMessageMiB + 1),
		Concurrent: c.ConcurrentReload != nil && *c.ConcurrentReload,
		Checks:     c.ChecksPerDay,
		Commands:   !olderThan15(c.Tag()),
	}
	var out []model.File
	for _, f := range []struct{ name, text string }{{"clamd.conf", clamd}, {"freshclam.conf", freshclam}} {
		content, err := render(f.name, f.text, v)
		if err != nil {
			return nil, err
		}
		out = append(out, model.File{
			Path:    model.ProjectDir + "/config/clamav/" + f.name,
			Mode:    0o644,
			Content: content,
			Reads:   []string{"clamav"},
			From:    "containers.clamav",
		})
	}
	return out, nil
}

func render(name, text string, v view) ([]byte, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("clamav: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("clamav: %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// olderThan15 says that a tag is of a series before 1.5, which refuses settings that it does not know.
func olderThan15(tag string) bool {
	for _, series := range []string{"0.", "1.0", "1.1", "1.2", "1.3", "1.4"} {
		if strings.HasPrefix(tag, series) {
			return true
		}
	}
	return false
}
