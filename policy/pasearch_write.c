/*
 * pasearch --policy: the policy in force as one policy file.  What nobody coded is written, too, as
 * long as that says the same and brings no warning; else in a comment.  The file compiles to the
 * same policy, because what was replaced is left out and order is kept.
 */
#include <string.h>
#include <time.h>

#include "policy/pasearch.h"

struct block {
	struct pasearch *p;
	unsigned indent;
};

static void put_statement(struct pasearch *p, const struct pol_node *node, const char *keyword,
			  unsigned indent);

/* A line that would be too long for the parser stands without its blanks, as it could be before. */
static void put_line(FILE *out, unsigned indent, const char *keyword, const char *value)
{
	unsigned width = indent + 28;

	if (width + strlen(value) > POL_LINE_MAX)
		fprintf(out, "%s %s\n", keyword, value);
	else if (*value)
		fprintf(out, "%*s%-27s %s\n", (int)indent, "", keyword, value);
	else
		fprintf(out, "%*s%s\n", (int)indent, "", keyword);
}

static void put_default(const struct block *b, const struct pol_field *field, const char *value)
{
	const struct pol_param *param = field->param;
	FILE *out = b->p->out;

	if (field->origin == POL_INHERITED)
		fprintf(out, "%*s# %-25s %s (as %s has it)\n", (int)b->indent, "", param->keyword,
			value, param->inherits);
	else if (param->coding_counts || param->support != POL_SUPPORTED)
		fprintf(out, "%*s# %-25s %s (the default)\n", (int)b->indent, "", param->keyword,
			value);
	else
		put_line(out, b->indent, param->keyword, value);
}

static void put_field(void *arg, const struct pol_field *field)
{
	const struct block *b = arg;
	char text[POL_LINE_MAX + 1];
	const char *value;

	if (!field->value) {
		put_statement(b->p, field->node, field->param->keyword, b->indent);
		return;
	}
	value = pol_field_text(field, b->p->o->secrets, text);
	if (field->origin != POL_CODED)
		put_default(b, field, value);
	else
		put_line(b->p->out, b->indent, field->param->keyword, value);
	explicit_bzero(text, sizeof(text));
}

static void put_statement(struct pasearch *p, const struct pol_node *node, const char *keyword,
			  unsigned indent)
{
	struct block b = {p, indent + 2};

	fprintf(p->out, "%*s%s%s%s\n%*s{\n", (int)indent, "", keyword, node->name ? " " : "",
		node->name ? node->name : "", (int)indent, "");
	pol_fields(&p->view, node, put_field, &b);
	fprintf(p->out, "%*s}\n", (int)indent, "");
}

static bool has_secrets(const struct pol_node *node)
{
	for (unsigned i = 0; i < node->n_items; i++)
		if (node->items[i].param->secret ||
		    (node->items[i].block && has_secrets(node->items[i].block)))
			return true;
	return false;
}

static void put_heading(struct pasearch *p, enum pol_scope scope)
{
	const struct pol_tree *tree = p->stored.tree;
	time_t created = (time_t)p->stored.created;
	bool secrets = false;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&created, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(p->out,
		"# The policy of stack %s as pasearch found it: generation %llu, in force since %s "
		"UTC.\n# Defaults are written out; those in comments would say more, or cause a "
		"warning.\n",
		p->o->stack, (unsigned long long)p->stored.generation, text);
	for (unsigned i = 0; i < tree->n_nodes; i++)
		secrets = secrets || (pol_view_in_force(&p->view, tree->nodes[i], scope) &&
				      has_secrets(tree->nodes[i]));
	if (secrets && p->o->secrets)
		fputs("# It has keys: nobody but root should be able to read it.\n", p->out);
	else if (secrets)
		fputs("# Keys are left out: until each stands in the place of its " POL_NOT_SHOWN
		      ", the file is refused.\n",
		      p->out);
}

/* Names of IPSec and of AT-TLS policy are apart, but in one file they would not be. */
static int check_names(const struct pasearch *p, struct cs_err *err)
{
	const struct pol_build *b = &p->view.build;

	for (unsigned i = 0; i < b->tree->n_nodes; i++) {
		const struct pol_node *node = b->tree->nodes[i], *other;
		const char *name = node->name ? node->name : "";

		if (node->statement->place != POL_IN_BOTH ||
		    !pol_view_in_force(&p->view, node, POL_FOR_IPSEC))
			continue;
		other = pol_lookup_in(b, POL_FOR_TTLS, node->statement->keyword, name);
		if (other && other != node)
			return cs_fail(err, CS_EINVAL,
				       "IPSec and AT-TLS policy each have their own %s%s%s, and "
				       "one file has one: choose with -v a or -t",
				       node->statement->keyword, *name ? " " : "", name);
	}
	return 0;
}

int pasearch_write(struct pasearch *p, struct cs_err *err)
{
	const struct pol_tree *tree = p->stored.tree;
	enum pol_scope scope = pasearch_scope(p->o);
	int rc = scope == POL_FOR_BOTH ? check_names(p, err) : 0;

	if (rc < 0)
		return rc;
	put_heading(p, scope);
	for (unsigned i = 0; i < tree->n_nodes; i++) {
		const struct pol_node *node = tree->nodes[i];

		if (!pol_view_in_force(&p->view, node, scope))
			continue;
		fputc('\n', p->out);
		put_statement(p, node, node->statement->keyword, 0);
		p->shown++;
	}
	return 0;
}
