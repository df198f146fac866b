package edge

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const workerSource = `export default {
  async email(message, env) { await env.RETRY.send({}) },
  async queue(batch, env) {},
}
`

// mailWorker is a Worker as a mail system wants it.
func mailWorker() Worker {
	return Worker{
		Name: "mail-edge", Main: "worker.mjs", CompatibilityDate: "2026-11-01",
		Modules:            []Module{{"worker.mjs", "application/javascript+module", []byte(workerSource)}},
		CompatibilityFlags: []string{"nodejs_compat"},
		Bindings: []Binding{
			{Name: "HMAC", Type: "secret_text"},
			{Name: "INGEST", Type: "plain_text", Value: "https://ingest.example.com"},
			{Name: "RETRY", Type: "queue", Value: "mail-retry"},
			{Name: "SPOOL", Type: "r2_bucket", Value: "mail-spool"},
		},
		Tags: []string{Mark("site", "")},
	}
}

const secret = "canary-hmac-9d1e"

// withObjects makes what the Worker's bindings name.
func withObjects(t *testing.T, r *rig) Queue {
	t.Helper()
	ctx := context.Background()
	q, err := r.CreateQueue(ctx, "mail-retry")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateBucket(ctx, Bucket{Name: "mail-spool"}); err != nil {
		t.Fatal(err)
	}
	return q
}

func withWorker(t *testing.T, r *rig) Queue {
	t.Helper()
	q := withObjects(t, r)
	if _, err := r.Upload(context.Background(), mailWorker(), map[string]string{"HMAC": secret}); err != nil {
		t.Fatal(err)
	}
	return q
}

// readWorkers reads every Worker with its code and public state.
func readWorkers(ctx context.Context, r *rig) (any, error) {
	type state struct {
		Worker Worker
		Public bool
	}
	infos, err := r.Workers(ctx)
	var all []state
	for _, info := range infos {
		w, werr := r.Worker(ctx, info)
		public, perr := r.Public(ctx, info.Name)
		if werr != nil || perr != nil {
			return nil, werr
		}
		all = append(all, state{w, public})
	}
	return all, err
}

func readQueues(ctx context.Context, r *rig) (any, error) { return r.Queues(ctx) }

func TestWorkerReadsBackEqual(t *testing.T) {
	r := newRig(t)
	withWorker(t, r)
	ctx := context.Background()
	infos, err := r.Workers(ctx)
	if err != nil || len(infos) != 1 || infos[0].Owner() != "site" {
		t.Fatalf("%+v, %v", infos, err)
	}
	got, err := r.Worker(ctx, infos[0])
	if err != nil {
		t.Fatal(err)
	}
	want := mailWorker()
	want.Handlers, want.Etag, want.Main = []string{"email", "queue"}, got.Etag, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Digest() != want.Digest() {
		t.Error("the digest of the code changed on the way")
	}
	if !r.cf.HasSecret("mail-edge", "HMAC", secret) {
		t.Error("the secret did not arrive")
	}
}

// A second upload without secrets keeps them and drops other bindings.
func TestUploadKeepsSecrets(t *testing.T) {
	r := newRig(t)
	withWorker(t, r)
	ctx := context.Background()
	w := mailWorker()
	w.Bindings = w.Bindings[:3]
	if _, err := r.Upload(ctx, w, nil); err != nil {
		t.Fatal(err)
	}
	got, err := r.Worker(ctx, WorkerInfo{Name: w.Name})
	if err != nil || !slices.Equal(got.Bindings, w.Bindings) {
		t.Errorf("bindings %+v, %v; want %+v", got.Bindings, err, w.Bindings)
	}
	if !r.cf.HasSecret("mail-edge", "HMAC", secret) {
		t.Error("the secret is gone")
	}
}

