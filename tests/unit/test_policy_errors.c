/*
 * Every validation error of the policy language: a small text, the line and the words of the one
 * finding that it must give. A number is the condition's in the list of
 * validation errors, section 6 of the statement reference.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_text.h"
#include "tests/unit/run_suite.h"

/* A policy without fault, with objects that the cases use; the case's text comes behind it. */
static const char base[] = "IpFilterPolicy\n{\n IpFilterRuleRef r0\n}\n"
			   "IpFilterRule r0\n{\n IpGenericFilterActionRef permit\n}\n"
			   "IpGenericFilterAction permit\n{\n IpFilterAction Permit\n}\n"
			   "IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
			   "IpDataOffer do\n{\n}\n"
			   "IpDynVpnAction dyn\n{\n IpDataOfferRef do\n}\n"
			   "KeyExchangeOffer psk\n{\n HowToAuthPeers PresharedKey\n}\n"
			   "KeyExchangeAction ka\n{\n KeyExchangeOfferRef psk\n}\n"
			   "LocalSecurityEndpoint le\n{\n Identity IpAddr 192.0.2.1\n}\n"
			   "RemoteSecurityEndpoint re\n{\n Identity IpAddr 192.0.2.2\n}\n";

#define FIPS                                                                                       \
	"IpFilterPolicy\n{\nFIPS140 Yes\nIpFilterRuleRef r\n}\n"                                   \
	"IpFilterRule r\n{\nIpGenericFilterActionRef p\n}\n"                                       \
	"IpGenericFilterAction p\n{\nIpFilterAction Permit\n}\n"
#define RULE(body) "IpFilterRule r\n{\nIpGenericFilterActionRef permit\n" body "\n}\n"
#define VPN_RULE(body)                                                                             \
	"IpFilterRule r\n{\nIpGenericFilterActionRef ipsec\nIpDynVpnActionRef dyn\n" body "\n}\n"
#define SERVICE(body) "IpService s\n{\n" body "\n}\n"
#define OFFER(body)   "IpDataOffer o\n{\n" body "\n}\n"
#define KE_RULE(body)                                                                              \
	"KeyExchangeRule k\n{\nLocalSecurityEndpointRef le\nRemoteSecurityEndpointRef re\n"        \
	"KeyExchangeActionRef ka\n" body "\n}\n"
#define REMOTE(body) "RemoteSecurityEndpoint e\n{\n" body "\n}\n"
#define LOCAL(body)  "LocalSecurityEndpoint e\n{\n" body "\n}\n"

/* Keys of manual tunnels, and whole ones. */
#define K128     "0123456789abcdef0123456789ABCDEF"
#define K160     K128 "01234567"
#define K192     K128 "0123456789abcdef"
#define AUTH_SAS "AuthInboundSa 300 " K160 "\nAuthOutboundSa 300 " K160 "\n"
#define ENC_SAS  "EncryptInboundSa 300 " K128 "\nEncryptOutboundSa 300 " K128 "\n"
#define MAN_SAS  AUTH_SAS ENC_SAS
#define MANUAL(body)                                                                               \
	"IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\n"                               \
	"RemoteSecurityEndpointAddr 192.0.2.2\n" body "\n}\n"
#define MANUAL_N(name, remote)                                                                     \
	"IpManVpnAction " name "\n{\nLocalSecurityEndpointAddr 192.0.2.1\n"                        \
	"RemoteSecurityEndpointAddr " remote "\n" MAN_SAS "\n}\n"
#define MANUAL_ANY(local, remote, mode)                                                            \
	"IpManVpnAction m\n{\nLocalSecurityEndpointAddr " local                                    \
	"\nRemoteSecurityEndpointAddr " remote "\nHowToEncap " mode "\n" MAN_SAS "\n}\n"
#define MAN_POLICY "IpFilterPolicy\n{\nIpFilterRuleRef r\nIpFilterRuleRef s\n}\n"
#define MAN_RULE(name, action, src, dst)                                                           \
	"IpFilterRule " name "\n{\nIpGenericFilterActionRef ipsec\n"                               \
	"IpSourceAddr " src "\nIpManVpnActionRef " action "\nIpDestAddr " dst "\n}\n"
#define IPSEC_ACTION "IpGenericFilterAction ipsec\n{\nIpFilterAction IpSec\n}\n"

enum where { AFTER_BASE, ALONE }; /* in this file, behind `base` or by itself */

