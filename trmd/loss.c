/* Counters of rules less records. */
#include "trmd/loss.h"

#include <stdlib.h>
#include <string.h>

#define RULES_MAX    16384           /* and directions */
#define SERVICES_MAX 256             /* of a rule that is added up */
#define COUNT_MAX    (INT64_MAX / 4) /* in a state: they are added and subtracted */

struct rule {
	char key[TRMD_RULE_NAME];
	bool outbound;
	char name[TRMD_RULE_NAME]; /* for people */
	uint64_t records, asked;   /* asked: records when the counter was asked for */
	bool known;                /* the counter has been seen, and each packet is logged */
	uint64_t counter;          /* last seen */
	int64_t counted; /* all that it counted since the beginning; below it at first, see begin()
			  */
	uint64_t told;
	unsigned absent; /* looks without it */
};

struct trmd_loss {
	struct rule **rules; /* ordered by key and direction */
	unsigned n, room;
	bool looked; /* counters were seen, or a state was loaded */
	bool asked;
	uint64_t untracked;
};

struct trmd_loss *trmd_loss_new(void)
{
	return calloc(1, sizeof(struct trmd_loss));
}

static void clear(struct trmd_loss *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->rules[i]);
	free(l->rules);
	l->rules = NULL;
	l->n = l->room = 0;
}

void trmd_loss_free(struct trmd_loss *l)
{
	if (!l)
		return;
	clear(l);
	free(l);
}

static int side(const struct rule *r, const char *key, bool outbound)
{
	int c = strcmp(r->key, key);

	return c ? c : r->outbound - outbound;
}

/* Where it is, or would be. */
static unsigned place(const struct trmd_loss *l, const char *key, bool outbound, bool *there)
{
	unsigned low = 0, high = l->n;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (side(l->rules[mid], key, outbound) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*there = low < l->n && side(l->rules[low], key, outbound) == 0;
	return low;
}

/* NULL: no memory, or too many. */
static struct rule *rule_of(struct trmd_loss *l, const char *key, bool outbound)
{
	bool there;
	unsigned at = place(l, key, outbound, &there);
	struct rule *r;

	if (there)
		return l->rules[at];
	if (l->n == RULES_MAX)
		return NULL;
	if (l->n == l->room) {
		unsigned room = l->room ? 2 * l->room : 64;
		struct rule **rules = realloc(l->rules, room * sizeof(*rules));

		if (!rules)
			return NULL;
		l->rules = rules;
		l->room = room;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	strncpy(r->key, key, sizeof(r->key) - 1);
	strcpy(r->name, r->key);
	r->outbound = outbound;
	memmove(l->rules + at + 1, l->rules + at, (l->n - at) * sizeof(*l->rules));
	l->rules[at] = r;
	l->n++;
	return r;
}

void trmd_loss_record(struct trmd_loss *l, const struct trmd_event *e)
{
	struct rule *r = rule_of(l, e->name, e->outbound);

	if (r)
		r->records++;
	else
		l->untracked++;
}

void trmd_loss_asked(struct trmd_loss *l)
{
	for (unsigned i = 0; i < l->n; i++)
		l->rules[i]->asked = l->rules[i]->records;
	l->asked = true;
}

/* ---- counters ---- */

/*
 * Filters that differ in addresses alone show the counter that they share.  Two services that look
 * the same are one to the packets: the second counts nothing, so the larger number is the one.
 * False: some of what is counted is not logged, or there are more services than are added up here.
 */
static bool sum(const struct trmd_filter *list, unsigned n, uint64_t *packets)
{
	struct {
		uint64_t service, packets;
	} seen[SERVICES_MAX];
	unsigned n_seen = 0, k;

	for (unsigned i = 0; i < n; i++) {
		if (!list[i].has_packets)
			continue;
		for (k = 0; k < n_seen && seen[k].service != list[i].service; k++)
			;
		if (!list[i].counted || k == SERVICES_MAX)
			return false;
		if (k == n_seen) {
			seen[n_seen].service = list[i].service;
			seen[n_seen++].packets = 0;
		}
		if (list[i].packets > seen[k].packets)
			seen[k].packets = list[i].packets;
	}
	*packets = 0;
	for (k = 0; k < n_seen; k++)
		*packets += seen[k].packets;
	return n_seen > 0;
}

/*
 * The counter of a rule that was there before we looked begins with the records that had come when
 * it was asked for: at most those that were on their way then are not found to be lost.
 */
static void begin(const struct trmd_loss *l, struct rule *r, uint64_t packets)
{
	r->counted = l->looked ? (int64_t)packets : (int64_t)r->asked;
	r->known = true;
}

static void look(const struct trmd_loss *l, struct rule *r, const struct trmd_filter *list,
		 unsigned n)
{
	uint64_t packets;

	r->absent = 0;
	strncpy(r->name, list->name, sizeof(r->name) - 1);
	if (!sum(list, n, &packets)) {
		r->known = false;
		return;
	}
	if (!r->known)
		begin(l, r, packets);
	else /* a counter that is less than it was has begun anew, as a rule does that is changed */
		r->counted += (int64_t)(packets >= r->counter ? packets - r->counter : packets);
	r->counter = packets;
}

/* Rules that three looks have not found are of a policy that is gone. */
static void forget(struct trmd_loss *l)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < l->n; i++) {
		if (l->rules[i]->absent > 2)
			free(l->rules[i]);
		else
			l->rules[kept++] = l->rules[i];
	}
	l->n = kept;
}

