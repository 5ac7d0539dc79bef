/*-------------------------------------------------------------------------
 *
 * plan_json.c
 *	  Reads EXPLAIN (FORMAT JSON) output into nodes.
 *
 * Output of any server since 13 will do, and what tools wrap around it: the
 * array that EXPLAIN gives, one object of it (auto_explain logs that), a bare
 * node, or a row as psql and drivers print it ("QUERY PLAN": [...]).  Only what
 * every rule needs becomes part of a node; rules read the rest by key.  The
 * input is a user's: a field that is missing, mistyped or a number that no
 * server prints is "not told", never an error, but an object that has no "Node
 * Type" where a node must be is no plan.
 *
 * Nodes point into the jsonb value and live no longer than it.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

pg_noreturn static void
not_a_plan(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the JSON value is not a plan"),
			 errhint("Pass the output of EXPLAIN (FORMAT JSON), with or without ANALYZE.")));
}

/* ---------- fields of an object ---------- */

static JsonbValue *
field(JsonbContainer *object, const char *key)
{
	if (object == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

/*
 * False if the field is no number, or negative, or beyond what calculations
 * with it can hold; *result is then left alone.
 */
bool
dbu_explain_number(JsonbContainer *object, const char *key, double *result)
{
	JsonbValue *value = field(object, key);
	double		number;

	if (value == NULL || value->type != jbvNumeric)
		return false;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												NumericGetDatum(value->val.numeric)));
	if (!(number >= 0 && number <= DBU_MAX_FIGURE))
		return false;
	*result = number;
	return true;
}

/* Is the field there and true? */
bool
dbu_explain_flag(JsonbContainer *object, const char *key)
{
	JsonbValue *value = field(object, key);

	return value != NULL && value->type == jbvBool && value->val.boolean;
}

/* NULL if the field is no string. */
char *
dbu_explain_text(JsonbContainer *object, const char *key)
{
	JsonbValue *value = field(object, key);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Is the node of that type, as EXPLAIN calls it? */
bool
dbu_explain_is_type(const DbuPlanNode *node, const char *type)
{
	return strcmp(node->type, type) == 0;
}

/* Does the node's field say just this? */
bool
dbu_explain_has_word(const DbuPlanNode *node, const char *key, const char *word)
{
	char	   *text = dbu_explain_text(node->fields, key);

	return text != NULL && strcmp(text, word) == 0;
}

static JsonbContainer *
as_container(JsonbValue *value, bool array)
{
	if (value == NULL || value->type != jbvBinary)
		return NULL;
	if (array ? JsonContainerIsArray(value->val.binary.data) :
		JsonContainerIsObject(value->val.binary.data))
		return value->val.binary.data;
	return NULL;
}

/* NULL if the field is no object. */
JsonbContainer *
dbu_explain_object(JsonbContainer *object, const char *key)
{
	return as_container(field(object, key), false);
}

/* The objects of an array, NULL in place of an element that is none. */
List *
dbu_explain_objects(JsonbContainer *object, const char *key)
{
	JsonbContainer *array = as_container(field(object, key), true);
	List	   *objects = NIL;

	if (array == NULL)
		return NIL;
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
		objects = lappend(objects, as_container(getIthJsonbValueFromContainer(array, i), false));
	return objects;
}

/* The texts of an array with commas between them; NULL if there are none. */
char *
dbu_explain_texts(JsonbContainer *object, const char *key)
{
	JsonbContainer *array = as_container(field(object, key), true);
	StringInfoData texts;

	if (array == NULL)
		return NULL;
	initStringInfo(&texts);
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type == jbvString)
			appendStringInfo(&texts, "%s%.*s", texts.len > 0 ? ", " : "",
							 element->val.string.len, element->val.string.val);
	}
	return texts.len > 0 ? texts.data : NULL;
}

/* ---------- nodes ---------- */

/* Steps of a path with more steps put after them. */
static char *
more_steps(const char *steps, const char *more)
{
	return psprintf("%s%s%s", steps, steps[0] != '\0' ? "," : "", more);
}

/*
 * The path of a node, or of a statement (node is NULL), as text[] literal.  It
 * is made when it is asked for: paths of all nodes would be quadratic in depth.
 */
char *
dbu_explain_path(const DbuPlanStatement *statement, const DbuPlanNode *node)
{
	StringInfoData path;
	List	   *way = NIL;

	for (; node != NULL; node = node->parent)
		way = lappend(way, unconstify(DbuPlanNode *, node));
	initStringInfo(&path);
	appendStringInfo(&path, "{%s", way ? "" : statement->steps);
	for (int i = list_length(way) - 1; i >= 0; i--)
	{
		const char *steps = ((DbuPlanNode *) list_nth(way, i))->steps;

		appendStringInfo(&path, "%s%s", path.len > 1 ? "," : "", steps);
	}
	list_free(way);
	appendStringInfoChar(&path, '}');
	return path.data;
}

/*
 * How many processes execute a node.  Gather's own process executes what hangs
 * on it besides its input: subplans, and InitPlans before any worker starts.
 * Its input is executed once by each process that takes part; the leader may
 * have been too busy with the rows of the others, or told not to.
 */
