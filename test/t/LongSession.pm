# LongSession: a session of psql that lives on between the questions of a test,
# the same on every PostgreSQL (background_psql of PostgreSQL::Test::Cluster is
# not). Errors are part of the answer.
#
#	my $session = LongSession->new($node);
#	is($session->ask('SELECT 1'), '1');
#	$session->leave;

package LongSession;

use strict;
use warnings;

use IPC::Run;

sub new
{
	my ($class, $node) = @_;
	my $self = bless { in => '', out => '' }, $class;

	$self->{psql} = IPC::Run::start([ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>&1', IPC::Run::timeout(120));
	return $self;
}

# Send statements and do not wait for their end; answer() is to follow.
sub begin
{
	my ($self, $text) = @_;

	$self->{out} = '';
	$self->{in} .= "$text;\n\\echo done\n";
	$self->{psql}->pump_nb while length $self->{in};
	return;
}

# What psql prints for the statements that were sent.
sub answer
{
	my $self = shift;

	$self->{psql}->pump until $self->{out} =~ /^done$/m;
	my $answer = $self->{out} =~ s/^done\n//mr;
	chomp $answer;
	return $answer;
}

# What psql prints for the statements.
sub ask
{
	my ($self, $text) = @_;

	$self->begin($text);
	return $self->answer;
}

sub leave
{
	my $self = shift;

	$self->{in} .= "\\q\n";
	$self->{psql}->finish;
}

1;
