/*
 * ttls: AT-TLS policy, compiled, as one image that every process can map and search.
 *
 * pagent publishes the image of the policy in force as a file in the stack's run-time directory
 * (POL_TTLS_FILE), mode 0644, replaced by rename and never written in place.  A reader maps it
 * read-only, checks it once, and then looks rules up without allocating, locking or copying.  While
 * it is mapped it stays as it is; a newer one is told by one stat (pol_ttls_age).  No file: no
 * policy is in force yet, or pagent took it away at its end (PURGE); a file without rules: the
 * policy in force has none.
 *
 * The image is position-independent: instead of pointers it has offsets in octets from its begin,
 * 0 for none.  Numbers are in the host's byte order.  What pol_ttls_map accepts is wholly checked:
 * every offset lies inside, texts end, choices are among those of their enum.  Its structs belong
 * to the image and are valid until it is unmapped.
 *
 * There are no secrets in it.  Of a key ring's password it says that there is one: a program reads
 * its password from the stash file, with its own user's rights.  A password that stands in the
 * policy itself is kept for pagent alone, and the rules that need it are closed.  (The password of
 * an LDAP server is kept so, too, and closes nothing.)
 *
 * Names, defaults and meanings are IBM's (IP Configuration Reference, AT-TLS statements). Every
 * value is resolved: coded at the connection action, else at the environment action, else at the
 * group action, else the default.
 */
#ifndef POL_TTLS_H
#define POL_TTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/addr.h"
#include "common/err.h"

#define POL_TTLS_FILE "attls.image"

struct pol_ttls; /* an image that was checked */

/* n things, the first of them at offset at. */
struct pol_ttls_list {
	uint32_t at, n;
};

/* ---- rules ---- */

/* Every address from lo to hi; IPv4 as ::ffff:0:0/96. Each in two halves, the high one first. */
struct pol_ttls_range {
	uint64_t lo[2], hi[2];
	uint32_t family; /* 4 or 6 */
	uint32_t unused;
};

struct pol_ttls_ports {
	uint16_t lo, hi; /* both included */
};

struct pol_ttls_time { /* as struct pol_time */
	int64_t from, to;
	uint32_t days, days_from_end;
	int32_t zone;
	uint16_t months;
	uint8_t weekdays, unused;
	struct pol_ttls_list spans; /* of uint16_t[2] */
};

#define POL_TTLS_INBOUND  1u
#define POL_TTLS_OUTBOUND 2u

/* All dimensions must hold, in each one of its alternatives; an empty one is no condition. */
struct pol_ttls_rule {
	uint32_t name; /* text */
	uint32_t priority;
	uint32_t profile;                   /* offset; pol_ttls_profile() */
	uint32_t job, user;                 /* texts, '*' at the end: any more; 0: any */
	uint32_t directions;                /* bits */
	struct pol_ttls_list local, remote; /* of pol_ttls_range */
	struct pol_ttls_list local_ports, remote_ports; /* of pol_ttls_ports */
	/* from the lowest to the highest of them: what lies outside needs no look at the lists */
	struct pol_ttls_ports local_span, remote_span;
	struct pol_ttls_list times; /* of pol_ttls_time */
};

/* ---- what a rule does ---- */

