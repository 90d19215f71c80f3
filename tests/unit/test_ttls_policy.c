/* AT-TLS policy: the statements, their defaults, and what is found wrong with them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/grammar.h"
#include "policy/store.h"
#include "policy/ttls_image.h"
#include "policy/value.h"
#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define EXAMPLE TESTDATA "/../examples/ttls.policy"

/* ---- helpers ---- */

#define GROUP "TTLSGroupAction g\n{\nTTLSEnabled On\n}\n"
#define RULE                                                                                       \
	"TTLSRule r\n{\nLocalPortRange 443\nDirection Inbound\nTTLSGroupActionRef g\n"             \
	"TTLSEnvironmentActionRef e\n}\n"
#define RING "TTLSKeyringParms\n{\nKeyring u/R\n}\n"
#define ENV  "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING "}\n"

static struct pol_policy *compile_string(const char *text, struct findings *found)
{
	return compile_text(text, strlen(text), found);
}

/* Compiles; a failure shows the first error. */
static struct pol_policy *good(const char *text, struct findings *found)
{
	struct pol_policy *p = compile_string(text, found);

	for (unsigned i = 0; !p && i < found->n; i++)
		if (found->v[i].severity == POL_ERROR)
			ck_abort_msg("%u: %s %s: %s", found->v[i].line, found->v[i].statement,
				     found->v[i].attribute, found->v[i].text);
	ck_assert_ptr_nonnull(p);
	return p;
}

static const struct pol_ttls_rule *rule_named(const struct pol_policy *p, const char *name)
{
	for (unsigned i = 0; i < pol_ttls_count(p->ttls); i++) {
		const struct pol_ttls_rule *r = pol_ttls_rule(p->ttls, i);

		if (strcmp(pol_ttls_text(p->ttls, r->name), name) == 0)
			return r;
	}
	ck_abort_msg("no rule %s", name);
}

static const struct pol_ttls_profile *profile_of(const struct pol_policy *p, const char *rule)
{
	return pol_ttls_profile(p->ttls, rule_named(p, rule));
}

static void text_is(const struct pol_policy *p, uint32_t at, const char *text)
{
	if (!text)
		ck_assert_uint_eq(at, 0);
	else
		ck_assert_str_eq(pol_ttls_text(p->ttls, at), text);
}

static void texts_are(const struct pol_policy *p, struct pol_ttls_list list, const char *joined)
{
	const uint32_t *texts = pol_ttls_things(p->ttls, list);
	char buf[512] = "";

	for (unsigned i = 0; i < list.n; i++) {
		strcat(buf, i ? "|" : "");
		strcat(buf, pol_ttls_text(p->ttls, texts[i]));
	}
	ck_assert_str_eq(buf, joined);
}

static void codes_are(const struct pol_policy *p, struct pol_ttls_list list, const char *joined)
{
	const uint16_t *codes = pol_ttls_things(p->ttls, list);
	char buf[512] = "";

	for (unsigned i = 0; i < list.n; i++)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "%s%04x", i ? " " : "",
			 codes[i]);
	ck_assert_str_eq(buf, joined);
}

static const struct finding *find(const struct findings *found, enum pol_severity severity,
				  const char *text)
{
	for (unsigned i = 0; i < found->n; i++)
		if (found->v[i].severity == severity && strstr(found->v[i].text, text))
			return &found->v[i];
	return NULL;
}

/* ---- the worked policy ---- */

START_TEST(test_example)
{
	static const char *const order[] = {"r00LoopbackClear", "r11OrderServerPartners",
					    "r10OrderServer", "r20FeedClient", "r30FtpControl"};
	struct findings found;
	struct pol_policy *p = compile_file(EXAMPLE, "TCPIP", &found);
	const struct pol_ttls_profile *f;

	ck_assert_ptr_nonnull(p);
	/* that nothing applies it yet, and nothing else */
	ck_assert_uint_eq(found.n_warnings, 1);
	ck_assert_ptr_nonnull(find(&found, POL_WARNING, "this release has none"));
	ck_assert_uint_eq(found.n_notes, 0);
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 5);
	for (unsigned i = 0; i < 5; i++)
		text_is(p, pol_ttls_rule(p->ttls, i)->name, order[i]);
	f = profile_of(p, "r00LoopbackClear");
	ck_assert(!f->enabled);
	text_is(p, f->group, "grpOff");
	text_is(p, f->environment, NULL);

	f = profile_of(p, "r11OrderServerPartners");
	ck_assert(f->enabled && !f->closed);
	text_is(p, f->group, "grpOn");
	text_is(p, f->environment, "envOrderSrv");
	text_is(p, f->connection, "conOnly13");
	ck_assert_uint_eq(f->trace, 30);
	ck_assert(!f->tls1 && !f->tls1_1 && !f->tls1_2 && f->tls1_3);
	ck_assert_uint_eq(f->handshake_role, POL_TTLS_SERVER_WITH_CLIENT_AUTH);
	ck_assert_uint_eq(f->client_auth, POL_TTLS_AUTH_SAFCHECK);
	ck_assert_uint_eq(f->handshake_timeout, 15);
	ck_assert_uint_eq(f->peer_min_rsa, 2048);
	ck_assert_uint_eq(f->session_timeout, 3600);
	ck_assert(f->ocsp_aia);
	ck_assert_uint_eq(f->ocsp_timeout, 3);
	codes_are(p, f->ciphers, "1302 1301 c02c c030 c02f");
	codes_are(p, f->server_groups, "0017 0018");
	texts_are(p, f->server_labels, "order-rsa-2026|order-ec-2026");
	text_is(p, f->keyring, "orders/SRVRING");

	f = profile_of(p, "r10OrderServer");
	ck_assert(f->tls1_2 && f->tls1_3);
	ck_assert_uint_eq(f->trace, 6);
	text_is(p, f->connection, NULL);

	f = profile_of(p, "r20FeedClient");
	ck_assert_uint_eq(f->handshake_role, POL_TTLS_CLIENT);
	texts_are(p, f->host_dns, "collector.example.net");
	texts_are(p, f->client_sni_names, "collector.example.net");
	codes_are(p, f->client_curves, "0017 0018");
	codes_are(p, f->client_groups, "0017");
	ck_assert_uint_eq(f->client_sni, POL_TTLS_OPTIONAL);

	f = profile_of(p, "r30FtpControl");
	ck_assert(f->application_controlled && f->secondary_map);
	text_is(p, f->certificate_label, "ftp-2026");
	ck_assert_uint_eq(f->server_labels.n, 0);
	ck_assert_uint_eq(f->handshake_timeout, 30);
	pol_unref(p);
}
END_TEST

/* ---- defaults: what stands in the rows is what comes of it, for every field ---- */

static unsigned word_count(const char *words)
{
	unsigned n = 1;

	for (; *words; words++)
		n += *words == '|';
	return n;
}

static const struct pol_param *row_of(const char *keyword, bool preset)
{
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);

	for (unsigned i = 0; i < n; i++) {
		const struct pol_param *p =
			s[i].place == POL_IN_TTLS ? pol_param_find(&s[i], keyword) : NULL;

		if (p && (p->preset || !preset))
			return p;
	}
	return NULL;
}