func TestUploadRefusals(t *testing.T) {
	r := newRig(t)
	withObjects(t, r)
	for _, tc := range []struct {
		name   string
		change func(*Worker)
		want   string
	}{
		{"missing bucket", func(w *Worker) { w.Bindings[3].Value = "nowhere" }, "[10085]"},
		{"missing queue", func(w *Worker) { w.Bindings[2].Value = "nowhere" }, "[11000]"},
		{"main module not uploaded", func(w *Worker) { w.Main = "other.mjs" }, "No such module"},
		{"no handlers", func(w *Worker) { w.Modules[0].Content = []byte("export default {}") }, "No event handlers"},
		{"bad date", func(w *Worker) { w.CompatibilityDate = "tomorrow" }, "compatibility date"},
	} {
		w := mailWorker()
		tc.change(&w)
		_, err := r.Upload(context.Background(), w, map[string]string{"HMAC": secret})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %q and no secret", tc.name, err, tc.want)
		}
	}
}

func TestWorkerUnderFaults(t *testing.T) {
	underFaults(t, []operation{
		{name: "upload", pattern: "PUT /accounts/{account}/workers/scripts/{name}", state: readWorkers, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				withObjects(t, r)
				return func(ctx context.Context) error {
					_, err := r.Upload(ctx, mailWorker(), map[string]string{"HMAC": secret})
					return err
				}
			}},
		{name: "delete worker", pattern: "DELETE /accounts/{account}/workers/scripts/{name}", state: readWorkers,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				withWorker(t, r)
				return func(ctx context.Context) error { return r.DeleteWorker(ctx, "mail-edge") }
			}},
		{name: "set secret", pattern: "PUT /accounts/{account}/workers/scripts/{name}/secrets", state: readWorkers, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				withWorker(t, r)
				return func(ctx context.Context) error { return r.SetSecret(ctx, "mail-edge", "NEW", secret) }
			}},
		{name: "delete secret", pattern: "DELETE /accounts/{account}/workers/scripts/{name}/secrets/{secret}", state: readWorkers,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				withWorker(t, r)
				return func(ctx context.Context) error { return r.DeleteSecret(ctx, "mail-edge", "HMAC") }
			}},
		{name: "close workers.dev", pattern: "POST /accounts/{account}/workers/scripts/{name}/subdomain", state: readWorkers, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				withWorker(t, r)
				return func(ctx context.Context) error { return r.SetPublic(ctx, "mail-edge", false) }
			}},
	})
}

func TestQueuesUnderFaults(t *testing.T) {
	consumer := Consumer{Worker: "mail-edge", DeadLetter: "mail-dlq", BatchSize: 10, MaxRetries: 100, MaxWait: 5000, RetryDelay: 60, MaxConcurrency: 1}
	consumed := func(t *testing.T, r *rig) Queue {
		q := withWorker(t, r)
		if err := r.SetConsumer(context.Background(), q, consumer); err != nil {
			t.Fatal(err)
		}
		live, err := r.Queues(context.Background())
		if err != nil || live[0].Consumer == nil || live[0].Consumer.Worker != "mail-edge" {
			t.Fatalf("%+v, %v", live, err)
		}
		return live[0]
	}
	underFaults(t, []operation{
		{name: "create queue", pattern: "POST /accounts/{account}/queues", state: readQueues,
			setup: func(_ *testing.T, r *rig) func(context.Context) error {
				return func(ctx context.Context) error { _, err := r.CreateQueue(ctx, "mail-retry"); return err }
			}},
		{name: "update queue", pattern: "PATCH /accounts/{account}/queues/{queue}", state: readQueues, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				q := withObjects(t, r)
				q.Retention = 1209600
				return func(ctx context.Context) error { return r.UpdateQueue(ctx, q) }
			}},
		{name: "delete queue", pattern: "DELETE /accounts/{account}/queues/{queue}", state: readQueues,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				q := withObjects(t, r)
				return func(ctx context.Context) error { return r.DeleteQueue(ctx, q) }
			}},
		{name: "create consumer", pattern: "POST /accounts/{account}/queues/{queue}/consumers", state: readQueues,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				q := withWorker(t, r)
				return func(ctx context.Context) error { return r.SetConsumer(ctx, q, consumer) }
			}},
		{name: "update consumer", pattern: "PUT /accounts/{account}/queues/{queue}/consumers/{id}", state: readQueues, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				q := consumed(t, r)
				changed := consumer
				changed.MaxRetries = 7
				return func(ctx context.Context) error { return r.SetConsumer(ctx, q, changed) }
			}},
		{name: "delete consumer", pattern: "DELETE /accounts/{account}/queues/{queue}/consumers/{id}", state: readQueues,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				q := consumed(t, r)
				return func(ctx context.Context) error { return r.DeleteConsumer(ctx, q) }
			}},
	})
}

