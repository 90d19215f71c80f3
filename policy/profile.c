/*
 * The IPSEC block of a TCP/IP profile to a policy: the default filters (IP Configuration Reference,
 * "IPSEC statement").  The profile is words, wherever its lines end; ';' begins a comment.
 */
#include "policy/profile.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/codepage.h"
#include "policy/compile.h"
#include "policy/content.h"

#define WORD_MAX   128
#define PROTO_OSPF 89
#define PROTO_MIP6 135

enum statement { IPSEC, IPSECRULE, IPSEC6RULE };

struct token {
	struct pol_word word;
	unsigned line;
	bool first; /* of its line */
};

struct reader {
	struct pol_build b; /* pool, findings and policy */
	const char *file;
	struct token *tokens;
	size_t n, at;
	const struct pol_statement *statements; /* by enum statement */
	const struct pol_statement *in;         /* that is being read, for findings */
	unsigned in_line;
	bool bad; /* the rule that is being read has an error */
};

/* ---- words ---- */

static bool add_token(struct reader *r, struct token token)
{
	if ((r->n & (r->n - 1)) == 0) {
		struct token *more = realloc(r->tokens, (r->n ? 2 * r->n : 1) * sizeof(*more));

		if (!more)
			return false;
		r->tokens = more;
	}
	r->tokens[r->n++] = token;
	return true;
}

static int split(struct reader *r, struct pol_lines *lines, struct cs_err *err)
{
	for (unsigned i = 0; i < lines->n; i++) {
		const struct pol_line *line = &lines->lines[i];
		const char *text = line->text;
		struct token token = {.line = line->number, .first = true};

		if (line->bad) {
			pol_find(r->b.diags, POL_ERROR,
				 (struct pol_place_in){.file = r->file, .line = line->number}, NULL,
				 NULL, "%s", line->bad);
			continue;
		}
		line->text[strcspn(line->text, ";")] = '\0';
		while ((token.word = pol_word_next(&text)).len) {
			if (!add_token(r, token))
				return cs_fail(err, CS_ENOMEM, "out of memory");
			token.first = false;
		}
	}
	return 0;
}

static const struct token *peek(const struct reader *r)
{
	return r->at < r->n ? &r->tokens[r->at] : NULL;
}

static bool next_is(const struct reader *r, const char *text)
{
	return r->at < r->n && pol_word_is(r->tokens[r->at].word, text);
}

static bool next_is_number(const struct reader *r)
{
	return r->at < r->n && r->tokens[r->at].word.p[0] >= '0' &&
	       r->tokens[r->at].word.p[0] <= '9';
}

/* The line of the word that was read last. */
static unsigned line_of(const struct reader *r)
{
	return r->at ? r->tokens[r->at - 1].line : 1;
}

/* ---- findings ---- */

/* An error of the statement that is being read, about one of its words or (NULL) all of it. */
__attribute__((format(printf, 4, 5))) static void wrong(struct reader *r, unsigned line,
							const char *word, const char *fmt, ...)
{
	struct pol_node node = {.statement = r->in, .file = r->file, .line = r->in_line};
	va_list ap;

	r->bad = true;
	va_start(ap, fmt);
	pol_vfind(r->b.diags, POL_ERROR, (struct pol_place_in){.file = r->file, .line = line},
		  &node, word, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 4))) static void note(struct reader *r, unsigned line,
						       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pol_vfind(r->b.diags, POL_NOTE, (struct pol_place_in){.file = r->file, .line = line}, NULL,
		  NULL, fmt, ap);
	va_end(ap);
}

/* ---- words of a statement, in the order of its rows ---- */

/* A statement's words as they were read; NULL where a row was not coded. */
#define ROWS_MAX 16
struct coded {
	char value[ROWS_MAX][WORD_MAX];
	unsigned line[ROWS_MAX]; /* 0: not coded */
};

static int row_of(const struct pol_statement *s, struct pol_word word)
{
	for (int i = 0; s->params[i].keyword; i++)
		if (pol_word_is(word, s->params[i].keyword))
			return i;
	return -1;
}

