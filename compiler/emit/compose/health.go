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

// script asks with a shell of the image. Every check asks what people and the other services need of its own, and ends by
// itself before Docker's timeout does, so that no process of it stays behind. It restarts nothing: mailpland on the host
// does, which also sees when the fault lies with a service that this one needs.
func script(shell, text string) *types.HealthCheckConfig { return command(shell, "-c", text) }

// said is a function for bash: it sends $2 to port $1 of the loopback and wants a line like $3.
const said = `said() { exec 3<>/dev/tcp/127.0.0.1/$1 && printf "$2" >&3 && while read -t 4 -r line <&3; do [[ $line == $3 ]] && return; done; return 1; }
`

// saidPlain is the same for a shell that has no sockets, by nc.
const saidPlain = `said() { printf "$2" | nc -w 4 127.0.0.1 $1 | while read -r line; do case $line in $3) echo yes;; esac; done | { read -r answer; }; }
`

// Dovecot's check asks LMTP for a user that does not exist, which takes the master, a process of LMTP's, the sign-in
// service and the database: without one of them the answer is temporary. IMAP's greeting takes its sign-in process; a
// connection to 993 would be the master's to take, dead or alive behind it.
const dovecotCheck = `said 24 'LHLO localhost\r\nMAIL FROM:<>\r\nRCPT TO:<health@check.invalid>\r\nQUIT\r\n' '550*' && said 10143 'a LOGOUT\r\n' '[*] OK*'`

// postfixCheck takes STARTTLS with the certificate and wants AUTH after it, which Dovecot must answer for; it says nothing
// before its turn, which Postfix would not forgive. Idle processes answer without their master, so the second question
// goes to a port with a new one each time.
var postfixCheck = fmt.Sprintf(`coproc tls { timeout 7 openssl s_client -quiet -starttls smtp -connect 127.0.0.1:587 2>/dev/null; }
printf 'EHLO localhost\r\n' >&${tls[1]}
while read -t 6 -r line <&${tls[0]}; do [[ $line != *AUTH* ]] || break; done
[[ $line == *AUTH* ]] && printf 'QUIT\r\n' >&${tls[1]} && exec 3<>/dev/tcp/127.0.0.1/%d &&
	read -t 2 -r line <&3 && [[ $line == 220* ]] && printf 'QUIT\r\n' >&3`, model.PostfixCheckPort)

// rspamdCheck asks the workers for what they are there for: scans, the controller for what is learned, and the milter for
// its side of the protocol.
const rspamdCheck = `for port in 11333 11334; do said $port 'GET /ping HTTP/1.0\r\n\r\n' 'pong*' || exit 1; done
exec 3<>/dev/tcp/127.0.0.1/11332 && printf '\0\0\0\rO\0\0\0\6\0\0\1\377\0\37\377\377' >&3 && timeout 4 head -c 5 <&3 | grep -qa O && printf '\0\0\0\1Q' >&3`

// clamavCheck wants the harmless test file of 68 bytes found, as Rspamd would have it scanned (INSTREAM in clamd(8)),
// which takes a daemon with its signatures. Here it is in two parts, so that nobody takes this file for one.
const clamavCheck = `printf 'zINSTREAM\0\0\0\0\104%s%s\0\0\0\0' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-' 'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*' |
	timeout 8 nc -w 8 127.0.0.1 3310 | grep -q FOUND`

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
