#!/bin/bash
# Healthy when port 587 on loopback greets as Postfix does by default.
set -euo pipefail
printf 'EHLO healthcheck\r\nQUIT\r\n' | timeout 4 nc -w 3 127.0.0.1 587 | grep -qE '^220.*ESMTP Postfix'
