# Cases for test/t/031_bulk_differential.pl: tables (BulkTables.pm), and calls
# with the plain SQL that should do the same.
package BulkCases;

use strict;
use warnings;

use BulkTables;

our @ISA = ('BulkTables');

# A literal in single quotes.
sub quote
{
	my $text = shift;

	$text =~ s/'/''/g;
	return $text =~ /\\/ ? 'E\'' . $text =~ s/\\/\\\\/gr . "'" : "'$text'";
}

# An array of texts, in dollar quotes.
sub texts
{
	return 'ARRAY[' . join(', ', map { "\$x\$$_\$x\$" } @_) . ']::text[]';
}

# A value (JSON, or [ JSON, text ]) as a literal of a type.
sub literal
{
	my ($value, $type) = @_;
	my ($json, $text) = ref $value ? @$value : ($value, $value);

	return "NULL::$type" if $json eq 'null';
	$text =~ s/^"(.*)"$/$1/ && $text =~ s/\\(.)/$1/g unless ref $value;
	return quote($text) . "::$type";
}

sub json
{
	my $value = shift;

	return ref $value ? $value->[0] : $value;
}

# One value for a column. $$budget: how many more may be wrong.
sub value
{
	my ($self, $column, $form, $budget) = @_;
	my $kind = $column->{kind};
	my @good = @{ $kind->{good} };

	if ($$budget > 0 && $self->chance(0.15))
	{
		my @wrong = @{ $kind->{wrong} };

		push @wrong, @{ $kind->{bad} } if $form eq 'json';
		push @wrong, 'null' if $column->{not_null};
		@wrong = () if $form eq 'own';
		push @wrong, @{ $column->{refused} } if $column->{refused};
		if (@wrong)
		{
			$$budget--;
			return $self->pick(@wrong);
		}
	}
	return 'null' if !$column->{not_null} && $self->chance(0.12);
	return $self->pick(@{ $column->{only} }) if $column->{only} && !$self->chance(0.03);
	return $self->pick(@good);
}

# Rows: a list of { column => value }; keys rarely twice.
sub rows
{
	my ($self, $table, $columns, $form, $uniform, $keys_needed, $budget) = @_;
	my $n = $self->pick(0, 1, 1, 2, 3, 4, 5, 6, 8);
	my (@rows, %used);

	for (1 .. $n)
	{
		my %row;

		for my $try (1 .. 4)
		{
			my $count = $$budget;

			my $none = 0;
			my $is_key = sub { my $name = shift; return scalar grep { $_ eq $name } @{ $table->{key} } };

			%row = map { $_->{name} => $self->value($_, $form, $keys_needed && $is_key->($_->{name}) ? \$none : $budget) } @$columns;
			my $key = join "\0", map { my $k = $_; my ($c) = grep { $_->{name} eq $k } @$columns; $c ? json($row{$k}) : '' } @{ $table->{key} };
			last if !$used{$key}++ || $self->chance(0.02);
			$$budget = $count;
			return @rows if $try == 4;
		}
		if (!$uniform)
		{
			for my $column (@$columns)
			{
				my $key_column = grep { $_ eq $column->{name} } @{ $table->{key} };

				delete $row{ $column->{name} } if $self->chance(0.3) && !($keys_needed && ($key_column || $column == $columns->[-1]));
			}
		}
		push @rows, \%row;
	}
	return @rows;
}

# The type that values of a column have in the rows of a form.
sub form_type
{
	my ($column, $form) = @_;

	return $form eq 'wide' ? $column->{kind}{wide} : $form eq 'own' ? $column->{kind}{type} : $column->{kind}{cast};
}

