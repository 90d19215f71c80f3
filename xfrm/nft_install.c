/* Our nftables table in the kernel: one transaction in, JSON out. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/kernel.h"

int xf_nft_run(const char *commands, bool check_only, struct cs_err *err)
{
	return xf_nft_ask(commands, 0, check_only, NULL, err);
}

int xf_nft_delete(struct cs_err *err)
{
	return xf_nft_run("add table inet " XF_TABLE "\ndelete table inet " XF_TABLE "\n", false,
			  err);
}

/* The table's objects; NULL with err when it is not there or cannot be read. */
static json_t *read_table(unsigned flags, struct cs_err *err)
{
	json_t *root, *objects;
	char *listing = NULL;

	if (xf_nft_ask("list table inet " XF_TABLE, NFT_CTX_OUTPUT_JSON | flags, false, &listing,
		       NULL) < 0) {
		cs_fail(err, CS_ENOTFOUND, "there is no nftables table inet " XF_TABLE);
		return NULL;
	}
	root = json_loads(listing, 0, NULL);
	free(listing);
	objects = json_incref(json_object_get(root, "nftables"));
	json_decref(root);
	if (!json_is_array(objects)) {
		json_decref(objects);
		cs_fail(err, CS_EKERNEL, "nftables table inet " XF_TABLE ": unreadable listing");
		return NULL;
	}
	return objects;
}

bool xf_nft_present(uint64_t generation, unsigned n_rules)
{
	json_t *objects = read_table(NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE, NULL), *o;
	bool found = false;
	unsigned rules = 0;
	const char *name;
	char wanted[40];
	size_t i;

	snprintf(wanted, sizeof(wanted), "generation_%" PRIu64, generation);
	json_array_foreach(objects, i, o)
	{
		rules += json_object_get(o, "rule") != NULL;
		name = json_string_value(json_object_get(json_object_get(o, "chain"), "name"));
		if (name && strcmp(name, wanted) == 0)
			found = true;
	}
	json_decref(objects);
	return found && rules == n_rules;
}

/* ---- counters ---- */

struct count_list {
	struct xf_filter_count *v;
	size_t n, cap;
};

/* A number with a colon behind it. */
static bool read_index(const char **text, unsigned *value)
{
	unsigned long n;
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	n = strtoul(*text, &end, 10);
	if (errno || n > UINT_MAX || *end != ':')
		return false;
	*text = end + 1;
	*value = (unsigned)n;
	return true;
}

/* "rule:service:direction", nothing else. */
static bool read_key(const char *comment, struct xf_filter_count *c)
{
	if (!comment || !read_index(&comment, &c->rule) || !read_index(&comment, &c->service))
		return false;
	c->outbound = strcmp(comment, "o") == 0;
	return c->outbound || strcmp(comment, "i") == 0;
}

static bool read_rule(const json_t *rule, struct xf_filter_count *c)
{
	json_t *expressions = json_object_get(rule, "expr"), *e;
	size_t i;

	if (!read_key(json_string_value(json_object_get(rule, "comment")), c))
		return false;
	c->packets = c->bytes = 0;
	json_array_foreach(expressions, i, e)
	{
		const json_t *counter = json_object_get(e, "counter");

		c->packets += (uint64_t)json_integer_value(json_object_get(counter, "packets"));
		c->bytes += (uint64_t)json_integer_value(json_object_get(counter, "bytes"));
	}
	return true;
}

static int by_key(const void *x, const void *y)
{
	const struct xf_filter_count *a = x, *b = y;

	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return (int)b->outbound - (int)a->outbound;
}

/* One filter is several nftables rules (families, local and routed): their counters add up. */
static void report(struct count_list *l, xf_filter_fn *fn, void *arg)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_key);
	for (size_t i = 0, j; i < l->n; i = j) {
		struct xf_filter_count sum = l->v[i];

		for (j = i + 1; j < l->n && by_key(&l->v[i], &l->v[j]) == 0; j++) {
			sum.packets += l->v[j].packets;
			sum.bytes += l->v[j].bytes;
		}
		fn(arg, &sum);
	}
}

int xf_filter_counts(struct xf_kernel *k, xf_filter_fn *fn, void *arg, struct cs_err *err)
{
	struct count_list l = {0};
	json_t *objects, *o;
	size_t i;

	(void)k;
	objects = read_table(NFT_CTX_OUTPUT_TERSE, err);
	if (!objects)
		return err ? (int)err->code : CS_ENOTFOUND;
	l.cap = json_array_size(objects);
	l.v = calloc(l.cap ? l.cap : 1, sizeof(*l.v));
	if (!l.v) {
		json_decref(objects);
		return cs_fail(err, CS_ENOMEM, "no memory for filter counters");
	}
	json_array_foreach(objects, i, o)
	{
		if (read_rule(json_object_get(o, "rule"), &l.v[l.n]))
			l.n++;
	}
	json_decref(objects);
	report(&l, fn, arg);
	free(l.v);
	return 0;
}
