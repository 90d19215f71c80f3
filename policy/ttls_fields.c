/* The fields of a profile: which parameter each is, and how it lies in the struct. */
#include "policy/ttls_image.h"

#include <stddef.h>

#define AT(member) (uint16_t) offsetof(struct pol_ttls_profile, member)
#define BOOL(keyword, member)                                                                      \
	{                                                                                          \
		keyword, POL_TTLS_BOOL, AT(member), 1                                              \
	}
#define CHOICE(keyword, member, last)                                                              \
	{                                                                                          \
		keyword, POL_TTLS_CHOICE, AT(member), last                                         \
	}
#define NUMBER(keyword, member)                                                                    \
	{                                                                                          \
		keyword, POL_TTLS_NUMBER, AT(member), 0                                            \
	}
#define TEXT(keyword, member)                                                                      \
	{                                                                                          \
		keyword, POL_TTLS_TEXT, AT(member), 0                                              \
	}
#define TEXTS(keyword, member)                                                                     \
	{                                                                                          \
		keyword, POL_TTLS_TEXTS, AT(member), 0                                             \
	}
#define CODES(member)                                                                              \
	{                                                                                          \
		NULL, POL_TTLS_CODES, AT(member), 0                                                \
	}

const struct pol_ttls_field pol_ttls_fields[] = {
	TEXT(NULL, group),
	TEXT(NULL, environment),
	TEXT(NULL, connection),
	TEXT(NULL, closed),
	BOOL("TTLSEnabled", enabled),
	CHOICE("FIPS140", fips140, POL_TTLS_FIPS_LEVEL3),
	CHOICE("SyslogFacility", syslog_auth, 1),
	BOOL("CtraceClearText", ctrace_clear_text),
	BOOL("SecondaryMap", secondary_map),
	CHOICE("HandshakeRole", handshake_role, POL_TTLS_SERVER_WITH_CLIENT_AUTH),
	CHOICE("SuiteBProfile", suite_b, POL_TTLS_SUITE_B_ALL),
	BOOL("MiddleBoxCompatMode", middlebox),
	BOOL("ApplicationControlled", application_controlled),
	BOOL("TLSv1", tls1),
	BOOL("TLSv1.1", tls1_1),
	BOOL("TLSv1.2", tls1_2),
	BOOL("TLSv1.3", tls1_3),
	CHOICE("Renegotiation", renegotiation, POL_TTLS_RENEG_ABBREVIATED),
	CHOICE("RenegotiationIndicator", renegotiation_indicator, POL_TTLS_RI_BOTH),
	BOOL("RenegotiationCertCheck", renegotiation_cert_check),
	CHOICE("ClientAuthType", client_auth, POL_TTLS_AUTH_SAFCHECK),
	CHOICE("CertValidationMode", cert_validation, POL_TTLS_VALID_RFC5280),
	CHOICE("TruncatedHMAC", truncated_hmac, POL_TTLS_OFF),
	CHOICE("ClientMaxSSLFragment", client_max_fragment, POL_TTLS_OFF),
	CHOICE("ClientMaxSSLFragmentLength", client_fragment_length, 3),
	CHOICE("ServerMaxSSLFragment", server_max_fragment, POL_TTLS_OFF),
	CHOICE("ClientHandshakeSNI", client_sni, POL_TTLS_OFF),
	CHOICE("ClientHandshakeSNIMatch", client_sni_match, POL_TTLS_OPTIONAL),
	CHOICE("ServerHandshakeSNI", server_sni, POL_TTLS_OFF),
	CHOICE("ServerHandshakeSNIMatch", server_sni_match, POL_TTLS_OPTIONAL),
	CHOICE("ClientEDHGroupSize", client_dh_2048, 1),
	CHOICE("ServerEDHGroupSize", server_dh, 2),
	CHOICE("PeerMinCertVersion", peer_cert_v3, 1),
	CHOICE("ClientExtendedMasterSecret", client_ems, POL_TTLS_EMS_OFF),
	CHOICE("ServerExtendedMasterSecret", server_ems, POL_TTLS_EMS_OFF),
	BOOL("HostRefWildcardValidation", host_wildcards),
	BOOL("GSK_SESSION_TICKET_CLIENT_ENABLE", ticket_client),
	BOOL("GSK_SESSION_TICKET_SERVER_ENABLE", ticket_server),
	CHOICE("GSK_SESSION_TICKET_SERVER_ALGORITHM", ticket_aes256, 1),
	BOOL("AIACDPPriority", ocsp_first),
	CHOICE("RevocationSecurityLevel", revocation_level, POL_TTLS_HIGH),
	CHOICE("GSK_CRL_SECURITY_LEVEL", crl_level, POL_TTLS_HIGH),
	BOOL("CRLCacheExtended", crl_cache_extended),
	BOOL("CRLCacheTempCRL", crl_cache_temporary),
	BOOL("OcspAiaEnable", ocsp_aia),
	BOOL("OcspUrlPriority", ocsp_url_first),
	BOOL("OcspRetrieveViaGet", ocsp_get),
	CHOICE("OcspServerStapling", ocsp_stapling, POL_TTLS_STAPLE_END_ENTITY),
	BOOL("OcspNonceGenEnable", ocsp_nonce),
	BOOL("OcspNonceCheckEnable", ocsp_nonce_check),
	BOOL("HttpCdpEnable", http_cdp),
	BOOL(NULL, keyring_password),
	NUMBER("Trace", trace),
	NUMBER("GroupUserInstance", group_instance),
	NUMBER("EnvironmentUserInstance", environment_instance),
	NUMBER("ConnectionUserInstance", connection_instance),
	TEXT("Keyring", keyring),
	TEXT("KeyringStashFile", keyring_stash),
	TEXT("CertificateLabel", certificate_label),
	NUMBER("HandshakeTimeout", handshake_timeout),
	NUMBER("ResetCipherTimer", reset_cipher_timer),
	NUMBER("PeerMinDHKeySize", peer_min_dh),
	NUMBER("PeerMinDsaKeySize", peer_min_dsa),
	NUMBER("PeerMinECCKeySize", peer_min_ecc),
	NUMBER("PeerMinRsaKeySize", peer_min_rsa),
	NUMBER("GSK_V3_SESSION_TIMEOUT", session_timeout),
	NUMBER("GSK_V3_SIDCACHE_SIZE", session_cache),
	NUMBER("GSK_SESSION_TICKET_CLIENT_MAXSIZE", ticket_client_max),
	NUMBER("GSK_SESSION_TICKET_CLIENT_MAXCACHED", ticket_client_cached),
	NUMBER("GSK_SESSION_TICKET_SERVER_COUNT", ticket_count),
	NUMBER("GSK_SESSION_TICKET_SERVER_KEY_REFRESH", ticket_key_refresh),
	NUMBER("GSK_SESSION_TICKET_SERVER_TIMEOUT", ticket_timeout),
	NUMBER("MaxSrcRevExtLocValues", max_revocation_sources),
	NUMBER("MaxValidRevExtLocValues", max_revocation_valid),
	NUMBER("GSK_LDAP_SERVER_PORT", ldap_port),
	TEXT("GSK_LDAP_USER", ldap_user),
	NUMBER("LDAPResponseTimeout", ldap_timeout),
	NUMBER("GSK_CRL_CACHE_TIMEOUT", crl_cache_timeout),
	NUMBER("CRLCacheSize", crl_cache_size),
	NUMBER("CRLCacheEntryMaxsize", crl_cache_entry_max),
	NUMBER("CRLCacheTempCRLTimeout", crl_temporary_timeout),
	TEXT("OcspUrl", ocsp_url),
	TEXT("OcspProxyServerName", ocsp_proxy),
	TEXT("OcspRequestSigkeylabel", ocsp_sign_label),
	TEXT("OcspRequestSigalg", ocsp_sign_algorithm),
	NUMBER("OcspProxyServerPort", ocsp_proxy_port),
	NUMBER("OcspClientCacheSize", ocsp_cache),
	NUMBER("OcspCliCacheEntryMaxsize", ocsp_cache_entry_max),
	NUMBER("OcspNonceSize", ocsp_nonce_size),
	NUMBER("OcspResponseTimeout", ocsp_timeout),
	NUMBER("OcspMaxResponseSize", ocsp_response_max),
	TEXT("HttpCdpProxyServerName", http_proxy),
	NUMBER("HttpCdpProxyServerPort", http_proxy_port),
	NUMBER("HttpCdpResponseTimeout", http_timeout),
	NUMBER("HttpCdpMaxResponseSize", http_response_max),
	NUMBER("HttpCdpCacheSize", http_cache),
	NUMBER("HttpCdpCacheEntryMaxsize", http_cache_entry_max),
	CODES(ciphers),
	CODES(client_curves),
	CODES(server_curves),
	CODES(client_groups),
	CODES(server_groups),
	CODES(signatures),
	CODES(cert_signatures),
	CODES(crl_signatures),
	CODES(ocsp_signatures),
	TEXTS("ServerCertificateLabel", server_labels),
	TEXTS("HostReferenceIdDNS", host_dns),
	TEXTS("HostReferenceIdCN", host_cn),
	TEXTS("ClientHandshakeSNIList", client_sni_names),
	TEXTS("GSK_LDAP_SERVER", ldap_servers),
	{NULL, POL_TTLS_NAMES, AT(server_sni_names), 0},
};

const unsigned pol_ttls_n_fields = sizeof(pol_ttls_fields) / sizeof(pol_ttls_fields[0]);
