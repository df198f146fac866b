package redis_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mailplan/mailplan/compiler/emit/emittest"
	"github.com/mailplan/mailplan/compiler/emit/redis"
	"github.com/mailplan/mailplan/test/daemon"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	files := emittest.Emit(t, redis.Files, emittest.Site())
	emittest.Holds(t, files, "config/redis/redis.conf", "maxmemory 153mb\n", "maxmemory-policy volatile-ttl\n")
	dir := emittest.Layout(t, files, "config/redis", nil)
	if _, err := daemon.Redis(t, dir); err != nil {
		t.Errorf("refused: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "auth.inc")); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Redis(t, dir); err == nil {
		t.Error("starts without the file that holds the password")
	}
}
