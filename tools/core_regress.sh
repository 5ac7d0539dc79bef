#!/bin/bash
# core_regress.sh [--propose]: PostgreSQL's own regression suite, with and
# without dbutil, on the server that is installed:
#
#   stock    nothing preloaded: what this server says by itself
#   track    dbutil preloaded, everything on but the plan cache: must not
#            differ from stock in one character
#   auto, force    dbutil preloaded, dbutil.plan_cache as named: every difference
#            must be listed, with a reason, in test/core/allowed_differences
#
# The outputs are compared with each other and not with the suite's expected
# files, because the suite's sources are those of the nearest version that the
# archive has, from which a newer server differs by itself. A test that differs
# is no finding if two stock runs differ from each other in it as well; that is
# printed.
#
# --propose prints the unlisted differences of `auto` and `force` in the format
# of allowed_differences, for a person to review and give reasons.
#
# Results: one for each test of the suite and run, then `N passed, N failed, N
# skipped`. No sources to be had (no network) is printed as skipped.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"
# shellcheck source=tools/source.sh
. "$(dirname "$0")/source.sh"

ALLOWED=$DBUTIL_ROOT/test/core/allowed_differences
PASSED=0
FAILED=0
SKIPPED=0
PROPOSE=

finish()
{
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ]
	exit
}

give_up()
{
	SKIPPED=$((SKIPPED + 1))
	note "skipped: $*"
	finish
}

# prepare_suite: the suite in $DIR/suite and the libraries that it loads in
# $DIR/lib: regress.so compiled against the installed server's headers, the
# rest from that server.
prepare_suite()
{
	local lib cflags

	if [ "$(cat "$DIR/suite.stamp" 2>/dev/null || true)" != "$TARBALL $("$PG_CONFIG" --version)" ]; then
		rm -rf "${DIR:?}/suite" "${DIR:?}/lib" "${DIR:?}/suite.stamp"
		give "$DIR/suite" "$DIR/lib"
		tar -C "$DIR/suite" --strip-components=4 --wildcards --no-same-owner \
			-xf "$TARBALL" '*/src/test/regress/*' ||
			die "cannot unpack $TARBALL: remove it and run again"
		[ "$(id -u)" != 0 ] || chown -R "$(server_user)": "$DIR/suite"
		cflags=$("$PG_CONFIG" --cflags_sl)
		# shellcheck disable=SC2086	# several flags
		as_user gcc -O2 -w $cflags -fwrapv -I "$("$PG_CONFIG" --includedir-server)" -shared \
			-o "$DIR/lib/regress.so" "$DIR/suite/regress.c" ||
			die "cannot compile the suite's regress.c against $PG_CONFIG"
		for lib in autoinc refint; do
			if [ -f "$PG_PKGLIB/$lib.so" ]; then
				as_user cp "$PG_PKGLIB/$lib.so" "$DIR/lib/"
			fi
		done
		printf '%s\n' "$TARBALL $("$PG_CONFIG" --version)" >"$DIR/suite.stamp"
	fi
}

# run_suite NAME LINE...: the suite in a throw-away server whose configuration
# ends with the lines; results in $DIR/NAME/results.
run_suite()
{
	local name=$1 out=$DIR/$1 start=$SECONDS status=0

	shift
	rm -rf "$out"
	give "$out"
	{
		echo "listen_addresses = ''"
		echo "compute_query_id = regress"
		echo "max_prepared_transactions = 2"
		stage_conf "$STAGE"
		printf '%s\n' "$@"
	} >"$out/conf"
	chmod 644 "$out/conf"
	run_child as_user env -C "$DIR/suite" timeout -k 15 900 \
		"$PG_TOOLS/regress/pg_regress" --bindir="$PG_BINDIR" --dlpath="$DIR/lib" \
		--inputdir="$DIR/suite" --outputdir="$out" --temp-instance="$out/instance" \
		--temp-config="$out/conf" --no-locale --encoding=UTF8 \
		--schedule="$DIR/suite/parallel_schedule" --max-concurrent-tests=20 \
		>"$out/out" 2>&1 || status=$?
	stop_servers "$out"
	TESTS_SEEN=$(find "$out/results" -name '*.out' 2>/dev/null | wc -l)
	note "$name: $TESTS_SEEN tests run in $((SECONDS - start)) s (pg_regress: status $status)"
	if [ "$TESTS_SEEN" -lt 100 ] || [ "$status" -gt 1 ]; then
		tail -n 15 "$out/out"
		tail -n 15 "$out/log/postmaster.log" 2>/dev/null || true
		FAILED=$((FAILED + 1))
		note "$name: the suite did not run"
		return 1
	fi
	if grep -E 'terminated by signal|PANIC: |TRAP: ' "$out/log/postmaster.log"; then
		FAILED=$((FAILED + 1))
		note "$name: the server died"
	fi
	rm -rf "$out/instance"
}

