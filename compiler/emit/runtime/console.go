package runtime

import (
	"net/netip"
	"slices"

	"github.com/mailplan/mailplan/compiler/model"
	"github.com/mailplan/mailplan/runtime/config"
)

// console is the web site's part of mailpland.json.
func console(s *model.Site) (*config.Console, error) {
	keys := accepted(s, model.SecretConsoleSession)
	c := &config.Console{Listen: ":8080", SessionKeyFile: keys[0], FormerKeyFiles: keys[1:], Declared: configDir + "/console.json", Reports: reportsDir}
	tunnel, err := s.ServiceAddress("cloudflared", "web")
	if err != nil {
		return nil, err
	}
	network := netip.PrefixFrom(tunnel, tunnel.BitLen())
	if s.Edge.Tunnel.Connectors > 1 {
		// Several have no fixed address: Docker gives them one of the upper half, where nobody else is.
		b := tunnel.As4()
		b[3] = 128
		network = netip.PrefixFrom(netip.AddrFrom4(b), 25)
	}
	c.Proxies = []string{network.String()}
	if v := s.Edge.Access.Verify; v != nil {
		c.Access = &config.ConsoleAccess{Issuer: v.Issuer(), Audience: v.Audience, KeysFile: reportsDir + "/access.json", SignIn: v.SignIn}
		if v.Audience == "" {
			c.Access.AudienceFile = configDir + "/access.aud"
		}
	}
	return c, nil
}

// audience is the file that apply writes the AUD tag of the console's application to, where the site does not name one.
func audience(s *model.Site) []model.File {
	if v := s.Edge.Access.Verify; v == nil || v.Audience != "" {
		return nil
	}
	f := file("config/runtime/access.aud", "edge.access.verify", []byte(model.SecretMark(model.GivenAudience)))
	f.Mode, f.UID, f.GID, f.Reads = 0o400, mailpland, mailpland, []string{"usermgmt"}
	return []model.File{f}
}

// mailpland is the user of mailpland's containers.
const mailpland = 65532

// reportsDir is where the console sees the host's reports: it is in no network from which it could ask for itself.
const reportsDir = "/var/lib/mailpland"

// watch is what the host looks at, for the console.
func watch(s *model.Site) *config.Watch {
	root := s.Host.Root
	w := &config.Watch{Folder: s.ReportsDirectory().Path, Group: s.ReportsDirectory().GID, Queue: root + "/" + queueScript, Usage: root + "/" + usageScript,
		Declared: root + "/config/runtime/console.json", DKIMKeys: root + "/config/rspamd/dkim"}
	if v := s.Edge.Access.Verify; v != nil {
		w.AccessIssuer = v.Issuer()
	}
	return w
}

// declared is what administrators read about the domains. No key is in it.
func declared(s *model.Site) *config.Declared {
	out := &config.Declared{Site: s.Name, Webmail: vacation(s), Domains: []config.DeclaredDomain{}}
	for _, d := range s.Domains {
		one := config.DeclaredDomain{Name: d.Name, Unicode: d.Unicode, CatchAll: d.CatchAll, DMARC: d.DMARC.Policy, SPF: d.SPF.All, MTASTS: d.MTASTS.Mode}
		for _, sel := range d.Selectors {
			one.Selectors = append(one.Selectors, config.DeclaredSelector{Name: sel.Name, State: string(sel.State), Since: sel.Since, Algorithm: sel.Algorithm})
		}
		out.Domains = append(out.Domains, one)
	}
	return out
}

// vacation is the host name of webmail where people can set an automatic reply there.
func vacation(s *model.Site) string {
	if slices.Contains(s.Containers.Roundcube.Plugins, "managesieve") {
		return s.Edge.Tunnel.Hostnames.Webmail
	}
	return ""
}