enum pol_ttls_role { POL_TTLS_CLIENT, POL_TTLS_SERVER, POL_TTLS_SERVER_WITH_CLIENT_AUTH };
enum pol_ttls_need { POL_TTLS_REQUIRED, POL_TTLS_OPTIONAL, POL_TTLS_OFF };
enum pol_ttls_ems { POL_TTLS_EMS_REQUIRED, POL_TTLS_EMS_ON, POL_TTLS_EMS_OFF };
enum pol_ttls_client_auth {
	POL_TTLS_AUTH_PASSTHRU,
	POL_TTLS_AUTH_FULL,
	POL_TTLS_AUTH_REQUIRED,
	POL_TTLS_AUTH_SAFCHECK,
};
enum pol_ttls_fips {
	POL_TTLS_FIPS_OFF,
	POL_TTLS_FIPS_ON,
	POL_TTLS_FIPS_LEVEL1,
	POL_TTLS_FIPS_LEVEL2,
	POL_TTLS_FIPS_LEVEL3,
};
enum pol_ttls_suite_b {
	POL_TTLS_SUITE_B_OFF,
	POL_TTLS_SUITE_B_128,
	POL_TTLS_SUITE_B_128MIN,
	POL_TTLS_SUITE_B_192,
	POL_TTLS_SUITE_B_192MIN,
	POL_TTLS_SUITE_B_ALL,
};
enum pol_ttls_renegotiation {
	POL_TTLS_RENEG_DEFAULT,
	POL_TTLS_RENEG_DISABLED,
	POL_TTLS_RENEG_ALL,
	POL_TTLS_RENEG_ABBREVIATED,
};
enum pol_ttls_indicator {
	POL_TTLS_RI_OPTIONAL,
	POL_TTLS_RI_CLIENT,
	POL_TTLS_RI_SERVER,
	POL_TTLS_RI_BOTH,
};
enum pol_ttls_validation {
	POL_TTLS_VALID_ANY,
	POL_TTLS_VALID_RFC2459,
	POL_TTLS_VALID_RFC3280,
	POL_TTLS_VALID_RFC5280,
};
enum pol_ttls_level { POL_TTLS_LOW, POL_TTLS_MEDIUM, POL_TTLS_HIGH };
enum pol_ttls_stapling { POL_TTLS_STAPLE_OFF, POL_TTLS_STAPLE_ANY, POL_TTLS_STAPLE_END_ENTITY };

/* A name that a client may ask for, and the label of its certificate, or 0. */
struct pol_ttls_sni {
	uint32_t name, label; /* texts */
};

/*
 * What the actions of a rule come to; rules with the same actions share one. Where the group says
 * TTLSEnabled Off, what follows the group's values has no meaning. Fields are named after their
 * parameters; uint32_t ones are texts where the comment says so, seconds if nothing else.
 */
struct pol_ttls_profile {
	uint32_t group, environment, connection; /* names as texts; 0: none */
	/* Text: why connections must be closed, in the clear none may go; 0: nothing against it. */
	uint32_t closed;
	/*
	 * Change with the content of an action (and what it names), not with its place: what a
	 * process made for one serves as long as this number is the same.
	 */
	uint64_t group_id, environment_id, connection_id;

	/* group */
	uint8_t enabled, fips140 /* enum pol_ttls_fips */, syslog_auth;
	/* all */
	uint8_t ctrace_clear_text, secondary_map;
	uint8_t handshake_role, suite_b; /* enums */
	uint8_t middlebox, application_controlled;
	uint8_t tls1, tls1_1, tls1_2, tls1_3;
	uint8_t renegotiation, renegotiation_indicator, renegotiation_cert_check; /* enums, bool */
	uint8_t client_auth, cert_validation;                                     /* enums */
	uint8_t truncated_hmac;                              /* enum pol_ttls_need */
	uint8_t client_max_fragment, client_fragment_length; /* need; 512 << n octets */
	uint8_t server_max_fragment;                         /* need */
	uint8_t client_sni, client_sni_match;                /* need */
	uint8_t server_sni, server_sni_match;                /* need */
	uint8_t client_dh_2048;                              /* else any that is not refused */
	uint8_t server_dh;                                   /* 0 Legacy, 1 2048, 2 Match */
	uint8_t peer_cert_v3;                                /* PeerMinCertVersion 3 */
	uint8_t client_ems, server_ems;                      /* enum pol_ttls_ems */
	uint8_t host_wildcards;                              /* HostRefWildcardValidation */
	uint8_t ticket_client, ticket_server, ticket_aes256; /* bool */
	uint8_t ocsp_first;                                  /* AIACDPPriority */
	uint8_t revocation_level, crl_level;                 /* enum pol_ttls_level */
	uint8_t crl_cache_extended, crl_cache_temporary;     /* bool */
	uint8_t ocsp_aia, ocsp_url_first, ocsp_get;          /* bool */
	uint8_t ocsp_stapling;                               /* enum */
	uint8_t ocsp_nonce, ocsp_nonce_check;                /* bool */
	uint8_t http_cdp;                                    /* bool */
	uint8_t keyring_password; /* one is coded; see above. Never more of it than this */