# What the call is given: its argument with @ROWS@ in it, and the rows.
sub given
{
	my ($self, $table, $columns, $form, $rows) = @_;

	if ($form eq 'json')
	{
		my $type = $self->pick('jsonb', 'jsonb', 'json', 'text');

		return ("\$j\$[\@ROWS\@]\$j\$::$type", map { my $row = $_; '{' . join(', ', map { '"' . $_->{name} =~ s/"/\\"/gr . '": ' . json($row->{ $_->{name} }) }
			grep { exists $row->{ $_->{name} } } @$columns) . '}' } @$rows);
	}
	if ($form eq 'record')
	{
		return ('ARRAY[@ROWS@]::record[]', map { my $row = $_; 'ROW(' . join(', ', map { literal($row->{ $_->{name} }, form_type($_, $form)) } @$columns) . ')' } @$rows);
	}
	my ($type, $fields) = $form eq 'own' ? ($table->{rowtype}, $table->{row_columns}) : ('t.wide', $table->{wide_columns});
	return ("ARRAY[\@ROWS\@]::$type\[]", map { my $row = $_; 'ROW(' . join(', ', map { exists $row->{ $_->{name} }
		? literal($row->{ $_->{name} }, form_type($_, $form)) : $_->{kind}{not_null} ? literal($_->{kind}{good}[0], form_type($_, $form)) : 'NULL' } @$fields) . ")::$type" } @$rows);
}

