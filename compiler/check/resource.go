package check

import (
	"fmt"
	"time"

	"github.com/mailplan/mailplan/compiler/model"
)

func resourceRules() []Rule {
	return []Rule{
		{ID: "cpu-sum", Severity: Warning, Holes: "C-019", Title: "CPU limits fit on the host",
			Why: "under load every service gets less than it was promised", find: cpuSum},
		{ID: "memory-sum", Severity: Error, Holes: "C-019", Title: "memory limits fit on the host",
			Why: "the kernel ends processes when memory is short, the database as soon as any other", find: memorySum},
		{ID: "memory-floor", Severity: Error, Holes: "S-04", Title: "each service has the memory it can't do without",
			Why: "it is ended while it starts or works, over and over", find: memoryFloor},
		{ID: "clamav-reload", Severity: Error, Holes: "S-04 C-015", Title: "ClamAV reloads within its memory",
			Why: "a reload beside the old signatures needs twice the memory: at the next update it is ended", find: clamavReload},
		{ID: "clamav-patience", Severity: Warning, Holes: "S-18", Title: "ClamAV has minutes to start",
			Why: "loading signatures takes minutes; it is called unhealthy and its dependants wait for ever", find: clamavPatience},
		{ID: "memory-ingest", Severity: Error, Holes: "C-016", Title: "the ingest holds its messages in memory",
			Why: "it is ended in the middle of messages", find: memoryIngest},
	}
}

func cpuSum(c *checker) {
	sum := 0.0
	c.site.Each(func(_ string, k model.Container) { sum += k.CPUs })
	if most := c.site.Host.CPUs; most > 0 && sum > most {
		c.report("host.cpus", "the containers may use %g CPUs, the host has %g", sum, most)
	}
}

func memorySum(c *checker) {
	sum := model.Memory(0)
	c.site.Each(func(_ string, k model.Container) { sum += k.Memory })
	if most := c.site.Host.Memory; most > 0 && sum > most {
		c.report("host.memory", "the containers may use %s, the host has %s", sum, most)
	}
}

// floors are what each service needs to start and work with few users, in MiB.
var floors = map[string]model.Memory{
	"mariadb": 384, "redis": 64, "clamav": 1800, "rspamd": 512, "dovecot": 384, "postfix": 128,
	"roundcube": 192, "mailserver-api": 96, "usermgmt": 64, "nginx": 32, "cloudflared": 64, "tailscale": 64,
}

func memoryFloor(c *checker) {
	c.site.Each(func(name string, k model.Container) {
		if floor := floors[name]; k.Memory < floor {
			c.report(model.Path("containers", name, "memory"), "%s has %s, it needs %s", name, k.Memory, floor).
				fix(model.Path("containers", name, "memory"), fmt.Sprintf("%q", floor))
		}
	})
}

func clamavReload(c *checker) {
	k := c.site.Containers.ClamAV
	if k.ConcurrentReload != nil && *k.ConcurrentReload && k.Memory < 3072 {
		c.report("containers.clamav.memory", "ClamAV reloads beside the old signatures with %s, it needs 3G", k.Memory).
			or("containers.clamav.concurrentReload").
			hint(`memory: "3G", or concurrentReload: false and a short pause of scans at each update`).
			fix("containers.clamav.concurrentReload", "false")
	}
}

func clamavPatience(c *checker) {
	s := c.site.Containers.ClamAV.Health.StartPeriod
	if d, err := time.ParseDuration(s); s != "" && err == nil && d < 3*time.Minute {
		c.report("containers.clamav.health.startPeriod", "ClamAV has %s to start", s).
			fix("containers.clamav.health.startPeriod", `"6m"`)
	}
}

// memoryIngest: what is scanned is spilled to disk, so each message costs buffers, not its size.
func memoryIngest(c *checker) {
	need := model.Memory(64 + c.site.Edge.Ingest.Concurrency)
	if k := c.site.Containers.API; k.Memory < need {
		c.report(model.Path("containers", "mailserver-api", "memory"), "%d messages at once need %s, mailserver-api has %s",
			c.site.Edge.Ingest.Concurrency, need, k.Memory).or("edge.ingest.concurrency")
	}
}
