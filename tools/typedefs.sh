#!/bin/bash
# typedefs.sh: prints the names of the types that src/ defines, sorted, as
# pgindent wants them. typedefs.list is its output; lint compares the two.

set -euo pipefail
cd "$(dirname "$0")/.."

find src -name '*.[ch]' -print0 | LC_ALL=C sort -z | xargs -0 perl -0777 -ne '
	s{/\*.*?\*/}{}gs;		# comments
	while (/\btypedef\b(?:[^;{}]|\{(?:[^{}]|\{[^{}]*\})*\})*;/g)
	{
		my $type = $&;
		if ($type !~ /\{/ && $type =~ /\(\s*\*\s*(\w+)\s*\)/) { print "$1\n" }
		elsif ($type =~ /(\w+)\s*(?:\[[^\]]*\])?\s*;$/) { print "$1\n" }
	}' | LC_ALL=C sort -u
