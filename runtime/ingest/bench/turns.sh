#!/bin/bash
# Measures mailpland, the peer and a direct LMTP client into one Dovecot, in turns of a second or two: what the
# machine and its file system do in a minute is in all of them, so ratios of the rounds say more than run.sh's
# cells, which lie minutes apart.
#
#   PEER=/path/to/bench/ingest ./turns.sh            # all cells, about eight minutes
#   PEER=... SIZES=4096 CONC=4 ROUNDS=20 ./turns.sh
#
# Knobs: SIZES CONC ROUNDS DUR PROCS (GOMAXPROCS of mailpland, 1 as emitted) PERF. MAILPLAND is a binary to use
# instead of building one, MAILPLAND2 another one to compare it with. Needs what PEER's run.sh needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PERF=${PERF:-$(mktemp -d)} KEEP_TRASH=1 PROCS=${PROCS:-1} DUR=${DUR:-1500ms}
mkdir -p "$PERF/bin"
[ -n "${MAILPLAND:-}" ] || (cd "$here" && CGO_ENABLED=0 go build -o "$PERF/bin/built" github.com/mailplan/mailplan/cmd/mailpland)
set +u
. "$PEER/lib.sh"
pids=()
finish() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done; wait "${pids[@]}" 2>/dev/null; dovecot_stop; }
trap finish EXIT
build
dovecot_start "$PERF/mail"
start_mailpland() { # NAME BINARY PORT
	PERF=$PERF/$1 PORT=$3 MAILPLAND_BINARY=$2 "$here/serve.sh" 127.0.0.1:12424 & pids+=($!)
	wait_port "$3"
}
mkdir -p "$PERF/own" "$PERF/other"
start_mailpland own "${MAILPLAND:-$PERF/bin/built}" 18081
[ -z "$MAILPLAND2" ] || start_mailpland other "$MAILPLAND2" 18082
app_start py-smtplib-1w 127.0.0.1:12424
pids+=("$APP_PID")

turn() { # SYSTEM SIZE CONCURRENCY DURATION
	local own="-token mailplan-bench-token -from-header X-Mail-From -to-header X-Rcpt-To" what
	case $1 in
	ceiling) "$BIN/lmtpgen" -mode bdat -size $2 -c $3 -d $4 -pid dovecot=$DOVE_PID -label sys=$1; return ;;
	own) what="-url http://127.0.0.1:18081/v1/ingest $own -pid app=${pids[0]},dovecot=$DOVE_PID" ;;
	other) what="-url http://127.0.0.1:18082/v1/ingest $own -pid app=${pids[1]},dovecot=$DOVE_PID" ;;
	peer) what="-url $URL ${GENFLAGS[*]} -pid app=$APP_PID,dovecot=$DOVE_PID" ;;
	esac
	"$BIN/httpgen" $what -size $2 -c $3 -d $4 -label sys=$1
}
all="peer own ceiling${MAILPLAND2:+ other}"
for size in ${SIZES:-4096 75000 1000000 10000000}; do for conc in ${CONC:-4 16}; do
	for s in $all; do turn $s $size $conc 1s >/dev/null; done
	: >"$PERF/turns.jsonl"
	for round in $(seq "${ROUNDS:-10}"); do
		for s in $(rot $round $all); do turn $s $size $conc $DUR >>"$PERF/turns.jsonl"; done
		[ $((round % 4)) != 0 ] || wipe
	done
	wipe
	python3 "$here/turns.py" "$PERF/turns.jsonl"
	cat "$PERF/turns.jsonl" >>"$PERF/all-turns.jsonl"
done; done
