# Tables for test/t/031_bulk_differential.pl: DDL of a schema t with a target of
# some kind, what it depends on and what depends on it, and rows in it.
package BulkTables;

use strict;
use warnings;

# Each kind of column: its type; the type of values that are assigned to it; the
# type without length; good values; values of the assigned type that do not fit;
# what as JSON cannot be read. A value is JSON, or [ JSON, text ].
my %kinds = (
	int => { type => 'integer', wide => 'bigint', good => [ 1 .. 12 ], wrong => [3000000000], bad => [ '"x"', '1.5' ] },
	small => { type => 'smallint', wide => 'integer', good => [ 1 .. 12 ], wrong => [70000], bad => ['true'] },
	big => { type => 'bigint', wide => 'integer', good => [ 1 .. 12 ], wrong => [], bad => ['"9x"'] },
	num => { type => 'numeric(6,2)', wide => 'numeric', cast => 'numeric', good => [ 1 .. 8, '2.50', '2.5', '3.004', '-7' ], wrong => ['123456.7'], bad => ['"1,5"'] },
	free => { type => 'numeric', wide => 'numeric', good => [ 1 .. 6, '1.00', '"NaN"', '1.0', '12345678901234567890.5' ], wrong => [], bad => ['{}'] },
	float => { type => 'double precision', wide => 'real', good => [ 1 .. 6, '"-0"', '0', '"NaN"', '"Infinity"', '1.5' ], wrong => [], bad => ['"e"'] },
	text => { type => 'text', wide => 'varchar', good => [ map { "\"$_\"" } 'a' .. 'f', 'A', 'it\'s', 'b ', '', 'q\\\\\\"r', 'é' ], wrong => [], bad => [] },
	cstr => { type => 'text', collate => '"C"', wide => 'text', good => [ map { "\"$_\"" } 'a' .. 'h', 'A', 'B' ], wrong => [], bad => [] },
	ci => { type => 'text', collate => 't.ci', wide => 'text', good => [ map { "\"$_\"" } 'a' .. 'h', 'A', 'B', 'C' ], wrong => [], bad => [] },
	chars => { type => 'varchar(5)', wide => 'text', cast => 'varchar', good => [ map { "\"v$_\"" } 1 .. 9 ], wrong => [ '"too long"', '"spaces     "' ], bad => [] },
	padded => { type => 'char(4)', wide => 'text', cast => 'bpchar', good => [ map { "\"p$_\"" } 1 .. 9 ], wrong => ['"too long"'], bad => [] },
	bool => { type => 'boolean', wide => 'boolean', good => [ 'true', 'false' ], wrong => [], bad => ['"maybe"'] },
	date => { type => 'date', wide => 'timestamp', good => [ map { "\"2024-01-0$_\"" } 1 .. 9 ], wrong => ['"infinity"'], bad => [ '"2024-02-30"', '7' ] },
	stamp => { type => 'timestamptz(0)', wide => 'timestamptz', cast => 'timestamptz', good => [ map { "\"2024-01-0$_ 12:00:00.6+00\"" } 1 .. 9 ], wrong => [], bad => ['"noon"'] },
	uuid => { type => 'uuid', wide => 'uuid', good => [ map { "\"00000000-0000-0000-0000-00000000000$_\"" } 1 .. 9 ], wrong => [], bad => ['"u"'] },
	bytes => { type => 'bytea', wide => 'bytea', good => [ [ '"\\\\x00ff"', '\\x00ff' ], [ '"\\\\x01"', '\\x01' ] ], wrong => [], bad => ['"\\\\xz"'] },
	jsonb => { type => 'jsonb', wide => 'jsonb', good => [ '{"a": 1}', '[1, null]', '7' ], wrong => [], bad => [] },
	json => { type => 'json', wide => 'json', good => [ '{"a": 1}', '[1, null]', '7' ], wrong => [], bad => [], unordered => 1 },
	ints => { type => 'integer[]', wide => 'bigint[]', good => [ [ '[1, 2]', '{1,2}' ], [ '[3, null]', '{3,NULL}' ], [ '[]', '{}' ], [ '[[1],[2]]', '{{1},{2}}' ] ], wrong => [], bad => [] },
	texts => { type => 'text[]', wide => 'text[]', good => [ [ '["a", "b,c"]', '{a,"b,c"}' ], [ '["NULL", null]', '{"NULL",NULL}' ] ], wrong => [], bad => [] },
	comp => { type => 't.comp', wide => 't.comp', good => [ [ '{"x": 1, "y": "q"}', '(1,q)' ], [ '{"x": 2}', '(2,)' ], [ '{"y": "r,s", "x": 3}', '(3,"r,s")' ] ], wrong => [], bad => [] },
	comps => { type => 't.comp[]', wide => 't.comp[]', good => [ [ '[{"x": 1, "y": "q"}]', '{"(1,q)"}' ], [ '[null]', '{NULL}' ] ], wrong => [], bad => [] },
	positive => { type => 't.positive', wide => 'integer', good => [ 1 .. 9 ], wrong => [ -5, 0 ], bad => ['"p"'] },
	filled => { type => 't.filled', wide => 'text', good => [ map { "\"f$_\"" } 1 .. 5 ], wrong => ['null'], bad => [], not_null => 1 },
	mood => { type => 't.mood', wide => 't.mood', good => [ '"sad"', '"ok"' ], wrong => [], bad => ['"angry"'] },
	range => { type => 'int4range', wide => 'int4range', good => [ map { my $from = $_ * 10; "\"[$from,@{[$from + 12]})\"" } 1 .. 8 ], wrong => [], bad => ['"[5,1)"'] },
	point => { type => 'point', wide => 'point', good => [ '"(1,2)"', '"(3,4)"' ], wrong => [], bad => ['"(1)"'], unordered => 1 },
	inet => { type => 'inet', wide => 'inet', good => [ '"10.0.0.1"', '"10.0.0.2/8"' ], wrong => [], bad => ['"ten"'] },
	bits => { type => 'bit(3)', wide => 'bit varying', good => [ '"101"', '"010"' ], wrong => [], bad => [] },
	large => { type => 'text', wide => 'text', good => [ map { '"' . ($_ x 3000) . '"' } 'toast ', 'more ' ], wrong => [], bad => [] },
);
for my $name (keys %kinds)
{
	my $kind = $kinds{$name};

	$kind->{name} = $name;
	$kind->{cast} //= $kind->{type};
	$kind->{collation} = $kind->{collate};
}

