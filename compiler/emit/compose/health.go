package compose

import (
	"cmp"
	"fmt"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/mailplan/mailplan/compiler/model"
)

// The times of a check where neither the site nor the service has its own.
const (
	interval    = 30 * time.Second
	timeout     = 10 * time.Second
	retries     = 3
	startPeriod = 40 * time.Second
)

// command asks with a program of the image, without a shell.
func command(args ...string) *types.HealthCheckConfig {
	for i := range args {
		args[i] = dollars(args[i])
	}
	return &types.HealthCheckConfig{Test: append(types.HealthCheckTest{"CMD"}, args...)}
}

// watched asks with a shell's probe, and ends the container's first process when the probe, once good, has
// failed twice as often in a row as it takes to be called unhealthy. Docker itself does nothing about an
// unhealthy container, and some images outlive their own daemon.
func watched(shell, probe string, c model.Container) *types.HealthCheckConfig {
	return command(shell, "-c", fmt.Sprintf(`if %s; then echo 0 >/tmp/.failures; exit 0; fi
[ -e /tmp/.failures ] || exit 1
read -r n </tmp/.failures; n=$((n + 1)); echo "$n" >/tmp/.failures
[ "$n" -lt %d ] || kill -TERM 1
exit 1`, probe, 2*cmp.Or(c.Health.Retries, retries)))
}

// times fills a check's times in: the site's, else the service's, else the common ones.
func (b *builder) times(name string, h *types.HealthCheckConfig, declared model.Health) {
	own := map[string]struct{ interval, start time.Duration }{
		"clamav": {time.Minute, 6 * time.Minute}, // signatures load for minutes
		"rspamd": {0, time.Minute},               // 15 to 30 seconds to compile its expressions on a small machine
	}[name]
	h.Interval = b.span(name, declared.Interval, cmp.Or(own.interval, interval))
	h.Timeout = b.span(name, declared.Timeout, timeout)
	h.StartPeriod = b.span(name, declared.StartPeriod, cmp.Or(own.start, startPeriod))
	n := uint64(cmp.Or(declared.Retries, retries))
	h.Retries = &n
}

func (b *builder) span(name, text string, standard time.Duration) *types.Duration {
	d := standard
	if text != "" {
		parsed, err := time.ParseDuration(text)
		if err != nil {
			b.fail(fmt.Errorf("containers.%s.health: %w", name, err))
		}
		d = parsed
	}
	out := types.Duration(d)
	return &out
}