int trmd_loss_counters(struct trmd_loss *l, const struct trmd_filters *filters, struct cs_err *err)
{
	unsigned n, all;
	const struct trmd_filter *list = trmd_filters_all(filters, &all);
	struct rule *r;

	if (!l->asked)
		return cs_fail(err, CS_EINVAL, "counters that nobody asked for");
	l->asked = false;
	for (unsigned i = 0; i < l->n; i++)
		l->rules[i]->absent++;
	for (unsigned i = 0; i < all; i += n) {
		trmd_filters_of(filters, list[i].key, list[i].outbound, &n);
		r = rule_of(l, list[i].key, list[i].outbound);
		if (r)
			look(l, r, &list[i], n);
	}
	if (!trmd_filters_cut(filters))
		forget(l);
	l->looked = true;
	return 0;
}

void trmd_loss_settle(struct trmd_loss *l, trmd_lost_fn *fn, void *arg)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct rule *r = l->rules[i];
		int64_t lost = r->counted - (int64_t)r->records;

		if (!r->known || r->absent || lost <= (int64_t)r->told)
			continue;
		if (fn(arg, r->name, r->outbound, (uint64_t)lost - r->told))
			r->told = (uint64_t)lost;
	}
}

uint64_t trmd_loss_untracked(const struct trmd_loss *l)
{
	return l->untracked;
}

/* ---- over a restart ---- */

json_t *trmd_loss_save(const struct trmd_loss *l, const char *boot)
{
	json_t *rules = json_array();
	int failed = !rules;

	for (unsigned i = 0; i < l->n && !failed; i++) {
		const struct rule *r = l->rules[i];

		if (r->known)
			failed = json_array_append_new(
				rules,
				json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "rule", r->key,
					  "outbound", r->outbound, "counter",
					  (json_int_t)r->counter, "counted", (json_int_t)r->counted,
					  "records", (json_int_t)r->records, "told",
					  (json_int_t)r->told));
	}
	if (failed) {
		json_decref(rules);
		return NULL;
	}
	return json_pack("{s:s, s:o}", "boot", boot, "rules", rules);
}

static int load_rule(struct trmd_loss *l, json_t *state, struct cs_err *err)
{
	json_int_t counter, counted, records, told;
	const char *key;
	struct rule *r;
	int outbound;

	if (json_unpack(state, "{s:s, s:b, s:I, s:I, s:I, s:I}", "rule", &key, "outbound",
			&outbound, "counter", &counter, "counted", &counted, "records", &records,
			"told", &told) < 0 ||
	    strlen(key) >= TRMD_RULE_NAME || counter < 0 || counter > COUNT_MAX || records < 0 ||
	    records > COUNT_MAX || told < 0 || told > COUNT_MAX || counted < -COUNT_MAX ||
	    counted > COUNT_MAX)
		return cs_fail(err, CS_EPARSE, "the state of counters is not what was saved");
	r = rule_of(l, key, outbound);
	if (!r)
		return cs_fail(err, CS_ENOMEM, "no memory for the state of counters");
	r->known = true;
	r->counter = (uint64_t)counter;
	r->counted = counted;
	r->records = (uint64_t)records;
	r->told = (uint64_t)told;
	return 0;
}

/* What came before the state was there has been written, and is no loss. */
static int add_records(struct trmd_loss *l, const struct rule *before, struct cs_err *err)
{
	struct rule *r = rule_of(l, before->key, before->outbound);

	if (!r)
		return cs_fail(err, CS_ENOMEM, "no memory for the state of counters");
	r->records += before->records;
	return 0;
}

int trmd_loss_load(struct trmd_loss *l, const json_t *state, const char *boot, struct cs_err *err)
{
	const char *before = json_string_value(json_object_get(state, "boot"));
	const json_t *rules = json_object_get(state, "rules");
	struct trmd_loss loaded = {.looked = true};
	int rc = 0;

	if (!before || !json_is_array(rules))
		return cs_fail(err, CS_EPARSE, "the state of counters is not what was saved");
	if (strcmp(before, boot) != 0)
		return cs_fail(err, CS_ENOTFOUND, "the state of counters is of another boot");
	for (size_t i = 0; i < json_array_size(rules) && rc == 0; i++)
		rc = load_rule(&loaded, json_array_get(rules, i), err);
	for (unsigned i = 0; i < l->n && rc == 0; i++)
		rc = add_records(&loaded, l->rules[i], err);
	if (rc < 0) {
		clear(&loaded);
		return rc;
	}
	loaded.untracked = l->untracked;
	clear(l);
	*l = loaded;
	return 0;
}
