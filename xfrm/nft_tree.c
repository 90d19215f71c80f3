/*
 * From a list to a decision tree.  Below a node stand, for each value of one field, the lines that
 * can match a packet with that value, in written order: so the first that matches below is the
 * first of the list.
 *
 * A line that asks for a wide range, or not for the field at all, is copied below many values. That
 * is paid for from an allowance, a multiple of the list; where no field is worth its price the list
 * is cut into parts that are tried in order, each a tree of its own.
 *
 * When it checks a table the kernel walks every way from a hook to a verdict, one for each element
 * of a map, though many lead to one chain.  Below a map of maps these are a product, so there is an
 * allowance of lines walked, too.
 */
#include <stdlib.h>
#include <string.h>

#include "xfrm/nft_model.h"

/* Lines in all leaves: so many times those of the list, and some more for small lists. */
#define COPIES_FACTOR 4
#define COPIES_MORE   64

/* Lines that the kernel walks through when it checks the tree; a million took the lab kernel half a
 * minute and more.
 */
#define WALK_FACTOR 16
#define WALK_MORE   (1u << 17)

/* What a part of the tree may cost. */
struct allowance {
	size_t copies, walk;
};

struct build {
	struct xf_tree *tree;
	bool failed; /* no memory */
};

/* ---- what a field's values lead to ---- */

/* A range begins or ends. */
struct edge {
	struct xf_value at; /* of an end: the first value behind it */
	unsigned line;
	bool end;
};

/* Some lines that ask for the field, in order; of two equal lists one is kept. */
struct bucket {
	unsigned *lines, n;
	uint64_t hash;
	struct xf_node *node;
};

struct span {
	struct xf_value lo, hi;
	size_t bucket;
};

struct split {
	enum xf_field field;
	unsigned *any, n_any; /* lines that do not ask for it */
	struct edge *edges;
	size_t n_edges;
	struct bucket *buckets;
	size_t n_buckets, cap_buckets;
	size_t *table, table_size; /* by hash: number of the bucket and 1 */
	struct span *spans;
	size_t n_spans, cap_spans;
	unsigned *active, n_active;
	size_t copies, walk;
	double score; /* lines that are left below, of a packet that some line is meant for */
};

static void split_free(struct split *s)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		free(s->buckets[i].lines);
	free(s->any);
	free(s->edges);
	free(s->buckets);
	free(s->table);
	free(s->spans);
	free(s->active);
	memset(s, 0, sizeof(*s));
}

static void *more(struct build *b, void *items, size_t n, size_t *cap, size_t size)
{
	size_t wanted = *cap ? 2 * *cap : 64;
	void *bigger;

	if (n < *cap)
		return items;
	bigger = reallocarray(items, wanted, size);
	if (!bigger) {
		b->failed = true;
		return items;
	}
	*cap = wanted;
	return bigger;
}

static int by_place(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;

	return xf_value_compare(a->at, b->at);
}

static void put_edge(struct build *b, struct split *s, size_t *cap, struct xf_value at,
		     unsigned line, bool end)
{
	s->edges = more(b, s->edges, s->n_edges, cap, sizeof(*s->edges));
	if (!b->failed)
		s->edges[s->n_edges++] = (struct edge){at, line, end};
}

static void put_edges(struct build *b, struct split *s, const unsigned *lines, unsigned n)
{
	size_t cap = 0;

	for (unsigned i = 0; i < n && !b->failed; i++) {
		const struct xf_line *l = &b->tree->lines.v[lines[i]];
		unsigned count = xf_line_intervals(l, s->field);

		if (xf_line_any(l, s->field)) {
			s->any[s->n_any++] = lines[i];
			continue;
		}
		for (unsigned k = 0; k < count && !b->failed; k++) {
			struct xf_interval r = xf_line_interval(l, s->field, k);

			put_edge(b, s, &cap, r.lo, lines[i], false);
			if (xf_value_next(&r.hi))
				put_edge(b, s, &cap, r.hi, lines[i], true);
		}
	}
	if (s->n_edges)
		qsort(s->edges, s->n_edges, sizeof(*s->edges), by_place);
}