my @key_kinds = ('int', 'int', 'int', 'big', 'small', 'text', 'cstr', 'date', 'uuid', 'num', 'positive', 'chars', 'padded', 'stamp');
my @names = ('a', 'b', 'c', 'd', 'e', 'Or der', 's', 'x', 't', 'excluded', 'c1', 'pos', 'sel"ect', "it's", 'v', 'o');

sub new
{
	my ($class, %self) = @_;

	srand($self{seed});
	$self{random} = sub { rand };
	return bless \%self, $class;
}

sub pick { my $self = shift; return $_[ int rand @_ ]; }
sub chance { my ($self, $share) = @_; return rand() < $share; }

sub shuffle
{
	my ($self, @list) = @_;

	for (my $i = @list; --$i > 0;)
	{
		my $j = int rand($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

sub identifier { my $name = shift; return '"' . $name =~ s/"/""/gr . '"'; }

sub column
{
	my ($self, $name, $kind) = @_;

	return { name => $name, quoted => identifier($name), kind => $kinds{$kind}, not_null => $kinds{$kind}{not_null} };
}

# Columns in the order of the table, the key among them.
sub columns
{
	my ($self, $key_columns) = @_;
	my @free = $self->shuffle(@names);
	my @others = grep { $_ ne 'ci' || $self->{icu} } sort keys %kinds;
	my @key_kinds = ($self->{icu} ? 'ci' : (), @key_kinds);
	my @columns = map { $self->column(shift @free, $self->pick(@key_kinds)) } 1 .. $key_columns;
	my $n = $self->pick(1 .. 5);

	$_->{key} = 1 for @columns;
	push @columns, $self->column(shift @free, $self->pick('int', 'int', 'text', @others)) for 1 .. $n;
	return @columns;
}

sub definition
{
	my $column = shift;

	return join ' ', $column->{quoted}, $column->{kind}{type}, $column->{kind}{collate} ? "COLLATE $column->{kind}{collate}" : (), @{ $column->{with} || [] };
}

# Defaults, identity, generated, NOT NULL.
sub decorate
{
	my ($self, $table) = @_;

	for my $column (@{ $table->{columns} })
	{
		my $kind = $column->{kind}{name};
		my $with = $column->{with} = [];

		if ($column->{key})
		{
			$column->{not_null} = 1;
			push @$with, 'NOT NULL';
			if ($kind =~ /^(int|big|small)$/ && $table->{form} ne 'partitioned' && $table->{form} ne 'foreign' && $self->chance(0.25))
			{
				push @$with, 'GENERATED ' . $self->pick('ALWAYS', 'BY DEFAULT', 'BY DEFAULT') . ' AS IDENTITY';
				$column->{generated} = 1 if $with->[-1] =~ /ALWAYS/;
				$table->{key_default} = 1;
			}
			elsif ($kind =~ /^(int|big|small)$/ && $self->chance(0.2))
			{
				push @$with, 'DEFAULT ' . $self->pick("nextval('t.counter')", '7');
				$table->{key_default} = 1;
			}
			next;
		}
		if (!$column->{not_null} && $self->chance(0.2))
		{
			$column->{not_null} = 1;
			push @$with, 'NOT NULL';
		}
		if ($kind eq 'int' && $self->chance(0.5))
		{
			push @$with, 'DEFAULT ' . $self->pick('5', "nextval('t.counter')", 't.how_many()', '(2 + 3)');
			$table->{counts_rows} = 1 if $with->[-1] =~ /how_many/;
		}
		elsif ($kind =~ /^(text|cstr|large)$/ && $self->chance(0.4))
		{
			push @$with, 'DEFAULT ' . $self->pick("'def'", 'current_user', "upper('x') || 'y'");
		}
		elsif ($kind eq 'num' && $self->chance(0.3))
		{
			push @$with, 'DEFAULT 1.255';
		}
		elsif ($kind eq 'positive' && $self->chance(0.3))
		{
			push @$with, 'DEFAULT -1';
		}
	}
	# generated from another column
	my ($from) = grep { $_->{kind}{name} =~ /^(int|small|num|text)$/ && !$_->{generated} } @{ $table->{columns} };
	if ($from && $table->{form} ne 'foreign' && $self->chance(0.25))
	{
		my $text = $from->{kind}{name} eq 'text';
		my $column = $self->column('generated', $text ? 'text' : 'free');

		$column->{with} = [ 'GENERATED ALWAYS AS (' . ($text ? "upper($from->{quoted})" : "$from->{quoted} * 2") . ') STORED' ];
		$column->{generated} = 1;
		$table->{generated_from} = $from;
		push @{ $table->{columns} }, $column;
	}
	return;
}

sub list { return join ', ', map { $_->{quoted} } @_; }

# The target below everything else, as an ordinary table.
sub plain_table
{
	my ($self, $table) = @_;
	my @columns = @{ $table->{columns} };
	my @keys = grep { $_->{key} } @columns;
	my @late = grep { $_->{kind}{name} =~ /^(int|text|num)$/ && !$_->{key} && !$_->{generated} && $self->chance(0.2) && "@{$_->{with}}" !~ /NOT NULL|how_many|nextval/ &&
		$_ != ($table->{generated_from} // 0) } @columns;
	my %late = map { $_->{name} => 1 } @late;
	my @early = grep { !$late{ $_->{name} } } @columns;
	my $dropped = $self->chance(0.3);
	my $key = $self->pick('PRIMARY KEY', 'PRIMARY KEY', 'PRIMARY KEY', 'PRIMARY KEY', 'PRIMARY KEY', 'UNIQUE', 'PRIMARY KEY DEFERRABLE', 'PRIMARY KEY DEFERRABLE INITIALLY DEFERRED', '');

	$table->{columns} = [ @early, @late ];
	$table->{primary} = $key =~ /PRIMARY/;
	$table->{unique} = $key ne '';
	$table->{arbiter} = $key ne '' && $key !~ /DEFERRABLE/;
	$table->{ddl} .= "CREATE TABLE $table->{base} (" . join(', ', ($dropped ? 'gone1 integer DEFAULT 3' : ()), (map { definition($_) } @early), ($dropped ? 'gone2 text' : ()),
		($key ? $key =~ s/^(PRIMARY KEY|UNIQUE)/"$1 (" . list(@keys) . ')'/er : ())) . ");\n";
	$table->{ddl} .= "ALTER TABLE $table->{base} DROP COLUMN gone1, DROP COLUMN gone2;\n" if $dropped;
	$self->seed_rows($table, \@early, 3) if @late;
	$table->{ddl} .= "ALTER TABLE $table->{base} ADD COLUMN " . definition($_) . ";\n" for @late;
	return;
}

# Partitions of the first key column, by range, list or hash.
sub partitioned_table
{
	my ($self, $table) = @_;
	my @columns = @{ $table->{columns} };
	my @keys = grep { $_->{key} } @columns;
	my $by = $keys[0];
	my $kind = $by->{kind};
	my @values = map { s/^"(.*)"$/'$1'/r } grep { !/[\\']/ } @{ $kind->{good} };
	my $method = $kind->{name} =~ /^(int|big|small|date|num|positive|stamp)$/ ? $self->pick('RANGE', 'LIST', 'HASH') : $self->pick('LIST', 'HASH');
	my @parts;

	$method = 'HASH' if $method eq 'LIST' && $kind->{name} =~ /^(num|padded|stamp|ci)$/;
	$table->{primary} = $table->{unique} = $table->{arbiter} = 1;
	$table->{ddl} .= "CREATE TABLE $table->{base} (" . join(', ', (map { definition($_) } @columns), 'PRIMARY KEY (' . list(@keys) . ')') . ") PARTITION BY $method ($by->{quoted});\n";
	@parts = ("FOR VALUES FROM (MINVALUE) TO ($values[3])", "FOR VALUES FROM ($values[3]) TO ($values[6])") if $method eq 'RANGE';
	@parts = ('FOR VALUES IN (' . join(', ', @values[ 0 .. 2 ]) . ')', 'FOR VALUES IN (' . join(', ', @values[ 3 .. 5 ]) . ')') if $method eq 'LIST';
	@parts = map { "FOR VALUES WITH (MODULUS 3, REMAINDER $_)" } 0 .. 2 if $method eq 'HASH';
	push @parts, 'DEFAULT' if $method ne 'HASH' && $self->chance(0.6);
	for my $n (0 .. $#parts)
	{
		my @order = $self->chance(0.6) ? $self->shuffle(@columns) : @columns;
		my $nested = $n == 1 && $self->chance(0.5);

		$table->{ddl} .= "CREATE TABLE t.part$n (" . join(', ', ($n == 0 ? 'gone integer' : ()), map { definition($_) } @order) . ')' .
			($nested ? " PARTITION BY HASH ($by->{quoted})" : '') . ";\n";
		$table->{ddl} .= "ALTER TABLE t.part$n DROP COLUMN gone;\n" if $n == 0;
		$table->{ddl} .= "CREATE TABLE t.part$n$_ PARTITION OF t.part$n FOR VALUES WITH (MODULUS 2, REMAINDER $_);\n" for $nested ? (0, 1) : ();
		$table->{ddl} .= "ALTER TABLE $table->{base} ATTACH PARTITION t.part$n $parts[$n];\n";
		push @{ $table->{content_of} }, $nested ? ("t.part${n}0", "t.part${n}1") : "t.part$n";
	}
	$table->{miscounts} = 1 if $self->chance(0.3) && $self->part_trigger($table);
	return;
}

sub part_trigger
{
	my ($self, $table) = @_;

	$table->{ddl} .= 'CREATE TRIGGER part ' . $self->pick('AFTER', 'BEFORE') . " INSERT OR UPDATE OR DELETE ON t.part0 FOR EACH ROW EXECUTE FUNCTION t.note();\n";
	return 1;
}

# Rows, one INSERT each: what does not fit stays out.
sub seed_rows
{
	my ($self, $table, $columns, $n) = @_;
	my @columns = grep { !$_->{generated} } @$columns;

	for (1 .. $n)
	{
		my $budget = 0;

		$table->{ddl} .= "CALL t.try(\$q\$INSERT INTO $table->{base} (" . list(@columns) . ') VALUES (' .
			join(', ', map { BulkCases::literal($self->value($_, 'own', \$budget), $_->{kind}{cast}) } @columns) . ")\$q\$);\n" if @columns;
	}
	return;
}

# A constraint that the rows that are there may refuse.
sub try_ddl
{
	my ($table, $statement) = @_;

	$table->{ddl} .= "CALL t.try(\$q\$$statement\$q\$);\n";
	return;
}

sub constraints
{
	my ($self, $table) = @_;
	my $base = $table->{base};
	my @columns = @{ $table->{columns} };
	my @plain = grep { !$_->{key} && !$_->{generated} } @columns;
	my ($int) = grep { $_->{kind}{name} eq 'int' } @plain;
	my ($text) = grep { $_->{kind}{name} =~ /^(text|cstr|chars)$/ } @plain;
	my ($range) = grep { $_->{kind}{name} eq 'range' } @plain;
	my @keys = grep { $_->{key} } @columns;
	my $parts = $table->{form} eq 'partitioned';

	if ($int && $self->chance(0.4))
	{
		try_ddl($table, "ALTER TABLE $base ADD CONSTRAINT ch CHECK (" . $self->pick("$int->{quoted} < 100", "t.small_enough($int->{quoted})") . ')');
		$int->{refused} = [ 500, 100 ];
	}
	if ($int && $self->chance(0.2))
	{
		try_ddl($table, "ALTER TABLE $base ADD CONSTRAINT few CHECK (t.how_many() < 9)");
	}
	if ($int && $self->chance(0.3))
	{
		try_ddl($table, "ALTER TABLE $base ADD CONSTRAINT fk FOREIGN KEY ($int->{quoted}) REFERENCES t.ref (id)" .
			$self->pick('', '', ' DEFERRABLE INITIALLY DEFERRED', ' ON UPDATE CASCADE'));
		$int->{only} = [ 1 .. 6 ];
	}
	elsif ($int && @keys == 1 && $keys[0]{kind}{name} eq 'int' && $table->{arbiter} && $self->chance(0.4))
	{
		try_ddl($table, "ALTER TABLE $base ADD CONSTRAINT self FOREIGN KEY ($int->{quoted}) REFERENCES $base ($keys[0]{quoted})" .
			$self->pick('', ' ON DELETE CASCADE', ' ON DELETE SET NULL', ' DEFERRABLE INITIALLY DEFERRED'));
	}
	elsif ($int && !$parts && $self->chance(0.3))
	{
		try_ddl($table, $self->pick("CREATE UNIQUE INDEX more ON $base ($int->{quoted}) WHERE $int->{quoted} > 4", "CREATE UNIQUE INDEX more ON $base ((abs($int->{quoted} - 6)))",
			"ALTER TABLE $base ADD CONSTRAINT more UNIQUE NULLS NOT DISTINCT ($int->{quoted})", "ALTER TABLE $base ADD CONSTRAINT more UNIQUE ($int->{quoted}) DEFERRABLE INITIALLY DEFERRED",
			"ALTER TABLE $base ADD CONSTRAINT more UNIQUE ($int->{quoted})"));
	}
	if ($text && !$parts && $self->chance(0.25))
	{
		try_ddl($table, $self->pick("CREATE UNIQUE INDEX low ON $base (lower($text->{quoted}))", "CREATE INDEX low ON $base ($text->{quoted}) INCLUDE ($columns[0]{quoted})"));
	}
	if ($range && !$parts && $self->chance(0.7))
	{
		try_ddl($table, "ALTER TABLE $base ADD CONSTRAINT apart EXCLUDE USING gist ($range->{quoted} WITH &&)" . $self->pick('', ' DEFERRABLE INITIALLY DEFERRED'));
	}
	if ($table->{arbiter} && $self->chance(0.2))
	{
		my @refs = map { "r$_" } 1 .. @keys;

		$table->{ddl} .= 'CREATE TABLE t.child (' . join(', ', (map { "$refs[$_] $keys[$_]{kind}{type}" . ($keys[$_]{kind}{collate} ? " COLLATE $keys[$_]{kind}{collate}" : '') } 0 .. $#keys),
			'FOREIGN KEY (' . join(', ', @refs) . ") REFERENCES $base (" . list(@keys) . ')' .
			$self->pick('', ' ON DELETE CASCADE ON UPDATE CASCADE', ' ON DELETE SET NULL', ' DEFERRABLE INITIALLY DEFERRED')) . ");\n";
		$table->{after_seed} .= "INSERT INTO t.child SELECT " . list(@keys) . " FROM $base LIMIT 2;\n";
		push @{ $table->{content_of} }, 't.child';
	}
	return;
}

sub triggers
{
	my ($self, $table, $on) = @_;
	my ($int) = grep { $_->{kind}{name} =~ /^(int|big|small)$/ && !$_->{generated} } @{ $table->{columns} };
	my ($text) = grep { $_->{kind}{name} eq 'text' && !$_->{key} && !$_->{generated} } @{ $table->{columns} };
	my $events = sub { return $self->pick('INSERT', 'UPDATE', 'DELETE', 'INSERT OR UPDATE', 'INSERT OR UPDATE OR DELETE', 'INSERT OR UPDATE OR DELETE') };
	my $parts = $table->{form} eq 'partitioned';

	if ($self->chance(0.3))
	{
		$table->{ddl} .= "CREATE TRIGGER r1 " . $self->pick('BEFORE', 'AFTER', 'AFTER') . ' ' . $events->() . " ON $on FOR EACH ROW EXECUTE FUNCTION t.note();\n";
	}
	if ($int && $self->chance(0.2))
	{
		my @edit = $text ? ($text->{name}, 'edited') : ($int->{name}, '9');

		@edit = ('', '') if $int->{key} && !$text;
		$table->{ddl} .= "CREATE TRIGGER r2 BEFORE " . $self->pick('INSERT', 'INSERT OR UPDATE', 'UPDATE') . " ON $on FOR EACH ROW EXECUTE FUNCTION t.edit(" .
			join(', ', map { BulkCases::quote($_) } $int->{name}, $self->pick('none', '3', '5'), $self->pick('none', '4'), @edit) . ");\n";
		$table->{miscounts} = 1;
	}
	if ($self->chance(0.2))
	{
		$table->{statement_triggers} = 1;
		$table->{ddl} .= "CREATE TRIGGER s1 " . $self->pick('BEFORE', 'AFTER') . ' ' . $events->() . " ON $on FOR EACH STATEMENT EXECUTE FUNCTION t.note();\n";
	}
	if ($self->chance(0.12) && $table->{form} ne 'foreign')
	{
		$table->{statement_triggers} = 1;
		$table->{ddl} .= "CREATE TRIGGER tr_i AFTER INSERT ON $on REFERENCING NEW TABLE AS nt FOR EACH STATEMENT EXECUTE FUNCTION t.transitions();\n" if $self->chance(0.7);
		$table->{ddl} .= "CREATE TRIGGER tr_u AFTER UPDATE ON $on REFERENCING OLD TABLE AS ot NEW TABLE AS nt FOR EACH STATEMENT EXECUTE FUNCTION t.transitions();\n" if $self->chance(0.7);
		$table->{ddl} .= "CREATE TRIGGER tr_d AFTER DELETE ON $on REFERENCING OLD TABLE AS ot FOR EACH STATEMENT EXECUTE FUNCTION t.transitions();\n" if $self->chance(0.7);
	}
	if ($int && !$int->{key} && $self->chance(0.1))
	{
		$table->{update_of} = 1;
		$table->{ddl} .= "CREATE TRIGGER r3 " . $self->pick('BEFORE', 'AFTER') . " UPDATE OF $int->{quoted} ON $on FOR EACH ROW WHEN (NEW.$int->{quoted} IS DISTINCT FROM OLD.$int->{quoted}) EXECUTE FUNCTION t.note();\n";
	}
	if (!$parts && $table->{form} ne 'foreign' && $self->chance(0.1))
	{
		$table->{ddl} .= "CREATE CONSTRAINT TRIGGER r4 AFTER INSERT OR UPDATE ON $on DEFERRABLE INITIALLY " . $self->pick('DEFERRED', 'IMMEDIATE') . " FOR EACH ROW EXECUTE FUNCTION t.note();\n";
	}
	return;
}

# What the target is: the table, or something in front of it.
sub front
{
	my ($self, $table) = @_;
	my $base = $table->{base};
	my @columns = @{ $table->{columns} };
	my ($int) = grep { $_->{kind}{name} eq 'int' } @columns;

	if ($table->{form} eq 'view' || $table->{form} eq 'instead')
	{
		my @shown = $self->shuffle(grep { $_->{key} || $self->chance(0.9) } @columns);
		my $where = $int && $self->chance(0.5) ? " WHERE $int->{quoted} IS NULL OR $int->{quoted} < 7 " . $self->pick('', 'WITH LOCAL CHECK OPTION', 'WITH CASCADED CHECK OPTION') : '';

		$where =~ s/WITH .*// if $table->{form} eq 'instead';
		$table->{ddl} .= 'CREATE VIEW t.front AS SELECT ' . list(@shown) . " FROM $base$where;\n";
		$table->{target} = 't.front';
		$table->{columns} = \@shown;
		$table->{primary} = 0;
		$table->{miscounts} = 1;
		if ($table->{form} eq 'instead')
		{
			my @write = grep { !$_->{generated} } @shown;
			my $at = join ' AND ', map { "$_->{quoted} = OLD.$_->{quoted}" } grep { $_->{key} } @shown;

			$table->{arbiter} = 0;
			$table->{ddl} .= "CREATE FUNCTION t.front() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
				IF TG_OP = 'INSERT' THEN INSERT INTO $base (" . list(@write) . ') VALUES (' . join(', ', map { "NEW.$_->{quoted}" } @write) . ");
				ELSIF TG_OP = 'UPDATE' THEN UPDATE $base SET " . join(', ', map { "$_->{quoted} = NEW.$_->{quoted}" } @write) . " WHERE $at;
				ELSE DELETE FROM $base WHERE $at; RETURN OLD; END IF;
				RETURN NEW; END \$\$;\nCREATE TRIGGER front INSTEAD OF INSERT OR UPDATE OR DELETE ON t.front FOR EACH ROW EXECUTE FUNCTION t.front();\n";
		}
		elsif ($self->chance(0.3) && (my ($text) = grep { $_->{kind}{name} eq 'text' && !$_->{generated} } @shown))
		{
			$table->{ddl} .= "ALTER VIEW t.front ALTER COLUMN $text->{quoted} SET DEFAULT 'of the view';\n";
		}
	}
	elsif ($table->{form} eq 'rules')
	{
		my $event = $self->pick('INSERT', 'UPDATE', 'DELETE');
		my $row = $event eq 'DELETE' ? 'OLD' : 'NEW';
		my ($key) = grep { $_->{key} } @columns;

		$table->{ddl} .= "CREATE RULE r AS ON $event TO $base" . ($int && $self->chance(0.4) ? " WHERE $row.$int->{quoted} > 4" : '') . ' DO ' .
			$self->pick("ALSO INSERT INTO t.log (what) VALUES (concat('rule ', $row.$key->{quoted}::text))", 'INSTEAD NOTHING', "INSTEAD INSERT INTO t.log (what) VALUES (concat('instead ', $row.$key->{quoted}::text))") . ";\n";
		$table->{miscounts} = 1;
		$table->{arbiter} = 0;
	}
	elsif ($table->{form} eq 'secured')
	{
		my ($text) = grep { $_->{kind}{name} =~ /^(int|small|positive)$/ } @columns;
		my $condition = $text ? "$text->{quoted} IS NULL OR $text->{quoted} < 7" : 'true';

		$table->{role} = 1;
		$table->{miscounts} = 1;
		$table->{ddl} .= "GRANT " . $self->pick('ALL', 'ALL', 'SELECT, INSERT, UPDATE, DELETE', 'INSERT, SELECT') . " ON $base TO regress_diff;\nALTER TABLE $base ENABLE ROW LEVEL SECURITY;\n";
		$table->{ddl} .= 'CREATE POLICY p1 ON ' . $base . $self->pick(" USING ($condition)", " USING (true) WITH CHECK ($condition)", " FOR SELECT USING ($condition)") . ";\n";
		$table->{ddl} .= "CREATE POLICY p2 ON $base FOR INSERT WITH CHECK (true);\n" if $self->chance(0.4);
		$table->{ddl} .= "CREATE POLICY p3 ON $base FOR UPDATE USING (true) WITH CHECK ($condition);\n" if $self->chance(0.4);
	}
	elsif ($table->{form} eq 'granted')
	{
		my @some = grep { $_->{key} || $self->chance(0.7) } @columns;

		$table->{role} = 1;
		$table->{ddl} .= 'GRANT ' . join(', ', map { "$_ (" . list(@some) . ')' } $self->chance(0.85) ? ('INSERT', 'UPDATE', 'SELECT') : ('INSERT')) . " ON $base TO regress_diff;\n";
		$table->{ddl} .= "GRANT DELETE ON $base TO regress_diff;\n" if $self->chance(0.6);
	}
	elsif ($table->{form} eq 'inherited')
	{
		$table->{ddl} .= "CREATE TABLE t.kid (extra text DEFAULT 'kid') INHERITS ($base);\n";
		my @write = grep { !$_->{generated} } @columns;
		$table->{after_seed} .= "CALL t.try(\$q\$INSERT INTO t.kid (" . list(@write) . ') SELECT ' . list(@write) . " FROM ONLY $base LIMIT 2\$q\$);\n" if @write;
		$table->{after_seed} .= "DELETE FROM ONLY $base WHERE ctid IN (SELECT min(ctid) FROM ONLY $base);\n" unless $table->{after_seed} =~ /child/;
		$table->{unique} = 0;
		push @{ $table->{content_of} }, 't.kid';
	}
	elsif ($table->{form} eq 'foreign')
	{
		my @shown = map { { %$_, with => [ grep { /NOT NULL|DEFAULT (5|'def'|\(2)/ } @{ $_->{with} } ] } } @columns;

		$table->{ddl} .= 'CREATE FOREIGN TABLE t.front (' . join(', ', map { definition($_) } @shown) . ") SERVER loopback OPTIONS (schema_name 't', table_name " .
			BulkCases::quote($table->{base_name}) . ', batch_size ' . $self->pick("'1'", "'3'") . ");\n";
		$table->{target} = 't.front';
		$table->{columns} = \@shown;
		$table->{primary} = $table->{arbiter} = 0;
		$table->{miscounts} = 1;
		$table->{content_of} = ['t.front'];
	}
	return;
}

sub table
{
	my ($self, $n) = @_;
	my @forms = (('plain') x 10, ('partitioned') x 6, 'view', 'view', 'instead', 'rules', 'inherited', ('secured') x 2, ('granted') x 2, $self->{fdw} ? 'foreign' : ());
	my %table = (form => $self->pick(@forms), base_name => $self->pick('target', 'Ta rget', 'sel"ect'), content_of => [], after_seed => '');
	my $table = \%table;
	my @columns = $self->columns($self->pick(1, 1, 1, 1, 2));

	$table->{base} = 't.' . identifier($table->{base_name});
	$table->{target} = $table->{base};
	$table->{ddl} = "CALL diff.begin();\n";
	$table->{columns} = [ $self->chance(0.5) ? $self->shuffle(@columns) : @columns ];
	$table->{key} = [ map { $_->{name} } grep { $_->{key} } @{ $table->{columns} } ];
	$self->decorate($table);
	if ($table->{form} eq 'partitioned')
	{
		$self->partitioned_table($table);
	}
	else
	{
		$self->plain_table($table);
		$table->{content_of} = [ $table->{base} ];
	}
	$table->{ddl} .= "CREATE OR REPLACE FUNCTION t.how_many() RETURNS integer LANGUAGE plpgsql AS \$\$ BEGIN RETURN (SELECT count(*) FROM $table->{base}); END \$\$;\n";
	$self->constraints($table);
	$self->seed_rows($table, $table->{columns}, 7);
	my $on = $table->{base};
	$self->front($table);
	$self->triggers($table, $table->{form} eq 'foreign' ? 't.front' : $on);
	$table->{ddl} .= $table->{after_seed};
	$table->{ddl} .= "ANALYZE $on;\n" if $self->chance(0.3);
	$table->{row_columns} = $table->{columns};
	$table->{rowtype} = $table->{target};
	$table->{wide_columns} = [ $self->shuffle(@{ $table->{columns} }) ];
	$table->{ddl} .= 'CREATE TYPE t.wide AS (' . join(', ', map { "$_->{quoted} $_->{kind}{wide}" } @{ $table->{wide_columns} }) . ");\n";
	$table->{content_of} = [ $table->{target} ] if $table->{form} eq 'foreign';

	my $all = join ', ', map { "(SELECT string_agg(whole::text, E'\\n' ORDER BY whole::text COLLATE \"C\") FROM ONLY $_ AS whole)" } @{ $table->{content_of} }, 't.ref';
	$table->{content}{$_} = "SELECT concat_ws(E'\\n--\\n', $all), (SELECT string_agg(what, E'\\n' ORDER BY " .
		($_ eq 'ordered' ? 'n' : 'what COLLATE "C"') . ') FROM t.log)' for 'ordered', 'sorted';
	return $table;
}

1;
