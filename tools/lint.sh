#!/bin/bash
# lint.sh: everything that is proven about the sources without running them
# (`make lint`): warnings of gcc and clang as errors, gcc's analyzer and
# clang-tidy, the layering rules with their self-test, the symbols that the
# libraries export, shellcheck.
#
# One line for each step; the last line is `N passed, N failed, N skipped`.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

# clang-tidy: what finds bugs. Left out, each for a reason:
#  - bugprone-easily-swappable-parameters, -implicit-widening...: matters of
#    taste in C, dozens of hits in correct code
#  - bugprone-reserved-identifier: _PG_init is PostgreSQL's name
#  - bugprone-sizeof-expression: sizeof(pointer) is how List cells are sized
#  - bugprone-macro-parentheses, -assignment-in-if-condition: PostgreSQL's own
#    macros and idiom
#  - clang-analyzer-security...DeprecatedOrUnsafeBufferHandling: wants memcpy_s,
#    which no C library here has
#  - clang-analyzer-optin.performance.Padding: order of fields is for readers
#  - clang-analyzer-valist: does not know that va_start in a macro happened
TIDY='-*,bugprone-*,clang-analyzer-*,misc-redundant-expression,cert-err34-c,cert-flp30-c'
TIDY+=',-bugprone-easily-swappable-parameters,-bugprone-implicit-widening-of-multiplication-result'
TIDY+=',-bugprone-reserved-identifier,-bugprone-sizeof-expression,-bugprone-macro-parentheses'
TIDY+=',-bugprone-assignment-in-if-condition,-bugprone-narrowing-conversions'
TIDY+=',-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'
TIDY+=',-clang-analyzer-valist.Uninitialized,-clang-analyzer-optin.performance.Padding'
TIDY=${DBUTIL_TIDY:-$TIDY}

PASSED=0
FAILED=0

# step NAME COMMAND...: runs it, quietly if all is well.
step()
{
	local name=$1 out=$DIR/step.out start=$SECONDS rc=0

	shift
	"$@" >"$out" 2>&1 || rc=$?
	if [ "$rc" = 0 ]; then
		PASSED=$((PASSED + 1))
		printf '  ok      %-44s %s s\n' "$name" "$((SECONDS - start))"
		grep '^warning:' "$out" | sed 's/^/    /' || true
	else
		FAILED=$((FAILED + 1))
		printf '  FAILED  %-44s %s s\n' "$name" "$((SECONDS - start))"
		head -n 80 "$out" | sed 's/^/    /'
	fi
}

shell_files()
{
	local file

	list_tree | while IFS= read -r -d '' file; do
		if head -n 1 "$DBUTIL_ROOT/$file" 2>/dev/null | tr -d '\0' | grep -qE '^#!.*\b(ba)?sh\b'; then
			printf '%s\0' "$file"
		fi
	done
}

shell_lint()
{
	cd "$DBUTIL_ROOT"
	# SC2016: SQL and awk in single quotes are meant as they are.
	# SC2034: variables that lib.sh sets for the scripts that source it.
	# SC2317: functions called by name (EXIT_HOOKS, look_for_*, step).
	# SC1091: files of the system are not followed.
	shell_files | xargs -0 -r shellcheck -x -e SC2016,SC2034,SC2317,SC1091
}

python_lint()
{
	cd "$DBUTIL_ROOT"
	list_tree | grep -z '\.py$' | xargs -0 -r pyflakes3
}

build_server()
{
	DBUTIL_WERROR=1 build_stage "$DIR"
}

build_client()
{
	as_user make -s -j2 -C "$SRC/src/client" BUILD="$DIR/client" PG_CONFIG="$PG_CONFIG" \
		CFLAGS='-O2 -g -Wall -Wextra -Werror'
	as_user make -s -j2 -C "$SRC/src/cli" BUILD="$DIR/cli" PG_CONFIG="$PG_CONFIG" \
		CFLAGS='-O2 -g -Wall -Wextra -Werror'
}

# each FILES COMMAND...: runs it for each file, two at a time.
each()
{
	local files=$1

	shift
	[ -n "$files" ] || { echo "no files"; return 1; }
	# shellcheck disable=SC2086	# a list of plain file names
	printf '%s\n' $files | xargs -P "$(nproc)" -n 1 "$@"
}

