/*
 * Policy files made at random from the grammar's rows: every statement and parameter that they have
 * and that is supported, in spellings that the language allows.  Only what rows cannot say, the
 * form of texts, stands here.
 */
#include "policy_random.h"

#include <check.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/grammar.h"
#include "policy/value.h"
#include "tests/unit/policy_text.h"

#define EACH       3   /* statements of a kind */
#define ROUNDS     120 /* until it is given up */
#define STATEMENTS 256

struct made {
	const struct pol_statement *statement;
	unsigned number;
	char *text;
	unsigned first_line, tries;
};

struct maker {
	uint64_t state;
	struct made made[STATEMENTS];
	unsigned n;
	FILE *out;
	unsigned tries; /* of the statement that is being made: the more, the plainer */
};

static unsigned any(struct maker *m, unsigned below)
{
	m->state ^= m->state << 13;
	m->state ^= m->state >> 7;
	m->state ^= m->state << 17;
	return (unsigned)(m->state >> 33) % below;
}

static bool chance(struct maker *m, unsigned percent)
{
	return any(m, 100) < percent;
}

/* ---- values ---- */

static const struct {
	const char *keyword, *values[5];
} texts[] = {
	{"HowToEncrypt",
	 {"AES_CBC KeyLength 128", "AES_CBC  KeyLength 256", "3DES", "aes", "DoNot"}},
	{"HowToAuth",
	 {"ESP HMAC_SHA1", "AH HMAC_SHA2_256_128", "esp hmac_md5", "ESP HMAC_SHA", "ESP Null"}},
	{"Identity",
	 {"IpAddr 192.0.2.1", "Fqdn host.example.com", "UserAtFqdn u@example.com",
	  "X500dn CN=a b,O=c d,C=US", "KeyID Hex 00ff"}},
	{"SharedKey",
	 {"Ascii secret", "Hex 000102030405060708090a0b0c0d0e0f", "Ebcdic Key1",
	  "Ascii behind it blanks", "ascii {x}"}},
	{"ClientUser",
	 {"a $1$salt$0123456789abcdefghijkl", "b $6$salt$0123456789abcdefghijkl./",
	  "c $y$j9T$salt$0123456789abcdefghijkl", "d.e@f $5$s$0123456789abcdefghijklm",
	  "\xc3\xa9 $1$s$0123456789abcdefghijkl"}},
	{"CaLabel", {"Example CA", "B", "with 'quotes'", "x", "\xc3\xa9t\xc3\xa9"}},
	{"ConditionTimeRange",
	 {"20260101000000:20261231235959", "20200229120000:20300101000000",
	  "19990101000000:20000101000000 x", "20260330010000:20260330040000",
	  "20261231235959:20270101000000"}},
	{"MonthOfYearMask",
	 {"111111111111", "000000000001", "101010101010 x", "011111111111", "111111000000"}},
	{"DayOfMonthMask",
	 {"1111111111111111111111111111111", "1000000000000000000000000000000",
	  "0000000000000000000000000000000"
	  "1000000000000000000000000000000",
	  "1111111111111111111111111111111"
	  "0000000000000000000000000000001",
	  "0000000000000000000000000000001"}},
	{"DayOfWeekMask", {"0111110", "1111111", "1000001", "0000001", "0111110 week"}},
	{"TimeOfDayRange",
	 {"8-17", "22:00-24:00, 0:00-5:30", "08:00:17:00", "8:00:00-17:00", "23:59-00:01,12-13"}},
	{"TimeZone", {"Local", "UTC", "+0530", "GMT", "utc"}},
	{"Jobname",
	 {"PAY*", "ftpd1", "*", "\xc3\xa9t\xc3\xa9*", "A2345678901234567890123456789012"}},
	{"Userid", {"payroll", "WEB*", "*", "u", "\xc3\xa9"}},
	{"Envfile", {"/etc/gsk.env", "//'SYS1.GSK(ENV)'", "e", "with blanks", "./x"}},
	{"Keyring",
	 {"owner/RING", "/etc/keys/data base.kdb", "RING", "*TOKEN*/NAME", "\xc3\xa9/\xc3\xa9"}},
	{"KeyringPw", {"secret", "with blanks", "a\"b'c", "{x}", "\xc3\xa9"}},
	/* for the algorithms that are preset, and the SPI of both must be the same */
	{"AuthInboundSa",
	 {"300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567"}},
	{"AuthOutboundSa",
	 {"300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567",
	  "300 0123456789abcdef0123456789ABCDEF01234567"}},
	{"EncryptInboundSa",
	 {"300 0123456789abcdef0123456789ABCDEF", "300 0123456789abcdef0123456789ABCDEF",
	  "300 0123456789abcdef0123456789ABCDEF", "300 0123456789abcdef0123456789ABCDEF",
	  "300 0123456789abcdef0123456789ABCDEF"}},
	{"EncryptOutboundSa",
	 {"300 0123456789abcdef0123456789ABCDEF", "300 0123456789abcdef0123456789ABCDEF",
	  "300 0123456789abcdef0123456789ABCDEF", "300 0123456789abcdef0123456789ABCDEF",
	  "300 0123456789abcdef0123456789ABCDEF"}},
	{"KeyringStashFile", {"/etc/keys/data base.sth", "x.sth", "./s", "'quoted'", "s  s"}},
	{"CertificateLabel", {"A label with blanks", "x", "\"q\"", "a  b", "\xc3\xa9"}},
	{"ServerCertificateLabel", {"rsa 2026", "ec-2026", "x", "{y}", "\xc3\xa9"}},
	{"ClientHandshakeSNIList",
	 {"a.example.com", "B.example.com", "c", "xn--t-cjac.example", "d-e.example"}},
	{"ServerHandshakeSNIList",
	 {"a.example.com", "b.example.com  label of b", "C", "d label", "e.example x y z"}},
	{"HostReferenceIdDNS", {"a.example.com", "*.example.com", "b", "C.D", "e-f.example"}},
	{"HostReferenceIdCN", {"a host", "b", "*.example.com", "\xc3\xa9", "x  y"}},
	{"V2CipherSuites",
	 {"12", "TLS_RC4_128_WITH_MD5", "1234677", "7", "tls_des_64_cbc_with_md5"}},
	{"V3CipherSuites",
	 {"352F", "35", "TLS_RSA_WITH_AES_256_GCM_SHA384", "2f3C3d",
	  "tls_rsa_with_aes_128_cbc_sha"}},
	{"V3CipherSuites4Char",
	 {"13021301", "C02FC030", "c02c", "TLS_CHACHA20_POLY1305_SHA256", "0035C02B"}},
	{"ClientECurves", {"00230024", "secp521r1", "0029", "X25519", "0025"}},
	{"ServerKexECurves", {"0023", "secp384r1", "00290030", "x448", "0021"}},
	{"ClientKeyShareGroups", {"0029", "x25519", "00230024", "SECP256R1", "0030"}},
	{"ServerKeyShareGroups", {"00300023", "secp521r1", "0024", "x448", "0025"}},
	{"SignaturePairs",
	 {"0601", "TLS_SIGALG_SHA256_WITH_ECDSA", "08040805", "0403", "tls_sigalg_sha1_with_rsa"}},
	{"SignaturePairsCert", {"0804", "TLS_SIGALG_SHA512_WITH_RSA", "06010603", "0501", "0302"}},
	{"CrlSigAlgPairs", {"0401", "05010503", "TLS_SIGALG_SHA256_WITH_RSA", "0601", "0203"}},
	{"GSK_LDAP_SERVER",
	 {"ldap.example.com", "ldap2.example.com:1389", "192.0.2.1", "L", "x.example:1"}},
	{"GSK_LDAP_USER", {"cn=reader", "cn=a b,o=c", "u", "\xc3\xa9", "x  y"}},
	{"GSK_LDAP_USER_PW", {"secret", "with blanks", "{x}", "p", "\xc3\xa9"}},
	{"OcspUrl",
	 {"http://ocsp.example.com/", "HTTP://o:8080/x?y=z", "http://a", "http://192.0.2.1/",
	  "http://b/c/d"}},
	{"OcspProxyServerName", {"proxy.example.com", "192.0.2.8", "P", "p-1.example", "x"}},
	{"OcspRequestSigkeylabel", {"ocsp requests", "x", "\"q\"", "a  b", "\xc3\xa9"}},
	{"OcspRequestSigalg", {"0501", "0401", "TLS_SIGALG_SHA256_WITH_ECDSA", "0804", "0603"}},
	{"OcspResponseSigAlgPairs",
	 {"05010503", "0401", "TLS_SIGALG_SHA512_WITH_RSA", "0601", "0203"}},
	{"HttpCdpProxyServerName", {"proxy.example.com", "192.0.2.8", "P", "p-1.example", "x"}},
};

