package restore_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/runtime/backup"
	"github.com/mailplan/mailplan/runtime/backup/backuptest"
	"github.com/mailplan/mailplan/runtime/backup/restore"
	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/daemon"
	"github.com/mailplan/mailplan/test/need"
)

func TestDatabaseIsRestoredAndTheOldOneKept(t *testing.T) {
	db := daemon.StartMariaDB(t)
	if err := db.Load("CREATE DATABASE mail; USE mail; CREATE TABLE users (n INT); INSERT INTO users SELECT seq FROM seq_1_to_1000"); err != nil {
		t.Fatal(err)
	}
	s := backuptest.NewSite(t)
	s.Config.Classes = append(s.Config.Classes, config.BackupClass{Name: "database", Kind: "mariadb", Database: &config.BackupDatabase{
		Socket: db.Socket, User: "root", Databases: []string{"mail"}, DumpProgram: need.Program(t, "mariadb-dump"), Client: need.Program(t, "mariadb")}})
	r := s.Run(t, backup.RunOptions{})
	if err := db.Load("USE mail; DELETE FROM users WHERE n > 10; CREATE TABLE intruder (n INT)"); err != nil {
		t.Fatal(err)
	}
	report, err := restoreFrom(t, s, r.Snapshot, restore.Options{Components: []string{"mysql"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.Query("SELECT COUNT(*) FROM mail.users; SHOW TABLES FROM mail; SHOW DATABASES LIKE 'mailplan%'")
	if err != nil || got != "1000\nusers\n" {
		t.Errorf("got %q, %v", got, err)
	}
	before, err := os.ReadFile(report.Before[0] + "/mail.sql")
	if err != nil || !strings.Contains(string(before), "intruder") {
		t.Errorf("what was there before is lost: %v", err)
	}

	t.Run("a failing dump keeps the snapshot out", func(t *testing.T) {
		s.Clock = s.Clock.AddDate(0, 0, 1)
		s.Config.Classes[len(s.Config.Classes)-1].Database.Databases = []string{"mail", "gone"}
		r, err := s.Executor(t).Run(context.Background(), backup.RunOptions{})
		if err == nil || !strings.Contains(err.Error(), "gone") || !strings.HasSuffix(r.Snapshot, ".incomplete") {
			t.Errorf("got %q, %v", r.Snapshot, err)
		}
	})
}
