#!/bin/bash
# lib.sh: what the scripts of this folder share. Sourced, never run:
#
#     set -euo pipefail
#     . "$(dirname "$0")/lib.sh"
#
# It gives messages (die, note, section), the tree's place ($DBUTIL_ROOT), the
# choice of a PostgreSQL (find_pg), the work folder (workdir), running things
# as an unprivileged user (as_user, run_child), private servers
# (server_start, server_stop) and one exit path that ends everything a script
# started, on Ctrl-C as well. build_stage (copy, build, install aside) is in
# stage.sh, which sources this file.
#
# Environment a caller may set:
#   PG_CONFIG       the pg_config of the PostgreSQL to use
#   DBUTIL_PGMAJOR  or only its major version, for a Debian layout
#   DBUTIL_BUILD    another work folder than ./build
#   DBUTIL_CACHE    where downloads and root folders are kept
#                   (default /var/tmp/dbutil-cache)

DBUTIL_ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DBUTIL_OLDEST=15
DBUTIL_MAJORS_KNOWN="18 17 16 15"	# newest first; what deps.sh may choose from
PROGRAM=$(basename "$0" .sh)

umask 022
export LC_ALL=C.UTF-8
unset MAKEFLAGS MAKELEVEL MFLAGS CDPATH

# --- messages -------------------------------------------------------------

# die MESSAGE...: one clear line on standard error, exit status 2.
die()
{
	printf '%s: error: %s\n' "$PROGRAM" "$*" >&2
	exit 2
}

# note MESSAGE...: progress, for a person.
note()
{
	printf '%s: %s\n' "$PROGRAM" "$*"
}

# section TITLE...: a heading that stands out in a long log.
section()
{
	printf '\n=== %s\n' "$*"
}

# have COMMAND: is it there?
have()
{
	command -v "$1" >/dev/null 2>&1
}

# --- ending well ----------------------------------------------------------

CHILD=				# process group that run_child waits for
SERVER_DIRS=()		# folders in which no server may be left running
TEMP_DIRS=()		# folders to remove at the end
EXIT_HOOKS=()		# functions to call at the end, latest first