# -fanalyzer without what it gets wrong on correct code of the server's kind:
# it follows neither MemoryContexts nor PG_TRY, so its leak and NULL findings
# there are noise; the client half, which uses malloc, has all of them.
analyze_server()
{
	# shellcheck disable=SC2086
	each "$SERVER_C" gcc $SERVER_FLAGS -O2 -fanalyzer -Wno-analyzer-malloc-leak \
		-Wno-analyzer-file-leak -Werror -c -o /dev/null
}

analyze_client()
{
	# shellcheck disable=SC2086
	each "$CLIENT_C" gcc $CLIENT_FLAGS -O2 -fanalyzer -Werror -c -o /dev/null
}

clang_server()
{
	# shellcheck disable=SC2086
	each "$SERVER_C" clang $SERVER_FLAGS -fsyntax-only -Werror
}

clang_client()
{
	# shellcheck disable=SC2086
	each "$CLIENT_C" clang $CLIENT_FLAGS -fsyntax-only -Werror
}

tidy()
{
	# shellcheck disable=SC2086
	each "$1" env TIDY="$TIDY" FLAGS="$2" bash -c '
		clang-tidy --quiet --warnings-as-errors="*" --checks="$TIDY" "$0" -- $FLAGS 2>&1 |
			grep -vE "^[0-9]+ warnings? generated|^Suppressed|^Use -" | grep . && exit 1
		exit 0'
}

# typedefs: typedefs.list names the types that there are.
typedefs()
{
	bash "$DBUTIL_ROOT/tools/typedefs.sh" | diff -u "$DBUTIL_ROOT/typedefs.list" - || {
		echo "run: tools/typedefs.sh >typedefs.list"
		return 1
	}
}

bash "$DBUTIL_ROOT/tools/deps.sh" check lint
find_pg
workdir
DIR=$BUILD/lint/$PG_MAJOR
mkdir -p "$BUILD/lint"
give "$DIR"
lock_dir "$DIR"

step "shellcheck" shell_lint
step "pyflakes" python_lint
step "layering rules" bash "$DBUTIL_ROOT/tools/layering.sh"
step "typedefs.list" typedefs
step "layering rules, self-test" bash "$DBUTIL_ROOT/tools/layering.sh" --self-test
step "server: gcc -Wall -Wextra -Werror" build_server
if [ "$FAILED" = 0 ] || [ -d "$DIR/stage" ]; then
	STAGE=$DIR/stage
	SRC=$DIR/src
	cd "$SRC"
	SERVER_FLAGS="$(make_var PG_CPPFLAGS) $(make_var PG_CFLAGS) $(make_var CPPFLAGS)"
	SERVER_C=$(cd "$SRC" && for f in src/*/*.c; do case $f in src/client/* | src/cli/*) ;; *) echo "$f" ;; esac; done)
	CLIENT_FLAGS="-std=gnu11 -Wall -Wextra -I src/client -I $("$PG_CONFIG" --includedir) -pthread"
	CLIENT_C=$(cd "$SRC" && for f in src/client/*.c src/cli/*.c; do [ ! -f "$f" ] || echo "$f"; done)
	step "server: clang -Wall -Wextra -Werror" clang_server
	step "server: gcc -fanalyzer" analyze_server
	step "server: clang-tidy" tidy "$SERVER_C" "$SERVER_FLAGS"
	if [ -n "$CLIENT_C" ]; then
		step "client: gcc -Wall -Wextra -Werror" build_client
		step "client: clang -Wall -Wextra -Werror" clang_client
		step "client: gcc -fanalyzer" analyze_client
		step "client: clang-tidy" tidy "$CLIENT_C" "$CLIENT_FLAGS"
		step "exported symbols" bash "$DBUTIL_ROOT/tools/layering.sh" --symbols \
			"$SRC/dbutil.so" "$DIR/client/libdbpool.so"
	fi
fi

echo "$PASSED passed, $FAILED failed, 0 skipped"
[ "$FAILED" = 0 ]
