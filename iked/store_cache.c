/*
 * Reading iked.db: the counters, and the SA cache as the last iked left it.  A row that cannot be
 * understood is counted and left out; the rest is given.
 */
#include <stdio.h>
#include <string.h>

#include "iked/store_schema.h"

static sqlite3_stmt *query(struct ike_db *db, const char *text, struct cs_err *err)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db->handle, text, -1, &st, NULL) == SQLITE_OK)
		return st;
	cs_fail(err, CS_ESTORE, "%s: %s", db->path, sqlite3_errmsg(db->handle));
	return NULL;
}

int ike_db_last(struct ike_db *db, uint64_t *last_tx, uint32_t *last_tunnel, struct cs_err *err)
{
	sqlite3_stmt *st = query(db, "SELECT last_tx, last_tunnel FROM counters", err);
	int status = 0;

	if (!st)
		return CS_ESTORE;
	if (sqlite3_step(st) == SQLITE_ROW) {
		*last_tx = (uint64_t)sqlite3_column_int64(st, 0);
		*last_tunnel = (uint32_t)sqlite3_column_int64(st, 1);
	} else {
		status = cs_fail(err, CS_ESTORE, "%s: the counters cannot be read", db->path);
	}
	sqlite3_finalize(st);
	return status;
}

/* Takes columns in order; what does not parse sets bad, and the row is skipped by the caller. */
struct row {
	sqlite3_stmt *st;
	int at;
	bool bad;
};

static int64_t get_int(struct row *r)
{
	return sqlite3_column_int64(r->st, r->at++);
}

static const char *get_text(struct row *r)
{
	const unsigned char *text = sqlite3_column_text(r->st, r->at++);

	return text ? (const char *)text : "";
}

static void get_id(struct row *r, char id[static IKE_ID_TEXT])
{
	snprintf(id, IKE_ID_TEXT, "%s", get_text(r));
}

static struct cs_addr get_addr(struct row *r)
{
	struct cs_addr a = {0};
	const char *text = get_text(r);

	if (*text && cs_addr_parse(text, &a, NULL) < 0)
		r->bad = true;
	return a;
}

static struct cs_range get_range(struct row *r)
{
	struct cs_range range = {{0}, {0}};
	const char *text = get_text(r);

	if (*text && cs_range_parse(text, &range, NULL) < 0)
		r->bad = true;
	return range;
}

static void get_cookie(struct row *r, uint8_t cookie[static ISA_COOKIE_LEN])
{
	const void *blob = sqlite3_column_blob(r->st, r->at);

	if (sqlite3_column_bytes(r->st, r->at) == ISA_COOKIE_LEN && blob)
		memcpy(cookie, blob, ISA_COOKIE_LEN);
	else
		r->bad = true;
	r->at++;
}

static struct cs_bytes get_bytes(struct row *r)
{
	const void *blob = sqlite3_column_blob(r->st, r->at);

	return (struct cs_bytes){blob, (size_t)sqlite3_column_bytes(r->st, r->at++)};
}

static void get_p1(struct row *r, struct ike_p1_info *i)
{
	unsigned cipher;

	i->state = IKE_P1_DONE;
	i->tunnel = (uint32_t)get_int(r);
	i->generation = (uint32_t)get_int(r);
	i->initiator = get_int(r) != 0;
	i->mode = get_int(r) == POL_MODE_AGGRESSIVE ? POL_MODE_AGGRESSIVE : POL_MODE_MAIN;
	i->rule = get_text(r);
	i->action = get_text(r);
	i->instance = (uint32_t)get_int(r);
	i->local.addr = get_addr(r);
	i->local.port = (uint16_t)get_int(r);
	i->remote.addr = get_addr(r);
	i->remote.port = (uint16_t)get_int(r);
	i->local_id_type = (uint8_t)get_int(r);
	get_id(r, i->local_id);
	i->remote_id_type = (uint8_t)get_int(r);
	get_id(r, i->remote_id);
	cipher = (unsigned)get_int(r);
	i->suite.cipher = cs_cipher_by_ike(cipher, (unsigned)get_int(r));
	i->suite.hash = cs_hash_by_ike((unsigned)get_int(r));
	i->suite.group = cs_group_by_number((unsigned)get_int(r));
	i->suite.auth = (uint16_t)get_int(r);
	get_cookie(r, i->icookie);
	get_cookie(r, i->rcookie);
	i->established = get_int(r);
	i->refresh = get_int(r);
	i->expires = get_int(r);
	i->lifetime = (uint32_t)get_int(r);
	i->lifesize = (uint32_t)get_int(r);
	i->allow_nat = get_int(r) != 0;
	i->natt_level = (uint8_t)get_int(r);
	i->nat_local = get_int(r) != 0;
	i->nat_remote = get_int(r) != 0;
	i->nat_napt = get_int(r) != 0;
	i->nat_encap = get_int(r) != 0;
}

