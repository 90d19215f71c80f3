/*
 * The lines of a policy file to trees of statements: braces and keywords. What values mean is not
 * decided here. After an error the parser goes on where an administrator would read on, so
 * that one run shows all errors and few that follow from others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/parse_file.h"

#define KEYWORD_MAX 64

static struct pol_place_in at(const struct pol_parse *p, unsigned line)
{
	return (struct pol_place_in){.file = p->file, .line = line};
}

static struct pol_place_in at_keyword(const struct pol_parse *p, unsigned line)
{
	return (struct pol_place_in){.file = p->file, .line = line, .mark = POL_MARK_KEYWORD};
}

/* A line that may be the rest of a key. */
static struct pol_place_in at_hidden(const struct pol_parse *p, unsigned line)
{
	return (struct pol_place_in){.file = p->file, .line = line, .mark = POL_MARK_NOTHING};
}

/* The next line; NULL at the end, and when there is no use in reading on. */
static const struct pol_line *peek(const struct pol_parse *p)
{
	if (p->diags->gave_up)
		return NULL;
	return p->pos < p->text.n ? &p->text.lines[p->pos] : NULL;
}

/* Splits a line into keyword (cut to fit) and the rest. */
static const char *keyword_of(const struct pol_line *line, char keyword[KEYWORD_MAX])
{
	const char *rest = line->text;
	struct pol_word word = pol_word_next(&rest);

	if (word.len >= KEYWORD_MAX)
		word.len = KEYWORD_MAX - 1;
	pol_word_copy(word, keyword, KEYWORD_MAX);
	while (*rest == ' ' || *rest == '\t')
		rest++;
	return rest;
}

static bool begins_with(const struct pol_line *line, char brace)
{
	return line && line->text[0] == brace;
}

static bool is_brace(const struct pol_line *line, char brace)
{
	return begins_with(line, brace) && !line->text[1];
}

/* The last word of value is a brace. */
static bool ends_with(const char *value, char brace)
{
	size_t len = strlen(value);

	return len > 0 && value[len - 1] == brace &&
	       (len == 1 || value[len - 2] == ' ' || value[len - 2] == '\t');
}

/* Skips a block whose '{' has been read. */
static void skip_block(struct pol_parse *p, unsigned begin, const struct pol_node *node)
{
	unsigned depth = 1;
	const struct pol_line *line;

	while ((line = peek(p)) != NULL) {
		p->pos++;
		if (line->text[0] == '{' || ends_with(line->text, '{'))
			depth++;
		else if (line->text[0] == '}' && --depth == 0)
			return;
	}
	pol_find(p->diags, POL_ERROR, at(p, p->text.last), node, NULL,
		 "the file ends inside the block that begins on line %u", begin);
}

/* Where the block of a statement is: behind its line, as it should be, or in it, whole or begun. */
enum block { BEHIND, BEGUN, WHOLE };

static enum block block_of(const char *value)
{
	struct pol_word word = {"", 0};
	const char *rest = value;

	do
		word = pol_word_next(&rest);
	while (word.len && !pol_word_is(word, "{"));
	if (!word.len)
		return BEHIND;
	return ends_with(value, '}') ? WHOLE : BEGUN;
}

/* True with '{' read. Without it, true when what follows belongs into the block all the same. */
static bool open_block(struct pol_parse *p, const struct pol_node *node, enum block block)
{
	const struct pol_line *line = peek(p);
	char keyword[KEYWORD_MAX];

	if (block != BEHIND)
		return block == BEGUN;
	if (begins_with(line, '{')) {
		if (!is_brace(line, '{'))
			pol_find(p->diags, POL_ERROR, at(p, line->number), node, NULL,
				 "'{' does not stand alone on its line");
		p->pos++;
		return true;
	}
	pol_find(p->diags, POL_ERROR, at(p, node->line), node, NULL,
		 "'{' is missing on the line that follows");
	if (!line)
		return false;
	keyword_of(line, keyword);
	return pol_param_find(node->statement, keyword) != NULL;
}

/* Makes the node of a statement whose line says keyword and value. */
static struct pol_node *begin_statement(struct pol_parse *p, const struct pol_statement *s,
					const char *value, unsigned line, enum block *block)
{
	char name[POL_LINE_MAX + 1] = "";
	struct pol_word word = pol_word_next(&value);
	struct pol_node *node;

	*block = block_of(word.p);
	if (word.len && word.p[0] != '{')
		pol_word_copy(word, name, sizeof(name));
	node = pol_node_new(s, name[0] && s->naming != POL_NAME_NONE ? name : NULL, p->file, line);
	if (!node) {
		p->diags->no_memory = true;
		return NULL;
	}
	node->from_common = p->role == COMMON_FILE;
	node->scope = p->scope;
	if (name[0] && s->naming == POL_NAME_NONE)
		pol_find(p->diags, POL_WARNING, at(p, line), node, NULL,
			 "the statement has no name; '%.60s' is ignored", name);
	if (*block != BEHIND)
		pol_find(p->diags, POL_ERROR, at(p, line), node, NULL,
			 "'{' does not stand alone on its line");
	return node;
}

