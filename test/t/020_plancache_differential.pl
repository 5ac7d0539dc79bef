# The plan cache against the planner: generated statements whose literals are
# mutated, with DDL, statistics and settings changed in between, are run with
# dbutil.plan_cache off, and then force, auto and exact, each in a database of
# its own that has seen the same. Rows and SQLSTATEs must be the same.
#
# DBUTIL_PLANCACHE_SHAPES and DBUTIL_PLANCACHE_SEED make it longer or other.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $shapes = $ENV{DBUTIL_PLANCACHE_SHAPES} || 1000;
my $seed = $ENV{DBUTIL_PLANCACHE_SEED} || 20240607;
my $mutations = 8;
srand($seed);

my $schema = <<'SQL';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN small AS integer CHECK (VALUE < 1000000);
CREATE TABLE t1 (id integer PRIMARY KEY, a integer, b bigint, c numeric(10, 2), d text,
	e date, f char(6), g boolean, h small, m mood, v varchar(10), ts timestamptz, arr integer[]);
INSERT INTO t1 SELECT i, nullif(i % 7, 3), i * 1000000007::bigint, i / 4.0, CASE WHEN i % 11 > 0 THEN 'd' || i % 40 END,
	'2024-01-01'::date + i % 60, 'f' || i % 20, nullif(i % 3, 2) = 1, i % 5,
	(ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, 'v' || i % 30, '2024-01-01 12:00+00'::timestamptz + i % 50 * interval '1 hour',
	ARRAY[i % 4, i % 6] FROM generate_series(1, 150) AS i;
CREATE INDEX t1_part ON t1 (a) WHERE h = 3;
CREATE INDEX t1_expr ON t1 ((a + h));
CREATE INDEX t1_lower ON t1 (lower(d));
CREATE INDEX t1_d ON t1 (d text_pattern_ops);
CREATE INDEX t1_e ON t1 (e, a);
CREATE TABLE t2 (id integer PRIMARY KEY, t1_id integer, w smallint, x text COLLATE "C", k integer NOT NULL DEFAULT 1);
INSERT INTO t2 SELECT i, nullif(i % 90, 5), i % 9, 'x' || i % 25, i % 2 FROM generate_series(1, 100) AS i;
CREATE INDEX t2_t1 ON t2 (t1_id);
CREATE TABLE t2_child () INHERITS (t2);
INSERT INTO t2_child SELECT i, i % 90, i % 9, 'x' || i % 25, 7 FROM generate_series(101, 120) AS i;
CREATE TABLE p (id integer, t1_id integer, at date) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('2024-02-01');
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE p3 PARTITION OF p DEFAULT;
INSERT INTO p SELECT i, i % 90, '2024-01-01'::date + i % 100 FROM generate_series(1, 100) AS i;
CREATE TABLE sec (id integer PRIMARY KEY, a integer);
INSERT INTO sec SELECT i, i % 7 FROM generate_series(1, 50) AS i;
CREATE VIEW vw AS SELECT id, a FROM t1 WHERE g;
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION tripled(integer) RETURNS integer LANGUAGE plpgsql STABLE STRICT AS 'BEGIN RETURN $1 * 3; END';
CREATE FUNCTION by_using(query text, integer, text) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE query USING $2, $3; END';
CREATE TABLE w (id integer PRIMARY KEY, a numeric(6, 2), v varchar(5), c char(3), e date, s small, u integer UNIQUE, b bigint DEFAULT 7,
	n integer GENERATED ALWAYS AS IDENTITY, g integer GENERATED ALWAYS AS (id * 2) STORED, m mood DEFAULT 'ok', CHECK (b < 1000));
INSERT INTO w (id, a, v, u) SELECT i, i, 'v' || i, i FROM generate_series(1, 40) AS i;
CREATE INDEX w_part ON w (a) WHERE v IS NOT NULL;
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END';
CREATE TRIGGER w_note BEFORE INSERT OR UPDATE OR DELETE ON w FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE VIEW vw2 AS SELECT x.id, y.w, count(*) AS n FROM t1 AS x JOIN t2 AS y ON y.t1_id = x.id GROUP BY x.id, y.w;
CREATE VIEW vww AS SELECT id, a, v, u FROM w WHERE id > 3;
ANALYZE;
SQL

# --- the generator ------------------------------------------------------------

sub pick { return $_[ int rand @_ ]; }
sub chance { return rand() < $_[0]; }

# Forms of literals of each kind; <n> stands for a number below n that is drawn
# afresh for each mutation. The likely ones first, the odd and wrong ones after.
my %forms = (
	int => [ [ '<9>', '<90>', '<310>', "'<90>'", '<9>::bigint' ],
		[ '-<5>', 'NULL', '<9>::smallint', '<9>.0', '<9>.5', '3000000000', '99999999999999999999', "'x1'", "'99999999999'", '<9> + 1', "'<9>'::integer" ] ],
	plain => [ [ '<9>', '<90>', '<300>' ], [ '-<9>' ] ],
	text => [ [ "'d<45>'", "'x<30>'", "'v<30>'", "'f<22>'" ],
		[ "''", "'d<9> '", 'NULL', "'d' || <9>", "'f<22>'::char(6)", "'d<45>'::varchar(2)", "'D<45>'", "'d<45>'::text", "lower('D<45>')", "'it''s'" ] ],
	pattern => [ [ "'d<4>%'", "'%<9>'", "'d<45>'" ], [ "'d_'", 'NULL' ] ],
	date => [ [ "'2024-0<3>-1<9>'", "'2024-01-2<9>'", "DATE '2024-02-1<9>'" ],
		[ "'2024-02-30'", "'yesterday-ish'", "'2024-01-1<9> 12:00+00'::timestamptz", 'NULL' ] ],
	bool => [ [ 'true', 'false' ], [ 'NULL', "'t'", "'maybe'" ] ],
	mood => [ [ "'sad'", "'ok'", "'happy'" ], [ "'angry'", "'ok'::mood" ] ],
	array => [ [ "'{<4>,<6>}'", 'ARRAY[<4>,<6>]' ], [ "'{<4>,<6>}'::integer[]", "'{1,x}'" ] ],
	num => [ [ '<75>.25', '<75>', "'<75>.5'" ], [ '<75>.2500', '1e2', "'NaN'", '<75>.5::float8' ] ],
);

my %columns = (
	t1 => { id => 'int', a => 'int', b => 'int', c => 'num', d => 'text', e => 'date', f => 'text',
		g => 'bool', h => 'int', m => 'mood', v => 'text', ts => 'date', arr => 'array' },
	t2 => { id => 'int', t1_id => 'int', w => 'int', x => 'text', k => 'int' },
	p => { id => 'int', t1_id => 'int', at => 'date' },
	sec => { id => 'int', a => 'int' },
	vw => { id => 'int', a => 'int' },
	vw2 => { id => 'int', w => 'int', n => 'int' },
	w => { id => 'int', a => 'num', v => 'text', c => 'text', e => 'date', s => 'int', u => 'int', b => 'int', m => 'mood' },
	vww => { id => 'int', a => 'num', v => 'text', u => 'int' },
);

sub literal
{
	my $kind = shift;
	my ($likely, $odd) = @{ $forms{$kind} };

	# now and then the form itself is drawn for each mutation
	return "<$kind>" if chance(0.05);
	return pick(@{ chance(0.9) ? $likely : $odd });
}

# A literal where the cache lifts none: mostly the same in all mutations.
sub fixed
{
	my $form = literal(@_);

	return chance(0.85) ? instance($form) : $form;
}

sub column
{
	my ($alias, $table, @kinds) = @_;
	my $all = $columns{$table};
	my @names = grep { my $kind = $all->{$_}; !@kinds || grep { $_ eq $kind } @kinds } sort keys %$all;

	@names = ('id') unless @names;
	my $name = pick(@names);
	return ("$alias.$name", $all->{$name});
}

sub predicate
{
	my @tables = @_;
	my ($alias, $table) = @{ pick(@tables) };
	my ($col, $kind) = column($alias, $table);
	my $op = pick('=', '=', '=', '=', '<', '>', '<=', '>=', '<>');
	my $what = int rand 28;

	return fixed($kind) . " $op $col" if $kind eq 'bool' || $kind eq 'mood';
	return literal($kind) . " $op $col" if $what == 0;
	return "$col IS " . pick('NULL', 'NOT NULL') if $what == 1;
	return "$col IN (" . join(', ', map { fixed($kind) } 1 .. 1 + int rand 4) . ')' if $what == 2;
	return "$col BETWEEN " . literal($kind) . ' AND ' . literal($kind) if $what == 3;
	return "$col IS " . pick('', 'NOT ') . "DISTINCT FROM " . fixed($kind) if $what == 4;
	return "coalesce($col, " . fixed($kind) . ") $op " . literal($kind) if $what == 5;
	return "CASE WHEN $col $op " . fixed($kind) . " THEN $alias.id = " . fixed('plain') . ' ELSE ' . fixed('bool') . ' END' if $what == 6;
	return "NOT ($col $op " . literal($kind) . ')' if $what == 7;
	return "$col $op " . literal($kind) . " AND $col $op " . literal($kind) if $what == 8;
	return "$alias.id % 7 = " . literal('plain') . " AND $alias.id + 1 $op " . literal('plain') if $what == 9;
	return pick('twice', 'tripled') . "($alias.id) = " . literal('plain') if $what == 10;
	return "$col " . pick('IN', 'NOT IN') . ' (' . join(', ', map { literal($kind) } 1 .. 2 + int rand 14) . ')' if $what == 24 && $kind ne 'array';
	return "$alias.id " . pick('IN', 'NOT IN') . ' (' . join(', ', ('<150>') x (2 + int rand 12)) . ')' if $what == 25;
	if ($what == 26)
	{
		my $inner = pick('t1', 't2', 'w', 'p');
		return pick('EXISTS', 'NOT EXISTS') . " (SELECT 1 FROM $inner AS i WHERE i.id = $alias.id AND " . simple('i', $inner) . ')';
	}
	if ($what == 27)
	{
		my $inner = pick('t1', 't2', 'w');
		return "$alias.id " . pick('IN', 'NOT IN') . " (SELECT i.id FROM $inner AS i WHERE " . simple('i', $inner) . ')';
	}
	if ($what == 11)
	{
		($col) = column($alias, $table, 'text');
		return "$col " . pick('LIKE', 'NOT LIKE', '~') . ' ' . fixed('pattern');
	}
	if ($what == 12)
	{
		($col, $kind) = column($alias, $table, 'text');
		return ($kind eq 'text' ? "lower($col)" : $col) . " $op " . literal($kind);
	}
	if ($what == 13 && $table eq 't1')
	{
		return "$alias.a + $alias.h $op " . literal('plain') . " AND $alias.h = " . pick(literal('plain'), 3);
	}
	if ($what == 14)
	{
		($col, $kind) = column($alias, $table, 'text');
		return $kind eq 'text' ? "$col COLLATE \"C\" $op " . literal('text') : "$col $op " . literal($kind);
	}
	if ($what == 15)
	{
		my ($other) = column(@{ pick(@tables) }, 'int');
		($col) = column($alias, $table, 'int');
		return "$col $op $other AND $other $op " . literal('plain');
	}
	return "$col $op " . literal($kind);
}

# A comparison of one column with a literal.
sub simple
{
	my ($alias, $table) = @_;
	my ($col, $kind) = column($alias, $table);
	my $op = pick('=', '=', '=', '<', '>=', '<>');

	return "$col $op " . ($kind eq 'bool' || $kind eq 'mood' ? fixed($kind) : literal($kind));
}

# What a row of w is given.
sub value_of
{
	my $col = shift;

	return pick(literal('num'), '<90>.<90>', '<9>', '<300> * 1000') if $col eq 'a';
	return pick("'v<9>'", "'v<900000>'", "'v<9>    '", "lower('V<9>')", 'NULL', 'DEFAULT') if $col eq 'v';
	return pick("'c<9>'", "'c<9>  '", "'c<900>x'") if $col eq 'c';
	return pick("'2024-01-0<9>'", "DATE '2024-01-01' + <9>", literal('date')) if $col eq 'e';
	return pick('<9>', '<9>', '-<9>::bigint', '2000000', 'DEFAULT') if $col eq 's';
	return pick('<9>', '<2000>', '<9>::smallint', 'DEFAULT', 'NULL') if $col eq 'b';
	return pick("'sad'", "'ok'", "'angry'", 'DEFAULT') if $col eq 'm';
	return pick('<400>', '<400>', '<60>', "'<60>'", '<9>.5');
}

# A statement that writes.
sub writing
{
	my $what = int rand 14;
	my @cols = grep { chance(0.5) } 'a', 'v', 'c', 'e', 's', 'u', 'b', 'm';
	my $returning = chance(0.4) ? ' RETURNING ' . pick('id', 'id, g, a', '*', 'id, u + <9>') : '';
	my $set = join ', ', map { my $c = $_; my $v = value_of($c); "$c = $v" } @cols ? @cols : 'a';
	my $row = sub { return '(' . join(', ', pick('<400>', '<60>', "'<400>'"), map { value_of($_) } @cols) . ')' };

	if ($what < 5)
	{
		my $rows = join ', ', map { $row->() } 1 .. ($what < 3 ? 1 : 1 + int rand 4);
		my $conflict = $what % 2 ? '' : pick('', ' ON CONFLICT DO NOTHING', ' ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a + <9>, u = w.u',
			' ON CONFLICT (u) DO UPDATE SET v = EXCLUDED.v WHERE w.id > <60>');
		return 'INSERT INTO w (' . join(', ', 'id', @cols) . ") VALUES $rows$conflict$returning";
	}
	return "UPDATE w SET $set WHERE " . condition(1, [ 'w', 'w' ]) . $returning if $what < 7;
	return 'UPDATE w SET ' . pick('a = a + <9>.<9>', 'a = <9> - a', 'b = b + <9>', 'u = u + 1000 * <9>', 'b = b / <3>', "v = v || '<9>'", 'a = round(a, <3>)')
		. " WHERE id = <60>$returning" if $what < 9;
	return 'DELETE FROM w WHERE ' . pick('id = <60>', simple('w', 'w'), 'id = <60> AND ' . condition(1, [ 'w', 'w' ])) . $returning if $what == 9;
	return "UPDATE w SET a = y.w + <9> FROM t2 AS y WHERE y.id = w.id AND y.id = <60> AND " . simple('y', 't2') . ($returning ? ' RETURNING w.id, y.id' : '') if $what == 10;
	return 'INSERT INTO w (id, a, v) SELECT id + <400>, <9>, ' . pick("'s<9>'", 'v', 'd') . ' FROM t1 WHERE ' . simple('t1', 't1') . ' ORDER BY id ON CONFLICT DO NOTHING' if $what == 11;
	return 'MERGE INTO w USING (VALUES (<60>, <9>), (<400>, <9>)) AS s (id, x) ON w.id = s.id WHEN MATCHED AND s.x > <9> THEN UPDATE SET a = s.x + <9> WHEN MATCHED THEN DELETE'
		. ' WHEN NOT MATCHED THEN INSERT (id, a, v) VALUES (s.id, s.x, ' . "'m<9>')" if $what == 12;
	return pick('INSERT INTO p (id, t1_id, at) VALUES (<900>, <90>, ' . literal('date') . ')', 'UPDATE vww SET a = <90> WHERE id = <60> AND ' . simple('vww', 'vww'),
		'INSERT INTO vww (id, a) VALUES (<400>, <9>)', 'DELETE FROM vww WHERE ' . simple('vww', 'vww') . ' AND id = <60>', 'UPDATE p SET at = at + <60> WHERE id = <90>');
}

# A statement that parameters are bound to.
sub bound
{
	my $table = pick('t1', 't2', 'w');
	my ($int) = column('x', $table, 'int');
	my ($text) = column('x', $table, 'text');
	my $more = chance(0.5) ? ' AND ' . predicate([ 'x', $table ]) : '';
	my $query = pick(
		"SELECT count(*)::text FROM $table AS x WHERE $int = \$1 AND ($text > \$2 OR x.id = <9>)$more",
		"SELECT x.*::text FROM $table AS x WHERE $int = \$1 AND $text = \$2$more",
		"SELECT x.*::text FROM $table AS x WHERE ($int > \$1 OR \$2 IS NULL)$more",
		"SELECT \$2 || x.id FROM $table AS x WHERE $int IN (\$1, <9>)$more",
		"SELECT \$2 FROM $table AS x WHERE $int = \$1$more",
		"SELECT x.id::text FROM $table AS x WHERE $int < <150> AND \$2 <> ''$more ORDER BY x.id, x.*::text LIMIT \$1",
		"SELECT (1 / \$1)::text FROM $table AS x WHERE $text = \$2$more",
		"UPDATE w SET v = \$2, a = \$1 WHERE id = <60> RETURNING w.*::text",
		"INSERT INTO w (id, v) VALUES (\$1, \$2) ON CONFLICT DO NOTHING RETURNING w.*::text");
	my @values = (pick('<9>', '<90>', '0', 'NULL'), pick("'d<40>'", "'v<9>'", "''", 'NULL', "'longer<9>'"));

	return "SELECT * FROM by_using(\$q\$$query\$q\$, $values[0], $values[1])" if chance(0.5);
	return "PREPARE q(integer, text) AS $query; EXECUTE q($values[0], $values[1]); EXECUTE q($values[0], $values[1]); DEALLOCATE q";
}

# A statement with queries in it.
sub nested
{
	my $table = pick('t1', 't2', 'w', 'p');
	my $where = simple('x', $table);
	my $outer = predicate([ 's', $table ]);

	return pick(
		"SELECT s.id FROM (SELECT x.* FROM $table AS x WHERE $where) AS s WHERE $outer",
		"SELECT s.id, s.k FROM (SELECT x.*, x.id % 5 + <3> AS k FROM $table AS x WHERE $where) AS s WHERE s.k = <6> AND $outer",
		"SELECT s.k, count(*), sum(s.id) FROM (SELECT x.*, x.id % 3 AS k FROM $table AS x WHERE $where) AS s WHERE $outer GROUP BY s.k",
		"WITH c AS (SELECT x.id FROM $table AS x WHERE $where) SELECT s.id FROM $table AS s JOIN c ON c.id = s.id WHERE $outer",
		"WITH c AS MATERIALIZED (SELECT x.id FROM $table AS x WHERE $where) SELECT count(*) FROM c, c AS d WHERE c.id = d.id + <3>",
		"WITH RECURSIVE r (i) AS (SELECT <5> UNION ALL SELECT i + 1 FROM r WHERE i < <20>) SELECT r.i, x.id FROM r LEFT JOIN $table AS x ON x.id = r.i AND $where",
		"WITH gone AS (DELETE FROM w WHERE id = <60> RETURNING id) SELECT count(*) FROM gone, $table AS x WHERE $where",
		"SELECT DISTINCT ON (x.id % 4) x.id % 4, x.id FROM $table AS x WHERE $where ORDER BY x.id % 4, x.id, x.*::text",
		"SELECT x.id, row_number() OVER (PARTITION BY x.id % 3 ORDER BY x.id, x.*::text), lag(x.id, <3>) OVER (ORDER BY x.id, x.*::text) FROM $table AS x WHERE $where",
		"SELECT * FROM (SELECT x.id, rank() OVER (ORDER BY x.id) AS r FROM $table AS x WHERE $where) AS q WHERE q.r <= <9>",
		"SELECT x.id FROM $table AS x WHERE $where " . pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT') . ' SELECT y.id FROM t2 AS y WHERE ' . simple('y', 't2'),
		"SELECT x.id, (SELECT max(y.id) FROM t2 AS y WHERE y.t1_id = x.id AND " . simple('y', 't2') . ") FROM $table AS x WHERE $where",
		"SELECT x.id, g FROM $table AS x, generate_series(1, <4>) AS g WHERE $where AND g = <4>",
		"SELECT x.id, v.n FROM $table AS x JOIN (VALUES (<9>, 'a'), (<9>, 'b')) AS v (i, n) ON v.i = x.id WHERE $where",
		"SELECT x.id, l.id FROM $table AS x, LATERAL (SELECT y.id FROM t2 AS y WHERE y.t1_id = x.id AND " . simple('y', 't2') . " ORDER BY y.id LIMIT <3>) AS l WHERE $where",
		"SELECT x.id % 5 = <5> AS g, count(*) FROM $table AS x WHERE (x.id % 5 = <5>) AND $where GROUP BY x.id % 5 = <5> HAVING count(*) > <3>",
		"SELECT s.id, s.n FROM vw2 AS s WHERE " . simple('s', 'vw2') . ' AND s.id = <90>',
		"SELECT x.id FROM $table AS x WHERE $where FOR UPDATE",
		"SELECT count(*) FROM $table AS x WHERE $where HAVING count(*) > <9>",
		"SELECT ROW(x.id, <9>) = ROW(<9>, x.id), (x.id, x.id) > (<9>, <9>) FROM $table AS x WHERE $where",
		"TABLE log");
}

sub condition
{
	my ($depth, @tables) = @_;

	return predicate(@tables) if $depth <= 0 || chance(0.4);
	return '(' . condition($depth - 1, @tables) . pick(' AND ', ' AND ', ' OR ') . condition($depth - 1, @tables) . ')';
}

sub shape
{
	my $kind = rand;

	return writing() if $kind < 0.2;
	return nested() if $kind < 0.4;
	return bound() if $kind < 0.5;

	my @tables = ([ 'x', pick('t1', 't1', 't1', 't2', 't2', 'p', 'sec', 'vw') ]);
	my $from = "$tables[0][1] AS x";
	my ($targets, $tail) = ('', '');

	for my $alias ('y', 'z')
	{
		last if chance(0.55);
		my $table = pick('t1', 't2', 't2', 'p', 'sec');
		my ($left) = column(@{ $tables[-1] }, 'int');
		my $right = "$alias." . (exists $columns{$table}{t1_id} && chance(0.6) ? 't1_id' : 'id');
		my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
		my $on = "$left = $right";

		push @tables, [ $alias, $table ];
		$on .= ' AND ' . predicate(@tables) if $join ne 'FULL JOIN' && chance(0.4);
		$from .= " $join $table AS $alias ON $on";
	}
	my $where = chance(0.95) ? ' WHERE ' . condition(2, @tables) : '';
	my $what = int rand 12;

	if ($what == 0)
	{
		$targets = 'count(*), min(x.id), max(x.id), sum(x.id) FILTER (WHERE ' . predicate(@tables) . ')';
	}
	elsif ($what == 1)
	{
		return 'SELECT x.id % 5 + 1, (x.id % 5 + 1) * 2, count(*) FROM ' . $from . $where
			. ' GROUP BY ' . pick('ROLLUP', 'CUBE', '') . ' (x.id % 5 + 1) HAVING count(*) > ' . literal('plain');
	}
	elsif ($what == 2)
	{
		return 'SELECT DISTINCT x.id % 5, ' . literal('int') . " FROM $from$where";
	}
	elsif ($what == 3)
	{
		return "SELECT x.id FROM $from$where UNION ALL SELECT id FROM t1 WHERE id = " . literal('plain');
	}
	elsif ($what == 4)
	{
		return "SELECT x.id FROM $from WHERE x.id = (SELECT max(id) FROM t1 WHERE id < " . literal('plain') . ') OR ' . predicate(@tables);
	}
	else
	{
		$targets = join(', ', map { "$_->[0].*" } @tables);
		$targets .= ', x.id + ' . fixed('plain') . " AS more, 'label' AS label" if chance(0.3);
		$tail = ' ORDER BY ' . join(', ', map { "$_->[0].id" } @tables) . ', ' . join(', ', map { "$_->[0].*::text" } @tables)
			. ' LIMIT ' . fixed('plain') if chance(0.2);
	}
	return "SELECT $targets FROM $from$where$tail";
}

sub instance
{
	my $text = shift;

	$text =~ s/<([a-z]+)>/pick(map { @$_ } @{ $forms{$1} })/ge;
	$text =~ s/<(\d+)>/int rand $1/ge;
	return $text;
}

# Something that plans depend on; undone at random.
sub disturbance
{
	return pick(
		'DROP INDEX IF EXISTS t1_e', 'CREATE INDEX IF NOT EXISTS t1_e ON t1 (e, a)', 'DROP INDEX IF EXISTS t2_t1', 'CREATE INDEX IF NOT EXISTS t2_t1 ON t2 (t1_id)',
		'ANALYZE', 'VACUUM FULL t2', 'REINDEX TABLE t1',
		'CREATE INDEX extra ON t1 (a, c)', 'DROP INDEX IF EXISTS extra',
		'CREATE INDEX extra2 ON t2 (w) WHERE k = 1', 'DROP INDEX IF EXISTS extra2',
		'ALTER TABLE t2 ADD COLUMN n integer DEFAULT 5', 'ALTER TABLE t2 DROP COLUMN n',
		'ALTER TABLE t1 ALTER COLUMN v TYPE text', 'ALTER TABLE t1 ALTER COLUMN v TYPE varchar(10)',
		'ALTER TABLE p DETACH PARTITION p2', "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
		'ALTER TABLE t2_child NO INHERIT t2', 'ALTER TABLE t2_child INHERIT t2',
		'UPDATE t1 SET a = a + 1 WHERE id % 10 = 0', 'DELETE FROM t2 WHERE id % 50 = 3', 'INSERT INTO t2 SELECT max(id) + 1, 3, 4 FROM t1',
		'CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS \'SELECT $1 * 3\'',
		'CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS \'SELECT $1 * 2\'',
		'CREATE POLICY even ON sec USING (id % 2 = 0)', 'DROP POLICY IF EXISTS even ON sec',
		'ALTER TABLE sec ENABLE ROW LEVEL SECURITY', 'ALTER TABLE sec FORCE ROW LEVEL SECURITY', 'ALTER TABLE sec DISABLE ROW LEVEL SECURITY',
		'CREATE TEMP TABLE sec (id integer, a integer)', 'DROP TABLE IF EXISTS pg_temp.sec',
		'SET enable_seqscan = off', 'SET enable_indexscan = off', 'SET enable_hashjoin = off', 'SET enable_nestloop = off',
		'SET enable_mergejoin = off', 'SET enable_bitmapscan = off', 'SET random_page_cost = 1', 'SET work_mem = 64', 'RESET ALL',
		'SET constraint_exclusion = on', 'SET from_collapse_limit = 1', 'SET TimeZone = "Asia/Tokyo"', 'SET DateStyle = "SQL, DMY"',
		'SET ROLE reader', 'RESET ROLE', 'SAVEPOINT s', 'ROLLBACK TO s', 'BEGIN', 'COMMIT', 'ROLLBACK');
}

# --- the script, the same for all modes ---------------------------------------

my $script = "\\set VERBOSITY sqlstate\n";
my $count = 0;
my @texts;

sub emit
{
	my $text = shift;

	push @texts, $text;
	$script .= sprintf("\\echo === %d\n%s;\n", $count++, $text);
}

my @known;
for my $n (1 .. $shapes)
{
	# old shapes come back, after whatever has changed since
	my $shape = @known && chance(0.3) ? pick(@known) : shape();

	push @known, $shape if @known < 100;
	emit(instance($shape)) for 1 .. 1 + int rand $mutations;

	# the very statements that have plans now, around a change
	if (chance(0.2))
	{
		my @again = map { instance(pick(@known)) } 1 .. 3;

		emit($_) for @again, @again;
		emit(disturbance());
		emit($_) for @again;
	}

	# no change of a session's state goes on for long: most would hide the rest
	if ($n % 4 == 0)
	{
		emit($_) for 'COMMIT', 'RESET ROLE', $n % 12 == 0 ? 'RESET ALL' : 'RESET enable_seqscan', 'SET dbutil.plan_cache = MODE';
	}
}

# --- running it ---------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nautovacuum = off\njit = off\nseq_page_cost = 20\nclient_min_messages = error\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE reader');

# with it every plan is stale when its statement comes back: none is served
my $discard = $node->safe_psql('postgres', "SELECT setting::integer > 0 FROM pg_settings WHERE name = 'debug_discard_caches'") eq 't';

sub run_mode
{
	my $mode = shift;
	my $database = "d_$mode";
	my $text = $script;
	my $stdout;
	my @results;

	$text =~ s/plan_cache = MODE/plan_cache = $mode/g;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, ($discard ? 'SET debug_discard_caches = 0; ' : '') . "CREATE EXTENSION dbutil; $schema GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT INSERT, UPDATE (a) ON w TO reader;");

	my $input = "$PostgreSQL::Test::Utils::tmp_check/$mode.sql";
	my $output = "$PostgreSQL::Test::Utils::tmp_check/$mode.out";

	$text = "SET dbutil.plan_cache = $mode;\n" . $text
		. "\\echo === end\nROLLBACK; RESET ROLE;\nSELECT kind || '.' || event || '=' || total FROM dbutil.plan_cache_stats WHERE total > 0;\n";
	append_to_file($input, $text);

	# errors go to the same file as rows, in order
	system('psql -X -q -A -t -f ' . $input . " -d '" . $node->connstr($database) . "' >" . $output . ' 2>&1') == 0
		or diag("psql: $?");
	$stdout = slurp_file($output);

	my (undef, @parts) = split /^=== (?:\d+|end)\n/m, $stdout, -1;
	my $stats = pop @parts;
	@results = map { join "\n", sort grep { !/^$/ } map { s/^psql:[^ ]*:\d+: //r } split /\n/, $_ } @parts;
	return (\@results, $stats // '');
}

my ($expected) = run_mode('off');
is(scalar @$expected, $count, "every statement was run with plan_cache = off (seed $seed)");
my $errors = grep { /^ERROR/m } @$expected;
my $rows = grep { length && !/^ERROR/m } @$expected;
cmp_ok($rows, '>', $count * 0.2, "many statements return rows ($rows of $count, $errors raise an error)");

for my $mode ('force', 'auto', 'exact')
{
	my ($got, $stats) = run_mode($mode);
	my @different = grep { ($got->[$_] // 'missing') ne ($expected->[$_] // 'missing') } 0 .. $count - 1;
	my %stat = $stats =~ /^(\S+)=(\d+)$/mg;

	is(scalar @different, 0, "$mode: no result differs in $count statements");
	for my $n (@different[ 0 .. ($#different > 4 ? 4 : $#different) ])
	{
		diag("statement $n: $texts[$n]\nexpected: " . substr($expected->[$n], 0, 1000) . "\n$mode: " . substr($got->[$n] // 'missing', 0, 1000));
	}
	my $hits = ($stat{'hit.generic'} // 0) + ($stat{'hit.exact'} // 0);
	if ($discard)
	{
		is($hits, 0, "$mode: no plan outlives what it was made from");
		cmp_ok($stat{'refusal.moved'} // 0, '>', 0, "$mode: plans were made to be stored ($stat{'refusal.moved'})");
	}
	else
	{
		cmp_ok($hits, '>', $mode eq 'force' ? $count / 10 : 0, "$mode: it was the cache that answered ($hits hits)");
	}
	note($stats);
}

$node->stop;
done_testing();
