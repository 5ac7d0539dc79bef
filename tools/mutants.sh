#!/bin/bash
# mutants.sh [NAME]...: does a test fail when a safeguard of the plan cache is
# taken away? For each paragraph of test/mutants/mutants (or those whose name
# begins with a NAME) a copy of the tree is changed, built, and the named tests
# are run on it: one of them has to fail. Before that they must pass unchanged.
#
# Prints one line a mutant, then `N passed, N failed, N skipped`: passed are
# those that were caught.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

LIST=$DBUTIL_ROOT/test/mutants/mutants
CAUGHT=0
SURVIVED=0

# check LOG TESTS COPT: runs the tests in the copy; sets FAILURES to what
# failed, and fails if the tests could not be run.
check()
{
	local log=$1 tests=$2 copt=$3

	FAILURES=
	if [ "$tests" = core_regress ]; then
		DBUTIL_COPT=$copt DBUTIL_BUILD=$DIR/build run_child bash "$TREE/tools/core_regress.sh" >"$log" 2>&1 || true
		FAILURES=$(sed -nE 's/^([a-z]+): not listed: (.*)/\2 (\1)/p; s/.*(the server died)$/\1/p' "$log" | sort -u | head -n 5 | paste -sd ,)
	else
		DBUTIL_COPT=$copt DBUTIL_BUILD=$DIR/build TESTS=$tests run_child bash "$TREE/tools/check.sh" >"$log" 2>&1 || true
		FAILURES=$(sed -nE 's/^ +[0-9]+:(test|not ok [0-9]+ +-?) +([a-z0-9_]+) .*/\2/p; s/^failed: tap (.*)/\1/p' "$log" |
			grep -xFf <(tr ' ' '\n' <<<"$tests") | sort -u | paste -sd ' ' || true)
	fi
	tail -n 1 "$log" | grep -qE '^[0-9]+ passed, [0-9]+ failed'
}

# mutate CHANGES: applies lines of file and change to the copy.
mutate()
{
	local key value file=

	while IFS= read -r line; do
		key=${line%%: *}
		value=${line#*: }
		case $key in
			file) file=$value ;;
			change)
				perl -0777 -pe "$value" "$DBUTIL_ROOT/$file" >"$TREE/$file"
				if cmp -s "$DBUTIL_ROOT/$file" "$TREE/$file"; then
					return 1
				fi
				;;
		esac
	done <<<"$1"
}

# try NAME GUARDS TESTS COPT CHANGES
try()
{
	local name=$1 guards=$2 tests=$3 copt=$4 log=$DIR/$1.log result

	copy_tree "$TREE"
	if ! mutate "$5"; then
		result="FAILED: the change no longer applies"
	elif ! check "$log" "$tests" "$copt"; then
		result="FAILED: the tests did not run, see $log"
	elif tail -n 1 "$log" | grep -q ' 0 failed'; then
		result="FAILED: survived $tests"
	else
		result="caught by ${FAILURES:-$tests}"
	fi
	printf '%-24s %s: %s\n' "$name" "$guards" "$result"
	case $result in
		caught*) CAUGHT=$((CAUGHT + 1)) ;;
		*) SURVIVED=$((SURVIVED + 1)) ;;
	esac
}

# each FUNCTION: calls it with the parts of each paragraph that is asked for.
each()
{
	local function=$1 line name='' guards='' tests='' copt='' changes='' wanted prefix

	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
			'#'*) ;;
			'mutant: '*) name=${line#*: } ;;
			'guards: '*) guards=${line#*: } ;;
			'tests: '*) tests=${line#*: } ;;
			'copt: '*) copt=${line#*: } ;;
			'file: '* | 'change: '*) changes+="$line"$'\n' ;;
			'')
				wanted=
				[ ${#NAMES[@]} -gt 0 ] || wanted=1
				for prefix in "${NAMES[@]+"${NAMES[@]}"}"; do
					case $name in "$prefix"*) wanted=1 ;; esac
				done
				[ -z "$name" ] || [ -z "$wanted" ] ||
					"$function" "$name" "$guards" "$tests" "$copt" "$changes" </dev/null
				name='' guards='' tests='' copt='' changes=''
				;;
			*) die "$LIST: cannot read the line '$line'" ;;
		esac
	done < <(cat "$LIST"; echo)
}

NAMES=("$@")
for name in "${NAMES[@]+"${NAMES[@]}"}"; do
	grep -q "^mutant: $name" "$LIST" || die "no mutant's name begins with '$name': look in $LIST"
done
bash "$DBUTIL_ROOT/tools/deps.sh" check core
find_pg
workdir
DIR=$BUILD/mutants
TREE=$DIR/tree
give "$DIR"
lock_dir "$DIR"
unset DBUTIL_WERROR

ALL_TESTS=
# shellcheck disable=SC2317	# called by each
add_tests() { [ "$3" = core_regress ] || ALL_TESTS="$ALL_TESTS $3"; }
each add_tests
if [ -n "$ALL_TESTS" ]; then
	copy_tree "$TREE"
	ALL_TESTS=$(tr ' ' '\n' <<<"$ALL_TESTS" | sort -u | paste -sd ' ')
	if ! check "$DIR/unchanged.log" "$ALL_TESTS" "" || ! tail -n 1 "$DIR/unchanged.log" | grep -q ' 0 failed'; then
		die "the tests fail without any change: see $DIR/unchanged.log"
	fi
fi
each try
echo "$CAUGHT passed, $SURVIVED failed, 0 skipped"
[ "$SURVIVED" = 0 ] && [ "$CAUGHT" -gt 0 ]