/* A statement that cannot be where it is: which one does the block name instead? */
static void misplaced(struct pol_parse *p, const struct pol_node *node, unsigned line,
		      const char *keyword)
{
	char ref[KEYWORD_MAX + sizeof("Ref")];

	snprintf(ref, sizeof(ref), "%.*sRef", KEYWORD_MAX - 1, keyword);
	if (pol_param_find(node->statement, ref))
		pol_find(p->diags, POL_ERROR, at_keyword(p, line), node, keyword,
			 "it cannot stand inside %s: it stands outside, and %s names it; or a '}' "
			 "is missing before it",
			 node->statement->keyword, pol_param_find(node->statement, ref)->keyword);
	else
		pol_find(p->diags, POL_ERROR, at_keyword(p, line), node, keyword,
			 "it cannot stand inside %s; a '}' seems to be missing before it",
			 node->statement->keyword);
}

/* A keyword that no row has. near may be NULL; hidden: the line may be the rest of a key. */
static void unknown(struct pol_parse *p, const struct pol_node *node, const struct pol_line *line,
		    const char *near, bool hidden)
{
	const char *what = node ? "attribute" : "statement", *rest = line->text;
	struct pol_word word = pol_word_next(&rest);
	char keyword[KEYWORD_MAX];
	size_t len = pol_keyword_len(word.p, word.len);

	if (hidden && !near) {
		pol_find(p->diags, POL_ERROR, at_hidden(p, line->number), node, NULL,
			 "unknown %s (not shown: it may belong to a key)", what);
		return;
	}
	snprintf(keyword, sizeof(keyword), "%.*s", (int)len, word.p);
	if (near && strcasecmp(near, keyword) == 0)
		pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, keyword,
			 "a blank must follow it");
	else if (!node && pol_is_param(keyword))
		pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, keyword,
			 "unknown statement; as an attribute it stands inside a block");
	else if (!node && pol_statement_find(keyword))
		pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, keyword,
			 "unknown statement here; it belongs in %s",
			 p->role == IKED_FILE ? "a policy file" : "iked's configuration file");
	else if (near)
		pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, keyword,
			 "unknown %s; did you mean %s?", what, near);
	else
		pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, keyword,
			 "unknown %s", what);
}

/* The row's keyword nearest to the one that the line begins with; node NULL: a statement's. */
static const char *nearest(const struct pol_parse *p, const struct pol_node *node,
			   const struct pol_line *line)
{
	enum pol_place place = p->role == IKED_FILE                            ? POL_IN_IKED
			       : p->role == MAIN_FILE || p->role == IMAGE_FILE ? POL_IN_MAIN
									       : POL_IN_POLICY;
	const char *rest = line->text;
	struct pol_word word = pol_word_next(&rest);
	char keyword[KEYWORD_MAX];

	word.len = pol_keyword_len(word.p, word.len);
	if (!pol_word_copy(word, keyword, sizeof(keyword)))
		return NULL;
	return pol_nearest(node ? node->statement : NULL, place, keyword);
}

/*
 * What follows an unknown line may be the rest of a key, where the line may have been one: its
 * keyword looks like that of a key, or like nothing that is known.
 */
static bool may_be_key(const struct pol_line *line, const char *near)
{
	char keyword[KEYWORD_MAX];
	const char *rest = line->text;
	struct pol_word word = pol_word_next(&rest);

	word.len = pol_keyword_len(word.p, word.len);
	return !near || !pol_word_copy(word, keyword, sizeof(keyword)) || pol_is_secretive(keyword);
}

/* Passes over the block of an unknown statement, if it has one. */
static bool skip_unknown(struct pol_parse *p, const struct pol_node *node,
			 const struct pol_line *line)
{
	if (!ends_with(line->text, '{') && !begins_with(peek(p), '{'))
		return false;
	if (!ends_with(line->text, '{'))
		p->pos++;
	skip_block(p, line->number, node);
	return true;
}

/* A keyword that the block does not know. True: the block ends here, its '}' is missing. */
static bool unknown_attribute(struct pol_parse *p, const struct pol_node *node,
			      const struct pol_line *line, const char *keyword, bool hidden)
{
	const struct pol_statement *s = pol_statement_find(keyword);
	bool opens = begins_with(peek(p), '{') || ends_with(line->text, '{');
	const char *near = nearest(p, node, line);

	if (s && s->global && s->params && opens && pol_is_policy(s->place) &&
	    pol_is_policy(node->statement->place)) {
		if (p->implied_line != line->number)
			misplaced(p, node, line->number, keyword);
		p->implied_line = line->number;
		p->implied++;
		p->pos--;
		return true;
	}
	unknown(p, node, line, near, hidden);
	if (!skip_unknown(p, node, line))
		p->after_secret = may_be_key(line, near);
	return false;
}

