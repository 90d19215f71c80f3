/* Names of numbers and bits, for the rows of table.c. */
#include "smf/names.h"

#include <stddef.h>

const struct smf_name smf_reasons[] = {
	{0x08, "event"},         {0x48, "event_more"},    {0x80, "interval"},
	{0xc0, "interval_more"}, {0x20, "stopped"},       {0x60, "stopped_more"},
	{0x10, "shutdown"},      {0x50, "shutdown_more"}, {0, NULL},
};

const struct smf_name smf_roles[] = {
	{1, "initiator"},
	{2, "responder"},
	{0, NULL},
};

const struct smf_name smf_states[] = {
	{1, "inactive"}, {2, "pending"},     {3, "incomplete"}, {4, "active"},
	{5, "expired"},  {6, "half_closed"}, {7, "failed"},     {0, NULL},
};

const struct smf_name smf_ext_states[] = {
	{0, "none"},         {1, "pending"}, {2, "init"},   {3, "wait_sa"}, {4, "in_ke"},
	{5, "wait_ke"},      {6, "kep"},     {7, "notify"}, {8, "done"},    {9, "expired"},
	{10, "half_closed"}, {11, "failed"}, {0, NULL},
};

const struct smf_name smf_modes[] = {
	{2, "main"},
	{4, "aggressive"},
	{34, "ikev2"},
	{0, NULL},
};

const struct smf_name smf_natt_levels[] = {
	{0, "none"}, {1, "draft"}, {2, "rfc3947"}, {3, "zos"}, {4, "ikev2"}, {0, NULL},
};

const struct smf_name smf_groups[] = {
	{0, "none"},    {1, "modp768"}, {2, "modp1024"}, {5, "modp1536"},      {14, "modp2048"},
	{19, "ecp256"}, {20, "ecp384"}, {21, "ecp521"},  {24, "modp2048s256"}, {0, NULL},
};

const struct smf_name smf_id_types[] = {
	{1, "ipv4_addr"},   {2, "fqdn"},        {3, "user_fqdn"},  {4, "ipv4_subnet"},
	{5, "ipv6_addr"},   {6, "ipv6_subnet"}, {7, "ipv4_range"}, {8, "ipv6_range"},
	{9, "der_asn1_dn"}, {11, "key_id"},     {0, NULL},
};

const struct smf_name smf_auth_methods[] = {
	{1, "preshared_key"}, {3, "rsa_signature"},      {9, "ecdsa_256"}, {10, "ecdsa_384"},
	{11, "ecdsa_521"},    {14, "digital_signature"}, {0, NULL},
};

const struct smf_name smf_auth_algs[] = {
	{0, "none"},
	{4, "aes_gmac_128"},
	{6, "aes_gmac_256"},
	{7, "hmac_sha2_256_128"},
	{9, "aes128_xcbc_96"},
	{13, "hmac_sha2_384_192"},
	{14, "hmac_sha2_512_256"},
	{38, "hmac_md5"},
	{39, "hmac_sha1"},
	{40, "hmac_md5_96"},
	{41, "hmac_sha1_96"},
	{0, NULL},
};

const struct smf_name smf_encrypt_algs[] = {
	{0, "none"},     {3, "3des_cbc"},    {11, "null"}, {12, "aes_cbc"},
	{18, "des_cbc"}, {20, "aes_gcm_16"}, {0, NULL},
};

const struct smf_name smf_prfs[] = {
	{1, "hmac_md5"},      {2, "hmac_sha1"},     {4, "aes128_xcbc"}, {5, "hmac_sha2_256"},
	{6, "hmac_sha2_384"}, {7, "hmac_sha2_512"}, {0, NULL},
};

const struct smf_name smf_end_reasons[] = {
	{0, "none"},
	{1, "command"},
	{2, "lifetime"},
	{3, "lifesize"},
	{4, "peer_delete"},
	{5, "peer_dead"},
	{6, "policy"},
	{7, "shutdown"},
	{8, "replaced"},
	{9, "negotiation_failed"},
	{10, "idle"},
	{11, "authentication"},
	{12, "lost_at_restart"},
	{0, NULL},
};

const struct smf_name smf_tunnel_types[] = {
	{1, "manual"},
	{2, "stack"},
	{3, "ike"},
	{0, NULL},
};

const struct smf_name smf_encap_modes[] = {
	{1, "tunnel"},
	{2, "transport"},
	{0, NULL},
};

const struct smf_name smf_auth_protos[] = {
	{0, "none"},
	{50, "esp"},
	{51, "ah"},
	{0, NULL},
};

const struct smf_name smf_act_methods[] = {
	{1, "user"}, {2, "remote"}, {3, "on_demand"}, {5, "takeover"}, {6, "automatic"}, {0, NULL},
};

/* ---- bits ---- */

const struct smf_name smf_ike_tun_flags[] = {
	{0, "ipv6"},        {1, "nat_allowed"},  {2, "nat_local"}, {3, "nat_remote"},
	{4, "napt_remote"}, {5, "may_initiate"}, {6, "fips140"},   {0, NULL},
};

const struct smf_name smf_ip_tun_flags[] = {
	{0, "ipv6"},
	{1, "fips140"},
	{0, NULL},
};

const struct smf_name smf_ip_dyn_flags[] = {
	{0, "udp_encapsulated"}, {1, "nat_local"},      {2, "nat_remote"},
	{3, "napt_remote"},      {4, "remote_gateway"}, {5, "remote_zos"},
	{6, "may_initiate"},     {7, "shadow"},         {8, "esn"},
	{9, "df_cleared"},       {10, "dscp_cleared"},  {0, NULL},
};

const struct smf_name smf_ip_dyn_add_flags[] = {
	{0, "replaces"},
	{1, "takeover"},
	{2, "perhaps_never"},
	{0, NULL},
};

const struct smf_name smf_ip_dyn_stk_flags[] = {
	{0, "newer_active"},     {1, "lifetime_reached"}, {2, "lifesize_reached"},
	{3, "counters_unknown"}, {4, "perhaps_never"},    {0, NULL},
};
