/* The words of iked's and pagent's JSON and their numbers in SMF records. */
#include "trmd/record_values.h"

#include <string.h>

#include "common/alg.h"

struct word {
	const char *word;
	uint8_t value;
};

#define WORDS(...)                                                                                 \
	(const struct word[])                                                                      \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, 0                                                                    \
		}                                                                                  \
	}

/* clang-format off */
static const struct word *const lists[TRMD_LISTS] = {
	[TRMD_V_STATE] = WORDS(
		{"PENDING", 2}, {"INIT", 3}, {"WAIT SA", 3}, {"IN KE", 3}, {"WAIT KE", 3}, {"KEP", 3},
		{"DONE", 4}, {"EXPIRED", 5}, {"Inactive", 1}, {"Active", 4}),
	[TRMD_V_EXT_STATE] = WORDS(
		{"PENDING", 1}, {"INIT", 2}, {"WAIT SA", 3}, {"IN KE", 4}, {"WAIT KE", 5}, {"KEP", 6},
		{"DONE", 8}, {"EXPIRED", 9}),
	[TRMD_V_ROLE] = WORDS({"Initiator", 1}, {"Responder", 2}),
	[TRMD_V_MODE] = WORDS({"Main", 2}, {"Aggressive", 4}),
	[TRMD_V_NATT] = WORDS({"RFC_D2", 1}, {"RFC_D3", 1}, {"RFC", 2}),
	[TRMD_V_ID_TYPE] = WORDS(
		{"ID_IPV4_ADDR", 1}, {"ID_FQDN", 2}, {"ID_USER_FQDN", 3}, {"ID_IPV4_ADDR_SUBNET", 4},
		{"ID_IPV6_ADDR", 5}, {"ID_IPV6_ADDR_SUBNET", 6}, {"ID_IPV4_ADDR_RANGE", 7},
		{"ID_IPV6_ADDR_RANGE", 8}, {"ID_DER_ASN1_DN", 9}, {"ID_KEY_ID", 11}),
	[TRMD_V_AUTH_METHOD] = WORDS({"PresharedKey", 1}, {"RsaSignature", 3}),
	[TRMD_V_PRF] = WORDS(
		{"HMAC-MD5", 1}, {"HMAC-SHA1", 2}, {"HMAC-SHA2-256", 5}, {"HMAC-SHA2-384", 6},
		{"HMAC-SHA2-512", 7}),
	[TRMD_V_ENCAP] = WORDS({"Tunnel", 1}, {"Transport", 2}),
	[TRMD_V_PROTOCOL] = WORDS({"ESP", 50}, {"AH", 51}),
	[TRMD_V_ACTIVATION] = WORDS(
		{"User", 1}, {"Remote", 2}, {"OnDemand", 3}, {"Takeover", 5}, {"AutoAct", 6}),
};
/* clang-format on */

static uint8_t hash_code(const char *display)
{
	unsigned n;
	const struct cs_hash *h = cs_hashes(&n);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(h[i].display, display) == 0)
			return h[i].smf;
	return 0;
}

static uint8_t integ_code(const char *display)
{
	unsigned n;
	const struct cs_integ *g = cs_integs(&n);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(g[i].display, display) == 0)
			return g[i].smf;
	return 0;
}

static uint8_t cipher_code(const char *display)
{
	unsigned n;
	const struct cs_cipher *c = cs_ciphers(&n);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(c[i].display, display) == 0)
			return c[i].smf;
	return 0;
}

uint8_t trmd_value(enum trmd_list list, const char *word)
{
	switch (list) {
	case TRMD_V_HASH:
		return hash_code(word);
	case TRMD_V_INTEG:
		return integ_code(word);
	case TRMD_V_CIPHER:
		return cipher_code(word);
	default:
		break;
	}
	for (const struct word *w = lists[list]; w->word; w++)
		if (strcmp(w->word, word) == 0)
			return w->value;
	return 0;
}

const struct trmd_end_row trmd_ends[] = {
	{"deactivated by command", TRMD_END_COMMAND},
	{"lifetime is over", TRMD_END_LIFETIME},
	{"life size is used up", TRMD_END_LIFESIZE},
	{"the peer deleted it", TRMD_END_PEER},
	{"the peer has started afresh", TRMD_END_PEER},
	{"the peer does not answer", TRMD_END_DEAD},
	{"questions whether it is there", TRMD_END_DEAD},
	{"the policy no longer", TRMD_END_POLICY},
	{"the time condition of its rule", TRMD_END_POLICY},
	{"the filters have another rule", TRMD_END_POLICY},
	{"iked stops", TRMD_END_SHUTDOWN},
	{"has taken its place", TRMD_END_REPLACED},
	{"took its place", TRMD_END_REPLACED},
	{"its user was refused", TRMD_END_AUTH},
	{"its password has changed", TRMD_END_AUTH},
	{"there is no such ClientUser", TRMD_END_AUTH},
	{"iked started anew", TRMD_END_RESTART},
	{"the kernel no longer has it", TRMD_END_RESTART},
	{NULL, TRMD_END_UNKNOWN},
};

enum trmd_end trmd_end_of(const char *reason)
{
	const struct trmd_end_row *row = trmd_ends;

	while (row->part && !strstr(reason, row->part))
		row++;
	return row->end;
}
