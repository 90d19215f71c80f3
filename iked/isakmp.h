/*
 * ISAKMP on the wire (RFC 2408 section 3): header, payload chain, and the rules that say which
 * payloads a message may hold.  Parsing makes views into the datagram; nothing is copied.
 */
#ifndef IKE_ISAKMP_H
#define IKE_ISAKMP_H

#include "common/buf.h"
#include "common/err.h"

#define ISA_HEADER_LEN   28
#define ISA_MESSAGE_MAX  65507
#define ISA_PAYLOADS_MAX 48
#define ISA_COOKIE_LEN   8
#define ISA_NONCE_MIN    8
#define ISA_NONCE_MAX    256
#define ISA_CERTS_MAX    32 /* CERT payloads of a message */

enum isa_payload_type {
	ISA_NONE = 0,
	ISA_SA = 1,
	ISA_PROPOSAL = 2,
	ISA_TRANSFORM = 3,
	ISA_KE = 4,
	ISA_ID = 5,
	ISA_CERT = 6,
	ISA_CERTREQ = 7,
	ISA_HASH = 8,
	ISA_SIG = 9,
	ISA_NONCE = 10,
	ISA_NOTIFY = 11,
	ISA_DELETE = 12,
	ISA_VENDOR = 13,
	ISA_ATTRIBUTES = 14,
	ISA_NATD = 20,
	ISA_NATOA = 21,
	ISA_NATD_DRAFT = 130,
	ISA_NATOA_DRAFT = 131,
	ISA_FRAGMENT = 132, /* of a whole message, see fragment.c */
};

enum isa_exchange {
	ISA_MAIN = 2,
	ISA_AGGRESSIVE = 4,
	ISA_INFORMATIONAL = 5,
	ISA_TRANSACTION = 6,
	ISA_QUICK = 32,
};

enum isa_flag { ISA_FLAG_ENCRYPTED = 1, ISA_FLAG_COMMIT = 2, ISA_FLAG_AUTH_ONLY = 4 };

/* RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706. */
enum isa_notify {
	ISA_N_INVALID_PAYLOAD_TYPE = 1,
	ISA_N_DOI_NOT_SUPPORTED = 2,
	ISA_N_SITUATION_NOT_SUPPORTED = 3,
	ISA_N_INVALID_COOKIE = 4,
	ISA_N_INVALID_MAJOR_VERSION = 5,
	ISA_N_INVALID_MINOR_VERSION = 6,
	ISA_N_INVALID_EXCHANGE_TYPE = 7,
	ISA_N_INVALID_FLAGS = 8,
	ISA_N_INVALID_MESSAGE_ID = 9,
	ISA_N_INVALID_PROTOCOL_ID = 10,
	ISA_N_INVALID_SPI = 11,
	ISA_N_INVALID_TRANSFORM_ID = 12,
	ISA_N_ATTRIBUTES_NOT_SUPPORTED = 13,
	ISA_N_NO_PROPOSAL_CHOSEN = 14,
	ISA_N_BAD_PROPOSAL_SYNTAX = 15,
	ISA_N_PAYLOAD_MALFORMED = 16,
	ISA_N_INVALID_KEY_INFORMATION = 17,
	ISA_N_INVALID_ID_INFORMATION = 18,
	ISA_N_INVALID_CERT_ENCODING = 19,
	ISA_N_INVALID_CERTIFICATE = 20,
	ISA_N_CERT_TYPE_UNSUPPORTED = 21,
	ISA_N_INVALID_CERT_AUTHORITY = 22,
	ISA_N_INVALID_HASH_INFORMATION = 23,
	ISA_N_AUTHENTICATION_FAILED = 24,
	ISA_N_INVALID_SIGNATURE = 25,
	ISA_N_CERTIFICATE_UNAVAILABLE = 28,
	ISA_N_CONNECTED = 16384,
	ISA_N_RESPONDER_LIFETIME = 24576,
	ISA_N_REPLAY_STATUS = 24577,
	ISA_N_INITIAL_CONTACT = 24578,
	ISA_N_R_U_THERE = 36136,
	ISA_N_R_U_THERE_ACK = 36137,
};

struct isa_header {
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
	uint8_t next, version, exchange, flags;
	uint32_t message_id, length;
};

struct isa_payload {
	uint8_t type;
	struct cs_bytes body;  /* without the generic header */
	struct cs_bytes whole; /* with it: HASH(1) and HASH_I cover it */
};

struct isa_message {
	struct isa_header header;
	struct isa_payload payloads[ISA_PAYLOADS_MAX];
	unsigned n_payloads;
	size_t used; /* bytes of the chain; what follows in an encrypted message is padding */
};

/* Steps of the exchanges, by what we receive. */
enum isa_step {
	ISA_STEP_MAIN_1,
	ISA_STEP_MAIN_2,
	ISA_STEP_MAIN_3,
	ISA_STEP_MAIN_4,
	ISA_STEP_MAIN_5_PSK,
	ISA_STEP_MAIN_6_PSK,
	ISA_STEP_MAIN_5_SIG,
	ISA_STEP_MAIN_6_SIG,
	ISA_STEP_AGGR_1,
	ISA_STEP_AGGR_2_PSK,
	ISA_STEP_AGGR_3_PSK,
	ISA_STEP_AGGR_2_SIG,
	ISA_STEP_AGGR_3_SIG,
	ISA_STEP_QUICK_1,
	ISA_STEP_QUICK_2,
	ISA_STEP_QUICK_3,
	ISA_STEP_QUICK_4,
	ISA_STEP_INFO_CLEAR,
	ISA_STEP_INFO_ENCRYPTED,
	ISA_STEP_TRANSACTION,
	ISA_STEP_FRAGMENT,
	ISA_STEP_N,
};

/*
 * The header alone: length (the datagram's, exactly), cookies, version 1.x (else CS_EUNSUPPORTED),
 * flags, message id; says nothing about the payloads and not which exchanges we know.
 */
int isa_header_parse(const uint8_t *data, size_t len, struct isa_header *h, struct cs_err *err);
/*
 * The chain in body (what follows the header, decrypted if need be). padded: up to 255 bytes of
 * anything may follow the chain (some peers add whole blocks), else only three zero bytes may.
 */
int isa_chain_parse(const struct isa_header *h, const uint8_t *body, size_t len, bool padded,
		    struct isa_message *m, struct cs_err *err);
/* Are the payloads those that this step requires and allows, and as many? Unknown vendor ID, notify
 * and private payloads are allowed where RFC 2408 lets them be. */
int isa_step_check(const struct isa_message *m, enum isa_step step, struct cs_err *err);
/* The nth payload (from 0) of a type, NULL when there is none. */
const struct isa_payload *isa_find(const struct isa_message *m, unsigned type, unsigned nth);

/* Building. Payloads chain themselves; isa_end patches the length. */
struct isa_builder {
	struct cs_writer w;
	size_t next_at;    /* where the type of the next payload goes */
	size_t payload_at; /* of the open payload */
};
void isa_begin(struct isa_builder *b, void *buffer, size_t cap, const struct isa_header *h);
void isa_payload_begin(struct isa_builder *b, unsigned type);
void isa_payload_end(struct isa_builder *b);
void isa_put(struct isa_builder *b, unsigned type, const void *body, size_t len);
/* block > 0: pads the body to it with zeros first. Returns the length, or 0 on overflow. */
size_t isa_end(struct isa_builder *b, size_t block);

const char *isa_exchange_name(unsigned exchange);
const char *isa_payload_name(unsigned type);
const char *isa_notify_name(unsigned type);
const char *isa_step_name(enum isa_step step);

#endif
