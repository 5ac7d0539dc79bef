#!/bin/sh
# The C examples of docs/pool.md: compiled, run, and their output compared.
#
# A block that begins with #include is a program. All others make one program, in
# their order: those that begin with `static` are functions, the rest stands in main, each
# in a block of its own. A ```text block behind one is what it prints.
#
# TAP. Needs LIBSRC (src/client), BUILD, PG_CONFIG and DBPOOL_TEST_DSN in the environment.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
page=$LIBSRC/../../docs/pool.md
n=0
status=0

check()
{
	n=$((n + 1))
	name=$1
	shift
	if "$@" > "$tmp/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$tmp/out"
		status=1
	fi
}

# whole.c, functions.c, body.c and what they print
split_page()
{
	awk -v dir="$tmp" '
		/^```c$/ { lang = "c"; first = 1; next }
		/^```text$/ { lang = "text"; next }
		/^```$/ {
			if (lang == "c" && file == "body.c") print "}" > (dir "/body.c")
			lang = ""
			next
		}
		lang == "c" {
			if (first)
			{
				first = 0
				file = /^#include/ ? "whole.c" : /^static/ ? "functions.c" : "body.c"
				if (file == "body.c")
					printf "printf(\"@@ %d\\n\");\n{\n", ++bodies > (dir "/body.c")
			}
			print > (dir "/" file)
		}
		lang == "text" {
			if (file == "whole.c")
				print > (dir "/whole.expected")
			else
			{
				if (told != bodies) printf "@@ %d\n", bodies > (dir "/body.expected")
				told = bodies
				print > (dir "/body.expected")
			}
		}' "$page"
	{
		printf '#include <%s.h>\n' stdio stdlib string dbpool_service dbpool_outcome dbpool_metrics
		cat "$tmp/functions.c"
		printf 'int main(void)\n{\n\tdbpool_error err = DBPOOL_ERROR_INIT;\n\tdbpool_pool *pool;\n\tPGresult *res;\n'
		cat "$tmp/body.c"
		printf '\treturn 0;\n}\n'
	} > "$tmp/page.c"
	# each block of the body prints something that the page shows
	test -s "$tmp/whole.c" && test "$(grep -c '^@@' "$tmp/body.expected")" -ge 8 &&
		test "$(grep -c '^printf("@@' "$tmp/body.c")" = "$(grep -c '^@@' "$tmp/body.expected")"
}

compiles()
{
	cc -Wall -Wextra -Werror -o "$tmp/$1" "$tmp/$1.c" -I"$LIBSRC" -I"$("$PG_CONFIG" --includedir)" \
		"$BUILD/libdbpool.a" -L"$("$PG_CONFIG" --libdir)" -lpq -pthread
}

prints()
{
	DBPOOL_SHOP_CONNINFO=$DBPOOL_TEST_DSN "$tmp/$1" > "$tmp/$1.printed" || return 1
	diff "$tmp/$2.expected" "$tmp/$1.printed"
}

echo 1..5
check page_is_read split_page
check program_compiles compiles whole
check program_prints_what_the_page_says prints whole whole
check examples_compile compiles page
check examples_print_what_the_page_says prints page body
exit $status