static const char *text_value(struct maker *m, const char *keyword)
{
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].keyword, keyword) == 0)
			return texts[i].values[any(m, 5)];
	return NULL;
}

static void put_word(struct maker *m, const char *word, size_t len)
{
	int turn = (int)any(m, 8);

	for (; len--; word++)
		fputc(turn == 0   ? tolower((unsigned char)*word)
		      : turn == 1 ? toupper((unsigned char)*word)
				  : *word,
		      m->out);
}

static void put_choice(struct maker *m, const char *choices)
{
	unsigned n = 1, at;

	for (const char *p = choices; *p; p++)
		n += *p == '|';
	for (at = any(m, n); at--;)
		choices += strcspn(choices, "|") + 1;
	put_word(m, choices, strcspn(choices, "|"));
}

static void put_number(struct maker *m, const struct pol_param *p)
{
	unsigned long span = p->max - p->min, n;

	n = p->min + (span ? any(m, span > 2000 ? 2000 : (unsigned)span + 1) : 0);
	fprintf(m->out, "%s%lu", chance(m, 5) ? "0" : "", n);
}

static void put_numbers(struct maker *m, const struct pol_param *p)
{
	static const char delimiters[] = " :-";
	unsigned long low = p->min + any(m, 200);

	if (low > p->max)
		low = p->min;
	fprintf(m->out, "%lu", low);
	if (chance(m, 70) && low + 300 <= p->max)
		fprintf(m->out, "%c%lu", delimiters[any(m, 3)], low + any(m, 300));
}

