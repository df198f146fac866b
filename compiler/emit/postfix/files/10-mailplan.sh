#!/bin/bash
# The image's last word before Postfix starts: /etc/postfix is new at every start and holds what the image
# makes of its environment; this puts the site's own files in their place.
set -eu
from=/etc/mailplan/postfix
install -o root -g root -m 0644 "$from/main.cf" "$from/master.cf" "$from/header_checks" /etc/postfix/
install -o root -g postfix -m 0640 "$from/mysql-sender-login.cf" /etc/postfix/
install -o root -g root -m 0600 "$from/sasl_passwd" /etc/postfix/
