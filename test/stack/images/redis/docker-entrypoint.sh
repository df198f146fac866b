#!/bin/sh
# Options or a .conf file go to redis-server, which runs as redis.
set -e
case ${1:-} in
-* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	chown redis:redis /data
	exec gosu redis "$@"
fi
exec "$@"
