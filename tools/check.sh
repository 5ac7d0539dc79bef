#!/bin/bash
# check.sh: the one test command (`make check`): regress, isolation, TAP,
# client, python, cli, surface and upgrade tests against private servers, with
# nothing installed into the system and nothing run as root.
#
#   make check                       everything
#   make check TESTS="bulk_insert"   only these: a file of sql/ or
#                                    test/isolation/specs/ or test/t/ (with or
#                                    without its ending), a program of
#                                    test/client/, test/python/ or test/cli/,
#                                    `client`, `python`, `cli`, `surface`,
#                                    `upgrade` or `demo`
#
# For tools/assert.sh, DBUTIL_COPT holds more options for the compiler, and
# DBUTIL_TEST_CONF lines for the configuration of every test's server.
#
# The last line is `N passed, N failed, N skipped`; the exit status is 0 only
# if something passed and nothing failed. All output of the tests stays in
# build/check/<major version>/out.

set -euo pipefail
if [ $# -gt 0 ]; then
	case $1 in
		-h | --help) status=0 ;;
		*) status=2; echo "check: error: unknown argument '$1': name tests in TESTS" >&2 ;;
	esac
	echo "usage: [TESTS=\"NAME ...\"] make check     (what a name can be: the head of tools/check.sh)" >&2
	exit "$status"
fi
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

LIMIT=${DBUTIL_TEST_LIMIT:-900}	# seconds that one kind of test may take
PASSED=0
FAILED=0
SKIPPED=0
FAILURES=()
REGRESS=()
ISOLATION=()
TAP=()
CLIENT=()
PYTHON=()
CLI=()
SURFACE=()
DEMO=

# --- what to run ----------------------------------------------------------

