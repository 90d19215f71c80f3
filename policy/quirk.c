#include "policy/quirk.h"

#include <stddef.h>

static const struct pol_quirk rows[] = {
	{.keyword = "ShortSha256",
	 .bit = POL_SHORT_SHA256,
	 .integ = "HMAC_SHA2_256_128",
	 .icv_bits = 96,
	 .peers = "racoon over Linux's PF_KEY; libreswan with `sha2-truncbug=yes`, strongSwan with "
		  "`sha256_96 = yes`",
	 .what = "they cut HMAC-SHA-256 of ESP and AH to 96 bits in place of 128 (RFC 4868): an SA "
		 "comes up and carries nothing. With the keyword ours is cut, too",
	 .test = "`quirk-short-sha256-*`",
	 .until = "2028-12"},
	{.peers = "libreswan as a client",
	 .what = "fills an attributes payload of Mode Config up to four bytes with zeros: up to "
		 "three are taken, none is sent",
	 .test = "`test_client`",
	 .until = "2028-12"},
};

const struct pol_quirk *pol_quirks(unsigned *n)
{
	*n = sizeof(rows) / sizeof(rows[0]);
	return rows;
}
