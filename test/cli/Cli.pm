# Cli: runs the dbutil command for the tests of this folder.
#
#	my ($status, $out, $err) = dbutil('check', '--dsn', $node->connstr('postgres'));
package Cli;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;

our @EXPORT = qw(dbutil nagios_line);

# Exit status, stdout, stderr. It sees no terminal and no input.
sub dbutil
{
	my @args = @_;
	my ($in, $out, $err) = ('', '', '');

	IPC::Run::run([ $ENV{DBUTIL_CLI}, @args ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	return ($? >> 8, $out, $err);
}

# The parts of a line by the rules for Nagios plugins: the word, the text, and
# the performance data as a hash of label and [value, unit, warn, critical,
# min, max]; nothing if the line breaks them.
sub nagios_line
{
	my ($line) = @_;
	my $number = qr/-?\d+(?:\.\d+)?/;
	my $range = qr/\@?(?:(?:~|$number):)?(?:$number)?/;
	my %perfdata;

	$line =~ /\ADBUTIL (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+) \| ([^|\n]+)\n\z/ or return;
	my ($word, $text, $data) = ($1, $2, $3);
	for my $item (split / /, $data)
	{
		$item =~ /\A([^=' ]+)=($number|U)(s|%|MB|)(?:;($range)(?:;($range)(?:;($number)?(?:;($number)?)?)?)?)?\z/
		  or return;
		return if exists $perfdata{$1} || ($2 eq 'U' && $3 ne '');
		$perfdata{$1} = [ $2, $3, map { defined $_ ? $_ : '' } $4, $5, $6, $7 ];
	}
	return ($word, $text, \%perfdata);
}

1;
