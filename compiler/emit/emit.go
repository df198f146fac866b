// Package emit joins the emitters: a model goes in, a tree comes out. The emitters below it are pure and know
// nothing of each other; what two of them share is in the model.
package emit

import (
	"fmt"

	"github.com/mailplan/mailplan/compiler/emit/accounts"
	"github.com/mailplan/mailplan/compiler/emit/clamav"
	"github.com/mailplan/mailplan/compiler/emit/cloudflare"
	"github.com/mailplan/mailplan/compiler/emit/compose"
	"github.com/mailplan/mailplan/compiler/emit/dovecot"
	"github.com/mailplan/mailplan/compiler/emit/mariadb"
	"github.com/mailplan/mailplan/compiler/emit/nginx"
	"github.com/mailplan/mailplan/compiler/emit/operations"
	"github.com/mailplan/mailplan/compiler/emit/postfix"
	"github.com/mailplan/mailplan/compiler/emit/prometheus"
	"github.com/mailplan/mailplan/compiler/emit/redis"
	"github.com/mailplan/mailplan/compiler/emit/roundcube"
	"github.com/mailplan/mailplan/compiler/emit/rspamd"
	"github.com/mailplan/mailplan/compiler/emit/runtime"
	"github.com/mailplan/mailplan/compiler/emit/tailnet"
	"github.com/mailplan/mailplan/compiler/emit/terraform"
	"github.com/mailplan/mailplan/compiler/emit/worker"
	"github.com/mailplan/mailplan/compiler/model"
)

type emitter struct {
	output string
	files  func(*model.Site) ([]model.File, error)
}

func emitters() []emitter {
	return []emitter{
		{"accounts", accounts.Files},
		{"clamav", clamav.Files},
		{"mariadb", mariadb.Files},
		{"nginx", nginx.Files},
		{"postfix", postfix.Files},
		{"operations", operations.Files},
		{"prometheus", prometheus.Files},
		{"redis", redis.Files},
		{"roundcube", roundcube.Files},
		{"rspamd", rspamd.Files},
		{"runtime", runtime.Files},
		{"tailnet", tailnet.Files},
		{"terraform", terraform.Files},
		{"worker", worker.Files},
		{"dovecot", dovecot.Files},
		{"compose", compose.Files},
		{"cloudflare", cloudflare.Files},
	}
}

// Tree runs every emitter.
func Tree(s *model.Site) (model.Tree, error) {
	var all [][]model.File
	for _, e := range emitters() {
		files, err := e.files(s)
		if err != nil {
			return model.Tree{}, fmt.Errorf("emit %s: %w", e.output, err)
		}
		all = append(all, files)
	}
	return model.NewTree(all...)
}
