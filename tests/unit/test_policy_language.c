/* Policy files compiled and read field by field, and mutated. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/check.h"
#include "policy/tree.h"
#include "policy_text.h"
#include "tests/unit/run_suite.h"

static struct pol_policy *sample(const char *leaf, const char *stack, struct findings *found)
{
	char path[512];
	struct pol_policy *policy;

	snprintf(path, sizeof(path), TESTDATA "/data/policy/%s", leaf);
	policy = compile_file(path, stack, found);
	if (!policy)
		ck_abort_msg("%s:%u: %s", found->v[0].file, found->v[0].line, found->v[0].text);
	return policy;
}

static void range_is(const struct cs_range *range, const char *text)
{
	char buf[CS_RANGE_STRLEN];

	ck_assert_str_eq(cs_range_text(range, buf), text);
}

static void life_is(const struct pol_life *life, unsigned proposed, unsigned min, unsigned max)
{
	ck_assert_uint_eq(life->proposed, proposed);
	ck_assert_uint_eq(life->accepted_min, min);
	ck_assert_uint_eq(life->accepted_max, max);
}

/* Findings that tell of nothing but what is not honoured. */
static bool only_not_honoured(const struct findings *found, unsigned n)
{
	for (unsigned i = 0; i < found->n; i++)
		if (!strstr(found->v[i].text, "(told once)") &&
		    strcmp(found->v[i].attribute, "HowToAuthPeers") != 0)
			return false;
	return found->n == n && found->n_errors == 0;
}

/* ---- host to host ---- */

START_TEST(test_host_filters)
{
	struct findings found;
	struct pol_policy *p = sample("host-to-host.policy", "TCPIP", &found);
	const struct pol_filter_rule *r = p->rules;

	ck_assert(only_not_honoured(&found, 0));
	ck_assert(!p->predecap && p->filter_logging && p->allow_on_demand && !p->fips140);
	ck_assert(!p->implicit_discard_icmp);
	ck_assert_uint_eq(p->generation, 0);
	ck_assert_uint_eq(p->n_rules, 2);
	ck_assert_str_eq(r[0].name, "ike-with-partner");
	ck_assert_str_eq(r[0].group_name, "");
	ck_assert_str_eq(r[0].action_name, "permit-and-log");
	ck_assert_uint_eq(r[0].id, 0);
	ck_assert_uint_eq(r[0].n_src, 1);
	ck_assert_uint_eq(r[0].n_dst, 1);
	range_is(r[0].src, "192.0.2.10");
	range_is(r[0].dst, "203.0.113.20");
	ck_assert_int_eq(r[0].verdict, POL_PERMIT);
	ck_assert_int_eq(r[0].log, POL_LOG_YES);
	ck_assert(!r[0].discard_icmp && !r[0].vpn && !r[0].start && !r[0].on_demand);
	ck_assert_uint_eq(r[0].n_times, 0);
	ck_assert_uint_eq(r[0].n_services, 1);
	ck_assert_int_eq(r[0].services[0].proto, 17);
	ck_assert_uint_eq(r[0].services[0].src_port[0], 500);
	ck_assert_uint_eq(r[0].services[0].src_port[1], 500);
	ck_assert_uint_eq(r[0].services[0].dst_port[0], 500);
	ck_assert_int_eq(r[0].services[0].type[0], -1);
	ck_assert_int_eq(r[0].services[0].direction, POL_BOTH);
	ck_assert_int_eq(r[0].services[0].routing, POL_LOCAL);

	ck_assert_str_eq(r[1].name, "data-with-partner");
	ck_assert_int_eq(r[1].verdict, POL_IPSEC);
	ck_assert_int_eq(r[1].log, POL_LOG_DENY);
	ck_assert(r[1].on_demand);
	ck_assert_ptr_null(r[1].start);
	ck_assert_int_eq(r[1].services[0].proto, POL_PROTO_ANY);
	ck_assert_ptr_nonnull(r[1].vpn);
	ck_assert_str_eq(r[1].vpn->name, "transport-aes");
	ck_assert_int_eq(r[1].vpn->initiation, POL_INIT_EITHER);
	ck_assert_uint_eq(r[1].vpn->vpn_life, 86400);
	ck_assert_uint_eq(r[1].vpn->initiate_pfs, 14);
	ck_assert_uint_eq(r[1].vpn->n_accept_pfs, 1);
	ck_assert_uint_eq(r[1].vpn->accept_pfs[0], 14);
	ck_assert(r[1].vpn->passthrough_df && r[1].vpn->passthrough_dscp && !r[1].vpn->df_set);
	ck_assert_uint_eq(r[1].vpn->n_offers, 1);
	ck_assert_int_eq(r[1].vpn->offers[0].encap, POL_TRANSPORT);
	ck_assert_int_eq(r[1].vpn->offers[0].auth_proto, POL_ESP);
	ck_assert_str_eq(r[1].vpn->offers[0].cipher->suite, "aes128");
	ck_assert_str_eq(r[1].vpn->offers[0].integ->suite, "sha1");
	life_is(&r[1].vpn->offers[0].life_seconds, 14400, 7200, 28800);
	life_is(&r[1].vpn->offers[0].life_kbytes, 0, 0, 0);
	pol_unref(p);
}
END_TEST

START_TEST(test_host_keys)
{
	struct findings found;
	struct pol_policy *p = sample("host-to-host.policy", "TCPIP", &found);
	const struct pol_ke_rule *r = p->ke_rules;

	ck_assert_uint_eq(p->n_ke_rules, 1);
	ck_assert_uint_eq(p->nat_keepalive, 20);
	ck_assert_str_eq(r->name, "keys-with-partner");
	ck_assert_int_eq(r->local.identity.type, POL_ID_IPV4_ADDR);
	ck_assert_str_eq(r->local.identity.text, "192.0.2.10");
	range_is(&r->local.identity.addr, "192.0.2.10");
	ck_assert_uint_eq(r->local.n_locations, 1);
	range_is(r->local.locations, "192.0.2.10");
	range_is(r->remote.locations, "203.0.113.20");
	ck_assert_str_eq(r->remote.identity.text, "203.0.113.20");
	ck_assert_uint_eq(r->shared_key.len, 23);
	ck_assert_mem_eq(r->shared_key.p, "a-key-for-documentation", 23);
	/* printf a-key-for-documentation | sha256sum */
	ck_assert_str_eq(r->key_fingerprint, "6314");
	ck_assert_str_eq(r->action->name, "psk-main");
	ck_assert_int_eq(r->action->initiate, POL_MODE_MAIN);
	ck_assert_int_eq(r->action->respond, POL_MODE_MAIN);
	ck_assert(r->action->respond_coded && !r->action->allow_nat);
	ck_assert(!r->action->bypass_ip_validation && !r->action->filter_by_identity);
	ck_assert_uint_eq(r->action->n_offers, 1);
	ck_assert_str_eq(r->action->offers[0].cipher->suite, "aes128");
	ck_assert_str_eq(r->action->offers[0].hash->suite, "sha1");
	ck_assert_uint_eq(r->action->offers[0].group->number, 14);
	ck_assert_int_eq(r->action->offers[0].auth, POL_AUTH_PSK);
	life_is(&r->action->offers[0].life_seconds, 28800, 14400, 86400);
	life_is(&r->action->offers[0].life_kbytes, 0, 0, 0);
	ck_assert_uint_eq(p->n_local_rules, 0);
	pol_unref(p);
}
END_TEST

