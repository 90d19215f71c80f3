/*
 * The grammar's rows for AT-TLS: every parameter of the TTLS statements of IBM's IP Configuration
 * Reference, for grammar_table.c to name. What is not coded at a connection comes from the
 * environment, then from the group; so only the outermost row of a parameter has a default.
 */
#include "policy/grammar.h"
#include "policy/grammar_rows.h"

#define NEED         "Required|Optional|Off"
#define NO_SSL       "OpenSSL speaks TLS 1.0 and later alone"
#define NO_SSLV2     "OpenSSL has no SSL version 2"
#define NO_3DES      "OpenSSL has no triple DES suites"
#define NO_HMAC      "OpenSSL cannot truncate HMACs; Required closes the rule's connections"
#define NO_SYSPLEX   "sessions are not shared between hosts"
#define NO_ENVFILE   "the TLS library takes no environment variables"
#define BY_OPENSSL   "not coded: the library's own"
#define UNSAFE_RENEG "renegotiation is always that of RFC 5746"
#define SNI_UNHEARD                                                                                \
	"OpenSSL does not tell whether the server knew the name; Required closes the rule's "      \
	"connections"
#define PASSWORD                                                                                   \
	"programs of other users do not get it: without a KeyringStashFile beside it, the rule's " \
	"connections are closed"
#define ORDER "rules of one priority are in the order of their names in ASCII"

const struct pol_param pol_port_range_rows[] = {
	{"Port", POL_K_NUMBERS, .max = 65535, .required = true},
	{0},
};

const struct pol_param pol_port_group_rows[] = {
	{"PortRange", POL_K_BLOCK, .of = "PortRange", .group = "members", .required = true,
	 .repeatable = true},
	{"PortRangeRef", POL_K_REF, .of = "PortRange", .group = "members", .required = true,
	 .repeatable = true},
	{0},
};