START_TEST(test_defaults)
{
	struct findings found;
	struct pol_policy *p = good(GROUP RULE ENV, &found);
	const struct pol_ttls_profile *f = profile_of(p, "r");

	for (unsigned i = 0; i < pol_ttls_n_fields; i++) {
		const struct pol_ttls_field *field = &pol_ttls_fields[i];
		const uint8_t *at = (const uint8_t *)f + field->at;
		const struct pol_param *row = field->keyword ? row_of(field->keyword, true) : NULL;
		struct pol_ttls_list list;
		uint32_t number;

		if (!row)
			continue;
		memcpy(&number, at, sizeof(number));
		memcpy(&list, at, sizeof(list));
		switch (field->kind) {
		case POL_TTLS_BOOL:
			ck_assert_msg(*at == (strcmp(row->preset, "On") == 0), "%s",
				      field->keyword);
			break;
		case POL_TTLS_CHOICE:
			ck_assert_msg(*at == pol_choice(row->values, row->preset, NULL), "%s",
				      field->keyword);
			break;
		case POL_TTLS_NUMBER:
			ck_assert_msg(number == strtoul(row->preset, NULL, 10), "%s",
				      field->keyword);
			break;
		case POL_TTLS_TEXT:
			text_is(p, number, row->preset);
			break;
		case POL_TTLS_TEXTS:
		case POL_TTLS_CODES:
		case POL_TTLS_NAMES:
			ck_abort_msg("%s is a list with a default", field->keyword);
		}
	}
	/* some of them by value, so that rows cannot change unseen */
	ck_assert(!f->tls1 && !f->tls1_1 && f->tls1_2 && f->tls1_3);
	ck_assert_uint_eq(f->handshake_timeout, 10);
	ck_assert_uint_eq(f->trace, 2);
	ck_assert_uint_eq(f->client_auth, POL_TTLS_AUTH_REQUIRED);
	ck_assert_uint_eq(f->session_timeout, 86400);
	ck_assert_uint_eq(f->session_cache, 512);
	ck_assert_uint_eq(f->peer_min_ecc, 192);
	ck_assert_uint_eq(f->ticket_count, 2);
	ck_assert_uint_eq(f->truncated_hmac, POL_TTLS_OFF);
	ck_assert_uint_eq(f->server_dh, 0);
	ck_assert_uint_eq(f->ocsp_nonce_size, 8);
	text_is(p, f->ocsp_sign_algorithm, "0401");
	ck_assert_uint_eq(f->ciphers.n, 0);
	ck_assert_uint_eq(rule_named(p, "r")->priority, 1);
	pol_unref(p);
}
END_TEST

/* The table of fields has every parameter of AT-TLS that is no part, and their choices' number. */
START_TEST(test_fields_are_rows)
{
	static const char *const elsewhere[] = {"SSLv2",
						"SSLv3",
						"Envfile",
						"KeyringPw",
						"GSK_LDAP_USER_PW",
						"3DesKeyCheck",
						"ServerScsv",
						"ServerHandshakeSNIList",
						"V2CipherSuites",
						"V3CipherSuites",
						"V3CipherSuites4Char",
						"ClientECurves",
						"ServerKexECurves",
						"ClientKeyShareGroups",
						"ServerKeyShareGroups",
						"SignaturePairs",
						"SignaturePairsCert",
						"CrlSigAlgPairs",
						"OcspResponseSigAlgPairs",
						"GSK_V2_SESSION_TIMEOUT",
						"GSK_V2_SIDCACHE_SIZE",
						"GSK_SYSPLEX_SIDCACHE",
						"GSK_SYSPLEX_SESSION_TICKET_CACHE"};
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);

	for (unsigned i = 0; i < n; i++) {
		if (s[i].place != POL_IN_TTLS || strcmp(s[i].keyword, "TTLSRule") == 0)
			continue;
		for (const struct pol_param *p = s[i].params; p->keyword; p++) {
			bool there = p->kind == POL_K_REF || p->kind == POL_K_BLOCK;

			for (unsigned k = 0; k < pol_ttls_n_fields; k++)
				there = there ||
					(pol_ttls_fields[k].keyword &&
					 strcmp(pol_ttls_fields[k].keyword, p->keyword) == 0);
			for (unsigned k = 0; k < sizeof(elsewhere) / sizeof(elsewhere[0]); k++)
				there = there || strcmp(elsewhere[k], p->keyword) == 0;
			ck_assert_msg(there, "%s of %s is nowhere", p->keyword, s[i].keyword);
		}
	}
	for (unsigned k = 0; k < pol_ttls_n_fields; k++) {
		const struct pol_ttls_field *f = &pol_ttls_fields[k];
		const struct pol_param *p = f->keyword ? row_of(f->keyword, false) : NULL;

		ck_assert_msg(!f->keyword || p, "%s is no parameter", f->keyword);
		if (f->kind == POL_TTLS_CHOICE)
			ck_assert_msg(word_count(p->values) == f->last + 1u, "%s", f->keyword);
	}
}
END_TEST

/* ---- every parameter once, as IBM's books write them ---- */

