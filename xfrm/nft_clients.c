/*
 * What the table has for clients behind a NAT.  Two of them may have one address, and even send
 * from equal ports, so what the kernel keeps of a connection must say whose it is:
 *
 *   client_zone    what comes out of a client's SA has its mark, and with it a conntrack zone
 *   client_input,  local sockets and hosts behind see the clients' connections beside each other:
 *   client_routed  where ports are equal the kernel's address translation takes another one.  It
 *                  does so in chains without a rule, too
 *   to_client      what answers gets the client's mark back from the zone
 *
 * The zone holds for the direction from the client alone; answers are looked for in everybody's.
 */
#include <inttypes.h>
#include <stdio.h>

#include "xfrm/kernel.h"

#define CLIENT_BITS 13
_Static_assert(XF_MARK_CLIENT_GONE == 1u << CLIENT_BITS, "clients are the field's upper half");

/* nftables has no way to make a zone of a mark but to look it up. */
static void zones(FILE *f, const struct xf_marking *m)
{
	fputs("\tmap client_zones {\n\t\ttypeof meta mark : ct zone\n\t\telements = {", f);
	for (unsigned c = XF_MARK_CLIENT_MIN; c <= XF_MARK_CLIENT_MAX; c++)
		fprintf(f, "%s0x%08" PRIx32 " : %u", c > XF_MARK_CLIENT_MIN ? ", " : " ",
			xf_mark_value(m, c), c);
	fputs(" }\n\t}\n", f);
}

unsigned xf_nft_clients(FILE *f, const struct xf_marking *m)
{
	uint32_t mask = xf_mark_mask(m), gone = xf_mark_value(m, XF_MARK_CLIENT_GONE);
	unsigned n_rules = 0;

	zones(f, m);
	fputs("\tchain client_zone {\n"
	      "\t\ttype filter hook prerouting priority raw; policy accept;\n",
	      f);
	fprintf(f,
		"\t\tmeta secpath exists meta mark & 0x%08" PRIx32 " > 0x%08" PRIx32
		" ct original zone set meta mark & 0x%08" PRIx32 " map @client_zones\n\t}\n",
		mask, gone, mask);
	n_rules++;
	fputs("\tchain client_input {\n"
	      "\t\ttype nat hook input priority 100; policy accept;\n\t}\n"
	      "\tchain client_routed {\n"
	      "\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t}\n",
	      f);
	fputs("\tchain to_client {\n", f);
	fprintf(f,
		"\t\tct mark & 0x%08" PRIx32 " == 0x%08" PRIx32
		" counter drop comment \"client gone\"\n",
		mask, gone);
	fprintf(f, "\t\tmeta mark set meta mark & 0x%08" PRIx32 " | 0x%08" PRIx32 "\n", ~mask,
		gone);
	n_rules += 2;
	/* Only constants may be put into a mark beside what stands in it, hence bit by bit. */
	for (unsigned bit = 0; bit < CLIENT_BITS; bit++, n_rules++)
		fprintf(f,
			"\t\tct original zone & %u == %u meta mark set meta mark | 0x%08" PRIx32
			"\n",
			1u << bit, 1u << bit, xf_mark_value(m, 1u << bit));
	fputs("\t\taccept\n\t}\n", f);
	return n_rules + 1;
}