/* Where a line stands, or would, among the active ones, which are in order. */
static unsigned place_of(const struct split *s, unsigned line)
{
	unsigned low = 0, high = s->n_active;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (s->active[mid] < line)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void activate(struct split *s, unsigned line)
{
	unsigned at = place_of(s, line);

	memmove(s->active + at + 1, s->active + at, (s->n_active - at) * sizeof(*s->active));
	s->active[at] = line;
	s->n_active++;
}

static void deactivate(struct split *s, unsigned line)
{
	unsigned at = place_of(s, line);

	s->n_active--;
	memmove(s->active + at, s->active + at + 1, (s->n_active - at) * sizeof(*s->active));
}

static uint64_t hash_of(const unsigned *lines, unsigned n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (unsigned i = 0; i < n; i++)
		h = (h ^ lines[i]) * 0x100000001b3u;
	return h;
}

static bool is_bucket(const struct bucket *k, uint64_t hash, const unsigned *lines, unsigned n)
{
	return k->hash == hash && k->n == n && memcmp(k->lines, lines, n * sizeof(*lines)) == 0;
}

/* The number of the bucket with the active lines, which is made when there is none. */
static size_t bucket_of(struct build *b, struct split *s)
{
	uint64_t hash = hash_of(s->active, s->n_active);
	size_t slot = hash & (s->table_size - 1);
	struct bucket *k;

	for (; s->table[slot]; slot = (slot + 1) & (s->table_size - 1))
		if (is_bucket(&s->buckets[s->table[slot] - 1], hash, s->active, s->n_active))
			return s->table[slot] - 1;
	s->buckets = more(b, s->buckets, s->n_buckets, &s->cap_buckets, sizeof(*s->buckets));
	if (b->failed)
		return 0;
	k = &s->buckets[s->n_buckets];
	*k = (struct bucket){.n = s->n_active, .hash = hash};
	k->lines = malloc(s->n_active * sizeof(*k->lines));
	if (!k->lines) {
		b->failed = true;
		return 0;
	}
	memcpy(k->lines, s->active, s->n_active * sizeof(*k->lines));
	s->table[slot] = ++s->n_buckets;
	return s->n_buckets - 1;
}

/* The values from lo to hi have the active lines. */
static void put_span(struct build *b, struct split *s, struct xf_value lo, struct xf_value hi)
{
	size_t had = s->n_buckets, bucket = bucket_of(b, s);

	if (b->failed)
		return;
	if (s->n_buckets > had)
		s->copies += s->n_active + s->n_any;
	s->walk += s->n_active + s->n_any;
	s->spans = more(b, s->spans, s->n_spans, &s->cap_spans, sizeof(*s->spans));
	if (!b->failed)
		s->spans[s->n_spans++] = (struct span){lo, hi, bucket};
}

static struct xf_value last_of(enum xf_field field, uint8_t family)
{
	switch (field) {
	case XF_BY_SADDR:
	case XF_BY_DADDR:
		if (family == AF_INET6)
			return (struct xf_value){UINT64_MAX, UINT64_MAX};
		return (struct xf_value){0, UINT32_MAX};
	case XF_BY_FAMILY:
	case XF_BY_PROTO:
		return (struct xf_value){0, 255};
	case XF_BY_SPORT:
	case XF_BY_DPORT:
		break;
	}
	return (struct xf_value){0, 65535};
}

static bool is_paid(const struct split *s, struct allowance a)
{
	return s->copies <= a.copies && s->walk <= a.walk;
}

/* Goes through the values in order, as long as it is paid for. */
static void sweep(struct build *b, struct split *s, struct xf_value last, struct allowance a)
{
	for (size_t i = 0, j; i < s->n_edges && is_paid(s, a) && !b->failed; i = j) {
		struct xf_value at = s->edges[i].at, hi = last;

		for (j = i; j < s->n_edges && xf_value_compare(s->edges[j].at, at) == 0; j++)
			if (!s->edges[j].end)
				activate(s, s->edges[j].line);
		for (size_t k = i; k < j; k++)
			if (s->edges[k].end)
				deactivate(s, s->edges[k].line);
		if (j < s->n_edges) {
			hi = s->edges[j].at;
			if (hi.low-- == 0)
				hi.high--;
		}
		/* An end behind the last value begins no span. */
		if (s->n_active && xf_value_compare(at, last) <= 0)
			put_span(b, s, at, hi);
	}
}

static void set_score(struct split *s)
{
	double squares = (double)s->n_any * s->n_any;

	for (size_t i = 0; i < s->n_buckets; i++) {
		double n = (double)s->buckets[i].n + s->n_any;

		squares += n * n;
	}
	s->score = s->copies ? squares / (double)s->copies : 0;
}

/*
 * The least that the kernel walks through below a map of the field: there is a span for each
 * interval of each line, or more. What is too dear by this alone is not even sorted, so that the
 * work of building is bounded as its result is, whatever a group has of members.
 */
static size_t least_walk(const struct build *b, enum xf_field field, const unsigned *lines,
			 unsigned n)
{
	size_t walk = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct xf_line *l = &b->tree->lines.v[lines[i]];

		walk += xf_line_any(l, field) ? 1 : xf_line_intervals(l, field);
	}
	return walk;
}

