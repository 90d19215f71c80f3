/* Policies of simulated hosts: real policy text, read by the real compiler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

const struct sim_variant sim_variants[] = {
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Transport", "AES_CBC KeyLength 256",
	 "ESP HMAC_SHA2_256_128", .pfs = "None"},
	{"AES_CBC KeyLength 128", "SHA1", "Group2", "Tunnel", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA1", .pfs = "None"},
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Tunnel", "AES_GCM_16 KeyLength 256",
	 "ESP Null", .pfs = "Group19"},
	{"3DES", "SHA1", "Group2", "Transport", "3DES", "ESP HMAC_SHA1", .pfs = "Group19"},
	{"AES_CBC KeyLength 256", "SHA2_512", "Group19", "Transport", "DoNot",
	 "ESP HMAC_SHA2_512_256", .pfs = "None", .ipv6 = true},
	{"AES_CBC KeyLength 128", "MD5", "Group2", "Tunnel", "AES_CBC KeyLength 256",
	 "ESP HMAC_MD5", .pfs = "Group2", .ipv6 = true},
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Transport", "AES_CBC KeyLength 256",
	 "ESP HMAC_SHA2_256_128", .pfs = "None", .aggressive = true},
	{"AES_CBC KeyLength 128", "SHA1", "Group2", "Tunnel", "AES_GCM_16 KeyLength 128",
	 "ESP Null", .pfs = "Group19", .aggressive = true},
	{"3DES", "MD5", "Group19", "Transport", "AES_CBC KeyLength 128", "ESP HMAC_SHA1",
	 .pfs = "None", .ipv6 = true, .aggressive = true},
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Tunnel", "DoNot", "AH HMAC_SHA2_256_128",
	 .pfs = "None"},
	{"AES_CBC KeyLength 128", "SHA1", "Group2", "Transport", "AES_CBC KeyLength 128",
	 "AH HMAC_SHA1", .pfs = "Group19", .ipv6 = true},
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Tunnel", "AES_CBC KeyLength 256",
	 "AH HMAC_SHA2_256_128", .pfs = "None"},
	{"AES_CBC KeyLength 128", "SHA2_256", "Group19", "Transport", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA1", .pfs = "None", .names = true},
	{"AES_CBC KeyLength 128", "SHA1", "Group19", "Tunnel", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA1", .pfs = "None", .clients = SIM_USERS},
	{"3DES", "SHA1", "Group19", "Transport", "AES_CBC KeyLength 128", "ESP HMAC_SHA1",
	 .pfs = "Group19", .aggressive = true, .clients = SIM_ADDRESSES},
	{"AES_CBC KeyLength 128", "SHA2_256", "Group19", "Tunnel", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA2_256_128", .pfs = "None", .nat = SIM_NAT},
	{"AES_CBC KeyLength 128", "SHA1", "Group19", "Transport", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA1", .pfs = "Group19", .aggressive = true, .nat = SIM_NAT},
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Transport", "AES_GCM_16 KeyLength 128",
	 "ESP Null", .pfs = "None", .nat = SIM_FORCED},
#ifdef HAVE_OPENSSL
	{"AES_CBC KeyLength 256", "SHA2_256", "Group19", "Tunnel", "AES_CBC KeyLength 256",
	 "ESP HMAC_SHA2_256_128", .pfs = "None", .signs = true},
	{"AES_CBC KeyLength 128", "SHA1", "Group19", "Transport", "AES_CBC KeyLength 128",
	 "ESP HMAC_SHA1", .pfs = "None", .ipv6 = true, .aggressive = true, .signs = true},
#endif
};
const unsigned sim_n_variants = sizeof(sim_variants) / sizeof(sim_variants[0]);

const char *sim_address(bool ipv6, unsigned host)
{
	static const char *const four[SIM_HOSTS] = {"192.0.2.1", "198.51.100.2", "203.0.113.3"};
	static const char *const six[SIM_HOSTS] = {"2001:db8:1::1", "2001:db8:2::2",
						   "2001:db8:3::3"};

	static char more[4][20];
	static unsigned next;
	char *text;

	if (host < SIM_HOSTS)
		return ipv6 ? six[host] : four[host];
	/* As many as one line of a policy names. */
	text = more[next++ % 4];
	snprintf(text, sizeof(more[0]), ipv6 ? "2001:db8:a::%x" : "198.18.0.%u", host);
	return text;
}

/* The same but for its life, which the other end takes as well. */
static const char changed_action[] = "VpnChanged";

