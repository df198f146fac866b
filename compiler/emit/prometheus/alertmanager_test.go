package prometheus_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/prometheus"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
	"github.com/mailplan/mailplan/test/stack"
)

const awkward = `p'a"ss\ #: {1}` // a password that YAML could take for more than text

// filled is the configuration with its secrets, as apply writes it; empty where none is emitted.
func filled(t *testing.T, s *model.Site, hook string) string {
	t.Helper()
	values := map[string]string{s.Relay.Password.Secret: awkward, "ALERT_URL": hook}
	for _, f := range emittest.Emit(t, prometheus.Files, s) {
		if filepath.Base(f.Path) == "mailplan.alertmanager.yml" {
			return string(f.Fill(func(name string) string { return values[name] }))
		}
	}
	return ""
}

// write keeps the configuration in a folder of its own.
func write(t *testing.T, config string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAlertmanagerAccepted has amtool check the configuration for every way of telling.
func TestAlertmanagerAccepted(t *testing.T) {
	amtool := need.Program(t, "amtool")
	hook := &model.SecretRef{Secret: "ALERT_URL"}
	for name, change := range map[string]func(s *model.Site){
		"email":   func(s *model.Site) {},
		"both":    func(s *model.Site) { s.Monitoring.Alerts.Webhook = hook },
		"webhook": func(s *model.Site) { s.Monitoring.Alerts = model.Alerts{Webhook: hook} },
		"465":     func(s *model.Site) { s.Relay.Port, s.Relay.TLS = 465, "encrypt" },
	} {
		t.Run(name, func(t *testing.T) {
			s := emittest.Site()
			change(s)
			config := filled(t, s, "https://alerts.example/hook?key=a#b")
			if out, err := exec.Command(amtool, "check-config", write(t, config)).CombinedOutput(); err != nil {
				t.Fatalf("amtool: %v\n%s\n%s", err, out, config)
			}
			var read struct {
				Global struct {
					Password string `yaml:"smtp_auth_password"`
					TLS      bool   `yaml:"smtp_require_tls"`
				}
			}
			if err := yaml.Unmarshal([]byte(config), &read); err != nil {
				t.Fatal(err)
			}
			email := s.Monitoring.Alerts.Email != ""
			if email != (read.Global.Password == awkward) || read.Global.TLS != (email && s.Relay.Port != 465) {
				t.Errorf("mail leaves by %+v", read.Global)
			}
		})
	}
}

// TestInhibited: whoever renames an alert renames it there, too.
func TestInhibited(t *testing.T) {
	s := emittest.Site()
	known := alerts(t, lay(t, s))
	for _, named := range regexp.MustCompile(`Mail[A-Z]\w+`).FindAllString(filled(t, s, ""), -1) {
		if !slices.Contains(known, named) {
			t.Errorf("there is no alert %s", named)
		}
	}
}

// TestAlertmanagerUnasked: who declares no way gets no file that sends nothing.
func TestAlertmanagerUnasked(t *testing.T) {
	s := emittest.Site()
	s.Monitoring.Alerts = model.Alerts{}
	if config := filled(t, s, ""); config != "" {
		t.Error(config)
	}
}

// TestTells runs Alertmanager by the emitted configuration: people hear of alerts both ways, and not of what follows from them.
func TestTells(t *testing.T) {
	program := need.Program(t, "prometheus-alertmanager", "alertmanager")
	heard := make(chan []string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- told(t, r.Body) }))
	defer hook.Close()
	s := emittest.Site()
	s.Monitoring.Alerts.Webhook = &model.SecretRef{Secret: "ALERT_URL"}
	s.Relay.Host, s.Relay.Port, s.Relay.TLS = "127.0.0.1", daemon.FreePort(t), "encrypt"
	relay := stack.StartSmarthost(t, net.JoinHostPort(s.Relay.Host, strconv.Itoa(s.Relay.Port)), "relay.example", daemon.NewAuthority(t), s.Relay.Username, awkward)

	config := strings.NewReplacer("group_wait: 30s", "group_wait: 1s", "group_wait: 10m", "group_wait: 1s").Replace(filled(t, s, hook.URL))
	api := start(t, program, write(t, config))
	label := func(name, severity, path string) map[string]any {
		return map[string]any{"labels": map[string]string{"alertname": name, "severity": severity, "path": path, "site": s.Name}}
	}
	post(t, api, label("MailDiskLow", "page", "/mnt/ssd"), label("MailDiskFilling", "ticket", "/mnt/ssd"), label("MailDiskFilling", "ticket", "/mnt/hdd"))

	var got []string
	for range 2 {
		select {
		case more := <-heard:
			got = append(got, more...)
		case <-time.After(30 * time.Second):
			t.Fatalf("the webhook heard of %q only", got)
		}
	}
	slices.Sort(got)
	if want := []string{"MailDiskFilling /mnt/hdd", "MailDiskLow /mnt/ssd"}; !slices.Equal(got, want) {
		t.Errorf("the webhook heard of %q, want %q", got, want)
	}
	for range 100 {
		if len(relay.Sent()) == 2 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	sent := relay.Sent()
	if len(sent) != 2 {
		t.Fatalf("%d messages came to the relay, want 2", len(sent))
	}
	for _, m := range sent {
		if m.From != "postmaster@"+s.MainDomain() || !slices.Equal(m.To, []string{s.Monitoring.Alerts.Email}) || !bytes.Contains(m.Data, []byte("MailDisk")) {
			t.Errorf("from %s to %s: %s", m.From, m.To, m.Data)
		}
	}
}

// told are the alerts of one call of the webhook.
func told(t *testing.T, body io.Reader) (alerts []string) {
	var call struct {
		Alerts []struct{ Labels map[string]string }
	}
	if err := json.NewDecoder(body).Decode(&call); err != nil {
		t.Error(err)
	}
	for _, a := range call.Alerts {
		alerts = append(alerts, a.Labels["alertname"]+" "+a.Labels["path"])
	}
	return alerts
}

// start runs Alertmanager until the test ends and returns where it takes alerts.
func start(t *testing.T, program, config string) (api string) {
	t.Helper()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(daemon.FreePort(t)))
	cmd := exec.Command(program, "--config.file="+config, "--storage.path="+t.TempDir(), "--web.listen-address="+address, "--cluster.listen-address=")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for range 100 {
		if resp, err := http.Get("http://" + address + "/-/ready"); err == nil {
			resp.Body.Close()
			return "http://" + address + "/api/v2/alerts"
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("Alertmanager does not start")
	return ""
}

// post hands alerts over as Prometheus does.
func post(t *testing.T, api string, alerts ...map[string]any) {
	t.Helper()
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(api, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}
