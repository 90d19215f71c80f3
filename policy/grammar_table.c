/*
 * The grammar's rows: every statement of IBM's IP Configuration Reference for IPSec policy, those
 * of other disciplines as rows without parameters, and iked's configuration file. Where words of
 * `values` stand for numbers in the compiler, it reads them by their position here.
 */
#include "policy/grammar.h"
#include "policy/grammar_rows.h"

#define PFS_VALUES                                                                                 \
	"None|Group1|Group2|Group5|Group14|Group15|Group16|Group19|Group20|Group21|Group24"
#define DH_VALUES  "Group1|Group2|Group5|Group14|Group15|Group16|Group19|Group20|Group21|Group24"
#define IKEV2_ONLY "it concerns IKEv2 alone"

/* ---- addresses, services, time ---- */

static const struct pol_param ip_addr[] = {
	{"Addr", POL_K_ADDR, .required = true, .shown = "", .shown_evidence = POL_FROM_MEMORY},
	{0},
};

static const struct pol_param ip_addr_set[] = {
	{"Prefix", POL_K_ADDRS, .group = "set", .required = true,
	 .form = "a prefix: address/length", .shown = "", .shown_evidence = POL_FROM_MEMORY},
	{"Range", POL_K_ADDRS, .group = "set", .required = true, .form = "a range: address-address",
	 .shown = "", .shown_evidence = POL_FROM_MEMORY},
	{0},
};

static const struct pol_param ip_addr_group[] = {
	{"IpAddr", POL_K_BLOCK, .of = "IpAddr", .group = "members", .required = true,
	 .repeatable = true},
	{"IpAddrRef", POL_K_REF, .of = "IpAddr", .group = "members", .required = true,
	 .repeatable = true},
	{"IpAddrSet", POL_K_BLOCK, .of = "IpAddrSet", .group = "members", .required = true,
	 .repeatable = true},
	{"IpAddrSetRef", POL_K_REF, .of = "IpAddrSet", .group = "members", .required = true,
	 .repeatable = true},
	{0},
};

