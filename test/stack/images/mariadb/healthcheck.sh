#!/bin/bash
# healthcheck.sh --connect --innodb_initialized: whether the server answers over TCP and InnoDB is up.
set -euo pipefail
client=(mariadb "--defaults-extra-file=/var/lib/mysql/.my-healthcheck.cnf" --defaults-group-suffix= --host=127.0.0.1 --skip-column-names)
for check in "$@"; do
	case $check in
	--connect) "${client[@]}" -e 'SELECT 1' >/dev/null ;;
	--innodb_initialized) [ "$("${client[@]}" -e "SELECT 1 FROM information_schema.ENGINES WHERE engine='innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ] ;;
	*) echo "unknown check $check" >&2; exit 1 ;;
	esac
done
