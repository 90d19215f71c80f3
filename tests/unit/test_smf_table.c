/*
 * SMF records: every field at its published place.  The list here is written down apart from the
 * table of smf/, so a change there that is not meant is seen.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smf/doc.h"
#include "smf/smf.h"
#include "tests/unit/run_suite.h"

static const struct {
	enum smf_field field;
	const char *name;
	enum smf_section section;
	unsigned offset, len;
	enum smf_kind kind;
} places[] = {
	{SMF_HD_LENGTH, "HDLength", SMF_S_HEADER, 0, 2, SMF_K_UINT},
	{SMF_HD_SEG_DESC, "HDSegDesc", SMF_S_HEADER, 2, 2, SMF_K_UINT},
	{SMF_HD_FLAGS, "HDFlags", SMF_S_HEADER, 4, 1, SMF_K_HEX},
	{SMF_HD_TYPE, "HDType", SMF_S_HEADER, 5, 1, SMF_K_UINT},
	{SMF_HD_TIME, "HDTime", SMF_S_HEADER, 6, 4, SMF_K_CLOCK},
	{SMF_HD_DATE, "HDDate", SMF_S_HEADER, 10, 4, SMF_K_DATE},
	{SMF_HDSID, "HDSID", SMF_S_HEADER, 14, 4, SMF_K_TEXT},
	{SMF_HDSSI, "HDSSI", SMF_S_HEADER, 18, 4, SMF_K_TEXT},
	{SMF_HD_SUB_TYPE, "HDSubType", SMF_S_HEADER, 22, 2, SMF_K_UINT},
	{SMF_SD_TRN, "SD_TRN", SMF_S_HEADER, 24, 2, SMF_K_UINT},
	{SMF_SD_RSVD, "SD_Rsvd", SMF_S_HEADER, 26, 2, SMF_K_RESERVED},
	{SMF_TI_SYS_NAME, "TI_SYSName", SMF_S_IDENT, 0, 8, SMF_K_TEXT},
	{SMF_TI_SYSPLEX_NAME, "TI_SysplexName", SMF_S_IDENT, 8, 8, SMF_K_TEXT},
	{SMF_TI_STACK, "TI_Stack", SMF_S_IDENT, 16, 8, SMF_K_TEXT},
	{SMF_TI_RELEASE_ID, "TI_ReleaseID", SMF_S_IDENT, 24, 8, SMF_K_TEXT},
	{SMF_TI_COMP, "TI_Comp", SMF_S_IDENT, 32, 8, SMF_K_TEXT},
	{SMF_TI_AS_NAME, "TI_ASName", SMF_S_IDENT, 40, 8, SMF_K_TEXT},
	{SMF_TI_USER_ID, "TI_UserID", SMF_S_IDENT, 48, 8, SMF_K_TEXT},
	{SMF_TI_RSVD1, "TI_Rsvd1", SMF_S_IDENT, 56, 2, SMF_K_RESERVED},
	{SMF_TI_ASID, "TI_ASID", SMF_S_IDENT, 58, 2, SMF_K_UINT},
	{SMF_TI_REASON, "TI_Reason", SMF_S_IDENT, 60, 1, SMF_K_ENUM},
	{SMF_TI_RECORD_ID, "TI_RecordID", SMF_S_IDENT, 61, 1, SMF_K_UINT},
	{SMF_TI_RSVD2, "TI_Rsvd2", SMF_S_IDENT, 62, 2, SMF_K_RESERVED},
	{SMF_IKE_TUN_FLAGS, "IKETunFlags", SMF_S_IKE_TUNNEL, 0, 4, SMF_K_FLAGS},
	{SMF_IKE_TUN_MAJOR_VER, "IKETunMajorVer", SMF_S_IKE_TUNNEL, 4, 1, SMF_K_UINT},
	{SMF_IKE_TUN_MINOR_VER, "IKETunMinorVer", SMF_S_IKE_TUNNEL, 5, 1, SMF_K_UINT},
	{SMF_IKE_TUN_ROLE, "IKETunRole", SMF_S_IKE_TUNNEL, 6, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_STATE, "IKETunState", SMF_S_IKE_TUNNEL, 7, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_ID, "IKETunID", SMF_S_IKE_TUNNEL, 8, 48, SMF_K_TEXT},
	{SMF_IKE_TUN_KEY_EXCH_RULE, "IKETunKeyExchRule", SMF_S_IKE_TUNNEL, 56, 48, SMF_K_TEXT},
	{SMF_IKE_TUN_KEY_EXCH_ACTION, "IKETunKeyExchAction", SMF_S_IKE_TUNNEL, 104, 48, SMF_K_TEXT},
	{SMF_IKE_TUN_GENERATION, "IKETunGeneration", SMF_S_IKE_TUNNEL, 152, 4, SMF_K_UINT},
	{SMF_IKE_TUN_EXT_STATE, "IKETunExtState", SMF_S_IKE_TUNNEL, 156, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_EXCH_MODE, "IKETunExchMode", SMF_S_IKE_TUNNEL, 157, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_NATT_LEVEL, "IKETunNATTLevel", SMF_S_IKE_TUNNEL, 158, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_DH_GROUP, "IKETunDHGroup", SMF_S_IKE_TUNNEL, 159, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_LCL_ENDPT, "IKETunLclEndpt", SMF_S_IKE_TUNNEL, 160, 16, SMF_K_ADDR},
	{SMF_IKE_TUN_RMT_ENDPT, "IKETunRmtEndpt", SMF_S_IKE_TUNNEL, 176, 16, SMF_K_ADDR},
	{SMF_IKE_TUN_RMT_UDP_PORT, "IKETunRmtUDPPort", SMF_S_IKE_TUNNEL, 192, 2, SMF_K_UINT},
	{SMF_IKE_TUN_RSVD1, "IKETunRsvd1", SMF_S_IKE_TUNNEL, 194, 2, SMF_K_RESERVED},
	{SMF_IKE_TUN_LCL_ID_TYPE, "IKETunLclIDType", SMF_S_IKE_TUNNEL, 196, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_RMT_ID_TYPE, "IKETunRmtIDType", SMF_S_IKE_TUNNEL, 197, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_LCL_AUTH_METH, "IKETunLclAuthMeth", SMF_S_IKE_TUNNEL, 198, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_RMT_AUTH_METH, "IKETunRmtAuthMeth", SMF_S_IKE_TUNNEL, 199, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_AUTH_ALG, "IKETunAuthAlg", SMF_S_IKE_TUNNEL, 200, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_ENCRYPT_ALG, "IKETunEncryptAlg", SMF_S_IKE_TUNNEL, 201, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_PRF, "IKETunPRF", SMF_S_IKE_TUNNEL, 202, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_RSVD2, "IKETunRsvd2", SMF_S_IKE_TUNNEL, 203, 1, SMF_K_RESERVED},
	{SMF_IKE_TUN_ENCRYPT_KEY_LEN, "IKETunEncryptKeyLen", SMF_S_IKE_TUNNEL, 204, 4, SMF_K_UINT},
	{SMF_IKE_TUN_I_COOKIE, "IKETunICookie", SMF_S_IKE_TUNNEL, 208, 8, SMF_K_HEX},
	{SMF_IKE_TUN_R_COOKIE, "IKETunRCookie", SMF_S_IKE_TUNNEL, 216, 8, SMF_K_HEX},
	{SMF_IKE_TUN_LIFESIZE, "IKETunLifesize", SMF_S_IKE_TUNNEL, 224, 4, SMF_K_UINT},
	{SMF_IKE_TUN_LIFETIME, "IKETunLifetime", SMF_S_IKE_TUNNEL, 228, 4, SMF_K_UINT},
	{SMF_IKE_TUN_LIFE_REFRESH, "IKETunLifeRefresh", SMF_S_IKE_TUNNEL, 232, 4, SMF_K_UNIX},
	{SMF_IKE_TUN_LIFE_EXPIRES, "IKETunLifeExpires", SMF_S_IKE_TUNNEL, 236, 4, SMF_K_UNIX},
	{SMF_IKE_TUN_START_TIME, "IKETunStartTime", SMF_S_IKE_TUNNEL, 240, 4, SMF_K_UNIX},
	{SMF_IKE_TUN_REAUTH_TIME, "IKETunReauthTime", SMF_S_IKE_TUNNEL, 244, 4, SMF_K_UNIX},
	{SMF_IKE_TUN_BYTES, "IKETunBytes", SMF_S_IKE_STATS, 0, 8, SMF_K_UINT},
	{SMF_IKE_TUN_ACTIVE_DYN, "IKETunActiveDyn", SMF_S_IKE_STATS, 8, 4, SMF_K_UINT},
	{SMF_IKE_TUN_IN_PROG_DYN, "IKETunInProgDyn", SMF_S_IKE_STATS, 12, 4, SMF_K_UINT},
	{SMF_IKE_TUN_P2_LCL_OK, "IKETunP2LclOK", SMF_S_IKE_STATS, 16, 4, SMF_K_UINT},
	{SMF_IKE_TUN_P2_LCL_FAIL, "IKETunP2LclFail", SMF_S_IKE_STATS, 20, 4, SMF_K_UINT},
	{SMF_IKE_TUN_P2_RMT_OK, "IKETunP2RmtOK", SMF_S_IKE_STATS, 24, 4, SMF_K_UINT},
	{SMF_IKE_TUN_P2_RMT_FAIL, "IKETunP2RmtFail", SMF_S_IKE_STATS, 28, 4, SMF_K_UINT},
	{SMF_IKE_TUN_RETRANS, "IKETunRetrans", SMF_S_IKE_STATS, 32, 4, SMF_K_UINT},
	{SMF_IKE_TUN_REPLAYS, "IKETunReplays", SMF_S_IKE_STATS, 36, 4, SMF_K_UINT},
	{SMF_IKE_TUN_INVALID, "IKETunInvalid", SMF_S_IKE_STATS, 40, 4, SMF_K_UINT},
	{SMF_IKE_TUN_AUTH_FAIL, "IKETunAuthFail", SMF_S_IKE_STATS, 44, 4, SMF_K_UINT},
	{SMF_IKE_TUN_END_TIME, "IKETunEndTime", SMF_S_IKE_STATS, 48, 4, SMF_K_UNIX},
	{SMF_IKE_TUN_END_REASON, "IKETunEndReason", SMF_S_IKE_STATS, 52, 1, SMF_K_ENUM},
	{SMF_IKE_TUN_ST_RSVD, "IKETunStRsvd", SMF_S_IKE_STATS, 53, 3, SMF_K_RESERVED},
	{SMF_IP_TUN_ID, "IPTunID", SMF_S_IP_TUNNEL, 0, 48, SMF_K_TEXT},
	{SMF_IP_TUN_VPN_ACTION, "IPTunVPNAction", SMF_S_IP_TUNNEL, 48, 48, SMF_K_TEXT},
	{SMF_IP_TUN_FLAGS, "IPTunFlags", SMF_S_IP_TUNNEL, 96, 4, SMF_K_FLAGS},
	{SMF_IP_TUN_TYPE, "IPTunType", SMF_S_IP_TUNNEL, 100, 1, SMF_K_ENUM},
	{SMF_IP_TUN_STATE, "IPTunState", SMF_S_IP_TUNNEL, 101, 1, SMF_K_ENUM},
	{SMF_IP_TUN_RSVD1, "IPTunRsvd1", SMF_S_IP_TUNNEL, 102, 2, SMF_K_RESERVED},
	{SMF_IP_TUN_LCL_ENDPT, "IPTunLclEndpt", SMF_S_IP_TUNNEL, 104, 16, SMF_K_ADDR},
	{SMF_IP_TUN_RMT_ENDPT, "IPTunRmtEndpt", SMF_S_IP_TUNNEL, 120, 16, SMF_K_ADDR},
	{SMF_IP_TUN_ENCAP_MODE, "IPTunEncapMode", SMF_S_IP_TUNNEL, 136, 1, SMF_K_ENUM},
	{SMF_IP_TUN_AUTH_PROTO, "IPTunAuthProto", SMF_S_IP_TUNNEL, 137, 1, SMF_K_ENUM},
	{SMF_IP_TUN_AUTH_ALG, "IPTunAuthAlg", SMF_S_IP_TUNNEL, 138, 1, SMF_K_ENUM},
	{SMF_IP_TUN_ENCRYPT_ALG, "IPTunEncryptAlg", SMF_S_IP_TUNNEL, 139, 1, SMF_K_ENUM},
	{SMF_IP_TUN_INB_AUTH_SPI, "IPTunInbAuthSPI", SMF_S_IP_TUNNEL, 140, 4, SMF_K_HEX},
	{SMF_IP_TUN_OUTB_AUTH_SPI, "IPTunOutbAuthSPI", SMF_S_IP_TUNNEL, 144, 4, SMF_K_HEX},
	{SMF_IP_TUN_INB_ENCRYPT_SPI, "IPTunInbEncryptSPI", SMF_S_IP_TUNNEL, 148, 4, SMF_K_HEX},
	{SMF_IP_TUN_OUTB_ENCRYPT_SPI, "IPTunOutbEncryptSPI", SMF_S_IP_TUNNEL, 152, 4, SMF_K_HEX},
	{SMF_IP_TUN_START_TIME, "IPTunStartTime", SMF_S_IP_TUNNEL, 156, 4, SMF_K_UNIX},
	{SMF_IP_TUN_ENCRYPT_KEY_LEN, "IPTunEncryptKeyLen", SMF_S_IP_TUNNEL, 160, 4, SMF_K_UINT},
	{SMF_IP_TUN_RSVD2, "IPTunRsvd2", SMF_S_IP_TUNNEL, 164, 4, SMF_K_RESERVED},
	{SMF_IP_DYN_FLAGS, "IPDynFlags", SMF_S_DYN_TUNNEL, 0, 4, SMF_K_FLAGS},
	{SMF_IP_DYN_ACT_METHOD, "IPDynActMethod", SMF_S_DYN_TUNNEL, 4, 1, SMF_K_ENUM},
	{SMF_IP_DYN_IKE_MAJOR_VER, "IPDynIKEMajorVer", SMF_S_DYN_TUNNEL, 5, 1, SMF_K_UINT},
	{SMF_IP_DYN_IKE_MINOR_VER, "IPDynIKEMinorVer", SMF_S_DYN_TUNNEL, 6, 1, SMF_K_UINT},
	{SMF_IP_DYN_DH_GROUP, "IPDynDHGroup", SMF_S_DYN_TUNNEL, 7, 1, SMF_K_ENUM},
	{SMF_IP_DYN_GENERATION, "IPDynGeneration", SMF_S_DYN_TUNNEL, 8, 4, SMF_K_UINT},
	{SMF_IP_DYN_PROTO, "IPDynProto", SMF_S_DYN_TUNNEL, 12, 1, SMF_K_UINT},
	{SMF_IP_DYN_ICMP_TYPE, "IPDynICMPType", SMF_S_DYN_TUNNEL, 13, 1, SMF_K_UINT},
	{SMF_IP_DYN_ICMP_CODE, "IPDynICMPCode", SMF_S_DYN_TUNNEL, 14, 1, SMF_K_UINT},
	{SMF_IP_DYN_RSVD1, "IPDynRsvd1", SMF_S_DYN_TUNNEL, 15, 1, SMF_K_RESERVED},
	{SMF_IP_DYN_VPN_RULE, "IPDynVpnRule", SMF_S_DYN_TUNNEL, 16, 48, SMF_K_TEXT},
	{SMF_IP_DYN_IKE_TUN_ID, "IPDynIKETunID", SMF_S_DYN_TUNNEL, 64, 48, SMF_K_TEXT},
	{SMF_IP_DYN_SRC_ADDR, "IPDynSrcAddr", SMF_S_DYN_TUNNEL, 112, 16, SMF_K_ADDR},
	{SMF_IP_DYN_SRC_ADDR_END, "IPDynSrcAddrEnd", SMF_S_DYN_TUNNEL, 128, 16, SMF_K_ADDR},
	{SMF_IP_DYN_DST_ADDR, "IPDynDstAddr", SMF_S_DYN_TUNNEL, 144, 16, SMF_K_ADDR},
	{SMF_IP_DYN_DST_ADDR_END, "IPDynDstAddrEnd", SMF_S_DYN_TUNNEL, 160, 16, SMF_K_ADDR},
	{SMF_IP_DYN_SRC_PORT, "IPDynSrcPort", SMF_S_DYN_TUNNEL, 176, 2, SMF_K_UINT},
	{SMF_IP_DYN_SRC_PORT_END, "IPDynSrcPortEnd", SMF_S_DYN_TUNNEL, 178, 2, SMF_K_UINT},
	{SMF_IP_DYN_DST_PORT, "IPDynDstPort", SMF_S_DYN_TUNNEL, 180, 2, SMF_K_UINT},
	{SMF_IP_DYN_DST_PORT_END, "IPDynDstPortEnd", SMF_S_DYN_TUNNEL, 182, 2, SMF_K_UINT},
	{SMF_IP_DYN_RMT_UDP_PORT, "IPDynRmtUDPPort", SMF_S_DYN_TUNNEL, 184, 2, SMF_K_UINT},
	{SMF_IP_DYN_RSVD2, "IPDynRsvd2", SMF_S_DYN_TUNNEL, 186, 2, SMF_K_RESERVED},
	{SMF_IP_DYN_LIFESIZE, "IPDynLifesize", SMF_S_DYN_TUNNEL, 188, 4, SMF_K_UINT},
	{SMF_IP_DYN_LIFETIME, "IPDynLifetime", SMF_S_DYN_TUNNEL, 192, 4, SMF_K_UINT},
	{SMF_IP_DYN_VPN_LIFE_EXPIRES, "IPDynVpnLifeExpires", SMF_S_DYN_TUNNEL, 196, 4, SMF_K_UNIX},
	{SMF_IP_DYN_LIFE_REFRESH, "IPDynLifeRefresh", SMF_S_DYN_TUNNEL, 200, 4, SMF_K_UNIX},
	{SMF_IP_DYN_LIFE_EXPIRES, "IPDynLifeExpires", SMF_S_DYN_TUNNEL, 204, 4, SMF_K_UNIX},
	{SMF_IP_DYN_IKE_EXT_STATE, "IPDynIKEExtState", SMF_S_IKE_DYN, 0, 1, SMF_K_ENUM},
	{SMF_IP_DYN_IKE_LCL_CLI_TYPE, "IPDynIKELclCliType", SMF_S_IKE_DYN, 1, 1, SMF_K_ENUM},
	{SMF_IP_DYN_IKE_RMT_CLI_TYPE, "IPDynIKERmtCliType", SMF_S_IKE_DYN, 2, 1, SMF_K_ENUM},
	{SMF_IP_DYN_IKE_RSVD1, "IPDynIKERsvd1", SMF_S_IKE_DYN, 3, 1, SMF_K_RESERVED},
	{SMF_IP_DYN_IKE_MSG_ID, "IPDynIKEMsgID", SMF_S_IKE_DYN, 4, 4, SMF_K_HEX},
	{SMF_IP_DYN_IKE_SRC_NATOA, "IPDynIKESrcNATOA", SMF_S_IKE_DYN, 8, 16, SMF_K_ADDR},
	{SMF_IP_DYN_IKE_DST_NATOA, "IPDynIKEDstNATOA", SMF_S_IKE_DYN, 24, 16, SMF_K_ADDR},
	{SMF_IP_DYN_IKE_END_TIME, "IPDynIKEEndTime", SMF_S_IKE_DYN, 40, 4, SMF_K_UNIX},
	{SMF_IP_DYN_IKE_END_REASON, "IPDynIKEEndReason", SMF_S_IKE_DYN, 44, 1, SMF_K_ENUM},
	{SMF_IP_DYN_IKE_RSVD2, "IPDynIKERsvd2", SMF_S_IKE_DYN, 45, 3, SMF_K_RESERVED},
	{SMF_IP_DYN_ADD_FLAGS, "IPDynAddFlags", SMF_S_STACK_ADDED, 0, 4, SMF_K_FLAGS},
	{SMF_IP_DYN_ADD_RSVD, "IPDynAddRsvd", SMF_S_STACK_ADDED, 4, 4, SMF_K_RESERVED},
	{SMF_IP_DYN_ADD_STCK, "IPDynAddSTCK", SMF_S_STACK_ADDED, 8, 8, SMF_K_TOD},
	{SMF_IP_DYN_STK_FLAGS, "IPDynStkFlags", SMF_S_STACK_DYN, 0, 4, SMF_K_FLAGS},
	{SMF_IP_DYN_STK_RSVD1, "IPDynStkRsvd1", SMF_S_STACK_DYN, 4, 4, SMF_K_RESERVED},
	{SMF_IP_DYN_STK_INB_PKTS, "IPDynStkInbPkts", SMF_S_STACK_DYN, 8, 8, SMF_K_UINT},
	{SMF_IP_DYN_STK_OUTB_PKTS, "IPDynStkOutbPkts", SMF_S_STACK_DYN, 16, 8, SMF_K_UINT},
	{SMF_IP_DYN_STK_INB_BYTES, "IPDynStkInbBytes", SMF_S_STACK_DYN, 24, 8, SMF_K_UINT},
	{SMF_IP_DYN_STK_OUTB_BYTES, "IPDynStkOutbBytes", SMF_S_STACK_DYN, 32, 8, SMF_K_UINT},
	{SMF_IP_DYN_STK_CUR_LIFESIZE, "IPDynStkCurLifesize", SMF_S_STACK_DYN, 40, 4, SMF_K_UINT},
	{SMF_IP_DYN_STK_REPLAYS, "IPDynStkReplays", SMF_S_STACK_DYN, 44, 4, SMF_K_UINT},
	{SMF_IP_DYN_STK_AUTH_FAIL, "IPDynStkAuthFail", SMF_S_STACK_DYN, 48, 4, SMF_K_UINT},
	{SMF_IP_DYN_STK_END_REASON, "IPDynStkEndReason", SMF_S_STACK_DYN, 52, 1, SMF_K_ENUM},
	{SMF_IP_DYN_STK_RSVD2, "IPDynStkRsvd2", SMF_S_STACK_DYN, 53, 3, SMF_K_RESERVED},
	{SMF_IP_DYN_STK_STCK, "IPDynStkSTCK", SMF_S_STACK_DYN, 56, 8, SMF_K_TOD},
	{SMF_IP_MAN_INB_PKTS, "IPManInbPkts", SMF_S_MANUAL, 0, 8, SMF_K_UINT},
	{SMF_IP_MAN_OUTB_PKTS, "IPManOutbPkts", SMF_S_MANUAL, 8, 8, SMF_K_UINT},
	{SMF_IP_MAN_INB_BYTES, "IPManInbBytes", SMF_S_MANUAL, 16, 8, SMF_K_UINT},
	{SMF_IP_MAN_OUTB_BYTES, "IPManOutbBytes", SMF_S_MANUAL, 24, 8, SMF_K_UINT},
	{SMF_LCL_ID, "LclID", SMF_S_LCL_ID, 0, 0, SMF_K_TEXT},
	{SMF_RMT_ID, "RmtID", SMF_S_RMT_ID, 0, 0, SMF_K_TEXT},
	{SMF_LCL_CLIENT_ID, "LclClientID", SMF_S_LCL_CLIENT_ID, 0, 0, SMF_K_TEXT},
	{SMF_RMT_CLIENT_ID, "RmtClientID", SMF_S_RMT_CLIENT_ID, 0, 0, SMF_K_TEXT},
};

#define N_PLACES (sizeof(places) / sizeof(places[0]))

/* Where the sections of a record begin, as published. */
static const struct {
	unsigned subtype, len; /* without identities */
	enum smf_section section[6];
	unsigned at[6];
} layouts[] = {
	{73, 372, {SMF_S_IDENT, SMF_S_IKE_TUNNEL, SMF_S_LCL_ID, SMF_S_RMT_ID}, {60, 124}},
	{74,
	 436,
	 {SMF_S_IDENT, SMF_S_IKE_TUNNEL, SMF_S_IKE_STATS, SMF_S_LCL_ID, SMF_S_RMT_ID},
	 {68, 132, 380}},
	{75,
	 564,
	 {SMF_S_IDENT, SMF_S_IP_TUNNEL, SMF_S_DYN_TUNNEL, SMF_S_IKE_DYN, SMF_S_LCL_CLIENT_ID,
	  SMF_S_RMT_CLIENT_ID},
	 {76, 140, 308, 516}},
	{76,
	 564,
	 {SMF_S_IDENT, SMF_S_IP_TUNNEL, SMF_S_DYN_TUNNEL, SMF_S_IKE_DYN, SMF_S_LCL_CLIENT_ID,
	  SMF_S_RMT_CLIENT_ID},
	 {76, 140, 308, 516}},
	{77,
	 516,
	 {SMF_S_IDENT, SMF_S_IP_TUNNEL, SMF_S_DYN_TUNNEL, SMF_S_STACK_ADDED},
	 {60, 124, 292, 500}},
	{78,
	 564,
	 {SMF_S_IDENT, SMF_S_IP_TUNNEL, SMF_S_DYN_TUNNEL, SMF_S_STACK_DYN},
	 {60, 124, 292, 500}},
	{79, 276, {SMF_S_IDENT, SMF_S_IP_TUNNEL}, {44, 108}},
	{80, 316, {SMF_S_IDENT, SMF_S_IP_TUNNEL, SMF_S_MANUAL}, {52, 116, 284}},
};