START_TEST(test_everything)
{
	struct findings found;
	size_t size;
	char *text = read_sample("ttls-everything.policy", &size);
	struct pol_policy *p = compile_text(text, size, &found);
	const struct pol_ttls_profile *f;
	unsigned n_ok = 0, n;
	const struct pol_statement *s = pol_statements(&n);

	if (!p)
		ck_abort_msg("%u: %s: %s", found.v[0].line, found.v[0].attribute, found.v[0].text);
	/* nothing that the grammar has is left out of the sample */
	for (unsigned i = 0; i < n; i++) {
		if (s[i].place != POL_IN_TTLS)
			continue;
		for (const struct pol_param *q = s[i].params; q->keyword; q++) {
			ck_assert_msg(strcasestr(text, q->keyword) != NULL, "%s", q->keyword);
			n_ok++;
		}
	}
	ck_assert_uint_gt(n_ok, 180);
	free(text);
	f = profile_of(p, "everything");
	ck_assert(f->enabled && !f->closed);
	ck_assert_uint_eq(f->fips140, POL_TTLS_FIPS_ON);
	ck_assert_uint_eq(f->syslog_auth, 1);
	ck_assert_uint_eq(f->group_instance, 7);
	ck_assert_uint_eq(f->environment_instance, 8);
	ck_assert_uint_eq(f->connection_instance, 9);
	ck_assert_uint_eq(f->handshake_role, POL_TTLS_SERVER);
	ck_assert(f->ctrace_clear_text && f->secondary_map && f->middlebox);
	ck_assert(f->application_controlled && f->tls1 && f->tls1_1 && f->tls1_2 && f->tls1_3);
	ck_assert_uint_eq(f->trace, 255);
	ck_assert_uint_eq(f->handshake_timeout, 600);
	ck_assert_uint_eq(f->reset_cipher_timer, 1440);
	ck_assert_uint_eq(f->renegotiation, POL_TTLS_RENEG_ABBREVIATED);
	ck_assert_uint_eq(f->renegotiation_indicator, POL_TTLS_RI_BOTH);
	ck_assert(f->renegotiation_cert_check);
	ck_assert_uint_eq(f->cert_validation, POL_TTLS_VALID_RFC5280);
	ck_assert_uint_eq(f->client_max_fragment, POL_TTLS_REQUIRED);
	ck_assert_uint_eq(512u << f->client_fragment_length, 4096);
	ck_assert_uint_eq(f->server_max_fragment, POL_TTLS_OPTIONAL);
	ck_assert_uint_eq(f->server_sni, POL_TTLS_REQUIRED);
	ck_assert_uint_eq(f->server_sni_match, POL_TTLS_REQUIRED);
	ck_assert_uint_eq(f->client_dh_2048, 1);
	ck_assert_uint_eq(f->server_dh, 2);
	ck_assert_uint_eq(f->peer_cert_v3, 1);
	ck_assert_uint_eq(f->client_ems, POL_TTLS_EMS_REQUIRED);
	ck_assert_uint_eq(f->server_ems, POL_TTLS_EMS_OFF);
	ck_assert(f->host_wildcards);
	text_is(p, f->keyring, "/etc/keys/data base.kdb");
	text_is(p, f->keyring_stash, "/etc/keys/data base.sth");
	ck_assert(!f->keyring_password);
	text_is(p, f->certificate_label, "A label with blanks");
	codes_are(p, f->ciphers, "0035 002f c02f 009d");
	codes_are(p, f->signatures, "0601 0403");
	codes_are(p, f->cert_signatures, "0804");
	codes_are(p, f->client_curves, "0017 0019");
	codes_are(p, f->server_curves, "0018");
	codes_are(p, f->client_groups, "001d");
	codes_are(p, f->server_groups, "001e 0017");
	codes_are(p, f->crl_signatures, "0401");
	codes_are(p, f->ocsp_signatures, "0501 0503");
	texts_are(p, f->ldap_servers, "ldap1.example.com:1389|ldap2.example.com");
	text_is(p, f->ldap_user, "cn=reader");
	ck_assert_uint_eq(f->ldap_port, 390);
	ck_assert_uint_eq(f->crl_level, POL_TTLS_HIGH);
	ck_assert_uint_eq(f->revocation_level, POL_TTLS_LOW);
	text_is(p, f->ocsp_url, "http://ocsp.example.com/");
	ck_assert_uint_eq(f->ocsp_stapling, POL_TTLS_STAPLE_END_ENTITY);
	text_is(p, f->http_proxy, "proxy.example.com");
	ck_assert_uint_eq(f->http_cache_entry_max, 100);
	ck_assert(f->ticket_aes256);
	ck_assert_uint_eq(f->server_sni_names.n, 2);
	{
		const struct pol_ttls_sni *sni = pol_ttls_things(p->ttls, f->server_sni_names);

		text_is(p, sni[0].name, "a.example.com");
		text_is(p, sni[0].label, "label of a");
		text_is(p, sni[1].name, "b.example.com");
		text_is(p, sni[1].label, NULL);
	}
	pol_unref(p);
}
END_TEST

/* Keywords in the case of other products' samples. */
START_TEST(test_case)
{
	static const char text[] =
		"TTLSRULE                      zOS_Debugger\n{\n LOCALPORTRANGE 5335\n"
		" direction                inbound\n TTLSGroupActionRef       grp_Production\n"
		" TTLSEnvironmentActionRef act_zOS_Debugger\n}\n"
		"TTLSEnvironmentAction         act_zOS_Debugger\n{\n HandshakeRole SERVER\n"
		" TTLSKeyRingParms\n {\n  KeyRing dbgmgr.racf      # owned by the server\n }\n"
		" TTLSEnvironmentAdvancedParms\n {\n  ApplicationControlled OFF\n  TLSV1.2 ON\n"
		"  SSLV3 Off\n }\n}\n"
		"TTLSGroupAction               grp_Production\n{\n TTLSEnabled               ON\n"
		" TTLSGroupAdvancedParmsRef TLSv1.2zOS1.13\n Trace 3\n}\n"
		"TTLSGroupAdvancedParms TLSv1.2zOS1.13\n{\n Envfile /etc/pagent.ttls.env\n}\n";
	struct findings found;
	struct pol_policy *p = good(text, &found);
	const struct pol_ttls_profile *f = profile_of(p, "zOS_Debugger");

	ck_assert(f->enabled && f->tls1_2);
	ck_assert_uint_eq(f->trace, 3);
	text_is(p, f->keyring, "dbgmgr.racf");
	ck_assert_ptr_nonnull(find(&found, POL_NOTE, "no environment variables"));
	pol_unref(p);
}
END_TEST

/* ---- inheritance ---- */

START_TEST(test_inheritance)
{
	static const char text[] =
		"TTLSGroupAction g\n{\nTTLSEnabled On\nTrace 1\nCtraceClearText On\n"
		"TTLSGroupAdvancedParms\n{\nSecondaryMap On\n}\n}\n"
		"TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTrace 4\n" RING
		"TTLSCipherParms\n{\nV3CipherSuites 352F\n}\n"
		"TTLSEnvironmentAdvancedParms\n{\nHandshakeTimeout 20\nCertificateLabel one\n}\n}\n"
		"TTLSConnectionAction c\n{\nHandshakeRole Client\nCtraceClearText Off\n"
		"TTLSCipherParms\n{\nV3CipherSuites4Char C030\n}\n"
		"TTLSConnectionAdvancedParmsRef a\n}\n"
		"TTLSConnectionAdvancedParms a\n{\nSecondaryMap Off\nServerCertificateLabel two\n"
		"ServerCertificateLabel three\n}\n" RULE
		"TTLSRule s\n{\nJobname x\nDirection Both\nTTLSGroupActionRef g\n"
		"TTLSEnvironmentActionRef e\nTTLSConnectionActionRef c\n}\n";
	struct findings found;
	struct pol_policy *p = good(text, &found);
	const struct pol_ttls_profile *e = profile_of(p, "r"), *c = profile_of(p, "s");

	ck_assert_uint_eq(e->trace, 4);
	ck_assert(e->ctrace_clear_text && e->secondary_map);
	codes_are(p, e->ciphers, "0035 002f");
	text_is(p, e->certificate_label, "one");
	ck_assert_uint_eq(e->handshake_role, POL_TTLS_SERVER);
	ck_assert_uint_eq(c->trace, 4);
	ck_assert(!c->ctrace_clear_text && !c->secondary_map);
	ck_assert_uint_eq(c->handshake_role, POL_TTLS_CLIENT);
	codes_are(p, c->ciphers, "c030");
	text_is(p, c->certificate_label, NULL);
	texts_are(p, c->server_labels, "two|three");
	ck_assert_uint_eq(c->handshake_timeout, 20);
	/* the same environment, another profile */
	ck_assert_uint_eq(e->environment_id, c->environment_id);
	ck_assert_uint_eq(e->connection_id, 0);
	ck_assert_uint_ne(c->connection_id, 0);
	pol_unref(p);
}
END_TEST

