#!/bin/bash
# Starts mailpland for run.sh: serve.sh HOST:PORT of the LMTP server. LEDGER=off leaves the ledger out,
# PROCS=1 lets it use one processor, as the emitted compose file does where the limit is not above one.
set -eu
dir=$PERF/mailpland
rm -rf "$dir" && mkdir -p "$dir"
echo mailplan-bench-token >"$dir/token"
users=$(seq -f '"user%03g"' -s , 0 99)
echo "{\"domains\": {\"example.test\": {\"users\": [$users]}}}" >"$dir/table.json"
ledger="\"ledger\": {\"path\": \"$dir/ledger.db\"},"
[ "${LEDGER:-on}" = on ] || ledger=
cat >"$dir/mailpland.json" <<END
{"ingest": {"listen": "127.0.0.1:18081", $ledger "auth": {"tokenFiles": ["$dir/token"]},
 "table": "$dir/table.json", "lmtp": {"address": "$1"}}}
END
[ -z "${PROCS:-}" ] || export GOMAXPROCS=$PROCS
exec "$PERF/bin/mailpland" serve --config "$dir/mailpland.json" 2>>"$dir/log"