static bool is_group(const struct pol_param *a, const struct pol_param *b)
{
	return a == b || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

/* Appends the next word to value. */
static void take(struct reader *r, char value[static WORD_MAX])
{
	const struct token *t = peek(r);
	size_t len = strlen(value);

	if (!t)
		return;
	r->at++;
	snprintf(value + len, WORD_MAX - len, "%s%.*s", len ? " " : "", (int)t->word.len,
		 t->word.p);
}

static const char *expected(const struct pol_param *p, char text[static 2 * WORD_MAX])
{
	size_t n = 0;

	if (p->kind != POL_K_KEYWORD)
		n = (size_t)snprintf(text, 2 * WORD_MAX, "%lu to %lu%s", p->min, p->max,
				     p->values ? ", " : "");
	for (const char *c = p->values ? p->values : ""; *c && n + 3 < 2 * WORD_MAX; c++) {
		text[n++] = *c == '|' ? ',' : *c;
		if (*c == '|')
			text[n++] = ' ';
	}
	text[n] = '\0';
	return text;
}

/* Is the value one of the row's words, or its number or numbers? */
static void check_value(struct reader *r, const struct pol_param *p, const char *value)
{
	char allowed[2 * WORD_MAX];
	unsigned long lo = 0, hi = 0;
	const char *text = value, *problem = NULL;

	if (p->values && pol_choice(p->values, value, NULL) >= 0)
		return;
	if (p->kind == POL_K_NUMBER)
		problem = pol_number(pol_word_next(&text), &lo), hi = lo;
	else if (p->kind == POL_K_NUMBERS)
		problem = pol_numbers(value, &lo, &hi);
	if (p->kind == POL_K_KEYWORD || problem || lo < p->min || hi > p->max)
		wrong(r, line_of(r), p->keyword, "'%s' is none of what it may be: %s", value,
		      expected(p, allowed));
	else if (lo > hi)
		wrong(r, line_of(r), p->keyword, "the range %lu %lu is the wrong way round", lo,
		      hi);
}

/* The value behind a keyword: one word, and a second one where it belongs to it. */
static void read_value(struct reader *r, const struct pol_statement *s, const struct pol_param *p,
		       char value[static WORD_MAX])
{
	const struct token *t = peek(r);
	char both[WORD_MAX];

	value[0] = '\0';
	if (!t || row_of(s, t->word) >= 0 || pol_word_is(t->word, "ENDIPSEC") ||
	    pol_word_is(t->word, "IPSECRULE") || pol_word_is(t->word, "IPSEC6RULE")) {
		wrong(r, line_of(r), p->keyword, "its value is missing");
		return;
	}
	take(r, value);
	t = peek(r);
	if (p->kind == POL_K_NUMBERS && strcmp(value, "*") != 0 && next_is_number(r)) {
		take(r, value);
	} else if (p->kind == POL_K_KEYWORD && t) {
		const char *rest;

		snprintf(both, sizeof(both), "%.60s %.*s", value,
			 t->word.len < 60 ? (int)t->word.len : 60, t->word.p);
		if (pol_choice(p->values, both, &rest) >= 0 && !*rest)
			take(r, value);
	}
	check_value(r, p, value);
}

/* One word of the statement with its value. False: it is none of its words. */
static bool read_word(struct reader *r, const struct pol_statement *s, struct coded *c, int *last)
{
	const struct token *t = peek(r);
	int row = row_of(s, t->word);

	if (row < 0)
		return false;
	r->at++;
	for (int i = 0; s->params[i].keyword; i++)
		if (c->line[i] && is_group(&s->params[i], &s->params[row])) {
			wrong(r, t->line, s->params[row].keyword,
			      "%s stands there already (line %u)", s->params[i].keyword,
			      c->line[i]);
			break;
		}
	if (!r->bad && row < *last)
		wrong(r, t->line, s->params[row].keyword, "it must stand before %s",
		      s->params[*last].keyword);
	if (row > *last)
		*last = row;
	c->line[row] = t->line;
	if (s->params[row].kind != POL_K_FLAG)
		read_value(r, s, &s->params[row], c->value[row]);
	return true;
}

static int row_named(const struct pol_statement *s, const char *keyword)
{
	return row_of(s, (struct pol_word){keyword, strlen(keyword)});
}

static bool has(const struct reader *r, const struct coded *c, const char *keyword)
{
	return c->line[row_named(r->in, keyword)] != 0;
}

/* What was coded, else the default. */
static const char *value_of(const struct reader *r, const struct coded *c, const char *keyword,
			    const struct pol_param **param)
{
	int row = row_named(r->in, keyword);

	*param = &r->in->params[row];
	return c->line[row] ? c->value[row] : (*param)->preset;
}

static int choice_of(const struct reader *r, const struct coded *c, const char *keyword)
{
	const struct pol_param *p;
	const char *value = value_of(r, c, keyword, &p);

	return pol_choice(p->values, value, NULL);
}

/* False: any. */
static bool numbers_of(const struct reader *r, const struct coded *c, const char *keyword,
		       unsigned long *lo, unsigned long *hi)
{
	const struct pol_param *p;
	const char *value = value_of(r, c, keyword, &p);

	if (p->values && pol_choice(p->values, value, NULL) >= 0)
		return false;
	return pol_numbers(value, lo, hi) == NULL;
}

/* ---- a rule ---- */

/* Two, three or one word: "a - b", "a- b", "a -b", "a-b", "a/n", "a" or "*". */
static void read_address(struct reader *r, const char *which, uint8_t family,
			 struct cs_range *range)
{
	char text[WORD_MAX] = "";
	const struct token *t = peek(r);
	struct cs_err err;
	size_t n = 0;

	if (!t || row_of(r->in, t->word) >= 0 || pol_word_is(t->word, "ENDIPSEC")) {
		wrong(r, line_of(r), NULL, "the %s address is missing", which);
		return;
	}
	take(r, text);
	if (strcmp(text, "*") == 0) {
		*range = cs_range_all(family);
		return;
	}
	t = peek(r);
	if (t && t->word.p[0] == '-')
		take(r, text);
	if (text[strlen(text) - 1] == '-')
		take(r, text);
	for (const char *c = text; *c; c++)
		if (*c != ' ')
			text[n++] = *c;
	text[n] = '\0';
	if (cs_range_parse(text, range, &err) < 0)
		wrong(r, line_of(r), NULL, "the %s address: %s", which, err.text);
	else if (range->lo.family != family)
		wrong(r, line_of(r), NULL,
		      "the %s address %s is of the other IP version: that is %s", which, text,
		      family == AF_INET ? "IPSEC6RULE" : "IPSECRULE");
}

static int protocol_of(const struct reader *r, const struct coded *c)
{
	static const int four[] = {POL_PROTO_ANY, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
				   PROTO_OSPF};
	static const int six[] = {POL_PROTO_ANY, IPPROTO_TCP, IPPROTO_UDP,     IPPROTO_ICMPV6,
				  PROTO_OSPF,    PROTO_MIP6,  POL_PROTO_OPAQUE};
	unsigned long n, hi;
	int choice = choice_of(r, c, "PROTOCOL");

	if (choice >= 0)
		return r->in == &r->statements[IPSEC6RULE] ? six[choice] : four[choice];
	return numbers_of(r, c, "PROTOCOL", &n, &hi) ? (int)n : POL_PROTO_ANY;
}

static void ports_of(const struct reader *r, const struct coded *c, const char *keyword,
		     uint16_t ports[2])
{
	unsigned long lo, hi;

	if (!numbers_of(r, c, keyword, &lo, &hi))
		return;
	ports[0] = (uint16_t)lo;
	ports[1] = (uint16_t)hi;
}

static void kinds_of(const struct reader *r, const struct coded *c, const char *keyword,
		     int kinds[2])
{
	unsigned long lo, hi;

	kinds[0] = kinds[1] = -1;
	if (!numbers_of(r, c, keyword, &lo, &hi))
		return;
	kinds[0] = (int)lo;
	kinds[1] = (int)hi;
}

/* As check_service() of the policy language has it. */
static void check_rule(struct reader *r, const struct coded *c, const struct pol_service *s)
{
	static const char *const selectors[] = {"SRCPORT", "DESTPORT", "TYPE", "CODE"};
	const bool fits[] = {pol_has_ports(s->proto), pol_has_ports(s->proto),
			     pol_has_type(s->proto), pol_has_code(s->proto)};
	const bool says[] = {!pol_ports_any(s->src_port), !pol_ports_any(s->dst_port),
			     s->type[0] >= 0, s->code[0] >= 0};
	static const char *const owners[] = {"TCP and UDP", "TCP and UDP",
					     "ICMP, ICMPV6, OSPF and MIPV6", "ICMP and ICMPV6"};

	for (int i = 0; i < 4; i++) {
		unsigned line = c->line[row_named(r->in, selectors[i])];

		if (says[i] && !fits[i])
			wrong(r, line, selectors[i], "it applies to protocols %s alone", owners[i]);
		else if (says[i] && s->routing != POL_LOCAL)
			wrong(r, line, selectors[i],
			      "it must not be coded for routed traffic, whose fragments do not "
			      "have "
			      "it (RFC 4301)");
	}
	if (s->code[0] >= 0 && s->type[0] != s->type[1])
		wrong(r, c->line[row_named(r->in, "CODE")], "CODE", "it needs a single TYPE");
	else if (s->code[0] >= 0 && s->type[0] < 0)
		wrong(r, c->line[row_named(r->in, "CODE")], "CODE", "it needs a TYPE");
	if (s->connect != POL_CONNECT_ANY && s->proto != IPPROTO_TCP)
		wrong(r, c->line[row_named(r->in, "DIRECTION")], "DIRECTION",
		      "INBCONNECT and OUTBCONNECT apply to protocol TCP alone");
}

static void make_service(struct reader *r, const struct coded *c, struct pol_service *s)
{
	static const enum pol_connect connects[] = {
		POL_CONNECT_ANY, POL_CONNECT_IN, POL_CONNECT_OUT, POL_CONNECT_ANY, POL_CONNECT_ANY};
	int direction = choice_of(r, c, "DIRECTION");
	unsigned long n, hi;

	s->proto = protocol_of(r, c);
	ports_of(r, c, "SRCPORT", s->src_port);
	ports_of(r, c, "DESTPORT", s->dst_port);
	kinds_of(r, c, "TYPE", s->type);
	kinds_of(r, c, "CODE", s->code);
	s->routing = (enum pol_routing)choice_of(r, c, "ROUTING");
	s->fragments_only = has(r, c, "FRAGMENTSONLY");
	if (numbers_of(r, c, "SECCLASS", &n, &hi))
		s->security_class = (uint8_t)n;
	s->direction = direction == 3 ? POL_IN : direction == 4 ? POL_OUT : POL_BOTH;
	s->connect = connects[direction];
	check_rule(r, c, s);
}

static void add_rule(struct reader *r, const struct coded *c, const struct cs_range ends[2],
		     unsigned number)
{
	struct pol_policy *p = r->b.policy;
	struct pol_filter_rule rule = {
		.verdict = POL_PERMIT, .n_src = 1, .n_dst = 1, .n_services = 1};
	struct cs_range *copies = pol_get(&r->b, 2, sizeof(*copies));

	rule.services = pol_get(&r->b, 1, sizeof(*rule.services));
	if (!copies || !rule.services)
		return;
	make_service(r, c, rule.services);
	if (r->bad)
		return;
	memcpy(copies, ends, 2 * sizeof(*copies));
	rule.src = &copies[0];
	rule.dst = &copies[1];
	rule.log = has(r, c, "LOG") ? POL_LOG_YES : POL_LOG_NO;
	snprintf(rule.name, sizeof(rule.name), "SYSDEFAULTRULE.%u", number);
	p->rules = pol_append(&r->b, p->rules, &p->n_rules, &rule, sizeof(rule));
}

/* ---- the block ---- */

static void begin(struct reader *r, enum statement s)
{
	r->in = &r->statements[s];
	r->in_line = peek(r)->line;
	r->bad = false;
	r->at++;
}

static bool at_rule_or_end(const struct reader *r)
{
	return r->at == r->n || next_is(r, "IPSECRULE") || next_is(r, "IPSEC6RULE") ||
	       next_is(r, "ENDIPSEC");
}

/* The words up to the next rule. What comes behind a first error is the error's. */
static void read_words(struct reader *r, struct coded *c)
{
	int last = -1;

	while (!at_rule_or_end(r)) {
		const struct token *t = peek(r);
		char word[WORD_MAX] = "";

		if (!r->bad && read_word(r, r->in, c, &last))
			continue;
		if (!r->bad) {
			take(r, word);
			wrong(r, t->line, word, "it is no word of %s", r->in->keyword);
		} else {
			r->at++;
		}
	}
}

static void read_rule(struct reader *r, unsigned number)
{
	enum statement s = next_is(r, "IPSECRULE") ? IPSECRULE : IPSEC6RULE;
	uint8_t family = s == IPSECRULE ? AF_INET : AF_INET6;
	struct cs_range ends[2] = {0};
	struct coded c = {0};

	begin(r, s);
	read_address(r, "source", family, &ends[0]);
	if (!r->bad)
		read_address(r, "destination", family, &ends[1]);
	read_words(r, &c);
	if (!r->bad)
		add_rule(r, &c, ends, number);
}

static void read_block(struct reader *r)
{
	struct pol_policy *p = r->b.policy;
	struct coded c = {0};
	unsigned number = 0, line;

	begin(r, IPSEC);
	line = r->in_line;
	read_words(r, &c);
	p->dvipsec = has(r, &c, "DVIPSEC");
	p->filter_logging = has(r, &c, "LOGENABLE");
	p->log_implicit = p->filter_logging && has(r, &c, "LOGIMPLICIT");
	if (p->dvipsec)
		note(r, c.line[row_named(r->in, "DVIPSEC")], "DVIPSEC: %s",
		     r->in->params[row_named(r->in, "DVIPSEC")].note);
	while (next_is(r, "IPSECRULE") || next_is(r, "IPSEC6RULE"))
		read_rule(r, ++number);
	r->in = &r->statements[IPSEC];
	r->in_line = line;
	if (next_is(r, "ENDIPSEC"))
		r->at++;
	else
		wrong(r, line, NULL, "its ENDIPSEC is missing");
}

/* A second block: up to its end, which need not be there. */
static void skip_block(struct reader *r)
{
	note(r, peek(r)->line, "a second IPSEC block is not used");
	while (r->at < r->n && !next_is(r, "ENDIPSEC"))
		r->at++;
	if (r->at < r->n)
		r->at++;
}

static void read_profile(struct reader *r)
{
	bool found = false, told = false;

	while (r->at < r->n) {
		const struct token *t = peek(r);

		if (t->first && pol_word_is(t->word, "IPSEC")) {
			if (found)
				skip_block(r);
			else
				read_block(r);
			found = true;
			continue;
		}
		if (t->first && (next_is(r, "IPSECRULE") || next_is(r, "IPSEC6RULE") ||
				 next_is(r, "ENDIPSEC"))) {
			char word[WORD_MAX] = "";

			take(r, word);
			r->in = &r->statements[IPSEC];
			wrong(r, t->line, word, "it stands outside of an IPSEC block");
			continue;
		}
		if (t->first && !told)
			note(r, t->line,
			     "statements other than IPSEC, this one first, are not used");
		told = told || t->first;
		r->at++;
	}
	r->in = &r->statements[IPSEC];
	if (!found)
		wrong(r, 1, NULL, "the profile has no such block, so there are no default filters");
}

/* ---- the whole ---- */

/*
 * Two sets of default filters have two numbers, and none has that of a generation of the store:
 * by it the kernel's table is known.
 */
static int number_it(struct pol_policy *p, struct cs_err *err)
{
	uint8_t hash[POL_HASH_LEN];
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	pol_hash_number(&h, p->filter_logging);
	pol_hash_number(&h, p->log_implicit);
	for (unsigned i = 0; rc == 0 && i < p->n_rules; i++) {
		rc = pol_filter_rule_whole(&p->rules[i], hash, err);
		pol_hash_bytes(&h, hash, sizeof(hash));
	}
	pol_hash_end(&h, hash);
	memcpy(&p->generation, hash, sizeof(p->generation));
	p->generation |= POL_PROFILE_GENERATION;
	return rc;
}

static struct pol_policy *new_policy(void)
{
	struct pol_policy *p = calloc(1, sizeof(*p));
	struct pol_private *priv = calloc(1, sizeof(*priv));

	if (p && priv)
		priv->tree = pol_tree_new();
	if (!p || !priv || !priv->tree) {
		free(p);
		free(priv);
		return NULL;
	}
	atomic_init(&priv->refs, 1);
	p->priv = priv;
	return p;
}

static int read_file(struct reader *r, const char *file, struct pol_lines *lines,
		     struct cs_err *err)
{
	int rc;

	if (access(file, F_OK) < 0 && errno == ENOENT)
		return cs_fail(err, CS_ENOTFOUND, "there is no profile %s", file);
	rc = pol_lex_file(file, POL_CODEPAGE_DEFAULT, lines, err);
	if (rc < 0)
		return cs_err_prefix(err, "%s", file);
	pol_diags_file(r->b.diags, r->file, lines);
	rc = split(r, lines, err);
	if (rc < 0)
		return rc;
	read_profile(r);
	if (r->b.diags->no_memory)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	if (r->b.diags->n_errors)
		return cs_fail(err, CS_EPOLICY, "the profile has %u error%s", r->b.diags->n_errors,
			       r->b.diags->n_errors == 1 ? "" : "s");
	return number_it(r->b.policy, err);
}

int pol_profile(const char *file, pol_diag_fn *diag, void *arg, struct pol_policy **policy,
		struct cs_err *err)
{
	struct pol_diags diags = {0};
	struct pol_policy *p = new_policy();
	struct reader r = {.b = {.diags = &diags, .policy = p}};
	struct pol_lines lines = {0};
	unsigned n;
	int rc;

	if (!p)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	r.b.pool = &p->priv->pool;
	r.statements = pol_profile_statements(&n);
	r.file = pol_tree_file(p->priv->tree, file);
	rc = r.file ? read_file(&r, file, &lines, err) : cs_fail(err, CS_ENOMEM, "out of memory");
	pol_diags_tell(&diags, p->priv->tree, diag, arg);
	pol_diags_free(&diags);
	pol_lines_free(&lines);
	free(r.tokens);
	if (rc == 0)
		*policy = p;
	else
		pol_unref(p);
	return rc;
}