/* Aggressive Mode is honoured: it brings no finding that Main Mode does not. */
START_TEST(test_aggressive)
{
	static const char actions[] =
		"KeyExchangeOffer psk\n{\n  HowToAuthPeers PresharedKey\n  DHGroup Group14\n}\n"
		"KeyExchangeRule r\n{\n"
		"  LocalSecurityEndpoint\n  {\n    Identity KeyID Ascii me\n  }\n"
		"  RemoteSecurityEndpoint\n  {\n    Identity UserAtFqdn *@example.com\n"
		"    Location Any\n  }\n"
		"  KeyExchangeActionRef a\n  SharedKey Ascii a-key-for-documentation\n}\n"
		"KeyExchangePolicy\n{\n  HowToInitiate %s\n  KeyExchangeRuleRef r\n}\n"
		"KeyExchangeAction a\n{\n%s%s  KeyExchangeOfferRef psk\n}\n"
		"IpGenericFilterAction p\n{\n  IpFilterAction Permit\n}\n"
		"IpFilterPolicy\n{\n  IpFilterRule f\n  {\n    IpGenericFilterActionRef p\n  "
		"}\n}\n";
	static const struct {
		const char *inherited, *initiate, *respond;
		enum pol_mode initiates, responds;
		bool coded;
	} cases[] = {
		{"Aggressive", "", "", POL_MODE_AGGRESSIVE, POL_MODE_EITHER, false},
		{"Main", "  HowToInitiate Aggressive\n", "  HowToRespondIKEv1 Aggressive\n",
		 POL_MODE_AGGRESSIVE, POL_MODE_AGGRESSIVE, true},
		{"Aggressive", "  HowToInitiate Main\n", "  HowToRespondIKEv1 Either\n",
		 POL_MODE_MAIN, POL_MODE_EITHER, true},
		{"DoNot", "", "  HowToRespondIKEv1 Main\n", POL_MODE_DONOT, POL_MODE_MAIN, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct findings found;
		struct pol_policy *p;
		char text[2000];
		int n = snprintf(text, sizeof(text), actions, cases[i].inherited, cases[i].initiate,
				 cases[i].respond);

		p = compile_text(text, (size_t)n, &found);
		ck_assert_msg(p && !found.n_warnings && !found.n_notes, "case %zu: %s", i,
			      found.n ? found.v[0].text : "");
		ck_assert_int_eq(p->ke_rules[0].action->initiate, cases[i].initiates);
		ck_assert_int_eq(p->ke_rules[0].action->respond, cases[i].responds);
		ck_assert_int_eq(p->ke_rules[0].action->respond_coded, cases[i].coded);
		pol_unref(p);
	}
}
END_TEST

/* ---- manual tunnels ---- */

#define MANUAL_KEY "000102030405060708090a0b0c0d0e0f"

static struct pol_policy *manual(const char *more, struct findings *found)
{
	static const char text[] =
		"IpFilterPolicy\n{\n IpFilterRuleRef r\n IpFilterRuleRef s\n}\n"
		"IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
		"IpFilterRule r\n{\n IpSourceAddr 192.0.2.1\n IpDestAddr 192.0.2.2\n"
		" IpService\n {\n  Protocol Tcp\n }\n"
		" IpGenericFilterActionRef ipsec\n IpManVpnActionRef m\n}\n"
		"IpFilterRule s\n{\n IpSourceAddr 192.0.2.1\n IpDestAddr 192.0.2.2\n"
		" IpGenericFilterActionRef ipsec\n IpManVpnActionRef m\n}\n"
		"IpManVpnAction m\n{\n LocalSecurityEndpointAddr 192.0.2.1\n"
		" RemoteSecurityEndpointAddr Any\n HowToEncrypt AES_CBC KeyLength 128\n"
		" HowToAuth AH HMAC_MD5\n AuthInboundSa 4294967295 " MANUAL_KEY "\n"
		" AuthOutboundSa 257 " MANUAL_KEY "\n EncryptInboundSa 258 " MANUAL_KEY "\n"
		" EncryptOutboundSa 259 " MANUAL_KEY "\n%s}\n";
	char whole[2000];
	int n = snprintf(whole, sizeof(whole), text, more);
	struct pol_policy *p = compile_text(whole, (size_t)n, found);

	ck_assert_msg(p != NULL, "%s", found->n ? found->v[0].text : "");
	return p;
}

START_TEST(test_manual)
{
	static const struct {
		const char *more;
		bool same;       /* SAs are as they were */
		bool means_same; /* for another host */
	} changes[] = {
		{"", true, true},
		{" Active No\n", true, false},
		{" IpTimeCondition\n {\n  TimeOfDayRange 08:00-17:00\n }\n", true, true},
		{" PassthroughDSCP No\n", false, false},
		{" HowToEncap Transport\n", false, false},
		{" AuthInboundSa 4294967294 " MANUAL_KEY "\n", false, false},
		{" EncryptOutboundSa 259 100102030405060708090a0b0c0d0e0f\n", false, true},
	};
	uint8_t first[POL_CONTENT_LEN], content[POL_CONTENT_LEN];
	uint8_t meant[POL_CONTENT_LEN], meaning[POL_CONTENT_LEN];
	struct findings found;
	struct pol_policy *p = manual("", &found);
	const struct pol_manvpn_action *a = p->manuals[0];

	ck_assert_uint_eq(found.n_warnings, 0);
	ck_assert_uint_eq(p->n_manuals, 1);
	ck_assert(p->rules[0].manual == a && p->rules[1].manual == a && !p->rules[0].vpn);
	ck_assert(pol_manual_by_name(p, "m") == a && !pol_manual_by_name(p, "n"));
	ck_assert(a->active && a->encap == POL_TUNNEL && a->auth_proto == POL_AH);
	ck_assert(a->passthrough_df && a->passthrough_dscp && a->number == 0);
	ck_assert_str_eq(a->cipher->keyword, "AES_CBC");
	ck_assert_str_eq(a->integ->keyword, "HMAC_MD5");
	ck_assert_uint_eq(a->auth_in.spi, 4294967295);
	ck_assert_uint_eq(a->encrypt_out.spi, 259);
	ck_assert_uint_eq(a->encrypt_out.key.len, 16);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(a->encrypt_out.key.p[i], i);
	/* Any is the rules' address. */
	ck_assert(cs_addr_equal(&a->remote, &p->rules[0].dst[0].lo));
	ck_assert_int_eq(pol_manual_content(a, first, NULL), 0);
	ck_assert_int_eq(pol_meaning(p, meant, NULL), 0);
	pol_unref(p);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		p = manual(changes[i].more, &found);
		ck_assert_int_eq(pol_manual_content(p->manuals[0], content, NULL), 0);
		ck_assert_msg((memcmp(content, first, sizeof(first)) == 0) == changes[i].same, "%s",
			      changes[i].more);
		ck_assert_int_eq(pol_meaning(p, meaning, NULL), 0);
		ck_assert_msg((memcmp(meaning, meant, sizeof(meant)) == 0) == changes[i].means_same,
			      "%s", changes[i].more);
		pol_unref(p);
	}
}
END_TEST

/* ---- host to gateway ---- */