# names DIR ENDING: the files of DIR with that ending, without both.
names()
{
	local file

	for file in "$DBUTIL_ROOT/$1"/*"$2"; do
		[ -f "$file" ] && basename "$file" "$2"
	done
	return 0
}

# select_tests: fills the lists above from TESTS, or with everything.
select_tests()
{
	local name found base all_client all_python all_cli

	mapfile -t all_client < <(names test/client .c | grep '^test_' || true)
	mapfile -t all_python < <(names test/python .py | grep '^test_' || true)
	mapfile -t all_cli < <(names test/cli .pl)
	if [ -z "${TESTS:-}" ]; then
		mapfile -t REGRESS < <(names sql .sql)
		mapfile -t ISOLATION < <(names test/isolation/specs .spec)
		mapfile -t TAP < <(names test/t .pl)
		[ ! -f "$DBUTIL_ROOT/test/client/Makefile" ] || CLIENT=(all)
		PYTHON=("${all_python[@]}")
		CLI=("${all_cli[@]}")
		SURFACE=(surface upgrade)
		DEMO=1
		return 0
	fi
	for name in $TESTS; do
		found=
		base=$(basename "$name")
		base=${base%.*}
		[ ! -f "$DBUTIL_ROOT/sql/$base.sql" ] || { REGRESS+=("$base"); found=1; }
		[ ! -f "$DBUTIL_ROOT/test/isolation/specs/$base.spec" ] || { ISOLATION+=("$base"); found=1; }
		[ ! -f "$DBUTIL_ROOT/test/t/$base.pl" ] || { TAP+=("$base"); found=1; }
		case " ${all_client[*]} " in *" $base "*) CLIENT+=("$base"); found=1 ;; esac
		case " ${all_cli[*]} " in *" $base "*) CLI+=("$base"); found=1 ;; esac
		case " ${all_python[*]} " in *" $base "*) PYTHON+=("$base"); found=1 ;; esac
		case $base in
			client) CLIENT=(all); found=1 ;;
			python) PYTHON=("${all_python[@]}"); found=1 ;;
			cli) CLI=("${all_cli[@]}"); found=1 ;;
			surface | upgrade) SURFACE+=("$base"); found=1 ;;
			demo) DEMO=1; found=1 ;;
		esac
		[ -n "$found" ] ||
			die "no test is called '$name': look in sql/, test/isolation/specs/, test/t/, test/client/, test/python/ and test/cli/"
	done
}

# --- counting -------------------------------------------------------------

# count KIND OUTPUT STATUS LOG: counts the results in OUTPUT, the printout of
# pg_regress (15's own format, TAP from 16 on) or of a TAP program, prints one
# line for it and what is needed to understand a failure.
count()
{
	local kind=$1 output=$2 status=$3 log=$4 seconds=${5:-} passed failed skipped planned

	read -r passed failed skipped planned < <(awk '
		/^(test)? .* \.\.\. ok/ { passed++ }
		/^(test)? .* \.\.\. (FAILED|failed)/ { failed++ }
		/^ok / { if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) skipped++; else passed++ }
		/^not ok/ { failed++ }
		/^1\.\.0/ { skipped++; nothing = 1 }
		/^1\.\.[1-9][0-9]*$/ { planned += substr($0, 4) }
		/^Bail out!/ { failed++ }
		END { print passed + 0, failed + 0, skipped + 0, (nothing ? -1 : planned + 0) }
	' "$output")
	if [ "$failed" = 0 ]; then
		if [ "$status" != 0 ]; then
			failed=1
			echo "# $kind ended with status $status" >>"$output"
		elif [ "$((passed + skipped))" = 0 ]; then
			failed=1
			echo "# $kind ran no test" >>"$output"
		elif [ "$planned" -gt 0 ] && [ "$planned" != "$((passed + skipped))" ]; then
			failed=1
			echo "# $kind planned $planned tests and ran $((passed + skipped))" >>"$output"
		fi
	fi
	printf '  %-34s %4d passed %3d failed %3d skipped  %s\n' \
		"$kind" "$passed" "$failed" "$skipped" "$seconds"
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
	SKIPPED=$((SKIPPED + skipped))
	[ "$failed" != 0 ] || return 0
	FAILURES+=("$kind")
	# a limit in time ends the whole: 124 is what timeout returns
	[ "$status" != 124 ] || echo "  $kind took longer than $LIMIT seconds and was ended"
	grep -nE '^not ok|FAILED|^Bail out|^# ' "$output" | head -n 60 | sed 's/^/    /' || true
	if [ -s "$log" ]; then
		echo "    --- $log"
		head -n 150 "$log" | sed 's/^/    /'
	fi
	return 0
}

# crashes KIND DIR: a server that died in DIR's logs is a failure, even where
# every test passed.
crashes()
{
	local found

	found=$(grep -rhE --include='*.log' 'terminated by signal|PANIC: |TRAP: ' "$2" 2>/dev/null |
		head -n 5 || true)
	[ -n "$found" ] || return 0
	FAILED=$((FAILED + 1))
	FAILURES+=("$1 (server died)")
	printf '  %s: the server died:\n%s\n' "$1" "$found"
}

# --- the kinds of tests ---------------------------------------------------

# limited COMMAND...: as server_user, within the limit, everything it starts
# in one process group.
limited()
{
	run_child as_user timeout -k 15 "$LIMIT" "$@"
}

# pg_regress_kind KIND PROGRAM INPUTDIR MAKEVAR TEST...
pg_regress_kind()
{
	local kind=$1 program=$2 input=$3 var=$4 out=$OUT/$1 status=0 start=$SECONDS opts name

	shift 4
	as_user mkdir -p "$input/expected"
	[ -x "$program" ] || die "this PostgreSQL brings no $(basename "$program"): install its server-dev package"
	# what the Makefile passes to pg_regress, less what is ours to choose
	mapfile -t opts < <(make_var "$var" | tr -s ' ' '\n' |
		grep -E '^--' | grep -vE '^--(inputdir|outputdir|dbname)=')
	give "$out"
	cp "$OUT/server.conf" "$out/server.conf"
	# a test without recorded output would end the whole of pg_regress
	for name in "$@"; do
		compgen -G "$input/expected/$name*.out" >/dev/null ||
			echo "no output is recorded for $name: look at $out/results/$name.out" |
			as_user tee "$input/expected/$name.out" >/dev/null
	done
	limited "$program" --bindir="$PG_BINDIR" --inputdir="$input" --outputdir="$out" \
		--temp-instance="$out/instance" --temp-config="$out/server.conf" \
		--no-locale --encoding=UTF8 --dbname="dbutil_$kind" \
		"${opts[@]+"${opts[@]}"}" "$@" >"$out.out" 2>&1 || status=$?
	stop_servers "$out"
	count "$kind" "$out.out" "$status" "$out/regression.diffs" "$((SECONDS - start)) s"
	[ "$status" = 0 ] || [ -e "$out/regression.diffs" ] ||
		tail -n 20 "$out/log/postmaster.log" 2>/dev/null | sed 's/^/    /' || true
	crashes "$kind" "$out/log"
}

# tap_file KIND FOLDER NAME: one file of test/t or test/cli, for itself, so that
# its results are its own and a broken one does not hide another.
tap_file()
{
	local kind=$1 folder=$SRC/$2 name=$3 dir=$OUT/$1/$3 status=0 start=$SECONDS

	give "$dir"
	limited env -C "$SRC" PATH="$PG_BINDIR:$PATH" TESTDIR="$dir" \
		TESTDATADIR="$dir/tmp_check" TESTLOGDIR="$dir/tmp_check/log" \
		PG_REGRESS="$PG_TOOLS/regress/pg_regress" PGPORT=65432 \
		TEMP_CONFIG="$OUT/stage.conf" \
		DBUTIL_CLI="$WORK/cli/dbutil" \
		perl -I "$PG_TOOLS/perl" -I "$SRC/test/t" -I "$folder" "$folder/$name.pl" \
		>"$dir.out" 2>"$dir.err" || status=$?
	stop_servers "$dir"
	count "$kind $name" "$dir.out" "$status" "$dir.err" "$((SECONDS - start)) s"
}

# build_cli: the dbutil command that the tests of test/cli run.
build_cli()
{
	local log=$OUT/cli.build

	give "$WORK/cli"
	run_child as_user make -s -C "$SRC/src/cli" BUILD="$WORK/cli" PG_CONFIG="$PG_CONFIG" \
		>"$log" 2>&1 || { tail -n 40 "$log"; die "the build of src/cli failed"; }
}

# client_tests NAME...: test/client's own make; `all` stands for every one.
client_tests()
{
	local dir=$OUT/client status=0 start=$SECONDS only=()

	[ "$1" = all ] || only=("TESTS=$*" EXTRA=)
	give "$dir" "$WORK/client"
	limited env PATH="$PG_BINDIR:$PATH" TEMP_CONFIG="$OUT/stage.conf" \
		make -s -C "$SRC/test/client" check BUILD="$WORK/client" PG_CONFIG="$PG_CONFIG" \
		"${only[@]+"${only[@]}"}" >"$dir.out" 2>"$dir.err" || status=$?
	stop_servers "$WORK/client"
	count client "$dir.out" "$status" "$dir.err" "$((SECONDS - start)) s"
}

# python_tests NAME...: test/python's own runner, on the packages of this
# system's Python: one from elsewhere in the PATH does not see them.
python_tests()
{
	local dir=$OUT/python status=0 start=$SECONDS

	give "$dir"
	limited env -C "$dir" TEMP_CONFIG="$OUT/stage.conf" \
		/usr/bin/python3 "$SRC/test/python/run.py" "$PG_BINDIR" "$@" \
		>"$dir.out" 2>"$dir.err" || status=$?
	stop_servers "$TEMP"
	count python "$dir.out" "$status" "$dir.err" "$((SECONDS - start)) s"
}

# surface_tests NAME: test/surface, see tools/surface.sh.
surface_tests()
{
	local dir=$OUT/$1 status=0 start=$SECONDS

	DBUTIL_STAGE_DIR=$WORK run_child bash "$DBUTIL_ROOT/tools/surface.sh" "$1" \
		>"$dir.out" 2>"$dir.err" || status=$?
	count "$1" "$dir.out" "$status" "$dir.err" "$((SECONDS - start)) s"
}

# demo_test: test/demo, `make demo` on a small scale and its refusals.
demo_test()
{
	local dir=$OUT/demo status=0 start=$SECONDS

	DBUTIL_STAGE_DIR=$WORK run_child timeout -k 15 "$LIMIT" bash "$DBUTIL_ROOT/test/demo/run.sh" \
		>"$dir.out" 2>"$dir.err" || status=$?
	count demo "$dir.out" "$status" "$dir.err" "$((SECONDS - start)) s"
}

# --- the run --------------------------------------------------------------

bash "$DBUTIL_ROOT/tools/deps.sh" check
find_pg
clean_env
select_tests
workdir
WORK=$BUILD/check/$PG_MAJOR
OUT=$WORK/out
mkdir -p "$BUILD/check"
give "$WORK"
lock_dir "$WORK"
short_temp
export TMPDIR=$TEMP

START=$SECONDS
note "PostgreSQL $("$PG_CONFIG" --version | cut -d ' ' -f 2-), building in $WORK"
build_stage "$WORK"
note "built in $((SECONDS - START)) s"

rm -rf "$OUT"
give "$OUT"
{
	stage_conf "$STAGE"
	printf '%s\n' "${DBUTIL_TEST_CONF:-}"
} >"$OUT/stage.conf"
{
	cat "$OUT/stage.conf"
	echo "shared_preload_libraries = 'dbutil'"
	echo "listen_addresses = ''"
	echo "log_line_prefix = '%m [%p] %q%a '"
} >"$OUT/server.conf"
chmod 644 "$OUT"/*.conf

[ ${#REGRESS[@]} = 0 ] || pg_regress_kind regress "$PG_TOOLS/regress/pg_regress" \
	"$SRC" REGRESS_OPTS "${REGRESS[@]}"
[ ${#ISOLATION[@]} = 0 ] || pg_regress_kind isolation "$PG_TOOLS/isolation/pg_isolation_regress" \
	"$SRC/test/isolation" ISOLATION_OPTS "${ISOLATION[@]}"
for name in "${TAP[@]+"${TAP[@]}"}"; do
	tap_file tap test/t "$name"
done
[ ${#CLIENT[@]} = 0 ] || client_tests "${CLIENT[@]}"
[ ${#PYTHON[@]} = 0 ] || python_tests "${PYTHON[@]}"
[ ${#CLI[@]} = 0 ] || build_cli
for name in "${CLI[@]+"${CLI[@]}"}"; do
	tap_file cli test/cli "$name"
done
for name in "${SURFACE[@]+"${SURFACE[@]}"}"; do
	surface_tests "$name"
done
[ -z "$DEMO" ] || demo_test

note "PostgreSQL $PG_MAJOR, $((SECONDS - START)) s, all output is in $OUT"
if [ ${#FAILURES[@]} -gt 0 ]; then
	printf 'failed: %s\n' "${FAILURES[@]}"
fi
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
