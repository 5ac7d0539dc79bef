#!/bin/bash
# demo.sh (`make demo`): dbutil at work on real input, from nothing.
#
# Installs what is missing, builds, starts a private server in build/demo and
# shows there what dbutil does; the server stays until `make demo-stop`. With
#
#   DBUTIL_DSN='host=... user=...' make demo     (or a postgresql:// URI)
#
# the user's own server is used instead: there only the database dbutil_demo is
# made, which must not exist before, and it is dropped at the end however the
# demo ends.
#
# The queries are those of examples/demo/*.sql. Everything that the programs
# print is kept in build/demo/log. A demo that fails leaves nothing running.
#
# Environment: DBUTIL_DEMO_PORT (of the private server), DBUTIL_DEMO_SCALE (10),
# DBUTIL_DEMO_SECONDS (10), DBUTIL_DEMO_TICKS (1000000), and those of lib.sh.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"
# shellcheck source=tools/demo-lib.sh
. "$(dirname "$0")/demo-lib.sh"

DB=dbutil_demo
SCALE=${DBUTIL_DEMO_SCALE:-10}
LOAD_SECONDS=${DBUTIL_DEMO_SECONDS:-10}
TICKS=${DBUTIL_DEMO_TICKS:-1000000}
MODE=private		# or: server, the user's own
SOCKET=				# private server's socket folder
CREATED=			# set while our database is on the user's server
PRELOADED=1
DONE=
CONNECT=			# connection string without a database of its own
SKIPPED=()

# --- talking --------------------------------------------------------------

