#!/usr/bin/perl
# layering.pl DIR: the rules about the sources that a reading of the text can
# prove (docs: the architecture page). Prints `rule: file:line: what` for each
# violation, `warning: ...` for what only deserves a look, and exits 1 if a
# rule is broken. tools/layering.sh calls it and proves each rule.

use strict;
use warnings;
use File::Find;

my $root = shift // die "usage: layering.pl DIR\n";
chdir $root or die "layering: error: cannot enter $root: $!\n";

my %NOT_MODULES = map { $_ => 1 } qw(core client cli python upgrade);
my @modules = grep { !$NOT_MODULES{$_} }
  map { m{^src/(.*)} } grep { -d } glob('src/*');
my $broken = 0;

sub violation
{
	my ($rule, $file, $line, $what) = @_;
	print "$rule: $file:$line: $what\n";
	$broken = 1;
}

sub slurp
{
	my ($file) = @_;
	open my $fh, '<:raw', $file or die "layering: error: $file: $!\n";
	local $/;
	return scalar <$fh> // '';
}

# The text with comments blanked (strings too, if asked), lines kept.
sub c_code
{
	my ($text, $no_strings) = @_;
	$text =~ s{(/\*.*?\*/)|(//[^\n]*)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)*')}{
		my $all = $&;
		if (defined $1 || defined $2 || $no_strings) { $all =~ s/[^\n]/ /g; }
		$all }gsex;
	return $text;
}

sub sql_code
{
	my ($text) = @_;
	$text =~ s{--[^\n]*}{}g;
	$text =~ s{(/\*.*?\*/)}{ my $c = $1; $c =~ s/[^\n]/ /g; $c }gse;
	return $text;
}

sub line_of
{
	my ($text, $pos) = @_;
	return 1 + (substr($text, 0, $pos) =~ tr/\n//);
}

# Every match of a pattern is a violation.
sub forbid
{
	my ($rule, $file, $code, $pattern, $what) = @_;
	while ($code =~ /$pattern/g)
	{
		my $found = defined $1 ? $1 : $&;
		violation($rule, $file, line_of($code, $-[0]), "$what: $found");
	}
}

sub check_c
{
	my ($file, $text) = @_;
	my ($part) = $file =~ m{^src/([^/]+)/};
	my $code = c_code($text);
	my $bare = c_code($text, 1);

	if ($part eq 'client' || $part eq 'cli')
	{
		while ($code =~ /^\s*#\s*include\s*(["<])([^">]+)[">]/mg)
		{
			my ($quote, $name, $at) = ($1, $2, $-[0]);
			next if $name =~ /^libpq-(?:fe|events)\.h$/;
			next if $quote eq '"' && $name !~ m{/} && (-f "src/$part/$name" || -f "src/client/$name");
			next if $quote eq '"' && $part eq 'cli' && $name =~ m{^client/\w+\.h$};
			next if $quote eq '<' && $name !~ m{^(?:postgres|pg_|c\.h|fmgr|libpq/|server/|utils/|catalog/|storage/|access/|executor/|nodes/|common/|port)};
			violation('client-includes', $file, line_of($code, $at),
				"only libpq and the C library may be included here: $name");
		}
		return;
	}

	forbid('hooks', $file, $bare, qr/\b(\w+_hook)\s*=(?!=)/,
		'a hook is assigned outside src/core/hooks.c')
	  unless $file eq 'src/core/hooks.c';
	forbid('version', $file, $bare, qr/\b(PG_VERSION_NUM|PG_MAJORVERSION_NUM)\b/,
		'the server version is looked at outside src/core/compat.h')
	  unless $file eq 'src/core/compat.h';

	my @others = grep { $_ ne $part } @modules;
	if (@others && $file ne 'src/core/dbutil.c')
	{
		my $other = join '|', @others;
		forbid('sideways', $file, $code,
			qr{^\s*\#\s*include\s*["<]((?:\.\./)*(?:$other)/[^">]*)}m,
			'includes another module');
		forbid('names-modules', $file, $bare, qr/\b(dbu_(?:$other)_\w+)/,
			'only src/core/dbutil.c may name the functions of other modules');
	}
	forbid('sideways', $file, $code, qr{^\s*\#\s*include\s*"(\.\./[^"]*)}m,
		'includes by a path that leaves the folder (write "core/x.h")');

	# every ereport says its SQLSTATE
	while ($bare =~ /\bereport(?:_domain)?\s*(\((?:[^()]++|(?1))*\))/g)
	{
		my ($args, $at) = ($1, $-[0]);
		violation('errcode', $file, line_of($bare, $at), 'ereport without an errcode')
		  unless $args =~ /\berrcode(?:_for_\w+)?\s*\(/;
	}
}

# Splits into statements; quoted and dollar-quoted text holds no end.
sub statements
{
	my ($code) = @_;
	my @found;
	while ($code =~ /\G((?:'(?:[^']|'')*'|"[^"]*"|(\$\w*\$).*?\g{2}|[^;'"\$]|\$)*;)/gs)
	{
		push @found, [ $-[0], $1 ];
	}
	return @found;
}

sub check_install_sql
{
	my ($file, $text) = @_;
	my $code = sql_code($text);

	forbid('or-replace', $file, $code, qr/\b(CREATE\s+OR\s+REPLACE)\b/i,
		'an install script must not take over what a user made before');
	forbid('or-replace', $file, $code, qr/\b(IF\s+NOT\s+EXISTS)\b/i,
		'an install script must not take over what a user made before');
	forbid('search-path', $file, $code,
		qr/\bSET\s+search_path\s*(?:=|TO)\s*+(?!pg_catalog\b[^;\n]*\bpg_temp\b)([^\n]*)/i,
		'a search path begins with pg_catalog and names pg_temp last');
	for my $statement (statements($code))
	{
		my ($at, $sql) = @$statement;
		(my $outside = $sql) =~ s/(\$\w*\$).*?\g{1}//gs;
		next unless $outside =~ /\bSECURITY\s+DEFINER\b/i;
		$sql =~ /^\s*/;
		violation('security-definer', $file, line_of($code, $at + $+[0]),
			'SECURITY DEFINER without SET search_path = pg_catalog, pg_temp')
		  unless $outside =~ /\bSET\s+search_path\s*(?:=|TO)\s*pg_catalog\b/i;
	}
}

my @files;
find({ no_chdir => 1, wanted => sub {
	if (-d && m{^\./(?:\.git|build|tmp_check|results|log)$}) { $File::Find::prune = 1; return; }
	push @files, substr($_, 2) if -f && !-l;
} }, '.');

for my $file (sort @files)
{
	next unless $file =~ /(?:\.(?:c|h|sql|sh|pl|pm|md|spec|control|in|json|yml)|Makefile|^\.ci\/run)$/;
	next if $file =~ m{^dbutil--} || $file =~ m{/releases/};
	my $text = slurp($file);

	check_c($file, $text) if $file =~ m{^src/[^/]+/.*\.[ch]$};
	check_install_sql($file, $text) if $file =~ m{^src/(?!upgrade/)[^/]+/[^/]+\.sql$};

	# words that say a thing is unfinished (written apart, not to find itself)
	my $unfinished = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'X' . 'XX';
	forbid('unfinished', $file, $text, qr/\b($unfinished)\b/, 'unfinished work');

	forbid('whitespace', $file, $text, qr/[ \t\r]+$/m, 'blanks end the line')
	  unless $file =~ /\.md$/;
	violation('whitespace', $file, line_of($text, length $text), 'no newline ends the file')
	  if length $text && substr($text, -1) ne "\n";

	my $lines = $text =~ tr/\n//;
	next if $file =~ /\.(?:md|json)$/;
	if ($lines > 700) { violation('length', $file, $lines, 'more than 700 lines'); }
	elsif ($lines > 600) { print "warning: $file:$lines: more than 600 lines\n"; }
}

exit $broken;
