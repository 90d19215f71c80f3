/*
 * The fields of SMF type 119 records, subtypes 73 to 80: their ids, and the shape of the table
 * (table.c) that encoder, decoder, exports and docs/smf119.md are made of.  Part of smf.h.
 *
 * Names are those of the original's mapping without SMF119 or SMF119IS_ before them.  Where IBM's
 * offsets are not known they are this project's ("layout L1"); each row says how far it is known.
 */
#ifndef SMF_FIELDS_H
#define SMF_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#define SMF_LAYOUT "L1"

enum smf_section {
	SMF_S_HEADER, /* at offset 0, no triplet */
	SMF_S_IDENT,
	SMF_S_IKE_TUNNEL,
	SMF_S_IKE_STATS,
	SMF_S_IP_TUNNEL,
	SMF_S_DYN_TUNNEL,
	SMF_S_IKE_DYN,
	SMF_S_STACK_ADDED,
	SMF_S_STACK_DYN,
	SMF_S_MANUAL,
	SMF_S_LCL_ID, /* this and those below are one text of any length */
	SMF_S_RMT_ID,
	SMF_S_LCL_CLIENT_ID,
	SMF_S_RMT_CLIENT_ID,
	SMF_SECTIONS
};

enum smf_kind {
	SMF_K_UINT,
	SMF_K_ENUM,  /* a number with names */
	SMF_K_FLAGS, /* bit 0 is the most significant one, as IBM counts */
	SMF_K_TEXT,  /* EBCDIC, padded with blanks */
	SMF_K_ADDR,  /* IPv4 in the first four bytes, or IPv6, as the IPv6 flag of the section says
		      */
	SMF_K_HEX,   /* SPIs, cookies: bytes that are no number */
	SMF_K_UNIX,  /* seconds since 1970 UTC */
	SMF_K_TOD,   /* STCK: bit 51 is a microsecond, since 1900 UTC */
	SMF_K_CLOCK, /* hundredths of a second since midnight */
	SMF_K_DATE,  /* packed decimal 0cyydddF */
	SMF_K_RESERVED
};

