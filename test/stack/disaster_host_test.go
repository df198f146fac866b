//go:build stack

package stack_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/secrets"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/inbound"
	"github.com/mailplan/mailplan/test/stack"
)

func (d *disaster) begin() {
	d.bucket = backuptest.StartS3(d.root, "all-that-is-left")
	d.edit(`backup: {local:`, `backup: {offsite: s3: {bucket: "all-that-is-left", region: "us-east-1", endpoint: "`+d.bucket.Endpoint+`", lock: days: 1}, local:`)
	d.edit("edge: {", "edge: {spool: enabled: true, ")
	d.edit("dave: {}", "dave: {}\n\t\terin: {}")
	d.load()
	d.credentials()
	d.connector()
	d.certify()
	d.bridge()
	d.run(0, "apply")
	d.people()
	d.teach()
	d.door = stack.Door(d.root, "in.example.org", d.address("cloudflared", "web")+":8080")
	d.worker = inbound.StartWorker(d.root, d.site.Model, inbound.Settings{URL: d.door,
		Token: d.secret("MAILSERVER_API_TOKEN"), SigningKey: d.secret("INGEST_SIGNING_KEY"), Timeout: 5 * time.Second, Spool: true, Rest: 15 * time.Second})
	d.meanwhile("in good times", 5)
	d.arrived("in good times", 5)
}

func (d *disaster) address(service, network string) string {
	d.t.Helper()
	a, err := d.site.Model.ServiceAddress(service, network)
	if err != nil {
		d.t.Fatal(err)
	}
	return a.String()
}