static void write_rules(FILE *f, const struct sim_variant *v, unsigned self, unsigned n,
			enum sim_edition edition, unsigned peer)
{
	fprintf(f, "IpFilterPolicy\n{\n  AllowOnDemand Yes\n");
	for (unsigned i = 0; i < n; i++)
		if (i != self && !(edition == SIM_WITHOUT && i == peer))
			fprintf(f,
				"  IpFilterRule To%u\n  {\n    IpSourceAddr %s\n    IpDestAddr %s\n"
				"    IpService\n    {\n      Protocol All\n    }\n"
				"    IpGenericFilterActionRef ipsec\n    IpDynVpnActionRef %s\n  "
				"}\n",
				i, sim_address(v->ipv6, self), sim_address(v->ipv6, i),
				edition == SIM_CHANGED && i == peer ? changed_action : "Vpn");
	/* A policy has at least one rule. */
	fprintf(f,
		"  IpFilterRule Self\n  {\n    IpSourceAddr %s\n    IpDestAddr %s\n"
		"    IpService\n    {\n      Protocol All\n    }\n"
		"    IpGenericFilterActionRef permit\n  }\n}\n",
		sim_address(v->ipv6, self), sim_address(v->ipv6, self));
	fprintf(f, "IpGenericFilterAction ipsec\n{\n  IpFilterAction IpSec\n}\n"
		   "IpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n");
}

static void write_dynvpn(FILE *f, const struct sim_variant *v, const char *name, unsigned life)
{
	fprintf(f,
		"IpDynVpnAction %s\n{\n  VpnLife 0\n  InitiateWithPfs %s\n  AcceptablePfs %s\n  "
		"IpDataOffer\n  "
		"{\n"
		"    HowToEncap %s\n    HowToEncrypt %s\n    HowToAuth %s\n"
		"    RefreshLifetimeProposed %u\n    RefreshLifetimeAccepted 5 480\n  }\n}\n",
		name, v->pfs, v->pfs, v->encap, v->esp_cipher, v->esp_auth, life);
}

/* Of SIM_PASSWORD, by crypt(3). */
static const char password_hash[] = "$1$saltsalt$9xy1btjgzLYfb7hivXtC//";

/* What a gateway says of its clients; the address that it gives is the one they have. */
static void write_clients(FILE *f, const struct sim_variant *v, unsigned client)
{
	fprintf(f, "  ClientAuthentication XAuth\n  ClientUser %s %s\n", SIM_USER, password_hash);
	if (v->clients == SIM_ADDRESSES)
		fprintf(f, "  ClientAddressPool %s-%s\n  ClientDns 192.0.2.53\n",
			sim_address(v->ipv6, client), sim_address(v->ipv6, client));
}

static void write_ke_action(FILE *f, const struct sim_variant *v, unsigned self, unsigned peer)
{
	const char *mode = v->aggressive ? "Aggressive" : "Main";
	bool gateway = v->clients && peer < self;

	fprintf(f,
		"KeyExchangeAction Act%u\n{\n  LivenessInterval %u\n  HowToInitiate %s\n  "
		"HowToRespondIKEv1 %s\n",
		peer, v->liveness ? v->liveness : 30, gateway ? "DoNot" : mode, mode);
	if (gateway)
		write_clients(f, v, peer);
	if (v->nat)
		fprintf(f, "  AllowNat Yes\n");
	if (v->nat == SIM_FORCED && self < peer)
		fprintf(f, "  NatForceEncapsulation Yes\n");
	fprintf(f,
		"  KeyExchangeOffer\n  {\n    HowToEncrypt %s\n    HowToAuthMsgs %s\n"
		"    HowToAuthPeers %s\n    DHGroup %s\n"
		"    RefreshLifetimeProposed %u\n    RefreshLifetimeAccepted 5 1440\n  }\n}\n",
		v->cipher, v->hash, v->signs ? "RsaSignature" : "PresharedKey", v->group,
		v->p1_life ? v->p1_life : 20);
}

static void write_actions(FILE *f, const struct sim_variant *v, unsigned self, unsigned n)
{
	write_dynvpn(f, v, "Vpn", v->p2_life ? v->p2_life : 10);
	write_dynvpn(f, v, changed_action, 9);
	for (unsigned i = 0; i < n; i++)
		if (i != self)
			write_ke_action(f, v, self, i);
	if (v->names)
		fprintf(f, "KeyExchangeAction Unlike\n{\n  KeyExchangeOffer\n  {\n"
			   "    HowToEncrypt 3DES\n    HowToAuthMsgs MD5\n"
			   "    HowToAuthPeers PresharedKey\n    DHGroup Group2\n  }\n}\n");
}

static const char *identity(const struct sim_variant *v, unsigned name, unsigned host, char *buf,
			    size_t size)
{
	if (v->names)
		snprintf(buf, size, "KeyID Hex %02x%02x", name, host);
	else if (v->aggressive && v->signs)
		snprintf(buf, size, "Fqdn host-%u.example", host);
	else if (v->aggressive)
		snprintf(buf, size, "KeyID Ascii host-%u", host);
	else
		snprintf(buf, size, "IpAddr %s", sim_address(v->ipv6, host));
	return buf;
}

struct ke_rule {
	const char *name, *action, *key; /* action NULL: the peer's */
	unsigned identity;
};

