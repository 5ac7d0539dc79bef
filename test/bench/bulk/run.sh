#!/bin/bash
# run.sh: bulk writes beside the other ways to do the same, each way once a
# round, in turns, so that what disturbs the machine disturbs all of them.
# Prints the median of the rounds: thousand rows a second, and the ratio to the
# first way of its group. Needs a quiet machine; nothing here is a test.
#
#   test/bench/bulk/run.sh        all of it, about three minutes
#   ROWS=200000 BIG=1000000 PART=100000 ROUNDS=3   sizes, and how often
#   WORK_MEM=64MB                 the planner's cliff depends on it

set -euo pipefail
# shellcheck source=tools/stage.sh
. "$(dirname "$0")/../../../tools/stage.sh"

ROWS=${ROWS:-200000}
BIG=${BIG:-1000000}
PART=${PART:-100000}
ROUNDS=${ROUNDS:-3}
WORK_MEM=${WORK_MEM:-64MB}
SINGLE=5000		# rows of the sample that goes row by row
PORT=54391
HERE=$(cd -P "$(dirname "$0")" && pwd)

find_pg
clean_env
workdir
DIR=$BUILD/bench-bulk
give "$DIR"
lock_dir "$DIR"
build_stage "$DIR"
short_temp
SERVER_DIRS+=("$DIR")
rm -rf "$DIR/data"
server_init "$DIR/data"
{
	stage_conf "$STAGE"
	echo "listen_addresses = ''"
	echo "shared_preload_libraries = 'dbutil'"
	echo "shared_buffers = 512MB"
	echo "max_wal_size = 8GB"
	echo "synchronous_commit = off"
	echo "autovacuum = off"
	echo "work_mem = $WORK_MEM"
} | as_user tee -a "$DIR/data/postgresql.conf" >/dev/null
server_start "$DIR/data" "$TEMP" "$PORT"

sql()
{
	as_user "$PG_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$TEMP" -p "$PORT" -U postgres -d postgres "$@"
}

# way GROUP NAME ROWS RESET SQL: runs RESET unmeasured, then SQL; keeps the rate.
way()
{
	local start end

	sql -c "$4" -c CHECKPOINT >/dev/null
	start=$(date +%s%N)
	if [ -f "$5" ]; then
		as_user "$PG_BINDIR/pgbench" -n -M prepared -c 1 -t "$3" -f "$5" -h "$TEMP" -p "$PORT" \
			-U postgres postgres >"$DIR/pgbench.log" 2>&1 ||
			die "pgbench failed, see $DIR/pgbench.log"
	else
		sql -c "$5" >/dev/null
	fi
	end=$(date +%s%N)
	printf '%s\t%s\t%s\n' "$1" "$2" "$(awk -v n="$3" -v t=$((end - start)) 'BEGIN { printf "%.1f", n / (t / 1e6) }')" >>"$DIR/rates"
}

sql -v n="$ROWS" -v big="$BIG" -v part="$PART" -f "$HERE/setup.sql"
sql -c "COPY source TO '$DIR/source.txt'"
# one row of the sample, from the client
cat >"$DIR/insert.sql" <<'SQL'
SELECT nextval('one') AS id \gset
INSERT INTO target VALUES (:id, 7, 'name', md5('x'), 1.5, now(), true, '{"i": 1}');
SQL
cat >"$DIR/update.sql" <<'SQL'
SELECT nextval('one') AS id \gset
UPDATE big SET v = v + 1 WHERE id = :id;
SQL
sql -c "CREATE SEQUENCE one"
rm -f "$DIR/rates"

EMPTY="TRUNCATE target; ALTER SEQUENCE one RESTART"
HALF="$EMPTY; INSERT INTO target SELECT * FROM source WHERE id % 10 = 0"
# a fresh copy of the big table for every way
FRESH="DROP TABLE IF EXISTS fresh; CREATE TABLE fresh (LIKE big INCLUDING ALL); INSERT INTO fresh TABLE keep;
	DROP TABLE big; ALTER TABLE fresh RENAME TO big; VACUUM ANALYZE big; ALTER SEQUENCE one RESTART"
sql -c "CREATE UNLOGGED TABLE keep AS TABLE big"
mapfile -t FRESH_STEPS < <(tr ';' '\n' <<<"$FRESH" | sed 's/^[[:space:]]*//')
fresh()
{
	local step args=()

	for step in "${FRESH_STEPS[@]}"; do [ -z "$step" ] || args+=(-c "$step"); done
	sql -c 'SET client_min_messages = warning' "${args[@]}" >/dev/null
}

