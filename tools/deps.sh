#!/bin/bash
# deps.sh [demo|check|lint|majors|core|packages]...: makes sure that the programs are there
# which the named jobs need (without a name: check).
#
# As root it installs what is missing with apt-get, else through `sudo -n`
# where that works; otherwise it prints the exact command and fails. With
# PG_CONFIG set it only looks and never installs. Neighbours that only some tests
# want, and skip themselves without, are installed where the archive offers them
# and are no failure where not. A PostgreSQL that it installs
# gets no cluster of its own: dbutil's servers are private ones.

set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

MISSING=()		# Debian packages
MISSING_FOR=()	# what each is wanted for, in words
WISHES=()		# Debian packages that some tests can do without
ROOTLY=()		# prefix for a command that needs root

# want PACKAGE WHAT PROBE...: PACKAGE is missing unless the command PROBE
# succeeds.
want()
{
	local package=$1 what=$2

	shift 2
	"$@" >/dev/null 2>&1 && return 0
	MISSING+=("$package")
	MISSING_FOR+=("$what")
}

# wish PACKAGE PROBE...: as want, but only where it can be had.
wish()
{
	local package=$1

	shift
	"$@" >/dev/null 2>&1 && return 0
	if [ -z "${PG_CONFIG:-}" ] && have apt-get && apt_offers "$package"; then
		WISHES+=("$package")
	fi
	return 0
}

# has_python MODULE: does the system's own Python have it?
has_python()
{
	/usr/bin/python3 -c "import $1"
}

# apt_offers PACKAGE: does the package list have a version to install?
apt_offers()
{
	apt-cache policy -- "$1" 2>/dev/null | grep '^ *Candidate: [0-9]' >/dev/null
}

# major_to_install: the PostgreSQL to install: DBUTIL_PGMAJOR, else the newest
# that this machine's archive offers.
major_to_install()
{
	local major

	if [ -n "${DBUTIL_PGMAJOR:-}" ]; then
		echo "$DBUTIL_PGMAJOR"
		return 0
	fi
	for major in $DBUTIL_MAJORS_KNOWN; do
		if apt_offers "postgresql-server-dev-$major"; then
			echo "$major"
			return 0
		fi
	done
	echo "$DBUTIL_OLDEST"
}

# wanted: what is missing, in words.
wanted()
{
	local IFS=,

	printf '%s' "${MISSING_FOR[*]}" | sed 's/,/, /g'
}

# look_for_demo: what building and running takes, and no more.
look_for_demo()
{
	local found major

	want make "make" have make
	want gcc "a C compiler" have gcc
	want libc6-dev "the C library's headers" test -e /usr/include/stdlib.h
	found=$(pg_config_path)
	if [ -z "$found" ] || ! pg_is_complete "$found"; then
		major=$(major_to_install)
		MISSING+=("postgresql-$major" "postgresql-server-dev-$major")
		MISSING_FOR+=("a PostgreSQL server" "its headers")
	fi
	want pkg-config "pkg-config" have pkg-config
	want libpq-dev "libpq's headers" pkg-config --exists libpq
}

