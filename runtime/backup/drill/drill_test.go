package drill_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/drill"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

// drillable makes a site with a database and keys, and one snapshot in a bucket.
func drillable(t *testing.T) (*backuptest.Site, *backuptest.S3) {
	t.Helper()
	s := backuptest.NewSite(t)
	s.Clock = time.Now()
	db := daemon.StartMariaDB(t)
	if err := db.Load("CREATE DATABASE mail; USE mail; CREATE TABLE users (n INT); INSERT INTO users SELECT seq FROM seq_1_to_1000"); err != nil {
		t.Fatal(err)
	}
	s.Config.Classes = append(s.Config.Classes,
		config.BackupClass{Name: "database", Kind: "mariadb", Database: &config.BackupDatabase{Socket: db.Socket, User: "root",
			Databases: []string{"mail"}, DumpProgram: need.Program(t, "mariadb-dump"), Client: need.Program(t, "mariadb")}},
		config.BackupClass{Name: "dkim", Kind: "tree", Path: s.Path("dkim")})
	writeKeys(t, s)
	s.Config.Drill = config.BackupDrill{IdentityFile: s.Path("identity"), MaxAgeDays: 45, MinimumRows: 1, MariaDBD: need.Program(t, "mariadbd"),
		InstallDB: need.Program(t, "mariadb-install-db"), Client: need.Program(t, "mariadb"), IMAP: imapProgram(t), Dovecot: "2.3"}
	server := backuptest.StartS3(t, "copies")
	offsite := server.Offsite(t, s, "copies")
	s.Config.Offsite = &offsite
	return s, server
}

func imapProgram(t *testing.T) string {
	t.Helper()
	const path = "/usr/lib/dovecot/imap"
	if _, err := os.Stat(path); err != nil {
		need.Missing(t, path)
	}
	return path
}

func writeKeys(t *testing.T, s *backuptest.Site) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.com"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "tls/privkey.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	s.Write(t, "tls/fullchain.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	dkim, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(dkim.Public())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "dkim/example.com.mail2026.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(dkim)})))
	text := base64.StdEncoding.EncodeToString(spki)
	s.Write(t, "dkim/example.com.mail2026.txt", `mail2026._domainkey IN TXT ( "v=DKIM1; k=rsa; p=`+text[:200]+`" "`+text[200:]+"\" )\n")
}

func backUp(t *testing.T, s *backuptest.Site) {
	t.Helper()
	s.Clock = s.Clock.Add(time.Second)
	s.Run(t, backup.RunOptions{})
	if _, err := s.Executor(t).Sync(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

func TestDrill(t *testing.T) {
	s, server := drillable(t)
	x := s.Executor(t)
	if err := x.PermitRisk(); err == nil || !strings.Contains(err.Error(), "no restore was ever tried") {
		t.Errorf("before any drill: got %v", err)
	}
	backUp(t, s)

	t.Run("green", func(t *testing.T) {
		r, err := x.Drill(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range r.Checks {
			t.Logf("%s: %s", c.Name, c.Detail)
			names = append(names, c.Name)
		}
		if got := strings.Join(names, ", "); got != "classes, files, database database, mail mailboxes, keys tls, keys dkim" {
			t.Errorf("looked at %s", got)
		}
		if !r.Green || r.RTO <= 0 || r.Files == 0 {
			t.Errorf("got receipt %+v", r)
		}
		if err := x.PermitRisk(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Path("state/drill")); err == nil {
			t.Error("what the drill restored is still there")
		}
	})
	t.Run("a client which goes to the live server loads nothing", func(t *testing.T) {
		live := s.Config.Classes[3].Database.Socket
		s.Write(t, "bin/mariadb", "#!/bin/sh\nshift\nexec mariadb --no-defaults --user=root --socket="+live+" \"$@\"\n")
		if err := os.Chmod(s.Path("bin/mariadb"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.Config.Drill.Client = s.Path("bin/mariadb")
		r, err := s.Executor(t).Drill(t.Context())
		s.Config.Drill.Client = need.Program(t, "mariadb")
		if r == nil || r.Green || !strings.Contains(err.Error(), "not to the throw-away one") {
			t.Errorf("got %+v, %v", r, err)
		}
		time.Sleep(time.Second) // receipts are named by the second
		if _, err := x.Drill(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("an old receipt permits nothing", func(t *testing.T) {
		later := s.Executor(t)
		later.Now = func() time.Time { return time.Now().AddDate(0, 0, 46) }
		if err := later.PermitRisk(); err == nil || !strings.Contains(err.Error(), "days old") {
			t.Errorf("got %v", err)
		}
	})
	for name, c := range map[string]struct {
		damage func()
		says   string
	}{
		"key lost": {func() { os.Remove(s.Path("dkim/example.com.mail2026.key")) }, "no private key came back"},
		"certificate of another key": {func() {
			old, _ := os.ReadFile(s.Path("tls/fullchain.pem"))
			writeKeys(t, s)
			os.WriteFile(s.Path("tls/fullchain.pem"), old, 0o600)
		}, "has no private key"},
	} {
		t.Run(name, func(t *testing.T) {
			c.damage()
			backUp(t, s)
			r, err := x.Drill(t.Context())
			if r == nil || r.Green || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %+v, %v; want red and %q", r, err, c.says)
			}
			if err := x.PermitRisk(); err == nil {
				t.Error("a red drill permits risk")
			}
			writeKeys(t, s)
		})
	}
	t.Run("flipped byte in the bucket", func(t *testing.T) {
		backUp(t, s)
		packs, err := filepath.Glob(filepath.Join(server.Data, "copies/packs/*/*.age"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range packs {
			backuptest.FlipByte(t, path)
		}
		r, err := x.Drill(t.Context())
		if r == nil || r.Green || !strings.Contains(err.Error(), "drill: files:") {
			t.Errorf("got %+v, %v; want red", r, err)
		}
	})
	t.Run("forged receipt", func(t *testing.T) {
		receipts, err := filepath.Glob(s.Path("state/drills/*"))
		if err != nil {
			t.Fatal(err)
		}
		newest := receipts[len(receipts)-1]
		data, err := os.ReadFile(newest)
		if err != nil {
			t.Fatal(err)
		}
		forged := strings.Replace(strings.ReplaceAll(string(data), `"ok":false`, `"ok":true`), `"green":false`, `"green":true`, 1)
		if err := os.WriteFile(newest, []byte(forged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := drill.Latest(s.Config.State, s.Executor(t).Store().Trusted); err == nil || !strings.Contains(err.Error(), "trusted key") {
			t.Errorf("got %v", err)
		}
	})
}
