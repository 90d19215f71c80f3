/* pasearch: the command line.  It reads policy.db alone, so it needs no right to any secret. */
#include <dirent.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/options.h"
#include "policy/pasearch.h"

/* As the ipsec command ends. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_EMPTY = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_AUTHORIZED = 3,
	EXIT_NO_POLICY = 4,
	EXIT_BROKEN = 5,
};

static const char usage_text[] =
	"Usage: pasearch [-p IMAGE] [-v {a|f|k|l}] [-t] [-e|-a|-r] [-A] [-I] [-n] [-f NAME]\n"
	"                [--json] [--fail-empty]\n"
	"       pasearch [-p IMAGE] -c | -C\n"
	"       pasearch [-p IMAGE] --policy [-v a] [-t] [--with-secrets]\n"
	"\n"
	"  -p IMAGE       the stack; default TCPIP\n"
	"  -v a|f|k|l     IPSec policy: all, IpFilterPolicy, KeyExchangePolicy, LocalDynVpnPolicy\n"
	"  -t             AT-TLS policy\n"
	"  -e             rules and actions (default)\n"
	"  -r             rules          -a  actions\n"
	"  -A             what is active now (default)\n"
	"  -I             what is inactive by its time conditions; with -A both\n"
	"  -f NAME        rules and actions of this name; '*' and '?' stand for others\n"
	"  -n             names alone\n"
	"  -c             where policy is from, when it came, how many rules\n"
	"  -C             the images that have policy\n"
	"  -d             tells on the standard error what is read\n"
	"  --json         one JSON document\n"
	"  --policy       a policy file that compiles to the policy in force\n"
	"  --with-secrets with the keys; never to a terminal or a file that others may read\n"
	"  --fail-empty   exit 1 when nothing was selected\n"
	"  --help, -?     this text          --version\n"
	"\n"
	"-q, -i, -R, -T, -s SCOPE (other disciplines), -g, -o, -w and -z are taken and do "
	"nothing.\n"
	"Exit: 0 done, 1 nothing selected (--fail-empty), 2 usage, 3 not authorized, 4 no policy,\n"
	"5 the policy cannot be read or the output not be written.\n"
	"\n"
	"  pasearch -v f -n\n"
	"  pasearch -p TCPCS -f 'Branch*' --json\n"
	"  umask 077; pasearch --policy --with-secrets >saved.policy\n";

static enum exit_code failed(const struct cs_err *err)
{
	fprintf(stderr, "pasearch: %s\n", err->text);
	switch (err->code) {
	case CS_EPERM:
		return EXIT_NOT_AUTHORIZED;
	case CS_ENOTFOUND:
		return EXIT_NO_POLICY;
	case CS_EINVAL:
		return EXIT_USAGE;
	default:
		return EXIT_BROKEN;
	}
}

static enum exit_code usage(const char *what, const char *value)
{
	cs_usage("pasearch", what, value);
	return EXIT_USAGE;
}

/* ---- options ---- */

enum { O_JSON = 256, O_POLICY, O_SECRETS, O_FAIL_EMPTY, O_HELP, O_VERSION };

static const struct option long_options[] = {
	{"json", no_argument, NULL, O_JSON},
	{"policy", no_argument, NULL, O_POLICY},
	{"with-secrets", no_argument, NULL, O_SECRETS},
	{"fail-empty", no_argument, NULL, O_FAIL_EMPTY},
	{"help", no_argument, NULL, O_HELP},
	{"version", no_argument, NULL, O_VERSION},
	{0},
};

static bool set_types(struct pasearch_options *o, const char *letters)
{
	for (; *letters; letters++) {
		bool known = *letters == 'a';

		for (unsigned i = 0; i < PASEARCH_TYPES; i++)
			if (pasearch_types[i].letter != 't' &&
			    (*letters == 'a' || *letters == pasearch_types[i].letter))
				o->types[i] = known = true;
		if (!known)
			return false;
	}
	return true;
}

/* All kinds of IPSec policy, or none of them. */
static bool is_whole_ipsec(const struct pasearch_options *o)
{
	unsigned n = 0, of = 0;

	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		if (pasearch_types[i].letter != 't') {
			of++;
			n += o->types[i];
		}
	return n == 0 || n == of;
}

