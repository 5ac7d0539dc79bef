#!/bin/bash
# majors.sh [--fresh] [MAJOR]...: the whole check on other major versions of
# PostgreSQL (default: 17 18). Each gets a small Debian root folder in the
# cache, made by mmdebstrap from the release whose archive offers that version,
# and tools/check.sh runs inside, in process and mount namespaces of its own:
# when it ends nothing of it is left running or mounted.
#
# A version that the archive does not offer at the moment is printed as
# skipped with the reason: it is not passed, and does not fail the run. Needs
# root. --fresh makes the root folders anew. TESTS works as in `make check`.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

SUITES="trixie forky sid experimental"		# looked at in this order
PACKAGES=make,gcc,g++,libc6-dev,perl,libipc-run-perl,libcmocka-dev,libpq-dev,pkg-config
PACKAGES+=,python3,python3-sqlalchemy,python3-psycopg2,python3-asyncpg,python3-greenlet,python3-psycopg,pgbouncer
WISHES=hypopg	# server packages, postgresql-NN-NAME, added where the archive has them
RECIPE=2		# raise it when the root folders must be made anew

PASSED=0
FAILED=0
SKIPPED=0
SUMMARY=()

# skip MAJOR REASON
skip()
{
	SKIPPED=$((SKIPPED + 1))
	SUMMARY+=("PostgreSQL $1: skipped: $2")
	note "PostgreSQL $1 skipped: $2"
}

# source_lines SUITE: experimental is only an addition to sid.
source_lines()
{
	[ "$1" != experimental ] || echo "deb $MIRROR sid main"
	echo "deb $MIRROR $1 main"
}

# find_suite MAJOR: sets SUITE to the release that offers it; if there is none
# sets REASON and fails.
find_suite()
{
	local suite dir lines reached=

	for suite in $SUITES; do
		dir=$CACHE/apt-$suite
		mapfile -t lines < <(source_lines "$suite")
		if ! private_apt "$dir" "${lines[@]}"; then
			continue
		fi
		reached=1
		if apt-cache "${APT[@]}" policy "postgresql-server-dev-$1" |
			grep 'Candidate: [0-9]' >/dev/null; then
			SUITE=$suite
			return 0
		fi
	done
	REASON="no release of the archive offers postgresql-server-dev-$1 (looked in: $SUITES)"
	[ -n "$reached" ] || REASON="the archive cannot be reached: check the network and this machine's package sources"
	return 1
}

# make_root MAJOR DIR: makes the root folder, or sets REASON and fails; sets
# BROKEN as well if that is not the archive's doing.
make_root()
{
	local major=$1 root=$2 log=$2.log lines extra=() line wish wishes=

	BROKEN=
	find_suite "$major" || return 1
	note "PostgreSQL $major: making a root folder of $SUITE in $root"
	mapfile -t lines < <(source_lines "$SUITE")
	for wish in $WISHES; do
		if apt-cache "${APT[@]}" policy "postgresql-$major-$wish" | grep 'Candidate: [0-9]' >/dev/null; then
			wishes="$wishes,postgresql-$major-$wish"
		fi
	done
	if [ "$SUITE" = experimental ]; then
		# shellcheck disable=SC2016	# mmdebstrap's shell has the folder in $1
		extra=(--essential-hook='printf "Package: postgresql* libpq*\nPin: release a=experimental\nPin-Priority: 900\n" >"$1/etc/apt/preferences.d/postgresql"')
	fi
	rm -rf --one-file-system "$root.new" "$root"
	# no cluster and no service on installation, nothing that is only read
	# by people, no waiting for the disk
	# shellcheck disable=SC2016
	run_child mmdebstrap --quiet --variant=minbase --mode=root \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt=force-unsafe-io \
		--essential-hook='mkdir -p "$1/etc/postgresql-common"' \
		--essential-hook='echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
		--essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod +x "$1/usr/sbin/policy-rc.d"' \
		"${extra[@]+"${extra[@]}"}" \
		--include="$PACKAGES,postgresql-$major,postgresql-server-dev-$major$wishes" \
		"${SUITE/experimental/sid}" "$root.new" "${lines[@]}" >"$log" 2>&1 || {
		line=$(grep -E '^E: ' "$log" | head -n 1 || true)
		rm -rf --one-file-system "$root.new"
		REASON="mmdebstrap failed (${line:-see $log})"
		grep -qE 'unmet dependencies|Unable to (locate|correct)|no installation candidate|Failed to fetch|held broken' "$log" ||
			BROKEN=1
		return 1
	}
	recipe "$major" >"$root.new/.dbutil-root"
	mv "$root.new" "$root"
}