func (d *disaster) store() *secrets.Store {
	d.t.Helper()
	store, err := secrets.Open(d.dir, d.site.Model, func(name string) string {
		if name == "SOPS_AGE_KEY_FILE" {
			return d.key
		}
		return d.getenv(name)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return store
}

func (d *disaster) secret(name string) string {
	d.t.Helper()
	v, err := d.store().Value(name)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// credentials are those of the bucket: in the site's repository, as all secrets are.
func (d *disaster) credentials() {
	d.t.Helper()
	d.key = filepath.Join(d.root.TempDir(), "key.txt")
	if err := os.WriteFile(d.key, []byte(d.getenv("SOPS_AGE_KEY")+"\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	store := d.store()
	err := errors.Join(store.Set("AWS_ACCESS_KEY_ID", "backup"), store.Set("AWS_SECRET_ACCESS_KEY", "backupsecret"), store.Save(time.Now()))
	if err != nil {
		d.t.Fatal(err)
	}
}

// connector gives the stand-in of cloudflared the ingress that Cloudflare would hand over.
func (d *disaster) connector() {
	d.t.Helper()
	image, dir := d.site.Model.Containers.Cloudflared.Reference(), d.t.TempDir()
	text, err := os.ReadFile("testdata/images/tunnel.json")
	if err != nil {
		d.t.Fatal(err)
	}
	tree, err := d.site.Tree()
	if err != nil {
		d.t.Fatal(err)
	}
	if f, ok := tree.Lookup("services/mailserver/edge/tunnel.json"); ok {
		text = f.Content
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "tunnel.json"), text, 0o644),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+image+"\nCOPY tunnel.json /etc/cloudflared/tunnel.json\n"), 0o644)); err != nil {
		d.t.Fatal(err)
	}
	d.docker.Must(dir, "build", "--quiet", "--network", "none", "--tag", image, ".")
}

// certify replaces the certificate by one of an authority that the test's mail programs trust.
func (d *disaster) certify() {
	d.t.Helper()
	d.cert = daemon.NewAuthority(d.root)
	chain, key := d.cert.Issue("imap.example.org", "localhost")
	for name, text := range map[string]string{"fullchain.pem": chain, "privkey.pem": key} {
		path := filepath.Join("/mnt/ssd/tls", name)
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte(text), 0o400), os.Chown(path, 1000, 1000)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// people set passwords of their own: dave his first, carol one for her telephone.
func (d *disaster) people() {
	d.t.Helper()
	d.daves, d.app = "daves-own-"+rand.Text(), strings.ToLower(rand.Text())
	set := func(password, statement string) {
		hash := strings.TrimSpace(d.compose("exec", "--no-TTY", "dovecot", "doveadm", "pw", "-s", "SSHA512", "-p", password))
		d.sql(fmt.Sprintf(statement, hash))
	}
	set(d.daves, "UPDATE users SET password_hash = '%s' WHERE email IN ('dave@example.org', 'erin@example.org')")
	digest := sha256.Sum256([]byte(d.app))
	set(d.app, "INSERT INTO app_passwords (user_id, name, selector, password_hash) SELECT id, 'telephone', '"+hex.EncodeToString(digest[:2])+
		"', '%s' FROM users WHERE email = 'carol@example.org'")
}

// programs are the mail programs of all who have mail.
func (d *disaster) programs() map[string]stack.Client {
	config := &tls.Config{RootCAs: d.cert.Pool(), ServerName: "imap.example.org"}
	person := func(name, password string) stack.Client {
		return stack.Client{Address: "100.64.0.10", TLS: config, User: name + "@example.org", Password: password}
	}
	return map[string]stack.Client{"carol": person("carol", "carols-password-"+canary), "telephone": person("carol", d.app),
		"dave": person("dave", d.daves), "erin": person("erin", d.daves)}
}

// fill lays messages into three mailboxes until there are n, of the sizes that mail has, and marks them as people do.
func (d *disaster) fill(n int) {
	d.t.Helper()
	n -= d.filled
	round := strconv.Itoa(d.filled)[:1]
	d.filled += n
	folders := []string{"", ".Archive", ".Sent"}
	users := []string{"carol", "dave", "erin"}
	site := backuptest.NewSite(d.t)
	site.AddMail(d.t, n)
	i := 0
	err := filepath.WalkDir(site.Path("vmail/example.org"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		dir := filepath.Join("/mnt/hdd/mailboxes/example.org", users[i%3], "Maildir", folders[i/3%3])
		name := filepath.Join(dir, filepath.Base(filepath.Dir(path)), round+filepath.Base(path))
		i++
		if err := maildir(dir); err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		data = bytes.Replace(data, []byte("@example.net"), []byte("@exampl"+round+".net"), 1)
		return errors.Join(err, os.WriteFile(name, data, 0o600), os.Chown(name, 1000, 1000))
	})
	if err != nil || i != n {
		d.t.Fatalf("%d messages: %v", i, err)
	}
	for name, client := range d.programs() {
		for every, flag := range map[int]string{3: `\Flagged`, 5: "$Forwarded", 7: "Invoice", 2: `\Answered`} {
			if err := errors.Join(client.Mark("INBOX", flag, every), client.Mark("Archive", flag, every+1)); err != nil {
				d.t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// maildir makes the folders of a Maildir, all of vmail.
func maildir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	return exec.Command("chown", "-R", "1000:1000", filepath.Join("/mnt/hdd/mailboxes/example.org")).Run()
}

// teach has the filter learn.
func (d *disaster) teach() {
	d.t.Helper()
	for i, kind := range []string{"learn_spam", "learn_ham", "learn_spam", "learn_ham"} {
		words := strings.Fields("harbour lantern orchard pebble violin window marble copper willow candle")
		text := letter("writer@partner.example", fmt.Sprintf("lesson %d", i)) + strings.Join(words[i:], " more ") + "\r\n"
		if out, err := d.docker.Run(d.t.Context(), strings.NewReader(text), "docker", "exec", "--interactive", "applied-rspamd-1", "rspamc",
			"--connect", "127.0.0.1:11334", "--password", d.secret("RSPAMD_CONTROLLER_PASSWORD"), kind); err != nil {
			d.t.Fatalf("%s: %v: %s", kind, err, out)
		}
	}
}

// tokens is a text of all that the classifier knows.
func (d *disaster) tokens() string {
	d.t.Helper()
	const script = `local out = {}
for _, k in ipairs(redis.call('KEYS', 'RS*')) do
	local kind = redis.call('TYPE', k).ok
	local v = {}
	if kind == 'hash' then v = redis.call('HGETALL', k) elseif kind == 'set' then v = redis.call('SMEMBERS', k) elseif kind == 'string' then v = {redis.call('GET', k)} end
	out[#out + 1] = k .. ' ' .. kind .. ' ' .. table.concat(v, ',')
end
table.sort(out)
return table.concat(out, '\n')`
	out, err := d.docker.Run(d.t.Context(), nil, "docker", "exec", "--env", "REDISCLI_AUTH="+d.secret("REDIS_PASSWORD"), "applied-redis-1",
		"redis-cli", "--no-auth-warning", "--raw", "EVAL", script, "0")
	if err != nil {
		d.t.Fatal(err)
	}
	return string(out)
}

func (d *disaster) signingKey() string {
	d.t.Helper()
	key, err := os.ReadFile("/srv/mailserver/config/rspamd/dkim/example.org.m1.key")
	if err != nil {
		d.t.Fatal(err)
	}
	return string(key)
}
