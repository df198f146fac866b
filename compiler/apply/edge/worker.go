package edge

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/cloudflare/cloudflare-go/v6/option"
	"github.com/cloudflare/cloudflare-go/v6/workers"
)

// Worker is a script with everything that an upload sets.
type Worker struct {
	Name string
	// Main names the module that holds the handlers.
	Main    string
	Modules []Module
	// CompatibilityDate pins the runtime's behaviour, as 2006-01-02.
	CompatibilityDate  string
	CompatibilityFlags []string
	// Bindings are sorted by name; secrets have no Value when read.
	Bindings []Binding
	// Tags carry the ownership mark.
	Tags []string
	// Handlers are what the provider found in the code: email, queue, fetch.
	// They are read only.
	Handlers []string
	// Etag is the provider's digest of the code. It is read only.
	Etag string
}

// Module is one file of a Worker.
type Module struct {
	Name string
	// Type is the media type, for JavaScript "application/javascript+module".
	Type    string
	Content []byte
}

// Binding gives the code a named value or object.
type Binding struct {
	Name string
	// Type is plain_text, secret_text, r2_bucket, queue, service, vpc_service,
	// send_email or version_metadata. Others are shown and can't be uploaded.
	Type string
	// Value is the text, or the name of the bucket, queue, Worker or service.
	Value string
}

// bindingField names the field that holds a binding's value.
var bindingField = map[string]string{
	"plain_text": "text", "secret_text": "text", "r2_bucket": "bucket_name", "queue": "queue_name",
	"service": "service", "vpc_service": "service_id", "send_email": "", "version_metadata": "",
}

// WorkerInfo is what the list of Workers shows of one.
type WorkerInfo struct {
	Name     string   `json:"id"`
	Etag     string   `json:"etag"`
	Tags     []string `json:"tags"`
	Handlers []string `json:"handlers"`
}

// Owner returns the site that the tags of a Worker name, or "".
func (w WorkerInfo) Owner() string {
	for _, tag := range w.Tags {
		if site := Owner(tag); site != "" {
			return site
		}
	}
	return ""
}

// Workers lists the account's Workers.
func (e *Edge) Workers(ctx context.Context) ([]WorkerInfo, error) {
	var p workers.ScriptListParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	// This list has no pages.
	all, err := result[[]WorkerInfo](func(opts ...option.RequestOption) error {
		_, err := e.scripts.List(ctx, p, opts...)
		return err
	})
	slices.SortFunc(all, func(a, b WorkerInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, naming(err, "list workers")
}

// Worker reads one Worker with its code: two calls. A Worker that does not
// exist is no error; it has no Main and no Modules.
func (e *Edge) Worker(ctx context.Context, info WorkerInfo) (Worker, error) {
	w := Worker{Name: info.Name, Tags: info.Tags, Handlers: info.Handlers, Etag: info.Etag}
	var p workers.ScriptScriptAndVersionSettingGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	type settings struct {
		Bindings           []map[string]any `json:"bindings"`
		CompatibilityDate  string           `json:"compatibility_date"`
		CompatibilityFlags []string         `json:"compatibility_flags"`
	}
	s, err := result[settings](func(opts ...option.RequestOption) error {
		_, err := e.scripts.ScriptAndVersionSettings.Get(ctx, info.Name, p, opts...)
		return err
	})
	if err != nil {
		return w, naming(removed(err), "read the settings of worker %s", info.Name)
	}
	w.CompatibilityDate, w.CompatibilityFlags = s.CompatibilityDate, s.CompatibilityFlags
	for _, b := range s.Bindings {
		w.Bindings = append(w.Bindings, readBinding(b))
	}
	sortBindings(w.Bindings)
	w.Modules, err = e.modules(ctx, info.Name)
	return w, naming(err, "read the code of worker %s", info.Name)
}

func readBinding(b map[string]any) Binding {
	text := func(field string) string { s, _ := b[field].(string); return s }
	out := Binding{Name: text("name"), Type: text("type")}
	if field := bindingField[out.Type]; field != "" {
		out.Value = text(field)
	}
	return out
}

func sortBindings(b []Binding) {
	slices.SortFunc(b, func(a, b Binding) int { return strings.Compare(a.Name, b.Name) })
}

func (e *Edge) modules(ctx context.Context, name string) ([]Module, error) {
	var p workers.ScriptContentGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	res, err := e.scripts.Content.Get(ctx, name, p)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return readModules(res)
}

// Upload replaces the code and the bindings of a Worker in one transaction, or
// makes it. Secrets named here are set; others that it holds stay. Calling it
// again changes nothing but the version's number.
func (e *Edge) Upload(ctx context.Context, w Worker, secrets map[string]string) (WorkerInfo, error) {
	var p workers.ScriptUpdateParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	contentType, body, err := w.upload(secrets)
	if err != nil {
		return WorkerInfo{}, naming(err, "upload worker %s", w.Name)
	}
	info, err := result[WorkerInfo](func(opts ...option.RequestOption) error {
		opts = append(opts, option.WithRequestBody(contentType, body))
		_, err := e.scripts.Update(ctx, w.Name, p, opts...)
		return err
	})
	return info, naming(err, "upload worker %s", w.Name)
}

// DeleteWorker removes a Worker; the provider refuses while a queue feeds it.
func (e *Edge) DeleteWorker(ctx context.Context, name string) error {
	var p workers.ScriptDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.scripts.Delete(ctx, name, p, opts...)
		return err
	})
	return naming(removed(err), "delete worker %s", name)
}

