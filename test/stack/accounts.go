package stack

import (
	"fmt"
	"strings"

	"github.com/mailplan/mailplan/compiler/model"
)

// Accounts writes the declared accounts into the project's database, each with the password that
// password says.
func (p *Project) Accounts(password func(address string) string) error {
	a := p.Site.Accounts()
	var sql strings.Builder
	sql.WriteString("USE mailserver;\n")
	for _, d := range a.Domains {
		fmt.Fprintf(&sql, "INSERT INTO domains (name, state, subaddress) VALUES ('%s', '%s', %t);\n", d.Name, d.State, d.Subaddress)
	}
	for _, u := range a.Users {
		out, err := p.Compose("exec", "--no-TTY", "dovecot", "doveadm", "pw", "-s", "ARGON2ID", "-p", password(u.Address))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sql, "INSERT INTO users (email, password_hash, domain_id, quota_mb, state) SELECT '%s', '%s', id, %d, '%s' FROM domains WHERE name = '%s';\n",
			u.Address, strings.TrimSpace(out), u.QuotaMB, u.State, domainOf(u.Address))
	}
	for _, alias := range a.Aliases {
		for _, to := range alias.Destinations {
			fmt.Fprintf(&sql, "INSERT INTO aliases (source, destination, domain_id) SELECT '%s', '%s', id FROM domains WHERE name = '%s';\n",
				alias.Source, to, domainOf(alias.Source))
		}
	}
	_, err := p.SQL(sql.String())
	return err
}

// SQL runs statements in the project's database as root and returns what they print.
func (p *Project) SQL(statements string) (string, error) {
	return p.Compose("exec", "--no-TTY", "mariadb", "sh", "-c",
		`mariadb --user=root --password="$(cat /run/secrets/MYSQL_ROOT_PASSWORD)" --batch --skip-column-names --execute "$1"`, "sql", statements)
}

func domainOf(address string) string {
	_, domain, _ := model.SplitAddress(address)
	return domain
}