static void parse_block(struct pol_parse *p, struct pol_node *node, enum block block);

static void parse_inline(struct pol_parse *p, struct pol_node *node, const struct pol_param *param,
			 const char *value, unsigned line)
{
	enum block block;
	struct pol_node *child =
		begin_statement(p, pol_statement_find(param->of), value, line, &block);

	if (!child)
		return;
	parse_block(p, child, block);
	if (!pol_node_add(node, param, NULL, child, line)) {
		p->diags->no_memory = true;
		pol_node_free(child);
	}
}

static void missing_value(struct pol_parse *p, const struct pol_node *node,
			  const struct pol_param *param, unsigned line)
{
	struct pol_place_in place = at_keyword(p, line);
	char expected[POL_EXPECTED_MAX];

	place.expected = pol_expected(param, expected);
	pol_find(p->diags, POL_ERROR, place, node, param->keyword, "the value is missing");
}

/* An attribute with its value. True: a '}' at the end of its line closes the block. */
/*
 * Where in a value the keyword of a secret stands: two lines have become one, and what follows is a
 * key, which must not be kept as part of something that is shown.  The value's length without one.
 */
static size_t before_secret(const char *value, char keyword[static KEYWORD_MAX])
{
	const char *rest = value;
	struct pol_word word;

	while ((word = pol_word_next(&rest)).len)
		if (pol_word_copy(word, keyword, KEYWORD_MAX) && pol_is_secret(keyword))
			return (size_t)(word.p - value);
	return strlen(value);
}

static void cut_secret(struct pol_parse *p, const struct pol_node *node,
		       const struct pol_param *param, char *value, const struct pol_line *line)
{
	char keyword[KEYWORD_MAX];
	size_t len = before_secret(value, keyword), all = strlen(value);

	if (len == all)
		return;
	pol_find(p->diags, POL_ERROR, at_keyword(p, line->number), node, param->keyword,
		 "a line must end before %s", keyword);
	explicit_bzero(value + len, all - len);
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		value[--len] = '\0';
}

static bool parse_attribute(struct pol_parse *p, struct pol_node *node,
			    const struct pol_param *param, const char *rest,
			    const struct pol_line *line)
{
	char value[POL_LINE_MAX + 1];
	bool closes = ends_with(rest, '}'), opens = ends_with(rest, '{');
	size_t len = strlen(rest);

	if (closes || opens) {
		pol_find(p->diags, POL_ERROR, at(p, line->number), node, param->keyword,
			 "'%c' does not stand alone on its line", closes ? '}' : '{');
		do
			len--;
		while (len > 0 && (rest[len - 1] == ' ' || rest[len - 1] == '\t'));
	}
	memcpy(value, rest, len);
	value[len] = '\0';
	if (!param->secret)
		cut_secret(p, node, param, value, line);
	if (param->secret && p->text.open_to_all) {
		pol_find(p->diags, POL_WARNING, at_keyword(p, line->number), node, param->keyword,
			 "every user may read this file, keys included: chmod 600 %.100s", p->file);
		p->text.open_to_all = false; /* once a file */
	}
	if (param->secret && line->glued)
		pol_find(p->diags, POL_WARNING, at(p, line->number), node, param->keyword,
			 "the value ends at '#', which begins a comment");
	if (!value[0] && param->kind != POL_K_FLAG)
		missing_value(p, node, param, line->number);
	else if (!pol_node_add(node, param, value, NULL, line->number))
		p->diags->no_memory = true;
	if (param->secret)
		explicit_bzero(value, sizeof(value));
	if (opens)
		skip_block(p, line->number, node);
	return closes;
}

/* Reads the block of node up to its '}'. */
static void parse_block(struct pol_parse *p, struct pol_node *node, enum block block)
{
	const struct pol_line *line;

	if (!open_block(p, node, block))
		return;
	while ((line = peek(p)) != NULL) {
		char keyword[KEYWORD_MAX];
		const struct pol_param *param;
		const char *rest;
		bool hidden = p->after_secret;

		p->pos++;
		p->after_secret = false;
		if (line->bad) {
			pol_find(p->diags, POL_ERROR, at(p, line->number), node, NULL, "%s",
				 line->bad);
			p->after_secret = true;
			continue;
		}
		if (line->text[0] == '}') {
			if (line->text[1])
				pol_find(p->diags, POL_ERROR, at(p, line->number), node, NULL,
					 "'}' does not stand alone on its line");
			return;
		}
		if (line->text[0] == '{') {
			pol_find(p->diags, POL_ERROR, at(p, line->number), node, NULL,
				 "'{' follows no statement");
			skip_block(p, line->number, node);
			continue;
		}
		rest = keyword_of(line, keyword);
		param = pol_param_find(node->statement, keyword);
		p->after_secret = param && param->secret;
		if (!param) {
			if (unknown_attribute(p, node, line, keyword, hidden))
				return;
		} else if (param->kind == POL_K_BLOCK) {
			parse_inline(p, node, param, rest, line->number);
		} else if (parse_attribute(p, node, param, rest, line)) {
			return;
		}
	}
	pol_find(p->diags, POL_ERROR, at(p, p->text.last), node, NULL,
		 "the file ends inside the block that begins on line %u", node->line);
}

