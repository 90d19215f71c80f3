/* The command line of csipsec-pki: a command, mostly with a label, and long options. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "pki/tool.h"
#include "policy/policy.h"

const char tool_usage[] =
	"Usage: csipsec-pki [-k KEYRING] COMMAND [LABEL] [OPTION...]\n"
	"Certificates and keys of iked's keyring, by label.\n"
	"\n"
	"  ca LABEL        make a CA              --subject DN --key KIND --days N --path-length "
	"N\n"
	"                                         --ca LABEL (of the CA above it)\n"
	"  host LABEL      make a certificate     --ca LABEL --subject DN --ip A --dns N --email "
	"M\n"
	"                                         --key KIND --days N\n"
	"  request LABEL   key and request        --subject DN --ip A --dns N --email M --key "
	"KIND\n"
	"                                         --out FILE\n"
	"  sign [LABEL]    sign a request         --in FILE --ca LABEL --days N --out FILE\n"
	"  import LABEL    take what FILE has     --in FILE --password-file FILE\n"
	"  export LABEL    write a certificate    --out FILE --form pem|der|p12 --chain\n"
	"                                         --private-key --password-file FILE\n"
	"  list [LABEL]    show                   --json --expires DAYS\n"
	"  delete LABEL    certificate and key, request, CRL\n"
	"  default LABEL   mark the default certificate\n"
	"  revoke LABEL    onto its CA's CRL      --reason WORD --days N\n"
	"  revoke          by number              --serial HEX --ca LABEL --reason WORD --days N\n"
	"  crl LABEL       make a fresh CRL       --days N --out FILE\n"
	"  check [LABEL]   judge as iked would    --in FILE --id TYPE:VALUE --ca LABEL\n"
	"                                         --revocation none|loose|strict --at DATE\n"
	"\n"
	"  -k KEYRING      directory or PKCS#12 file (default: Keyring of iked.conf in\n"
	"                  $CSIPSEC_CONFDIR, which is iked/keyring there)\n"
	"  --replace       write over what is there\n"
	"  --help, -h      this text        --version\n"
	"\n"
	"KIND is rsa:2048, rsa:3072 (default), rsa:4096, ec:256, ec:384 or ec:521. DN is written\n"
	"CN=a,O=b,C=US and is CN=LABEL when it is not given. TYPE is IpAddr, Fqdn, UserAtFqdn or\n"
	"X500dn. FILE - is standard input or output. A password is asked for, or is the first\n"
	"line of the file.\n"
	"\n"
	"  csipsec-pki ca Example-CA --subject CN=CA,O=Example,C=US\n"
	"  csipsec-pki host hosta --ca Example-CA --ip 192.0.2.10 --dns hosta.example.com\n"
	"  csipsec-pki list --expires 30\n"
	"\n"
	"Exit status: 0 done, 1 check would refuse it or (--expires) some expire, 2 usage,\n"
	"3 not done.\n";

/* The letter is what tool_commands[] names it by. */
static const struct option options[] = {
	{"ca", required_argument, NULL, 'c'},
	{"subject", required_argument, NULL, 's'},
	{"key", required_argument, NULL, 'y'},
	{"days", required_argument, NULL, 'd'},
	{"path-length", required_argument, NULL, 'p'},
	{"ip", required_argument, NULL, 'n'},
	{"dns", required_argument, NULL, 'N'},
	{"email", required_argument, NULL, 'M'},
	{"in", required_argument, NULL, 'i'},
	{"out", required_argument, NULL, 'o'},
	{"form", required_argument, NULL, 'f'},
	{"password-file", required_argument, NULL, 'P'},
	{"private-key", no_argument, NULL, 'K'},
	{"chain", no_argument, NULL, 'C'},
	{"replace", no_argument, NULL, 'R'},
	{"json", no_argument, NULL, 'j'},
	{"expires", required_argument, NULL, 'E'},
	{"serial", required_argument, NULL, 'S'},
	{"reason", required_argument, NULL, 'r'},
	{"id", required_argument, NULL, 'I'},
	{"revocation", required_argument, NULL, 'v'},
	{"at", required_argument, NULL, 'A'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]) - 1)