static void check_backup_rule(const struct pol_filter_rule *r)
{
	const struct pol_time *t = r->times;

	ck_assert_str_eq(r->name, "night-backup");
	ck_assert_str_eq(r->group_name, "branch");
	ck_assert_uint_eq(r->n_src, 2);
	range_is(&r->src[0], "192.0.2.10");
	range_is(&r->src[1], "192.0.2.20-192.0.2.29");
	range_is(&r->dst[0], "203.0.113.0/28");
	ck_assert_uint_eq(r->n_services, 3);
	ck_assert_int_eq(r->services[0].proto, 6);
	ck_assert_uint_eq(r->services[0].src_port[0], 1024);
	ck_assert_uint_eq(r->services[0].src_port[1], 65535);
	ck_assert_uint_eq(r->services[0].dst_port[0], 873);
	ck_assert_uint_eq(r->services[0].dst_port[1], 874);
	ck_assert_int_eq(r->services[0].connect, POL_CONNECT_OUT);
	ck_assert_uint_eq(r->services[0].security_class, 7);
	ck_assert_int_eq(r->services[1].proto, 1);
	ck_assert_int_eq(r->services[1].type[0], 8);
	ck_assert_int_eq(r->services[1].type[1], 8);
	ck_assert_int_eq(r->services[1].code[0], 0);
	ck_assert_str_eq(r->services[2].name, "any-local");
	ck_assert_uint_eq(r->n_times, 1);
	ck_assert_int_eq(t->from, 1767225600 - 3600); /* 2026-01-01 00:00 +0100 */
	ck_assert_int_eq(t->to, 1830297599 - 3600);   /* 2027-12-31 23:59:59 +0100 */
	ck_assert_uint_eq(t->months, 0xfff);
	ck_assert_uint_eq(t->days, 0x40000001); /* the first and the 31st */
	ck_assert_uint_eq(t->days_from_end, 2); /* and the last but one */
	ck_assert_uint_eq(t->weekdays, 0x3e);
	ck_assert_int_eq(t->zone, 60);
	ck_assert_uint_eq(t->n_spans, 2);
	ck_assert_uint_eq(t->spans[0][0], 22 * 60);
	ck_assert_uint_eq(t->spans[0][1], 24 * 60);
	ck_assert_uint_eq(t->spans[1][0], 0);
	ck_assert_uint_eq(t->spans[1][1], 330);
}

START_TEST(test_branch_filters)
{
	static const char *const names[] = {"ike4", "ike6", "data4", "data6", "night-backup"};
	struct findings found;
	struct pol_policy *p = sample("branch.policy", "TCPIP", &found);
	const struct pol_filter_rule *r = p->rules;
	const struct pol_dynvpn_action *gold;
	char buf[CS_ADDR_STRLEN];

	ck_assert(only_not_honoured(&found, 2));
	ck_assert(!p->allow_on_demand);
	ck_assert_uint_eq(p->n_rules, 5);
	for (int i = 0; i < 5; i++) {
		ck_assert_str_eq(r[i].name, names[i]);
		ck_assert_str_eq(r[i].group_name, "branch");
	}
	ck_assert_uint_eq(r[0].n_services, 2);
	ck_assert_str_eq(r[0].services[1].name, "ike4500");
	ck_assert_uint_eq(r[0].services[1].src_port[0], 4500);
	ck_assert_uint_eq(r[0].services[1].dst_port[0], 0);
	ck_assert_uint_eq(r[0].services[1].dst_port[1], 0);
	range_is(r[2].dst, "198.51.100.128/25");
	ck_assert(r[2].discard_icmp && !r[2].on_demand);
	ck_assert_int_eq(r[2].vpn->initiation, POL_INIT_REMOTE);
	ck_assert_uint_eq(r[2].vpn->n_accept_pfs, 2);
	ck_assert_uint_eq(r[2].vpn->accept_pfs[1], 5);
	range_is(r[3].dst, "2001:db8:3::/64");
	ck_assert(r[3].on_demand); /* by its start action, against the policy's No */
	ck_assert_int_eq(r[3].start->on_demand, 1);
	ck_assert_str_eq(cs_addr_text(&r[3].start->local, buf), "2001:db8:1::10");
	ck_assert_str_eq(cs_addr_text(&r[3].start->remote, buf), "2001:db8:2::1");
	ck_assert_int_eq(r[3].start->local_ip, POL_FROM_PACKET);
	ck_assert_int_eq(r[3].start->remote_ip, POL_FROM_RULE);
	ck_assert_int_eq(r[3].start->local_port, POL_FROM_RULE);
	ck_assert_int_eq(r[3].start->protocol, POL_FROM_RULE);
	gold = r[3].vpn;
	ck_assert_uint_eq(gold->vpn_life, 2880 * 60);
	ck_assert_uint_eq(gold->initiate_pfs, POL_PFS_NONE);
	ck_assert_uint_eq(gold->n_accept_pfs, 2);
	ck_assert_uint_eq(gold->accept_pfs[0], POL_PFS_NONE);
	ck_assert_uint_eq(gold->accept_pfs[1], 20);
	ck_assert(!gold->passthrough_df && gold->df_set && !gold->passthrough_dscp);
	ck_assert_uint_eq(gold->n_offers, 4);
	ck_assert_str_eq(gold->offers[0].name, "tunnel-gcm");
	ck_assert_str_eq(gold->offers[0].cipher->suite, "aes128gcm16");
	ck_assert_ptr_null(gold->offers[0].integ);
	ck_assert_str_eq(gold->offers[1].cipher->suite, "aes256");
	ck_assert_str_eq(gold->offers[1].integ->suite, "sha256");
	life_is(&gold->offers[1].life_seconds, 7200, 3600, 14400);
	life_is(&gold->offers[1].life_kbytes, 1000000, 500000, 2000000);
	ck_assert_int_eq(gold->offers[2].auth_proto, POL_AH);
	ck_assert_int_eq(gold->offers[2].encap, POL_TRANSPORT);
	ck_assert_ptr_null(gold->offers[2].cipher);
	ck_assert_str_eq(gold->offers[2].integ->suite, "sha1");
	ck_assert_str_eq(gold->offers[3].name, ""); /* all defaults */
	ck_assert_str_eq(gold->offers[3].cipher->suite, "aes128");
	ck_assert_str_eq(gold->offers[3].integ->suite, "sha1");
	ck_assert_int_eq(gold->offers[3].encap, POL_TUNNEL);
	life_is(&gold->offers[3].life_seconds, 14400, 7200, 28800);
	check_backup_rule(&r[4]);
	pol_unref(p);
}
END_TEST

