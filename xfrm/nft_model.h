/*
 * What the filter list of a policy comes to before it is text: for each place where nftables looks
 * at packets its lines in written order, and the decision tree that finds the first line without
 * trying them all.  Private to xfrm/.
 */
#ifndef XF_NFT_MODEL_H
#define XF_NFT_MODEL_H

#include <stdio.h>
#include <time.h>

#include "policy/policy.h"

/* A field's value, as a number of 128 bits. */
struct xf_value {
	uint64_t high, low;
};

struct xf_interval {
	struct xf_value lo, hi; /* both included */
};

struct xf_value xf_value_of(const struct cs_addr *a);
int xf_value_compare(struct xf_value a, struct xf_value b);
/* The value behind it. False: it was the last of all. */
bool xf_value_next(struct xf_value *v);

/* ---- the addresses that rules name ---- */

/* Longer lists of addresses stand in the table once, as a named set that lines refer to. */
#define XF_INLINE_RANGES 8

/* Addresses of one family. */
struct xf_addrs {
	struct xf_addrs *next; /* of all that the book has */
	uint8_t family;
	bool any;               /* all of the family */
	unsigned set;           /* number of its named set; 0: it has none */
	unsigned n;             /* at least one */
	struct xf_interval v[]; /* ascending; between two of them is an address that is not meant */
};

struct xf_rule_addrs {
	bool active;                            /* now; the addresses of others are not here */
	const struct xf_addrs *src[2], *dst[2]; /* of IPv4 and IPv6; NULL: none */
};

/* What the rules of a policy name; equal lists are one. */
struct xf_book {
	struct xf_rule_addrs *rules; /* by index into the policy */
	struct xf_addrs *addrs;
};

/* False: no memory, and nothing to free. */
bool xf_book_make(const struct pol_policy *policy, time_t now, struct xf_book *book);
void xf_book_free(struct xf_book *book);

/* ---- the lines ---- */

/* In which chain, and so in which sense, a service is looked at. */
enum xf_sense {
	XF_OUT_LOCAL,
	XF_IN_LOCAL,
	XF_IN_ROUTED,
	XF_OUT_ROUTED,
	/* Later fragments for this host; they have no ports, so the first one decides for them. */
	XF_IN_FRAGMENT,
};
#define XF_SENSES 5

/* Of TCP segments and fragments, which the line is for. */
enum xf_segment {
	XF_SEGMENT_ANY,
	XF_SEGMENT_NOT_OPENING, /* TCP with its header, but not SYN without ACK */
	XF_SEGMENT_LATER,       /* not the first fragment */
};

/*
 * One service of one rule in one family, as a packet has it: source is the packet's. What a packet
 * does not have, the upper header of a later fragment above all, matches only "any".
 */
struct xf_line {
	unsigned rule, service; /* indices into the policy */
	uint8_t family;
	const struct xf_addrs *src, *dst; /* the book's */
	int proto;                        /* -1: any, known or not */
	uint16_t sport[2], dport[2];      /* 0 and 65535: any */
	unsigned type_at;                 /* which byte of the upper header is the type */
	int type[2], code[2];             /* from, to; -1 is any; the code is the second byte */
	bool fragment;                    /* fragments alone, the first one, too */
	bool opaque;                      /* of IPv6, whose protocol cannot be known */
	enum xf_segment segment;
	uint8_t security_class; /* 0: any */
	bool class_known;       /* not where the interface is not known yet */
};

struct xf_lines {
	struct xf_line *v;
	unsigned n, cap;
};

/*
 * The lines of the rules that are active in the book, which the lines need as long as they are
 * there; in written order. False: no memory.
 */
bool xf_lines_of(const struct pol_policy *policy, const struct xf_book *book, enum xf_sense sense,
		 struct xf_lines *lines);
void xf_lines_free(struct xf_lines *lines);
bool xf_sense_inbound(enum xf_sense sense);

/* ---- the tree ---- */

/* What a node asks for. Its order is that of a packet's headers. */
enum xf_field {
	XF_BY_FAMILY,
	XF_BY_SADDR,
	XF_BY_DADDR,
	XF_BY_PROTO,
	XF_BY_SPORT, /* the first two bytes of the upper header, whatever the protocol */
	XF_BY_DPORT, /* the next two */
};
#define XF_FIELDS 6

enum xf_node_kind {
	XF_LEAF, /* the lines, one after the other */
	XF_MAP,  /* what a value leads to; what has no value, or one that no arm has: otherwise */
	XF_SEQUENCE, /* the nodes, one after the other, until a line matches */
};

struct xf_node;

struct xf_arm {
	struct xf_value lo, hi; /* no two arms overlap; ascending */
	struct xf_node *to;     /* two may lead to one node */
};

struct xf_node {
	enum xf_node_kind kind;
	unsigned *lines; /* all that may match here, ascending; indices into the tree's lines */
	unsigned n_lines;
	enum xf_field field; /* of a map */
	struct xf_arm *arms;
	unsigned n_arms;
	struct xf_node *otherwise; /* NULL: no line is left */
	struct xf_node **parts;    /* of a sequence */
	unsigned n_parts;
	unsigned id;          /* number of its chain; 0: not written yet */
	struct xf_node *next; /* of all that the tree has */
};

struct xf_tree {
	struct xf_lines lines;
	struct xf_node *root; /* NULL: no line */
	struct xf_node *nodes;
	size_t copies; /* lines in all leaves */
};

/* As many lines are tried one after the other. */
#define XF_LEAF_LINES 8
/* Levels of chains; nftables allows 16 from hook to verdict. */
#define XF_TREE_DEPTH 6

/* Takes the lines, which are the tree's then, without memory too. False: no memory. */
bool xf_tree_build(struct xf_lines *lines, struct xf_tree *tree);
void xf_tree_free(struct xf_tree *tree);

/* Does the line not ask for this field? */
bool xf_line_any(const struct xf_line *l, enum xf_field field);
/* How many intervals the line has in a field that it asks for. */
unsigned xf_line_intervals(const struct xf_line *l, enum xf_field field);
/* Number k of them; they ascend, and no two meet. */
struct xf_interval xf_line_interval(const struct xf_line *l, enum xf_field field, unsigned k);

/* ---- as text ---- */

/* Writes the named sets of the book. */
void xf_sets_print(FILE *f, const struct xf_book *book);

/* Writes the end of a line behind its match: what happens to the packet. */
typedef void xf_verdict_fn(void *arg, FILE *f, const struct xf_line *l);
/*
 * Writes the tree's chains and at last the one called name, without its end, so that the caller
 * can say what happens to a packet that no line matches. Returns the number of nftables rules.
 */
unsigned xf_tree_print(FILE *f, const struct xf_tree *tree, const char *name, enum xf_sense sense,
		       xf_verdict_fn *verdict, void *arg);

#endif
