/*
 * The compiler: a tree of statements to a policy. Each file of it makes the objects of one subject
 * once per statement and keeps them in node->made. Private to policy/.
 */
#ifndef POL_COMPILE_H
#define POL_COMPILE_H

#include <stdatomic.h>

#include "policy/diag.h"
#include "policy/pool.h"
#include "policy/value.h"

struct pol_private {
	atomic_uint refs;
	struct pol_pool pool; /* all of the policy but this and the policy itself */
	struct pol_tree *tree;
};

struct pol_build {
	struct pol_tree *tree;
	struct pol_diags *diags;
	struct pol_policy *policy;
	struct pol_pool *pool;
	struct pol_node **index; /* top-level nodes by statement and name */
	unsigned n_index;
	const struct pol_node *key_exchange; /* KeyExchangePolicy, for its defaults; may be NULL */
	struct pol_use *local_uses;          /* of the rules of local_rules, as many */
	unsigned n_services, n_ipsec;        /* so far; beyond the limit: that was told */
	unsigned n_placed; /* the services again, of a rule each time that the policy has it */
};

/* Where a policy or group names a rule. */
struct pol_use {
	struct pol_node *holder;
	const struct pol_item *item;
};

/*
 * What a policy may have with its groups expanded.  Groups named again and again would make a
 * policy that no memory holds from a small file.
 */
#define POL_RULES_MAX       100000u  /* of one of the three policies */
#define POL_SERVICES_MAX    1000000u /* of all filter rules */
#define POL_IPSEC_RULES_MAX (POL_RULE_ID_MAX - POL_RULE_ID_MIN + 1u)

/* ---- findings ---- */