START_TEST(test_branch_keys)
{
	static const uint8_t ebcdic[] = {0xd2, 0x85, 0xa8, 0xf1}; /* "Key1" */
	struct findings found;
	struct pol_policy *p = sample("branch.policy", "TCPIP", &found);
	const struct pol_ke_rule *r = p->ke_rules;
	const struct pol_ke_offer *o;

	ck_assert_uint_eq(p->n_ke_rules, 2);
	ck_assert_uint_eq(p->nat_keepalive, 30);
	ck_assert_str_eq(r[0].name, "keys4");
	ck_assert_str_eq(r[0].group_name, "");
	ck_assert_int_eq(r[0].local.identity.type, POL_ID_FQDN);
	ck_assert_str_eq(r[0].local.identity.text, "hosta.example.com");
	range_is(r[0].local.locations, "192.0.2.10");
	ck_assert_int_eq(r[0].remote.identity.type, POL_ID_FQDN);
	ck_assert_str_eq(r[0].remote.identity.text, "gw.example.com");
	ck_assert_uint_eq(r[0].remote.n_ca_labels, 1);
	ck_assert_ptr_null(r[0].shared_key.p);
	ck_assert_str_eq(r[0].key_fingerprint, "");
	ck_assert(r[0].action->allow_nat && r[0].action->respond_coded);
	ck_assert_int_eq(r[0].action->initiate, POL_MODE_DONOT);
	ck_assert_int_eq(r[0].action->respond, POL_MODE_MAIN);
	ck_assert_int_eq(r[0].action->revocation, POL_REVOCATION_LOOSE);
	ck_assert_uint_eq(r[0].action->n_offers, 2);
	o = r[0].action->offers;
	ck_assert_str_eq(o[0].name, "rsa-aes");
	ck_assert_str_eq(o[0].cipher->suite, "aes256");
	ck_assert_str_eq(o[0].hash->suite, "sha256");
	ck_assert_int_eq(o[0].auth, POL_AUTH_RSA);
	life_is(&o[0].life_kbytes, 0, 100, 1000);
	ck_assert_str_eq(o[1].cipher->suite, "3des");
	ck_assert_uint_eq(o[1].group->number, 5);

	ck_assert_str_eq(r[1].group_name, "ipv6-keys");
	ck_assert_int_eq(r[1].local.identity.type, POL_ID_KEY_ID);
	ck_assert_uint_eq(r[1].local.identity.data.len, 3);
	ck_assert_mem_eq(r[1].local.identity.data.p, "key", 3);
	ck_assert_int_eq(r[1].remote.identity.type, POL_ID_USER_FQDN);
	ck_assert_str_eq(r[1].remote.identity.text, "*@branch.example.com");
	ck_assert_uint_eq(r[1].remote.n_ca_labels, 2);
	ck_assert_str_eq(r[1].remote.ca_labels[0], "Example CA");
	ck_assert_uint_eq(r[1].shared_key.len, 4);
	ck_assert_mem_eq(r[1].shared_key.p, ebcdic, 4);
	ck_assert(!r[1].action->allow_nat && !r[1].action->respond_coded);
	ck_assert_int_eq(r[1].action->respond, POL_MODE_EITHER);
	o = &r[1].action->offers[1]; /* all defaults */
	ck_assert_str_eq(o->cipher->suite, "aes128");
	ck_assert_str_eq(o->hash->suite, "sha1");
	ck_assert_uint_eq(o->group->number, 2);
	ck_assert_int_eq(o->auth, POL_AUTH_RSA);
	life_is(&o->life_seconds, 28800, 14400, 86400);
	pol_unref(p);
}
END_TEST

START_TEST(test_branch_tunnels)
{
	struct findings found;
	struct pol_policy *p = sample("branch.policy", "TCPIP", &found);
	const struct pol_local_dynvpn *r = p->local_rules;

	ck_assert_uint_eq(p->n_local_rules, 2);
	ck_assert_str_eq(r[0].name, "branch6");
	range_is(&r[0].selector.local, "2001:db8:1::10");
	range_is(&r[0].selector.remote, "2001:db8:3::/64");
	ck_assert_uint_eq(r[0].selector.proto, 6);
	ck_assert_uint_eq(r[0].selector.local_port, 0);
	ck_assert_uint_eq(r[0].selector.remote_port, 443);
	ck_assert_int_eq(r[0].type, -1);
	ck_assert(r[0].auto_activate);
	ck_assert_str_eq(r[1].name, "branch4");
	ck_assert_str_eq(r[1].group_name, "spare");
	range_is(&r[1].selector.local, "192.0.2.10");
	range_is(&r[1].selector.remote, "198.51.100.128/25");
	ck_assert_uint_eq(r[1].selector.proto, 0);
	ck_assert(!r[1].auto_activate);
	pol_unref(p);
}
END_TEST

/* ---- files ---- */

START_TEST(test_files)
{
	struct findings found;
	struct pol_policy *p = sample("pagent.conf", "TCPIP", &found);
	const struct pol_tree *tree = pol_policy_tree(p);

	/* TTLSConfig in the main file, and the IpSecConfig line that another replaces */
	ck_assert_uint_eq(found.n_warnings, 2);
	ck_assert_ptr_nonnull(strstr(found.v[2].file, "image.conf"));
	ck_assert_uint_eq(found.v[2].line, 2);
	ck_assert_uint_eq(found.n_notes, 2); /* LogLevel, QOSConfig */
	ck_assert_uint_eq(p->n_rules, 2); /* the stack's policy, with a rule of the common file */
	ck_assert_str_eq(p->rules[0].name, "own-rule");
	ck_assert_str_eq(p->rules[0].action_name, "permit");
	ck_assert_str_eq(p->rules[1].name, "common-rule");
	ck_assert_int_eq(p->rules[1].verdict, POL_DENY);
	ck_assert_int_eq(p->rules[1].log, POL_LOG_YES); /* the stack's "refuse" */
	range_is(p->rules[1].src, "0.0.0.0/0");
	ck_assert(p->filter_logging);
	ck_assert_uint_eq(p->nat_keepalive, 55); /* the common one, the stack has none */
	ck_assert_uint_eq(tree->n_files, 4);
	ck_assert_uint_eq(tree->n_nodes, 8);
	ck_assert(tree->nodes[0]->from_common);
	ck_assert(!tree->nodes[7]->from_common);
	pol_unref(p);
	ck_assert_ptr_null(compile_file(TESTDATA "/data/policy/pagent.conf", "OTHER", &found));
	ck_assert_str_eq(found.v[1].text, "none of the images is stack OTHER");
	ck_assert_ptr_null(compile_file(TESTDATA "/data/policy/pagent.conf", "TCPIP2", &found));
	ck_assert_ptr_null(compile_file("/nonexistent/policy", "TCPIP", &found));
	ck_assert_uint_eq(found.n, 0);
	ck_assert_ptr_null(compile_file("/", "TCPIP", &found));
}
END_TEST

static void count_file(void *arg, const char *file)
{
	unsigned *n = arg;

	if (strstr(file, "/pagent.conf") || strstr(file, "/nowhere.conf"))
		(*n)++;
}

/* A file that is missing has to be known all the same: it will be watched for. */
START_TEST(test_missing_file)
{
	char dir[] = "/tmp/csipsec-test-XXXXXX", path[64];
	struct pol_policy *policy = NULL;
	struct cs_err err;
	unsigned n = 0;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pagent.conf", dir);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("TcpImage TCPIP nowhere.conf\n", file);
	fclose(file);
	ck_assert_int_lt(
		pol_compile_files(path, "TCPIP", NULL, count_file, &n, NULL, &policy, &err), 0);
	ck_assert_uint_eq(n, 2);
	unlink(path);
	rmdir(dir);
}
END_TEST

/* Keys that every user may read are warned of, once a file. */
START_TEST(test_open_to_all)
{
	static const char key[] = "  SharedKey Ascii a\n  SharedKey Ascii b\n";
	static const struct {
		mode_t mode;
		const char *text;
		unsigned warnings;
	} cases[] = {{0644, key, 1}, {0604, key, 1}, {0640, key, 0}, {0600, key, 0}, {0644, "", 0}};
	char path[] = "/tmp/csipsec-test-XXXXXX";
	struct findings found;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		ck_assert_int_gt(dprintf(fd, "KeyExchangeRule r\n{\n%s}\n", cases[i].text), 0);
		ck_assert_int_eq(fchmod(fd, cases[i].mode), 0);
		compile_file(path, "TCPIP", &found);
		ck_assert_uint_eq(found.n_open, cases[i].warnings);
	}
	close(fd);
	unlink(path);
}
END_TEST

