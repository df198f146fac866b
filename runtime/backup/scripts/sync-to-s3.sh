#!/bin/sh
# Sends what is not yet off-site to the bucket with Object Lock, and checks that it is there and locked.
set -eu
exec mailpland backup sync "$@"