/* In order of the section and the offset. */
enum smf_field {
	/* SMF header and self-defining section */
	SMF_HD_LENGTH,
	SMF_HD_SEG_DESC,
	SMF_HD_FLAGS,
	SMF_HD_TYPE,
	SMF_HD_TIME,
	SMF_HD_DATE,
	SMF_HDSID,
	SMF_HDSSI,
	SMF_HD_SUB_TYPE,
	SMF_SD_TRN,
	SMF_SD_RSVD,
	/* TCP/IP identification section */
	SMF_TI_SYS_NAME,
	SMF_TI_SYSPLEX_NAME,
	SMF_TI_STACK,
	SMF_TI_RELEASE_ID,
	SMF_TI_COMP,
	SMF_TI_AS_NAME,
	SMF_TI_USER_ID,
	SMF_TI_RSVD1,
	SMF_TI_ASID,
	SMF_TI_REASON,
	SMF_TI_RECORD_ID,
	SMF_TI_RSVD2,
	/* Common IKE tunnel section */
	SMF_IKE_TUN_FLAGS,
	SMF_IKE_TUN_MAJOR_VER,
	SMF_IKE_TUN_MINOR_VER,
	SMF_IKE_TUN_ROLE,
	SMF_IKE_TUN_STATE,
	SMF_IKE_TUN_ID,
	SMF_IKE_TUN_KEY_EXCH_RULE,
	SMF_IKE_TUN_KEY_EXCH_ACTION,
	SMF_IKE_TUN_GENERATION,
	SMF_IKE_TUN_EXT_STATE,
	SMF_IKE_TUN_EXCH_MODE,
	SMF_IKE_TUN_NATT_LEVEL,
	SMF_IKE_TUN_DH_GROUP,
	SMF_IKE_TUN_LCL_ENDPT,
	SMF_IKE_TUN_RMT_ENDPT,
	SMF_IKE_TUN_RMT_UDP_PORT,
	SMF_IKE_TUN_RSVD1,
	SMF_IKE_TUN_LCL_ID_TYPE,
	SMF_IKE_TUN_RMT_ID_TYPE,
	SMF_IKE_TUN_LCL_AUTH_METH,
	SMF_IKE_TUN_RMT_AUTH_METH,
	SMF_IKE_TUN_AUTH_ALG,
	SMF_IKE_TUN_ENCRYPT_ALG,
	SMF_IKE_TUN_PRF,
	SMF_IKE_TUN_RSVD2,
	SMF_IKE_TUN_ENCRYPT_KEY_LEN,
	SMF_IKE_TUN_I_COOKIE,
	SMF_IKE_TUN_R_COOKIE,
	SMF_IKE_TUN_LIFESIZE,
	SMF_IKE_TUN_LIFETIME,
	SMF_IKE_TUN_LIFE_REFRESH,
	SMF_IKE_TUN_LIFE_EXPIRES,
	SMF_IKE_TUN_START_TIME,
	SMF_IKE_TUN_REAUTH_TIME,
	/* IKE tunnel statistics section */
	SMF_IKE_TUN_BYTES,
	SMF_IKE_TUN_ACTIVE_DYN,
	SMF_IKE_TUN_IN_PROG_DYN,
	SMF_IKE_TUN_P2_LCL_OK,
	SMF_IKE_TUN_P2_LCL_FAIL,
	SMF_IKE_TUN_P2_RMT_OK,
	SMF_IKE_TUN_P2_RMT_FAIL,
	SMF_IKE_TUN_RETRANS,
	SMF_IKE_TUN_REPLAYS,
	SMF_IKE_TUN_INVALID,
	SMF_IKE_TUN_AUTH_FAIL,
	SMF_IKE_TUN_END_TIME,
	SMF_IKE_TUN_END_REASON,
	SMF_IKE_TUN_ST_RSVD,
	/* Common IP tunnel section */
	SMF_IP_TUN_ID,
	SMF_IP_TUN_VPN_ACTION,
	SMF_IP_TUN_FLAGS,
	SMF_IP_TUN_TYPE,
	SMF_IP_TUN_STATE,
	SMF_IP_TUN_RSVD1,
	SMF_IP_TUN_LCL_ENDPT,
	SMF_IP_TUN_RMT_ENDPT,
	SMF_IP_TUN_ENCAP_MODE,
	SMF_IP_TUN_AUTH_PROTO,
	SMF_IP_TUN_AUTH_ALG,
	SMF_IP_TUN_ENCRYPT_ALG,
	SMF_IP_TUN_INB_AUTH_SPI,
	SMF_IP_TUN_OUTB_AUTH_SPI,
	SMF_IP_TUN_INB_ENCRYPT_SPI,
	SMF_IP_TUN_OUTB_ENCRYPT_SPI,
	SMF_IP_TUN_START_TIME,
	SMF_IP_TUN_ENCRYPT_KEY_LEN,
	SMF_IP_TUN_RSVD2,
	/* Dynamic tunnel section */
	SMF_IP_DYN_FLAGS,
	SMF_IP_DYN_ACT_METHOD,
	SMF_IP_DYN_IKE_MAJOR_VER,
	SMF_IP_DYN_IKE_MINOR_VER,
	SMF_IP_DYN_DH_GROUP,
	SMF_IP_DYN_GENERATION,
	SMF_IP_DYN_PROTO,
	SMF_IP_DYN_ICMP_TYPE,
	SMF_IP_DYN_ICMP_CODE,
	SMF_IP_DYN_RSVD1,
	SMF_IP_DYN_VPN_RULE,
	SMF_IP_DYN_IKE_TUN_ID,
	SMF_IP_DYN_SRC_ADDR,
	SMF_IP_DYN_SRC_ADDR_END,
	SMF_IP_DYN_DST_ADDR,
	SMF_IP_DYN_DST_ADDR_END,
	SMF_IP_DYN_SRC_PORT,
	SMF_IP_DYN_SRC_PORT_END,
	SMF_IP_DYN_DST_PORT,
	SMF_IP_DYN_DST_PORT_END,
	SMF_IP_DYN_RMT_UDP_PORT,
	SMF_IP_DYN_RSVD2,
	SMF_IP_DYN_LIFESIZE,
	SMF_IP_DYN_LIFETIME,
	SMF_IP_DYN_VPN_LIFE_EXPIRES,
	SMF_IP_DYN_LIFE_REFRESH,
	SMF_IP_DYN_LIFE_EXPIRES,
	/* IKE dynamic tunnel section */
	SMF_IP_DYN_IKE_EXT_STATE,
	SMF_IP_DYN_IKE_LCL_CLI_TYPE,
	SMF_IP_DYN_IKE_RMT_CLI_TYPE,
	SMF_IP_DYN_IKE_RSVD1,
	SMF_IP_DYN_IKE_MSG_ID,
	SMF_IP_DYN_IKE_SRC_NATOA,
	SMF_IP_DYN_IKE_DST_NATOA,
	SMF_IP_DYN_IKE_END_TIME,
	SMF_IP_DYN_IKE_END_REASON,
	SMF_IP_DYN_IKE_RSVD2,
	/* Stack dynamic tunnel added section */
	SMF_IP_DYN_ADD_FLAGS,
	SMF_IP_DYN_ADD_RSVD,
	SMF_IP_DYN_ADD_STCK,
	/* Stack dynamic tunnel section */
	SMF_IP_DYN_STK_FLAGS,
	SMF_IP_DYN_STK_RSVD1,
	SMF_IP_DYN_STK_INB_PKTS,
	SMF_IP_DYN_STK_OUTB_PKTS,
	SMF_IP_DYN_STK_INB_BYTES,
	SMF_IP_DYN_STK_OUTB_BYTES,
	SMF_IP_DYN_STK_CUR_LIFESIZE,
	SMF_IP_DYN_STK_REPLAYS,
	SMF_IP_DYN_STK_AUTH_FAIL,
	SMF_IP_DYN_STK_END_REASON,
	SMF_IP_DYN_STK_RSVD2,
	SMF_IP_DYN_STK_STCK,
	/* Manual tunnel section */
	SMF_IP_MAN_INB_PKTS,
	SMF_IP_MAN_OUTB_PKTS,
	SMF_IP_MAN_INB_BYTES,
	SMF_IP_MAN_OUTB_BYTES,
	/* Identities: the whole section each */
	SMF_LCL_ID,
	SMF_RMT_ID,
	SMF_LCL_CLIENT_ID,
	SMF_RMT_CLIENT_ID,
	SMF_FIELDS
};

