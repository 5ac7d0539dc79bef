#!/bin/bash
# demo-stop.sh (`make demo-stop`): ends the private server of `make demo` and
# removes everything the demo made in the work folder. Packages that it
# installed stay.

set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tools/demo-lib.sh
. "$(dirname "$0")/demo-lib.sh"

workdir
DEMO=$BUILD/demo
if [ ! -f "$DEMO/$DEMO_MARK" ]; then
	note "no demo is there, nothing to stop"
else
	demo_lock
	demo_remove_server
	rm -rf -- "$DEMO"
	if [ -n "$WAS_RUNNING" ]; then
		note "the demo's server is stopped, $DEMO is removed"
	else
		note "no demo was running; what an earlier one left in $DEMO is removed"
	fi
fi
# the work folder too, if nothing else is in it
if [ -z "${DBUTIL_BUILD:-}" ] && rmdir -- "$BUILD" 2>/dev/null && [ -L "$DBUTIL_ROOT/build" ]; then
	rm -f -- "$DBUTIL_ROOT/build"
fi