for ((round = 1; round <= ROUNDS; round++)); do
	note "round $round of $ROUNDS"
	way insert "COPY text from a file" "$ROWS" "$EMPTY" "COPY target FROM '$DIR/source.txt'"
	way insert "bulk_insert, composites" "$ROWS" "$EMPTY" \
		"SELECT (SELECT inserted FROM dbutil.bulk_insert('target', composites)) FROM input"
	way insert "bulk_insert, jsonb" "$ROWS" "$EMPTY" \
		"SELECT (SELECT inserted FROM dbutil.bulk_insert('target', json)) FROM input"
	way insert "INSERT SELECT unnest(composites) in the target list" "$ROWS" "$EMPTY" \
		"INSERT INTO target SELECT (r).* FROM (SELECT unnest(composites) AS r FROM input OFFSET 0) s"
	way insert "INSERT SELECT unnest of column arrays" "$ROWS" "$EMPTY" \
		"INSERT INTO target SELECT u.* FROM input, unnest(input.id, input.k, input.a, input.b, input.n, input.ts, input.f, input.j) u"
	way insert "INSERT SELECT jsonb_populate_recordset" "$ROWS" "$EMPTY" \
		"INSERT INTO target SELECT u.* FROM input, jsonb_populate_recordset(NULL::target, json) u"
	way insert "row by row from a client, prepared" "$SINGLE" "$EMPTY" "$DIR/insert.sql"

	way conflict "INSERT SELECT unnest ... DO NOTHING" "$ROWS" "$HALF" \
		"INSERT INTO target SELECT (r).* FROM (SELECT unnest(composites) AS r FROM input OFFSET 0) s ON CONFLICT DO NOTHING"
	way conflict "bulk_insert, on_conflict nothing" "$ROWS" "$HALF" \
		"SELECT (SELECT conflicts FROM dbutil.bulk_insert('target', composites, on_conflict => 'nothing')) FROM input"
	way conflict "bulk_insert, on_conflict update" "$ROWS" "$HALF" \
		"SELECT (SELECT updated FROM dbutil.bulk_insert('target', composites, on_conflict => 'update')) FROM input"

	fresh; way update "join with unnest, by 10,000" "$PART" "" "CALL naive_update(10000)"
	fresh; way update "bulk_update, by 1,000" "$PART" "" "SELECT updated FROM changes, dbutil.bulk_update('big', rows, chunk_rows => 1000)"
	fresh; way update "bulk_update, by 10,000" "$PART" "" "SELECT updated FROM changes, dbutil.bulk_update('big', rows)"
	fresh; way update "bulk_update, in one" "$PART" "" "SELECT updated FROM changes, dbutil.bulk_update('big', rows, chunk_rows => 1000000)"
	fresh; way update "loop in plpgsql" "$PART" "" "CALL loop_update()"
	fresh; way update "row by row from a client, prepared" "$SINGLE" "" "$DIR/update.sql"

	fresh; way delete "join with unnest, by 10,000" "$PART" "" "CALL naive_delete(10000)"
	fresh; way delete "bulk_delete, by 1,000" "$PART" "" "SELECT deleted FROM changes, dbutil.bulk_delete('big', ids, chunk_rows => 1000)"
	fresh; way delete "bulk_delete, by 10,000" "$PART" "" "SELECT deleted FROM changes, dbutil.bulk_delete('big', ids)"
	fresh; way delete "= ANY, by 10,000" "$PART" "" "CALL any_delete(10000)"
done

section "PostgreSQL $PG_MAJOR, $(nproc) cores; $ROWS rows into an empty table, $PART of $BIG by key; work_mem $WORK_MEM; median of $ROUNDS"
sort -s -t "$(printf '\t')" -k1,1 -k2,2 -k3,3n "$DIR/rates" | awk -F '\t' '
	{ key = $1 FS $2; if (key != last && last != "") emit(); last = key; v[++n] = $3 }
	function emit() { print last FS v[int((n + 1) / 2)]; n = 0 }
	END { emit() }' >"$DIR/medians"
# in the order in which the ways were run first
awk -F '\t' 'NR == FNR { median[$1 FS $2] = $3; next }
	!(($1 FS $2) in done) {
		done[$1 FS $2] = 1
		if (!($1 in base)) { base[$1] = median[$1 FS $2]; printf "%s\n", $1 }
		printf "  %-54s %9.1f k rows/s  %6.2f x\n", $2, median[$1 FS $2], median[$1 FS $2] / base[$1]
	}' "$DIR/medians" "$DIR/rates"
