#!/bin/sh
# Run the test programs given, all of them whatever fails; TAP on stdout, a sum
# at the end.  Exit status 1 if any test failed or a program ended badly.
status=0
total=0
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for program in "$@"; do
	echo "# $(basename "$program")"
	CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$program" > "$out" 2>&1
	rc=$?
	cat "$out"
	ok=$(grep -c '^ok ' "$out")
	bad=$(grep -c '^not ok ' "$out")
	plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | awk '{ n += $1 } END { print n + 0 }')
	total=$((total + ok + bad))
	failed=$((failed + bad))
	if [ "$rc" -ne 0 ] || [ "$bad" -ne 0 ]; then status=1; fi
	if [ "${plan:-0}" -ne $((ok + bad)) ] || [ "${plan:-0}" -eq 0 ]; then
		echo "# $(basename "$program"): planned ${plan:-nothing}, ran $((ok + bad)), exit status $rc"
		status=1
	fi
done
echo "# client tests: $total run, $failed failed, exit status $status"
exit $status
