// Command mailplan-learn is what Dovecot's Sieve scripts run; it is one static file, since the image it
// runs in has no shell and no curl.
//
//	mailplan-learn spam|ham [USER]
//	mailplan-learn stored ID SINCE
//
// The first form posts the message on its standard input to Rspamd's controller, to be learned as spam or
// ham: imapsieve pipes a message into it when somebody moves it into or out of Junk.
// The second looks for a delivery in the user's mailbox below HOME and exits with 0 when it is there, else
// with 1: before.sieve asks when the ingest does not know how an earlier try of the delivery ended.
//
// The controller and the file with its password are named by MAILPLAN_LEARN_URL (default
// http://rspamd:11334) and MAILPLAN_LEARN_PASSWORD_FILE (default /run/secrets/rspamd-controller), or by
// the flags -url and -password-file. While the password rotates, the one that comes next or went before lies beside it, with
// .next or .previous to its name: the controller knows one only, so it is offered that when it refuses the first. The exit
// code is 0 when the message is learned, was learned before
// or is too short to be learned; 75 (EX_TEMPFAIL) says that it could not be done.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	exAbsent   = 1
	exUsage    = 64
	exTempFail = 75
	maxMessage = 64 << 20
)

func main() { os.Exit(run(os.Args[1:], os.Getenv, os.Stdin, os.Stderr)) }

func run(args []string, getenv func(string) string, stdin io.Reader, stderr io.Writer) int {
	flags := flag.NewFlagSet("mailplan-learn", flag.ContinueOnError)
	flags.SetOutput(stderr)
	url := flags.String("url", or(getenv("MAILPLAN_LEARN_URL"), "http://rspamd:11334"), "Rspamd's controller")
	file := flags.String("password-file", or(getenv("MAILPLAN_LEARN_PASSWORD_FILE"), "/run/secrets/rspamd-controller"),
		"file with the controller's password")
	timeout := flags.Duration("timeout", 20*time.Second, "give up after")
	if err := flags.Parse(args); err != nil {
		return exUsage
	}
	class, user := flags.Arg(0), flags.Arg(1)
	if class == "stored" {
		return runStored(getenv("HOME"), user, flags.Arg(2), stderr)
	}
	if class != "spam" && class != "ham" {
		fmt.Fprintln(stderr, "usage: mailplan-learn [-url URL] [-password-file FILE] spam|ham [USER], or: mailplan-learn stored ID SINCE")
		return exUsage
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := learn(ctx, strings.TrimRight(*url, "/")+"/learn"+class, *file, user, stdin); err != nil {
		fmt.Fprintln(stderr, "mailplan-learn:", err)
		return exTempFail
	}
	return 0
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// learn offers the controller each password that may be good.
func learn(ctx context.Context, url, passwordFile, user string, message io.Reader) error {
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return fmt.Errorf("read the controller's password: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(message, maxMessage))
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	err = post(ctx, url, string(password), user, content)
	for _, suffix := range []string{".next", ".previous"} {
		if !errors.Is(err, errPassword) {
			break
		}
		if password, e := os.ReadFile(passwordFile + suffix); e == nil {
			err = post(ctx, url, string(password), user, content)
		}
	}
	return err
}

func post(ctx context.Context, url, password, user string, content []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("ask to learn: %w", err)
	}
	req.Header.Set("Password", strings.TrimSpace(password))
	if user != "" {
		req.Header.Set("Deliver-To", user)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask to learn: %w", err)
	}
	defer resp.Body.Close()
	return judge(resp)
}

// errPassword says that the controller knows another password.
var errPassword = errors.New("the password is not good")

// judge takes 200 (learned), 204 (too few words) and 208 (learned before) for success.
func judge(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusAlreadyReported:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("controller answers %s: %w", resp.Status, errPassword)
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	return errors.Join(fmt.Errorf("controller answers %s: %s", resp.Status, strings.TrimSpace(string(said))), err)
}
