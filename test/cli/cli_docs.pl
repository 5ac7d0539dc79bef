# What is written about the dbutil command is true: the examples of docs/cli.md
# run and print what the page says, the manual page and the page know every
# command and option, completion offers them.
#
# A fenced block ```sh is run by a shell, against a server with the extension; a
# fenced block ```text behind it is what must be printed. Numbers are not
# compared; ... stands for the rest of a line, and on a line of its own for any
# number of lines.
use strict;
use warnings;
use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use File::Basename;
use Test::More;

use Cli;

my $page = slurp_file('docs/cli.md');
my $manual = slurp_file('src/cli/dbutil.1');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nfsync = on\nfull_page_writes = on");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

local $ENV{PATH} = dirname($ENV{DBUTIL_CLI}) . ":$ENV{PATH}";
local $ENV{DBUTIL_TEMPLATES} = getcwd() . '/src/cli/template';
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';

# What may differ from run to run, left out.
sub masked
{
	my ($text) = @_;

	$text =~ s/[-+]?\d+(\.\d+)?/N/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/ +$//mg;
	return $text;
}

# --- examples
my $examples = 0;
my $folder = PostgreSQL::Test::Utils::tempdir;
while ($page =~ /^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?/msg)
{
	my ($script, $expected) = ($1, $2);
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'sh', '-e' ], '<', \$script, '>', \$out, '2>', \$err, init => sub { chdir $folder or die "$folder: $!" },
		IPC::Run::timeout(120));
	is($?, 0, "runs: $script") or diag($err);
	$examples++;
	next unless defined $expected;
	my $pattern = join '(?:.*\n)*', map { join '.*', map { quotemeta } split /\.\.\./, $_, -1 }
	  split /^\.\.\.\n/m, masked($expected), -1;
	like(masked($out . $err), qr/\A$pattern\z/, "prints what the page says: $script") or diag($out . $err);
}
cmp_ok($examples, '>=', 3, 'examples were found');

# --- every command and option is written down, and offered by completion
my @commands = split /\n/, (dbutil('help', '--words'))[1];
cmp_ok(scalar @commands, '>=', 3, 'commands were found');
for my $command (@commands)
{
	my @options = grep { /^--/ } split /\n/, (dbutil('help', '--words', $command))[1];
	my ($status, $help, $err) = dbutil('help', $command);

	unless ($command =~ /^(help|version)$/)
	{
		is("$status$err", '0', "help of $command");
		like($help, qr/^usage: dbutil \Q$command\E /, 'says how it is called');
		like($page, qr/^## dbutil \Q$command\E$/m, "docs/cli.md: $command");
		(my $in_manual = $command) =~ s/-/\\-/g;
		like($manual, qr/^\.SS \Q$in_manual\E$/m, "manual page: $command");
		is((dbutil($command, '--help'))[1], $help, "$command --help is the same");
	}
	for my $option (@options)
	{
		(my $in_manual = $option) =~ s/-/\\-/g;
		like($manual, qr/\Q$in_manual\E\b/, "manual page: $command $option");
		like($page, qr/\Q$option\E\b/, "docs/cli.md: $command $option");
		like($help, qr/^  \Q$option\E .*\w/m, "help: $command $option");
	}
}

# What completion offers for the words of a line.
sub offered
{
	my @words = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'bash', '-c', 'source src/cli/dbutil.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dbutil "$1"; echo "${COMPREPLY[*]}"',
			'bash', @words ], '>', \$out, '2>', \$err);
	is($err, '', "completion of @words");
	chomp $out;
	return $out;
}
is(offered('dbutil', ''), join(' ', @commands), 'all commands');
is(offered('dbutil', 'chec'), 'check', 'a command that begins so');
is(offered('dbutil', 'help', 'chec'), 'check', 'also behind help');
is(offered('dbutil', 'check', '--js'), '--json', 'an option');
is(offered('dbutil', 'check', '--level', 'f'), 'full', 'a value');
is(offered('dbutil', 'check', '--dsn', ''), '', 'no word for what can be anything');

# --- the manual page has no mistakes that its formatter knows
SKIP:
{
	skip 'groff is not installed', 1 unless grep { -x "$_/groff" } split /:/, $ENV{PATH};
	my $complaints = `groff -man -ww -Tutf8 src/cli/dbutil.1 2>&1 >/dev/null`;
	is($complaints, '', 'the manual page is well formed');
}

# --- what is installed
{
	my $root = PostgreSQL::Test::Utils::tempdir;
	my $make = qx{make -s -C src/cli install BUILD="@{[ dirname $ENV{DBUTIL_CLI} ]}" DESTDIR="$root" PREFIX=/usr PG_CONFIG=$ENV{PG_CONFIG} 2>&1};

	is($?, 0, 'make install') or diag($make);
	for my $file ('bin/dbutil', 'share/man/man1/dbutil.1', 'share/bash-completion/completions/dbutil')
	{
		ok(-s "$root/usr/$file", "installs $file");
	}
	like(qx{"$root/usr/bin/dbutil" version}, qr/^dbutil /, 'the installed command runs');
}

$node->stop;
done_testing();
