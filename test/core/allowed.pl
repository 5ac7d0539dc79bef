#!/usr/bin/perl
# allowed.pl LIST TEST DIFF: is every hunk of DIFF (diff -U) listed for TEST in
# LIST (test/core/allowed_differences)? Prints those that are not, in LIST's
# format, and exits 1 if there are any.
# allowed.pl --check LIST: is LIST well-formed?
#
# LIST is a series of blocks; `#` begins a comment line between them:
#
#     test: <name>
#     reason: <why this difference is right>
#     -<line of the stock output>
#     +<line of the output with dbutil>
#     end
#
# A block stands for one hunk, its removed and added lines in order. Where
# line numbers and neighbouring lines are does not matter, so that the list
# outlives a minor release.

use strict;
use warnings;

sub read_list
{
	my ($file) = @_;
	my (%allowed, $block);
	open my $fh, '<', $file or die "allowed: error: $file: $!\n";
	while (my $line = <$fh>)
	{
		chomp $line;
		if (!$block)
		{
			next if $line =~ /^\s*(#|$)/;
			$line =~ /^test: (\S+)$/
			  or die "allowed: error: $file:$.: expected `test: <name>`, found: $line\n";
			$block = { test => $1, lines => [] };
		}
		elsif (!defined $block->{reason})
		{
			$line =~ /^reason: (\S.*)$/
			  or die "allowed: error: $file:$.: expected `reason: <why>`, found: $line\n";
			$block->{reason} = $1;
			die "allowed: error: $file:$.: give the reason\n" if $1 =~ /^\?/;
		}
		elsif ($line eq 'end')
		{
			die "allowed: error: $file:$.: a block without lines\n" unless @{ $block->{lines} };
			$allowed{ $block->{test} }{ join "\n", @{ $block->{lines} } } = 1;
			undef $block;
		}
		else
		{
			$line =~ /^[-+]/
			  or die "allowed: error: $file:$.: expected a line with - or +, or `end`, found: $line\n";
			push @{ $block->{lines} }, $line;
		}
	}
	die "allowed: error: $file: the last block has no `end`\n" if $block;
	return \%allowed;
}

if (@ARGV == 2 && $ARGV[0] eq '--check')
{
	read_list($ARGV[1]);
	exit 0;
}
die "usage: allowed.pl LIST TEST DIFF | allowed.pl --check LIST\n" unless @ARGV == 3;
my ($list, $test, $diff) = @ARGV;
my $allowed = read_list($list);

# A run of removed and added lines is one hunk; context lines part hunks.
my (@hunks, @lines);
my $in_hunk = 0;
open my $fh, '<', $diff or die "allowed: error: $diff: $!\n";
while (my $line = <$fh>)
{
	chomp $line;
	if ($line =~ /^@@ /) { $in_hunk = 1; }
	elsif ($in_hunk && $line =~ /^[-+]/) { push @lines, $line; next; }
	push @hunks, [@lines] if @lines;
	@lines = ();
}
push @hunks, [@lines] if @lines;

# No hunk at all is a difference of another kind (a missing file).
my $bad = !@hunks;
my %seen;
for my $hunk (@hunks)
{
	my $text = join "\n", @$hunk;
	next if $allowed->{$test}{$text} || $seen{$text}++;
	print "test: $test\nreason: ?\n$text\nend\n\n";
	$bad = 1;
}
exit($bad ? 1 : 0);
