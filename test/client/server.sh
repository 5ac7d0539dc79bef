#!/bin/sh
# A private PostgreSQL server for the client tests.
#
#   server.sh run BINDIR COMMAND...   make one in a temporary folder, run the
#                                     command, end and remove the server
#   server.sh stop|stop_fast|start DIR   used by the tests, DIR = $DBPOOL_TEST_DIR;
#                                     stop is a crash, stop_fast is none
#
# Unix socket only.  As root the server alone runs as the user postgres.  Ends
# nothing but the server whose data folder it made.
set -u

as_server()
{
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups "$@"
	else
		"$@"
	fi
}

start()
{
	(cd / && as_server "$(cat "$1/bindir")/pg_ctl" -D "$1/data" -l "$1/log" -w -t 30 -s start) >/dev/null
}

stop()
{
	(cd / && as_server "$(cat "$1/bindir")/pg_ctl" -D "$1/data" -m "${2:-immediate}" -w -t 30 -s stop) >/dev/null 2>&1
}

run()
{
	bindir=$1
	shift
	dir=$(mktemp -d "${TMPDIR:-/tmp}/dbpool.XXXXXX") || exit 2
	cleanup()
	{
		[ -f "$dir/data/postmaster.pid" ] && stop "$dir" immediate
		rm -rf "$dir"
	}
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$dir"
	echo "$bindir" > "$dir/bindir"
	[ "$(id -u)" = 0 ] && chown postgres "$dir"
	(cd / && LC_ALL=C as_server "$bindir/initdb" -D "$dir/data" -U postgres -A trust -N -E UTF8 --locale=C) \
		> "$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log"; exit 2; }
	{
		echo "local all pwuser scram-sha-256"
		echo "local all all trust"
	} > "$dir/data/pg_hba.conf"
	cat >> "$dir/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$dir'
		port = 5432
		fsync = off
		max_connections = 60
		shared_buffers = 16MB
		autovacuum = off
		log_connections = off
	CONF
	# where the extension is, if make check has built it
	[ -z "${TEMP_CONFIG:-}" ] || cat "$TEMP_CONFIG" >> "$dir/data/postgresql.conf"
	start "$dir" || { cat "$dir/log"; exit 2; }
	DBPOOL_TEST_DIR=$dir DBPOOL_TEST_CTL=$0 DBPOOL_TEST_DSN="host=$dir port=5432 user=postgres dbname=postgres" "$@"
}

action=$1
shift
case $action in
	run) run "$@" ;;
	start) start "$@" ;;
	stop) stop "$@" ;;
	stop_fast) stop "$@" fast ;;
	*) echo "server.sh: unknown action $action" >&2; exit 2 ;;
esac
