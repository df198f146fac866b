package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mailplan/mailplan/runtime/maildir"
)

func runStored(home, id, since string, stderr io.Writer) int {
	there, err := stored(home, id, since)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "mailplan-learn:", err)
		return exTempFail
	case there:
		return 0
	}
	return exAbsent
}

// stored says whether the user's mailbox holds the delivery with this id, stored at the Unix time since or
// later. Dovecot sets HOME to the user's folder.
func stored(home, id, since string) (bool, error) {
	seconds, err := strconv.ParseInt(since, 10, 64)
	if err != nil || id == "" {
		return false, fmt.Errorf("want the id and the Unix time of a delivery, have %q and %q", id, since)
	}
	return maildir.Holds(filepath.Join(home, "Maildir"), "X-Mailplan-Delivery", id, time.Unix(seconds, 0))
}