recipe()
{
	echo "$RECIPE $1 $PACKAGES $WISHES"
}

# check_in ROOT MAJOR LOG: copies the tree into the root folder and runs
# check.sh there. The namespaces end with it, and all in them.
check_in()
{
	local root=$1 major=$2 log=$3

	rm -rf --one-file-system "$root/dbutil"
	mkdir -p "$root/dbutil" "$root/dev/shm" "$root/dev/pts" "$root/run/postgresql"
	list_tree | tar -C "$DBUTIL_ROOT" --null -T - -cf - | tar -C "$root/dbutil" --no-same-owner -xf -
	# shellcheck disable=SC2016
	run_logged "$log" unshare --mount --pid --fork --kill-child --propagation private \
		sh -c 'mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/dev/shm" &&
			mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$1/dev/pts" &&
			exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
				DBUTIL_PGMAJOR="$2" DBUTIL_BUILD=/var/tmp/dbutil-build \
				DBUTIL_WERROR=1 TESTS="$3" bash /dbutil/tools/check.sh' \
		sh "$root" "$major" "${TESTS:-}"
}

MAJORS=()
FRESH=
for arg in "$@"; do
	case $arg in
		--fresh) FRESH=1 ;;
		*[!0-9]* | '') die "usage: majors.sh [--fresh] [MAJOR]...; '$arg' is not a major version" ;;
		*) MAJORS+=("$arg") ;;
	esac
done
[ ${#MAJORS[@]} -gt 0 ] || MAJORS=(17 18)

if [ "$(id -u)" != 0 ]; then
	for major in "${MAJORS[@]}"; do
		skip "$major" "root folders can be made only by root"
	done
	echo "0 passed, 0 failed, $SKIPPED skipped"
	exit 0
fi
cache_dir
lock_dir "$CACHE" wait
bash "$DBUTIL_ROOT/tools/deps.sh" majors
unshare --mount --pid --fork --kill-child true 2>/dev/null ||
	die "this machine does not allow namespaces (unshare --mount --pid): run where root may use them"

for major in "${MAJORS[@]}"; do
	section "PostgreSQL $major"
	start=$SECONDS
	root=$CACHE/root-$major
	if [ -n "$FRESH" ] || [ "$(cat "$root/.dbutil-root" 2>/dev/null || true)" != "$(recipe "$major")" ]; then
		if ! debian_mirror; then
			skip "$major" "this machine has no Debian package sources to make a root folder from"
			continue
		fi
		if ! make_root "$major" "$root"; then
			if [ -n "$BROKEN" ]; then
				FAILED=$((FAILED + 1))
				SUMMARY+=("PostgreSQL $major: failed: $REASON")
				note "PostgreSQL $major: $REASON"
			else
				skip "$major" "$REASON"
			fi
			continue
		fi
		note "made in $((SECONDS - start)) s"
	fi
	status=0
	log=$CACHE/check-$major.log
	check_in "$root" "$major" "$log" || status=$?
	tally "$log" "$status"
	SUMMARY+=("PostgreSQL $major: $TALLY ($((SECONDS - start)) s)")
done

section "summary"
printf '%s\n' "${SUMMARY[@]}"
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" = 0 ]
