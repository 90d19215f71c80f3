/* The label tables of the reports, in the order of z/OS V1R12. */
#include "ipsec-cli/report.h"

/* A label, one that begins a line of the short form, one in an indented block, one of our own. */
#define L(label, kind_)                                                                            \
	{                                                                                          \
		.name = (label), .kind = (kind_)                                                   \
	}
#define LINE(label, kind_)                                                                         \
	{                                                                                          \
		.name = (label), .kind = (kind_), .newline = true                                  \
	}
#define SHORT(label, kind_, abb)                                                                   \
	{                                                                                          \
		.name = (label), .kind = (kind_), .abbreviation = (abb)                            \
	}
#define SHORT_LINE(label, kind_, abb)                                                              \
	{                                                                                          \
		.name = (label), .kind = (kind_), .abbreviation = (abb), .newline = true           \
	}
#define IN(label, kind_)                                                                           \
	{                                                                                          \
		.name = (label), .kind = (kind_), .indented = true                                 \
	}
#define IN_LINE(label, kind_)                                                                      \
	{                                                                                          \
		.name = (label), .kind = (kind_), .newline = true, .indented = true                \
	}
#define EXTRA(label, kind_)                                                                        \
	{                                                                                          \
		.name = (label), .kind = (kind_), .extra = true                                    \
	}

#define REPORT(primary, generations, column, labels)                                               \
	{                                                                                          \
		primary, generations, column, labels, sizeof(labels) / sizeof((labels)[0])         \
	}

static const struct label ike_tunnels[] = {
	LINE("TunnelID", V_PLAIN),
	L("Generation", V_PLAIN),
	L("IKEVersion", V_PLAIN),
	LINE("KeyExchangeRuleName", V_PLAIN),
	LINE("KeyExchangeActionName", V_PLAIN),
	LINE("LocalEndPoint", V_PLAIN),
	L("LocalIDType", V_PLAIN),
	LINE("LocalID", V_PLAIN),
	LINE("RemoteEndPoint", V_PLAIN),
	L("RemoteIDType", V_PLAIN),
	LINE("RemoteID", V_PLAIN),
	LINE("ExchangeMode", V_PLAIN),
	L("State", V_PLAIN),
	LINE("AuthenticationAlgorithm", V_PLAIN),
	L("EncryptionAlgorithm", V_PLAIN),
	L("KeyLength", V_PLAIN),
	LINE("PseudoRandomFunction", V_PLAIN),
	L("DiffieHellmanGroup", V_PLAIN),
	LINE("LocalAuthenticationMethod", V_PLAIN),
	L("RemoteAuthenticationMethod", V_PLAIN),
	LINE("InitiatorCookie", V_PLAIN),
	L("ResponderCookie", V_PLAIN),
	LINE("Lifesize", V_KBYTES),
	L("CurrentByteCount", V_BYTES),
	LINE("Lifetime", V_MINUTES),
	L("LifetimeRefresh", V_TIME),
	L("LifetimeExpires", V_TIME),
	LINE("ReauthInterval", V_MINUTES),
	L("ReauthTime", V_TIME),
	LINE("Role", V_PLAIN),
	L("AssociatedDynamicTunnels", V_PLAIN),
	LINE("NATTSupportLevel", V_PLAIN),
	L("NATInFrntLclScEndPnt", V_PLAIN),
	L("NATInFrntRmtScEndPnt", V_PLAIN),
	LINE("zOSCanInitiateP1SA", V_PLAIN),
	L("AllowNat", V_PLAIN),
	L("RmtNAPTDetected", V_PLAIN),
	L("RmtUdpEncapPort", V_PLAIN),
	EXTRA("XAuthUser", V_PLAIN),
	EXTRA("ClientAddress", V_PLAIN),
};

