#!/bin/bash
# surface.sh surface|upgrade|accept: the public face of dbutil.
#
#   surface  prints TAP: what users can see and use (SQL objects with their
#            grants, settings, the client library's symbols and header) equals
#            what test/surface/*.expected records, and keeps the rules of
#            test/surface/rules.sql
#   upgrade  prints TAP: every kept release in src/upgrade/releases, updated to
#            the current version, equals a fresh installation
#   accept   records what is there now (also `make surface-accept`)
#
# A private server is started in the work folder; with DBUTIL_STAGE_DIR set
# (check.sh does) the build below that folder is used, else one is made.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

RECORDED=$DBUTIL_ROOT/test/surface
TESTS_RUN=0
TESTS_BAD=0
PLANTED=planted.0

# result STATUS NAME [FILE]: prints one TAP line; FILE explains a failure.
result()
{
	TESTS_RUN=$((TESTS_RUN + 1))
	if [ "$1" = 0 ]; then
		echo "ok $TESTS_RUN - $2"
		return 0
	fi
	TESTS_BAD=$((TESTS_BAD + 1))
	echo "not ok $TESTS_RUN - $2"
	[ -z "${3:-}" ] || head -n 100 "$3" | cut -c 1-400 | sed 's/^/# /'
}

# sql DATABASE ARGUMENT...: psql in the private server, errors end it.
sql()
{
	local db=$1

	shift
	as_user "$PG_BINDIR/psql" -X -q -v ON_ERROR_STOP=1 -h "$TEMP" -p "$PORT" \
		-U postgres -d "$db" "$@"
}

# start: a server with dbutil preloaded. Its extension folder is a copy of the
# stage, to which the upgrade test adds versions of its own.
start()
{
	clean_env
	HERE=$WORK/surface
	PORT=54321
	short_temp
	SERVER_DIRS+=("$HERE")
	stop_servers "$HERE"
	rm -rf "$HERE"
	give "$HERE"
	as_user cp -r "$STAGE" "$HERE/stage"
	EXTDIR=$HERE/stage$PG_SHARE/extension
	! is_private || EXTDIR=$PG_SHARE/extension
	{
		stage_conf "$HERE/stage"
		echo "shared_preload_libraries = 'dbutil'"
	} >"$HERE/conf"
	chmod 644 "$HERE/conf"
	server_init "$HERE/data" "$HERE/conf"
	server_start "$HERE/data" "$TEMP" "$PORT"
}

# about_members DATABASE FILE ARGUMENT...: runs a script of test/surface that
# speaks of the extension's members.
about_members()
{
	local db=$1 file=$2

	shift 2
	cat "$RECORDED/member.sql" "$RECORDED/$file" >"$HERE/$file"
	sql "$db" "$@" -f - <"$HERE/$file"
}

# dump_objects DATABASE FULL: the extension's objects in that database.
dump_objects()
{
	about_members "$1" objects.sql -v full="$2"
}

# dump_client: libdbpool's exported symbols and its public headers without
# comments, one declaration a line.
dump_client()
{
	local lib=$WORK/client-surface header=$SRC/src/client/dbpool.h so

	[ -f "$header" ] || return 0
	give "$lib"
	run_child as_user make -s -C "$SRC/src/client" BUILD="$lib" \
		PG_CONFIG="$PG_CONFIG" >"$lib.log" 2>&1 ||
		die "building libdbpool failed: $(tail -n 1 "$lib.log")"
	so=$(find "$lib" -name 'libdbpool.so*' -type f | head -n 1)
	[ -n "$so" ] || die "the client library's build made no libdbpool.so in $lib"
	nm -D --defined-only "$so" | awk '$2 ~ /^[TDBRWVi]$/ { print "symbol " $3 }' |
		sed 's/@.*//' | sort -u
	# the headers' own macros, then their declarations with those expanded
	sed '/^[[:space:]]*#[[:space:]]*include/d' "$header" "${header%.h}"_*.h >"$lib/header.h"
	gcc -E -dM -x c "$lib/header.h" | grep -iE '^#define dbpool_' | sort
	gcc -E -P -x c "$lib/header.h" | awk '
		{ line = line " " $0
		  depth += gsub(/{/, "{") - gsub(/}/, "}")
		  if (depth == 0 && line ~ /[;][ ]*$/) { print "declares" line; line = "" } }
		END { if (line != "") print "declares" line }
	' | sed -E 's/[[:space:]]+/ /g' | sort
}

