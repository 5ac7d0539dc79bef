#!/bin/bash
# assert.sh: the plan cache where mistakes show that an ordinary server hides:
# on a PostgreSQL with assertions, built from its own sources, and with the plan
# cache's hash narrowed to three bits, so that statements meet whose keys differ:
#
#   asserts   the plan cache's tests, a short differential run among them
#   forced    its regress tests, each plan run in a worker that can be
#   parallel  a shorter differential run, with parallel plans wherever possible
#   discard   a short one with debug_discard_caches = 1: whatever is looked up in
#             a catalog is gone at the next look
#
# The server is built once, below the cache (tools/lib.sh), in about four
# minutes. `assert.sh all` runs all of `make check` on it instead; the two tests
# that want ICU collations fail there, as it is built without ICU.
#
# The last line is `N passed, N failed, N skipped`. No sources to be had (no
# network) is printed as skipped.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"
# shellcheck source=tools/source.sh
. "$(dirname "$0")/source.sh"

RECIPE=1		# raise it when the server must be built anew
OPTIONS=(--enable-cassert --enable-debug --enable-tap-tests --without-readline --without-zlib)
CONTRIB="contrib/pg_stat_statements contrib/auto_explain"
PASSED=0
FAILED=0
SKIPPED=0
SUMMARY=()

# build_in DIR: configures, builds and installs what is unpacked there.
build_in()
{
	local work=$1 dir

	run_child as_user env -C "$work" ./configure --prefix="$SERVER" "${OPTIONS[@]}" CFLAGS="-O1 -g" &&
		run_child as_user make -s -j2 -C "$work/src" all || return
	for dir in src config src/test/isolation $CONTRIB; do
		run_child as_user make -s -C "$work/$dir" install || return
	done
}

# build_server: makes $SERVER from $TARBALL, if it is not there yet.
build_server()
{
	local stamp log=$SERVER.log work=$SERVER.src

	[ "$PG_MAJOR" -lt 16 ] || OPTIONS+=(--without-icu)
	stamp="$RECIPE $(basename "$TARBALL") ${OPTIONS[*]} $CONTRIB"
	[ "$(cat "$SERVER/.dbutil-private" 2>/dev/null || true)" != "$stamp" ] || return 0
	note "building $(basename "$TARBALL") with assertions in $SERVER"
	rm -rf "$SERVER" "$work"
	give "$SERVER" "$work"
	tar -C "$work" --strip-components=1 --no-same-owner -xf "$TARBALL" ||
		die "cannot unpack $TARBALL: remove it and run again"
	[ "$(id -u)" != 0 ] || chown -R "$(server_user)": "$work"
	build_in "$work" >"$log" 2>&1 ||
		die "cannot build the server ($(tail -n 1 "$log")); all output is in $log"
	rm -rf "$work"
	as_user sh -c 'echo "$1" >"$2"' sh "$stamp" "$SERVER/.dbutil-private"
}

# run NAME CONF TESTS: the tests, on servers with these lines in their
# configuration.
run()
{
	local name=$1 log=$DIR/$1.log status=0 start=$SECONDS

	section "$name"
	run_logged "$log" env PG_CONFIG="$DIR/server/bin/pg_config" DBUTIL_BUILD="$DIR" \
		DBUTIL_COPT=-DDBU_PLANCACHE_HASH_BITS=3 DBUTIL_TEST_CONF="$2" TESTS="$3" \
		bash "$DBUTIL_ROOT/tools/check.sh" || status=$?
	tally "$log" "$status"
	SUMMARY+=("$(printf '%-10s %4d s  %s' "$name" "$((SECONDS - start))" "$TALLY")")
}

case ${1:-} in
	'' | all) ;;
	*) die "usage: assert.sh [all]" ;;
esac
bash "$DBUTIL_ROOT/tools/deps.sh" check core
find_pg
clean_env
cache_dir
workdir
DIR=$BUILD/assert/$PG_MAJOR
mkdir -p "$BUILD/assert"
give "$DIR"
lock_dir "$DIR"
if ! get_source; then
	note "skipped: $REASON"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
SERVER=$CACHE/assert-$PG_MAJOR
exec 7>"$SERVER.lock"
flock 7
build_server
# a copy of our own: the extension is installed into it
rm -rf "$DIR/server"
as_user cp -r "$SERVER" "$DIR/server"
exec 7>&-

mapfile -t REGRESS < <(cd "$DBUTIL_ROOT/sql" && printf '%s\n' plancache_*.sql prepared_*.sql)
if [ "${1:-}" = all ]; then
	run all "" ""
else
	export DBUTIL_PLANCACHE_SHAPES=300
	run asserts "" "${REGRESS[*]} iso_plancache_ddl 020_plancache_differential 022_plancache_snapshot 025_plancache_fault"
	forced=debug_parallel_query
	[ "$PG_MAJOR" -ge 16 ] || forced=force_parallel_mode
	run forced "$forced = regress" "${REGRESS[*]}"
	export DBUTIL_PLANCACHE_SHAPES=100 DBUTIL_PLANCACHE_SEED=7
	run parallel "$forced = on
		min_parallel_table_scan_size = 0
		parallel_setup_cost = 0
		parallel_tuple_cost = 0" 020_plancache_differential
	export DBUTIL_PLANCACHE_SHAPES=6
	run discard "debug_discard_caches = 1" 020_plancache_differential
fi

section "summary"
printf '%s\n' "${SUMMARY[@]}"
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