/* How the lines fall apart by a field. False: it costs more than is allowed, or no memory. */
static bool split(struct build *b, enum xf_field field, const unsigned *lines, unsigned n,
		  struct allowance a, struct split *s)
{
	*s = (struct split){.field = field, .table_size = 64};
	if (least_walk(b, field, lines, n) > a.walk)
		return false;
	s->any = calloc(n, sizeof(*s->any));
	s->active = calloc(n + 1u, sizeof(*s->active));
	if (!s->any || !s->active)
		b->failed = true;
	else
		put_edges(b, s, lines, n);
	while (s->table_size < 2 * s->n_edges + 2)
		s->table_size *= 2;
	s->table = calloc(s->table_size, sizeof(*s->table));
	if (!s->table)
		b->failed = true;
	if (!b->failed) {
		s->copies = s->walk = s->n_any;
		sweep(b, s, last_of(field, b->tree->lines.v[lines[0]].family), a);
		set_score(s);
	}
	return !b->failed && is_paid(s, a);
}

/* ---- nodes ---- */

static struct xf_node *node_new(struct build *b, enum xf_node_kind kind, const unsigned *lines,
				unsigned n)
{
	struct xf_node *node = calloc(1, sizeof(*node));

	if (!node) {
		b->failed = true;
		return NULL;
	}
	node->kind = kind;
	node->next = b->tree->nodes;
	b->tree->nodes = node;
	node->lines = malloc(n * sizeof(*node->lines));
	if (!node->lines) {
		b->failed = true;
		return NULL;
	}
	memcpy(node->lines, lines, n * sizeof(*node->lines));
	node->n_lines = n;
	return node;
}

static struct xf_node *build_node(struct build *b, const unsigned *lines, unsigned n,
				  struct allowance a, unsigned depth, bool family);

static struct xf_node *leaf(struct build *b, const unsigned *lines, unsigned n)
{
	b->tree->copies += n;
	return node_new(b, XF_LEAF, lines, n);
}

/* Two lists in order, as one. */
static void merge(const unsigned *a, unsigned n_a, const unsigned *b, unsigned n_b, unsigned *to)
{
	while (n_a || n_b) {
		if (n_b == 0 || (n_a && *a < *b)) {
			*to++ = *a++;
			n_a--;
		} else {
			*to++ = *b++;
			n_b--;
		}
	}
}

static size_t part_of(size_t all, size_t n, size_t of)
{
	size_t part = (size_t)((double)all * (double)n / (double)of);

	return part > n ? part : n;
}

/* What n lines may cost, of so many that are copied and walked here: it is shared out by size. */
static struct allowance share(struct allowance a, size_t n, size_t copies, size_t walk)
{
	return (struct allowance){part_of(a.copies, n, copies), part_of(a.walk, n, walk)};
}

static struct xf_node *bucket_node(struct build *b, const struct split *s, struct bucket *k,
				   struct allowance a, unsigned depth)
{
	unsigned n = k->n + s->n_any, *lines;

	if (k->node)
		return k->node;
	lines = malloc(n * sizeof(*lines));
	if (!lines) {
		b->failed = true;
		return NULL;
	}
	merge(k->lines, k->n, s->any, s->n_any, lines);
	k->node = build_node(b, lines, n, share(a, n, s->copies, s->walk), depth, true);
	free(lines);
	return k->node;
}

static struct xf_node *map(struct build *b, struct split *s, const unsigned *lines, unsigned n,
			   struct allowance a, unsigned depth)
{
	struct xf_node *node = node_new(b, XF_MAP, lines, n);

	if (b->failed)
		return NULL;
	node->field = s->field;
	node->arms = calloc(s->n_spans, sizeof(*node->arms));
	if (!node->arms) {
		b->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < s->n_spans && !b->failed; i++)
		node->arms[node->n_arms++] = (struct xf_arm){
			s->spans[i].lo, s->spans[i].hi,
			bucket_node(b, s, &s->buckets[s->spans[i].bucket], a, depth - 1)};
	if (s->n_any && !b->failed)
		node->otherwise =
			build_node(b, s->any, s->n_any, share(a, s->n_any, s->copies, s->walk),
				   depth - 1, true);
	return node;
}

/* The field that leaves the fewest lines, if that is half of them or less. */
static bool best_split(struct build *b, const unsigned *lines, unsigned n, struct allowance a,
		       struct split *best)
{
	bool found = false;