/* Both views of a dynamic tunnel begin alike. */
#define DYNAMIC_HEAD                                                                               \
	LINE("TunnelID", V_PLAIN), L("Generation", V_PLAIN), L("IKEVersion", V_PLAIN),             \
		L("ParentIKETunnelID", V_PLAIN), LINE("VpnActionName", V_PLAIN),                   \
		LINE("LocalDynVpnRule", V_PLAIN), LINE("State", V_PLAIN),                          \
		L("HowToEncap", V_PLAIN), LINE("LocalEndPoint", V_PLAIN),                          \
		L("RemoteEndPoint", V_PLAIN), LINE("LocalAddressBase", V_PLAIN),                   \
		L("LocalAddressPrefix", V_PLAIN), L("LocalAddressRange", V_PLAIN),                 \
		LINE("RemoteAddressBase", V_PLAIN), L("RemoteAddressPrefix", V_PLAIN),             \
		L("RemoteAddressRange", V_PLAIN), LINE("HowToAuth", V_PLAIN),                      \
		L("AuthAlgorithm", V_PLAIN), LINE("AuthInboundSpi", V_SPI),                        \
		L("AuthOutboundSpi", V_SPI), LINE("HowToEncrypt", V_PLAIN),                        \
		L("KeyLength", V_PLAIN), LINE("EncryptInboundSpi", V_SPI),                         \
		L("EncryptOutboundSpi", V_SPI), LINE("Protocol", V_PROTOCOL),                      \
		L("LocalPort", V_PORT), L("LocalPortRange", V_PLAIN), L("RemotePort", V_PORT),     \
		L("RemotePortRange", V_PLAIN), LINE("Type", V_PLAIN), L("TypeRange", V_PLAIN),     \
		L("Code", V_PLAIN), L("CodeRange", V_PLAIN)

#define DYNAMIC_NAT                                                                                \
	LINE("NAT Traversal Topology", V_BLOCK), IN_LINE("UdpEncapMode", V_PLAIN),                 \
		IN("LclNATDetected", V_PLAIN), IN("RmtNATDetected", V_PLAIN),                      \
		IN("RmtNAPTDetected", V_PLAIN), IN_LINE("RmtIsGw", V_PLAIN),                       \
		IN("RmtIsZOS", V_PLAIN), IN("zOSCanInitP2SA", V_PLAIN),                            \
		IN("RmtUdpEncapPort", V_PLAIN), IN_LINE("SrcNATOARcvd", V_PLAIN),                  \
		IN("DstNATOARcvd", V_PLAIN)

static const struct label dynamic_stack[] = {
	DYNAMIC_HEAD,
	LINE("OutboundPackets", V_PLAIN),
	L("OutboundBytes", V_PLAIN),
	L("InboundPackets", V_PLAIN),
	L("InboundBytes", V_PLAIN),
	LINE("Lifesize", V_KBYTES),
	L("LifesizeRefresh", V_KBYTES),
	L("CurrentByteCount", V_BYTES),
	LINE("LifetimeRefresh", V_TIME),
	L("LifetimeExpires", V_TIME),
	LINE("CurrentTime", V_TIME),
	L("VPNLifeExpires", V_TIME),
	DYNAMIC_NAT,
	LINE("PassthroughDF", V_PLAIN),
	L("PassthroughDSCP", V_PLAIN),
	EXTRA("XAuthUser", V_PLAIN),
};

static const struct label dynamic_ike[] = {
	DYNAMIC_HEAD,
	LINE("LocalClientIDType", V_PLAIN),
	L("LocalClientID", V_PLAIN),
	LINE("RemoteClientIDType", V_PLAIN),
	L("RemoteClientID", V_PLAIN),
	LINE("PfsGroup", V_GROUP),
	L("ActivationMethod", V_PLAIN),
	LINE("Lifesize", V_KBYTES),
	L("Lifetime", V_MINUTES),
	LINE("LifetimeRefresh", V_TIME),
	L("LifetimeExpires", V_TIME),
	LINE("VPNLifeExpires", V_TIME),
	L("PendingNewActivation", V_PLAIN),
	DYNAMIC_NAT,
	EXTRA("XAuthUser", V_PLAIN),
};

static const struct label manual[] = {
	LINE("TunnelID", V_PLAIN),        LINE("VpnActionName", V_PLAIN),
	LINE("State", V_PLAIN),           L("HowToEncap", V_PLAIN),
	LINE("LocalEndPoint", V_PLAIN),   L("RemoteEndPoint", V_PLAIN),
	LINE("HowToAuth", V_PLAIN),       L("AuthAlgorithm", V_PLAIN),
	LINE("AuthInboundSpi", V_SPI),    L("AuthOutboundSpi", V_SPI),
	LINE("HowToEncrypt", V_PLAIN),    L("KeyLength", V_PLAIN),
	LINE("EncryptInboundSpi", V_SPI), L("EncryptOutboundSpi", V_SPI),
	LINE("OutboundPackets", V_PLAIN), L("OutboundBytes", V_PLAIN),
	L("InboundPackets", V_PLAIN),     L("InboundBytes", V_PLAIN),
	LINE("PassthroughDF", V_PLAIN),   L("PassthroughDSCP", V_PLAIN),
};