// SetSecret sets one secret of a Worker without touching its code.
func (e *Edge) SetSecret(ctx context.Context, worker, name, value string) error {
	var p workers.ScriptSecretUpdateParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	body, err := jsonBody(map[string]string{"name": name, "text": value, "type": "secret_text"})
	if err != nil {
		return err
	}
	err = discard(func(opts ...option.RequestOption) error {
		_, err := e.scripts.Secrets.Update(ctx, worker, p, append(opts, body)...)
		return err
	})
	return naming(err, "set secret %s of worker %s", name, worker)
}

// DeleteSecret removes one secret of a Worker.
func (e *Edge) DeleteSecret(ctx context.Context, worker, name string) error {
	var p workers.ScriptSecretDeleteParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	err := discard(func(opts ...option.RequestOption) error {
		_, err := e.scripts.Secrets.Delete(ctx, worker, name, p, opts...)
		return err
	})
	return naming(removed(err), "delete secret %s of worker %s", name, worker)
}

// workersDev is the answer about a Worker's public workers.dev address.
type workersDev struct {
	Enabled  bool `json:"enabled"`
	Previews bool `json:"previews_enabled"`
}

// Public tells whether a Worker answers on its workers.dev address, or its
// previews do. A new Worker does.
func (e *Edge) Public(ctx context.Context, worker string) (bool, error) {
	var p workers.ScriptSubdomainGetParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	s, err := result[workersDev](func(opts ...option.RequestOption) error {
		_, err := e.scripts.Subdomain.Get(ctx, worker, p, opts...)
		return err
	})
	return s.Enabled || s.Previews, naming(err, "read the workers.dev state of worker %s", worker)
}

// SetPublic opens or closes a Worker's workers.dev address and previews.
func (e *Edge) SetPublic(ctx context.Context, worker string, public bool) error {
	var p workers.ScriptSubdomainNewParams
	p.AccountID.Value, p.AccountID.Present = e.account, true
	p.Enabled.Value, p.Enabled.Present = public, true
	p.PreviewsEnabled.Value, p.PreviewsEnabled.Present = public, true
	err := again(ctx, e, func() error {
		return discard(func(opts ...option.RequestOption) error {
			_, err := e.scripts.Subdomain.New(ctx, worker, p, opts...)
			return err
		})
	})
	return naming(err, "set the workers.dev state of worker %s", worker)
}

// isMultipart tells whether an answer holds modules or one plain script.
func isMultipart(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "multipart/")
}