	uint32_t trace; /* bits */
	uint32_t group_instance, environment_instance, connection_instance;
	uint32_t keyring,
		keyring_stash;      /* texts; stash 0: a ring or a data base without password */
	uint32_t certificate_label; /* text; 0: the ring's default, or server_labels */
	uint32_t handshake_timeout;
	uint32_t reset_cipher_timer;                                    /* minutes, 0: never */
	uint32_t peer_min_dh, peer_min_dsa, peer_min_ecc, peer_min_rsa; /* bits */
	uint32_t session_timeout, session_cache;                        /* seconds, entries */
	uint32_t ticket_client_max, ticket_client_cached;               /* octets, number */
	uint32_t ticket_count, ticket_key_refresh, ticket_timeout;
	uint32_t max_revocation_sources, max_revocation_valid;
	uint32_t ldap_port, ldap_user /* text */, ldap_timeout;
	uint32_t crl_cache_timeout;                                          /* hours */
	uint32_t crl_cache_size, crl_cache_entry_max, crl_temporary_timeout; /* hours the last */
	uint32_t ocsp_url, ocsp_proxy, ocsp_sign_label, ocsp_sign_algorithm; /* texts */
	uint32_t ocsp_proxy_port, ocsp_cache, ocsp_cache_entry_max, ocsp_nonce_size;
	uint32_t ocsp_timeout, ocsp_response_max;
	uint32_t http_proxy /* text */, http_proxy_port, http_timeout, http_response_max;
	uint32_t http_cache, http_cache_entry_max;

	/* of uint16_t: IANA's numbers, in order of preference; empty: the library's own */
	struct pol_ttls_list ciphers;
	struct pol_ttls_list client_curves, server_curves, client_groups, server_groups;
	struct pol_ttls_list signatures, cert_signatures, crl_signatures, ocsp_signatures;
	/* of uint32_t: texts */
	struct pol_ttls_list server_labels, host_dns, host_cn, client_sni_names, ldap_servers;
	struct pol_ttls_list server_sni_names; /* of struct pol_ttls_sni */
};

/* ---- an image ---- */

/*
 * Maps the image in file and checks it.  CS_ENOTFOUND: there is none; CS_EPARSE: it is damaged or
 * of another version; CS_EPERM: it belongs to neither root nor the process's effective user, or
 * others may write it; CS_ESYS, CS_ENOMEM.  Nothing but the handle is allocated.
 */
int pol_ttls_map(const char *file, struct pol_ttls **ttls, struct cs_err *err);
void pol_ttls_unmap(struct pol_ttls *ttls); /* NULL is allowed */

enum pol_ttls_age { POL_TTLS_CURRENT, POL_TTLS_REPLACED, POL_TTLS_GONE };
/* Is the image still what file has? One stat. */
enum pol_ttls_age pol_ttls_age(const struct pol_ttls *ttls, const char *file);

uint64_t pol_ttls_generation(const struct pol_ttls *ttls); /* of the policy store; 0: not stored */
unsigned pol_ttls_count(const struct pol_ttls *ttls);
const struct pol_ttls_rule *pol_ttls_rule(const struct pol_ttls *ttls, unsigned i); /* in order */
const struct pol_ttls_profile *pol_ttls_profile(const struct pol_ttls *ttls,
						const struct pol_ttls_rule *rule);
/* The text at an offset of the image; NULL for 0. */
const char *pol_ttls_text(const struct pol_ttls *ttls, uint32_t at);
/* The first of a list's things; there are list.n of them. */
const void *pol_ttls_things(const struct pol_ttls *ttls, struct pol_ttls_list list);

/* ---- looking up ---- */

/* A connection as its owner sees it; job and user NULL: unknown, they match no condition. */
struct pol_ttls_connection {
	struct cs_addr local, remote;
	uint16_t local_port, remote_port; /* host byte order */
	bool outbound;                    /* made by connect, not by accept */
	const char *job, *user;
};

/*
 * The first rule that matches, or NULL: rules are in order of priority, highest first, then of
 * their names.  An IPv4-mapped address is an IPv4 address.  Times of day are in the time zone of
 * the calling process where the policy says Local.
 */
const struct pol_ttls_rule *pol_ttls_match(const struct pol_ttls *ttls,
					   const struct pol_ttls_connection *connection,
					   time_t now);
/* Could any rule match a connection of this process? If none, nobody need ask again. */
bool pol_ttls_concerns(const struct pol_ttls *ttls, const char *job, const char *user);

/* ---- publishing: pagent alone ---- */

/*
 * Writes the image as file under the number of a generation: a temporary file beside it, synced,
 * renamed.  Failed: the file is as it was.
 */
int pol_ttls_publish(const struct pol_ttls *ttls, uint64_t generation, const char *file,
		     struct cs_err *err);

#endif