static void get_p2_nat(struct row *r, struct ike_p2_info *i)
{
	int64_t udp = get_int(r);

	if (udp < IKE_UDP_NONE || udp > IKE_UDP_PLAIN)
		r->bad = true;
	i->suite.udp = (enum ike_udp)udp;
	i->nat_local = get_int(r) != 0;
	i->nat_remote = get_int(r) != 0;
	i->nat_napt = get_int(r) != 0;
	i->encap_local = (uint16_t)get_int(r);
	i->encap_remote = (uint16_t)get_int(r);
	i->oa[0] = get_addr(r);
	i->oa[1] = get_addr(r);
	i->client = (uint16_t)get_int(r);
}

static void get_p2(struct row *r, struct ike_p2_info *i, uint64_t *intent)
{
	unsigned cipher;

	i->tunnel = (uint32_t)get_int(r);
	i->generation = (uint32_t)get_int(r);
	i->parent = (uint32_t)get_int(r);
	i->state = get_int(r) ? IKE_P2_DONE : IKE_P2_KEP;
	*intent = (uint64_t)get_int(r);
	i->initiator = get_int(r) != 0;
	i->activation = (enum ike_activation)get_int(r);
	i->rule = get_text(r);
	i->action = get_text(r);
	i->local_rule = get_text(r);
	i->rule_id = (uint16_t)get_int(r);
	i->reqid = (uint32_t)get_int(r);
	i->instance = (uint32_t)get_int(r);
	i->suite.protocol = get_int(r) == POL_AH ? POL_AH : POL_ESP;
	cipher = (unsigned)get_int(r);
	i->suite.cipher = cs_cipher_by_esp(cipher, (unsigned)get_int(r));
	i->suite.integ = cs_integ_by_esp((unsigned)get_int(r));
	i->suite.encap = get_int(r) == POL_TUNNEL ? POL_TUNNEL : POL_TRANSPORT;
	i->pfs_group = (uint16_t)get_int(r);
	i->suite.group = i->pfs_group;
	i->local = get_addr(r);
	i->remote = get_addr(r);
	i->selector.local = get_range(r);
	i->selector.remote = get_range(r);
	i->selector.proto = (uint8_t)get_int(r);
	i->selector.local_port = (uint16_t)get_int(r);
	i->selector.remote_port = (uint16_t)get_int(r);
	i->spi_in = (uint32_t)get_int(r);
	i->spi_out = (uint32_t)get_int(r);
	i->installed = get_int(r);
	i->refresh = get_int(r);
	i->expires = get_int(r);
	i->vpn_expires = get_int(r);
	i->lifetime = (uint32_t)get_int(r);
	i->lifesize = (uint32_t)get_int(r);
	i->passthrough_df = get_int(r) != 0;
	i->passthrough_dscp = get_int(r) != 0;
	i->local_id = get_bytes(r);
	i->remote_id = get_bytes(r);
	i->suite.ah = cs_integ_by_esp((unsigned)get_int(r));
	i->ah_in = (uint32_t)get_int(r);
	i->ah_out = (uint32_t)get_int(r);
	snprintf(i->user, sizeof(i->user), "%s", get_text(r));
	get_p2_nat(r, i);
	i->generations = (uint32_t)get_int(r);
}

static int end(struct ike_db *db, sqlite3_stmt *st, int rc, unsigned bad, struct cs_err *err)
{
	int status = 0;

	if (rc != SQLITE_DONE)
		status = cs_fail(err, CS_ESTORE, "%s: %s", db->path, sqlite3_errmsg(db->handle));
	else if (bad)
		status = cs_fail(err, CS_ESTORE, "%s: %u rows of the SA cache cannot be understood",
				 db->path, bad);
	sqlite3_finalize(st);
	return status;
}

int ike_db_each_p1(struct ike_db *db, ike_cached_p1_fn *fn, void *arg, struct cs_err *err)
{
	sqlite3_stmt *st = query(db, "SELECT * FROM p1", err);
	unsigned bad = 0;
	int rc;

	if (!st)
		return CS_ESTORE;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct ike_p1_info info = {0};
		struct row row = {st, 0, false};

		get_p1(&row, &info);
		if (row.bad)
			bad++;
		else
			fn(arg, &info);
	}
	return end(db, st, rc, bad, err);
}

int ike_db_each_p2(struct ike_db *db, ike_cached_fn *fn, void *arg, struct cs_err *err)
{
	sqlite3_stmt *st = query(db, "SELECT * FROM p2", err);
	unsigned bad = 0;
	int rc;

	if (!st)
		return CS_ESTORE;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct ike_p2_info info = {0};
		struct row row = {st, 0, false};
		uint64_t intent = 0;

		get_p2(&row, &info, &intent);
		if (row.bad)
			bad++;
		else
			fn(arg, &info, intent);
	}
	return end(db, st, rc, bad, err);
}