# make_dumps: writes objects, settings, client and the reference page into
# $HERE/*.actual.
make_dumps()
{
	sql postgres -c "CREATE DATABASE fresh" -c "CREATE DATABASE other"
	sql fresh -c "CREATE EXTENSION dbutil"
	dump_objects fresh false >"$HERE/objects.actual"
	sql fresh -f - <"$RECORDED/settings.sql" >"$HERE/settings.actual"
	dump_client >"$HERE/client.actual"
	about_members fresh reference.sql >"$HERE/reference.actual"
}

# recorded_file PART: where the accepted state of a part is kept.
recorded_file()
{
	case $1 in
		reference) echo "$DBUTIL_ROOT/docs/reference.md" ;;
		*) echo "$RECORDED/$1.expected" ;;
	esac
}

test_surface()
{
	local part status recorded

	make_dumps
	for part in objects settings client reference; do
		status=0
		recorded=$(recorded_file "$part")
		if [ ! -f "$recorded" ]; then
			echo "nothing is recorded in $recorded: look at $HERE/$part.actual, then make surface-accept" \
				>"$HERE/$part.diff"
			status=1
		else
			diff -U 0 --label recorded --label actual "$recorded" \
				"$HERE/$part.actual" >"$HERE/$part.diff" || status=1
			[ "$status" = 0 ] || echo "if this change is meant: make surface-accept, and tell users in CHANGELOG.md" \
				>>"$HERE/$part.diff"
		fi
		result "$status" "the public $part are those recorded" "$HERE/$part.diff"
	done
	about_members fresh rules.sql >"$HERE/rules.out"
	status=0
	[ ! -s "$HERE/rules.out" ] || status=1
	result "$status" "no reserved word is a name, every object has a comment" "$HERE/rules.out"
	test_rules_fail
}

# test_rules_fail: the rules find what is planted against them.
test_rules_fail()
{
	local status=0

	sql other -c "CREATE EXTENSION dbutil" \
		-c 'CREATE FUNCTION dbutil.planted("user" int) RETURNS int LANGUAGE sql AS $$SELECT 1$$' \
		-c 'ALTER EXTENSION dbutil ADD FUNCTION dbutil.planted(int)' \
		-c 'CREATE VIEW dbutil.stray AS SELECT 1 AS one'
	about_members other rules.sql >"$HERE/planted.out"
	grep -q '^reserved word: parameter "user"' "$HERE/planted.out" || status=1
	grep -q '^no comment: function dbutil.planted' "$HERE/planted.out" || status=1
	grep -q '^not a member of the extension: relation dbutil.stray' "$HERE/planted.out" || status=1
	result "$status" "planted violations are found" "$HERE/planted.out"
}

# upgraded FROM OUT: installs version FROM, updates it, dumps it in full.
upgraded()
{
	sql postgres -c "DROP DATABASE IF EXISTS other" -c "CREATE DATABASE other" 2>/dev/null
	sql other -c "CREATE EXTENSION dbutil VERSION '$1'" &&
		sql other -c "ALTER EXTENSION dbutil UPDATE" &&
		dump_objects other true >"$2"
}

# compare_upgrade FROM: does an updated FROM equal the fresh installation?
# Prints the difference into $HERE/upgrade.diff.
compare_upgrade()
{
	if ! upgraded "$1" "$HERE/upgraded" 2>"$HERE/upgrade.diff"; then
		return 1
	fi
	diff -U 0 --label fresh --label "updated from $1" "$HERE/fresh" "$HERE/upgraded" \
		>"$HERE/upgrade.diff"
}

