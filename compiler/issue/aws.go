package issue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mailplan/mailplan/compiler/model"
)

// amazon issues access keys of an IAM user, of which one may have two (IAM API, 2010-05-08).
type amazon struct {
	base       string
	id, secret string // names of the secrets
	parent     aws.Credentials
	http       *http.Client
	now        func() time.Time
}

func newAWS(s3 model.S3, base string, env func(string) string, client *http.Client, now func() time.Time) amazon {
	return amazon{base: base, id: s3.AccessKeyID.Secret, secret: s3.SecretAccessKey.Secret, http: client, now: now,
		parent: aws.Credentials{AccessKeyID: env(AWSParentID), SecretAccessKey: env(AWSParentSecret)}}
}

type accessKey struct {
	ID     string `xml:"AccessKeyId"`
	Secret string `xml:"SecretAccessKey"`
	Status string
}

type lastUsed struct {
	User string `xml:"GetAccessKeyLastUsedResult>UserName"`
	Date string `xml:"GetAccessKeyLastUsedResult>AccessKeyLastUsed>LastUsedDate"` // N/A for never
}

// Issue is as rotate.Issuer wants it. A second key that nobody ever used is what an earlier try left behind.
func (a amazon) Issue(ctx context.Context, present map[string]string) (map[string]string, error) {
	id := present[a.id]
	used, err := a.used(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look at the present access key: %w", err)
	}
	keys, err := a.list(ctx, used.User)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.ID == id {
			continue
		}
		other, err := a.used(ctx, k.ID)
		if err == nil && other.Date != "N/A" {
			err = fmt.Errorf("the user %s has a second access key %s that was used on %s: take it away first", used.User, k.ID, other.Date)
		}
		if err == nil {
			err = a.call(ctx, "DeleteAccessKey", url.Values{"UserName": {used.User}, "AccessKeyId": {k.ID}}, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	var made struct {
		Key accessKey `xml:"CreateAccessKeyResult>AccessKey"`
	}
	if err := a.call(ctx, "CreateAccessKey", url.Values{"UserName": {used.User}}, &made); err != nil {
		return nil, fmt.Errorf("make an access key: %w", err)
	}
	return map[string]string{a.id: made.Key.ID, a.secret: made.Key.Secret}, nil
}

func (a amazon) used(ctx context.Context, id string) (u lastUsed, err error) {
	return u, a.call(ctx, "GetAccessKeyLastUsed", url.Values{"AccessKeyId": {id}}, &u)
}

func (a amazon) list(ctx context.Context, user string) ([]accessKey, error) {
	var all struct {
		Keys []accessKey `xml:"ListAccessKeysResult>AccessKeyMetadata>member"`
	}
	if err := a.call(ctx, "ListAccessKeys", url.Values{"UserName": {user}}, &all); err != nil {
		return nil, fmt.Errorf("list the access keys of %s: %w", user, err)
	}
	return all.Keys, nil
}

// Idle is as rotate.Issuer wants it.
func (a amazon) Idle(ctx context.Context, key map[string]string, since time.Time) (bool, error) {
	used, err := a.used(ctx, key[a.id])
	if gone(err) {
		return true, nil
	}
	if err != nil || used.Date == "N/A" {
		return err == nil, err
	}
	at, err := time.Parse(time.RFC3339, used.Date)
	return err == nil && at.Before(since), err
}

// Retire is as rotate.Issuer wants it: first the key is made inactive, which can be taken back, then it goes.
func (a amazon) Retire(ctx context.Context, key map[string]string) (bool, error) {
	id := key[a.id]
	used, err := a.used(ctx, id)
	if gone(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	keys, err := a.list(ctx, used.User)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		switch {
		case k.ID != id:
		case k.Status == "Active":
			return false, a.call(ctx, "UpdateAccessKey", url.Values{"UserName": {used.User}, "AccessKeyId": {id}, "Status": {"Inactive"}}, nil)
		default:
			return true, a.call(ctx, "DeleteAccessKey", url.Values{"UserName": {used.User}, "AccessKeyId": {id}}, nil)
		}
	}
	return true, nil
}

// iamRegion is the one that IAM signs with wherever it is asked.
const iamRegion = "us-east-1"

func (a amazon) call(ctx context.Context, action string, in url.Values, out any) error {
	in.Set("Action", action)
	in.Set("Version", "2010-05-08")
	body := in.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, a.parent, req, hex.EncodeToString(sum[:]), "iam", iamRegion, a.now()); err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	return send(a.http, req, func(data []byte) error {
		if out == nil {
			return nil
		}
		if err := xml.Unmarshal(data, out); err != nil {
			return errors.New("no XML")
		}
		return nil
	})
}
