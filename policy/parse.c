/*
 * Policy files to trees of statements: braces, keywords, which file names which. What values mean
 * is not decided here. After an error the parser goes on where an administrator would read on, so
 * that one run shows all errors and few that follow from others.
 */
#include "policy/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "policy/lex.h"

#define KEYWORD_MAX 64

enum role { MAIN_FILE, IMAGE_FILE, STACK_FILE, COMMON_FILE, IKED_FILE };

/* A line of a main or image file that names something. */
struct config {
	const struct pol_statement *statement;
	char *value;
	const char *file;
	unsigned line;
	struct config *next;
};

struct parse {
	struct pol_tree *tree;
	struct pol_diags *diags;
	struct config *configs, **last_config;
	/* the file being read */
	enum role role;
	struct pol_lines text;
	unsigned pos; /* next line */
	const char *file;
	unsigned implied;      /* '}' that were missing and taken as read */
	unsigned implied_line; /* where the last of them was */
	bool after_secret;     /* the line before held a key: this one may be its rest */
};

static struct pol_place_in at(const struct parse *p, unsigned line)
{
	return (struct pol_place_in){p->file, line};
}

static const struct pol_line *peek(const struct parse *p)
{
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
static void skip_block(struct parse *p, unsigned begin, const struct pol_node *node)
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
static bool open_block(struct parse *p, const struct pol_node *node, enum block block)
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
static struct pol_node *begin_statement(struct parse *p, const struct pol_statement *s,
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
	if (name[0] && s->naming == POL_NAME_NONE)
		pol_find(p->diags, POL_WARNING, at(p, line), node, NULL,
			 "the statement has no name; '%.60s' is ignored", name);
	if (*block != BEHIND)
		pol_find(p->diags, POL_ERROR, at(p, line), node, NULL,
			 "'{' does not stand alone on its line");
	return node;
}

/* A keyword that the block does not know. True: the block ends here, its '}' is missing. */
static bool unknown_attribute(struct parse *p, const struct pol_node *node,
			      const struct pol_line *line, const char *keyword, bool hidden)
{
	const struct pol_statement *s = pol_statement_find(keyword);
	bool opens = begins_with(peek(p), '{') || ends_with(line->text, '{');
	const char *near = pol_nearest(node->statement, POL_IN_POLICY, keyword);

	if (s && s->global && s->params && opens && s->place == node->statement->place) {
		if (p->implied_line != line->number)
			pol_find(p->diags, POL_ERROR, at(p, line->number), node, keyword,
				 "it cannot stand inside %s; a '}' seems to be missing before it",
				 node->statement->keyword);
		p->implied_line = line->number;
		p->implied++;
		p->pos--;
		return true;
	}
	if (hidden)
		pol_find(p->diags, POL_ERROR, at(p, line->number), node, NULL,
			 "unknown attribute (not shown: it follows a key)");
	else if (near)
		pol_find(p->diags, POL_ERROR, at(p, line->number), node, keyword,
			 "unknown attribute; did you mean %s?", near);
	else
		pol_find(p->diags, POL_ERROR, at(p, line->number), node, keyword,
			 "unknown attribute");
	if (opens) {
		if (!ends_with(line->text, '{'))
			p->pos++;
		skip_block(p, line->number, node);
	}
	return false;
}

static void parse_block(struct parse *p, struct pol_node *node, enum block block);

static void parse_inline(struct parse *p, struct pol_node *node, const struct pol_param *param,
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

/* An attribute with its value. True: a '}' at the end of its line closes the block. */
static bool parse_attribute(struct parse *p, struct pol_node *node, const struct pol_param *param,
			    const char *rest, const struct pol_line *line)
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
	if (param->secret && line->glued)
		pol_find(p->diags, POL_WARNING, at(p, line->number), node, param->keyword,
			 "the value ends at '#', which begins a comment");
	if (!value[0] && param->kind != POL_K_FLAG)
		pol_find(p->diags, POL_ERROR, at(p, line->number), node, param->keyword,
			 "the value is missing");
	else if (!pol_node_add(node, param, value, NULL, line->number))
		p->diags->no_memory = true;
	if (param->secret)
		explicit_bzero(value, sizeof(value));
	if (opens)
		skip_block(p, line->number, node);
	return closes;
}

/* Reads the block of node up to its '}'. */
static void parse_block(struct parse *p, struct pol_node *node, enum block block)
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
		p->after_secret = param ? param->secret : hidden;
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

static void keep_config(struct parse *p, const struct pol_statement *s, const char *value,
			unsigned line)
{
	struct config *c = calloc(1, sizeof(*c));

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

/* A statement that is known but not ours: its block is passed over. */
static void pass_over(struct parse *p, const struct pol_statement *s, const char *keyword,
		      const struct pol_line *line)
{
	if (pol_first_note(p->diags, s))
		pol_find(p->diags, POL_NOTE, at(p, line->number), NULL, keyword,
			 "ignored: %s (told once)", s->note);
	if (ends_with(line->text, '{')) {
		skip_block(p, line->number, NULL);
	} else if (begins_with(peek(p), '{')) {
		p->pos++;
		skip_block(p, line->number, NULL);
	}
}

static void unknown_statement(struct parse *p, const char *keyword, const struct pol_line *line)
{
	enum pol_place place = p->role == IKED_FILE ? POL_IN_IKED : POL_IN_POLICY;
	const char *near = pol_nearest(NULL, place, keyword);

	if (near && strcasecmp(near, keyword) != 0)
		pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, keyword,
			 "unknown statement; did you mean %s?", near);
	else
		pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, keyword,
			 "unknown statement");
	if (ends_with(line->text, '{')) {
		skip_block(p, line->number, NULL);
	} else if (begins_with(peek(p), '{')) {
		p->pos++;
		skip_block(p, line->number, NULL);
	}
}

