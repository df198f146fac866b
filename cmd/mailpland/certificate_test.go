package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/certificate"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/acme"
	"github.com/mailplan/mailplan/test/mailstore"
)

// TestCertificateOnTheHost: status, placeholder, then the daemon has one issued, tells the servers and shows it to Prometheus.
func TestCertificateOnTheHost(t *testing.T) {
	edge, err := cloudflare.New(t.TempDir(), cloudflare.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edge.AddZone("example.com", cloudflare.Free); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(edge)
	t.Cleanup(web.Close)
	pebble := acme.Start(t, acme.Options{Texts: edge.TXT})
	s := backuptest.NewSite(t)
	conf := config.Config{Health: &config.Health{Listen: mailstore.FreeAddress(t)},
		Certificate: &config.Certificate{Names: []string{"imap.example.com", "smtp.example.com"}, Folder: s.Path("tls-live"), UID: -1,
			State: s.Path("certificate-state"), WarnDays: 21, Reload: s.Path("reload"),
			ACME: &config.ACME{Directory: pebble.Directory, Mark: "mailplan-acme home", Zones: []string{"example.com"}, TokenFile: s.Path("dns-token")}}}
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "mailpland.json", string(text))
	s.Write(t, "dns-token", token+"\n")
	s.Write(t, "reload", "#!/bin/sh\necho told >>"+s.Path("told")+"\n")
	if err := os.Chmod(s.Path("reload"), 0o755); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], append(args, "--config", s.Path("mailpland.json"))...)
		cmd.Env = append(os.Environ(), "MAILPLAND_MAIN=1", "SSL_CERT_FILE="+pebble.Trust,
			"MAILPLAN_CLOUDFLARE_URL="+web.URL+strings.TrimPrefix(cloudflare.BaseURL, "http://cloudflare.sandbox"))
		return cmd
	}
	status := func(want string, code int, args ...string) {
		t.Helper()
		out, err := command(append([]string{"certificate", "--json"}, args...)...).Output()
		exited := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			exited = exit.ExitCode()
		}
		var got certificate.Status
		if json.Unmarshal(out, &got) != nil || got.State != want || exited != code {
			t.Fatalf("%v: %v, %+v: %s", args, err, got, out)
		}
	}
	status("missing", 1, "--status")
	status("placeholder", 0, "--placeholder")
	status("placeholder", 1, "--status")

	daemon := command("certificate")
	var said bytes.Buffer
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	eventually(t, func() error { return has("http://"+conf.Health.Listen+"/metrics", "mailpland_certificate_usable 1") })
	eventually(t, func() error { return has("http://"+conf.Health.Listen+"/metrics", "mailpland_certificate_served 1") })
	if told, err := os.ReadFile(s.Path("told")); err != nil || string(told) != "told\n" {
		t.Errorf("servers were told %q, %v; want once, of the certificate", told, err)
	}
	status("good", 0, "--status")
	out, err := command("certificate", "--once").Output()
	if err != nil || !strings.HasPrefix(string(out), "good: imap.example.com, smtp.example.com; by ") {
		t.Errorf("once: %v: %s", err, out)
	}
	_ = daemon.Process.Signal(os.Interrupt)
	if err := daemon.Wait(); err != nil {
		t.Errorf("told to stop: %v", err)
	}
	if strings.Contains(said.String()+string(out), token) {
		t.Error("the token is told")
	}
}