/* An action is the same as long as its content is, wherever it stands and whatever a part's name.
 */
START_TEST(test_identity)
{
	static const char other_place[] =
		"# a comment\n" RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n"
		"TTLSKeyringParmsRef named\n}\nTTLSKeyringParms named\n{\nKeyring u/R\n}\n" GROUP;
	static const char bumped[] =
		GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
			   "EnvironmentUserInstance 2\n}\n";
	struct findings found;
	struct pol_policy *a = good(GROUP RULE ENV, &found), *b = good(other_place, &found),
			  *c = good(bumped, &found);

	ck_assert_uint_eq(profile_of(a, "r")->group_id, profile_of(b, "r")->group_id);
	ck_assert_uint_eq(profile_of(a, "r")->environment_id, profile_of(b, "r")->environment_id);
	ck_assert_uint_ne(profile_of(a, "r")->environment_id, profile_of(c, "r")->environment_id);
	pol_unref(a);
	pol_unref(b);
	pol_unref(c);
}
END_TEST

/* ---- what is wrong ---- */

static const struct {
	const char *text;
	unsigned line;
	const char *attribute, *says;
} bad[] = {
	/* rules */
	{"TTLSRule r\n{\nLocalPortRange 1\nTTLSGroupActionRef g\nTTLSEnvironmentActionRef "
	 "e\n}\n" GROUP ENV,
	 1, "Direction", "it is required"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Both\n}\n", 1, "TTLSGroupActionRef",
	 "it is required"},
	{"TTLSRule r\n{\nDirection Both\nTTLSGroupActionRef g\nTTLSEnvironmentActionRef "
	 "e\n}\n" GROUP ENV,
	 1, "", "at least one address, port, Jobname or Userid is required"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 1,
	 "TTLSEnvironmentActionRef", "TTLSGroupAction g has TTLSEnabled On"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Sideways\nTTLSGroupActionRef g\n}\n" GROUP, 4,
	 "Direction", "'Sideways' is not one of Inbound|Outbound|Both"},
	{"TTLSRule r\n{\nLocalPortRange 65536\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 3,
	 "LocalPortRange", "65536 is out of range: 0 to 65535"},
	{"TTLSRule r\n{\nLocalPortRange 9 8\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 3,
	 "LocalPortRange", "the range ends before it starts"},
	{"TTLSRule r\n{\nLocalPortRange 9\nPriority 2000000001\nDirection Both\n"
	 "TTLSGroupActionRef g\n}\n" GROUP,
	 4, "Priority", "out of range: 1 to 2000000000"},
	{"TTLSRule r\n{\nLocalPortRange 9\nPriority 0\nDirection Both\nTTLSGroupActionRef "
	 "g\n}\n" GROUP,
	 4, "Priority", "out of range"},
	{"TTLSRule r\n{\nJobname A*B\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 3,
	 "Jobname", "'*' stands at the end of a name alone"},
	{"TTLSRule r\n{\nUserid a23456789012345678901234567890123\nDirection Both\n"
	 "TTLSGroupActionRef g\n}\n" GROUP,
	 3, "Userid", "longer than 32 characters"},
	{"TTLSRule r\n{\nUserid two words\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 3,
	 "Userid", "more than one word"},
	{"TTLSRule r\n{\nLocalAddr 192.0.2.1\nLocalAddrRef a\nDirection Both\n"
	 "TTLSGroupActionRef g\n}\nIpAddr a\n{\nAddr 192.0.2.2\n}\n" GROUP,
	 4, "LocalAddrRef", "it conflicts with LocalAddr on line 3"},
	{"TTLSRule r\n{\nLocalPortRange 1\nLocalPortGroupRef a\nDirection Both\n"
	 "TTLSGroupActionRef g\n}\nPortGroup a\n{\nPortRange\n{\nPort 1\n}\n}\n" GROUP,
	 4, "LocalPortGroupRef", "it conflicts with LocalPortRange on line 3"},
	{"TTLSRule r\n{\nRemoteAddr 192.0.2.300\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP,
	 3, "RemoteAddr", "192.0.2.300"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Both\nTTLSGroupActionRef nobody\n}\n", 5,
	 "TTLSGroupActionRef", "no TTLSGroupAction has the name 'nobody'"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Both\nTTLSGroupActionRef e\n"
	 "TTLSEnvironmentActionRef e\n}\n" ENV,
	 5, "TTLSGroupActionRef", "no TTLSGroupAction has the name 'e'"},
	{"TTLSRule\n{\nLocalPortRange 1\nDirection Both\nTTLSGroupActionRef g\n}\n" GROUP, 1, "",
	 "a name is required"},
	{"TTLSRule a23456789012345678901234567890123\n{\nLocalPortRange 1\nDirection Both\n"
	 "TTLSGroupActionRef g\n}\n" GROUP,
	 1, "", "the name is longer than 32 characters"},
	{"TTLSRule r\n{\nLocalPortRange 1\nDirection Both\nTTLSGroupActionRef g\n"
	 "TTLSEnvironmentActionRef e\nTTLSConnexionActionRef c\n}\n" GROUP ENV,
	 7, "TTLSConnexionActionRef", "did you mean TTLSConnectionActionRef?"},
	{"TTLSRules r\n{\n}\n", 1, "TTLSRules", "did you mean TTLSRule?"},
	{"PortGroup p\n{\n}\n", 1, "", "at least one is required: PortRange, PortRangeRef"},
	{"PortRange p\n{\nPort x\n}\n", 3, "Port", "'x' is not a number"},
	/* groups */
	{"TTLSGroupAction g\n{\nTrace 2\n}\n", 1, "TTLSEnabled", "it is required"},
	{"TTLSGroupAction g\n{\nTTLSEnabled Maybe\n}\n", 3, "TTLSEnabled", "not one of On|Off"},
	{"TTLSGroupAction g\n{\nTTLSEnabled On\nTrace 256\n}\n", 4, "Trace", "0 to 255"},
	{"TTLSGroupAction g\n{\nTTLSEnabled On\nFIPS140 Level4\n}\n", 4, "FIPS140", "Level4"},
	{"TTLSGroupAction g\n{\nTTLSEnabled On\nGroupUserInstance 65536\n}\n", 4,
	 "GroupUserInstance", "65535"},
	{"TTLSGroupAdvancedParms\n{\n}\n", 1, "", "a name is required"},
	{"TTLSGroupAction g\n{\nTTLSEnabled On\nTTLSGroupAdvancedParms\n{\nSyslogFacility Mail\n}\n"
	 "}\n",
	 6, "SyslogFacility", "'Mail' is not one of Daemon|Auth"},
	/* environments */
	{"TTLSEnvironmentAction e\n{\n" RING "}\n", 1, "HandshakeRole", "it is required"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n}\n", 1, "",
	 "one is required: TTLSKeyringParms, TTLSKeyringParmsRef"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParms\n{\n}\n}\n", 4,
	 "Keyring", "it is required"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING "SuiteBProfile 256\n}\n", 8,
	 "SuiteBProfile", "'256' is not one of"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nCertificateLabel a\nServerCertificateLabel b\n}\n}\n",
	 11, "ServerCertificateLabel", "it conflicts with CertificateLabel on line 10"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nServerCertificateLabel b\nServerCertificateLabel c\n"
	 "CertificateLabel a\n}\n}\n",
	 12, "CertificateLabel", "it conflicts with ServerCertificateLabel on line 11"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nHandshakeTimeout 601\n}\n}\n",
	 10, "HandshakeTimeout", "601 is out of range: 0 to 600"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nPeerMinECCKeySize 522\n}\n}\n",
	 10, "PeerMinECCKeySize", "0 to 521"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nClientMaxSSLFragmentLength 8192\n}\n}\n",
	 10, "ClientMaxSSLFragmentLength", "not one of 512|1024|2048|4096"},
	{"TTLSEnvironmentAction e\n{\nHandshakeRole Client\n" RING
	 "TTLSEnvironmentAdvancedParms\n{\nHostReferenceIdDNS a b\n}\n}\n",
	 10, "HostReferenceIdDNS", "the name has a blank"},
	{GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
		    "TTLSEnvironmentAdvancedParms\n{\nTLSv1.2 Off\nTLSv1.3 Off\n}\n}\n",
	 5, "", "all of SSLv2 to TLSv1.3 are Off"},
	/* connections */
	{"TTLSConnectionAdvancedParms c\n{\nRenegotiation All\n}\n", 3, "Renegotiation",
	 "unknown attribute"},
	{"TTLSConnectionAction c\n{\nTTLSKeyringParmsRef k\n}\n", 3, "TTLSKeyringParmsRef",
	 "unknown attribute"},
	/* algorithms */
	{"TTLSCipherParms c\n{\nV3CipherSuites 35X\n}\n", 3, "V3CipherSuites",
	 "'35X' is no cipher suite"},
	{"TTLSCipherParms c\n{\nV3CipherSuites 352\n}\n", 3, "V3CipherSuites",
	 "'2' is no cipher suite"},
	{"TTLSCipherParms c\n{\nV3CipherSuites4Char C0FF\n}\n", 3, "V3CipherSuites4Char",
	 "'C0FF' is no cipher suite"},
	{"TTLSCipherParms c\n{\nV3CipherSuites TLS_RSA_WITH_AES_129_CBC_SHA\n}\n", 3,
	 "V3CipherSuites", "'TLS_RSA_WITH_AES_129_CBC_SHA' is no cipher suite"},
	{"TTLSCipherParms c\n{\nV3CipherSuites 35 2F\n}\n", 3, "V3CipherSuites",
	 "more than one word"},
	{"TTLSCipherParms c\n{\nV2CipherSuites 5\n}\n", 3, "V2CipherSuites", "up to 10 digits"},
	{"TTLSCipherParms c\n{\nV2CipherSuites 11111111111\n}\n", 3, "V2CipherSuites",
	 "up to 10 digits"},
	{"TTLSSignatureParms s\n{\nClientECurves 0022\n}\n", 3, "ClientECurves",
	 "'0022' is no curve"},
	{"TTLSSignatureParms s\n{\nClientECurves Any\nClientECurves 0023\n}\n", 4, "ClientECurves",
	 "Any on line 3 stands alone"},
	{"TTLSSignatureParms s\n{\nSignaturePairs 0701\n}\n", 3, "SignaturePairs",
	 "'0701' is no signature algorithm"},
	/* the library's */
	{"TTLSGskAdvancedParms a\n{\nGSK_V3_SESSION_TIMEOUT 86401\n}\n", 3,
	 "GSK_V3_SESSION_TIMEOUT", "0 to 86400"},
	{"TTLSGskAdvancedParms a\n{\nRevocationSecurityLevel Top\n}\n", 3,
	 "RevocationSecurityLevel", "Low|Medium|High"},
	{"TTLSGskLdapParms a\n{\nGSK_LDAP_SERVER_PORT 389\n}\n", 1, "GSK_LDAP_SERVER",
	 "it is required"},
	{"TTLSGskLdapParms a\n{\nGSK_LDAP_SERVER s\nGSK_LDAP_USER u\n}\n", 4, "GSK_LDAP_USER",
	 "it needs a GSK_LDAP_USER_PW"},
	{"TTLSGskLdapParms a\n{\nGSK_LDAP_SERVER s\nGSK_LDAP_USER_PW u\n}\n", 4, "GSK_LDAP_USER_PW",
	 "it needs a GSK_LDAP_USER"},
	{"TTLSGskOcspParms a\n{\nOcspUrl ftp://x/\n}\n", 3, "OcspUrl", "http://"},
	{"TTLSGskOcspParms a\n{\nOcspNonceSize 7\n}\n", 3, "OcspNonceSize", "8 to 256"},
};

