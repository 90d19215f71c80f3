/*
 * policy: the z/OS Policy Agent's IPSec policy, compiled.
 *
 * A policy is loaded as a whole, is read-only afterwards and is shared by reference count; rules,
 * actions and offers are plain structs that the caller reads.  Names and defaults are IBM's
 * (IP Configuration Reference, "Policy Agent and policy applications").  Times are seconds and
 * sizes kilobytes here, whatever the file's unit is.
 */
#ifndef POL_POLICY_H
#define POL_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/addr.h"
#include "common/alg.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/paths.h"
#include "policy/ttls.h"

#define POL_NAME_MAX 32

/* ---- identities (RFC 2407 section 4.6.2.1) ---- */

enum pol_id_type {
	POL_ID_NONE = 0,
	POL_ID_IPV4_ADDR = 1,
	POL_ID_FQDN = 2,
	POL_ID_USER_FQDN = 3,
	POL_ID_IPV6_ADDR = 5,
	POL_ID_DER_ASN1_DN = 9,
	POL_ID_KEY_ID = 11,
};

/* An identity as the policy codes it; of a remote endpoint it may be a pattern. */
struct pol_identity {
	enum pol_id_type type;
	struct cs_range addr; /* address types: single, prefix or range; lo == hi when exact */
	char *text;           /* as coded ("*.example.com", "CN=a,O=b"); owned by the policy */
	struct cs_bytes data; /* KEY_ID: the bytes; DN: DER when exact and OpenSSL is built in */
};

/* An identity as a peer sent it or as we send it: the ID payload's body (RFC 2407 4.6.2). */
struct pol_peer_id {
	uint8_t type;
	struct cs_bytes data; /* without type, protocol and port */
};

/* ---- phase 1 ---- */

enum pol_mode { POL_MODE_MAIN, POL_MODE_AGGRESSIVE, POL_MODE_EITHER, POL_MODE_DONOT };
enum pol_auth { POL_AUTH_PSK = 1, POL_AUTH_RSA = 3 }; /* RFC 2409 appendix A */
enum pol_revocation { POL_REVOCATION_NONE, POL_REVOCATION_LOOSE, POL_REVOCATION_STRICT };

/* Accepted ranges; min == max == 0 stands for None (no limit). */
struct pol_life {
	uint32_t proposed, accepted_min, accepted_max;
};

struct pol_ke_offer {
	char name[POL_NAME_MAX + 1];
	const struct cs_cipher *cipher;
	const struct cs_hash *hash;
	const struct cs_group *group;
	enum pol_auth auth;
	struct pol_life life_seconds, life_kbytes;
};

#define POL_USER_MAX  63 /* characters of a client's user name */
#define POL_CRYPT_MAX 127

/* A user whom a gateway lets in, and the hash of the password as crypt(5) has it. */
struct pol_client_user {
	char name[POL_USER_MAX + 1], hash[POL_CRYPT_MAX + 1];
};

struct pol_ke_action {
	char name[POL_NAME_MAX + 1];
	enum pol_mode initiate; /* MAIN, AGGRESSIVE or DONOT */
	enum pol_mode respond;  /* MAIN, AGGRESSIVE or EITHER */
	bool respond_coded; /* HowToRespond(IKEv1) stands in the file (see DESIGN on Aggressive) */
	bool nat_force_encap; /* NatForceEncapsulation: a NAT is pretended */
	bool allow_nat, bypass_ip_validation, filter_by_identity;
	uint32_t liveness; /* LivenessInterval: seconds, 0: a silent peer is not asked */
	enum pol_revocation revocation; /* of the peer's certificates */
	struct pol_ke_offer *offers;    /* in order of preference */
	unsigned n_offers;
	bool xauth;           /* ClientAuthentication XAuth: peers are users' machines */
	struct cs_range pool; /* ClientAddressPool, family 0: none */
	struct cs_addr dns;   /* ClientDns, family 0: none */
	struct pol_client_user *users;
	unsigned n_users;
	unsigned quirks; /* PeerQuirk: bits of policy/quirk.h */
};

