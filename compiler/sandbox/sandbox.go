// Package sandbox is a folder in which every outside system has a stand-in, so that a whole site can be tried with no
// account, no host and no container: host/ is the root of the host's file system, edge/ the state of a Cloudflare
// account behind the real SDK, relay/ SendGrid's, tailnet/ a tailnet, cloud/ what Terraform made at a stand-in for AWS,
// secrets.json what the encrypted secrets file would hold; drill-red.txt, if it is there, says why the last restore
// drill is red. The stand-ins speak the real protocols and keep real state; the planes do not know that they are in a
// sandbox.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mailplan/mailplan/compiler/apply"
	people "github.com/mailplan/mailplan/compiler/apply/accounts"
	provider "github.com/mailplan/mailplan/compiler/apply/cloudflare"
	"github.com/mailplan/mailplan/compiler/apply/containers"
	"github.com/mailplan/mailplan/compiler/apply/dns"
	"github.com/mailplan/mailplan/compiler/apply/edge"
	"github.com/mailplan/mailplan/compiler/apply/host"
	"github.com/mailplan/mailplan/compiler/converge"
	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/compiler/sandbox/cloudflare"
	"github.com/mailplan/mailplan/compiler/sandbox/docker"
)

// marker names a folder as a sandbox, so that no other folder is ever used as one.
const marker = "SANDBOX.txt"

const markerText = "This folder is a mailplan sandbox: stand-ins for a host, a Cloudflare account and the\n" +
	"secrets of a mail system. Nothing in it is live; delete it when you are done.\n"

// Sandbox is an open one, for one site.
type Sandbox struct {
	*converge.Target
	Dir string
}

// Open makes the folder or goes on with it.
func Open(dir string, s *model.Site, tree model.Tree) (*Sandbox, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	owners, err := host.OpenRecordedOwners(filepath.Join(dir, "owners.json"))
	if err != nil {
		return nil, err
	}
	keys, err := openSecrets(dir, s)
	if err != nil {
		return nil, err
	}
	account, zones, err := openAccount(dir, s)
	if err != nil {
		return nil, err
	}
	smarthost, err := openRelay(dir, s, keys.value, zones.CNAME)
	if err != nil {
		return nil, err
	}
	network, err := openTailnet(dir, s, keys.value)
	if err != nil {
		return nil, err
	}
	offsite, left, err := openCloud(dir, s)
	if err != nil {
		return nil, err
	}
	h := &host.Host{Files: host.Local{Prefix: filepath.Join(dir, "host"), Owners: owners}, Root: s.Host.Root, Secrets: keys.value}
	past, err := provider.ReadPast(s, h.Read)
	if err != nil {
		return nil, err
	}
	front, err := provider.Planes(s, account, provider.Secrets{Value: keys.value, PublicKey: keys.publicKey}, past, h.RoutesRef())
	if err != nil {
		return nil, err
	}
	if h.Secrets, err = provider.WithGiven(context.Background(), s, account, front, keys.value); err != nil {
		return nil, err
	}
	fingerprints, err := people.Keys(s, keys.value)
	if err != nil {
		return nil, err
	}
	return &Sandbox{Dir: dir, Target: &converge.Target{
		Host:   h,
		Left:   left,
		Backup: backup(dir),
		// no backup is made here
		Signers: func(context.Context) ([]string, error) { return nil, nil },
		Planes: append(append(front, offsite...),
			&host.Plane{Host: h, Tree: tree, Directories: s.HostDirectories(), Programs: besideUs()},
			&containers.Plane{Host: h, Tree: tree, Engine: &docker.Engine{File: filepath.Join(dir, "docker.json"),
				Dir: filepath.Join(dir, "host", filepath.FromSlash(s.Host.Root))}, Programs: besideUs()},
			&people.Plane{Site: s, Store: database{filepath.Join(dir, "accounts.json")}, Secrets: keys.value, Keys: fingerprints},
			// last, since both end with what waits for the world outside: names found in DNS, a host that has joined
			smarthost, network,
		),
		Journal: apply.Open(filepath.Join(dir, "journal.jsonl")),
	}}, nil
}

// besideUs are the daemon's programs, if they lie where this one does. A sandbox runs none of them, so any will do.
func besideUs() []host.Program {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return host.Programs(filepath.Dir(self))
}

// prepare refuses a folder that holds something else.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	ours := []string{marker, filepath.Base(host.Temporary(marker))}
	if len(entries) > 0 && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return slices.Contains(ours, e.Name()) }) {
		return fmt.Errorf("%s is no sandbox and not empty: name a new folder", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the sandbox: %w", err)
	}
	return host.WriteFile(filepath.Join(dir, marker), []byte(markerText), 0o600, nil)
}

// openAccount puts the real SDK before the stand-in, without a socket between them.
func openAccount(dir string, s *model.Site) (*edge.Edge, *cloudflare.Server, error) {
	server, err := cloudflare.New(filepath.Join(dir, "edge"), cloudflare.Options{})
	if err != nil {
		return nil, nil, err
	}
	id, err := server.AccountID()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range dns.ZoneNames(s) {
		if _, err := server.AddZone(name, cloudflare.Plan(s.Edge.Plan)); err != nil {
			return nil, nil, err
		}
	}
	return edge.New(edge.Config{Token: "sandbox", AccountID: id, BaseURL: cloudflare.BaseURL, HTTPClient: server.Client()}), server, nil
}
