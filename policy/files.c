/*
 * Which policy files there are: the main file names image and policy files, and the code page of
 * those that are in EBCDIC.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/parse_file.h"
#include "policy/value.h"

/* ---- one file ---- */

/* Takes the code page that the main file names. */
static void find_page(struct pol_parse *p)
{
	for (unsigned i = 0; i < p->text.n; i++) {
		const char *rest = p->text.lines[i].text;
		struct pol_word word;

		if (!pol_word_is(pol_word_next(&rest), "Codepage"))
			continue;
		word = pol_word_next(&rest);
		if (word.len && pol_word_copy(word, p->page, sizeof(p->page)))
			p->page_named = true;
	}
}

/* In EBCDIC the Codepage statement can be read in any page, and a key perhaps in the right one
 * only. */
static int read_lines(struct pol_parse *p, const char *path, struct cs_err *err)
{
	struct pol_place_in place = {.file = p->file, .line = 1, .mark = POL_MARK_NOTHING};
	int rc = pol_lex_file(path, p->page, &p->text, err);

	if (rc == 0 && p->role == MAIN_FILE) {
		find_page(p);
		if (p->page_named && p->text.ebcdic) {
			pol_lines_free(&p->text);
			rc = pol_lex_file(path, p->page, &p->text, err);
		}
	}
	if (rc == 0)
		pol_diags_file(p->diags, p->file, &p->text);
	if (rc == 0 && p->text.ebcdic)
		pol_find(p->diags, POL_NOTE, place, NULL, NULL,
			 "the file is in EBCDIC: it is read in code page %s%s", p->page,
			 p->page_named ? "" : ", because no Codepage statement names another");
	return rc;
}

static int parse_file(struct pol_parse *p, const char *path, enum pol_role role, struct cs_err *err)
{
	int rc;

	p->role = role;
	p->file = pol_tree_file(p->tree, path);
	if (!p->file)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	p->pos = p->implied = p->implied_line = 0;
	rc = read_lines(p, path, err);
	if (rc)
		return rc;
	pol_parse_lines(p);
	pol_diags_keep(p->diags, p->file, &p->text);
	return 0;
}

/* ---- which file names which ---- */

static struct pol_place_in place_of(const struct pol_config *c)
{
	return (struct pol_place_in){.file = c->file, .line = c->line, .mark = POL_MARK_VALUE};
}

/* The last line of a kind; of TcpImage and PEPInstance the last for stack. NULL: none. */
static struct pol_config *find_config(const struct pol_parse *p, const char *keyword,
				      const char *file)
{
	struct pol_config *found = NULL;

	for (struct pol_config *c = p->configs; c; c = c->next)
		if (strcmp(c->statement->keyword, keyword) == 0 && (!file || c->file == file))
			found = c;
	return found;
}

static bool is_image(const struct pol_config *c)
{
	return strcmp(c->statement->keyword, "TcpImage") == 0 ||
	       strcmp(c->statement->keyword, "PEPInstance") == 0;
}

enum option { NO_OPTION = -1, FLUSH, NOFLUSH, PURGE, NOPURGE, INTERVAL };

/* What a word of a TcpImage or TTLSConfig line is, other than the name of its file. */
static enum option option_of(struct pol_word word)
{
	static const char *const options[] = {"FLUSH", "NOFLUSH", "PURGE", "NOPURGE"};
	size_t digits = 0;

	for (int i = FLUSH; i <= NOPURGE; i++)
		if (pol_word_is(word, options[i]))
			return (enum option)i;
	while (digits < word.len && word.p[digits] >= '0' && word.p[digits] <= '9')
		digits++;
	return digits == word.len ? INTERVAL : NO_OPTION;
}

/*
 * Takes the options at rest, the end of c's line, over into o. The order in which they are written
 * does not matter here.
 */
