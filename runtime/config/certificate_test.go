package config

import (
	"strings"
	"testing"
)

const goodCertificate = `{"certificate": {"names": ["imap.example.com", "smtp.example.com"], "folder": "/mnt/ssd/tls", "uid": 1000, "gid": 1000,
	"state": "/mnt/ssd/certificate-state", "warnDays": 21, "reload": "/srv/mailserver/scripts/reload-certificate",
	"acme": {"directory": "https://acme.example.net/dir", "mark": "mailplan-acme home", "zones": ["example.com"], "tokenFile": "/run/secrets/token"}}}`

func TestCertificateMistakesAreNamed(t *testing.T) {
	if _, err := Parse([]byte(goodCertificate)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"no names":        {`"imap.example.com", "smtp.example.com"`, ``, "certificate.names"},
		"relative folder": {`"/mnt/ssd/tls"`, `"tls"`, "certificate.folder"},
		"no warning":      {`"warnDays": 21`, `"warnDays": 0`, "certificate.warnDays"},
		"clear text":      {`https://acme`, `http://acme`, "no https URL"},
		"foreign name":    {`"smtp.example.com"`, `"smtp.other.example"`, "smtp.other.example lies in none"},
		"no mark":         {`mailplan-acme home`, ``, "certificate.acme.mark"},
		"token by value":  {`/run/secrets/token`, `abc`, "certificate.acme.tokenFile"},
	} {
		text := strings.Replace(goodCertificate, c.from, c.to, 1)
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.says)
		}
	}
}
