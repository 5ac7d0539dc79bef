#!/bin/bash
# layering.sh [--symbols DBUTIL_SO LIBDBPOOL_SO] [DIR]: proves the rules that
# keep dbutil's parts apart: what may include what, who assigns hooks, what the
# libraries export, what install SQL may say. Prints each violation with file
# and line; exit status 1 if there is one.
#
# layering.sh --self-test: plants one violation after the other into a scratch
# copy and expects each to be found by its rule.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

# symbols SO PATTERN: prints the symbols that SO exports and PATTERN does not
# allow; fails if there are any.
symbols()
{
	local all bad

	[ -f "$1" ] || die "no such library: $1"
	all=$(nm -D --defined-only "$1" | awk '$2 ~ /^[A-Za-z]$/ && $2 != "A" { print $3 }' |
		sed 's/@.*//')
	if [ -z "$all" ]; then
		echo "symbols: $(basename "$1"): exports nothing"
		return 1
	fi
	bad=$(grep -vE "$2" <<<"$all" || true)
	[ -n "$bad" ] || return 0
	printf '%s\n' "$bad" | sed "s/^/symbols: $(basename "$1"): exports /"
	return 1
}

server_symbols()
{
	symbols "$1" '^(_?PG_init|_PG_fini|Pg_magic_func|pg_finfo_dbutil_\w+|dbutil_\w+|dbu_\w+|_init|_fini|_edata|_end|__bss_start)$'
}

client_symbols()
{
	symbols "$1" '^dbpool_\w+$'
}

# --- the self-test --------------------------------------------------------

BAD=0

# planted RULE FILE TEXT: FILE, with TEXT added to it, must break RULE; then
# the copy is as before.
planted()
{
	local rule=$1 file=$COPY/$2 text=$3 out

	mkdir -p "$(dirname "$file")"
	if [ -f "$file" ]; then cp "$file" "$COPY/.saved"; else rm -f "$COPY/.saved"; fi
	printf '%b\n' "$text" >>"$file"
	out=$(perl "$DBUTIL_ROOT/tools/layering.pl" "$COPY" | grep -vxFf "$BEFORE" || true)
	if ! grep -q "^$rule: $2:" <<<"$out"; then
		echo "self-test: rule '$rule' does not find: $text (in $2)"
		BAD=1
	fi
	if [ -f "$COPY/.saved" ]; then mv "$COPY/.saved" "$file"; else rm -f "$file"; fi
}

# planted_symbol FUNCTION SYMBOL: a library that exports SYMBOL must be refused.
planted_symbol()
{
	echo "int $2(void); int ${2##* }(void) { return 1; }" >"$COPY/planted.c"
	gcc -shared -fPIC -o "$COPY/planted.so" "$COPY/planted.c"
	if "$1" "$COPY/planted.so" >/dev/null; then
		echo "self-test: $1 allows the symbol $2"
		BAD=1
	fi
}

self_test()
{
	local n

	COPY=$(mktemp -d /tmp/dbu-layering.XXXXXX)
	TEMP_DIRS+=("$COPY")
	list_tree | tar -C "$DBUTIL_ROOT" --null -T - -cf - | tar -C "$COPY" -xf -
	mkdir -p "$COPY/src/track" "$COPY/src/bulk" "$COPY/src/client"
	BEFORE=$(mktemp)
	TEMP_DIRS+=("$BEFORE")
	perl "$DBUTIL_ROOT/tools/layering.pl" "$COPY" >"$BEFORE" || true
	planted hooks src/track/planted.c 'void f(void) { planner_hook = NULL; }'
	planted hooks src/core/shmem.c 'void f(void) { shmem_startup_hook = f; }'
	planted version src/track/planted.c '#if PG_VERSION_NUM >= 160000\n#endif'
	planted version src/core/hooks.c '#if PG_VERSION_NUM >= 160000\n#endif'
	planted sideways src/track/planted.c '#include "bulk/bulk.h"'
	planted sideways src/track/planted.c '#include "../bulk/bulk.h"'
	planted sideways src/core/shmem.c '#include "bulk/bulk.h"'
	planted names-modules src/core/shmem.c 'void f(void) { dbu_bulk_start(); }'
	planted names-modules src/track/planted.c 'void f(void) { dbu_bulk_start(); }'
	planted client-includes src/client/planted.c '#include "postgres.h"'
	planted client-includes src/client/planted.c '#include <utils/guc.h>'
	planted client-includes src/client/planted.c '#include "core/compat.h"'
	planted errcode src/track/planted.c 'void f(void) { ereport(ERROR, (errmsg("x (y) errcode(")));\n}'
	planted or-replace src/track/planted.sql 'CREATE OR REPLACE VIEW dbutil.v AS SELECT 1;'
	planted or-replace src/track/planted.sql 'CREATE TABLE IF NOT EXISTS dbutil.t (i int);'
	planted security-definer src/track/planted.sql "CREATE FUNCTION dbutil.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS \$\$SELECT 1; SET search_path = pg_catalog, pg_temp\$\$;"
	planted search-path src/track/planted.sql "CREATE FUNCTION dbutil.f() RETURNS int LANGUAGE sql\nSET search_path = pg_catalog\nAS 'SELECT 1';"
	for n in TO_DO FIX_ME X_XX; do
		planted unfinished src/track/planted.c "/* ${n/_/}: later */"
		planted unfinished docs/planted.md "${n/_/} later"
	done
	planted whitespace src/track/planted.c 'int i; '
	planted length src/track/planted.c "$(printf 'int i;\\n%.0s' {1..701})"
	planted_symbol server_symbols stray
	planted_symbol client_symbols '__attribute__((visibility("hidden"))) dbpool_open'
	planted_symbol client_symbols dbu_stray
	[ "$BAD" = 0 ] || return 1
	note "self-test: every rule finds what is planted against it"
}

case ${1:-} in
	--self-test)
		self_test
		;;
	--symbols)
		[ $# = 3 ] || die "usage: layering.sh --symbols DBUTIL_SO LIBDBPOOL_SO"
		server_symbols "$2" || BAD=1
		client_symbols "$3" || BAD=1
		[ "$BAD" = 0 ]
		;;
	-*)
		die "unknown option $1: --self-test or --symbols"
		;;
	*)
		perl "$DBUTIL_ROOT/tools/layering.pl" "${1:-$DBUTIL_ROOT}"
		;;
esac
