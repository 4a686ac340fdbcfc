#!/bin/sh
# Starts three nodes on this machine, builds them first where that was not done, and stays until
# Ctrl-C. `./dev run` shows them at work before that.
set -e
cd "$(dirname "$0")"
program=${KVSTORE_BIN:-bin/kvstore}
[ -x "$program" ] || ./dev build release
exec "$program" demo "$@"