static void read_options(struct pol_parse *p, const struct pol_config *c, const char *rest,
			 bool interval, struct pol_options *o)
{
	for (;;) {
		struct pol_word word = pol_word_next(&rest);
		enum option option = option_of(word);
		unsigned long n = 0;

		if (!word.len)
			return;
		if (option == NO_OPTION || (option == INTERVAL && !interval)) {
			pol_find(p->diags, POL_ERROR, place_of(c), NULL, c->statement->keyword,
				 "'%.*s' is not one of FLUSH|NOFLUSH|PURGE|NOPURGE%s",
				 (int)(word.len > 60 ? 60 : word.len), word.p,
				 interval ? " or a number of seconds" : "");
		} else if (option == INTERVAL) {
			if (pol_number(word, &n) || n > POL_INTERVAL_MAX)
				pol_find(p->diags, POL_ERROR, place_of(c), NULL,
					 c->statement->keyword,
					 "'%.*s' is out of range: 0 to %lu seconds",
					 (int)(word.len > 60 ? 60 : word.len), word.p,
					 POL_INTERVAL_MAX);
			else
				o->interval = (unsigned)n;
			o->interval_coded = true;
		} else if (option == FLUSH || option == NOFLUSH) {
			o->ttls_flush = option == FLUSH;
		} else {
			o->ttls_purge = option == PURGE;
		}
	}
}

static bool is_data_set(struct pol_word word)
{
	return word.len >= 3 && strncmp(word.p, "//'", 3) == 0;
}

