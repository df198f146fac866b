package backuptest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/need"
)

// S3 is a throw-away S3 server with Object Lock (versitygw), with a user "backup" besides the owner.
type S3 struct {
	Endpoint string
	Data     string // folder with the objects as plain files: Data/BUCKET/KEY
	dir      string
	program  string
	process  *exec.Cmd
}

const ownerName, ownerSecret = "owner", "ownersecret"

// StartS3 starts a server with one bucket for each name. A name ending in "-nolock" has no Object Lock.
func StartS3(t testing.TB, buckets ...string) *S3 {
	t.Helper()
	s := &S3{dir: t.TempDir(), program: need.Program(t, "versitygw")}
	s.Data = filepath.Join(s.dir, "data")
	for _, dir := range []string{"data", "versions", "iam"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Endpoint = "http://" + listener.Addr().String()
	listener.Close()
	s.Start(t)
	t.Cleanup(s.Kill)
	s.addUser(t)
	for _, name := range buckets {
		s.makeBucket(t, name)
	}
	return s
}

// Start starts the server, again after Kill.
func (s *S3) Start(t testing.TB) {
	t.Helper()
	s.process = exec.Command(s.program, "--port", s.Endpoint[len("http://"):], "--quiet", "--health", "/health", "--iam-dir", filepath.Join(s.dir, "iam"),
		"posix", "--versioning-dir", filepath.Join(s.dir, "versions"), s.Data)
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+ownerName, "ROOT_SECRET_KEY="+ownerSecret)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if answer, err := http.Get(s.Endpoint + "/health"); err == nil {
			answer.Body.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the S3 server does not answer")
}

// Kill ends the server at once.
func (s *S3) Kill() {
	s.process.Process.Kill()
	s.process.Wait()
}

func (s *S3) addUser(t testing.TB) {
	t.Helper()
	out, err := exec.Command(s.program, "admin", "-a", ownerName, "-s", ownerSecret, "-er", s.Endpoint, "create-user", "-a", "backup", "-s", "backupsecret", "-r", "user").CombinedOutput()
	if err != nil {
		t.Fatalf("create user: %v\n%s", err, out)
	}
}

// rights of the executor: it may add, read and list, and prove locks; it may delete nothing.
const rights = `{"Statement": [
	{"Effect": "Allow", "Principal": {"AWS": ["backup"]}, "Action": ["s3:PutObject", "s3:PutObjectRetention", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"], "Resource": "arn:aws:s3:::%[1]s/*"},
	{"Effect": "Allow", "Principal": {"AWS": ["backup"]}, "Action": ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"], "Resource": "arn:aws:s3:::%[1]s"}]}`

func (s *S3) makeBucket(t testing.TB, name string) {
	t.Helper()
	owner := s.Client(ownerName, ownerSecret)
	lock := len(name) < 7 || name[len(name)-7:] != "-nolock"
	in := &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(lock), ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}
	if _, err := owner.CreateBucket(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(rights, name)
	if _, err := owner.PutBucketPolicy(context.Background(), &s3.PutBucketPolicyInput{Bucket: &name, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
}

// Client returns a plain client, as an intruder with that credential has it.
func (s *S3) Client(user, secret string) *s3.Client {
	return s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &s.Endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(user, secret, "")})
}

// Owner returns a client with all rights.
func (s *S3) Owner() *s3.Client { return s.Client(ownerName, ownerSecret) }

// Executor returns a client with the executor's own credential.
func (s *S3) Executor() *s3.Client { return s.Client("backup", "backupsecret") }

// Offsite is the configuration by which the site sends to a bucket of the server.
func (s *S3) Offsite(t testing.TB, site *Site, bucket string) config.BackupOffsite {
	t.Helper()
	site.Write(t, "keyid", "backup\n")
	site.Write(t, "secret", "backupsecret\n")
	return config.BackupOffsite{Bucket: bucket, Region: "us-east-1", Endpoint: s.Endpoint, Mode: "COMPLIANCE", LockDays: 30,
		AccessKeyIDFile: site.Path("keyid"), SecretAccessKeyFile: site.Path("secret"), ConcurrentTransfers: 2}
}
