#!/bin/bash
# demo-lib.sh: what demo.sh and demo-stop.sh share: the folder of the demo and
# the server in it. Sourced, after lib.sh.

# A file of this name says that the folder is the demo's and may be removed.
DEMO_MARK=.dbutil-demo

# demo_lock: makes this script the only one at work in $DEMO.
demo_lock()
{
	exec 9>"$DEMO/lock"
	flock -n 9 || die "a demo is being run in $DEMO: wait for it, or end it with Ctrl-C"
}

# demo_dir: sets DEMO to the demo's folder, made if it is not there, and locks
# it. A folder that holds something else is not touched.
demo_dir()
{
	DEMO=$BUILD/demo
	if [ -e "$DEMO" ] && [ ! -d "$DEMO" ]; then
		die "$DEMO is in the way: remove it, or set DBUTIL_BUILD to another folder"
	fi
	if [ -d "$DEMO" ] && [ ! -f "$DEMO/$DEMO_MARK" ] && [ -n "$(ls -A "$DEMO")" ]; then
		die "the folder $DEMO is in use for something else: move it away, or set DBUTIL_BUILD to another folder"
	fi
	give "$DEMO"
	: >"$DEMO/$DEMO_MARK" || die "cannot write to $DEMO: set DBUTIL_BUILD to another folder"
	demo_lock
}

# demo_remove_server: ends a private server of an earlier demo, and removes
# its data and its socket's folder. Sets WAS_RUNNING.
demo_remove_server()
{
	local socket pid

	WAS_RUNNING=
	pid=$(head -n 1 "$DEMO/data/postmaster.pid" 2>/dev/null || true)
	if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null || true)" -ef "$DEMO/data" ]; then
		WAS_RUNNING=1
	fi
	stop_servers "$DEMO"
	socket=$(cat "$DEMO/socket" 2>/dev/null || true)
	case $socket in
		/tmp/dbu.[A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9])
			if [ -O "$socket" ] || [ "$(id -u)" = 0 ]; then
				rm -rf -- "$socket"
			fi
			;;
	esac
	rm -rf -- "${DEMO:?}/data" "$DEMO/data.log" "$DEMO/socket"
}
