/*
 * The rows of the profile's IPSEC block (IP Configuration Reference, "IPSEC statement").  Unlike
 * the policy files' its words stand in the order of the rows, and a row stands once.
 */
#include "policy/profile.h"

static const struct pol_param block[] = {
	{"DVIPSEC", POL_K_FLAG, .support = POL_NOTED,
	 .note = "it is kept and displayed; which addresses move is said by DynamicVipa of "
		 "IkeConfig"},
	{"LOGDISABLE", POL_K_FLAG, .group = "log", .note = "the default"},
	{"LOGENABLE", POL_K_FLAG, .group = "log"},
	{"NOLOGIMPLICIT", POL_K_FLAG, .group = "implicit", .note = "the default"},
	{"LOGIMPLICIT", POL_K_FLAG, .group = "implicit",
	 .note = "packets that no rule permits are logged under LOGENABLE"},
	{0},
};

#define PORTS    "n or n m; TCP and UDP"
#define CODES    "n or n m, beside a single TYPE"
#define CONNECTS "INBCONNECT and OUTBCONNECT: TCP"
#define DIRECTIONS                                                                                 \
	"BIDIRECTIONAL|BIDIRECTIONAL INBCONNECT|BIDIRECTIONAL OUTBCONNECT|INBOUND|OUTBOUND"

static const struct pol_param rule4[] = {
	{"NOLOG", POL_K_FLAG, .group = "log", .note = "the default"},
	{"LOG", POL_K_FLAG, .group = "log", .note = "under LOGENABLE"},
	{"PROTOCOL", POL_K_NUMBER, .values = "*|TCP|UDP|ICMP|OSPF", .max = 255, .preset = "*"},
	{"SRCPORT", POL_K_NUMBERS, .values = "*", .min = 1, .max = 65535, .preset = "*",
	 .note = PORTS},
	{"DESTPORT", POL_K_NUMBERS, .values = "*", .min = 1, .max = 65535, .preset = "*",
	 .note = PORTS},
	{"TYPE", POL_K_NUMBERS, .values = "*", .max = 255, .preset = "*",
	 .note = "n or n m; ICMP and OSPF"},
	{"CODE", POL_K_NUMBERS, .values = "*", .max = 255, .preset = "*", .note = CODES},
	{"ROUTING", POL_K_KEYWORD, .values = "LOCAL|ROUTED|EITHER", .preset = "LOCAL"},
	{"FRAGMENTSONLY", POL_K_FLAG, .evidence = POL_DOCUMENTED},
	{"SECCLASS", POL_K_NUMBER, .max = 255, .preset = "0"},
	{"DIRECTION", POL_K_KEYWORD, .values = DIRECTIONS, .preset = "BIDIRECTIONAL",
	 .note = CONNECTS},
	{0},
};

static const struct pol_param rule6[] = {
	{"NOLOG", POL_K_FLAG, .group = "log", .note = "the default"},
	{"LOG", POL_K_FLAG, .group = "log", .note = "under LOGENABLE"},
	{"PROTOCOL", POL_K_NUMBER, .values = "*|TCP|UDP|ICMPV6|OSPF|MIPV6|OPAQUE", .max = 255,
	 .preset = "*"},
	{"SRCPORT", POL_K_NUMBERS, .values = "*", .min = 1, .max = 65535, .preset = "*",
	 .note = PORTS},
	{"DESTPORT", POL_K_NUMBERS, .values = "*", .min = 1, .max = 65535, .preset = "*",
	 .note = PORTS},
	{"TYPE", POL_K_NUMBERS, .values = "*", .max = 255, .preset = "*",
	 .note = "n or n m; ICMPV6, OSPF and MIPV6"},
	{"CODE", POL_K_NUMBERS, .values = "*", .max = 255, .preset = "*", .note = CODES},
	{"ROUTING", POL_K_KEYWORD, .values = "LOCAL|ROUTED|EITHER", .preset = "LOCAL"},
	{"FRAGMENTSONLY", POL_K_FLAG, .evidence = POL_DOCUMENTED},
	{"SECCLASS", POL_K_NUMBER, .max = 255, .preset = "0"},
	{"DIRECTION", POL_K_KEYWORD, .values = DIRECTIONS, .preset = "BIDIRECTIONAL",
	 .note = CONNECTS},
	{0},
};

#define ADDRESSES                                                                                  \
	"source and destination (address, address/length, address-address or *) stand before the " \
	"words of this table"

static const struct pol_statement statements[] = {
	{"IPSEC", .params = block,
	 .note = "it ends with ENDIPSEC, counts without IPCONFIG IPSECURITY, and the first one of "
		 "a "
		 "profile counts; other statements of the profile are not looked at"},
	{"IPSECRULE", .params = rule4, .note = ADDRESSES},
	{"IPSEC6RULE", .params = rule6, .note = ADDRESSES},
};

const struct pol_statement *pol_profile_statements(unsigned *n)
{
	*n = sizeof(statements) / sizeof(statements[0]);
	return statements;
}