static void write_ke_rule(FILE *f, const struct sim_variant *v, unsigned self, unsigned peer,
			  const struct ke_rule *r)
{
	char own[64], other[64], action[16];

	snprintf(action, sizeof(action), "Act%u", peer);
	fprintf(f,
		"  KeyExchangeRule %s%u\n  {\n"
		"    LocalSecurityEndpoint\n    {\n      Identity %s\n      "
		"Location %s\n    }\n"
		"    RemoteSecurityEndpoint\n    {\n      Identity %s\n      "
		"Location %s\n%s    }\n"
		"    KeyExchangeActionRef %s\n    SharedKey Ascii %s-%u-and-%u\n  "
		"}\n",
		r->name, peer, identity(v, r->identity, self, own, sizeof(own)),
		sim_address(v->ipv6, self), identity(v, r->identity, peer, other, sizeof(other)),
		sim_address(v->ipv6, peer), v->signs ? "      CaLabel Root\n" : "",
		r->action ? r->action : action, r->key, peer < self ? peer : self,
		peer < self ? self : peer);
}

/*
 * With names the address alone does not say which rule is meant: each of two hosts has another one
 * first.  Of the last two one has another key and one no offer like the others'.
 */
static void write_key_exchange(FILE *f, const struct sim_variant *v, unsigned self, unsigned n)
{
	static const struct ke_rule rules[] = {
		{"With", NULL, "between", 0},
		{"Also", NULL, "between", 1},
		{"Key", NULL, "other", 2},
		{"Offer", "Unlike", "between", 3},
	};

	fprintf(f, "KeyExchangePolicy\n{\n");
	for (unsigned i = 0; i < n; i++) {
		if (i == self)
			continue;
		for (unsigned r = 0; r < (v->names ? 4 : 1); r++)
			write_ke_rule(f, v, self, i,
				      &rules[v->names && r < 2 && i < self ? 1 - r : r]);
	}
	fprintf(f, "}\n");
}

static void complain(void *arg, const struct pol_diag *d)
{
	(void)arg;
	fprintf(stderr, "%s:%u: %s %s: %s\n", d->file, d->line, d->statement, d->attribute,
		d->text);
}

/* As the store gives them: one for a name and what it says, whatever else there is. */
static void set_ids(struct pol_policy *policy)
{
	for (unsigned i = 0; i < policy->n_rules; i++) {
		struct pol_filter_rule *rule = &policy->rules[i];
		unsigned peer = (unsigned)strtoul(rule->name + 2, NULL, 10);

		if (!rule->vpn)
			continue;
		rule->id = (uint16_t)(XF_MARK_RULE_MIN + peer);
		if (!strcmp(rule->vpn->name, changed_action))
			rule->id = (uint16_t)(rule->id + SIM_MOST);
	}
}

static void write_many(FILE *f, const struct sim_variant *v, bool many)
{
	const char *own = sim_address(v->ipv6, 0), *all = SIM_MANY;

	fprintf(f,
		"IpFilterPolicy\n{\n  AllowOnDemand Yes\n  IpFilterRule To0\n  {\n"
		"    IpSourceAddr%s %s\n    IpDestAddr%s %s\n    IpService\n    {\n"
		"      Protocol All\n    }\n    IpGenericFilterActionRef ipsec\n"
		"    IpDynVpnActionRef Vpn\n  }\n}\n"
		"IpGenericFilterAction ipsec\n{\n  IpFilterAction IpSec\n}\n",
		many ? "Set" : "", many ? all : own, many ? "" : "Set", many ? own : all);
	write_dynvpn(f, v, "Vpn", v->p2_life);
	write_ke_action(f, v, 0, 1);
	fprintf(f,
		"KeyExchangePolicy\n{\n  KeyExchangeRule With\n  {\n"
		"    LocalSecurityEndpoint\n    {\n      Identity Fqdn %s.example\n"
		"      Location %s\n    }\n    RemoteSecurityEndpoint\n    {\n"
		"      Identity Fqdn %s.example\n      Location %s\n    }\n"
		"    KeyExchangeActionRef Act1\n    SharedKey Ascii between-one-and-many\n  }\n}\n",
		many ? "many" : "one", many ? all : own, many ? "one" : "many", many ? own : all);
}

/* NULL with a line on stderr. */
static struct pol_policy *compile(const char *path)
{
	struct pol_policy *policy = NULL;
	struct cs_err err;

	if (pol_compile(path, "SIM", complain, NULL, &policy, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	if (policy)
		set_ids(policy);
	return policy;
}

static FILE *open_text(char *path)
{
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		perror(path);
	return f;
}

struct pol_policy *sim_policy_many(const struct sim_variant *v, bool many)
{
	char path[] = "/tmp/csipsec-sim-XXXXXX";
	FILE *f = open_text(path);
	struct pol_policy *policy;

	if (!f)
		return NULL;
	write_many(f, v, many);
	fclose(f);
	policy = compile(path);
	unlink(path);
	return policy;
}

struct pol_policy *sim_policy(const struct sim_variant *v, unsigned self, unsigned n,
			      enum sim_edition edition, unsigned peer)
{
	char path[] = "/tmp/csipsec-sim-XXXXXX";
	FILE *f = open_text(path);
	struct pol_policy *policy;

	if (!f)
		return NULL;
	write_rules(f, v, self, n, edition, peer);
	write_actions(f, v, self, n);
	write_key_exchange(f, v, self, n);
	fclose(f);
	policy = compile(path);
	unlink(path);
	return policy;
}