struct pol_sec_endpoint {
	struct pol_identity identity;
	struct cs_range *locations; /* OR'ed; at least one */
	unsigned n_locations;
	char **ca_labels; /* of the remote side; none: SupportedCertAuth, else any CA */
	unsigned n_ca_labels;
};

struct pol_ke_rule {
	char name[POL_NAME_MAX + 1], group_name[POL_NAME_MAX + 1];
	struct pol_sec_endpoint local, remote;
	const struct pol_ke_action *action;
	struct cs_bytes shared_key; /* p NULL when none; in memory of its own, wiped at the end */
	/* First 2 bytes of SHA-256 in hex: tells keys apart, is too short to confirm a guess. */
	char key_fingerprint[5];
};

/* ---- phase 2 ---- */

enum pol_encap { POL_TUNNEL = 1, POL_TRANSPORT = 2 }; /* RFC 2407 section 4.5 */
enum pol_proto { POL_ESP = 3, POL_AH = 2 };           /* RFC 2407 section 4.4.1 */
enum pol_initiation { POL_INIT_EITHER, POL_INIT_LOCAL, POL_INIT_REMOTE };
enum pol_granularity { POL_FROM_PACKET, POL_FROM_RULE };
#define POL_PFS_NONE 0u

struct pol_data_offer {
	char name[POL_NAME_MAX + 1];
	enum pol_encap encap;
	enum pol_proto auth_proto;      /* of HowToAuth */
	const struct cs_cipher *cipher; /* NULL: DoNot */
	const struct cs_integ *integ;   /* NULL: ESP Null, with AEAD only */
	struct pol_life life_seconds, life_kbytes;
};

struct pol_dynvpn_action {
	char name[POL_NAME_MAX + 1];
	enum pol_initiation initiation;
	uint32_t vpn_life;     /* seconds, 0: unlimited */
	uint16_t initiate_pfs; /* group number or POL_PFS_NONE */
	uint16_t *accept_pfs;  /* group numbers, POL_PFS_NONE among them if allowed */
	unsigned n_accept_pfs;
	bool passthrough_df, df_set, passthrough_dscp;
	struct pol_data_offer *offers;
	unsigned n_offers;
};

/* SPIs that inbound ESP under AH is given, and no other ESP; see xfrm/xfrm.h. */
#define POL_SPI_BUNDLED_MIN 0x0ff00000u
#define POL_SPI_BUNDLED_MAX 0x0fffffffu

/* One direction of one protocol of a manual tunnel. */
struct pol_manual_sa {
	uint32_t spi;        /* 0: the tunnel has no such SA */
	struct cs_bytes key; /* in the policy's memory; never shown */
};

/* A tunnel whose SAs the policy itself has; pagent's business, not iked's. */
struct pol_manvpn_action {
	char name[POL_NAME_MAX + 1];
	bool active;                   /* as coded; a command may say otherwise */
	struct cs_addr local, remote;  /* security endpoints */
	uint8_t any_local, any_remote; /* coded Any of this family: the rules' address is meant */
	enum pol_encap encap;
	enum pol_proto auth_proto;      /* of HowToAuth */
	const struct cs_cipher *cipher; /* NULL: DoNot */
	const struct cs_integ *integ;
	bool passthrough_df, df_set, passthrough_dscp;
	/* With ESP alone both of a direction are of one SA and have one SPI. */
	struct pol_manual_sa auth_in, auth_out, encrypt_in, encrypt_out;
	struct pol_time *times; /* when it is in the kernel; none: always */
	unsigned n_times;
	uint32_t number; /* of M<n>, and in its reqid; given by pagent, 0 before */
};

struct pol_start_action {
	char name[POL_NAME_MAX + 1];
	int on_demand;                /* 1, 0, or -1: IpFilterPolicy's AllowOnDemand */
	struct cs_addr local, remote; /* security endpoints; family 0: from the packet */
	enum pol_granularity local_ip, remote_ip, local_port, remote_port, protocol;
};

/* ---- filters ---- */

