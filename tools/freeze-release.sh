#!/bin/bash
# freeze-release.sh: keeps the install SQL of the current version in
# src/upgrade/releases (`make freeze-release`), where `make check` upgrades
# from it for ever after. A version once frozen is not frozen again, unless
# FREEZE_AGAIN=1 says that it was never given to anybody.

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/stage.sh"

find_pg
workdir
WORK=$BUILD/check/$PG_MAJOR
mkdir -p "$BUILD/check"
give "$WORK"
lock_dir "$WORK"
build_stage "$WORK"

VERSION=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$DBUTIL_ROOT/dbutil.control")
FROM=$STAGE$PG_SHARE/extension/dbutil--$VERSION.sql
TO=$DBUTIL_ROOT/src/upgrade/releases/dbutil--$VERSION.sql

[ -f "$FROM" ] || die "the build made no dbutil--$VERSION.sql"
if [ -f "$TO" ] && cmp -s "$FROM" "$TO"; then
	note "version $VERSION is frozen already and unchanged"
	exit 0
fi
if [ -f "$TO" ] && [ -z "${FREEZE_AGAIN:-}" ]; then
	die "version $VERSION is frozen and the sources now differ from it: raise default_version in dbutil.control and write src/upgrade/dbutil--$VERSION--NEW.sql (or FREEZE_AGAIN=1 if $VERSION was never released)"
fi
mkdir -p "$(dirname "$TO")"
cp "$FROM" "$TO"
note "wrote src/upgrade/releases/dbutil--$VERSION.sql ($(wc -l <"$TO") lines)"
