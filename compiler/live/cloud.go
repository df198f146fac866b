package live

import (
	"strings"

	"github.com/mailplan/mailplan/compiler/apply/cloud"
)

// cloudPlane is Terraform's, with the credentials and the proxies of the environment, as Terraform itself takes them.
// Its working directory is with the journal; what counts is in the declared backend.
func cloudPlane(o Options) (*cloud.Plane, error) {
	journal, err := journalFile(o)
	if err != nil {
		return nil, err
	}
	return &cloud.Plane{Site: o.Site, Dir: strings.TrimSuffix(journal, ".jsonl") + "-terraform"}, nil
}
