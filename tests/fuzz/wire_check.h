/*
 * What the wire's parsers must hold to, for whoever makes up messages: the mutation test and the
 * fuzzer.
 */
#ifndef FUZZ_WIRE_CHECK_H
#define FUZZ_WIRE_CHECK_H

#include "iked/isakmp.h"
#include "iked/proposal.h"

#define WIRE_MESSAGE_MAX 2048
#define WIRE_MESSAGES    15

/* What got through. */
struct wire_count {
	unsigned long chains, accepted; /* payload chains, and SA payloads by one of our policies */
};

/* Of both phases; wire_policies() fills them, before anything else here. */
extern const struct pol_ke_action wire_ke_action;
extern const struct pol_dynvpn_action wire_vpn_action;
void wire_policies(void);

/* Every parser over data; aborts with a line on stderr when something does not hold. */
void wire_check_message(const uint8_t *data, size_t len, bool padded, struct wire_count *count);
void wire_check_chain(const struct isa_header *h, const uint8_t *body, size_t len, bool padded,
		      struct wire_count *count);
void wire_check_sa(struct cs_bytes body, struct wire_count *count);

/* Well-formed messages to begin with; those of protected exchanges are not encrypted. */
struct wire_message {
	const char *name;
	uint8_t data[WIRE_MESSAGE_MAX];
	size_t len;
	bool padded;
};
void wire_messages(struct wire_message messages[static WIRE_MESSAGES]);

#endif