/* Every file that everybody may write is warned of, whatever is in it. */
START_TEST(test_all_write)
{
	static const struct {
		mode_t mode, second;
		unsigned warnings;
	} cases[] = {{0666, 0644, 1}, {0602, 0622, 2}, {0620, 0646, 1}, {0644, 0600, 0}};
	char path[] = "/tmp/csipsec-test-XXXXXX", second[] = "/tmp/csipsec-test-XXXXXX";
	int fd = mkstemp(path), fd2 = mkstemp(second);
	struct findings found;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(fd2, 0);
	ck_assert_int_gt(dprintf(fd, "IpSecConfig %s\n", second), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(fchmod(fd, cases[i].mode), 0);
		ck_assert_int_eq(fchmod(fd2, cases[i].second), 0);
		compile_file(path, "TCPIP", &found);
		ck_assert_uint_eq(found.n_writable, cases[i].warnings);
	}
	close(fd);
	close(fd2);
	unlink(path);
	unlink(second);
}
END_TEST

/* ---- limits: what they are about is made by small files ---- */

struct long_text {
	FILE *f;
	char *text;
	size_t size;
};

static void begin(struct long_text *t)
{
	*t = (struct long_text){0};
	t->f = open_memstream(&t->text, &t->size);
	ck_assert_ptr_nonnull(t->f);
}

/* Compiles it: without errors, or with this one alone. */
static void end(struct long_text *t, unsigned line, const char *words)
{
	struct pol_policy *p;
	struct findings found;

	fclose(t->f);
	p = compile_text(t->text, t->size, &found);
	free(t->text);
	if (!words) {
		ck_assert_msg(p && found.n_errors == 0, "%s", found.v[0].text);
		pol_unref(p);
		return;
	}
	ck_assert_ptr_null(p);
	ck_assert_uint_eq(found.n_errors, 1);
	for (unsigned i = 0; i < found.n; i++) {
		if (found.v[i].severity != POL_ERROR)
			continue;
		ck_assert_msg(strstr(found.v[i].text, words), "%s", found.v[i].text);
		ck_assert_uint_eq(found.v[i].line, line);
	}
}

static void put_actions(FILE *f)
{
	fputs("IpGenericFilterAction permit\n{\nIpFilterAction Permit\n}\n"
	      "IpGenericFilterAction ipsec\n{\nIpFilterAction IpSec\n}\n"
	      "IpDataOffer o\n{\n}\nIpDynVpnAction v\n{\nIpDataOfferRef o\n}\n",
	      f);
}

/* As many ipsec rules as there are ids for them. */
START_TEST(test_ipsec_rules)
{
	struct long_text t;

	for (unsigned n = 8176; n <= 8178; n++) {
		begin(&t);
		fputs("IpFilterPolicy\n{\nIpFilterRule p\n{\nIpGenericFilterActionRef permit\n}\n",
		      t.f);
		for (unsigned i = 0; i < n; i++)
			fprintf(t.f,
				"IpFilterRule r%u\n{\nIpGenericFilterActionRef ipsec\n"
				"IpDynVpnActionRef v\n}\n",
				i);
		fputs("}\n", t.f);
		put_actions(t.f);
		end(&t, 7 + 8176 * 5, n == 8176 ? NULL : "more than 8176 ipsec rules");
	}
}
END_TEST

/* 200 rules in a group that the policy names 500 times, and once more. */
START_TEST(test_rules_by_groups)
{
	static const struct {
		const char *policy, *group, *rule, *body;
	} kinds[] = {
		{"IpFilterPolicy", "IpFilterGroup", "IpFilterRule",
		 "IpGenericFilterActionRef permit"},
		{"LocalDynVpnPolicy", "LocalDynVpnGroup", "LocalDynVpnRule",
		 "LocalIp 192.0.2.1\nRemoteIp 192.0.2.2"},
	};
	struct long_text t;

	for (unsigned k = 0; k < 2; k++)
		for (unsigned n = 500; n <= 502; n++) {
			if (k && n == 500)
				continue; /* local rules must not stand twice */
			begin(&t);
			fprintf(t.f, "%s\n{\n", kinds[k].policy);
			for (unsigned i = 0; i < n; i++)
				fprintf(t.f, "%sRef g\n", kinds[k].group);
			fprintf(t.f, "}\n%s g\n{\n", kinds[k].group);
			for (unsigned i = 0; i < 200; i++)
				fprintf(t.f, "%s r%u\n{\n%s\n}\n", kinds[k].rule, i, kinds[k].body);
			fputs("}\n", t.f);
			put_actions(t.f);
			if (k)
				fputs("IpFilterPolicy\n{\nIpFilterRule r\n{\n"
				      "IpGenericFilterActionRef permit\n}\n}\n",
				      t.f);
			end(&t, 503,
			    n == 500 ? NULL : "with it the policy has more than 100000 rules");
		}
}
END_TEST

/* 1,000 services in a group of 1,000 rules, and of one more. */
START_TEST(test_services_by_groups)
{
	struct long_text t;

	for (unsigned n = 1000; n <= 1002; n++) {
		begin(&t);
		fputs("IpFilterPolicy\n{\n", t.f);
		for (unsigned i = 0; i < n; i++)
			fprintf(t.f,
				"IpFilterRule r%u\n{\nIpServiceGroupRef g\n"
				"IpGenericFilterActionRef permit\n}\n",
				i);
		fputs("}\nIpServiceGroup g\n{\n", t.f);
		for (unsigned i = 0; i < 1000; i++)
			fputs("IpServiceRef s\n", t.f);
		fputs("}\nIpService s\n{\nProtocol Tcp\n}\n", t.f);
		put_actions(t.f);
		end(&t, 3 + 5 * 1000 + 2, n == 1000 ? NULL : "have more than 1000000 services");
	}
}
END_TEST

/* One rule of 1,000 services in a group that the policy names 1,000 times, and once more. */
START_TEST(test_services_by_rules)
{
	struct long_text t;

	for (unsigned n = 1000; n <= 1002; n++) {
		begin(&t);
		fputs("IpFilterPolicy\n{\n", t.f);
		for (unsigned i = 0; i < n; i++)
			fputs("IpFilterGroupRef g\n", t.f);
		fputs("}\nIpFilterGroup g\n{\nIpFilterRule r\n{\nIpServiceGroupRef s\n"
		      "IpGenericFilterActionRef permit\n}\n}\nIpServiceGroup s\n{\n",
		      t.f);
		for (unsigned i = 0; i < 1000; i++)
			fputs("IpServiceRef s\n", t.f);
		fputs("}\nIpService s\n{\nProtocol Tcp\n}\n", t.f);
		put_actions(t.f);
		end(&t, n + 6, n == 1000 ? NULL : "have more than 1000000 services");
	}
}
END_TEST

