# dbutil new-service: what it writes builds and passes its own tests, in both
# languages, with what `make install` installs; what it refuses leaves nothing.
use strict;
use warnings;
use Cwd;
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use Cli;

my $sources = getcwd();
my $root = PostgreSQL::Test::Utils::tempdir;
my $work = PostgreSQL::Test::Utils::tempdir;
my $build = dirname($ENV{DBUTIL_CLI});

for my $part ([ 'client', "$build/client" ], [ 'cli', $build ])
{
	my $printed = qx{make -s -C src/$part->[0] install BUILD="$part->[1]" PREFIX="$root" PG_CONFIG=$ENV{PG_CONFIG} 2>&1};
	is($?, 0, "make install of src/$part->[0]") or diag($printed);
}
$ENV{DBUTIL_CLI} = "$root/bin/dbutil";
$ENV{PKG_CONFIG_PATH} = "$root/lib/pkgconfig";
$ENV{LD_LIBRARY_PATH} = "$root/lib";
$ENV{PYTHONPATH} = "$sources/src/python";
$ENV{PG_BINDIR} = qx{$ENV{PG_CONFIG} --bindir};
chomp $ENV{PG_BINDIR};
chdir $work or die "cannot enter $work: $!\n";

# The files below a folder.
sub files
{
	my ($folder) = @_;
	my @files = sort split /\n/, qx{cd "$folder" && find . -type f};
	return @files;
}

my %own = (
	c => [ qw(http.c items.c main.c migrate.c service.h status.c) ],
	python => [ qw(items.py migrate.py service.py) ]);
for my $case ([ 'order', 'c' ], [ 'stock-2', 'python', '--lang', 'python' ])
{
	my ($name, $language, @options) = @$case;
	my ($status, $out, $err) = dbutil('new-service', $name, @options);

	is("$status$err", '0', "$language: written");
	is($out, "Wrote the service $name in $language. To build and test it: make -C $name check\n", 'and says so');
	is_deeply([ files($name) ],
		[ sort map { "./$_" } @{ $own{$language} }, qw(Makefile README.md migrations/001_items.sql test/check.sh) ],
		'its files');
	is(qx{grep -rlE '\@(NAME|IDENT)\@' $name}, '', 'nothing is left to put in');
	my $printed = qx{make -C $name check PYTHON=/usr/bin/python3 2>&1};
	is($?, 0, "$language: builds and passes its tests") or diag($printed);
	cmp_ok(scalar(() = $printed =~ /^ok /mg), '>=', 28, 'all of them');
	unlike($printed, qr/warning/i, 'without a warning');
	is(() = $printed =~ /^not ok/mg, 0, 'none failed');

	# they can fail: with a service that forgets half of a transfer they do
	my $items = $language eq 'c' ? "$name/items.c" : "$name/items.py";
	my $text = slurp_file($items);
	$text =~ s/quantity = quantity \+ /quantity = quantity + 0 * / or die "nothing to break in $items\n";
	open my $fh, '>', $items or die "cannot write $items: $!\n";
	print $fh $text;
	close $fh;
	$printed = qx{make -C $name check PYTHON=/usr/bin/python3 2>&1};
	isnt($?, 0, 'a broken service fails its tests');
	like($printed, qr/^not ok \d+ - both changed$/m, 'by the right one');
}

# --- what is refused
my @before = files('.');
for my $name ('', 'Shop', '1st', 'my shop', '../shop', 'a/b', '-x', "sh\nop", 'x' x 64)
{
	my ($status, $out, $err) = dbutil('new-service', '--', $name);
	is("$status$out", '2', "refused: '$name'");
	like($err, qr/\Adbutil: error: invalid name ".*": a service's name begins with a letter a to z/s, 'says why');
}
for my $bad (
	[ 2, 'NAME is missing' ],
	[ 2, 'unexpected argument "two"', 'one', 'two' ],
	[ 2, 'invalid value for option "--lang": "pyton": the nearest is "python"', 'shop', '--lang', 'pyton' ],
	[ 2, 'unknown option "--language": the nearest is "--lang"', 'shop', '--language', 'c' ],
	[ 1, 'cannot make the folder order: File exists', 'order' ])
{
	my ($expected, $message, @args) = @$bad;
	my ($status, $out, $err) = dbutil('new-service', @args);
	is("$status$out", $expected, "refused: @args");
	like($err, qr/\Adbutil: error: \Q$message\E/, 'says why');
}
{
	local $ENV{DBUTIL_TEMPLATES} = "$work/nowhere";
	my ($status, $out, $err) = dbutil('new-service', 'shop');
	is("$status$out", '1', 'without templates');
	like($err, qr/\Adbutil: error: cannot find the template \S+nowhere\/common: No such file or directory\n\z/, 'says so');
	# a template with a file that cannot be copied: half of it is written by then
	mkdir "$work/nowhere";
	system("cp -r '$root/share/dbutil/template/'* nowhere/ && ln -s nothing nowhere/c/broken.c.in") == 0 or die "cannot copy\n";
	($status, $out, $err) = dbutil('new-service', 'shop');
	is("$status$out", '1', 'a template that is broken');
	like($err, qr/\Adbutil: error: cannot read \S+broken\.c\.in/, 'says where');
	system('rm -rf nowhere');
}
is_deeply([ files('.') ], \@before, 'nothing is left of all these');
ok(!-e 'shop', 'nor a folder');

chdir $sources;
done_testing();
