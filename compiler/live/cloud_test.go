package live_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mailplan/mailplan/compiler"
	"github.com/mailplan/mailplan/compiler/sandbox/aws"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/test/need"
)

// identity is what AWS' security token service says of a caller, which the backend of Terraform asks for.
const identity = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/terraform</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`

// stateHost is the S3 service of the states; buckets have names below it, which only the proxy resolves.
const stateHost = "s3.test"

// TestCloud converges the off-site bucket of a live site: real Terraform, with its state and its lock in a real S3
// server as the module declares, and the environment's credentials; AWS itself is the stand-in's.
func TestCloud(t *testing.T) {
	terraform := need.Program(t, "terraform")
	r := newRig(t)
	write(t, filepath.Join(r.site.Source.Dir, "offsite.cue"), `package site

backup: offsite: {
	s3: {bucket: "small-mail-backup", region: "eu-central-1", lock: {mode: "GOVERNANCE", days: 7}}
	terraform: state: {bucket: "state-nolock", region: "us-east-1"}
}
`)
	site, err := compiler.Load(r.site.Source.Dir)
	if err != nil {
		t.Fatal(err)
	}
	r.site = site
	r.fill(t)
	t.Setenv("VGW_VIRTUAL_DOMAIN", stateHost)
	states := backuptest.StartS3(t, "state-nolock")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", strings.TrimPrefix(states.Endpoint, "http://")
		}}).ServeHTTP(w, in)
	}))
	t.Cleanup(proxy.Close)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.Write([]byte(identity))
	}))
	t.Cleanup(sts.Close)
	for _, v := range standInProvider(t) {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "MAILPLAN_") {
			t.Setenv(name, value)
		}
	}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": "http://" + stateHost, "HTTP_PROXY": proxy.URL, "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "ownersecret", "AWS_EC2_METADATA_DISABLED": "true",
		"PATH": filepath.Dir(terraform) + ":" + os.Getenv("PATH"),
	} {
		t.Setenv(name, value)
	}
	if n := r.converge(t, "cloud"); n < 5 {
		t.Errorf("the cloud took %d steps", n)
	}
	p, err := r.plan(t, "cloud")
	if err != nil || !p.Empty() || p.Unchanged < 5 {
		t.Errorf("a second time: %v, %v, %d unchanged", p.Changes, err, p.Unchanged)
	}
	bucket, key := "state-nolock", site.Model.Backup.Offsite.Terraform.State.Key
	if _, err := states.Owner().HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Errorf("the state in its bucket: %v", err)
	}
	write(t, filepath.Join(r.site.Source.Dir, "offsite.cue"), "package site\n")
	if site, err = compiler.Load(r.site.Source.Dir); err != nil {
		t.Fatal(err)
	}
	r.site = site
	if p, err = r.plan(t, "cloud"); err != nil || !p.Empty() {
		t.Errorf("a site that gives its copies up, and whose bucket must stay: %v %v", p.Changes, err)
	}
}

// standInProvider is the environment in which Terraform takes the stand-in for the AWS provider.
func standInProvider(t *testing.T) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), aws.Program)
	if out, err := exec.Command("go", "build", "-o", binary, "../../test/provider/"+aws.Program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	account, err := aws.Open(t.TempDir(), binary)
	if err != nil {
		t.Fatal(err)
	}
	return account.Env
}