enum pol_verdict { POL_PERMIT, POL_DENY, POL_IPSEC };
enum pol_direction { POL_BOTH, POL_IN, POL_OUT };
enum pol_routing { POL_LOCAL, POL_ROUTED, POL_EITHER };
enum pol_connect { POL_CONNECT_ANY, POL_CONNECT_IN, POL_CONNECT_OUT };
enum pol_log { POL_LOG_NO, POL_LOG_YES, POL_LOG_PERMIT, POL_LOG_DENY };
#define POL_PROTO_ANY    (-1)
#define POL_PROTO_OPAQUE (-2)
/* The security class of an interface that was given none. */
#define POL_CLASS_DEFAULT 255

struct pol_service {
	char name[POL_NAME_MAX + 1];
	int proto;                         /* 0 to 255, POL_PROTO_ANY or POL_PROTO_OPAQUE */
	uint16_t src_port[2], dst_port[2]; /* from, to; 0 and 0 (or 0 and 65535) is any */
	int type[2], code[2];              /* from, to; -1 is any */
	enum pol_direction direction;
	enum pol_connect connect;
	enum pol_routing routing;
	uint8_t security_class; /* 0: any */
	bool fragments_only;
};

struct pol_time {
	int64_t from, to;             /* ConditionTimeRange, UTC seconds; 0 and 0: no limit */
	uint16_t months;              /* bit 0 January */
	uint32_t days, days_from_end; /* bit 0 the first, the last */
	uint8_t weekdays;             /* bit 0 Sunday */
	uint16_t (*spans)[2];         /* minutes of the day, from <= t < to; may wrap */
	unsigned n_spans;
	int zone; /* POL_ZONE_LOCAL, or minutes east of UTC */
};
#define POL_ZONE_LOCAL 10000

#define POL_RULE_ID_MIN 16
#define POL_RULE_ID_MAX 8191

struct pol_filter_rule {
	char name[POL_NAME_MAX + 1], group_name[POL_NAME_MAX + 1];
	char action_name[POL_NAME_MAX + 1];
	/*
	 * POL_RULE_ID_MIN to _MAX for ipsec rules, stable over generations as long as the rule's
	 * name and content are the same; the value of the packet mark and the high bits of reqids.
	 * Else 0.
	 */
	uint16_t id;
	struct cs_range *src, *dst; /* source is the local side in bidirectional services */
	unsigned n_src, n_dst;
	struct pol_service *services;
	unsigned n_services;
	struct pol_time *times; /* none: always */
	unsigned n_times;
	enum pol_verdict verdict;
	enum pol_log log;
	bool discard_icmp;
	const struct pol_dynvpn_action *vpn; /* ipsec rules have this one or manual; else NULL */
	const struct pol_manvpn_action *manual;
	const struct pol_start_action *start; /* may be NULL */
	/* Dynamic rules: only a peer of this identity has SAs of it; NULL: any peer. */
	const struct pol_identity *remote_identity;
	bool on_demand; /* what start and the policy's switch come to */
};

struct pol_local_dynvpn {
	char name[POL_NAME_MAX + 1], group_name[POL_NAME_MAX + 1];
	struct cs_selector selector;
	int type, code; /* -1 any */
	bool auto_activate;
};

#define POL_CONTENT_LEN 32 /* octets of a SHA-256 */
/* Generations of the store have not this bit. */
#define POL_PROFILE_GENERATION (UINT64_C(1) << 63)

struct pol_policy {
	/*
	 * Of the store; 0 when compiled from files and not stored; of default filters
	 * POL_PROFILE_GENERATION and a hash of them.
	 */
	uint64_t generation;
	bool ipsec; /* it has IPSec policy; false: the stack has AT-TLS policy alone */
	/* IpFilterPolicy */
	bool predecap, filter_logging, allow_on_demand, implicit_discard_icmp, fips140;
	bool log_implicit; /* the implicit deny, too: FilterLogging On, or a profile's LOGIMPLICIT
			    */
	bool dvipsec;      /* of a profile */
	struct pol_filter_rule *rules; /* expanded, in search order */
	unsigned n_rules;
	struct pol_manvpn_action **manuals; /* those of the rules, each once */
	unsigned n_manuals;
	/* KeyExchangePolicy */
	uint32_t nat_keepalive;
	struct pol_ke_rule *ke_rules; /* expanded, in search order */
	unsigned n_ke_rules;
	/* LocalDynVpnPolicy */
	struct pol_local_dynvpn *local_rules;
	unsigned n_local_rules;
	const struct pol_ttls *ttls; /* AT-TLS; never NULL, and without rules when there are none */
	/* the rest is the policy folder's own */
	struct pol_private *priv;
};