static void set_tls(struct pasearch_options *o)
{
	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		if (pasearch_types[i].letter == 't')
			o->types[i] = true;
}

/* What the original has and there is nothing to show of. */
static const char *absent(int option)
{
	switch (option) {
	case 'q':
	case 's':
		return "quality of service";
	case 'i':
		return "intrusion detection";
	case 'R':
	case 'T':
		return "policy-based routing";
	default:
		return NULL;
	}
}

/* Not negative: the exit code. */
static int set_option(struct pasearch_options *o, int option, const char *value, bool *others)
{
	struct cs_err err;

	switch (option) {
	case 'A':
		o->active = true;
		return -1;
	case 'I':
		o->inactive = true;
		return -1;
	case 'a':
		o->actions = true;
		return -1;
	case 'r':
		o->rules = true;
		return -1;
	case 'e':
		o->actions = o->rules = true;
		return -1;
	case 'C':
		o->images = true;
		return -1;
	case 'c':
		o->summary = true;
		return -1;
	case 'd':
		o->debug = true;
		return -1;
	case 'f':
		o->name = value;
		return -1;
	case 'n':
		o->names_only = true;
		return -1;
	case 'p':
		if (cs_stack_check(value, &err) < 0)
			return (int)usage(err.text, NULL);
		snprintf(o->stack, sizeof(o->stack), "%s", value);
		return -1;
	case 't':
		set_tls(o);
		return -1;
	case 'v':
		return set_types(o, value) ? -1 : (int)usage("-v takes a, f, k or l, not", value);
	case 'q':
	case 'i':
	case 'R':
	case 'T':
	case 's':
		fprintf(stderr, "pasearch: note: -%c: %s is not part of this program\n", option,
			absent(option));
		*others = *others || option != 's';
		return -1;
	case 'g':
	case 'o':
	case 'w':
	case 'z':
		fprintf(stderr, "pasearch: note: -%c has no effect here\n", option);
		return -1;
	case O_JSON:
		o->json = true;
		return -1;
	case O_POLICY:
		o->policy = true;
		return -1;
	case O_SECRETS:
		o->secrets = true;
		return -1;
	case O_FAIL_EMPTY:
		o->fail_empty = true;
		return -1;
	case O_VERSION:
		printf("pasearch (csipsec) %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	default:
		fputs(usage_text, stdout);
		return EXIT_DONE;
	}
}

/* What is not said, and what excludes what. Not negative: the exit code. */
static int complete(struct pasearch_options *o, bool others)
{
	bool any = others;

	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		any = any || o->types[i];
	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		o->types[i] = o->types[i] || !any;
	if (o->secrets && !o->policy)
		return (int)usage("--with-secrets goes with --policy", NULL);
	if (o->policy &&
	    (others || !is_whole_ipsec(o) || o->name || o->names_only || o->summary || o->images ||
	     o->json || o->rules || o->actions || o->active || o->inactive))
		return (int)usage("--policy writes all of it: of what selects and displays, only "
				  "-v a and -t go with it",
				  NULL);
	if (o->images && o->summary)
		return (int)usage("-c and -C cannot be combined", NULL);
	if (!o->rules && !o->actions)
		o->rules = o->actions = true;
	if (!o->active && !o->inactive)
		o->active = true;
	return -1;
}

static int parse(int argc, char **argv, struct pasearch_options *o)
{
	bool others = false;
	int option, rc;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":AaCcdef:gIinop:qRrs:Ttv:wz", long_options,
				     NULL)) != -1) {
		if (option == ':')
			return (int)usage("an option lacks its value", argv[optind - 1]);
		if (option == '?' && optopt != '?')
			return (int)usage("unknown option", argv[optind - 1]);
		rc = set_option(o, option, optarg, &others);
		if (rc >= 0)
			return rc;
	}
	if (optind < argc)
		return (int)usage("this belongs to no option", argv[optind]);
	return complete(o, others);
}

/* ---- work ---- */