/* A number, or of SMF_K_FLAGS the number of a bit; a list ends with name NULL. */
struct smf_name {
	uint32_t value;
	const char *name;
};

struct smf_row {
	enum smf_section section;
	const char *name;
	uint16_t offset, len; /* in the section; len 0: all of the section */
	enum smf_kind kind;
	bool zero_is_none;            /* all bits zero: nothing is known or there is none */
	const struct smf_name *names; /* of SMF_K_ENUM and SMF_K_FLAGS */
	/*
	 * How far the place and the content are known: A read at IBM, B seen in other material, M
	 * from memory, P chosen by this project.
	 */
	char place, content;
	const char *meaning;
};

extern const struct smf_row smf_rows[SMF_FIELDS];

struct smf_section_row {
	const char *name;  /* "ike_tunnel" */
	const char *title; /* "Common IKE tunnel section" */
	uint16_t len;      /* 0: any */
	enum smf_field first;
	unsigned n;          /* of fields */
	enum smf_field ipv6; /* the flags with the IPv6 bit; SMF_FIELDS: no addresses */
};

extern const struct smf_section_row smf_sections[SMF_SECTIONS];

#define SMF_TRIPLETS_MAX  6
#define SMF_SUBTYPE_FIRST 73
#define SMF_SUBTYPE_LAST  80

/* What a subtype consists of. */
struct smf_layout {
	uint16_t subtype;
	const char *title;
	const char *event;     /* of the first generation */
	const char *refreshed; /* of later ones; NULL: the same */
	const char *component; /* TI_Comp */
	unsigned n_sections;   /* triplets, the identification section first */
	enum smf_section sections[SMF_TRIPLETS_MAX];
};

extern const struct smf_layout smf_layouts[SMF_SUBTYPE_LAST - SMF_SUBTYPE_FIRST + 1];
/* NULL: none of 73 to 80. */
const struct smf_layout *smf_layout_of(unsigned subtype);

#endif