	for (enum xf_field f = XF_BY_SADDR; f <= XF_BY_DPORT && !b->failed; f++) {
		struct split s;

		if (split(b, f, lines, n, a, &s) && 2 * s.score <= n &&
		    (!found || s.score < best->score)) {
			if (found)
				split_free(best);
			*best = s;
			found = true;
		} else {
			split_free(&s);
		}
	}
	if (found && b->failed)
		split_free(best);
	return found && !b->failed;
}

/* ---- parts that are tried in order ---- */

static void put_part(struct build *b, struct xf_node *sequence, size_t *cap, struct xf_node *part)
{
	sequence->parts =
		more(b, sequence->parts, sequence->n_parts, cap, sizeof(struct xf_node *));
	if (!b->failed && part)
		sequence->parts[sequence->n_parts++] = part;
}

/* Small parts behind each other are one. */
static void put_leaf(struct build *b, struct xf_node *sequence, size_t *cap, const unsigned *lines,
		     unsigned n)
{
	struct xf_node *last = sequence->n_parts ? sequence->parts[sequence->n_parts - 1] : NULL;
	unsigned *bigger;

	if (!last || last->kind != XF_LEAF) {
		put_part(b, sequence, cap, leaf(b, lines, n));
		return;
	}
	bigger = reallocarray(last->lines, last->n_lines + n, sizeof(*bigger));
	if (!bigger) {
		b->failed = true;
		return;
	}
	memcpy(bigger + last->n_lines, lines, n * sizeof(*bigger));
	last->lines = bigger;
	last->n_lines += n;
	b->tree->copies += n;
}

/* Halves the lines until a field is worth its price. */
static void cut(struct build *b, struct xf_node *sequence, size_t *cap, const unsigned *lines,
		unsigned n, struct allowance a, unsigned depth)
{
	struct split s;
	unsigned half = n / 2;

	if (b->failed)
		return;
	if (n <= XF_LEAF_LINES) {
		put_leaf(b, sequence, cap, lines, n);
		return;
	}
	if (best_split(b, lines, n, a, &s)) {
		put_part(b, sequence, cap, map(b, &s, lines, n, a, depth));
		split_free(&s);
		return;
	}
	cut(b, sequence, cap, lines, half, share(a, half, n, n), depth);
	cut(b, sequence, cap, lines + half, n - half, share(a, n - half, n, n), depth);
}

static struct xf_node *sequence(struct build *b, const unsigned *lines, unsigned n,
				struct allowance a, unsigned depth)
{
	struct xf_node *node = node_new(b, XF_SEQUENCE, lines, n);
	size_t cap = 0;

	if (node)
		cut(b, node, &cap, lines, n, a, depth - 1);
	return node;
}

/* family: all lines are of one. */
static struct xf_node *build_node(struct build *b, const unsigned *lines, unsigned n,
				  struct allowance a, unsigned depth, bool family)
{
	static const struct allowance unlimited = {SIZE_MAX, SIZE_MAX};
	struct xf_node *node = NULL;
	struct split s;

	if (b->failed)
		return NULL;
	/* A sequence of maps needs two levels more. */
	if (n <= XF_LEAF_LINES || depth < 2)
		return leaf(b, lines, n);
	if (!family) {
		if (split(b, XF_BY_FAMILY, lines, n, unlimited, &s))
			node = map(b, &s, lines, n, a, depth);
		split_free(&s);
		return node;
	}
	if (best_split(b, lines, n, a, &s)) {
		node = map(b, &s, lines, n, a, depth);
		split_free(&s);
		return node;
	}
	return depth < 3 ? leaf(b, lines, n) : sequence(b, lines, n, a, depth);
}

bool xf_tree_build(struct xf_lines *lines, struct xf_tree *tree)
{
	size_t n = lines->n;
	struct allowance a = {COPIES_FACTOR * n + COPIES_MORE, WALK_FACTOR * n + WALK_MORE};
	struct build b = {.tree = tree};
	unsigned *all;

	*tree = (struct xf_tree){.lines = *lines};
	*lines = (struct xf_lines){0};
	if (tree->lines.n == 0)
		return true;
	all = calloc(tree->lines.n, sizeof(*all));
	if (!all)
		return false;
	for (unsigned i = 0; i < tree->lines.n; i++)
		all[i] = i;
	tree->root = build_node(&b, all, tree->lines.n, a, XF_TREE_DEPTH, false);
	free(all);
	return !b.failed;
}

void xf_tree_free(struct xf_tree *tree)
{
	struct xf_node *node = tree->nodes;

	while (node) {
		struct xf_node *next = node->next;

		free(node->lines);
		free(node->arms);
		free(node->parts);
		free(node);
		node = next;
	}
	xf_lines_free(&tree->lines);
	*tree = (struct xf_tree){0};
}
