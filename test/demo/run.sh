#!/bin/bash
# run.sh: tests of `make demo` and `make demo-stop`; prints TAP.
#
#   bash test/demo/run.sh              builds what it needs
#   DBUTIL_STAGE_DIR=D bash ...        uses the build below D (check.sh)
#
# The "user's own servers" of the tests are private ones: one with dbutil
# preloaded, one without, one that does not have it at all. A small demo
# (scale 1, one second, 20,000 ticks) is run on them and on one of its own.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/../../tools/stage.sh"

TESTS_RUN=0
TESTS_BAD=0

# result STATUS NAME: one line of TAP; what the last demo printed explains a failure.
result()
{
	TESTS_RUN=$((TESTS_RUN + 1))
	if [ "$1" = 0 ]; then
		echo "ok $TESTS_RUN - $2"
	else
		TESTS_BAD=$((TESTS_BAD + 1))
		echo "not ok $TESTS_RUN - $2"
		echo "# exit status ${STATUS:-none}; printed:"
		tail -n 25 "$HERE/out" | cut -c 1-300 | sed 's/^/# /'
		sed 's/^/# stderr: /' "$HERE/err" | cut -c 1-500
	fi
}

# check NAME COMMAND...: the test passes if the command succeeds.
check()
{
	local name=$1 status=0

	shift
	"$@" >/dev/null 2>&1 || status=1
	result "$status" "$name"
}

# tool SCRIPT [NAME=VALUE...]: runs tools/SCRIPT.sh; sets STATUS, its output is
# in $HERE/out and $HERE/err.
tool()
{
	local script=$1

	shift
	STATUS=0
	run_child env DBUTIL_BUILD="$HERE/build" DBUTIL_DEMO_SCALE=1 DBUTIL_DEMO_SECONDS=1 \
		DBUTIL_DEMO_TICKS=20000 "$@" bash "$DBUTIL_ROOT/tools/$script.sh" \
		>"$HERE/out" 2>"$HERE/err" || STATUS=$?
	note_socket
}

# note_socket: remembers the folder of the socket that the last demo named.
note_socket()
{
	sed -nE 's/.*socket (\/tmp\/dbu\.[A-Za-z0-9]+),.*/\1/p' "$HERE/out" >>"$HERE/sockets"
}

# refused PATTERN: the last demo failed with one line, which matches it.
refused()
{
	[ "$STATUS" != 0 ] && [ "$(wc -l <"$HERE/err")" = 1 ] && grep -qE "^demo: error: .*$1" "$HERE/err"
}

# sql SERVER SQL
sql()
{
	as_user "$PG_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$TEMP" -p "${PORT[$1]}" \
		-U postgres -d postgres -c "$2" 2>/dev/null
}

dsn()
{
	echo "DBUTIL_DSN=host=$TEMP port=${PORT[$1]} user=postgres dbname=postgres"
}