/* ---- reading files ---- */

enum pol_severity { POL_ERROR, POL_WARNING, POL_NOTE };

struct pol_diag {
	enum pol_severity severity;
	const char *file;
	unsigned line;
	const char *statement, *attribute; /* "" when none */
	const char *text;
	/*
	 * The line in printable form, cut around what the finding is about; "" where it may not be
	 * shown, for a key may stand in it, or was not read.  mark and mark_len: characters of it.
	 */
	const char *source;
	unsigned mark, mark_len;
	unsigned column;      /* of the same in the file's line, from 1; 0: not known */
	const char *expected; /* what could stand there; "" when there is nothing to say */
};
/* Called once for each finding, in file order; what it gets lives only during the call. */
typedef void pol_diag_fn(void *arg, const struct pol_diag *diag);
/*
 * "FILE:LINE: error: STATEMENT name: Attribute: reason"; then, begun with a blank, the line with
 * what is marked in it, and what was expected.
 */
void pol_diag_print(FILE *out, const struct pol_diag *diag);

/* What the main and image files say of pagent itself. */
struct pol_options {
	bool read;                   /* they could be read; else the rest says nothing */
	bool ttls_flush, ttls_purge; /* of AT-TLS policy */
	bool interval_coded;
	unsigned interval; /* seconds between readings, 0: never */
};
#define POL_INTERVAL_MAX (86400ul * 366)

/*
 * Reads policy files for one stack and compiles them. main_file may be a main configuration file
 * (TcpImage, CommonIpSecConfig, CommonTTLSConfig), an image file (IpSecConfig, TTLSConfig) or a
 * policy file itself; what it names is read too.  All errors of all files are reported in one run.
 * 0 or negative cs_code; with errors nothing is returned.  The caller owns one reference.
 */
int pol_compile(const char *main_file, const char *stack, pol_diag_fn *diag, void *arg,
		struct pol_policy **policy, struct cs_err *err);
typedef void pol_file_fn(void *arg, const char *file);
/*
 * The same, and tells of each file that was read or could not be, and in *options what the files
 * say of pagent, with errors too. file and options may be NULL.
 */
int pol_compile_files(const char *main_file, const char *stack, pol_diag_fn *diag,
		      pol_file_fn *file, void *arg, struct pol_options *options,
		      struct pol_policy **policy, struct cs_err *err);
struct pol_policy *pol_ref(struct pol_policy *policy);
void pol_unref(struct pol_policy *policy); /* NULL is allowed; wipes keys with the last one */

/*
 * The default filters: the IPSEC block of a TCP/IP profile as a policy of permit rules named
 * SYSDEFAULTRULE.n, and nothing else.  CS_ENOTFOUND without such a file; errors as pol_compile.
 */
int pol_profile(const char *file, pol_diag_fn *diag, void *arg, struct pol_policy **policy,
		struct cs_err *err);
bool pol_is_profile(const struct pol_policy *policy);

/* ---- what differs between two policies ---- */

struct pol_change {
	unsigned added, removed, changed, unchanged; /* changed: of the same name */
	bool moved;                                  /* the unchanged ones are in another order */
};

struct pol_diff {
	struct pol_change rules, ke_rules, local_rules;
	/* By filter rule of the second policy: 1 + index of the equal one of the first, or 0. */
	unsigned *same;
};
/*
 * Compares by name and content: all of a filter rule counts, of a key exchange rule what
 * pol_ke_rule_content has.  before NULL: everything is new.
 */
int pol_diff(const struct pol_policy *before, const struct pol_policy *now, struct pol_diff *diff,
	     struct cs_err *err);
