/*
 * What is done for peers that do not keep to the RFCs, in one table: each with the reason, the test
 * that shows it, and the month after which somebody has to look whether anybody needs it still.
 */
#ifndef POL_QUIRK_H
#define POL_QUIRK_H

/* Bits of pol_ke_action.quirks. */
enum {
	POL_SHORT_SHA256 = 1,
};

struct pol_quirk {
	const char *keyword; /* the value of PeerQuirk that turns it on; NULL: always on */
	unsigned bit;        /* of the keyword */
	const char *integ;   /* this algorithm of HowToAuth ... */
	unsigned icv_bits;   /* ... is cut to so many bits in ESP and AH */
	const char *peers, *what;
	const char *test;  /* a lab case or a unit test */
	const char *until; /* year and month */
};

const struct pol_quirk *pol_quirks(unsigned *n);

#endif