# no_database SERVER: nothing is left there of a demo.
no_database()
{
	[ "$(sql "$1" "SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')")" = 0 ] &&
		[ "$(sql "$1" "SELECT count(*) FROM pg_stat_activity WHERE datname = 'dbutil_demo'")" = 0 ]
}

# no_server: no server of the demo's own runs, no socket's folder is left.
no_server()
{
	local socket

	while IFS= read -r socket; do
		[ ! -e "$socket" ] || return 1
	done <"$HERE/sockets"
	[ ! -e "$HERE/build/demo/data" ] && [ ! -e "$HERE/build/demo/socket" ] &&
		[ -z "$(find /proc -maxdepth 2 -name cwd -lname "$HERE/build/demo/data*" 2>/dev/null)" ]
}

# standby NAME PORT: starts a server in recovery; it needs no primary for that.
standby()
{
	PORT[$1]=$2
	server_init "$HERE/$1"
	as_user touch "$HERE/$1/standby.signal"
	server_start "$HERE/$1" "$TEMP" "$2"
}

# server NAME PORT LINE...: starts a server of that name with these settings.
server()
{
	local name=$1 port=$2

	shift 2
	PORT[$name]=$port
	printf '%s\n' "max_connections = 30" "$@" >"$HERE/$name.conf"
	server_init "$HERE/$name" "$HERE/$name.conf"
	server_start "$HERE/$name" "$TEMP" "$port"
}

# interrupted PATTERN SIGNAL [NAME=VALUE...]: starts a demo and sends it SIGNAL
# when its output matches PATTERN; sets STATUS.
interrupted()
{
	local pattern=$1 signal=$2 pid i

	shift 2
	: >"$HERE/out"
	STATUS=0
	set -m
	# a shell cannot trap what was ignored when it began, as SIGINT is below nohup and &
	env DBUTIL_BUILD="$HERE/build" DBUTIL_DEMO_SCALE=1 DBUTIL_DEMO_SECONDS=60 DBUTIL_DEMO_TICKS=20000 \
		"$@" perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' bash "$DBUTIL_ROOT/tools/demo.sh" \
		>"$HERE/out" 2>"$HERE/err" </dev/null 9>&- &
	pid=$!
	CHILD=$pid
	set +m
	for ((i = 0; i < 600; i++)); do
		grep -qE "$pattern" "$HERE/out" && break
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -s "$signal" -- "-$pid" 2>/dev/null || true
	wait "$pid" || STATUS=$?
	CHILD=
	note_socket
}

# psql_as_printed: the command that the demo printed for connecting works.
psql_as_printed()
{
	local command

	command=$(sed -nE 's/^ *connect +(sudo )?//p' "$HERE/out")
	[ -n "$command" ] || return 1
	# shellcheck disable=SC2086	# it is a command line
	[ "$($command -X -A -t -c "SELECT state FROM dbutil.status() WHERE item = 'preload'")" = ok ]
}

# skips_named: what was left out, and what to do to have it.
skips_named()
{
	grep -q '^ *skipped *statements, transactions' "$HERE/out" &&
		grep -q '^ *to have it *add dbutil to shared_preload_libraries' "$HERE/out"
}

# plan_cache_hit: the statements with the cache on were served from it.
plan_cache_hit()
{
	awk -F '|' '$1 ~ /plan-cache-on/ && $2 ~ /SELECT/ { seen++; hit += $4 > 0 }
		END { exit !(seen == 2 && hit == 2) }' "$HERE/out"
}

test_bad_input()
{
	tool demo DBUTIL_DSN=nonsense
	check "a DSN that is none" refused 'DBUTIL_DSN is not a connection string'
	tool demo "DBUTIL_DSN=host=a hots=b"
	check "a DSN with a misspelled word" refused '"hots".*write host='
	tool demo DBUTIL_DSN=
	check "an empty DSN" refused 'DBUTIL_DSN is empty'
	tool demo "DBUTIL_DSN=host=$HERE/nowhere port=54399 user=postgres"
	check "a DSN that leads nowhere" refused 'cannot use the server of DBUTIL_DSN.*correct DBUTIL_DSN'
	tool demo "DBUTIL_DSN=host=$TEMP port=${PORT[preloaded]} user=regress_nobody dbname=postgres"
	check "a DSN with an unknown role" refused 'regress_nobody.*correct DBUTIL_DSN'
	tool demo "DBUTIL_DSN=host=$TEMP port=${PORT[preloaded]} user=postgres options='-c statement_timeout=1ms'"
	check "a server that refuses the first query says why" refused 'statement timeout.*correct DBUTIL_DSN'
	tool demo "DBUTIL_DSN=host=$TEMP port=${PORT[preloaded]} user=postgres sslpassword=secret"
	check "a secret that would become an argument" refused 'sslpassword.*service file'
	check "is not printed" eval '! grep -q secret "$HERE/err" "$HERE/out"'
	tool demo "$(dsn standby)"
	check "a DSN that leads to a standby" refused 'is a standby.*name its primary'
	tool demo DBUTIL_DEMO_SECONDS=long
	check "a setting that is no number" refused "DBUTIL_DEMO_SECONDS must be a number.*'long'"

	printf '#!/bin/sh\ncase $1 in --version) echo "PostgreSQL 13.9";; *) exec %s "$@";; esac\n' \
		"$PG_CONFIG" >"$HERE/pg_config"
	chmod 755 "$HERE/pg_config"
	tool demo PG_CONFIG="$HERE/pg_config"
	check "a PostgreSQL too old" refused 'needs PostgreSQL 15 or newer'

	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
		$| = 1; print $s->sockport, "\n"; sleep 120' >"$HERE/listener" 9>&- &
	LISTENER=$!
	for ((i = 0; i < 50; i++)); do
		[ ! -s "$HERE/listener" ] || break
		sleep 0.1
	done
	tool demo DBUTIL_DEMO_PORT="$(cat "$HERE/listener")"
	check "a port in use" refused 'port [0-9]+ is in use: name another one in DBUTIL_DEMO_PORT'
	check "and nothing is left running" no_server
	kill "$LISTENER"
	wait "$LISTENER" 2>/dev/null || true
	LISTENER=

	tool demo-stop
	check "demo-stop says that an earlier demo was not running" grep -q 'no demo was running' "$HERE/out"
	tool demo-stop
	check "demo-stop without a demo says so" grep -q 'no demo is there' "$HERE/out"
	check "and is no failure" test "$STATUS" = 0

	mkdir -p "$HERE/build/demo"
	echo precious >"$HERE/build/demo/mine"
	tool demo
	check "a folder in use for something else" refused 'is in use for something else'
	tool demo-stop
	check "and demo-stop leaves it alone" grep -q precious "$HERE/build/demo/mine"
	rm -rf "$HERE/build/demo"

	mkdir -p "$HERE/build/demo"
	touch "$HERE/build/demo/.dbutil-demo"
	exec 8>"$HERE/build/demo/lock"
	flock 8
	tool demo
	exec 8>&-
	check "a demo while another is at work" refused 'a demo is being run'
	rm -rf "$HERE/build/demo"
}

test_own_server()
{
	tool demo "$(dsn stock)"
	check "a server without dbutil" refused "does not offer the extension dbutil: .*make install"
	check "and no database is left there" no_database stock

	sql preloaded "CREATE ROLE regress_plain LOGIN CREATEDB"
	tool demo "DBUTIL_DSN=host=$TEMP port=${PORT[preloaded]} user=regress_plain dbname=postgres"
	check "a user who may not create the extension" refused 'is no superuser'
	sql preloaded "DROP ROLE regress_plain"

	sql preloaded "CREATE DATABASE dbutil_demo"
	tool demo "$(dsn preloaded)"
	check "a database of that name is there" refused 'already has a database dbutil_demo'
	check "and is still there" sql preloaded "DROP DATABASE dbutil_demo"

	tool demo "$(dsn preloaded)"
	check "the demo on a server of the user" test "$STATUS" = 0
	check "its sums agree" grep -q '| ok' "$HERE/out"
	check "the slow query has its finding" grep -q '| slow_scan ' "$HERE/out"
	check "and none once the advice was followed" grep -q 'findings left: 0' "$HERE/out"
	check "health has its verdict" grep -qE '^ +(ok|warn|critical|unknown) +\| +[0-9]+ ' "$HERE/out"
	check "the plan cache was hit, with the same answers" plan_cache_hit
	check "nothing was skipped" eval '! grep -q skipped "$HERE/out"'
	check "nothing is left there" no_database preloaded

	tool demo "$(dsn plain)"
	check "the demo on a server without preload" test "$STATUS" = 0
	check "says what it skips and the line to add" skips_named
	check "and leaves nothing there either" no_database plain

	interrupted 'made; it is dropped' INT "$(dsn preloaded)"
	check "Ctrl-C ends it with a status" test "$STATUS" = 130
	check "and the database is dropped" no_database preloaded
}

test_private_server()
{
	tool demo
	check "the demo on a server of its own" test "$STATUS" = 0
	check "the printed psql command connects" psql_as_printed
	cp "$HERE/out" "$HERE/first"
	tool demo
	check "a second demo" test "$STATUS" = 0
	check "replaces the first one's server" psql_as_printed
	check "its ticks are the same as the first one's" diff \
		<(grep -A 3 ticks_now "$HERE/first") <(grep -A 3 ticks_now "$HERE/out")
	# those with file names of this machine in them are as wide as these are
	grep -vF -e "$HERE" -e 'warning:' "$HERE/out" | grep -E '^.{101}' >"$HERE/wide" || true
	check "no line is wider than 100 columns" test ! -s "$HERE/wide"
	sed 's/^/# too wide: /' "$HERE/wide"
	tool demo-stop
	check "demo-stop ends it" grep -q "the demo's server is stopped" "$HERE/out"
	check "and leaves nothing" no_server
	check "a socket was looked for" test -s "$HERE/sockets"
	check "not even its folder" test ! -e "$HERE/build/demo"

	interrupted 'tables +of pgbench' TERM
	check "a demo that is ended in the middle" test "$STATUS" = 143
	check "stops its server" no_server
}

find_pg
clean_env
if [ -n "${DBUTIL_STAGE_DIR:-}" ]; then
	WORK=$DBUTIL_STAGE_DIR
	STAGE=$WORK/stage
	[ -d "$STAGE" ] || die "DBUTIL_STAGE_DIR=$WORK has no stage: run make check"
else
	workdir
	WORK=$BUILD/check/$PG_MAJOR
	mkdir -p "$BUILD/check"
	give "$WORK"
	lock_dir "$WORK"
	build_stage "$WORK"
fi
unset DBUTIL_BUILD DBUTIL_DSN DBUTIL_DEMO_PORT
HERE=$WORK/demo
LISTENER=
end_listener() { [ -z "$LISTENER" ] || kill "$LISTENER" 2>/dev/null; }
EXIT_HOOKS+=(end_listener)
SERVER_DIRS+=("$HERE")
stop_servers "$HERE"
rm -rf "$HERE"
give "$HERE"
touch "$HERE/out" "$HERE/err" "$HERE/sockets"
cd "$HERE"
short_temp
declare -A PORT
mapfile -t STAGED < <(stage_conf "$STAGE")
server preloaded 54321 "${STAGED[@]}" "shared_preload_libraries = 'dbutil'"
server plain 54322 "${STAGED[@]}"
server stock 54323
standby standby 54324

test_bad_input
test_own_server
test_private_server

echo "1..$TESTS_RUN"
[ "$TESTS_BAD" = 0 ]