START_TEST(test_bad)
{
	struct findings found;
	const struct finding *f = NULL;

	ck_assert_ptr_null(compile_string(bad[_i].text, &found));
	for (unsigned i = 0; !f && i < found.n; i++)
		if (found.v[i].severity == POL_ERROR && strstr(found.v[i].text, bad[_i].says) &&
		    strcmp(found.v[i].attribute, bad[_i].attribute) == 0)
			f = &found.v[i];
	ck_assert_msg(f != NULL, "%u: '%s' does not say '%s'", _i, found.v[0].text, bad[_i].says);
	ck_assert_uint_eq(f->line, bad[_i].line);
	ck_assert_str_eq(f->attribute, bad[_i].attribute);
}
END_TEST

/* ---- what is told, or closes a rule ---- */

#define ENV_WITH(parms)                                                                            \
	GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING                       \
		   "TTLSEnvironmentAdvancedParms\n{\n" parms "}\n}\n"
#define CLIENT_WITH(parms)                                                                         \
	GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Client\n" RING                       \
		   "TTLSEnvironmentAdvancedParms\n{\n" parms "}\n}\n"
#define CIPHERS_WITH(lines)                                                                        \
	GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING                       \
		   "TTLSCipherParms\n{\n" lines "}\n}\n"

