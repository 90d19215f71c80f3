/* trmdstat: SMF records of tunnels. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "trmd/trmdstat.h"

/* A failed one's end reason (docs/smf119.md). */
static bool is_failure(uint64_t reason)
{
	switch (reason) {
	case 5:  /* peer_dead */
	case 9:  /* negotiation_failed */
	case 11: /* authentication */
	case 12: /* lost_at_restart */
		return true;
	default:
		return false;
	}
}

static bool remote_of(const struct smf_record *r, struct cs_addr *addr)
{
	return (smf_get_addr(r, SMF_IKE_TUN_RMT_ENDPT, addr) ||
		smf_get_addr(r, SMF_IP_TUN_RMT_ENDPT, addr)) &&
	       !cs_addr_is_any(addr);
}

static bool host_is(const struct stat_select *s, const struct smf_record *r)
{
	static const enum smf_field ends[] = {SMF_IKE_TUN_RMT_ENDPT, SMF_IP_TUN_RMT_ENDPT,
					      SMF_IKE_TUN_LCL_ENDPT, SMF_IP_TUN_LCL_ENDPT};
	struct cs_addr addr;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (smf_get_addr(r, ends[i], &addr) && cs_range_has(&s->host, &addr))
			return true;
	return false;
}

static bool wants(const struct stat_select *s, const struct smf_record *r, int64_t us)
{
	char stack[32];

	if (s->has_source || s->has_destination || s->has_ports || s->interface[0])
		return false;
	smf_get_text(r, SMF_TI_STACK, SMF_IBM1047, stack, sizeof(stack));
	if (s->stack[0] && strcasecmp(stack, s->stack) != 0)
		return false;
	if ((s->from_us != STAT_NEVER && us < s->from_us) ||
	    (s->to_us != STAT_NEVER && us > s->to_us))
		return false;
	return !s->has_host || host_is(s, r);
}

static uint64_t value_of(const struct smf_record *r, enum smf_field a, enum smf_field b)
{
	uint64_t value;

	return smf_get_u64(r, a, &value) || smf_get_u64(r, b, &value) ? value : 0;
}

static int count(struct trmdstat *s, const struct smf_record *r, struct cs_err *err)
{
	char peer[CS_ADDR_STRLEN] = "N/A", cause[32];
	enum smf_field field = SMF_IP_DYN_IKE_END_REASON;
	struct stat_row *row;
	struct cs_addr addr;
	uint64_t reason;

	if (remote_of(r, &addr))
		cs_addr_text(&addr, peer);
	row = stat_row_of(&s->smf_tunnels, peer, smf_event(r));
	if (!row)
		return cs_fail(err, CS_ENOMEM, "no memory for the report");
	row->n[0]++;
	stat_add(&row->n[1], value_of(r, SMF_IP_DYN_STK_INB_BYTES, SMF_IP_MAN_INB_BYTES));
	stat_add(&row->n[2], value_of(r, SMF_IP_DYN_STK_OUTB_BYTES, SMF_IP_MAN_OUTB_BYTES));
	if (r->layout->subtype == 74)
		field = SMF_IKE_TUN_END_REASON;
	if (!smf_get_u64(r, field, &reason) || !is_failure(reason))
		return 0;
	snprintf(cause, sizeof(cause), "%s", smf_value_name(field, reason));
	row = stat_row_of(&s->smf_failures, cause, peer);
	if (!row)
		return cs_fail(err, CS_ENOMEM, "no memory for the report");
	row->n[r->layout->subtype == 76]++;
	return 0;
}

static int take(struct trmdstat *s, const char *name, const struct smf_raw *raw, struct cs_err *err)
{
	struct smf_record r;
	struct cs_err why;
	int64_t us;
	int rc = smf_decode(raw->p, raw->len, &r, &why);

	if (rc == CS_EUNSUPPORTED) {
		s->smf_skipped++;
		return 0;
	}
	if (rc == 0 && !smf_get_time(&r, &us))
		rc = cs_fail(&why, CS_EPARSE, "its time is none");
	if (rc < 0) {
		s->smf_damaged++;
		cs_err_prefix(&why, "record %llu at offset %llu", (unsigned long long)raw->number,
			      (unsigned long long)raw->offset);
		stat_complain(s, name, why.text);
		return 0;
	}
	s->smf_scanned++;
	if (s->stack_us[0] == STAT_NEVER || us < s->stack_us[0])
		s->stack_us[0] = us;
	if (s->stack_us[1] == STAT_NEVER || us > s->stack_us[1])
		s->stack_us[1] = us;
	if (!wants(&s->select, &r, us))
		return 0;
	s->smf_selected++;
	return count(s, &r, err);
}

int stat_smf(struct trmdstat *s, int fd, const char *name, uint64_t limit, struct cs_err *err)
{
	struct smf_input *in;
	struct smf_raw raw;
	struct cs_err why;
	uint64_t offset, bytes;
	char text[128];
	int rc = smf_input_open(fd, &in, err), more = 0;

	if (rc < 0)
		return rc;
	s->smf = true;
	smf_input_limit(in, limit);
	while (rc == 0 && (more = smf_input_next(in, &raw, &why)) > 0)
		rc = take(s, name, &raw, err);
	if (more < 0) {
		stat_complain(s, name, why.text);
	} else if (rc == 0 && smf_input_cut(in, &offset, &bytes)) {
		snprintf(text, sizeof(text),
			 "the last record is cut off: at offset %llu %llu bytes of it",
			 (unsigned long long)offset, (unsigned long long)bytes);
		fprintf(stderr, "trmdstat: %s: %s\n", name, text);
	}
	smf_input_close(in);
	return rc;
}
