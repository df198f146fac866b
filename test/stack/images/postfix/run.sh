#!/bin/bash
# Starts as boky/postfix does, as far as a submission server sees it: completes /etc/postfix, sets its
# defaults, then what POSTFIX_* says, then runs /docker-init.d, then Postfix under a supervisor that does
# not restart it. OpenDKIM is not here.
set -euo pipefail
mkdir -p /etc/postfix
cp -an /etc/postfix.template/. /etc/postfix/
postfix set-permissions 2>/dev/null || true
postconf -e default_database_type=lmdb mydestination= relay_domains= header_size_limit=4096000 \
	"message_size_limit=0" "smtp_tls_security_level=may" \
	"mynetworks=127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16" \
	"smtpd_client_restrictions=permit_mynetworks,permit_sasl_authenticated,reject" \
	"smtpd_sender_restrictions=permit_mynetworks,reject"
sed -i '/^#submission /s/^#//' /etc/postfix/master.cf
while IFS='=' read -r -d '' name setting; do
	case $name in
	POSTFIX_*) if [ -n "$setting" ]; then postconf -e "${name#POSTFIX_}=$setting"; else postconf -# "${name#POSTFIX_}"; fi ;;
	esac
done </proc/self/environ
[ -z "${RELAYHOST:-}" ] || postconf -e "relayhost=$RELAYHOST"
for script in /docker-init.d/*; do
	[ -e "$script" ] || continue
	echo "running $script"
	if [ -x "$script" ]; then . "$script"; else bash "$script"; fi
done
busybox syslogd -n -O - -S &
exec postfix start-fg
