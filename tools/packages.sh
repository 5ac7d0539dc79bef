#!/bin/bash
# packages.sh: Debian's packages (`make packages`): built by dpkg-buildpackage as
# a user without rights, from a copy of the sources, then looked at: lintian finds
# no fault, each has what it is for, and the version is the extension's.
#
# They are left in build/packages. Needs debhelper, lintian and
# postgresql-server-dev-all (tools/deps.sh packages). The last line is
# `N passed, N failed, N skipped`.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

PASSED=0
FAILED=0

# result NAME COMMAND...: counts and prints how the command ended, with its
# output if it failed.
result()
{
	local name=$1 out=$WORK/result.log

	shift
	if "$@" >"$out" 2>&1; then
		PASSED=$((PASSED + 1))
		echo "  ok      $name"
	else
		FAILED=$((FAILED + 1))
		echo "  FAILED  $name"
		tail -n 30 "$out" | sed 's/^/    /'
	fi
}

# build: the packages of the PostgreSQL versions that are installed here.
build()
{
	run_child as_user env -C "$WORK/dbutil" pg_buildext updatecontrol &&
		run_child as_user env -C "$WORK/dbutil" DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -b -us -uc
}

# holds PACKAGE PATH: is there a file of that name in the package?
holds()
{
	dpkg-deb -c "$(echo "$WORK/$1"_*.deb)" | awk '{ print $6 }' | grep -x "\.$2"
}

# version_agrees PACKAGE: is it the extension's?
version_agrees()
{
	[ "$(dpkg-deb -f "$(echo "$WORK/$1"_*.deb)" Version)" = "$VERSION" ]
}

# command_runs: what is unpacked runs where it is.
command_runs()
{
	dpkg -x "$(echo "$WORK"/dbutil_*.deb)" "$WORK/root" &&
		"$WORK/root/usr/bin/dbutil" help | grep 'usage: dbutil'
}

workdir
WORK=$BUILD/packages
give "$WORK"
lock_dir "$WORK"
rm -rf -- "$WORK"/*.deb "$WORK"/*.changes "$WORK"/*.buildinfo "$WORK/root" "$WORK/dbutil"
copy_tree "$WORK/dbutil"
VERSION=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$DBUTIL_ROOT/dbutil.control")
MULTIARCH=$(dpkg-architecture -qDEB_HOST_MULTIARCH)

result "dpkg-buildpackage" build
if [ "$FAILED" = 0 ]; then
	result "lintian" as_user lintian --fail-on error,warning "$(echo "$WORK"/dbutil_*.changes)"
	for major in $(as_user env -C "$WORK/dbutil" pg_buildext supported-versions .); do
		result "postgresql-$major-dbutil: library" holds "postgresql-$major-dbutil" "/usr/lib/postgresql/$major/lib/dbutil.so"
		result "postgresql-$major-dbutil: install script" \
			holds "postgresql-$major-dbutil" "/usr/share/postgresql/$major/extension/dbutil--$VERSION.sql"
		result "postgresql-$major-dbutil: version" version_agrees "postgresql-$major-dbutil"
	done
	result "libdbpool1: library" holds libdbpool1 "/usr/lib/$MULTIARCH/libdbpool.so.1"
	result "libdbpool-dev: header" holds libdbpool-dev /usr/include/dbpool.h
	result "libdbpool-dev: pkg-config file" holds libdbpool-dev "/usr/lib/$MULTIARCH/pkgconfig/dbpool.pc"
	result "libdbpool-dev: manual pages" holds libdbpool-dev /usr/share/man/man3/dbpool.3.gz
	result "dbutil: version" version_agrees dbutil
	result "dbutil: manual page" holds dbutil /usr/share/man/man1/dbutil.1.gz
	result "dbutil: the command runs" command_runs
fi
echo "$PASSED passed, $FAILED failed, 0 skipped"
[ "$FAILED" = 0 ]
