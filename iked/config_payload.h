/*
 * Attributes payloads of Transaction exchanges (draft-dukes-ike-mode-cfg-02 section 3.2): read into
 * what we know of them, and built.
 */
#ifndef IKE_CONFIG_PAYLOAD_H
#define IKE_CONFIG_PAYLOAD_H

#include "iked/isakmp.h"

/* draft-dukes-ike-mode-cfg-02 section 3.3 */
enum ike_config_type { IKE_CFG_REQUEST = 1, IKE_CFG_REPLY = 2, IKE_CFG_SET = 3, IKE_CFG_ACK = 4 };

/* draft-dukes-ike-mode-cfg-02 section 3.4, draft-beaulieu-ike-xauth-02 section 4.2 */
enum {
	IKE_CFG_ADDRESS = 1,
	IKE_CFG_NETMASK = 2,
	IKE_CFG_DNS = 3,
	IKE_XAUTH_TYPE = 16520,
	IKE_XAUTH_USER = 16521,
	IKE_XAUTH_PASSWORD = 16522,
	IKE_XAUTH_STATUS = 16527,
};

/* What an attributes payload says; views into it. */
struct ike_config {
	enum ike_config_type type;
	uint16_t id;
	bool has_user, has_password, has_status, address, netmask, dns; /* asked for or there */
	uint16_t xauth_type, status;
	struct cs_bytes user, password;
};

/* CS_EPARSE */
int ike_config_read(const struct isa_message *m, struct ike_config *c, struct cs_err *err);
void ike_config_begin(struct isa_builder *b, enum ike_config_type type, uint16_t id);
void ike_config_basic(struct isa_builder *b, uint16_t type, uint16_t value);
void ike_config_bytes(struct isa_builder *b, uint16_t type, const void *data, size_t len);

#endif