/* Rules of one name are found without a comparison of each with each. */
START_TEST(test_many_local_rules)
{
	enum { N = 50000 };
	struct timespec began, ended;
	struct long_text t;

	begin(&t);
	put_actions(t.f);
	fputs("IpFilterPolicy\n{\nIpFilterRule r\n{\nIpGenericFilterActionRef permit\n}\n}\n"
	      "LocalDynVpnPolicy\n{\n",
	      t.f);
	for (unsigned i = 0; i < N; i++)
		fprintf(t.f, "LocalDynVpnRule r%u\n{\nLocalIp 192.0.2.1\nRemoteIp 192.0.2.2\n}\n",
			i);
	fputs("}\n", t.f);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	end(&t, 0, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	ck_assert_int_lt(ended.tv_sec - began.tv_sec, 15);
}
END_TEST

/* What stands in the wrong file is warned of and has no effect. */
START_TEST(test_misplaced)
{
	static const struct {
		const char *leaf, *text;
	} files[] = {
		{"main",
		 "IpSecConfig nowhere\nTcpImage TCPIP image FLUSH 60\nTcpImage TCPIP2 600\n"},
		{"image", "CommonIpSecConfig nowhere\nIpSecConfig policy\n"},
		{"policy",
		 "IpSecConfig nowhere\nCommonIpSecConfig nowhere\nTcpImage TCPIP x\n"
		 "IpFilterPolicy\n{\nIpFilterRule r\n{\nIpGenericFilterActionRef a\n}\n}\n"
		 "IpGenericFilterAction a\n{\nIpFilterAction Deny\n}\n"},
	};
	static const struct {
		const char *leaf;
		unsigned line;
	} want[] = {{"main", 1}, {"image", 1}, {"policy", 1}, {"policy", 2}, {"policy", 3}};
	char dir[] = "/tmp/csipsec-test-XXXXXX", path[64];
	struct findings found;
	struct pol_policy *p;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < 3; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].leaf);
		file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		fputs(files[i].text, file);
		fclose(file);
	}
	snprintf(path, sizeof(path), "%s/main", dir);
	p = compile_file(path, "tcpip", &found); /* stack names are of one case on z/OS */
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(found.n, 5);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(found.v[i].severity, POL_WARNING);
		ck_assert_uint_eq(found.v[i].line, want[i].line);
		ck_assert_str_eq(strrchr(found.v[i].file, '/') + 1, want[i].leaf);
	}
	pol_unref(p);
	/* TCPIP2's image file is the main file itself, whose IpSecConfig leads nowhere */
	ck_assert_ptr_null(compile_file(path, "TCPIP2", &found));
	ck_assert_uint_eq(found.n_errors, 1);
	ck_assert_str_eq(found.v[0].attribute, "IpSecConfig");
	ck_assert_ptr_nonnull(strstr(found.v[0].text, "nowhere: cannot open it"));
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].leaf);
		unlink(path);
	}
	rmdir(dir);
}
END_TEST

/* A file that names itself is read once in each part it plays. */
START_TEST(test_file_naming_itself)
{
	char path[] = "/tmp/csipsec-test-XXXXXX", text[1024];
	int fd = mkstemp(path), n;
	struct findings found;
	struct pol_policy *p;

	ck_assert_int_ge(fd, 0);
	n = snprintf(text, sizeof(text),
		     "TcpImage TCPIP %s\nIpSecConfig %s\nCommonIpSecConfig %s\n"
		     "IpFilterPolicy\n{\nIpFilterRuleRef r\n}\nIpFilterRule r\n{\n"
		     "IpGenericFilterActionRef a\n}\nIpGenericFilterAction a\n{\n"
		     "IpFilterAction Deny\n}\n",
		     path, path, path);
	ck_assert_int_eq(write(fd, text, (size_t)n), n);
	p = compile_file(path, "TCPIP", &found);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->n_rules, 1);
	ck_assert_uint_gt(found.n_warnings, 0);
	pol_unref(p);
	close(fd);
	unlink(path);
}
END_TEST

/* X500dn: with OpenSSL its DER when exact; without, a policy that has one is refused. */
START_TEST(test_distinguished_names)
{
	static const char text[] =
		"IpFilterPolicy\n{\nIpFilterRule r\n{\nIpGenericFilterActionRef a\n}\n}\n"
		"IpGenericFilterAction a\n{\nIpFilterAction Deny\n}\n"
		"KeyExchangePolicy\n{\nKeyExchangeRule k\n{\nLocalSecurityEndpoint\n{\n"
		"Identity X500dn CN=host a,C=US\n}\nRemoteSecurityEndpoint\n{\n"
		"Identity X500dn *,C=US # all of them\n}\nKeyExchangeActionRef b\n}\n}\n"
		"KeyExchangeAction b\n{\nKeyExchangeOffer\n{\n}\n}\n";
	struct findings found;
	struct pol_policy *p = compile_text(text, sizeof(text) - 1, &found);
#ifdef HAVE_OPENSSL
	/* openssl asn1parse: SEQUENCE of SETs, C=US (PrintableString), CN=host a (UTF8String) */
	static const uint8_t der[] = {0x30, 0x1e, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03,
				      0x55, 0x04, 0x06, 0x13, 0x02, 'U',  'S',  0x31,
				      0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04, 0x03,
				      0x0c, 0x06, 'h',  'o',  's',  't',  ' ',  'a'};

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(p->ke_rules->local.identity.type, POL_ID_DER_ASN1_DN);
	ck_assert_str_eq(p->ke_rules->local.identity.text, "CN=host a,C=US");
	ck_assert_uint_eq(p->ke_rules->local.identity.data.len, sizeof(der));
	ck_assert_mem_eq(p->ke_rules->local.identity.data.p, der, sizeof(der));
	ck_assert_str_eq(p->ke_rules->remote.identity.text, "*,C=US");
	ck_assert_uint_eq(p->ke_rules->remote.identity.data.len, 0);
	pol_unref(p);
#else
	ck_assert_ptr_null(p);
	ck_assert_uint_eq(found.v[0].line, 18);
	ck_assert_ptr_nonnull(strstr(found.v[0].text, "needs OpenSSL"));
#endif
}
END_TEST

/* Values that stand at the border of what is allowed. */
START_TEST(test_allowed_values)
{
	static const char head[] =
		"IpFilterPolicy\n{\nIpFilterRule r\n{\nIpGenericFilterActionRef a\n}\n}\n"
		"IpGenericFilterAction a\n{\nIpFilterAction Deny\n}\n";
	static const char *const texts[] = {
		"ipservice s\n{\nPROTOCOL tcp\nsourceportrange 1:2 noise\nRouting LOCAL noise\n}\n",
		"IpService s\n{\nProtocol 6\nSourcePortRange 0-65535\nRouting Either\n}\n",
		"IpService s\n{\nProtocol Icmp\nType 3 5\n}\n",
		"IpService s\r\n{\r\nProtocol Udp # all\r\nDestinationPortRange 65535\r\n}\r\n",
		"IpAddr a\n{\nAddr 192.0.2.1 host-name\n}\n",
		"IpAddrSet a\n{\nPrefix 192.0.2.77/24\n}\n",
		"IpTimeCondition t\n{\nTimeOfDayRange 8:17\nTimeZone UTC\n}\n",
		"IpTimeCondition t\n{\nTimeOfDayRange 08:30:17:00,22-24\nTimeZone -0930\n}\n",
		"IpTimeCondition t\n{\nTimeOfDayRange 8:30:00-24:00:00\nTimeZone gmt\n}\n",
		"IpLocalStartAction s\n{\nLocalSecurityEndpointAddr abcd::1\n}\n",
		"RemoteSecurityEndpoint e\n{\nIdentity IpAddr abcd::1\nLocation ::/0\n}\n",
		"RemoteSecurityEndpoint e\n{\nIdentity IpAddr ::ffff:192.0.2.1\n}\n",
		"RemoteSecurityEndpoint e\n{\nIdentity IpAddr 0.0.0.0\n}\n",
		"RemoteSecurityEndpoint e\n{\nIdentity Fqdn *\n}\n",
		"RemoteSecurityEndpoint e\n{\nIdentity UserAtFqdn *@*.example.com\n}\n",
		"LocalSecurityEndpoint e\n{\nIdentity KeyID Ebcdic abc\n}\n",
		"IpDataOffer o\n{\nHowToEncrypt DoNot\nHowToAuth ESP AES128_XCBC_96\n}\n",
		"IpDataOffer o\n{\nRefreshLifesizeAccepted 1 4194300\n}\n",
		"IpService a23456789b123456789c12345678901\n{\n}\n",
	};
	char text[2048];
	struct findings found;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int n = snprintf(text, sizeof(text), "%s%s", head, texts[i]);
		struct pol_policy *p = compile_text(text, (size_t)n, &found);

		ck_assert_msg(p && found.n == 0, "%zu: %s", i, found.v[0].text);
		pol_unref(p);
	}
}
END_TEST