# The same rows for plain SQL: a FROM item s with the columns (and o, their
# order), and the rows. present: has_N says whether a row has the column.
sub relation
{
	my ($self, $columns, $form, $rows, $present) = @_;
	my @names = map { $_->{quoted} } @$columns;
	my @none = map { 'NULL::' . form_type($_, $form) } @$columns;
	my $n = 0;

	if ($present)
	{
		push @names, map { "has_$_" } 1 .. @$columns;
		push @none, map { 'NULL::boolean' } @$columns;
	}
	my @lines = map { my $row = $_; '(' . join(', ', ++$n,
		(map { literal($row->{ $_->{name} } // ($_->{kind}{not_null} ? $_->{kind}{good}[0] : 'null'), form_type($_, $form)) } @$columns),
		$present ? map { exists $row->{ $_->{name} } ? 'true' : 'false' } @$columns : ()) . ')' } @$rows;

	return ('(SELECT * FROM (VALUES ' . (@lines ? '@ROWS@' : '(' . join(', ', 0, @none) . ')') . ') AS v(' . join(', ', 'ord', @names) . ')' .
		(@lines ? '' : ' WHERE false') . ') AS s', @lines);
}

# Keys as they are compared: those of an insert as the column will have them.
sub key_values
{
	my ($cast, @keys) = @_;

	return map { "s.$_->{quoted}" . ($cast ? "::$_->{kind}{type}" : '') . ($_->{kind}{collation} ? " COLLATE $_->{kind}{collation}" : '') } @keys;
}

# Guards against keys given twice or NULL, as the call has them.
sub guards
{
	my ($table, $from, $keys, $nulls) = @_;
	my $list = join ', ', key_values(!$nulls, @$keys);
	my $filled = join ' AND ', map { "s.$_->{quoted} IS DISTINCT FROM NULL" } @$keys;
	my @result;

	push @result, "SELECT diff.guard('22004', \$g\$SELECT 1 FROM $from WHERE NOT ($filled)\$g\$)" if $nulls;
	push @result, "SELECT diff.guard('21000', \$g\$SELECT 1 FROM $from WHERE $filled GROUP BY $list HAVING count(*) > 1\$g\$)";
	return @result;
}

sub names { return "'{" . join(',', map { '"' . $_ =~ s/(["\\])/\\$1/gr . '"' } map { $_->{name} =~ s/'/''/gr } @_) . "}'"; }

sub is_key { my ($table, $column) = @_; return scalar grep { $_ eq $column->{name} } @{ $table->{key} }; }

sub case
{
	my ($self, $table, $call, $given, $plain, $lines, $counted, $ordered, $wrong) = @_;
	my $chunk = $self->pick(1000, 1000, 1, 2, 3);
	my $role = $table->{role} && $self->chance(0.7) ? "'regress_diff'" : 'NULL';

	return "diff.compare(\$b\$$call\$b\$, " . texts(@$given) . ', ' . texts(@$plain) . ', ' . texts(@$lines) .
		", \$c\$" . $table->{content}{ $ordered ? 'ordered' : 'sorted' } . "\$c\$, $role, " . ($counted ? 'true' : 'false') . ", $chunk, " . ($wrong ? 'true)' : 'false)');
}

sub subset
{
	my ($self, $share, @list) = @_;

	return grep { $self->chance($share) } @list;
}

sub insert
{
	my ($self, $table, $conflict) = @_;
	my @writable = grep { !$_->{generated} } @{ $table->{columns} };
	my @columns = $self->chance(0.5) ? @writable : grep { is_key($table, $_) || $self->chance(0.6) } @writable;
	my $form = $self->pick('json', 'json', 'own', 'wide', 'record');
	# privileges are asked for what the rows supply, in plain SQL for what any of them does
	my $uniform = $form ne 'json' || $conflict ne 'error' || $table->{form} eq 'granted' || $self->chance(0.6);
	my $wrong = $self->chance(0.3) ? 1 : 0;
	my $budget = $wrong;

	@columns = grep { !is_key($table, $_) } @columns if $self->chance($table->{key_default} ? 0.4 : 0.03);
	@columns = ($writable[0]) unless @columns;
	my @keys = grep { is_key($table, $_) } @columns;
	my $whole_key = @keys && @keys == @{ $table->{key} };
	my @rows = $self->rows($table, \@columns, $form, $uniform, 0, \$budget);
	my ($argument, @given) = $self->given($table, \@columns, $form, \@rows);
	my ($from, @lines) = $self->relation(\@columns, $form, \@rows, 0);
	my $list = join ', ', map { $_->{quoted} } @columns;
	my $options = $form ne 'json' || !@rows || $self->chance(0.2) ? ', columns => ' . names(@columns) : '';
	my (@plain, $tail);

	if ($conflict eq 'error')
	{
		if ($uniform)
		{
			@plain = ("INSERT INTO $table->{target} ($list) SELECT $list FROM $from ORDER BY ord");
		}
		else
		{
			# an absent key is the default
			my $only = @rows ? '@ROWS@' : '';

			@columns = grep { my $name = $_->{name}; grep { exists $_->{$name} } @rows } @columns if @rows;
			$list = BulkTables::list(@columns);
			return $self->insert($table, 'error') unless @columns;
			@lines = map { my $row = $_; '(' . join(', ', map { exists $row->{ $_->{name} } ? literal($row->{ $_->{name} }, $_->{kind}{cast}) : 'DEFAULT' } @columns) . ')' } @rows;
			@plain = @rows ? ("INSERT INTO $table->{target} ($list) VALUES $only") : ("INSERT INTO $table->{target} ($list) SELECT $list FROM $from");
		}
		return $self->case($table, "dbutil.bulk_insert(" . quote($table->{target}) . ", $argument$options)", \@given, \@plain, \@lines, !$table->{miscounts}, 1, $wrong && ($table->{form} eq 'rules' || !$uniform));
	}

	return $self->insert($table, 'error') if !$whole_key || ($conflict ne 'nothing' && !$table->{arbiter});
	my $by_key = $conflict ne 'nothing' || ($table->{arbiter} && $self->chance(0.5));
	my $key_list = join ', ', map { $_->{quoted} } @keys;
	my $order = join ', ', map { "$_ NULLS LAST" } key_values(1, @keys);
	my @set = grep { !is_key($table, $_) } @columns;

	$options .= ", on_conflict => '$conflict'";
	if ($by_key && (!$table->{primary} || $conflict eq 'nothing' || $self->chance(0.3)))
	{
		$options .= ', conflict_columns => ' . names(@keys);
	}
	if ($conflict ne 'nothing' && @set > 1 && $self->chance(0.3))
	{
		@set = ($self->pick(@set));
		$options .= ', update_columns => ' . names(@set);
	}
	my $duplicates = $self->pick('error', 'error', 'first', 'last');
	my $source = "SELECT $list FROM $from";
	@plain = ();
	$options .= ", duplicates => '$duplicates'" if $duplicates ne 'error';
	if ($duplicates eq 'error')
	{
		@plain = guards($table, $from, \@keys, 0) if $table->{primary} || $by_key;
		$source .= $table->{primary} || $by_key ? " ORDER BY $order, ord" : ' ORDER BY ord';
	}
	else
	{
		my $down = $duplicates eq 'last' ? ' DESC' : '';
		my $null = join ' OR ', map { "s.$_->{quoted} IS NULL" } @keys;

		$options .= ', conflict_columns => ' . names(@keys) if !$table->{primary} && !$by_key;
		return $self->insert($table, 'error') if !$table->{primary} && !$by_key;
		my $group = $order =~ s/ NULLS LAST//gr;
		$source = "SELECT $list FROM (SELECT *, row_number() OVER (PARTITION BY $group ORDER BY ord$down) AS r FROM $from) AS s WHERE r = 1 OR $null ORDER BY $order, ord";
	}
	$tail = ' ON CONFLICT';
	$tail .= " ($key_list)" if $by_key;
	if ($conflict eq 'nothing' || !@set)
	{
		$tail .= ' DO NOTHING';
	}
	else
	{
		$tail .= ' DO UPDATE SET ' . join(', ', map { "$_->{quoted} = excluded.$_->{quoted}" } @set);
		$tail .= ' WHERE record_image_ne(ROW(' . join(', ', map { "x.$_->{quoted}" } @set) . '), ROW(' . join(', ', map { "excluded.$_->{quoted}" } @set) . '))'
			if $conflict eq 'update_if_changed';
	}
	push @plain, "INSERT INTO $table->{target} AS x ($list) $source$tail";
	return $self->case($table, "dbutil.bulk_insert(" . quote($table->{target}) . ", $argument$options)", \@given, \@plain, \@lines, !$table->{miscounts}, 0, $wrong);
}

# What update and delete find rows by.
sub match
{
	my ($table, $keys) = @_;

	return join ' AND ', map { "x.$_->{quoted} = s.$_->{quoted}" } @$keys;
}

sub key_option
{
	my ($self, $table, @keys) = @_;

	return $table->{primary} && $self->chance(0.7) && !grep({ !is_key($table, $_) } @keys) && @keys == @{ $table->{key} } ? '' : ', key => ' . names(@keys);
}

# Columns to find rows by: mostly the key, else another one.
sub match_columns
{
	my ($self, $table) = @_;
	my @keys = grep { is_key($table, $_) } @{ $table->{columns} };
	my @others = grep { !$_->{kind}{unordered} } @{ $table->{columns} };

	return @keys == @{ $table->{key} } && @keys && $self->chance(0.9) ? @keys : ($self->pick(@others));
}

sub update
{
	my ($self, $table) = @_;
	my @keys = $self->match_columns($table);
	my %in_key = map { $_->{name} => 1 } @keys;
	my @settable = grep { !$in_key{ $_->{name} } && !$_->{generated} } @{ $table->{columns} };
	# in which order rows of no unique key are updated, and so what of it is there twice meanwhile, is up to the plan
	@settable = grep { !is_key($table, $_) } @settable;
	my @set = $self->subset(0.6, @settable);
	my $form = $self->pick('json', 'json', 'own', 'wide', 'record');
	my $uniform = $form ne 'json' || $table->{update_of} || $table->{form} eq 'granted' || $self->chance(0.6);
	my $wrong = $self->chance(0.25) ? 1 : 0;
	my $budget = $wrong;

	@set = ($settable[0]) unless @set;
	return $self->delete($table) unless $set[0];
	# a key is found, or not, but never wrong
	my @columns = (@keys, @set);
	my $unique = @keys == @{ $table->{key} } && $table->{unique} && !grep { !is_key($table, $_) } @keys;
	my $keys_for_rows = { %$table, key => [ map { $_->{name} } @keys ] };
	my @rows = $self->rows($keys_for_rows, \@columns, $form, $uniform, 1, \$budget);
	my ($argument, @given) = $self->given($table, \@columns, $form, \@rows);
	my ($from, @lines) = $self->relation(\@columns, $form, \@rows, !$uniform);
	my $options = $self->key_option($table, @keys);
	my $keep = $self->chance(0.15);
	my $skip = $self->chance(0.2);
	my $missing = $unique && $uniform && !grep({ $_->{generated} } @keys) && !$table->{miscounts} && !$table->{statement_triggers} && $self->chance(0.15) ? 'insert' : 'ignore';
	my (@new, $n);

	$options .= ', set_columns => ' . names(@set) if $form ne 'json' || !@rows || $self->chance(0.2);
	$options .= ", nulls => 'keep'" if $keep;
	$options .= ', skip_unchanged => true' if $skip;
	$options .= ", missing => 'insert'" if $missing eq 'insert';
	$n = @keys;
	for my $column (@set)
	{
		my $value = "s.$column->{quoted}";

		$n++;
		$value = "COALESCE($value, x.$column->{quoted})" if $keep;
		$value = "CASE WHEN s.has_$n THEN $value ELSE x.$column->{quoted} END" if !$uniform;
		push @new, $value;
	}
	my $where = match($table, \@keys);
	$where .= ' AND (' . join(' OR ', map { "s.has_$_" } @keys + 1 .. @keys + @set) . ')' if !$uniform;
	$where .= ' AND record_image_ne(ROW(' . join(', ', map { "x.$_->{quoted}" } @set) . '), ROW(' . join(', ', map { "CAST($new[$_] AS $set[$_]{kind}{type})" } 0 .. $#set) . '))' if $skip;
	my @plain = guards($table, $from, \@keys, 1);
	push @plain, "UPDATE $table->{target} AS x SET " . join(', ', map { "$set[$_]{quoted} = $new[$_]" } 0 .. $#set) . " FROM $from WHERE $where";
	if ($missing eq 'insert')
	{
		my $list = join ', ', map { $_->{quoted} } @columns;
		my $order = join ', ', key_values(0, @keys);

		push @plain, "INSERT INTO $table->{target} ($list) SELECT $list FROM $from WHERE NOT EXISTS (SELECT FROM $table->{target} AS x WHERE " . match($table, \@keys) . ") ORDER BY $order";
	}
	return $self->case($table, "dbutil.bulk_update(" . quote($table->{target}) . ", $argument$options)", \@given, \@plain, \@lines,
		$unique && !$table->{miscounts}, 0, $wrong && !$budget);
}

sub delete
{
	my ($self, $table) = @_;
	my @keys = $self->match_columns($table);
	my $form = $self->pick('json', 'own', 'wide', 'record', 'values');
	my $budget = 0;
	my $unique = @keys == @{ $table->{key} } && $table->{unique} && !grep { !is_key($table, $_) } @keys;
	my $keys_for_rows = { %$table, key => [ map { $_->{name} } @keys ] };

	$form = 'wide' if $form eq 'values' && (@keys > 1 || $keys[0]{kind}{type} =~ /\[\]/);
	my $rows_form = $form eq 'values' ? 'record' : $form;
	my @rows = $self->rows($keys_for_rows, \@keys, $rows_form, 1, 1, \$budget);
	my ($argument, @given) = $form eq 'values'
		? ("ARRAY[\@ROWS\@]::$keys[0]{kind}{cast}\[]", map { literal($_->{ $keys[0]{name} }, $keys[0]{kind}{cast}) } @rows)
		: $self->given($table, \@keys, $rows_form, \@rows);
	my ($from, @lines) = $self->relation(\@keys, $rows_form, \@rows, 0);
	my @plain = guards($table, $from, \@keys, 1);

	push @plain, "DELETE FROM $table->{target} AS x USING $from WHERE " . match($table, \@keys);
	return $self->case($table, "dbutil.bulk_delete(" . quote($table->{target}) . ", $argument" . $self->key_option($table, @keys) . ')',
		\@given, \@plain, \@lines, $unique && !$table->{miscounts});
}

# One call on the table, as an SQL expression that compares it with plain SQL.
sub call
{
	my ($self, $table) = @_;
	my $what = $self->{random}->();

	return $self->insert($table, 'error') if $what < 0.4;
	return $self->insert($table, $self->pick('nothing', 'update', 'update', 'update_if_changed')) if $what < 0.6;
	return $self->update($table) if $what < 0.85;
	return $self->delete($table);
}

1;
