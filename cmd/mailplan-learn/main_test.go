package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLearn(t *testing.T) {
	var path, password, user, body string
	code := http.StatusOK
	controller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		path, password, user, body = r.URL.Path, r.Header.Get("Password"), r.Header.Get("Deliver-To"), string(b)
		w.WriteHeader(code)
	}))
	defer controller.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"MAILPLAN_LEARN_URL": controller.URL + "/", "MAILPLAN_LEARN_PASSWORD_FILE": file}
	do := func(args ...string) (int, string) {
		var stderr bytes.Buffer
		exit := run(args, func(k string) string { return env[k] }, strings.NewReader("Subject: x\r\n\r\n\xff"), &stderr)
		return exit, stderr.String()
	}
	for status, want := range map[int]int{200: 0, 204: 0, 208: 0, 401: exTempFail, 500: exTempFail} {
		code = status
		if exit, said := do("spam", "alice@example.com"); exit != want || strings.Contains(said, "s3cret") {
			t.Errorf("controller says %d: exit %d, want %d: %s", status, exit, want, said)
		}
	}
	if path != "/learnspam" || password != "s3cret" || user != "alice@example.com" || body != "Subject: x\r\n\r\n\xff" {
		t.Errorf("controller got %q %q %q %q", path, password, user, body)
	}
	code = 200
	if exit, _ := do("ham"); exit != 0 || path != "/learnham" {
		t.Errorf("ham: exit %d, path %s", exit, path)
	}
	if exit, _ := do("eggs"); exit != exUsage {
		t.Errorf("wrong class: exit %d", exit)
	}
	env["MAILPLAN_LEARN_PASSWORD_FILE"] = file + ".not"
	if exit, _ := do("ham"); exit != exTempFail {
		t.Errorf("no password: exit %d", exit)
	}
}

// TestLearnWhileThePasswordRotates offers the controller the value that comes next, or the one that went before.
func TestLearnWhileThePasswordRotates(t *testing.T) {
	for _, suffix := range []string{".next", ".previous"} {
		good := "old"
		controller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, _ := io.ReadAll(r.Body); r.Header.Get("Password") != good || string(b) != "Subject: x" {
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		defer controller.Close()
		file := filepath.Join(t.TempDir(), "password")
		for name, value := range map[string]string{file: "old", file + suffix: "other"} {
			if err := os.WriteFile(name, []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		do := func() int {
			return run([]string{"-url", controller.URL, "-password-file", file, "ham"}, os.Getenv, strings.NewReader("Subject: x"), io.Discard)
		}
		for password, want := range map[string]int{"old": 0, "other": 0, "third": exTempFail} {
			good = password
			if exit := do(); exit != want {
				t.Errorf("%s: the controller takes %s: exit %d, want %d", suffix, password, exit, want)
			}
		}
	}
}
