package cloudflare

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// script is one Worker with its current version.
type script struct {
	Name     string    `json:"name"`
	Tag      string    `json:"tag"`
	Etag     string    `json:"etag"`
	Handlers []string  `json:"handlers"`
	Modules  []module  `json:"modules"`
	Meta     metadata  `json:"meta"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	// WorkersDev tells whether the Worker has a public workers.dev address; a
	// new one has.
	WorkersDev bool `json:"workers_dev"`
	Previews   bool `json:"previews"`
}

type module struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Content     []byte `json:"content"`
}

// metadata is the part of that name of an upload.
type metadata struct {
	MainModule         string            `json:"main_module"`
	CompatibilityDate  string            `json:"compatibility_date"`
	CompatibilityFlags []string          `json:"compatibility_flags"`
	Bindings           []binding         `json:"bindings"`
	KeepBindings       []string          `json:"keep_bindings,omitempty"`
	Tags               []string          `json:"tags"`
	Annotations        map[string]string `json:"annotations,omitempty"`
	Observability      map[string]any    `json:"observability,omitempty"`
	Limits             map[string]any    `json:"limits,omitempty"`
	Logpush            bool              `json:"logpush"`
}

// binding is one binding by its fields. The text of a secret is kept as a
// digest only, so that no state file ever holds one.
type binding map[string]any

func (b binding) text(field string) string {
	s, _ := b[field].(string)
	return s
}

var bindingName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

func (a *account) hasScript(name string) bool { return a.script(name) != nil }

func (a *account) script(name string) *script {
	i := slices.IndexFunc(a.Scripts, func(s script) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &a.Scripts[i]
}

// pathScript returns the account and the script named in the path.
func (c *call) pathScript(edit bool) (*account, *script, error) {
	a, err := c.ownAccount(edit)
	if err != nil {
		return nil, nil, err
	}
	s := a.script(c.r.PathValue("name"))
	if s == nil {
		return nil, nil, notFound(10007, "This Worker does not exist on your account.")
	}
	return a, s, nil
}

// bindingTarget names the field of each type that must name an existing object.
var bindingTarget = map[string]string{
	"plain_text": "text", "secret_text": "text", "r2_bucket": "bucket_name", "queue": "queue_name",
	"service": "service", "vpc_service": "service_id", "send_email": "", "version_metadata": "",
}

// checkBinding validates one binding against the account.
func (a *account) checkBinding(b binding) error {
	field, known := bindingTarget[b.text("type")]
	switch name := b.text("name"); {
	case !known:
		return refuse(10021, "binding %s has the unknown type %q", name, b.text("type"))
	case !bindingName.MatchString(name):
		return refuse(10021, "%q is not a valid binding name", name)
	case field != "" && b.text("type") != "plain_text" && b.text(field) == "":
		return refuse(10021, "binding %s of type %s must have a valid `%s` specified", name, b.text("type"), field)
	}
	target := b.text(field)
	switch b.text("type") {
	case "plain_text":
		if len(target) > 5120 {
			return refuse(10054, "Text binding %s exceeds the limit of 5 KB", b.text("name"))
		}
	case "r2_bucket":
		if a.bucket(target) == nil {
			return refuse(10085, "R2 bucket '%s' not found. Please use a different name and try again.", target)
		}
	case "queue":
		if a.queueNamed(target) == nil {
			return refuse(11000, "Queue '%s' does not exist.", target)
		}
	case "service":
		if !a.hasScript(target) {
			return refuse(10144, "Service binding '%s' references Worker '%s' which was not found.", b.text("name"), target)
		}
	}
	return nil
}

// settleBindings checks the bindings of an upload, carries over those it keeps and
// replaces the text of secrets with digests.
func (a *account) settleBindings(m *metadata, old *script) error {
	names := map[string]bool{}
	for i, b := range m.Bindings {
		if err := a.checkBinding(b); err != nil {
			return err
		}
		if names[b.text("name")] {
			return refuse(10021, "binding %s is given twice", b.text("name"))
		}
		names[b.text("name")] = true
		if b.text("type") == "secret_text" {
			m.Bindings[i] = secretBinding(b.text("name"), b.text("text"))
		}
	}
	if old == nil {
		return nil
	}
	for _, b := range old.Meta.Bindings {
		if slices.Contains(m.KeepBindings, b.text("type")) && !names[b.text("name")] {
			m.Bindings = append(m.Bindings, b)
		}
	}
	return nil
}

func secretBinding(name, text string) binding {
	return binding{"type": "secret_text", "name": name, "digest": digest([]byte(text))}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// HasSecret tells whether a Worker holds a secret of this text.
func (s *Server) HasSecret(worker, name, text string) bool {
	found := false
	s.seed(func(c *call) error {
		a, err := c.account()
		if err != nil {
			return err
		}
		w := a.script(worker)
		found = w != nil && slices.ContainsFunc(w.Meta.Bindings, func(b binding) bool {
			return b.text("name") == name && b.text("digest") == digest([]byte(text))
		})
		return nil
	})
	return found
}

// visible hides the digests of secrets, as the provider shows neither.
func visible(bindings []binding) []binding {
	out := []binding{}
	for _, b := range bindings {
		if b.text("type") == "secret_text" {
			b = binding{"type": "secret_text", "name": b["name"]}
		}
		out = append(out, b)
	}
	return out
}

// summary is what the list of scripts shows.
func (s *script) summary() map[string]any {
	return map[string]any{
		"id": s.Name, "tag": s.Tag, "etag": s.Etag, "handlers": s.Handlers, "tags": s.Meta.Tags,
		"compatibility_date": s.Meta.CompatibilityDate, "compatibility_flags": s.Meta.CompatibilityFlags,
		"has_modules": true, "has_assets": false, "logpush": s.Meta.Logpush, "usage_model": "standard",
		"created_on": s.Created, "modified_on": s.Modified, "last_deployed_from": "api",
	}
}

func listScripts(c *call) (any, error) {
	a, err := c.ownAccount(false)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for i := range a.Scripts {
		out = append(out, a.Scripts[i].summary())
	}
	return out, nil
}

func scriptSettings(c *call) (any, error) {
	_, s, err := c.pathScript(false)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"bindings": visible(s.Meta.Bindings), "compatibility_date": s.Meta.CompatibilityDate,
		"compatibility_flags": s.Meta.CompatibilityFlags, "tags": s.Meta.Tags, "usage_model": "standard",
		"annotations": s.Meta.Annotations, "observability": s.Meta.Observability, "limits": s.Meta.Limits,
		"logpush": s.Meta.Logpush, "placement": map[string]any{}, "tail_consumers": []string{},
	}, nil
}

func deleteScript(c *call) (any, error) {
	a, s, err := c.pathScript(true)
	if err != nil {
		return nil, err
	}
	force := c.r.URL.Query().Get("force") == "true"
	for _, q := range a.Queues {
		if slices.ContainsFunc(q.Consumers, func(o consumer) bool { return o.Script == s.Name }) && !force {
			return nil, conflict(10064, "This Worker is a consumer of the queue %s; remove the consumer first.", q.Name)
		}
	}
	for i := range a.Queues {
		a.Queues[i].Consumers = slices.DeleteFunc(a.Queues[i].Consumers, func(o consumer) bool { return o.Script == s.Name })
	}
	name := s.Name
	a.Scripts = slices.DeleteFunc(a.Scripts, func(o script) bool { return o.Name == name })
	return deleted{name}, nil
}

func listSecrets(c *call) (any, error) {
	_, s, err := c.pathScript(false)
	if err != nil {
		return nil, err
	}
	secrets := slices.DeleteFunc(visible(s.Meta.Bindings), func(b binding) bool { return b.text("type") != "secret_text" })
	return secrets, nil
}

func putSecret(c *call) (any, error) {
	a, s, err := c.pathScript(true)
	if err != nil {
		return nil, err
	}
	var in struct{ Name, Text, Type string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	b := binding{"type": in.Type, "name": in.Name, "text": in.Text}
	if in.Type != "secret_text" {
		return nil, refuse(10021, "type must be secret_text")
	}
	if err := a.checkBinding(b); err != nil {
		return nil, err
	}
	s.dropBinding(in.Name)
	s.Meta.Bindings = append(s.Meta.Bindings, secretBinding(in.Name, in.Text))
	s.Modified = c.s.now()
	return binding{"type": in.Type, "name": in.Name}, nil
}

func (s *script) dropBinding(name string) bool {
	before := len(s.Meta.Bindings)
	s.Meta.Bindings = slices.DeleteFunc(s.Meta.Bindings, func(b binding) bool { return b.text("name") == name })
	return len(s.Meta.Bindings) < before
}

func deleteSecret(c *call) (any, error) {
	_, s, err := c.pathScript(true)
	if err != nil {
		return nil, err
	}
	if !s.dropBinding(c.r.PathValue("secret")) {
		return nil, notFound(10056, "Binding %s not found", c.r.PathValue("secret"))
	}
	return nil, nil
}

// subdomain reads, and with POST sets, whether the Worker is on workers.dev.
func subdomain(c *call) (any, error) {
	_, s, err := c.pathScript(c.r.Method == http.MethodPost)
	if err != nil {
		return nil, err
	}
	if c.r.Method == http.MethodPost {
		var in struct {
			Enabled  *bool `json:"enabled"`
			Previews *bool `json:"previews_enabled"`
		}
		if err := c.decode(&in); err != nil {
			return nil, err
		}
		if in.Enabled == nil {
			return nil, refuse(10021, "enabled is required")
		}
		set(&s.WorkersDev, in.Enabled)
		set(&s.Previews, in.Previews)
	}
	return map[string]bool{"enabled": s.WorkersDev, "previews_enabled": s.Previews}, nil
}

// handlersIn finds the handlers that a module's default export names.
func handlersIn(source string) []string {
	handlers := []string{}
	for _, h := range []string{"email", "fetch", "queue", "scheduled"} {
		if regexp.MustCompile(`(?m)\b` + h + `\s*[(:]`).MatchString(source) {
			handlers = append(handlers, h)
		}
	}
	if !strings.Contains(source, "export default") && !strings.Contains(source, "as default") {
		return nil
	}
	return handlers
}