# stop_servers DIR: ends every PostgreSQL server whose data folder lies in
# DIR. A postmaster.pid is believed only if that process works in that folder.
stop_servers()
{
	local file pid data i

	[ -d "$1" ] || return 0
	while IFS= read -r -d '' file; do
		pid=$(head -n 1 "$file" 2>/dev/null || true)
		data=$(cd -P "$(dirname "$file")" 2>/dev/null && pwd) || continue
		case $pid in '' | *[!0-9]*) continue ;; esac
		[ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$data" ] || continue
		kill -QUIT "$pid" 2>/dev/null || continue
		for ((i = 0; i < 100; i++)); do
			[ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$data" ] || continue 2
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
	done < <(find -P "$1" -name postmaster.pid -print0 2>/dev/null)
	return 0
}

# end_child: ends the process group that run_child is waiting for.
end_child()
{
	local i

	[ -n "$CHILD" ] || return 0
	kill -TERM -- "-$CHILD" 2>/dev/null || true
	for ((i = 0; i < 200; i++)); do
		kill -0 -- "-$CHILD" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$CHILD" 2>/dev/null || true
	CHILD=
}

on_exit()
{
	local rc=$? i

	trap - EXIT
	trap '' INT TERM HUP
	set +e
	end_child
	for i in "${SERVER_DIRS[@]+"${SERVER_DIRS[@]}"}"; do
		stop_servers "$i"
	done
	for ((i = ${#EXIT_HOOKS[@]} - 1; i >= 0; i--)); do
		"${EXIT_HOOKS[i]}"
	done
	for i in "${TEMP_DIRS[@]+"${TEMP_DIRS[@]}"}"; do
		rm -rf -- "$i"
	done
	exit "$rc"
}

trap on_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run_child COMMAND...: runs it as a process group of its own and waits, so
# that a signal to this script is acted on at once and reaches all of it.
run_child()
{
	local rc=0 command=("$@")

	# not as a function, which would stand between us and the program
	if [ "$1" = as_user ]; then
		user_prefix
		command=("${USER_PREFIX[@]}" "${@:2}")
	fi
	set -m
	"${command[@]}" </dev/null 9>&- &
	CHILD=$!
	set +m
	wait "$CHILD" || rc=$?
	CHILD=
	return "$rc"
}

# run_logged LOG COMMAND...: run_child, with all output shown and kept in LOG.
run_logged()
{
	local log=$1

	shift
	# shellcheck disable=SC2016
	run_child bash -o pipefail -c '"$@" 2>&1 | tee -- "$0"' "$log" "$@"
}

# tally LOG STATUS: reads the line `N passed, N failed, N skipped` that ends
# LOG and adds its numbers to PASSED, FAILED and SKIPPED; a step that failed
# without saying how much, or that says nothing, is one failure. Sets TALLY.
tally()
{
	TALLY=$(tail -n 1 "$1" 2>/dev/null || true)
	if [[ $TALLY =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		PASSED=$((PASSED + BASH_REMATCH[1]))
		FAILED=$((FAILED + BASH_REMATCH[2]))
		SKIPPED=$((SKIPPED + BASH_REMATCH[3]))
		if [ "$2" != 0 ] && [ "${BASH_REMATCH[2]}" = 0 ]; then
			FAILED=$((FAILED + 1))
			TALLY="failed: $TALLY, but ended with status $2"
		fi
	else
		FAILED=$((FAILED + 1))
		TALLY="failed: ${TALLY:-no output}"
	fi
}

# --- who runs what --------------------------------------------------------

# server_user: the user a server may run as. PostgreSQL refuses root.
server_user()
{
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id -u postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

# user_prefix: sets USER_PREFIX to the words that, put before a command, run it
# as server_user.
user_prefix()
{
	local user

	USER_PREFIX=(env)
	[ "$(id -u)" = 0 ] || return 0
	user=$(server_user)
	USER_PREFIX=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups
		env "HOME=${DBUTIL_HOME:-/tmp}" "USER=$user" "LOGNAME=$user")
}

# as_user COMMAND...: runs it as server_user.
as_user()
{
	user_prefix
	"${USER_PREFIX[@]}" "$@"
}

# give DIR...: makes the folders (and their parents) and gives them to
# server_user.
give()
{
	mkdir -p -- "$@"
	if [ "$(id -u)" = 0 ]; then
		chown "$(server_user):$(id -g "$(server_user)")" -- "$@"
	fi
}

# short_temp: makes a folder with a short name (a socket's path is limited to
# about 100 bytes) that server_user owns, into $TEMP; removed at the end.
short_temp()
{
	TEMP=$(mktemp -d /tmp/dbu.XXXXXX) || die "cannot make a folder in /tmp"
	give "$TEMP"
	TEMP_DIRS+=("$TEMP")
}

# clean_env: forgets what the caller's shell tells libpq, so that a private
# server is reached and nothing else.
clean_env()
{
	local name

	for name in $(compgen -v PG); do
		case $name in
			PG_*) ;;
			*) unset "$name" ;;
		esac
	done
	unset PG_COLOR PG_COLORS PG_REGRESS PG_TEST_EXTRA PG_TEST_PORT_DIR 2>/dev/null || true
}

# --- PostgreSQL -----------------------------------------------------------

# pg_config_path: prints the pg_config to use, nothing if there is none.
# PG_CONFIG wins, then DBUTIL_PGMAJOR, then the newest of Debian's with server
# headers, then what is in the PATH.
pg_config_path()
{
	local major

	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" || true
		return 0
	fi
	for major in ${DBUTIL_PGMAJOR:-$DBUTIL_MAJORS_KNOWN}; do
		if pg_is_complete "/usr/lib/postgresql/$major/bin/pg_config"; then
			echo "/usr/lib/postgresql/$major/bin/pg_config"
			return 0
		fi
	done
	if [ -z "${DBUTIL_PGMAJOR:-}" ] && have pg_config &&
		pg_is_complete "$(command -v pg_config)"; then
		command -v pg_config
	fi
	return 0
}

# pg_is_complete PG_CONFIG: are server, headers and PGXS there?
pg_is_complete()
{
	local bin inc pgxs

	[ -x "$1" ] || return 1
	bin=$("$1" --bindir) && inc=$("$1" --includedir-server) &&
		pgxs=$("$1" --pgxs) || return 1
	[ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] && [ -x "$bin/psql" ] &&
		[ -f "$inc/postgres.h" ] && [ -f "$pgxs" ]
}

# find_pg: sets PG_CONFIG, PG_MAJOR, PG_BINDIR, PG_PKGLIB, PG_SHARE, PG_TOOLS
# (where pg_regress and its kin are), or dies with one clear line.
find_pg()
{
	local found version

	found=$(pg_config_path)
	if [ -z "$found" ]; then
		[ -z "${PG_CONFIG:-}" ] || die "PG_CONFIG=$PG_CONFIG is not a program"
		die "no PostgreSQL with server headers found${DBUTIL_PGMAJOR:+ for major version $DBUTIL_PGMAJOR}: run 'make deps' or set PG_CONFIG"
	fi
	PG_CONFIG=$found
	pg_is_complete "$PG_CONFIG" ||
		die "$PG_CONFIG has no server, no server headers or no PGXS beside it: install postgresql-server-dev for that version"
	version=$("$PG_CONFIG" --version)
	PG_MAJOR=$(printf '%s\n' "$version" | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
	case $PG_MAJOR in
		'' | *[!0-9]*) die "cannot read a version from '$version' of $PG_CONFIG" ;;
	esac
	[ "$PG_MAJOR" -ge "$DBUTIL_OLDEST" ] ||
		die "dbutil needs PostgreSQL $DBUTIL_OLDEST or newer, $PG_CONFIG is of '$version'"
	PG_CONFIG=$(cd "$(dirname "$PG_CONFIG")" && pwd)/$(basename "$PG_CONFIG")
	PG_BINDIR=$("$PG_CONFIG" --bindir)
	PG_PKGLIB=$("$PG_CONFIG" --pkglibdir)
	PG_SHARE=$("$PG_CONFIG" --sharedir)
	PG_TOOLS=$(dirname "$("$PG_CONFIG" --pgxs)")/../test
	PG_TOOLS=$(cd -P "$PG_TOOLS" 2>/dev/null && pwd) || PG_TOOLS=
	export PG_CONFIG
}

# port_taken PORT: does something listen there (TCP, or a socket in /tmp or
# /run/postgresql)?
port_taken()
{
	[ -S "/tmp/.s.PGSQL.$1" ] || [ -S "/run/postgresql/.s.PGSQL.$1" ] ||
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# free_port [FIRST]: prints the first port from FIRST on that nobody uses.
free_port()
{
	local port

	for ((port = ${1:-54400}; port < ${1:-54400} + 200 && port < 65536; port++)); do
		if ! port_taken "$port"; then
			echo "$port"
			return 0
		fi
	done
	die "no free port from ${1:-54400} on: end what listens there or name another first port"
}

# server_init DATADIR [CONF]: makes a throw-away cluster (trust, UTF8, C
# locale) for server_user; the lines of the file CONF end its configuration.
server_init()
{
	local log=$1.initdb.log

	as_user "$PG_BINDIR/initdb" -D "$1" -U postgres -A trust -E UTF8 --no-locale -N \
		>"$log" 2>&1 || die "initdb failed in $1: $(tail -n 1 "$log")"
	as_user sh -c 'cat >>"$1"' sh "$1/postgresql.conf" <<-CONF
		listen_addresses = ''
		fsync = off
		log_line_prefix = '%m [%p] %q%a '
	CONF
	[ -z "${2:-}" ] || as_user sh -c 'cat >>"$1"' sh "$1/postgresql.conf" <"$2"
}

# server_start DATADIR SOCKETDIR PORT: starts it and waits until it answers.
# The caller adds a folder above DATADIR to SERVER_DIRS.
server_start()
{
	[ ! -S "$2/.s.PGSQL.$3" ] ||
		die "port $3 is in use in $2: end that server or choose another port"
	as_user "$PG_BINDIR/pg_ctl" -D "$1" -l "$1.log" -w -t 60 -s \
		-o "-p $3 -k $2" start </dev/null >/dev/null 2>"$1.ctl.log" 9>&- ||
		die "the server in $1 does not start: $(tail -n 3 "$1.log" 2>/dev/null | tr '\n' ' ')"
}

# server_stop DATADIR
server_stop()
{
	as_user "$PG_BINDIR/pg_ctl" -D "$1" -m fast -w -t 60 -s stop >/dev/null 2>&1 || true
}

# --- the work folder ------------------------------------------------------

# usable DIR: may server_user enter it, and can make live with its name?
usable()
{
	case $1 in *[!A-Za-z0-9_./+@,=:~-]*) return 1 ;; esac
	as_user test -x "$1" 2>/dev/null
}

# workdir: sets BUILD to the folder everything is built and run in: ./build,
# or, where server_user cannot reach the checkout (a clone in /root), a folder
# in /var/tmp that ./build then points to.
workdir()
{
	local build=$DBUTIL_ROOT/build alt sum

	if [ -n "${DBUTIL_BUILD:-}" ]; then
		mkdir -p -- "$DBUTIL_BUILD" 2>/dev/null ||
			die "cannot make the folder DBUTIL_BUILD=$DBUTIL_BUILD"
		BUILD=$(cd -P "$DBUTIL_BUILD" && pwd)
		usable "$BUILD" ||
			die "user $(server_user) cannot work in DBUTIL_BUILD=$BUILD: choose a folder it can reach, without blanks in its name"
		return 0
	fi
	if usable "$DBUTIL_ROOT" && [ ! -L "$build" ] &&
		mkdir -p "$build" 2>/dev/null && [ -w "$build" ]; then
		BUILD=$build
		return 0
	fi
	sum=$(printf '%s' "$DBUTIL_ROOT" | cksum | cut -d ' ' -f 1)
	alt=/var/tmp/dbutil-build-$(id -u)-$sum
	if [ ! -d "$alt" ]; then
		mkdir "$alt" || die "cannot make the work folder $alt: set DBUTIL_BUILD"
	fi
	{ [ ! -L "$alt" ] && [ -O "$alt" ]; } ||
		die "the work folder $alt belongs to somebody else: set DBUTIL_BUILD"
	rmdir "$build" 2>/dev/null || true
	if [ -L "$build" ] || [ ! -e "$build" ]; then
		ln -sfn "$alt" "$build" 2>/dev/null || true
	fi
	[ "$(readlink "$build" 2>/dev/null)" = "$alt" ] || note "working in $alt"
	BUILD=$alt
}

# lock_dir DIR [wait]: makes this script the only one that works there (file
# descriptor 9), or dies, or waits for the other; then ends servers that a
# killed run left there.
lock_dir()
{
	exec 9>"$1/lock"
	if ! flock -n 9; then
		[ "${2:-}" = wait ] ||
			die "another run is at work in $1: wait for it, or set DBUTIL_BUILD to another folder"
		note "waiting for another run that is at work in $1"
		flock 9
	fi
	SERVER_DIRS+=("$1")
	stop_servers "$1"
}

# cache_dir: sets CACHE to the folder for downloads and root folders.
cache_dir()
{
	CACHE=${DBUTIL_CACHE:-/var/tmp/dbutil-cache}
	mkdir -p -- "$CACHE" 2>/dev/null ||
		die "cannot make the cache folder $CACHE: set DBUTIL_CACHE"
	CACHE=$(cd -P "$CACHE" && pwd)
	[ -w "$CACHE" ] || die "cannot write to the cache folder $CACHE: set DBUTIL_CACHE"
}

# debian_mirror: sets MIRROR to the address of Debian's archive that this
# machine's own apt uses, and MIRROR_SUITE to the release it follows there;
# fails if there is none.
debian_mirror()
{
	local uris

	have apt-get || return 1
	uris=$(apt-get update --print-uris 2>/dev/null |
		sed -nE "s|^'(.*)/dists/([a-z]+)/InRelease' .*|\1 \2|p" | head -n 1)
	[ -n "$uris" ] || return 1
	MIRROR=${uris% *}
	MIRROR_SUITE=${uris#* }
}

# private_apt DIR LINE...: an apt of its own in DIR that knows only the given
# source lines and nothing of this machine's packages, its lists read; sets
# APT to the options that make apt-get and apt-cache use it. Dates are not
# looked at: a mirror that stands still for a while is no fault.
private_apt()
{
	local dir=$1

	shift
	mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/parts"
	printf '%s\n' "$@" >"$dir/sources.list"
	: >"$dir/status"
	APT=(-o "Dir::Etc::SourceList=$dir/sources.list" -o "Dir::Etc::SourceParts=$dir/parts"
		-o "Dir::State::Lists=$dir/lists" -o "Dir::State::status=$dir/status"
		-o "Dir::Cache::archives=$dir/archives" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
		-o "Acquire::Check-Valid-Until=false" -o "Acquire::Languages=none"
		-o "APT::Sandbox::User=")
	run_child apt-get "${APT[@]}" -qq -o "APT::Update::Error-Mode=any" update >"$dir/update.log" 2>&1
}
