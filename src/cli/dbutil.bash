# Completion of the dbutil command for bash. The command itself knows its words.

_dbutil()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	local words=

	if [ "$COMP_CWORD" = 1 ]; then
		words=$("$1" help --words 2>/dev/null)
	elif [ "$command" = help ]; then
		[ "$COMP_CWORD" != 2 ] || words=$("$1" help --words 2>/dev/null)
	else
		words=$("$1" help --words "$command" "$before" 2>/dev/null)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _dbutil dbutil
