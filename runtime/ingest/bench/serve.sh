#!/bin/bash
# Starts mailpland for run.sh and turns.sh: serve.sh HOST:PORT of the LMTP server. LEDGER=off leaves the ledger out,
# PROCS=1 lets it use one processor, as the emitted compose file does where the limit is not above one. It listens
# at PORT.
set -eu
dir=$PERF/mailpland port=${PORT:-18081}
rm -rf "$dir" && mkdir -p "$dir"
echo mailplan-bench-token >"$dir/token"
users=$(seq -f '"user%03g"' -s , 0 99)
echo "{\"domains\": {\"example.test\": {\"users\": [$users]}}}" >"$dir/table.json"
ledger="\"ledger\": {\"path\": \"$dir/ledger.db\"},"
[ "${LEDGER:-on}" = on ] || ledger=
cat >"$dir/mailpland.json" <<END
{"ingest": {"listen": "127.0.0.1:$port", $ledger "auth": {"tokenFiles": ["$dir/token"]},
 "table": "$dir/table.json", "lmtp": {"address": "$1"}}}
END
[ -z "${PROCS:-}" ] || export GOMAXPROCS=$PROCS
exec "${MAILPLAND_BINARY:-$PERF/bin/mailpland}" serve --config "$dir/mailpland.json" 2>>"$dir/log"
