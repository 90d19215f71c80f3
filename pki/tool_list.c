/* csipsec-pki list: what the keyring has, as a table, in full, or as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pki/tool.h"

#define DAY 86400

static const char *day_of(int64_t when, char buf[static 32])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, 32, "%Y-%m-%d", &tm) == 0)
		snprintf(buf, 32, "?");
	return buf;
}

static const char *second_of(int64_t when, char buf[static 32])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, 32, "?");
	return buf;
}

static const char *key_name(const struct pki_info *i, char buf[static 32])
{
	static const char *const names[] = {
		[PKI_KEY_OTHER] = "other",
		[PKI_KEY_RSA] = "RSA",
		[PKI_KEY_EC] = "EC",
		[PKI_KEY_ED] = "EdDSA",
	};

	snprintf(buf, 32, "%s-%u", names[i->key_type], i->key_bits);
	return buf;
}

static const char *kind_of(const struct pki_info *i)
{
	return i->is_ca ? "CA" : i->has_key ? "Host" : "Peer";
}

/* Whole days, also of what is over. */
static long days_left(const struct tool *t, int64_t until)
{
	int64_t left = until - t->now;

	return (long)(left < 0 ? -((-left + DAY - 1) / DAY) : left / DAY);
}

/* ---- tables ---- */

static void put_row(const struct tool *t, const struct pki_info *i)
{
	char key[32], day[32];

	printf("%-32s %-4s %-8s %-3s %-7s %s %6ld  %s\n", i->label, kind_of(i), key_name(i, key),
	       i->has_key ? "Yes" : "No", i->is_default ? "Default" : "", day_of(i->not_after, day),
	       days_left(t, i->not_after), i->subject);
}

static void put_crl_row(const struct tool *t, const struct pki_crl_info *i)
{
	char day[32];

	printf("%-32s CRL  %4u revoked         %s %6ld  %s\n", i->file, i->n_revoked,
	       i->next_update ? day_of(i->next_update, day) : "-         ",
	       i->next_update ? days_left(t, i->next_update) : 0, i->issuer);
}

static void put_request_row(void *arg, const char *label)
{
	(void)arg;
	printf("%-32s waits for its certificate: import it under this label\n", label);
}

static void put_full(const struct tool *t, const struct pki_info *i)
{
	char buf[32];

	printf("Label:        %s%s\n", i->label, i->is_default ? "  (default)" : "");
	printf("Kind:         %s\n", kind_of(i));
	printf("Subject:      %s\n", i->subject);
	printf("Issuer:       %s%s\n", i->issuer, i->self_signed ? "  (self-signed)" : "");
	printf("Serial:       %s\n", i->serial);
	printf("Not before:   %s\n", second_of(i->not_before, buf));
	printf("Not after:    %s  (%ld days)\n", second_of(i->not_after, buf),
	       days_left(t, i->not_after));
	printf("Key:          %s\n", key_name(i, buf));
	printf("Private key:  %s\n", i->has_key ? "Yes" : "No");
	printf("Usage:        %s\n", i->usage[0] ? i->usage : "any");
	for (unsigned k = 0; k < i->n_names; k++)
		printf("%s%s\n", k ? "              " : "Names:        ", i->names[k]);
	printf("SHA-256:      %s\n", i->fingerprint);
}

/* ---- JSON ---- */

static json_t *entry_json(const struct tool *t, const struct pki_info *i)
{
	json_t *names = json_array();
	char from[32], to[32], key[32];

	for (unsigned k = 0; k < i->n_names; k++)
		json_array_append_new(names, json_string(i->names[k]));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:b, s:s, s:o, "
			 "s:s}",
			 "Label", i->label, "Kind", kind_of(i), "Subject", i->subject, "Issuer",
			 i->issuer, "Serial", i->serial, "NotBefore",
			 second_of(i->not_before, from), "NotAfter", second_of(i->not_after, to),
			 "DaysLeft", (json_int_t)days_left(t, i->not_after), "Key",
			 key_name(i, key), "PrivateKey", i->has_key, "SelfSigned", i->self_signed,
			 "Default", i->is_default, "Usage", i->usage, "Names", names, "SHA256",
			 i->fingerprint);
}

