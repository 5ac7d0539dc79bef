#!/bin/bash
# source.sh: PostgreSQL's own sources. Sourced, with lib.sh.

# get_source: puts PostgreSQL's original source archive of this major version
# ($PG_MAJOR) into the cache ($CACHE) and sets TARBALL; fails with REASON.
get_source()
{
	local status=0

	# one at a time: apt in the cache is shared with other runs
	exec 8>"$CACHE/source.lock"
	flock 8
	find_source || status=1
	exec 8>&-
	return "$status"
}

find_source()
{
	local dir=$CACHE/source-$PG_MAJOR suite lines=()

	mkdir -p "$dir"
	TARBALL=$(compgen -G "$dir/postgresql-${PG_MAJOR}_*.orig.tar.*" | grep -v '\.asc$' |
		sort -V | tail -n 1 || true)
	[ -z "$TARBALL" ] || return 0
	REASON="this machine has no Debian package sources"
	debian_mirror || return 1
	for suite in "$MIRROR_SUITE" trixie forky sid; do
		lines+=("deb-src $MIRROR $suite main")
	done
	note "getting the sources of PostgreSQL $PG_MAJOR"
	# the machine's own release first: the others are asked only if it has none
	for suite in 0 1 2 3; do
		REASON="the archive cannot be reached: check the network and this machine's package sources"
		private_apt "$CACHE/apt-src-$suite" "${lines[suite]}" || return 1
		REASON="no release of the archive has the sources of postgresql-$PG_MAJOR"
		if (cd "$dir" && apt-get "${APT[@]}" -qq source --download-only "postgresql-$PG_MAJOR") \
			>"$dir/log" 2>&1; then
			break
		fi
	done
	TARBALL=$(compgen -G "$dir/postgresql-${PG_MAJOR}_*.orig.tar.*" | grep -v '\.asc$' |
		sort -V | tail -n 1 || true)
	[ -n "$TARBALL" ]
}