/* The path that a line names, seen from the directory of the file with the line; NULL: none. */
static char *named_path(struct pol_parse *p, const struct pol_config *c, struct pol_word word)
{
	const char *slash = strrchr(c->file, '/');
	char *path = NULL;
	int rc;

	if (is_data_set(word)) {
		pol_find(p->diags, POL_ERROR, place_of(c), NULL, c->statement->keyword,
			 "'%.*s' is an MVS data set; name a file", (int)word.len, word.p);
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
static void parse_named(struct pol_parse *p, const struct pol_config *c, struct pol_word word,
			enum pol_role role, const char **file)
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
		pol_find(p->diags, POL_ERROR, place_of(c), NULL, c->statement->keyword,
			 "%.160s: %s", path, err.text);
	else if (file)
		*file = p->file;
	free(path);
}

/*
 * Chooses the image file of stack: *file changes to it, or stays the main file's name when the main
 * file is the image file too. False: the main file has images, but none for stack.
 */
static bool parse_image(struct pol_parse *p, const char *stack, const char **file)
{
	struct pol_config *first = NULL, *mine = NULL;
	const char *rest, *options;
	struct pol_word word;

	for (struct pol_config *c = p->configs; c; c = c->next) {
		rest = c->value;
		if (!is_image(c))
			continue;
		if (!first)
			first = c;
		if (pol_word_is(pol_word_next(&rest), stack))
			mine = c;
	}
	if (first && !mine) {
		pol_find(p->diags, POL_ERROR, place_of(first), NULL, first->statement->keyword,
			 "none of the images is stack %s", stack);
		return false;
	}
	if (!mine)
		return true;
	rest = mine->value;
	pol_word_next(&rest);
	options = rest;
	word = pol_word_next(&rest);
	if (word.len && option_of(word) == NO_OPTION) {
		options = rest;
		parse_named(p, mine, word, IMAGE_FILE, file);
	}
	read_options(p, mine, options, true, &p->tree->options);
	return true;
}

/* Lines that have no effect: in the wrong one of main and image file, or followed by another. */
static void warn_unused(struct pol_parse *p, const char *main_file, const char *image_file)
{
	for (struct pol_config *c = p->configs; c; c = c->next) {
		struct pol_place_in place = {.file = c->file, .line = c->line};
		const char *keyword = c->statement->keyword;
		bool image =
			strcmp(keyword, "IpSecConfig") == 0 || strcmp(keyword, "TTLSConfig") == 0;
		const char *file = image ? image_file : main_file;

		if (c->file != file)
			pol_find(p->diags, POL_WARNING, place, NULL, keyword,
				 "ignored: it belongs in the %s configuration file",
				 image ? "image" : "main");
		else if (!is_image(c) && c != find_config(p, keyword, file))
			pol_find(p->diags, POL_WARNING, place, NULL, keyword,
				 "ignored: another one follows");
	}
}

static void missing_value(struct pol_parse *p, const struct pol_config *c)
{
	pol_find(p->diags, POL_ERROR, place_of(c), NULL, c->statement->keyword,
		 "the value is missing");
}

static void check_page(struct pol_parse *p, const char *main_file)
{
	const struct pol_config *page = find_config(p, "Codepage", main_file);

	if (page && !*page->value)
		missing_value(p, page);
}

/* The policy file that a line names; a line without one has names where it need not. */
struct policy_file {
	const struct pol_config *config; /* NULL: none */
	struct pol_word word;
	const char *rest; /* behind the name */
	enum pol_scope scope;
	enum pol_role role;
};

static struct policy_file policy_file(const struct pol_config *config, enum pol_scope scope,
				      enum pol_role role)
{
	struct policy_file f = {.config = config, .scope = scope, .role = role};

	if (config) {
		f.rest = config->value;
		f.word = pol_word_next(&f.rest);
	}
	if (scope == POL_FOR_TTLS && role == STACK_FILE && f.word.len &&
	    option_of(f.word) != NO_OPTION) {
		f.word.len = 0;
		f.rest = config->value;
	}
	return f;
}

static bool is_same(struct pol_parse *p, const struct policy_file *a, const struct policy_file *b)
{
	char *x, *y;
	bool same;

	if (!a->word.len || !b->word.len || is_data_set(a->word) || is_data_set(b->word))
		return false;
	x = named_path(p, a->config, a->word);
	y = named_path(p, b->config, b->word);
	same = x && y && same_file(x, y);
	free(x);
	free(y);
	return same;
}

static void parse_policies(struct pol_parse *p, const char *main_file, const char *image_file)
{
	struct policy_file files[] = {
		policy_file(find_config(p, "CommonIpSecConfig", main_file), POL_FOR_IPSEC,
			    COMMON_FILE),
		policy_file(find_config(p, "IpSecConfig", image_file), POL_FOR_IPSEC, STACK_FILE),
		policy_file(find_config(p, "CommonTTLSConfig", main_file), POL_FOR_TTLS,
			    COMMON_FILE),
		policy_file(find_config(p, "TTLSConfig", image_file), POL_FOR_TTLS, STACK_FILE),
	};
	struct policy_file *common = &files[2];
	const struct policy_file *own = &files[3];

	for (const struct pol_config *c = p->configs; c; c = c->next)
		if (strcmp(c->statement->keyword, "IpSecConfig") == 0 ||
		    strcmp(c->statement->keyword, "CommonIpSecConfig") == 0)
			p->tree->names_ipsec = true;
	if (own->config) {
		read_options(p, own->config, own->rest, false, &p->tree->options);
	} else if (common->config) {
		pol_find(p->diags, POL_WARNING, place_of(common->config), NULL, "CommonTTLSConfig",
			 "ignored: the image's file has no TTLSConfig");
		*common = policy_file(NULL, POL_FOR_TTLS, COMMON_FILE);
	}
	for (unsigned i = 0; i < 4; i++) {
		if (!files[i].config)
			continue;
		if (!files[i].word.len && files[i].role == COMMON_FILE)
			missing_value(p, files[i].config);
		/* One file may have both kinds of policy; it is read once. */
		if (i < 2 && is_same(p, &files[i], &files[i + 2])) {
			files[i].scope = POL_FOR_BOTH;
			files[i + 2].config = NULL;
		}
		p->scope = files[i].scope;
		if (files[i].word.len) /* without a file the common one is all there is */
			parse_named(p, files[i].config, files[i].word, files[i].role, NULL);
	}
}

static void parse_end(struct pol_parse *p)
{
	while (p->configs) {
		struct pol_config *c = p->configs;

		p->configs = c->next;
		free(c->value);
		free(c);
	}
}

int pol_parse(const char *main_file, const char *stack, struct pol_tree *tree,
	      struct pol_diags *diags, struct cs_err *err)
{
	struct pol_parse p = {
		.tree = tree, .diags = diags, .page = POL_CODEPAGE_DEFAULT, .scope = POL_FOR_BOTH};
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
		tree->options.read = true;
		warn_unused(&p, main_name, image_name);
		check_page(&p, main_name);
		parse_policies(&p, main_name, image_name);
	}
	parse_end(&p);
	return diags->no_memory ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
}

int pol_parse_iked(const char *file, struct pol_tree *tree, struct pol_diags *diags,
		   struct cs_err *err)
{
	struct pol_parse p = {.tree = tree, .diags = diags, .page = POL_CODEPAGE_DEFAULT};
	int rc;

	p.last_config = &p.configs;
	rc = parse_file(&p, file, IKED_FILE, err);
	if (rc) {
		cs_err_prefix(err, "%s", file);
		return rc;
	}
	return diags->no_memory ? cs_fail(err, CS_ENOMEM, "out of memory") : 0;
}
