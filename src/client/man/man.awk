# man.awk: makes the man pages of section 3 from the comments in libdbpool's headers, so
# that there is one text of each function.
#
#   awk -v dir=OUT -v version=0.1.0 -f man.awk dbpool.3.in dbpool.h dbpool_service.h ...
#
# A comment that ends right before a prototype, or before the macro of one, is the
# function's page: its first clause the NAME, its paragraphs the DESCRIPTION, lines that
# begin with a tab are printed as they are. A function behind a macro (dbpool_acquire_at)
# has a page that leads to the macro's. Prototypes without a blank line between them share
# their comment; a function without one is an error.
#
# dbpool.3 is made from the first file, dbpool.3.in, where lines @FUNCTIONS@ and @ERRORS@
# stand for the lists of these.

function fail(text)
{
	print FILENAME ":" FNR ": " text > "/dev/stderr"
	failed = 1
}

# A text as roff: no line is taken for a request, no backslash for an escape.
function roff(text)
{
	gsub(/\\/, "\\e", text)
	if (text ~ /^[.']/)
		text = "\\\\&" text
	return text
}

# Tabs of four columns, seen from column `at`, as blanks.
function expand(text, at,	out, c, i)
{
	out = ""
	for (i = 1; i <= length(text); i++)
	{
		c = substr(text, i, 1)
		if (c != "\t")
		{
			out = out c
			at++
			continue
		}
		do
		{
			out = out " "
			at++
		} while (at % 4 != 0)
	}
	return out
}

# The first clause of a comment, for NAME.
function summary(	text, i)
{
	text = ""
	for (i = 1; i <= ncomment && comment[i] != "" && comment[i] !~ /^\t/; i++)
		text = text (i > 1 ? " " : "") comment[i]
	if (match(text, /[.:;]( |$)| \(/))
		text = substr(text, 1, RSTART - 1)
	return tolower(substr(text, 1, 1)) substr(text, 2)
}

function page(name,	file, i, literal, short)
{
	short = summary()
	if (ncomment == 0 || short == "")
	{
		fail(name " has no comment")
		return
	}
	functions = functions sprintf(".TP\n.BR %s (3)\n%s\n", name, roff(short))
	file = dir "/" name ".3"
	printf ".TH %s 3 \"\" \"libdbpool %s\" \"libdbpool\"\n", name, version > file
	printf ".SH NAME\n%s \\- %s\n", name, roff(short) > file
	printf ".SH SYNOPSIS\n.nf\n.B #include <%s>\n.sp\n", FILENAME > file
	if (macro != "")
		printf "%s;\n.sp\n", roff(macro) > file
	for (i = 1; i <= nproto; i++)
		printf "%s\n", roff(expand(proto[i], 0)) > file
	printf ".fi\n.SH DESCRIPTION\n" > file
	literal = 0
	for (i = 1; i <= ncomment; i++)
	{
		if ((comment[i] ~ /^\t/) != literal)
		{
			literal = !literal
			printf literal ? ".PP\n.nf\n" : ".fi\n.PP\n" > file
		}
		if (comment[i] == "")
			printf i < ncomment ? ".PP\n" : "" > file
		else
			printf "%s\n", roff(literal ? expand(comment[i], 3) : comment[i]) > file
	}
	if (literal)
		print ".fi" > file
	if (proto[1] ~ /^int / && index(proto[nproto], "dbpool_error *err"))
		printf ".SH RETURN VALUE\nDBPOOL_OK (0), or the number of an error, as in\n.IR err .\n" > file
	printf ".SH SEE ALSO\n.BR dbpool (3)\n" > file
	close(file)
}

function finish(	name, target)
{
	match(proto[1], /dbpool_[a-z0-9_]+\(/)
	name = substr(proto[1], RSTART, RLENGTH - 1)
	target = name
	if (macro != "")
	{
		match(macro, /dbpool_[a-z0-9_]+/)
		target = substr(macro, RSTART, RLENGTH)
	}
	page(target)
	if (target != name)
	{
		printf ".so man3/%s.3\n", target > (dir "/" name ".3")
		close(dir "/" name ".3")
	}
	# a prototype in the next line has the same comment
	nproto = 0
	macro = ""
}

function forget()
{
	ncomment = nproto = 0
	macro = ""
}

FNR == 1 { forget(); state = "" }

FILENAME ~ /\.in$/ {
	overview[++noverview] = $0
	next
}

# X(ENAME, 1, "meaning")
/^\tX\([A-Z]+, [0-9]+, "/ {
	split($0, part, /[(,"]/)
	errors = errors sprintf(".TP\nDBPOOL_%s,%s\n%s\n", part[2], part[3], part[5])
}

state == "comment" {
	line = $0
	last = line ~ /\*\/$/
	sub(/[ \t]*\*\/$/, "", line)
	sub(/^ \*/, "", line)
	sub(/^ /, "", line)
	if (!last || line != "")
		comment[++ncomment] = line
	if (last)
		state = ""
	next
}

/^\/\*/ {
	forget()
	line = $0
	sub(/^\/\*[ ]*/, "", line)
	if (line ~ /\*\/$/)
		sub(/[ ]*\*\/$/, "", line)
	else
		state = "comment"
	if (line != "")
		comment[++ncomment] = line
	next
}

# #define dbpool_x(arguments) \ and what it stands for
/^#define dbpool_[a-z]/ {
	macro = $0
	sub(/^#define /, "", macro)
	sub(/\).*/, ")", macro)
	while ($0 ~ /\\$/ && (getline) > 0)
		continue
	next
}

state == "proto" || /^[A-Za-z].*[ *]dbpool_[a-z0-9_]+\(/ {
	if ($0 ~ /^typedef/)
	{
		forget()
		next
	}
	proto[++nproto] = $0
	state = "proto"
	if ($0 ~ /;$/)
	{
		state = ""
		finish()
	}
	next
}

{ forget() }

END {
	if (functions == "" || errors == "" || noverview == 0)
		fail("no functions, no errors or no overview")
	file = dir "/dbpool.3"
	for (i = 1; i <= noverview; i++)
	{
		if (overview[i] == "@FUNCTIONS@")
			printf "%s", functions > file
		else if (overview[i] == "@ERRORS@")
			printf "%s", errors > file
		else
		{
			gsub(/@VERSION@/, version, overview[i])
			print overview[i] > file
		}
	}
	exit failed
}