// A Worker that a queue feeds can't be deleted before its consumer.
func TestDeleteOrderOfWorkerAndConsumer(t *testing.T) {
	r := newRig(t)
	q := withWorker(t, r)
	ctx := context.Background()
	if err := r.SetConsumer(ctx, q, Consumer{Worker: "mail-edge", BatchSize: 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteWorker(ctx, "mail-edge"); err == nil {
		t.Error("deleted under its queue")
	}
}

func TestBucketUnderFaults(t *testing.T) {
	spool := Bucket{Name: "mail-spool", Location: "weur", Jurisdiction: "eu"}
	made := func(t *testing.T, r *rig) {
		if _, err := r.CreateBucket(context.Background(), spool); err != nil {
			t.Fatal(err)
		}
	}
	state := func(ctx context.Context, r *rig) (any, error) {
		b, ok, err := r.Bucket(ctx, spool)
		if err != nil || !ok {
			return nil, err
		}
		expiries, err := r.Expiries(ctx, b)
		return []any{b, expiries}, err
	}
	underFaults(t, []operation{
		{name: "create bucket", pattern: "POST /accounts/{account}/r2/buckets", state: state,
			setup: func(_ *testing.T, r *rig) func(context.Context) error {
				return func(ctx context.Context) error { _, err := r.CreateBucket(ctx, spool); return err }
			}},
		{name: "delete bucket", pattern: "DELETE /accounts/{account}/r2/buckets/{bucket}", state: state,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				made(t, r)
				return func(ctx context.Context) error { return r.DeleteBucket(ctx, spool) }
			}},
		{name: "lifecycle", pattern: "PUT /accounts/{account}/r2/buckets/{bucket}/lifecycle", state: state, repeats: true,
			setup: func(t *testing.T, r *rig) func(context.Context) error {
				made(t, r)
				return func(ctx context.Context) error {
					return r.SetExpiries(ctx, spool, "site", []Expiry{{ID: Mark("site", "spool"), MaxAge: 30 * 86400, Enabled: true}})
				}
			}},
	})
}

func TestExpiriesLeaveForeignRulesAlone(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	b := Bucket{Name: "mail-spool"}
	if _, err := r.CreateBucket(ctx, b); err != nil {
		t.Fatal(err)
	}
	foreign := Expiry{ID: "by hand", Prefix: "tmp/", MaxAge: 3600, Enabled: true}
	ours := Expiry{ID: Mark("site", "spool"), MaxAge: 86400, Enabled: true}
	for _, step := range []struct {
		site string
		want []Expiry
	}{{"", []Expiry{foreign}}, {"site", []Expiry{ours}}, {"site", nil}, {"site", []Expiry{ours}}} {
		if err := r.SetExpiries(ctx, b, step.site, step.want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Expiries(ctx, b)
	if diff := cmp.Diff([]Expiry{foreign, ours}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := r.cf.FillBucket(b.Name, 1); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteBucket(ctx, b); err == nil {
		t.Error("a bucket with objects was deleted")
	}
}