static uint8_t record[SMF_BUILD_MAX];

static size_t finish(struct smf_builder *b)
{
	struct cs_writer w = cs_writer_of(record, sizeof(record));
	struct cs_err err;

	ck_assert_msg(smf_finish(b, &w, &err) == 0, "%s", err.text);
	return w.len;
}

static uint64_t number(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	while (len-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* Each field is in the list, once, and its row says the same. */
START_TEST(test_rows)
{
	bool seen[SMF_FIELDS] = {false};

	ck_assert_uint_eq(N_PLACES, SMF_FIELDS);
	for (size_t i = 0; i < N_PLACES; i++) {
		const struct smf_row *row = &smf_rows[places[i].field];

		ck_assert_msg(!seen[places[i].field], "%s", places[i].name);
		seen[places[i].field] = true;
		ck_assert_str_eq(row->name, places[i].name);
		ck_assert_int_eq(row->section, places[i].section);
		ck_assert_msg(row->offset == places[i].offset, "%s", row->name);
		ck_assert_msg(row->len == places[i].len, "%s", row->name);
		ck_assert_msg(row->kind == places[i].kind, "%s", row->name);
		ck_assert_msg((row->kind == SMF_K_ENUM || row->kind == SMF_K_FLAGS) ==
				      (row->names != NULL),
			      "%s", row->name);
		ck_assert(strchr("ABMP", row->place) && strchr("ABMP", row->content));
		ck_assert_uint_gt(strlen(row->meaning), 0);
	}
}
END_TEST

/* Rows of a section follow each other and leave no byte out; names are one field's alone. */
START_TEST(test_sections)
{
	unsigned field = 0;

	for (unsigned s = 0; s < SMF_SECTIONS; s++) {
		const struct smf_section_row *section = &smf_sections[s];
		unsigned at = 0;

		ck_assert_uint_eq(section->first, field);
		for (unsigned i = 0; i < section->n; i++, field++) {
			ck_assert_uint_eq(smf_rows[field].section, s);
			ck_assert_msg(smf_rows[field].offset == at, "%s", smf_rows[field].name);
			at += smf_rows[field].len;
			ck_assert(smf_rows[field].kind != SMF_K_ADDR ||
				  (smf_rows[field].len == 16 && section->ipv6 != SMF_FIELDS));
		}
		ck_assert_uint_eq(at, section->len);
	}
	ck_assert_uint_eq(field, SMF_FIELDS);
	for (unsigned i = 0; i < SMF_FIELDS; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(smf_rows[i].name, smf_rows[k].name);
}
END_TEST

/* A name stands for one number and the other way round, so that nothing is lost by either. */
START_TEST(test_names)
{
	for (unsigned f = 0; f < SMF_FIELDS; f++)
		for (const struct smf_name *n = smf_rows[f].names; n && n->name; n++) {
			ck_assert(smf_rows[f].kind != SMF_K_FLAGS || n->value < 32);
			ck_assert(smf_rows[f].kind != SMF_K_ENUM || n->value < 256);
			ck_assert_str_eq(smf_value_name((enum smf_field)f, n->value), n->name);
			for (const struct smf_name *m = smf_rows[f].names; m < n; m++) {
				ck_assert_uint_ne(m->value, n->value);
				ck_assert_str_ne(m->name, n->name);
			}
		}
	ck_assert_str_eq(smf_value_name(SMF_IKE_TUN_STATE, 4), "active");
	ck_assert_str_eq(smf_value_name(SMF_IP_TUN_AUTH_ALG, 7), "hmac_sha2_256_128");
	ck_assert_str_eq(smf_value_name(SMF_IP_DYN_STK_END_REASON, 12), "lost_at_restart");
	ck_assert_ptr_null(smf_value_name(SMF_IKE_TUN_STATE, 0));
	ck_assert_ptr_null(smf_value_name(SMF_IKE_TUN_GENERATION, 1));
}
END_TEST

START_TEST(test_layouts)
{
	struct smf_builder b;

	smf_build(&b, layouts[_i].subtype);
	ck_assert_uint_eq(finish(&b), layouts[_i].len);
	ck_assert_uint_eq(number(record, 2), layouts[_i].len);
	ck_assert_uint_eq(number(record + 22, 2), layouts[_i].subtype);
	for (unsigned i = 0; i < 6; i++) {
		const uint8_t *triplet = record + 28 + (size_t)8 * i;

		if (i >= number(record + 24, 2)) {
			ck_assert_uint_eq(layouts[_i].section[i], 0);
			continue;
		}
		ck_assert_uint_ne(layouts[_i].section[i], 0);
		ck_assert_uint_eq(number(triplet, 4), layouts[_i].at[i]);
		ck_assert_uint_eq(number(triplet + 4, 2), smf_sections[layouts[_i].section[i]].len);
		ck_assert_uint_eq(number(triplet + 6, 2), layouts[_i].at[i] != 0);
	}
	ck_assert_mem_eq(record + layouts[_i].at[0] + 32,
			 layouts[_i].subtype < 77 ? "\xc9\xd2\xc5\x40" : "\xe2\xe3\xc1\xc3", 4);
	ck_assert_ptr_null(smf_layout_of(72));
	ck_assert_ptr_null(smf_layout_of(81));
}
END_TEST

/* Puts something into the field that no byte of it has before. */
static void put_something(struct smf_builder *b, enum smf_field field, uint8_t *expected)
{
	const struct smf_row *row = &smf_rows[field];
	struct cs_addr addr = {.family = AF_INET6};
	char text[65];

	switch (row->kind) {
	case SMF_K_TEXT:
		memset(text, 'A', row->len);
		text[row->len] = '\0';
		memset(expected, 0xc1, row->len);
		smf_put_text(b, field, text);
		break;
	case SMF_K_ADDR:
		memset(addr.b, 0xa5, sizeof(addr.b));
		memset(expected, 0xa5, 16);
		smf_put_addr(b, field, &addr);
		break;
	default:
		for (unsigned i = 0; i < row->len; i++)
			expected[i] = (uint8_t)(0xf1 + i);
		smf_put_u64(b, field, number(expected, row->len));
	}
}

static void check_decoded(const struct smf_record *r, enum smf_field field, const uint8_t *expected)
{
	const struct smf_row *row = &smf_rows[field];
	struct cs_addr addr;
	struct cs_bytes bytes;
	char text[65];
	uint64_t value;

	ck_assert(smf_get_bytes(r, field, &bytes));
	ck_assert_uint_eq(bytes.len, row->len);
	ck_assert_mem_eq(bytes.p, expected, row->len);
	if (row->kind == SMF_K_TEXT) {
		ck_assert_uint_eq(smf_get_text(r, field, SMF_IBM1047, text, sizeof(text)),
				  row->len);
		ck_assert_int_eq(text[0], 'A');
	} else if (row->kind == SMF_K_ADDR) {
		ck_assert(smf_get_addr(r, field, &addr));
		ck_assert_int_eq(addr.family, AF_INET6);
		ck_assert_mem_eq(addr.b, expected, 16);
	} else {
		ck_assert(smf_get_u64(r, field, &value));
		ck_assert_uint_eq(value, number(expected, row->len));
	}
}

/*
 * Each field of each subtype, alone: it changes the bytes of its place, and no others (an IPv6
 * address its flag besides), and is read back from there.
 */
START_TEST(test_places)
{
	uint8_t plain[SMF_BUILD_MAX], expected[64];
	struct smf_builder b;
	unsigned tried = 0;

	smf_build(&b, layouts[_i].subtype);
	finish(&b);
	memcpy(plain, record, sizeof(plain));
	for (size_t i = 0; i < N_PLACES; i++) {
		struct smf_record r;
		unsigned at = 0;
		bool frame = places[i].section == SMF_S_HEADER;

		for (unsigned k = 0; k < 6; k++)
			if (layouts[_i].section[k] == places[i].section)
				at = layouts[_i].at[k];
		/* What is not decoded with another value, and what cannot be put. */
		if ((!at && !frame) || places[i].kind == SMF_K_RESERVED ||
		    (frame && (places[i].offset < 6 || places[i].offset >= 22)))
			continue;
		smf_build(&b, layouts[_i].subtype);
		put_something(&b, places[i].field, expected);
		finish(&b);
		ck_assert_msg(memcmp(record + at + places[i].offset, expected, places[i].len) == 0,
			      "%s of %u", places[i].name, layouts[_i].subtype);
		ck_assert_int_eq(smf_decode(record, layouts[_i].len, &r, NULL), 0);
		check_decoded(&r, places[i].field, expected);
		memcpy(record + at + places[i].offset, plain + at + places[i].offset,
		       places[i].len);
		if (places[i].kind == SMF_K_ADDR) /* bit 0 of the flags of the tunnel section */
			record[layouts[_i].at[1] + (layouts[_i].subtype < 75 ? 0 : 96)] ^= 0x80;
		ck_assert_msg(memcmp(record, plain, layouts[_i].len) == 0, "%s of %u",
			      places[i].name, layouts[_i].subtype);
		tried++;
	}
	ck_assert_uint_gt(tried, 20);
}
END_TEST

/* Of the header, what every record has. */
START_TEST(test_header)
{
	struct smf_builder b;

	smf_build(&b, 79);
	finish(&b);
	ck_assert_mem_eq(record, "\x01\x14\x00\x00\x5e\x77", 6);
	ck_assert_mem_eq(record + 18, "\xe3\xc3\xd7\x40\x00\x4f\x00\x02\x00\x00", 10);
	ck_assert_int_eq(smf_type(record, 6), 119);
	ck_assert_int_eq(smf_type(record, 5), -1);
	ck_assert_int_eq(smf_subtype(record, 24), 79);
	ck_assert_int_eq(smf_subtype(record, 23), -1);
	record[4] = 0x1e; /* no subtypes */
	ck_assert_int_eq(smf_subtype(record, 24), -1);
}
END_TEST

/* The page is what the rows say. */
START_TEST(test_page)
{
	FILE *f = fopen(TESTDATA "/../docs/smf119.md", "r"), *to;
	static char page[1u << 18];
	char *made;
	size_t size;

	ck_assert_ptr_nonnull(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	to = open_memstream(&made, &size);
	ck_assert_ptr_nonnull(to);
	smf_doc(to);
	fclose(to);
	ck_assert_msg(strcmp(page, made) == 0, "docs/smf119.md: ./dev docs makes it anew");
	free(made);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smf_table");
	TCase *c = tcase_create("table");

	tcase_set_timeout(c, 600); /* of a machine that has much else to do */
	tcase_add_test(c, test_rows);
	tcase_add_test(c, test_sections);
	tcase_add_test(c, test_names);
	tcase_add_loop_test(c, test_layouts, 0, 8);
	tcase_add_loop_test(c, test_places, 0, 8);
	tcase_add_test(c, test_header);
	tcase_add_test(c, test_page);
	suite_add_tcase(s, c);
	return run_suite(s);
}
