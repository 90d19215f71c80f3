/*
 * Log lines of packets: each kind of packet and its exact text, each cut, and whatever random bytes
 * are taken for.
 */
#include <check.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "tests/unit/run_suite.h"
#include "trmd/filter_message.h"

#define WHEN 1768472430450000 /* 2026-01-15T10:20:30.450000Z */

static uint8_t bytes[1024];

static size_t hex(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		char pair[3] = {text[0], text[1], 0};

		if (*text == ' ')
			continue;
		bytes[n++] = (uint8_t)strtoul(pair, NULL, 16);
		text++;
	}
	return n;
}

static const struct trmd_event usual = {
	.generation = 7,
	.reason = TRMD_DENY,
	.rule = 2,
	.name = "Rule_1",
	.hook = NF_INET_PRE_ROUTING,
	.in = 3,
	.in_name = "eth0",
	.time_us = WHEN,
};

static const struct trmd_filter_facts known = {
	.name = "Rule~1",
	.extension = 4,
	.vpn_action = "Gold~VPN",
	.tunnel = "Y7",
	.security_class = 255,
	.interface = {AF_INET, {192, 0, 2, 1}},
};

#define V4(proto, len, fragment)                                                                   \
	"4500" len "0001" fragment "40" proto "0000"                                               \
	"c6336407"                                                                                 \
	"c0000201"
#define V6(next, len)                                                                              \
	"60000000" len next "40"                                                                   \
	"20010db8000000000000000000000001"                                                         \
	"20010db8000000000000000000000002"