# title TEXT: a heading, with the time since the start.
title()
{
	printf '\n== %s %*s\n' "$1" $((90 - ${#1})) "[$SECONDS s]"
}

say()
{
	printf '%s\n' "${*:+   $*}"
}

# shown_psql: the psql that a user would type.
shown_psql()
{
	if have psql; then
		echo psql
	else
		echo "$PG_BINDIR/psql"
	fi
}

# last_error LOG: the last line of LOG that tells of an error, else its last.
last_error()
{
	local line

	line=$(grep -aE 'ERROR:|FATAL:|error:|^[a-z_]+: ' "$1" | tail -n 1 || true)
	[ -n "$line" ] || line=$(tail -n 1 "$1")
	printf '%s' "$line" | sed -E 's/^psql:[^ ]*:[0-9]+: //; s/[[:space:]]+/ /g'
}

# --- running the programs -------------------------------------------------

# client LOG COMMAND...: runs a program against the demo's server, everything
# it prints into LOG. In private mode that is done as the server's user.
client()
{
	local log=$1

	shift
	if [ "$MODE" = private ]; then
		run_child as_user "$@" >>"$log" 2>&1
	else
		run_child "$@" >>"$log" 2>&1
	fi
}

# shown LOG COMMAND...: the same, with its output also shown, indented.
shown()
{
	local log=$1

	shift
	USER_PREFIX=(env)
	[ "$MODE" != private ] || user_prefix
	# shellcheck disable=SC2016	# expanded by the inner shell
	run_child bash -o pipefail -c '"$@" 2>>"$0.err" | tee -a -- "$0" | sed -u "s/ *\$//; /^\$/d; s/^/   /"' \
		"$log" "${USER_PREFIX[@]}" "$@"
}

# psql_args SERVICE: sets PSQL to psql in the demo's database, its session
# named SERVICE.
psql_args()
{
	PSQL=("$PG_BINDIR/psql" -X -q -w -v ON_ERROR_STOP=1 -P pager=off -P footer=off
		-P null=- -d "$CONNECT dbname=$DB application_name=$1")
}

# quietly SERVICE FILE [ARGUMENT...]: runs examples/demo/FILE.sql.
quietly()
{
	local file=$2

	psql_args "$1"
	shift 2
	client "$LOG/$file.log" "${PSQL[@]}" "$@" -f "$SRC/examples/demo/$file.sql" ||
		die "examples/demo/$file.sql failed: $(last_error "$LOG/$file.log"); all of it is in $LOG/$file.log"
}

# query SERVICE FILE [ARGUMENT...]: the same, its output shown.
query()
{
	local file=$2

	psql_args "$1"
	shift 2
	shown "$LOG/$file.log" "${PSQL[@]}" "$@" -f "$SRC/examples/demo/$file.sql" || {
		[ ! -s "$LOG/$file.log.err" ] ||
			die "examples/demo/$file.sql failed: $(last_error "$LOG/$file.log.err"); all of it is in $LOG/$file.log.err"
		die "examples/demo/$file.sql failed; its output is in $LOG/$file.log"
	}
}

# program NAME ARGUMENT...: runs one of the demo's own programs, shown.
program()
{
	local name=$1

	shift
	shown "$LOG/$name.log" "$DEMO/bin/$name" "$@" ||
		die "$name failed: $(last_error "$LOG/$name.log.err"); all of it is in $LOG/$name.log"
}

# value SQL: the one value (or row, separated by |) that it yields, on the
# user's server, in the database that DBUTIL_DSN names.
value()
{
	"$PG_BINDIR/psql" -X -q -w -A -t -v ON_ERROR_STOP=1 -d "$CONNECT" -c "$1" 2>"$LOG/server.err" </dev/null
}

# --- before anything is touched -------------------------------------------

# number NAME VALUE LOW HIGH
number()
{
	case $2 in '' | *[!0-9]* | 0?* | ???????????*) die "$1 must be a number from $3 to $4, not '$2'" ;; esac
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		die "$1 must be a number from $3 to $4, not '$2'"
	fi
}

check_settings()
{
	number DBUTIL_DEMO_SCALE "$SCALE" 1 1000
	number DBUTIL_DEMO_SECONDS "$LOAD_SECONDS" 1 3600
	number DBUTIL_DEMO_TICKS "$TICKS" 20000 100000000
	[ -z "${DBUTIL_DEMO_PORT:-}" ] || number DBUTIL_DEMO_PORT "$DBUTIL_DEMO_PORT" 1024 65535
	if [ -n "${DBUTIL_DSN+set}" ]; then
		[ -n "$DBUTIL_DSN" ] || die "DBUTIL_DSN is empty: set it to a connection string, or unset it for a private server"
		MODE=server
	fi
}

# --- building -------------------------------------------------------------

build_private()
{
	build_stage "$DEMO"
	say "extension     PostgreSQL $("$PG_CONFIG" --version | cut -d ' ' -f 2), staged, nothing is installed into the system"
}

build_programs()
{
	local log=$LOG/programs.log

	if [ "$MODE" = server ]; then
		copy_tree "$DEMO/src"
		SRC=$DEMO/src
		DBUTIL_HOME=$DEMO
		cd "$DEMO" || die "cannot enter $DEMO"
	fi
	give "$DEMO/client" "$DEMO/bin"
	{
		run_child as_user make -s -C "$SRC/src/client" BUILD="$DEMO/client" PG_CONFIG="$PG_CONFIG" &&
			run_child as_user make -s -C "$SRC/examples/demo" BUILD="$DEMO/client" \
				OUT="$DEMO/bin" PG_CONFIG="$PG_CONFIG"
	} >"$log" 2>&1 || die "building libdbpool failed: $(last_error "$log"); all of it is in $log"
	say "libdbpool     and the demo's programs (examples/demo)"
}

# --- the private server ---------------------------------------------------

start_private()
{
	local conf=$DEMO/server.conf port

	port=${DBUTIL_DEMO_PORT:-}
	if [ -n "$port" ]; then
		! port_taken "$port" ||
			die "port $port is in use: name another one in DBUTIL_DEMO_PORT, or none to let the demo find one"
	else
		port=$(free_port 54400)
	fi
	SOCKET=$(mktemp -d /tmp/dbu.XXXXXX) || die "cannot make a folder in /tmp"
	give "$SOCKET"
	printf '%s\n' "$SOCKET" >"$DEMO/socket"
	{
		stage_conf "$STAGE"
		cat "$SRC/examples/demo/demo.conf"
	} >"$conf"
	chmod 644 "$conf"
	server_init "$DEMO/data" "$conf"
	ln -sf ../data.log "$LOG/server.log"
	server_start "$DEMO/data" "$SOCKET" "$port"
	CONNECT="host=$SOCKET port=$port user=postgres"
	SHOWN_CONNECT="-h $SOCKET -p $port -U postgres"
	say "running       as user $(server_user), socket $SOCKET, port $port, no TCP"
	client "$LOG/create.log" "$PG_BINDIR/createdb" -h "$SOCKET" -p "$port" -U postgres "$DB" ||
		die "cannot create the database: $(last_error "$LOG/create.log")"
}

# --- the user's own server ------------------------------------------------

# read_dsn: CONNECT from DBUTIL_DSN; its password, if any, goes into the
# environment, where other users of the machine cannot see it.
read_dsn()
{
	local lines

	lines=$("$DEMO/bin/demo_dsn" 2>"$LOG/server.err") || {
		# 3: it is one, but holds what must not be handed on
		[ $? != 3 ] || die "cannot use DBUTIL_DSN: $(tail -n 1 "$LOG/server.err")"
		die "DBUTIL_DSN is not a connection string ($(tail -n 1 "$LOG/server.err")): write host=... port=... user=... dbname=..."
	}
	CONNECT=${lines%%$'\n'*}
	lines=${lines#*$'\n'}
	[ "$lines" = "$CONNECT" ] || [ -z "$lines" ] || export PGPASSWORD=$lines
	export PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-10}
}

check_server()
{
	local facts version standby super exists

	facts=$(value "SELECT current_setting('server_version_num'), pg_is_in_recovery(),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
		EXISTS (SELECT FROM pg_database WHERE datname = '$DB'), current_setting('server_version')") ||
		die "cannot use the server of DBUTIL_DSN ($(last_error "$LOG/server.err" | sed 's/^psql: error: //')): correct DBUTIL_DSN"
	IFS='|' read -r version standby super exists SERVER_VERSION <<<"$facts"
	[ "$version" -ge "${DBUTIL_OLDEST}0000" ] ||
		die "the server of DBUTIL_DSN is PostgreSQL $SERVER_VERSION: dbutil needs $DBUTIL_OLDEST or newer"
	[ "$standby" = f ] || die "the server of DBUTIL_DSN is a standby, where nothing can be made: name its primary"
	[ "$exists" = f ] ||
		die "the server of DBUTIL_DSN already has a database $DB, which the demo does not touch: rename or drop it"
	[ "$super" = t ] ||
		die "the user of DBUTIL_DSN is no superuser and may not create the extension dbutil: name one that is"
}

# create_database: setsid, so that a Ctrl-C does not end psql in the middle and
# leave us not knowing; it is acted on when psql has returned.
create_database()
{
	setsid "$PG_BINDIR/psql" -X -q -w -v ON_ERROR_STOP=1 -d "$CONNECT" \
		-c "CREATE DATABASE $DB TEMPLATE template0" </dev/null >"$LOG/create.log" 2>&1 ||
		die "cannot create the database $DB: $(last_error "$LOG/create.log")"
	CREATED=1
	say "database      $DB made; it is dropped at the end"
}

drop_database()
{
	if "$PG_BINDIR/psql" -X -q -w -v ON_ERROR_STOP=1 -d "$CONNECT" \
		-c "DROP DATABASE $DB WITH (FORCE)" </dev/null >"$LOG/drop.log" 2>&1; then
		CREATED=
		say "database      $DB dropped, nothing else was touched"
	else
		printf '%s: error: cannot drop the database: %s; run: DROP DATABASE %s WITH (FORCE)\n' \
			"$PROGRAM" "$(last_error "$LOG/drop.log")" "$DB" >&2
		return 1
	fi
}

use_server()
{
	read_dsn
	check_server
	say "connected     to PostgreSQL $SERVER_VERSION of DBUTIL_DSN"
	create_database
}

# --- the end --------------------------------------------------------------

# demo_end: whatever happened, our database leaves the user's server; a private
# server stays only after success (lib.sh has stopped it otherwise).
demo_end()
{
	[ -z "$CREATED" ] || drop_database
	[ -z "$DONE" ] || return 0
	[ -z "$SOCKET" ] || rm -rf -- "$SOCKET"
	if [ "$MODE" = private ] && [ -n "$SOCKET" ]; then
		rm -rf -- "${DEMO:?}/data" "$DEMO/socket"
	fi
}
EXIT_HOOKS+=(demo_end)

# --- the demo -------------------------------------------------------------

make_extension()
{
	local state

	psql_args demo
	# asked by doing: pg_available_extensions knows nothing of Debian's extension_destdir
	client "$LOG/create.log" "${PSQL[@]}" -c "CREATE EXTENSION dbutil" || {
		! grep -qE 'is not available|control file' "$LOG/create.log" ||
			die "the server of DBUTIL_DSN does not offer the extension dbutil: on its machine run 'make && make install' with that server's pg_config"
		die "CREATE EXTENSION dbutil failed: $(last_error "$LOG/create.log")"
	}
	client "$LOG/preload.log" "${PSQL[@]}" -A -t \
		-c "SELECT state FROM dbutil.status() WHERE item = 'preload'" ||
		die "dbutil.status() failed: $(last_error "$LOG/preload.log")"
	state=$(tail -n 1 "$LOG/preload.log")
	[ "$state" = ok ] || PRELOADED=
	query demo status
	[ -n "$PRELOADED" ] ||
		say "dbutil is not preloaded there: what needs that is skipped, and named, below"
}

# skip WHAT: something of the demo is left out for want of preload.
skip()
{
	SKIPPED+=("$1")
	say "skipped       $1"
	say "to have it    add dbutil to shared_preload_libraries and restart the server"
}

show_load()
{
	local count

	title "pgbench's workload through libdbpool, $LOAD_SECONDS s (service: payments)"
	client "$LOG/pgbench.log" "$PG_BINDIR/pgbench" -i -q -s "$SCALE" \
		"$CONNECT dbname=$DB application_name=pgbench" ||
		die "pgbench -i failed: $(last_error "$LOG/pgbench.log"); all of it is in $LOG/pgbench.log"
	say "tables        of pgbench at scale $SCALE ($((SCALE * 100000)) accounts)"
	program demo_load "$CONNECT dbname=$DB" "$SCALE" "$LOAD_SECONDS"
	count=$(sed -nE 's/^transactions +([0-9]+) .*/\1/p' "$LOG/demo_load.log")
	say ""
	say "no write lost or doubled: the four sums agree (examples/demo/balances.sql)"
	query demo balances -v "committed=${count:-0}"
	grep -q '| ok' "$LOG/balances.log" ||
		die "the sums in pgbench's tables do not agree: see $LOG/balances.log"
}

show_bulk()
{
	local chunk=100000 first last

	title "bulk writes: $TICKS foreign-exchange ticks (service: market-data)"
	quietly market-data ticks -v "ticks=$TICKS"
	say "ticks         made up from a fixed seed, the same in every run (examples/demo/ticks.sql)"
	[ "$chunk" -le "$TICKS" ] || chunk=$TICKS
	for ((first = 1; first <= TICKS; first = last + 1)); do
		last=$((first + chunk - 1))
		[ "$last" -le "$TICKS" ] || last=$TICKS
		query market-data bulk_insert -A -t -v "first=$first" -v "last=$last"
	done
	query market-data bulk_update -A -t
	query market-data bulk_delete -A -t
	say ""
	quietly market-data row_at_a_time
	say "and against one statement a row, 5,000 rows in one transaction from psql"
	query market-data bulk_summary
}

show_plan_cache()
{
	local cpu='' rounds=$((2 * LOAD_SECONDS))

	[ "$rounds" -le 20 ] || rounds=20
	title "the plan cache, off and on by turns in the same session"
	quietly reporting star
	[ "$MODE" = server ] || cpu=cpu
	program demo_plan "$CONNECT dbname=$DB application_name=plan-cache" "$SCALE" "$TICKS" "$rounds" ${cpu:+$cpu}
	if [ -n "$PRELOADED" ]; then
		say ""
		query demo plan_cache
	else
		skip "the time spent on planning each of the two"
	fi
}

show_tracking()
{
	title "what was tracked, times in ms"
	if [ -z "$PRELOADED" ]; then
		skip "statements, transactions and services"
		return 0
	fi
	say "the statements of each service that took most time (examples/demo/statements.sql)"
	query demo statements
	say ""
	say "transactions (examples/demo/transactions.sql)"
	query demo transactions
	say ""
	say "services (examples/demo/services.sql)"
	query demo services
}

show_analysis()
{
	title "a slow query, analysed (service: reporting; examples/demo/slow_query.sql)"
	query reporting slow_query
}

show_health()
{
	title "health (examples/demo/health.sql)"
	query demo health
}

check_settings
printf 'dbutil demo: %s\n' "$([ "$MODE" = private ] && echo 'on a private server' || echo 'on the server of DBUTIL_DSN')"
title "what is needed"
run_child bash "$DBUTIL_ROOT/tools/deps.sh" demo || exit 2
find_pg
say "all there     PostgreSQL $PG_MAJOR, $PG_CONFIG"
workdir
demo_dir
[ "$MODE" = server ] || {
	clean_env
	SERVER_DIRS+=("$DEMO")
	demo_remove_server
}
unset PGAPPNAME	# names the services here
LOG=$DEMO/log
SHOWN_DEMO=$DEMO
[ ! "$DBUTIL_ROOT/build" -ef "$BUILD" ] || SHOWN_DEMO=build/demo
rm -rf -- "$LOG"
give "$LOG"

SECONDS=0
title "building"
[ "$MODE" = server ] || build_private
build_programs

if [ "$MODE" = private ]; then
	title "a server of its own"
	start_private
else
	title "the server of DBUTIL_DSN"
	use_server
fi
make_extension
show_load
show_bulk
show_plan_cache
show_analysis
show_tracking
show_health

if [ "$MODE" = private ]; then
	title "look around"
	say "connect       ${SUDO_USER:+sudo }$(shown_psql) $SHOWN_CONNECT $DB"
	say "begin with    SELECT * FROM dbutil.status();   \\dv dbutil.*   \\df dbutil.*"
	say "end           make demo-stop"
	SERVER_DIRS=()
	DONE=1
else
	title "leaving"
	drop_database
	[ ${#SKIPPED[@]} = 0 ] || say "skipped       ${#SKIPPED[@]} part(s) for want of preload, see above"
	DONE=1
fi
printf '\ndemo done in %d s; all output is in %s/log\n' "$SECONDS" "$SHOWN_DEMO"
