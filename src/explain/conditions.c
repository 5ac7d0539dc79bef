/*-------------------------------------------------------------------------
 *
 * conditions.c
 *	  Reads the texts of conditions, as EXPLAIN prints them.
 *
 * A foreign plan has no expressions but these texts.  They are taken apart only
 * as far as their parentheses and quotes say without doubt: the parts of an
 * AND, and the two sides of an equality.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "miscadmin.h"

/*
 * The first place outside of parentheses and quotes where a word stands, or
 * NULL.  Quotes inside of quotes are doubled, so that counting them is enough.
 */
static const char *
find_outside(const char *text, const char *word)
{
	size_t		length = strlen(word);
	int			depth = 0;
	char		quote = '\0';

	for (const char *c = text; *c != '\0'; c++)
	{
		if (quote == '\0' && depth == 0 && strncmp(c, word, length) == 0)
			return c;
		if (quote != '\0')
			quote = *c == quote ? '\0' : quote;
		else if (*c == '\'' || *c == '"')
			quote = *c;
		else if (*c == '(' || *c == '[')
			depth++;
		else if (*c == ')' || *c == ']')
			depth--;
	}
	return NULL;
}

/* A text without the parentheses around the whole of it. */
static char *
without_parentheses(const char *text)
{
	char	   *copy = pstrdup(text);

	for (;;)
	{
		size_t		length = strlen(copy);

		/* the one that opens is closed by the last character, not before */
		if (length < 2 || copy[0] != '(' || copy[length - 1] != ')')
			return copy;
		copy[length - 1] = '\0';
		if (find_outside(copy + 1, ")") != NULL)
		{
			copy[length - 1] = ')';
			return copy;
		}
		copy++;
	}
}

/* The conditions that AND ties together: char *; NIL for NULL. */
List *
dbu_explain_conjuncts(const char *condition)
{
	List	   *conjuncts = NIL;
	const char *rest;
	const char *end;

	if (condition == NULL)
		return NIL;
	rest = without_parentheses(condition);
	while ((end = find_outside(rest, " AND ")) != NULL)
	{
		conjuncts = lappend(conjuncts, without_parentheses(pnstrdup(rest, end - rest)));
		rest = end + strlen(" AND ");
	}
	return lappend(conjuncts, without_parentheses(rest));
}

/* What a condition says to be equal, two texts at most, put into a list. */
static List *
equated(const char *conjunct, List *values)
{
	const char *equals = find_outside(conjunct, " = ");

	if (equals != NULL)
	{
		values = lappend(values, without_parentheses(pnstrdup(conjunct, equals - conjunct)));
		return lappend(values, without_parentheses(equals + strlen(" = ")));
	}
	/* a boolean column is its own condition */
	if (strncmp(conjunct, "NOT ", 4) == 0)
		return lappend(values, pstrdup("false"));
	if (strchr(conjunct, ' ') == NULL)
		return lappend(values, pstrdup("true"));
	return values;
}

/* What the conditions of a node, and of all below it, say to be equal: char *. */
List *
dbu_explain_equated_values(const DbuPlanNode *node, List *values)
{
	static const char *const keys[] = {"Index Cond", "Recheck Cond", "Filter"};
	char	   *remote = dbu_explain_text(node->fields, "Remote SQL");
	const char *where = remote ? strstr(remote, " WHERE ") : NULL;
	ListCell   *lc;

	check_stack_depth();
	for (int i = 0; i < lengthof(keys) + 1; i++)
	{
		List	   *conjuncts = i < lengthof(keys) ?
			dbu_explain_conjuncts(dbu_explain_text(node->fields, keys[i])) :
			dbu_explain_conjuncts(where ? where + strlen(" WHERE ") : NULL);

		foreach(lc, conjuncts)
			values = equated(lfirst(lc), values);
	}
	foreach(lc, node->children)
		values = dbu_explain_equated_values(lfirst(lc), values);
	return values;
}

/* Does a condition only ask for values that are not null? */
bool
dbu_explain_only_not_null(const char *condition)
{
	static const char asked[] = " IS NOT NULL";
	List	   *conjuncts = dbu_explain_conjuncts(condition);
	ListCell   *lc;

	foreach(lc, conjuncts)
	{
		const char *conjunct = lfirst(lc);
		const char *at = find_outside(conjunct, asked);

		if (at == NULL || at[sizeof(asked) - 1] != '\0')
			return false;
	}
	return true;
}
