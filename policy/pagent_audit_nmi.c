/* Rows of the audit trail on the management socket, which trmd asks for and acknowledges. */
#include <stdlib.h>
#include <sys/stat.h>

#include "common/paths.h"
#include "policy/pagent.h"
#include "policy/pagent_audit.h"

#define ROWS 256 /* of an answer */

/* Nobody but root may have made a directory here. */
static bool is_roots(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* It runs as the user of iked's worker; where iked never ran its own directory says who that is. */
bool pagent_audit_may_take(const struct pagent *p, uid_t uid)
{
	static const char *const leaves[] = {"iked", "smf"};
	char path[CS_PATH_MAX];
	struct stat st;

	if (cs_nmi_may_control(uid))
		return true;
	if (cs_state_path(p->o->stack, NULL, path, NULL) < 0 || !is_roots(path))
		return false;
	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		if (cs_state_path(p->o->stack, leaves[i], path, NULL) == 0 &&
		    lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid)
			return true;
	return false;
}

static int64_t number(const json_t *request, const char *key)
{
	return json_integer_value(json_object_get(request, key));
}

/* What an earlier answer had is safe in trmd's files. */
static int take_back(struct pagent *p, const json_t *request, struct cs_err *err)
{
	const json_t *list = json_object_get(request, "refused");
	size_t n = json_array_size(list);
	int64_t *refused;
	int rc;

	if (!number(request, "done"))
		return 0;
	if (!number(request, "identity"))
		return cs_fail(err, CS_EINVAL, "'done' needs the 'identity' of its rows");
	if (n > ROWS)
		return cs_fail(err, CS_EINVAL, "no answer has so many rows");
	refused = calloc(n + 1, sizeof(*refused));
	if (!refused)
		return cs_fail(err, CS_ENOMEM, "no memory for what is refused");
	for (size_t i = 0; i < n; i++)
		refused[i] = json_integer_value(json_array_get(list, i));
	rc = pagent_outbox_done(
		pagent_audit_outbox(p->audit),
		&(struct pagent_outbox_done){.identity = number(request, "identity"),
					     .last = number(request, "done"),
					     .refused = refused,
					     .n_refused = n},
		err);
	free(refused);
	return rc;
}

struct answer {
	struct pagent *p;
	uint64_t ticket;
};

static void on_row(void *arg, const struct pagent_row *row)
{
	const struct answer *a = arg;

	cs_nmi_entry(a->p->nmi, a->ticket,
		     json_pack("{s:I, s:I, s:s, s:s}", "id", (json_int_t)row->id, "time",
			       (json_int_t)row->time, "kind", row->kind, "payload", row->payload));
}

void pagent_audit_rows(struct pagent *p, uint64_t ticket, const json_t *request)
{
	struct pagent_outbox *outbox = pagent_audit_outbox(p->audit);
	struct answer a = {p, ticket};
	struct pagent_outbox_end end;
	struct cs_err err;
	int rc = take_back(p, request, &err);

	if (rc == 0)
		rc = pagent_outbox_read(outbox, ROWS, on_row, &a, &end, &err);
	if (rc < 0)
		cs_nmi_error(p->nmi, ticket, err.code, err.text);
	else
		cs_nmi_done(p->nmi, ticket,
			    json_pack("{s:I, s:I}", "identity", (json_int_t)end.identity, "last",
				      (json_int_t)end.last));
}