static const struct pol_param ip_service[] = {
	{"Protocol", POL_K_NUMBER,
	 .values = "All|Tcp|Udp|Icmp|Icmpv6|Ospf|MIPv6|Ip|Ipip|Ah|Esp|Igmp|Opaque", .max = 255,
	 .preset = "All"},
	{"SourcePortRange", POL_K_NUMBERS, .max = 65535, .preset = "0", .evidence = POL_FROM_MEMORY,
	 .shown = "SourcePortFrom|SourcePortTo", .shown_evidence = POL_FROM_MEMORY},
	{"DestinationPortRange", POL_K_NUMBERS, .max = 65535, .preset = "0",
	 .evidence = POL_FROM_MEMORY, .shown = "DestinationPortFrom|DestinationPortTo",
	 .shown_evidence = POL_FROM_MEMORY},
	{"Type", POL_K_NUMBERS, .values = "Any", .max = 255, .preset = "Any",
	 .evidence = POL_FROM_MEMORY},
	{"Code", POL_K_NUMBERS, .values = "Any", .max = 255, .preset = "Any",
	 .evidence = POL_FROM_MEMORY},
	{"Direction", POL_K_KEYWORD,
	 .values = "Bidirectional|Bidirectional InboundConnect|Bidirectional OutboundConnect|"
		   "Inbound|Outbound",
	 .preset = "Bidirectional", .evidence = POL_FROM_MEMORY},
	{"Routing", POL_K_KEYWORD, .values = "Local|Routed|Either", .preset = "Local",
	 .evidence = POL_FROM_MEMORY},
	{"SecurityClass", POL_K_NUMBER, .max = 255, .preset = "0", .evidence = POL_FROM_MEMORY,
	 .note = "the interface's group (ip link set group); a group of 0 is class 255. Of packets "
		 "that leave it is not known where an ipsec rule has their addresses and where "
		 "they are forwarded: there a rule that permits does not match, one that denies or "
		 "protects matches with 255 and is refused with 1 to 254 unless its Direction is "
		 "Inbound"},
	{"FragmentsOnly", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{0},
};

static const struct pol_param ip_service_group[] = {
	{"IpService", POL_K_BLOCK, .of = "IpService", .group = "members", .required = true,
	 .repeatable = true},
	{"IpServiceRef", POL_K_REF, .of = "IpService", .group = "members", .required = true,
	 .repeatable = true},
	{0},
};

static const struct pol_param ip_time_condition[] = {
	{"ConditionTimeRange", POL_K_TEXT, .evidence = POL_FROM_MEMORY,
	 .note = "the last second belongs to it, unless a minute begins with that",
	 .form = "yyyymmddhhmmss:yyyymmddhhmmss"},
	{"MonthOfYearMask", POL_K_TEXT, .preset = "111111111111", .evidence = POL_FROM_MEMORY,
	 .form = "12 digits 0 or 1, January first"},
	{"DayOfMonthMask", POL_K_TEXT, .preset = "1111111111111111111111111111111",
	 .evidence = POL_FROM_MEMORY,
	 .form = "31 digits 0 or 1, the first day first; or 62, of which the others count from the "
		 "last day"},
	{"DayOfWeekMask", POL_K_TEXT, .preset = "1111111", .evidence = POL_FROM_MEMORY,
	 .form = "7 digits 0 or 1, Sunday first"},
	{"TimeOfDayRange", POL_K_TEXT, .preset = "00:00-24:00", .evidence = POL_FROM_MEMORY,
	 .note = "times may have seconds, which are 00",
	 .form = "hh:mm-hh:mm, and more of them behind commas"},
	{"TimeZone", POL_K_TEXT, .preset = "Local", .evidence = POL_FROM_MEMORY,
	 .note = "Local, UTC (which is GMT, too), or the difference from it",
	 .form = "Local, UTC, GMT, or +hhmm or -hhmm as the difference from it"},
	{0},
};

/* ---- IP filters ---- */

static const struct pol_param ip_filter_policy[] = {
	{"PreDecap", POL_K_ONOFF, .preset = "Off", .evidence = POL_FROM_MEMORY},
	{"FilterLogging", POL_K_ONOFF, .preset = "On", .evidence = POL_FROM_MEMORY},
	{"AllowOnDemand", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{"ImplicitDiscardAction", POL_K_KEYWORD, .values = "Silent|ICMP", .preset = "Silent",
	 .evidence = POL_FROM_MEMORY},
	{"FIPS140", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{"RFC4301Compliance", POL_K_YESNO, .preset = "Yes", .support = POL_DEPRECATED,
	 .evidence = POL_FROM_MEMORY, .note = "compliance is always on"},
	{"IpFilterRule", POL_K_BLOCK, .of = "IpFilterRule", .group = "rules", .required = true,
	 .repeatable = true},
	{"IpFilterRuleRef", POL_K_REF, .of = "IpFilterRule", .group = "rules", .required = true,
	 .repeatable = true},
	{"IpFilterGroupRef", POL_K_REF, .of = "IpFilterGroup", .group = "rules", .required = true,
	 .repeatable = true},
	{0},
};

static const struct pol_param ip_filter_group[] = {
	{"IpFilterRule", POL_K_BLOCK, .of = "IpFilterRule", .group = "members", .required = true,
	 .repeatable = true},
	{"IpFilterRuleRef", POL_K_REF, .of = "IpFilterRule", .group = "members", .required = true,
	 .repeatable = true},
	{0},
};

#define BY_IDENTITY                                                                                \
	"the tunnel is for a peer of this identity, whose KeyExchangeAction has "                  \
	"FilterByIdentity Yes. Filters do not know who will get a packet, so what is sent goes "   \
	"by "                                                                                      \
	"the rule that comes first; of what comes in, a packet by another rule's tunnel goes on "  \
	"to the rules behind"

static const struct pol_param ip_filter_rule[] = {
	{"IpSourceAddr", POL_K_ADDRS, .values = "All|All4|All6", .group = "source", .preset = "All",
	 .shown = "Source Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpSourceAddrSet", POL_K_ADDRS, .values = "All|All4|All6", .group = "source",
	 .shown = "Source Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpSourceAddrRef", POL_K_REF, .of = "IpAddr", .group = "source", .shown = "Source Address",
	 .shown_evidence = POL_FROM_MEMORY},
	{"IpSourceAddrSetRef", POL_K_REF, .of = "IpAddrSet", .group = "source",
	 .shown = "Source Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpSourceAddrGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "source",
	 .shown = "Source Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpDestAddr", POL_K_ADDRS, .values = "All|All4|All6", .group = "destination",
	 .preset = "All", .shown = "Destination Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpDestAddrSet", POL_K_ADDRS, .values = "All|All4|All6", .group = "destination",
	 .shown = "Destination Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpDestAddrRef", POL_K_REF, .of = "IpAddr", .group = "destination",
	 .shown = "Destination Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpDestAddrSetRef", POL_K_REF, .of = "IpAddrSet", .group = "destination",
	 .shown = "Destination Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpDestAddrGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "destination",
	 .shown = "Destination Address", .shown_evidence = POL_FROM_MEMORY},
	{"IpService", POL_K_BLOCK, .of = "IpService", .group = "services", .repeatable = true},
	{"IpServiceRef", POL_K_REF, .of = "IpService", .group = "services", .repeatable = true},
	{"IpServiceGroupRef", POL_K_REF, .of = "IpServiceGroup", .group = "services",
	 .repeatable = true},
	{"IpTimeCondition", POL_K_BLOCK, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{"IpTimeConditionRef", POL_K_REF, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{"IpGenericFilterActionRef", POL_K_REF, .of = "IpGenericFilterAction", .required = true},
	{"IpDynVpnActionRef", POL_K_REF, .of = "IpDynVpnAction"},
	{"IpManVpnActionRef", POL_K_REF, .of = "IpManVpnAction"},
	{"IpLocalStartActionRef", POL_K_REF, .of = "IpLocalStartAction"},
	{"RemoteIdentity", POL_K_BLOCK, .of = "RemoteIdentity", .group = "peer",
	 .note = BY_IDENTITY},
	{"RemoteIdentityRef", POL_K_REF, .of = "RemoteIdentity", .group = "peer",
	 .note = BY_IDENTITY},
	{0},
};

static const struct pol_param ip_generic_filter_action[] = {
	{"IpFilterAction", POL_K_KEYWORD, .values = "Permit|Deny|IpSec", .required = true},
	{"IpFilterLogging", POL_K_KEYWORD, .values = "No|Yes|LogPermit|LogDeny", .preset = "No",
	 .note = "to NFLOG group 119, with the rule's name and the reason"},
	{"DiscardAction", POL_K_KEYWORD, .values = "Silent|ICMP", .preset = "Silent"},
	{0},
};

/* ---- phase 2 ---- */

#define DF_NOTE                                                                                    \
	"No alone is No Clear; Linux copies the DF bit into the outer header of IPv4 or clears "   \
	"it, and cannot set it"

static const struct pol_param ip_dyn_vpn_action[] = {
	{"Initiation", POL_K_KEYWORD, .values = "Either|LocalOnly|RemoteOnly", .preset = "Either"},
	{"VpnLife", POL_K_NUMBER, .max = 9999, .preset = "1440", .evidence = POL_FROM_MEMORY},
	{"Pfs", POL_K_KEYWORD, .values = PFS_VALUES, .support = POL_DEPRECATED,
	 .note = "code InitiateWithPfs and AcceptablePfs"},
	{"InitiateWithPfs", POL_K_KEYWORD, .values = PFS_VALUES, .preset = "None",
	 .inherits = "Pfs"},
	{"AcceptablePfs", POL_K_KEYWORD, .values = PFS_VALUES, .repeatable = true,
	 .inherits = "InitiateWithPfs"},
	{"HowToEncapIKEv2", POL_K_KEYWORD, .values = "Either|Tunnel|Transport", .preset = "Either",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = IKEV2_ONLY},
	{"PassthroughDF", POL_K_KEYWORD, .values = "Yes|No|No Clear|No Set", .preset = "Yes",
	 .except = "No Set", .note = DF_NOTE},
	{"PassthroughDSCP", POL_K_YESNO, .preset = "Yes"},
	{"IpDataOffer", POL_K_BLOCK, .of = "IpDataOffer", .group = "offers", .required = true,
	 .repeatable = true},
	{"IpDataOfferRef", POL_K_REF, .of = "IpDataOffer", .group = "offers", .required = true,
	 .repeatable = true},
	{0},
};

static const struct pol_param ip_data_offer[] = {
	{"HowToEncap", POL_K_KEYWORD, .values = "Tunnel|Transport", .preset = "Tunnel"},
	{"HowToEncrypt", POL_K_TEXT, .values = "DoNot|DES|3DES|AES|AES_CBC|AES_GCM_16",
	 .preset = "AES_CBC KeyLength 128",
	 .form = "DoNot, 3DES, AES_CBC KeyLength 128 or 256, or AES_GCM_16 KeyLength 128 or 256"},
	{"HowToAuth", POL_K_TEXT, .values = "AH|ESP", .preset = "ESP HMAC_SHA1",
	 .form = "AH or ESP, and an algorithm; ESP Null with AES_GCM_16"},
	{"RefreshLifetimeProposed", POL_K_NUMBER, .min = 1, .max = 9999, .preset = "240",
	 .evidence = POL_FROM_MEMORY},
	{"RefreshLifetimeAccepted", POL_K_NUMBERS, .min = 1, .max = 9999, .preset = "120 480",
	 .evidence = POL_FROM_MEMORY},
	{"RefreshLifesizeProposed", POL_K_NUMBER, .values = "None", .min = 1, .max = 4194300,
	 .preset = "None", .evidence = POL_FROM_MEMORY},
	{"RefreshLifesizeAccepted", POL_K_NUMBERS, .values = "None", .min = 1, .max = 4194300,
	 .preset = "None", .evidence = POL_FROM_MEMORY},
	{0},
};

#define MANUAL_ANY                                                                                 \
	"Any stands for the rule's address on that side, which is one then, and the same in all "  \
	"rules of the action"
#define MANUAL_SA                                                                                  \
	"an SPI from 256 and a key in hex digits; with HowToAuth ESP the SPIs of a direction are " \
	"equal. There is no replay check"

static const struct pol_param ip_man_vpn_action[] = {
	{"Active", POL_K_YESNO, .preset = "Yes"},
	{"LocalSecurityEndpointAddr", POL_K_ADDR, .values = "Any|Any4|Any6", .group = "local",
	 .required = true, .note = MANUAL_ANY},
	{"LocalSecurityEndpointAddrRef", POL_K_REF, .of = "IpAddr", .group = "local",
	 .required = true},
	{"RemoteSecurityEndpointAddr", POL_K_ADDR, .values = "Any|Any4|Any6", .group = "remote",
	 .required = true, .note = MANUAL_ANY},
	{"RemoteSecurityEndpointAddrRef", POL_K_REF, .of = "IpAddr", .group = "remote",
	 .required = true},
	{"PassthroughDF", POL_K_KEYWORD, .values = "Yes|No|No Clear|No Set", .preset = "Yes",
	 .except = "No Set", .note = DF_NOTE},
	{"PassthroughDSCP", POL_K_YESNO, .preset = "Yes"},
	{"HowToEncap", POL_K_KEYWORD, .values = "Tunnel|Transport", .preset = "Tunnel",
	 .evidence = POL_FROM_MEMORY},
	{"HowToEncrypt", POL_K_TEXT, .values = "DoNot|DES|3DES|AES|AES_CBC",
	 .preset = "AES_CBC KeyLength 128", .evidence = POL_FROM_MEMORY},
	{"HowToAuth", POL_K_TEXT, .values = "AH|ESP", .preset = "ESP HMAC_SHA1",
	 .evidence = POL_FROM_MEMORY},
	{"AuthInboundSa", POL_K_TEXT, .secret = true, .evidence = POL_FROM_MEMORY,
	 .note = MANUAL_SA},
	{"AuthOutboundSa", POL_K_TEXT, .secret = true, .evidence = POL_FROM_MEMORY,
	 .note = MANUAL_SA},
	{"EncryptInboundSa", POL_K_TEXT, .secret = true, .evidence = POL_FROM_MEMORY,
	 .note = MANUAL_SA},
	{"EncryptOutboundSa", POL_K_TEXT, .secret = true, .evidence = POL_FROM_MEMORY,
	 .note = MANUAL_SA},
	{"IpTimeCondition", POL_K_BLOCK, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{"IpTimeConditionRef", POL_K_REF, .of = "IpTimeCondition", .group = "times",
	 .repeatable = true},
	{0},
};

#define ONLY_THIS_PEER                                                                             \
	"stricter than the original: no other peer may begin a tunnel for the rule either; "       \
	"without it, the peer that has a live tunnel for a selector keeps it"
#define NO_ICMP_SELECTOR                                                                           \
	"the identities of IKEv1 (RFC 2407 section 4.6.2) have a port and no type or code, and "   \
	"peers that put one there do not agree on how: such a tunnel is for all types"

static const struct pol_param ip_local_start_action[] = {
	{"AllowOnDemand", POL_K_YESNO, .inherits = "IpFilterPolicy", .evidence = POL_FROM_MEMORY},
	{"LocalSecurityEndpointAddr", POL_K_ADDR, .group = "local", .evidence = POL_FROM_MEMORY},
	{"LocalSecurityEndpointAddrRef", POL_K_REF, .of = "IpAddr", .group = "local",
	 .evidence = POL_FROM_MEMORY},
	{"RemoteSecurityEndpointAddr", POL_K_ADDR, .group = "remote", .evidence = POL_FROM_MEMORY,
	 .note = ONLY_THIS_PEER},
	{"RemoteSecurityEndpointAddrRef", POL_K_REF, .of = "IpAddr", .group = "remote",
	 .evidence = POL_FROM_MEMORY, .note = ONLY_THIS_PEER},
	{"LocalIpGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Packet",
	 .evidence = POL_FROM_MEMORY},
	{"RemoteIpGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Packet",
	 .evidence = POL_FROM_MEMORY},
	{"LocalPortGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .evidence = POL_FROM_MEMORY},
	{"RemotePortGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .evidence = POL_FROM_MEMORY},
	{"ProtocolGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .evidence = POL_FROM_MEMORY},
	{"ICMPTypeGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = NO_ICMP_SELECTOR},
	{"ICMPCodeGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = NO_ICMP_SELECTOR},
	{"ICMPv6TypeGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = NO_ICMP_SELECTOR},
	{"ICMPv6CodeGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = NO_ICMP_SELECTOR},
	{"MIPv6TypeGranularity", POL_K_KEYWORD, .values = "Packet|Rule", .preset = "Rule",
	 .support = POL_NOTED, .evidence = POL_FROM_MEMORY, .note = NO_ICMP_SELECTOR},
	{0},
};

/* ---- phase 1 ---- */

#define LIVENESS  "here for IKE version 1, too, by RFC 3706"
#define NAT       "IPv4 and ESP alone, by RFC 3947 and its drafts 02 and 03"
#define EXTENSION "an extension of csipsec, for IKE version 1 clients of a gateway"

static const struct pol_param key_exchange_policy[] = {
	{"AllowNat", POL_K_YESNO, .preset = "No", .note = NAT},
	{"NatKeepAliveInterval", POL_K_NUMBER, .max = 3600, .preset = "20",
	 .evidence = POL_FROM_MEMORY,
	 .note = "seconds; 0: none are sent. Only who is behind a NAT sends them"},
	{"HowToInitiate", POL_K_KEYWORD, .values = "Main|Aggressive|DoNot|IKEv2", .preset = "Main",
	 .evidence = POL_FROM_MEMORY},
	{"BypassIpValidation", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{"LivenessInterval", POL_K_NUMBER, .max = 4294967295, .preset = "30",
	 .evidence = POL_FROM_MEMORY, .note = LIVENESS},
	{"RevocationChecking", POL_K_KEYWORD, .values = "None|Loose|Strict", .preset = "Loose",
	 .evidence = POL_FROM_MEMORY},
	{"CertificateURLLookupPreference", POL_K_KEYWORD, .values = "Tolerate|Allow|Disallow",
	 .preset = "Tolerate", .support = POL_NOTED, .evidence = POL_FROM_MEMORY,
	 .note = IKEV2_ONLY},
	{"KeyExchangeRule", POL_K_BLOCK, .of = "KeyExchangeRule", .group = "rules",
	 .repeatable = true},
	{"KeyExchangeRuleRef", POL_K_REF, .of = "KeyExchangeRule", .group = "rules",
	 .repeatable = true},
	{"KeyExchangeGroupRef", POL_K_REF, .of = "KeyExchangeGroup", .group = "rules",
	 .repeatable = true},
	{0},
};

static const struct pol_param key_exchange_group[] = {
	{"KeyExchangeRule", POL_K_BLOCK, .of = "KeyExchangeRule", .group = "members",
	 .required = true, .repeatable = true},
	{"KeyExchangeRuleRef", POL_K_REF, .of = "KeyExchangeRule", .group = "members",
	 .required = true, .repeatable = true},
	{0},
};

static const struct pol_param key_exchange_rule[] = {
	{"LocalSecurityEndpoint", POL_K_BLOCK, .of = "LocalSecurityEndpoint", .group = "local",
	 .required = true},
	{"LocalSecurityEndpointRef", POL_K_REF, .of = "LocalSecurityEndpoint", .group = "local",
	 .required = true},
	{"RemoteSecurityEndpoint", POL_K_BLOCK, .of = "RemoteSecurityEndpoint", .group = "remote",
	 .required = true},
	{"RemoteSecurityEndpointRef", POL_K_REF, .of = "RemoteSecurityEndpoint", .group = "remote",
	 .required = true},
	{"KeyExchangeActionRef", POL_K_REF, .of = "KeyExchangeAction", .required = true},
	{"SharedKey", POL_K_TEXT, .values = "Ascii|Ebcdic|Hex", .secret = true,
	 .form = "Ascii, Ebcdic or Hex, and the key"},
	{0},
};

static const struct pol_param key_exchange_action[] = {
	{"HowToInitiate", POL_K_KEYWORD, .values = "Main|Aggressive|DoNot|IKEv2",
	 .inherits = "KeyExchangePolicy"},
	{"HowToRespond", POL_K_KEYWORD, .values = "Main|Aggressive|Either",
	 .support = POL_DEPRECATED, .note = "code HowToRespondIKEv1"},
	{"HowToRespondIKEv1", POL_K_KEYWORD, .values = "Main|Aggressive|Either", .preset = "Either",
	 .inherits = "HowToRespond", .coding_counts = true,
	 .note = "Aggressive Mode with a preshared key is answered only where it is coded, because "
		 "whoever listens can then try keys at leisure"},
	{"AllowNat", POL_K_YESNO, .inherits = "KeyExchangePolicy", .note = NAT},
	{"HowToAuthMe", POL_K_KEYWORD,
	 .values = "PresharedKey|RsaSignature|ECDSA-256|ECDSA-384|ECDSA-521|DigitalSignature",
	 .preset = "DigitalSignature", .support = POL_NOTED, .note = IKEV2_ONLY},
	{"KeyExchangeOffer", POL_K_BLOCK, .of = "KeyExchangeOffer", .group = "offers",
	 .required = true, .repeatable = true},
	{"KeyExchangeOfferRef", POL_K_REF, .of = "KeyExchangeOffer", .group = "offers",
	 .required = true, .repeatable = true},
	{"ReauthInterval", POL_K_NUMBER, .max = 4294967295, .preset = "0", .support = POL_NOTED,
	 .note = IKEV2_ONLY},
	{"FilterByIdentity", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{"BypassIpValidation", POL_K_YESNO, .inherits = "KeyExchangePolicy",
	 .evidence = POL_FROM_MEMORY},
	{"LivenessInterval", POL_K_NUMBER, .max = 4294967295, .inherits = "KeyExchangePolicy",
	 .evidence = POL_FROM_MEMORY, .note = LIVENESS},
	{"RevocationChecking", POL_K_KEYWORD, .values = "None|Loose|Strict",
	 .inherits = "KeyExchangePolicy", .evidence = POL_FROM_MEMORY},
	{"CertificateURLLookupPreference", POL_K_KEYWORD, .values = "Tolerate|Allow|Disallow",
	 .inherits = "KeyExchangePolicy", .support = POL_NOTED, .evidence = POL_FROM_MEMORY,
	 .note = IKEV2_ONLY},
	{"ClientAuthentication", POL_K_KEYWORD, .values = "None|XAuth", .preset = "None",
	 .evidence = POL_OURS,
	 .note = EXTENSION
	 ": user and password are asked for when phase 1 is up, and Quick Mode waits for them"},
	{"ClientUser", POL_K_TEXT, .repeatable = true, .secret = true, .evidence = POL_OURS,
	 .note = EXTENSION ": a name and the hash of its password as crypt(5) has it",
	 .form = "a name and the hash of the password"},
	{"ClientAddressPool", POL_K_ADDRS, .evidence = POL_OURS,
	 .note = EXTENSION ": IPv4 addresses that are given out by Mode Config; none that ends in "
			   "0 or 255"},
	{"ClientDns", POL_K_ADDR, .evidence = POL_OURS,
	 .note = EXTENSION ": the name server that Mode Config tells"},
	{"NatForceEncapsulation", POL_K_YESNO, .preset = "No", .evidence = POL_OURS,
	 .note = "an extension of csipsec: a NAT is pretended, for networks that let UDP through "
		 "and no ESP; it takes AllowNat Yes"},
	{"PeerQuirk", POL_K_KEYWORD, .values = "ShortSha256", .repeatable = true,
	 .evidence = POL_OURS,
	 .note = "an extension of csipsec: what peers of the rule do that is not as the RFCs have "
		 "it, "
		 "see the end of this page"},
	{0},
};

static const struct pol_param key_exchange_offer[] = {
	{"HowToEncrypt", POL_K_TEXT, .values = "DES|3DES|AES|AES_CBC",
	 .preset = "AES_CBC KeyLength 128", .form = "3DES, or AES_CBC KeyLength 128 or 256"},
	{"HowToAuthMsgs", POL_K_KEYWORD, .values = "MD5|SHA1|SHA2_256|SHA2_384|SHA2_512",
	 .preset = "SHA1", .evidence = POL_FROM_MEMORY},
	{"HowToVerifyMsgs", POL_K_KEYWORD,
	 .values = "HMAC_MD5_96|HMAC_SHA1_96|AES128_XCBC_96|HMAC_SHA2_256_128|HMAC_SHA2_384_192|"
		   "HMAC_SHA2_512_256",
	 .preset = "HMAC_SHA1_96", .support = POL_NOTED, .evidence = POL_FROM_MEMORY,
	 .note = IKEV2_ONLY},
	{"PseudoRandomFunction", POL_K_KEYWORD,
	 .values = "HMAC_MD5|HMAC_SHA1|AES128_XCBC|HMAC_SHA2_256|HMAC_SHA2_384|HMAC_SHA2_512",
	 .preset = "HMAC_SHA1", .support = POL_NOTED, .evidence = POL_FROM_MEMORY,
	 .note = IKEV2_ONLY},
	{"HowToAuthPeers", POL_K_KEYWORD, .values = "PresharedKey|RsaSignature",
	 .preset = "RsaSignature", .evidence = POL_FROM_MEMORY},
	{"DHGroup", POL_K_KEYWORD, .values = DH_VALUES, .preset = "Group2",
	 .evidence = POL_FROM_MEMORY},
	{"RefreshLifetimeProposed", POL_K_NUMBER, .min = 1, .max = 9999, .preset = "480",
	 .evidence = POL_FROM_MEMORY},
	{"RefreshLifetimeAccepted", POL_K_NUMBERS, .min = 1, .max = 9999, .preset = "240 1440",
	 .evidence = POL_FROM_MEMORY},
	{"RefreshLifesizeProposed", POL_K_NUMBER, .values = "None", .min = 1, .max = 4194300,
	 .preset = "None", .evidence = POL_FROM_MEMORY},
	{"RefreshLifesizeAccepted", POL_K_NUMBERS, .values = "None", .min = 1, .max = 4194300,
	 .preset = "None", .evidence = POL_FROM_MEMORY},
	{0},
};

#define IDENTITY_VALUES "IpAddr|Fqdn|UserAtFqdn|X500dn|KeyID"
#define IDENTITY                                                                                   \
	"IpAddr 192.0.2.1, Fqdn host.example.com, UserAtFqdn user@example.com, "                   \
	"X500dn CN=host,O=Example,C=US, or KeyID with Ascii, Ebcdic or Hex and an id"

static const struct pol_param local_security_endpoint[] = {
	{"Identity", POL_K_TEXT, .values = IDENTITY_VALUES, .required = true, .form = IDENTITY},
	{"Location", POL_K_ADDRS, .values = "Any|Any4|Any6", .group = "location", .preset = "Any4",
	 .evidence = POL_FROM_MEMORY},
	{"LocationRef", POL_K_REF, .of = "IpAddr", .group = "location"},
	{"LocationSetRef", POL_K_REF, .of = "IpAddrSet", .group = "location"},
	{"LocationGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "location"},
	{0},
};

static const struct pol_param remote_security_endpoint[] = {
	{"Identity", POL_K_TEXT, .values = IDENTITY_VALUES, .group = "identity", .required = true,
	 .form = IDENTITY},
	{"RemoteIdentityRef", POL_K_REF, .of = "RemoteIdentity", .group = "identity",
	 .required = true},
	{"Location", POL_K_ADDRS, .values = "Any|Any4|Any6", .group = "location", .preset = "Any4"},
	{"LocationRef", POL_K_REF, .of = "IpAddr", .group = "location"},
	{"LocationSetRef", POL_K_REF, .of = "IpAddrSet", .group = "location"},
	{"LocationGroupRef", POL_K_REF, .of = "IpAddrGroup", .group = "location"},
	{"CaLabel", POL_K_TEXT, .repeatable = true, .evidence = POL_FROM_MEMORY},
	{0},
};

static const struct pol_param remote_identity[] = {
	{"Identity", POL_K_TEXT, .values = IDENTITY_VALUES, .required = true, .form = IDENTITY},
	{0},
};

/* ---- tunnels by command ---- */

static const struct pol_param local_dyn_vpn_policy[] = {
	{"LocalDynVpnRule", POL_K_BLOCK, .of = "LocalDynVpnRule", .group = "rules",
	 .repeatable = true},
	{"LocalDynVpnRuleRef", POL_K_REF, .of = "LocalDynVpnRule", .group = "rules",
	 .repeatable = true},
	{"LocalDynVpnGroupRef", POL_K_REF, .of = "LocalDynVpnGroup", .group = "rules",
	 .repeatable = true},
	{0},
};

static const struct pol_param local_dyn_vpn_group[] = {
	{"LocalDynVpnRule", POL_K_BLOCK, .of = "LocalDynVpnRule", .group = "members",
	 .required = true, .repeatable = true},
	{"LocalDynVpnRuleRef", POL_K_REF, .of = "LocalDynVpnRule", .group = "members",
	 .required = true, .repeatable = true},
	{0},
};

static const struct pol_param local_dyn_vpn_rule[] = {
	{"LocalIp", POL_K_ADDRS, .group = "local", .required = true},
	{"LocalIpRef", POL_K_REF, .of = "IpAddr", .group = "local", .required = true,
	 .evidence = POL_FROM_MEMORY},
	{"LocalIpSetRef", POL_K_REF, .of = "IpAddrSet", .group = "local", .required = true,
	 .evidence = POL_FROM_MEMORY},
	{"RemoteIp", POL_K_ADDRS, .group = "remote", .required = true},
	{"RemoteIpRef", POL_K_REF, .of = "IpAddr", .group = "remote", .required = true,
	 .evidence = POL_FROM_MEMORY},
	{"RemoteIpSetRef", POL_K_REF, .of = "IpAddrSet", .group = "remote", .required = true,
	 .evidence = POL_FROM_MEMORY},
	{"Protocol", POL_K_NUMBER, .values = "All|Tcp|Udp|Icmp|Icmpv6|Ospf|MIPv6", .min = 1,
	 .max = 255, .preset = "All", .evidence = POL_FROM_MEMORY},
	{"LocalDataPort", POL_K_NUMBER, .max = 65535, .preset = "0", .evidence = POL_FROM_MEMORY},
	{"RemoteDataPort", POL_K_NUMBER, .max = 65535, .preset = "0", .evidence = POL_FROM_MEMORY},
	{"Type", POL_K_NUMBER, .values = "Any", .max = 255, .preset = "Any",
	 .evidence = POL_FROM_MEMORY},
	{"Code", POL_K_NUMBER, .values = "Any", .max = 255, .preset = "Any",
	 .evidence = POL_FROM_MEMORY},
	{"AutoActivate", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY,
	 .note = "Yes: tried again in pauses of 5 s to 5 min while it fails"},
	{0},
};

/* ---- iked's configuration file ---- */

#define OLD_RETRY "IkeRetries and IkeInitWait govern retransmission"
#define KEYRING                                                                                    \
	"a directory or PKCS#12 file, see csipsec-pki; relative to the configuration directory"
#define SHARED_STORE                                                                               \
	"an extension of csipsec: sqlite:PATH or postgresql:CONNECTION-STRING, what hosts share "  \
	"of SAs at addresses that move between them"
#define NO_NSS "there is no network security server here"

static const struct pol_param ike_config[] = {
	{"IkeSyslogLevel", POL_K_NUMBER, .max = 511, .preset = "1", .evidence = POL_FROM_MEMORY},
	{"PagentSyslogLevel", POL_K_NUMBER, .max = 511, .preset = "0", .support = POL_NOTED,
	 .note = "there is no policy API to trace"},
	{"Keyring", POL_K_TEXT, .preset = "iked/keyring", .note = KEYRING},
	{"NoKeyRing", POL_K_FLAG, .note = "no certificates, whatever Keyring says"},
	{"IkeRetries", POL_K_NUMBER, .min = 1, .max = 8, .preset = "6",
	 .evidence = POL_FROM_MEMORY},
	{"IkeInitWait", POL_K_NUMBER, .min = 1, .max = 15, .preset = "2",
	 .evidence = POL_FROM_MEMORY},
	{"KeyRetries", POL_K_NUMBER, .max = 4294967295, .preset = "10", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = OLD_RETRY},
	{"KeyWait", POL_K_NUMBER, .max = 4294967295, .preset = "30", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = OLD_RETRY},
	{"DataRetries", POL_K_NUMBER, .max = 4294967295, .preset = "10", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = OLD_RETRY},
	{"DataWait", POL_K_NUMBER, .max = 4294967295, .preset = "15", .support = POL_NOTED,
	 .evidence = POL_FROM_MEMORY, .note = OLD_RETRY},
	{"FIPS140", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY},
	{"Echo", POL_K_YESNO, .preset = "No", .evidence = POL_FROM_MEMORY, .except = "Yes",
	 .note = "iked logs to standard error with its option -f"},
	{"PagentWait", POL_K_NUMBER, .max = 9999, .preset = "0", .evidence = POL_FROM_MEMORY},
	{"SMF119", POL_K_KEYWORD, .values = "None|IKEALL|IKETunnel|DynTunnel", .preset = "None",
	 .repeatable = true, .note = "trmd writes them; 77 to 80 come with DynTunnel"},
	{"SupportedCertAuth", POL_K_TEXT, .repeatable = true},
	{"DynamicVipa", POL_K_ADDRS, .repeatable = true, .evidence = POL_OURS,
	 .note = "an extension of csipsec: addresses that move between hosts, with SharedStore; "
		 "what "
		 "DVIPSEC and VIPADYNAMIC of a profile say on z/OS"},
	{"SharedStore", POL_K_TEXT, .secret = true, .evidence = POL_OURS, .note = SHARED_STORE},
	{"NetworkSecurityServer", POL_K_TEXT, .support = POL_NOTED, .note = NO_NSS},
	{"NetworkSecurityServerBackup", POL_K_TEXT, .support = POL_NOTED, .note = NO_NSS},
	{"NssWaitLimit", POL_K_NUMBER, .max = 4294967295, .preset = "60", .support = POL_NOTED,
	 .note = NO_NSS},
	{"NssWaitRetries", POL_K_NUMBER, .max = 4294967295, .preset = "3", .support = POL_NOTED,
	 .note = NO_NSS},
	{0},
};

/* ---- statements ---- */

#define IDS_NOTE     "intrusion detection is not part of this program"
#define QOS_NOTE     "quality of service is not part of this program"
#define ROUTING_NOTE "policy-based routing is not part of this program"
#define TTLS_NOTE                                                                                  \
	"read, checked, stored and published for AT-TLS programs; this release has none of them"
#define FLUSH_NOTE                                                                                 \
	"FLUSH and PURGE concern AT-TLS policy alone; where neither FLUSH nor NOFLUSH is coded, "  \
	"it is NOFLUSH, and NOPURGE likewise"
#define SERVER_NOTE "policy is read from local files alone"
#define AGENT_NOTE  "it has no meaning here"

const struct pol_statement pol_statement_rows[] = {
	{"IpFilterPolicy", .global = true, .params = ip_filter_policy},
	{"IpFilterGroup", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = ip_filter_group},
	{"IpFilterRule", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = ip_filter_rule},
	{"IpService", .naming = POL_NAME_OPTIONAL, .global = true, .params = ip_service},
	{"IpServiceGroup", .naming = POL_NAME_OPTIONAL, .global = true, .params = ip_service_group},
	{"IpGenericFilterAction", .naming = POL_NAME_REQUIRED, .global = true,
	 .selector_name = true, .shown = "IpFilter GenericFilter",
	 .params = ip_generic_filter_action},
	{"IpDynVpnAction", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .shown = "IpFilter DynamicVpn", .params = ip_dyn_vpn_action},
	{"IpDataOffer", .naming = POL_NAME_OPTIONAL, .global = true, .params = ip_data_offer},
	{"IpManVpnAction", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .shown = "IpFilter ManualVpn", .params = ip_man_vpn_action},
	{"IpLocalStartAction", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .shown = "IpFilter LocalStart", .params = ip_local_start_action},
	{"IpTimeCondition", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = ip_time_condition},
	{"IpAddr", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true, .params = ip_addr},
	{"IpAddrSet", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = ip_addr_set},
	{"IpAddrGroup", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = ip_addr_group},
	{"KeyExchangePolicy", .global = true, .params = key_exchange_policy},
	{"KeyExchangeGroup", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = key_exchange_group},
	{"KeyExchangeRule", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = key_exchange_rule},
	{"KeyExchangeAction", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .shown = "KeyExchange", .params = key_exchange_action},
	{"KeyExchangeOffer", .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = key_exchange_offer},
	{"LocalSecurityEndpoint", .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = local_security_endpoint},
	{"RemoteSecurityEndpoint", .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = remote_security_endpoint},
	{"RemoteIdentity", .naming = POL_NAME_OPTIONAL, .global = true, .params = remote_identity},
	{"LocalDynVpnPolicy", .global = true, .params = local_dyn_vpn_policy},
	{"LocalDynVpnGroup", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = local_dyn_vpn_group},
	{"LocalDynVpnRule", .naming = POL_NAME_REQUIRED, .global = true, .selector_name = true,
	 .params = local_dyn_vpn_rule},

	/* AT-TLS: grammar_ttls.c has their parameters. */
	{"PortRange", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_port_range_rows},
	{"PortGroup", POL_IN_BOTH, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_port_group_rows},
	{"TTLSRule", POL_IN_TTLS, .naming = POL_NAME_REQUIRED, .global = true,
	 .params = pol_ttls_rule_rows, .note = TTLS_NOTE},
	{"TTLSGroupAction", POL_IN_TTLS, .naming = POL_NAME_REQUIRED, .global = true,
	 .shown = "TTLS Group", .params = pol_ttls_group_action_rows},
	{"TTLSGroupAdvancedParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_group_advanced_rows},
	{"TTLSEnvironmentAction", POL_IN_TTLS, .naming = POL_NAME_REQUIRED, .global = true,
	 .shown = "TTLS Environment", .params = pol_ttls_environment_action_rows},
	{"TTLSKeyringParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_keyring_rows},
	{"TTLSEnvironmentAdvancedParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_environment_advanced_rows},
	{"TTLSConnectionAction", POL_IN_TTLS, .naming = POL_NAME_REQUIRED, .global = true,
	 .shown = "TTLS Connection", .params = pol_ttls_connection_action_rows},
	{"TTLSConnectionAdvancedParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_connection_advanced_rows},
	{"TTLSCipherParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_cipher_parms_rows},
	{"TTLSSignatureParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_signature_parms_rows},
	{"TTLSGskAdvancedParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_gsk_advanced_rows},
	{"TTLSGskLdapParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_gsk_ldap_rows},
	{"TTLSGskOcspParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_gsk_ocsp_rows},
	{"TTLSGskHttpCdpParms", POL_IN_TTLS, .naming = POL_NAME_OPTIONAL, .global = true,
	 .params = pol_ttls_gsk_http_rows},

	/* The main and image files: lines that name other files. */
	{"TcpImage", POL_IN_MAIN, .global = true, .note = FLUSH_NOTE},
	{"PEPInstance", POL_IN_MAIN, .global = true, .note = FLUSH_NOTE},
	{"CommonIpSecConfig", POL_IN_MAIN, .global = true},
	{"IpSecConfig", POL_IN_MAIN, .global = true},
	{"CommonTTLSConfig", POL_IN_MAIN, .global = true},
	{"TTLSConfig", POL_IN_MAIN, .global = true, .note = FLUSH_NOTE},
	{"LogLevel", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = "what is logged is chosen by options"},
	{"Codepage", POL_IN_MAIN, .global = true, .evidence = POL_FROM_MEMORY,
	 .note = "of files in EBCDIC, which are told by their bytes; others are read as UTF-8"},
	{"AutoMonitor*", POL_IN_MAIN, .global = true, .support = POL_NOTED, .note = AGENT_NOTE},
	{"ServerConnection", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = SERVER_NOTE},
	{"ServicesConnection", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = SERVER_NOTE},
	{"ClientConnection", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = SERVER_NOTE},
	{"PolicyServer", POL_IN_MAIN, .global = true, .support = POL_NOTED, .note = SERVER_NOTE},
	{"DynamicConfigPolicyLoad", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = SERVER_NOTE},
	{"ReadFromDirectory", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = SERVER_NOTE},
	{"CommonIDSConfig", POL_IN_MAIN, .global = true, .support = POL_NOTED, .note = IDS_NOTE},
	{"CommonRoutingConfig", POL_IN_MAIN, .global = true, .support = POL_NOTED,
	 .note = ROUTING_NOTE},
	{"CommonZERTConfig", POL_IN_MAIN, .global = true, .support = POL_NOTED, .note = AGENT_NOTE},

	/* Other disciplines. */
	{"IDS*", .global = true, .support = POL_NOTED, .note = IDS_NOTE},
	{"QOS*", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"PolicyRule", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"PolicyAction", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"PolicyPerformanceCollection", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"PolicyPerfMonitorForSDR", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"ServiceCategories", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"ServicePolicyRules", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"SetSubnetPrioTosMask", .global = true, .support = POL_NOTED, .note = QOS_NOTE},
	{"Routing*", .global = true, .support = POL_NOTED, .note = ROUTING_NOTE},
	{"RouteTable", .global = true, .support = POL_NOTED, .note = ROUTING_NOTE},
	{"TrafficDescriptor*", .global = true, .support = POL_NOTED, .note = ROUTING_NOTE},
	{"ZERT*", .global = true, .support = POL_NOTED, .note = AGENT_NOTE},

	{"IkeConfig", POL_IN_IKED, .global = true, .params = ike_config},
	{"NssStackConfig", POL_IN_IKED, .global = true, .support = POL_NOTED, .note = NO_NSS},
};

const unsigned pol_n_statement_rows = sizeof(pol_statement_rows) / sizeof(pol_statement_rows[0]);
