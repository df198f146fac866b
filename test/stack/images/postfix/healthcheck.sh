#!/bin/bash
# Healthy when port 587 on loopback greets as Postfix does by default.
set -euo pipefail
{ sleep 0.3; printf 'QUIT\r\n'; } | timeout 4 nc -w 3 127.0.0.1 587 | grep -qE '^220.*ESMTP Postfix'