void pol_diff_free(struct pol_diff *diff);
#define POL_CHANGE_STRLEN 96
/* "1 changed, 999 unchanged" */
const char *pol_change_text(const struct pol_change *c, char buf[static POL_CHANGE_STRLEN]);

#define POL_CAS_MAX 32

/* iked's configuration file (IkeConfig). Missing file: defaults, when allowed. */
#define POL_VIPAS_MAX 64 /* lines of DynamicVipa */

struct pol_ike_config {
	unsigned log_level, retries,
		init_wait; /* IkeSyslogLevel, IkeRetries, IkeInitWait (seconds) */
	unsigned pagent_wait;
	bool fips140, echo;
	bool smf_ike_tunnel, smf_dyn_tunnel;
	/* Keyring: the path of a directory or PKCS#12 file, "" with NoKeyRing. */
	char keyring[CS_PATH_MAX];
	bool keyring_coded;                                /* it stands in the file */
	char supported_cas[POL_CAS_MAX][POL_NAME_MAX + 1]; /* labels, SupportedCertAuth */
	unsigned n_supported_cas;
	struct cs_range vipas[POL_VIPAS_MAX]; /* DynamicVipa: addresses that move */
	unsigned n_vipas;
	char shared_store[1024]; /* URI, may hold a password; "" for none */
};
int pol_ike_config(const char *file, bool may_be_missing, pol_diag_fn *diag, void *arg,
		   struct pol_ike_config *config, struct cs_err *err);

/* ---- the policy store ---- */

struct pol_store;

/* statedir is $CSIPSEC_STATEDIR/STACK. write: pagent alone; creates and migrates it. */
int pol_store_open(const char *statedir, bool write, struct pol_store **store, struct cs_err *err);
void pol_store_close(struct pol_store *store);
/*
 * Stores policy as the next generation and makes it the one in force, in one transaction; assigns
 * rule ids (the policy given is updated).  What is in force already keeps its number.  Secrets go
 * to a database of their own (mode 0640).
 */
int pol_store_put(struct pol_store *store, struct pol_policy *policy, struct cs_err *err);
/*
 * Puts an earlier generation in force again (0: none), in one transaction, and forgets those after
 * it: the kernel refused them. Ids of rules stay theirs.
 */
int pol_store_revert(struct pol_store *store, uint64_t generation, struct cs_err *err);
/* The generation in force; CS_ENOTFOUND when there is none yet. */
int pol_store_load(struct pol_store *store, struct pol_policy **policy, struct cs_err *err);
/*
 * Which one that is: a store that was made anew counts from 1 again, but another policy has another
 * digest.  Without padding: two are the same when their bytes are.
 */
struct pol_edition {
	uint64_t generation;
	uint8_t digest[POL_CONTENT_LEN];
};
int pol_store_edition(struct pol_store *store, struct pol_edition *edition, struct cs_err *err);
/*
 * A hash of what the policy comes to, for comparison between hosts, where others may see it: of its
 * filter, key exchange and local tunnel rules in their order, without keys and passwords, files,
 * lines and rule ids.  AT-TLS does not count.
 */
int pol_meaning(const struct pol_policy *policy, uint8_t digest[static POL_CONTENT_LEN],
		struct cs_err *err);

/* ---- matching: functions over a loaded policy, without I/O ---- */

/* A packet as a filter sees it. type and code: ICMP kinds; -1 where unknown or none. */
struct pol_packet {
	bool outbound, routed, fragment;
	struct cs_addr src, dst;
	int proto; /* -1 unknown (IPv6 fragment) */
	bool ports_known;
	uint16_t src_port, dst_port;
	int type, code;
	bool tcp_syn_only; /* SYN without ACK */
	uint8_t security_class;
	uint16_t sa_rule; /* inbound: id of the rule whose SA it came by; 0: it came in clear */
};

/*
 * The reference evaluator: walks the list, first match wins, NULL is the implicit deny. It defines
 * what the compiled nftables ruleset must do.  trace, when given, is called for each rule passed.
 *
 * Which peer a packet is from only its SA tells: what came by an SA of another rule goes on from a
 * rule with RemoteIdentity to those behind it.  In clear or outbound it stays with that rule.
 */
