/* One well-formed message of each shape, to begin mutating with. */
#include "tests/fuzz/wire_check.h"

static void make_message(struct wire_message *m, const char *name, unsigned exchange,
			 const uint8_t *types, size_t block)
{
	struct isa_header h = {
		.icookie = {1}, .rcookie = {2}, .version = 0x10, .exchange = (uint8_t)exchange};
	static const struct ike_p2_spis spis = {0xc0ffee01, 0xc0ffee02, 0x0ff00001};
	struct isa_builder b;

	m->name = name;
	h.message_id = exchange == ISA_MAIN || exchange == ISA_AGGRESSIVE ? 0 : 0x12345678;
	isa_begin(&b, m->data, sizeof(m->data), &h);
	for (; *types; types++) {
		isa_payload_begin(&b, *types);
		switch (*types) {
		case ISA_SA:
			if (exchange == ISA_QUICK)
				ike_p2_offer(&wire_vpn_action, 14, IKE_PATH_TRANSPORT, -1, &spis,
					     &b.w, NULL);
			else
				ike_p1_offer(&wire_ke_action, true, -1, &b.w, NULL);
			break;
		case ISA_DELETE:
			cs_put_u32(&b.w, 1);
			cs_put_u32(&b.w, 0x03040002);
			cs_put_zeros(&b.w, 8);
			break;
		case ISA_NOTIFY:
			cs_put_u32(&b.w, 1);
			cs_put_u32(&b.w, 0x03040000 | ISA_N_RESPONDER_LIFETIME);
			cs_put_zeros(&b.w, 16);
			break;
		case ISA_ATTRIBUTES:
			cs_put_u32(&b.w, 0x02000007); /* a reply */
			cs_put_u32(&b.w, 0x40890003); /* a user name */
			cs_put_bytes(&b.w, "bob", 3);
			cs_put_u32(&b.w, 0xc08f0001); /* a status */
			break;
		case ISA_FRAGMENT:
			cs_put_u32(&b.w, 0x00010101); /* id 1, number 1, the last */
			cs_put_zeros(&b.w, 32);
			break;
		default:
			cs_put_zeros(&b.w, 32);
		}
		isa_payload_end(&b);
	}
	m->len = isa_end(&b, block);
	m->padded = block > 0;
}

void wire_messages(struct wire_message messages[static WIRE_MESSAGES])
{
	static const uint8_t main1[] = {ISA_SA, ISA_VENDOR, ISA_VENDOR, 0};
	static const uint8_t main3[] = {ISA_KE, ISA_NONCE, ISA_NATD, ISA_NATD, 0};
	static const uint8_t main5[] = {ISA_ID, ISA_HASH, ISA_NOTIFY, 0};
	static const uint8_t aggressive1[] = {ISA_SA, ISA_KE, ISA_NONCE, ISA_ID, ISA_VENDOR, 0};
	static const uint8_t aggressive2[] = {ISA_SA,   ISA_KE,   ISA_NONCE, ISA_ID,
					      ISA_HASH, ISA_NATD, ISA_NATD,  0};
	static const uint8_t aggressive3[] = {ISA_HASH, ISA_NATD, ISA_NATD, ISA_NOTIFY, 0};
	static const uint8_t quick[] = {ISA_HASH, ISA_SA, ISA_NONCE, ISA_KE, ISA_ID, ISA_ID, 0};
	static const uint8_t last[] = {ISA_HASH, 0};
	static const uint8_t info[] = {ISA_HASH, ISA_DELETE, ISA_NOTIFY, 0};
	static const uint8_t fragment[] = {ISA_FRAGMENT, 0};
	static const uint8_t transaction[] = {ISA_HASH, ISA_ATTRIBUTES, 0};
	static const uint8_t main5_signed[] = {ISA_ID, ISA_CERT, ISA_CERT, ISA_SIG, ISA_CERTREQ, 0};
	static const uint8_t aggressive2_signed[] = {ISA_SA,   ISA_KE,  ISA_NONCE,   ISA_ID,
						     ISA_CERT, ISA_SIG, ISA_CERTREQ, 0};
	static const uint8_t aggressive3_signed[] = {ISA_CERT, ISA_SIG, 0};
	static const uint8_t quick4[] = {ISA_HASH, ISA_NOTIFY, 0};

	make_message(&messages[0], "main1", ISA_MAIN, main1, 0);
	make_message(&messages[1], "main3", ISA_MAIN, main3, 0);
	make_message(&messages[2], "main5", ISA_MAIN, main5, 16);
	make_message(&messages[3], "quick1", ISA_QUICK, quick, 16);
	make_message(&messages[4], "quick3", ISA_QUICK, last, 8);
	make_message(&messages[5], "info", ISA_INFORMATIONAL, info, 16);
	make_message(&messages[6], "aggressive1", ISA_AGGRESSIVE, aggressive1, 0);
	make_message(&messages[7], "aggressive2", ISA_AGGRESSIVE, aggressive2, 0);
	make_message(&messages[8], "aggressive3", ISA_AGGRESSIVE, aggressive3, 16);
	make_message(&messages[9], "fragment", ISA_MAIN, fragment, 0);
	make_message(&messages[10], "transaction", ISA_TRANSACTION, transaction, 16);
	make_message(&messages[11], "main5_signed", ISA_MAIN, main5_signed, 16);
	make_message(&messages[12], "aggressive2_signed", ISA_AGGRESSIVE, aggressive2_signed, 0);
	make_message(&messages[13], "aggressive3_signed", ISA_AGGRESSIVE, aggressive3_signed, 16);
	make_message(&messages[14], "quick4", ISA_QUICK, quick4, 16);
}