static int print_json(json_t *document)
{
	bool done = document && json_dumpf(document, stdout, JSON_INDENT(2)) == 0;

	json_decref(document);
	if (!done)
		fputs("pasearch: out of memory\n", stderr);
	putchar('\n');
	return done ? EXIT_DONE : EXIT_BROKEN;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The directories of stacks that have a policy.db. */
static int list_images(const struct pasearch_options *o, unsigned *shown)
{
	char path[CS_PATH_MAX], *names[1024];
	json_t *list = o->json ? json_array() : NULL;
	struct cs_err err;
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	if (cs_state_path(NULL, NULL, path, &err) < 0)
		return (int)failed(&err);
	dir = opendir(path);
	if (!dir) {
		cs_fail_errno(&err, "cannot read %s", path);
		json_decref(list);
		return (int)failed(&err);
	}
	while (n < sizeof(names) / sizeof(names[0]) && (entry = readdir(dir)))
		if (cs_stack_check(entry->d_name, NULL) == 0 &&
		    cs_state_path(entry->d_name, "policy.db", path, NULL) == 0 &&
		    access(path, F_OK) == 0 && (names[n] = strdup(entry->d_name)))
			n++;
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_text);
	for (unsigned i = 0; i < n; i++) {
		if (list)
			json_array_append_new(list, json_string(names[i]));
		else
			printf("Image Name: %s\n", names[i]);
		free(names[i]);
	}
	*shown = n;
	return list ? print_json(json_pack("{s:o}", "images", list)) : EXIT_DONE;
}

/* Keys go where they were asked for, and not by chance to where others see them. */
static int check_output(void)
{
	struct stat st;

	if (isatty(STDOUT_FILENO))
		return (int)usage("--with-secrets does not write to a terminal", NULL);
	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0077))
		return (int)usage("--with-secrets: others may open the output file: umask 077, or "
				  "chmod 600 it",
				  NULL);
	return -1;
}

static int show(struct pasearch *p)
{
	struct cs_err err;

	if (p->o->json)
		return print_json(pasearch_json(p));
	if (p->o->policy && pasearch_write(p, &err) < 0)
		return (int)failed(&err);
	if (!p->o->policy)
		pasearch_text(p);
	if (!pol_view_failed(&p->view))
		return EXIT_DONE;
	fputs("pasearch: out of memory\n", stderr);
	return EXIT_BROKEN;
}

static int load(struct pasearch_options *o, struct pol_stored *stored, struct cs_err *err)
{
	struct pol_store *store;
	char dir[CS_PATH_MAX];
	int rc = cs_state_path(NULL, NULL, dir, err);

	if (rc == 0)
		rc = cs_stack_find(dir, o->stack, err);
	if (rc == 0)
		rc = cs_state_path(o->stack, NULL, dir, err);
	if (rc == 0)
		rc = pol_store_open_display(dir, o->secrets, &store, err);
	if (rc < 0)
		return rc;
	rc = pol_store_statements(store, stored, err);
	pol_store_close(store);
	if (rc == 0 && o->debug)
		fprintf(stderr, "pasearch: %s/policy.db: generation %llu, %u statements\n", dir,
			(unsigned long long)stored->generation, stored->tree->n_nodes);
	return rc;
}

static int run(struct pasearch_options *o, unsigned *shown)
{
	struct pasearch p = {.o = o, .out = stdout};
	struct cs_err err;
	int rc;

	if (o->images)
		return list_images(o, shown);
	rc = o->secrets ? check_output() : -1;
	if (rc >= 0)
		return rc;
	if (load(o, &p.stored, &err) < 0)
		return (int)failed(&err);
	if (pol_view_open(p.stored.tree, time(NULL), &p.view, &err) < 0) {
		rc = (int)failed(&err);
	} else {
		rc = show(&p);
		pol_view_close(&p.view);
	}
	pol_tree_free(p.stored.tree);
	*shown = p.shown;
	return rc;
}

int main(int argc, char **argv)
{
	struct pasearch_options o = {.stack = CS_STACK_DEFAULT};
	unsigned shown = 1;
	int rc = parse(argc, argv, &o);

	if (rc < 0)
		rc = run(&o, &shown);
	if (fclose(stdout) != 0 && rc == EXIT_DONE) {
		fputs("pasearch: the output could not be written\n", stderr);
		rc = EXIT_BROKEN;
	}
	return rc == EXIT_DONE && !shown && o.fail_empty ? EXIT_EMPTY : rc;
}
