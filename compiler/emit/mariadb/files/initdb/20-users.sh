#!/bin/bash
# One account per service, each with what that service does and no more. Runs at the first start, and
# again whenever a password is rotated or a right changes; it takes rights away as well as giving them.
# While a password rotates two of them are good: the server tries one after the other (IDENTIFIED VIA … OR …).
# No right that an account is to have is ever away, so that nobody is refused meanwhile.
# Passwords come from files, so that they stand in no command line and no environment.
# Hosts are '%' because the server resolves no names and only the network db can reach it.
set -eu
# Both places may be set where the server is not in its container.
secrets=${MAILPLAN_SECRETS:-/run/secrets}

# sql runs the statements on its standard input as root.
sql() {
	mariadb --protocol=socket ${MAILPLAN_SOCKET:+--socket="$MAILPLAN_SOCKET"} --user=root --default-character-set=utf8mb4 --batch --skip-column-names
}

# literal writes a file as an SQL string.
literal() {
	printf "'%s'" "$(sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g" "$1")"
}

# identified SECRET: the value, and the one that comes next or went before, as long as it is good.
identified() {
	printf 'IDENTIFIED VIA mysql_native_password USING PASSWORD(%s)' "$(literal "$secrets/$1")"
	for other in "$secrets/$1.next" "$secrets/$1.previous"; do
		if [ -e "$other" ]; then printf ' OR mysql_native_password USING PASSWORD(%s)' "$(literal "$other")"; fi
	done
}

# rights ACCOUNT lists what an account may do.
rights() {
	sql <<-SQL
		SELECT PRIVILEGE_TYPE, IS_GRANTABLE, '', '', '' FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = "$1"
		UNION ALL SELECT PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, '', '' FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = "$1"
		UNION ALL SELECT PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, TABLE_NAME, '' FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE = "$1"
		UNION ALL SELECT PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE = "$1"
		ORDER BY 1, 2, 3, 4, 5;
	SQL
}

# account NAME SECRET, its rights on standard input as grants to ACCOUNT. A locked account that has just these is what it
# is compared with; only one that has others besides loses them all for a moment.
account() {
	grants=$(cat)
	: <"$secrets/$2" # ends here without it
	name="'$1'@'%'" wanted="'$1-wanted'@'localhost'"
	sql <<-SQL
		CREATE USER IF NOT EXISTS $name $(identified "$2");
		ALTER USER $name $(identified "$2");
		${grants//ACCOUNT/$name}
		CREATE OR REPLACE USER $wanted ACCOUNT LOCK;
		${grants//ACCOUNT/$wanted}
	SQL
	if [ "$(rights "$name")" != "$(rights "$wanted")" ]; then
		sql <<<"REVOKE ALL PRIVILEGES, GRANT OPTION FROM $name; ${grants//ACCOUNT/$name}"
	fi
	sql <<<"DROP USER $wanted;"
}

# enter signs root in with the first password of its files that is good.
enter() {
	for file in "$secrets/MYSQL_ROOT_PASSWORD" "$secrets/MYSQL_ROOT_PASSWORD.next" "$secrets/MYSQL_ROOT_PASSWORD.previous"; do
		[ -e "$file" ] || continue
		MYSQL_PWD=$(cat "$file")
		export MYSQL_PWD
		if said=$(sql <<<'DO 0;' 2>&1); then return; fi
	done
	echo "$said" >&2
	return 1
}

enter
sql <<<"ALTER USER 'root'@'localhost' $(identified MYSQL_ROOT_PASSWORD);"
MYSQL_PWD=$(cat "$secrets/MYSQL_ROOT_PASSWORD")

# dovecot reads who may sign in, how much may be kept and who is away, and notes when an app password was used.
account dovecot DOVECOT_DB_PASSWORD <<-'SQL'
	GRANT SELECT (id, email, password_hash, domain_id, quota_mb, is_active, state) ON mailserver.users TO ACCOUNT;
	GRANT SELECT (id, name, state) ON mailserver.domains TO ACCOUNT;
	GRANT SELECT (id, user_id, selector, password_hash, used_at), UPDATE (used_at) ON mailserver.app_passwords TO ACCOUNT;
	GRANT SELECT ON mailserver.vacations_now TO ACCOUNT;
SQL

# postfix reads who may send as whom, and never a password.
account postfix POSTFIX_DB_PASSWORD <<-'SQL'
	GRANT SELECT (id, email, domain_id, is_active, state) ON mailserver.users TO ACCOUNT;
	GRANT SELECT (id, name, state, subaddress) ON mailserver.domains TO ACCOUNT;
	GRANT SELECT (source, destination, domain_id) ON mailserver.aliases TO ACCOUNT;
	GRANT SELECT (user_id, address) ON mailserver.send_as TO ACCOUNT;
SQL

# roundcube owns its own tables and updates them itself.
account roundcube MYSQL_PASSWORD <<-'SQL'
	GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON roundcubemail.* TO ACCOUNT;
SQL

# rcpassword changes a password and nothing else; finding the row needs the address.
account rcpassword ROUNDCUBE_PASSWORD_DB_PASSWORD <<-'SQL'
	GRANT SELECT (email, is_active, state), UPDATE (password_hash, password_changed_at) ON mailserver.users TO ACCOUNT;
SQL

# usermgmt keeps the accounts, but not their tables' shape.
account usermgmt USERMGMT_DB_PASSWORD <<-'SQL'
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.domains TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.users TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.aliases TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.send_as TO ACCOUNT;
	GRANT SELECT, INSERT, DELETE ON mailserver.app_passwords TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.vacations TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_factors TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_sessions TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_links TO ACCOUNT;
	GRANT SELECT, INSERT, UPDATE ON mailserver.console_edits TO ACCOUNT;
	GRANT SELECT ON mailserver.schema_migrations TO ACCOUNT;
SQL