static const struct {
	const char *text, *says;
	const char *closed; /* begin of the reason; NULL: the rule is not closed */
} told[] = {
	{ENV_WITH("TruncatedHMAC Optional\n"), "'Optional' is not honoured", NULL},
	{ENV_WITH("TruncatedHMAC Required\n"), "its connections will be closed: TruncatedHMAC",
	 "TruncatedHMAC Required"},
	{CLIENT_WITH("ClientHandshakeSNI Optional\nClientHandshakeSNIList a\n"
		     "ClientHandshakeSNIMatch Required\n"),
	 "'Required' is not honoured", "ClientHandshakeSNIMatch Required"},
	/* a server does not send names, so there is nothing against it */
	{ENV_WITH("ClientHandshakeSNI Optional\nClientHandshakeSNIMatch Required\n"),
	 "'Required' is not honoured", NULL},
	{ENV_WITH("SSLv3 On\n"), "'On' is not honoured", NULL},
	{ENV_WITH("SSLv3 On\nTLSv1.2 Off\nTLSv1.3 Off\n"), "'On' is not honoured",
	 "OpenSSL has none of the protocols"},
	{ENV_WITH("Renegotiation All\n"), "'All' is not honoured", NULL},
	{ENV_WITH("ClientAuthType Full\n"), "it has no effect in the HandshakeRole", NULL},
	{ENV_WITH("HostReferenceIdDNS a\n"), "have no effect in a server's HandshakeRole", NULL},
	{CLIENT_WITH("ClientHandshakeSNI Optional\n"), "no name to send", NULL},
	{ENV_WITH("ServerHandshakeSNI Required\n"), "knows no name", NULL},
	{ENV_WITH("TLSv1.3 On\n"), "has no ServerKeyShareGroups", NULL},
	{CLIENT_WITH("TLSv1.3 On\n"), "has no ClientKeyShareGroups", NULL},
	{CIPHERS_WITH("V3CipherSuites 050A35\n"), "OpenSSL has no cipher suite 0A: it is left out",
	 NULL},
	{CIPHERS_WITH("V3CipherSuites 050A\n"), "OpenSSL has no cipher suite 05",
	 "OpenSSL has none of the cipher suites"},
	{CIPHERS_WITH("V3CipherSuites 35\nV2CipherSuites 17\n"), "OpenSSL has no SSL version 2",
	 NULL},
	{GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
		    "SuiteBProfile 128\nTTLSCipherParms\n{\nV3CipherSuites 35\n}\n}\n",
	 "TTLSCipherParms are ignored", NULL},
	{GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParms\n{\n"
		    "Keyring /k.p12\nKeyringPw SECRETWORD\n}\n}\n",
	 "programs do not get the KeyringPw", "programs do not get the KeyringPw"},
	{GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParms\n{\n"
		    "Keyring /k.p12\nKeyringPw SECRETWORD\nKeyringStashFile /k.sth\n}\n}\n",
	 "it is not used: the password is in KeyringStashFile", NULL},
	{GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
		    "TTLSSignatureParms\n{\nSignaturePairs 0101\n}\n}\n",
	 "OpenSSL has no signature algorithm 0101", "OpenSSL has none of the signature"},
	{GROUP RULE ENV "TTLSGskAdvancedParms x\n{\nGSK_SYSPLEX_SIDCACHE On\n}\n",
	 "'On' is not honoured", NULL},
	{GROUP GROUP RULE ENV, "it replaces the one on line 1", NULL},
	{GROUP RULE ENV, "this release has none of them (told once)", NULL},
};

START_TEST(test_told)
{
	struct findings found;
	struct pol_policy *p = good(told[_i].text, &found);
	const struct pol_ttls_profile *f = profile_of(p, "r");
	bool said = false;

	for (unsigned i = 0; i < found.n; i++) {
		said = said || strstr(found.v[i].text, told[_i].says);
		ck_assert_ptr_null(strstr(found.v[i].text, "SECRETWORD"));
	}
	if (!said)
		for (unsigned i = 0; i < found.n; i++)
			fprintf(stderr, "%u: %s: %s\n", found.v[i].line, found.v[i].attribute,
				found.v[i].text);
	ck_assert_msg(said, "%s", told[_i].says);
	if (told[_i].closed)
		ck_assert_ptr_eq(strstr(pol_ttls_text(p->ttls, f->closed), told[_i].closed),
				 pol_ttls_text(p->ttls, f->closed));
	else
		ck_assert_uint_eq(f->closed, 0);
	/* a secret is in no image */
	ck_assert_ptr_null(memmem(p->ttls->image, p->ttls->length, "SECRETWORD", 10));
	pol_unref(p);
}
END_TEST

START_TEST(test_suite_b)
{
	struct findings found;
	struct pol_policy *p =
		good(GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n" RING
				"SuiteBProfile All\nTTLSCipherParms\n{\nV3CipherSuites 35\n}\n"
				"TTLSEnvironmentAdvancedParms\n{\nTLSv1 On\n}\n}\n",
		     &found);
	const struct pol_ttls_profile *f = profile_of(p, "r");

	ck_assert_uint_eq(f->suite_b, POL_TTLS_SUITE_B_ALL);
	ck_assert_uint_eq(f->ciphers.n, 0);
	ck_assert(!f->tls1 && !f->tls1_1 && f->tls1_2 && !f->tls1_3);
	pol_unref(p);
}
END_TEST

/* Nothing is asked of an environment whose group is off. */
START_TEST(test_off)
{
	struct findings found;
	struct pol_policy *p = good("TTLSGroupAction g\n{\nTTLSEnabled Off\n}\n"
				    "TTLSRule r\n{\nUserid root\nDirection Both\n"
				    "TTLSGroupActionRef g\n}\n",
				    &found);

	ck_assert_uint_eq(found.n, 0);
	ck_assert(!profile_of(p, "r")->enabled);
	pol_unref(p);
}
END_TEST

/* ---- files ---- */

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_ttls.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *in_dir(const char *leaf)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return path;
}

static void put_file(const char *leaf, const char *text)
{
	FILE *f = fopen(in_dir(leaf), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

#define IPSEC                                                                                      \
	"IpFilterPolicy\n{\nIpFilterRule all\n{\nIpSourceAddrGroupRef nets\nIpService\n{\n}\n"     \
	"IpGenericFilterActionRef permit\n}\n}\n"                                                  \
	"IpGenericFilterAction permit\n{\nIpFilterAction Permit\n}\n"                              \
	"IpAddrGroup nets\n{\nIpAddr\n{\nAddr 192.0.2.1\n}\n}\n"
#define TTLS                                                                                       \
	GROUP ENV "TTLSRule r\n{\nLocalAddrGroupRef nets\nDirection Both\nTTLSGroupActionRef g\n"  \
		  "TTLSEnvironmentActionRef e\n}\n"                                                \
		  "IpAddrGroup nets\n{\nIpAddr\n{\nAddr 192.0.2.2\n}\n}\n"

static struct pol_policy *compile_main(struct findings *found)
{
	return compile_file(in_dir("main"), "TCPIP", found);
}

/* Two files have a group of one name; each policy gets its own. */
START_TEST(test_two_files)
{
	struct findings found;
	struct pol_policy *p;
	const struct pol_ttls_range *range;
	const struct cs_range addr = {{AF_INET, {192, 0, 2, 1}}, {AF_INET, {192, 0, 2, 1}}};

	put_file("main", "IpSecConfig ipsec\nTTLSConfig ttls\n");
	put_file("ipsec", IPSEC);
	put_file("ttls", TTLS);
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(found.n_warnings, 1); /* AT-TLS programs */
	ck_assert_uint_eq(p->n_rules, 1);
	ck_assert(cs_range_equal(&p->rules[0].src[0], &addr));
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 1);
	range = pol_ttls_things(p->ttls, rule_named(p, "r")->local);
	ck_assert_uint_eq(range->lo[1], 0xffffc0000202);
	pol_unref(p);
}
END_TEST

/* A group of ports is in the image once, whatever the number of rules that name it. */
START_TEST(test_port_groups)
{
	struct findings found;
	struct pol_policy *p;
	const struct pol_ttls_ports *ports;

	put_file("main", "TTLSConfig ttls\n");
	put_file("ttls",
		 "TTLSGroupAction g\n{\nTTLSEnabled Off\n}\n"
		 "PortGroup pg\n{\nPortRange\n{\nPort 80\n}\nPortRange\n{\nPort 90-99\n}\n}\n"
		 "TTLSRule a\n{\nLocalPortGroupRef pg\nDirection Both\nTTLSGroupActionRef g\n}\n"
		 "TTLSRule b\n{\nLocalPortRange 7\nRemotePortGroupRef pg\nDirection Both\n"
		 "TTLSGroupActionRef g\n}\n");
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(rule_named(p, "a")->local_ports.n, 2);
	ck_assert_uint_eq(rule_named(p, "b")->remote_ports.n, 2);
	ck_assert_uint_eq(rule_named(p, "a")->local_ports.at, rule_named(p, "b")->remote_ports.at);
	ports = pol_ttls_things(p->ttls, rule_named(p, "b")->remote_ports);
	ck_assert_uint_eq(ports[1].hi, 99);
	ck_assert_uint_eq(rule_named(p, "b")->local_ports.n, 1);
	pol_unref(p);
}
END_TEST

/* One file for both is read once, and so are its groups. */
START_TEST(test_one_file)
{
	struct findings found;
	struct pol_policy *p;

	put_file("main", "IpSecConfig both\nTTLSConfig ./both\n");
	put_file("both", IPSEC "TTLSRule r\n{\nLocalAddrGroupRef nets\nDirection Both\n"
			       "TTLSGroupActionRef g\nTTLSEnvironmentActionRef e\n}\n" GROUP ENV);
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(found.n_warnings, 1);
	ck_assert_uint_eq(p->n_rules, 1);
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 1);
	pol_unref(p);
}
END_TEST

/* Who wants IPSec policy and codes it in the wrong place does not go without. */
START_TEST(test_ipsec_in_vain)
{
	struct findings found;

	put_file("main", "TcpImage TCPIP image\nIpSecConfig ipsec\n");
	put_file("image", "TTLSConfig ttls\n");
	put_file("ipsec", IPSEC);
	put_file("ttls", TTLS);
	ck_assert_ptr_null(compile_main(&found));
	ck_assert_ptr_nonnull(find(&found, POL_ERROR, "required"));
	put_file("main", "TTLSConfig ttls\n");
	put_file("ttls", TTLS IPSEC);
	ck_assert_ptr_null(compile_main(&found));
	ck_assert_ptr_nonnull(find(&found, POL_ERROR, "required"));
	put_file("ttls", TTLS);
	pol_unref(compile_main(&found));
	ck_assert_uint_eq(found.n_errors, 0);
}
END_TEST

/* A password behind a lost line end is in no text that others see. */
START_TEST(test_password_on_the_line)
{
	struct findings found;

	put_file("main", "TTLSConfig ttls\n");
	put_file("ttls",
		 GROUP RULE "TTLSEnvironmentAction e\n{\nHandshakeRole Server\n"
			    "TTLSKeyringParms\n{\nKeyring /k.p12 KeyringPw SECRETWORD\n}\n}\n");
	ck_assert_ptr_null(compile_main(&found));
	ck_assert_ptr_nonnull(find(&found, POL_ERROR, "a line must end before KeyringPw"));
	for (unsigned i = 0; i < found.n; i++)
		ck_assert_ptr_null(strstr(found.v[i].text, "SECRETWORD"));
}
END_TEST

/* Statements in the other one's file are passed over, and that is told. */
START_TEST(test_wrong_file)
{
	struct findings found;
	struct pol_policy *p;

	put_file("main", "IpSecConfig ipsec\nTTLSConfig ttls\n");
	put_file("ipsec", IPSEC "TTLSGroupAction x\n{\nnonsense\n}\n");
	put_file("ttls", TTLS "IpFilterPolicy\n{\nnonsense\n}\n");
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(find(&found, POL_WARNING, "belongs in the file that TTLSConfig"));
	ck_assert_ptr_nonnull(find(&found, POL_WARNING, "belongs in the file that IpSecConfig"));
	pol_unref(p);
}
END_TEST

/* The image's own statements before the common ones, of the same name. */
START_TEST(test_common)
{
	struct findings found;
	struct pol_policy *p;

	put_file("main", "CommonTTLSConfig common\nTcpImage TCPIP image\n");
	put_file("image", "TTLSConfig own\n");
	put_file("common", GROUP ENV RULE "TTLSRule second\n{\nUserid root\nDirection Both\n"
					  "TTLSGroupActionRef g\nTTLSEnvironmentActionRef e\n}\n");
	put_file("own", "TTLSGroupAction g\n{\nTTLSEnabled On\nTrace 5\n}\n"
			"TTLSRule r\n{\nLocalPortRange 9\nDirection Inbound\nTTLSGroupActionRef g\n"
			"TTLSEnvironmentActionRef e\n}\n");
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 2);
	ck_assert_uint_eq(profile_of(p, "r")->trace, 5);
	ck_assert_uint_eq(((const struct pol_ttls_ports *)pol_ttls_things(
				   p->ttls, rule_named(p, "r")->local_ports))
				  ->lo,
			  9);
	pol_unref(p);
	/* without a path the common file is all there is */
	put_file("image", "TTLSConfig NOFLUSH\n");
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(profile_of(p, "r")->trace, 2);
	pol_unref(p);
	/* without TTLSConfig the stack has no AT-TLS policy */
	put_file("image", "IpSecConfig ipsec\n");
	put_file("ipsec", IPSEC);
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(pol_ttls_count(p->ttls), 0);
	ck_assert_ptr_nonnull(find(&found, POL_WARNING, "the image's file has no TTLSConfig"));
	pol_unref(p);
}
END_TEST