# differing A B: names of the tests whose results differ.
differing()
{
	diff -rq "$DIR/$1/results" "$DIR/$2/results" |
		sed -nE 's|^Files .*/results/(.*)\.out and .*|\1|p; s|^Only in .*: (.*)\.out$|\1|p' | sort -u
}

# unstable TEST: does it differ between two stock runs? The second is made
# when first asked for.
unstable()
{
	[ -d "$DIR/stock2/results" ] || run_suite stock2 >/dev/null || true
	! cmp -s "$DIR/stock/results/$1.out" "$DIR/stock2/results/$1.out"
}

# compare NAME MODE: counts the tests of the run NAME; MODE is `none`
# (no difference allowed) or `listed`.
compare()
{
	local name=$1 mode=$2 test bad=0 all diffs

	all=$(find "$DIR/$name/results" -name '*.out' | wc -l)
	mapfile -t diffs < <(differing stock "$name")
	: >"$DIR/$name.unlisted"
	for test in "${diffs[@]}"; do
		diff -U 3 --label "stock/$test" --label "$name/$test" "$DIR/stock/results/$test.out" \
			"$DIR/$name/results/$test.out" >"$DIR/$name/$test.diff" 2>&1 || true
		if [ "$mode" = listed ] && perl "$DBUTIL_ROOT/test/core/allowed.pl" "$ALLOWED" "$test" \
			"$DIR/$name/$test.diff" >"$DIR/$name/$test.unlisted"; then
			note "$name: $test differs as listed"
			continue
		fi
		if unstable "$test"; then
			note "$name: $test differs, but also between two stock runs: not counted"
			SKIPPED=$((SKIPPED + 1))
			all=$((all - 1))
			continue
		fi
		bad=$((bad + 1))
		echo "$name: not listed: $test"
		if [ "$mode" = listed ]; then
			cat "$DIR/$name/$test.unlisted" >>"$DIR/$name.unlisted"
			head -n 60 "$DIR/$name/$test.unlisted" | sed 's/^/    /'
		else
			head -n 60 "$DIR/$name/$test.diff" | sed 's/^/    /'
		fi
	done
	PASSED=$((PASSED + all - bad))
	FAILED=$((FAILED + bad))
	note "$name: $all tests, ${#diffs[@]} differ from stock, $bad of them not allowed"
}

for arg in "$@"; do
	case $arg in
		--propose) PROPOSE=1 ;;
		*) die "usage: core_regress.sh [--propose]" ;;
	esac
done

bash "$DBUTIL_ROOT/tools/deps.sh" check core
find_pg
clean_env
cache_dir
workdir
DIR=$BUILD/core/$PG_MAJOR
mkdir -p "$BUILD/core"
give "$DIR"
lock_dir "$DIR"
short_temp
export TMPDIR=$TEMP

get_source || give_up "core regression suite: $REASON"
note "suite of $(basename "$TARBALL"), server $("$PG_CONFIG" --version)"
prepare_suite
build_stage "$DIR"
rm -rf "$DIR/stock2"

perl "$DBUTIL_ROOT/test/core/allowed.pl" --check "$ALLOWED" ||
	die "test/core/allowed_differences is not well-formed"
run_suite stock || finish
if run_suite track "shared_preload_libraries = 'dbutil'" "dbutil.plan_cache = off"; then
	compare track none
fi
for mode in auto force; do
	if run_suite "$mode" "shared_preload_libraries = 'dbutil'" "dbutil.plan_cache = $mode"; then
		compare "$mode" listed
		if [ -n "$PROPOSE" ] && [ -s "$DIR/$mode.unlisted" ]; then
			section "unlisted differences of $mode, for test/core/allowed_differences"
			cat "$DIR/$mode.unlisted"
		fi
	fi
done
finish