/* ---- top level ---- */

static void keep_config(struct pol_parse *p, const struct pol_statement *s, const char *value,
			unsigned line)
{
	struct pol_config *c = calloc(1, sizeof(*c));

	if (!c || !(c->value = strdup(value))) {
		p->diags->no_memory = true;
		free(c);
		return;
	}
	c->statement = s;
	c->file = p->file;
	c->line = line;
	*p->last_config = c;
	p->last_config = &c->next;
}

/* A statement that is known but not ours, or of another file: its block is passed over. */
static void pass_over(struct pol_parse *p, const struct pol_statement *s, const char *keyword,
		      const struct pol_line *line)
{
	if (s->support != POL_NOTED && s->place == POL_IN_POLICY)
		p->tree->names_ipsec = true;
	if (s->support != POL_NOTED)
		pol_find(p->diags, POL_WARNING, at(p, line->number), NULL, keyword,
			 "ignored: it belongs in the file that %s names",
			 s->place == POL_IN_TTLS ? "TTLSConfig" : "IpSecConfig");
	else if (pol_first_note(p->diags, s))
		pol_find(p->diags, POL_NOTE, at(p, line->number), NULL, keyword,
			 "ignored: %s (told once)", s->note);
	if (ends_with(line->text, '{')) {
		skip_block(p, line->number, NULL);
	} else if (begins_with(peek(p), '{')) {
		p->pos++;
		skip_block(p, line->number, NULL);
	}
}

/* A statement of IPSec policy in a file of AT-TLS policy, or the other way round. */
static bool is_elsewhere(const struct pol_parse *p, const struct pol_statement *s)
{
	return (s->place == POL_IN_POLICY && !(p->scope & POL_FOR_IPSEC)) ||
	       (s->place == POL_IN_TTLS && !(p->scope & POL_FOR_TTLS));
}

static void unknown_statement(struct pol_parse *p, const struct pol_line *line, bool hidden)
{
	const char *near = nearest(p, NULL, line);

	unknown(p, NULL, line, near, hidden);
	if (!skip_unknown(p, NULL, line))
		p->after_secret = may_be_key(line, near);
}

static void parse_statement(struct pol_parse *p, const struct pol_statement *s, const char *value,
			    unsigned line)
{
	enum block block;
	struct pol_node *node = begin_statement(p, s, value, line, &block);

	if (!node)
		return;
	parse_block(p, node, block);
	if (!pol_tree_add(p->tree, node)) {
		p->diags->no_memory = true;
		pol_node_free(node);
	}
}

static void parse_line(struct pol_parse *p, const struct pol_line *line, bool hidden)
{
	char keyword[KEYWORD_MAX];
	const char *rest = keyword_of(line, keyword);
	const struct pol_statement *s = pol_statement_find(keyword);
	bool iked = p->role == IKED_FILE;

	if (!s || !s->global || iked != (s->place == POL_IN_IKED))
		unknown_statement(p, line, hidden);
	else if (is_elsewhere(p, s) || s->support == POL_NOTED)
		pass_over(p, s, keyword, line);
	else if (s->place != POL_IN_MAIN)
		parse_statement(p, s, rest, line->number);
	else if (p->role == MAIN_FILE || p->role == IMAGE_FILE)
		keep_config(p, s, rest, line->number);
	else
		pol_find(p->diags, POL_WARNING, at(p, line->number), NULL, keyword,
			 "ignored: it belongs in the main or image configuration file");
}

void pol_parse_lines(struct pol_parse *p)
{
	const struct pol_line *line;

	while ((line = peek(p)) != NULL) {
		bool hidden = p->after_secret;

		p->pos++;
		p->after_secret = false;
		if (line->bad) {
			pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, NULL, "%s",
				 line->bad);
			p->after_secret = true;
		} else if (line->text[0] == '}') {
			if (p->implied)
				p->implied--;
			else
				pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, NULL,
					 "'}' closes no block");
		} else if (line->text[0] == '{') {
			pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, NULL,
				 "'{' follows no statement");
			skip_block(p, line->number, NULL);
		} else {
			parse_line(p, line, hidden);
		}
	}
}