static void put_addresses(struct maker *m)
{
	unsigned host = any(m, 200);

	switch (any(m, 3)) {
	case 0:
		fprintf(m->out, "192.0.2.%u", host);
		break;
	case 1:
		fprintf(m->out, "198.51.100.%u/%u", host, 8 + any(m, 25));
		break;
	default:
		fprintf(m->out, "203.0.113.%u-203.0.113.%u", host, host + any(m, 50));
	}
}

/* The same one for the same statement, wherever it is named. */
static void put_name(struct maker *m, const char *keyword, unsigned number)
{
	static const char *const odd[] = {"", ".a'b\"", "_\xc3\xa9"};

	fprintf(m->out, "%.12s%s-%u", keyword, odd[number % 3], number);
}

/* ---- statements ---- */

static void put_block(struct maker *m, const struct pol_statement *s, unsigned depth);

static bool can(struct maker *m, const struct pol_param *p, unsigned depth)
{
	const struct pol_statement *of = p->of ? pol_statement_find(p->of) : NULL;

	if (p->support == POL_REFUSED || (of && of->support != POL_SUPPORTED))
		return false;
	if (p->kind == POL_K_BLOCK)
		return depth < 4;
	return p->kind != POL_K_TEXT || text_value(m, p->keyword);
}

static void put_param(struct maker *m, const struct pol_param *p, unsigned depth)
{
	const struct pol_statement *of = p->of ? pol_statement_find(p->of) : NULL;

	fprintf(m->out, "%*s", (int)(depth * any(m, 4)), "");
	put_word(m, p->keyword, strlen(p->keyword));
	fputc(' ', m->out);
	if (p->kind == POL_K_BLOCK) {
		if (of->naming == POL_NAME_REQUIRED || (of->naming && chance(m, 50)))
			put_name(m, "inline", any(m, 1000));
		put_block(m, of, depth + 1);
		return;
	}
	if (p->values && p->kind != POL_K_KEYWORD && p->kind != POL_K_TEXT && chance(m, 30)) {
		put_choice(m, p->values);
	} else {
		switch (p->kind) {
		case POL_K_KEYWORD:
			put_choice(m, p->values);
			break;
		case POL_K_YESNO:
			put_choice(m, "Yes|No");
			break;
		case POL_K_ONOFF:
			put_choice(m, "On|Off");
			break;
		case POL_K_NUMBER:
			put_number(m, p);
			break;
		case POL_K_NUMBERS:
			put_numbers(m, p);
			break;
		case POL_K_ADDR:
			fprintf(m->out, "192.0.2.%u", 1 + any(m, 200));
			break;
		case POL_K_ADDRS:
			put_addresses(m);
			break;
		case POL_K_REF:
			put_name(m, of->keyword, any(m, EACH));
			break;
		case POL_K_NAME:
			put_name(m, "name", any(m, 1000));
			break;
		case POL_K_TEXT:
			fputs(text_value(m, p->keyword), m->out);
			break;
		case POL_K_BLOCK:
		case POL_K_FLAG:
			break;
		}
		if (p->kind != POL_K_TEXT && p->kind != POL_K_KEYWORD && chance(m, 5))
			fputs(" and more", m->out);
	}
	fputs(chance(m, 5) ? " # a comment\n" : "\n", m->out);
}

