/*
 * The grammar as a table: a row a statement, a row a parameter. Parser, defaults, the store,
 * pasearch and the compatibility page all read it; there is no second list. Private to policy/.
 */
#ifndef POL_GRAMMAR_H
#define POL_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

/* What a parameter's value is. "a word of values" means: or that word in the value's place. */
enum pol_kind {
	POL_K_KEYWORD, /* one of the words in `values`: "A|B|C", and "A|A X" for an optional X */
	POL_K_YESNO,
	POL_K_ONOFF,
	POL_K_NUMBER,  /* min to max, or a word of `values` */
	POL_K_NUMBERS, /* n, or n m, n:m, n-m; or a word of `values` */
	POL_K_ADDR,    /* one address, or a word of `values` */
	POL_K_ADDRS,   /* address, prefix, range, or a word of `values` */
	POL_K_NAME,    /* a user's name */
	POL_K_REF,     /* the name of an object of statement `of` */
	POL_K_BLOCK,   /* an inline statement `of` */
	POL_K_FLAG,    /* stands alone */
	POL_K_TEXT,    /* checked by code of its own; `values`: the first word, if limited */
};

enum pol_evidence { POL_DOCUMENTED, POL_FROM_MEMORY, POL_OURS };
enum pol_support {
	POL_SUPPORTED,
	POL_DEPRECATED, /* works; a warning names what to write instead */
	POL_NOTED,      /* accepted without effect */
	POL_REFUSED,
};

struct pol_param {
	const char *keyword;
	enum pol_kind kind;
	const char *values; /* allowed words, NULL */
	const char *of;     /* REF and BLOCK: which statement */
	unsigned long min, max;
	const char *preset; /* default as text, NULL: none */
	/*
	 * Parameters of one group stand for one thing: at least one of them where they are
	 * required, and not two different ones where they are not repeatable. NULL: a group of its
	 * own.
	 */
	const char *group;
	/*
	 * Where it is not coded, another one counts before the preset: that of this keyword in the
	 * same statement, or the one of the same keyword in this policy ("KeyExchangePolicy").
	 */
	const char *inherits;
	bool required, repeatable, secret;
	bool coding_counts; /* coding the preset says more than leaving it out; the note says what
			     */
	enum pol_support support;
	enum pol_evidence evidence;
	/*
	 * What pasearch calls it, NULL: the keyword. Of numbers it may be two labels, "A|B", for
	 * the ends of a range. Addresses with one stand below it; "": without it.
	 */
	const char *shown;
	enum pol_evidence shown_evidence;
	/* Supported, except these of its words (as in `values`); the note says why. */
	const char *except;
	const char *note; /* for the compatibility page and for diagnostics of noted ones */
	const char *form; /* what a value looks like, where kind and words do not say it */
};

enum pol_naming { POL_NAME_NONE, POL_NAME_OPTIONAL, POL_NAME_REQUIRED };

/* The kind of file in which a statement stands. */
enum pol_place {
	POL_IN_POLICY, /* IPSec policy */
	POL_IN_MAIN,
	POL_IN_IKED,
	POL_IN_TTLS, /* AT-TLS policy */
	POL_IN_BOTH, /* IPSec or AT-TLS policy */
};

struct pol_statement {
	const char *keyword; /* "IDS*": every keyword that begins so (only noted statements) */
	enum pol_place place;
	enum pol_naming naming;
	bool global;        /* may stand at top level */
	bool selector_name; /* the name may be a selector of the ipsec command: no '-' first, no ','
			     */
	enum pol_support support;
	enum pol_evidence evidence;
	const struct pol_param *params; /* ends with keyword NULL */
	const char *note;
	const char *shown; /* an action: its type as pasearch has it, "TTLS Group"; NULL: keyword */
};

/* Case-insensitive; NULL when unknown. */
const struct pol_statement *pol_statement_find(const char *keyword);
const struct pol_param *pol_param_find(const struct pol_statement *s, const char *keyword);
const struct pol_statement *pol_statements(unsigned *n);
/* Do they stand for one thing? A parameter is of its own group. */
bool pol_same_group(const struct pol_param *a, const struct pol_param *b);
bool pol_is_policy(enum pol_place place); /* one of the kinds of policy files */
/*
 * A keyword near to what somebody wrote, for "did you mean"; s NULL: a top-level statement, of
 * POL_IN_MAIN also one of policy files.
 */
const char *pol_nearest(const struct pol_statement *s, enum pol_place place, const char *keyword);

/* The keyword of a parameter of some statement. */
bool pol_is_param(const char *word);
/* That of a secret one. */
bool pol_is_secret(const char *word);
/* The same, and what could be one misspelled. */
bool pol_is_secretive(const char *keyword);
/* A keyword of any place, or near to one. */
bool pol_is_near_known(const char *keyword);
/*
 * How much of a line's first word can be its keyword: up to a '=' or the like, and not beyond the
 * keyword of a secret, because a key may be glued to it.
 */
size_t pol_keyword_len(const char *word, size_t len);

#define POL_EXPECTED_MAX 256
/* What a value of the parameter may be, in words; in buf or not. */
const char *pol_expected(const struct pol_param *param, char buf[static POL_EXPECTED_MAX]);

#endif
