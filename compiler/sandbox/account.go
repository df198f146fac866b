package sandbox

import (
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/model"
)

// Account is the stand-in account at the edge of the sandbox in dir, for what is no plane.
func Account(dir string, s *model.Site) (*edge.Edge, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	account, _, err := openAccount(dir, s)
	return account, err
}
