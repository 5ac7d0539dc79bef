#!/bin/bash
# stage.sh: copy the tree, build it, install it aside. Sourced, with lib.sh.
#
# Nothing here touches the checkout or the system: the sources are copied into
# the work folder, built there by an unprivileged user and installed below a
# staging folder, and a server is pointed at that.

# shellcheck source=tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# list_tree: the names of the source files, NUL-terminated: what git knows or
# would add; without git (a tarball) everything but build products.
list_tree()
{
	local name

	if have git && [ -e "$DBUTIL_ROOT/.git" ] &&
		git -c safe.directory='*' -C "$DBUTIL_ROOT" rev-parse --git-dir >/dev/null 2>&1; then
		git -c safe.directory='*' -C "$DBUTIL_ROOT" ls-files -z -c -o --exclude-standard
	else
		(cd "$DBUTIL_ROOT" && find . \( -name .git -o -path ./build -o -name tmp_check \
			-o -name results -o -name log \) -prune -o \( -type f -o -type l \) \
			! -name '*.o' ! -name '*.so' ! -name '*.a' ! -name '*.bc' \
			! -path './dbutil--*.sql' -printf '%P\0')
	fi | while IFS= read -r -d '' name; do
		[ -f "$DBUTIL_ROOT/$name" ] && printf '%s\0' "$name"
	done
}

# copy_tree DEST: makes DEST a copy of the sources. A file is written only if
# its content differs, so make rebuilds what changed; what is no longer in the
# sources is removed from the copy.
copy_tree()
{
	local dest=$1 list name

	give "$dest"
	list=$(mktemp)
	list_tree | sort -zu >"$list"
	[ -s "$list" ] || die "found no source files in $DBUTIL_ROOT"
	if [ -f "$dest/.files" ]; then
		comm -z -13 "$list" "$dest/.files" | while IFS= read -r -d '' name; do
			rm -f -- "$dest/$name"
		done
	fi
	while IFS= read -r -d '' name; do
		if ! cmp -s -- "$DBUTIL_ROOT/$name" "$dest/$name"; then
			mkdir -p -- "$dest/$(dirname "$name")"
			rm -rf -- "${dest:?}/$name"	# a folder, where one became a file
			cp -- "$DBUTIL_ROOT/$name" "$dest/$name"
		fi
	done <"$list"
	rm -f "$dest/.files"
	mv "$list" "$dest/.files"
	chmod 644 "$dest/.files"
	[ "$(id -u)" != 0 ] || chown -R "$(server_user)": "$dest"
}

# is_private: is the server one that a script of ours built for itself alone?
# Its own folders may then be installed into, and have to be: a server built
# from PostgreSQL's sources knows no other place for extensions before 18.
is_private()
{
	[ -e "$PG_BINDIR/../.dbutil-private" ]
}

# build_stage DIR: copies to DIR/src, builds there and installs into
# DIR/stage, and into a private server. Needs find_pg. Compiler warnings end
# the build if DBUTIL_WERROR is set; else they are only printed. DBUTIL_COPT
# holds more options for the compiler.
build_stage()
{
	local dir=$1 src=$1/src log=$1/build.log stamp copt=${DBUTIL_COPT:-}

	[ -z "${DBUTIL_WERROR:-}" ] || copt="$copt -Werror"
	DBUTIL_HOME=$dir
	give "$dir"
	cd "$dir" || die "cannot enter $dir"	# server_user may not be able to enter where we were called
	copy_tree "$src"
	# another server or other flags than last time: build from scratch
	stamp="$("$PG_CONFIG" --version) $PG_CONFIG $copt"
	if [ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$stamp" ]; then
		as_user make -s -C "$src" PG_CONFIG="$PG_CONFIG" clean >/dev/null 2>&1 || true
	fi
	: >"$log"
	if ! run_child as_user make -s -j2 -C "$src" PG_CONFIG="$PG_CONFIG" COPT="$copt" all \
		>>"$log" 2>&1; then
		tail -n 40 "$log"
		die "the build failed; all of its output is in $log"
	fi
	grep -E 'warning:' "$log" || true
	printf '%s\n' "$stamp" >"$dir/stamp"
	rm -rf "$dir/stage"
	run_child as_user make -s -C "$src" PG_CONFIG="$PG_CONFIG" COPT="$copt" \
		DESTDIR="$dir/stage" install >>"$log" 2>&1 ||
		{ tail -n 20 "$log"; die "make install DESTDIR=$dir/stage failed"; }
	if is_private; then
		run_child as_user make -s -C "$src" PG_CONFIG="$PG_CONFIG" COPT="$copt" install \
			>>"$log" 2>&1 || { tail -n 20 "$log"; die "make install into $PG_BINDIR/.. failed"; }
	fi
	STAGE=$dir/stage
	SRC=$src
}

# stage_conf STAGE: prints the configuration lines that let a server find an
# extension installed below STAGE. Debian's servers have extension_destdir,
# PostgreSQL 18 has extension_control_path.
stage_conf()
{
	local known

	is_private && return 0
	known=$(as_user "$PG_BINDIR/postgres" --describe-config | cut -f 1)
	echo "dynamic_library_path = '$1$PG_PKGLIB:\$libdir'"
	if grep -qx extension_destdir <<<"$known"; then
		echo "extension_destdir = '$1'"
	elif grep -qx extension_control_path <<<"$known"; then
		echo "extension_control_path = '$1$PG_SHARE:\$system'"
	else
		die "this PostgreSQL $PG_MAJOR can use an extension only after 'make install': do that and run 'make installcheck PG_CONFIG=$PG_CONFIG'"
	fi
}

# make_var NAME: prints the value of a variable of the Makefile (in $SRC).
make_var()
{
	as_user make -s -C "$SRC" PG_CONFIG="$PG_CONFIG" \
		--eval="print-var: ; @echo \$($1)" print-var
}
