#!/bin/bash
# Lays Roundcube into an empty /var/www/html, writes its configuration from the environment each start
# (/var/roundcube/config/*.php has the last word), makes the database, and starts Apache.
set -euo pipefail
cd /var/www/html
[ -e index.php ] || tar cf - -C /usr/src/roundcubemail . | tar xf - || true

secret() { if [ -e "/run/secrets/roundcube_$1" ]; then cat "/run/secrets/roundcube_$1"; else printf %s "$2"; fi; }
user=$(secret db_user "${ROUNDCUBEMAIL_DB_USER:-}") password=$(secret db_password "${ROUNDCUBEMAIL_DB_PASSWORD:-}")
key=$(secret des_key "${ROUNDCUBEMAIL_DES_KEY:-$(head -c 18 /dev/urandom | base64)}")
host=${ROUNDCUBEMAIL_DB_HOST:-mysql} port=${ROUNDCUBEMAIL_DB_PORT:-3306} name=${ROUNDCUBEMAIL_DB_NAME:-roundcubemail}
plugins=$(printf "'%s', " $(tr ',' ' ' <<<"${ROUNDCUBEMAIL_PLUGINS:-archive,zipdownload}"))
cat >config/config.docker.inc.php <<PHP
<?php
\$config['db_dsnw'] = 'mysql://$user:$password@$host:$port/$name';
\$config['imap_host'] = '${ROUNDCUBEMAIL_DEFAULT_HOST:-localhost}:${ROUNDCUBEMAIL_DEFAULT_PORT:-143}';
\$config['smtp_host'] = '${ROUNDCUBEMAIL_SMTP_SERVER:-localhost}:${ROUNDCUBEMAIL_SMTP_PORT:-587}';
\$config['plugins'] = [$plugins];
\$config['skin'] = '${ROUNDCUBEMAIL_SKIN:-elastic}';
\$config['des_key'] = '$key';
\$config['log_driver'] = 'stdout';
\$config['temp_dir'] = '/tmp';
\$config['zipdownload_selection'] = true;
PHP
{
	echo "<?php"
	echo "include(__DIR__ . '/config.docker.inc.php');"
	for file in /var/roundcube/config/*.php; do [ ! -e "$file" ] || echo "include('$file');"; done
} >config/config.inc.php
chgrp www-data config/config.inc.php config/config.docker.inc.php
chmod 640 config/config.inc.php config/config.docker.inc.php

echo "upload_max_filesize = ${ROUNDCUBEMAIL_UPLOAD_MAX_FILESIZE:-5M}
post_max_size = ${ROUNDCUBEMAIL_UPLOAD_MAX_FILESIZE:-5M}" >/etc/php/8.4/apache2/conf.d/99-roundcube.ini

for i in $(seq 30); do timeout 1 bash -c "</dev/tcp/$host/$port" 2>/dev/null && break; sleep 1; done
php /initdb.php "$host" "$port" "$name" "$user" "$password" || echo "the database could not be made" >&2
if [ "$1" = apache2-foreground ]; then
	rm -f /run/apache2/apache2.pid
	export APACHE_CONFDIR=/etc/apache2
	. /etc/apache2/envvars
	mkdir -p /run/apache2 /run/lock/apache2
	exec apache2 -DFOREGROUND
fi
exec "$@"