/* Seconds that are 00 and GMT are other words for what is there without them. */
START_TEST(test_time_words)
{
	static const char text[] =
		"IpFilterPolicy\n{\nIpFilterRule r\n{\nIpGenericFilterActionRef a\n"
		"IpTimeCondition\n{\nTimeOfDayRange 8:30:00-17:00,22:00-24:00:00\nTimeZone GMT\n}\n"
		"}\n}\nIpGenericFilterAction a\n{\nIpFilterAction Deny\n}\n";
	struct findings found;
	struct pol_policy *p = compile_text(text, sizeof(text) - 1, &found);
	const struct pol_time *t;

	ck_assert_msg(p && found.n == 0, "%s", found.v[0].text);
	ck_assert_uint_eq(p->rules[0].n_times, 1);
	t = p->rules[0].times;
	ck_assert_int_eq(t->zone, 0);
	ck_assert_uint_eq(t->n_spans, 2);
	ck_assert_uint_eq(t->spans[0][0], 8 * 60 + 30);
	ck_assert_uint_eq(t->spans[0][1], 17 * 60);
	ck_assert_uint_eq(t->spans[1][1], 24 * 60);
	pol_unref(p);
}
END_TEST

START_TEST(test_references)
{
	struct findings found;
	struct pol_policy *p = sample("host-to-host.policy", "TCPIP", &found);

	ck_assert_ptr_eq(pol_ref(p), p);
	pol_unref(p);
	ck_assert_uint_eq(p->n_rules, 2);
	pol_unref(p);
	pol_unref(NULL);
}
END_TEST

START_TEST(test_check_file)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	const char *path = TESTDATA "/data/policy/host-to-host.policy";
	const char *mixed = TESTDATA "/../examples/mixed/pagent.conf";

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(pol_check_file(path, "TCPIP", out), 0);
	ck_assert_int_eq(pol_check_file("/nonexistent", "TCPIP", out), 1);
	ck_assert_int_eq(pol_check_file(TESTDATA "/data/policy/iked.conf", "TCPIP", out), 1);
	ck_assert_int_eq(pol_check_file(mixed, "TCPIP", out), 0);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "the policy is good for stack TCPIP: 2 filter rules"));
	ck_assert_ptr_nonnull(strstr(text, "0 AT-TLS rules\n"));
	ck_assert_ptr_nonnull(strstr(text, "3 AT-TLS rules\n"));
	ck_assert_ptr_nonnull(strstr(text, "/nonexistent: cannot open it"));
	ck_assert_ptr_nonnull(strstr(text, "iked.conf:1: error: IkeConfig: unknown statement"));
	ck_assert_ptr_nonnull(strstr(text, "the policy is refused"));
	free(text);
}
END_TEST

/* ---- iked's file ---- */

START_TEST(test_ike_config)
{
	struct findings found = {0};
	struct pol_ike_config c;
	struct cs_err err;
	int rc;

	setenv("CSIPSEC_CONFDIR", "/nonexistent/conf", 1);
	rc = pol_ike_config(TESTDATA "/data/policy/iked.conf", false, collect, &found, &c, &err);
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(found.n_errors, 0);
	ck_assert_uint_eq(found.n_warnings, 0);
	ck_assert_uint_eq(c.log_level, 15);
	ck_assert_uint_eq(c.retries, 4);
	ck_assert_uint_eq(c.init_wait, 3);
	ck_assert_uint_eq(c.pagent_wait, 60);
	ck_assert(c.fips140 && !c.echo && c.smf_ike_tunnel && c.smf_dyn_tunnel);
	ck_assert_str_eq(c.keyring, "/nonexistent/conf/iked/keyring");
	ck_assert(c.keyring_coded);
	ck_assert_uint_eq(c.n_supported_cas, 2);
	ck_assert_str_eq(c.supported_cas[0], "CA1");
	ck_assert_str_eq(c.supported_cas[1], "CA2");

	rc = pol_ike_config("/nonexistent/iked.conf", true, collect, &found, &c, &err);
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(c.log_level, 1);
	ck_assert_uint_eq(c.retries, 6);
	ck_assert_uint_eq(c.init_wait, 2);
	ck_assert_uint_eq(c.pagent_wait, 0);
	ck_assert(!c.fips140 && !c.echo && !c.smf_ike_tunnel && !c.smf_dyn_tunnel);
	ck_assert_str_eq(c.keyring, "/nonexistent/conf/iked/keyring");
	ck_assert(!c.keyring_coded && c.n_supported_cas == 0);
	ck_assert_str_eq(c.shared_store, "");

	rc = pol_ike_config("/nonexistent/iked.conf", false, collect, &found, &c, &err);
	ck_assert_int_eq(rc, CS_ESYS);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/iked.conf: cannot open it"));
}
END_TEST

/* A file of this text, read; the findings are collected. */
static int ike_config_of(const char *text, struct pol_ike_config *c, struct findings *found)
{
	char path[] = "/tmp/csipsec-test-XXXXXX";
	int fd = mkstemp(path), rc;
	struct cs_err err;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	rc = pol_ike_config(path, false, collect, found, c, &err);
	close(fd);
	unlink(path);
	return rc;
}

START_TEST(test_ike_config_keyring)
{
	char many[4096] = "IkeConfig\n{\n", longest[512];
	struct findings found = {0};
	struct pol_ike_config c;

	ck_assert_int_eq(ike_config_of("IkeConfig\n{\n Keyring /etc/ring.p12\n"
				       " SupportedCertAuth IBM Local CA\n}\n",
				       &c, &found),
			 0);
	ck_assert_str_eq(c.keyring, "/etc/ring.p12");
	ck_assert_str_eq(c.supported_cas[0], "IBM Local CA");
	ck_assert_int_eq(ike_config_of("IkeConfig\n{\n NoKeyRing\n Keyring x\n}\n", &c, &found), 0);
	ck_assert_str_eq(c.keyring, "");
	ck_assert_uint_eq(found.n, 0);
	for (int i = 0; i <= POL_CAS_MAX; i++)
		strcat(many, " SupportedCertAuth A\n");
	strcat(many, " SupportedCertAuth 123456789012345678901234567890123\n}\n");
	ck_assert_int_eq(ike_config_of(many, &c, &found), CS_EPOLICY);
	ck_assert_uint_eq(found.n_errors, 2);
	memset(&found, 0, sizeof(found));
	snprintf(longest, sizeof(longest), "IkeConfig\n{\n Keyring %c%0300d\n}\n", '/', 0);
	ck_assert_int_eq(ike_config_of(longest, &c, &found), CS_EPOLICY);
	memset(&found, 0, sizeof(found));
	snprintf(longest, sizeof(longest), "IkeConfig\n{\n Keyring %0300d\n}\n", 0);
	ck_assert_int_eq(ike_config_of(longest, &c, &found), CS_EPOLICY);
	ck_assert_uint_eq(found.n_errors, 1);
}
END_TEST