const struct pol_param pol_ttls_rule_rows[] = {
	{"LocalAddr", POL_K_ADDRS, .values = "All", .group = "local", .preset = "All",
	 .shown = "Local Address"},
	{"LocalAddrRef", POL_K_REF, .of = "IpAddr", .group = "local", .shown = "Local Address",
	 .shown_evidence = POL_OURS},
	{"LocalAddrSetRef", POL_K_REF, .of = "IpAddrSet", .group = "local",
	 .shown = "Local Address", .shown_evidence = POL_OURS},
	{"LocalAddrGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "local",
	 .shown = "Local Address", .shown_evidence = POL_OURS},
	{"RemoteAddr", POL_K_ADDRS, .values = "All", .group = "remote", .preset = "All",
	 .shown = "Remote Address"},
	{"RemoteAddrRef", POL_K_REF, .of = "IpAddr", .group = "remote", .shown = "Remote Address",
	 .shown_evidence = POL_OURS},
	{"RemoteAddrSetRef", POL_K_REF, .of = "IpAddrSet", .group = "remote",
	 .shown = "Remote Address", .shown_evidence = POL_OURS},
	{"RemoteAddrGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "remote",
	 .shown = "Remote Address", .shown_evidence = POL_OURS},
	{"LocalPortRange", POL_K_NUMBERS, .max = 65535, .group = "local ports", .preset = "0",
	 .shown = "LocalPortFrom|LocalPortTo"},
	{"LocalPortRangeRef", POL_K_REF, .of = "PortRange", .group = "local ports",
	 .shown = "LocalPortRange", .shown_evidence = POL_OURS},
	{"LocalPortGroupRef", POL_K_REF, .of = "PortGroup", .group = "local ports",
	 .shown = "LocalPortGroup", .shown_evidence = POL_OURS},
	{"RemotePortRange", POL_K_NUMBERS, .max = 65535, .group = "remote ports", .preset = "0",
	 .shown = "RemotePortFrom|RemotePortTo"},
	{"RemotePortRangeRef", POL_K_REF, .of = "PortRange", .group = "remote ports",
	 .shown = "RemotePortRange", .shown_evidence = POL_OURS},
	{"RemotePortGroupRef", POL_K_REF, .of = "PortGroup", .group = "remote ports",
	 .shown = "RemotePortGroup", .shown_evidence = POL_OURS},
	{"Jobname", POL_K_TEXT, .shown = "JobName",
	 .note = "up to 32 characters here, without regard to case"},
	{"Userid", POL_K_TEXT, .shown = "UserId",
	 .note = "up to 32 characters here, without regard to case"},
	{"Direction", POL_K_KEYWORD, .values = "Inbound|Outbound|Both", .required = true,
	 .shown = "ServiceDirection"},
	{"Priority", POL_K_NUMBER, .min = 1, .max = 2000000000, .preset = "1",
	 .evidence = POL_FROM_MEMORY, .note = ORDER},
	{"IpTimeCondition", POL_K_BLOCK, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{"IpTimeConditionRef", POL_K_REF, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{"TTLSGroupActionRef", POL_K_REF, .of = "TTLSGroupAction", .required = true},
	{"TTLSEnvironmentActionRef", POL_K_REF, .of = "TTLSEnvironmentAction"},
	{"TTLSConnectionActionRef", POL_K_REF, .of = "TTLSConnectionAction"},
	{0},
};

/* ---- groups ---- */

const struct pol_param pol_ttls_group_action_rows[] = {
	{"TTLSEnabled", POL_K_ONOFF, .required = true},
	{"CtraceClearText", POL_K_ONOFF, .preset = "Off"},
	{"Trace", POL_K_NUMBER, .max = 255, .preset = "2"},
	{"FIPS140", POL_K_KEYWORD, .values = "Off|On|Level1|Level2|Level3", .preset = "Off",
	 .note = "the levels are from memory"},
	{"GroupUserInstance", POL_K_NUMBER, .max = 65535, .evidence = POL_FROM_MEMORY},
	{"TTLSGroupAdvancedParms", POL_K_BLOCK, .of = "TTLSGroupAdvancedParms",
	 .group = "advanced"},
	{"TTLSGroupAdvancedParmsRef", POL_K_REF, .of = "TTLSGroupAdvancedParms",
	 .group = "advanced"},
	{0},
};

const struct pol_param pol_ttls_group_advanced_rows[] = {
	{"SecondaryMap", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"SyslogFacility", POL_K_KEYWORD, .values = "Daemon|Auth", .preset = "Daemon"},
	{"Envfile", POL_K_TEXT, .support = POL_NOTED, .note = NO_ENVFILE},
	{0},
};

/* ---- environments ---- */

const struct pol_param pol_ttls_environment_action_rows[] = {
	{"HandshakeRole", POL_K_KEYWORD, .values = "Client|Server|ServerWithClientAuth",
	 .required = true},
	{"SuiteBProfile", POL_K_KEYWORD, .values = "Off|128|128Min|192|192Min|All",
	 .preset = "Off"},
	{"CtraceClearText", .kind = POL_K_ONOFF},
	{"Trace", POL_K_NUMBER, .max = 255},
	{"EnvironmentUserInstance", POL_K_NUMBER, .max = 65535, .evidence = POL_FROM_MEMORY},
	{"TTLSKeyringParms", POL_K_BLOCK, .of = "TTLSKeyringParms", .group = "keyring",
	 .required = true},
	{"TTLSKeyringParmsRef", POL_K_REF, .of = "TTLSKeyringParms", .group = "keyring",
	 .required = true},
	{"TTLSCipherParms", POL_K_BLOCK, .of = "TTLSCipherParms", .group = "ciphers"},
	{"TTLSCipherParmsRef", POL_K_REF, .of = "TTLSCipherParms", .group = "ciphers"},
	{"TTLSSignatureParms", POL_K_BLOCK, .of = "TTLSSignatureParms", .group = "signatures"},
	{"TTLSSignatureParmsRef", POL_K_REF, .of = "TTLSSignatureParms", .group = "signatures"},
	{"TTLSEnvironmentAdvancedParms", POL_K_BLOCK, .of = "TTLSEnvironmentAdvancedParms",
	 .group = "advanced"},
	{"TTLSEnvironmentAdvancedParmsRef", POL_K_REF, .of = "TTLSEnvironmentAdvancedParms",
	 .group = "advanced"},
	{"TTLSGskAdvancedParms", POL_K_BLOCK, .of = "TTLSGskAdvancedParms", .group = "gsk"},
	{"TTLSGskAdvancedParmsRef", POL_K_REF, .of = "TTLSGskAdvancedParms", .group = "gsk"},
	{0},
};

const struct pol_param pol_ttls_keyring_rows[] = {
	{"Keyring", POL_K_TEXT, .required = true},
	{"KeyringPw", POL_K_TEXT, .secret = true, .note = PASSWORD},
	{"KeyringStashFile", .kind = POL_K_TEXT},
	{0},
};

const struct pol_param pol_ttls_environment_advanced_rows[] = {
	{"SSLv2", POL_K_ONOFF, .preset = "Off", .except = "On", .note = NO_SSL},
	{"SSLv3", POL_K_ONOFF, .preset = "Off", .except = "On", .note = NO_SSL},
	{"TLSv1", POL_K_ONOFF, .preset = "Off", .evidence = POL_OURS,
	 .note = "the original's default is On"},
	{"TLSv1.1", POL_K_ONOFF, .preset = "Off", .evidence = POL_OURS,
	 .note = "the original's default is On"},
	{"TLSv1.2", POL_K_ONOFF, .preset = "On", .evidence = POL_OURS,
	 .note = "the original's default is Off"},
	{"TLSv1.3", POL_K_ONOFF, .preset = "On", .coding_counts = true, .evidence = POL_OURS,
	 .note = "the original's default is Off; only where it is coded are missing suites and "
		 "key share groups told"},
	{"MiddleBoxCompatMode", POL_K_ONOFF, .preset = "Off"},
	{"ApplicationControlled", POL_K_ONOFF, .preset = "Off"},
	{"HandshakeTimeout", POL_K_NUMBER, .max = 600, .preset = "10", .note = "seconds"},
	{"ResetCipherTimer", POL_K_NUMBER, .max = 1440, .preset = "0",
	 .note = "minutes, from memory; 0: never"},
	{"Renegotiation", POL_K_KEYWORD, .values = "Default|Disabled|All|Abbreviated",
	 .preset = "Default", .except = "All", .note = UNSAFE_RENEG},
	{"RenegotiationIndicator", POL_K_KEYWORD, .values = "Optional|Client|Server|Both",
	 .preset = "Optional"},
	{"RenegotiationCertCheck", POL_K_ONOFF, .preset = "Off"},
	{"CertificateLabel", POL_K_TEXT, .group = "label"},
	{"ServerCertificateLabel", POL_K_TEXT, .group = "label", .repeatable = true},
	{"ClientAuthType", POL_K_KEYWORD, .values = "PassThru|Full|Required|SAFCheck",
	 .preset = "Required", .coding_counts = true,
	 .note = "where it is coded in another role than ServerWithClientAuth, a warning says "
		 "that it has no effect"},
	{"SecondaryMap", .kind = POL_K_ONOFF},
	{"TruncatedHMAC", POL_K_KEYWORD, .values = NEED, .preset = "Off",
	 .except = "Required|Optional", .note = NO_HMAC},
	{"CertValidationMode", POL_K_KEYWORD, .values = "Any|RFC2459|RFC3280|RFC5280",
	 .preset = "Any"},
	{"ClientMaxSSLFragment", POL_K_KEYWORD, .values = NEED, .preset = "Off"},
	{"ClientMaxSSLFragmentLength", POL_K_KEYWORD, .values = "512|1024|2048|4096",
	 .preset = "512", .evidence = POL_FROM_MEMORY},
	{"ServerMaxSSLFragment", POL_K_KEYWORD, .values = NEED, .preset = "Off",
	 .note = "with Off, a client that asks for it gets it all the same"},
	{"ClientHandshakeSNI", POL_K_KEYWORD, .values = NEED, .preset = "Off"},
	{"ClientHandshakeSNIMatch", POL_K_KEYWORD, .values = "Required|Optional",
	 .preset = "Optional", .evidence = POL_FROM_MEMORY, .except = "Required",
	 .note = SNI_UNHEARD},
	{"ClientHandshakeSNIList", POL_K_TEXT, .repeatable = true},
	{"ServerHandshakeSNI", POL_K_KEYWORD, .values = NEED, .preset = "Off"},
	{"ServerHandshakeSNIMatch", POL_K_KEYWORD, .values = "Required|Optional",
	 .preset = "Optional", .evidence = POL_FROM_MEMORY},
	{"ServerHandshakeSNIList", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY,
	 .note = "a name, and the label of its certificate where it has one of its own"},
	{"3DesKeyCheck", POL_K_ONOFF, .preset = "Off", .support = POL_NOTED, .note = NO_3DES},
	{"ClientEDHGroupSize", POL_K_KEYWORD, .values = "Legacy|2048", .preset = "Legacy"},
	{"ServerEDHGroupSize", POL_K_KEYWORD, .values = "Legacy|2048|Match", .preset = "Legacy",
	 .note = "Legacy is 2048 bits, too"},
	{"PeerMinCertVersion", POL_K_KEYWORD, .values = "Any|3", .preset = "Any"},
	{"PeerMinDHKeySize", POL_K_NUMBER, .max = 2048, .preset = "1024"},
	{"PeerMinDsaKeySize", POL_K_NUMBER, .max = 2048, .preset = "1024"},
	{"PeerMinECCKeySize", POL_K_NUMBER, .max = 521, .preset = "192"},
	{"PeerMinRsaKeySize", POL_K_NUMBER, .max = 4096, .preset = "1024",
	 .evidence = POL_FROM_MEMORY},
	{"ServerScsv", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY,
	 .note = "here always as if On"},
	{"ClientExtendedMasterSecret", POL_K_KEYWORD, .values = "Required|On|Off", .preset = "On",
	 .evidence = POL_FROM_MEMORY},
	{"ServerExtendedMasterSecret", POL_K_KEYWORD, .values = "Required|On|Off", .preset = "On",
	 .evidence = POL_FROM_MEMORY},
	{"HostReferenceIdDNS", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"HostReferenceIdCN", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"HostRefWildcardValidation", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{0},
};

/* ---- connections ---- */

const struct pol_param pol_ttls_connection_action_rows[] = {
	{"HandshakeRole", POL_K_KEYWORD, .values = "Client|Server|ServerWithClientAuth"},
	{"CtraceClearText", .kind = POL_K_ONOFF},
	{"Trace", POL_K_NUMBER, .max = 255},
	{"ConnectionUserInstance", POL_K_NUMBER, .max = 65535, .evidence = POL_FROM_MEMORY},
	{"TTLSCipherParms", POL_K_BLOCK, .of = "TTLSCipherParms", .group = "ciphers"},
	{"TTLSCipherParmsRef", POL_K_REF, .of = "TTLSCipherParms", .group = "ciphers"},
	{"TTLSSignatureParms", POL_K_BLOCK, .of = "TTLSSignatureParms", .group = "signatures"},
	{"TTLSSignatureParmsRef", POL_K_REF, .of = "TTLSSignatureParms", .group = "signatures"},
	{"TTLSConnectionAdvancedParms", POL_K_BLOCK, .of = "TTLSConnectionAdvancedParms",
	 .group = "advanced"},
	{"TTLSConnectionAdvancedParmsRef", POL_K_REF, .of = "TTLSConnectionAdvancedParms",
	 .group = "advanced"},
	{0},
};

const struct pol_param pol_ttls_connection_advanced_rows[] = {
	{"SSLv2", POL_K_ONOFF, .except = "On", .note = NO_SSL},
	{"SSLv3", POL_K_ONOFF, .except = "On", .note = NO_SSL},
	{"TLSv1", .kind = POL_K_ONOFF},
	{"TLSv1.1", .kind = POL_K_ONOFF},
	{"TLSv1.2", .kind = POL_K_ONOFF},
	{"TLSv1.3", .kind = POL_K_ONOFF},
	{"MiddleBoxCompatMode", POL_K_ONOFF, .evidence = POL_FROM_MEMORY},
	{"ApplicationControlled", .kind = POL_K_ONOFF},
	{"HandshakeTimeout", POL_K_NUMBER, .max = 600, .note = "seconds"},
	{"ResetCipherTimer", POL_K_NUMBER, .max = 1440, .note = "minutes, from memory; 0: never"},
	{"CertificateLabel", POL_K_TEXT, .group = "label"},
	{"ServerCertificateLabel", POL_K_TEXT, .group = "label", .repeatable = true,
	 .evidence = POL_FROM_MEMORY},
	{"SecondaryMap", .kind = POL_K_ONOFF},
	{"TruncatedHMAC", POL_K_KEYWORD, .values = NEED, .except = "Required|Optional",
	 .note = NO_HMAC},
	{"ClientMaxSSLFragment", POL_K_KEYWORD, .values = NEED},
	{"ClientMaxSSLFragmentLength", POL_K_KEYWORD, .values = "512|1024|2048|4096"},
	{"ServerMaxSSLFragment", POL_K_KEYWORD, .values = NEED, .evidence = POL_FROM_MEMORY},
	{"ClientHandshakeSNI", POL_K_KEYWORD, .values = NEED, .evidence = POL_FROM_MEMORY},
	{"ClientHandshakeSNIMatch", POL_K_KEYWORD, .values = "Required|Optional",
	 .evidence = POL_FROM_MEMORY, .except = "Required", .note = SNI_UNHEARD},
	{"ClientHandshakeSNIList", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"ServerHandshakeSNI", POL_K_KEYWORD, .values = NEED, .evidence = POL_FROM_MEMORY},
	{"ServerHandshakeSNIMatch", POL_K_KEYWORD, .values = "Required|Optional",
	 .evidence = POL_FROM_MEMORY},
	{"ServerHandshakeSNIList", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY,
	 .note = "a name, and the label of its certificate where it has one of its own"},
	{"HostReferenceIdDNS", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"HostReferenceIdCN", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"HostRefWildcardValidation", POL_K_ONOFF, .evidence = POL_FROM_MEMORY},
	{0},
};

/* ---- algorithms ---- */

const struct pol_param pol_ttls_cipher_parms_rows[] = {
	{"V2CipherSuites", POL_K_TEXT, .repeatable = true, .support = POL_NOTED, .note = NO_SSLV2},
	{"V3CipherSuites", POL_K_TEXT, .group = "suites", .repeatable = true},
	{"V3CipherSuites4Char", POL_K_TEXT, .group = "suites", .repeatable = true},
	{0},
};

const struct pol_param pol_ttls_signature_parms_rows[] = {
	{"ClientECurves", POL_K_TEXT, .repeatable = true, .note = BY_OPENSSL},
	{"ServerKexECurves", POL_K_TEXT, .repeatable = true, .note = BY_OPENSSL},
	{"ClientKeyShareGroups", POL_K_TEXT, .repeatable = true, .note = BY_OPENSSL},
	{"ServerKeyShareGroups", POL_K_TEXT, .repeatable = true, .note = BY_OPENSSL},
	{"SignaturePairs", POL_K_TEXT, .repeatable = true, .note = BY_OPENSSL},
	{"SignaturePairsCert", POL_K_TEXT, .repeatable = true,
	 .note = "not coded: as SignaturePairs"},
	{0},
};

/* ---- the TLS library: sessions and revocation ---- */

const struct pol_param pol_ttls_gsk_advanced_rows[] = {
	{"GSK_V2_SESSION_TIMEOUT", POL_K_NUMBER, .max = 100, .preset = "100", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = NO_SSLV2},
	{"GSK_V2_SIDCACHE_SIZE", POL_K_NUMBER, .max = 32000, .preset = "256", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = NO_SSLV2},
	{"GSK_V3_SESSION_TIMEOUT", POL_K_NUMBER, .max = 86400, .preset = "86400",
	 .note = "seconds"},
	{"GSK_V3_SIDCACHE_SIZE", POL_K_NUMBER, .max = 64000, .preset = "512",
	 .evidence = POL_FROM_MEMORY},
	{"GSK_SYSPLEX_SIDCACHE", POL_K_ONOFF, .preset = "Off", .except = "On", .note = NO_SYSPLEX},
	{"GSK_SYSPLEX_SESSION_TICKET_CACHE", POL_K_ONOFF, .preset = "Off",
	 .evidence = POL_FROM_MEMORY, .except = "On", .note = NO_SYSPLEX},
	{"GSK_SESSION_TICKET_CLIENT_ENABLE", POL_K_ONOFF, .preset = "On"},
	{"GSK_SESSION_TICKET_CLIENT_MAXSIZE", POL_K_NUMBER, .max = 4294967295, .preset = "8192",
	 .note = "octets"},
	{"GSK_SESSION_TICKET_CLIENT_MAXCACHED", POL_K_NUMBER, .max = 4294967295, .preset = "0",
	 .evidence = POL_FROM_MEMORY, .note = "0: as many as the cache has room for"},
	{"GSK_SESSION_TICKET_SERVER_ENABLE", POL_K_ONOFF, .preset = "On"},
	{"GSK_SESSION_TICKET_SERVER_ALGORITHM", POL_K_KEYWORD, .values = "AESCBC128|AESCBC256",
	 .preset = "AESCBC128"},
	{"GSK_SESSION_TICKET_SERVER_COUNT", POL_K_NUMBER, .max = 65535, .preset = "2"},
	{"GSK_SESSION_TICKET_SERVER_KEY_REFRESH", POL_K_NUMBER, .max = 4294967295, .preset = "300",
	 .note = "seconds"},
	{"GSK_SESSION_TICKET_SERVER_TIMEOUT", POL_K_NUMBER, .max = 4294967295, .preset = "300",
	 .note = "seconds"},
	{"AIACDPPriority", POL_K_ONOFF, .preset = "On", .evidence = POL_FROM_MEMORY},
	{"MaxSrcRevExtLocValues", POL_K_NUMBER, .max = 4294967295, .preset = "10",
	 .evidence = POL_FROM_MEMORY},
	{"MaxValidRevExtLocValues", POL_K_NUMBER, .max = 4294967295, .preset = "100",
	 .evidence = POL_FROM_MEMORY},
	{"RevocationSecurityLevel", POL_K_KEYWORD, .values = "Low|Medium|High", .preset = "Medium",
	 .evidence = POL_FROM_MEMORY},
	{"CrlSigAlgPairs", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{"TTLSGskLdapParms", POL_K_BLOCK, .of = "TTLSGskLdapParms", .group = "ldap"},
	{"TTLSGskLdapParmsRef", POL_K_REF, .of = "TTLSGskLdapParms", .group = "ldap"},
	{"TTLSGskOcspParms", POL_K_BLOCK, .of = "TTLSGskOcspParms", .group = "ocsp"},
	{"TTLSGskOcspParmsRef", POL_K_REF, .of = "TTLSGskOcspParms", .group = "ocsp"},
	{"TTLSGskHttpCdpParms", POL_K_BLOCK, .of = "TTLSGskHttpCdpParms", .group = "http"},
	{"TTLSGskHttpCdpParmsRef", POL_K_REF, .of = "TTLSGskHttpCdpParms", .group = "http"},
	{0},
};

const struct pol_param pol_ttls_gsk_ldap_rows[] = {
	{"GSK_LDAP_SERVER", POL_K_TEXT, .required = true, .repeatable = true,
	 .note = "a host, and behind a colon its port"},
	{"GSK_LDAP_SERVER_PORT", POL_K_NUMBER, .min = 1, .max = 65535, .preset = "389"},
	{"GSK_LDAP_USER", .kind = POL_K_TEXT},
	{"GSK_LDAP_USER_PW", POL_K_TEXT, .secret = true},
	{"GSK_CRL_CACHE_TIMEOUT", POL_K_NUMBER, .max = 720, .preset = "24",
	 .evidence = POL_FROM_MEMORY, .note = "hours"},
	{"GSK_CRL_SECURITY_LEVEL", POL_K_KEYWORD, .values = "Low|Medium|High", .preset = "Medium",
	 .evidence = POL_FROM_MEMORY},
	{"LDAPResponseTimeout", POL_K_NUMBER, .max = 43200, .preset = "15",
	 .evidence = POL_FROM_MEMORY, .note = "seconds"},
	{"CRLCacheSize", POL_K_NUMBER, .max = 32000, .preset = "32", .evidence = POL_FROM_MEMORY},
	{"CRLCacheEntryMaxsize", POL_K_NUMBER, .max = 4294967295, .preset = "0",
	 .evidence = POL_FROM_MEMORY, .note = "octets; 0: no limit"},
	{"CRLCacheExtended", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"CRLCacheTempCRL", POL_K_ONOFF, .preset = "On", .evidence = POL_FROM_MEMORY},
	{"CRLCacheTempCRLTimeout", POL_K_NUMBER, .max = 720, .preset = "24",
	 .evidence = POL_FROM_MEMORY, .note = "hours"},
	{0},
};

const struct pol_param pol_ttls_gsk_ocsp_rows[] = {
	{"OcspUrl", .kind = POL_K_TEXT},
	{"OcspAiaEnable", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"OcspUrlPriority", POL_K_ONOFF, .preset = "On", .evidence = POL_FROM_MEMORY},
	{"OcspProxyServerName", .kind = POL_K_TEXT},
	{"OcspProxyServerPort", POL_K_NUMBER, .min = 1, .max = 65535, .preset = "80",
	 .evidence = POL_FROM_MEMORY},
	{"OcspRetrieveViaGet", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"OcspRequestSigkeylabel", .kind = POL_K_TEXT},
	{"OcspRequestSigalg", POL_K_TEXT, .preset = "0401", .evidence = POL_FROM_MEMORY},
	{"OcspResponseSigAlgPairs", POL_K_TEXT, .repeatable = true},
	{"OcspServerStapling", POL_K_KEYWORD, .values = "Off|Any|EndEntity", .preset = "Off",
	 .evidence = POL_FROM_MEMORY},
	{"OcspClientCacheSize", POL_K_NUMBER, .max = 32000, .preset = "256",
	 .evidence = POL_FROM_MEMORY},
	{"OcspCliCacheEntryMaxsize", POL_K_NUMBER, .max = 32000, .preset = "0",
	 .evidence = POL_FROM_MEMORY, .note = "0: no limit"},
	{"OcspNonceGenEnable", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"OcspNonceCheckEnable", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"OcspNonceSize", POL_K_NUMBER, .min = 8, .max = 256, .preset = "8",
	 .evidence = POL_FROM_MEMORY},
	{"OcspResponseTimeout", POL_K_NUMBER, .max = 43200, .preset = "15",
	 .evidence = POL_FROM_MEMORY, .note = "seconds"},
	{"OcspMaxResponseSize", POL_K_NUMBER, .max = 4294967295, .preset = "20480",
	 .evidence = POL_FROM_MEMORY, .note = "octets; 0: no limit"},
	{0},
};

const struct pol_param pol_ttls_gsk_http_rows[] = {
	{"HttpCdpEnable", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"HttpCdpProxyServerName", POL_K_TEXT, .evidence = POL_FROM_MEMORY},
	{"HttpCdpProxyServerPort", POL_K_NUMBER, .min = 1, .max = 65535, .preset = "80",
	 .evidence = POL_FROM_MEMORY},
	{"HttpCdpResponseTimeout", POL_K_NUMBER, .max = 43200, .preset = "15",
	 .evidence = POL_FROM_MEMORY, .note = "seconds"},
	{"HttpCdpMaxResponseSize", POL_K_NUMBER, .max = 4294967295, .preset = "204800",
	 .evidence = POL_FROM_MEMORY, .note = "octets; 0: no limit"},
	{"HttpCdpCacheSize", POL_K_NUMBER, .max = 32000, .preset = "32",
	 .evidence = POL_FROM_MEMORY},
	{"HttpCdpCacheEntryMaxsize", POL_K_NUMBER, .max = 4294967295, .preset = "0",
	 .evidence = POL_FROM_MEMORY, .note = "octets; 0: no limit"},
	{0},
};
