package cloud_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailplan/mailplan/compiler/apply/cloud"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/plan"
)

func TestDeclared(t *testing.T) {
	declared := func(s *model.Site) []plan.Object {
		objects, err := cloud.Declared(s)
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	before := declared(site(t, reference))
	s := site(t, reference)
	s.Backup.Offsite.S3.Lock.Days = 60
	s.Backup.Offsite.Terraform.AlertEmail = ""
	after := declared(s)
	if len(before) != 20 || len(after) != 18 {
		t.Errorf("%d resources, %d without an address to alert; want 20 and 18", len(before), len(after))
	}
	changes, _ := plan.Diff(before, after)
	if i := slices.IndexFunc(changes, func(c plan.Change) bool { return c.ID == lockConfiguration }); i < 0 ||
		changes[i].Before != "COMPLIANCE 30 days" || !strings.Contains(changes[i].Irreversible, "60 days") {
		t.Errorf("the lock is not compared: %v", changes)
	}
	s.Backup.Offsite = nil
	if changes, _ := plan.Diff(before, declared(s)); len(changes) > 0 {
		t.Errorf("what is locked does not go with its declaration: %v", changes)
	}
}