look_for_check()
{
	local found major

	look_for_demo
	found=$(pg_config_path)
	case $found in
		/usr/lib/postgresql/*)
			major=$(basename "${found%/bin/pg_config}")
			wish "postgresql-$major-hypopg" test -e "/usr/share/postgresql/$major/extension/hypopg.control"
			;;
	esac
	wish sqlsmith have sqlsmith
	want g++ "a C++ compiler (a test includes dbpool.h from C++)" have c++
	want libcmocka-dev "cmocka" pkg-config --exists cmocka
	want libncurses-dev "ncurses" pkg-config --exists ncursesw
	want perl "perl" have perl
	want libipc-run-perl "perl's IPC::Run" perl -MIPC::Run -e 1
	want python3 "python" test -x /usr/bin/python3
	want python3-sqlalchemy "python's SQLAlchemy" has_python sqlalchemy
	want python3-psycopg2 "python's psycopg2" has_python psycopg2
	want python3-asyncpg "python's asyncpg" has_python asyncpg
	want python3-greenlet "python's greenlet" has_python greenlet
	want pgbouncer "pgbouncer" test -x /usr/sbin/pgbouncer
	wish python3-psycopg has_python psycopg
	wish default-jdk-headless have javac
	wish libpostgresql-jdbc-java test -e /usr/share/java/postgresql.jar
}

look_for_lint()
{
	look_for_check
	want clang "clang" have clang
	want clang-tidy "clang-tidy" have clang-tidy
	want shellcheck "shellcheck" have shellcheck
	want pyflakes3 "pyflakes" have pyflakes3
}

look_for_majors()
{
	want mmdebstrap "mmdebstrap" have mmdebstrap
}

look_for_packages()
{
	look_for_demo
	want debhelper "debhelper" have dh
	want lintian "lintian" have lintian
	want libncurses-dev "ncurses" pkg-config --exists ncursesw
	want postgresql-server-dev-all "pg_buildext" test -e /usr/share/postgresql-common/pgxs_debian_control.mk
}

look_for_core()
{
	want bzip2 "bzip2" have bzip2
	want gcc "a C compiler" have gcc
	want perl "perl" have perl
}

look()
{
	local set

	MISSING=()
	MISSING_FOR=()
	WISHES=()
	for set in "$@"; do
		"look_for_$set"
	done
}

# quiet_install COMMAND...: runs apt-get; its output goes to $LOG.
quiet_install()
{
	run_child "${ROOTLY[@]+"${ROOTLY[@]}"}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >>"$LOG" 2>&1
}

# without_cluster on|off: keeps Debian's PostgreSQL packages, on their first
# installation, from making and starting a cluster.
NO_CLUSTER=
without_cluster()
{
	local conf=/etc/postgresql-common/createcluster.conf
	local default=/usr/share/postgresql-common/createcluster.conf

	if [ "$1" = on ]; then
		case "${MISSING[*]} " in *postgresql-[0-9]*) ;; *) return 0 ;; esac
		[ ! -e "$conf" ] || return 0
		NO_CLUSTER=$conf
		"${ROOTLY[@]+"${ROOTLY[@]}"}" sh -c \
			'mkdir -p "$(dirname "$1")" && echo "create_main_cluster = false" >"$1"' sh "$conf"
	elif [ -n "$NO_CLUSTER" ]; then
		NO_CLUSTER=
		"${ROOTLY[@]+"${ROOTLY[@]}"}" sh -c \
			'if [ -f "$2" ]; then cp "$2" "$1"; else rm -f "$1"; fi' sh "$conf" "$default"
	fi
}
restore_cluster_conf() { without_cluster off; }
EXIT_HOOKS+=(restore_cluster_conf)

SETS=("${@:-check}")
for set in "${SETS[@]}"; do
	case $set in
		demo | check | lint | majors | core | packages) ;;
		*) die "unknown job '$set': one of demo, check, lint, majors, core, packages" ;;
	esac
done

# wishes_installed: installs what was wished for, if that is possible.
wishes_installed()
{
	[ ${#WISHES[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ] && [ ${#ROOTLY[@]} = 0 ]; then
		have sudo && sudo -n true 2>/dev/null || return 0
		ROOTLY=(sudo -n)
	fi
	[ -n "$LOG" ] || make_log
	note "installing ${WISHES[*]}"
	quiet_install install --no-install-recommends "${WISHES[@]}" ||
		note "not installed: ${WISHES[*]} ($(grep -E '^E:' "$LOG" | tail -n 1)); tests that want them are skipped"
}

LOG=
make_log()
{
	LOG=$(mktemp /tmp/dbutil-deps.XXXXXX.log)
	TEMP_DIRS+=("$LOG")
}

look "${SETS[@]}"
if [ ${#MISSING[@]} = 0 ]; then
	wishes_installed
	exit 0
fi

if [ -n "${PG_CONFIG:-}" ]; then
	die "missing: $(wanted); PG_CONFIG is set, so nothing is installed: install it, or unset PG_CONFIG"
fi
if ! have apt-get; then
	die "missing: $(wanted) (in Debian: ${MISSING[*]}): install it with this system's package manager"
fi
if [ "$(id -u)" != 0 ]; then
	if have sudo && sudo -n true 2>/dev/null; then
		ROOTLY=(sudo -n)
	else
		die "missing packages; run as root: apt-get update && apt-get install -y --no-install-recommends ${MISSING[*]}"
	fi
fi

make_log
for package in "${MISSING[@]}"; do
	if ! apt_offers "$package"; then
		note "reading the package lists"
		quiet_install update ||
			die "apt-get update failed ($(tail -n 1 "$LOG")): check the network and this machine's package sources"
		look "${SETS[@]}"
		break
	fi
done
for package in "${MISSING[@]}"; do
	apt_offers "$package" ||
		die "this machine's package sources do not offer $package: check the network and /etc/apt, or install it and set PG_CONFIG"
done

note "installing ${MISSING[*]}"
without_cluster on
if ! quiet_install install --no-install-recommends "${MISSING[@]}"; then
	# an old package list names files that the archive no longer has
	quiet_install update || true
	quiet_install install --no-install-recommends "${MISSING[@]}" ||
		die "apt-get install failed ($(grep -E '^E:' "$LOG" | tail -n 1)): check the network, then run: apt-get install -y --no-install-recommends ${MISSING[*]}"
fi
without_cluster off

look "${SETS[@]}"
[ ${#MISSING[@]} = 0 ] ||
	die "still missing after the installation: $(wanted)"
wishes_installed