static const char *name_of(int letter)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].val == letter)
			return options[i].name;
	return "?";
}

/* ---- values ---- */

static int parse_number(const char *text, int max, int *n, struct cs_err *err)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v > max)
		return cs_fail(err, CS_EINVAL, "'%s' is not a number up to %d", text, max);
	*n = (int)v;
	return 0;
}

static int add_san(struct tool *t, uint8_t type, const char *text, struct cs_err *err)
{
	struct cs_addr a;
	int status = 0;

	if (t->n_sans == TOOL_SANS_MAX)
		return cs_fail(err, CS_EINVAL, "there are more than %d names", TOOL_SANS_MAX);
	if (type == POL_ID_IPV4_ADDR)
		status = cs_addr_parse(text, &a, err);
	if (status == 0 && type == POL_ID_IPV4_ADDR && a.family == AF_INET6)
		type = POL_ID_IPV6_ADDR;
	if (status == 0)
		t->sans[t->n_sans++] = (struct pki_san){type, text};
	return status;
}

static int parse_revocation(const char *text, enum pki_revocation *level, struct cs_err *err)
{
	static const char *const words[] = {"none", "loose", "strict"};

	for (int i = 0; i < 3; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*level = (enum pki_revocation)i;
			return 0;
		}
	return cs_fail(err, CS_EINVAL, "'%s' is not one of none, loose, strict", text);
}

/* "2026-12-31" or "2026-12-31T23:59:59", UTC. */
static int parse_time(const char *text, int64_t *when, struct cs_err *err)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, "%Y-%m-%d", &tm);
	}
	if (!end || *end)
		return cs_fail(err, CS_EINVAL, "'%s' is not a date: 2026-12-31, perhaps T23:59:59",
			       text);
	*when = timegm(&tm);
	return 0;
}

static int set_option(struct tool *t, int letter, const char *value, struct cs_err *err)
{
	switch (letter) {
	case 'c':
		if (t->n_cas == TOOL_CAS_MAX)
			return cs_fail(err, CS_EINVAL, "there are more than %d", TOOL_CAS_MAX);
		t->cas[t->n_cas++] = value;
		return 0;
	case 's':
		t->subject = value;
		return 0;
	case 'y':
		t->key = value;
		return 0;
	case 'd':
		return parse_number(value, 36500, &t->days, err);
	case 'p':
		return parse_number(value, PKI_DEPTH_MAX, &t->path_length, err);
	case 'n':
		return add_san(t, POL_ID_IPV4_ADDR, value, err);
	case 'N':
		return add_san(t, POL_ID_FQDN, value, err);
	case 'M':
		return add_san(t, POL_ID_USER_FQDN, value, err);
	case 'i':
		t->in = value;
		return 0;
	case 'o':
		t->out = value;
		return 0;
	case 'f':
		t->form = value;
		return strcmp(value, "pem") == 0 || strcmp(value, "der") == 0 ||
				       strcmp(value, "p12") == 0
			       ? 0
			       : cs_fail(err, CS_EINVAL, "'%s' is not one of pem, der, p12", value);
	case 'P':
		t->password_file = value;
		return 0;
	case 'K':
		t->with_key = true;
		return 0;
	case 'C':
		t->chain = true;
		return 0;
	case 'R':
		t->replace = true;
		return 0;
	case 'j':
		t->json = true;
		return 0;
	case 'E':
		return parse_number(value, 36500, &t->expires, err);
	case 'S':
		t->serial = value;
		return 0;
	case 'r':
		t->reason = value;
		return 0;
	case 'I':
		t->id = value;
		return 0;
	case 'v':
		return parse_revocation(value, &t->revocation, err);
	default:
		return parse_time(value, &t->now, err);
	}
}

/* ---- the line ---- */

