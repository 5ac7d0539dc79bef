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
	readelf -d "$BUILD/libdbpool.so" | grep 'SONAME.*\[libdbpool.so.0\]' &&
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
	mkdir -p "$tmp/a b/src/client" && cp "$LIBSRC"/* "$tmp/a b/src/client/" &&
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

echo 1..8
check exports_are_those_of_the_header exports_match_header
check static_library_has_only_our_prefix static_has_prefix
check soname_and_nodelete soname
check needs_only_libpq_and_libc only_libpq_and_libc
check installs installs
check builds_and_installs_with_blanks with_blanks
check c_program_by_pkg_config program cc x.c
check cxx_program_by_pkg_config program "c++ -std=c++11" x.cc
exit $status