static double
processes_of(const DbuPlanNode *node)
{
	const DbuPlanNode *parent = node->parent;
	double		workers;

	if (parent == NULL)
		return 1;
	if (strcmp(node->relationship, "InitPlan") != 0 &&
		strcmp(node->relationship, "SubPlan") != 0 &&
		dbu_explain_number(parent->fields, "Workers Launched", &workers) && workers > 0)
		return Max(1, Min(workers + 1, parent->executed ? node->loops / parent->loops : 1));
	return parent->processes;
}

static DbuPlanNode *
read_node(DbuPlanStatement *statement, JsonbContainer *object, DbuPlanNode *parent,
		  const char *steps)
{
	DbuPlanNode *node = palloc0(sizeof(DbuPlanNode));
	char	   *relationship;
	List	   *children;
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	node->parent = parent;
	node->fields = object;
	node->steps = steps;
	node->type = object ? dbu_explain_text(object, "Node Type") : NULL;
	if (node->type == NULL)
		not_a_plan();
	relationship = dbu_explain_text(object, "Parent Relationship");
	node->relationship = relationship ? relationship : "";
	node->schema = dbu_explain_text(object, "Schema");
	node->relation = dbu_explain_text(object, "Relation Name");
	node->alias = dbu_explain_text(object, "Alias");
	dbu_explain_number(object, "Plan Rows", &node->plan_rows);
	if (dbu_explain_number(object, "Actual Rows", &node->rows) &&
		dbu_explain_number(object, "Actual Loops", &node->loops))
	{
		statement->measured = true;
		node->measured = true;
		node->executed = node->loops > 0;
	}
	node->processes = processes_of(node);

	statement->nodes = lappend(statement->nodes, node);
	children = dbu_explain_objects(object, "Plans");
	foreach(lc, children)
	{
		node->children = lappend(node->children,
								 read_node(statement, lfirst(lc), node,
										   psprintf("Plans,%d", foreach_current_index(lc))));
	}
	return node;
}

static DbuPlanStatement *
read_statement(JsonbContainer *object, const char *steps)
{
	DbuPlanStatement *statement = palloc0(sizeof(DbuPlanStatement));
	JsonbContainer *plan = dbu_explain_object(object, "Plan");

	statement->steps = steps;
	statement->planning_ms = -1;
	statement->execution_ms = -1;
	if (plan != NULL)
	{
		statement->fields = object;
		statement->root = read_node(statement, plan, NULL, more_steps(steps, "Plan"));
		dbu_explain_number(object, "Planning Time", &statement->planning_ms);
		dbu_explain_number(object, "Execution Time", &statement->execution_ms);
	}
	else
		statement->root = read_node(statement, object, NULL, steps);
	return statement;
}

static List *
read_container(JsonbContainer *container, const char *steps)
{
	List	   *statements = NIL;

	check_stack_depth();
	if (JsonContainerIsArray(container))
	{
		for (uint32 i = 0; i < JsonContainerSize(container); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(container, i);

			/* what rules add may have no plan: EXPLAIN prints its name only */
			if (element->type == jbvString)
				continue;
			if (element->type != jbvBinary)
				not_a_plan();
			statements = list_concat(statements,
									 read_container(element->val.binary.data,
													more_steps(steps, psprintf("%u", i))));
		}
	}
	else
	{
		JsonbContainer *row = as_container(field(container, "QUERY PLAN"), true);

		if (row != NULL)
			return read_container(row, more_steps(steps, "\"QUERY PLAN\""));
		statements = list_make1(read_statement(container, steps));
	}
	return statements;
}

/* The statements in the output of EXPLAIN: DbuPlanStatement *, at least one. */
List *
dbu_explain_read_plan(Jsonb *plan)
{
	List	   *statements = NIL;

	if (!JB_ROOT_IS_SCALAR(plan))
		statements = read_container(&plan->root, "");
	if (statements == NIL)
		not_a_plan();
	return statements;
}

/* The table of a node, quoted as in SQL; NULL if it has none. */
char *
dbu_explain_node_relation(const DbuPlanNode *node)
{
	if (node->relation == NULL)
		return NULL;
	return quote_qualified_identifier(node->schema, node->relation);
}

/* As EXPLAIN's text format would begin the node's line. */
char *
dbu_explain_node_label(const DbuPlanNode *node)
{
	char	   *index = dbu_explain_text(node->fields, "Index Name");
	char	   *relation = dbu_explain_node_relation(node);
	StringInfoData label;

	initStringInfo(&label);
	appendStringInfoString(&label, node->type);
	if (index != NULL)
		appendStringInfo(&label, " using %s", quote_identifier(index));
	if (relation != NULL)
		appendStringInfo(&label, " on %s", relation);
	if (relation != NULL && node->alias != NULL && strcmp(node->alias, node->relation) != 0)
		appendStringInfo(&label, " %s", quote_identifier(node->alias));
	return label.data;
}

/* The first child that stands in this relationship to its parent, or NULL. */
DbuPlanNode *
dbu_explain_child(const DbuPlanNode *node, const char *relationship)
{
	ListCell   *lc;

	foreach(lc, node->children)
	{
		DbuPlanNode *child = lfirst(lc);

		if (strcmp(child->relationship, relationship) == 0)
			return child;
	}
	return NULL;
}

/* Rows of all loops; the estimate for one loop if there are no actual ones. */
double
dbu_explain_node_rows(const DbuPlanNode *node)
{
	return node->executed ? node->rows * node->loops : node->plan_rows;
}