typedef void pol_trace_fn(void *arg, const struct pol_filter_rule *rule, bool matched,
			  const char *why_not);
const struct pol_filter_rule *pol_filter_match(const struct pol_policy *policy,
					       const struct pol_packet *packet, time_t now,
					       pol_trace_fn *trace, void *arg);
bool pol_ports_any(const uint16_t ports[2]); /* 0 and 0, or 0 and 65535 */
bool pol_time_active(const struct pol_time *times, unsigned n, time_t now);

const struct pol_filter_rule *pol_rule_by_id(const struct pol_policy *policy, unsigned id);
const struct pol_filter_rule *pol_rule_by_name(const struct pol_policy *policy, const char *name);
const struct pol_local_dynvpn *pol_local_rule_by_name(const struct pol_policy *policy,
						      const char *name);

/*
 * What the SAs of a manual tunnel are made of, keys included, as a hash (a secret itself): as long
 * as it is the same they are not touched.
 */
int pol_manual_content(const struct pol_manvpn_action *action, uint8_t hash[static POL_CONTENT_LEN],
		       struct cs_err *err);
/* By name; NULL when no rule of the policy has it. */
struct pol_manvpn_action *pol_manual_by_name(const struct pol_policy *policy, const char *name);

/*
 * The first dynamic rule (ipsec with an IpDynVpnAction, active now) one of whose services covers
 * the selector entirely; NULL when none does.  Phase 2 as responder and `ipsec -y activate`.  id:
 * of the peer, where its KeyExchangeAction has FilterByIdentity; NULL: rules with RemoteIdentity
 * are not for it.
 */
const struct pol_filter_rule *pol_dynamic_rule(const struct pol_policy *policy,
					       const struct cs_selector *selector,
					       const struct pol_peer_id *id, time_t now);
/* The same, whoever the peer is. */
const struct pol_filter_rule *pol_first_rule(const struct pol_policy *policy,
					     const struct cs_selector *selector, time_t now);
/*
 * The rule under whose mark the kernel has packets of the selector, if they are rule's: filters
 * know no identity of who is to get a packet, so one with RemoteIdentity before it comes first.
 */
const struct pol_filter_rule *pol_mark_rule(const struct pol_policy *policy,
					    const struct pol_filter_rule *rule,
					    const struct cs_selector *selector, time_t now);

/*
 * The first key exchange rule for these; unknown items (family 0, NULL) are not compared.
 * remote_id is the identity the peer sent.
 */
const struct pol_ke_rule *pol_ke_rule_find(const struct pol_policy *policy,
					   const struct cs_addr *local,
					   const struct cs_addr *remote,
					   const struct pol_peer_id *remote_id);
/* Is it for these addresses? */
bool pol_ke_rule_at(const struct pol_ke_rule *rule, const struct cs_addr *local,
		    const struct cs_addr *remote);
/*
 * What the two hosts of the rule agree on, key included, as a hash (a secret itself): a phase 1 SA
 * lives on over a new policy while its rule's name and content stay the same.
 */
int pol_ke_rule_content(const struct pol_ke_rule *rule, uint8_t hash[static POL_CONTENT_LEN],
			struct cs_err *err);
const struct pol_ke_rule *pol_ke_rule_same(const struct pol_policy *policy, const char *name,
					   const uint8_t content[static POL_CONTENT_LEN]);
bool pol_identity_matches(const struct pol_identity *pattern, const struct pol_peer_id *id);
/* Text of an identity for logs and displays: value only; never fails, marks what it cannot show. */
const char *pol_peer_id_text(const struct pol_peer_id *id, char *buf, size_t size);
const char *pol_id_type_name(unsigned type); /* "ID_IPV4_ADDR" */
/* DER of the X.500 name "CN=a,OU=b,C=US", leaf first, malloc'ed. Needs OpenSSL. */
int pol_dn_encode(const char *name, uint8_t **der, size_t *len, struct cs_err *err);

#endif
