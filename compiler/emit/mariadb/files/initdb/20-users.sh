#!/bin/bash
# One account per service, each with what that service does and no more. Runs at the first start, and
# again whenever a password is rotated or a right changes; it takes rights away as well as giving them.
# Passwords come from files, so that they stand in no command line and no environment.
# Hosts are '%' because the server resolves no names and only the network db can reach it.
set -eu
# Both places may be set where the server is not in its container.
secrets=${MAILPLAN_SECRETS:-/run/secrets}

# literal writes a secret as an SQL string.
literal() {
	printf "'%s'" "$(sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g" "$secrets/$1")"
}

# account NAME SECRET: makes it, sets its password and leaves it without rights.
account() {
	echo "CREATE USER IF NOT EXISTS '$1'@'%';"
	echo "ALTER USER '$1'@'%' IDENTIFIED BY $(literal "$2");"
	echo "REVOKE ALL PRIVILEGES, GRANT OPTION FROM '$1'@'%';"
}

statements() {
	# dovecot reads who may sign in and how much may be kept.
	account dovecot DOVECOT_DB_PASSWORD
	cat <<-'SQL'
		GRANT SELECT (id, email, password_hash, domain_id, quota_mb, is_active, state) ON mailserver.users TO 'dovecot'@'%';
		GRANT SELECT (id, name, state) ON mailserver.domains TO 'dovecot'@'%';
		GRANT SELECT (user_id, selector, password_hash) ON mailserver.app_passwords TO 'dovecot'@'%';
	SQL
	# postfix reads who may send as whom, and never a password.
	account postfix POSTFIX_DB_PASSWORD
	cat <<-'SQL'
		GRANT SELECT (id, email, domain_id, is_active, state) ON mailserver.users TO 'postfix'@'%';
		GRANT SELECT (id, name, state, subaddress) ON mailserver.domains TO 'postfix'@'%';
		GRANT SELECT (source, destination, domain_id) ON mailserver.aliases TO 'postfix'@'%';
		GRANT SELECT (user_id, address) ON mailserver.send_as TO 'postfix'@'%';
	SQL
	# roundcube owns its own tables and updates them itself.
	account roundcube MYSQL_PASSWORD
	cat <<-'SQL'
		GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON roundcubemail.* TO 'roundcube'@'%';
	SQL
	# rcpassword changes a password and nothing else; finding the row needs the address.
	account rcpassword ROUNDCUBE_PASSWORD_DB_PASSWORD
	cat <<-'SQL'
		GRANT SELECT (email, is_active, state), UPDATE (password_hash, password_changed_at) ON mailserver.users TO 'rcpassword'@'%';
	SQL
	# usermgmt keeps the accounts, but not their tables' shape.
	account usermgmt USERMGMT_DB_PASSWORD
	cat <<-'SQL'
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.domains TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.users TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.aliases TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.send_as TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, DELETE ON mailserver.app_passwords TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_factors TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_sessions TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE, DELETE ON mailserver.console_links TO 'usermgmt'@'%';
		GRANT SELECT, INSERT, UPDATE ON mailserver.console_edits TO 'usermgmt'@'%';
		GRANT SELECT ON mailserver.schema_migrations TO 'usermgmt'@'%';
	SQL
}

MYSQL_PWD=$(cat "$secrets/MYSQL_ROOT_PASSWORD")
export MYSQL_PWD
statements | mariadb --protocol=socket ${MAILPLAN_SOCKET:+--socket="$MAILPLAN_SOCKET"} --user=root --default-character-set=utf8mb4