/* An error in one of two files: nothing comes of either. */
START_TEST(test_whole)
{
	struct findings found;

	put_file("main", "IpSecConfig ipsec\nTTLSConfig ttls\n");
	put_file("ipsec", IPSEC);
	put_file("ttls", TTLS "TTLSGroupAction broken\n{\n}\n");
	ck_assert_ptr_null(compile_main(&found));
	put_file("ttls", TTLS);
	put_file("ipsec", IPSEC "IpService broken\n{\nProtocol 256\n}\n");
	ck_assert_ptr_null(compile_main(&found));
	put_file("ipsec", IPSEC);
	/* a stack with AT-TLS alone names no other file; this one is empty by accident */
	put_file("ipsec", "");
	ck_assert_ptr_null(compile_main(&found));
	ck_assert_ptr_nonnull(find(&found, POL_ERROR, "it is required, and no file has it"));
	put_file("ipsec", IPSEC);
	put_file("main", "IpSecConfig ipsec\nTTLSConfig missing\n");
	ck_assert_ptr_null(compile_main(&found));
	ck_assert_ptr_nonnull(find(&found, POL_ERROR, "missing"));
}
END_TEST

static const struct {
	const char *main, *image;
	struct pol_options options;
	const char *error;
} lines[] = {
	{"TTLSConfig ttls\n", NULL, {.read = true}, NULL},
	{"TTLSConfig ttls FLUSH PURGE\n", NULL, {true, true, true, false, 0}, NULL},
	{"TTLSConfig ttls purge noflush\n", NULL, {true, false, true, false, 0}, NULL},
	{"TcpImage TCPIP FLUSH 600\nTTLSConfig ttls\n", NULL, {true, true, false, true, 600}, NULL},
	{"TcpImage TCPIP FLUSH PURGE 0\nTTLSConfig ttls NOFLUSH NOPURGE\n",
	 NULL,
	 {true, false, false, true, 0},
	 NULL},
	{"TcpImage TCPIP image NOFLUSH PURGE 60\n",
	 "TTLSConfig ttls FLUSH\n",
	 {true, true, true, true, 60},
	 NULL},
	{"PEPInstance TCPIP image PURGE\n",
	 "TTLSConfig ttls\n",
	 {true, false, true, false, 0},
	 NULL},
	/* of another stack, another file, or not the last */
	{"TcpImage OTHER FLUSH PURGE 60\nTcpImage TCPIP\nTTLSConfig ttls\n",
	 NULL,
	 {.read = true},
	 NULL},
	{"TTLSConfig ttls PURGE\nTTLSConfig ttls FLUSH\n",
	 NULL,
	 {true, true, false, false, 0},
	 NULL},
	{"TTLSConfig ttls PURGE\nTcpImage TCPIP image\n",
	 "TTLSConfig ttls\n",
	 {.read = true},
	 NULL},
	{"TTLSConfig ttls FLASH\n", NULL, {.read = true}, "'FLASH' is not one of FLUSH|NOFLUSH"},
	{"TTLSConfig ttls 600\n", NULL, {.read = true}, "'600' is not one of FLUSH|NOFLUSH"},
	{"TcpImage TCPIP image 600 wrong\n",
	 "TTLSConfig ttls\n",
	 {true, false, false, true, 600},
	 "'wrong' is not one of FLUSH|NOFLUSH|PURGE|NOPURGE or a number of seconds"},
	{"TcpImage TCPIP 99999999999\nTTLSConfig ttls\n",
	 NULL,
	 {true, false, false, true, 0},
	 "out of range"},
};

