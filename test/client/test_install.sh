#!/bin/sh
# What is built and installed: exports, soname, pkg-config, C and C++ programs.
#
# TAP.  Needs LIBSRC (src/client), BUILD, PG_CONFIG in the environment.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
status=0

check()
{
	n=$((n + 1))
	name=$1
	shift
	if "$@" > "$tmp/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$tmp/out"
		status=1
	fi
}

exports_match_header()
{
	nm -D --defined-only "$BUILD/libdbpool.so" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' |
		sort > "$tmp/exported"
	sed -n 's/^\(.*[ *]\)\{0,1\}\(dbpool_[a-z0-9_]*\)(.*/\2/p' "$LIBSRC"/dbpool*.h |
		grep -vxE 'dbpool_(acquire|session_begin|transaction)' | sort -u > "$tmp/declared"
	test -s "$tmp/declared" && diff "$tmp/declared" "$tmp/exported"
}

static_has_prefix()
{
	nm -g --defined-only "$BUILD/libdbpool.a" | awk 'NF == 3 { print $3 }' > "$tmp/global"
	test -s "$tmp/global" && ! grep -v '^dbpool_' "$tmp/global"
}

soname()
{
	readelf -d "$BUILD/libdbpool.so" | grep 'SONAME.*\[libdbpool.so.1\]' &&
		readelf -d "$BUILD/libdbpool.so" | grep NODELETE
}

only_libpq_and_libc()
{
	readelf -d "$BUILD/libdbpool.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' > "$tmp/needed"
	! grep -Ev '^(libpq\.so|libc\.so|ld-linux)' "$tmp/needed"
}

installs()
{
	make -s -C "$LIBSRC" install BUILD="$BUILD" PG_CONFIG="$PG_CONFIG" PREFIX="$tmp/usr" &&
		test -f "$tmp/usr/include/dbpool.h" && test -f "$tmp/usr/lib/libdbpool.a"
}

# a path, a prefix and a DESTDIR with blanks in them
with_blanks()
{
	mkdir -p "$tmp/a b/src/client" && cp -R "$LIBSRC"/* "$tmp/a b/src/client/" &&
		make -s -C "$tmp/a b/src/client" install PG_CONFIG="$PG_CONFIG" DESTDIR="$tmp/d e" PREFIX="/u s r" &&
		test -f "$tmp/d e/u s r/include/dbpool.h" && test -e "$tmp/d e/u s r/lib/libdbpool.so" &&
		PKG_CONFIG_PATH="$tmp/d e/u s r/lib/pkgconfig" pkg-config --cflags --libs dbpool > "$tmp/flags" &&
		grep -qF -e '-I/u\ s\ r/include' "$tmp/flags" && grep -qF -e '-L/u\ s\ r/lib' "$tmp/flags"
}

cat > "$tmp/x.c" <<-'END'
	#include <dbpool.h>
	int main(void)
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error err = DBPOOL_ERROR_INIT;
		dbpool_stats stats = DBPOOL_STATS_INIT;
		dbpool_params params = DBPOOL_PARAMS_INIT;
		PGresult *result;

		dbpool_release(&lease);
		if (dbpool_acquire(NULL, dbpool_deadline_ms(1), &lease, &err) != DBPOOL_EINVAL)
			return 1;
		if (dbpool_pool_stats(NULL, &stats, &err) != DBPOOL_EINVAL)
			return 2;
		return dbpool_exec(lease, DBPOOL_DEADLINE_NONE, "", &params, &result, &err) != DBPOOL_ESTALE;
	}
END
cp "$tmp/x.c" "$tmp/x.cc"

program()
{
	flags=$(PKG_CONFIG_PATH=$tmp/usr/lib/pkgconfig pkg-config --cflags --libs dbpool) || return 1
	# shellcheck disable=SC2086	# both are lists of words
	$1 -Wall -Wextra -Wno-missing-field-initializers -Werror -o "$tmp/x" "$tmp/$2" $flags &&
		LD_LIBRARY_PATH=$tmp/usr/lib "$tmp/x"
}

# each exported function has a page, and leads to one that says what it is
functions_have_pages()
{
	(
		cd "$tmp/usr/share/man" || exit 1
		sed -n 's/^\t\(dbpool_[a-z0-9_]*\);$/\1/p' "$LIBSRC/libdbpool.map" > "$tmp/names"
		test -s "$tmp/names" || exit 1
		while read -r name; do
			if ! grep -qE "^(\.TH $name 3 |\.so man3/)" "man3/$name.3"; then
				echo "$name.3 is missing or another function's"
				exit 1
			fi
			target=$(sed -n 's/^\.so //p' "man3/$name.3")
			test -z "$target" || test -f "$target" || exit 1
		done < "$tmp/names"
	)
}

pages_are_clean()
{
	(
		cd "$tmp/usr/share/man" || exit 1
		for page in man3/*.3; do
			groff -man -ww -Tutf8 "$page" 2>&1 > "$tmp/page" | grep . && exit 1
			grep -q libdbpool "$tmp/page" || { echo "$page is empty"; exit 1; }
		done
	)
}

page_without_comment_is_refused()
{
	printf 'int dbpool_bare(void);\n' > "$tmp/dbpool_bare.h"
	mkdir "$tmp/pages" &&
		! awk -v dir="$tmp/pages" -v version=0 -f "$LIBSRC/man/man.awk" "$LIBSRC/man/dbpool.3.in" \
			"$LIBSRC/dbpool.h" "$tmp/dbpool_bare.h" 2> "$tmp/refusal" &&
		grep 'dbpool_bare has no comment' "$tmp/refusal"
}

echo 1..11
check exports_are_those_of_the_header exports_match_header
check static_library_has_only_our_prefix static_has_prefix
check soname_and_nodelete soname
check needs_only_libpq_and_libc only_libpq_and_libc
check installs installs
check exported_functions_have_man_pages functions_have_pages
if command -v groff > /dev/null; then
	check man_pages_are_clean pages_are_clean
else
	n=$((n + 1))
	echo "ok $n - man_pages_are_clean # SKIP groff is not installed"
fi
check function_without_a_comment_is_refused page_without_comment_is_refused
check builds_and_installs_with_blanks with_blanks
check c_program_by_pkg_config program cc x.c
check cxx_program_by_pkg_config program "c++ -std=c++11" x.cc
exit $status