static json_t *crl_json(const struct pki_crl_info *i)
{
	char from[32], to[32];

	return json_pack("{s:s, s:s, s:s, s:s?, s:I}", "File", i->file, "Issuer", i->issuer,
			 "ThisUpdate", second_of(i->this_update, from), "NextUpdate",
			 i->next_update ? second_of(i->next_update, to) : NULL, "Revoked",
			 (json_int_t)i->n_revoked);
}

static void add_problem(void *arg, const char *file, const char *text)
{
	json_array_append_new(arg, json_pack("{s:s, s:s}", "File", file, "Text", text));
}

static void add_request(void *arg, const char *label)
{
	json_array_append_new(arg, json_string(label));
}

/* ---- both ---- */

static bool selected(const struct tool *t, const struct pki_info *i)
{
	if (t->label && strcmp(t->label, i->label) != 0)
		return false;
	return t->expires < 0 || i->not_after < t->now + (int64_t)t->expires * DAY;
}

/* Of the entries that were asked for; *n counts them. */
static json_t *entries_json(const struct tool *t, const struct pki_keyring *ring, unsigned *n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < pki_keyring_size(ring); i++) {
		const struct pki_info *info = pki_entry_info(pki_keyring_at(ring, i));

		if (!selected(t, info))
			continue;
		(*n)++;
		json_array_append_new(list, entry_json(t, info));
	}
	return list;
}

static int list_json(const struct tool *t, unsigned *n, struct cs_err *err)
{
	json_t *problems = json_array(), *requests = json_array(), *crls = json_array(), *all;
	struct pki_keyring *ring;
	int status = pki_keyring_load(t->ring, add_problem, problems, &ring, err);

	if (status < 0) {
		json_decref(problems);
		json_decref(requests);
		json_decref(crls);
		return status;
	}
	for (unsigned i = 0; i < pki_keyring_n_crls(ring); i++) {
		struct pki_crl_info info;

		pki_keyring_crl(ring, i, &info);
		json_array_append_new(crls, crl_json(&info));
	}
	status = tool_dir_requests(t, add_request, requests, err);
	all = json_pack("{s:s, s:o, s:o, s:o, s:o}", "Keyring", t->ring, "Certificates",
			entries_json(t, ring, n), "CRLs", crls, "Requests", requests, "Problems",
			problems);
	if (status == 0 && (!all || json_dumpf(all, stdout, JSON_INDENT(2)) < 0))
		status = cs_fail(err, CS_ENOMEM, "the JSON cannot be made");
	putchar('\n');
	json_decref(all);
	pki_keyring_free(ring);
	return status;
}

static int list_text(const struct tool *t, unsigned *n, struct cs_err *err)
{
	struct pki_keyring *ring;
	int status = tool_load(t, &ring, err);

	if (status < 0)
		return status;
	if (!t->label && pki_keyring_size(ring))
		printf("%-32s %-4s %-8s %-3s %-7s %-10s %6s  %s\n", "Label", "Kind", "Key", "Own",
		       "", "Expires", "Days", "Subject");
	for (unsigned i = 0; i < pki_keyring_size(ring); i++) {
		const struct pki_info *info = pki_entry_info(pki_keyring_at(ring, i));

		if (!selected(t, info))
			continue;
		(*n)++;
		if (t->label)
			put_full(t, info);
		else
			put_row(t, info);
	}
	for (unsigned i = 0; !t->label && t->expires < 0 && i < pki_keyring_n_crls(ring); i++) {
		struct pki_crl_info info;

		pki_keyring_crl(ring, i, &info);
		put_crl_row(t, &info);
	}
	if (!t->label && t->expires < 0)
		status = tool_dir_requests(t, put_request_row, NULL, err);
	pki_keyring_free(ring);
	return status;
}

enum tool_exit tool_list(struct tool *t)
{
	struct cs_err err = {0};
	unsigned n = 0;
	int status = t->json ? list_json(t, &n, &err) : list_text(t, &n, &err);

	if (status == 0 && t->label && n == 0 && t->expires < 0)
		status = cs_fail(&err, CS_ENOTFOUND, "the keyring has no certificate '%s'",
				 t->label);
	if (status < 0)
		return tool_failed(t, &err);
	return t->expires >= 0 && n ? TOOL_NO : TOOL_DONE;
}
