// Package roundcube turns a site into Roundcube's configuration: which servers it speaks to and how it
// knows them, what it lets users do, and how they change their password. The image reads every PHP file of
// its configuration folder after its own settings, so these have the last word.
package roundcube

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"

	"github.com/mailplan/mailplan/compiler/model"
)

// uid is www-data in the image: the web server's processes read the file, it holds secrets.
const uid = 33

//go:embed config.php.tmpl
var config string

// view is what the template sees.
type view struct {
	*model.Site
	R          model.Roundcube
	IMAP, SMTP string // names that the certificate must have
	Host       string // pattern of our own web name
	Nginx      netip.Addr
	Former     string // name of the last session key, while sessions of it go on
}

// Files returns Roundcube's part of the tree.
func Files(s *model.Site) ([]model.File, error) {
	nginx, err := s.ServiceAddress("nginx", "web")
	if err != nil {
		return nil, fmt.Errorf("roundcube: %w", err)
	}
	v := view{
		Site:  s,
		R:     s.Containers.Roundcube,
		IMAP:  s.ClientName("imap."),
		SMTP:  s.ClientName("smtp."),
		Host:  "^" + regexp.QuoteMeta(s.Edge.Tunnel.Hostnames.Webmail) + "$",
		Nginx: nginx,
	}
	if keys := s.Accepted(model.SecretRoundcubeDES); len(keys) > 1 {
		v.Former = keys[1]
	}
	t, err := template.New("config.php").Funcs(template.FuncMap{"php": quote, "secret": nowdoc}).Parse(config)
	if err != nil {
		return nil, fmt.Errorf("roundcube: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("roundcube: %w", err)
	}
	return []model.File{{
		Path:    model.ProjectDir + "/config/roundcube/mailplan.php",
		Mode:    0o400,
		UID:     uid,
		GID:     uid,
		Content: b.Bytes(),
		Reads:   []string{"roundcube"},
		From:    "containers.roundcube",
	}}, nil
}

// quote writes a PHP string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// nowdoc writes a literal in which no character of the secret means anything to PHP.
func nowdoc(name string) string {
	return "<<<'MAILPLAN'\n" + model.SecretMark(name) + "\nMAILPLAN"
}
