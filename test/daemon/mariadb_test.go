package daemon_test

import (
	"testing"

	"github.com/mailplan/mailplan/test/daemon"
)

func TestMariaDB(t *testing.T) {
	t.Parallel()
	db := daemon.StartMariaDB(t)
	if err := db.Load("CREATE DATABASE mail; CREATE TABLE mail.domains (name VARCHAR(255) PRIMARY KEY); INSERT INTO mail.domains VALUES ('bücher.example');"); err != nil {
		t.Fatal(err)
	}
	accepts(t, "bücher.example\n")(db.Query("SELECT name FROM mail.domains"))
	refuses(t, "syntax")("", db.Load("CREATE TABL mail.users (id INT)"))
	refuses(t, "Duplicate entry")("", db.Load("INSERT INTO mail.domains VALUES ('bücher.example')"))
}
