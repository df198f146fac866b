#!/bin/bash
# Measures mailpland side by side with the FastAPI peer of the original design, in one run and in turns.
#
#   PEER=/path/to/bench/ingest ./run.sh e2e null     # parts of the peer's own run.sh: lmtp e2e null ...
#   ./run.sh                                         # no peer: Go benchmarks of the endpoint alone
#
# PEER is the folder with the peer, the load generators and their run.sh, which says what must be
# installed. LEDGER=off runs mailpland without its ledger. Every knob of the peer's run.sh works here:
# SIZES CONC NULL_SIZES NULL_CONC REPS DUR WAIT_BUDGET APPS. MAILPLAND is a binary to use instead of
# building one. Results are in $PERF/results.jsonl; a table
# is printed at the end. Nothing but loopback is used, and all that is started is ended by its pid.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${PEER:-}" ]; then
	echo "PEER is not set: only the endpoint alone is measured" >&2
	cd "$here/.." && exec go test -run '^$' -bench Ingest -benchmem .
fi
export PERF=${PERF:-$(mktemp -d)}
mkdir -p "$PERF/bin"
if [ -n "${MAILPLAND:-}" ]; then
	cp "$MAILPLAND" "$PERF/bin/mailpland"
else
	(cd "$here" && CGO_ENABLED=0 go build -o "$PERF/bin/mailpland" github.com/mailplan/mailplan/cmd/mailpland)
fi
export APPS=${APPS:-"own py-smtplib-1w"}
export OWN_CMD="$here/serve.sh {lmtp}" OWN_URL=http://127.0.0.1:18081/v1/ingest
export OWN_FLAGS="-token mailplan-bench-token -from-header X-Mail-From -to-header X-Rcpt-To"
(cd "$PEER" && ./run.sh "$@")
python3 "$PEER/report.py" "$PERF/results.jsonl" py-smtplib-1w