START_TEST(test_options)
{
	struct findings found = {.n = 0};
	struct pol_options options = {.read = false};
	struct pol_policy *p = NULL;
	const struct pol_options *want = &lines[_i].options;
	struct cs_err err;
	int rc;

	put_file("main", lines[_i].main);
	if (lines[_i].image)
		put_file("image", lines[_i].image);
	put_file("ttls", GROUP ENV RULE);
	rc = pol_compile_files(in_dir("main"), "TCPIP", collect, NULL, &found, &options, &p, &err);
	ck_assert_int_eq(rc < 0, lines[_i].error != NULL);
	if (lines[_i].error)
		ck_assert_ptr_nonnull(find(&found, POL_ERROR, lines[_i].error));
	ck_assert(options.read == want->read && options.ttls_flush == want->ttls_flush &&
		  options.ttls_purge == want->ttls_purge &&
		  options.interval_coded == want->interval_coded);
	if (!lines[_i].error)
		ck_assert_uint_eq(options.interval, want->interval);
	pol_unref(p);
}
END_TEST

/* ---- the store ---- */

START_TEST(test_store)
{
	static const char text[] =
		"TTLSKeyringParms k\n{\nKeyring /k.p12\nKeyringPw SECRETWORD\n}\n" GROUP RULE
		"TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParmsRef k\n}\n"
		"IpAddr x\n{\nAddr 192.0.2.9\n}\n";
	struct findings found;
	struct pol_store *store;
	struct pol_policy *p, *q = NULL;
	struct cs_err err;
	char command[256];
	uint64_t generation;

	put_file("main", "TTLSConfig ttls\nIpSecConfig ipsec\n");
	put_file("ttls", text);
	put_file("ipsec", IPSEC "IpAddr x\n{\nAddr 192.0.2.8\n}\n");
	p = compile_main(&found);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(pol_store_open(in_dir("state"), true, &store, &err), 0);
	ck_assert_int_eq(pol_store_put(store, p, &err), 0);
	generation = p->generation;
	/* the same once more is not another */
	ck_assert_int_eq(pol_store_put(store, p, &err), 0);
	ck_assert_uint_eq(p->generation, generation);
	ck_assert_int_eq(pol_store_load(store, &q, &err), 0);
	/* what is loaded is the same policy to the octet */
	ck_assert_uint_eq(p->ttls->length, q->ttls->length);
	ck_assert_mem_eq(p->ttls->image, q->ttls->image, p->ttls->length);
	ck_assert_uint_eq(profile_of(q, "r")->keyring_password, 1);
	pol_unref(q);
	pol_unref(p);
	/* another password is another generation, and no other image */
	put_file("ttls", "# \n");
	p = compile_main(&found);
	ck_assert_int_eq(pol_store_put(store, p, &err), 0);
	ck_assert_uint_eq(p->generation, generation + 1);
	pol_unref(p);
	pol_store_close(store);
	snprintf(command, sizeof(command), "grep -q SECRETWORD %s", in_dir("state/policy.db"));
	ck_assert_int_ne(system(command), 0);
	snprintf(command, sizeof(command), "grep -q SECRETWORD %s", in_dir("state/secrets.db"));
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ttls_policy");
	TCase *language = tcase_create("language"), *files = tcase_create("files");

	tcase_set_timeout(language, 60);
	tcase_add_test(language, test_example);
	tcase_add_test(language, test_defaults);
	tcase_add_test(language, test_fields_are_rows);
	tcase_add_test(language, test_everything);
	tcase_add_test(language, test_case);
	tcase_add_test(language, test_inheritance);
	tcase_add_test(language, test_identity);
	tcase_add_loop_test(language, test_bad, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(language, test_told, 0, sizeof(told) / sizeof(told[0]));
	tcase_add_test(language, test_suite_b);
	tcase_add_test(language, test_off);
	suite_add_tcase(suite, language);
	tcase_add_checked_fixture(files, make_dir, remove_dir);
	tcase_add_test(files, test_two_files);
	tcase_add_test(files, test_one_file);
	tcase_add_test(files, test_port_groups);
	tcase_add_test(files, test_wrong_file);
	tcase_add_test(files, test_ipsec_in_vain);
	tcase_add_test(files, test_password_on_the_line);
	tcase_add_test(files, test_common);
	tcase_add_test(files, test_whole);
	tcase_add_loop_test(files, test_options, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(files, test_store);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