/* One of the group of p, if there is any that can be. */
static void put_one(struct maker *m, const struct pol_statement *s, const struct pol_param *p,
		    unsigned depth)
{
	const struct pol_param *found[16];
	unsigned n = 0;

	for (const struct pol_param *q = s->params; q->keyword && n < 16; q++)
		if (pol_same_group(q, p) && can(m, q, depth))
			found[n++] = q;
	if (n)
		put_param(m, found[any(m, n)], depth);
}

static void put_block(struct maker *m, const struct pol_statement *s, unsigned depth)
{
	fputs("\n{\n", m->out);
	for (const struct pol_param *p = s->params; p && p->keyword; p++) {
		unsigned percent = m->tries > 6 ? 5 : m->tries > 3 ? 15 : 35;
		/* which of its SAs a manual tunnel must have depends on its algorithms */
		bool needed = p->required || strstr(p->keyword, "boundSa");
		unsigned times = needed || chance(m, percent);
		bool first = true;

		for (const struct pol_param *q = s->params; q < p && first; q++)
			first = !pol_same_group(q, p);
		if (!first)
			continue;
		if (p->repeatable && times)
			times += any(m, depth == 0 && !s->naming ? 6 : 3);
		while (times--)
			put_one(m, s, p, depth);
	}
	fputs("}\n", m->out);
}

static void make(struct maker *m, struct made *made)
{
	size_t size = 0;

	free(made->text);
	made->text = NULL;
	m->out = open_memstream(&made->text, &size);
	ck_assert_ptr_nonnull(m->out);
	m->tries = made->tries;
	put_word(m, made->statement->keyword, strlen(made->statement->keyword));
	fputc(' ', m->out);
	if (made->statement->naming)
		put_name(m, made->statement->keyword, made->number);
	put_block(m, made->statement, 0);
	fclose(m->out);
}

/* ---- the file ---- */

static char *whole(struct maker *m)
{
	char *text = NULL;
	size_t size = 0;
	unsigned line = 1;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < m->n; i++) {
		m->made[i].first_line = line;
		fputs(m->made[i].text, f);
		for (const char *p = m->made[i].text; *p; p++)
			line += *p == '\n';
	}
	fclose(f);
	return text;
}

static void plan(struct maker *m)
{
	unsigned n, shift;
	const struct pol_statement *s = pol_statements(&n);

	for (unsigned i = 0; i < n; i++) {
		if (!pol_is_policy(s[i].place) || s[i].support != POL_SUPPORTED || !s[i].params)
			continue;
		for (unsigned k = 0; k < (s[i].naming ? EACH : 1); k++) {
			ck_assert_uint_lt(m->n, STATEMENTS);
			m->made[m->n++] = (struct made){.statement = &s[i], .number = k};
		}
	}
	/* Order between statements says nothing. */
	for (unsigned i = 0; i + 1 < m->n; i++) {
		struct made swapped = m->made[i];

		shift = any(m, m->n - i);
		m->made[i] = m->made[i + shift];
		m->made[i + shift] = swapped;
	}
}

/* Makes anew what has errors; false when nothing has. */
static bool repair(struct maker *m, const struct findings *found)
{
	bool again[STATEMENTS] = {false}, some = false;

	for (unsigned i = 0; i < found->n; i++) {
		unsigned at = 0;

		if (found->v[i].severity != POL_ERROR)
			continue;
		while (at + 1 < m->n && m->made[at + 1].first_line <= found->v[i].line)
			at++;
		again[at] = true;
	}
	for (unsigned i = 0; i < m->n; i++)
		if (again[i]) {
			m->made[i].tries++;
			make(m, &m->made[i]);
			some = true;
		}
	return some;
}

char *random_policy(unsigned seed)
{
	struct maker m = {.state = 0x9e3779b97f4a7c15u ^ ((uint64_t)seed << 20 | seed)};
	char *text;

	for (unsigned i = 0; i < 8; i++)
		any(&m, 2);
	plan(&m);
	for (unsigned i = 0; i < m.n; i++)
		make(&m, &m.made[i]);
	text = whole(&m);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct findings found;
		struct pol_policy *policy = compile_text(text, strlen(text), &found);

		pol_unref(policy);
		if (policy || !repair(&m, &found))
			break;
		free(text);
		text = whole(&m);
	}
	for (unsigned i = 0; i < m.n; i++)
		free(m.made[i].text);
	return text;
}