/* item NULL: the finding is about the statement. Marks node as failed. */
void pol_wrong(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
	       const char *attribute, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/*
 * The same about the form of item's value: `word` is what of it is wrong, a part of item->value, or
 * one without length for all of it. What was expected is told with it.
 */
void pol_misvalue(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		  struct pol_word word, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
#define POL_ALL_OF_IT ((struct pol_word){NULL, 0})
/* About a word of the value, where its form is right. */
void pol_wrong_word(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		    struct pol_word word, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void pol_warn(struct pol_build *b, const struct pol_node *node, const struct pol_item *item,
	      const char *attribute, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* What item stands for (its block, or what its name refers to); NULL: unresolved. */
struct pol_node *pol_target(const struct pol_item *item);
/* What item stands for has errors, so node has. */
void pol_inherit(struct pol_build *b, struct pol_node *node, const struct pol_item *item);
/* Pool memory; NULL marks the findings, so that no policy comes of it. */
void *pol_get(struct pol_build *b, size_t n, size_t size);
/* array with a copy of item behind its *n; without memory both stay as they are. */
void *pol_append(struct pol_build *b, void *array, unsigned *n, const void *item, size_t size);
/* Keeps object as what node became, if all went well. The value is node->made. */
const void *pol_done(const struct pol_build *b, struct pol_node *node, void *object);

/* ---- passes ---- */

/* What an earlier compilation left in the tree. */
void pol_forget(struct pol_tree *tree);
/* Kinds, ranges, words, names, what is required and what excludes what: all that rows can say. */
void pol_validate(struct pol_build *b);
/* The same for one statement and what it holds. */
void pol_validate_node(struct pol_build *b, struct pol_node *node, bool global);
/* Builds the index, reports doubles, and sets the target of every reference. */
void pol_resolve(struct pol_build *b);
/* The statement in force; name "" for the policies. */
struct pol_node *pol_lookup(const struct pol_build *b, const char *keyword, const char *name);
/* The same for statements of one scope. */
struct pol_node *pol_lookup_in(const struct pol_build *b, enum pol_scope scope, const char *keyword,
			       const char *name);
/* Which policy a statement at top level belongs to: its file has it, and its kind may be there. */
enum pol_scope pol_scope_of(const struct pol_node *node);

/* ---- subjects; each returns what node->made is afterwards, NULL with errors ---- */

struct pol_ranges {
	struct cs_range *v;
	unsigned n;
};

struct pol_services {
	struct pol_service *v;
	unsigned n;
};

struct pol_generic {
	enum pol_verdict verdict;
	enum pol_log log;
	bool discard_icmp;
};

typedef const void *pol_make_fn(struct pol_build *b, struct pol_node *node);

pol_make_fn pol_make_ranges;      /* IpAddr, IpAddrSet, IpAddrGroup: struct pol_ranges */
pol_make_fn pol_make_services;    /* IpService, IpServiceGroup: struct pol_services */
pol_make_fn pol_make_time;        /* struct pol_time */
pol_make_fn pol_make_generic;     /* struct pol_generic */
pol_make_fn pol_make_data_offer;  /* struct pol_data_offer */
pol_make_fn pol_make_dynvpn;      /* struct pol_dynvpn_action */
pol_make_fn pol_make_manual;      /* struct pol_manvpn_action */
pol_make_fn pol_make_start;       /* struct pol_start_action */
pol_make_fn pol_make_filter_rule; /* struct pol_filter_rule */
pol_make_fn pol_make_identity;    /* Identity of an endpoint or RemoteIdentity: pol_identity */
pol_make_fn pol_make_endpoint;    /* struct pol_sec_endpoint */
pol_make_fn pol_make_ke_offer;    /* struct pol_ke_offer */
pol_make_fn pol_make_ke_action;   /* struct pol_ke_action */
pol_make_fn pol_make_ke_rule;     /* struct pol_ke_rule */
pol_make_fn pol_make_local_rule;  /* struct pol_local_dynvpn */
pol_make_fn pol_make_ttls;        /* PortRange, PortGroup and all of AT-TLS: the node itself */

/* A value of kind POL_K_ADDRS: an address, prefix, range, or All4, Any6 and the like. */
bool pol_range_of(const char *value, struct cs_range *range, struct cs_err *err);
/* ::ffff:0:0/96 and ::/96, which security endpoints may not use. */
bool pol_is_embedded(const struct cs_range *range);
/* The family of all of them, or 0 for a mixture. */
uint8_t pol_family_of(const struct cs_range *ranges, unsigned n);
/* Protocol of an IpService or LocalDynVpnRule, and which selectors a protocol has. */
int pol_protocol_of(const struct pol_node *node);
bool pol_has_ports(int proto);
bool pol_has_type(int proto);
bool pol_has_code(int proto);
/* RefreshLifetime... and RefreshLifesize... of an offer. */
void pol_make_lives(struct pol_build *b, struct pol_node *node, struct pol_life *seconds,
		    struct pol_life *kbytes);
/* HowToEncrypt of an offer; NULL with errors. */
const struct cs_cipher *pol_make_cipher(struct pol_build *b, struct pol_node *node);
/* HowToAuth: AH or ESP, and an algorithm. *null: ESP Null. False with errors. */
bool pol_make_auth(struct pol_build *b, struct pol_node *node, enum pol_proto *proto,
		   const struct cs_integ **integ, bool *null, bool *gmac);
/* The address of an attribute or of what its reference names; the item, NULL: not coded or wrong.
 */
const struct pol_item *pol_make_security_endpoint(struct pol_build *b, struct pol_node *node,
						  const char *keyword, const char *ref_keyword,
						  struct cs_addr *addr);
/* A rule of the policy has a manual action: what both must agree on. item names the action. */
void pol_use_manual(struct pol_build *b, struct pol_node *node, const struct pol_item *item,
		    const struct pol_filter_rule *rule);
/*
 * "Ascii text", "Ebcdic text" or "Hex digits" to bytes in memory of their own, with a NUL byte
 * behind them. False with *wrong set, or when memory is short.
 */
bool pol_make_bytes(struct pol_build *b, const char *text, size_t max, struct cs_bytes *bytes,
		    const char **wrong);

/* ---- whole policies ---- */

/*
 * Called for every rule of a policy, groups expanded, in order, up to POL_RULES_MAX, beyond which
 * is an error. group: the group that has it, or
 * NULL; holder and item: the statement and the line in it that name it.
 */
typedef void pol_rule_fn(struct pol_build *b, struct pol_node *rule, const struct pol_node *group,
			 struct pol_node *holder, const struct pol_item *item);
void pol_each_rule(struct pol_build *b, struct pol_node *policy, pol_rule_fn *fn);
/* What a rule keeps of its group. */
void pol_set_group(char name[static POL_NAME_MAX + 1], const struct pol_node *group);
/* IpFilterPolicy's switches, which objects are checked against. */
void pol_begin_filter_policy(struct pol_build *b);
void pol_make_filter_policy(struct pol_build *b);
void pol_make_ke_policy(struct pol_build *b);
/* Whether rules with RemoteIdentity can ever have a peer; behind both policies. */
void pol_check_identities(struct pol_build *b);
void pol_make_local_policy(struct pol_build *b);
void pol_make_ttls_policy(struct pol_build *b);

#endif