test_upgrade()
{
	local version=$1 generated=$EXTDIR/dbutil--$1.sql kept=$DBUTIL_ROOT/src/upgrade/releases/dbutil--$1.sql
	local file from status

	sql postgres -c "CREATE DATABASE fresh" -c "CREATE DATABASE other"
	sql fresh -c "CREATE EXTENSION dbutil"
	dump_objects fresh true >"$HERE/fresh"

	status=0
	if [ ! -f "$kept" ]; then
		echo "src/upgrade/releases/dbutil--$version.sql does not exist: freeze it with make freeze-release" \
			>"$HERE/frozen.diff"
		status=1
	else
		diff -u --label "kept release" --label "generated now" "$kept" "$generated" \
			>"$HERE/frozen.diff" || status=1
		[ "$status" = 0 ] || echo "a released version does not change: give dbutil.control a new default_version, write src/upgrade/dbutil--$version--NEW.sql and make freeze-release" \
			>>"$HERE/frozen.diff"
	fi
	result "$status" "the kept install SQL of $version is what the sources give" "$HERE/frozen.diff"

	for file in "$DBUTIL_ROOT"/src/upgrade/releases/dbutil--*.sql; do
		from=$(basename "$file" .sql)
		from=${from#dbutil--}
		if [ ! -f "$file" ] || [ "$from" = "$version" ]; then
			continue
		fi
		status=0
		compare_upgrade "$from" || status=1
		result "$status" "$from updated equals a fresh $version" "$HERE/upgrade.diff"
	done

	# The comparison must be able to fail, and to pass: a version of our own
	# that is the current one, with a step that changes nothing, and with
	# steps that each leave something different.
	as_user cp "$generated" "$EXTDIR/dbutil--$PLANTED.sql"
	plant "SELECT 1;" "$version"
	status=0
	compare_upgrade "$PLANTED" || status=1
	result "$status" "a step that changes nothing passes" "$HERE/upgrade.diff"
	while IFS= read -r step; do
		plant "$step" "$version"
		status=0
		if compare_upgrade "$PLANTED" || ! grep -q 'updated from' "$HERE/upgrade.diff"; then
			status=1
		fi
		result "$status" "found: $step" "$HERE/upgrade.diff"
	done <<-'STEPS'
		CREATE FUNCTION dbutil.planted() RETURNS int LANGUAGE sql AS 'SELECT 1';
		GRANT CREATE ON SCHEMA dbutil TO PUBLIC;
		COMMENT ON SCHEMA dbutil IS 'planted';
		CREATE VIEW dbutil.planted AS SELECT 1 AS one;
		DO $$BEGIN EXECUTE (SELECT format('ALTER FUNCTION %s COST 77', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'dbutil'::regnamespace AND prokind = 'f' LIMIT 1); END$$;
	STEPS
}

# plant SQL VERSION: makes SQL the step from the planted version.
plant()
{
	printf '%s\n' "$1" | as_user tee "$EXTDIR/dbutil--$PLANTED--$2.sql" >/dev/null
}

JOB=${1:-}
case $JOB in
	surface | upgrade | accept) ;;
	*) die "usage: surface.sh surface|upgrade|accept" ;;
esac
find_pg
if [ -n "${DBUTIL_STAGE_DIR:-}" ]; then
	WORK=$DBUTIL_STAGE_DIR
	STAGE=$WORK/stage
	SRC=$WORK/src
	[ -d "$STAGE" ] || die "DBUTIL_STAGE_DIR=$WORK has no stage: run make check"
else
	workdir
	WORK=$BUILD/check/$PG_MAJOR
	mkdir -p "$BUILD/check"
	give "$WORK"
	lock_dir "$WORK"
	build_stage "$WORK"
fi
start
case $JOB in
	surface) test_surface ;;
	upgrade)
		test_upgrade "$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$DBUTIL_ROOT/dbutil.control")"
		;;
	accept)
		make_dumps
		for part in objects settings client reference; do
			recorded=$(recorded_file "$part")
			cp "$HERE/$part.actual" "$recorded"
			note "recorded ${recorded#"$DBUTIL_ROOT/"} ($(wc -l <"$recorded") lines)"
		done
		exit 0
		;;
esac
echo "1..$TESTS_RUN"
[ "$TESTS_BAD" = 0 ]