static const struct label filters[] = {
	LINE("FilterName", V_PLAIN),
	L("FilterNameExtension", V_PLAIN),
	LINE("GroupName", V_PLAIN),
	LINE("LocalStartActionName", V_PLAIN),
	LINE("VpnActionName", V_PLAIN),
	LINE("TunnelID", V_PLAIN),
	LINE("Type", V_PLAIN),
	L("DefensiveType", V_PLAIN),
	L("State", V_PLAIN),
	L("Action", V_PLAIN),
	L("Scope", V_PLAIN),
	L("Direction", V_PLAIN),
	L("OnDemand", V_PLAIN),
	LINE("SecurityClass", V_PLAIN),
	L("Logging", V_PLAIN),
	L("LogLimit", V_PLAIN),
	LINE("Protocol", V_FILTER_PROTOCOL),
	L("ICMPType", V_PLAIN),
	SHORT("ICMPTypeGranularity", V_PLAIN, "ICMPTypeGran"),
	L("ICMPCode", V_PLAIN),
	SHORT("ICMPCodeGranularity", V_PLAIN, "ICMPCodeGran"),
	LINE("OSPFType", V_PLAIN),
	L("TCPQualifier", V_PLAIN),
	SHORT("ProtocolGranularity", V_PLAIN, "ProtocolGran"),
	LINE("SourceAddress", V_PLAIN),
	LINE("SourceAddressPrefix", V_PLAIN),
	LINE("SourceAddressRange", V_PLAIN),
	SHORT_LINE("SourceAddressGranularity", V_PLAIN, "SourceAddressGran"),
	LINE("SourcePort", V_PORT),
	L("SourcePortRange", V_PLAIN),
	SHORT("SourcePortGranularity", V_PLAIN, "SourcePortGran"),
	LINE("DestAddress", V_PLAIN),
	LINE("DestAddressPrefix", V_PLAIN),
	LINE("DestAddressRange", V_PLAIN),
	SHORT_LINE("DestAddressGranularity", V_PLAIN, "DestAddressGran"),
	LINE("DestPort", V_PORT),
	L("DestPortRange", V_PLAIN),
	SHORT("DestPortGranularity", V_PLAIN, "DestPortGran"),
	LINE("OrigRmtConnPort", V_PLAIN),
	SHORT("RmtIDPayload", V_PLAIN, "RmtIDpayload"),
	L("RmtUdpEncapPort", V_PLAIN),
	LINE("CreateTime", V_TIME),
	L("UpdateTime", V_TIME),
	LINE("DiscardAction", V_PLAIN),
	L("MIPv6Type", V_PLAIN),
	SHORT("MIPv6TypeGranularity", V_PLAIN, "MIPv6TypeGran"),
	L("TypeRange", V_PLAIN),
	L("CodeRange", V_PLAIN),
	LINE("RemoteIdentityType", V_PLAIN),
	L("RemoteIdentity", V_PLAIN),
	LINE("FragmentsOnly", V_PLAIN),
	L("FilterMatches", V_PLAIN),
	L("LifetimeExpires", V_TIME),
	L("AssociatedStackCount", V_PLAIN),
};

static const struct label ports[] = {
	LINE("RmtIpAddress", V_PLAIN),   L("Protocol", V_PROTOCOL),
	L("TransRmtConnPort", V_PLAIN),  L("OrigRmtConnPort", V_PLAIN),
	L("RmtInnerIpAddress", V_PLAIN), EXTRA("RmtUdpEncapPort", V_PLAIN),
};

const struct report report_ike_tunnels = REPORT("IKE tunnel", true, 31, ike_tunnels);
const struct report report_dynamic_stack = REPORT("Dynamic tunnel", true, 31, dynamic_stack);
const struct report report_dynamic_ike = REPORT("Dynamic tunnel", true, 31, dynamic_ike);
const struct report report_filters = REPORT("Filter", false, 31, filters);
const struct report report_manual = REPORT("Manual tunnel", false, 31, manual);
const struct report report_ports = REPORT("NATT Port Trans", false, 23, ports);
