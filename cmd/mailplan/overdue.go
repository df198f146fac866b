package main

import (
	"errors"
	"strings"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/rotate"
)

// overdue warns of secrets that are due soon or late, and fails for these where the site says so.
func (c *cli) overdue(s *model.Site, list []rotate.Status) error {
	var late, soon []string
	for _, st := range list {
		switch st.State {
		case rotate.Overdue:
			late = append(late, st.Name+" since "+st.Due)
		case rotate.Soon:
			soon = append(soon, st.Name+" on "+st.Due)
		}
	}
	if len(soon) > 0 {
		c.say("due within %s: %s", count(s.Secrets.WarnDays, "day"), strings.Join(soon, ", "))
	}
	if len(late) == 0 {
		return nil
	}
	c.say("overdue: %s; mailplan secret status says what to do", strings.Join(late, ", "))
	if s.Secrets.Overdue == "fail" {
		return quit{exitRefused}
	}
	return nil
}

// ages ends a command that looked at the whole site: what it came to is known, and a secret that is overdue is worse than a
// difference, but not than a failure.
func (c *cli) ages(s *model.Site, result error) error {
	late := c.overdue(s, rotate.Statuses(s, time.Now()))
	var q quit
	if result == nil || errors.As(result, &q) && q.code == exitChanges && late != nil {
		return late
	}
	return result
}