static const struct {
	unsigned number;
	const char *text;
	unsigned line; /* of text */
	const char *attribute, *words;
	enum where where;
	enum pol_severity severity;
} cases[] = {
	{1, SERVICE("Protokol Tcp"), 3, "Protokol", "unknown attribute; did you mean Protocol?",
	 AFTER_BASE, POL_ERROR},
	{2, "IpFilterRul x\n{\n Protocol All\n}\n", 1, "IpFilterRul",
	 "unknown statement; did you mean IpFilterRule?", AFTER_BASE, POL_ERROR},
	{2, "Zzz\n{\n{\n}\n}\n", 1, "Zzz", "unknown statement", AFTER_BASE, POL_ERROR},
	{3, "IpService s {\n Protocol Tcp\n}\n", 1, "", "'{' does not stand alone", AFTER_BASE,
	 POL_ERROR},
	{3, "IpService s { Protocol Tcp }\n", 1, "", "'{' does not stand alone", AFTER_BASE,
	 POL_ERROR},
	{3, SERVICE("Protocol Tcp\n}\nIpService t { Protocol Tcp }\nIpService v\n{"), 5, "",
	 "'{' does not stand alone", AFTER_BASE, POL_ERROR},
	{3, "IpService s\n Protocol Tcp\n}\n", 1, "", "'{' is missing", AFTER_BASE, POL_ERROR},
	{3, "IpService s\n{\n Protocol Tcp }\n", 3, "Protocol", "'}' does not stand alone",
	 AFTER_BASE, POL_ERROR},
	{3, "IpService s\n{\n Protocol Tcp\n} # fine\nIpService t\n{ Protocol Tcp\n}\n", 6, "",
	 "'{' does not stand alone", AFTER_BASE, POL_ERROR},
	{4, "IpService s\n{\n Protocol Tcp\n", 3, "", "the file ends inside the block", AFTER_BASE,
	 POL_ERROR},
	{4, "}\n", 1, "", "'}' closes no block", AFTER_BASE, POL_ERROR},
	{4, "IpService s\n{\nIpService t\n{\n}\n", 3, "IpService", "a '}' seems to be missing",
	 AFTER_BASE, POL_ERROR},
	{4,
	 "IpFilterRule r\n{\nIpGenericFilterActionRef permit\nIpDynVpnAction d\n{\nIpDataOfferRef "
	 "do\n}\n}\n",
	 4, "IpDynVpnAction", "and IpDynVpnActionRef names it; or a '}' is missing", AFTER_BASE,
	 POL_ERROR},
	{4, "{\n}\n", 1, "", "'{' follows no statement", AFTER_BASE, POL_ERROR},
	{5, SERVICE("Protocol"), 3, "Protocol", "the value is missing", AFTER_BASE, POL_ERROR},
	{6, SERVICE("Routing Anywhere"), 3, "Routing", "'Anywhere' is not one of Local|Routed",
	 AFTER_BASE, POL_ERROR},
	{6, SERVICE("FragmentsOnly Maybe"), 3, "FragmentsOnly", "'Maybe' is not one of Yes|No",
	 AFTER_BASE, POL_ERROR},
	{6, SERVICE("Protocol Foo"), 3, "Protocol", "'Foo' is not a number and not one of All|Tcp",
	 AFTER_BASE, POL_ERROR},
	{7, SERVICE("SecurityClass one"), 3, "SecurityClass", "'one' is not a number", AFTER_BASE,
	 POL_ERROR},
	{7, SERVICE("SecurityClass 4294967296"), 3, "SecurityClass", "up to 4294967295", AFTER_BASE,
	 POL_ERROR},
	{8, "IpDynVpnAction d\n{\nIpDataOfferRef do\nVpnLife 10000\n}\n", 4, "VpnLife",
	 "10000 is out of range: 0 to 9999", AFTER_BASE, POL_ERROR},
	{9, "IpService a23456789b123456789c123456789012x\n{\n}\n", 1, "",
	 "the name is longer than 32 characters", AFTER_BASE, POL_ERROR},
	{10, "IpFilterGroup -g\n{\nIpFilterRuleRef r0\n}\n", 1, "", "must not begin with '-'",
	 AFTER_BASE, POL_ERROR},
	{10, "IpFilterGroup g,h\n{\nIpFilterRuleRef r0\n}\n", 1, "", "must not contain ','",
	 AFTER_BASE, POL_ERROR},
	{11, "IpService\n{\n}\n", 1, "", "a name is required", AFTER_BASE, POL_ERROR},
	{11,
	 "IpFilterPolicy\n{\nIpFilterRule\n{\nIpGenericFilterActionRef p\n}\n}\n"
	 "IpGenericFilterAction p\n{\nIpFilterAction Permit\n}\n",
	 3, "", "a name is required", ALONE, POL_ERROR},
	{12, "KeyExchangePolicy some-name\n{\n}\n", 1, "", "'some-name' is ignored", AFTER_BASE,
	 POL_WARNING},
	{13, RULE("IpServiceRef nowhere"), 4, "IpServiceRef", "no IpService has the name 'nowhere'",
	 AFTER_BASE, POL_ERROR},
	{13, RULE("IpServiceRef do"), 4, "IpServiceRef", "no IpService has the name 'do'",
	 AFTER_BASE, POL_ERROR},
	{14, RULE("IpServiceRef bad") "IpService bad\n{\nRouting No\n}\n", 4, "IpServiceRef",
	 "IpService bad has errors", AFTER_BASE, POL_NOTE},
	{15, RULE("IpSourceAddr 192.0.2.1\nIpSourceAddrRef a") "IpAddr a\n{\nAddr 192.0.2.1\n}\n",
	 5, "IpSourceAddrRef", "it conflicts with IpSourceAddr on line", AFTER_BASE, POL_ERROR},
	{16, "IpDataOffer do\n{\n}\n", 1, "", "it replaces the one on line", AFTER_BASE,
	 POL_WARNING},
	{16, SERVICE("Routing Local\nRouting Routed"), 4, "Routing", "it replaces the one on line",
	 AFTER_BASE, POL_WARNING},
	{17, "IpService s\n{\n}\n", 1, "IpFilterPolicy", "it is required, and no file has it",
	 ALONE, POL_ERROR},
	{18, "IpFilterPolicy\n{\n}\n", 1, "", "at least one is required: IpFilterRule", ALONE,
	 POL_ERROR},
	{19, "IpFilterGroup g\n{\n}\n", 1, "", "at least one is required", AFTER_BASE, POL_ERROR},
	{19, "KeyExchangeGroup g\n{\n}\n", 1, "", "at least one is required", AFTER_BASE,
	 POL_ERROR},
	{19, "LocalDynVpnGroup g\n{\n}\n", 1, "", "at least one is required", AFTER_BASE,
	 POL_ERROR},
	{19, "IpServiceGroup g\n{\n}\n", 1, "", "at least one is required", AFTER_BASE, POL_ERROR},
	{19, "IpAddrGroup g\n{\n}\n", 1, "", "at least one is required: IpAddr, IpAddrRef",
	 AFTER_BASE, POL_ERROR},
	{20, "IpFilterRule r\n{\n}\n", 1, "IpGenericFilterActionRef", "it is required", AFTER_BASE,
	 POL_ERROR},
	{21, "IpFilterRule r\n{\nIpGenericFilterActionRef ipsec\n}\n", 1, "IpDynVpnActionRef",
	 "it is required: the rule's action is IpSec", AFTER_BASE, POL_ERROR},
	{22, VPN_RULE("IpManVpnActionRef m"), 5, "IpManVpnActionRef",
	 "it excludes IpDynVpnActionRef", AFTER_BASE, POL_ERROR},
	{23, RULE("IpDynVpnActionRef dyn"), 4, "IpDynVpnActionRef",
	 "the rule's action is not IpSec", AFTER_BASE, POL_ERROR},
	{24, RULE("IpLocalStartActionRef s") "IpLocalStartAction s\n{\n}\n", 4,
	 "IpLocalStartActionRef", "it needs IpDynVpnActionRef", AFTER_BASE, POL_ERROR},
	{25, "IpGenericFilterAction a\n{\nIpFilterAction Deny\nIpFilterLogging LogPermit\n}\n", 4,
	 "IpFilterLogging", "apply to action IpSec alone", AFTER_BASE, POL_ERROR},
	{26, "IpGenericFilterAction a\n{\n}\n", 1, "IpFilterAction", "it is required", AFTER_BASE,
	 POL_ERROR},
	{27, RULE("IpSourceAddr 192.0.2.1\nIpDestAddr 2001:db8::1"), 5, "IpDestAddr",
	 "of different IP families", AFTER_BASE, POL_ERROR},
	{27, RULE("IpDestAddr 2001:db8::1"), 4, "IpDestAddr", "IpSourceAddr is not coded",
	 AFTER_BASE, POL_ERROR},
	{27,
	 RULE("IpSourceAddrGroupRef g") "IpAddrGroup g\n{\nIpAddr\n{\nAddr 192.0.2.1\n}\n"
					"IpAddr\n{\nAddr ::1\n}\n}\n",
	 4, "IpSourceAddrGroupRef", "the addresses are of both IP families", AFTER_BASE, POL_ERROR},
	{28, RULE("IpSourceAddr 192.0.2.0/33"), 4, "IpSourceAddr", "'33' is not a prefix length",
	 AFTER_BASE, POL_ERROR},
	{28, RULE("IpSourceAddr 2001:db8::/129"), 4, "IpSourceAddr", "'129' is not a prefix length",
	 AFTER_BASE, POL_ERROR},
	{29, RULE("IpSourceAddr 192.0.2.9-192.0.2.1"), 4, "IpSourceAddr", "ends before it starts",
	 AFTER_BASE, POL_ERROR},
	{29, RULE("IpSourceAddr 192.0.2.9-2001:db8::1"), 4, "IpSourceAddr",
	 "mixes address families", AFTER_BASE, POL_ERROR},
	{30, RULE("IpSourceAddr 192.0.2.1:192.0.2.9"), 4, "IpSourceAddr", "separated by '-' alone",
	 AFTER_BASE, POL_ERROR},
	{30, RULE("IpSourceAddr 192.0.2.1 192.0.2.9"), 4, "IpSourceAddr", "separated by '-' alone",
	 AFTER_BASE, POL_ERROR},
	{30, RULE("IpSourceAddr 192.0.2.1 - 192.0.2.9"), 4, "IpSourceAddr",
	 "separated by '-' alone", AFTER_BASE, POL_ERROR},
	{31, SERVICE("Protocol Tcp\nSourcePortRange 1:5-7"), 4, "SourcePortRange",
	 "mixes delimiters", AFTER_BASE, POL_ERROR},
	{31, SERVICE("Protocol Tcp\nSourcePortRange 1 -7"), 4, "SourcePortRange",
	 "mixes delimiters", AFTER_BASE, POL_ERROR},
	{31, SERVICE("Protocol Tcp\nSourcePortRange 1 5-7"), 4, "SourcePortRange",
	 "mixes delimiters", AFTER_BASE, POL_ERROR},
	{32, SERVICE("Protocol Udp\nDestinationPortRange 7 5"), 4, "DestinationPortRange",
	 "ends before it starts", AFTER_BASE, POL_ERROR},
	{32, SERVICE("Protocol Udp\nDestinationPortRange 65536"), 4, "DestinationPortRange",
	 "65536 is out of range", AFTER_BASE, POL_ERROR},
	{33, SERVICE("Protocol Icmp\nSourcePortRange 5"), 4, "SourcePortRange",
	 "it applies to protocols Tcp and Udp alone", AFTER_BASE, POL_ERROR},
	{33, SERVICE("DestinationPortRange 5"), 3, "DestinationPortRange",
	 "it applies to protocols Tcp and Udp alone", AFTER_BASE, POL_ERROR},
	{34, SERVICE("Protocol Tcp\nType 5"), 4, "Type", "Icmp, Icmpv6, Ospf and MIPv6 alone",
	 AFTER_BASE, POL_ERROR},
	{34, SERVICE("Protocol Ospf\nType 5\nCode 0"), 5, "Code", "Icmp and Icmpv6 alone",
	 AFTER_BASE, POL_ERROR},
	{35, SERVICE("Protocol Icmp\nCode 0"), 4, "Code", "a code needs a Type", AFTER_BASE,
	 POL_ERROR},
	{35, SERVICE("Protocol Icmp\nType Any\nCode 0"), 5, "Code", "a code needs a Type",
	 AFTER_BASE, POL_ERROR},
	{36, RULE("IpService\n{\nProtocol Icmp\n}\nIpSourceAddr All6\nIpDestAddr All6"), 4,
	 "IpService", "Icmp with IPv6", AFTER_BASE, POL_ERROR},
	{36, RULE("IpService\n{\nProtocol 58\n}"), 4, "IpService", "Icmpv6 with IPv4", AFTER_BASE,
	 POL_ERROR},
	{36, RULE("IpService\n{\nProtocol MIPv6\n}"), 4, "IpService", "MIPv6 with IPv4", AFTER_BASE,
	 POL_ERROR},
	{36, RULE("IpService\n{\nProtocol Opaque\nRouting Either\n}"), 4, "IpService",
	 "Opaque with IPv4", AFTER_BASE, POL_ERROR},
	{37, SERVICE("Protocol Udp\nDirection Bidirectional InboundConnect"), 4, "Direction",
	 "apply to protocol Tcp alone", AFTER_BASE, POL_ERROR},
	{37, SERVICE("Protocol Tcp\nDirection Inbound InboundConnect"), 4, "Direction",
	 "need Bidirectional", AFTER_BASE, POL_ERROR},
	{38, SERVICE("Protocol Tcp\nDestinationPortRange 80\nRouting Routed"), 4,
	 "DestinationPortRange", "must not be coded for routed traffic", AFTER_BASE, POL_ERROR},
	{38, SERVICE("Protocol Icmp\nType 8\nRouting Either"), 4, "Type",
	 "must not be coded for routed traffic", AFTER_BASE, POL_ERROR},
	{39, SERVICE("SecurityClass 256"), 3, "SecurityClass", "256 is out of range: 0 to 255",
	 AFTER_BASE, POL_ERROR},
	{40, VPN_RULE("IpService\n{\nDirection Inbound\n}"), 5, "IpService",
	 "needs Direction Bidirectional", AFTER_BASE, POL_ERROR},
	{41, "IpDynVpnAction d\n{\n}\n", 1, "", "at least one is required: IpDataOffer", AFTER_BASE,
	 POL_ERROR},
	{42, "IpDynVpnAction d\n{\nIpDataOfferRef do\nPfs Group2\nInitiateWithPfs Group2\n}\n", 4,
	 "Pfs", "it excludes InitiateWithPfs and AcceptablePfs", AFTER_BASE, POL_ERROR},
	{43,
	 "IpDynVpnAction d\n{\nIpDataOfferRef do\nInitiateWithPfs Group2\nAcceptablePfs "
	 "Group5\n}\n",
	 4, "InitiateWithPfs", "is not among those of AcceptablePfs", AFTER_BASE, POL_ERROR},
	{43, "IpDynVpnAction d\n{\nIpDataOfferRef do\nAcceptablePfs Group5\n}\n", 4,
	 "InitiateWithPfs", "its default, None, is not among", AFTER_BASE, POL_ERROR},
	{44, FIPS "IpDynVpnAction d\n{\nInitiateWithPfs Group1\nIpDataOffer\n{\n}\n}\n", 16,
	 "InitiateWithPfs", "Group1 is not allowed with FIPS140 Yes", ALONE, POL_ERROR},
	{44, FIPS "KeyExchangeOffer o\n{\nDHGroup Group1\nHowToAuthPeers PresharedKey\n}\n", 16,
	 "DHGroup", "Group1 is not allowed with FIPS140 Yes", ALONE, POL_ERROR},
	{45, FIPS "KeyExchangeOffer o\n{\nHowToAuthMsgs MD5\nHowToAuthPeers PresharedKey\n}\n", 16,
	 "HowToAuthMsgs", "MD5 is not allowed with FIPS140 Yes", ALONE, POL_ERROR},
	{45, FIPS "IpDataOffer o\n{\nHowToAuth ESP HMAC_MD5\n}\n", 16, "HowToAuth",
	 "HMAC_MD5 is not allowed with FIPS140 Yes", ALONE, POL_ERROR},
	{45, FIPS "IpDataOffer o\n{\nHowToEncrypt DES\n}\n", 16, "HowToEncrypt", "DES is not",
	 ALONE, POL_ERROR},
	{46, OFFER("HowToEncrypt AES_CBC"), 3, "HowToEncrypt", "needs KeyLength", AFTER_BASE,
	 POL_ERROR},
	{46, OFFER("HowToEncrypt AES_CBC 128"), 3, "HowToEncrypt", "needs KeyLength", AFTER_BASE,
	 POL_ERROR},
	{46, OFFER("HowToEncrypt AES_CBC KeyLength 200"), 3, "HowToEncrypt",
	 "AES_CBC has no key length of 200 bits", AFTER_BASE, POL_ERROR},
	{47, OFFER("HowToEncrypt AES_GCM_16 KeyLength 128\nHowToAuth ESP HMAC_SHA1"), 4,
	 "HowToAuth", "AES_GCM_16 needs ESP Null", AFTER_BASE, POL_ERROR},
	{47, OFFER("HowToEncrypt AES_GCM_16 KeyLength 128"), 3, "HowToAuth",
	 "AES_GCM_16 needs ESP Null", AFTER_BASE, POL_ERROR},
	{48, OFFER("HowToAuth ESP Null"), 3, "HowToAuth", "Null leaves no integrity protection",
	 AFTER_BASE, POL_ERROR},
	{48, OFFER("HowToEncrypt DoNot\nHowToAuth ESP Null"), 4, "HowToAuth",
	 "Null leaves no integrity protection", AFTER_BASE, POL_ERROR},
	{49, OFFER("HowToAuth ESP AES_GMAC_128"), 3, "HowToAuth", "AES_GMAC needs HowToEncrypt",
	 AFTER_BASE, POL_ERROR},
	{50, OFFER("HowToEncrypt DoNot\nHowToAuth AH Null"), 4, "HowToAuth", "AH must authenticate",
	 AFTER_BASE, POL_ERROR},
	{51, OFFER("HowToAuth HMAC_SHA1"), 3, "HowToAuth", "'HMAC_SHA1' is not one of AH|ESP",
	 AFTER_BASE, POL_ERROR},
	{51, OFFER("HowToAuth ESP"), 3, "HowToAuth", "an algorithm is missing", AFTER_BASE,
	 POL_ERROR},
	{51, OFFER("HowToAuth ESP SHA1"), 3, "HowToAuth", "'SHA1' is not an authentication",
	 AFTER_BASE, POL_ERROR},
	{52, OFFER("HowToEncrypt DES"), 3, "HowToEncrypt", "DES is not supported", AFTER_BASE,
	 POL_ERROR},
	{52, OFFER("HowToEncrypt DoNot\nHowToAuth ESP AES_GMAC_128"), 4, "HowToAuth",
	 "AES_GMAC is not supported", AFTER_BASE, POL_ERROR},
	{47, OFFER("HowToEncrypt AES_GCM_16 KeyLength 128\nHowToAuth AH HMAC_SHA1"), 4, "HowToAuth",
	 "AES_GCM_16 needs ESP Null", AFTER_BASE, POL_ERROR},
	{53, OFFER("RefreshLifetimeAccepted 480 120"), 3, "RefreshLifetimeAccepted",
	 "ends before it starts", AFTER_BASE, POL_ERROR},
	{54, OFFER("RefreshLifetimeProposed 60"), 3, "RefreshLifetimeProposed",
	 "60 lies outside RefreshLifetimeAccepted 120 480", AFTER_BASE, POL_ERROR},
	{54, OFFER("RefreshLifetimeAccepted 300 480"), 3, "RefreshLifetimeProposed",
	 "240 lies outside RefreshLifetimeAccepted 300 480", AFTER_BASE, POL_ERROR},
	{55, OFFER("RefreshLifesizeProposed 10\nRefreshLifesizeAccepted 20 30"), 3,
	 "RefreshLifesizeProposed", "10 lies outside RefreshLifesizeAccepted 20 30", AFTER_BASE,
	 POL_ERROR},
	{56, "IpDynVpnAction d\n{\nIpDataOfferRef do\nVpnLife 100\n}\n", 4, "VpnLife",
	 "the tunnel will never be refreshed", AFTER_BASE, POL_WARNING},
	{57, "IpManVpnAction m\n{\nRemoteSecurityEndpointAddr 192.0.2.2\n" MAN_SAS "}\n", 1, "",
	 "one is required: LocalSecurityEndpointAddr, LocalSecurityEndpointAddrRef", AFTER_BASE,
	 POL_ERROR},
	{57, "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\n" MAN_SAS "}\n", 1, "",
	 "one is required: RemoteSecurityEndpointAddr, RemoteSecurityEndpointAddrRef", AFTER_BASE,
	 POL_ERROR},
	{58,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 0.0.0.0\nRemoteSecurityEndpointAddr "
	 "192.0.2.2\n" MAN_SAS "}\n",
	 3, "LocalSecurityEndpointAddr", "the unspecified address cannot be an endpoint",
	 AFTER_BASE, POL_ERROR},
	{58,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 2001:db8::1\nRemoteSecurityEndpointAddr "
	 "::\n" MAN_SAS "}\n",
	 4, "RemoteSecurityEndpointAddr", "the unspecified address cannot be an endpoint",
	 AFTER_BASE, POL_ERROR},
	{59,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\nRemoteSecurityEndpointAddr "
	 "2001:db8::1\n" MAN_SAS "}\n",
	 1, "", "local and remote security endpoint are of different IP families", AFTER_BASE,
	 POL_ERROR},
	{59,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\nRemoteSecurityEndpointAddr "
	 "Any6\n" MAN_SAS "}\n",
	 1, "", "local and remote security endpoint are of different IP families", AFTER_BASE,
	 POL_ERROR},
	{60, MANUAL("AuthInboundSa 300 " K160 "\n" ENC_SAS), 1, "AuthOutboundSa",
	 "it is required: HowToAuth is ESP HMAC_SHA1", AFTER_BASE, POL_ERROR},
	{60, MANUAL("HowToAuth AH HMAC_MD5\nAuthOutboundSa 300 " K128 "\n" ENC_SAS), 1,
	 "AuthInboundSa", "it is required: HowToAuth is AH HMAC_MD5", AFTER_BASE, POL_ERROR},
	{60, MANUAL(AUTH_SAS "EncryptOutboundSa 300 " K128), 1, "EncryptInboundSa",
	 "it is required: HowToEncrypt is AES_CBC", AFTER_BASE, POL_ERROR},
	{60, MANUAL(AUTH_SAS "HowToEncrypt 3DES\nEncryptInboundSa 300 " K192), 1,
	 "EncryptOutboundSa", "it is required: HowToEncrypt is 3DES", AFTER_BASE, POL_ERROR},
	{60, MANUAL("HowToEncrypt DoNot\n" AUTH_SAS "EncryptInboundSa 300 " K128), 8,
	 "EncryptInboundSa", "it is not used: HowToEncrypt is DoNot", AFTER_BASE, POL_WARNING},
	{61, MANUAL("AuthInboundSa 300 " K128 "\nAuthOutboundSa 300 " K160 "\n" ENC_SAS), 5,
	 "AuthInboundSa", "the key has 32 characters; HMAC_SHA1 takes 40 hex digits", AFTER_BASE,
	 POL_ERROR},
	{61, MANUAL(AUTH_SAS "EncryptInboundSa 300 " K160 "\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "the key has 40 characters; AES-CBC takes 32 hex digits", AFTER_BASE,
	 POL_ERROR},
	{61,
	 MANUAL(AUTH_SAS "EncryptInboundSa 300 0123456789abcdef0123456789abcxef\nEncryptOutboundSa "
			 "300 " K128),
	 7, "EncryptInboundSa", "character 30 of the key is not a hex digit", AFTER_BASE,
	 POL_ERROR},
	{61, MANUAL(AUTH_SAS "EncryptInboundSa 300\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "a key of 32 hex digits is missing behind the SPI", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL("AuthInboundSa 255 " K160 "\nAuthOutboundSa 300 " K160 "\n" ENC_SAS), 5,
	 "AuthInboundSa", "SPI 255 is reserved: from 256", AFTER_BASE, POL_ERROR},
	{62, MANUAL(AUTH_SAS "EncryptInboundSa " K128 " 300\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "the SPI is not a number", AFTER_BASE, POL_ERROR},
	{62,
	 MANUAL("AuthInboundSa 267386880 " K160 "\nAuthOutboundSa 300 " K160
		"\nHowToEncrypt DoNot"),
	 5, "AuthInboundSa", "SPIs 267386880 to 268435455 are for ESP inside AH", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL(AUTH_SAS "EncryptInboundSa 301 " K128 "\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "its SPI is 301 and that of AuthInboundSa is 300", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL("HowToAuth ESP AES_GMAC_128\n" AUTH_SAS ENC_SAS), 5, "HowToAuth",
	 "a manual tunnel authenticates with HMAC or AES128_XCBC_96", AFTER_BASE, POL_ERROR},
	{62, MANUAL("HowToEncrypt AES_GCM_16 KeyLength 128\n" AUTH_SAS ENC_SAS), 5, "HowToEncrypt",
	 "'AES_GCM_16' is not one of DoNot|DES|3DES|AES|AES_CBC", AFTER_BASE, POL_ERROR},
	{62, MANUAL("HowToEncrypt DES\n" AUTH_SAS ENC_SAS), 5, "HowToEncrypt",
	 "DES is not supported", AFTER_BASE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.2")
		 MAN_RULE("s", "n", "192.0.2.1", "192.0.2.3") MANUAL(AUTH_SAS ENC_SAS)
			 MANUAL_N("n", "192.0.2.3") IPSEC_ACTION,
	 17, "IpManVpnActionRef",
	 "IpManVpnAction m and n have the same inbound SPI 300 of ESP for the same local security "
	 "endpoint",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.9")
		 MAN_RULE("s", "m", "192.0.2.1", "198.51.100.9")
			 MANUAL_ANY("192.0.2.1", "Any", "Transport") IPSEC_ACTION,
	 17, "IpManVpnActionRef",
	 "RemoteSecurityEndpointAddr is Any, and another rule of it has IpDestAddr 192.0.2.9",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.0/24", "192.0.2.9")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("Any", "192.0.2.9", "Tunnel") IPSEC_ACTION,
	 10, "IpManVpnActionRef",
	 "LocalSecurityEndpointAddr is Any, so the rule's IpSourceAddr must be one address", ALONE,
	 POL_ERROR},
	{63, MANUAL_ANY("Any", "Any4", "Tunnel"), 1, "",
	 "in tunnel mode one security endpoint at least must be an address", AFTER_BASE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "2001:db8::1", "2001:db8::2")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("192.0.2.1", "192.0.2.9", "Tunnel") IPSEC_ACTION,
	 10, "IpManVpnActionRef", "of IpManVpnAction m are of another IP family than the rule",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.0/24")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("192.0.2.1", "192.0.2.9", "Transport") IPSEC_ACTION,
	 10, "IpManVpnActionRef", "the tunnel is in transport mode and carries", ALONE,
	 POL_WARNING},
	{64,
	 VPN_RULE("IpLocalStartActionRef s") "IpLocalStartAction s\n{\nRemoteSecurityEndpointAddr "
					     "::1:1:1\n}\n",
	 5, "IpLocalStartActionRef", "of another IP family than the rule", AFTER_BASE, POL_ERROR},
	{65, "IpLocalStartAction s\n{\nLocalIpGranularity Filter\n}\n", 3, "LocalIpGranularity",
	 "'Filter' is not one of Packet|Rule", AFTER_BASE, POL_ERROR},
	{66,
	 "KeyExchangeRule k\n{\nRemoteSecurityEndpointRef re\nKeyExchangeActionRef ka\n"
	 "SharedKey Ascii x\n}\n",
	 1, "", "one is required: LocalSecurityEndpoint, LocalSecurityEndpointRef", AFTER_BASE,
	 POL_ERROR},
	{66,
	 "KeyExchangeRule k\n{\nLocalSecurityEndpointRef le\nKeyExchangeActionRef ka\n"
	 "SharedKey Ascii x\n}\n",
	 1, "", "one is required: RemoteSecurityEndpoint, RemoteSecurityEndpointRef", AFTER_BASE,
	 POL_ERROR},
	{66, "KeyExchangeRule k\n{\nLocalSecurityEndpointRef le\nRemoteSecurityEndpointRef re\n}\n",
	 1, "KeyExchangeActionRef", "it is required", AFTER_BASE, POL_ERROR},
	{67, KE_RULE(""), 1, "SharedKey", "it is required: an offer of KeyExchangeAction ka",
	 AFTER_BASE, POL_ERROR},
	{68, KE_RULE("SharedKey Hex abc"), 6, "SharedKey", "odd number", AFTER_BASE, POL_ERROR},
	{68, KE_RULE("SharedKey Hex abxx"), 6, "SharedKey", "other characters", AFTER_BASE,
	 POL_ERROR},
	{68, KE_RULE("SharedKey Ascii"), 6, "SharedKey", "the value is missing behind Ascii",
	 AFTER_BASE, POL_ERROR},
	{69, KE_RULE("SharedKey swordfish"), 6, "SharedKey",
	 "the value must begin with one of Ascii|Ebcdic|Hex", AFTER_BASE, POL_ERROR},
	{69, KE_RULE("SharedKey Ebcdic \xc3\xa9"), 6, "SharedKey", "not in ASCII", AFTER_BASE,
	 POL_ERROR},
	{70, "KeyExchangeAction a\n{\n}\n", 1, "", "at least one is required: KeyExchangeOffer",
	 AFTER_BASE, POL_ERROR},
	{0, "IpAddr caf\xe9\n{\nAddr 192.0.2.1\n}\n", 1, "", "no printable UTF-8", AFTER_BASE,
	 POL_ERROR},
	{0, "IpAddr a\xed\xa0\x80\n{\nAddr 192.0.2.1\n}\n", 1, "", "no printable UTF-8", AFTER_BASE,
	 POL_ERROR},
	{0, "IpAddr a\x1b[2J\n{\nAddr 192.0.2.1\n}\n", 1, "", "no printable UTF-8", AFTER_BASE,
	 POL_ERROR},
	{0, SERVICE("Foo\xe9\xff 1"), 3, "Foo??", "unknown attribute", AFTER_BASE, POL_ERROR},
	{0, "IpAddr caf\xc3\xa9\n{\nAddr host\n}\n", 3, "Addr", "'host' is not an IP", AFTER_BASE,
	 POL_ERROR},
	{0, "KeyExchangeOffer o\n{\nHowToAuthPeers Certificate\n}\n", 3, "HowToAuthPeers",
	 "'Certificate'", AFTER_BASE, POL_ERROR},
	{0, "KeyExchangeAction a\n{\nRevocationChecking Yes\nKeyExchangeOfferRef psk\n}\n", 3,
	 "RevocationChecking", "'Yes'", AFTER_BASE, POL_ERROR},
	{0, "KeyExchangeAction a\n{\nPeerQuirk LongSha256\nKeyExchangeOfferRef psk\n}\n", 3,
	 "PeerQuirk", "'LongSha256'", AFTER_BASE, POL_ERROR},
	{0, "KeyExchangeAction a\n{\nNatForceEncapsulation Yes\nKeyExchangeOfferRef psk\n}\n", 3,
	 "NatForceEncapsulation", "it takes AllowNat Yes", AFTER_BASE, POL_ERROR},
	{71,
	 "KeyExchangeAction a\n{\nHowToInitiate Aggressive\nKeyExchangeOfferRef psk\n"
	 "KeyExchangeOffer\n{\nDHGroup Group14\n}\n}\n",
	 5, "KeyExchangeOffer", "its DHGroup differs from the first offer's", AFTER_BASE,
	 POL_ERROR},
	{72, "KeyExchangeAction a\n{\nHowToInitiate IKEv2\nKeyExchangeOfferRef psk\n}\n", 3,
	 "HowToInitiate", "IKEv2 is not supported", AFTER_BASE, POL_ERROR},
	{72, "KeyExchangePolicy\n{\nHowToInitiate IKEv2\n}\n", 3, "HowToInitiate",
	 "IKEv2 is not supported", AFTER_BASE, POL_ERROR},
	{73, LOCAL("Location 192.0.2.1"), 1, "Identity", "it is required", AFTER_BASE, POL_ERROR},
	{73, REMOTE("Location 192.0.2.1"), 1, "", "one is required: Identity, RemoteIdentityRef",
	 AFTER_BASE, POL_ERROR},
	{74, LOCAL("Identity IpAddr 192.0.2.0/24"), 3, "Identity", "a local identity must be exact",
	 AFTER_BASE, POL_ERROR},
	{74, LOCAL("Identity IpAddr 0.0.0.0"), 3, "Identity", "a local identity must be exact",
	 AFTER_BASE, POL_ERROR},
	{74, LOCAL("Identity Fqdn *.example.com"), 3, "Identity", "a local identity must be exact",
	 AFTER_BASE, POL_ERROR},
	{74, LOCAL("Identity UserAtFqdn *@example.com"), 3, "Identity",
	 "a local identity must be exact", AFTER_BASE, POL_ERROR},
#ifdef HAVE_OPENSSL
	{74, LOCAL("Identity X500dn CN=*,O=x"), 3, "Identity", "a local identity must be exact",
	 AFTER_BASE, POL_ERROR},
	{75, REMOTE("Identity X500dn example"), 3, "Identity", "is not TYPE=VALUE", AFTER_BASE,
	 POL_ERROR},
	{75, REMOTE("Identity X500dn CN=a,,O=b"), 3, "Identity", "is not TYPE=VALUE", AFTER_BASE,
	 POL_ERROR},
	{75, REMOTE("Identity X500dn CN=,O=b"), 3, "Identity", "has no value", AFTER_BASE,
	 POL_ERROR},
	{75, REMOTE("Identity X500dn XY=a"), 3, "Identity", "is not an attribute type", AFTER_BASE,
	 POL_ERROR},
	{75, REMOTE("Identity X500dn C=USA"), 3, "Identity", "cannot be encoded", AFTER_BASE,
	 POL_ERROR},
#else
	{76, LOCAL("Identity X500dn CN=a"), 3, "Identity", "X500dn needs OpenSSL", AFTER_BASE,
	 POL_ERROR},
#endif
	{77, REMOTE("Identity UserAtFqdn example.com"), 3, "Identity", "is not user@host",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity Fqdn host example.com"), 3, "Identity", "a host name has no blank",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity UserAtFqdn @example.com"), 3, "Identity", "the user's name is empty",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity UserAtFqdn a*@example.com"), 3, "Identity",
	 "'*' stands for the whole user name", AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity UserAtFqdn a@"), 3, "Identity", "the host name is empty", AFTER_BASE,
	 POL_ERROR},
	{77, REMOTE("Identity Fqdn *host"), 3, "Identity", "'*' stands alone or before '.'",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity Fqdn *.*.example.com"), 3, "Identity",
	 "'*' stands at the begin alone", AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity Fqdn a@b"), 3, "Identity", "a host name has no '@'", AFTER_BASE,
	 POL_ERROR},
	{77, REMOTE("Identity IpAddr host.example.com"), 3, "Identity", "is not an IP address",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity IpAddr Any"), 3, "Identity", "is not an IP address", AFTER_BASE,
	 POL_ERROR},
	{77, REMOTE("Identity KeyID abc"), 3, "Identity", "KeyID needs Ascii, Ebcdic or Hex",
	 AFTER_BASE, POL_ERROR},
	{77, REMOTE("Identity Fqdn"), 3, "Identity", "the value is missing behind its type",
	 AFTER_BASE, POL_ERROR},
	{78, REMOTE("Identity Fqdn a\nLocation ::ffff:192.0.2.1"), 4, "Location",
	 "IPv4-mapped or IPv4-compatible", AFTER_BASE, POL_ERROR},
	{78, REMOTE("Identity Fqdn a\nLocation ::192.0.2.1"), 4, "Location",
	 "IPv4-mapped or IPv4-compatible", AFTER_BASE, POL_ERROR},
	{78, REMOTE("Identity Fqdn a\nLocation ::5-::9"), 4, "Location",
	 "IPv4-mapped or IPv4-compatible", AFTER_BASE, POL_ERROR},
	{78, "IpLocalStartAction s\n{\nLocalSecurityEndpointAddr ::ffff:192.0.2.1\n}\n", 3,
	 "LocalSecurityEndpointAddr", "IPv4-mapped or IPv4-compatible", AFTER_BASE, POL_ERROR},
	{78, "IpLocalStartAction s\n{\nLocalSecurityEndpointAddr 0.0.0.0\n}\n", 3,
	 "LocalSecurityEndpointAddr", "the unspecified address", AFTER_BASE, POL_ERROR},
	{79,
	 "KeyExchangeRule k\n{\nLocalSecurityEndpointRef le\nKeyExchangeActionRef ka\n"
	 "SharedKey Ascii x\nRemoteSecurityEndpoint\n{\nIdentity Fqdn a\nLocation Any6\n}\n}\n",
	 6, "RemoteSecurityEndpoint", "must be of one IP family", AFTER_BASE, POL_ERROR},
	{80,
	 REMOTE("Identity Fqdn a\nLocation 192.0.2.1\nLocationRef a") "IpAddr a\n{\nAddr "
								      "192.0.2.1\n}\n",
	 5, "LocationRef", "it conflicts with Location on line", AFTER_BASE, POL_ERROR},
	{81, "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\n}\n", 1, "",
	 "one is required: RemoteIp, RemoteIpRef, RemoteIpSetRef", AFTER_BASE, POL_ERROR},
	{82, "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\nRemoteIp 2001:db8::1\n}\n", 4, "RemoteIp",
	 "of different IP families", AFTER_BASE, POL_ERROR},
	{83, "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\nRemoteIp 192.0.2.2\nLocalDataPort 5\n}\n", 5,
	 "LocalDataPort", "it applies to protocols Tcp and Udp alone", AFTER_BASE, POL_ERROR},
	{83,
	 "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\nRemoteIp 192.0.2.2\nProtocol Tcp\nType 5\n}\n",
	 6, "Type", "it applies to protocols Icmp", AFTER_BASE, POL_ERROR},
	{83,
	 "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\nRemoteIp 192.0.2.2\nProtocol Icmp\nCode 5\n}\n",
	 6, "Code", "a code needs a Type", AFTER_BASE, POL_ERROR},
	{84,
	 "LocalDynVpnPolicy\n{\nLocalDynVpnRuleRef l\nLocalDynVpnRuleRef l\n}\n"
	 "LocalDynVpnRule l\n{\nLocalIp 192.0.2.1\nRemoteIp 192.0.2.2\n}\n",
	 4, "LocalDynVpnRuleRef", "the policy has rule l already", AFTER_BASE, POL_ERROR},
	{85, "IpAddr a\n{\n}\n", 1, "Addr", "it is required", AFTER_BASE, POL_ERROR},
	{85, "IpAddrSet a\n{\n}\n", 1, "", "one is required: Prefix, Range", AFTER_BASE, POL_ERROR},
	{85, "IpAddrSet a\n{\nPrefix 192.0.2.0/24\nRange 192.0.2.1-192.0.2.2\n}\n", 4, "Range",
	 "it conflicts with Prefix", AFTER_BASE, POL_ERROR},
	{85, "IpAddrSet a\n{\nPrefix 192.0.2.0\n}\n", 3, "Prefix", "is not address/length",
	 AFTER_BASE, POL_ERROR},
	{85, "IpAddrSet a\n{\nRange 192.0.2.0/24\n}\n", 3, "Range", "is not address-address",
	 AFTER_BASE, POL_ERROR},
	{86, "IpAddr a\n{\nAddr host.example.com\n}\n", 3, "Addr",
	 "'host.example.com' is not an IP address", AFTER_BASE, POL_ERROR},
	{87, "IpTimeCondition t\n{\nDayOfWeekMask 111111\n}\n", 3, "DayOfWeekMask",
	 "the mask has 6 digits, not 7", AFTER_BASE, POL_ERROR},
	{87, "IpTimeCondition t\n{\nMonthOfYearMask 111111111112\n}\n", 3, "MonthOfYearMask",
	 "other digits than 0 and 1", AFTER_BASE, POL_ERROR},
	{87, "IpTimeCondition t\n{\nDayOfMonthMask 1\n}\n", 3, "DayOfMonthMask",
	 "the mask has 1 digits, not 31 or 62", AFTER_BASE, POL_ERROR},
	{88, "IpTimeCondition t\n{\nConditionTimeRange 20260102000000:20260101000000\n}\n", 3,
	 "ConditionTimeRange", "ends before it starts", AFTER_BASE, POL_ERROR},
	{88, "IpTimeCondition t\n{\nConditionTimeRange 20260229000000:20270101000000\n}\n", 3,
	 "ConditionTimeRange", "there is no such date", AFTER_BASE, POL_ERROR},
	{88, "IpTimeCondition t\n{\nTimeOfDayRange 8:00-25:00\n}\n", 3, "TimeOfDayRange",
	 "'8:00-25:00' is not hh:mm-hh:mm", AFTER_BASE, POL_ERROR},
	{88, "IpTimeCondition t\n{\nTimeOfDayRange 8-12,x\n}\n", 3, "TimeOfDayRange", "'x' is not",
	 AFTER_BASE, POL_ERROR},
	{88, "IpTimeCondition t\n{\nTimeZone CET\n}\n", 3, "TimeZone", "is not Local, UTC",
	 AFTER_BASE, POL_ERROR},
	{89, "KeyExchangePolicy\n{\nNatKeepAliveInterval 3601\n}\n", 3, "NatKeepAliveInterval",
	 "3601 is out of range: 0 to 3600", AFTER_BASE, POL_ERROR},
	{90, "IpDynVpnAction d\n{\nIpDataOfferRef do\nPfs Group2\n}\n", 4, "Pfs", "deprecated",
	 AFTER_BASE, POL_WARNING},
	{90, "KeyExchangeAction a\n{\nKeyExchangeOfferRef psk\nHowToRespond Main\n}\n", 4,
	 "HowToRespond", "deprecated: code HowToRespondIKEv1", AFTER_BASE, POL_WARNING},
	{90,
	 "KeyExchangeAction a\n{\nKeyExchangeOfferRef psk\nHowToRespondIKEv1 Main\n"
	 "HowToRespond Either\n}\n",
	 5, "HowToRespond", "HowToRespondIKEv1 on line", AFTER_BASE, POL_WARNING},
	{90, OFFER("HowToEncrypt AES"), 3, "HowToEncrypt", "deprecated: code AES_CBC", AFTER_BASE,
	 POL_WARNING},
	{90, OFFER("HowToAuth ESP HMAC_SHA"), 3, "HowToAuth", "deprecated: code HMAC_SHA1",
	 AFTER_BASE, POL_WARNING},
	{91, "IpSecConfig /nonexistent/policy\n", 1, "IpSecConfig",
	 "/nonexistent/policy: cannot open it", ALONE, POL_ERROR},
	{91, "IpSecConfig //'USER1.POLICY'\n", 1, "IpSecConfig", "is an MVS data set", ALONE,
	 POL_ERROR},

	/* Ours. */
	{0,
	 "IpFilterPolicy\n{\nIpFilterRuleRef r\nIpFilterRuleRef r\nIpFilterRuleRef r\n}\n"
	 "IpFilterRule r\n{\nIpGenericFilterActionRef a\n}\n"
	 "IpGenericFilterAction a\n{\nIpFilterAction Deny\n}\n",
	 1, "", "more than one rule has the name r", ALONE, POL_WARNING},
	{0, KE_RULE("SharedKey Ascii one two"), 6, "SharedKey", "the key ends at the first blank",
	 AFTER_BASE, POL_WARNING},
	{0, KE_RULE("SharedKey Ascii \"one\""), 6, "SharedKey",
	 "the quotation mark is part of the key", AFTER_BASE, POL_WARNING},
	{0, KE_RULE("SharedKey Ascii one#two"), 6, "SharedKey", "the value ends at '#'", AFTER_BASE,
	 POL_WARNING},
	{0, SERVICE("Protocol Tcp\nDirection Bidirectional InboundConect"), 4, "Direction",
	 "the text behind the value is ignored", AFTER_BASE, POL_WARNING},
	{0, RULE("RemoteIdentity\n{\nIdentity Fqdn a\n}"), 4, "RemoteIdentity",
	 "it needs IpDynVpnActionRef beside it", AFTER_BASE, POL_ERROR},
	{0, VPN_RULE("RemoteIdentityRef nobody"), 5, "RemoteIdentityRef", "nobody", AFTER_BASE,
	 POL_ERROR},
	{0,
	 "IpFilterPolicy\n{\nIpFilterRuleRef r\n}\n" VPN_RULE(
		 "RemoteIdentity\n{\nIdentity Fqdn a\n}") IPSEC_ACTION
	 "IpDynVpnAction dyn\n{\nIpDataOffer\n{\n}\n}\n",
	 1, "", "rule r has a RemoteIdentity, and no KeyExchangeAction of the policy has", ALONE,
	 POL_WARNING},
	{0, "IDSRule x\n{\n Anything {\n }\n }\n", 1, "IDSRule", "intrusion detection", AFTER_BASE,
	 POL_NOTE},
	{0, "TTLSRule x # comment\n{\n{\n}\n}\n", 1, "TTLSRule", "AT-TLS", AFTER_BASE, POL_NOTE},
	{0, "PolicyAction x\n{\n}\n", 1, "PolicyAction", "quality of service", AFTER_BASE,
	 POL_NOTE},
	{0,
	 "KeyExchangeOffer o\n{\nPseudoRandomFunction HMAC_SHA1\nHowToAuthPeers PresharedKey\n}\n",
	 3, "PseudoRandomFunction", "it concerns IKEv2 alone", AFTER_BASE, POL_NOTE},
	{0, REMOTE("Identity Fqdn a\nCaLabel a2345678901234567890123456789012x"), 4, "CaLabel",
	 "longer than 32", AFTER_BASE, POL_ERROR},
	{0,
	 FIPS "LocalSecurityEndpoint l\n{\nIdentity Fqdn a\n}\n"
	      "RemoteSecurityEndpoint l\n{\nIdentity Fqdn a\n}\n"
	      "KeyExchangeAction a\n{\nKeyExchangeOffer\n{\nHowToAuthPeers PresharedKey\n}\n}\n"
	      "KeyExchangeRule k\n{\nLocalSecurityEndpointRef l\nRemoteSecurityEndpointRef l\n"
	      "KeyExchangeActionRef a\nSharedKey Ascii 1234567890123\n}\n",
	 34, "SharedKey", "at least 14 bytes", ALONE, POL_ERROR},
};

static unsigned lines_of(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

START_TEST(test_case)
{
	char text[8192];
	bool after = cases[_i].where == AFTER_BASE;
	unsigned line = cases[_i].line + (after ? lines_of(base) : 0), hits = 0;
	struct findings found;
	struct pol_policy *policy;
	int n = snprintf(text, sizeof(text), "%s%s", after ? base : "", cases[_i].text);

	ck_assert_int_lt(n, (int)sizeof(text));
	policy = compile_text(text, (size_t)n, &found);
	for (unsigned i = 0; i < found.n; i++) {
		const struct finding *f = &found.v[i];

		if (f->severity == cases[_i].severity && f->line == line &&
		    strcmp(f->attribute, cases[_i].attribute) == 0 &&
		    strstr(f->text, cases[_i].words))
			hits++;
		else if (cases[_i].number != 14 && /* which stands beside an error */
			 !strstr(f->text, "(told once)") &&
			 (f->severity < cases[_i].severity ||
			  (f->severity != POL_NOTE && f->line != line)))
			ck_abort_msg("%u: unexpected: %u: %s: %s: %s", cases[_i].number, f->line,
				     f->statement, f->attribute, f->text);
	}
	ck_assert_msg(hits == 1, "number %u (%s), line %u: %u findings, of them wanted: %u",
		      cases[_i].number, cases[_i].words, line, found.n, hits);
	if (cases[_i].severity == POL_ERROR)
		ck_assert_ptr_null(policy);
	else if (cases[_i].number != 14)
		ck_assert_ptr_nonnull(policy);
	pol_unref(policy);
}
END_TEST

START_TEST(test_base_is_good)
{
	struct findings found;
	struct pol_policy *policy = compile_text(base, sizeof(base) - 1, &found);

	ck_assert_ptr_nonnull(policy);
	ck_assert_uint_eq(found.n, 0);
	pol_unref(policy);
}
END_TEST

/* Many errors in one run, sorted by line. */
START_TEST(test_all_at_once)
{
	static const char text[] =
		"IpFilterPolicy\n{\n PreDecap Maybe\n IpFilterRuleRef r\n"
		" IpFilterRuleRef s\n}\n"
		"IpFilterRule r\n{\n IpSourceAddr 1\n IpGenericFilterActionRef p\n}\n"
		"IpGenericFilterAction p\n{\n IpFilterAction Pemit\n}\n"
		"IpService x\n{\n Code 1\n Type 256\n}\n";
	static const unsigned lines[] = {3, 5, 9, 14, 18, 19};
	struct findings found;
	unsigned last = 0, k = 0;

	ck_assert_ptr_null(compile_text(text, sizeof(text) - 1, &found));
	for (unsigned i = 0; i < found.n; i++) {
		ck_assert_uint_ge(found.v[i].line, last);
		last = found.v[i].line;
		if (found.v[i].severity == POL_ERROR) {
			ck_assert_uint_lt(k, 6);
			ck_assert_uint_eq(found.v[i].line, lines[k++]);
		}
	}
	ck_assert_uint_eq(k, 6);
}
END_TEST

/* The value of a key is never said, whatever is wrong with its line. */
START_TEST(test_keys_stay_hidden)
{
	static const char *const lines[] = {
		"SharedKey SWORDFISH",          "SharedKey Hex SWORDFISH",
		"SharedKey Ascii SWORDFISH }",  "SharedKey Ascii\nSWORDFISH",
		"SharedKey\nSWORDFISH {",       "SharedKey Ebcdic SWORDFISH\xc3\xa9",
		"SharedKey { SWORDFISH",        "SharedKy Ascii SWORDFISH",
		"SharedKey Ascii SWORDFISH#x y"};
	char text[8192];
	struct findings found;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int n = snprintf(text, sizeof(text),
				 "%sKeyExchangeRule k\n{\nLocalSecurityEndpointRef le\n"
				 "RemoteSecurityEndpointRef re\nKeyExchangeActionRef ka\n%s\n}\n",
				 base, lines[i]);

		pol_unref(compile_text(text, (size_t)n, &found));
		ck_assert_uint_gt(found.n, 0);
		for (unsigned k = 0; k < found.n; k++) {
			ck_assert_ptr_null(strcasestr(found.v[k].text, "swordfish"));
			ck_assert_ptr_null(strcasestr(found.v[k].attribute, "swordfish"));
			ck_assert_ptr_null(strcasestr(found.v[k].statement, "swordfish"));
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy errors");
	TCase *tc = tcase_create("errors");

	tcase_add_test(tc, test_base_is_good);
	tcase_add_loop_test(tc, test_case, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, test_all_at_once);
	tcase_add_test(tc, test_keys_stay_hidden);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
