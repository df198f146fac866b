#!/bin/bash
# First start on an empty data folder: makes root, the health user, the database and its user as the
# environment says (MARIADB_* or MYSQL_*, also *_FILE), then runs /docker-entrypoint-initdb.d. Later
# starts only start the server.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
	chown mysql:mysql /var/lib/mysql /run/mysqld
	exec gosu mysql "$0" "$@"
fi

# value NAME prints what NAME or NAME_FILE says, of MARIADB_ before MYSQL_.
value() {
	local name
	for name in "MARIADB_$1" "MYSQL_$1"; do
		if [ -n "${!name:-}" ]; then printf %s "${!name}"; return; fi
		local file=${name}_FILE
		if [ -n "${!file:-}" ]; then cat "${!file}"; return; fi
	done
}

quote() { printf "'%s'" "$(sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

if [ ! -d /var/lib/mysql/mysql ]; then
	echo "initializing the database"
	mariadb-install-db --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
	mariadbd --skip-networking --socket=/run/mysqld/mysqld.sock &
	server=$!
	client=(mariadb --socket=/run/mysqld/mysqld.sock -uroot)
	until "${client[@]}" -e 'SELECT 1' >/dev/null 2>&1; do
		kill -0 $server
		sleep 0.2
	done
	health=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
	printf '[mariadb-client]\nport=3306\nsocket=/run/mysqld/mysqld.sock\nuser=healthcheck\npassword=%s\nprotocol=tcp\n' "$health" >/var/lib/mysql/.my-healthcheck.cnf
	chmod 600 /var/lib/mysql/.my-healthcheck.cnf
	database=$(value DATABASE) user=$(value USER)
	password=$(value ROOT_PASSWORD) host=$(value ROOT_HOST)
	secret=$(printf %s "$password" | quote)
	{
		echo "CREATE USER healthcheck@'127.0.0.1' IDENTIFIED BY '$health', healthcheck@localhost IDENTIFIED BY '$health';"
		echo "GRANT USAGE ON *.* TO healthcheck@'127.0.0.1', healthcheck@localhost;"
		[ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
		if [ -n "$user" ]; then
			echo "CREATE USER '$user'@'%' IDENTIFIED BY $(value PASSWORD | quote);"
			[ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO '$user'@'%';"
		fi
		[ "${host:-%}" = localhost ] || echo "CREATE USER root@'${host:-%}' IDENTIFIED BY $secret; GRANT ALL ON *.* TO root@'${host:-%}' WITH GRANT OPTION;"
		echo "ALTER USER root@localhost IDENTIFIED BY $secret;"
	} | "${client[@]}"
	export MYSQL_PWD=$password
	for file in /docker-entrypoint-initdb.d/*; do
		case $file in
		*.sh) echo "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
		*.sql) echo "running $file"; "${client[@]}" ${database:+"$database"} <"$file" ;;
		*.sql.gz) echo "running $file"; gunzip -c "$file" | "${client[@]}" ${database:+"$database"} ;;
		esac
	done
	kill $server
	wait $server
	unset MYSQL_PWD
	echo "the database is initialized"
fi
exec "$@"