static const struct tool_command *find_command(const char *name)
{
	for (unsigned i = 0; i < tool_n_commands; i++)
		if (strcmp(tool_commands[i].name, name) == 0)
			return &tool_commands[i];
	return NULL;
}

/* Where iked would look. */
static int default_ring(struct tool *t, struct cs_err *err)
{
	struct pol_ike_config config;
	char file[CS_PATH_MAX];
	int status = cs_conf_path("iked.conf", file, err);

	if (status == 0)
		status = pol_ike_config(file, true, NULL, NULL, &config, err);
	if (status < 0)
		return cs_fail(err, CS_EINVAL, "%s; -k names the keyring", err->text);
	if (!config.keyring[0])
		return cs_fail(err, CS_EINVAL, "%s has NoKeyRing; -k names the keyring", file);
	memcpy(t->ring, config.keyring, sizeof(t->ring));
	return 0;
}

static int take_ring(struct tool *t, const char *path, struct cs_err *err)
{
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(t->ring))
		return cs_fail(err, CS_EINVAL, "this cannot be the path of a keyring");
	memcpy(t->ring, path, n + 1);
	return 0;
}

/* A command's 'n' stands for all three kinds of names. */
static bool takes(const struct tool_command *command, int letter)
{
	if (letter == 'N' || letter == 'M')
		letter = 'n';
	return strchr(command->options, letter) != NULL;
}

static int check_label(const struct tool *t, struct cs_err *err)
{
	int status;

	if (t->label && t->command->label == 0)
		return cs_fail(err, CS_EINVAL, "%s takes no label", t->command->name);
	if (!t->label && t->command->label > 0)
		return cs_fail(err, CS_EINVAL, "%s needs a label", t->command->name);
	if (!t->label)
		return 0;
	status = pki_label_check(t->label, err);
	return status < 0 ? cs_err_prefix(err, "'%s'", t->label) : 0;
}

int tool_parse(int argc, char **argv, struct tool *t, bool *done, struct cs_err *err)
{
	bool given[128] = {false};
	int c, status = 0;

	opterr = 0;
	while (status == 0 && (c = getopt_long(argc, argv, ":k:h", options, NULL)) != -1) {
		const char *what = optind > 0 && optind <= argc ? argv[optind - 1] : "";

		if (c == ':')
			return cs_fail(err, CS_EINVAL, "%s needs a value", what);
		if (c == '?')
			return cs_fail(err, CS_EINVAL, "there is no option %s", what);
		if (c == 'h') {
			fputs(tool_usage, stdout);
			*done = true;
			return 0;
		}
		if (c == 'V') {
			printf("csipsec-pki (csipsec) %s\n", PACKAGE_VERSION);
			*done = true;
			return 0;
		}
		if (c == 'k') {
			status = take_ring(t, optarg, err);
			continue;
		}
		if (given[c] && !strchr("cnNM", c))
			return cs_fail(err, CS_EINVAL, "--%s stands twice", name_of(c));
		given[c] = true;
		status = set_option(t, c, optarg, err);
		if (status < 0)
			return cs_err_prefix(err, "--%s", name_of(c));
	}
	if (status < 0)
		return status;
	if (optind == argc)
		return cs_fail(err, CS_EINVAL, "a command is needed");
	t->command = find_command(argv[optind]);
	if (!t->command)
		return cs_fail(err, CS_EINVAL, "there is no command '%s'", argv[optind]);
	if (optind + 1 < argc)
		t->label = argv[optind + 1];
	if (optind + 2 < argc)
		return cs_fail(err, CS_EINVAL, "'%s' is one argument too many", argv[optind + 2]);
	status = check_label(t, err);
	for (int letter = 0; status == 0 && letter < 128; letter++)
		if (given[letter] && !takes(t->command, letter))
			status = cs_fail(err, CS_EINVAL, "%s takes no --%s", t->command->name,
					 name_of(letter));
	if (status == 0 && !t->ring[0])
		status = default_ring(t, err);
	return status;
}
