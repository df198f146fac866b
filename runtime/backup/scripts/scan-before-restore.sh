#!/bin/sh
# Verifies a backup, restores it beside (not over) the live data and scans it with ClamAV:
#
#   scan-before-restore.sh --from /mnt/backup-hdd/mailserver/daily/YYYY-MM-DD --identity KEY
#
# With rkhunter installed the host itself is looked at too. That says whether this host is a safe place
# to restore to; it says nothing about the files in the backup.
set -eu
exec mailpland restore --scan-only "$@"
