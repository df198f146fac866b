#!/bin/sh
# Makes a backup now: mailboxes, database, configuration, certificates, DKIM keys and the rest, with
# checksums. All arguments go on: --full reads every file again, --json prints the result as JSON.
set -eu
exec mailpland backup run "$@"
