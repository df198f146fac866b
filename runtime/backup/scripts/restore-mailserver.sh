#!/bin/sh
# Restores from a backup, local or s3://BUCKET/PREFIX@YYYY-MM-DD:
#
#   restore-mailserver.sh --from /mnt/backup-hdd/mailserver/daily/YYYY-MM-DD --component all
#
# Components: all, mysql, mailboxes, configs, ssl, dkim, or any class of the backup. The backup is
# verified and the staged files are scanned before anything is replaced. --dry-run changes nothing.
set -eu
exec mailpland restore "$@"