START_TEST(test_ike_config_moving)
{
	char many[4096] = "IkeConfig\n{\n";
	struct findings found = {0};
	struct pol_ike_config c;
	struct cs_addr in, out;

	ck_assert_int_eq(cs_addr_parse("192.0.2.9", &in, NULL), 0);
	ck_assert_int_eq(cs_addr_parse("192.0.2.16", &out, NULL), 0);

	ck_assert_int_eq(ike_config_of("IkeConfig\n{\n DynamicVipa 192.0.2.1\n"
				       " DynamicVipa 192.0.2.8/29\n DynamicVipa 2001:db8::1\n}\n",
				       &c, &found),
			 0);
	ck_assert_uint_eq(c.n_vipas, 3);
	ck_assert(cs_range_has(&c.vipas[1], &in) && !cs_range_has(&c.vipas[1], &out));
	ck_assert_int_eq(ike_config_of("IkeConfig\n{\n DynamicVipa somewhere\n}\n", &c, &found),
			 CS_EPOLICY);
	ck_assert_uint_eq(found.n_errors, 1);
	memset(&found, 0, sizeof(found));
	for (int i = 0; i <= POL_VIPAS_MAX; i++)
		strcat(many, " DynamicVipa 192.0.2.1\n");
	strcat(many, "}\n");
	ck_assert_int_eq(ike_config_of(many, &c, &found), CS_EPOLICY);
	ck_assert_uint_eq(found.n_errors, 1);
}
END_TEST

START_TEST(test_ike_config_shared_store)
{
	char longest[1200];
	struct findings found = {0};
	struct pol_ike_config c;

	ck_assert_int_eq(
		ike_config_of("IkeConfig\n{\n SharedStore postgresql:host=a,b dbname='x y'\n}\n",
			      &c, &found),
		0);
	ck_assert_str_eq(c.shared_store, "postgresql:host=a,b dbname='x y'");
	ck_assert_uint_eq(found.n, 0);
	snprintf(longest, sizeof(longest), "IkeConfig\n{\n SharedStore %01024d\n}\n", 0);
	ck_assert_int_eq(ike_config_of(longest, &c, &found), CS_EPOLICY);
	ck_assert_uint_eq(found.n_errors, 1);
	snprintf(longest, sizeof(longest), "IkeConfig\n{\n SharedStore %01023d\n}\n", 0);
	ck_assert_int_eq(ike_config_of(longest, &c, &found), 0);
}
END_TEST

START_TEST(test_ike_config_errors)
{
	static const char text[] = "IkeConfig\n{\n IkeRetries 9\n IkeInitWat 3\n SMF119 All\n}\n"
				   "IpFilterPolicy\n{\n}\n";
	static const unsigned lines[] = {3, 4, 5, 7};
	char path[] = "/tmp/csipsec-test-XXXXXX";
	int fd = mkstemp(path);
	struct pol_ike_config c = {.retries = 77};
	struct findings found = {0};
	struct cs_err err;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	ck_assert_int_eq(pol_ike_config(path, false, collect, &found, &c, &err), CS_EPOLICY);
	ck_assert_uint_eq(c.retries, 77);
	ck_assert_uint_eq(found.n, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(found.v[i].line, lines[i]);
	ck_assert_str_eq(found.v[1].text, "unknown attribute; did you mean IkeInitWait?");
	close(fd);
	unlink(path);
}
END_TEST

/* ---- mutations ---- */

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The line around offset: begin and length with its end. */
static size_t line_at(const char *text, size_t size, size_t offset, size_t *len)
{
	size_t begin = offset, end = offset;

	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	while (end < size && text[end] != '\n')
		end++;
	*len = end - begin + (end < size);
	return begin;
}

/* One change to text of *size bytes; room for as much again. */
static void mutate(char *text, size_t *size, uint64_t *state)
{
	static const char interesting[] = "{}#\n\0 \t-:,/*.09aA\xff@=|";
	size_t at = random_next(state) % *size, len, to_len, to, from;
	char line[512];

	switch (random_next(state) % 6) {
	case 0: /* another byte */
		text[at] = (char)random_next(state);
		break;
	case 1:
		text[at] = interesting[random_next(state) % (sizeof(interesting) - 1)];
		break;
	case 2: /* without a byte */
		memmove(text + at, text + at + 1, *size - at - 1);
		(*size)--;
		break;
	case 3: /* without a line */
		from = line_at(text, *size, at, &len);
		memmove(text + from, text + from + len, *size - from - len);
		*size -= len;
		break;
	default: /* a line also somewhere else */
		from = line_at(text, *size, at, &len);
		if (len == 0 || len > sizeof(line))
			return;
		memcpy(line, text + from, len);
		to = line_at(text, *size, random_next(state) % *size, &to_len);
		memmove(text + to + len, text + to, *size - to);
		memcpy(text + to, line, len);
		*size += len;
		break;
	}
	if (*size == 0)
		text[(*size)++] = '\n';
}

/*
 * 20,000 damaged texts: each is compiled or refused with a reason, and no diagnostic has the key.
 * The sanitizers watch. About half of them bear one change, so that both outcomes are met.
 */
START_TEST(test_mutations)
{
	static const char *const leaves[] = {"host-to-host.policy", "branch.policy"};
	uint64_t state = 0x9e3779b97f4a7c15u;
	unsigned good = 0, refused = 0;
	char *text = malloc(131072);

	ck_assert_ptr_nonnull(text);
	for (int k = 0; k < 2; k++) {
		size_t size, n;
		char *original = read_sample(leaves[k], &size);

		for (unsigned i = 0; i < 10000; i++) {
			unsigned changes = 1 + (unsigned)(random_next(&state) % 2) *
						       (unsigned)(random_next(&state) % 8);
			struct findings found;
			struct pol_policy *policy;

			memcpy(text, original, size);
			n = size;
			while (changes--)
				mutate(text, &n, &state);
			policy = compile_text(text, n, &found);
			if (policy)
				good++;
			else
				refused++;
			ck_assert(policy || found.n_errors > 0);
			for (unsigned f = 0; f < found.n; f++) {
				const struct finding *v = &found.v[f];

				ck_assert_ptr_null(strstr(v->text, "for-documentation"));
				ck_assert_ptr_null(strstr(v->attribute, "for-documentation"));
				ck_assert_msg(!strstr(v->source, "for-documentation"), "%u: %s",
					      v->line, v->source);
			}
			pol_unref(policy);
		}
		free(original);
	}
	free(text);
	ck_assert_uint_gt(good, 1000);
	ck_assert_uint_gt(refused, 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy language");
	TCase *tc = tcase_create("language");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_host_filters);
	tcase_add_test(tc, test_host_keys);
	tcase_add_test(tc, test_aggressive);
	tcase_add_test(tc, test_manual);
	tcase_add_test(tc, test_branch_filters);
	tcase_add_test(tc, test_branch_keys);
	tcase_add_test(tc, test_branch_tunnels);
	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_missing_file);
	tcase_add_test(tc, test_open_to_all);
	tcase_add_test(tc, test_all_write);
	tcase_add_test(tc, test_ipsec_rules);
	tcase_add_test(tc, test_rules_by_groups);
	tcase_add_test(tc, test_services_by_groups);
	tcase_add_test(tc, test_services_by_rules);
	tcase_add_test(tc, test_many_local_rules);
	tcase_add_test(tc, test_misplaced);
	tcase_add_test(tc, test_file_naming_itself);
	tcase_add_test(tc, test_distinguished_names);
	tcase_add_test(tc, test_allowed_values);
	tcase_add_test(tc, test_time_words);
	tcase_add_test(tc, test_references);
	tcase_add_test(tc, test_check_file);
	tcase_add_test(tc, test_ike_config);
	tcase_add_test(tc, test_ike_config_keyring);
	tcase_add_test(tc, test_ike_config_moving);
	tcase_add_test(tc, test_ike_config_shared_store);
	tcase_add_test(tc, test_ike_config_errors);
	tcase_add_test(tc, test_mutations);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