/* What stands between "ext= 4" and "Interface=". */
static const struct {
	const char *packet, *text;
	char fragment;
} packets[] = {
	{V4("06", "003c", "4000") "c0000016 0000",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= TCP(6) sport= 49152 dport= 22 -= len= 60",
	 'N'},
	{V4("11", "0020", "0000") "00351f90 000c0000",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= 53 dport= 8080 -= len= 32",
	 'N'},
	{V4("01", "0054", "0000") "0800f7ff",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= ICMP(1) type= 8 code= 0 -= len= 84", 'N'},
	/* options before the ports */
	{"47000024 00010000 40110000 c6336407 c0000201 0101010101010100 0007 0008",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= 7 dport= 8 -= len= 36",
	 'N'},
	/* the first fragment, and a later one */
	{V4("11", "05dc", "2000") "00351f90",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= 53 dport= 8080 -= len= "
	 "1500",
	 'Y'},
	{V4("11", "0100", "00b9") "00351f90",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= Unknown dport= Unknown -= "
	 "len= 256",
	 'Y'},
	{V4("01", "0100", "20b9") "0800",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= ICMP(1) type= Unknown code= Unknown -= "
	 "len= 256",
	 'Y'},
	{V4("32", "0100", "00b9") "0800",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= ESP(50) -= -= -= len= 256", 'Y'},
	/* cut off: no port, one port */
	{V4("06", "003c", "4000"),
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= TCP(6) sport= Unknown dport= Unknown -= "
	 "len= 60",
	 'N'},
	{V4("06", "003c", "4000") "0007 00",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= TCP(6) sport= Unknown dport= Unknown -= "
	 "len= 60",
	 'N'},
	/* a header length that is none */
	{"4400001c 00010000 40110000 c6336407 c0000201 00070008",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= Unknown dport= Unknown -= "
	 "len= 28",
	 'N'},
	{V4("02", "0020", "0000") "1600",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= IGMP(2) -= -= -= len= 32", 'N'},
	{V4("04", "0020", "0000") "4500",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= IP(4) -= -= -= len= 32", 'N'},
	{V4("33", "0020", "0000") "0600",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= AH(51) -= -= -= len= 32", 'N'},
	{V4("59", "0020", "0000") "0201",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= OSPF(89) type= 1 -= -= len= 32", 'N'},
	{V4("59", "0020", "0000") "02",
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= OSPF(89) type= Unknown -= -= len= 32",
	 'N'},
	{V4("5e", "0020", "0000"),
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= IPIP(94) -= -= -= len= 32", 'N'},
	{V4("2f", "0020", "0000"),
	 "sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= 47 -= -= -= len= 32", 'N'},
	{V6("06", "0014") "c0001f90",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= TCP(6) sport= 49152 dport= 8080 -= len= "
	 "60",
	 'N'},
	{V6("3a", "0008") "8000abcd",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= ICMPv6(58) type= 128 code= 0 -= len= 48",
	 'N'},
	/* hop-by-hop of 8, routing of 24, destination options of 16, then UDP */
	{V6("00", "0044") "2b00010400000000"
			  "3c02000100000000"
			  "20010db8000000000000000000000003"
			  "1101010c0000000000000000 00000000"
			  "0035 0036",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= UDP(17) sport= 53 dport= 54 -= len= 108",
	 'N'},
	/* the first fragment: dest options, mobility header of type 5 */
	{V6("2c", "0030") "3c00000100000007 8700010400000000 3b010500",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= MIPv6(135) type= 5 -= -= len= 88", 'Y'},
	{V6("2c", "0030") "1100005900000007 00350036",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= UDP(17) sport= Unknown dport= Unknown "
	 "-= len= 88",
	 'Y'},
	/* a later fragment of what began with options: nobody knows */
	{V6("2c", "0030") "3c00005900000007 1100010400000000 00350036",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= Unknown -= -= -= len= 88", 'Y'},
	/* options longer than what there is */
	{V6("00", "0030") "1103010400000000",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= Unknown -= -= -= len= 88", 'N'},
	{V6("33", "0030") "1104000000000000",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= AH(51) -= -= -= len= 88", 'N'},
	{V6("3b", "0000"), "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= 59 -= -= -= len= 40",
	 'N'},
	{V6("87", "0010") "3b01",
	 "sipaddr= 2001:db8::1 dipaddr= 2001:db8::2 proto= MIPv6(135) type= Unknown -= -= len= 56",
	 'N'},
};

static struct trmd_filter_message m;

static bool message(const struct trmd_event *usual_event, const struct trmd_filter_facts *facts,
		    const void *p, size_t len)
{
	struct trmd_event e = *usual_event;

	e.p = p;
	e.len = len;
	memset(m.text, 'x', sizeof(m.text));
	return trmd_filter_message(&e, facts, &m);
}

START_TEST(test_packets)
{
	const char *text = packets[_i].text, *len = strstr(text, " len= ");
	char expected[1024];

	ck_assert(message(&usual, &known, bytes, hex(packets[_i].packet)));
	snprintf(expected, sizeof(expected),
		 "Packet denied by policy: 2026-01-15T10:20:30.450000Z filter rule= Rule~1 ext= 4 "
		 "%.*s "
		 "Interface= 192.0.2.1 (I) secclass= 255 dest= local%s vpnaction= Gold~VPN "
		 "tunnelID= "
		 "Y7 ifcname= eth0 fragment= %c",
		 (int)(len - text), text, len, packets[_i].fragment);
	ck_assert_str_eq(m.text, expected);
	ck_assert_str_eq(m.id, "EZD0815I");
}
END_TEST

/* Each message of a reason, whole. */
START_TEST(test_reasons)
{
#define HEAD                                                                                       \
	"2026-01-15T10:20:30.450000Z filter rule= Rule~1 ext= 4 sipaddr= 198.51.100.7 dipaddr= "   \
	"192.0.2.1 proto= UDP(17) sport= 53 dport= 8080 -= Interface= 192.0.2.1 "
	static const struct {
		enum trmd_reason reason;
		bool outbound;
		const char *tunnel, *id, *text;
		enum cs_severity severity;
	} rows[] = {
		{TRMD_PERMIT, false, "Y7", "EZD0814I",
		 "Packet permitted: " HEAD
		 "(I) secclass= 255 dest= local len= 32 vpnaction= Gold~VPN "
		 "tunnelID= Y7 ifcname= eth0 fragment= N",
		 CS_INFO},
		{TRMD_PERMIT, true, "Y7", "EZD0814I",
		 "Packet permitted: " HEAD
		 "(O) secclass= 255 dest= local len= 32 vpnaction= Gold~VPN "
		 "tunnelID= Y7 ifcname= eth1 fragment= N",
		 CS_INFO},
		{TRMD_DENY, false, "0x00", "EZD0815I",
		 "Packet denied by policy: " HEAD
		 "(I) secclass= 255 dest= local len= 32 vpnaction= "
		 "Gold~VPN tunnelID= 0x00 ifcname= eth0 fragment= N",
		 CS_NOTICE},
		{TRMD_UNPROTECTED, false, "Y0", "EZD0821I",
		 "Packet denied, no tunnel: " HEAD
		 "(I) secclass= 255 dest= local len= 32 vpnaction= "
		 "Gold~VPN ifcname= eth0 fragment= N",
		 CS_NOTICE},
		{TRMD_UNPROTECTED, false, "Y7", "EZD0833I",
		 "Packet denied, tunnel mismatch: " HEAD "(I) dest= local len= 32 tunnelID= Y7 "
		 "decap_tunnelID= N/A ifcname= eth0 fragment= N",
		 CS_NOTICE},
		{TRMD_UNPROTECTED, true, "M1", "EZD0822I",
		 "Packet denied, tunnel inactive: " HEAD "(O) secclass= 255 dest= local len= 32 "
		 "vpnaction= Gold~VPN tunnelID= M1 ifcname= eth1 fragment= N",
		 CS_NOTICE},
		{TRMD_HELD, true, NULL, "EZD0821I",
		 "Packet denied, no tunnel: " HEAD
		 "(O) secclass= 255 dest= local len= 32 vpnaction= "
		 "Gold~VPN ifcname= eth1 fragment= N",
		 CS_NOTICE},
		{TRMD_HELD, true, "M1", "EZD0822I",
		 "Packet denied, tunnel inactive: " HEAD "(O) secclass= 255 dest= local len= 32 "
		 "vpnaction= Gold~VPN tunnelID= M1 ifcname= eth1 fragment= N",
		 CS_NOTICE},
		{TRMD_MISMATCH, false, NULL, "EZD0833I",
		 "Packet denied, tunnel mismatch: " HEAD "(I) dest= local len= 32 tunnelID= N/A "
		 "decap_tunnelID= Unknown ifcname= eth0 fragment= N",
		 CS_NOTICE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trmd_filter_facts facts = known;
		struct trmd_event e = usual;

		e.reason = rows[i].reason;
		e.outbound = rows[i].outbound;
		if (e.outbound) {
			e.hook = NF_INET_LOCAL_OUT;
			e.in = 0;
			strcpy(e.out_name, "eth1");
		}
		facts.tunnel = rows[i].tunnel;
		ck_assert(message(&e, &facts, bytes,
				  hex(V4("11", "0020", "0000") "00351f90 000c0000")));
		ck_assert_str_eq(m.text, rows[i].text);
		ck_assert_str_eq(m.id, rows[i].id);
		ck_assert_int_eq(m.severity, rows[i].severity);
	}
}
END_TEST

/* Without anything that pagent would know; the implicit deny has a name all the same. */
START_TEST(test_nothing_known)
{
	static const struct trmd_filter_facts none;
	struct trmd_event e = usual;

	ck_assert(message(&e, &none, bytes, hex(V4("11", "0020", "0000") "00351f90")));
	ck_assert_str_eq(
		m.text,
		"Packet denied by policy: 2026-01-15T10:20:30.450000Z filter rule= Rule_1 ext= "
		"N/A sipaddr= 198.51.100.7 dipaddr= 192.0.2.1 proto= UDP(17) sport= 53 dport= "
		"8080 -= Interface= N/A (I) secclass= 0 dest= local len= 32 vpnaction= N/A "
		"tunnelID= N/A ifcname= eth0 fragment= N");
	strcpy(e.name, "-");
	e.reason = TRMD_IMPLICIT;
	e.in_name[0] = '\0';
	e.family = AF_INET;
	ck_assert(message(&e, &none, bytes, hex(V4("11", "0020", "0000") "00351f90")));
	ck_assert_ptr_nonnull(
		strstr(m.text, " filter rule= DenyAllRule_Generated___________Inbnd ext= N/A "));
	ck_assert_ptr_nonnull(strstr(m.text, " ifcname= N/A "));
	ck_assert_str_eq(m.id, "EZD0815I");
	e.outbound = true;
	ck_assert(message(&e, &none, bytes, hex(V4("11", "0020", "0000") "00351f90")));
	ck_assert_ptr_nonnull(
		strstr(m.text, " filter rule= DenyAllRule_Generated___________Outbnd "));
	/* Nothing of the packet at all. */
	e.family = 0;
	ck_assert(!message(&e, &none, NULL, 0));
	/* Not what the hook says it is. */
	e.family = AF_INET6;
	ck_assert(!message(&e, &none, bytes, hex(V4("11", "0020", "0000") "00351f90")));
}
END_TEST

START_TEST(test_destination)
{
	static const struct {
		bool outbound, routed;
		uint8_t hook;
		uint32_t in;
		const char *text;
	} rows[] = {
		{false, false, NF_INET_PRE_ROUTING, 1, " dest= local "},
		{false, true, NF_INET_PRE_ROUTING, 1, " dest= routed "},
		{true, false, NF_INET_PRE_ROUTING, 1, " dest= routed "},
		{true, false, NF_INET_LOCAL_OUT, 0, " dest= local "},
		{true, false, NF_INET_POST_ROUTING, 0, " dest= local "},
		{true, false, NF_INET_POST_ROUTING, 3, " dest= routed "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trmd_filter_facts facts = known;
		struct trmd_event e = usual;

		e.outbound = rows[i].outbound;
		e.hook = rows[i].hook;
		e.in = rows[i].in;
		facts.routed = rows[i].routed;
		ck_assert(message(&e, &facts, bytes, hex(V4("11", "0020", "0000"))));
		ck_assert_msg(strstr(m.text, rows[i].text) != NULL, "%zu: %s", i, m.text);
	}
}
END_TEST

/* An ICMP error that no rule permits but a tunnel does quotes a packet. */
START_TEST(test_icmp_error)
{
	static const char head[] = "Packet permitted: 2026-01-15T10:20:30.450000Z sipaddr= "
				   "198.51.100.7 dipaddr= 192.0.2.1 "
				   "proto= ICMP(1) type= 3 code= 4 Interface= 192.0.2.1 (I) "
				   "secclass= 255 dest= local len= "
				   "56 tunnelID= Y7 ifcname= eth0 ";
	struct trmd_event e = usual;
	char expected[1024];

	e.reason = TRMD_PERMIT;
	strcpy(e.name, "-");
	ck_assert(message(&e, &known, bytes,
			  hex(V4("01", "0038", "0000") "0304000000000578"
						       "45000578000140004011000"
						       "0c0000201c6336407"
						       "00350036")));
	snprintf(expected, sizeof(expected), "%s%s", head,
		 "embsipaddr= 192.0.2.1 embdipaddr= 198.51.100.7 embproto= UDP(17) sport= 53 "
		 "dport= 54 "
		 "-=");
	ck_assert_str_eq(m.text, expected);
	ck_assert_str_eq(m.id, "EZD0836I");
	/* Too little of it. */
	ck_assert(message(&e, &known, bytes,
			  hex(V4("01", "0038", "0000") "0304000000000578 450005")));
	snprintf(expected, sizeof(expected), "%s%s", head,
		 "embsipaddr= Unknown embdipaddr= Unknown embproto= Unknown -= -= -=");
	ck_assert_str_eq(m.text, expected);
	/* An echo quotes nothing. */
	ck_assert(message(&e, &known, bytes,
			  hex(V4("01", "0038", "0000") "0800000000000578 450005")));
	ck_assert_str_eq(m.id, "EZD0814I");
	/* IPv6, too big. */
	ck_assert(message(&e, &known, bytes,
			  hex(V6("3a", "0038") "0200000000000500" V6("06", "0400") "00160017")));
	ck_assert_str_eq(m.id, "EZD0836I");
	ck_assert_ptr_nonnull(strstr(m.text, " proto= ICMPv6(58) type= 2 code= 0 Interface= "));
	ck_assert_ptr_nonnull(
		strstr(m.text, " embsipaddr= 2001:db8::1 embdipaddr= 2001:db8::2 embproto= TCP(6) "
			       "sport= 22 dport= 23 -="));
}
END_TEST

/* One line of words; as many fields as there are in an honest one. */
static unsigned fields(const char *text)
{
	unsigned n = 0;

	ck_assert_uint_lt(strlen(text), sizeof(m.text));
	for (; *text; text++) {
		ck_assert_msg((unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f, "%s",
			      text);
		n += *text == '=';
	}
	return n;
}

START_TEST(test_forgery)
{
	static const char *const names[] = {
		"A\nEZD0814I Packet permitted: now",
		"A sipaddr= 10.0.0.1",
		"A=B",
		"\x1b[2J\x07\r\b",
		"\xc2\x9b[31m",
		"\xe2\x80\xa8",
		"",
		"\x7f",
	};
	static const char *const written[] = {"A?EZD0814I?Packet?permitted:?now",
					      "A?sipaddr??10.0.0.1",
					      "A?B",
					      "?[2J???",
					      "??[31m",
					      "???",
					      "N/A",
					      "?"};
	char expected[256], longest[2000];
	struct trmd_event e = usual;
	unsigned honest;

	message(&e, &known, bytes, hex(V4("11", "0020", "0000") "00350036"));
	honest = fields(m.text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct trmd_filter_facts facts = known;

		facts.name = facts.vpn_action = facts.tunnel = names[i];
		strncpy(e.in_name, names[i], sizeof(e.in_name) - 1);
		ck_assert(message(&e, &facts, bytes, hex(V4("11", "0020", "0000") "00350036")));
		ck_assert_uint_eq(fields(m.text), honest);
		snprintf(expected, sizeof(expected), " filter rule= %s ext= 4 ", written[i]);
		ck_assert_msg(strstr(m.text, expected) != NULL, "%s", m.text);
		snprintf(expected, sizeof(expected),
			 " vpnaction= %s tunnelID= %s ifcname= ", written[i], written[i]);
		ck_assert_msg(strstr(m.text, expected) != NULL, "%s", m.text);
		trmd_lost_message(names[i], true, 3, WHEN, &m);
		fields(m.text);
	}
	/* The longest there is still ends as it should. */
	memset(longest, 'N', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	{
		struct trmd_filter_facts facts = known;

		facts.name = facts.vpn_action = facts.tunnel = longest;
		ck_assert(message(&e, &facts, bytes,
				  hex(V6("3a", "0038") "0200000000000500" V6("06", "0400"))));
		ck_assert_str_eq(m.text + strlen(m.text) - 12, " fragment= N");
	}
}
END_TEST

START_TEST(test_counts)
{
	trmd_suppressed_message("Rule 1", false, 12345678901234567890u, WHEN, &m);
	ck_assert_str_eq(m.id, "CSI6101I");
	ck_assert_int_eq(m.severity, CS_INFO);
	ck_assert_str_eq(m.text,
			 "Packet messages suppressed: 2026-01-15T10:20:30.450000Z filter rule= "
			 "Rule?1 dir= I count= 12345678901234567890");
	trmd_lost_message("Rule_1", true, 7, 253402300799999999, &m);
	ck_assert_str_eq(m.id, "CSI6102W");
	ck_assert_int_eq(m.severity, CS_WARNING);
	ck_assert_str_eq(m.text,
			 "Packet messages lost: 9999-12-31T23:59:59.999999Z filter rule= Rule_1 "
			 "dir= O count= 7");
	/* What is no time of a calendar with four digits. */
	trmd_lost_message("R", true, 7, INT64_MAX, &m);
	ck_assert_ptr_nonnull(strstr(m.text, " 1970-01-01T00:00:00.000000Z "));
	trmd_lost_message("R", true, 7, -1, &m);
	ck_assert_ptr_nonnull(strstr(m.text, " 1970-01-01T00:00:00.000000Z "));
}
END_TEST

/* In memory that ends where the packet does. */
static bool exact(const struct trmd_event *e, size_t len)
{
	uint8_t *copy = malloc(len);
	bool good;

	if (len)
		memcpy(copy, bytes, len);
	good = message(e, &known, copy, len);
	if (good)
		fields(m.text);
	free(copy);
	return good;
}

/* Every length of every packet. */
START_TEST(test_cut)
{
	struct trmd_event e = usual;
	size_t len = hex(packets[_i].packet);
	size_t least = bytes[0] >> 4 == 6 ? 40 : 20;

	for (size_t n = 0; n <= len; n++)
		ck_assert(exact(&e, n) == (n >= least));
	strcpy(e.name, "-");
	e.reason = TRMD_PERMIT;
	len = hex(V6("3a", "0038") "0100000000000500" V6("00", "0400") "1101010400000000"
								       "0000000000000000 00160017");
	for (size_t n = 0; n <= len; n++)
		ck_assert(exact(&e, n) == (n >= 40));
}
END_TEST

START_TEST(test_random)
{
	struct trmd_event e = usual;
	unsigned seed, good = 0;

	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_filter_message: seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 40000; i++) {
		size_t len = hex(
			packets[(size_t)rand() % (sizeof(packets) / sizeof(packets[0]))].packet);

		for (size_t k = len; k < len + 64; k++)
			bytes[k] = (uint8_t)rand();
		len = (size_t)rand() % (len + 64);
		for (int k = rand() % 6; k > 0 && len; k--)
			bytes[(size_t)rand() % len] = (uint8_t)rand();
		e.reason = (enum trmd_reason)(rand() % (TRMD_REASONS + 1));
		e.hook = (uint8_t)rand();
		e.outbound = rand() % 2;
		strcpy(e.name, rand() % 2 ? "-" : "Rule");
		e.family = rand() % 3 == 0 ? AF_INET : rand() % 2 ? AF_INET6 : 0;
		good += exact(&e, len);
	}
	ck_assert_uint_gt(good, 5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter_message");
	TCase *tc = tcase_create("filter_message");
	int n = sizeof(packets) / sizeof(packets[0]);

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_packets, 0, n);
	tcase_add_test(tc, test_reasons);
	tcase_add_test(tc, test_nothing_known);
	tcase_add_test(tc, test_destination);
	tcase_add_test(tc, test_icmp_error);
	tcase_add_test(tc, test_forgery);
	tcase_add_test(tc, test_counts);
	tcase_add_loop_test(tc, test_cut, 0, n);
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