static void parse_statement(struct parse *p, const struct pol_statement *s, const char *value,
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

static void parse_line(struct parse *p, const struct pol_line *line)
{
	char keyword[KEYWORD_MAX];
	const char *rest = keyword_of(line, keyword);
	const struct pol_statement *s = pol_statement_find(keyword);
	bool iked = p->role == IKED_FILE;

	if (!s || !s->global || iked != (s->place == POL_IN_IKED))
		unknown_statement(p, keyword, line);
	else if (s->support == POL_NOTED)
		pass_over(p, s, keyword, line);
	else if (s->place != POL_IN_MAIN)
		parse_statement(p, s, rest, line->number);
	else if (p->role == MAIN_FILE || p->role == IMAGE_FILE)
		keep_config(p, s, rest, line->number);
	else
		pol_find(p->diags, POL_WARNING, at(p, line->number), NULL, keyword,
			 "ignored: it belongs in the main or image configuration file");
}

static void parse_lines(struct parse *p)
{
	const struct pol_line *line;

	while ((line = peek(p)) != NULL) {
		p->pos++;
		p->after_secret = false;
		if (line->bad) {
			pol_find(p->diags, POL_ERROR, at(p, line->number), NULL, NULL, "%s",
				 line->bad);
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
			parse_line(p, line);
		}
	}
}

static int parse_file(struct parse *p, const char *path, enum role role, struct cs_err *err)
{
	int rc;

	p->role = role;
	p->file = pol_tree_file(p->tree, path);
	if (!p->file)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	p->pos = p->implied = p->implied_line = 0;
	rc = pol_lex_file(path, &p->text, err);
	if (rc)
		return rc;
	parse_lines(p);
	pol_lines_free(&p->text);
	return 0;
}

/* ---- which file names which ---- */

/* The last line of a kind; of TcpImage and PEPInstance the last for stack. NULL: none. */
static struct config *find_config(const struct parse *p, const char *keyword, const char *file)
{
	struct config *found = NULL;

	for (struct config *c = p->configs; c; c = c->next)
		if (strcmp(c->statement->keyword, keyword) == 0 && (!file || c->file == file))
			found = c;
	return found;
}

static bool is_image(const struct config *c)
{
	return strcmp(c->statement->keyword, "TcpImage") == 0 ||
	       strcmp(c->statement->keyword, "PEPInstance") == 0;
}

/* Words of a TcpImage line that are not the name of its file. */
static bool image_option(struct pol_word word)
{
	static const char *const options[] = {"FLUSH", "NOFLUSH", "PURGE", "NOPURGE"};
	size_t digits = 0;

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (pol_word_is(word, options[i]))
			return true;
	while (digits < word.len && word.p[digits] >= '0' && word.p[digits] <= '9')
		digits++;
	return digits == word.len;
}

/* The path that a line names, seen from the directory of the file with the line; NULL: none. */
static char *named_path(struct parse *p, const struct config *c, struct pol_word word)
{
	const char *slash = strrchr(c->file, '/');
	char *path = NULL;
	int rc;

	if (word.len >= 3 && strncmp(word.p, "//'", 3) == 0) {
		pol_find(p->diags, POL_ERROR, (struct pol_place_in){c->file, c->line}, NULL,
			 c->statement->keyword, "'%.*s' is an MVS data set; name a file",
			 (int)word.len, word.p);
		return NULL;
	}
	if (word.p[0] == '/' || !slash)
		rc = asprintf(&path, "%.*s", (int)word.len, word.p);
	else
		rc = asprintf(&path, "%.*s/%.*s", (int)(slash - c->file), c->file, (int)word.len,
			      word.p);
	if (rc < 0) {
		p->diags->no_memory = true;
		return NULL;
	}
	return path;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Reads the file that c names. Where an image file is asked for, it may be c's own. */
static void parse_named(struct parse *p, const struct config *c, struct pol_word word,
			enum role role, const char **file)
{
	char *path = named_path(p, c, word);
	struct cs_err err;
	int rc;

	if (!path)
		return;
	if (role == IMAGE_FILE && same_file(path, c->file)) {
		free(path);
		return;
	}
	rc = parse_file(p, path, role, &err);
	if (rc == CS_ENOMEM)
		p->diags->no_memory = true;
	else if (rc)
		pol_find(p->diags, POL_ERROR, (struct pol_place_in){c->file, c->line}, NULL,
			 c->statement->keyword, "%.160s: %s", path, err.text);
	else if (file)
		*file = p->file;
	free(path);
}

/*
 * Chooses the image file of stack: *file changes to it, or stays the main file's name when the main
 * file is the image file too. False: the main file has images, but none for stack.
 */
static bool parse_image(struct parse *p, const char *stack, const char **file)
{
	struct config *first = NULL, *mine = NULL;
	const char *rest;
	struct pol_word word;

	for (struct config *c = p->configs; c; c = c->next) {
		rest = c->value;
		if (!is_image(c))
			continue;
		if (!first)
			first = c;
		if (pol_word_is(pol_word_next(&rest), stack))
			mine = c;
	}
	if (first && !mine) {
		pol_find(p->diags, POL_ERROR, (struct pol_place_in){first->file, first->line}, NULL,
			 first->statement->keyword, "none of the images is stack %s", stack);
		return false;
	}
	if (!mine)
		return true;
	rest = mine->value;
	pol_word_next(&rest);
	word = pol_word_next(&rest);
	if (word.len && !image_option(word))
		parse_named(p, mine, word, IMAGE_FILE, file);
	return true;
}

/* Lines that have no effect: in the wrong one of main and image file, or followed by another. */
static void warn_unused(struct parse *p, const char *main_file, const char *image_file)
{
	const struct config *common = find_config(p, "CommonIpSecConfig", main_file);
	const struct config *own = find_config(p, "IpSecConfig", image_file);

	for (struct config *c = p->configs; c; c = c->next) {
		struct pol_place_in place = {c->file, c->line};
		const char *keyword = c->statement->keyword;
		bool image = strcmp(keyword, "IpSecConfig") == 0;

		if (c->file != (image ? image_file : main_file))
			pol_find(p->diags, POL_WARNING, place, NULL, keyword,
				 "ignored: it belongs in the %s configuration file",
				 image ? "image" : "main");
		else if (!is_image(c) && c != common && c != own)
			pol_find(p->diags, POL_WARNING, place, NULL, keyword,
				 "ignored: another one follows");
	}
}

static void parse_policies(struct parse *p, const char *main_file, const char *image_file)
{
	struct config *common = find_config(p, "CommonIpSecConfig", main_file);
	struct config *own = find_config(p, "IpSecConfig", image_file);
	const char *rest;
	struct pol_word word;

	if (common) {
		rest = common->value;
		word = pol_word_next(&rest);
		if (word.len)
			parse_named(p, common, word, COMMON_FILE, NULL);
		else
			pol_find(p->diags, POL_ERROR,
				 (struct pol_place_in){common->file, common->line}, NULL,
				 common->statement->keyword, "the value is missing");
	}
	if (own) {
		rest = own->value;
		word = pol_word_next(&rest);
		if (word.len) /* without a file the common one is all there is */
			parse_named(p, own, word, STACK_FILE, NULL);
	}
}

static void parse_end(struct parse *p)
{
	while (p->configs) {
		struct config *c = p->configs;

		p->configs = c->next;
		free(c->value);
		free(c);
	}
}

int pol_parse(const char *main_file, const char *stack, struct pol_tree *tree,
	      struct pol_diags *diags, struct cs_err *err)
{
	struct parse p = {.tree = tree, .diags = diags};
	const char *main_name, *image_name;
	int rc;

	p.last_config = &p.configs;
	rc = parse_file(&p, main_file, MAIN_FILE, err);
	if (rc) {
		cs_err_prefix(err, "%s", main_file);
		return rc;
	}
	main_name = image_name = p.file;
	if (parse_image(&p, stack, &image_name)) {
		warn_unused(&p, main_name, image_name);
		parse_policies(&p, main_name, image_name);
	}
	parse_end(&p);
	return diags->no_memory ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
}

int pol_parse_iked(const char *file, struct pol_tree *tree, struct pol_diags *diags,
		   struct cs_err *err)
{
	struct parse p = {.tree = tree, .diags = diags};
	int rc;

	p.last_config = &p.configs;
	rc = parse_file(&p, file, IKED_FILE, err);
	if (rc) {
		cs_err_prefix(err, "%s", file);
		return rc;
	}
	return diags->no_memory ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
}
